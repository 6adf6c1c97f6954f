/* The table of options, and what reads and writes them through it. */
#include "core/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layouts.h"

const char *const sort_names[SORT_COUNT + 1] = {
    [SORT_NAME] = "name",
    [SORT_CHANGE_MAGNITUDE] = "change_magnitude",
    [SORT_L2] = "l2",
    [SORT_RELATIVE_L2] = "relative_l2",
    [SORT_RMS] = "rms",
    [SORT_MAX_ABS] = "max_abs",
    [SORT_MEAN] = "mean",
    [SORT_MEAN_ABS] = "mean_abs",
    [SORT_COSINE] = "cosine",
    [SORT_CHANGED_ELEMENTS] = "changed_elements",
    [SORT_CHANGED_FRACTION] = "changed_fraction",
    [SORT_SIGN_FLIPS] = "sign_flips",
    [SORT_BEYOND_EPSILON] = "beyond_epsilon",
};

static const char *const across_names[] = {"none", "within", "between", NULL};
static const char *const align_names[] = {[ALIGN_AUTO] = "auto", [ALIGN_NONE] = "none", NULL};
static const char *const order_names[] = {"default", "ascending", "descending", NULL};

#define FIELD(field) offsetof(struct options, field)
#define QUANTIZATION "quantization_analysis"
#define IMPACT       "layer_impact"
#define CONVERGENCE  "convergence_analysis"
#define GRADIENT     "gradient_analysis"
#define SIMILARITY   "similarity_matrix"
#define ARCHITECTURE "architecture_comparison"
#define MEMORY       "memory_analysis"
#define ANOMALY      "anomaly_detection"
#define CHANGE       "change_summary"

