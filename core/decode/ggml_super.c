/* ggml's types of 256 elements a block whose sub-blocks have scales of their own, and the ternary ones. As
 * ggml_small.c: arithmetic in F32 in the order of ggml-quants.c. */
#include "core/decode/ggml.h"
#include "core/decode/ggml_half.h"

static void block_q2_k(const uint8_t *b, float *y)
{
    const float d = half_at(b + 80), dmin = half_at(b + 82);

    for (int n = 0; n < 2; n++)
        for (int j = 0; j < 4; j++)
            for (int half = 0; half < 2; half++) {
                const uint8_t scale = b[8 * n + 2 * j + half], *q = b + 16 + 32 * n + 16 * half;
                const float dl = d * (float)(scale & 15), ml = dmin * (float)(scale >> 4);

                for (int l = 0; l < 16; l++)
                    *y++ = dl * (float)(q[l] >> (2 * j) & 3) - ml;
            }
}

static void block_q3_k(const uint8_t *b, float *y)
{
    const uint8_t *sc = b + 96;
    const float d = half_at(b + 108);

    for (int k = 0; k < 16; k++) {
        const int n = k / 8, j = k % 8 / 2, half = k % 2;
        const int low = k < 8 ? sc[k] & 15 : sc[k - 8] >> 4, high = sc[8 + k % 4] >> (2 * (k / 4)) & 3;
        const float dl = d * (float)((low | high << 4) - 32);
        const uint8_t *mask = b + 16 * half, *q = b + 32 + 32 * n + 16 * half;

        for (int l = 0; l < 16; l++)
            *y++ = dl * (float)((q[l] >> (2 * j) & 3) - (mask[l] >> (4 * n + j) & 1 ? 0 : 4));
    }
}

/* The 6-bit scale and minimum of sub-block j. */
static void scale_and_min(const uint8_t *s, int j, uint8_t *ret_scale, uint8_t *ret_min)
{
    if (j < 4) {
        *ret_scale = s[j] & 63;
        *ret_min = s[j + 4] & 63;
    } else {
        *ret_scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *ret_min = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

static void block_q4_k(const uint8_t *b, float *y)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *scales = b + 4, *qs = b + 16;

    for (int g = 0; g < 8; g += 2) {
        uint8_t scale[2], min[2];
        float d1, d2, m1, m2;

        scale_and_min(scales, g, &scale[0], &min[0]);
        scale_and_min(scales, g + 1, &scale[1], &min[1]);
        d1 = d * (float)scale[0];
        m1 = dmin * (float)min[0];
        d2 = d * (float)scale[1];
        m2 = dmin * (float)min[1];
        for (int l = 0; l < 32; l++)
            y[l] = d1 * (float)(qs[l] & 15) - m1;
        for (int l = 0; l < 32; l++)
            y[32 + l] = d2 * (float)(qs[l] >> 4) - m2;
        qs += 32;
        y += 64;
    }
}

static void block_q5_k(const uint8_t *b, float *y)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *high = b + 16, *qs = b + 48;

    for (int g = 0; g < 8; g++) {
        uint8_t scale, min;
        float dl, ml;

        scale_and_min(b + 4, g, &scale, &min);
        dl = d * (float)scale;
        ml = dmin * (float)min;
        for (int l = 0; l < 32; l++)
            y[l] = dl * (float)((qs[l] >> (4 * (g & 1)) & 15) + ((high[l] >> g & 1) << 4)) - ml;
        qs += g & 1 ? 32 : 0;
        y += 32;
    }
}

static void block_q6_k(const uint8_t *b, float *y)
{
    const float d = half_at(b + 208);
    const uint8_t *low = b, *high = b + 128, *scales = b + 192;

    for (int k = 0; k < 16; k++) {
        const int n = k / 8, j = k % 8 / 2, half = k % 2;
        const float dl = d * (float)(int8_t)scales[k];
        const uint8_t *lo = low + 64 * n + 32 * (j & 1) + 16 * half, *hi = high + 32 * n + 16 * half;

        for (int l = 0; l < 16; l++)
            *y++ = dl * (float)(((lo[l] >> (4 * (j >> 1)) & 15) | (hi[l] >> (2 * j) & 3) << 4) - 32);
    }
}

static void block_q8_k(const uint8_t *b, float *y)
{
    const float d = float_of_bits(le32(b));

    for (int j = 0; j < 256; j++)
        y[j] = d * (float)(int8_t)b[4 + j];
}

static void block_tq2_0(const uint8_t *b, float *y)
{
    const float d = half_at(b + 64);

    for (int j = 0; j < 64; j += 32)
        for (int l = 0; l < 4; l++)
            for (int m = 0; m < 32; m++)
                *y++ = (float)((b[j + m] >> (2 * l) & 3) - 1) * d;
}

/* Digit n, the most significant first, of a fraction in base 3. */
static float trit(uint8_t value, int n)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    const uint8_t moved = (uint8_t)(value * powers[n]);

    return (float)((moved * 3 >> 8) - 1);
}

static void block_tq1_0(const uint8_t *b, float *y)
{
    const float d = half_at(b + 52);

    for (int n = 0; n < 5; n++)
        for (int m = 0; m < 32; m++)
            *y++ = trit(b[m], n) * d;
    for (int n = 0; n < 5; n++)
        for (int m = 32; m < 48; m++)
            *y++ = trit(b[m], n) * d;
    for (int n = 0; n < 4; n++)
        for (int m = 48; m < 52; m++)
            *y++ = trit(b[m], n) * d;
}

GGML_DECODERS(q2_k, 256, 84, {2, 80, 2});
GGML_DECODERS(q3_k, 256, 110, {2, 108, 1});
GGML_DECODERS(q4_k, 256, 144, {2, 0, 2});
GGML_DECODERS(q5_k, 256, 176, {2, 0, 2});
GGML_DECODERS(q6_k, 256, 210, {2, 208, 1});
GGML_DECODERS(q8_k, 256, 292, {4, 0, 1}, {2, 260, 16});
GGML_DECODERS(tq1_0, 256, 54, {2, 52, 1});
GGML_DECODERS(tq2_0, 256, 66, {2, 64, 1});
