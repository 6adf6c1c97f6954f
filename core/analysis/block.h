/* Values of a tensor, some at a time, for the few analyses that must read a tensor again beside another one. */
#ifndef CORE_ANALYSIS_BLOCK_H
#define CORE_ANALYSIS_BLOCK_H

#include "core/compare.h"

/* Whether block_read can: its values are of a real float type of whole bytes. */
bool block_is_readable(const struct tensor *tensor);

/* Elements [first, first + count) as doubles. stored: room for 8 × count bytes. */
int block_read(const struct model *model, const struct tensor *tensor, uint64_t first, size_t count, uint8_t *stored,
               double *values, struct error *err);

/* ERROR_CANCELLED when that was asked for. */
int block_check_cancelled(const struct compare_env *env, struct error *err);

/* a[i] · b[i], over count elements, in eight lanes. */
double block_dot(const double *a, const double *b, size_t count);

#endif
