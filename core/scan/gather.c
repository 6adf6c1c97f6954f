#include "core/scan/gather.h"

#include <stdlib.h>
#include <string.h>

#include "core/scan/quantile.h"

static void must(int rc)
{
    if (rc)
        abort(); /* a lock that cannot be taken is a defect of this program */
}

bool gather_is_needed(unsigned needs)
{
    return needs & (NEED_QUANTILES | NEED_ROWS | NEED_COLUMNS | NEED_DIGEST);
}

int gather_new(size_t models, struct gather **ret_gather, struct error *err)
{
    struct gather *gather = calloc(1, sizeof(*gather));

    if (gather) {
        gather->models = models;
        gather->sides = calloc(models, sizeof(*gather->sides));
    }
    if (!gather || !gather->sides) {
        free(gather);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a tensor of %zu models", models);
    }
    must(pthread_mutex_init(&gather->lock, NULL));
    *ret_gather = gather;
    return 0;
}

void gather_free(struct gather *gather)
{
    if (!gather)
        return;
    for (size_t m = 0; m < gather->models; m++) {
        free(gather->sides[m].bins);
        channels_done(&gather->sides[m].channels);
        digest_free(gather->sides[m].digest);
    }
    free(gather->sides);
    must(pthread_mutex_destroy(&gather->lock));
    free(gather);
}

static int side_begin_bins(struct gather_side *side, struct error *err)
{
    if (side->bins)
        memset(side->bins, 0, QUANTILE_BINS * sizeof(*side->bins));
    else
        side->bins = calloc(QUANTILE_BINS, sizeof(*side->bins));
    return side->bins ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for the histograms of a tensor");
}

static int side_begin_digest(struct gather_side *side, const struct tensor *tensor, struct error *err)
{
    int rc = side->digest ? 0 : digest_new(&side->digest, err);

    return rc ? rc : digest_begin(side->digest, tensor, err);
}

int gather_begin(struct gather *gather, const struct scan_plan *plan, const struct layout *layout, size_t pair,
                 struct error *err)
{
    gather->pair = pair;
    for (size_t m = 0; m < gather->models; m++) {
        struct gather_side *side = &gather->sides[m];
        const struct tensor *tensor = layout->tensor[m];
        const bool is_read = tensor && layout->group_of[m] != LAYOUT_NO_GROUP;
        const bool has_values = is_read && !layout->group[layout->group_of[m]].is_bytes;
        int rc = 0;

        side->has_bins = has_values && (plan->needs & NEED_QUANTILES) && quantiles_exist(tensor->dtype) &&
                         tensor->shape.elements >= QUANTILE_SORTED;
        side->has_digest = is_read && (plan->needs & NEED_DIGEST);
        if (side->has_bins)
            rc = side_begin_bins(side, err);
        if (rc == 0)
            rc = channels_begin(&side->channels, has_values ? tensor : NULL, plan->needs, err);
        if (rc == 0 && side->has_digest)
            rc = side_begin_digest(side, tensor, err);
        if (rc)
            return rc;
    }
    return 0;
}

int gather_join(struct gather *gather, const struct yield *yield, struct error *err)
{
    for (size_t m = 0; m < gather->models; m++) {
        struct gather_side *side = &gather->sides[m];
        const struct side_yield *from = &yield->sides[m];
        int rc;

        if (from->record.elements)
            channels_join(&side->channels, &from->part);
        if (!from->has_digest)
            continue;
        rc = digest_add_unit(side->digest, from->digest, err);
        if (rc)
            return rc;
    }
    return 0;
}

int gather_settle(struct gather *gather, struct scan_result *result, struct error *err)
{
    for (size_t m = 0; m < gather->models; m++) {
        struct gather_side *from = &gather->sides[m];
        const size_t side = gather->pair * gather->models + m;
        int rc;

        if (from->has_bins)
            quantiles_of_bins(from->bins, &result->sides[side], &result->quantiles[side]);
        channels_settle(&from->channels, result->rows ? &result->rows[side] : NULL,
                        result->columns ? &result->columns[side] : NULL);
        if (!from->has_digest)
            continue;
        rc = digest_end(from->digest, result->digests[side], err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Weights crowd into a few thousand of the bins. */
void gather_add_bins(struct gather *gather, size_t m, uint32_t *bins)
{
    enum { GROUP = 32 };
    uint64_t *into = gather->sides[m].bins;

    must(pthread_mutex_lock(&gather->lock));
    for (size_t first = 0; first < QUANTILE_BINS; first += GROUP) {
        uint32_t any = 0;

        for (size_t i = first; i < first + GROUP; i++)
            any |= bins[i];
        for (size_t i = first; any && i < first + GROUP; i++) {
            into[i] += bins[i];
            bins[i] = 0;
        }
    }
    must(pthread_mutex_unlock(&gather->lock));
}
