/* Pairs by name: the models' tensors are in canonical order already, so the union is one merge of sorted lists, and the
 * pairs come out in canonical order. */
#include "core/model/align.h"

#include <stdlib.h>
#include <string.h>

void pairing_free(struct pairing *pairing)
{
    if (!pairing)
        return;
    free(pairing->side);
    free(pairing->rule);
    free(pairing);
}

/* Makes room for one more pair. */
static int grow(struct pairing *pairing, size_t *room, size_t first_room, struct error *err)
{
    size_t wanted = *room ? *room + *room / 2 + 1 : first_room;
    uint32_t *side;
    uint16_t *rule;

    if (pairing->pairs < *room)
        return 0;
    if (wanted > SIZE_MAX / sizeof(*side) / pairing->models)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
    side = reallocarray(pairing->side, wanted * pairing->models, sizeof(*side));
    if (side)
        pairing->side = side;
    rule = reallocarray(pairing->rule, wanted, sizeof(*rule));
    if (rule)
        pairing->rule = rule;
    if (!side || !rule)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %zu pairs of %zu models", wanted, pairing->models);
    *room = wanted;
    return 0;
}

/* The model whose next tensor comes first; model_count when all are at their end. */
static size_t first_in_order(const struct model *const *models, size_t model_count, const size_t *next, bool *is_same)
{
    size_t first = model_count;

    for (size_t m = 0; m < model_count; m++) {
        int order;

        is_same[m] = false;
        if (next[m] == models[m]->tensor_count)
            continue;
        order = first == model_count
                    ? -1
                    : name_compare_natural(models[m]->tensors[next[m]].name, models[first]->tensors[next[first]].name);
        if (order < 0) {
            memset(is_same, 0, m * sizeof(*is_same));
            first = m;
        }
        is_same[m] = order <= 0;
    }
    return first;
}

int pairing_align(const struct model *const *models, size_t model_count, const struct selection *selection,
                  struct pairing **ret_pairing, struct error *err)
{
    struct pairing *pairing = calloc(1, sizeof(*pairing));
    size_t *next = calloc(model_count + 1, sizeof(*next));
    bool *is_same = calloc(model_count + 1, sizeof(*is_same));
    size_t room = 0, most = 1, first;
    int rc = 0;

    if (!pairing || !next || !is_same) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
        goto out;
    }
    pairing->models = model_count;
    for (size_t m = 0; m < model_count; m++)
        if (models[m]->tensor_count > most)
            most = models[m]->tensor_count;
    while ((first = first_in_order(models, model_count, next, is_same)) < model_count) {
        bool is_selected =
            !selection || selection->is_selected(selection->context, models[first]->tensors[next[first]].name);

        if (is_selected) {
            rc = grow(pairing, &room, most, err);
            if (rc)
                goto out;
            for (size_t m = 0; m < model_count; m++)
                pairing->side[pairing->pairs * model_count + m] = is_same[m] ? (uint32_t)next[m] : PAIRING_NONE;
            pairing->rule[pairing->pairs++] = PAIRED_BY_NAME;
        } else {
            pairing->excluded++;
        }
        for (size_t m = 0; m < model_count; m++)
            next[m] += is_same[m];
    }
    *ret_pairing = pairing;
    pairing = NULL;
out:
    pairing_free(pairing);
    free(next);
    free(is_same);
    return rc;
}

const struct tensor *pairing_tensor(const struct pairing *pairing, const struct model *const *models, size_t pair,
                                    size_t m)
{
    uint32_t at = pairing->side[pair * pairing->models + m];

    return at == PAIRING_NONE ? NULL : &models[m]->tensors[at];
}

struct name pairing_name(const struct pairing *pairing, const struct model *const *models, size_t pair)
{
    for (size_t m = 0; m < pairing->models; m++) {
        const struct tensor *tensor = pairing_tensor(pairing, models, pair, m);

        if (tensor)
            return tensor->name;
    }
    return (struct name){"", 0};
}
