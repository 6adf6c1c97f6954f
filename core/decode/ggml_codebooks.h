/* The codebooks of ggml's IQ types: eight or four values a point. */
#ifndef CORE_DECODE_GGML_CODEBOOKS_H
#define CORE_DECODE_GGML_CODEBOOKS_H

#include <stdint.h>

extern const int8_t iq2_xxs_points[256][8], iq2_xs_points[512][8], iq2_s_points[1024][8], iq1_s_points[2048][8];
extern const int8_t iq3_xxs_points[256][4], iq3_s_points[512][4];

#endif
