/* Block kernels: the arithmetic over up to BLOCK_ELEMENTS elements that lie in the first cache. Element i of a block
 * belongs to lane i mod 8, lanes are added in one fixed tree, and every instruction set does the same operations in the
 * same order: the figures are the same bits. */
#ifndef CORE_SCAN_KERNELS_H
#define CORE_SCAN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/model/dtype.h"
#include "core/scan/scan.h"

enum { BLOCK_ELEMENTS = 2048 };

/* What a kernel reads, at any alignment; other dtypes are decoded to F32 or F64 first. */
enum block_format { BLOCK_BF16, BLOCK_F16, BLOCK_F32, BLOCK_F64, BLOCK_FORMAT_COUNT };

/* Σ(x − k), Σ(x − k)², Σx² and the extremes (+Inf and −Inf of nothing). Meaningless when an element is not finite:
 * then, and when squares overflow, `squares` is not finite. */
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

/* How many finite elements of a block are subnormal, and how many are not exactly a BF16 or an F16 value. */
struct block_profile {
    uint32_t subnormals, not_bf16, not_f16;
};

/* How many elements became zero, and how many were and are not. */
struct block_flips {
    uint32_t zeroed, revived;
};

struct count_kernels {
    /* min_normal: the least normal value of the stored type; subnormal is what lies below it and is not zero. */
    void (*profile[BLOCK_FORMAT_COUNT])(const void *x, size_t elements, double min_normal, struct block_profile *ret);
    void (*flips[BLOCK_FORMAT_COUNT])(const void *a, const void *b, size_t elements, struct block_flips *ret);
    /* All words of 8 bytes, (word & mask) + addend, or'ed together. */
    uint64_t (*carries)(const void *words, size_t count, uint64_t mask, uint64_t addend);
};

/* Squares of a stripe: up to STRIPE_ROWS rows that follow one another. row_squares (optional): Σx² of each row, element
 * c in lane c mod 8. column_squares (optional): Σx² over the stripe's rows, top to bottom, is added to each. Not finite
 * where an element is not. */
enum { STRIPE_ROWS = 8 };
struct square_kernels {
    void (*stripe[BLOCK_FORMAT_COUNT])(const void *x, size_t rows, size_t columns, double *row_squares,
                                       double *column_squares);
};

/* Of a block_pair what couples need, with the same bits. ΣΔ² is not finite where an element is not. */
struct block_between {
    double delta, delta_squares, ab;
    uint32_t changed;
};

/* NULL for BLOCK_F64, whose squares overflow. turn: Σ(between − a)(b − between), not finite where an element is not. */
struct couple_kernels {
    void (*between[BLOCK_FORMAT_COUNT])(const void *a, const void *b, size_t elements, struct block_between *ret);
    double (*turn[BLOCK_FORMAT_COUNT])(const void *a, const void *between, const void *b, size_t elements);
};

/* Elements of a dtype, every value of which is exact in F32, as floats; NULL: none (decode_f32 has all). Any NaN stands
 * for a NaN. */
struct widen_kernels {
    void (*f32[DTYPE_COUNT])(const uint8_t *from, size_t elements, float *out);
};

struct kernels {
    enum isa isa;
    const struct widen_kernels *widen;
    const struct couple_kernels *couples;
    const struct count_kernels *counts;
    const struct square_kernels *squares;
    void (*side[BLOCK_FORMAT_COUNT])(const void *x, size_t elements, double k, struct block_side *ret);
    void (*pair[BLOCK_FORMAT_COUNT])(const void *a, const void *b, size_t elements, double ka, double kb,
                                     double epsilon, struct block_pair *ret);
};

extern const struct kernels kernels_scalar;
extern const struct count_kernels count_kernels_scalar;
extern const struct square_kernels square_kernels_scalar;
extern const struct widen_kernels widen_kernels_scalar;
extern const struct couple_kernels couple_kernels_scalar;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
extern const struct count_kernels count_kernels_avx2, count_kernels_avx512;
extern const struct square_kernels square_kernels_avx2, square_kernels_avx512;
extern const struct widen_kernels widen_kernels_avx2, widen_kernels_avx512;
extern const struct couple_kernels couple_kernels_avx2, couple_kernels_avx512;
#endif

/* The kernels of an instruction set that this processor has; of the best one for ISA_AUTO. */
const struct kernels *kernels_of(enum isa isa);

#endif
