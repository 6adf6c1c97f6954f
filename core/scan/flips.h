/* Elements that became zero or stopped to be, and the bits of the first that changed. */
#ifndef CORE_SCAN_FLIPS_H
#define CORE_SCAN_FLIPS_H

#include "core/scan/measure.h"
#include "core/scan/scan.h"

/* A block in which there are zeros, as a kernel of that format reads it. */
void flips_zeros(struct measure *m, struct flips *flips, size_t elements, const void *view_a, const void *view_b,
                 enum block_format format);

/* A block in which some element changed: lists the first ones, as long as there is room. */
void flips_list(struct measure *m, struct flips *flips, const struct stored *a, const struct stored *b, size_t at,
                size_t elements);

/* Whole units of 64-bit integers or complex numbers. */
void flips_plain(struct measure *m, struct flips *flips, const struct stored *a, const struct stored *b);

/* Appends next, whose first element is next_first. */
void flips_merge(struct flips *into, const struct flips *next, uint64_t next_first);

#endif
