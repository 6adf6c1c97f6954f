/* torch's complex32: two halves a number, as C64. */
#include "core/decode/decoder.h"
#include "core/decode/ggml_half.h"

static void decode_complex32(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    (void)storage;
    for (size_t i = 0; i < 2 * elements; i++) {
        const float value = half_at(stored + 2 * i);

        memcpy((uint8_t *)out + 4 * i, &value, sizeof(value));
    }
}

const struct decoder decoder_complex32 = {
    .name = "complex32", .is_encoding = true, .granule = 1, .granule_bytes = 4, .decode = decode_complex32};
