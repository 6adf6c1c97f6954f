/* The gate listens: it hands the document's own writers a writer of its own that follows the path under way and holds
 * each plain value against the rules that name this path. So every figure that a result can hold can be gated, and none
 * needs code here. */
#include "core/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/compare.h"
#include "core/decimal.h"
#include "core/patterns.h"

const char *const gate_scope_names[GATE_SCOPE_COUNT + 1] = {"model", "layer", "tensor", NULL};
const char *const gate_bound_names[GATE_BOUND_COUNT + 1] = {"max", "min", "equals", NULL};
const char *const gate_severity_names[] = {"info", "warning", "error", "critical", NULL};

/* Labels that are ordered, the least first. */
static const char *const label_orders[][8] = {
    {"none", "minimal", "low", "moderate", "high", "severe", NULL},
    {"none", "info", "warning", "error", "critical", NULL},
    {"none", "low", "medium", "high", NULL},
    {"identical", "equivalent", "incomparable", "changed", NULL},
};

#define UNORDERED INT32_MIN

enum { PATH_DEPTH = 12, PATH_BYTES = 512, NAME_BYTES = 512 };

struct listener {
    struct writer writer; /* first */
    const struct gate *gate;
    enum gate_scope scope;
    struct pattern_set **includes; /* [rule] */
    bool *is_met;                  /* [rule]: some value was found */
    struct gate_result *result;
    size_t capacity;
    struct error *err;
    int rc;
    unsigned depth;
    struct {
        enum writer_scope scope;
        size_t path_bytes;  /* of the path without this scope's own members */
        size_t layer_bytes; /* of layer as it was outside */
    } stack[PATH_DEPTH];
    unsigned skipped;
    char path[PATH_BYTES]; /* of the value that comes next, dots between members */
    size_t path_bytes;
    const char *name; /* scope tensor: of the tensor */
    size_t name_bytes;
    char layer[NAME_BYTES]; /* scope layer: of the row under way; "" outside */
    size_t layer_bytes;
    bool has_layer;
};

static int label_rank(const char *label, size_t bytes, const char *other)
{
    for (size_t order = 0; order < sizeof(label_orders) / sizeof(label_orders[0]); order++) {
        int rank = -1, other_rank = -1;

        for (int i = 0; label_orders[order][i]; i++) {
            if (strlen(label_orders[order][i]) == bytes && memcmp(label_orders[order][i], label, bytes) == 0)
                rank = i;
            if (strcmp(label_orders[order][i], other) == 0)
                other_rank = i;
        }
        if (rank >= 0 && other_rank >= 0)
            return rank - other_rank;
    }
    return strlen(other) == bytes && memcmp(label, other, bytes) == 0 ? 0 : UNORDERED;
}

static bool is_within(enum gate_bound bound, int order)
{
    switch (bound) {
    case GATE_MAX:
        return order <= 0;
    case GATE_MIN:
        return order >= 0;
    case GATE_EQUALS:
    case GATE_BOUND_COUNT:
        break;
    }
    return order == 0;
}

static bool ends_with_path(const char *path, size_t bytes, const char *metric)
{
    return strlen(metric) == bytes && memcmp(path, metric, bytes) == 0;
}

/* Whether the rule's metric names the path under way, with the prefixes that may be left out. */
static bool is_named(const struct listener *listener, const struct gate_rule *rule)
{
    static const char *const prefixes[GATE_SCOPE_COUNT] = {
        [GATE_MODEL] = "summary.", [GATE_LAYER] = "layer_impact.layers.", [GATE_TENSOR] = "delta."};
    const char *path = listener->path, *prefix = prefixes[listener->scope];
    size_t bytes = listener->path_bytes, prefix_bytes = strlen(prefix);

    if (rule->scope != listener->scope || (rule->scope == GATE_LAYER && !listener->has_layer))
        return false;
    if (ends_with_path(path, bytes, rule->metric))
        return true;
    return bytes > prefix_bytes && memcmp(path, prefix, prefix_bytes) == 0 &&
           ends_with_path(path + prefix_bytes, bytes - prefix_bytes, rule->metric);
}

