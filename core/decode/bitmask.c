/* A row is read from its first bit on: how many are set before a column tells where its value lies. What the mask says
 * is held against the values that there are. */
#include "core/decode/bitmask.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/scan/decode_wide.h"

struct bits {
    const struct model *model;
    const struct tensor *mask, *values, *offsets, *scales; /* the last two may be NULL */
    const struct bitmask *of;
    uint8_t *row; /* of the mask */
    uint8_t *stored;
    float *present;
    struct error *err;
};

static uint64_t count_set(const uint8_t *mask, uint64_t from, uint64_t to)
{
    uint64_t set = 0;

    for (uint64_t c = from; c < to; c++)
        set += mask[c / 8] >> c % 8 & 1;
    return set;
}

static int find_start(const struct bits *b, uint64_t row, uint64_t *ret)
{
    if (b->of->is_half) {
        *ret = row * (b->of->columns / 2);
        return 0;
    }
    return decoder_read(b->model, b->offsets, row, 1, ret, b->err);
}

static int read_scale(const struct bits *b, uint64_t row, float *ret)
{
    uint8_t stored[4];
    int rc;

    *ret = 1;
    if (!b->scales)
        return 0;
    rc = decoder_read(b->model, b->scales, b->scales->shape.elements == 1 ? 0 : row, 1, stored, b->err);
    if (rc == 0)
        decode_f32(b->scales->dtype, stored, 0, 1, ret);
    return rc;
}

/* Columns [from, to) of one row. */
static int read_columns(const struct bits *b, uint64_t row, uint64_t from, uint64_t to, float *out)
{
    const uint64_t row_bytes = (b->of->columns - 1) / 8 + 1;
    uint64_t start = 0, before, count;
    float scale;
    int rc = decoder_read(b->model, b->mask, row * row_bytes, row_bytes, b->row, b->err);

    if (rc == 0)
        rc = find_start(b, row, &start);
    if (rc == 0)
        rc = read_scale(b, row, &scale);
    if (rc)
        return rc;
    if (b->of->is_half && count_set(b->row, 0, b->of->columns) != b->of->columns / 2)
        return error_set(b->err, ERROR_FORMAT, "the mask of row %" PRIu64 " has not half of its bits set", row);
    before = count_set(b->row, 0, from);
    count = count_set(b->row, from, to);
    if (start > b->values->shape.elements || before + count > b->values->shape.elements - start)
        return error_set(b->err, ERROR_FORMAT, "row %" PRIu64 " has values beyond the %" PRIu64 " that there are", row,
                         b->values->shape.elements);
    rc = count ? decoder_read(b->model, b->values, start + before, count, b->stored, b->err) : 0;
    if (rc == 0)
        decode_f32(b->values->dtype, b->stored, 0, (size_t)count, b->present);
    for (uint64_t c = from, at = 0; rc == 0 && c < to; c++)
        *out++ = b->row[c / 8] >> c % 8 & 1 ? b->present[at++] * scale : 0;
    return rc;
}

static int read_bitmask(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                        void *out, struct error *err)
{
    const struct bitmask *of = tensor->storage->parameters;
    const struct tensor *parts = tensor->storage->parts;
    struct bits b = {.model = model,
                     .mask = &parts[0],
                     .values = &parts[1],
                     .offsets = of->is_half ? NULL : &parts[2],
                     .scales = of->has_scales ? &parts[of->is_half ? 2 : 3] : NULL,
                     .of = of,
                     .row = malloc((size_t)((of->columns - 1) / 8 + 1)),
                     .stored = reallocarray(NULL, (size_t)of->columns, sizeof(float)),
                     .present = reallocarray(NULL, (size_t)of->columns, sizeof(float)),
                     .err = err};
    float *at = out;
    int rc = b.row && b.stored && b.present ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory to unpack a tensor");

    for (uint64_t e = first, end = first + elements, n; rc == 0 && e < end; e += n, at += n) {
        const uint64_t column = e % of->columns;

        n = of->columns - column < end - e ? of->columns - column : end - e;
        rc = read_columns(&b, e / of->columns, column, column + n, at);
    }
    free(b.row);
    free(b.stored);
    free(b.present);
    return rc;
}

const struct decoder decoder_bitmask = {.name = "bitmask", .is_encoding = true, .read = read_bitmask};
