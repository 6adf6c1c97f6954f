/* The narrower and the wider forms of decode_f64. */
#ifndef CORE_SCAN_DECODE_WIDE_H
#define CORE_SCAN_DECODE_WIDE_H

#include <float.h>
#include <stdbool.h>

#include "core/scan/decode.h"

/* A long double holds every value of every dtype here: 64 bits for the integers. */
_Static_assert(LDBL_MANT_DIG >= 64, "64-bit integers go through long double");

/* Whether every value of dtype is exact in F32. */
bool decode_is_narrow(enum dtype dtype);

/* As decode_f64, for the narrow dtypes only. */
void decode_f32(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, float *out);

/* As decode_f64, for every dtype but the complex ones, and exact for I64 and U64 too. */
void decode_long(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, long double *out);

#endif