const struct option options_table[] = {
    {"include", NULL, OPTION_PATTERNS, FIELD(include), 0, 0, 0, NULL, "PATTERN",
     "Compare only tensors whose name matches (PCRE2; may be repeated)."},
    {"exclude", NULL, OPTION_PATTERNS, FIELD(exclude), 0, 0, 0, NULL, "PATTERN",
     "Leave out tensors whose name matches (PCRE2; may be repeated)."},
    {"epsilon", NULL, OPTION_NUMBER, FIELD(epsilon), 0, HUGE_VAL, NAN, NULL, "X",
     "Count elements with |delta| > X; the verdict is equivalent when there are none."},
    {"align", NULL, OPTION_CHOICE, FIELD(align), 0, 0, ALIGN_AUTO, align_names, "HOW",
     "How tensors are paired: auto (names, layouts, known prefixes, content), none (equal names only), or a file of "
     "rules "
     "(JSON) that come before those of auto."},
    {"headers_only", NULL, OPTION_FLAG, FIELD(headers_only), 0, 0, 0, NULL, NULL,
     "Compare names, shapes and dtypes; read no weights."},
    {"only_changed", NULL, OPTION_FLAG, FIELD(only_changed), 0, 0, 0, NULL, NULL,
     "List only tensors that are not equal."},
    {"top", NULL, OPTION_COUNT, FIELD(top), 0, 1e9, 0, NULL, "N", "List the first N tensors only; 0 lists all."},
    {"sort", NULL, OPTION_CHOICE, FIELD(sort), 0, 0, SORT_NAME, sort_names, "KEY",
     "Order of the listing: name, change_magnitude or a delta field."},
    {"order", NULL, OPTION_CHOICE, FIELD(order), 0, 0, 0, order_names, "ORDER",
     "ascending or descending; by default names ascend and figures descend."},
    {"digest", NULL, OPTION_FLAG, FIELD(digest), 0, 0, 0, NULL, NULL,
     "Of one model: a fingerprint of its values, whatever the order of its tensors, its shards or its metadata."},
    {"quantiles", "stats", OPTION_FLAG, FIELD(quantiles), 0, 0, 0, NULL, NULL,
     "Add the quantiles p01 p05 p25 p50 p75 p95 p99 of each side."},
    {"what_if", QUANTIZATION, OPTION_FLAG, FIELD(what_if), 0, 0, 0, NULL, NULL,
     "Measure what each baseline tensor would lose at F16, BF16, F8, INT8 and INT4."},
    {"precision_minimal_db", QUANTIZATION, OPTION_NUMBER, FIELD(precision_minimal_db), -1000, 1000, 40, NULL, "DB",
     "SQNR from which the loss of precision is called minimal."},
    {"precision_low_db", QUANTIZATION, OPTION_NUMBER, FIELD(precision_low_db), -1000, 1000, 30, NULL, "DB",
     "SQNR from which it is called low."},
    {"precision_moderate_db", QUANTIZATION, OPTION_NUMBER, FIELD(precision_moderate_db), -1000, 1000, 20, NULL, "DB",
     "SQNR from which it is called moderate."},
    {"precision_high_db", QUANTIZATION, OPTION_NUMBER, FIELD(precision_high_db), -1000, 1000, 10, NULL, "DB",
     "SQNR from which it is called high; below it is severe."},
    {"most_damaged", QUANTIZATION, OPTION_COUNT, FIELD(most_damaged), 0, 10000, 10, NULL, "N",
     "Length of the lists most_damaged and upgrade_candidates."},
    {"impact_low", IMPACT, OPTION_NUMBER, FIELD(impact_low), 0, 1e9, 0.5, NULL, "X",
     "Impact is low below X times an even share by parameters."},
    {"impact_high", IMPACT, OPTION_NUMBER, FIELD(impact_high), 0, 1e9, 2, NULL, "X",
     "Impact is high above X times an even share by parameters."},
    {"convergence_tolerance", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_tolerance), 0, 1e9, 1e-4, NULL, "X",
     "Converged: the last step is at most X times the norm of the weights."},
    {"convergence_shrinking", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_shrinking), 0, 1, 0.95, NULL, "X",
     "Converging: each step is at most X times the one before, by the fitted rate."},
    {"convergence_growing", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_growing), 1, 1e9, 1.05, NULL, "X",
     "Diverging: each step is at least X times the one before, by the fitted rate."},
    {"convergence_r_squared", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_r_squared), 0, 1, 0.5, NULL, "X",
     "R squared from which a fitted rate is believed."},
    {"convergence_oscillation", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_oscillation), -1, 1, -0.1, NULL, "X",
     "Oscillating: the median cosine of successive steps in the later half is at most X."},
    {"convergence_spread", CONVERGENCE, OPTION_NUMBER, FIELD(convergence_spread), 1, 1e9, 2, NULL, "X",
     "Plateaued: the largest step is at most X times the smallest."},
    {"straggler_factor", CONVERGENCE, OPTION_NUMBER, FIELD(straggler_factor), 1, 1e9, 2, NULL, "X",
     "A layer straggles when its last relative step is over X times the layers' median."},
    {"update_proxy", GRADIENT, OPTION_FLAG, FIELD(update_proxy), 0, 0, 0, NULL, NULL,
     "Where no gradients are stored, take baseline minus candidate for them."},
    {"gradient_vanishing", GRADIENT, OPTION_NUMBER, FIELD(gradient_vanishing), 0, 1, 1e-3, NULL, "X",
     "Vanishing: a layer's RMS gradient is under X times that of the last layer."},
    {"gradient_exploding", GRADIENT, OPTION_NUMBER, FIELD(gradient_exploding), 1, 1e300, 1e3, NULL, "X",
     "Exploding: it is over X times that of the last layer."},
    {"similarity_layers", SIMILARITY, OPTION_FLAG, FIELD(similarity_layers), 0, 0, 0, NULL, NULL,
     "Add the matrices of every layer."},
    {"similarity_across", SIMILARITY, OPTION_CHOICE, FIELD(similarity_across), 0, 0, ACROSS_NONE, across_names, "WHICH",
     "Also hold layers of equal shapes against each other: within each model, or between the first and the last."},
    {"architecture_list", ARCHITECTURE, OPTION_COUNT, FIELD(architecture_list), 0, 1e6, 100, NULL, "N",
     "Length of each list of tensors, blocks and differences; what is beyond is counted."},
    {"opportunities", MEMORY, OPTION_COUNT, FIELD(opportunities), 0, 1e6, 100, NULL, "N",
     "Length of the list opportunities, the largest savings first."},
    {"exploded_ratio", ANOMALY, OPTION_NUMBER, FIELD(exploded_ratio), 1, 1e300, 10, NULL, "X",
     "Spread or largest value X times another's is exploded; under 1/X of it, collapsed."},
    {"robust_z", ANOMALY, OPTION_NUMBER, FIELD(robust_z), 0, 1e300, 10, NULL, "X",
     "Distance from the median of other layers, in units of 1.4826 MAD, that exploded and collapsed need there."},
    {"outlier_ratio", ANOMALY, OPTION_NUMBER, FIELD(outlier_ratio), 1, 1e300, 10, NULL, "X",
     "A row or column whose norm is X times the median is an outlier."},
    {"dead_rows_share", ANOMALY, OPTION_NUMBER, FIELD(dead_rows_share), 0, 1, 0.05, NULL, "X",
     "Share of all-zero rows from which they are reported."},
    {"saturated_share", ANOMALY, OPTION_NUMBER, FIELD(saturated_share), 0, 1, 0.05, NULL, "X",
     "Share of elements at an 8-bit type's extreme codes from which they are reported."},
    {"subnormal_share", ANOMALY, OPTION_NUMBER, FIELD(subnormal_share), 0, 1, 0.1, NULL, "X",
     "Share of subnormal elements from which they are reported."},
    {"sign_flip_share", ANOMALY, OPTION_NUMBER, FIELD(sign_flip_share), 0, 1, 0.25, NULL, "X",
     "Share of elements with another sign from which they are reported."},
    {"bit_flip_max", ANOMALY, OPTION_COUNT, FIELD(bit_flip_max), 0, 8, 8, NULL, "N",
     "At most N changed elements, each in one bit, are suspected to be bit flips."},
    {"top_changes", CHANGE, OPTION_COUNT, FIELD(top_changes), 0, 10000, 10, NULL, "N",
     "Length of the list top_tensors."},
    {"low_rank_elements", CHANGE, OPTION_COUNT, FIELD(low_rank_elements), 0, 0x1p40, 0x1p26, NULL, "N",
     "Elements of changed matrices that are read again for their singular values, the most changed first."},
    {"low_rank_energy", CHANGE, OPTION_NUMBER, FIELD(low_rank_energy), 0, 1, 0.999, NULL, "X",
     "Share of the energy of a change that its rank must hold."},
    {"low_rank_ratio", CHANGE, OPTION_NUMBER, FIELD(low_rank_ratio), 0, 1, 0.25, NULL, "X",
     "A rank up to X times a matrix' smaller side is low."},
    {"low_rank_share", CHANGE, OPTION_NUMBER, FIELD(low_rank_share), 0, 1, 0.99, NULL, "X",
     "Share of the change that must lie in tensors of low rank for low_rank."},
    {"fine_tune_relative_l2", CHANGE, OPTION_NUMBER, FIELD(fine_tune_relative_l2), 0, 1e9, 0.75, NULL, "X",
     "Relative L2 of the changed tensors up to which a change is a fine-tune."},
    {"fine_tune_cosine", CHANGE, OPTION_NUMBER, FIELD(fine_tune_cosine), -1, 1, 0.75, NULL, "X",
     "Cosine of the changed tensors from which a change is a fine-tune."},
    {"frozen_share", CHANGE, OPTION_NUMBER, FIELD(frozen_share), 0, 1, 0.01, NULL, "X",
     "Share of weight matrices' parameters left unchanged from which a fine-tune is partial."},
    {"pruned_share", CHANGE, OPTION_NUMBER, FIELD(pruned_share), 0, 1, 0.99, NULL, "X",
     "Share of the changed elements that must be new zeros for pruned."},
    {"pruned_fraction", CHANGE, OPTION_NUMBER, FIELD(pruned_fraction), 0, 1, 0.01, NULL, "X",
     "Share of the changed tensors' elements that must be new zeros for pruned."},
    {"unrelated_cosine", CHANGE, OPTION_NUMBER, FIELD(unrelated_cosine), 0, 1, 0.1, NULL, "X",
     "A matrix whose cosine is within X of 0 (or 4 / sqrt(elements), where that is more) has nothing of the old one."},
    {"unrelated_share", CHANGE, OPTION_NUMBER, FIELD(unrelated_share), 0, 1, 0.9, NULL, "X",
     "Share of the weight matrices' parameters in such matrices from which the models are unrelated."},
    {"requantized_sqnr_db", CHANGE, OPTION_NUMBER, FIELD(requantized_sqnr_db), -1000, 1000, 10, NULL, "DB",
     "SQNR from which a change of stored type below 16 bits is requantized."},
};
const size_t options_count = sizeof(options_table) / sizeof(options_table[0]);

