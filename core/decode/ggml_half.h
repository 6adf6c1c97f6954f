/* What the decoders of ggml's blocks have in common. */
#ifndef CORE_DECODE_GGML_HALF_H
#define CORE_DECODE_GGML_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint16_t le16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t le32(const uint8_t *bytes)
{
    return (uint32_t)le16(bytes) | (uint32_t)le16(bytes + 2) << 16;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* F16: the fields moved, times 2^112, Inf's and NaN's exponent put back. */
static inline float half_value(uint16_t half)
{
    const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    const float value = float_of_bits(magnitude) * 0x1p112f;
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return float_of_bits(bits | (magnitude >= 0x0f800000u ? 0x7f800000u : 0) | (uint32_t)(half & 0x8000) << 16);
}

static inline float half_at(const uint8_t *bytes)
{
    return half_value(le16(bytes));
}

/* Words of a block that a machine of the other byte order writes the other way round. */
struct words {
    uint16_t bytes, at, count; /* of a word, of the first in the block, how many */
};

static inline void turn_words(uint8_t *block, const struct words *words)
{
    for (uint8_t *word = block + words->at; word < block + words->at + words->bytes * words->count;
         word += words->bytes)
        for (unsigned i = 0; i < words->bytes / 2u; i++) {
            const uint8_t byte = word[i];

            word[i] = word[words->bytes - 1u - i];
            word[words->bytes - 1u - i] = byte;
        }
}

/* Defines `const struct decoder ggml_NAME`, whose function decodes one block after the other by block_NAME(block, y).
 */
#define GGML_DECODER(id, elements, bytes)                                                                              \
    static void decode_##id(const struct storage *storage, const uint8_t *stored, size_t granules, void *out)          \
    {                                                                                                                  \
        float *y = out;                                                                                                \
                                                                                                                       \
        (void)storage;                                                                                                 \
        for (size_t i = 0; i < granules; i++)                                                                          \
            block_##id(stored + i * (bytes), y + i * (elements));                                                      \
    }                                                                                                                  \
    const struct decoder ggml_##id = {                                                                                 \
        .name = #id, .is_encoding = true, .granule = (elements), .granule_bytes = (bytes), .decode = decode_##id}

/* And `ggml_NAME_swapped`, for files of the other byte order, whose words are listed behind. */
#define GGML_DECODERS(id, elements, bytes, ...)                                                                        \
    static void block_##id##_swapped(const uint8_t *b, float *y)                                                       \
    {                                                                                                                  \
        static const struct words words[] = {__VA_ARGS__};                                                             \
        uint8_t turned[bytes];                                                                                         \
                                                                                                                       \
        memcpy(turned, b, (bytes));                                                                                    \
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)                                                  \
            turn_words(turned, &words[i]);                                                                             \
        block_##id(turned, y);                                                                                         \
    }                                                                                                                  \
    GGML_DECODER(id, elements, bytes);                                                                                 \
    GGML_DECODER(id##_swapped, elements, bytes)

#endif
