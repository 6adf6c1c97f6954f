/* Whether a request's bytes mean to every other server what they mean to this one. */
#ifndef SERVER_HTTP_FRAMING_H
#define SERVER_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http/libmicrohttpd.h"

enum { FRAMING_HEADERS_MAX = 100 };

struct framed_header {
    const char *name, *value; /* libmicrohttpd's, until the request ends */
    size_t name_bytes, value_bytes;
};

struct framing {
    struct framed_header *headers; /* the caller's room, while it has it */
    size_t header_count;
    bool is_too_many;
    bool is_chunked, has_length, is_http_1_0;
    bool expects_continue;
    uint64_t length; /* Content-Length */
    const char *host;
};

/* Reads the header fields of a request at its first handler call. target is the raw one, as the URI callback saw it;
 * its authority, if it is in absolute-form, is cut off (*ret_target). Returns NULL, or what is wrong. */
const char *framing_check(struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                          const char *target, struct framed_header headers[FRAMING_HEADERS_MAX],
                          struct framing *ret_framing, const char **ret_target);

#endif