static void add_violation(struct listener *listener, const struct gate_rule *rule, const char *figure,
                          size_t figure_bytes, bool is_number, const char *reason)
{
    struct gate_result *result = listener->result;
    struct gate_violation *violation;
    const char *name = listener->scope == GATE_TENSOR  ? listener->name
                       : listener->scope == GATE_LAYER ? listener->layer
                                                       : NULL;
    size_t name_bytes = listener->scope == GATE_TENSOR ? listener->name_bytes : listener->layer_bytes;

    result->passed = false;
    result->violations_all++;
    if (result->violation_count == GATE_VIOLATIONS_MAX)
        return;
    if (result->violation_count == listener->capacity) {
        size_t wanted = listener->capacity ? listener->capacity * 2 : 16;
        struct gate_violation *grown = reallocarray(result->violations, wanted, sizeof(*grown));

        if (!grown) {
            listener->rc = error_set(listener->err, ERROR_NO_MEMORY, "out of memory");
            return;
        }
        result->violations = grown;
        listener->capacity = wanted;
    }
    violation = &result->violations[result->violation_count++];
    *violation = (struct gate_violation){.rule = rule, .is_number = is_number, .reason = reason};
    violation->name = name ? strndup(name, name_bytes) : NULL;
    violation->figure = figure ? strndup(figure, figure_bytes) : NULL;
    if ((name && !violation->name) || (figure && !violation->figure))
        listener->rc = error_set(listener->err, ERROR_NO_MEMORY, "out of memory");
}

static bool is_included(struct listener *listener, size_t rule)
{
    bool matches = true;
    struct name name = {listener->name, (uint32_t)listener->name_bytes};

    if (listener->scope == GATE_LAYER)
        name = (struct name){listener->layer, (uint32_t)listener->layer_bytes};
    if (listener->includes[rule] && listener->scope != GATE_MODEL && !listener->rc)
        listener->rc = pattern_set_match(listener->includes[rule], name, &matches, listener->err);
    return matches && !listener->rc;
}

/* Calls check for every rule that names the value under way, and takes its member off the path. */
static void hear(struct listener *listener, const char *text, size_t bytes, bool is_number, double number, bool is_null)
{
    for (size_t i = 0; i < listener->gate->count && !listener->skipped; i++) {
        const struct gate_rule *rule = &listener->gate->rules[i];

        if (!is_named(listener, rule) || !is_included(listener, i))
            continue;
        listener->is_met[i] = true;
        if (is_null) {
            if (!rule->allow_null)
                add_violation(listener, rule, NULL, 0, false, "not computable");
        } else if (is_number != !rule->label) {
            add_violation(listener, rule, text, bytes, is_number, is_number ? "is a number" : "is no number");
        } else {
            int order =
                is_number ? (number > rule->number) - (number < rule->number) : label_rank(text, bytes, rule->label);

            if (order == UNORDERED && rule->bound != GATE_EQUALS)
                add_violation(listener, rule, text, bytes, is_number, "is not of the limit's order");
            else if (!is_within(rule->bound, order))
                add_violation(listener, rule, text, bytes, is_number, NULL);
        }
    }
}

static void after_value(struct listener *listener)
{
    if (listener->depth > 0 && listener->stack[listener->depth - 1].scope == WRITER_OBJECT)
        listener->path_bytes = listener->stack[listener->depth - 1].path_bytes;
}

static void gate_begin(struct writer *w, enum writer_scope scope)
{
    struct listener *listener = (struct listener *)w;

    if (listener->skipped || listener->depth == PATH_DEPTH) {
        listener->skipped++;
        return;
    }
    listener->stack[listener->depth].scope = scope;
    listener->stack[listener->depth].path_bytes = listener->path_bytes;
    listener->stack[listener->depth].layer_bytes = listener->has_layer ? listener->layer_bytes : SIZE_MAX;
    listener->depth++;
}

static void gate_end(struct writer *w)
{
    struct listener *listener = (struct listener *)w;

    if (listener->skipped) {
        listener->skipped--;
        return;
    }
    listener->depth--;
    listener->path_bytes = listener->stack[listener->depth].path_bytes;
    listener->has_layer = listener->stack[listener->depth].layer_bytes != SIZE_MAX;
    if (listener->has_layer)
        listener->layer_bytes = listener->stack[listener->depth].layer_bytes;
    after_value(listener);
}

