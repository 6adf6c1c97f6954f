/* The table of routes: one row is one operation of openapi.yaml. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/access.h"
#include "api/exchange.h"
#include "api/target.h"

/* Where a handler runs. */
enum route_where {
    RUN_INLINE, /* on the socket's thread: touches memory only */
    RUN_MEMORY, /* on the socket's thread if memory has the answer (request.is_on_socket), else as RUN_POOL */
    RUN_POOL,   /* may wait for the store or render */
    RUN_ROOTS,  /* touches a models root, which may hang: never takes the whole pool */
};

enum route_body {
    TAKES_NONE,
    TAKES_JSON, /* under the cap, whole, in request.body; where the route has a stream, that takes multipart/form-data
                 */
    TAKES_STREAM,
};

/* Whose the route's first parameter is. */
enum route_of {
    OF_NOBODY,
    OF_JOB,    /* the id of a job: somebody else's is 404 */
    OF_UPLOAD, /* the id of an upload: the same */
};

/* A body that is handled as it arrives. */
struct route_stream {
    /* 0, or a negative code with the response filled: the body is not wanted. */
    int (*begin)(const struct request *, struct backend *, void **ret_state, struct response *);
    /* The same; the stream is abandoned by the caller then. */
    int (*append)(const struct request *, void *state, const void *data, size_t bytes, struct response *);
    /* Takes state; fills the response. May block. */
    void (*finish)(const struct request *, struct backend *, void *state, struct response *);
    void (*abandon)(void *state); /* NULL is fine */
};

typedef void route_handler(const struct request *, struct backend *, struct response *);

struct route {
    enum http_method method; /* GET serves HEAD too */
    const char *path;        /* "/v1/jobs/{id}:cancel": a parameter is a whole segment, or what precedes a verb */
    const char *operation_id;
    enum scope scope; /* that a caller needs */
    enum route_of of;
    route_handler *handle; /* NULL where the body is always a stream */
    enum route_where where;
    enum route_body body;
    const struct route_stream *stream;
    bool is_exempt;      /* health: any Host will do */
    bool is_slash_taken; /* %2F in the parameter */
};
extern const struct route routes[];
extern const size_t route_count;

enum { ROUTE_TEXT_BYTES = 64 };

struct route_match {
    const struct route *route; /* NULL: none; see methods */
    const char *parameters[PATH_PARAMETERS_MAX];
    char text[ROUTE_TEXT_BYTES]; /* of a parameter before a verb */
    unsigned methods;            /* without a route: 1 << METHOD_… of those that this address has */
    bool is_slash_refused;       /* %2F where it may not be */
};

/* What takes the request's body as it arrives, or NULL. */
const struct route_stream *route_stream_of(const struct request *request);

/* *ret_match borrows from target. */
void route_find(enum http_method method, const struct target *target, struct route_match *ret_match);

/* Answers what has no handler: OPTIONS, 404, 405, a refused slash. */
void route_reply_unmatched(const struct request *request, const struct route_match *match, struct response *response);

/* Begins the route's stream, where the caller may: 0, or a negative code with the response filled. */
int route_begin(const struct request *request, struct backend *backend, void **ret_state, struct response *response);

/* Runs the route's handler and whatever holds for every response: HEAD, conditions, X-Request-Id, nosniff. */
void route_run(const struct request *request, struct backend *backend, struct response *response);
/* The last part alone, for responses that no handler made. */
void response_finish(const struct request *request, struct response *response);

/* Who may ask: what holds for every request, before its body is read. */
struct guard {
    bool is_loopback;                 /* bound to loopback: Host is checked */
    const char *const *allowed_hosts; /* NULL-terminated; NULL: none beyond loopback's own */
    bool is_admin;                    /* the second port: nothing below /v1/ is there */
};
/* False with the response filled: 421, 403, 415. */
bool guard_admit(const struct guard *guard, const struct request *request, struct response *response);

/* Copies an id that is fit to be echoed, or mints one. */
void request_id_choose(const char *sent, char out[REQUEST_ID_BYTES]);

#endif
