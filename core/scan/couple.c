#include "core/scan/couple.h"

#include <math.h>
#include <string.h>

#include "core/scan/decode.h"

bool couple_takes_part(const struct tensor *a, const struct tensor *b)
{
    return a && b && tensor_is_decodable(a) && tensor_is_decodable(b) && dtype_is_parameter(a->dtype) &&
           dtype_is_parameter(b->dtype) && shape_equal(&a->shape, &b->shape);
}

void couple_record_init(struct couple_record *record)
{
    *record = (struct couple_record){0};
    delta_record_init(&record->delta);
}

/* Σa² and Σb² are those of the sides: the same terms in the same lanes. */
bool couple_of_finite_sides(struct measure *m, const struct stored *a, const struct stored *b,
                            const struct side_record *side_a, const struct side_record *side_b,
                            struct delta_record *delta)
{
    const enum block_format format = measure_format_of_both(a->dtype, b->dtype);

    if (format == BLOCK_F64 || side_a->finite != a->elements || side_b->finite != b->elements)
        return false;
    for (size_t at = 0; at < a->elements; at += BLOCK_ELEMENTS) {
        const size_t n = a->elements - at < BLOCK_ELEMENTS ? a->elements - at : BLOCK_ELEMENTS;
        struct block_between block;

        m->kernels->couples->between[format](measure_view(m, a, at, n, format, m->a32, m->a64),
                                             measure_view(m, b, at, n, format, m->b32, m->b64), n, &block);
        sum_add(&delta->delta, block.delta);
        sum_add(&delta->delta_squares, block.delta_squares);
        sum_add(&delta->ab, block.ab);
        delta->changed += block.changed;
    }
    delta->finite = a->elements;
    delta->aa = side_a->squares;
    delta->bb = side_b->squares;
    return true;
}

/* Σx of a side all of whose finite elements take part, scaled: n · mean. */
static struct sum sum_of_mean(const struct side_record *side)
{
    long double total = ((long double)side->mean + (long double)side->mean_low) * (long double)side->finite;
    double high = (double)total;

    return (struct sum){.high = high, .low = (double)(total - (long double)high)};
}

/* Σx of all the side's finite elements, as the couple's sums are scaled. */
static struct sum sum_of_side(const struct side_record *side, int32_t exponent)
{
    struct sum sum = sum_of_mean(side);

    sum_scale(&sum, side->exponent - exponent);
    return sum;
}

/* Whether an element of 16 or 32 bits has every bit of its exponent set: eight bytes at a time, adding the exponent's
 * lowest bit carries into the sign bit just then. */
static bool has_highest_exponent(const struct measure *m, const uint8_t *stored, size_t bytes, uint64_t exponents,
                                 uint64_t lowest, uint64_t signs)
{
    const size_t words = bytes / sizeof(uint64_t);
    uint64_t last = 0;

    memcpy(&last, stored + words * sizeof(last), bytes % sizeof(last));
    return ((m->kernels->counts->carries(stored, words, exponents, lowest) | ((last & exponents) + lowest)) & signs) !=
           0;
}

/* Whether the stored elements may hold something that is not finite: told at a glance for the common types, which spend
 * their highest exponent on that. */
static bool may_be_nonfinite(const struct measure *m, const struct stored *x, size_t at, size_t count)
{
    static const uint64_t each_16 = UINT64_C(0x0001000100010001), each_32 = UINT64_C(0x0000000100000001);

    switch (x->dtype) {
    case DTYPE_BF16:
        return has_highest_exponent(m, x->base + 2 * (x->first + at), 2 * count, 0x7f80 * each_16, 0x0080 * each_16,
                                    0x8000 * each_16);
    case DTYPE_F16:
        return has_highest_exponent(m, x->base + 2 * (x->first + at), 2 * count, 0x7c00 * each_16, 0x0400 * each_16,
                                    0x8000 * each_16);
    case DTYPE_F32:
        return has_highest_exponent(m, x->base + 4 * (x->first + at), 4 * count, 0x7f800000 * each_32,
                                    0x00800000 * each_32, 0x80000000 * each_32);
    default:
        return true;
    }
}

/* Takes a term off a side's sum that is finite there and not opposite. */
static void take_off(struct sum *sum, double term, int32_t exponent, double *taken)
{
    scale_terms(&term, 1, exponent);
    sum_add(sum, -term);
    *taken += fabs(term);
}

