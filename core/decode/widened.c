#include "core/decode/widened.h"

#include <string.h>

#include "core/scan/decode.h"

enum { PIECE = 2048 };

static bool is_integer(enum dtype dtype)
{
    const enum dtype_kind kind = dtype_traits(dtype)->kind;

    return kind == DTYPE_KIND_INT || kind == DTYPE_KIND_UINT || kind == DTYPE_KIND_BOOL;
}

bool widened_is_exact(enum dtype stored, enum dtype dtype)
{
    const struct dtype_traits *from = dtype_traits(stored), *to = dtype_traits(dtype);

    if (is_integer(stored) && from->bits <= 32)
        return dtype == DTYPE_F64 || (dtype == DTYPE_F32 && from->bits <= 16) ||
               (is_integer(dtype) && from->min >= to->min && from->max <= to->max);
    return stored == DTYPE_F32 && dtype == DTYPE_F64;
}

static void put(enum dtype dtype, const double *values, size_t count, uint8_t *out)
{
    const size_t size = dtype_traits(dtype)->bits / 8;

    for (size_t i = 0; i < count; i++) {
        const float single = (float)values[i];
        const int64_t whole = is_integer(dtype) ? (int64_t)values[i] : 0;

        if (dtype == DTYPE_F64)
            memcpy(out + i * size, &values[i], size);
        else if (dtype == DTYPE_F32)
            memcpy(out + i * size, &single, size);
        else
            memcpy(out + i * size, &whole, size); /* little-endian: the low bytes */
    }
}

static int read_widened(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                        void *out, struct error *err)
{
    const struct widened *widened = tensor->storage->parameters;
    const struct strides strides = {.steps = widened->steps, .is_swapped = widened->is_swapped};
    const struct storage moved = {.decoder = &decoder_strided, .parameters = &strides};
    struct tensor narrow = *tensor;
    uint8_t stored[PIECE * 4];
    double values[PIECE];

    narrow.dtype = widened->stored;
    narrow.storage = &moved;
    for (size_t done = 0; done < elements;) {
        const size_t n = elements - done < PIECE ? elements - done : PIECE;
        int rc = decoder_read(model, &narrow, first + done, n, stored, err);

        if (rc)
            return rc;
        decode_f64(narrow.dtype, stored, 0, n, values);
        put(tensor->dtype, values, n, (uint8_t *)out + done * (dtype_traits(tensor->dtype)->bits / 8));
        done += n;
    }
    return 0;
}

const struct decoder decoder_widened = {.name = "widened", .is_encoding = true, .read = read_widened};
