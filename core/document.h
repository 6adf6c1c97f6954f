/* Pieces of the result document that analyses and renderers share. */
#ifndef CORE_DOCUMENT_H
#define CORE_DOCUMENT_H

#include "core/compare.h"

/* Why a delta's ratio has no value: "empty", "no finite pairs", "zero baseline", … */
const char *delta_null_reason(const struct delta_record *delta);

/* Why a side's moments have no value: "empty" or "no finite elements". */
const char *side_null_reason(const struct side_record *side);

/* l2, relative_l2, rms, max_abs, … as members of the object under way. shape gives max_abs_index its coordinates. */
void write_delta(struct writer *w, const struct delta_record *delta, const struct shape *shape, double epsilon);

/* Why the pair is not_compared; NULL when it is. */
const char *comparison_status_reason(const struct comparison *comparison, size_t pair);

#endif
