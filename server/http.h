/* The front: sockets in, exchanges of api/ out, on libmicrohttpd. Knows no JSON and no job.
 *
 * One port. An acceptor thread owns it, waits for a connection's first bytes and passes the descriptor to one of two
 * daemons: uploads (large buffers, few connections) or everything else (small buffers, many). What may block runs on a
 * bounded pool while its connection is suspended. A watching thread cuts connections at absolute deadlines. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backend.h"
#include "core/error.h"

/* One finished request, for the access log. */
struct http_access {
    const char *method;     /* "GET" */
    const char *route;      /* the route's template, "" when none matched */
    const char *request_id; /* fit to be logged */
    const char *key;        /* the name of the caller's API key, "" without one */
    const char *job_id;     /* the job that it was about, "" when none */
    const char *trace_id;   /* of the caller's traceparent, "" when it sent none */
    const char *cause;      /* what went wrong inside and the client was not told; "" mostly */
    int status;             /* 0: the connection ended before a response */
    uint64_t bytes;         /* of the response's body */
    double seconds;
};

struct http_config {
    const char *address;                 /* numeric, IPv4 or IPv6 */
    uint16_t port;                       /* 0: any */
    bool is_loopback;                    /* Host is held against localhost and allowed_hosts */
    const char *const *allowed_hosts;    /* NULL-terminated, or NULL */
    bool is_admin;                       /* serves nothing below /v1/ */
    struct access *access;               /* who may do what; NULL: anybody, anything */
    const char *const *cors_origins;     /* of pages that may ask from elsewhere; NULL-terminated, or NULL */
    unsigned max_connections;            /* beyond: 503, but /livez and /readyz are answered */
    unsigned max_refusals;               /* connections being refused at once; for more, the oldest are let go */
    unsigned max_uploads;                /* connections that began with PUT or PATCH */
    unsigned header_timeout_ms;          /* absolute, from accept or from a later request's first byte */
    unsigned body_timeout_ms;            /* absolute, for a JSON body */
    unsigned pace_window_ms, pace_bytes; /* who sends or reads fewer bytes a second over that time is cut */
    unsigned drop_timeout_ms;            /* how long the body of a refused request is read and dropped */
    unsigned idle_timeout_seconds;       /* without a byte either way */
    unsigned pool_timeout_ms;            /* of a handler, waiting in the queue included: then 503 */
    unsigned pool_threads, pool_queue;
    unsigned max_waiters;                                         /* connections parked by Prefer: wait */
    unsigned comment_ms;                                          /* of silence on a stream of events */
    unsigned max_streams;                                         /* open streams of events */
    size_t body_bytes;                                            /* of a JSON body: then 413 */
    uint64_t drop_bytes;                                          /* of a refused request's body */
    void (*log)(void *context, const struct http_access *access); /* from many threads; optional */
    void *log_context;
};
void http_config_init(struct http_config *config); /* the defaults, on 127.0.0.1:8080 */
/* Lowers the bounds on connections to what so many descriptors can hold. Returns whether max_connections was lowered.
 */
bool http_config_fit(struct http_config *config, uint64_t descriptors);

struct http;

/* Listens and serves; what config points at must outlive the front. Not ready until http_set_ready. ERROR_BUSY: the
 * address is in use; ERROR_ACCESS; ERROR_REQUEST: no such address; ERROR_INTERNAL. */
int http_start(const struct http_config *config, struct backend *backend, struct http **ret_http, struct error *err);
uint16_t http_port(const struct http *http);
void http_set_ready(struct http *http, bool is_ready);

/* Tells those that wait for the job or follow its events. Cheap, takes no lock that a backend's call is made under:
 * call it from anywhere. */
enum http_change { HTTP_CHANGE_STATE, HTTP_CHANGE_PROGRESS };
void http_job_changed(struct http *http, const char *job_id, enum http_change change);

/* Stops listening, answers those that wait, closes what is idle, and lets running requests finish for at most
 * timeout_ms. Returns how many connections are left. */
unsigned http_drain(struct http *http, unsigned timeout_ms);
/* Ends what is left and frees. NULL is fine. */
void http_stop(struct http *http);

/* Counters, for metrics. */
struct http_counters {
    uint64_t connections, uploads;           /* now: open; of them on the upload daemon */
    uint64_t waiters, streams;               /* now: parked by Prefer: wait; following events */
    uint64_t accepted, shed, cut, timed_out; /* ever: connections; refused unread; ended at a deadline; handlers */
    uint64_t requests;                       /* ever: begun */
};
void http_count(struct http *http, struct http_counters *ret_counters);

enum { HTTP_STATUSES = 29, HTTP_STATUS_OTHER = -1, HTTP_DURATION_BUCKETS = 15 };
extern const int http_statuses[HTTP_STATUSES]; /* 0: the connection ended before a response; the last: any other */
extern const double http_duration_bounds[HTTP_DURATION_BUCKETS - 1]; /* seconds, each of its bucket's upper end */

struct http_route_counters {
    uint64_t by_status[HTTP_STATUSES];           /* in the order of http_statuses */
    uint64_t by_duration[HTTP_DURATION_BUCKETS]; /* of each bucket alone; the last is beyond every bound */
    double seconds;                              /* all together */
};
/* Requests that ended. index: of the route in api/routes.h; route_count: of what matched none. HEAD counts as GET. */
void http_count_route(const struct http *http, size_t index, struct http_route_counters *ret_counters);

#endif
