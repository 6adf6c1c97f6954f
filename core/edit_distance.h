/* How far a misspelt name is from a known one. */
#ifndef CORE_EDIT_DISTANCE_H
#define CORE_EDIT_DISTANCE_H

#include <stddef.h>

enum { EDIT_NAME_BYTES_MAX = 64, EDIT_FAR = 1 << 16 };

/* Edits (insert, delete, replace one byte) that make one of the other; EDIT_FAR when either is longer than
 * EDIT_NAME_BYTES_MAX. */
unsigned edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

#endif
