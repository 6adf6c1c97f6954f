/* layer_impact: where the change lies. share = ΣΔ² of the group ÷ ΣΔ² of the model; impact holds the share against an
 * even spread of the change over all parameters. */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/analysis.h"
#include "core/analysis/groups.h"

struct impact_state {
    struct groups layers, modules;
    uint32_t *layer_ranks, *module_ranks; /* 1 = the largest share; 0 where there is none */
};

/* ΣΔ² of part ÷ ΣΔ² of whole, of norms where extreme values would overflow; NAN when nothing changed or nothing of the
 * part was compared. */
static double share_of(const struct delta_record *part, const struct delta_record *whole)
{
    double ratio = delta_l2(part) / delta_l2(whole);

    if (part->finite == 0 || sum_value(&whole->delta_squares) == 0)
        return NAN;
    if (part->exponent == whole->exponent)
        return sum_value(&part->delta_squares) / sum_value(&whole->delta_squares);
    return ratio * ratio;
}

struct ranked {
    double share;
    uint32_t index;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    if (isnan(a->share) != isnan(b->share))
        return isnan(a->share) ? 1 : -1;
    if (a->share > b->share || a->share < b->share)
        return a->share > b->share ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int rank(const struct comparison *c, const struct groups *groups, uint32_t **ret_ranks, struct error *err)
{
    struct ranked *order = calloc(groups->count + 1, sizeof(*order));
    uint32_t *ranks = calloc(groups->count + 1, sizeof(*ranks));

    if (!order || !ranks) {
        free(order);
        free(ranks);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < groups->count; i++)
        order[i] = (struct ranked){share_of(&groups->items[i].delta, &c->total), (uint32_t)i};
    qsort(order, groups->count, sizeof(*order), compare_ranked);
    for (size_t i = 0; i < groups->count && !isnan(order[i].share); i++)
        ranks[order[i].index] = (uint32_t)i + 1;
    free(order);
    *ret_ranks = ranks;
    return 0;
}

static void impact_free(void *opaque)
{
    struct impact_state *state = opaque;

    if (!state)
        return;
    groups_done(&state->layers);
    groups_done(&state->modules);
    free(state->layer_ranks);
    free(state->module_ranks);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct impact_state *state = calloc(1, sizeof(*state));
    int rc;

    (void)env;
    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    rc = groups_by_layer(c, &state->layers, err);
    if (rc == 0)
        rc = groups_by_module_type(c, &state->modules, err);
    if (rc == 0)
        rc = rank(c, &state->layers, &state->layer_ranks, err);
    if (rc == 0)
        rc = rank(c, &state->modules, &state->module_ranks, err);
    if (rc) {
        impact_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static const char *impact_of(const struct comparison *c, const struct group *group, double share)
{
    const struct options *options = &c->request->options;
    double even = c->parameters_compared ? (double)group->parameters / (double)c->parameters_compared : 0;

    if (!(share > 0))
        return "none";
    if (share < options->impact_low * even)
        return "low";
    return share > options->impact_high * even ? "high" : "medium";
}

static void write_groups(const struct comparison *c, struct writer *w, const char *key, const char *name_key,
                         const struct groups *groups, const uint32_t *ranks)
{
    static const char none[] = "no float values compared";

    write_array(w, key);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = &groups->items[i];
        const struct delta_record *delta = &group->delta;
        double share = share_of(delta, &c->total);

        write_begin_object(w);
        write_named(w, name_key, group->name);
        write_u64(w, "tensors", group->tensors);
        write_u64(w, "parameters", group->parameters);
        write_u64(w, "changed_parameters", group->changed_parameters);
        write_figure(w, "l2", delta->finite ? delta_l2(delta) : NAN, none);
        write_figure(w, "relative_l2", delta->finite ? delta_relative_l2(delta) : NAN,
                     delta->finite ? "baseline is all zero" : none);
        write_figure(w, "cosine", delta->finite ? delta_cosine(delta) : NAN,
                     delta->finite ? "one side is all zero" : none);
        write_figure(w, "share", share, delta->finite ? "nothing changed" : none);
        if (ranks[i])
            write_u64(w, "rank", ranks[i]);
        else
            write_null(w, "rank", delta->finite ? "nothing changed" : none);
        if (delta->finite)
            write_text(w, "impact", impact_of(c, group, share));
        else
            write_null(w, "impact", none);
        write_end(w);
    }
    write_end(w);
}

static bool is_numbered(struct name layer)
{
    return layer.bytes > 0 && layer.text[layer.bytes - 1] >= '0' && layer.text[layer.bytes - 1] <= '9';
}

/* The numbered layers alone, in layer order, as columns: how the change runs through the depth of the model. */
static void write_depth_profile(const struct comparison *c, struct writer *w, const struct groups *layers)
{
    static const char *const columns[] = {"layers", "relative_l2", "share"};

    write_object(w, "depth_profile");
    for (size_t column = 0; column < sizeof(columns) / sizeof(columns[0]); column++) {
        write_array(w, columns[column]);
        for (size_t i = 0; i < layers->count; i++) {
            const struct group *group = &layers->items[i];
            double figure = column == 1 ? delta_relative_l2(&group->delta) : share_of(&group->delta, &c->total);

            if (!is_numbered(group->name))
                continue;
            if (column == 0)
                write_name(w, group->name);
            else if (isfinite(figure) && group->delta.finite)
                w->ops->f64(w, figure);
            else
                w->ops->null(w, NULL);
        }
        write_end(w);
    }
    write_end(w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct impact_state *state = opaque;

    write_object(w, "thresholds");
    write_figure(w, "impact_low", c->request->options.impact_low, NULL);
    write_figure(w, "impact_high", c->request->options.impact_high, NULL);
    write_end(w);
    write_groups(c, w, "layers", "layer", &state->layers, state->layer_ranks);
    write_groups(c, w, "module_types", "module_type", &state->modules, state->module_ranks);
    write_depth_profile(c, w, &state->layers);
}

const struct analysis layer_impact_analysis = {
    .name = "layer_impact",
    .flag = "show-layer-impact",
    .summary = "How much of the change lies in each layer and each kind of module.",
    .docs = &layer_impact_docs,
    .models_min = 2,
    .models_max = 64,
    .needs = NEED_DELTA,
    .prepare = prepare,
    .write = write,
    .free = impact_free,
};
