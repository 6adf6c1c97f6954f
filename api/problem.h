/* Problem documents (RFC 9457): one table from what went wrong to status, type and title. */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "api/exchange.h"
#include "api/request.h"
#include "core/error.h"

enum problem {
    PROBLEM_BAD_REQUEST,       /* a line, a header or the target of the request is malformed */
    PROBLEM_INVALID_PARAMETER, /* of the query */
    PROBLEM_INVALID_REQUEST,   /* the body */
    PROBLEM_NOT_FOUND,
    PROBLEM_JOB_NOT_FOUND,
    PROBLEM_UPLOAD_NOT_FOUND,
    PROBLEM_MODEL_NOT_FOUND,
    PROBLEM_MODEL_REFUSED,
    PROBLEM_MALFORMED_MODEL,
    PROBLEM_UNSUPPORTED_MODEL,
    PROBLEM_LIMIT_EXCEEDED,
    PROBLEM_SOURCE_CHANGED,
    PROBLEM_METHOD_NOT_ALLOWED,
    PROBLEM_NOT_ACCEPTABLE,
    PROBLEM_JOB_NOT_FINISHED,
    PROBLEM_JOB_FAILED,
    PROBLEM_JOB_CANCELLED,
    PROBLEM_UPLOAD_IN_USE,
    PROBLEM_CONFLICT,
    PROBLEM_UPLOAD_INCOMPLETE,
    PROBLEM_UPLOAD_OFFSET,
    PROBLEM_SUBMISSION_IN_FLIGHT,
    PROBLEM_KEY_REUSED,
    PROBLEM_LENGTH_REQUIRED,
    PROBLEM_TOO_LARGE,
    PROBLEM_UNSUPPORTED_MEDIA_TYPE,
    PROBLEM_RANGE_NOT_SATISFIABLE,
    PROBLEM_MISDIRECTED,
    PROBLEM_FOREIGN_ORIGIN,
    PROBLEM_UNAUTHORIZED,
    PROBLEM_FORBIDDEN,
    PROBLEM_QUOTA_EXCEEDED,
    PROBLEM_DIGEST_MISMATCH,
    PROBLEM_HEADERS_TOO_LARGE,
    PROBLEM_BUSY,
    PROBLEM_NOT_READY,
    PROBLEM_TIMEOUT,
    PROBLEM_NO_SPACE,
    PROBLEM_READ_ERROR,
    PROBLEM_WORKER_CRASHED, /* this and the next three: of jobs only */
    PROBLEM_DEADLINE_EXCEEDED,
    PROBLEM_MEMORY_EXCEEDED,
    PROBLEM_INTERRUPTED,
    PROBLEM_INTERNAL,
    PROBLEM_COUNT
};

struct problem_type {
    const char *slug; /* its type is /problems/<slug> */
    int status;
    const char *title;
    const char *meaning;
    const char *remedy; /* what to do */
};
extern const struct problem_type problem_types[PROBLEM_COUNT];

enum problem problem_of_error(int code);
const struct problem_type *problem_by_slug(const char *slug); /* NULL: unknown */

/* Makes the response this problem. 429 and 503 get a Retry-After. */
void problem_reply(struct response *response, const struct request *request, enum problem problem, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* The same with errors[], and with a last member of JSON (NULL: none). */
void problem_reply_faults(struct response *response, const struct request *request, enum problem problem,
                          const struct request_faults *faults, const char *detail);
void problem_reply_extra(struct response *response, const struct request *request, enum problem problem,
                         const char *detail, const char *name, const char *json);

/* From an error of the backend. Its text is shown only where it speaks of the request or of a model's content; for
 * failures of this service it goes to the log. */
void problem_reply_error(struct response *response, const struct request *request, const struct error *err);

#endif
