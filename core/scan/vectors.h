/* Vectors as wide as the processor's, PARTS of which make the eight logical lanes, and how stored elements become
 * lanes. Included by the files that are compiled once an instruction set; KERNEL_ISA names it. */
#ifndef CORE_SCAN_VECTORS_H
#define CORE_SCAN_VECTORS_H

#include <string.h>

#include "core/scan/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE       static inline __attribute__((always_inline))
#define PASTE_(a, b) a##_##b
#define PASTE(a, b)  PASTE_(a, b)
#define ISA_NAME(a)  PASTE(a, KERNEL_ISA)

enum {
    LANES = 8,
#if defined(__AVX512F__)
    F64_WIDTH = 8,
    F32_WIDTH = 16,
#elif defined(__AVX2__)
    F64_WIDTH = 4,
    F32_WIDTH = 8,
#else
    F64_WIDTH = 2,
    F32_WIDTH = 4,
#endif
    STEP = F32_WIDTH > LANES ? F32_WIDTH : LANES, /* elements a turn: the lanes filled once or twice */
    F64_PARTS = LANES / F64_WIDTH,
    F32_PARTS = STEP / F32_WIDTH,
    F64_PER_F32 = F32_WIDTH / F64_WIDTH,
    I16_WIDTH = 2 * F32_WIDTH,
};

typedef double f64v __attribute__((vector_size(F64_WIDTH * 8)));
typedef int64_t i64v __attribute__((vector_size(F64_WIDTH * 8)));
typedef float f32v __attribute__((vector_size(F32_WIDTH * 4)));
typedef int32_t i32v __attribute__((vector_size(F32_WIDTH * 4)));
typedef int16_t i16v __attribute__((vector_size(I16_WIDTH * 2)));
typedef uint16_t u16v __attribute__((vector_size(F32_WIDTH * 2)));

/* C has no ?: on vectors. Both give the second operand when the two are equal or not ordered. */
INLINE f64v f64v_max(f64v a, f64v b)
{
#if defined(__AVX512F__)
    return (f64v)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    return (f64v)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__x86_64__)
    return (f64v)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    i64v is_a = (i64v)(a > b);
    return (f64v)(((i64v)a & is_a) | ((i64v)b & ~is_a));
#endif
}

INLINE f64v f64v_min(f64v a, f64v b)
{
#if defined(__AVX512F__)
    return (f64v)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    return (f64v)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__x86_64__)
    return (f64v)_mm_min_pd((__m128d)a, (__m128d)b);
#else
    i64v is_a = (i64v)(a < b);
    return (f64v)(((i64v)a & is_a) | ((i64v)b & ~is_a));
#endif
}

INLINE f32v f32v_max(f32v a, f32v b)
{
#if defined(__AVX512F__)
    return (f32v)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (f32v)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (f32v)_mm_max_ps((__m128)a, (__m128)b);
#else
    i32v is_a = (i32v)(a > b);
    return (f32v)(((i32v)a & is_a) | ((i32v)b & ~is_a));
#endif
}

INLINE f32v f32v_min(f32v a, f32v b)
{
#if defined(__AVX512F__)
    return (f32v)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (f32v)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (f32v)_mm_min_ps((__m128)a, (__m128)b);
#else
    i32v is_a = (i32v)(a < b);
    return (f32v)(((i32v)a & is_a) | ((i32v)b & ~is_a));
#endif
}

INLINE i16v i16v_max(i16v a, i16v b)
{
#if defined(__AVX512F__)
    return (i16v)_mm512_max_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (i16v)_mm256_max_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (i16v)_mm_max_epi16((__m128i)a, (__m128i)b);
#else
    i16v is_a = (i16v)(a > b);
    return (a & is_a) | (b & ~is_a);
#endif
}

INLINE i16v i16v_min(i16v a, i16v b)
{
#if defined(__AVX512F__)
    return (i16v)_mm512_min_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (i16v)_mm256_min_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (i16v)_mm_min_epi16((__m128i)a, (__m128i)b);
#else
    i16v is_a = (i16v)(a < b);
    return (a & is_a) | (b & ~is_a);
#endif
}

/* The part'th F64_WIDTH floats of v. */
INLINE f64v widen(f32v v, int part)
{
#if defined(__AVX512F__)
    return (f64v)_mm512_cvtps_pd(part ? _mm512_extractf32x8_ps((__m512)v, 1) : _mm512_castps512_ps256((__m512)v));
#elif defined(__AVX2__)
    return (f64v)_mm256_cvtps_pd(part ? _mm256_extractf128_ps((__m256)v, 1) : _mm256_castps256_ps128((__m256)v));
#elif defined(__x86_64__)
    return (f64v)_mm_cvtps_pd(part ? _mm_movehl_ps((__m128)v, (__m128)v) : (__m128)v);
#else
    return (f64v){(double)v[2 * part], (double)v[2 * part + 1]};
#endif
}

INLINE i32v zero_extend(u16v v)
{
#if defined(__AVX512F__)
    return (i32v)_mm512_cvtepu16_epi32((__m256i)v);
#elif defined(__AVX2__)
    return (i32v)_mm256_cvtepu16_epi32((__m128i)v);
#else
    return __builtin_convertvector(v, i32v);
#endif
}