static void *field_of(struct options *options, const struct option *option)
{
    return (char *)options + option->offset;
}

static const void *field_of_const(const struct options *options, const struct option *option)
{
    return (const char *)options + option->offset;
}

void options_init(struct options *options)
{
    memset(options, 0, sizeof(*options));
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];

        if (option->kind == OPTION_NUMBER)
            *(double *)field_of(options, option) = option->fallback;
        else if (option->kind == OPTION_COUNT)
            *(uint64_t *)field_of(options, option) = (uint64_t)option->fallback;
        else if (option->kind == OPTION_CHOICE)
            *(unsigned *)field_of(options, option) = (unsigned)option->fallback;
    }
}

static void patterns_done(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        free(patterns->text[i]);
    free(patterns->text);
}

void options_done(struct options *options)
{
    patterns_done(&options->include);
    patterns_done(&options->exclude);
    layout_rules_done(options->align_rules);
    free(options->align_rules);
    options->align_rules = NULL;
}

int options_set_align_rules(struct options *options, const char *text, size_t bytes, struct error *err)
{
    struct layout_rules *rules = calloc(1, sizeof(*rules));
    int rc = rules ? layout_rules_read(text, bytes, rules, err) : error_set(err, ERROR_NO_MEMORY, "out of memory");

    if (rc) {
        free(rules);
        return rc;
    }
    layout_rules_done(options->align_rules);
    free(options->align_rules);
    options->align_rules = rules;
    options->align = ALIGN_AUTO;
    return 0;
}

