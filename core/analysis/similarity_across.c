/* Layers fall into kinds: those whose tensors agree in name (behind the layer's) and shape. A kind is read once, a
 * block of every layer at a time, and all its layers are held against each other block by block: memory is bounded
 * whatever the size or the number of layers. Every layer is scaled by a power of two, which no cosine sees. */
#include "core/analysis/similarity_across.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/block.h"
#include "core/analysis/gradient_roles.h"
#include "core/model/layers.h"

enum { ACROSS_LAYERS_LISTED_MAX = 4096 }; /* of a model: finding kinds takes time with their square */
enum { BLOCK_MIN = 1024, BLOCK_MAX = 65536 };

struct layer {
    struct name name;
    size_t model;
    const struct tensor **tensors; /* in canonical order */
    size_t count;
    bool is_readable;
    double abs_max, scale; /* scale: a power of two, 1 unless squares would leave the range of doubles */
};

struct pair_sums {
    struct sum aa, bb, ab;
    uint64_t terms;
    bool differs;
};

/* Layers of one kind. Within a model rows and columns are the same. */
struct kind {
    size_t *rows, *columns; /* indexes of layers */
    size_t row_count, column_count;
    bool is_within;
    double *cosine; /* rows × columns */
};

struct across {
    struct layer *layers;
    size_t layer_count;
    const struct tensor **tensors; /* what the layers' lists lie in */
    struct kind *kinds;
    size_t kind_count;
    bool is_cut, is_between;
};

void across_free(struct across *across)
{
    if (!across)
        return;
    for (size_t i = 0; i < across->kind_count; i++) {
        free(across->kinds[i].rows);
        free(across->kinds[i].columns);
        free(across->kinds[i].cosine);
    }
    free(across->kinds);
    free(across->layers);
    free(across->tensors);
    free(across);
}

static struct name behind_layer(struct name name, struct name layer)
{
    return (struct name){name.text + layer.bytes, name.bytes - layer.bytes};
}

static bool same_kind(const struct layer *a, const struct layer *b)
{
    if (a->count != b->count || !a->is_readable || !b->is_readable)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!shape_equal(&a->tensors[i]->shape, &b->tensors[i]->shape) ||
            !name_equal(behind_layer(a->tensors[i]->name, layer_of(a->tensors[i]->name)),
                        behind_layer(b->tensors[i]->name, layer_of(b->tensors[i]->name))))
            return false;
    return true;
}

static void add_tensor(struct layer *layer, const struct comparison *c, size_t pair)
{
    const struct tensor *tensor = comparison_tensor(c, pair, layer->model);
    const struct side_record *side = comparison_side(c, pair, layer->model);

    layer->tensors[layer->count++] = tensor;
    layer->is_readable = layer->is_readable && block_is_readable(tensor) && side;
    if (side && side->abs_max > layer->abs_max)
        layer->abs_max = side->abs_max;
}

static double scale_of(double abs_max)
{
    int exponent;

    if (abs_max == 0 || (abs_max > 1e-140 && abs_max < 1e140))
        return 1;
    frexp(abs_max, &exponent);
    return ldexp(1, exponent < -1022 ? 1022 : -exponent);
}

/* The layers of one model's weights, in natural order. */
static int gather(const struct comparison *c, size_t model, struct across *across, size_t *used, struct error *err)
{
    struct layered *layered = calloc(c->pairing->pairs + 1, sizeof(*layered));
    size_t kept = 0, before = across->layer_count;

    if (!layered)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);

        if (tensor && dtype_is_parameter(tensor->dtype) &&
            gradient_role_of(c->models[model], tensor, NULL) == ROLE_WEIGHT)
            layered[kept++] = (struct layered){layer_of(tensor->name), (uint32_t)pair};
    }
    qsort(layered, kept, sizeof(*layered), layered_compare);
    for (size_t i = 0; i < kept; i++) {
        bool is_next = i == 0 || !name_equal(layered[i].layer, layered[i - 1].layer);

        if (is_next && across->layer_count - before == ACROSS_LAYERS_LISTED_MAX) {
            across->is_cut = true;
            break;
        }
        if (is_next)
            across->layers[across->layer_count++] = (struct layer){.name = layered[i].layer,
                                                                   .model = model,
                                                                   .tensors = across->tensors + *used,
                                                                   .is_readable = true,
                                                                   .scale = 1};
        add_tensor(&across->layers[across->layer_count - 1], c, layered[i].index);
        (*used)++;
    }
    free(layered);
    for (size_t i = before; i < across->layer_count; i++)
        across->layers[i].scale = scale_of(across->layers[i].abs_max);
    return 0;
}

/* Whether the layer stands for its kind: the first of it among those that take part. */
static bool is_first_of_kind(const struct across *across, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if ((across->is_between || across->layers[i].model == across->layers[at].model) &&
            same_kind(&across->layers[i], &across->layers[at]))
            return false;
    return across->layers[at].is_readable && across->layers[at].count > 0;
}

static void shrink(size_t **items, size_t count)
{
    size_t *smaller = reallocarray(*items, count, sizeof(**items));

    if (smaller)
        *items = smaller;
}

