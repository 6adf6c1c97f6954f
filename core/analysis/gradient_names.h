/* Which weights the numbers of an optimizer's state stand for (optimizer.state.0.exp_avg). */
#ifndef CORE_ANALYSIS_GRADIENT_NAMES_H
#define CORE_ANALYSIS_GRADIENT_NAMES_H

#include "core/analysis/gradient_roles.h"

struct gradient_names {
    uint64_t numbered;             /* tensors that an optimizer numbers */
    const struct tensor **weights; /* [number]; NULL where they are not known */
    size_t count;
    const char *named_by; /* "param_names" or "order"; NULL: not known */
    const char *reason;   /* of that */
};

/* By metadata that lists the parameters' names (a key that ends in param_names, for each group in turn), or else by the
 * order of the model's float tensors, as they lie in its files or by their names, where each number has the shape of
 * its weight and there are as many of one as of the other. */
int gradient_names_find(const struct model *model, struct gradient_names *ret_names, struct error *err);
void gradient_names_done(struct gradient_names *names);

/* The weight of an owner that is numbered, or NULL. */
const struct tensor *gradient_names_weight(const struct gradient_names *names, const struct role_owner *owner);

/* The member "names". */
void gradient_names_write(const struct gradient_names *names, struct writer *w);

#endif
