/* All books are in memory for as long as a range is read, as F32; codes and scales come in pieces. */
#include "core/decode/sums.h"

#include <stdlib.h>
#include <string.h>

#include "core/scan/decode_wide.h"

enum { PIECE = 4096 }; /* vectors */

static int read_floats(const struct model *model, const struct tensor *part, uint64_t first, uint64_t count, float *out,
                       struct error *err)
{
    void *stored = reallocarray(NULL, (size_t)count, dtype_traits(part->dtype)->bits / 8);
    int rc = stored ? decoder_read(model, part, first, (size_t)count, stored, err)
                    : error_set(err, ERROR_NO_MEMORY, "no memory to unpack a tensor");

    if (rc == 0)
        decode_f32(part->dtype, stored, 0, (size_t)count, out);
    free(stored);
    return rc;
}

static uint32_t code_at(const struct sums *sums, const uint8_t *codes, size_t i)
{
    uint16_t wide;

    if (sums->codes == DTYPE_I8)
        return codes[i] & (sums->entries - 1);
    memcpy(&wide, codes + i * sizeof(wide), sizeof(wide));
    return wide & (sums->entries - 1);
}

static void sum_up(const struct sums *sums, const float *books, const uint8_t *codes, size_t vector, float *out)
{
    memset(out, 0, sums->width * sizeof(*out));
    for (uint32_t b = 0; b < sums->books; b++) {
        const size_t entry = (size_t)b * sums->entries + code_at(sums, codes, vector * sums->books + b);

        for (uint32_t i = 0; i < sums->width; i++)
            out[i] += books[entry * sums->width + i];
    }
}

struct reading {
    float *books, *sum;
    uint8_t *codes;
};

/* Of the vectors [from, to), which lie in one row and whose codes are at hand, the elements of [first, end). */
static void put_row(const struct sums *sums, const struct reading *r, uint64_t from, uint64_t to, uint64_t first,
                    uint64_t end, float scale, float **out)
{
    for (uint64_t v = from; v < to; v++) {
        const uint64_t at = v * sums->width;

        sum_up(sums, r->books, r->codes, (size_t)(v - from), r->sum);
        for (uint32_t i = 0; i < sums->width; i++)
            if (at + i >= first && at + i < end)
                *(*out)++ = r->sum[i] * scale;
    }
}

static int read_range(const struct model *model, const struct tensor *tensor, const struct reading *r, uint64_t first,
                      uint64_t end, float *out, struct error *err)
{
    const struct sums *sums = tensor->storage->parameters;
    const uint64_t row_vectors = sums->columns / sums->width, last = (end - 1) / sums->width + 1;
    int rc = 0;

    for (uint64_t from = first / sums->width, to; rc == 0 && from < last; from = to) {
        const uint64_t row = from / row_vectors, row_end = (row + 1) * row_vectors;
        float scale = 1;

        to = from + PIECE < last ? from + PIECE : last;
        if (to > row_end)
            to = row_end;
        rc = decoder_read(model, &tensor->storage->parts[0], from * sums->books, (size_t)((to - from) * sums->books),
                          r->codes, err);
        if (rc == 0)
            rc = read_floats(model, &tensor->storage->parts[2], row, 1, &scale, err);
        if (rc == 0)
            put_row(sums, r, from, to, first, end, scale, &out);
    }
    return rc;
}

static int read_sums(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                     struct error *err)
{
    const struct sums *sums = tensor->storage->parameters;
    const uint64_t numbers = (uint64_t)sums->books * sums->entries * sums->width;
    struct reading r = {.books = reallocarray(NULL, (size_t)numbers, sizeof(*r.books)),
                        .sum = reallocarray(NULL, sums->width, sizeof(*r.sum)),
                        .codes = reallocarray(NULL, (size_t)PIECE * sums->books, sizeof(uint16_t))};
    int rc = r.books && r.sum && r.codes ? read_floats(model, &tensor->storage->parts[1], 0, numbers, r.books, err)
                                         : error_set(err, ERROR_NO_MEMORY, "no memory to unpack a tensor");

    if (rc == 0 && elements)
        rc = read_range(model, tensor, &r, first, first + elements, out, err);
    free(r.books);
    free(r.sum);
    free(r.codes);
    return rc;
}

/* The books are read for each range, however short. */
static bool is_scattered(const struct tensor *tensor)
{
    (void)tensor;
    return true;
}

const struct decoder decoder_sums = {
    .name = "sums", .is_encoding = true, .read = read_sums, .is_scattered = is_scattered};
