/* 64-bit integers. They do not fit a double, so everything goes through long doubles of at least 64 bits: K is an
 * integer, x − K and Δ are exact, equality and the extremes are those of the integers. Slow, and rare. */
#include <math.h>

#include "core/scan/decode_wide.h"
#include "core/scan/measure.h"

static size_t block_at(size_t elements, size_t at)
{
    return elements - at < BLOCK_ELEMENTS ? elements - at : BLOCK_ELEMENTS;
}

static struct sum sum_of_long(long double value)
{
    double high = (double)value;

    return (struct sum){.high = high, .low = (double)(value - (long double)high)};
}

static long double wide_shift(struct measure *m, const struct stored *x)
{
    size_t n = x->elements < SHIFT_TERMS ? x->elements : SHIFT_TERMS;
    long double total = 0, min = INFINITY, max = -INFINITY, k;

    for (size_t at = 0; at < n; at += BLOCK_ELEMENTS) {
        size_t block = block_at(n, at);

        decode_long(x->dtype, x->base, x->first + at, block, m->a_long);
        for (size_t i = 0; i < block; i++) {
            total += m->a_long[i];
            min = fminl(min, m->a_long[i]);
            max = fmaxl(max, m->a_long[i]);
        }
    }
    k = roundl(total / (long double)n);
    return k < min ? min : k > max ? max : k;
}

void measure_side_wide(struct measure *m, const struct stored *x, struct side_record *ret)
{
    long double k, shifted = 0, shifted_squares = 0, squares = 0, min = INFINITY, max = -INFINITY, step;
    const long double n = (long double)x->elements;

    side_record_init(ret, x->dtype);
    ret->elements = ret->finite = x->elements;
    if (!x->elements)
        return;
    k = wide_shift(m, x);
    for (size_t at = 0; at < x->elements; at += BLOCK_ELEMENTS) {
        size_t block = block_at(x->elements, at);
        long double s1 = 0, s2 = 0, s = 0;

        decode_long(x->dtype, x->base, x->first + at, block, m->a_long);
        for (size_t i = 0; i < block; i++) {
            long double value = m->a_long[i], d = value - k;

            s1 += d;
            s2 += d * d;
            s += value * value;
            if (value < min)
                min = value;
            if (value > max)
                max = value;
            ret->zeros += value == 0;
        }
        shifted += s1;
        shifted_squares += s2;
        squares += s;
    }
    step = shifted / n;
    ret->mean = (double)(k + step);
    ret->mean_low = (double)((k - (long double)ret->mean) + step);
    ret->m2 = (double)(shifted_squares - shifted * step);
    if (!(ret->m2 > 0))
        ret->m2 = 0;
    ret->squares = sum_of_long(squares);
    if (x->dtype == DTYPE_I64) {
        ret->min.i64 = (int64_t)min;
        ret->max.i64 = (int64_t)max;
    } else {
        ret->min.u64 = (uint64_t)min;
        ret->max.u64 = (uint64_t)max;
    }
    ret->abs_max = (double)fmaxl(fabsl(min), fabsl(max));
}

void measure_delta_wide(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret)
{
    const size_t common = a->elements < b->elements ? a->elements : b->elements;
    long double delta = 0, delta_abs = 0, delta_squares = 0, aa = 0, bb = 0, ab = 0, max_abs = 0, abs_max_a = 0,
                abs_max_b = 0;

    for (size_t at = 0; at < common; at += BLOCK_ELEMENTS) {
        size_t n = block_at(common, at);
        long double d1 = 0, d_abs = 0, d2 = 0, saa = 0, sbb = 0, sab = 0;

        decode_long(a->dtype, a->base, a->first + at, n, m->a_long);
        decode_long(b->dtype, b->base, b->first + at, n, m->b_long);
        for (size_t i = 0; i < n; i++) {
            long double va = m->a_long[i], vb = m->b_long[i], d = vb - va, magnitude = fabsl(d);

            if (!isfinite(va) || !isfinite(vb)) { /* one is an integer: the other differs from it in kind */
                ret->nonfinite_changed++;
                ret->changed++;
                ret->beyond_epsilon++;
                continue;
            }
            ret->finite++;
            ret->changed += va != vb;
            ret->sign_flips += (va < 0 && vb > 0) || (va > 0 && vb < 0);
            ret->beyond_epsilon += magnitude > (long double)m->epsilon;
            if (magnitude > max_abs) {
                max_abs = magnitude;
                ret->max_abs_at = at + i;
            }
            abs_max_a = fmaxl(abs_max_a, fabsl(va));
            abs_max_b = fmaxl(abs_max_b, fabsl(vb));
            d1 += d;
            d_abs += magnitude;
            d2 += d * d;
            saa += va * va;
            sbb += vb * vb;
            sab += va * vb;
        }
        delta += d1;
        delta_abs += d_abs;
        delta_squares += d2;
        aa += saa;
        bb += sbb;
        ab += sab;
    }
    /* Squares do not leave the range of a long double: they are scaled as they become doubles. */
    ret->max_abs = (double)max_abs;
    delta_begin_scaled(ret, (double)abs_max_a, (double)abs_max_b);
    ret->delta = sum_of_long(ldexpl(delta, -ret->exponent));
    ret->delta_abs = sum_of_long(ldexpl(delta_abs, -ret->exponent));
    ret->delta_squares = sum_of_long(ldexpl(delta_squares, -2 * ret->exponent));
    ret->aa = sum_of_long(ldexpl(aa, -2 * ret->exponent_a));
    ret->bb = sum_of_long(ldexpl(bb, -2 * ret->exponent_b));
    ret->ab = sum_of_long(ldexpl(ab, -ret->exponent_a - ret->exponent_b));
}