/* Whether what was taken off is small beside what is left, √n · √Σx² bounding the latter: then it cost no precision. */
static bool is_little(double taken, const struct sum *squares, uint64_t finite)
{
    return taken <= sqrt((double)finite) * sqrt(sum_value(squares));
}

/* Σa and Σb by the sides' means, without the few elements that are finite on one side only. False where that would
 * lose precision. */
static bool couple_sums_without_few(struct measure *m, const struct stored *a, const struct stored *b,
                                    const struct side_record *side_a, const struct side_record *side_b,
                                    struct couple_record *couple)
{
    const struct delta_record *delta = &couple->delta;
    double taken_a = 0, taken_b = 0;

    if (dtype_is_complex(a->dtype) || dtype_is_complex(b->dtype))
        return false;
    couple->a = sum_of_side(side_a, delta->exponent_a);
    couple->b = sum_of_side(side_b, delta->exponent_b);
    for (size_t at = 0; at < a->elements; at += BLOCK_ELEMENTS) {
        size_t n = a->elements - at < BLOCK_ELEMENTS ? a->elements - at : BLOCK_ELEMENTS;

        if (!may_be_nonfinite(m, a, at, n) && !may_be_nonfinite(m, b, at, n))
            continue;
        decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
        decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
        for (size_t i = 0; i < n; i++) {
            bool is_finite_a = isfinite(m->a64[i]), is_finite_b = isfinite(m->b64[i]);

            if (is_finite_a && !is_finite_b)
                take_off(&couple->a, m->a64[i], delta->exponent_a, &taken_a);
            else if (is_finite_b && !is_finite_a)
                take_off(&couple->b, m->b64[i], delta->exponent_b, &taken_b);
        }
    }
    return is_little(taken_a, &delta->aa, delta->finite) && is_little(taken_b, &delta->bb, delta->finite);
}

/* Σa and Σb over the elements that are finite on both sides, one by one: rare. */
static void couple_sums_with_care(struct measure *m, const struct stored *a, const struct stored *b,
                                  struct couple_record *couple)
{
    enum { BLOCK = BLOCK_ELEMENTS / 2 };
    const size_t terms_a = dtype_is_complex(a->dtype) ? 2 : 1, terms_b = dtype_is_complex(b->dtype) ? 2 : 1;

    couple->a = couple->b = (struct sum){0};
    for (size_t at = 0; at < a->elements; at += BLOCK) {
        size_t n = a->elements - at < BLOCK ? a->elements - at : BLOCK;

        decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
        decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
        scale_terms(m->a64, n * terms_a, couple->delta.exponent_a);
        scale_terms(m->b64, n * terms_b, couple->delta.exponent_b);
        for (size_t i = 0; i < n; i++) {
            const double *za = m->a64 + terms_a * i, *zb = m->b64 + terms_b * i;

            if (!isfinite(za[0]) || !isfinite(za[terms_a - 1]) || !isfinite(zb[0]) || !isfinite(zb[terms_b - 1]))
                continue;
            for (size_t c = 0; c < terms_a; c++)
                sum_add(&couple->a, za[c]);
            for (size_t c = 0; c < terms_b; c++)
                sum_add(&couple->b, zb[c]);
        }
    }
}

/* What no couple is asked for, and one of their ways does not measure. */
static void leave_out(struct delta_record *delta)
{
    delta->sign_flips = delta->beyond_epsilon = delta->max_abs_at = 0;
    delta->max_abs = 0;
    delta->delta_abs = delta->row_fit = (struct sum){0};
    delta->has_row_fit = false;
}

/* Where all that is finite on one side is finite on the other, the sides' means say it. */
void couple_add_sums(struct measure *m, const struct stored *a, const struct stored *b,
                     const struct side_record *side_a, const struct side_record *side_b, struct couple_record *couple)
{
    const struct delta_record *delta = &couple->delta;

    leave_out(&couple->delta);
    if (side_a->finite != delta->finite || side_b->finite != delta->finite) {
        if (!couple_sums_without_few(m, a, b, side_a, side_b, couple))
            couple_sums_with_care(m, a, b, couple);
        return;
    }
    couple->a = sum_of_side(side_a, delta->exponent_a);
    couple->b = sum_of_side(side_b, delta->exponent_b);
}

