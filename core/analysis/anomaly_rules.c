/* The rules, one row each. A rule is a function of the typed records of one tensor, of its baseline and of its place in
 * other layers; it decides nothing from a name except that norms and biases may well be constant. */
#include <math.h>
#include <string.h>

#include "core/analysis/anomaly.h"
#include "core/model/layers.h"

enum {
    PEERS_MIN = 5,          /* a spread over fewer says nothing */
    SIGN_ELEMENTS_MIN = 64, /* shares of fewer elements say nothing */
    FLIP_ELEMENTS_MIN = 64, /* a fine-tune may change the last bits of a few of a small tensor's elements */
};

static const struct options *options_of(const struct anomaly_context *x)
{
    return &x->comparison->request->options;
}

static const struct tensor *tensor_of(const struct anomaly_context *x, size_t pair)
{
    return comparison_tensor(x->comparison, pair, x->model);
}

static const struct side_record *side_of(const struct anomaly_context *x, size_t pair)
{
    return comparison_side(x->comparison, pair, x->model);
}

static const struct side_record *baseline_of(const struct anomaly_context *x, size_t pair)
{
    return x->model > 0 ? comparison_side(x->comparison, pair, 0) : NULL;
}

static bool is_float(const struct tensor *tensor)
{
    return dtype_traits(tensor->dtype)->kind == DTYPE_KIND_FLOAT;
}

static bool is_norm_or_bias(const struct tensor *tensor)
{
    const char *type = module_type_of(tensor->name);

    return strcmp(type, "norm") == 0 || strcmp(type, "bias") == 0;
}

static bool is_matrix(const struct tensor *tensor)
{
    unsigned long_sides = 0;

    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        long_sides += tensor->shape.dims[d] > 1;
    return long_sides >= 2;
}

static void tell(struct anomaly_case *found, const char *key, double value)
{
    found->evidence[found->evidence_count++] = (struct anomaly_evidence){.key = key, .value = value};
}

static void tell_count(struct anomaly_case *found, const char *key, uint64_t count)
{
    found->evidence[found->evidence_count++] =
        (struct anomaly_evidence){.key = key, .value = (double)count, .is_count = true};
}

static enum anomaly_outcome not_evaluated(struct anomaly_case *found, const char *reason)
{
    found->reason = reason;
    return ANOMALY_NOT_EVALUATED;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static enum anomaly_outcome check_nan(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair), *baseline = baseline_of(x, pair);

    if (side->nans == 0)
        return ANOMALY_NONE;
    tell_count(found, "nans", side->nans);
    tell(found, "share", share(side->nans, side->elements));
    if (baseline)
        tell_count(found, "baseline_nans", baseline->nans);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_inf(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair), *baseline = baseline_of(x, pair);

    if (side->infs == 0)
        return ANOMALY_NONE;
    tell_count(found, "infs", side->infs);
    tell(found, "share", share(side->infs, side->elements));
    if (baseline)
        tell_count(found, "baseline_infs", baseline->infs);
    return ANOMALY_FOUND;
}

/* Two float elements or more, all finite and of one value. */
static bool is_constant(const struct tensor *tensor, const struct side_record *side)
{
    return is_float(tensor) && side->elements > 1 && side->finite == side->elements && side->min.f64 == side->max.f64;
}

static void judge_constant(const struct tensor *tensor, struct anomaly_case *found)
{
    if (is_norm_or_bias(tensor) || !is_matrix(tensor))
        found->severity = SEVERITY_INFO;
}

static enum anomaly_outcome check_all_zero(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair), *baseline = baseline_of(x, pair);

    if (!is_constant(tensor_of(x, pair), side) || side->abs_max != 0)
        return ANOMALY_NONE;
    tell_count(found, "zeros", side->zeros);
    if (baseline)
        tell_count(found, "baseline_zeros", baseline->zeros);
    judge_constant(tensor_of(x, pair), found);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_constant(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair), *baseline = baseline_of(x, pair);

    if (!is_constant(tensor_of(x, pair), side) || side->abs_max == 0)
        return ANOMALY_NONE;
    tell(found, "value", side->min.f64);
    tell_count(found, "elements", side->elements);
    if (baseline)
        tell(found, "baseline_std", side_std(baseline));
    judge_constant(tensor_of(x, pair), found);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_dead_rows(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct scan_result *scan = x->comparison->scan;
    const struct channel_norms *rows, *baseline;

    if (!is_float(tensor_of(x, pair)) || tensor_of(x, pair)->shape.rank < 2)
        return ANOMALY_NONE;
    rows = scan->rows ? &scan->rows[pair * x->comparison->model_count + x->model] : NULL;
    if (!rows || rows->count == 0)
        return not_evaluated(found, "rows were not measured");
    if (rows->zeros == 0 || rows->zeros == rows->count ||
        share(rows->zeros, rows->count) < options_of(x)->dead_rows_share)
        return ANOMALY_NONE;
    baseline = &scan->rows[pair * x->comparison->model_count];
    tell_count(found, "zero_rows", rows->zeros);
    tell_count(found, "rows", rows->count);
    tell(found, "share", share(rows->zeros, rows->count));
    if (x->model > 0 && baseline->count)
        tell_count(found, "baseline_zero_rows", baseline->zeros);
    return ANOMALY_FOUND;
}

