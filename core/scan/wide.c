/* 64-bit integers do not fit a double. One side, and two of one type, are measured as integers: K is one, x − K and Δ
 * are exact, and so are their sums, the extremes and what is counted; only what is squared is a double first. A side
 * beside one of another type goes through long doubles of at least 64 bits: slow, and rare. */
#include <math.h>
#include <string.h>

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

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

static struct sum sum_of_integer(int128 value)
{
    const double high = (double)value;

    return (struct sum){.high = high, .low = (double)(value - (int128)high)};
}

/* Flipping these bits puts values of the type into the order of unsigned numbers. */
static uint64_t order_bits(enum dtype dtype)
{
    return dtype == DTYPE_I64 ? UINT64_C(1) << 63 : 0;
}

static uint64_t item(const struct stored *x, size_t at)
{
    uint64_t bits;

    memcpy(&bits, x->base + (x->first + at) * sizeof(bits), sizeof(bits));
    return bits;
}

static double item_value(uint64_t bits, bool is_signed)
{
    return is_signed ? (double)(int64_t)bits : (double)bits;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* The mean of the first items, in their order. */
static uint64_t integer_shift(const struct stored *x, uint64_t order)
{
    const size_t n = x->elements < SHIFT_TERMS ? x->elements : SHIFT_TERMS;
    uint128 total = 0;

    for (size_t i = 0; i < n; i++)
        total += item(x, i) ^ order;
    return (uint64_t)(total / n);
}

void measure_side_wide(struct measure *m, const struct stored *x, struct side_record *ret)
{
    const bool is_signed = x->dtype == DTYPE_I64;
    const uint64_t order = order_bits(x->dtype);
    const long double n = (long double)x->elements;
    uint64_t k, min = UINT64_MAX, max = 0;
    uint128 total = 0;
    struct sum shifted_squares = {0};
    long double mean, step;

    (void)m;
    side_record_init(ret, x->dtype);
    ret->elements = ret->finite = x->elements;
    if (!x->elements)
        return;
    k = integer_shift(x, order);
    for (size_t at = 0; at < x->elements; at += BLOCK_ELEMENTS) {
        const size_t end = at + block_at(x->elements, at);
        double from_k = 0, squares = 0;

        for (size_t i = at; i < end; i++) {
            const uint64_t bits = item(x, i), place = bits ^ order;
            const double d = (double)distance(place, k), value = item_value(bits, is_signed);

            total += place;
            from_k += d * d;
            squares += value * value;
            min = place < min ? place : min;
            max = place > max ? place : max;
            ret->zeros += bits == 0;
        }
        sum_add(&shifted_squares, from_k);
        sum_add(&ret->squares, squares);
    }
    step = (long double)((int128)total - (int128)((uint128)k * x->elements)) / n;
    mean = is_signed ? (long double)(int64_t)(k ^ order) : (long double)k;
    ret->mean = (double)(mean + step);
    ret->mean_low = (double)((mean - (long double)ret->mean) + step);
    ret->m2 = (double)((long double)shifted_squares.high + shifted_squares.low - step * step * n);
    if (!(ret->m2 > 0))
        ret->m2 = 0;
    ret->min.u64 = min ^ order; /* or .i64: the same bits */
    ret->max.u64 = max ^ order;
    ret->abs_max = fmax(fabs(item_value(ret->min.u64, is_signed)), fabs(item_value(ret->max.u64, is_signed)));
}

/* Sides of one type. No square leaves the range of a double, so none is scaled. */
static void delta_of_integers(const struct measure *m, const struct stored *a, const struct stored *b, size_t common,
                              struct delta_record *ret)
{
    const bool is_signed = a->dtype == DTYPE_I64;
    const uint64_t order = order_bits(a->dtype), sign = order; /* no sign where there is no order to mend */
    const uint64_t threshold = m->epsilon < 0x1p64 ? (uint64_t)m->epsilon : UINT64_MAX;
    uint128 total_a = 0, total_b = 0, total = 0;
    uint64_t max_abs = 0;

    for (size_t at = 0; at < common; at += BLOCK_ELEMENTS) {
        const size_t end = at + block_at(common, at);
        double dd = 0, aa = 0, bb = 0, ab = 0;

        for (size_t i = at; i < end; i++) {
            const uint64_t bits_a = item(a, i), bits_b = item(b, i);
            const uint64_t magnitude = distance(bits_a ^ order, bits_b ^ order);
            const double va = item_value(bits_a, is_signed), vb = item_value(bits_b, is_signed), d = (double)magnitude;

            total_a += bits_a ^ order;
            total_b += bits_b ^ order;
            total += magnitude;
            dd += d * d;
            aa += va * va;
            bb += vb * vb;
            ab += va * vb;
            ret->changed += magnitude != 0;
            ret->beyond_epsilon += magnitude > threshold;
            ret->sign_flips += ((bits_a ^ bits_b) & sign) && bits_a && bits_b;
            if (magnitude > max_abs) {
                max_abs = magnitude;
                ret->max_abs_at = i;
            }
        }
        sum_add(&ret->delta_squares, dd);
        sum_add(&ret->aa, aa);
        sum_add(&ret->bb, bb);
        sum_add(&ret->ab, ab);
    }
    ret->finite += common;
    ret->max_abs = (double)max_abs;
    ret->delta = sum_of_integer((int128)total_b - (int128)total_a);
    ret->delta_abs = sum_of_integer((int128)total);
}

void measure_delta_wide(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret)
{
    const size_t common = a->elements < b->elements ? a->elements : b->elements;
    long double delta = 0, delta_abs = 0, delta_squares = 0, aa = 0, bb = 0, ab = 0, max_abs = 0, abs_max_a = 0,
                abs_max_b = 0;

    if (a->dtype == b->dtype) {
        delta_of_integers(m, a, b, common, ret);
        return;
    }
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
