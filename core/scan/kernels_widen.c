/* Codes of 8 and 16 bits as the floats that they stand for. Compiled once an instruction set, like kernels.c: plain
 * loops, which the compiler turns into its vectors. Every value is exact, so that any way to it gives the same bits. */
#include "core/scan/vectors.h"

/* Codes of 8 bits are exactly BF16 values: their patterns are made in lanes of 16 bits, CODES at a time. */
enum { CODES = 2 * F32_WIDTH };
typedef uint8_t codes_v __attribute__((vector_size(CODES)));
typedef int16_t patterns_v __attribute__((vector_size(CODES * 2)));

INLINE patterns_v either(patterns_v mask, patterns_v special, patterns_v pattern)
{
    return (special & mask) | (pattern & ~mask);
}

/* A float of `mantissa` mantissa bits whose exponent is less by rebias: its fields are moved, and the few codes without
 * an exponent get the one of their highest bit. */
INLINE patterns_v patterns_of(patterns_v code, int mantissa, int rebias)
{
    const patterns_v magnitude = code & 0x7f;
    const int16_t least = (int16_t)((rebias + 1 - mantissa) << 7); /* that of code 1 */
    patterns_v pattern = (magnitude << (7 - mantissa)) + (int16_t)(rebias << 7);

    if (mantissa == 3)
        pattern = either((patterns_v)(magnitude < 8), (magnitude & 3) << 5 | (int16_t)(least + (2 << 7)), pattern);
    pattern = either((patterns_v)(magnitude < 4), (magnitude & 1) << 6 | (int16_t)(least + (1 << 7)), pattern);
    pattern = either((patterns_v)(magnitude < 2), (patterns_v)(magnitude == 1) & least, pattern);
    return pattern | (code & 0x80) << 8;
}

enum { NAN_PATTERN = 0x7fc0 };

INLINE patterns_v patterns_of_dtype(enum dtype dtype, patterns_v code)
{
    const patterns_v not_a_number = (patterns_v){0} + NAN_PATTERN;

    switch (dtype) {
    case DTYPE_F8_E5M2: /* Inf and NaN have the highest exponent here as there */
        return either((patterns_v)((code & 0x7f) >= 0x7c), (code & 0x80) << 8 | 0x7f80 | (code & 3) << 5,
                      patterns_of(code, 2, 127 - 15));
    case DTYPE_F8_E4M3:
        return either((patterns_v)((code & 0x7f) == 0x7f), not_a_number, patterns_of(code, 3, 127 - 7));
    case DTYPE_F8_E4M3FNUZ:
        return either((patterns_v)(code == 0x80), not_a_number, patterns_of(code, 3, 127 - 8));
    default:
        return either((patterns_v)(code == 0x80), not_a_number, patterns_of(code, 2, 127 - 16));
    }
}

INLINE void widen_step(enum dtype dtype, const uint8_t *from, float *out)
{
    codes_v codes;
    patterns_v patterns;
    u16v halves[2];

    memcpy(&codes, from, sizeof(codes));
    patterns = patterns_of_dtype(dtype, __builtin_convertvector(codes, patterns_v));
    memcpy(halves, &patterns, sizeof(halves));
    for (int i = 0; i < 2; i++) {
        const i32v bits = zero_extend(halves[i]) << 16;

        memcpy(out + i * F32_WIDTH, &bits, sizeof(bits));
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
WIDEN_CODES(f8_e5m2fnuz, DTYPE_F8_E5M2FNUZ)

/* The next block is asked for: it comes while this one is summed. */
INLINE void widen_halves(enum block_format format, const uint8_t *from, size_t elements, float *out)
{
    size_t i;

    for (i = 0; i + F32_WIDTH <= elements; i += F32_WIDTH) {
        f32v value = load_f32v(format, from + i * 2);

        __builtin_prefetch(from + (i + elements) * 2);
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
            [DTYPE_F8_E5M2FNUZ] = widen_f8_e5m2fnuz,
            [DTYPE_U16] = widen_u16,
            [DTYPE_I16] = widen_i16,
            [DTYPE_BF16] = widen_bf16,
            [DTYPE_F16] = widen_f16,
        },
};
