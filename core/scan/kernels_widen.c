/* Codes of 8 and 16 bits as the floats that they stand for. Compiled once an instruction set, like kernels.c: plain
 * loops, which the compiler turns into its vectors. Every value is exact, so that any way to it gives the same bits. */
#include "core/scan/vectors.h"

/* Codes of 8 bits are made F16 values, CODES at a time, which lack no more than a power of two. */
enum { CODES = 2 * F32_WIDTH };
typedef uint8_t codes_v __attribute__((vector_size(CODES)));
typedef int16_t patterns_v __attribute__((vector_size(CODES * 2)));

INLINE patterns_v either(patterns_v mask, patterns_v special, patterns_v pattern)
{
    return (special & mask) | (pattern & ~mask);
}

enum { F16_NAN = 0x7e00 };

/* Fields of one sign, five bits of exponent and two of mantissa lie as in an F16; those of four and three one bit
 * below, where the exponent means less by the difference of the biases. */
INLINE patterns_v f16_of(enum dtype dtype, patterns_v code)
{
    const patterns_v sign = (code & 0x80) << 8, magnitude = code & 0x7f, not_a_number = (patterns_v){0} + F16_NAN;

    switch (dtype) {
    case DTYPE_F8_E4M3:
        return either((patterns_v)(magnitude == 0x7f), not_a_number, magnitude << 7 | sign);
    case DTYPE_F8_E4M3FNUZ:
        return either((patterns_v)(code == 0x80), not_a_number, magnitude << 7 | sign);
    default:
        return code << 8;
    }
}

INLINE float scale_of(enum dtype dtype)
{
    return dtype == DTYPE_F8_E4M3 ? 0x1p8f : dtype == DTYPE_F8_E4M3FNUZ ? 0x1p7f : 1;
}

INLINE void widen_step(enum dtype dtype, const uint8_t *from, float *out)
{
    codes_v codes;
    patterns_v patterns;
    u16v halves[2];

    memcpy(&codes, from, sizeof(codes));
    patterns = f16_of(dtype, __builtin_convertvector(codes, patterns_v));
    memcpy(halves, &patterns, sizeof(halves));
    for (int i = 0; i < 2; i++) {
        const f32v values = f16_to_f32(halves[i]) * scale_of(dtype);

        memcpy(out + i * F32_WIDTH, &values, sizeof(values));
    }
}

INLINE void widen_codes(enum dtype dtype, const uint8_t *from, size_t elements, float *out)
{
    uint8_t rest[CODES] = {0};
    float values[CODES];
    size_t i;

    for (i = 0; i + CODES <= elements; i += CODES)
        widen_step(dtype, from + i, out + i);
    if (i < elements) {
        memcpy(rest, from + i, elements - i);
        widen_step(dtype, rest, values);
        memcpy(out + i, values, (elements - i) * sizeof(*out));
    }
}

INLINE uint16_t half_at(const uint8_t *from, size_t i)
{
    uint16_t half;

    memcpy(&half, from + i * sizeof(half), sizeof(half));
    return half;
}

#define WIDEN(name, value)                                                                                             \
    static void widen_##name(const uint8_t *restrict from, size_t elements, float *restrict out)                       \
    {                                                                                                                  \
        for (size_t i = 0; i < elements; i++)                                                                          \
            out[i] = value;                                                                                            \
    }

WIDEN(bool, from[i] ? 1.0f : 0.0f)
WIDEN(u8, (float)from[i])
WIDEN(i8, (float)(int8_t)from[i])
WIDEN(u16, (float)half_at(from, i))
WIDEN(i16, (float)(int16_t)half_at(from, i))

#define WIDEN_CODES(name, dtype)                                                                                       \
    static void widen_##name(const uint8_t *restrict from, size_t elements, float *restrict out)                       \
    {                                                                                                                  \
        widen_codes(dtype, from, elements, out);                                                                       \
    }

WIDEN_CODES(f8_e5m2, DTYPE_F8_E5M2)
WIDEN_CODES(f8_e4m3, DTYPE_F8_E4M3)
WIDEN_CODES(f8_e4m3fnuz, DTYPE_F8_E4M3FNUZ)

INLINE void widen_halves(enum block_format format, const uint8_t *from, size_t elements, float *out)
{
    size_t i;

    for (i = 0; i + F32_WIDTH <= elements; i += F32_WIDTH) {
        f32v value = load_f32v(format, from + i * 2);

        memcpy(out + i, &value, sizeof(value));
    }
    for (; i < elements; i++)
        out[i] = (float)load_one(format, from + i * 2);
}

static void widen_bf16(const uint8_t *restrict from, size_t elements, float *restrict out)
{
    widen_halves(BLOCK_BF16, from, elements, out);
}

static void widen_f16(const uint8_t *restrict from, size_t elements, float *restrict out)
{
    widen_halves(BLOCK_F16, from, elements, out);
}

const struct widen_kernels ISA_NAME(widen_kernels) = {
    .f32 =
        {
            [DTYPE_BOOL] = widen_bool,
            [DTYPE_U8] = widen_u8,
            [DTYPE_I8] = widen_i8,
            [DTYPE_F8_E5M2] = widen_f8_e5m2,
            [DTYPE_F8_E4M3] = widen_f8_e4m3,
            [DTYPE_F8_E4M3FNUZ] = widen_f8_e4m3fnuz,
            [DTYPE_U16] = widen_u16,
            [DTYPE_I16] = widen_i16,
            [DTYPE_BF16] = widen_bf16,
            [DTYPE_F16] = widen_f16,
        },
};
