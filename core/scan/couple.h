/* What lies between two of several models: a delta's sums with Σa and Σb over the same terms, so that weights can be
 * centred. */
#ifndef CORE_SCAN_COUPLE_H
#define CORE_SCAN_COUPLE_H

#include "core/scan/measure.h"
#include "core/scan/scan.h"

/* Whether two tensors of one pair are held against each other: float, decodable, of one shape. */
bool couple_takes_part(const struct tensor *a, const struct tensor *b);

void couple_record_init(struct couple_record *record);

/* The unit's delta by the kernel of couples: what couples are asked for, no more (not max_abs, sign flips, Σ|Δ|, nor
 * what lies beyond epsilon). False, and nothing done, where a side is not finite throughout or not narrow. */
bool couple_of_finite_sides(struct measure *m, const struct stored *a, const struct stored *b,
                            const struct side_record *side_a, const struct side_record *side_b,
                            struct delta_record *delta);

/* Σa and Σb of the unit whose delta couple has, and of that what couples need; side_a and side_b are the records of its
 * whole sides. */
void couple_add_sums(struct measure *m, const struct stored *a, const struct stored *b,
                     const struct side_record *side_a, const struct side_record *side_b, struct couple_record *couple);

/* Adds the turn of three models that follow one another: couple is that of a and b, in and out are the steps to and
 * from the one between. All three couples were measured over this unit. */
void couple_add_turn(struct measure *m, const struct stored *a, const struct stored *between, const struct stored *b,
                     const struct couple_record *in, const struct couple_record *out, struct couple_record *couple);

/* Appends next, which follows in order. */
void couple_record_merge(struct couple_record *into, const struct couple_record *next);

#endif
