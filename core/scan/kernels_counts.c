/* Counts over a block: exact, so in any lanes. Compiled once an instruction set, like kernels.c. */
#include <math.h>
#include <string.h>

#include "core/scan/vectors.h"

/* Whether values are exactly F16 ones (of what is not finite: anything). Without instructions for it: a normal one that
 * needs 11 bits at most, or a multiple of 2^-24 below 2^-14, which adding and taking away 1/2 (whose last bit is worth
 * 2^-24) leaves as it is. */
INLINE i32v is_not_f16(f32v value)
{
#if defined(__AVX512F__)
    return (i32v)((f32v)_mm512_cvtph_ps(_mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT)) != value);
#elif defined(__F16C__) && defined(__AVX2__)
    return (i32v)((f32v)_mm256_cvtph_ps(_mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT)) != value);
#else
    i32v magnitude = (i32v)value & INT32_MAX;
    f32v positive = (f32v)magnitude;
    i32v is_small = (i32v)(magnitude < 0x38800000);
    i32v is_multiple = (i32v)((positive + 0.5f) - 0.5f == positive);
    i32v is_short = (i32v)((magnitude & 0x1fff) == 0) & (i32v)(magnitude < 0x47800000);

    return ~((is_small & is_multiple) | (~is_small & is_short));
#endif
}

INLINE void profile_f32v(enum block_format format, f32v value, i32v min_normal, i32v *subnormals, i32v *not_bf16,
                         i32v *not_f16)
{
    i32v magnitude = (i32v)value & INT32_MAX, is_finite = (i32v)(magnitude < 0x7f800000);

    *subnormals -= (i32v)(magnitude < min_normal) & (i32v)(magnitude > 0);
    if (format != BLOCK_BF16)
        *not_bf16 -= (i32v)((magnitude & 0xffff) != 0) & is_finite;
    if (format != BLOCK_F16)
        *not_f16 -= is_not_f16(value) & is_finite;
}

INLINE void profile_narrow(enum block_format format, const uint8_t *x, size_t elements, double min_normal,
                           struct block_profile *ret)
{
    const size_t bytes = element_bytes(format);
    const float least = (float)min_normal;
    i32v subnormals = {0}, not_bf16 = {0}, not_f16 = {0}, least_bits = {0};
    int32_t bits;
    size_t i;

    memcpy(&bits, &least, sizeof(bits));
    least_bits += bits;
    for (i = 0; i + F32_WIDTH <= elements; i += F32_WIDTH)
        profile_f32v(format, load_f32v(format, x + i * bytes), least_bits, &subnormals, &not_bf16, &not_f16);
    if (i < elements) { /* the rest, beside zeros, which count nowhere */
        float rest[F32_WIDTH] = {0};
        f32v last;

        for (size_t j = i; j < elements; j++)
            rest[j - i] = (float)load_one(format, x + j * bytes);
        memcpy(&last, rest, sizeof(last));
        profile_f32v(format, last, least_bits, &subnormals, &not_bf16, &not_f16);
    }
    ret->subnormals = i32_lanes_add(subnormals);
    ret->not_bf16 = i32_lanes_add(not_bf16);
    ret->not_f16 = i32_lanes_add(not_f16);
}

INLINE void profile_wide(const uint8_t *x, size_t elements, double min_normal, struct block_profile *ret)
{
    struct block_profile counts = {0};

    for (size_t i = 0; i < elements; i++) {
        const double value = load_one(BLOCK_F64, x + i * sizeof(value)), magnitude = fabs(value);
        const float narrow = (float)magnitude;
        const double rest = (magnitude + 0x1p28) - 0x1p28; /* rounded to a multiple of 2^-24 */
        const int is_finite = magnitude < (double)INFINITY, is_f32 = (double)narrow == magnitude;
        uint64_t bits;
        uint32_t narrow_bits;

        memcpy(&bits, &magnitude, sizeof(bits));
        memcpy(&narrow_bits, &narrow, sizeof(narrow_bits));
        counts.subnormals += magnitude < min_normal && magnitude > 0;
        counts.not_bf16 += is_finite && !(is_f32 && (narrow_bits & 0xffff) == 0);
        counts.not_f16 +=
            is_finite &&
            !(magnitude < 0x1p-14 ? rest == magnitude : magnitude < 0x1p16 && (bits & ((UINT64_C(1) << 42) - 1)) == 0);
    }
    *ret = counts;
}

INLINE void flips_narrow(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements,
                         struct block_flips *ret)
{
    const size_t bytes = element_bytes(format);
    i32v zeroed = {0}, revived = {0};
    size_t i;

    for (i = 0; i + F32_WIDTH <= elements; i += F32_WIDTH) {
        i32v is_zero_a = (i32v)(load_f32v(format, a + i * bytes) == 0.0f);
        i32v is_zero_b = (i32v)(load_f32v(format, b + i * bytes) == 0.0f);

        zeroed -= is_zero_b & ~is_zero_a;
        revived -= is_zero_a & ~is_zero_b;
    }
    ret->zeroed = i32_lanes_add(zeroed);
    ret->revived = i32_lanes_add(revived);
    for (; i < elements; i++) {
        int is_zero_a = load_one(format, a + i * bytes) == 0, is_zero_b = load_one(format, b + i * bytes) == 0;

        ret->zeroed += is_zero_b && !is_zero_a;
        ret->revived += is_zero_a && !is_zero_b;
    }
}

INLINE void flips_wide(const uint8_t *a, const uint8_t *b, size_t elements, struct block_flips *ret)
{
    struct block_flips counts = {0};

    for (size_t i = 0; i < elements; i++) {
        int is_zero_a = load_one(BLOCK_F64, a + i * 8) == 0, is_zero_b = load_one(BLOCK_F64, b + i * 8) == 0;

        counts.zeroed += is_zero_b && !is_zero_a;
        counts.revived += is_zero_a && !is_zero_b;
    }
    *ret = counts;
}

#define NARROW(name, format)                                                                                           \
    static void profile_##name(const void *x, size_t elements, double min_normal, struct block_profile *ret)           \
    {                                                                                                                  \
        profile_narrow(format, x, elements, min_normal, ret);                                                          \
    }                                                                                                                  \
    static void flips_##name(const void *a, const void *b, size_t elements, struct block_flips *ret)                   \
    {                                                                                                                  \
        flips_narrow(format, a, b, elements, ret);                                                                     \
    }

NARROW(bf16, BLOCK_BF16)
NARROW(f16, BLOCK_F16)
NARROW(f32, BLOCK_F32)

static void profile_f64(const void *x, size_t elements, double min_normal, struct block_profile *ret)
{
    profile_wide(x, elements, min_normal, ret);
}

static void flips_f64(const void *a, const void *b, size_t elements, struct block_flips *ret)
{
    flips_wide(a, b, elements, ret);
}

static uint64_t carries(const void *words, size_t count, uint64_t mask, uint64_t addend)
{
    const uint8_t *from = words;
    uint64_t found = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t word;

        memcpy(&word, from + i * sizeof(word), sizeof(word));
        found |= (word & mask) + addend;
    }
    return found;
}

const struct count_kernels ISA_NAME(count_kernels) = {
    .profile =
        {[BLOCK_BF16] = profile_bf16, [BLOCK_F16] = profile_f16, [BLOCK_F32] = profile_f32, [BLOCK_F64] = profile_f64},
    .flips = {[BLOCK_BF16] = flips_bf16, [BLOCK_F16] = flips_f16, [BLOCK_F32] = flips_f32, [BLOCK_F64] = flips_f64},
    .carries = carries,
};
