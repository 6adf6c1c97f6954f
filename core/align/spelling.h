/* Names of checkpoints in one spelling, whatever library wrote them: words that mean the same are one. */
#ifndef CORE_ALIGN_SPELLING_H
#define CORE_ALIGN_SPELLING_H

#include "core/align/pattern.h"

struct spelling;

/* NULL: out of memory. */
struct spelling *spelling_new(void);
void spelling_free(struct spelling *spelling);

/* A name in the one spelling, its parameter's own name at its end; holes of patterns are numbers. */
struct name spelling_of(const struct spelling *spelling, struct name name, char out[PATTERN_NAME_BYTES]);

#endif
