/* Layers held against other layers: cosines between layers whose tensors have the same modules and shapes, within each
 * model or between the first and the last. Reads those tensors again, block by block. */
#ifndef CORE_ANALYSIS_SIMILARITY_ACROSS_H
#define CORE_ANALYSIS_SIMILARITY_ACROSS_H

#include "core/compare.h"

enum { ACROSS_LAYERS_MAX = 512, ACROSS_BUFFER_BYTES = 32 << 20 };

struct across;

int across_measure(const struct comparison *comparison, const struct compare_env *env, struct across **ret_across,
                   struct error *err);
void across_free(struct across *across);

/* A member "across". */
void across_write(const struct across *across, struct writer *w);

#endif
