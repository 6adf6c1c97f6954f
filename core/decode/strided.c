/* Views: transposed, cut out of a larger storage, repeated. A range of the logical order falls into boxes; a box whose
 * elements lie far apart is halved until it can be looked at in one piece of the file, so that memory stays flat. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/decode/plane.h"

enum {
    SPAN_BYTES = 4 << 20,
    READ_BYTES = 64 << 10, /* up to which a read costs less than a mapping */
    RANK_MAX = 64,
};

/* What is the same for every box of one read. */
struct gathering {
    struct source *source;
    uint64_t offset; /* of element 0 */
    const struct model *model;
    const struct tensor *of; /* whose plain elements are gathered, by its own decoder; NULL: the source's bytes */
    size_t size;             /* bytes of an element */
    uint32_t rank;
    uint64_t dims[RANK_MAX], steps[RANK_MAX]; /* without what can be merged */
    uint8_t *out;
    struct error *err;
};

struct part {
    uint32_t rank;
    uint64_t first; /* in elements from the tensor's element 0 */
    uint64_t counts[RANK_MAX], steps[RANK_MAX];
    uint64_t out_steps[RANK_MAX];
    uint8_t *out;
};

static inline void copy_element(uint8_t *to, const uint8_t *from, size_t size)
{
    switch (size) {
    case 2:
        memcpy(to, from, 2);
        return;
    case 4:
        memcpy(to, from, 4);
        return;
    case 8:
        memcpy(to, from, 8);
        return;
    case 16:
        memcpy(to, from, 16);
        return;
    default:
        *to = *from;
    }
}

static inline void copy_apart(uint8_t *to, const uint8_t *from, uint64_t count, uint64_t step, size_t size)
{
    for (uint64_t i = 0; i < count; i++)
        copy_element(to + i * size, from + i * step * size, size);
}

/* The compiler makes a loop of its own for each size. */
static void copy_line(uint8_t *to, const uint8_t *from, uint64_t count, uint64_t step, size_t size)
{
    if (step == 1)
        memcpy(to, from, count * size);
    else if (size == 4)
        copy_apart(to, from, count, step, 4);
    else if (size == 2)
        copy_apart(to, from, count, step, 2);
    else
        copy_apart(to, from, count, step, size);
}

static void copy_plane(const struct part *part, uint32_t d, uint8_t *to, const uint8_t *from, size_t size)
{
    if (part->steps[d] == 1 && part->steps[d + 1] > 1) {
        plane_transpose(to, part->out_steps[d], from, part->steps[d + 1], part->counts[d], part->counts[d + 1], size);
        return;
    }
    for (uint64_t r = 0; r < part->counts[d]; r++)
        copy_line(to + r * part->out_steps[d] * size, from + r * part->steps[d] * size, part->counts[d + 1],
                  part->steps[d + 1], size);
}

static void copy_part(const struct part *part, uint32_t d, uint8_t *to, const uint8_t *from, size_t size)
{
    if (d + 1 == part->rank) {
        copy_line(to, from, part->counts[d], part->steps[d], size);
    } else if (d + 2 == part->rank) {
        copy_plane(part, d, to, from, size);
    } else {
        for (uint64_t i = 0; i < part->counts[d]; i++)
            copy_part(part, d + 1, to + i * part->out_steps[d] * size, from + i * part->steps[d] * size, size);
    }
}

static int look_and_copy(const struct gathering *g, const struct part *part, size_t bytes)
{
    const uint64_t offset = g->offset + part->first * g->size;
    struct span span;
    uint8_t *buffer;
    int rc;

    if (g->source->ops->map && bytes > READ_BYTES) {
        rc = g->source->ops->map(g->source, offset, bytes, &span, g->err);
        if (rc)
            return rc;
        copy_part(part, 0, part->out, span.data, g->size);
        g->source->ops->unmap(g->source, &span);
        return 0;
    }
    buffer = malloc(bytes);
    if (!buffer)
        return error_set(g->err, ERROR_NO_MEMORY, "no memory for a view of %zu bytes", bytes);
    rc = source_read_at(g->source, offset, buffer, bytes, g->err);
    if (rc == 0)
        copy_part(part, 0, part->out, buffer, g->size);
    free(buffer);
    return rc;
}

