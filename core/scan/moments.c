/* Records and the figures drawn from them. Every figure takes its square root first and gets its power of two last, so
 * that it is finite wherever it can be written as a double, whatever its squares would be. */
#include "core/scan/moments.h"

#include <math.h>

/* Neumaier's variant of Kahan's sum: what the addition rounds away is kept in low. */
void sum_add(struct sum *sum, double term)
{
    double high = sum->high + term;

    if (fabs(sum->high) >= fabs(term))
        sum->low += (sum->high - high) + term;
    else
        sum->low += (term - high) + sum->high;
    sum->high = high;
}

double sum_value(const struct sum *sum)
{
    return isfinite(sum->high) ? sum->high + sum->low : sum->high;
}

void sum_merge(struct sum *into, const struct sum *next)
{
    sum_add(into, next->high);
    into->low += next->low;
}

void sum_scale(struct sum *sum, int exponent)
{
    sum->high = ldexp(sum->high, exponent);
    sum->low = ldexp(sum->low, exponent);
}

void side_record_init(struct side_record *record, enum dtype dtype)
{
    *record = (struct side_record){.dtype = dtype};
}

/* Nothing was compared yet, so nothing was found unequal: the two facts are ANDed on merging. */
void delta_record_init(struct delta_record *record)
{
    *record = (struct delta_record){.is_bytes_equal = true, .has_row_fit = true};
}

/* The side's squares are the pair's: the bits that the kernels would have given. No row is fitted: equal dtypes are
 * never a float beside codes. */
void delta_record_of_equal(struct delta_record *record, const struct side_record *side)
{
    delta_record_init(record);
    record->has_row_fit = false;
    record->elements = side->elements;
    record->finite = side->finite;
    record->aa = record->bb = record->ab = side->squares;
    record->exponent_a = record->exponent_b = side->exponent;
}

enum extreme_kind { EXTREME_NONE, EXTREME_F64, EXTREME_I64, EXTREME_U64 };

static enum extreme_kind extreme_kind(enum dtype dtype)
{
    switch (dtype_traits(dtype)->kind) {
    case DTYPE_KIND_INT:
        return EXTREME_I64;
    case DTYPE_KIND_BOOL:
    case DTYPE_KIND_UINT:
        return EXTREME_U64;
    case DTYPE_KIND_FLOAT:
        return EXTREME_F64;
    case DTYPE_KIND_NONE:
    case DTYPE_KIND_COMPLEX:
        break;
    }
    return EXTREME_NONE;
}

static double extreme_f64(union extreme value, enum extreme_kind kind)
{
    switch (kind) {
    case EXTREME_I64:
        return (double)value.i64;
    case EXTREME_U64:
        return (double)value.u64;
    case EXTREME_F64:
        return value.f64;
    case EXTREME_NONE:
        break;
    }
    return 0;
}

static bool extreme_less(union extreme a, union extreme b, enum extreme_kind kind)
{
    switch (kind) {
    case EXTREME_I64:
        return a.i64 < b.i64;
    case EXTREME_U64:
        return a.u64 < b.u64;
    case EXTREME_F64:
        return a.f64 < b.f64;
    case EXTREME_NONE:
        break;
    }
    return false;
}

static void side_extremes_to_f64(struct side_record *record)
{
    enum extreme_kind kind = extreme_kind(record->dtype);

    record->min.f64 = extreme_f64(record->min, kind);
    record->max.f64 = extreme_f64(record->max, kind);
    record->dtype = DTYPE_F64;
}

