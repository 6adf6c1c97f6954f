/* What a comparison can be told: one table parses JSON members and flags and writes the help. */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/writer.h"

/* A list of patterns as given; owned. */
struct patterns {
    char **text;
    size_t count;
};

enum sort_key {
    SORT_NAME,
    SORT_CHANGE_MAGNITUDE,
    SORT_L2,
    SORT_RELATIVE_L2,
    SORT_RMS,
    SORT_MAX_ABS,
    SORT_MEAN,
    SORT_MEAN_ABS,
    SORT_COSINE,
    SORT_CHANGED_ELEMENTS,
    SORT_CHANGED_FRACTION,
    SORT_SIGN_FLIPS,
    SORT_BEYOND_EPSILON,
    SORT_COUNT
};
enum similarity_across { ACROSS_NONE, ACROSS_WITHIN, ACROSS_BETWEEN };
extern const char *const sort_names[SORT_COUNT + 1]; /* as requests spell them; NULL-terminated */

enum align_choice { ALIGN_AUTO, ALIGN_NONE };

struct layout_rules;

struct options {
    struct patterns include, exclude;
    double epsilon; /* NAN: none given */
    bool headers_only, only_changed, digest, quantiles, what_if;
    uint64_t top;                     /* 0: all */
    unsigned sort;                    /* enum sort_key */
    unsigned order;                   /* 0: the sort's own, 1: ascending, 2: descending */
    unsigned align;                   /* enum align_choice */
    struct layout_rules *align_rules; /* with ALIGN_AUTO, before all others; owned; NULL: none */
    /* quantization_analysis */
    double precision_minimal_db, precision_low_db, precision_moderate_db, precision_high_db;
    uint64_t most_damaged;
    /* layer_impact */
    double impact_low, impact_high;
    /* convergence_analysis */
    double convergence_tolerance, convergence_shrinking, convergence_growing, convergence_r_squared;
    double convergence_oscillation, convergence_spread, straggler_factor;
    /* gradient_analysis */
    bool update_proxy;
    double gradient_vanishing, gradient_exploding;
    /* similarity_matrix */
    bool similarity_layers;
    unsigned similarity_across; /* enum similarity_across */
    /* architecture_comparison */
    uint64_t architecture_list;
    /* memory_analysis */
    uint64_t opportunities;
    /* anomaly_detection */
    double exploded_ratio, robust_z, outlier_ratio, dead_rows_share, saturated_share, subnormal_share, sign_flip_share;
    uint64_t bit_flip_max;
    /* change_summary */
    uint64_t top_changes, low_rank_elements;
    double low_rank_energy, low_rank_ratio, low_rank_share, fine_tune_relative_l2, fine_tune_cosine, frozen_share;
    double pruned_share, pruned_fraction, unrelated_cosine, unrelated_share, requantized_sqnr_db;
};

enum option_kind { OPTION_FLAG, OPTION_COUNT, OPTION_NUMBER, OPTION_CHOICE, OPTION_PATTERNS };

struct option {
    const char *name;     /* JSON member; the flag is the same with dashes */
    const char *analysis; /* NULL: for all */
    enum option_kind kind;
    size_t offset; /* in struct options */
    double min, max, fallback;
    const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
    const char *value_name;     /* "X", "N", "PATTERN": what the help shows */
    const char *help;
};

extern const struct option options_table[];
extern const size_t options_count;

void options_init(struct options *options); /* defaults */
void options_done(struct options *options);
const struct option *option_find(const char *name, size_t bytes); /* dashes count as underscores; NULL when unknown */

/* Set one option; ERROR_REQUEST with "must be …" when the value is of the wrong kind or out of bounds. */
int option_set_flag(struct options *options, const struct option *option, bool value, struct error *err);
int option_set_number(struct options *options, const struct option *option, double value, struct error *err);
int option_set_text(struct options *options, const struct option *option, const char *text,
                    struct error *err); /* a choice, or one more pattern */
int option_parse(struct options *options, const struct option *option, const char *argument,
                 struct error *err); /* from a flag's argument */

/* Whether text is one of the option's choices. */
bool option_is_choice(const struct option *option, const char *text);

/* Sets align to auto with rules (JSON) of the caller's own. ERROR_REQUEST with what is wrong with them. */
int options_set_align_rules(struct options *options, const char *text, size_t bytes, struct error *err);

/* Writes the options that differ from their defaults as members of the object under way. */
void options_write(const struct options *options, struct writer *w);

#endif
