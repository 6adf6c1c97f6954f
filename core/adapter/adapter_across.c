/* Adapters of the other kind of file: a GGUF file's on a checkpoint, a checkpoint's on a GGUF file. Every pair of
 * factors stands among the tensors that the tables of layouts pair as one of its module's shape, without values. B·A is
 * like no weight, so that no sample of values can choose between names that are spelt alike or between readings: what
 * is taken is only what the tables say of one tensor for another, rows in the order in which llama.cpp's converter puts
 * them for that architecture. */
#include <stdio.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/align/layouts.h"
#include "core/decode/view.h"
#include "core/format/format.h"

enum { BASE, SHAPES };
#define ELEMENTS_MAX (UINT64_C(1) << 38)

struct across {
    struct applying *x;
    const struct model *models[2];
    struct model shapes;
    struct pairing *pairing;
    size_t gguf; /* which of the models has the names of a GGUF file */
    struct name architecture;
    const struct tensor **made_of; /* [tensor of shapes] its module's first factor, or itself */
};

bool adapter_is_across(const struct applying *x)
{
    return (strcmp(x->adapter->format->name, "gguf") == 0) != (strcmp(x->base->format->name, "gguf") == 0);
}

struct tensor *adapter_placed(const struct applying *x, const struct tensor *part)
{
    const struct placement *placement = &x->placements[part - x->parts];

    return placement->is_twice ? NULL : placement->tensor;
}

/* What no pair of factors is, as it is: of what the adapter stores whole, some is the base's. */
static int add_whole(struct across *w, const struct tensor *part)
{
    struct tensor *whole = &w->shapes.tensors[w->shapes.tensor_count];
    char text[ADAPTER_NAME_BYTES];
    const struct name name = adapter_module(part->name, text);

    *whole = *part;
    whole->name = (struct name){arena_copy(&w->x->arena, name.text, name.bytes), name.bytes};
    if (!whole->name.text)
        return adapter_no_memory(w->x);
    w->made_of[w->shapes.tensor_count++] = part;
    return 0;
}

/* The tensor that a pair of factors changes, as the adapter's kind of file has it: outputs × inputs. */
static int add_shape(struct across *w, const struct tensor *a)
{
    struct applying *x = w->x;
    struct tensor *shape = &w->shapes.tensors[w->shapes.tensor_count];
    const struct tensor *b;
    struct name stem;
    const char *suffix;
    char text[ADAPTER_NAME_BYTES + 8];
    uint64_t *dims;
    int length;

    if (!adapter_factors(x, a, &b, &stem, &suffix))
        return add_whole(w, a);
    if (a->shape.rank != 2 || b->shape.rank != 2 || a->shape.dims[0] != b->shape.dims[1] || a->shape.elements == 0 ||
        b->shape.elements == 0 || b->shape.dims[0] > ELEMENTS_MAX / a->shape.dims[1])
        return 0;
    stem = adapter_module(stem, text);
    length = snprintf(text + stem.bytes, sizeof(text) - stem.bytes, "%s", suffix);
    dims = arena_take_array(&x->arena, 2, sizeof(*dims));
    *shape = (struct tensor){
        .name = {arena_copy(&x->arena, text, stem.bytes + (uint32_t)length), stem.bytes + (uint32_t)length},
        .dtype = DTYPE_F32,
        .shape = {dims, b->shape.dims[0] * a->shape.dims[1], 2}};
    if (!dims || !shape->name.text)
        return adapter_no_memory(x);
    dims[0] = b->shape.dims[0];
    dims[1] = a->shape.dims[1];
    shape->extent.bytes = shape->shape.elements * 4;
    shape->extent.offset = w->shapes.tensor_count * ELEMENTS_MAX * 4; /* at one place they would be one */
    w->made_of[w->shapes.tensor_count++] = a;
    return 0;
}

/* The reading of a GGUF file's tensor that the tables have for the architecture at hand, NULL: as it is. */
static const char *known_reading(const struct across *w, struct name target)
{
    for (size_t i = 0; i < layout_reading_count; i++) {
        struct captures captures = {0};

        if (layout_is_listed(layout_readings[i].architectures, w->architecture) &&
            pattern_match(name_of(layout_readings[i].target), target, &captures))
            return layout_readings[i].transformation;
    }
    return NULL;
}

/* [row of the base] the module's row that lies there; rows that are not whole leave *ret_rows NULL. */
static int read_rows(struct applying *x, const struct tensor *view, const struct tensor *source, bool is_base_viewed,
                     const uint32_t **ret_rows)
{
    const uint64_t rows = source->shape.dims[0], columns = source->shape.dims[1];
    uint32_t *order;

    if (rows >= UINT32_MAX || !shape_equal(&view->shape, &source->shape))
        return 0;
    order = arena_take_array(&x->arena, (size_t)rows, sizeof(*order));
    if (!order)
        return adapter_no_memory(x);
    for (uint64_t c = 0, first = view_origin(view, source, 0); c < columns; c++)
        if (view_origin(view, source, c) != first + c)
            return 0;
    memset(order, 0xff, (size_t)rows * sizeof(*order));
    for (uint64_t r = 0; r < rows; r++) {
        const uint64_t from = view_origin(view, source, r * columns);

        if (from % columns || view_origin(view, source, r * columns + columns - 1) != from + columns - 1)
            return 0;
        order[is_base_viewed ? from / columns : r] = (uint32_t)(is_base_viewed ? r : from / columns);
    }
    for (uint64_t r = 0; r < rows; r++)
        if (order[r] == UINT32_MAX)
            return 0;
    *ret_rows = order;
    return 0;
}

