/* The target of a request, taken apart: split on '/' raw, then each segment decoded on its own. */
#ifndef API_TARGET_H
#define API_TARGET_H

#include "api/exchange.h"

enum { TARGET_SEGMENTS_MAX = 8, TARGET_QUERY_MAX = 32 };

struct target {
    char *path; /* as sent, without the query; owned, like all that the others point at */
    char *text;
    const char *segments[TARGET_SEGMENTS_MAX];
    bool has_slash[TARGET_SEGMENTS_MAX]; /* %2F: for a few parameters only */
    size_t segment_count;
    bool is_deep; /* more segments than any route has */
    struct field query[TARGET_QUERY_MAX];
    size_t query_count;
};

/* raw is in origin-form ("/…?…"). ERROR_REQUEST: a bad escape, %00, invalid UTF-8, a fragment, a control character, too
 * many query parameters, one given twice. */
int target_parse(const char *raw, struct target *ret, struct error *err);
void target_done(struct target *target);

#endif
