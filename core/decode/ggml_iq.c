/* ggml's IQ types: points of a codebook, signs and scales. As ggml_small.c: arithmetic in F32 in the order of
 * ggml-quants.c. A sign mask of 7 bits has the parity of its bits as the eighth. */
#include "core/decode/ggml.h"

#include <string.h>

#include "core/decode/ggml_codebooks.h"
#include "core/decode/ggml_half.h"

static unsigned with_parity(unsigned signs)
{
    return signs | (unsigned)__builtin_parity(signs) << 7;
}

typedef int8_t i8x4 __attribute__((vector_size(4)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

/* Four at a time, and without a branch: signs are as good as random. */
static void signed_points(const int8_t *points, int count, float db, unsigned signs, float *y)
{
    static const i32x4 bits = {1, 2, 4, 8};

    for (int k = 0; k < count; k += 4, signs >>= 4) {
        i8x4 four;
        f32x4 values;

        memcpy(&four, points + k, sizeof(four));
        values = db * __builtin_convertvector(__builtin_convertvector(four, i32x4), f32x4);
        values = (f32x4)((i32x4)values ^ ((i32x4)(((int32_t)signs & bits) != 0) & INT32_MIN));
        memcpy(y + k, &values, sizeof(values));
    }
}

static void block_iq2_xxs(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int g = 0; g < 8; g++) {
        const uint8_t *indices = b + 2 + 8 * g;
        const uint32_t word = le32(b + 6 + 8 * g);
        const float db = d * (0.5f + (float)(word >> 28)) * 0.25f;

        for (int j = 0; j < 4; j++, y += 8)
            signed_points(iq2_xxs_points[indices[j]], 8, db, with_parity(word >> (7 * j) & 127), y);
    }
}

static void block_iq2_xs(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int t = 0; t < 32; t++, y += 8) {
        const unsigned q = le16(b + 2 + 2 * t), n = (unsigned)b[66 + t / 4] >> (4 * (t / 2 & 1)) & 15u;
        const float db = d * (0.5f + (float)n) * 0.25f;

        signed_points(iq2_xs_points[q & 511], 8, db, with_parity(q >> 9), y);
    }
}

static void block_iq2_s(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int t = 0; t < 32; t++, y += 8) {
        const unsigned index = b[2 + t] | ((unsigned)b[66 + t / 4] >> (2 * (t % 4)) & 3u) << 8;
        const unsigned n = (unsigned)b[74 + t / 4] >> (4 * (t / 2 & 1)) & 15u;
        const float db = d * (0.5f + (float)n) * 0.25f;

        signed_points(iq2_s_points[index], 8, db, b[34 + t], y);
    }
}

static void block_iq3_xxs(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int g = 0; g < 8; g++) {
        const uint8_t *indices = b + 2 + 8 * g;
        const uint32_t word = le32(b + 66 + 4 * g);
        const float db = d * (0.5f + (float)(word >> 28)) * 0.5f;

        for (int j = 0; j < 4; j++, y += 8) {
            const unsigned signs = with_parity(word >> (7 * j) & 127);

            signed_points(iq3_xxs_points[indices[2 * j]], 4, db, signs, y);
            signed_points(iq3_xxs_points[indices[2 * j + 1]], 4, db, signs >> 4, y + 4);
        }
    }
}

static void block_iq3_s(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int t = 0; t < 64; t++, y += 4) {
        const unsigned index = b[2 + t] | ((unsigned)b[66 + t / 8] >> (t % 8) & 1u) << 8;
        const unsigned n = (unsigned)b[106 + t / 16] >> (4 * (t / 8 & 1)) & 15u;
        const float db = d * (float)(1 + 2 * n);

        signed_points(iq3_s_points[index], 4, db, (unsigned)b[74 + t / 2] >> (4 * (t & 1)), y);
    }
}

static void shifted_points(const int8_t points[8], float dl, float shift, float *y)
{
    for (int k = 0; k < 8; k++)
        y[k] = dl * ((float)points[k] + shift);
}

static void block_iq1_s(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int t = 0; t < 32; t++, y += 8) {
        const unsigned high = le16(b + 34 + 2 * (t / 4));
        const float dl = d * (float)(2 * (high >> 12 & 7) + 1);
        const unsigned index = b[2 + t] | (high >> (3 * (t % 4)) & 7) << 8;

        shifted_points(iq1_s_points[index], dl, high & 0x8000 ? -0.125f : 0.125f, y);
    }
}

static void block_iq1_m(const uint8_t *b, float *y)
{
    const unsigned s[4] = {le16(b + 48), le16(b + 50), le16(b + 52), le16(b + 54)};
    const float d = half_value((uint16_t)(s[0] >> 12 | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000)));

    for (int t = 0; t < 32; t++, y += 8) {
        const unsigned u = (unsigned)t / 2, n = (unsigned)b[32 + t / 2] >> (4 * (t & 1)) & 15u;
        const float dl = d * (float)(2 * (s[u / 4] >> (3 * (u % 4)) & 7) + 1);

        shifted_points(iq1_s_points[b[t] | (n & 7) << 8], dl, n & 8 ? -0.125f : 0.125f, y);
    }
}

GGML_DECODER(iq2_xxs, 256, 66);
GGML_DECODERS(iq2_xs, 256, 74, {2, 0, 33});
GGML_DECODERS(iq2_s, 256, 82, {2, 0, 1});
GGML_DECODERS(iq3_xxs, 256, 98, {2, 0, 1}, {4, 66, 8});
GGML_DECODERS(iq3_s, 256, 110, {2, 0, 1});
GGML_DECODERS(iq1_s, 256, 50, {2, 0, 1}, {2, 34, 8});
GGML_DECODERS(iq1_m, 256, 56, {2, 48, 4});
