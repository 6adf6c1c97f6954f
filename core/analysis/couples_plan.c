/* Couples are summed by layer while the pass runs, so a pair that is found by content afterwards cannot be taken out of
 * its layer's sums: the layer is summed anew. Records of a pass do not depend on which other layers it reads, so the
 * result is that of a pass that had known the pairs from the start. */
#include "core/analysis/couples_plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/analysis/gradient_roles.h"
#include "core/model/layers.h"
#include "core/model/shared.h"

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory for the couples of layers");
}

void couple_layers_done(struct couple_layers *layers)
{
    pairing_free(layers->pairing);
    free(layers->groups);
    free(layers->names);
    free(layers->pairs);
    free(layers->first);
    *layers = (struct couple_layers){0};
}

/* Takes model m's tensors out of copies where they stand in a pair of their own too. */
static void leave_out_sources(struct pairing *pairing, size_t m, bool *is_paired)
{
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        uint32_t tensor = pairing->side[pair * pairing->models + m];

        if (tensor != PAIRING_NONE && !(tensor & PAIRING_VIEW) && pairing->rule[pair] != PAIRED_AS_COPY)
            is_paired[tensor] = true;
    }
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        uint32_t *tensor = &pairing->side[pair * pairing->models + m];

        if (*tensor != PAIRING_NONE && !(*tensor & PAIRING_VIEW) && pairing->rule[pair] == PAIRED_AS_COPY &&
            is_paired[*tensor])
            *tensor = PAIRING_NONE;
    }
}

static int copy_pairing(const struct pairing *from, const struct model *const *models, struct pairing **ret_pairing,
                        struct error *err)
{
    struct pairing *pairing = calloc(1, sizeof(*pairing));
    const size_t sides = from->pairs * from->models;
    bool *is_shared = NULL;

    if (!pairing)
        return no_memory(err);
    *pairing = (struct pairing){.pairs = from->pairs, .models = from->models, .views = from->views};
    pairing->side = calloc(sides + 1, sizeof(*pairing->side));
    pairing->rule = calloc(from->pairs + 1, sizeof(*pairing->rule));
    if (!pairing->side || !pairing->rule)
        goto no_memory;
    memcpy(pairing->side, from->side, sides * sizeof(*pairing->side));
    memcpy(pairing->rule, from->rule, from->pairs * sizeof(*pairing->rule));
    if (pairing_find_shared(models, from, &is_shared, err) != 0) {
        pairing_free(pairing);
        return ERROR_NO_MEMORY;
    }
    for (size_t pair = 0; is_shared && pair < from->pairs; pair++)
        for (size_t m = 0; is_shared[pair] && m < from->models; m++)
            pairing->side[pair * from->models + m] = PAIRING_NONE;
    free(is_shared);
    for (size_t m = 0; m < from->models; m++) {
        bool *is_paired = calloc(models[m]->tensor_count + 1, sizeof(*is_paired));

        if (!is_paired)
            goto no_memory;
        leave_out_sources(pairing, m, is_paired);
        free(is_paired);
    }
    *ret_pairing = pairing;
    return 0;

no_memory:
    pairing_free(pairing);
    return no_memory(err);
}

/* A pair of weights: some model has it as a float tensor that plays no other role. */
static bool is_weight(const struct pairing *pairing, const struct model *const *models, size_t pair)
{
    bool is_float = false;

    for (size_t m = 0; m < pairing->models; m++) {
        const struct tensor *tensor = pairing_tensor(pairing, models, pair, m);

        if (!tensor)
            continue;
        if (gradient_role_of(models[m], tensor, NULL) != ROLE_WEIGHT)
            return false;
        is_float = is_float || dtype_is_parameter(tensor->dtype);
    }
    return is_float;
}

int couple_layers_of(const struct pairing *pairing, const struct model *const *models, struct couple_layers *ret_layers,
                     struct error *err)
{
    const size_t pairs = pairing->pairs;
    struct layered *layered = calloc(pairs + 1, sizeof(*layered));
    struct couple_layers layers = {.groups = calloc(pairs + 1, sizeof(*layers.groups)),
                                   .names = calloc(pairs + 1, sizeof(*layers.names)),
                                   .pairs = calloc(pairs + 1, sizeof(*layers.pairs)),
                                   .first = calloc(pairs + 1, sizeof(*layers.first))};
    size_t kept = 0;
    int rc = layered && layers.groups && layers.names && layers.pairs && layers.first ? 0 : no_memory(err);

    if (rc == 0)
        rc = copy_pairing(pairing, models, &layers.pairing, err);
    if (rc)
        goto out;
    for (size_t pair = 0; pair < pairs; pair++) {
        layers.groups[pair] = GROUP_NONE;
        if (is_weight(layers.pairing, models, pair))
            layered[kept++] = (struct layered){layer_of(pairing_name(pairing, models, pair)), (uint32_t)pair};
    }
    qsort(layered, kept, sizeof(*layered), layered_compare);
    for (size_t i = 0; i < kept; i++) {
        if (i == 0 || !name_equal(layered[i].layer, layered[i - 1].layer)) {
            layers.first[layers.count] = i;
            layers.names[layers.count++] = layered[i].layer;
        }
        layers.pairs[i] = layered[i].index;
        layers.groups[layered[i].index] = (uint32_t)(layers.count - 1);
    }
    layers.first[layers.count] = kept;
    *ret_layers = layers;
    layers = (struct couple_layers){0};
out:
    free(layered);
    couple_layers_done(&layers);
    return rc;
}

