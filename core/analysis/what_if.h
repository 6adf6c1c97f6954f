/* what_if: what each tensor of the baseline would lose in other types, measured on evenly spread rows of it. */
#ifndef CORE_ANALYSIS_WHAT_IF_H
#define CORE_ANALYSIS_WHAT_IF_H

#include "core/compare.h"

enum { WHAT_IF_ELEMENTS_MAX = 1 << 20 };

struct what_if;

/* Measures every pair whose baseline is F16, BF16, F32 or F64. Reads at most WHAT_IF_ELEMENTS_MAX elements of each. */
int what_if_measure(const struct comparison *comparison, const struct compare_env *env, struct what_if **ret_what_if,
                    struct error *err);
void what_if_free(struct what_if *what_if);

bool what_if_has(const struct what_if *what_if, size_t pair);
/* What type number target would cost the pair: *ret_sqnr_db is infinite where it is exact, NAN where it has none. False
 * when there is no such type. */
bool what_if_figures(const struct what_if *what_if, size_t pair, unsigned target, const char **ret_name,
                     double *ret_sqnr_db, uint64_t *ret_bytes);
/* A member what_if: the whole model; one tensor. */
void what_if_write(const struct what_if *what_if, struct writer *w);
void what_if_write_tensor(const struct what_if *what_if, size_t pair, struct writer *w);

#endif
