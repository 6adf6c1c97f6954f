/* Heap arrays that grow an item at a time. */
#ifndef CORE_ARRAY_H
#define CORE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Makes room for one item more than count in the array at *array_of, which has *room. False: there is no memory, and
 * nothing has changed. */
bool array_reserve(void *array_of, size_t item_bytes, size_t count, size_t *room);

#endif
