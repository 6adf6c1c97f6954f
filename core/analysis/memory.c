/* memory_analysis: where the bytes are, what other types, a cache and training would take, and what could be saved.
 *
 *   files = tensors + excluded − shared + overhead, exactly: shared are bytes that several tensors lie on, overhead
 * those that no tensor does (headers, alignment, padding), excluded those of tensors that the selection leaves out. */
#include "core/analysis/memory.h"
#include "core/decode/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/analysis/what_if.h"
#include "core/model/layers.h"

enum { SIDES = 2 };

/* Bytes of the tensors that share a key. */
struct tally {
    struct name key;
    uint64_t bytes[SIDES], tensors[SIDES];
};

struct tallies {
    struct tally *items;
    size_t count;
};

enum weight_type { AS_F32, AS_BF16, AS_F8, AS_INT8, AS_INT4, WEIGHT_TYPE_COUNT };
static const char *const weight_type_names[WEIGHT_TYPE_COUNT] = {"F32", "BF16", "F8", "INT8_per_row", "INT4_g32"};

struct memory_side {
    uint64_t files, tensors, shared, overhead, excluded; /* bytes */
    uint64_t parameters, other_bytes;                    /* of float tensors; bytes of the others */
    uint64_t weights[WEIGHT_TYPE_COUNT];
    struct kv_cache cache;
    struct savings savings;
};

struct memory_state {
    struct memory_side sides[SIDES]; /* the last model's is sides[1]; of one model only that is used */
    struct tallies dtypes, layers, modules;
    struct what_if *what_if; /* NULL unless asked for */
};

static size_t model_of(const struct comparison *c, size_t side)
{
    return side ? c->model_count - 1 : 0;
}

static size_t first_side(const struct comparison *c)
{
    return c->model_count > 1 ? 0 : 1;
}

static const struct model_file *file_of(const struct model *model, const struct extent *extent)
{
    return &model->files[extent->source];
}

