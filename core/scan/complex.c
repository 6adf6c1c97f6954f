/* Complex numbers: two terms an element, counts and |Δ| an element. An element with a component that is not finite is
 * left out whole. A real side that stands opposite a complex one has zero imaginary parts. */
#include <math.h>

#include "core/scan/decode.h"
#include "core/scan/measure.h"

enum { BLOCK_COMPLEX = BLOCK_ELEMENTS / 2 };

static size_t block_at(size_t elements, size_t at)
{
    return elements - at < BLOCK_COMPLEX ? elements - at : BLOCK_COMPLEX;
}

static void decode_terms(const struct stored *x, size_t at, size_t n, double *out)
{
    decode_f64(x->dtype, x->base, x->first + at, n, out);
    if (dtype_is_complex(x->dtype))
        return;
    for (size_t i = n; i-- > 0;) {
        out[2 * i] = out[i];
        out[2 * i + 1] = 0;
    }
}

static double modulus(double real, double imaginary)
{
    return hypot(real, imaginary);
}

static bool is_finite(const double *z)
{
    return isfinite(z[0]) && isfinite(z[1]);
}

/* Moves the terms of the finite elements together, to m->terms_a, times 2^-exponent. */
static size_t side_terms(struct measure *m, const struct stored *x, size_t at, size_t n, int32_t exponent)
{
    size_t kept = 0;

    decode_terms(x, at, n, m->a64);
    for (size_t i = 0; i < n; i++) {
        const double *z = m->a64 + 2 * i;

        if (is_finite(z)) {
            m->terms_a[kept++] = z[0];
            m->terms_a[kept++] = z[1];
        }
    }
    if (exponent)
        scale_terms(m->terms_a, kept, exponent);
    return kept;
}

/* Zeros, elements that are not finite, and the largest modulus of n elements in m->a64. */
static void count_elements(const struct measure *m, const struct stored *x, size_t n, struct side_record *ret)
{
    double square_max = 0;

    for (size_t i = 0; i < n; i++) {
        const double *z = m->a64 + 2 * i;

        if (is_finite(z)) {
            if (x->dtype == DTYPE_C128) /* its squares may overflow */
                ret->abs_max = fmax(ret->abs_max, modulus(z[0], z[1]));
            else
                square_max = fmax(square_max, z[0] * z[0] + z[1] * z[1]);
            ret->zeros += z[0] == 0 && z[1] == 0;
        } else {
            *(isnan(z[0]) || isnan(z[1]) ? &ret->nans : &ret->infs) += 1;
        }
    }
    ret->abs_max = fmax(ret->abs_max, sqrt(square_max));
}

static void side_sums(struct measure *m, const struct stored *x, int32_t exponent, bool is_counted,
                      struct side_record *ret)
{
    struct side_totals totals;
    struct shift shift;

    shift_init(&shift);
    for (size_t at = 0; at < x->elements && !shift_is_full(&shift); at += BLOCK_COMPLEX)
        shift_feed(&shift, m->terms_a, side_terms(m, x, at, block_at(x->elements, at), exponent));
    side_totals_init(&totals);
    for (size_t at = 0; at < x->elements; at += BLOCK_COMPLEX) {
        size_t n = block_at(x->elements, at), kept = side_terms(m, x, at, n, exponent);
        struct block_side block;

        if (is_counted)
            count_elements(m, x, n, ret);
        m->kernels->side[BLOCK_F64](m->terms_a, kept, shift_value(&shift), &block);
        side_totals_add(&totals, &block, kept);
    }
    side_record_settle(ret, &totals, shift_value(&shift), exponent);
}

void measure_side_complex(struct measure *m, const struct stored *x, struct side_record *ret)
{
    int32_t exponent;

    side_record_init(ret, x->dtype);
    ret->elements = x->elements;
    side_sums(m, x, 0, true, ret);
    exponent = x->dtype == DTYPE_C128 ? exponent_for(ret->abs_max) : 0;
    if (exponent)
        side_sums(m, x, exponent, false, ret);
}

static bool component_equal(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Counts and extremes of a block, and its terms finite on both sides to m->terms_a and m->terms_b. */
static size_t delta_terms(struct measure *m, const struct stored *a, const struct stored *b, size_t at, size_t n,
                          struct delta_record *ret, double abs_max[2])
{
    size_t kept = 0;

    decode_terms(a, at, n, m->a64);
    decode_terms(b, at, n, m->b64);
    for (size_t i = 0; i < n; i++) {
        const double *za = m->a64 + 2 * i, *zb = m->b64 + 2 * i;
        bool is_equal = component_equal(za[0], zb[0]) && component_equal(za[1], zb[1]);
        double magnitude;

        ret->changed += !is_equal;
        if (!is_finite(za) || !is_finite(zb)) {
            ret->nonfinite_changed += !is_equal;
            ret->beyond_epsilon += !is_equal;
            continue;
        }
        magnitude = modulus(zb[0] - za[0], zb[1] - za[1]);
        ret->beyond_epsilon += magnitude > m->epsilon;
        if (magnitude > ret->max_abs) {
            ret->max_abs = magnitude;
            ret->max_abs_at = at + i;
        }
        for (size_t c = 0; c < 2; c++) {
            m->terms_a[kept] = za[c];
            m->terms_b[kept++] = zb[c];
            abs_max[0] = fmax(abs_max[0], fabs(za[c]));
            abs_max[1] = fmax(abs_max[1], fabs(zb[c]));
        }
    }
    return kept;
}

void measure_delta_complex(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret)
{
    const size_t common = a->elements < b->elements ? a->elements : b->elements;
    double abs_max[2] = {0, 0};
    struct delta_record ignored = {0};

    for (size_t at = 0; at < common; at += BLOCK_COMPLEX) {
        size_t kept = delta_terms(m, a, b, at, block_at(common, at), ret, abs_max);
        struct block_pair block;

        m->kernels->pair[BLOCK_F64](m->terms_a, m->terms_b, kept, 0, 0, 0, &block);
        delta_add_delta(ret, &block);
        delta_add_products(ret, &block);
        ret->finite += kept;
    }
    /* C128, or an F64 opposite. */
    if (!delta_begin_scaled(ret, abs_max[0], abs_max[1]))
        return;
    for (size_t at = 0; at < common; at += BLOCK_COMPLEX) {
        size_t kept = delta_terms(m, a, b, at, block_at(common, at), &ignored, abs_max);

        delta_add_scaled(m, kept, ret);
    }
}