/* Both sides' values mean the same: codes of 8 bits and less may carry scales elsewhere. */
static const char *incomparable_spread(const struct anomaly_context *x, size_t pair)
{
    const struct tensor *a = comparison_tensor(x->comparison, pair, 0), *b = tensor_of(x, pair);

    if (!is_float(a) || !is_float(b))
        return "not float on both sides";
    if (a->dtype != b->dtype && (dtype_traits(a->dtype)->bits <= 8 || dtype_traits(b->dtype)->bits <= 8))
        return "codes of 8 bits may carry scales elsewhere";
    return NULL;
}

static void judge_spread(const struct tensor *tensor, struct anomaly_case *found)
{
    if (is_norm_or_bias(tensor) || !is_matrix(tensor))
        found->severity = SEVERITY_WARNING;
}

/* How many times the baseline's spread and largest value this is. */
static enum anomaly_outcome ratios(const struct anomaly_context *x, size_t pair, struct anomaly_case *found,
                                   double *ret_std, double *ret_abs_max)
{
    const struct side_record *side = side_of(x, pair), *baseline = baseline_of(x, pair);
    const char *reason;

    if (!baseline || !comparison_delta(x->comparison, pair))
        return ANOMALY_NONE;
    reason = incomparable_spread(x, pair);
    if (!reason && (baseline->finite < 2 || side->finite < 2))
        reason = "fewer than two finite elements";
    if (!reason && !(side_std(baseline) > 0))
        reason = "the baseline has no spread";
    if (reason)
        return not_evaluated(found, reason);
    *ret_std = side_std(side) / side_std(baseline);
    *ret_abs_max = side->abs_max / baseline->abs_max;
    tell(found, "std", side_std(side));
    tell(found, "baseline_std", side_std(baseline));
    tell(found, "std_ratio", *ret_std);
    tell(found, "abs_max", side->abs_max);
    tell(found, "baseline_abs_max", baseline->abs_max);
    tell(found, "abs_max_ratio", *ret_abs_max);
    judge_spread(tensor_of(x, pair), found);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_exploded(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    double k = options_of(x)->exploded_ratio, std, abs_max;
    enum anomaly_outcome outcome = ratios(x, pair, found, &std, &abs_max);

    if (outcome != ANOMALY_FOUND)
        return outcome;
    return std > k || abs_max > k ? ANOMALY_FOUND : ANOMALY_NONE;
}

static enum anomaly_outcome check_collapsed(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    double k = options_of(x)->exploded_ratio, std, abs_max;
    enum anomaly_outcome outcome = ratios(x, pair, found, &std, &abs_max);

    if (outcome != ANOMALY_FOUND)
        return outcome;
    return std < 1 / k ? ANOMALY_FOUND : ANOMALY_NONE;
}

/* Against the same place in other layers: z = (std − median) ÷ (1.4826 MAD), and std ÷ median. A small MAD alone makes
 * large z of harmless differences, so both must be far out. */
static enum anomaly_outcome peer_figures(const struct anomaly_context *x, size_t pair, struct anomaly_case *found,
                                         double *ret_z, double *ret_ratio)
{
    const struct anomaly_peers *peers = &x->peers[pair];
    const struct side_record *side = side_of(x, pair);
    double std = side_std(side);

    if (!is_float(tensor_of(x, pair)) || side->finite < 2)
        return ANOMALY_NONE;
    if (peers->others < PEERS_MIN)
        return not_evaluated(found, "fewer than 5 peers in other layers");
    if (!(peers->mad > 0) || !(peers->median > 0))
        return not_evaluated(found, "the peers have no spread (MAD 0)");
    *ret_z = (std - peers->median) / (1.4826 * peers->mad);
    *ret_ratio = std / peers->median;
    tell(found, "std", std);
    tell(found, "peers_median", peers->median);
    tell(found, "peers_mad", peers->mad);
    tell(found, "robust_z", *ret_z);
    tell(found, "ratio", *ret_ratio);
    tell_count(found, "peers", peers->others);
    judge_spread(tensor_of(x, pair), found);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_peer_exploded(const struct anomaly_context *x, size_t pair,
                                                struct anomaly_case *found)
{
    double z, ratio;
    enum anomaly_outcome outcome = peer_figures(x, pair, found, &z, &ratio);

    if (outcome != ANOMALY_FOUND)
        return outcome;
    return z > options_of(x)->robust_z && ratio > options_of(x)->exploded_ratio ? ANOMALY_FOUND : ANOMALY_NONE;
}

static enum anomaly_outcome check_peer_collapsed(const struct anomaly_context *x, size_t pair,
                                                 struct anomaly_case *found)
{
    double z, ratio;
    enum anomaly_outcome outcome = peer_figures(x, pair, found, &z, &ratio);

    if (outcome != ANOMALY_FOUND)
        return outcome;
    return z < -options_of(x)->robust_z && ratio < 1 / options_of(x)->exploded_ratio ? ANOMALY_FOUND : ANOMALY_NONE;
}

static enum anomaly_outcome check_channels(const struct anomaly_context *x, size_t pair,
                                           const struct channel_norms *all, struct anomaly_case *found)
{
    const struct channel_norms *channels;

    if (!is_float(tensor_of(x, pair)) || !is_matrix(tensor_of(x, pair)))
        return ANOMALY_NONE;
    channels = all ? &all[pair * x->comparison->model_count + x->model] : NULL;
    if (!channels || channels->count == 0)
        return not_evaluated(found, "channels were not measured");
    if (!(channels->median > 0))
        return not_evaluated(found, "the median norm is zero");
    if (!(channels->max > options_of(x)->outlier_ratio * channels->median))
        return ANOMALY_NONE;
    tell(found, "max_norm", channels->max);
    tell(found, "median_norm", channels->median);
    tell(found, "ratio", channels->max / channels->median);
    tell_count(found, "at", channels->max_at);
    tell_count(found, "channels", channels->count);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_rows(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    return check_channels(x, pair, x->comparison->scan->rows, found);
}

static enum anomaly_outcome check_columns(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    return check_channels(x, pair, x->comparison->scan->columns, found);
}

static enum anomaly_outcome check_saturated(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair);

    if (side->saturated == 0 || share(side->saturated, side->elements) < options_of(x)->saturated_share)
        return ANOMALY_NONE;
    tell_count(found, "saturated", side->saturated);
    tell(found, "share", share(side->saturated, side->elements));
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_subnormal(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct side_record *side = side_of(x, pair);
    const struct side_profile *profiles = x->comparison->scan->profiles;
    uint64_t subnormals;

    if (!is_float(tensor_of(x, pair)))
        return ANOMALY_NONE;
    if (!profiles)
        return not_evaluated(found, "subnormals were not counted");
    subnormals = profiles[pair * x->comparison->model_count + x->model].subnormals;
    if (subnormals == 0 || share(subnormals, side->elements) < options_of(x)->subnormal_share)
        return ANOMALY_NONE;
    tell_count(found, "subnormals", subnormals);
    tell(found, "share", share(subnormals, side->elements));
    return ANOMALY_FOUND;
}

/* Bits of the fraction; those above are sign and exponent. 0: every bit counts as high. */
static uint32_t fraction_bits(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F64:
        return 52;
    case DTYPE_F32:
        return 23;
    case DTYPE_F16:
        return 10;
    case DTYPE_BF16:
        return 7;
    case DTYPE_F8_E4M3:
    case DTYPE_F8_E4M3FNUZ:
        return 3;
    case DTYPE_F8_E5M2:
    case DTYPE_F8_E5M2FNUZ:
        return 2;
    case DTYPE_I8:
    case DTYPE_U8:
        return 7;
    default:
        return 0;
    }
}

static enum anomaly_outcome check_bit_flips(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct delta_record *delta = comparison_delta(x->comparison, pair);
    enum dtype_kind kind = dtype_traits(tensor_of(x, pair)->dtype)->kind;
    const struct flips *flips;
    uint32_t highest = 0;

    if (!delta || delta->changed == 0 || delta->changed > options_of(x)->bit_flip_max)
        return ANOMALY_NONE;
    /* Counters and indexes move by a bit as a matter of course; 8-bit integers are weights. */
    if (kind != DTYPE_KIND_FLOAT && dtype_traits(tensor_of(x, pair)->dtype)->bits != 8)
        return ANOMALY_NONE;
    if (!x->comparison->scan->flips)
        return not_evaluated(found, "changed bits were not read");
    flips = &x->comparison->scan->flips[pair];
    if (flips->count != delta->changed)
        return ANOMALY_NONE;
    for (uint32_t i = 0; i < flips->count; i++) {
        if (flips->items[i].bits != 1)
            return ANOMALY_NONE;
        if (flips->items[i].highest > highest)
            highest = flips->items[i].highest;
    }
    if (highest < fraction_bits(tensor_of(x, pair)->dtype)) {
        if (delta->elements < FLIP_ELEMENTS_MIN)
            return ANOMALY_NONE;
        found->severity = SEVERITY_WARNING;
    }
    tell_count(found, "elements", delta->changed);
    tell_count(found, "first_at", flips->items[0].at);
    tell_count(found, "highest_bit", highest);
    tell(found, "max_abs", delta->max_abs);
    return ANOMALY_FOUND;
}

static enum anomaly_outcome check_signs(const struct anomaly_context *x, size_t pair, struct anomaly_case *found)
{
    const struct delta_record *delta = comparison_delta(x->comparison, pair);

    if (!delta || delta->elements < SIGN_ELEMENTS_MIN || !is_float(tensor_of(x, pair)) || delta->sign_flips == 0 ||
        share(delta->sign_flips, delta->finite) < options_of(x)->sign_flip_share)
        return ANOMALY_NONE;
    tell_count(found, "sign_flips", delta->sign_flips);
    tell(found, "share", share(delta->sign_flips, delta->finite));
    return ANOMALY_FOUND;
}

const struct anomaly_rule anomaly_rules[] = {
    {"nan", "itself", SEVERITY_CRITICAL, NEED_SIDE, 1, NULL, "elements that are NaN", check_nan},
    {"inf", "itself", SEVERITY_ERROR, NEED_SIDE, 1, NULL, "elements that are infinite", check_inf},
    {"all_zero", "itself", SEVERITY_ERROR, NEED_SIDE, 1, NULL, "every element is zero", check_all_zero},
    {"constant", "itself", SEVERITY_ERROR, NEED_SIDE, 1, NULL, "every element has the same value", check_constant},
    {"dead_rows", "itself", SEVERITY_WARNING, NEED_SIDE | NEED_ROWS, 1, "dead_rows_share", "rows of zeros alone",
     check_dead_rows},
    {"exploded", "baseline", SEVERITY_ERROR, NEED_SIDE | NEED_DELTA, 2, "exploded_ratio",
     "spread or largest value many times the baseline's", check_exploded},
    {"exploded", "peers", SEVERITY_ERROR, NEED_SIDE, 1, "robust_z", "spread far above that of other layers",
     check_peer_exploded},
    {"collapsed", "baseline", SEVERITY_ERROR, NEED_SIDE | NEED_DELTA, 2, "exploded_ratio",
     "spread a small part of the baseline's", check_collapsed},
    {"collapsed", "peers", SEVERITY_ERROR, NEED_SIDE, 1, "robust_z", "spread far below that of other layers",
     check_peer_collapsed},
    {"outlier_channels", "rows", SEVERITY_WARNING, NEED_ROWS, 1, "outlier_ratio", "a row's norm many times the median",
     check_rows},
    {"outlier_channels", "columns", SEVERITY_WARNING, NEED_COLUMNS, 1, "outlier_ratio",
     "a column's norm many times the median", check_columns},
    {"saturated", "itself", SEVERITY_WARNING, NEED_SIDE | NEED_SATURATION, 1, "saturated_share",
     "elements at the extreme codes of an 8-bit type", check_saturated},
    {"subnormal", "itself", SEVERITY_WARNING, NEED_SIDE | NEED_PROFILE, 1, "subnormal_share", "subnormal elements",
     check_subnormal},
    {"bit_flip_suspect", "baseline", SEVERITY_ERROR, NEED_DELTA | NEED_FLIPS, 2, "bit_flip_max",
     "a few changed elements, each in one bit", check_bit_flips},
    {"sign_flip_mass", "baseline", SEVERITY_WARNING, NEED_DELTA, 2, "sign_flip_share", "elements whose sign turned",
     check_signs},
};
const size_t anomaly_rule_count = sizeof(anomaly_rules) / sizeof(anomaly_rules[0]);

double anomaly_threshold(const struct anomaly_rule *rule, const struct options *options)
{
    const struct option *option = rule->option ? option_find(rule->option, strlen(rule->option)) : NULL;
    const char *field = option ? (const char *)options + option->offset : NULL;
    uint64_t count;
    double number;

    if (!option)
        return 0;
    if (option->kind == OPTION_COUNT) {
        memcpy(&count, field, sizeof(count));
        return (double)count;
    }
    memcpy(&number, field, sizeof(number));
    return number;
}