/* Eight lanes of (m − a)(b − m); a term that is not finite in all three adds nothing. Returns how many do. */
static size_t turn_of_terms(const double *a, const double *between, const double *b, size_t count, double *ret)
{
    double lanes[8] = {0};
    size_t finite = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_finite = isfinite(a[i]) && isfinite(between[i]) && isfinite(b[i]);

        lanes[i % 8] += is_finite ? (between[i] - a[i]) * (b[i] - between[i]) : 0;
        finite += is_finite;
    }
    *ret = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    return finite;
}

/* The same where all terms are finite, of one narrow type, which has no exponent; false where they are not. */
static bool turn_of_kernel(const struct measure *m, const struct stored *a, const struct stored *between,
                           const struct stored *b, size_t at, size_t n, double *ret)
{
    const enum block_format format = measure_format(a->dtype);

    if (a->dtype != between->dtype || a->dtype != b->dtype ||
        (a->dtype != DTYPE_BF16 && a->dtype != DTYPE_F16 && a->dtype != DTYPE_F32))
        return false;
    *ret = m->kernels->couples->turn[format](measure_view(m, a, at, n, format, NULL, NULL),
                                             measure_view(m, between, at, n, format, NULL, NULL),
                                             measure_view(m, b, at, n, format, NULL, NULL), n);
    return isfinite(*ret);
}

void couple_add_turn(struct measure *m, const struct stored *a, const struct stored *between, const struct stored *b,
                     const struct couple_record *in, const struct couple_record *out, struct couple_record *couple)
{
    const size_t terms = dtype_is_complex(a->dtype) ? 2 : 1;
    const int32_t e = in->delta.exponent, f = out->delta.exponent, exponent = e > f ? e : f;

    /* A complex number opposite a real one has no product term by term, and 2^400 between two steps leaves none. */
    if (dtype_is_complex(between->dtype) != (terms == 2) || dtype_is_complex(b->dtype) != (terms == 2) || e - f > 400 ||
        f - e > 400)
        return;
    couple->turn_exponent = 2 * exponent;
    for (size_t at = 0; at < a->elements; at += BLOCK_ELEMENTS / 2) {
        size_t n = a->elements - at < BLOCK_ELEMENTS / 2 ? a->elements - at : BLOCK_ELEMENTS / 2;
        double turn;

        if (turn_of_kernel(m, a, between, b, at, n, &turn)) {
            couple->turn_finite += n;
            sum_add(&couple->turn, turn);
            continue;
        }
        decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
        decode_f64(between->dtype, between->base, between->first + at, n, m->terms_a);
        decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
        scale_terms(m->a64, n * terms, exponent);
        scale_terms(m->terms_a, n * terms, exponent);
        scale_terms(m->b64, n * terms, exponent);
        couple->turn_finite += turn_of_terms(m->a64, m->terms_a, m->b64, n * terms, &turn);
        sum_add(&couple->turn, turn);
    }
}

static void turn_merge(struct couple_record *into, const struct couple_record *next)
{
    struct sum turn = next->turn;
    int32_t exponent;

    if (next->turn_finite == 0)
        return;
    exponent = into->turn_finite == 0 || (into->turn.high == 0 && next->turn.high != 0) ||
                       (next->turn.high != 0 && next->turn_exponent > into->turn_exponent)
                   ? next->turn_exponent
                   : into->turn_exponent;
    sum_scale(&into->turn, into->turn_exponent - exponent);
    sum_scale(&turn, next->turn_exponent - exponent);
    sum_merge(&into->turn, &turn);
    into->turn_exponent = exponent;
    into->turn_finite += next->turn_finite;
}

/* The sums follow the exponents of the delta, which merging may raise. */
void couple_record_merge(struct couple_record *into, const struct couple_record *next)
{
    const int32_t exponent_a = into->delta.exponent_a, exponent_b = into->delta.exponent_b;
    struct sum a = next->a, b = next->b;

    into->tensors += next->tensors;
    turn_merge(into, next);
    if (next->delta.elements == 0)
        return;
    delta_record_merge(&into->delta, &next->delta, 0);
    sum_scale(&into->a, exponent_a - into->delta.exponent_a);
    sum_scale(&into->b, exponent_b - into->delta.exponent_b);
    sum_scale(&a, next->delta.exponent_a - into->delta.exponent_a);
    sum_scale(&b, next->delta.exponent_b - into->delta.exponent_b);
    sum_merge(&into->a, &a);
    sum_merge(&into->b, &b);
}
