/* Was a tensor whose type changed only cast? Samples of both sides are read again: rounding the wider side half to even
 * to the narrower type must give the narrower side, element for element. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/change_summary.h"
#include "core/decode/decoder.h"
#include "core/scan/decode.h"

enum { RUNS = 4, RUN_ELEMENTS = 1024 };

/* x to a binary float of that many fraction bits, half to even: adding and taking away 1.5·2^52 units of x's binade
 * rounds there. */
static double round_to(double x, int fraction_bits, double normal_min, double max)
{
    double magnitude = fabs(x), magic, rounded;
    int exponent;

    if (!isfinite(x))
        return x;
    frexp(magnitude < normal_min ? normal_min : magnitude, &exponent);
    magic = ldexp(1.5, exponent - 1 + 52 - fraction_bits);
    rounded = (magnitude + magic) - magic;
    return copysign(rounded > max ? HUGE_VAL : rounded, x);
}

static double cast_to(enum dtype dtype, double x)
{
    if (dtype == DTYPE_F32)
        return (double)(float)x;
    if (dtype == DTYPE_F16)
        return round_to(x, 10, 0x1p-14, 65504);
    return round_to(x, 7, 0x1p-126, 0x1.FEp127);
}

static bool is_castable(const struct tensor *tensor)
{
    return tensor_is_decodable(tensor) && !tensor_is_encoded(tensor) &&
           (tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_BF16 || tensor->dtype == DTYPE_F32 ||
            tensor->dtype == DTYPE_F64);
}

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static int read_run(const struct model *model, const struct tensor *tensor, uint64_t first, size_t count, double *out,
                    struct error *err)
{
    uint8_t stored[RUN_ELEMENTS * 8];
    int rc = decoder_read(model, tensor, first, count, stored, err);

    if (rc == 0)
        decode_f64(tensor->dtype, stored, 0, count, out);
    return rc;
}

/* Of F16 and BF16 neither is the wider: what came first is cast. */
static int check_pair(const struct comparison *c, size_t pair, struct cast_check *check, struct error *err)
{
    size_t last = c->model_count - 1;
    const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, last);
    bool is_widened = dtype_traits(b->dtype)->bits > dtype_traits(a->dtype)->bits;
    uint64_t elements = a->shape.elements;
    double before[RUN_ELEMENTS], after[RUN_ELEMENTS];

    for (uint64_t run = 0; run < RUNS && run * RUN_ELEMENTS < elements; run++) {
        uint64_t first = elements <= (uint64_t)RUNS * RUN_ELEMENTS ? run * RUN_ELEMENTS
                                                                   : (elements - RUN_ELEMENTS) / (RUNS - 1) * run;
        size_t count = (size_t)(elements - first < RUN_ELEMENTS ? elements - first : RUN_ELEMENTS);
        int rc = read_run(c->models[0], a, first, count, before, err);

        if (rc == 0)
            rc = read_run(c->models[last], b, first, count, after, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < count; i++)
            check->mismatches += is_widened ? !is_same(cast_to(a->dtype, after[i]), before[i])
                                            : !is_same(cast_to(b->dtype, before[i]), after[i]);
        check->sampled += count;
    }
    return 0;
}

int cast_check_run(const struct comparison *c, const struct compare_env *env, struct cast_check *ret_check,
                   struct error *err)
{
    struct cast_check check = {0};

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, c->model_count - 1);
        int rc = 0;

        if (c->status[pair] != STATUS_CHANGED || !a || !b || a->dtype == b->dtype || !comparison_delta(c, pair))
            continue;
        if (env->scan.cancel && atomic_load_explicit(env->scan.cancel, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "cancelled");
        check.tensors++;
        if (is_castable(a) && is_castable(b))
            rc = check_pair(c, pair, &check, err);
        else
            check.unchecked++;
        if (rc)
            return rc;
    }
    *ret_check = check;
    return 0;
}
