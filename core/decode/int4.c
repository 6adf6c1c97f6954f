/* Integers of four bits, each in the low half of a byte of its own, as ml_dtypes keeps int4. */
#include "core/decode/decoder.h"

static void decode_int4(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    int8_t *to = out;

    (void)storage;
    for (size_t i = 0; i < elements; i++)
        to[i] = (int8_t)(((stored[i] & 15) ^ 8) - 8);
}

const struct decoder decoder_int4 = {
    .name = "int4", .is_encoding = true, .granule = 1, .granule_bytes = 1, .decode = decode_int4};
