/* Pairs taken apart and put together anew, with their figures. */
#ifndef CORE_SCAN_REPAIR_H
#define CORE_SCAN_REPAIR_H

#include "core/model/align.h"
#include "core/scan/scan.h"

/* What becomes of a pair's baseline and candidate: which pair's other side each is to stand opposite, equal in content,
 * or PAIRING_NONE. A copy's partner keeps the partner it has. */
struct repair {
    uint32_t base_with, last_with;
    bool is_base_copy, is_last_copy;
};

/* Rewrites pairing and result in canonical order; former partners become one-sided. Untouched on failure. */
int pairs_rewrite(const struct scan_plan *plan, const struct repair *repairs, struct pairing *pairing,
                  struct scan_result *result, struct error *err);

#endif
