/* open models → align → scan → settle statuses and verdict → list. What is decided here is decided from typed records;
 * document.c writes it down. */
#include "core/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layouts.h"
#include "core/analysis/analysis.h"
#include "core/listing.h"
#include "core/model/shared.h"
#include "core/patterns.h"

const char *const status_names[STATUS_COUNT] = {
    [STATUS_BIT_EQUAL] = "bit_equal",
    [STATUS_VALUE_EQUAL] = "value_equal",
    [STATUS_CHANGED] = "changed",
    [STATUS_SHAPE_CHANGED] = "shape_changed",
    [STATUS_ADDED] = "added",
    [STATUS_REMOVED] = "removed",
    [STATUS_NOT_COMPARED] = "not_compared",
};

const char *const verdict_names[] = {
    [VERDICT_IDENTICAL] = "identical",
    [VERDICT_EQUIVALENT] = "equivalent",
    [VERDICT_CHANGED] = "changed",
    [VERDICT_INCOMPARABLE] = "incomparable",
};

const struct tensor *comparison_tensor(const struct comparison *c, size_t pair, size_t model)
{
    return pairing_tensor(c->pairing, (const struct model *const *)c->models, pair, model);
}

const struct tensor *comparison_within(const struct comparison *c, size_t pair, size_t model)
{
    const uint32_t side = c->pairing->side[pair * c->model_count + model];

    return side == PAIRING_NONE || (side & PAIRING_VIEW) ? NULL : model_within(c->models[model], side);
}

const struct side_record *comparison_side(const struct comparison *c, size_t pair, size_t model)
{
    const struct tensor *tensor = comparison_tensor(c, pair, model);

    if (!c->scan || !tensor || !tensor_is_decodable(tensor))
        return NULL;
    return &c->scan->sides[pair * c->model_count + model];
}

const struct delta_record *comparison_delta(const struct comparison *c, size_t pair)
{
    if (!c->scan || c->scan->coverage[pair] != COVERED_VALUES)
        return NULL;
    return &c->scan->deltas[pair];
}

bool comparison_is_summed(const struct comparison *c, size_t pair)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    return c->model_count > 1 && comparison_delta(c, pair) && dtype_is_parameter(a->dtype) &&
           dtype_is_parameter(b->dtype) && c->pairing->rule[pair] != PAIRED_AS_COPY &&
           c->pairing->rule[pair] != PAIRED_AS_TIED && !(c->is_shared && c->is_shared[pair]);
}

bool comparison_is_within_epsilon(const struct comparison *c, size_t pair)
{
    return !isnan(c->request->options.epsilon) && c->status[pair] == STATUS_CHANGED && comparison_delta(c, pair) &&
           comparison_delta(c, pair)->beyond_epsilon == 0;
}

