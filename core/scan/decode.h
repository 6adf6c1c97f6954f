/* Stored bytes → values, for the dtypes that lie as plain little-endian elements. */
#ifndef CORE_SCAN_DECODE_H
#define CORE_SCAN_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "core/model/dtype.h"

/* Reads elements [first, first + elements) of a tensor whose stored bytes start at base. A complex dtype yields two
 * terms an element (real, imaginary). Exact for every dtype but I64 and U64, which round to the nearest double. */
void decode_f64(enum dtype dtype, const uint8_t *base, uint64_t first, size_t elements, double *out);

#endif
