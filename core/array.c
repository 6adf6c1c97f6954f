#include "core/array.h"

#include <stdlib.h>

bool array_reserve(void *array_of, size_t item_bytes, size_t count, size_t *room)
{
    void **array = array_of;
    const size_t wanted = *room < 16 ? 32 : *room * 2;
    void *grown;

    if (count < *room)
        return true;
    grown = reallocarray(*array, wanted, item_bytes);
    if (!grown)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}