static int warn(struct comparison *c, const char *code, struct name tensor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int warn(struct comparison *c, const char *code, struct name tensor, const char *format, ...)
{
    struct comparison_warning *grown = reallocarray(c->warnings, c->warning_count + 1, sizeof(*grown));
    va_list args;
    int length;

    if (!grown)
        return ERROR_NO_MEMORY;
    c->warnings = grown;
    grown = &grown[c->warning_count];
    *grown = (struct comparison_warning){.code = code, .tensor = tensor};
    va_start(args, format);
    length = vasprintf(&grown->message, format, args);
    va_end(args);
    if (length < 0) {
        grown->message = NULL;
        return ERROR_NO_MEMORY;
    }
    c->warning_count++;
    return 0;
}

struct selector {
    struct pattern_set *include, *exclude;
    struct error error; /* the first failure of a pattern; the pairing is thrown away then */
};

static bool is_selected(void *context, struct name name)
{
    struct selector *selector = context;
    bool matches = true;

    if (selector->error.code)
        return false;
    if (selector->include && pattern_set_match(selector->include, name, &matches, &selector->error))
        return false;
    if (!matches)
        return false;
    matches = false;
    if (selector->exclude && pattern_set_match(selector->exclude, name, &matches, &selector->error))
        return false;
    return !matches;
}

static int selector_open(struct selector *selector, const struct options *options, struct error *err)
{
    int rc = pattern_set_new(&options->include, &selector->include, err);

    return rc ? rc : pattern_set_new(&options->exclude, &selector->exclude, err);
}

static void selector_close(struct selector *selector)
{
    pattern_set_free(selector->include);
    pattern_set_free(selector->exclude);
}

int compare_request_check(const struct compare_request *request, struct error *err)
{
    const struct options *o = &request->options;
    struct selector selector = {0};
    int rc = selector_open(&selector, o, err);

    selector_close(&selector);
    if (rc)
        return rc;
    if (o->headers_only && (o->quantiles || o->what_if))
        return error_set(err, ERROR_REQUEST, "headers_only reads no weights, so %s cannot be measured",
                         o->quantiles ? "quantiles" : "what_if");
    if (o->headers_only && o->digest)
        return error_set(err, ERROR_REQUEST, "headers_only reads no weights, so there is nothing to digest");
    if (o->sort == SORT_BEYOND_EPSILON && isnan(o->epsilon))
        return error_set(err, ERROR_REQUEST, "sort beyond_epsilon needs an epsilon");
    if (o->impact_low > o->impact_high)
        return error_set(err, ERROR_REQUEST, "impact_low must not be above impact_high");
    return 0;
}

static int select_pairs(struct comparison *c, struct error *err)
{
    struct selector selector = {0};
    const struct selection selection = {.is_selected = is_selected, .context = &selector};
    int rc = selector_open(&selector, &c->request->options, err);

    if (rc == 0)
        pairing_select((const struct model *const *)c->models, c->pairing, &selection);
    if (rc == 0 && selector.error.code) {
        if (err)
            *err = selector.error;
        rc = selector.error.code;
    }
    selector_close(&selector);
    return rc;
}

/* Names, then the rest; what is selected is a pair, by its name. */
static int align(struct comparison *c, struct error *err)
{
    const struct model *const *models = (const struct model *const *)c->models;
    const struct options *options = &c->request->options;
    int rc = pairing_align(models, c->model_count, &c->pairing, err);

    if (rc == 0 && options->align == ALIGN_AUTO)
        rc = pairing_add_prefixed(models, c->pairing, err);
    if (rc == 0 && options->align == ALIGN_AUTO)
        rc = layouts_align(models, c->pairing, options->align_rules, !options->headers_only, err);
    if (rc == 0 && (options->include.count || options->exclude.count))
        rc = select_pairs(c, err);
    return rc;
}

/* Patterns that select nothing are a slip: "identical" would be said of nothing at all, and a pipeline would pass. */
static int check_selection(const struct comparison *c, struct error *err)
{
    const struct options *options = &c->request->options;
    const struct model *model = c->models[0];
    char name[NAME_PRINTABLE_BYTES];

    if (c->pairing->pairs > 0 || c->pairing->excluded == 0)
        return 0;
    for (size_t m = 1; m < c->model_count && model->tensor_count == 0; m++)
        model = c->models[m];
    name_printable(model->tensors[0].name, name);
    return error_set(err, ERROR_REQUEST, "%s selects no tensor of %" PRIu64 "; the first is \"%s\"",
                     !options->include.count   ? "exclude"
                     : !options->exclude.count ? "include"
                                               : "include with exclude",
                     c->pairing->excluded, name);
}

static bool is_content_sought(const struct comparison *c)
{
    return c->model_count > 1 && c->request->options.align == ALIGN_AUTO && !c->request->options.headers_only;
}

/* Pairs by content what names left unequal, and sums anew the couples of the layers where that changed something. */
static int align_content(struct comparison *c, const struct compare_env *env, struct error *err)
{
    const struct scan_plan plan = {
        .models = (const struct model *const *)c->models, .model_count = c->model_count, .pairing = c->pairing};
    int rc;

    if (!is_content_sought(c))
        return 0;
    rc = settle_by_content(&plan, &env->scan, c->pairing, c->scan, &c->settlement, err);
    if (rc == 0 && c->settlement->moved && c->scan->couples)
        rc = couples_settle(&plan, &env->scan, &c->layers, c->scan, err);
    for (size_t m = 0; rc == 0 && c->settlement->confirmed_bytes && m < c->model_count; m++)
        rc = model_check_unchanged(c->models[m], err);
    return rc;
}

static int scan(struct comparison *c, const struct compare_env *env, struct error *err)
{
    struct scan_plan plan = {
        .models = (const struct model *const *)c->models,
        .model_count = c->model_count,
        .pairing = c->pairing,
        .needs = (c->model_count > 1 ? NEED_DELTA : 0) | (c->request->gate.count ? NEED_SIDE : 0) |
                 (c->request->options.digest ? NEED_DIGEST : 0),
        .epsilon = isnan(c->request->options.epsilon) ? 0 : c->request->options.epsilon,
    };
    int rc = 0;

    if (c->request->options.headers_only)
        return 0;
    for (size_t i = 0; i < analysis_count; i++)
        if (c->request->analyses & (1u << i)) {
            plan.needs |= analyses[i]->needs;
            if (analyses[i]->needs_for)
                plan.needs |= analyses[i]->needs_for(&c->request->options);
        }
    if (is_content_sought(c))
        plan.needs |= NEED_SIDE;
    if (plan.needs == 0)
        return 0;
    if (plan.needs & NEED_COUPLES)
        rc = couple_layers_of(c->pairing, plan.models, &c->layers, err);
    plan.groups = c->layers.groups;
    plan.group_count = c->layers.count;
    if (rc == 0)
        rc = scan_run(&plan, &env->scan, &c->scan, err);
    for (size_t m = 0; rc == 0 && m < c->model_count; m++)
        rc = model_check_unchanged(c->models[m], err);
    return rc;
}

static enum tensor_status status_of(const struct comparison *c, size_t pair)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);
    const struct delta_record *delta;

    if (c->model_count == 1)
        return STATUS_COUNT;
    if (!a || !b)
        return a ? STATUS_REMOVED : b ? STATUS_ADDED : STATUS_COUNT; /* only in a model between */
    if (!shape_equal(&a->shape, &b->shape))
        return STATUS_SHAPE_CHANGED;
    if (!c->scan)
        return STATUS_NOT_COMPARED;
    delta = &c->scan->deltas[pair];
    switch ((enum scan_coverage)c->scan->coverage[pair]) {
    case COVERED_BYTES:
        return delta->is_bytes_equal ? STATUS_BIT_EQUAL : STATUS_NOT_COMPARED;
    case COVERED_VALUES:
        if (delta->changed)
            return STATUS_CHANGED;
        return delta->is_bytes_equal ? STATUS_BIT_EQUAL : STATUS_VALUE_EQUAL;
    case COVERED_NOT:
    case COVERED_ROWS:
    case COVERED_OPAQUE:
        break;
    }
    return STATUS_NOT_COMPARED;
}

