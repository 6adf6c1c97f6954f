/* Figures of couples. Squares of differences are summed as such by the pass; nothing here takes a distance from the
 * difference of two norms. Scales are powers of two and cancel in every ratio. */
#include "core/analysis/couples.h"

#include <math.h>
#include <stdlib.h>

#include "core/analysis/gradient_roles.h"
#include "core/scan/couple.h"

static void add_side(struct side_record *into, const struct side_record *side, const struct tensor *tensor)
{
    if (side)
        side_record_merge(into, side);
    else
        into->elements += tensor->shape.elements;
}

static void gather_sides(const struct comparison *c, struct couples *couples)
{
    for (size_t i = 0; i < couples->groups * couples->models; i++)
        side_record_init(&couples->sides[i], DTYPE_F64);
    for (size_t m = 0; m < couples->models; m++) {
        side_record_init(&couples->whole_sides[m], DTYPE_F64);
        side_record_init(&couples->left_out[m], DTYPE_F64);
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const uint32_t group = c->layers.groups[pair];

        for (size_t m = 0; m < couples->models; m++) {
            const struct tensor *tensor =
                pairing_tensor(c->layers.pairing, (const struct model *const *)c->models, pair, m);
            const struct side_record *side = comparison_side(c, pair, m);

            if (!tensor || !dtype_is_parameter(tensor->dtype))
                continue;
            if (gradient_role_of(c->models[m], tensor, NULL) != ROLE_WEIGHT) {
                add_side(&couples->left_out[m], side, tensor);
                continue;
            }
            if (group != GROUP_NONE)
                add_side(&couples->sides[group * couples->models + m], side, tensor);
            add_side(&couples->whole_sides[m], side, tensor);
        }
    }
}

int couples_new(const struct comparison *c, struct couples **ret_couples, struct error *err)
{
    struct couples *couples;
    size_t count = couple_count(c->model_count);

    if (!c->scan || !c->scan->couples) {
        *ret_couples = NULL;
        return 0;
    }
    couples = calloc(1, sizeof(*couples));
    if (!couples)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    couples->models = c->model_count;
    couples->groups = c->layers.count;
    couples->names = c->layers.names;
    couples->layers = c->scan->couples;
    couples->whole = calloc(count + 1, sizeof(*couples->whole));
    couples->sides = calloc(couples->groups * couples->models + 1, sizeof(*couples->sides));
    couples->whole_sides = calloc(couples->models, sizeof(*couples->whole_sides));
    couples->left_out = calloc(couples->models, sizeof(*couples->left_out));
    if (!couples->whole || !couples->sides || !couples->whole_sides || !couples->left_out) {
        couples_free(couples);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        couple_record_init(&couples->whole[i]);
        for (size_t group = 0; group < couples->groups; group++)
            couple_record_merge(&couples->whole[i], &couples->layers[group * count + i]);
    }
    gather_sides(c, couples);
    *ret_couples = couples;
    return 0;
}

void couples_free(struct couples *couples)
{
    if (!couples)
        return;
    free(couples->whole);
    free(couples->sides);
    free(couples->whole_sides);
    free(couples->left_out);
    free(couples);
}

const struct side_record *couples_side(const struct couples *couples, size_t group, size_t model)
{
    return group == COUPLES_WHOLE ? &couples->whole_sides[model] : &couples->sides[group * couples->models + model];
}

static const struct couple_record *record_of(const struct couples *couples, size_t group, size_t i, size_t j)
{
    size_t couple = couple_index(couples->models, i, j);

    return group == COUPLES_WHOLE ? &couples->whole[couple]
                                  : &couples->layers[group * couple_count(couples->models) + couple];
}

struct couple_record couples_between(const struct couples *couples, size_t group, size_t i, size_t j)
{
    struct couple_record turned = i < j ? *record_of(couples, group, i, j) : *record_of(couples, group, j, i);
    struct couple_record given = turned;

    if (i < j)
        return turned;
    turned.delta.aa = given.delta.bb;
    turned.delta.bb = given.delta.aa;
    turned.delta.exponent_a = given.delta.exponent_b;
    turned.delta.exponent_b = given.delta.exponent_a;
    turned.delta.delta = (struct sum){-given.delta.delta.high, -given.delta.delta.low};
    turned.a = given.b;
    turned.b = given.a;
    return turned;
}

