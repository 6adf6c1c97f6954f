/* What a tensor of a checkpoint is, told by its name: a weight, a gradient, the state of an optimizer, or a scalar of
 * the run. Components of a name are parted by '.' or '/'. */
#ifndef CORE_ANALYSIS_GRADIENT_ROLES_H
#define CORE_ANALYSIS_GRADIENT_ROLES_H

#include "core/compare.h"

enum role {
    ROLE_WEIGHT,
    ROLE_GRADIENT,       /* a component grad, grads or gradients */
    ROLE_FIRST_MOMENT,   /* exp_avg; mu that has a nu beside it */
    ROLE_SECOND_MOMENT,  /* exp_avg_sq; nu that has a mu beside it */
    ROLE_SQUARE_AVERAGE, /* square_avg: RMSprop */
    ROLE_MOMENTUM,       /* momentum_buffer: SGD */
    ROLE_STATE,          /* anything else that an optimizer keeps */
    ROLE_SCALAR,         /* one element named epoch, step, global_step, loss, lr, … */
};

/* What a gradient or a state belongs to. */
struct role_owner {
    struct name base;      /* the weight's name as far as the tensor's own name tells it */
    struct name component; /* the component that gave the role */
    bool is_numbered;      /* the optimizer numbers its parameters: base names no weight */
    uint64_t number;       /* that; UINT64_MAX where it is too long to be one */
};

/* ret_owner may be NULL; it is set for gradients and moments only. */
enum role gradient_role_of(const struct model *model, const struct tensor *tensor, struct role_owner *ret_owner);

/* The weight that owner belongs to, or NULL: by its base, then below the names that wrap a model's weights. */
const struct tensor *role_weight(const struct model *model, const struct role_owner *owner);

/* The tensor of the same name but for its role's component: exp_avg's exp_avg_sq, mu's nu. NULL when there is none. */
const struct tensor *role_twin(const struct model *model, const struct tensor *tensor, const struct role_owner *owner,
                               const char *component);

/* The kind of scalar ("global_step", "step", "epoch", "loss", "lr") that a name's last component says, or NULL; static.
 */
const char *scalar_kind(struct name name);

/* The value of a one-element tensor that the pass has measured; false otherwise. */
bool scalar_value(const struct comparison *comparison, size_t pair, size_t model, double *ret_value);
/* The number that text is, whole; false otherwise. */
bool scalar_parse(struct name text, double *ret_value);

/* Parameters of an optimizer, from scalars and metadata of a model. */
enum hyper { HYPER_STEP, HYPER_LR, HYPER_BETA1, HYPER_BETA2, HYPER_EPSILON, HYPER_COUNT };
struct hypers {
    double value[HYPER_COUNT];      /* NAN: not known */
    bool is_ambiguous[HYPER_COUNT]; /* several values were found: not known */
    unsigned rank[HYPER_COUNT];
};
void hypers_find(const struct comparison *comparison, size_t model, struct hypers *ret_hypers);

#endif
