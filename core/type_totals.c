#include "core/type_totals.h"

#include <string.h>

static int compare(const struct type_total *total, struct name name, unsigned rank)
{
    if (total->rank != rank)
        return total->rank < rank ? -1 : 1;
    return name_compare_natural(total->name, name);
}

void type_totals_add(struct type_totals *totals, const struct tensor *tensor, uint64_t parameters, uint64_t bytes)
{
    struct name name = tensor_is_decodable(tensor) ? tensor_dtype_name(tensor) : name_of("unknown");
    const bool is_plain = !tensor->storage || !tensor->storage->stored_as.text || !tensor_is_decodable(tensor);
    const unsigned rank = !tensor_is_decodable(tensor) ? 0 : is_plain ? (unsigned)tensor->dtype : DTYPE_COUNT;
    size_t at = 0;

    while (at < totals->count && compare(&totals->items[at], name, rank) < 0)
        at++;
    if (at == totals->count || compare(&totals->items[at], name, rank) != 0) {
        if (totals->count == TYPE_TOTALS_MAX)
            return;
        memmove(&totals->items[at + 1], &totals->items[at], (totals->count - at) * sizeof(totals->items[0]));
        totals->items[at] = (struct type_total){.name = name, .rank = rank};
        totals->count++;
    }
    totals->items[at].tensors++;
    totals->items[at].parameters += parameters;
    totals->items[at].bytes += bytes;
}
