/* p01 … p99 of one side, by NumPy's "linear" definition, over the finite elements. */
#ifndef CORE_SCAN_QUANTILE_H
#define CORE_SCAN_QUANTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/scan/measure.h"

/* Tensors below QUANTILE_SORTED elements are sorted, larger ones counted in 65,536 bins: patterns of F16, and the upper
 * half of the F32 value for the others. Exact for the 16-bit floats and all that is no wider than 8 bits. */
enum { QUANTILE_SORTED = 65536, QUANTILE_BINS = 65536 };

bool quantiles_exist(enum dtype dtype); /* of what has an order: not complex */
void quantiles_init(struct quantiles *quantiles);

/* Adds the block of x that begins at element `at` to the bins, which hold less than 2^32; view is how a kernel of that
 * format reads it. */
void quantile_count(const struct stored *x, size_t at, size_t elements, const void *view, enum block_format format,
                    uint32_t bins[QUANTILE_BINS]);

/* From the bins of all its units and its merged record. */
void quantiles_of_bins(const uint64_t bins[QUANTILE_BINS], const struct side_record *side, struct quantiles *ret);

/* From the elements of a whole tensor. scratch: 2 × QUANTILE_SORTED. */
void quantiles_of_elements(const struct stored *x, uint64_t *scratch, struct quantiles *ret);

#endif