static const uint32_t *sides_of(const struct couple_layers *layers, size_t layer, size_t i)
{
    return layers->pairing->side + layers->pairs[layers->first[layer] + i] * layers->pairing->models;
}

static size_t pairs_of(const struct couple_layers *layers, size_t layer)
{
    return layers->first[layer + 1] - layers->first[layer];
}

/* Whether layer a of x has the pairs that layer b of y has. */
static bool has_same_pairs(const struct couple_layers *x, size_t a, const struct couple_layers *y, size_t b)
{
    const size_t models = x->pairing->models;

    if (pairs_of(x, a) != pairs_of(y, b))
        return false;
    for (size_t i = 0; i < pairs_of(x, a); i++)
        if (memcmp(sides_of(x, a, i), sides_of(y, b, i), models * sizeof(uint32_t)) != 0)
            return false;
    return true;
}

/* For each layer of now: the one of before that has the same name and the same pairs, or GROUP_NONE. Both are in
 * natural order. */
static void find_kept(const struct couple_layers *before, const struct couple_layers *now, uint32_t *ret_kept)
{
    size_t b = 0;

    for (size_t layer = 0; layer < now->count; layer++) {
        ret_kept[layer] = GROUP_NONE;
        while (b < before->count && name_compare_natural(before->names[b], now->names[layer]) < 0)
            b++;
        if (b < before->count && name_equal(before->names[b], now->names[layer]) &&
            has_same_pairs(before, b, now, layer))
            ret_kept[layer] = (uint32_t)b;
    }
}

static size_t tensors_of(const struct pairing *pairing, size_t pair)
{
    size_t count = 0;

    for (size_t m = 0; m < pairing->models; m++)
        count += pairing->side[pair * pairing->models + m] != PAIRING_NONE;
    return count;
}

/* The pairs of layers that are not kept; what stands alone needs no reading. */
static void list_unkept(const struct couple_layers *now, const uint32_t *kept, struct pairing *pairing,
                        uint32_t *groups)
{
    const size_t models = pairing->models;

    for (size_t pair = 0; pair < now->pairing->pairs; pair++) {
        if (now->groups[pair] == GROUP_NONE || kept[now->groups[pair]] != GROUP_NONE ||
            tensors_of(now->pairing, pair) < 2)
            continue;
        memcpy(pairing->side + pairing->pairs * models, now->pairing->side + pair * models,
               models * sizeof(*pairing->side));
        groups[pairing->pairs++] = now->groups[pair];
    }
}

/* A pass over them alone, with the needs that make the couples of a first pass. */
static int measure_unkept(const struct scan_plan *plan, const struct scan_env *env, const struct couple_layers *now,
                          const uint32_t *kept, struct scan_result **ret_result, struct error *err)
{
    const size_t pairs = now->pairing->pairs;
    struct pairing pairing = {.models = now->pairing->models, .views = now->pairing->views};
    struct scan_env quiet = *env; /* the progress was told to its end */
    struct scan_plan again = *plan;
    uint32_t *groups = calloc(pairs + 1, sizeof(*groups));
    int rc = 0;

    pairing.side = calloc(pairs * pairing.models + 1, sizeof(*pairing.side));
    pairing.rule = calloc(pairs + 1, sizeof(*pairing.rule));
    if (!groups || !pairing.side || !pairing.rule) {
        rc = no_memory(err);
    } else {
        list_unkept(now, kept, &pairing, groups);
        quiet.progress = NULL;
        again.pairing = &pairing;
        again.needs = NEED_SIDE | NEED_DELTA | NEED_COUPLES | NEED_TURNS;
        again.groups = groups;
        again.group_count = now->count;
        rc = scan_run(&again, &quiet, ret_result, err);
    }
    free(groups);
    free(pairing.side);
    free(pairing.rule);
    return rc;
}

int couples_settle(const struct scan_plan *plan, const struct scan_env *env, struct couple_layers *layers,
                   struct scan_result *result, struct error *err)
{
    const size_t couples = couple_count(plan->model_count);
    struct couple_layers now = {0};
    struct scan_result *again = NULL;
    uint32_t *kept = NULL;
    int rc = couple_layers_of(plan->pairing, plan->models, &now, err);

    if (rc == 0)
        kept = calloc(now.count + 1, sizeof(*kept));
    if (rc == 0 && !kept)
        rc = no_memory(err);
    if (rc)
        goto out;
    find_kept(layers, &now, kept);
    rc = measure_unkept(plan, env, &now, kept, &again, err);
    if (rc)
        goto out;
    for (size_t layer = 0; layer < now.count; layer++)
        if (kept[layer] != GROUP_NONE)
            memcpy(again->couples + layer * couples, result->couples + kept[layer] * couples,
                   couples * sizeof(*again->couples));
    scan_result_take_couples(result, again);
    couple_layers_done(layers);
    *layers = now;
    now = (struct couple_layers){0};
out:
    free(kept);
    couple_layers_done(&now);
    scan_result_free(again);
    return rc;
}