static void gate_key(struct writer *w, const char *key, size_t bytes)
{
    struct listener *listener = (struct listener *)w;
    size_t at = listener->path_bytes;

    if (listener->skipped)
        return;
    if (at + bytes + 1 > PATH_BYTES)
        bytes = 0; /* no rule can name it */
    if (at && bytes)
        listener->path[at++] = '.';
    memcpy(listener->path + at, key, bytes);
    listener->path_bytes = at + bytes;
}

static void hear_number(struct writer *w, double value)
{
    char text[DECIMAL_BYTES];

    hear((struct listener *)w, text, decimal_write(value, text), true, value, false);
    after_value((struct listener *)w);
}

static void gate_f64(struct writer *w, double value)
{
    hear_number(w, value);
}

static void gate_u64(struct writer *w, uint64_t value)
{
    hear_number(w, (double)value);
}

static void gate_i64(struct writer *w, int64_t value)
{
    hear_number(w, (double)value);
}

static void gate_text(struct writer *w, const char *text, size_t bytes)
{
    struct listener *listener = (struct listener *)w;

    /* A row's "layer" names the layer of what follows in it. */
    if (!listener->skipped && listener->path_bytes >= 5 &&
        memcmp(listener->path + listener->path_bytes - 5, "layer", 5) == 0 && bytes < NAME_BYTES) {
        memcpy(listener->layer, text, bytes);
        listener->layer_bytes = bytes;
        listener->has_layer = true;
    }
    hear(listener, text, bytes, false, 0, false);
    after_value(listener);
}

static void gate_flag(struct writer *w, bool value)
{
    hear((struct listener *)w, value ? "true" : "false", value ? 4 : 5, false, 0, false);
    after_value((struct listener *)w);
}

static void gate_null(struct writer *w, const char *reason)
{
    (void)reason;
    hear((struct listener *)w, NULL, 0, false, 0, true);
    after_value((struct listener *)w);
}

static const struct writer_ops listener_ops = {gate_begin, gate_end,  gate_key,  gate_f64, gate_u64,
                                               gate_i64,   gate_text, gate_flag, gate_null};

static void listen_begin(struct listener *listener, enum gate_scope scope, const char *path)
{
    listener->writer.ops = &listener_ops;
    listener->scope = scope;
    listener->depth = 0;
    listener->skipped = 0;
    listener->has_layer = false;
    listener->path_bytes = strlen(path);
    memcpy(listener->path, path, listener->path_bytes);
}

static void listen_to_analyses(struct listener *listener, const struct comparison *c, enum gate_scope scope)
{
    for (size_t i = 0; i < analysis_count; i++) {
        if (!(c->request->analyses & (1u << i)))
            continue;
        listen_begin(listener, scope, analyses[i]->name);
        write_begin_object(&listener->writer);
        analyses[i]->write(c, c->states[i], &listener->writer);
        write_end(&listener->writer);
    }
}

static void listen_to_tensors(struct listener *listener, const struct comparison *c)
{
    for (size_t pair = 0; pair < c->pairing->pairs && !listener->rc; pair++) {
        struct name name = pairing_name(c->pairing, (const struct model *const *)c->models, pair);

        if (c->model_count > 1 && c->status[pair] == STATUS_COUNT)
            continue;
        listener->name = name.text;
        listener->name_bytes = name.bytes;
        listen_begin(listener, GATE_TENSOR, "");
        comparison_write_tensor(c, pair, &listener->writer);
    }
}

/* What holds without being asked for: no model passes that gained or changed non-finite elements. */
static void check_nonfinite(struct listener *listener, const struct comparison *c)
{
    listener->scope = GATE_TENSOR;
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        struct name name = pairing_name(c->pairing, (const struct model *const *)c->models, pair);
        const struct delta_record *delta = comparison_delta(c, pair);
        const struct side_record *side = comparison_side(c, pair, c->model_count - 1);
        uint64_t count = delta && c->model_count > 1 ? delta->nonfinite_changed : side ? side->nans + side->infs : 0;
        char text[24];
        int bytes;

        if (count == 0)
            continue;
        bytes = snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
        listener->name = name.text;
        listener->name_bytes = name.bytes;
        add_violation(listener, NULL, text, (size_t)bytes, true,
                      c->model_count > 1 ? "new non-finite elements" : "non-finite elements");
    }
}

