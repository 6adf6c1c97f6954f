/* Matrices that are turned over on their way. */
#ifndef CORE_DECODE_PLANE_H
#define CORE_DECODE_PLANE_H

#include <stddef.h>
#include <stdint.h>

/* Element (r, c) of rows × columns, which lies at from[r + c · step], goes to to[r · row_step + c]. Elements have size
 * bytes, a power of two up to 16; steps count elements. */
void plane_transpose(uint8_t *to, uint64_t row_step, const uint8_t *from, uint64_t step, uint64_t rows,
                     uint64_t columns, size_t size);

#endif
