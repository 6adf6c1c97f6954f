#include "core/scan/couple.h"

#include <math.h>

#include "core/scan/decode.h"

bool couple_takes_part(const struct tensor *a, const struct tensor *b)
{
    return a && b && tensor_is_decodable(a) && tensor_is_decodable(b) && !a->storage && !b->storage &&
           dtype_is_parameter(a->dtype) && dtype_is_parameter(b->dtype) && shape_equal(&a->shape, &b->shape);
}

void couple_record_init(struct couple_record *record)
{
    *record = (struct couple_record){0};
    delta_record_init(&record->delta);
}

/* Σx of a side all of whose finite elements take part, scaled: n · mean. */
static struct sum sum_of_mean(const struct side_record *side)
{
    long double total = ((long double)side->mean + (long double)side->mean_low) * (long double)side->finite;
    double high = (double)total;

    return (struct sum){.high = high, .low = (double)(total - (long double)high)};
}

/* Σa and Σb over the elements that are finite on both sides, one by one: rare. */
static void couple_sums_with_care(struct measure *m, const struct stored *a, const struct stored *b,
                                  struct couple_record *couple)
{
    enum { BLOCK = BLOCK_ELEMENTS / 2 };
    const size_t terms_a = a->dtype == DTYPE_C64 ? 2 : 1, terms_b = b->dtype == DTYPE_C64 ? 2 : 1;

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

/* Where all that is finite on one side is finite on the other, the sides' means say it. */
void couple_add_sums(struct measure *m, const struct stored *a, const struct stored *b,
                     const struct side_record *side_a, const struct side_record *side_b, struct couple_record *couple)
{
    const struct delta_record *delta = &couple->delta;

    if (side_a->finite != delta->finite || side_b->finite != delta->finite) {
        couple_sums_with_care(m, a, b, couple);
        return;
    }
    couple->a = sum_of_mean(side_a);
    couple->b = sum_of_mean(side_b);
    sum_scale(&couple->a, side_a->exponent - delta->exponent_a);
    sum_scale(&couple->b, side_b->exponent - delta->exponent_b);
}

/* The sums follow the exponents of the delta, which merging may raise. */
void couple_record_merge(struct couple_record *into, const struct couple_record *next)
{
    const int32_t exponent_a = into->delta.exponent_a, exponent_b = into->delta.exponent_b;
    struct sum a = next->a, b = next->b;

    into->tensors += next->tensors;
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