static int add_kind(struct across *across, size_t first, size_t last_model, struct error *err)
{
    struct kind *kind = &across->kinds[across->kind_count];
    size_t limit = across->layer_count;

    *kind = (struct kind){.is_within = !across->is_between};
    kind->rows = calloc(limit, sizeof(*kind->rows));
    kind->columns = calloc(limit, sizeof(*kind->columns));
    across->kind_count++; /* owned from here on */
    if (!kind->rows || !kind->columns)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t i = first; i < limit; i++) {
        if (!same_kind(&across->layers[first], &across->layers[i]))
            continue;
        if (kind->is_within && across->layers[i].model != across->layers[first].model)
            continue;
        if (!kind->is_within && across->layers[i].model == last_model)
            kind->columns[kind->column_count++] = i;
        else
            kind->rows[kind->row_count++] = i;
    }
    if (kind->is_within) {
        memcpy(kind->columns, kind->rows, kind->row_count * sizeof(*kind->rows));
        kind->column_count = kind->row_count;
    }
    if (kind->row_count == 0 || kind->column_count == 0 || (kind->is_within && kind->row_count < 2)) {
        free(kind->rows);
        free(kind->columns);
        across->kind_count--;
        return 0;
    }
    shrink(&kind->rows, kind->row_count);
    shrink(&kind->columns, kind->column_count);
    if (kind->row_count > ACROSS_LAYERS_MAX || kind->column_count > ACROSS_LAYERS_MAX)
        across->is_cut = true;
    kind->row_count = kind->row_count < ACROSS_LAYERS_MAX ? kind->row_count : ACROSS_LAYERS_MAX;
    kind->column_count = kind->column_count < ACROSS_LAYERS_MAX ? kind->column_count : ACROSS_LAYERS_MAX;
    kind->cosine = calloc(kind->row_count * kind->column_count, sizeof(*kind->cosine));
    return kind->cosine ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");
}

/* One block of every layer of a kind. */
struct blocks {
    double *values;  /* [slot × room]; rows first, then columns where these are others */
    double *squares; /* [slot]: Σ of the block, where all of it is finite */
    bool *is_finite; /* [slot] */
    uint8_t *stored;
    size_t room;
};

static void blocks_done(struct blocks *blocks)
{
    free(blocks->values);
    free(blocks->squares);
    free(blocks->is_finite);
    free(blocks->stored);
}

static int blocks_init(struct blocks *blocks, size_t slots, struct error *err)
{
    size_t room = ACROSS_BUFFER_BYTES / sizeof(double) / slots;

    *blocks = (struct blocks){.room = room < BLOCK_MIN ? BLOCK_MIN : room > BLOCK_MAX ? BLOCK_MAX : room};
    blocks->values = calloc(slots * blocks->room, sizeof(*blocks->values));
    blocks->squares = calloc(slots, sizeof(*blocks->squares));
    blocks->is_finite = calloc(slots, sizeof(*blocks->is_finite));
    blocks->stored = calloc(blocks->room, sizeof(double));
    if (!blocks->values || !blocks->squares || !blocks->is_finite || !blocks->stored)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    return 0;
}

static size_t layer_at(const struct kind *kind, size_t slot)
{
    return slot < kind->row_count ? kind->rows[slot] : kind->columns[slot - kind->row_count];
}

static int read_slot(const struct comparison *c, const struct layer *layer, size_t tensor, uint64_t first, size_t count,
                     struct blocks *blocks, size_t slot, struct error *err)
{
    double *values = blocks->values + slot * blocks->room, total = 0;
    int rc = block_read(c->models[layer->model], layer->tensors[tensor], first, count, blocks->stored, values, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        values[i] *= layer->scale;
        total += values[i] - values[i]; /* NAN as soon as one is not finite */
    }
    blocks->is_finite[slot] = total == 0;
    blocks->squares[slot] = blocks->is_finite[slot] ? block_dot(values, values, count) : NAN;
    return 0;
}

static void add_block(struct pair_sums *sums, const struct blocks *blocks, size_t row, size_t column, size_t count)
{
    const double *a = blocks->values + row * blocks->room, *b = blocks->values + column * blocks->room;

    if (blocks->is_finite[row] && blocks->is_finite[column]) {
        sum_add(&sums->aa, blocks->squares[row]);
        sum_add(&sums->bb, blocks->squares[column]);
        sum_add(&sums->ab, block_dot(a, b, count));
        for (size_t i = 0; i < count && !sums->differs; i++)
            sums->differs = a[i] < b[i] || a[i] > b[i];
        sums->terms += count;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            continue;
        sum_add(&sums->aa, a[i] * a[i]);
        sum_add(&sums->bb, b[i] * b[i]);
        sum_add(&sums->ab, a[i] * b[i]);
        sums->terms++;
        sums->differs = sums->differs || a[i] < b[i] || a[i] > b[i];
    }
}