static int place(struct across *w, size_t pair)
{
    struct applying *x = w->x;
    const struct pairing_link *link = pairing_link(w->pairing, pair);
    const struct paired_view *view = pairing_view(w->pairing, pair, BASE);
    const bool is_base_viewed = view != NULL;
    const struct tensor *sides[2], *part;
    struct placement *placement;
    uint32_t index[2];
    char architecture[NAME_PRINTABLE_BYTES];
    const char *known;
    int rc;

    if (!link || strcmp(link->rule, "names") != 0)
        return 0;
    view = view ? view : pairing_view(w->pairing, pair, SHAPES);
    for (size_t m = 0; m < 2; m++) {
        const uint32_t side = w->pairing->side[pair * 2 + m];

        if (side == PAIRING_NONE)
            return 0;
        index[m] = side & PAIRING_VIEW ? pairing_view(w->pairing, pair, m)->of : side;
        sides[m] = &w->models[m]->tensors[index[m]];
    }
    if (!layout_is_named(sides[w->gguf]->name, sides[!w->gguf]->name))
        return 0;
    part = w->made_of[index[SHAPES]];
    if (view && !adapter_is_factor(part->name))
        return 0;
    placement = &x->placements[part - x->parts];
    known = known_reading(w, sides[w->gguf]->name);
    if (known && strcmp(known, "transpose") == 0 && w->gguf == SHAPES)
        return error_set(x->err, ERROR_FORMAT,
                         "%s: is an adapter of %s in a GGUF file, whose factors the converter turns over; llama.cpp "
                         "itself refuses it",
                         x->adapter->uri, name_printable(w->architecture, architecture));
    if (known && strcmp(known, "transpose") != 0 && strcmp(link->transformation, "none") == 0)
        return error_set(x->err, ERROR_FORMAT,
                         "%s: rows lie in another order in a GGUF file of %s than in a checkpoint, and what that "
                         "follows from, the number of heads, is not known: config.json beside %s would tell",
                         x->adapter->uri, name_printable(w->architecture, architecture), x->base->uri);
    /* Factors of a weight that a checkpoint holds turned over are those of its module, as a GGUF file has it. */
    if (view && !(known && strcmp(known, "transpose") == 0)) {
        rc = read_rows(x, &view->tensor, sides[is_base_viewed ? BASE : SHAPES], is_base_viewed, &placement->rows);
        if (rc || !placement->rows)
            return rc;
    }
    placement->is_twice = placement->tensor != NULL;
    placement->tensor = &x->fresh[index[BASE]];
    return 0;
}

static int align(struct across *w)
{
    struct applying *x = w->x;
    struct layout_facts *facts;
    char printable[NAME_PRINTABLE_BYTES];
    int rc = layout_facts_new(w->models, &facts, x->err);

    if (rc)
        return rc;
    w->architecture = layout_facts_architecture(facts);
    if (w->architecture.bytes == 0)
        rc = error_set(x->err, ERROR_FORMAT, "%s: names no general.architecture, from which the order of rows follows",
                       w->models[w->gguf]->uri);
    if (rc == 0)
        rc = pairing_align(w->models, 2, &w->pairing, x->err);
    if (rc == 0)
        rc = layouts_align(w->models, w->pairing, NULL, false, x->err);
    for (size_t pair = 0; rc == 0 && pair < w->pairing->pairs; pair++)
        rc = place(w, pair);
    if (rc == 0)
        rc = model_warn(x->base, "adapter-layout", (struct name){0},
                        "the adapter is one for a %s: its rows are put as llama.cpp's converter has them for %s, which "
                        "no values confirm",
                        w->gguf == SHAPES ? "GGUF file" : "checkpoint", name_printable(w->architecture, printable));
    layout_facts_free(facts);
    return rc;
}

int adapter_place_across(struct applying *x)
{
    const size_t count = x->adapter->tensor_count;
    struct across w = {.x = x, .models = {x->base, &w.shapes}, .shapes = *x->adapter};
    int rc = 0;

    w.gguf = strcmp(x->adapter->format->name, "gguf") == 0 ? SHAPES : BASE;
    w.shapes.tensor_count = 0;
    w.shapes.tensors = arena_take_array(&x->arena, count + 1, sizeof(*w.shapes.tensors));
    w.made_of = arena_take_array(&x->arena, count + 1, sizeof(*w.made_of));
    x->placements = arena_take_array(&x->arena, count + 1, sizeof(*x->placements));
    if (!w.shapes.tensors || !w.made_of || !x->placements)
        return adapter_no_memory(x);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_shape(&w, &x->parts[i]);
    if (rc == 0)
        rc = align(&w);
    pairing_free(w.pairing);
    return rc;
}
