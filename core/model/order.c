/* Merge sort that leaves halves alone which are in order: files list their tensors mostly sorted, and qsort would not
 * notice, nor tell its comparison where the records are. */
#include "core/model/order.h"

#include <stdlib.h>
#include <string.h>

static void sort_small(uint32_t *items, size_t count, order_compare *compare, const void *context)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t item = items[i];
        size_t at = i;

        while (at > 0 && compare(context, items[at - 1], item) > 0) {
            items[at] = items[at - 1];
            at--;
        }
        items[at] = item;
    }
}

void order_sort(uint32_t *items, size_t count, uint32_t *scratch, order_compare *compare, const void *context)
{
    size_t half = count / 2, left = 0, right = half, out = 0;

    if (count <= 8) {
        sort_small(items, count, compare, context);
        return;
    }
    order_sort(items, half, scratch, compare, context);
    order_sort(items + half, count - half, scratch, compare, context);
    if (compare(context, items[half - 1], items[half]) <= 0)
        return;
    memcpy(scratch, items, half * sizeof(*items));
    while (left < half && right < count) {
        if (compare(context, scratch[left], items[right]) <= 0)
            items[out++] = scratch[left++];
        else
            items[out++] = items[right++];
    }
    memcpy(items + out, scratch + left, (half - left) * sizeof(*items));
}

static int compare_names(const void *context, uint32_t a, uint32_t b)
{
    const struct tensor *tensors = context;

    return name_compare_natural(tensors[a].name, tensors[b].name);
}

int order_tensors(const struct tensor *tensors, size_t count, uint32_t **ret_order, struct error *err)
{
    uint32_t *order = reallocarray(NULL, count + 1, sizeof(*order));
    uint32_t *scratch = reallocarray(NULL, count / 2 + 1, sizeof(*scratch));

    if (!order || !scratch) {
        free(order);
        free(scratch);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the order of %zu tensors", count);
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, scratch, compare_names, tensors);
    free(scratch);
    *ret_order = order;
    return 0;
}