bool option_is_choice(const struct option *option, const char *text)
{
    for (unsigned i = 0; option->kind == OPTION_CHOICE && option->choices[i]; i++)
        if (strcmp(option->choices[i], text) == 0)
            return true;
    return false;
}

const struct option *option_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < options_count; i++) {
        const char *known = options_table[i].name;
        size_t at = 0;

        while (at < bytes && known[at] && known[at] == (name[at] == '-' ? '_' : name[at]))
            at++;
        if (at == bytes && !known[at])
            return &options_table[i];
    }
    return NULL;
}

int option_set_flag(struct options *options, const struct option *option, bool value, struct error *err)
{
    if (option->kind != OPTION_FLAG)
        return error_set(err, ERROR_REQUEST, "%s must not be a boolean", option->name);
    *(bool *)field_of(options, option) = value;
    return 0;
}

int option_set_number(struct options *options, const struct option *option, double value, struct error *err)
{
    if (option->kind != OPTION_NUMBER && option->kind != OPTION_COUNT)
        return error_set(err, ERROR_REQUEST, "%s must not be a number", option->name);
    if (!isfinite(value) || value < option->min || value > option->max)
        return error_set(err, ERROR_REQUEST, "%s must be a number from %g to %g", option->name, option->min,
                         option->max);
    if (option->kind == OPTION_COUNT) {
        if (value != floor(value))
            return error_set(err, ERROR_REQUEST, "%s must be a whole number", option->name);
        *(uint64_t *)field_of(options, option) = (uint64_t)value;
    } else {
        *(double *)field_of(options, option) = value;
    }
    return 0;
}

