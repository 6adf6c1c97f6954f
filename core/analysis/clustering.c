/* The closest two merge until one is left; distances to the merged are means weighted by size (Lance and Williams), so
 * that heights never fall. A cluster lives in the row of its lowest item. */
#include "core/analysis/clustering.h"

#include <stdbool.h>

static void put_leaves(struct clustering *clustering)
{
    size_t stack[2 * CLUSTERING_ITEMS_MAX], depth = 0, used = 0;

    stack[depth++] = 2 * clustering->items - 2;
    while (depth > 0) {
        size_t at = stack[--depth];

        if (at < clustering->items) {
            clustering->order[used++] = at;
            continue;
        }
        stack[depth++] = clustering->merges[at - clustering->items].right;
        stack[depth++] = clustering->merges[at - clustering->items].left;
    }
}

void clustering_run(double *distance, size_t items, struct clustering *ret)
{
    size_t id[CLUSTERING_ITEMS_MAX], size[CLUSTERING_ITEMS_MAX];
    bool is_gone[CLUSTERING_ITEMS_MAX] = {false};

    ret->items = items;
    for (size_t i = 0; i < items; i++) {
        id[i] = i;
        size[i] = 1;
    }
    for (size_t k = 0; k + 1 < items; k++) {
        size_t a = items, b = items;

        for (size_t i = 0; i < items; i++)
            for (size_t j = i + 1; j < items && !is_gone[i]; j++)
                if (!is_gone[j] && (a == items || distance[i * items + j] < distance[a * items + b])) {
                    a = i;
                    b = j;
                }
        ret->merges[k] = (struct merge){.left = id[a] < id[b] ? id[a] : id[b],
                                        .right = id[a] < id[b] ? id[b] : id[a],
                                        .height = distance[a * items + b],
                                        .size = size[a] + size[b]};
        for (size_t i = 0; i < items; i++) {
            double mean = ((double)size[a] * distance[a * items + i] + (double)size[b] * distance[b * items + i]) /
                          (double)(size[a] + size[b]);

            if (i != a && i != b)
                distance[a * items + i] = distance[i * items + a] = mean;
        }
        is_gone[b] = true;
        size[a] += size[b];
        id[a] = items + k;
    }
    put_leaves(ret);
}