static bool has_scope(const struct gate *gate, enum gate_scope scope)
{
    for (size_t i = 0; i < gate->count; i++)
        if (gate->rules[i].scope == scope)
            return true;
    return false;
}

static bool names_nonfinite(const struct gate *gate)
{
    for (size_t i = 0; i < gate->count; i++) {
        const char *dot = strrchr(gate->rules[i].metric, '.');

        if (strcmp(dot ? dot + 1 : gate->rules[i].metric, "nonfinite_changed") == 0)
            return true;
    }
    return false;
}

static int listen(struct listener *listener, const struct comparison *c)
{
    if (has_scope(listener->gate, GATE_MODEL)) {
        listen_begin(listener, GATE_MODEL, "");
        write_begin_object(&listener->writer);
        if (c->model_count > 1) /* of one model there is no summary */
            comparison_write_summary(c, &listener->writer);
        write_end(&listener->writer);
        listen_to_analyses(listener, c, GATE_MODEL);
    }
    if (has_scope(listener->gate, GATE_LAYER))
        listen_to_analyses(listener, c, GATE_LAYER);
    if (has_scope(listener->gate, GATE_TENSOR))
        listen_to_tensors(listener, c);
    if (!names_nonfinite(listener->gate))
        check_nonfinite(listener, c);
    listener->scope = GATE_MODEL;
    for (size_t i = 0; i < listener->gate->count; i++)
        if (!listener->is_met[i] && !listener->gate->rules[i].allow_null)
            add_violation(listener, &listener->gate->rules[i], NULL, 0, false,
                          listener->gate->rules[i].include ? "nothing that include matches has such a figure"
                                                           : "the result has no such figure");
    return listener->rc;
}

int gate_run(const struct gate *gate, const struct comparison *comparison, struct gate_result **ret_result,
             struct error *err)
{
    struct listener listener = {.gate = gate, .err = err};
    int rc = 0;

    listener.includes = calloc(gate->count + 1, sizeof(*listener.includes));
    listener.is_met = calloc(gate->count + 1, sizeof(*listener.is_met));
    listener.result = calloc(1, sizeof(*listener.result));
    if (!listener.includes || !listener.is_met || !listener.result)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t i = 0; rc == 0 && i < gate->count; i++) {
        struct patterns one = {&gate->rules[i].include, gate->rules[i].include ? 1 : 0};

        rc = pattern_set_new(&one, &listener.includes[i], err);
    }
    if (rc == 0) {
        listener.result->passed = true;
        rc = listen(&listener, comparison);
    }
    for (size_t i = 0; listener.includes && i < gate->count; i++)
        pattern_set_free(listener.includes[i]);
    free(listener.includes);
    free(listener.is_met);
    if (rc) {
        gate_result_free(listener.result);
        return rc;
    }
    *ret_result = listener.result;
    return 0;
}

void gate_result_free(struct gate_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->violation_count; i++) {
        free(result->violations[i].name);
        free(result->violations[i].figure);
    }
    free(result->violations);
    free(result);
}

void gate_limit_text(const struct gate_rule *rule, char *out, size_t size)
{
    char number[DECIMAL_BYTES];

    if (!rule->label)
        decimal_write(rule->number, number);
    snprintf(out, size, "%s %s", gate_bound_names[rule->bound], rule->label ? rule->label : number);
}

uint32_t gate_analyses(const struct gate *gate)
{
    uint32_t named = 0;

    for (size_t i = 0; i < gate->count; i++) {
        int index = analysis_by_name(gate->rules[i].metric, strcspn(gate->rules[i].metric, "."));

        if (index >= 0)
            named |= 1u << index;
        else if (gate->rules[i].scope == GATE_LAYER)
            named |= 1u << analysis_by_name("layer_impact", 12);
    }
    return named;
}