/* The dimension whose elements lie side by side, where there is one: it is read in runs. */
static uint32_t run_dimension(const struct part *part)
{
    uint32_t best = part->rank - 1;

    for (uint32_t d = 0; d < part->rank; d++)
        if (part->steps[d] == 1 && (part->steps[best] != 1 || part->counts[d] > part->counts[best]))
            best = d;
    return best;
}

/* What another decoder yields, run by run into a buffer, and from there to its place. */
static int read_and_copy(const struct gathering *g, const struct part *part)
{
    const uint32_t along = run_dimension(part);
    const uint64_t run = part->steps[along] == 1 ? part->counts[along] : 1;
    uint64_t index[RANK_MAX] = {0}, elements = run, at = 0;
    struct part packed = *part;
    uint8_t *buffer;
    int rc = 0;

    packed.steps[along] = 1;
    for (uint32_t d = part->rank; d-- > 0;) {
        if (d == along && run > 1)
            continue;
        packed.steps[d] = elements;
        elements *= part->counts[d];
    }
    buffer = calloc(elements, g->size);
    if (!buffer)
        return error_set(g->err, ERROR_NO_MEMORY, "no memory for a view of %" PRIu64 " elements", elements);
    for (bool is_done = false; rc == 0 && !is_done; at += run) {
        uint64_t from = part->first;
        uint32_t d = part->rank;

        for (uint32_t i = 0; i < part->rank; i++)
            from += index[i] * part->steps[i];
        rc = decoder_read(g->model, g->of, from, run, buffer + at * g->size, g->err);
        is_done = true;
        while (is_done && d-- > 0) {
            index[d] += d == along ? run : 1;
            is_done = index[d] >= part->counts[d];
            if (is_done)
                index[d] = 0;
        }
    }
    if (rc == 0)
        copy_part(&packed, 0, part->out, buffer, g->size);
    free(buffer);
    return rc;
}

static int gather_part(const struct gathering *g, const struct part *part)
{
    uint64_t reach = 1, elements = 1, widest = 0;
    struct part half = *part;
    uint32_t at = 0;
    int rc;

    for (uint32_t d = 0; d < part->rank; d++) {
        uint64_t extent = (part->counts[d] - 1) * part->steps[d];

        reach += extent;
        elements *= part->counts[d];
        if (extent > widest) {
            widest = extent;
            at = d;
        }
    }
    if ((g->of ? elements : reach) <= SPAN_BYTES / g->size || widest == 0)
        return g->of ? read_and_copy(g, part) : look_and_copy(g, part, (size_t)(reach * g->size));
    half.counts[at] = part->counts[at] / 2;
    rc = gather_part(g, &half);
    if (rc)
        return rc;
    half.first += half.counts[at] * part->steps[at];
    half.out += half.counts[at] * part->out_steps[at] * g->size;
    half.counts[at] = part->counts[at] - half.counts[at];
    return gather_part(g, &half);
}

/* The part of dimension d's indices [from, from + count), and all of the dimensions below. */
static int gather_box(const struct gathering *g, uint32_t d, uint64_t base, uint64_t from, uint64_t count, uint8_t *out)
{
    struct part part = {.rank = g->rank - d, .first = base + from * g->steps[d], .out = out};
    uint64_t step = 1;

    for (uint32_t i = part.rank; i-- > 0;) {
        part.counts[i] = i ? g->dims[d + i] : count;
        part.steps[i] = g->steps[d + i];
        part.out_steps[i] = step;
        step *= part.counts[i];
    }
    return gather_part(g, &part);
}