static int compare_extents(const void *left, const void *right)
{
    const struct extent *a = left, *b = right;

    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Where its bytes lie: in one place, or where the parts that it was made of lie. Returns how many; all to out, unless
 * it is NULL. */
static size_t extents_of(const struct tensor *tensor, struct extent *out)
{
    const uint32_t parts = tensor->storage ? tensor->storage->part_count : 0;

    if (out && parts == 0) {
        *out = tensor->extent;
        out->bytes = decoder_reach(tensor);
    }
    for (uint32_t i = 0; out && i < parts; i++)
        out[i] = tensor->storage->parts[i].extent;
    return parts ? parts : 1;
}

/* Bytes that at least one tensor lies on, and how many of the files' they are: compressed members take fewer. */
static int covered_bytes(const struct model *model, uint64_t *ret_bytes, uint64_t *ret_stored, struct error *err)
{
    struct extent *extents;
    uint64_t covered = 0, stored = 0, end = 0;
    size_t count = 0;

    for (size_t t = 0; t < model->tensor_count; t++)
        count += extents_of(&model->tensors[t], NULL);
    extents = calloc(count + 1, sizeof(*extents));
    if (!extents)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    count = 0;
    for (size_t t = 0; t < model->tensor_count; t++)
        count += extents_of(&model->tensors[t], extents + count);
    qsort(extents, count, sizeof(*extents), compare_extents);
    for (size_t t = 0; t < count; t++) {
        uint64_t from = extents[t].offset, to = from + extents[t].bytes;

        if (t == 0 || extents[t].source != extents[t - 1].source) {
            end = 0;
            stored += file_of(model, &extents[t])->member_bytes;
        }
        if (to <= end)
            continue;
        covered += to - (from > end ? from : end);
        if (!file_of(model, &extents[t])->is_member)
            stored += to - (from > end ? from : end);
        end = to;
    }
    free(extents);
    *ret_bytes = covered;
    *ret_stored = stored;
    return 0;
}

/* As what_if counts them: a scale of 4 bytes a row (INT8), of 2 bytes a group of 32 of a row (INT4). */
static void add_weights(struct memory_side *side, const struct tensor *tensor)
{
    uint64_t n = tensor->shape.elements, columns = tensor->shape.rank ? tensor->shape.dims[tensor->shape.rank - 1] : 1;
    uint64_t rows = columns ? n / columns : 0;

    if (!dtype_is_parameter(tensor->dtype)) {
        side->other_bytes += tensor->extent.bytes;
        return;
    }
    side->parameters += n;
    side->weights[AS_F32] += 4 * n;
    side->weights[AS_BF16] += 2 * n;
    side->weights[AS_F8] += n;
    side->weights[AS_INT8] += n + 4 * rows;
    side->weights[AS_INT4] += (n + 1) / 2 + 2 * rows * ((columns + 31) / 32);
}

static int gather_side(const struct comparison *c, const struct compare_env *env, size_t model,
                       struct memory_side *side, struct error *err)
{
    const struct model *m = c->models[model];
    bool *is_first = memory_first_uses(c, model);
    uint64_t covered = 0, stored = 0, all = 0;
    int rc = is_first ? covered_bytes(m, &covered, &stored, err) : error_set(err, ERROR_NO_MEMORY, "out of memory");

    if (rc) {
        free(is_first);
        return rc;
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        if (is_first[pair]) {
            side->tensors += comparison_tensor(c, pair, model)->extent.bytes;
            if (!comparison_within(c, pair, model))
                add_weights(side, comparison_tensor(c, pair, model));
        }
    for (size_t t = 0; t < m->tensor_count; t++)
        all += m->tensors[t].extent.bytes;
    free(is_first);
    side->files = m->bytes;
    side->excluded = all > side->tensors ? all - side->tensors : 0; /* parts may be used twice */
    side->shared = all > covered ? all - covered : 0;               /* views may leave gaps */
    side->overhead = m->bytes - stored;
    side->cache = kv_cache_of(m);
    return savings_find(c, env, model, &side->savings, err);
}

struct entry {
    struct name key;
    uint64_t bytes;
    size_t side;
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    return name_compare_natural(a->key, b->key);
}

static struct name key_dtype(const struct tensor *tensor)
{
    return tensor_dtype_name(tensor);
}

static struct name key_layer(const struct tensor *tensor)
{
    return layer_of(tensor->name);
}

static struct name key_module(const struct tensor *tensor)
{
    return name_of(module_type_of(tensor->name));
}

static int tally(const struct comparison *c, struct name (*key)(const struct tensor *), struct tallies *tallies,
                 struct error *err)
{
    struct entry *entries = calloc(2 * c->pairing->pairs + 1, sizeof(*entries));
    size_t count = 0;
    int rc = entries ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");

    for (size_t side = first_side(c); rc == 0 && side < SIDES; side++) {
        bool *is_first = memory_first_uses(c, model_of(c, side));

        for (size_t pair = 0; is_first && pair < c->pairing->pairs; pair++) {
            const struct tensor *tensor = comparison_tensor(c, pair, model_of(c, side));

            if (is_first[pair])
                entries[count++] = (struct entry){key(tensor), tensor->extent.bytes, side};
        }
        if (!is_first)
            rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
        free(is_first);
    }
    if (rc == 0) {
        qsort(entries, count, sizeof(*entries), compare_entries);
        tallies->items = calloc(count + 1, sizeof(*tallies->items));
        if (!tallies->items)
            rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct tally *into;

        if (i == 0 || !name_equal(entries[i].key, entries[i - 1].key))
            tallies->items[tallies->count++].key = entries[i].key;
        into = &tallies->items[tallies->count - 1];
        into->bytes[entries[i].side] += entries[i].bytes;
        into->tensors[entries[i].side]++;
    }
    free(entries);
    return rc;
}

static void memory_free(void *opaque)
{
    struct memory_state *state = opaque;

    if (!state)
        return;
    for (size_t side = 0; side < SIDES; side++)
        savings_done(&state->sides[side].savings);
    what_if_free(state->what_if);
    free(state->dtypes.items);
    free(state->layers.items);
    free(state->modules.items);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct memory_state *state = calloc(1, sizeof(*state));
    int rc = state ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");

    for (size_t side = first_side(c); rc == 0 && side < SIDES; side++)
        rc = gather_side(c, env, model_of(c, side), &state->sides[side], err);
    if (rc == 0)
        rc = tally(c, key_dtype, &state->dtypes, err);
    if (rc == 0)
        rc = tally(c, key_layer, &state->layers, err);
    if (rc == 0)
        rc = tally(c, key_module, &state->modules, err);
    if (rc == 0 && c->request->options.what_if)
        rc = what_if_measure(c, env, &state->what_if, err);
    if (rc) {
        memory_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static void write_difference(struct writer *w, const char *key, uint64_t before, uint64_t after)
{
    write_i64(w, key, (int64_t)(after - before));
}

static void write_tallies(const struct comparison *c, struct writer *w, const char *key, const char *name,
                          const struct tallies *tallies)
{
    write_array(w, key);
    for (size_t i = 0; i < tallies->count; i++) {
        const struct tally *t = &tallies->items[i];

        write_begin_object(w);
        write_named(w, name, t->key);
        if (c->model_count > 1) {
            write_u64(w, "baseline_tensors", t->tensors[0]);
            write_u64(w, "baseline_bytes", t->bytes[0]);
            write_u64(w, "candidate_tensors", t->tensors[1]);
            write_u64(w, "candidate_bytes", t->bytes[1]);
            write_difference(w, "delta_bytes", t->bytes[0], t->bytes[1]);
        } else {
            write_u64(w, "tensors", t->tensors[1]);
            write_u64(w, "bytes", t->bytes[1]);
        }
        write_end(w);
    }
    write_end(w);
}

static void write_cache(const struct kv_cache *cache, struct writer *w)
{
    if (cache->reason) {
        write_null(w, "kv_cache_bytes_per_token", cache->reason);
        return;
    }
    write_u64(w, "kv_cache_bytes_per_token", cache->bytes_per_token);
    write_object(w, "kv_cache");
    write_text(w, "formula", "2 * layers * kv_heads * head_dim * element_bytes");
    write_u64(w, "layers", cache->layers);
    write_u64(w, "kv_heads", cache->kv_heads);
    write_u64(w, "head_dim", cache->head_dim);
    write_u64(w, "element_bytes", cache->element_bytes);
    write_end(w);
}

/* Adam keeps two moments in F32 for each parameter; mixed precision adds a master copy of the weights in F32. */
static void write_training(uint64_t parameters, struct writer *w)
{
    static const struct {
        const char *name, *formula;
        uint64_t weights, gradients, moments, master;
    } ways[] = {
        {"adam_f32", "parameters * (4 weights + 4 gradients + 8 moments)", 4, 4, 8, 0},
        {"adam_mixed_bf16", "parameters * (2 weights + 2 gradients + 8 moments + 4 master weights)", 2, 2, 8, 4},
    };

    write_object(w, "training");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        uint64_t each = ways[i].weights + ways[i].gradients + ways[i].moments + ways[i].master;

        write_object(w, ways[i].name);
        write_u64(w, "bytes", parameters * each);
        write_u64(w, "weights", parameters * ways[i].weights);
        write_u64(w, "gradients", parameters * ways[i].gradients);
        write_u64(w, "moments", parameters * ways[i].moments);
        write_u64(w, "master_weights", parameters * ways[i].master);
        write_text(w, "formula", ways[i].formula);
        write_end(w);
    }
    write_end(w);
}

static void write_side(const struct comparison *c, const struct memory_side *side, struct writer *w)
{
    write_u64(w, "file_bytes", side->files);
    write_u64(w, "tensor_bytes", side->tensors);
    write_u64(w, "overhead_bytes", side->overhead);
    write_u64(w, "shared_bytes", side->shared);
    write_u64(w, "excluded_bytes", side->excluded);
    write_u64(w, "parameters", side->parameters);
    if (side->savings.has_values && side->savings.has_profiles && side->savings.has_rows)
        write_u64(w, "saveable_bytes", side->savings.saveable);
    else
        write_null(w, "saveable_bytes", "values not read");
    write_cache(&side->cache, w);
    write_object(w, "weights_at");
    for (int t = 0; t < WEIGHT_TYPE_COUNT; t++)
        write_u64(w, weight_type_names[t], side->weights[t]);
    write_u64(w, "not_float_bytes", side->other_bytes);
    write_end(w);
    write_training(side->parameters, w);
    savings_write(c, &side->savings, w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct memory_state *state = opaque;
    const struct memory_side *a = &state->sides[0], *b = &state->sides[1];

    if (c->model_count == 1) {
        write_side(c, b, w);
    } else {
        write_u64(w, "baseline_file_bytes", a->files);
        write_u64(w, "candidate_file_bytes", b->files);
        write_difference(w, "delta_file_bytes", a->files, b->files);
        write_difference(w, "delta_tensor_bytes", a->tensors, b->tensors);
        write_difference(w, "delta_overhead_bytes", a->overhead, b->overhead);
        write_object(w, "baseline");
        write_side(c, a, w);
        write_end(w);
        write_object(w, "candidate");
        write_side(c, b, w);
        write_end(w);
    }
    if (state->what_if)
        memory_precision_write(c, state->what_if, w);
    write_tallies(c, w, "dtypes", "dtype", &state->dtypes);
    write_tallies(c, w, "layers", "layer", &state->layers);
    write_tallies(c, w, "module_types", "module_type", &state->modules);
}

const struct analysis memory_analysis = {
    .name = "memory_analysis",
    .flag = "memory-analysis",
    .summary = "Where the bytes are, what other types, a cache and training would take, and what could be saved.",
    .docs = &memory_docs,
    .models_min = 1,
    .models_max = 64,
    .needs = NEED_SIDE | NEED_PROFILE | NEED_ROWS,
    .prepare = prepare,
    .write = write,
    .free = memory_free,
};