static void count_renamed(struct comparison *c)
{
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        if (!comparison_tensor(c, pair, 0) || !comparison_tensor(c, pair, c->model_count - 1))
            continue;
        if (c->pairing->rule[pair] == PAIRED_AS_COPY)
            c->copied++;
        else
            c->renamed += c->pairing->rule[pair] != PAIRED_BY_NAME;
    }
}

/* The verdict, by the table of the result document: equal < within epsilon < cannot be told < changed. A model in which
 * a layer was doubled is another model, though every tensor of it has its equal. */
static void settle_verdict(struct comparison *c)
{
    const uint64_t *counts = c->status_counts;
    uint64_t within = 0;
    bool is_changed, has_epsilon = !isnan(c->request->options.epsilon);

    for (size_t pair = 0; has_epsilon && pair < c->pairing->pairs; pair++)
        within += comparison_is_within_epsilon(c, pair);
    is_changed = counts[STATUS_CHANGED] > within || counts[STATUS_SHAPE_CHANGED] || counts[STATUS_ADDED] ||
                 counts[STATUS_REMOVED] || c->copied;
    c->because = NULL;
    if (is_changed) {
        c->verdict = VERDICT_CHANGED;
    } else if (counts[STATUS_NOT_COMPARED]) {
        c->verdict = VERDICT_INCOMPARABLE;
    } else if (within || counts[STATUS_VALUE_EQUAL]) {
        c->verdict = VERDICT_EQUIVALENT;
        c->because = within ? "epsilon" : "values";
    } else if (c->renamed) {
        c->verdict = VERDICT_EQUIVALENT;
        c->because = "renamed";
    } else {
        c->verdict = VERDICT_IDENTICAL;
    }
}

static void settle_totals(struct comparison *c)
{
    delta_record_init(&c->total);
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        if (!comparison_is_summed(c, pair))
            continue;
        delta_record_merge(&c->total, comparison_delta(c, pair), c->parameters_compared);
        c->parameters_compared += comparison_delta(c, pair)->elements;
        c->parameters_changed += comparison_delta(c, pair)->changed;
    }
}

static bool is_metadata_changed(const struct model *a, const struct model *b)
{
    if (a->metadata_count != b->metadata_count || a->config_bytes != b->config_bytes || !a->config != !b->config)
        return true;
    for (size_t i = 0; i < a->metadata_count; i++)
        if (!name_equal(a->metadata[i].key, b->metadata[i].key) ||
            !name_equal(a->metadata[i].value, b->metadata[i].value))
            return true;
    return a->config && memcmp(a->config, b->config, a->config_bytes) != 0;
}

static int settle(struct comparison *c, struct error *err)
{
    const struct model *last = c->models[c->model_count - 1];
    uint64_t one_sided, all = 0;
    int rc = 0;

    c->status = calloc(c->pairing->pairs + 1, 1);
    if (!c->status)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        c->status[pair] = (uint8_t)status_of(c, pair);
        if (c->status[pair] < STATUS_COUNT) {
            c->status_counts[c->status[pair]]++;
            all++;
        }
    }
    if (c->model_count == 1)
        return 0;
    settle_totals(c);
    count_renamed(c);
    settle_verdict(c);
    c->is_metadata_changed = is_metadata_changed(c->models[0], last);
    one_sided = c->status_counts[STATUS_ADDED] + c->status_counts[STATUS_REMOVED];
    if (c->status_counts[STATUS_ADDED] && c->status_counts[STATUS_REMOVED] && one_sided == all)
        rc = warn(c, "nothing-in-common", (struct name){0}, "the models have no tensor name in common");
    return rc ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
}

