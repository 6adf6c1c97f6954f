/* gradient_analysis: gradients as they lie in a checkpoint, or what an optimizer keeps of them. Of the candidate (one
 * model: of it), by layer: norm, share = norm² ÷ norm² of all, rms = norm ÷ √parameters. Backpropagation runs from the
 * last layer of a stack to the first, so flow = rms ÷ rms of the stack's last layer: far under 1 the gradient vanishes
 * on its way, far over 1 it explodes. flow_ratio is that of the first layer of the longest stack.
 * Sources, the first that is there: gradients · adam_moments (exp_avg, mu) · momentum (momentum_buffer) ·
 * second_moments (square_avg: norm = √Σv, the RMS over time) · update_proxy (baseline − candidate, when asked for). */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/analysis.h"
#include "core/analysis/gradient_adam.h"
#include "core/model/layers.h"

enum gradient_source {
    SOURCE_GRADIENTS,
    SOURCE_ADAM,
    SOURCE_MOMENTUM,
    SOURCE_SQUARES,
    SOURCE_PROXY,
    SOURCE_NONE,
    SOURCE_COUNT
};

static const char *const source_names[SOURCE_COUNT] = {"gradients",      "adam_moments", "momentum",
                                                       "second_moments", "update_proxy", "none"};
static const enum role source_roles[SOURCE_PROXY] = {ROLE_GRADIENT, ROLE_FIRST_MOMENT, ROLE_MOMENTUM,
                                                     ROLE_SQUARE_AVERAGE};

struct gradient_layer {
    struct name name;
    bool is_numbered; /* by the optimizer: its number is no depth */
    uint64_t tensors, parameters;
    struct side_record side;   /* of the stored tensors */
    struct delta_record delta; /* with SOURCE_PROXY */
    double norm, rms, flow;    /* flow NAN: no stack */
};

struct gradient {
    enum gradient_source source;
    uint64_t found[SOURCE_PROXY]; /* tensors by role */
    struct gradient_layer *layers;
    size_t layer_count;
    struct gradient_layer total;
    struct gradient_names names;     /* what the optimizer's numbers stand for */
    struct adam *adam;               /* NULL: no pair of moments */
    size_t stack_first, stack_count; /* the longest stack */
};

static void gradient_free(void *opaque)
{
    struct gradient *state = opaque;

    if (!state)
        return;
    free(state->layers);
    gradient_names_done(&state->names);
    adam_free(state->adam);
    free(state);
}

struct member {
    struct name layer;
    uint32_t pair;
    bool is_numbered;
};

static int compare_members(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    int order = name_compare_natural(a->layer, b->layer);

    return order ? order : a->pair < b->pair ? -1 : a->pair > b->pair;
}

static bool is_member(const struct comparison *c, size_t pair, const struct gradient *state, struct member *ret_member)
{
    size_t model = c->model_count - 1;
    const struct tensor *tensor = comparison_tensor(c, pair, model), *weight;
    const enum gradient_source source = state->source;
    struct role_owner owner;
    enum role role;

    if (!tensor || !dtype_is_parameter(tensor->dtype))
        return false;
    role = gradient_role_of(c->models[model], tensor, &owner);
    if (source == SOURCE_PROXY) {
        *ret_member = (struct member){layer_of(tensor->name), (uint32_t)pair, false};
        return role == ROLE_WEIGHT && comparison_is_summed(c, pair);
    }
    if (role != source_roles[source])
        return false;
    weight = gradient_names_weight(&state->names, &owner);
    *ret_member =
        (struct member){layer_of(weight ? weight->name : owner.base), (uint32_t)pair, owner.is_numbered && !weight};
    return true;
}

static void count_found(const struct comparison *c, struct gradient *state)
{
    size_t model = c->model_count - 1;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);
        enum role role = tensor && dtype_is_parameter(tensor->dtype) ? gradient_role_of(c->models[model], tensor, NULL)
                                                                     : ROLE_WEIGHT;

        for (int source = 0; source < SOURCE_PROXY; source++)
            state->found[source] += role == source_roles[source];
    }
    state->source = SOURCE_NONE;
    if (!c->scan)
        return;
    for (int source = SOURCE_PROXY - 1; source >= 0; source--)
        if (state->found[source])
            state->source = (enum gradient_source)source;
    if (state->source == SOURCE_NONE && c->request->options.update_proxy && c->model_count > 1)
        state->source = SOURCE_PROXY;
}

static void start_layer(struct gradient_layer *layer, const struct member *member)
{
    *layer = (struct gradient_layer){.name = member->layer, .is_numbered = member->is_numbered, .flow = NAN};
    side_record_init(&layer->side, DTYPE_F64);
    delta_record_init(&layer->delta);
}

