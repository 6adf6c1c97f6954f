/* A request and its response, without a socket: what handlers see and what server/http turns into HTTP. */
#ifndef API_EXCHANGE_H
#define API_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/access.h"
#include "api/backend.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER,
    METHOD_COUNT
};
extern const char *const method_names[METHOD_COUNT];
enum http_method method_by_name(const char *name);

enum { REQUEST_ID_BYTES = 129, PATH_PARAMETERS_MAX = 2, WAIT_SECONDS_MAX = 60 };

struct field {
    const char *name, *value;
};

struct route;

/* Borrows all its text from whoever received it, for as long as the handler runs. */
struct request {
    enum http_method method;
    const struct route *route;
    const char *path;                            /* as sent, without the query */
    const char *parameters[PATH_PARAMETERS_MAX]; /* decoded, in the template's order */
    const struct field *query;                   /* decoded */
    size_t query_count;
    const struct field *headers; /* fields sent more than once are joined with ", " */
    size_t header_count;
    const char *body;
    size_t body_bytes;
    size_t body_bytes_max; /* of JSON, also of JSON within a form */
    char id[REQUEST_ID_BYTES];
    struct caller caller;
    char traceparent[TRACEPARENT_BYTES]; /* for whatever is done because of this request; "": the caller traces nothing
                                          */
    bool is_ready;                       /* what the service says of itself; handlers ask the backend as well */
    const char *const *cors_origins;     /* of pages that may ask from elsewhere; NULL-terminated, NULL: none */
    bool is_on_socket; /* the handler may not block: what it has to wait for it leaves to a second call (is_deferred) */
    struct {
        const char *job_id; /* not NULL: this request was answered with a wait and is asked again */
        bool is_over;       /* … because its time is up */
        bool is_replay;     /* as the response that asked for the wait had it */
    } waited;
};

const char *request_header(const struct request *request, const char *name); /* NULL: not sent */
const char *request_query(const struct request *request, const char *name);  /* NULL: not given */

/* A range of bytes of the response's blob. */
struct segment {
    uint64_t offset;
    uint32_t bytes;
};

enum body_kind {
    BODY_NONE,
    BODY_TEXT,     /* text, bytes: owned */
    BODY_FIXED,    /* fixed, bytes: lives as long as the program */
    BODY_BLOB,     /* bytes [offset, offset + length) of blob */
    BODY_EVENTS,   /* text, bytes, and then whatever follows of the job `follow` names */
    BODY_SEGMENTS, /* before, then blob's segments with between between them, then after */
};

enum { RESPONSE_HEADERS_MAX = 24, RESPONSE_CAUSE_BYTES = 256 };

struct response {
    int status;
    struct {
        const char *name;
        char *value; /* owned */
    } headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
    enum body_kind kind;
    char *text;
    const char *fixed;
    size_t bytes;
    struct blob blob;
    uint64_t offset, length;
    struct segment *segments; /* owned */
    size_t segment_count;
    const char *between; /* static */
    char *before, *after;
    struct {
        char job_id[JOB_ID_BYTES];
        unsigned seconds; /* 0: do not wait. Else ask again when the job has ended or the time is up */
        bool is_replay;
    } wait;
    char job_id[JOB_ID_BYTES]; /* the job that it is about, for the log; "" when none */
    struct {
        char job_id[JOB_ID_BYTES];
        uint64_t version;             /* of the job, as told by text */
        bool is_over;                 /* nothing follows */
    } follow;                         /* BODY_EVENTS */
    bool is_gzip;                     /* the body is to be compressed as it is sent: its length is not known */
    bool is_deferred;                 /* ask again where blocking is allowed */
    bool is_last;                     /* close the connection afterwards */
    char cause[RESPONSE_CAUSE_BYTES]; /* for the log only: what the client is not told */
};

void response_init(struct response *response);
void response_done(struct response *response);

/* Both copy value; a header that does not fit any more is a defect and is left out. */
void response_header(struct response *response, const char *name, const char *value);
void response_header_format(struct response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void response_header_remove(struct response *response, const char *name);
void response_vary(struct response *response, const char *field);                     /* adds to Vary, once */
const char *response_header_value(const struct response *response, const char *name); /* NULL: not set */

/* The body. Takes text (NULL is answered as out of memory). */
void response_text(struct response *response, int status, const char *media_type, char *text, size_t bytes);
void response_body(struct response *response, char *text, size_t bytes); /* in place of the body; the rest stays */
void response_fixed(struct response *response, int status, const char *media_type, const char *text, size_t bytes);

/* The body: segments of blob, with `between` (static) between them. Takes blob and segments, copies the rest; without
 * memory the answer says so and its status is 503. */
void response_segments(struct response *response, const char *media_type, struct blob *blob, struct segment *segments,
                       size_t count, const char *before, const char *between, const char *after);

uint64_t response_length(const struct response *response);

/* Reads a body from front to back. */
struct body_reader {
    const struct response *response;
    size_t part;  /* of BODY_SEGMENTS: 0 before, 2i+1 segment i, 2i+2 what follows it */
    uint64_t at;  /* in the part */
    char *window; /* of the file, so that neighbouring segments cost one read */
    uint64_t window_offset;
    size_t window_bytes;
};
void body_reader_init(struct body_reader *reader, const struct response *response);
void body_reader_done(struct body_reader *reader);
/* Bytes read, 0 at the end, −1 when the file failed. */
ssize_t body_read(struct body_reader *reader, void *buffer, size_t size);

#endif