/* F16 → F32 by moving the fields and multiplying by 2^(127 − 15), which also normalises the subnormals; the exponent of
 * Inf and NaN is put back by hand. */
INLINE f32v f16_to_f32(u16v v)
{
#if defined(__AVX512F__)
    return (f32v)_mm512_cvtph_ps((__m256i)v);
#elif defined(__F16C__) && defined(__AVX2__)
    return (f32v)_mm256_cvtph_ps((__m128i)v);
#else
    i32v half = zero_extend(v);
    i32v magnitude = (half & 0x7fff) << 13;
    i32v special = (i32v)(magnitude >= 0x0f800000) & 0x7f800000;
    f32v value = (f32v)magnitude * 0x1p112f;

    return (f32v)((i32v)value | special | ((half & 0x8000) << 16));
#endif
}

INLINE f32v load_f32v(enum block_format format, const uint8_t *from)
{
    f32v value;
    u16v half;

    if (format == BLOCK_F32) {
        memcpy(&value, from, sizeof(value));
        return value;
    }
    memcpy(&half, from, sizeof(half));
    return format == BLOCK_BF16 ? (f32v)(zero_extend(half) << 16) : f16_to_f32(half);
}

INLINE f64v load_f64v(const uint8_t *from)
{
    f64v value;

    memcpy(&value, from, sizeof(value));
    return value;
}

INLINE double load_one(enum block_format format, const uint8_t *from)
{
    uint16_t half;
    uint32_t bits, magnitude;
    double value;
    float narrow;

    switch (format) {
    case BLOCK_F64:
        memcpy(&value, from, sizeof(value));
        return value;
    case BLOCK_F32:
        memcpy(&narrow, from, sizeof(narrow));
        return (double)narrow;
    case BLOCK_BF16:
        memcpy(&half, from, sizeof(half));
        bits = (uint32_t)half << 16;
        memcpy(&narrow, &bits, sizeof(narrow));
        return (double)narrow;
    case BLOCK_F16:
    case BLOCK_FORMAT_COUNT:
        break;
    }
    memcpy(&half, from, sizeof(half));
    magnitude = (uint32_t)(half & 0x7fff) << 13;
    memcpy(&narrow, &magnitude, sizeof(narrow));
    narrow *= 0x1p112f;
    memcpy(&bits, &narrow, sizeof(bits));
    bits |= (magnitude >= 0x0f800000 ? 0x7f800000u : 0) | (uint32_t)(half & 0x8000) << 16;
    memcpy(&narrow, &bits, sizeof(narrow));
    return (double)narrow;
}

INLINE size_t element_bytes(enum block_format format)
{
    return format == BLOCK_F64 ? 8 : format == BLOCK_F32 ? 4 : 2;
}

INLINE i16v load_i16v(const uint8_t *from)
{
    i16v value;

    memcpy(&value, from, sizeof(value));
    return value;
}

/* F64_WIDTH elements of any format. */
INLINE f64v load_wide(enum block_format format, const uint8_t *from)
{
    if (format == BLOCK_F64)
        return load_f64v(from);
#if defined(__AVX512F__)
    if (format == BLOCK_F32)
        return (f64v)_mm512_cvtps_pd(_mm256_loadu_ps((const float *)(const void *)from));
    {
        const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)from);

        return (f64v)_mm512_cvtps_pd(format == BLOCK_F16
                                         ? _mm256_cvtph_ps(half)
                                         : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16)));
    }
#elif defined(__AVX2__)
    if (format == BLOCK_F32)
        return (f64v)_mm256_cvtps_pd(_mm_loadu_ps((const float *)(const void *)from));
    {
        const __m128i half = _mm_loadl_epi64((const __m128i *)(const void *)from);

        return (f64v)_mm256_cvtps_pd(
            format == BLOCK_F16 ? _mm_cvtph_ps(half) : _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), half)));
    }
#else
    return (f64v){load_one(format, from), load_one(format, from + element_bytes(format))};
#endif
}

/* sum + x·y. Products of elements that are exact in F32 are exact in F64: fused or not, the sum is the same. */
INLINE f64v add_product(enum block_format format, f64v sum, f64v x, f64v y)
{
#if defined(__AVX512F__)
    if (format != BLOCK_F64)
        return (f64v)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)sum);
#elif defined(__AVX2__)
    if (format != BLOCK_F64)
        return (f64v)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)sum);
#else
    (void)format;
#endif
    return sum + x * y;
}

INLINE double lanes_add(const double lane[LANES])
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Counts that are kept in the lanes of one vector; of a block, fewer than 2^15 a lane. */
INLINE uint32_t i16_lanes_add(i16v counts)
{
    int32_t total = 0;

    for (int i = 0; i < I16_WIDTH; i++)
        total += counts[i];
    return (uint32_t)total;
}

INLINE uint32_t i32_lanes_add(i32v counts)
{
    int32_t total = 0;

    for (int i = 0; i < F32_WIDTH; i++)
        total += counts[i];
    return (uint32_t)total;
}

INLINE uint32_t i64_lanes_add(i64v counts)
{
    int64_t total = 0;

    for (int i = 0; i < F64_WIDTH; i++)
        total += counts[i];
    return (uint32_t)total;
}

#endif
