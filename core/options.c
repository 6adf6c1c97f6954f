/* The table of options, and what reads and writes them through it. */
#include "core/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static const char *const align_names[] = {[ALIGN_AUTO] = "auto", [ALIGN_NONE] = "none", NULL};
static const char *const order_names[] = {"default", "ascending", "descending", NULL};

#define FIELD(field) offsetof(struct options, field)
#define QUANTIZATION "quantization_analysis"
#define IMPACT       "layer_impact"

const struct option options_table[] = {
    {"include", NULL, OPTION_PATTERNS, FIELD(include), 0, 0, 0, NULL, "PATTERN",
     "Compare only tensors whose name matches (PCRE2; may be repeated)."},
    {"exclude", NULL, OPTION_PATTERNS, FIELD(exclude), 0, 0, 0, NULL, "PATTERN",
     "Leave out tensors whose name matches (PCRE2; may be repeated)."},
    {"epsilon", NULL, OPTION_NUMBER, FIELD(epsilon), 0, HUGE_VAL, NAN, NULL, "X",
     "Count elements with |delta| > X; the verdict is equivalent when there are none."},
    {"align", NULL, OPTION_CHOICE, FIELD(align), 0, 0, ALIGN_AUTO, align_names, "HOW",
     "How tensors are paired: auto (names, known prefixes, content) or none (equal names only)."},
    {"headers_only", NULL, OPTION_FLAG, FIELD(headers_only), 0, 0, 0, NULL, NULL,
     "Compare names, shapes and dtypes; read no weights."},
    {"only_changed", NULL, OPTION_FLAG, FIELD(only_changed), 0, 0, 0, NULL, NULL,
     "List only tensors that are not equal."},
    {"top", NULL, OPTION_COUNT, FIELD(top), 0, 1e9, 0, NULL, "N", "List the first N tensors only; 0 lists all."},
    {"sort", NULL, OPTION_CHOICE, FIELD(sort), 0, 0, SORT_NAME, sort_names, "KEY",
     "Order of the listing: name, change_magnitude or a delta field."},
    {"order", NULL, OPTION_CHOICE, FIELD(order), 0, 0, 0, order_names, "ORDER",
     "ascending or descending; by default names ascend and figures descend."},
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