static double cosine_of(const struct pair_sums *sums)
{
    double aa = sum_value(&sums->aa), bb = sum_value(&sums->bb), cosine;

    if (sums->terms == 0)
        return NAN;
    if (!sums->differs || (aa == 0 && bb == 0))
        return 1;
    if (aa == 0 || bb == 0)
        return NAN;
    cosine = sum_value(&sums->ab) / (sqrt(aa) * sqrt(bb));
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static int read_tensor(const struct comparison *c, const struct compare_env *env, const struct across *across,
                       const struct kind *kind, size_t tensor, struct blocks *blocks, struct pair_sums *sums,
                       struct error *err)
{
    uint64_t elements = across->layers[kind->rows[0]].tensors[tensor]->shape.elements;
    size_t slots = kind->row_count + (kind->is_within ? 0 : kind->column_count);

    for (uint64_t first = 0; first < elements; first += blocks->room) {
        size_t count = elements - first < blocks->room ? (size_t)(elements - first) : blocks->room;

        for (size_t slot = 0; slot < slots; slot++) {
            int rc = block_check_cancelled(env, err);

            if (rc == 0)
                rc = read_slot(c, &across->layers[layer_at(kind, slot)], tensor, first, count, blocks, slot, err);
            if (rc)
                return rc;
        }
        for (size_t r = 0; r < kind->row_count; r++)
            for (size_t k = kind->is_within ? r + 1 : 0; k < kind->column_count; k++)
                add_block(&sums[r * kind->column_count + k], blocks, r, kind->is_within ? k : kind->row_count + k,
                          count);
    }
    return 0;
}

static int measure(const struct comparison *c, const struct compare_env *env, const struct across *across,
                   struct kind *kind, struct error *err)
{
    struct pair_sums *sums = calloc(kind->row_count * kind->column_count, sizeof(*sums));
    struct blocks blocks = {0};
    int rc = sums ? blocks_init(&blocks, kind->row_count + kind->column_count, err)
                  : error_set(err, ERROR_NO_MEMORY, "out of memory");

    for (size_t t = 0; rc == 0 && t < across->layers[kind->rows[0]].count; t++)
        rc = read_tensor(c, env, across, kind, t, &blocks, sums, err);
    for (size_t r = 0; rc == 0 && r < kind->row_count; r++)
        for (size_t k = 0; k < kind->column_count; k++) {
            size_t from = kind->is_within && k < r ? k * kind->column_count + r : r * kind->column_count + k;

            kind->cosine[r * kind->column_count + k] = kind->is_within && r == k ? 1 : cosine_of(&sums[from]);
        }
    blocks_done(&blocks);
    free(sums);
    return rc;
}

int across_measure(const struct comparison *c, const struct compare_env *env, struct across **ret_across,
                   struct error *err)
{
    struct across *across = calloc(1, sizeof(*across));
    size_t room = 2 * c->pairing->pairs + 1, used = 0, last = c->model_count - 1;
    int rc = 0;

    if (across) {
        across->is_between = c->request->options.similarity_across == ACROSS_BETWEEN;
        across->layers = calloc(room, sizeof(*across->layers));
        across->tensors = calloc(room, sizeof(struct tensor *));
        across->kinds = calloc(room, sizeof(*across->kinds));
    }
    if (!across || !across->layers || !across->tensors || !across->kinds)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = gather(c, 0, across, &used, err);
    if (rc == 0)
        rc = gather(c, last, across, &used, err);
    for (size_t i = 0; rc == 0 && i < across->layer_count; i++)
        if (is_first_of_kind(across, i))
            rc = add_kind(across, i, last, err);
    for (size_t i = 0; rc == 0 && i < across->kind_count; i++)
        rc = measure(c, env, across, &across->kinds[i], err);
    if (rc) {
        across_free(across);
        return rc;
    }
    *ret_across = across;
    return 0;
}

static void write_names(struct writer *w, const char *key, const struct across *across, const size_t *layers,
                        size_t count)
{
    write_array(w, key);
    for (size_t i = 0; i < count; i++)
        write_name(w, across->layers[layers[i]].name);
    write_end(w);
}

void across_write(const struct across *across, struct writer *w)
{
    write_object(w, "across");
    write_text(w, "which", across->is_between ? "between" : "within");
    write_flag(w, "cut", across->is_cut);
    write_array(w, "kinds");
    for (size_t i = 0; i < across->kind_count; i++) {
        const struct kind *kind = &across->kinds[i];
        bool has_null = false;

        write_begin_object(w);
        write_u64(w, "row_model", across->layers[kind->rows[0]].model);
        write_u64(w, "column_model", across->layers[kind->columns[0]].model);
        write_names(w, "rows", across, kind->rows, kind->row_count);
        write_names(w, "columns", across, kind->columns, kind->column_count);
        write_array(w, "cosine");
        for (size_t r = 0; r < kind->row_count; r++) {
            write_begin_array(w);
            has_null = write_row(w, kind->cosine + r * kind->column_count, kind->column_count) || has_null;
            write_end(w);
        }
        write_end(w);
        if (has_null)
            write_text(w, "cosine_reason", "one layer is all zero, or nothing is finite in both");
        write_end(w);
    }
    write_end(w);
    write_end(w);
}
