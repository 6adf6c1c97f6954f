/* The engine's only door: models in, findings out, progress and cancel on the way. */
#ifndef CORE_COMPARE_H
#define CORE_COMPARE_H

#include "core/adapter/merge.h"
#include "core/analysis/couples_plan.h"
#include "core/fingerprint.h"
#include "core/gate.h"
#include "core/model/align.h"
#include "core/model/layers.h"
#include "core/model/model.h"
#include "core/options.h"
#include "core/scan/scan.h"
#include "core/scan/settle.h"
#include "core/writer.h"

struct compare_env {
    struct scan_env scan;
    void (*phase)(void *context, const char *phase); /* optional: "open", "align", "scan", "analyse", … */
    void *phase_context;
};

struct compare_request {
    uint32_t analyses; /* bit i: analyses[i] */
    struct options options;
    struct gate gate; /* no rules: no gate */
};

enum tensor_status {
    STATUS_BIT_EQUAL,
    STATUS_VALUE_EQUAL,
    STATUS_CHANGED,
    STATUS_SHAPE_CHANGED,
    STATUS_ADDED,
    STATUS_REMOVED,
    STATUS_NOT_COMPARED,
    STATUS_COUNT
};
extern const char *const status_names[STATUS_COUNT];

enum verdict { VERDICT_IDENTICAL, VERDICT_EQUIVALENT, VERDICT_CHANGED, VERDICT_INCOMPARABLE };
extern const char *const verdict_names[];

struct comparison_warning {
    const char *code;
    char *message;
    struct name tensor; /* .text NULL: none */
};

/* A finished comparison of n models (n = 1: a profile). Typed; analyses and renderers read it. */
struct comparison {
    const struct compare_request *request; /* borrowed */
    struct model *const *models;           /* borrowed; headers only */
    size_t model_count;
    struct pairing *pairing;
    bool *is_shared;             /* [pair]: as pairing_find_shared; NULL: none */
    struct scan_result *scan;    /* NULL with headers_only */
    struct couple_layers layers; /* with couples: what scan->couples sums by */
    uint8_t *status;             /* [pair]: enum tensor_status; STATUS_COUNT: none, as in a profile */
    uint64_t status_counts[STATUS_COUNT];
    enum verdict verdict;
    const char *because;           /* of equivalent: "values", "renamed" or "epsilon"; NULL otherwise */
    struct merge_report *merge;    /* NULL: no model has an adapter, or nothing was read */
    struct settlement *settlement; /* NULL: pairs were not sought by content */
    uint64_t renamed,
        copied; /* pairs of baseline and candidate by prefix or content; copies of tensors paired elsewhere */
    bool is_metadata_changed;
    struct delta_record total; /* model-level, over float pairs in canonical order */
    uint64_t parameters_compared, parameters_changed;
    struct module_memo *modules; /* for whoever writes records, one at a time */
    uint32_t *listing;           /* pairs to list, filtered and sorted */
    size_t listing_count;
    struct comparison_warning *warnings;
    size_t warning_count;
    struct gate_result *gate;       /* NULL without rules */
    struct fingerprint fingerprint; /* with the option digest */
    void **states;                  /* [analysis]: what prepare returned */
};

/* Compares (n ≥ 2) or profiles (n = 1) opened models. The models must outlive the comparison. ERROR_REQUEST for a bad
 * pattern, ERROR_CHANGED for a file that changed meanwhile, ERROR_CANCELLED, and whatever reading brings. */
int compare_run(const struct compare_request *request, struct model *const *models, size_t model_count,
                const struct compare_env *env, struct comparison **ret_comparison, struct error *err);
void comparison_free(struct comparison *comparison);

/* Checks what can be checked before a model is opened: patterns and their limits, options that need one another. */
int compare_request_check(const struct compare_request *request, struct error *err);

/* Writes the result document ("diffaid.result/v1"), one event at a time. extra, when given, is called
 * last, to add members of its own (the command line's run{}). */
void comparison_write(const struct comparison *comparison, struct writer *w,
                      void (*extra)(void *context, struct writer *w), void *extra_context);

/* Writes the member summary. */
void comparison_write_summary(const struct comparison *comparison, struct writer *w);

/* Writes one tensor's record, an object. */
void comparison_write_tensor(const struct comparison *comparison, size_t pair, struct writer *w);

/* The one sentence that says what was found; of a profile, what the model holds. */
void comparison_headline(const struct comparison *comparison, char *out, size_t size);

const struct tensor *comparison_tensor(const struct comparison *c, size_t pair, size_t model);
/* The tensor of the same model in which all of its elements lie, or NULL. */
const struct tensor *comparison_within(const struct comparison *c, size_t pair, size_t model);
const struct side_record *comparison_side(const struct comparison *c, size_t pair, size_t model); /* NULL: not read */
const struct delta_record *comparison_delta(const struct comparison *c, size_t pair); /* NULL: not compared */

/* Whether the pair counts in model-level sums: compared, and of a float or complex type on both sides. A tensor's
 * second pair, as a copy, does not, nor what lies within another pair. */
bool comparison_is_summed(const struct comparison *c, size_t pair);
/* Whether an epsilon was given and the pair, though changed, stays within it everywhere. */
bool comparison_is_within_epsilon(const struct comparison *c, size_t pair);

#endif