/* Records of several dtypes merge into one whose extremes are doubles; the first dtype stays where the kinds agree. */
static void side_merge_extremes(struct side_record *into, struct side_record *next)
{
    if (extreme_kind(into->dtype) != extreme_kind(next->dtype)) {
        if (into->finite)
            side_extremes_to_f64(into);
        side_extremes_to_f64(next);
        if (!into->finite)
            into->dtype = next->dtype;
    }
    if (!into->finite || extreme_less(next->min, into->min, extreme_kind(into->dtype)))
        into->min = next->min;
    if (!into->finite || extreme_less(into->max, next->max, extreme_kind(into->dtype)))
        into->max = next->max;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void side_rescale(struct side_record *record, int32_t exponent)
{
    int by = record->exponent - exponent;

    if (by == 0)
        return;
    record->mean = ldexp(record->mean, by);
    record->mean_low = ldexp(record->mean_low, by);
    record->m2 = ldexp(record->m2, 2 * by);
    sum_scale(&record->squares, 2 * by);
    record->exponent = exponent;
}

/* Chan, Golub and LeVeque: d = mean_b − mean_a; mean += d·n_b/n; M2 += M2_b + d²·n_a·n_b/n. The mean is a pair of
 * doubles, so that d stays true where the mean is large against the spread (64-bit identifiers). */
static void side_merge_moments(struct side_record *into, const struct side_record *next)
{
    double na = (double)into->finite, nb = (double)next->finite, n = na + nb;
    double d = (next->mean - into->mean) + (next->mean_low - into->mean_low);
    double step = d * (nb / n);
    double mean = into->mean + step, rest = mean - into->mean;

    into->m2 += next->m2 + d * d * (na * (nb / n));
    into->mean_low += (into->mean - (mean - rest)) + (step - rest);
    into->mean = mean + into->mean_low;
    into->mean_low = (mean - into->mean) + into->mean_low;
}

void side_record_merge(struct side_record *into, const struct side_record *record)
{
    struct side_record next = *record;

    into->elements += next.elements;
    into->nans += next.nans;
    into->infs += next.infs;
    into->zeros += next.zeros;
    into->saturated += next.saturated;
    if (!next.finite)
        return;
    side_merge_extremes(into, &next);
    /* All zeros have any exponent: theirs must not push tiny values out of range. */
    if (into->abs_max == 0)
        into->exponent = next.exponent;
    if (next.abs_max == 0)
        next.exponent = into->exponent;
    side_rescale(into, larger(into->exponent, next.exponent));
    side_rescale(&next, into->exponent);
    if (into->finite) {
        side_merge_moments(into, &next);
    } else {
        into->mean = next.mean;
        into->mean_low = next.mean_low;
        into->m2 = next.m2;
    }
    sum_merge(&into->squares, &next.squares);
    into->finite += next.finite;
    if (next.abs_max > into->abs_max)
        into->abs_max = next.abs_max;
}

static void delta_rescale(struct delta_record *record, int32_t exponent, int32_t exponent_a, int32_t exponent_b)
{
    int by = record->exponent - exponent, by_a = record->exponent_a - exponent_a,
        by_b = record->exponent_b - exponent_b;

    if (by) {
        sum_scale(&record->delta, by);
        sum_scale(&record->delta_abs, by);
        sum_scale(&record->delta_squares, 2 * by);
    }
    if (by_a || by_b) {
        sum_scale(&record->aa, 2 * by_a);
        sum_scale(&record->bb, 2 * by_b);
        sum_scale(&record->ab, by_a + by_b);
        sum_scale(&record->row_fit, 2 * by_a);
    }
    record->exponent = exponent;
    record->exponent_a = exponent_a;
    record->exponent_b = exponent_b;
}

/* Sums that are zero have any exponent: theirs must not push tiny values out of range. */
static void delta_adopt_exponents(struct delta_record *record, const struct delta_record *other)
{
    if (record->delta_squares.high == 0)
        record->exponent = other->exponent;
    if (record->aa.high == 0)
        record->exponent_a = other->exponent_a;
    if (record->bb.high == 0)
        record->exponent_b = other->exponent_b;
}

void delta_record_merge(struct delta_record *into, const struct delta_record *record, uint64_t next_first)
{
    struct delta_record next = *record;

    delta_adopt_exponents(into, &next);
    delta_adopt_exponents(&next, into);
    delta_rescale(into, larger(into->exponent, next.exponent), larger(into->exponent_a, next.exponent_a),
                  larger(into->exponent_b, next.exponent_b));
    delta_rescale(&next, into->exponent, into->exponent_a, into->exponent_b);
    into->elements += next.elements;
    into->finite += next.finite;
    into->changed += next.changed;
    into->nonfinite_changed += next.nonfinite_changed;
    into->sign_flips += next.sign_flips;
    into->beyond_epsilon += next.beyond_epsilon;
    if (next.max_abs > into->max_abs) {
        into->max_abs = next.max_abs;
        into->max_abs_at = next_first + next.max_abs_at;
    }
    sum_merge(&into->delta, &next.delta);
    sum_merge(&into->delta_abs, &next.delta_abs);
    sum_merge(&into->delta_squares, &next.delta_squares);
    sum_merge(&into->aa, &next.aa);
    sum_merge(&into->bb, &next.bb);
    sum_merge(&into->ab, &next.ab);
    sum_merge(&into->row_fit, &next.row_fit);
    into->has_row_fit = into->has_row_fit && next.has_row_fit;
    into->is_bytes_equal = into->is_bytes_equal && next.is_bytes_equal;
}

double side_mean(const struct side_record *r)
{
    return r->finite ? ldexp(r->mean + r->mean_low, r->exponent) : NAN;
}

double side_std(const struct side_record *r)
{
    enum extreme_kind kind = extreme_kind(r->dtype);

    if (!r->finite)
        return NAN;
    if (kind != EXTREME_NONE && !extreme_less(r->min, r->max, kind))
        return 0;
    return ldexp(sqrt(r->m2 / (double)r->finite), r->exponent);
}

double side_l2(const struct side_record *r)
{
    return r->finite ? ldexp(sqrt(sum_value(&r->squares)), r->exponent) : NAN;
}

double delta_l2(const struct delta_record *r)
{
    return r->finite ? ldexp(sqrt(sum_value(&r->delta_squares)), r->exponent) : NAN;
}

double delta_rms(const struct delta_record *r)
{
    return r->finite ? ldexp(sqrt(sum_value(&r->delta_squares) / (double)r->finite), r->exponent) : NAN;
}

double delta_mean(const struct delta_record *r)
{
    return r->finite ? ldexp(sum_value(&r->delta) / (double)r->finite, r->exponent) : NAN;
}

double delta_mean_abs(const struct delta_record *r)
{
    return r->finite ? ldexp(sum_value(&r->delta_abs) / (double)r->finite, r->exponent) : NAN;
}

double delta_relative_l2(const struct delta_record *r)
{
    double aa = sum_value(&r->aa), dd = sum_value(&r->delta_squares);

    if (!r->finite)
        return NAN;
    if (dd == 0)
        return 0;
    return aa == 0 ? NAN : ldexp(sqrt(dd) / sqrt(aa), r->exponent - r->exponent_a);
}

double delta_cosine(const struct delta_record *r)
{
    double aa = sum_value(&r->aa), bb = sum_value(&r->bb), cosine;

    if (!r->finite)
        return NAN;
    if (r->changed == r->nonfinite_changed) /* all that is finite on both sides is equal */
        return 1;
    if (aa == 0 || bb == 0)
        return aa == bb ? 1 : NAN;
    cosine = sum_value(&r->ab) / (sqrt(aa) * sqrt(bb));
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

/* 10·log10(signal·2^(2·exponent) ÷ noise). */
static double decibels(double signal, double noise, int exponent)
{
    double ratio;

    if (!(signal > 0) || !(noise > 0))
        return NAN;
    ratio = signal / noise;
    if (exponent == 0 && isnormal(ratio))
        return 10 * log10(ratio);
    return 10 * (log10(signal) - log10(noise)) + 20 * exponent * log10(2);
}

double delta_sqnr_db(const struct delta_record *r)
{
    return decibels(sum_value(&r->aa), sum_value(&r->delta_squares), r->exponent_a - r->exponent);
}

double delta_fitted_scale(const struct delta_record *r)
{
    double bb = sum_value(&r->bb);

    return bb > 0 ? ldexp(sum_value(&r->ab) / bb, r->exponent_a - r->exponent_b) : NAN;
}

static long double sum_value_long(const struct sum *sum)
{
    return (long double)sum->high + (long double)sum->low;
}

/* Σ(a − s·b)² = Σa² − ⟨a,b⟩²/⟨b,b⟩ with the best s: nearly all of it cancels, hence the long doubles. */
double delta_fitted_sqnr_db(const struct delta_record *r)
{
    long double aa = sum_value_long(&r->aa), bb = sum_value_long(&r->bb), ab = sum_value_long(&r->ab);

    if (!(bb > 0))
        return NAN;
    return decibels((double)aa, (double)(aa - ab * (ab / bb)), 0);
}

double delta_row_fitted_sqnr_db(const struct delta_record *r)
{
    long double aa = sum_value_long(&r->aa);

    if (!r->has_row_fit)
        return NAN;
    return decibels((double)aa, (double)(aa - sum_value_long(&r->row_fit)), 0);
}

double delta_squares_value(const struct delta_record *r)
{
    return ldexp(sum_value(&r->delta_squares), 2 * r->exponent);
}
