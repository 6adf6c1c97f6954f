/* What one unit yields: the bytes of one side, or of two sides that lie opposite, become records. */
#ifndef CORE_SCAN_MEASURE_H
#define CORE_SCAN_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/scan/kernels.h"
#include "core/scan/moments.h"
#include "core/scan/scan.h"

/* Elements [first, first + elements) of the plain elements that start at base. */
struct stored {
    enum dtype dtype;
    const uint8_t *base;
    uint64_t first; /* below 8: for the dtypes of less than a byte */
    size_t elements;
    bool is_encoded; /* the file holds other bits than base */
};

struct survey;

/* One thread's settings and scratch. */
struct measure {
    const struct kernels *kernels;
    double epsilon;
    unsigned needs;
    float a32[BLOCK_ELEMENTS], b32[BLOCK_ELEMENTS];
    double a64[BLOCK_ELEMENTS], b64[BLOCK_ELEMENTS];         /* decoded */
    double terms_a[BLOCK_ELEMENTS], terms_b[BLOCK_ELEMENTS]; /* what of it is finite */
    long double a_long[BLOCK_ELEMENTS], b_long[BLOCK_ELEMENTS];
    /* Of rows and columns (channels.c). */
    float stripe[STRIPE_ROWS * BLOCK_ELEMENTS];
    double channel_terms[BLOCK_ELEMENTS];
    long double column_sums[COLUMNS_MAX];
    bool column_nonfinite[COLUMNS_MAX];
};

/* The record, and what the survey asks for beside it (NULL: nothing), depend on the elements of x alone, whatever lies
 * opposite. */
void measure_side(struct measure *m, const struct stored *x, const struct survey *survey, struct side_record *ret);

/* A pair of sides as they are measured together. */
struct opposite {
    const struct stored *a, *b;
    const struct survey *survey_a, *survey_b; /* NULL: nothing is asked */
    struct flips *flips;                      /* NULL: not asked; to be added to */
    uint64_t row_elements;                    /* rows to be fitted one by one where needed; 0 when rows are cut */
};

/* Both sides and what lies between them over their common elements; a and b start at the same element, and so does
 * max_abs_at. */
void measure_pair(struct measure *m, const struct opposite *pair, struct side_record *ret_a, struct side_record *ret_b,
                  struct delta_record *ret_delta);

/* Only what lies between them, with Σa and Σb over its terms; sides of as many elements each, whose records are given.
 */
void measure_couple(struct measure *m, const struct stored *a, const struct stored *b, const struct side_record *side_a,
                    const struct side_record *side_b, struct couple_record *ret);

/* The form in which a kernel reads elements of dtype, and of two together. */
enum block_format measure_format(enum dtype dtype);
enum block_format measure_format_of_both(enum dtype a, enum dtype b);

/* n elements of x from at on, in that form: in place, or decoded to narrow or wide. */
const void *measure_view(const struct measure *m, const struct stored *x, size_t at, size_t n, enum block_format format,
                         float *narrow, double *wide);

/* Elements [at, at + elements) of x, whose dtype is exact in F32. */
void measure_widen(const struct measure *m, const struct stored *x, size_t at, size_t elements, float *out);

/* Squares of `rows` rows of `columns` elements from element at on, by the kernel of x's dtype (survey.c). */
void measure_stripe(struct measure *m, const struct stored *x, size_t at, size_t rows, size_t columns,
                    double *row_squares, double *column_squares);

/* The same for 64-bit integers (wide.c): one side that is I64 or U64; the delta where either is. */
void measure_side_wide(struct measure *m, const struct stored *x, struct side_record *ret);
void measure_delta_wide(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret);

/* And where either side is complex (complex.c). */
void measure_side_complex(struct measure *m, const struct stored *x, struct side_record *ret);
void measure_delta_complex(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret);

/* Sums of a unit, gathered block by block. */
struct side_totals {
    struct sum shifted, shifted_squares, squares;
    double min, max;
    uint64_t finite, nans, infs, zeros;
};
void side_totals_init(struct side_totals *totals);
void side_totals_add(struct side_totals *totals, const struct block_side *block, size_t elements);

/* mean, m2, squares and finite of the record, from sums shifted by k. */
void side_record_settle(struct side_record *record, const struct side_totals *totals, double k, int32_t exponent);

/* The exponent that squares of values up to abs_max need; 0 for nearly all. An infinite abs_max is one that overflowed.
 */
int32_t exponent_for(double abs_max);

/* x · 2^-exponent in place. */
void scale_terms(double *terms, size_t count, int32_t exponent);

/* K of the shifted sums: the mean of the first 4,096 finite terms, kept within their range; 0, which costs nothing,
 * where that mean is within four of their standard deviations of 0. Feed terms in order. */
enum { SHIFT_TERMS = 4096, SHIFT_LANES = 8 };
struct shift {
    double lane[SHIFT_LANES], squares[SHIFT_LANES], min, max;
    unsigned terms;
};
void shift_init(struct shift *shift);
bool shift_is_full(const struct shift *shift);
void shift_feed(struct shift *shift, const double *terms, size_t count);
double shift_value(const struct shift *shift);
/* Whether that mean is within four standard deviations of 0. */
bool shift_is_needless(double mean, double mean_square);

/* Adds a block's sums: of Δ, and of the sides' products. */
void delta_add_delta(struct delta_record *record, const struct block_pair *block);
void delta_add_products(struct delta_record *record, const struct block_pair *block);

/* Sets the exponents that sums of these extremes need and empties the sums; false when none is needed. */
bool delta_begin_scaled(struct delta_record *record, double abs_max_a, double abs_max_b);

/* Scales the finite terms of both sides, in m->terms_a and m->terms_b, and adds their sums. */
void delta_add_scaled(struct measure *m, size_t terms, struct delta_record *record);

#endif
