/* Sums of a unit's blocks, and what they say of it. */
#include <float.h>
#include <math.h>

#include "core/scan/measure.h"
#include "core/scan/vectors.h"

_Static_assert((int)SHIFT_LANES == (int)LANES, "the lanes of the kernels");

void shift_init(struct shift *shift)
{
    *shift = (struct shift){.min = INFINITY, .max = -INFINITY};
}

bool shift_is_full(const struct shift *shift)
{
    return shift->terms == SHIFT_TERMS;
}

static void shift_one(struct shift *shift, double term)
{
    shift->squares[shift->terms % SHIFT_LANES] += term * term;
    shift->lane[shift->terms++ % SHIFT_LANES] += term;
    shift->min = term < shift->min ? term : shift->min;
    shift->max = term > shift->max ? term : shift->max;
}

/* All lanes at a time where they begin at the first. */
void shift_feed(struct shift *shift, const double *terms, size_t count)
{
    f64v lane[F64_PARTS], squares[F64_PARTS], min, max;
    size_t i = 0;

    if (count > SHIFT_TERMS - shift->terms)
        count = SHIFT_TERMS - shift->terms;
    for (; i < count && shift->terms % SHIFT_LANES; i++)
        shift_one(shift, terms[i]);
    memcpy(lane, shift->lane, sizeof(lane));
    memcpy(squares, shift->squares, sizeof(squares));
    min = (f64v){0} + shift->min;
    max = (f64v){0} + shift->max;
    for (; i + SHIFT_LANES <= count; i += SHIFT_LANES) {
        for (size_t part = 0; part < F64_PARTS; part++) {
            f64v term;

            memcpy(&term, terms + i + part * F64_WIDTH, sizeof(term));
            lane[part] += term;
            squares[part] += term * term;
            min = f64v_min(term, min);
            max = f64v_max(term, max);
        }
        shift->terms += SHIFT_LANES;
    }
    memcpy(shift->lane, lane, sizeof(lane));
    memcpy(shift->squares, squares, sizeof(squares));
    for (int j = 0; j < F64_WIDTH; j++) {
        shift->min = min[j] < shift->min ? min[j] : shift->min;
        shift->max = max[j] > shift->max ? max[j] : shift->max;
    }
    for (; i < count; i++)
        shift_one(shift, terms[i]);
}

static double add_shift_lanes(const double lane[SHIFT_LANES])
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* A shift would save less than the five bits that Σ(x − mean)² may lose. */
bool shift_is_needless(double mean, double mean_square)
{
    return mean * mean <= 16 * (mean_square - mean * mean);
}

double shift_value(const struct shift *shift)
{
    double mean;

    if (shift->terms == 0)
        return 0;
    mean = add_shift_lanes(shift->lane) / shift->terms;
    if (shift_is_needless(mean, add_shift_lanes(shift->squares) / shift->terms))
        return 0;
    if (!(mean >= shift->min)) /* or not a number: the sum of huge values overflowed both ways */
        return shift->min;
    return mean > shift->max ? shift->max : mean;
}

void side_totals_init(struct side_totals *totals)
{
    *totals = (struct side_totals){.min = INFINITY, .max = -INFINITY};
}

void side_totals_add(struct side_totals *totals, const struct block_side *block, size_t elements)
{
    sum_add(&totals->shifted, block->shifted);
    sum_add(&totals->shifted_squares, block->shifted_squares);
    sum_add(&totals->squares, block->squares);
    if (block->min < totals->min)
        totals->min = block->min;
    if (block->max > totals->max)
        totals->max = block->max;
    totals->finite += elements;
    totals->zeros += block->zeros;
}

/* mean = K + Σ(x − K)/n, Σ(x − mean)² = Σ(x − K)² − (Σ(x − K))²/n. */
void side_record_settle(struct side_record *record, const struct side_totals *totals, double k, int32_t exponent)
{
    double n = (double)totals->finite, shifted = sum_value(&totals->shifted), step, rest;

    record->exponent = exponent;
    record->finite = totals->finite;
    if (!totals->finite)
        return;
    step = shifted / n;
    record->mean = k + step;
    rest = record->mean - k;
    record->mean_low = (k - (record->mean - rest)) + (step - rest);
    record->m2 = sum_value(&totals->shifted_squares) - shifted * step;
    if (!(record->m2 > 0))
        record->m2 = 0;
    record->squares = totals->squares;
}

int32_t exponent_for(double abs_max)
{
    int exponent = 0;

    if (isinf(abs_max))
        return DBL_MAX_EXP + 1;
    if (abs_max > 0 && (abs_max < 1e-140 || abs_max > 1e140))
        frexp(abs_max, &exponent);
    return exponent;
}

/* In two steps: 2^-exponent itself may be no double. */
void scale_terms(double *terms, size_t count, int32_t exponent)
{
    double first = ldexp(1, -exponent / 2), second = ldexp(1, -exponent - -exponent / 2);

    for (size_t i = 0; i < count; i++)
        terms[i] = terms[i] * first * second;
}
