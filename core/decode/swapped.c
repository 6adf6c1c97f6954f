/* Elements of the other byte order. */
#include <string.h>

#include "core/decode/decoder.h"

static void swap_1(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    (void)storage;
    memcpy(out, stored, elements);
}

static void swap_2(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    uint16_t word;

    (void)storage;
    for (size_t i = 0; i < elements; i++) {
        memcpy(&word, stored + 2 * i, sizeof(word));
        word = __builtin_bswap16(word);
        memcpy((uint8_t *)out + 2 * i, &word, sizeof(word));
    }
}

static void swap_4(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    uint32_t word;

    (void)storage;
    for (size_t i = 0; i < elements; i++) {
        memcpy(&word, stored + 4 * i, sizeof(word));
        word = __builtin_bswap32(word);
        memcpy((uint8_t *)out + 4 * i, &word, sizeof(word));
    }
}

static void swap_8(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    uint64_t word;

    (void)storage;
    for (size_t i = 0; i < elements; i++) {
        memcpy(&word, stored + 8 * i, sizeof(word));
        word = __builtin_bswap64(word);
        memcpy((uint8_t *)out + 8 * i, &word, sizeof(word));
    }
}

static void swap_c64(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    swap_4(storage, stored, 2 * elements, out);
}

static void swap_c128(const struct storage *storage, const uint8_t *stored, size_t elements, void *out)
{
    swap_8(storage, stored, 2 * elements, out);
}

const struct decoder *decoder_swapped(enum dtype dtype)
{
    static const struct decoder one = {.name = "swapped", .granule = 1, .granule_bytes = 1, .decode = swap_1};
    static const struct decoder two = {.name = "swapped", .granule = 1, .granule_bytes = 2, .decode = swap_2};
    static const struct decoder four = {.name = "swapped", .granule = 1, .granule_bytes = 4, .decode = swap_4};
    static const struct decoder eight = {.name = "swapped", .granule = 1, .granule_bytes = 8, .decode = swap_8};
    static const struct decoder wide = {.name = "swapped", .granule = 1, .granule_bytes = 16, .decode = swap_c128};
    static const struct decoder complex = {.name = "swapped", .granule = 1, .granule_bytes = 8, .decode = swap_c64};

    if (dtype == DTYPE_C64)
        return &complex;
    if (dtype == DTYPE_C128)
        return &wide;
    switch (dtype_traits(dtype)->bits) {
    case 16:
        return &two;
    case 32:
        return &four;
    case 64:
        return &eight;
    default:
        return &one;
    }
}
