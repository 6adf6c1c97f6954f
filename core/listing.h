/* Which pairs are listed, and in what order. */
#ifndef CORE_LISTING_H
#define CORE_LISTING_H

#include "core/compare.h"

/* Applies only_changed, sort, order and top. *ret_listing is the caller's, of *ret_count pair indexes. */
int listing_build(const struct comparison *comparison, uint32_t **ret_listing, size_t *ret_count, struct error *err);

/* The figure that a sort key orders by: NAN where the pair has none; +inf for change_magnitude of pairs that have no
 * partner or another shape. SORT_NAME gives the rank in canonical order. */
double listing_figure(const struct comparison *comparison, size_t pair, enum sort_key key);

#endif
