/* What one unit yields, and where it goes: into the records of its pair. */
#ifndef CORE_SCAN_YIELD_H
#define CORE_SCAN_YIELD_H

#include "core/scan/channels.h"
#include "core/scan/digest.h"
#include "core/scan/layout.h"
#include "core/scan/scan.h"

struct side_yield {
    struct side_record record; /* elements 0: not in this unit */
    struct side_profile profile;
    struct channel_part part;
    uint8_t digest[DIGEST_BYTES];
    bool has_digest;
};

struct yield {
    size_t pair;
    uint64_t unit;            /* of the pair, over all its groups */
    uint64_t following;       /* units of its group that the same thread measures next */
    uint64_t first;           /* flat index of its first element */
    uint64_t bytes;           /* read for it */
    struct side_yield *sides; /* [model] */
    size_t models;
    struct delta_record delta;
    struct flips flips;
    struct couple_record *couples; /* [couple]; NULL: not asked */
    bool has_delta;
    bool is_last; /* of the pair */
};

int yield_init(struct yield *yield, size_t models, struct error *err);
void yield_done(struct yield *yield);

int scan_result_new(const struct scan_plan *plan, struct scan_result **ret_result, struct error *err);

/* An empty result for another number of pairs, with the same arrays; couples stay with the old one. */
int scan_result_like(const struct scan_result *result, size_t pairs, struct scan_result **ret_result,
                     struct error *err);

/* Exchanges the figures of pairs; couples stay where they are. */
void scan_result_swap(struct scan_result *a, struct scan_result *b);

/* What a pair's record says before its first unit. */
void scan_result_begin(struct scan_result *result, const struct layout *layout, size_t pair);

/* Adds a unit's figures; in unit order. */
void scan_result_add(struct scan_result *result, const struct yield *yield);

/* Adds a pair's couples to its group; in canonical order of pairs. */
void scan_result_add_couples(struct scan_result *result, const struct scan_plan *plan, size_t pair,
                             const struct couple_record *couples);

#endif