static int prepare(struct comparison *c, const struct compare_env *env, struct error *err)
{
    c->states = calloc(analysis_count, sizeof(*c->states));
    if (!c->states)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < analysis_count; i++)
        if ((c->request->analyses & (1u << i)) && analyses[i]->prepare) {
            int rc = analyses[i]->prepare(c, env, &c->states[i], err);

            if (rc)
                return rc;
        }
    return 0;
}

static void tell_phase(const struct compare_env *env, const char *phase)
{
    if (env->phase)
        env->phase(env->phase_context, phase);
}

/* A fingerprint of values that nobody can read would be the same whatever they are. */
static int check_digest(const struct comparison *c, struct error *err)
{
    char name[NAME_PRINTABLE_BYTES];

    for (size_t pair = 0; c->request->options.digest && pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, 0);

        if (tensor->extent.bytes == 0 && tensor->shape.elements > 0 && !tensor_is_decodable(tensor))
            return error_set(err, ERROR_UNSUPPORTED, "tensor %s cannot be digested: %s (exclude leaves it out)",
                             name_printable(tensor->name, name), tensor_unread_reason(tensor));
    }
    return 0;
}

static int check_models(const struct compare_request *request, size_t model_count, struct error *err)
{
    if (request->options.digest && model_count > 1)
        return error_set(err, ERROR_REQUEST, "digest takes one model, not %zu", model_count);
    for (size_t i = 0; i < analysis_count; i++)
        if ((request->analyses & (1u << i)) &&
            (model_count < analyses[i]->models_min || model_count > analyses[i]->models_max))
            return error_set(err, ERROR_REQUEST, "%s takes %u to %u models, not %zu", analyses[i]->name,
                             analyses[i]->models_min, analyses[i]->models_max, model_count);
    return 0;
}

int compare_run(const struct compare_request *request, struct model *const *models, size_t model_count,
                const struct compare_env *env, struct comparison **ret_comparison, struct error *err)
{
    struct comparison *c = NULL;
    int rc = compare_request_check(request, err);

    if (rc == 0)
        rc = check_models(request, model_count, err);
    if (rc)
        return rc;
    c = calloc(1, sizeof(*c));
    if (c)
        c->modules = calloc(1, sizeof(*c->modules));
    if (!c || !c->modules) {
        free(c);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    c->request = request;
    c->models = models;
    c->model_count = model_count;
    tell_phase(env, "align");
    rc = align(c, err);
    if (rc == 0)
        rc = check_selection(c, err);
    if (rc == 0)
        rc = check_digest(c, err);
    if (rc)
        goto out;
    tell_phase(env, "scan");
    rc = scan(c, env, err);
    if (rc)
        goto out;
    tell_phase(env, "settle");
    rc = align_content(c, env, err);
    if (rc == 0)
        rc = pairing_find_shared((const struct model *const *)models, c->pairing, &c->is_shared, err);
    if (rc == 0 && !request->options.headers_only)
        rc = merge_measure((const struct model *const *)models, c->pairing, env->scan.cancel, &c->merge, err);
    if (rc)
        goto out;
    tell_phase(env, "analyse");
    rc = settle(c, err);
    if (rc == 0)
        rc = listing_build(c, &c->listing, &c->listing_count, err);
    if (rc == 0)
        rc = prepare(c, env, err);
    if (rc == 0 && request->options.digest)
        rc = fingerprint_of(c, &c->fingerprint, err);
    if (rc == 0 && request->gate.count)
        rc = gate_run(&request->gate, c, &c->gate, err);
    if (rc)
        goto out;
    *ret_comparison = c;
    c = NULL;
out:
    comparison_free(c);
    return rc;
}

void comparison_free(struct comparison *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->states && i < analysis_count; i++)
        if (analyses[i]->free)
            analyses[i]->free(c->states[i]);
    free(c->states);
    settlement_free(c->settlement);
    merge_report_free(c->merge);
    for (size_t i = 0; i < c->warning_count; i++)
        free(c->warnings[i].message);
    free(c->warnings);
    free(c->modules);
    free(c->listing);
    gate_result_free(c->gate);
    free(c->status);
    scan_result_free(c->scan);
    couple_layers_done(&c->layers);
    pairing_free(c->pairing);
    free(c->is_shared);
    free(c);
}
