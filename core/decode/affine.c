#include "core/decode/affine.h"

#include <stdlib.h>
#include <string.h>

#include "core/scan/decode.h"

enum { PIECE = 4096 };

int affine_read_values(const struct model *model, const struct tensor *tensor, size_t count, double *out,
                       struct error *err)
{
    uint8_t *stored;
    int rc;

    /* Neither has one number for each element. */
    if (!tensor_is_decodable(tensor) || dtype_traits(tensor->dtype)->kind == DTYPE_KIND_COMPLEX)
        return error_set(err, ERROR_FORMAT, "scales or zero points are of a type that has no numbers");
    stored = calloc(count + 1, 8);
    rc = stored ? decoder_read(model, tensor, 0, count, stored, err)
                : error_set(err, ERROR_NO_MEMORY, "out of memory for scales");

    if (rc == 0)
        decode_f64(tensor->dtype, stored, 0, count, out);
    free(stored);
    return rc;
}

/* Codes of less than a byte, at most PIECE of them. */
static int read_narrow(const struct model *model, const struct tensor *tensor, uint64_t first, size_t count,
                       double *out, struct error *err)
{
    const struct affine *affine = tensor->storage->parameters;
    const unsigned bits = affine->bits, each = 8 / bits, mask = (1u << bits) - 1;
    const unsigned sign = affine->codes == DTYPE_I8 ? 1u << (bits - 1) : 0; /* of two's complement */
    const uint64_t from = first / each, to = (first + count + each - 1) / each;
    uint8_t stored[PIECE];
    int rc = source_read_at(model->files[tensor->extent.source].source, tensor->extent.offset + from, stored,
                            (size_t)(to - from), err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const uint64_t code = first + i;

        out[i] = (double)(int)((((unsigned)stored[code / each - from] >> (code % each * bits) & mask) ^ sign) - sign);
    }
    return rc;
}

static int read_affine(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                       void *out, struct error *err)
{
    const struct affine *affine = tensor->storage->parameters;
    const struct strides strides = {.steps = affine->steps, .is_swapped = affine->is_swapped};
    const struct storage moved = {.decoder = &decoder_strided, .parameters = &strides};
    struct tensor codes = *tensor;
    uint8_t stored[PIECE * 4];
    double values[PIECE];
    uint64_t inner = 1;

    codes.dtype = affine->codes;
    codes.storage = affine->is_contiguous && !affine->is_swapped ? NULL : &moved;
    for (uint32_t d = affine->axis + 1; affine->channels > 1 && d < tensor->shape.rank; d++)
        inner *= tensor->shape.dims[d];
    for (size_t done = 0; done < elements;) {
        const size_t n = elements - done < PIECE ? elements - done : PIECE;
        int rc = affine->bits ? read_narrow(model, tensor, first + done, n, values, err)
                              : decoder_read(model, &codes, first + done, n, stored, err);

        if (rc)
            return rc;
        if (!affine->bits)
            decode_f64(codes.dtype, stored, 0, n, values);
        for (size_t i = 0; i < n; i++) {
            const uint64_t channel = affine->channels > 1 ? (first + done + i) / inner % affine->channels : 0;
            const float code = (float)values[i], scale = (float)affine->scales[channel];
            const float zero = (float)affine->zeros[channel];
            const float value = (code - zero) * scale;

            memcpy((uint8_t *)out + (done + i) * sizeof(value), &value, sizeof(value));
        }
        done += n;
    }
    return 0;
}

const struct decoder decoder_affine = {.name = "affine", .is_encoding = true, .read = read_affine};
