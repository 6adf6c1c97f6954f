/* anomaly_detection: every rule on every tensor of the last model. A finding is kept as three numbers; its evidence is
 * drawn from the records again when it is written. */
#include "core/analysis/anomaly.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/model/layers.h"

const char *const severity_names[SEVERITY_COUNT] = {"info", "warning", "error", "critical"};

struct finding {
    uint32_t pair;
    uint8_t rule, severity;
};

/* A rule that could not be evaluated, by reason. */
struct unevaluated {
    const char *reason;
    uint64_t tensors;
    uint32_t example; /* the first such pair */
    uint8_t rule;
};

struct anomaly_state {
    struct anomaly_peers *peers;
    struct finding *findings; /* most severe first, then in the order of the rules, then canonical */
    size_t finding_count;
    struct unevaluated *unevaluated;
    size_t unevaluated_count;
    uint64_t counts[SEVERITY_COUNT];
    uint64_t judged; /* tensors */
};

static void anomaly_free(void *opaque)
{
    struct anomaly_state *state = opaque;

    if (!state)
        return;
    free(state->peers);
    free(state->findings);
    free(state->unevaluated);
    free(state);
}

uint64_t anomaly_count(const void *opaque, enum severity least)
{
    const struct anomaly_state *state = opaque;
    uint64_t total = 0;

    for (unsigned s = least; s < SEVERITY_COUNT; s++)
        total += state->counts[s];
    return total;
}

/* A tensor's place: its name after a numbered layer; empty where there is none. */
static struct name place_of(struct name name)
{
    struct name layer = layer_of(name);

    if (layer.bytes == 0 || layer.bytes >= name.bytes || layer.text[layer.bytes - 1] < '0' ||
        layer.text[layer.bytes - 1] > '9')
        return (struct name){"", 0};
    return (struct name){layer.text + layer.bytes, name.bytes - layer.bytes};
}

/* The path to the layers, "model.layers." of "model.layers.12": encoders and decoders are not each other's peers. */
static struct name stack_of(struct name name)
{
    struct name stack = layer_of(name);

    while (stack.bytes && stack.text[stack.bytes - 1] >= '0' && stack.text[stack.bytes - 1] <= '9')
        stack.bytes--;
    return stack;
}

struct placed {
    struct name place, stack;
    double std;
    uint32_t pair;
};

static int compare_placed(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    int order = name_compare_natural(a->place, b->place);

    if (order == 0)
        order = name_compare_natural(a->stack, b->stack);
    return order ? order : a->pair < b->pair ? -1 : a->pair > b->pair;
}

static int compare_f64(const void *left, const void *right)
{
    const double *a = left, *b = right;

    return *a < *b ? -1 : *a > *b;
}

static double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_f64);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void set_peers(struct anomaly_peers *peers, const struct placed *placed, size_t count, double *scratch)
{
    double median, mad;

    for (size_t i = 0; i < count; i++)
        scratch[i] = placed[i].std;
    median = median_of(scratch, count);
    for (size_t i = 0; i < count; i++)
        scratch[i] = fabs(placed[i].std - median);
    mad = median_of(scratch, count);
    for (size_t i = 0; i < count; i++)
        peers[placed[i].pair] = (struct anomaly_peers){(uint32_t)count - 1, median, mad};
}

static int gather_peers(const struct comparison *c, size_t model, struct anomaly_peers *peers, struct error *err)
{
    size_t pairs = c->pairing->pairs, count = 0;
    struct placed *placed = calloc(pairs + 1, sizeof(*placed));
    double *scratch = calloc(pairs + 1, sizeof(*scratch));

    if (!placed || !scratch) {
        free(placed);
        free(scratch);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t pair = 0; pair < pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);
        const struct side_record *side = comparison_side(c, pair, model);

        if (side && side->finite > 1 && dtype_traits(tensor->dtype)->kind == DTYPE_KIND_FLOAT &&
            place_of(tensor->name).bytes > 0 && isfinite(side_std(side)))
            placed[count++] =
                (struct placed){place_of(tensor->name), stack_of(tensor->name), side_std(side), (uint32_t)pair};
    }
    qsort(placed, count, sizeof(*placed), compare_placed);
    for (size_t first = 0, next; first < count; first = next) {
        next = first + 1;
        while (next < count && name_equal(placed[next].place, placed[first].place) &&
               name_equal(placed[next].stack, placed[first].stack))
            next++;
        set_peers(peers, placed + first, next - first, scratch);
    }
    free(placed);
    free(scratch);
    return 0;
}

