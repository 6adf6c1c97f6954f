/* Pairs gathered by layer or by module type, with the sums of each group in canonical order. */
#ifndef CORE_ANALYSIS_GROUPS_H
#define CORE_ANALYSIS_GROUPS_H

#include "core/compare.h"

struct group {
    struct name name;
    uint64_t tensors;                        /* all pairs of the group, one-sided ones too */
    uint64_t parameters, changed_parameters; /* of the summed pairs */
    struct delta_record delta;               /* over the summed pairs */
};

struct groups {
    struct group *items;
    size_t count;
};

/* By layer, in natural order of layer names. */
int groups_by_layer(const struct comparison *comparison, struct groups *ret_groups, struct error *err);
/* By module type, in the table's order; types that do not occur are left out. */
int groups_by_module_type(const struct comparison *comparison, struct groups *ret_groups, struct error *err);
void groups_done(struct groups *groups);

#endif
