/* Patterns on tensor names: PCRE2 with every limit set, so that no pattern costs more than it may. */
#ifndef CORE_PATTERNS_H
#define CORE_PATTERNS_H

#include <stdbool.h>

#include "core/error.h"
#include "core/name.h"
#include "core/options.h"

enum { PATTERN_BYTES_MAX = 512, PATTERN_NESTING_MAX = 16, PATTERNS_MAX = 64, NAME_MATCHED_MAX = 4096 };

struct pattern_set;

/* Compiles a list. ERROR_REQUEST names the pattern, the place and what is wrong with it. NULL for an empty list. */
int pattern_set_new(const struct patterns *patterns, struct pattern_set **ret_set, struct error *err);
void pattern_set_free(struct pattern_set *set);

/* What all matches of a set together may take; none unless this is called. Beyond it every match is ERROR_LIMIT. */
void pattern_set_limit_time(struct pattern_set *set, unsigned ms);

/* Whether any pattern matches somewhere in name. ERROR_LIMIT when one needs more steps or memory than it may, or where
 * name is longer than NAME_MATCHED_MAX. */
int pattern_set_match(struct pattern_set *set, struct name name, bool *ret_matches, struct error *err);

/* Whether pattern `at` of the list does. */
int pattern_set_match_one(struct pattern_set *set, size_t at, struct name name, bool *ret_matches, struct error *err);

#endif
