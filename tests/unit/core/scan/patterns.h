/* Tensors made from numbers, the same as tests/fixtures/golden/make_survey_golden.py makes. */
#ifndef TESTS_UNIT_CORE_SCAN_PATTERNS_H
#define TESTS_UNIT_CORE_SCAN_PATTERNS_H

#include "tests/unit/core/scan/scan_models.h"

enum pattern_mode { PATTERN_RAW, PATTERN_WEIGHT, PATTERN_GAPS, PATTERN_NONFINITES };

static inline uint64_t pattern_word(uint64_t i, uint64_t seed)
{
    uint64_t z = (i + 1) * UINT64_C(0x9E3779B97F4A7C15) + seed;

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Sign and mantissa at random, the exponent among a few. */
static inline uint64_t pattern_weight(enum dtype dtype, uint64_t word, bool is_nonfinite)
{
    switch (dtype) {
    case DTYPE_BF16:
        return is_nonfinite ? 0x7f80 | (word & 1) : (word & 0x81ff) | 0x3c00;
    case DTYPE_F16:
        return is_nonfinite ? 0x7c00 | (word & 1) : (word & 0x8fff) | 0x2000;
    case DTYPE_F32:
        return is_nonfinite ? 0x7f800000 | (word & 1) : (word & 0x81ffffff) | 0x3c000000;
    default:
        return is_nonfinite ? UINT64_C(0x7ff0000000000000) | (word & 1)
                            : (word & UINT64_C(0x801fffffffffffff)) | UINT64_C(0x3f80000000000000);
    }
}

static inline size_t pattern_bytes(enum dtype dtype, uint64_t elements)
{
    return (size_t)((elements * dtype_traits(dtype)->bits + 7) / 8);
}

static inline uint64_t pattern_elements(const uint64_t *dims, uint32_t rank)
{
    uint64_t elements = 1;

    for (uint32_t d = 0; d < rank; d++)
        elements *= dims[d];
    return elements;
}

static inline void pattern_fill(uint8_t *to, enum dtype dtype, const uint64_t *dims, uint32_t rank, uint64_t seed,
                                enum pattern_mode mode)
{
    const unsigned bits = dtype_traits(dtype)->bits, bytes = bits < 8 ? 1 : bits / 8;
    const uint64_t elements = pattern_elements(dims, rank);
    const uint64_t words = bits < 8 ? (elements * bits + 7) / 8 : elements;
    const uint64_t row = elements && rank ? elements / dims[0] : 1, columns = rank ? dims[rank - 1] : 1;

    for (uint64_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(i, seed);

        if (mode != PATTERN_RAW)
            word = pattern_weight(dtype, word, mode == PATTERN_NONFINITES && i % 1013 == 5);
        if (mode == PATTERN_GAPS && (i / row % 7 == 3 || i % columns % 5 == 1))
            word = 0;
        memcpy(to + i * bytes, &word, bytes);
    }
}

/* Takes b where a word of that seed is a multiple of `every`, and leaves a elsewhere. */
static inline void pattern_mix(uint8_t *a, const uint8_t *b, enum dtype dtype, uint64_t elements, uint64_t seed,
                               uint64_t every)
{
    const unsigned bytes = dtype_traits(dtype)->bits / 8;

    for (uint64_t i = 0; i < elements; i++)
        if (pattern_word(i, seed) % every == 0)
            memcpy(a + i * bytes, b + i * bytes, bytes);
}

#endif
