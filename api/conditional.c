#include "api/conditional.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"

/* Weak comparison: W/ does not count. */
static bool names_etag(const char *list, const char *etag)
{
    size_t bytes = strlen(etag);

    while (*list) {
        const char *end;

        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;
        end = strchr(list + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end + 1 - list) == bytes && memcmp(list, etag, bytes) == 0)
            return true;
        list = end + 1;
    }
    return false;
}

static bool read_number(const char **at, uint64_t *ret_number)
{
    const char *from = *at;
    uint64_t number = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        number = number > UINT64_MAX / 20 ? number : number * 10 + (uint64_t)(**at - '0');
    *ret_number = number;
    return *at > from;
}

enum range { RANGE_NONE, RANGE_GOOD, RANGE_BEYOND };

/* What is not one range of bytes is no range at all (14.2). */
static enum range read_range(const char *text, uint64_t length, uint64_t *ret_first, uint64_t *ret_bytes)
{
    uint64_t first, last = UINT64_MAX;
    bool has_first, has_last;

    if (strncmp(text, "bytes=", 6) != 0)
        return RANGE_NONE;
    text += 6;
    has_first = read_number(&text, &first);
    if (*text++ != '-')
        return RANGE_NONE;
    has_last = read_number(&text, &last);
    if (*text || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_NONE;
    if (!has_first) { /* the last bytes */
        if (last == 0 || length == 0)
            return RANGE_BEYOND;
        first = last < length ? length - last : 0;
        last = length - 1;
    } else {
        if (first >= length)
            return RANGE_BEYOND;
        if (!has_last || last >= length)
            last = length - 1;
    }
    *ret_first = first;
    *ret_bytes = last - first + 1;
    return RANGE_GOOD;
}

static void apply_range(const struct request *request, const char *etag, struct response *response)
{
    const char *range = request_header(request, "Range");
    const char *only_if = request_header(request, "If-Range");
    uint64_t length = response->length, first, bytes;

    /* If-Range compares strongly; a date never matches, for nothing here has one. */
    if (!range || request->method != METHOD_GET || (only_if && strcmp(only_if, etag) != 0))
        return;
    switch (read_range(range, length, &first, &bytes)) {
    case RANGE_NONE:
        return;
    case RANGE_BEYOND:
        response_done(response);
        problem_reply(response, request, PROBLEM_RANGE_NOT_SATISFIABLE, "there are %" PRIu64 " bytes", length);
        response_header_format(response, "Content-Range", "bytes */%" PRIu64, length);
        return;
    case RANGE_GOOD:
        response->status = 206;
        response->offset = first;
        response->length = bytes;
        response_header_format(response, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                               first + bytes - 1, length);
        return;
    }
}

bool conditional_is_known(const struct request *request, const char *etag)
{
    const char *known = request_header(request, "If-None-Match");

    return known && (request->method == METHOD_GET || request->method == METHOD_HEAD) && names_etag(known, etag);
}

void conditional_apply(const struct request *request, struct response *response)
{
    const char *etag = response_header_value(response, "ETag");

    if (!etag || response->status != 200 || (request->method != METHOD_GET && request->method != METHOD_HEAD))
        return;
    if (conditional_is_known(request, etag)) {
        response->status = 304;
        response->kind = BODY_NONE; /* what it holds is freed with it */
        response_header_remove(response, "Content-Type");
        return;
    }
    if (response->kind == BODY_BLOB)
        apply_range(request, etag, response);
}
