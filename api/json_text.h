/* A small JSON document built in memory: the bodies of replies. Findings of any size stream through api/render instead.
 */
#ifndef API_JSON_TEXT_H
#define API_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/writer.h"

enum { JSON_TEXT_DEPTH_MAX = 32, TIME_TEXT_BYTES = 32 };

struct json_text {
    struct writer writer; /* first: write_…(&json.writer, …) */
    char *text;           /* owned until json_text_take */
    size_t used, capacity;
    unsigned depth;
    uint32_t has_member, is_object; /* bit d: of the scope at depth d */
    bool is_key_written;
    bool is_failed; /* memory ran out: the text is incomplete */
};

void json_text_init(struct json_text *json);
void json_text_done(struct json_text *json);

/* Puts JSON text as it is, as the next value. */
void json_text_raw(struct json_text *json, const char *value, size_t bytes);
/* name: the JSON text as it is; nothing when value is NULL. */
void json_text_member_raw(struct json_text *json, const char *name, const char *value);
/* name: RFC 3339 UTC with milliseconds; nothing when time_ms is 0. */
void json_text_member_time(struct json_text *json, const char *name, int64_t time_ms);

/* The text with a final NUL, the caller's to free; NULL when memory ran out. It is empty afterwards. */
char *json_text_take(struct json_text *json, size_t *ret_bytes);

const char *time_text(int64_t time_ms, char out[TIME_TEXT_BYTES]); /* "2025-01-31T12:00:00.000Z" */

#endif
