/* Values of the dtypes that lie as plain little-endian elements. The 8-bit and smaller ones go through tables that the
 * compiler fills; every value of theirs, and of the 16-bit types, is exact in F32. */
#include "core/scan/decode.h"

#include <math.h>
#include <string.h>

#include "core/scan/decode_wide.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored elements are little-endian");

/* A small float of `mantissa` mantissa bits whose exponent field is e: (1.m or 0.m) · 2^e in units of the smallest
 * subnormal, `unit`. */
#define MAGNITUDE(code, exponent_bits, mantissa, unit)                                                                 \
    ((float)(((uint64_t)((code) & ((1u << (mantissa)) - 1)) +                                                          \
              ((((code) >> (mantissa)) & ((1u << (exponent_bits)) - 1)) ? 1u << (mantissa) : 0u))                      \
             << ((((code) >> (mantissa)) & ((1u << (exponent_bits)) - 1))                                              \
                     ? (((code) >> (mantissa)) & ((1u << (exponent_bits)) - 1)) - 1                                    \
                     : 0)) *                                                                                           \
     (unit))
#define SIGNED(code, bits, magnitude) (((code) >> ((bits)-1)) & 1 ? -(magnitude) : (magnitude))

#define F4(c)      SIGNED(c, 4, MAGNITUDE(c, 2, 1, 0x1p-1f))
#define F6_E2M3(c) SIGNED(c, 6, MAGNITUDE(c, 2, 3, 0x1p-3f))
#define F6_E3M2(c) SIGNED(c, 6, MAGNITUDE(c, 3, 2, 0x1p-4f))
#define F8_E4M3(c) (((c)&0x7fu) == 0x7fu ? NAN : SIGNED(c, 8, MAGNITUDE(c, 4, 3, 0x1p-9f)))
#define F8_E5M2(c)                                                                                                     \
    (((c)&0x7fu) > 0x7cu ? NAN : SIGNED(c, 8, ((c)&0x7fu) == 0x7cu ? INFINITY : MAGNITUDE(c, 5, 2, 0x1p-16f)))
#define F8_E4M3FNUZ(c) ((c) == 0x80u ? NAN : SIGNED(c, 8, MAGNITUDE(c, 4, 3, 0x1p-10f)))
#define F8_E5M2FNUZ(c) ((c) == 0x80u ? NAN : SIGNED(c, 8, MAGNITUDE(c, 5, 2, 0x1p-17f)))
#define BOOL(c)        ((c) ? 1.0f : 0.0f)

#define ROW4(f, c)   f(c), f((c) + 1u), f((c) + 2u), f((c) + 3u)
#define ROW16(f, c)  ROW4(f, c), ROW4(f, (c) + 4u), ROW4(f, (c) + 8u), ROW4(f, (c) + 12u)
#define ROW64(f, c)  ROW16(f, c), ROW16(f, (c) + 16u), ROW16(f, (c) + 32u), ROW16(f, (c) + 48u)
#define ROW256(f, c) ROW64(f, c), ROW64(f, (c) + 64u), ROW64(f, (c) + 128u), ROW64(f, (c) + 192u)

static const float f4_values[16] = {ROW16(F4, 0u)};
static const float f6_e2m3_values[64] = {ROW64(F6_E2M3, 0u)};
static const float f6_e3m2_values[64] = {ROW64(F6_E3M2, 0u)};
static const float f8_e4m3_values[256] = {ROW256(F8_E4M3, 0u)};
static const float f8_e5m2_values[256] = {ROW256(F8_E5M2, 0u)};
static const float f8_e4m3fnuz_values[256] = {ROW256(F8_E4M3FNUZ, 0u)};
static const float f8_e5m2fnuz_values[256] = {ROW256(F8_E5M2FNUZ, 0u)};
static const float bool_values[256] = {ROW256(BOOL, 0u)};

static const float *const byte_tables[DTYPE_COUNT] = {
    [DTYPE_BOOL] = bool_values,
    [DTYPE_F8_E5M2] = f8_e5m2_values,
    [DTYPE_F8_E4M3] = f8_e4m3_values,
    [DTYPE_F8_E4M3FNUZ] = f8_e4m3fnuz_values,
    [DTYPE_F8_E5M2FNUZ] = f8_e5m2fnuz_values,
};

static float float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint16_t half_at(const uint8_t *from, size_t i)
{
    uint16_t half;

    memcpy(&half, from + i * 2, sizeof(half));
    return half;
}

/* F8_E8M0: 2^(code − 127), 0xff is NaN. Code 0 is a subnormal F32. */
static float e8m0_value(uint8_t code)
{
    if (code == 0xff)
        return NAN;
    return float_of_bits(code ? (uint32_t)code << 23 : 0x00400000u);
}

/* As kernels.c does it: the fields moved, times 2^112, Inf's and NaN's exponent put back. */
static float f16_value(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, bits;
    float value = float_of_bits(magnitude) * 0x1p112f;

    memcpy(&bits, &value, sizeof(bits));
    return float_of_bits(bits | (magnitude >= 0x0f800000u ? 0x7f800000u : 0) | (uint32_t)(half & 0x8000) << 16);
}

/* Four F6 codes lie in three bytes, the first in the lowest bits; two F4 codes in one. */
static unsigned small_code(const uint8_t *base, uint64_t at, unsigned bits)
{
    uint64_t bit = at * bits, byte = bit / 8;
    unsigned shift = (unsigned)(bit % 8), word = base[byte];

    if (shift + bits > 8)
        word |= (unsigned)base[byte + 1] << 8;
    return word >> shift & ((1u << bits) - 1);
}

