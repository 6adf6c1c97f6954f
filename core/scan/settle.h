/* After the pass: pairs found by content. The side records are bit-identical for equal content, a free fingerprint. */
#ifndef CORE_SCAN_SETTLE_H
#define CORE_SCAN_SETTLE_H

#include "core/model/align.h"
#include "core/scan/scan.h"

/* A tensor that several partners opposite equal, and no rule decides between them. */
struct ambiguity {
    uint32_t tensor;      /* of the candidate */
    uint32_t *candidates; /* tensors of the baseline */
    size_t candidate_count;
};

struct settlement {
    struct ambiguity *ambiguities;
    size_t ambiguity_count;
    uint64_t confirmed_bytes; /* read again to confirm */
    uint64_t moved;           /* tensors that stand in other pairs than before: 0 leaves everything as it was */
};

/* Re-pairs baseline (model 0) and candidate (the last model): an unmatched or changed tensor whose (dtype, shape, side
 * record) equal those of an unmatched or changed tensor opposite, confirmed byte by byte, is paired with it
 * (PAIRED_BY_CONTENT, bit-equal); its former partner becomes one-sided. Several equal candidates are decided by layer
 * order, else listed. One baseline tensor may match several copies (a duplicated layer). Constant tensors never match
 * by content. pairing and result are rewritten in place, in canonical order. Needs NEED_SIDE and NEED_DELTA. */
int settle_by_content(const struct scan_plan *plan, const struct scan_env *env, struct pairing *pairing,
                      struct scan_result *result, struct settlement **ret_settlement, struct error *err);
void settlement_free(struct settlement *settlement);

#endif
