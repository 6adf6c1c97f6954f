/* The fixed-width index beside a result.json: where each tensor's record lies, its status and its sortable figures, so
 * that pages of /tensors are sorted, filtered and copied without parsing the result. Written by a worker, read by the
 * parent, which trusts none of it: offsets are held against the file. Native byte order: both run on one machine. */
#ifndef API_RENDER_RESULT_INDEX_H
#define API_RENDER_RESULT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/compare.h"

#define RESULT_INDEX_MAGIC 0x3178646e69646664u /* "dfdindx1" */

/* header | records × struct index_record | names */
struct index_header {
    uint64_t magic;
    uint64_t records;
    uint64_t names_bytes; /* raw names (not JSON), one after the other, follow the records */
};

struct index_record {
    uint64_t offset; /* of the record's '{' in result.json */
    uint32_t bytes;  /* up to and including its '}' */
    uint32_t name_bytes;
    uint64_t name_at; /* in the names area */
    uint32_t status;  /* enum tensor_status; STATUS_COUNT: none, as in a profile */
    uint32_t reserved;
    double figures[SORT_COUNT]; /* by enum sort_key; NAN: none. SORT_NAME: the rank in canonical order.
                                   SORT_CHANGE_MAGNITUDE: relative L2, +inf for added, removed and shape_changed */
};

/* Whether the record's claims lie within the result and the names. */
static inline bool index_record_fits(const struct index_record *record, uint64_t json_bytes, uint64_t names_bytes)
{
    return record->offset <= json_bytes && record->bytes <= json_bytes - record->offset &&
           record->name_at <= names_bytes && record->name_bytes <= names_bytes - record->name_at &&
           record->status <= STATUS_COUNT;
}

#endif
