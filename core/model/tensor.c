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
