/* Hierarchical clustering by average linkage (UPGMA) of a few items. */
#ifndef CORE_ANALYSIS_CLUSTERING_H
#define CORE_ANALYSIS_CLUSTERING_H

#include <stddef.h>

enum { CLUSTERING_ITEMS_MAX = 64 };

/* Items are clusters 0 … n − 1; merge k makes cluster n + k. */
struct merge {
    size_t left, right; /* left < right */
    double height;      /* mean distance between the items of the two */
    size_t size;
};

struct clustering {
    size_t items;
    struct merge merges[CLUSTERING_ITEMS_MAX - 1]; /* by ascending height */
    size_t order[CLUSTERING_ITEMS_MAX];            /* items as the leaves of the tree, left first */
};

/* distance: items × items, symmetric, row-major; overwritten. Of equal distances the pair with the lowest first member
 * merges, then that with the lowest second, members being told by their lowest item. */
void clustering_run(double *distance, size_t items, struct clustering *ret_clustering);

#endif
