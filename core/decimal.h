/* How a number looks, decided in one place: the shortest digits that read back to the same double. */
#ifndef CORE_DECIMAL_H
#define CORE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_BYTES = 48 }; /* no figure is longer than 24; the rest is written over as it goes */

/* Writes finite value (−0 as 0) and a terminating NUL; returns the length. Plain digits for 1e-5 ≤ |x| < 1e17, else
 * d.ddde±x. Whole numbers are written without a point. After R. Giulietti, "The Schubfach way to render doubles". */
size_t decimal_write(double value, char out[DECIMAL_BYTES]);

/* The same for a whole number. */
size_t decimal_write_u64(uint64_t value, char out[DECIMAL_BYTES]);

#endif
