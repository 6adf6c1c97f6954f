/* Names with holes: {n} and {e} are numbers, {p} any text, {s} "weight" or "bias". */
#ifndef CORE_ALIGN_PATTERN_H
#define CORE_ALIGN_PATTERN_H

#include "core/name.h"

enum { PATTERN_NAME_BYTES = 512 };

struct captures {
    struct name n, e, p, s;
};

/* Whether the whole name fits; what stood in the holes, where a hole comes twice the last. */
bool pattern_match(struct name pattern, struct name name, struct captures *ret);

/* The pattern with its holes filled; false where it would be too long. */
bool pattern_fill(struct name pattern, const struct captures *captures, char out[PATTERN_NAME_BYTES],
                  struct name *ret_name);

/* Takes the next of the alternatives off *rest, without blanks around it; false at the end. */
bool pattern_next(struct name *rest, const char *separator, struct name *ret);

/* A tensor's name without beginnings that say nothing: "model.", "transformer.", … */
struct name name_plain(struct name name);

#endif