/* Elements [first, first + elements) of what lies at base in dimensions d and below. */
static int gather_range(const struct gathering *g, uint32_t d, uint64_t base, uint64_t first, uint64_t elements,
                        uint8_t *out)
{
    uint64_t inner = 1, skipped, whole;
    int rc = 0;

    for (uint32_t i = d + 1; i < g->rank; i++)
        inner *= g->dims[i];
    skipped = first % inner;
    if (skipped) {
        uint64_t n = elements < inner - skipped ? elements : inner - skipped;

        rc = gather_range(g, d + 1, base + first / inner * g->steps[d], skipped, n, out);
        first += n;
        elements -= n;
        out += n * g->size;
    }
    whole = elements / inner;
    if (rc == 0 && whole)
        rc = gather_box(g, d, base, first / inner, whole, out);
    if (rc == 0 && elements % inner)
        rc = gather_range(g, d + 1, base + (first / inner + whole) * g->steps[d], 0, elements % inner,
                          out + whole * inner * g->size);
    return rc;
}

/* Dimensions of one element say nothing, and neighbours that lie like one are one. */
static void merge_dimensions(uint32_t rank, const uint64_t *dims, const uint64_t *steps, struct gathering *g)
{
    g->rank = 0;
    for (uint32_t d = 0; d < rank; d++) {
        const uint64_t dim = dims[d];

        if (dim == 1)
            continue;
        if (g->rank && g->steps[g->rank - 1] == dim * steps[d]) {
            g->dims[g->rank - 1] *= dim;
            g->steps[g->rank - 1] = steps[d];
        } else {
            g->dims[g->rank] = dim;
            g->steps[g->rank++] = steps[d];
        }
    }
    if (g->rank == 0) {
        g->dims[0] = g->steps[0] = 1;
        g->rank = 1;
    }
}

static int read_strided(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                        void *out, struct error *err)
{
    const struct strides *strides = tensor->storage->parameters;
    struct gathering g = {.source = model->files[tensor->extent.source].source,
                          .offset = tensor->extent.offset,
                          .size = dtype_traits(tensor->dtype)->bits / 8,
                          .out = out,
                          .err = err};
    int rc;

    if (elements == 0)
        return 0;
    merge_dimensions(tensor->shape.rank, tensor->shape.dims, strides->steps, &g);
    rc = gather_range(&g, 0, 0, first, elements, out);
    if (rc == 0 && strides->is_swapped)
        decoder_swapped(tensor->dtype)->decode(NULL, out, elements, out);
    return rc;
}

int strided_read(const struct model *model, const struct tensor *of, uint32_t rank, const uint64_t *dims,
                 const uint64_t *steps, uint64_t base, uint64_t first, uint64_t elements, void *out, struct error *err)
{
    struct gathering g = {.source = model->files[of->extent.source].source,
                          .size = dtype_traits(of->dtype)->bits / 8,
                          .model = model,
                          .of = of->storage ? of : NULL,
                          .out = out,
                          .err = err};

    if (elements == 0)
        return 0;
    if (!of->storage)
        g.offset = of->extent.offset;
    merge_dimensions(rank, dims, steps, &g);
    return gather_range(&g, 0, base, first, elements, out);
}

uint64_t decoder_reach(const struct tensor *tensor)
{
    const struct strides *strides = tensor->storage ? tensor->storage->parameters : NULL;
    uint64_t last = 0;

    if (tensor->storage && tensor->storage->decoder == &decoder_tiles)
        return ((const struct tiles *)tensor->storage->parameters)->reach;
    if (!tensor->storage || tensor->storage->decoder != &decoder_strided || tensor->shape.elements == 0)
        return tensor->extent.bytes;
    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        last += (tensor->shape.dims[d] - 1) * strides->steps[d];
    return (last + 1) * (dtype_traits(tensor->dtype)->bits / 8);
}

bool strided_is_scattered(uint32_t rank, const uint64_t *dims, const uint64_t *steps)
{
    while (rank > 0 && dims[rank - 1] == 1)
        rank--;
    for (uint32_t d = 0; d + 1 < rank; d++)
        if (dims[d] > 1 && steps[d] < steps[rank - 1])
            return true;
    return false;
}

static bool is_scattered(const struct tensor *tensor)
{
    const struct strides *strides = tensor->storage->parameters;

    return strided_is_scattered(tensor->shape.rank, tensor->shape.dims, strides->steps);
}

const struct decoder decoder_strided = {.name = "strided", .is_scattered = is_scattered, .read = read_strided};