static void add_member(const struct comparison *c, enum gradient_source source, size_t pair,
                       struct gradient_layer *layer)
{
    const struct side_record *side = comparison_side(c, pair, c->model_count - 1);

    layer->tensors++;
    layer->parameters += comparison_tensor(c, pair, c->model_count - 1)->shape.elements;
    if (source == SOURCE_PROXY)
        delta_record_merge(&layer->delta, comparison_delta(c, pair), layer->delta.elements);
    else if (side)
        side_record_merge(&layer->side, side);
}

static void settle_layer(enum gradient_source source, struct gradient_layer *layer)
{
    double finite = (double)layer->side.finite;

    if (source == SOURCE_PROXY) {
        finite = (double)layer->delta.finite;
        layer->norm = delta_l2(&layer->delta);
    } else if (source == SOURCE_SQUARES) {
        layer->norm = sqrt(side_mean(&layer->side)) * sqrt(finite);
    } else {
        layer->norm = side_l2(&layer->side);
    }
    layer->rms = layer->norm / sqrt(finite);
}

/* "h.11" → "h.": what the layers of one stack share. */
static struct name stack_of(const struct gradient_layer *layer)
{
    struct name prefix = layer->name;

    while (prefix.bytes > 0 && prefix.text[prefix.bytes - 1] >= '0' && prefix.text[prefix.bytes - 1] <= '9')
        prefix.bytes--;
    return prefix;
}

static bool is_stacked(const struct gradient_layer *layer)
{
    return !layer->is_numbered && stack_of(layer).bytes < layer->name.bytes;
}

/* One past the last layer of the stack that begins at first; first itself when none does. */
static size_t stack_end(const struct gradient *state, size_t first)
{
    size_t end = first;

    while (end < state->layer_count && is_stacked(&state->layers[end]) &&
           name_equal(stack_of(&state->layers[end]), stack_of(&state->layers[first])))
        end++;
    return end;
}

static void find_stacks(struct gradient *state)
{
    for (size_t first = 0; first < state->layer_count;) {
        size_t end = stack_end(state, first);

        if (end - first >= 2 && end - first > state->stack_count) {
            state->stack_first = first;
            state->stack_count = end - first;
        }
        for (size_t i = first; end - first >= 2 && i < end; i++)
            state->layers[i].flow =
                state->layers[end - 1].rms > 0 ? state->layers[i].rms / state->layers[end - 1].rms : NAN;
        first = end > first ? end : first + 1;
    }
}