/* Runs of a fixed length, which a compiler turns into vectors at -O2 too, and then the rest. */
#define FOR_EACH(i, elements, statement)                                                                               \
    do {                                                                                                               \
        size_t start_ = 0;                                                                                             \
        for (; start_ + 16 <= (elements); start_ += 16)                                                                \
            for (size_t j_ = 0; j_ < 16; j_++) {                                                                       \
                const size_t i = start_ + j_;                                                                          \
                statement;                                                                                             \
            }                                                                                                          \
        for (size_t i = start_; i < (elements); i++)                                                                   \
            statement;                                                                                                 \
    } while (0)

bool decode_is_narrow(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_UNKNOWN:
    case DTYPE_I32:
    case DTYPE_U32:
    case DTYPE_C64:
    case DTYPE_C128:
    case DTYPE_F64:
    case DTYPE_I64:
    case DTYPE_U64:
    case DTYPE_COUNT:
        return false;
    default:
        return true;
    }
}

void decode_f32(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, float *out)
{
    const uint8_t *from;

    switch (dtype) {
    case DTYPE_F4:
        for (size_t i = 0; i < elements; i++)
            out[i] = f4_values[small_code(base, first + i, 4)];
        return;
    case DTYPE_F6_E2M3:
        for (size_t i = 0; i < elements; i++)
            out[i] = f6_e2m3_values[small_code(base, first + i, 6)];
        return;
    case DTYPE_F6_E3M2:
        for (size_t i = 0; i < elements; i++)
            out[i] = f6_e3m2_values[small_code(base, first + i, 6)];
        return;
    case DTYPE_F8_E8M0:
        for (size_t i = 0; i < elements; i++)
            out[i] = e8m0_value(base[first + i]);
        return;
    case DTYPE_I8:
        from = base + first;
        FOR_EACH(i, elements, out[i] = (float)(int8_t)from[i]);
        return;
    case DTYPE_U8:
        from = base + first;
        FOR_EACH(i, elements, out[i] = (float)from[i]);
        return;
    case DTYPE_F16:
        from = base + first * 2;
        FOR_EACH(i, elements, out[i] = f16_value(half_at(from, i)));
        return;
    case DTYPE_BF16:
        from = base + first * 2;
        FOR_EACH(i, elements, out[i] = float_of_bits((uint32_t)half_at(from, i) << 16));
        return;
    case DTYPE_I16:
        from = base + first * 2;
        FOR_EACH(i, elements, out[i] = (float)(int16_t)half_at(from, i));
        return;
    case DTYPE_U16:
        from = base + first * 2;
        FOR_EACH(i, elements, out[i] = (float)half_at(from, i));
        return;
    case DTYPE_F32:
        memcpy(out, base + first * 4, elements * 4);
        return;
    default:
        break;
    }
    if (byte_tables[dtype]) {
        const float *values = byte_tables[dtype];

        for (size_t i = 0; i < elements; i++)
            out[i] = values[base[first + i]];
    }
}

void decode_f64(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, double *out)
{
    enum { CHUNK = 256 };
    float narrow[CHUNK];
    const uint8_t *from;
    uint32_t word;
    uint64_t wide;
    float single;

    switch (dtype) {
    case DTYPE_I32:
        from = base + first * 4;
        for (size_t i = 0; i < elements; i++) {
            memcpy(&word, from + i * 4, 4);
            out[i] = (double)(int32_t)word;
        }
        return;
    case DTYPE_U32:
        from = base + first * 4;
        for (size_t i = 0; i < elements; i++) {
            memcpy(&word, from + i * 4, 4);
            out[i] = (double)word;
        }
        return;
    case DTYPE_F64:
        memcpy(out, base + first * 8, elements * 8);
        return;
    case DTYPE_I64:
        from = base + first * 8;
        for (size_t i = 0; i < elements; i++) {
            memcpy(&wide, from + i * 8, 8);
            out[i] = (double)(int64_t)wide;
        }
        return;
    case DTYPE_U64:
        from = base + first * 8;
        for (size_t i = 0; i < elements; i++) {
            memcpy(&wide, from + i * 8, 8);
            out[i] = (double)wide;
        }
        return;
    case DTYPE_C64:
        from = base + first * 8;
        for (size_t i = 0; i < elements * 2; i++) {
            memcpy(&single, from + i * 4, 4);
            out[i] = (double)single;
        }
        return;
    case DTYPE_C128:
        memcpy(out, base + first * 16, elements * 16);
        return;
    default:
        break;
    }
    for (size_t done = 0; done < elements; done += CHUNK) {
        size_t n = elements - done < CHUNK ? elements - done : CHUNK;

        decode_f32(dtype, base, first + done, n, narrow);
        FOR_EACH(i, n, out[done + i] = (double)narrow[i]);
    }
}

void decode_long(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, long double *out)
{
    enum { CHUNK = 256 };
    double values[CHUNK];
    uint64_t wide;

    if (dtype == DTYPE_I64 || dtype == DTYPE_U64) {
        const uint8_t *from = base + first * 8;

        for (size_t i = 0; i < elements; i++) {
            memcpy(&wide, from + i * 8, 8);
            out[i] = dtype == DTYPE_I64 ? (long double)(int64_t)wide : (long double)wide;
        }
        return;
    }
    for (size_t done = 0; done < elements; done += CHUNK) {
        size_t n = elements - done < CHUNK ? elements - done : CHUNK;

        decode_f64(dtype, base, first + done, n, values);
        for (size_t i = 0; i < n; i++)
            out[done + i] = (long double)values[i];
    }
}
