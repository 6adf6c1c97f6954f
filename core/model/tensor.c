#include "core/model/tensor.h"

#include <string.h>

bool shape_equal(const struct shape *a, const struct shape *b)
{
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0);
}

struct name tensor_dtype_name(const struct tensor *tensor)
{
    if (tensor->storage && tensor->storage->stored_as.text)
        return tensor->storage->stored_as;
    return name_of(dtype_traits(tensor->dtype)->name);
}

bool tensor_is_decodable(const struct tensor *tensor)
{
    if (tensor->storage && !tensor->storage->decoder)
        return false;
    return tensor->dtype != DTYPE_UNKNOWN;
}

const char *tensor_unread_reason(const struct tensor *tensor)
{
    if (tensor_is_decodable(tensor))
        return NULL;
    if (tensor->storage && tensor->storage->reason)
        return tensor->storage->reason;
    return tensor->dtype == DTYPE_UNKNOWN ? "dtype unsupported" : "values not decodable";
}

bool tensors_share_place(const struct tensor *a, const struct tensor *b)
{
    const uint32_t parts = a->storage ? a->storage->part_count : 0;

    if (a->extent.source != b->extent.source || a->extent.offset != b->extent.offset ||
        parts != (b->storage ? b->storage->part_count : 0))
        return false;
    for (uint32_t i = 0; i < parts; i++)
        if (a->storage->parts[i].extent.source != b->storage->parts[i].extent.source ||
            a->storage->parts[i].extent.offset != b->storage->parts[i].extent.offset)
            return false;
    return true;
}
