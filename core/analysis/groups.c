#include "core/analysis/groups.h"

#include <stdlib.h>

#include "core/model/layers.h"

static struct name name_at(const struct comparison *c, size_t pair)
{
    return pairing_name(c->pairing, (const struct model *const *)c->models, pair);
}

static void group_add(const struct comparison *c, struct group *group, size_t pair)
{
    group->tensors++;
    if (!comparison_is_summed(c, pair))
        return;
    delta_record_merge(&group->delta, comparison_delta(c, pair), group->parameters);
    group->parameters += comparison_delta(c, pair)->elements;
    group->changed_parameters += comparison_delta(c, pair)->changed;
}

static void group_start(struct group *group, struct name name)
{
    *group = (struct group){.name = name};
    delta_record_init(&group->delta);
}

int groups_by_layer(const struct comparison *c, struct groups *ret_groups, struct error *err)
{
    size_t pairs = c->pairing->pairs, count = 0;
    struct layered *layered = calloc(pairs + 1, sizeof(*layered));
    struct group *items;

    if (!layered)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t pair = 0; pair < pairs; pair++)
        layered[pair] = (struct layered){layer_of(name_at(c, pair)), (uint32_t)pair};
    qsort(layered, pairs, sizeof(*layered), layered_compare);
    for (size_t i = 0; i < pairs; i++)
        count += i == 0 || !name_equal(layered[i].layer, layered[i - 1].layer);
    items = calloc(count + 1, sizeof(*items));
    if (!items) {
        free(layered);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    count = 0;
    for (size_t i = 0; i < pairs; i++) {
        if (i == 0 || !name_equal(layered[i].layer, layered[i - 1].layer))
            group_start(&items[count++], layered[i].layer);
        group_add(c, &items[count - 1], layered[i].index);
    }
    free(layered);
    *ret_groups = (struct groups){items, count};
    return 0;
}

int groups_by_module_type(const struct comparison *c, struct groups *ret_groups, struct error *err)
{
    struct group *items = calloc(MODULE_TYPE_COUNT, sizeof(*items));
    size_t count = 0;

    if (!items)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (unsigned type = 0; type < MODULE_TYPE_COUNT; type++)
        group_start(&items[type], name_of(module_type_name(type)));
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        group_add(c, &items[module_type_index(name_at(c, pair))], pair);
    for (unsigned type = 0; type < MODULE_TYPE_COUNT; type++)
        if (items[type].tensors)
            items[count++] = items[type];
    *ret_groups = (struct groups){items, count};
    return 0;
}

void groups_done(struct groups *groups)
{
    free(groups->items);
}
