/* multipart/form-data (RFC 7578) as it arrives: parts' headers are gathered, their bodies are handed on piece by piece.
 *
 * libmicrohttpd's MHD_PostProcessor was considered. It streams, but it hangs on a connection (handlers are tested
 * without one), drops Content-Type parameters and filename*, takes a body without its last boundary for whole, and
 * tells neither where a part ends nor what is malformed. */
#ifndef API_MULTIPART_H
#define API_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "api/digest.h"
#include "core/error.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70,
    MULTIPART_HEADER_BYTES_MAX = 8192, /* of one part */
    MULTIPART_NAME_BYTES_MAX = 64,
    MULTIPART_FILENAME_BYTES_MAX = 255,
    MULTIPART_TYPE_BYTES_MAX = 127,
};

/* What a part's header says. */
struct multipart_part {
    char name[MULTIPART_NAME_BYTES_MAX + 1];
    bool has_filename;
    char filename[MULTIPART_FILENAME_BYTES_MAX + 1];
    char type[MULTIPART_TYPE_BYTES_MAX + 1]; /* the media type without parameters, in lower case; "" when not sent */
    char sha256[SHA256_HEX_BYTES];           /* of Repr-Digest or Content-Digest; "" when not sent */
};

/* Each returns 0, or a code that ends the reading and is what multipart_feed returns. */
struct multipart_events {
    int (*begin)(void *context, const struct multipart_part *part);
    int (*data)(void *context, const char *data, size_t bytes);
    int (*end)(void *context);
};

struct multipart;

/* Whether the media type is multipart/form-data. content_type may be NULL. */
bool multipart_is(const char *content_type);

/* ERROR_REQUEST: there is no boundary, or not a good one. events is borrowed. */
int multipart_new(const char *content_type, const struct multipart_events *events, void *context,
                  struct multipart **ret_multipart, struct error *err);
void multipart_free(struct multipart *multipart); /* NULL is fine */

/* ERROR_REQUEST: malformed. Or what an event returned, with err as it was. */
int multipart_feed(struct multipart *multipart, const char *data, size_t bytes, struct error *err);
/* The body is over. ERROR_REQUEST: it is cut short. */
int multipart_end(const struct multipart *multipart, struct error *err);

#endif
