/* Scalars of a run (epoch, step, loss, lr) that lie in a series' checkpoints, and the time axis that one of them makes.
 */
#ifndef CORE_ANALYSIS_CONVERGENCE_SCALARS_H
#define CORE_ANALYSIS_CONVERGENCE_SCALARS_H

#include "core/compare.h"

enum { SCALARS_MAX = 64 };

struct run_scalar {
    struct name name;
    const char *kind; /* "step", "epoch", "loss", … */
    bool is_metadata;
    uint64_t alike; /* further tensors of this last component with the same values (one a parameter, in Adam's state) */
    double *values; /* [model]; NAN where absent */
};

struct run_scalars {
    struct run_scalar items[SCALARS_MAX];
    size_t count, models;
    bool is_cut;   /* there are more than SCALARS_MAX */
    size_t axis;   /* the item that is the time axis; count when none is */
    double *times; /* [model]: its values, else 0, 1, 2, … */
};

int run_scalars_find(const struct comparison *comparison, struct run_scalars **ret_scalars, struct error *err);
void run_scalars_free(struct run_scalars *scalars);

/* Members time_axis and scalars. */
void run_scalars_write(const struct run_scalars *scalars, struct writer *w);

#endif
