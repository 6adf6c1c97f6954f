/* Reads a request's JSON, held against the rules: json-c's own parser keeps the last of two equal members without a
 * word. */
#ifndef API_JSON_CHECK_H
#define API_JSON_CHECK_H

#include <stddef.h>

#include "api/request.h"

enum {
    JSON_MEMBERS_MAX = 128,    /* of one object */
    JSON_NAME_BYTES_MAX = 128, /* of one member's name */
};

struct json_object;

/* 0 when text is one JSON value (RFC 8259, valid UTF-8) no deeper than depth_max, without equal members in an object
 * and without U+0000. *ret_root is yours, NULL for null. ERROR_REQUEST: ret_fault says what
 * is wrong and where; ERROR_NO_MEMORY. */
int json_check(const char *text, size_t bytes, unsigned depth_max, struct json_object **ret_root,
               struct request_fault *ret_fault);

/* Appends "/name" to an RFC 6901 pointer, escaped and cut to fit. */
void pointer_append(char *pointer, size_t capacity, const char *name, size_t bytes);
void pointer_append_index(char *pointer, size_t capacity, size_t index);

#endif