double couples_distance(const struct couples *couples, size_t group, size_t i, size_t j)
{
    if (i == j)
        return 0;
    return delta_l2(i < j ? &record_of(couples, group, i, j)->delta : &record_of(couples, group, j, i)->delta);
}

static double norm_of(const struct sum *squares, int exponent)
{
    return ldexp(sqrt(sum_value(squares)), exponent);
}

double couple_angle(const struct couple_record *record)
{
    double cosine = delta_cosine(&record->delta), a, b, x, y;

    if (!isfinite(cosine) || cosine == 1)
        return 1 - cosine;
    x = norm_of(&record->delta.aa, record->delta.exponent_a);
    y = norm_of(&record->delta.bb, record->delta.exponent_b);
    a = fmax(x, y); /* the same bits whichever way round */
    b = fmin(x, y);
    x = delta_l2(&record->delta) / a;
    y = b / a;
    x = (x - (1 - y)) * (x + (1 - y)) / (2 * y);
    return x < 0 ? 0 : x > 2 ? 2 : x;
}

/* Σ(Δ − mean Δ)², scaled by 2^-exponent twice. */
static double centred_delta_squares(const struct delta_record *delta)
{
    double sum = sum_value(&delta->delta), squares = sum_value(&delta->delta_squares);
    double centred = squares - sum * (sum / (double)delta->finite);

    return centred < 0 ? 0 : centred;
}

/* Of the sums alone, where a side has elements that the other lacks. */
static double correlation_of_sums(const struct couple_record *r)
{
    double n = (double)r->delta.finite, a = sum_value(&r->a), b = sum_value(&r->b);
    double aa = sum_value(&r->delta.aa), bb = sum_value(&r->delta.bb);
    double variance_a = aa - a * (a / n), variance_b = bb - b * (b / n);

    if (!(variance_a > 1e-14 * aa) || !(variance_b > 1e-14 * bb))
        return NAN;
    return (sum_value(&r->delta.ab) - a * (b / n)) / (sqrt(variance_a) * sqrt(variance_b));
}

double couples_correlation(const struct couples *couples, size_t group, size_t i, size_t j)
{
    const struct side_record *a = couples_side(couples, group, i), *b = couples_side(couples, group, j);
    struct couple_record record = couples_between(couples, group, i, j);
    double root_n = sqrt((double)record.delta.finite), correlation, x, y;

    if (record.delta.finite == 0)
        return NAN;
    if (record.delta.changed == record.delta.nonfinite_changed)
        return 1;
    if (record.delta.finite == a->finite && a->finite == b->finite) {
        /* The couple is all there is of both: (A + B − D) ÷ (2·√A·√B) of centred squares, each summed as such. */
        double larger = fmax(side_std(a), side_std(b)), smaller = fmin(side_std(a), side_std(b));

        if (!(smaller > 0))
            return NAN;
        x = ldexp(sqrt(centred_delta_squares(&record.delta)), record.delta.exponent) / (larger * root_n);
        y = smaller / larger;
        correlation = (1 + y * y - x * x) / (2 * y);
    } else {
        correlation = correlation_of_sums(&record);
    }
    return correlation > 1 ? 1 : correlation < -1 ? -1 : correlation;
}

double couples_turn(const struct couples *couples, size_t group, size_t t, const char **ret_reason)
{
    const struct delta_record *in = &record_of(couples, group, t - 1, t)->delta;
    const struct delta_record *out = &record_of(couples, group, t, t + 1)->delta;
    const struct couple_record *across = record_of(couples, group, t - 1, t + 1);
    double d = sum_value(&in->delta_squares), e = sum_value(&out->delta_squares), cosine;

    *ret_reason = "no float values compared";
    if (in->finite == 0 || out->finite == 0)
        return NAN;
    *ret_reason = "a step of length 0";
    if (!(d > 0) || !(e > 0))
        return NAN;
    *ret_reason = "the three checkpoints differ in their finite elements";
    if (in->finite != across->turn_finite || out->finite != across->turn_finite)
        return NAN;
    *ret_reason = NULL;
    cosine =
        ldexp(sum_value(&across->turn) / (sqrt(d) * sqrt(e)), across->turn_exponent - in->exponent - out->exponent);
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}
