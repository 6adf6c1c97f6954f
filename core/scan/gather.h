/* What lives once per tensor while its units are measured: histograms, sums of rows and columns, digests. Its size does
 * not depend on how many units there are. */
#ifndef CORE_SCAN_GATHER_H
#define CORE_SCAN_GATHER_H

#include <pthread.h>

#include "core/scan/channels.h"
#include "core/scan/digest.h"
#include "core/scan/layout.h"
#include "core/scan/yield.h"

struct gather_side {
    uint64_t *bins; /* guarded by lock; counts, whose order does not matter */
    bool has_bins;
    struct channels channels;
    struct digest *digest;
    bool has_digest;
};

struct gather {
    struct gather *next;
    size_t pair, models;
    pthread_mutex_t lock;
    struct gather_side *sides; /* [model] */
};

/* Whether a pass of these needs has any use for one. */
bool gather_is_needed(unsigned needs);

int gather_new(size_t models, struct gather **ret_gather, struct error *err);
void gather_free(struct gather *gather);

/* Makes it ready for a pair; what an earlier pair used is used again. */
int gather_begin(struct gather *gather, const struct scan_plan *plan, const struct layout *layout, size_t pair,
                 struct error *err);

/* Adds a unit; in unit order. */
int gather_join(struct gather *gather, const struct yield *yield, struct error *err);

/* When all units are joined, and their records merged: writes the pair's quantiles, norms and digests. */
int gather_settle(struct gather *gather, struct scan_result *result, struct error *err);

/* Adds the counts of a unit of side m, and empties bins. */
void gather_add_bins(struct gather *gather, size_t m, uint32_t *bins);

#endif
