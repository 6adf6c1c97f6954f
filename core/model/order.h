/* Stable sorting of indexes, so that large records stay where they are. */
#ifndef CORE_MODEL_ORDER_H
#define CORE_MODEL_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/model/tensor.h"

typedef int order_compare(const void *context, uint32_t a, uint32_t b);

/* Sorts count indexes; what is in order already costs one comparison an item. scratch: room for count / 2 + 1. */
void order_sort(uint32_t *items, size_t count, uint32_t *scratch, order_compare *compare, const void *context);

/* The canonical order of tensors: natural order of names. *ret_order is the caller's to free. ERROR_NO_MEMORY. */
int order_tensors(const struct tensor *tensors, size_t count, uint32_t **ret_order, struct error *err);

#endif
