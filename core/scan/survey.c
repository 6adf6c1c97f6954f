#include "core/scan/survey.h"

#include <float.h>
#include <string.h>

#include "core/scan/decode_wide.h"
#include "core/scan/quantile.h"

/* The least normal value; 0 of a type that has no subnormals. */
static double min_normal_of(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F64:
        return DBL_MIN;
    case DTYPE_F32:
    case DTYPE_BF16:
        return FLT_MIN;
    case DTYPE_F16:
    case DTYPE_F8_E5M2:
        return 0x1p-14;
    case DTYPE_F8_E5M2FNUZ:
        return 0x1p-15;
    case DTYPE_F8_E4M3:
        return 0x1p-6;
    case DTYPE_F8_E4M3FNUZ:
        return 0x1p-7;
    case DTYPE_F6_E3M2:
        return 0x1p-2;
    case DTYPE_F6_E2M3:
    case DTYPE_F4:
        return 1;
    default:
        return 0;
    }
}

void survey_begin(struct survey_walk *walk, struct measure *m, const struct survey *survey, const struct stored *x)
{
    walk->channels.channels = NULL;
    walk->profile = NULL;
    walk->bins = NULL;
    walk->stored = x;
    if (!survey)
        return;
    walk->bins = survey->bins;
    channel_walk_begin(&walk->channels, m, survey->channels, survey->part, x, survey->first);
    if (!survey->profile)
        return;
    *survey->profile = (struct side_profile){0};
    if (dtype_traits(x->dtype)->kind == DTYPE_KIND_FLOAT) {
        walk->profile = survey->profile;
        walk->min_normal = min_normal_of(x->dtype);
    }
}

void survey_block(struct survey_walk *walk, const struct measure *m, const void *view, enum block_format format,
                  size_t at, size_t elements)
{
    if (walk->profile) {
        struct block_profile block;

        m->kernels->counts->profile[format](view, elements, walk->min_normal, &block);
        walk->profile->subnormals += block.subnormals;
        walk->profile->not_bf16 += block.not_bf16;
        walk->profile->not_f16 += block.not_f16;
    }
    if (walk->bins)
        quantile_count(walk->stored, at, elements, view, format, walk->bins);
    channel_walk_advance(&walk->channels, at + elements);
}

void survey_wide(struct survey_walk *walk, struct measure *m)
{
    const struct stored *x = walk->stored;

    for (size_t at = 0; walk->bins && at < x->elements; at += BLOCK_ELEMENTS) {
        size_t n = x->elements - at < BLOCK_ELEMENTS ? x->elements - at : BLOCK_ELEMENTS;

        decode_f64(x->dtype, x->base, x->first + at, n, m->a64);
        quantile_count(x, at, n, m->a64, BLOCK_F64, walk->bins);
    }
}

void survey_end(struct survey_walk *walk)
{
    channel_walk_end(&walk->channels);
}

void survey_copy(struct measure *m, const struct survey *to, const struct survey *from, const struct stored *x)
{
    if (to->profile)
        *to->profile = *from->profile;
    if (to->bins)
        memcpy(to->bins, from->bins, QUANTILE_BINS * sizeof(*to->bins));
    if (!to->channels)
        return;
    if (!to->channels->rows == !from->channels->rows && !to->channels->columns == !from->channels->columns) {
        channel_part_copy(to->channels, to->part, from->channels, from->part);
    } else { /* leading dimensions may differ: one has too many rows */
        struct channel_walk walk;

        channel_walk_begin(&walk, m, to->channels, to->part, x, to->first);
        channel_walk_end(&walk);
    }
}

/* Codes are decoded STRIPE_ROWS × BLOCK_ELEMENTS at a time. */
static void stripe_of_codes(struct measure *m, const struct stored *x, size_t at, size_t rows, size_t columns,
                            double *row_squares, double *column_squares)
{
    double sums[STRIPE_ROWS];

    for (size_t r = 0; row_squares && r < rows; r++)
        row_squares[r] = 0;
    for (size_t c = 0; c < columns; c += BLOCK_ELEMENTS) {
        size_t n = columns - c < BLOCK_ELEMENTS ? columns - c : BLOCK_ELEMENTS;

        for (size_t r = 0; r < rows; r++)
            measure_widen(m, x, at + r * columns + c, n, m->stripe + r * n);
        m->kernels->squares->stripe[BLOCK_F32](m->stripe, rows, n, row_squares ? sums : NULL,
                                               column_squares ? column_squares + c : NULL);
        for (size_t r = 0; row_squares && r < rows; r++)
            row_squares[r] += sums[r];
    }
}

void measure_stripe(struct measure *m, const struct stored *x, size_t at, size_t rows, size_t columns,
                    double *row_squares, double *column_squares)
{
    const enum block_format format = measure_format(x->dtype);
    const size_t bits = dtype_traits(x->dtype)->bits;

    if (x->dtype == DTYPE_BF16 || x->dtype == DTYPE_F16 || x->dtype == DTYPE_F32 || x->dtype == DTYPE_F64)
        m->kernels->squares->stripe[format](x->base + (x->first + at) * (bits / 8), rows, columns, row_squares,
                                            column_squares);
    else
        stripe_of_codes(m, x, at, rows, columns, row_squares, column_squares);
}
