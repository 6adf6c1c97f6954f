/* A single-pass JSON reader over a buffer of its own: no tree, strings are unescaped in place and borrowed from the
 * buffer. Strict: RFC 8259 grammar, valid UTF-8 (no overlong forms, no surrogates), paired \u surrogates. After the
 * first fault every call returns false, and problem and problem_at say what and where. */
#ifndef CORE_FORMAT_JSON_SCAN_H
#define CORE_FORMAT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"

enum { JSON_NESTING_MAX = 512 };

struct json_scan {
    char *text;
    size_t bytes, at;
    uint32_t nesting, depth; /* the deepest allowed, and where we are */
    bool has_item;           /* a value ended since the last bracket opened: the next item needs a comma */
    const char *problem;     /* static text; NULL: none */
    size_t problem_at;       /* byte of the buffer */
};

/* nesting is cut to JSON_NESTING_MAX. */
void json_init(struct json_scan *scan, char *text, size_t bytes, uint32_t nesting);

/* The next byte that is not whitespace, not consumed; 0 at the end. */
char json_peek(struct json_scan *scan);

/* An object: json_object, then json_member until *ret_has is false; each member's value must be consumed in between.
 * Arrays likewise with json_array and json_element. */
bool json_object(struct json_scan *scan);
bool json_member(struct json_scan *scan, struct name *ret_key, bool *ret_has);
bool json_array(struct json_scan *scan);
bool json_element(struct json_scan *scan, bool *ret_has);

bool json_string(struct json_scan *scan, struct name *ret_text);

/* A non-negative integer that fits 64 bits, written as one: 1.0, 1e2 and -0 are refused. */
bool json_u64(struct json_scan *scan, uint64_t *ret_value);

/* Consumes `null` when it is next; *ret_is_null tells. */
bool json_null(struct json_scan *scan, bool *ret_is_null);

/* Any value, checked but not kept. */
bool json_skip(struct json_scan *scan);

/* Only whitespace may be left. */
bool json_end(struct json_scan *scan);

/* Records a fault of the caller's finding at the current place (the first one wins) and returns false. */
bool json_fault(struct json_scan *scan, const char *problem);

#endif
