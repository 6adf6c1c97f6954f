/* Which layers the couples of a series are summed by, before the pass and after pairing by content. */
#ifndef CORE_ANALYSIS_COUPLES_PLAN_H
#define CORE_ANALYSIS_COUPLES_PLAN_H

#include "core/scan/scan.h"

/* The layers of the weights, in natural order, and the pairs of each in canonical order. */
struct couple_layers {
    struct pairing *pairing; /* of as many pairs as the comparison's: a tensor that stands in two of them (a copy's
                                source) is left out of its copies' */
    uint32_t *groups;        /* [pair]: its layer, or GROUP_NONE */
    struct name *names;      /* [layer] */
    size_t count;
    uint32_t *pairs; /* those of layer i: pairs[first[i]] … pairs[first[i + 1] − 1] */
    size_t *first;
};

int couple_layers_of(const struct pairing *pairing, const struct model *const *models, struct couple_layers *ret_layers,
                     struct error *err);
void couple_layers_done(struct couple_layers *layers);

/* Pairs were made anew: plan has them as they are, layers and result->couples as the pass had them. Layers that kept
 * their pairs keep their couples; the others are read again. On success layers are those of the new pairs; on failure
 * nothing has changed. */
int couples_settle(const struct scan_plan *plan, const struct scan_env *env, struct couple_layers *layers,
                   struct scan_result *result, struct error *err);

#endif
