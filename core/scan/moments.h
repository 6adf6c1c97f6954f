/* Mergeable records of one side and of one pair, and the figures drawn from them.
 * Sums are f64, shifted, and merged by Chan, Golub and LeVeque's update, in a fixed order. */
#ifndef CORE_SCAN_MOMENTS_H
#define CORE_SCAN_MOMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/model/dtype.h"

/* A sum with Neumaier's compensation: high + low is the value. */
struct sum {
    double high, low;
};
void sum_add(struct sum *sum, double term);
double sum_value(const struct sum *sum);
void sum_merge(struct sum *into, const struct sum *next);
void sum_scale(struct sum *sum, int exponent); /* times 2^exponent */

/* An extreme value, exact also for 64-bit integers. */
union extreme {
    double f64;
    int64_t i64;
    uint64_t u64;
};

/* One side of a pair. Values are scaled by 2^-exponent before they are squared (F64 only; else exponent is 0). */
struct side_record {
    uint64_t elements; /* of the tensor; complex numbers count once */
    uint64_t finite;   /* terms in the moments: finite elements, real components for C64 */
    uint64_t nans, infs, zeros;
    uint64_t saturated; /* elements at the extreme codes; with NEED_SATURATION, 8-bit types only */
    double mean;        /* of the finite terms, scaled: mean + mean_low */
    double mean_low;    /* what mean rounds away: 64-bit integers */
    double m2;          /* Σ(x − mean)², scaled twice */
    struct sum squares; /* Σx², scaled twice */
    union extreme min,
        max;        /* of the finite elements, unscaled; by the dtype's kind; undefined when finite is 0 or complex */
    double abs_max; /* unscaled */
    int32_t exponent;
    enum dtype dtype;
};

/* What lies between two sides, over the elements that are finite on both. Δ = b − a. Sums of Δ are scaled by
 * 2^-exponent a factor, those of a by 2^-exponent_a, those of b by 2^-exponent_b (where F64 takes part; else all are
 * 0). */
struct delta_record {
    uint64_t elements;           /* compared */
    uint64_t finite;             /* terms: finite on both sides (real components for C64) */
    uint64_t changed;            /* elements that are not equal, non-finite changes included */
    uint64_t nonfinite_changed;  /* finite on one side only, or other in kind */
    uint64_t sign_flips;         /* a·b < 0 */
    uint64_t beyond_epsilon;     /* |Δ| > epsilon, plus nonfinite_changed */
    uint64_t max_abs_at;         /* flat index of the lowest element that has max_abs; undefined when max_abs is 0 */
    double max_abs;              /* unscaled */
    struct sum delta, delta_abs; /* ΣΔ, Σ|Δ| */
    struct sum delta_squares, aa, bb, ab; /* ΣΔ², Σa², Σb², Σab */
    struct sum row_fit;                   /* Σ over rows of ⟨a,b⟩²/⟨b,b⟩, scaled as aa; with NEED_ROW_FIT */
    bool has_row_fit;                     /* rows were short enough to be fitted one by one */
    bool is_bytes_equal;                  /* every stored byte was compared and equal, dtype and shape too */
    int32_t exponent, exponent_a, exponent_b;
};

void side_record_init(struct side_record *record, enum dtype dtype);
void delta_record_init(struct delta_record *record);
/* What lies between a side and its equal. */
void delta_record_of_equal(struct delta_record *record, const struct side_record *side);

/* Appends next, which follows in element (or tensor) order. Model-level records use the same two. */
void side_record_merge(struct side_record *into, const struct side_record *next);
void delta_record_merge(struct delta_record *into, const struct delta_record *next, uint64_t next_first);

/* Figures; NAN where there is no value (nothing finite). std is the population's (÷ n), exactly 0 when min == max. */
double side_mean(const struct side_record *r);
double side_std(const struct side_record *r);
double side_l2(const struct side_record *r);

double delta_l2(const struct delta_record *r);
double delta_rms(const struct delta_record *r);
double delta_mean(const struct delta_record *r);
double delta_mean_abs(const struct delta_record *r);
/* ‖Δ‖ ÷ ‖a‖: 0 when both are zero, NAN when only a is. */
double delta_relative_l2(const struct delta_record *r);
/* ⟨a,b⟩ ÷ (‖a‖·‖b‖) clamped to [−1, 1]: exactly 1 when all elements are equal or both sides are zero, NAN when exactly
 * one is. */
double delta_cosine(const struct delta_record *r);
/* Σa² ÷ ΣΔ² as 10·log10; NAN when ΣΔ² or Σa² is 0. */
double delta_sqnr_db(const struct delta_record *r);
/* The same after the best common scale s = ⟨a,b⟩/⟨b,b⟩, and s itself; after the best scale a row. */
double delta_fitted_scale(const struct delta_record *r);
double delta_fitted_sqnr_db(const struct delta_record *r);
double delta_row_fitted_sqnr_db(const struct delta_record *r);
/* ΣΔ², unscaled (may overflow to infinity for extreme F64). */
double delta_squares_value(const struct delta_record *r);

#endif