static void write_limit(const struct gate_rule *rule, struct writer *w)
{
    if (!rule->label)
        write_figure(w, gate_bound_names[rule->bound], rule->number, NULL);
    else if (strcmp(rule->label, "true") == 0 || strcmp(rule->label, "false") == 0)
        write_flag(w, gate_bound_names[rule->bound], rule->label[0] == 't');
    else
        write_text(w, gate_bound_names[rule->bound], rule->label);
}

static void write_violation(const struct gate_violation *violation, struct writer *w)
{
    const struct gate_rule *rule = violation->rule;

    write_begin_object(w);
    write_text(w, "metric", rule ? rule->metric : "nonfinite_changed");
    write_text(w, "scope", gate_scope_names[rule ? rule->scope : GATE_TENSOR]);
    write_text(w, "severity", gate_severity_names[rule ? rule->severity : GATE_SEVERITY_ERROR]);
    if (violation->name)
        write_text(w, "name", violation->name);
    if (violation->figure && violation->is_number)
        write_figure(w, "figure", strtod(violation->figure, NULL), NULL);
    else if (violation->figure)
        write_text(w, "figure", violation->figure);
    else
        write_null(w, "figure", violation->reason);
    if (rule)
        write_limit(rule, w);
    else
        write_u64(w, "max", 0);
    if (violation->reason)
        write_text(w, "reason", violation->reason);
    write_end(w);
}

void gate_result_write(const struct gate_result *result, struct writer *w)
{
    write_object(w, "gate");
    write_flag(w, "passed", result->passed);
    write_u64(w, "violation_count", result->violations_all);
    write_array(w, "violations");
    for (size_t i = 0; i < result->violation_count; i++)
        write_violation(&result->violations[i], w);
    write_end(w);
    write_end(w);
}

void gate_write(const struct gate *gate, struct writer *w)
{
    write_array(w, "gate");
    for (size_t i = 0; i < gate->count; i++) {
        const struct gate_rule *rule = &gate->rules[i];

        write_begin_object(w);
        write_text(w, "metric", rule->metric);
        write_text(w, "scope", gate_scope_names[rule->scope]);
        write_limit(rule, w);
        if (rule->include)
            write_text(w, "include", rule->include);
        write_text(w, "severity", gate_severity_names[rule->severity]);
        if (rule->allow_null)
            write_flag(w, "allow_null", true);
        write_end(w);
    }
    write_end(w);
}

int gate_add(struct gate *gate, const struct gate_rule *rule, struct error *err)
{
    struct patterns include = {(char **)&rule->include, rule->include ? 1 : 0};
    struct pattern_set *set = NULL;
    struct gate_rule *grown, copy = *rule;
    int rc = pattern_set_new(&include, &set, err);

    pattern_set_free(set);
    if (rc)
        return rc;
    if (gate->count == GATE_RULES_MAX)
        return error_set(err, ERROR_REQUEST, "more than %d rules", GATE_RULES_MAX);
    if (!rule->metric || !rule->metric[0] || strlen(rule->metric) >= PATH_BYTES)
        return error_set(err, ERROR_REQUEST, "a rule must name a metric");
    if (!rule->label && !isfinite(rule->number))
        return error_set(err, ERROR_REQUEST, "the limit of %s must be a finite number", rule->metric);
    grown = reallocarray(gate->rules, gate->count + 1, sizeof(*grown));
    if (grown)
        gate->rules = grown;
    copy.metric = strdup(rule->metric);
    copy.include = rule->include ? strdup(rule->include) : NULL;
    copy.label = rule->label ? strdup(rule->label) : NULL;
    if (!grown || !copy.metric || (rule->include && !copy.include) || (rule->label && !copy.label)) {
        free(copy.metric);
        free(copy.include);
        free(copy.label);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    gate->rules[gate->count++] = copy;
    return 0;
}

void gate_done(struct gate *gate)
{
    for (size_t i = 0; i < gate->count; i++) {
        free(gate->rules[i].metric);
        free(gate->rules[i].include);
        free(gate->rules[i].label);
    }
    free(gate->rules);
}
