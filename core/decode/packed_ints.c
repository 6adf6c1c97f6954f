/* Integers of four and two bits, the first in a byte's lowest bits, as ONNX and TensorFlow Lite pack them. */
#include "core/decode/decoder.h"

static inline void unpack(const uint8_t *stored, size_t bytes, unsigned bits, bool is_signed, uint8_t *out)
{
    const unsigned each = 8 / bits, mask = (1u << bits) - 1, sign = is_signed ? 1u << (bits - 1) : 0;

    for (size_t i = 0; i < bytes; i++)
        for (unsigned j = 0; j < each; j++)
            out[i * each + j] = (uint8_t)(((stored[i] >> (j * bits) & mask) ^ sign) - sign);
}

#define DEFINE_UNPACK(name, bits, is_signed)                                                                           \
    static void name(const struct storage *storage, const uint8_t *stored, size_t granules, void *out)                 \
    {                                                                                                                  \
        (void)storage;                                                                                                 \
        unpack(stored, granules, bits, is_signed, out);                                                                \
    }

DEFINE_UNPACK(unpack_int4, 4, true)
DEFINE_UNPACK(unpack_uint4, 4, false)
DEFINE_UNPACK(unpack_int2, 2, true)
DEFINE_UNPACK(unpack_uint2, 2, false)

const struct decoder *decoder_packed_ints(unsigned bits, bool is_signed)
{
#define PACKED(each, function)                                                                                         \
    {                                                                                                                  \
        .name = "packed", .is_encoding = true, .granule = (each), .granule_bytes = 1, .decode = (function)             \
    }
    static const struct decoder decoders[2][2] = {{PACKED(4, unpack_uint2), PACKED(4, unpack_int2)},
                                                  {PACKED(2, unpack_uint4), PACKED(2, unpack_int4)}};

    return &decoders[bits == 4][is_signed];
}