static int add_finding(struct anomaly_state *state, size_t *capacity, struct finding finding, struct error *err)
{
    if (state->finding_count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 64;
        struct finding *grown = reallocarray(state->findings, wanted, sizeof(*grown));

        if (!grown)
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        state->findings = grown;
        *capacity = wanted;
    }
    state->findings[state->finding_count++] = finding;
    state->counts[finding.severity]++;
    return 0;
}

static int add_unevaluated(struct anomaly_state *state, size_t rule, size_t pair, const char *reason, struct error *err)
{
    struct unevaluated *grown;

    for (size_t i = 0; i < state->unevaluated_count; i++)
        if (state->unevaluated[i].rule == rule && strcmp(state->unevaluated[i].reason, reason) == 0) {
            state->unevaluated[i].tensors++;
            return 0;
        }
    grown = reallocarray(state->unevaluated, state->unevaluated_count + 1, sizeof(*grown));
    if (!grown)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    state->unevaluated = grown;
    grown[state->unevaluated_count++] =
        (struct unevaluated){.reason = reason, .tensors = 1, .example = (uint32_t)pair, .rule = (uint8_t)rule};
    return 0;
}

static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;

    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    return a->pair < b->pair ? -1 : a->pair > b->pair;
}

static int compare_unevaluated(const void *left, const void *right)
{
    const struct unevaluated *a = left, *b = right;

    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    return strcmp(a->reason, b->reason);
}

static struct anomaly_context context_of(const struct comparison *c, const struct anomaly_state *state)
{
    return (struct anomaly_context){.comparison = c, .model = c->model_count - 1, .peers = state->peers};
}

