/* What Adam's two moments say together: signal to noise m²/v, and the update they make against the weight. */
#ifndef CORE_ANALYSIS_GRADIENT_ADAM_H
#define CORE_ANALYSIS_GRADIENT_ADAM_H

#include "core/analysis/gradient_names.h"

struct adam;

/* Reads every first moment of model that has its second one beside it, and the weight where its name is known, block
 * by block. NULL in *ret_adam when there is none. */
int adam_measure(const struct comparison *comparison, const struct compare_env *env, size_t model,
                 const struct gradient_names *names, struct adam **ret_adam, struct error *err);
void adam_free(struct adam *adam);

/* A member "adam". */
void adam_write(const struct adam *adam, struct writer *w);

#endif
