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

/* The member alignment: what was paired by another rule than by name, and what remains. */
void comparison_write_alignment(const struct comparison *comparison, struct writer *w);

/* The member alignment of a pair's record, which has a link. */
void comparison_write_link(const struct comparison *comparison, size_t pair, struct writer *w);

/* part, and what belongs to it, where model's side of the pair is a part of its tensor. */
void comparison_write_part(const struct comparison *comparison, size_t pair, size_t model, struct writer *w);

#endif