static int judge(const struct comparison *c, struct anomaly_state *state, struct error *err)
{
    const struct anomaly_context context = context_of(c, state);
    size_t capacity = 0;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct side_record *side = comparison_side(c, pair, context.model);

        if (!comparison_tensor(c, pair, context.model))
            continue;
        state->judged += side != NULL;
        for (size_t r = 0; r < anomaly_rule_count; r++) {
            struct anomaly_case found = {.severity = anomaly_rules[r].severity};
            enum anomaly_outcome outcome;
            int rc = 0;

            if (c->model_count < anomaly_rules[r].models_min)
                continue;
            if (side) {
                outcome = anomaly_rules[r].check(&context, pair, &found);
            } else {
                outcome = ANOMALY_NOT_EVALUATED;
                found.reason = c->scan ? "values not decodable" : "values not read";
            }
            if (outcome == ANOMALY_FOUND)
                rc = add_finding(state, &capacity,
                                 (struct finding){(uint32_t)pair, (uint8_t)r, (uint8_t)found.severity}, err);
            else if (outcome == ANOMALY_NOT_EVALUATED)
                rc = add_unevaluated(state, r, pair, found.reason, err);
            if (rc)
                return rc;
        }
    }
    if (state->finding_count)
        qsort(state->findings, state->finding_count, sizeof(*state->findings), compare_findings);
    if (state->unevaluated_count)
        qsort(state->unevaluated, state->unevaluated_count, sizeof(*state->unevaluated), compare_unevaluated);
    return 0;
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct anomaly_state *state = calloc(1, sizeof(*state));
    int rc = 0;

    (void)env;
    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    state->peers = calloc(c->pairing->pairs + 1, sizeof(*state->peers));
    if (!state->peers)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = gather_peers(c, c->model_count - 1, state->peers, err);
    if (rc == 0)
        rc = judge(c, state, err);
    if (rc) {
        anomaly_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static void write_threshold(const struct comparison *c, const struct anomaly_rule *rule, struct writer *w)
{
    write_figure(w, "threshold", anomaly_threshold(rule, &c->request->options), NULL);
}

static void write_finding(const struct comparison *c, const struct anomaly_state *state, const struct finding *finding,
                          struct writer *w)
{
    const struct anomaly_rule *rule = &anomaly_rules[finding->rule];
    const struct anomaly_context context = context_of(c, state);
    struct anomaly_case found = {.severity = rule->severity};

    rule->check(&context, finding->pair, &found);
    write_begin_object(w);
    write_text(w, "id", rule->id);
    write_text(w, "severity", severity_names[finding->severity]);
    write_named(w, "tensor", pairing_name(c->pairing, (const struct model *const *)c->models, finding->pair));
    write_text(w, "against", rule->against);
    write_object(w, "evidence");
    for (unsigned i = 0; i < found.evidence_count; i++) {
        const struct anomaly_evidence *evidence = &found.evidence[i];

        if (evidence->is_count)
            write_u64(w, evidence->key, (uint64_t)evidence->value);
        else
            write_figure(w, evidence->key, evidence->value, "no finite elements");
    }
    write_end(w);
    write_threshold(c, rule, w);
    write_end(w);
}

static void write_unevaluated(const struct comparison *c, const struct anomaly_state *state, struct writer *w)
{
    write_array(w, "not_evaluated");
    for (size_t i = 0; i < state->unevaluated_count; i++) {
        const struct unevaluated *entry = &state->unevaluated[i];

        write_begin_object(w);
        write_text(w, "id", anomaly_rules[entry->rule].id);
        write_text(w, "against", anomaly_rules[entry->rule].against);
        write_text(w, "reason", entry->reason);
        write_u64(w, "tensors", entry->tensors);
        write_named(w, "example", pairing_name(c->pairing, (const struct model *const *)c->models, entry->example));
        write_end(w);
    }
    write_end(w);
}

static void write_rules(const struct comparison *c, struct writer *w)
{
    write_array(w, "rules");
    for (size_t r = 0; r < anomaly_rule_count; r++) {
        const struct anomaly_rule *rule = &anomaly_rules[r];

        if (c->model_count < rule->models_min)
            continue;
        write_begin_object(w);
        write_text(w, "id", rule->id);
        write_text(w, "against", rule->against);
        write_text(w, "severity", severity_names[rule->severity]);
        write_text(w, "what", rule->what);
        write_threshold(c, rule, w);
        if (rule->option)
            write_text(w, "option", rule->option);
        write_end(w);
    }
    write_end(w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct anomaly_state *state = opaque;
    unsigned worst = SEVERITY_COUNT;

    while (worst > 0 && state->counts[worst - 1] == 0)
        worst--;
    if (!c->scan)
        write_null(w, "worst", "values not read");
    else
        write_text(w, "worst", worst ? severity_names[worst - 1] : "none");
    for (unsigned s = SEVERITY_COUNT; s-- > 0;)
        write_u64(w, severity_names[s], state->counts[s]);
    write_u64(w, "tensors", state->judged);
    write_array(w, "findings");
    for (size_t i = 0; i < state->finding_count; i++)
        write_finding(c, state, &state->findings[i], w);
    write_end(w);
    write_unevaluated(c, state, w);
    write_rules(c, w);
}

const struct analysis anomaly_analysis = {
    .name = "anomaly_detection",
    .flag = "anomaly-detection",
    .summary =
        "What looks broken: NaN, dead, constant, exploded or collapsed tensors, outliers, flipped bits and signs.",
    .docs = &anomaly_docs,
    .models_min = 1,
    .models_max = 64,
    .needs = NEED_SIDE | NEED_SATURATION | NEED_PROFILE | NEED_ROWS | NEED_COLUMNS | NEED_FLIPS,
    .prepare = prepare,
    .write = write,
    .free = anomaly_free,
};