static int add_pattern(struct patterns *patterns, const char *text, struct error *err)
{
    char **grown = reallocarray(patterns->text, patterns->count + 1, sizeof(*grown));

    if (!grown)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    patterns->text = grown;
    grown[patterns->count] = strdup(text);
    if (!grown[patterns->count])
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    patterns->count++;
    return 0;
}

int option_set_text(struct options *options, const struct option *option, const char *text, struct error *err)
{
    if (option->kind == OPTION_PATTERNS)
        return add_pattern(field_of(options, option), text, err);
    if (option->kind != OPTION_CHOICE)
        return error_set(err, ERROR_REQUEST, "%s must not be a string", option->name);
    for (unsigned i = 0; option->choices[i]; i++)
        if (strcmp(option->choices[i], text) == 0) {
            *(unsigned *)field_of(options, option) = i;
            return 0;
        }
    error_set(err, ERROR_REQUEST, "%s must be one of", option->name);
    for (unsigned i = 0; err && option->choices[i]; i++) {
        size_t used = strlen(err->text);
        size_t bytes = strlen(option->choices[i]);

        if (used + bytes + 3 >= sizeof(err->text))
            break;
        err->text[used++] = i ? ',' : ' ';
        if (i)
            err->text[used++] = ' ';
        memcpy(err->text + used, option->choices[i], bytes + 1);
    }
    return ERROR_REQUEST;
}

int option_parse(struct options *options, const struct option *option, const char *argument, struct error *err)
{
    char *end;
    double value;

    if (option->kind == OPTION_FLAG)
        return option_set_flag(options, option, true, err);
    if (option->kind != OPTION_NUMBER && option->kind != OPTION_COUNT)
        return option_set_text(options, option, argument, err);
    errno = 0;
    value = strtod(argument, &end);
    if (end == argument || *end)
        return error_set(err, ERROR_REQUEST, "%s must be a number", option->name);
    return option_set_number(options, option, value, err);
}

static bool is_default(const struct options *options, const struct option *option)
{
    const void *field = field_of_const(options, option);

    switch (option->kind) {
    case OPTION_FLAG:
        return !*(const bool *)field;
    case OPTION_COUNT:
        return *(const uint64_t *)field == (uint64_t)option->fallback;
    case OPTION_NUMBER:
        return isnan(option->fallback) ? isnan(*(const double *)field) : *(const double *)field == option->fallback;
    case OPTION_CHOICE:
        return *(const unsigned *)field == (unsigned)option->fallback;
    case OPTION_PATTERNS:
        return ((const struct patterns *)field)->count == 0;
    }
    return true;
}

void options_write(const struct options *options, struct writer *w)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const void *field = field_of_const(options, option);

        if (option->offset == FIELD(align) && options->align_rules) {
            write_object(w, option->name);
            layout_rules_write(options->align_rules, w);
            write_end(w);
            continue;
        }
        if (is_default(options, option))
            continue;
        switch (option->kind) {
        case OPTION_FLAG:
            write_flag(w, option->name, true);
            break;
        case OPTION_COUNT:
            write_u64(w, option->name, *(const uint64_t *)field);
            break;
        case OPTION_NUMBER:
            write_figure(w, option->name, *(const double *)field, NULL);
            break;
        case OPTION_CHOICE:
            write_text(w, option->name, option->choices[*(const unsigned *)field]);
            break;
        case OPTION_PATTERNS: {
            const struct patterns *patterns = field;

            write_array(w, option->name);
            for (size_t p = 0; p < patterns->count; p++)
                write_name(w, name_of(patterns->text[p]));
            write_end(w);
            break;
        }
        }
    }
}