static int gather(const struct comparison *c, struct gradient *state, struct error *err)
{
    struct member *members = calloc(c->pairing->pairs + 1, sizeof(*members));
    size_t count = 0;

    state->layers = calloc(c->pairing->pairs + 1, sizeof(*state->layers));
    if (!members || !state->layers) {
        free(members);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        count += is_member(c, pair, state, &members[count]);
    qsort(members, count, sizeof(*members), compare_members);
    start_layer(&state->total, &(struct member){0});
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !name_equal(members[i].layer, members[i - 1].layer))
            start_layer(&state->layers[state->layer_count++], &members[i]);
        add_member(c, state->source, members[i].pair, &state->layers[state->layer_count - 1]);
        add_member(c, state->source, members[i].pair, &state->total);
    }
    free(members);
    for (size_t i = 0; i < state->layer_count; i++)
        settle_layer(state->source, &state->layers[i]);
    settle_layer(state->source, &state->total);
    find_stacks(state);
    return 0;
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct gradient *state = calloc(1, sizeof(*state));
    int rc = 0;

    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    count_found(c, state);
    if (state->source != SOURCE_NONE)
        rc = gradient_names_find(c->models[c->model_count - 1], &state->names, err);
    if (rc == 0 && state->source != SOURCE_NONE)
        rc = gather(c, state, err);
    if (rc == 0 && state->source != SOURCE_NONE && state->found[SOURCE_ADAM])
        rc = adam_measure(c, env, c->model_count - 1, &state->names, &state->adam, err);
    if (rc) {
        gradient_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static const char *flag_of(const struct comparison *c, const struct gradient_layer *layer)
{
    const struct options *o = &c->request->options;

    if (layer->flow < o->gradient_vanishing)
        return "vanishing";
    return layer->flow > o->gradient_exploding ? "exploding" : "none";
}

static void write_figures(struct writer *w, const struct gradient *state, const struct gradient_layer *layer)
{
    static const char none[] = "no finite elements";
    bool is_proxy = state->source == SOURCE_PROXY;
    uint64_t zeros = is_proxy ? layer->delta.elements - layer->delta.changed : layer->side.zeros;
    uint64_t finite = is_proxy ? layer->delta.finite : layer->side.finite;
    uint64_t terms = is_proxy ? layer->delta.elements : layer->side.elements;
    double max_abs = is_proxy ? layer->delta.max_abs : layer->side.abs_max;

    if (state->source == SOURCE_SQUARES)
        max_abs = sqrt(max_abs);
    write_figure(w, "norm", layer->norm, none);
    write_figure(w, "rms", layer->rms, none);
    write_figure(w, "max_abs", finite ? max_abs : NAN, none);
    write_figure(w, "zero_fraction", terms ? (double)zeros / (double)terms : NAN, "empty");
    write_u64(w, "zeros", zeros);
    write_u64(w, "nonfinite", is_proxy ? layer->delta.nonfinite_changed : layer->side.nans + layer->side.infs);
    write_u64(w, "tensors", layer->tensors);
    write_u64(w, "parameters", layer->parameters);
}

static void write_layers(const struct comparison *c, const struct gradient *state, struct writer *w)
{
    write_array(w, "layers");
    for (size_t i = 0; i < state->layer_count; i++) {
        const struct gradient_layer *layer = &state->layers[i];
        double part = layer->norm / state->total.norm;

        write_begin_object(w);
        write_named(w, "layer", layer->name);
        write_figure(w, "share", part * part, "all gradients are zero");
        write_figure(w, "flow", layer->flow,
                     layer->is_numbered ? "the optimizer numbers its parameters: depth is not known"
                                        : "not in a stack of numbered layers, or the stack's last layer is zero");
        write_text(w, "flag", flag_of(c, layer));
        write_figures(w, state, layer);
        write_end(w);
    }
    write_end(w);
}

static void write_unavailable(const struct comparison *c, const struct gradient *state, struct writer *w)
{
    const char *reason = "no gradients and no optimizer state among the tensors' names";

    if (!c->scan)
        reason = "values not read";
    else if (c->model_count > 1)
        reason = "no gradients and no optimizer state in the candidate; update_proxy was not asked for";
    write_flag(w, "available", false);
    write_text(w, "source", source_names[state->source]);
    write_text(w, "reason", reason);
}

static void write_available(const struct comparison *c, const struct gradient *state, struct writer *w)
{
    const struct gradient_layer *first = &state->layers[state->stack_first];
    uint64_t vanishing = 0, exploding = 0;

    for (size_t i = 0; i < state->layer_count; i++) {
        vanishing += flag_of(c, &state->layers[i])[0] == 'v';
        exploding += flag_of(c, &state->layers[i])[0] == 'e';
    }
    write_flag(w, "available", true);
    write_text(w, "source", source_names[state->source]);
    write_figure(w, "flow_ratio", state->stack_count ? first->flow : NAN,
                 state->stack_count ? "the stack's last layer is zero" : "no stack of two numbered layers");
    write_u64(w, "vanishing_layers", vanishing);
    write_u64(w, "exploding_layers", exploding);
    write_figures(w, state, &state->total);
    if (state->stack_count) {
        write_object(w, "stack");
        write_named(w, "first", first->name);
        write_named(w, "last", state->layers[state->stack_first + state->stack_count - 1].name);
        write_u64(w, "layers", state->stack_count);
        write_end(w);
    }
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct gradient *state = opaque;

    if (state->source == SOURCE_NONE)
        write_unavailable(c, state, w);
    else
        write_available(c, state, w);
    write_object(w, "found");
    for (int source = 0; source < SOURCE_PROXY; source++)
        write_u64(w, source_names[source], state->found[source]);
    write_end(w);
    if (state->source == SOURCE_NONE)
        return;
    gradient_names_write(&state->names, w);
    write_object(w, "thresholds");
    write_figure(w, "gradient_vanishing", c->request->options.gradient_vanishing, NULL);
    write_figure(w, "gradient_exploding", c->request->options.gradient_exploding, NULL);
    write_end(w);
    if (state->adam)
        adam_write(state->adam, w);
    write_layers(c, state, w);
}

const struct analysis gradient_analysis = {
    .name = "gradient_analysis",
    .flag = "gradient-analysis",
    .summary =
        "Gradients and optimizer state stored in a checkpoint: size by layer and depth, signal, effective update.",
    .docs = &gradient_docs,
    .models_min = 1,
    .models_max = 64,
    .needs = NEED_SIDE,
    .prepare = prepare,
    .write = write,
    .free = gradient_free,
};
