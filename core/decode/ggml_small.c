/* ggml's types of short blocks (32, 64 and 128 elements), as its reference decodes them (ggml-quants.c,
 * dequantize_row_*): all arithmetic in F32, in the order that it has there, so that values are the same to the bit.
 * Loops run over bytes that lie together, which a compiler turns into vectors. */
#include "core/decode/ggml.h"
#include "core/decode/ggml_half.h"

static void block_q4_0(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int j = 0; j < 16; j++) {
        y[j] = (float)((b[2 + j] & 15) - 8) * d;
        y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
    }
}

static void block_q4_1(const uint8_t *b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);

    for (int j = 0; j < 16; j++) {
        y[j] = (float)(b[4 + j] & 15) * d + m;
        y[j + 16] = (float)(b[4 + j] >> 4) * d + m;
    }
}

static void block_q5_0(const uint8_t *b, float *y)
{
    const float d = half_at(b);
    const uint32_t high = le32(b + 2);

    for (int j = 0; j < 16; j++) {
        y[j] = (float)((int)((b[6 + j] & 15) | (high >> j & 1) << 4) - 16) * d;
        y[j + 16] = (float)((int)((uint32_t)(b[6 + j] >> 4) | (high >> (j + 16) & 1) << 4) - 16) * d;
    }
}

static void block_q5_1(const uint8_t *b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);
    const uint32_t high = le32(b + 4);

    for (int j = 0; j < 16; j++) {
        y[j] = (float)((b[8 + j] & 15) | (high >> j & 1) << 4) * d + m;
        y[j + 16] = (float)((uint32_t)(b[8 + j] >> 4) | (high >> (j + 16) & 1) << 4) * d + m;
    }
}

static void block_q8_0(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int j = 0; j < 32; j++)
        y[j] = (float)(int8_t)b[2 + j] * d;
}

static void block_q8_1(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int j = 0; j < 32; j++)
        y[j] = (float)(int8_t)b[4 + j] * d;
}

static void block_q1_0(const uint8_t *b, float *y)
{
    const float d = half_at(b), values[2] = {-d, d};

    for (int j = 0; j < 128; j++)
        y[j] = values[b[2 + j / 8] >> (j % 8) & 1];
}

static void block_q2_0(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int j = 0; j < 64; j++)
        y[j] = (float)((b[2 + j / 4] >> (2 * (j % 4)) & 3) - 1) * d;
}

/* E2M1 in halves, so that they are integers. */
static const int8_t e2m1_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 2^(e − 128), the half of the E8M0 scale; the two lowest are subnormal. */
static float e8m0_half(uint8_t e)
{
    return float_of_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

static void block_mxfp4(const uint8_t *b, float *y)
{
    const float d = e8m0_half(b[0]);

    for (int j = 0; j < 16; j++) {
        y[j] = (float)e2m1_doubled[b[1 + j] & 15] * d;
        y[j + 16] = (float)e2m1_doubled[b[1 + j] >> 4] * d;
    }
}

/* Half of the unsigned E4M3 scale. As in ggml, 0x7f is 0, while 0xff is 480: the sign is looked at there only. */
static float ue4m3_half(uint8_t code)
{
    const uint32_t exponent = code >> 3 & 15, fraction = code & 7;

    if (code == 0x7f)
        return 0;
    if (exponent == 0)
        return (float)fraction * 0x1p-10f;
    return float_of_bits((exponent + 119) << 23 | fraction << 20);
}

static void block_nvfp4(const uint8_t *b, float *y)
{
    for (int s = 0; s < 4; s++) {
        const float d = ue4m3_half(b[s]);

        for (int j = 0; j < 8; j++) {
            y[16 * s + j] = (float)e2m1_doubled[b[4 + 8 * s + j] & 15] * d;
            y[16 * s + j + 8] = (float)e2m1_doubled[b[4 + 8 * s + j] >> 4] * d;
        }
    }
}

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void block_iq4_nl(const uint8_t *b, float *y)
{
    const float d = half_at(b);

    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)iq4_values[b[2 + j] & 15];
        y[j + 16] = d * (float)iq4_values[b[2 + j] >> 4];
    }
}

static void block_iq4_xs(const uint8_t *b, float *y)
{
    const float d = half_at(b);
    const unsigned high = le16(b + 2);

    for (int g = 0; g < 8; g++) {
        const unsigned scale = ((unsigned)b[4 + g / 2] >> (4 * (g & 1)) & 15u) | (high >> (2 * g) & 3) << 4;
        const float dl = d * (float)((int)scale - 32);

        for (int j = 0; j < 16; j++) {
            y[32 * g + j] = dl * (float)iq4_values[b[8 + 16 * g + j] & 15];
            y[32 * g + j + 16] = dl * (float)iq4_values[b[8 + 16 * g + j] >> 4];
        }
    }
}

GGML_DECODERS(q4_0, 32, 18, {2, 0, 1});
GGML_DECODERS(q4_1, 32, 20, {2, 0, 2});
GGML_DECODERS(q5_0, 32, 22, {2, 0, 1}, {4, 2, 1});
GGML_DECODERS(q5_1, 32, 24, {2, 0, 2}, {4, 4, 1});
GGML_DECODERS(q8_0, 32, 34, {2, 0, 1});
GGML_DECODERS(q8_1, 32, 36, {2, 0, 2});
GGML_DECODERS(q1_0, 128, 18, {2, 0, 1});
GGML_DECODERS(q2_0, 64, 18, {2, 0, 1});
GGML_DECODER(mxfp4, 32, 17);
GGML_DECODER(nvfp4, 64, 36);
GGML_DECODERS(iq4_nl, 32, 18, {2, 0, 1});
GGML_DECODERS(iq4_xs, 256, 136, {2, 0, 2});
