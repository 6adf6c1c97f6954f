/* Block kernels: the arithmetic over up to BLOCK_ELEMENTS elements that lie in the first cache. Element i of a block
 * belongs to lane i mod 8, lanes are added in one fixed tree, and every instruction set does the same operations in the
 * same order: the figures are the same bits. */
#ifndef CORE_SCAN_KERNELS_H
#define CORE_SCAN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/scan/scan.h"

enum { BLOCK_ELEMENTS = 1024 };

/* What a kernel reads, at any alignment; other dtypes are decoded to F32 or F64 first. */
enum block_format { BLOCK_BF16, BLOCK_F16, BLOCK_F32, BLOCK_F64, BLOCK_FORMAT_COUNT };

/* Σ(x − k), Σ(x − k)², Σx² and the extremes (+Inf and −Inf of nothing). Meaningless when an element is not finite: then,
 * and when squares overflow, `squares` is not finite. */
struct block_side {
    double shifted, shifted_squares, squares;
    double min, max;
    uint32_t zeros;
};

/* Δ = b − a, with both sides' figures beside it. */
struct block_pair {
    struct block_side a, b;
    double delta, delta_abs, delta_squares, ab;
    double max_abs;
    uint32_t changed, sign_flips, beyond_epsilon;
};

struct kernels {
    enum isa isa;
    void (*side[BLOCK_FORMAT_COUNT])(const void *x, size_t elements, double k, struct block_side *ret);
    void (*pair[BLOCK_FORMAT_COUNT])(const void *a, const void *b, size_t elements, double ka, double kb,
                                     double epsilon, struct block_pair *ret);
};

extern const struct kernels kernels_scalar;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
#endif

/* The kernels of an instruction set that this processor has; of the best one for ISA_AUTO. */
const struct kernels *kernels_of(enum isa isa);

#endif
