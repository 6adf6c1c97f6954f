/* What the files of the front share. Locks, in the order they are taken: waiters, flight, the pool's, libmicrohttpd's;
 * or streams, the pool's, libmicrohttpd's. The registry's is taken under none and nothing is taken under it. */
#ifndef SERVER_HTTP_FRONT_H
#define SERVER_HTTP_FRONT_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/problem.h"
#include "api/routes.h"
#include "server/clock.h"
#include "server/http.h"
#include "server/http/framing.h"
#include "server/http/libmicrohttpd.h"
#include "server/http/pool.h"
#include "server/http/tally.h"
#include "server/must.h"

/* Where a connection is in its life, moved on by compare-and-swap, so that a cut and a reply never write both. */
enum phase {
    PHASE_HEADER, /* between requests, or a header is on its way */
    PHASE_BODY,   /* a body with a deadline is on its way */
    PHASE_STREAM, /* a body without a deadline is on its way */
    PHASE_ACTIVE, /* the handler is at work, or the response is on its way */
    PHASE_CUT,
};

/* How fast a client sends or reads, as the watcher sees it. */
struct pace {
    enum phase phase; /* that it was looked at in */
    int64_t since_ms; /* the window's begin; 0: nothing waits for the client */
    int64_t looked_ms;
    uint64_t bytes; /* acknowledged or received until then */
};

struct connection {
    struct connection *previous, *next; /* guarded by http.registry.lock, like is_open */
    bool is_open;                       /* libmicrohttpd has it */
    bool is_upload;
    int fd;
    atomic_int phase;
    _Atomic int64_t deadline_ms; /* of the first header, then of each body */
    atomic_uint requests;        /* begun */
    atomic_int farewell;         /* status that a cut in PHASE_BODY says */
    /* The watcher's own notes on a connection between requests. */
    unsigned seen_requests;
    int64_t looked_ms, next_deadline_ms;
    uint64_t idle_bytes;
    struct pace pace;
};

/* Connections that libmicrohttpd has, and those on their way to it. */
struct registry {
    pthread_mutex_t lock;
    pthread_cond_t closed;
    struct connection *first;
    struct connection **by_fd; /* handed over and not yet opened */
    size_t by_fd_size;
    atomic_uint count, uploads;
};

enum outcome {
    OUTCOME_NONE,
    OUTCOME_PENDING, /* the connection is suspended: who moves it on resumes it */
    OUTCOME_DONE,
    OUTCOME_TIMED_OUT,
    OUTCOME_GONE,
};

enum work { WORK_HANDLE, WORK_BEGIN, WORK_APPEND, WORK_FINISH, WORK_ABANDON };

/* One request on its way. Two may hold it: the connection, and the pool. */
struct exchange {
    struct task task; /* first */
    atomic_uint holders;
    struct http *http;
    struct connection *connection;
    struct MHD_Connection *mhd;
    int64_t start_ns;
    char *raw_target;
    struct framing framing;
    struct target target;
    struct route_match match;
    struct request request;
    void *headers; /* the request's fields, and their text behind them */
    struct response response;
    char *body;
    size_t body_capacity;
    uint64_t dropped_bytes;
    bool is_begun;    /* the first call has been */
    bool is_opening;  /* the pool begins its stream */
    bool is_answered; /* response is what it will be; a body still under way is dropped */
    bool is_told;     /* … and the client was told of it while it still sends */
    bool is_queued;   /* libmicrohttpd has the response */
    int status;       /* for the log */
    uint64_t bytes;
    enum work work;
    void *stream;
    size_t piece_bytes; /* WORK_APPEND: of body */
    atomic_int outcome;
    /* While pending; guarded by http.flight.lock. */
    struct exchange *flight_previous, *flight_next;
    int64_t flight_deadline_ms;
    /* While waiting for a job; guarded by http.waiters.lock. */
    struct exchange *wait_previous, *wait_next;
    char wait_job[JOB_ID_BYTES];
    uint64_t wait_serial;
    int64_t wait_deadline_ms;
    bool is_waiter, is_parked, is_wait_changed, is_wait_over;
};

struct flight {
    pthread_mutex_t lock;
    struct exchange *first;
};

struct waiters {
    pthread_mutex_t lock;
    struct exchange *first;
    uint64_t next_serial;
    unsigned count;
    bool is_ending; /* no new ones */
    int epoll;      /* of parked connections, for their end; waited on by the watcher */
};

/* Open streams of events (events.c); guarded by lock. */
enum { STREAM_BUCKETS = 1024 };
#define STREAM_EVENT (UINT64_C(1) << 63) /* in the watcher's epoll: this event is of a stream */
struct streams {
    pthread_mutex_t lock;
    struct stream **slots; /* config.max_streams of them; none is used from end on */
    size_t count, end;
    uint32_t generation;
    struct topic *topics[STREAM_BUCKETS];
    struct text *comment, *farewell;
    bool is_ending;
};

struct http {
    struct http_config config;
    struct backend *backend;
    struct guard guard;
    struct MHD_Daemon *api, *uploads;
    struct pool *pool;
    struct registry registry;
    struct flight flight;
    struct waiters waiters;
    struct streams streams;
    struct tally tally;
    int listener, wake; /* wake: an eventfd in the epolls of both threads */
    int greeting_epoll; /* of the acceptor: the listener and connections that have said nothing yet */
    uint16_t port;
    pthread_t acceptor, watcher;
    bool has_acceptor, has_watcher;
    atomic_bool is_ready, is_draining, is_stopping;
    atomic_bool is_watching; /* false ends the watcher */
    atomic_uint greetings;   /* accepted, and not yet with libmicrohttpd */
    _Atomic uint64_t accepted, shed, cut, timed_out, requests;
};

/* accept.c */
int acceptor_open(struct http *http, struct error *err); /* binds and listens */
void *acceptor_run(void *http);

/* connection.c */
struct connection *connection_new(struct http *http, int fd, bool is_upload, int64_t deadline_ms);
void connection_discard(struct http *http, struct connection *connection); /* libmicrohttpd did not take it */
void connection_notify(void *http, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code);
bool connection_enter(struct connection *connection, enum phase from, enum phase to);
/* Says status in as few bytes as possible and ends the connection, when it still is in phase. */
bool connection_cut(struct http *http, struct connection *connection, enum phase phase, int status);
/* Says it and ends our side alone. */
void connection_tell(struct connection *connection, int status);
void connections_close_idle(struct http *http);
void connections_close_all(struct http *http);
const char *plain_reply(int status, char out[256]); /* a whole response without a body, which closes */

/* watch.c */
void *watcher_run(void *http);

/* exchange.c */
void *exchange_begin(void *http, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_handle(void *http, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload_data, size_t *upload_data_size,
                                void **request_context);
void exchange_completed(void *http, struct MHD_Connection *mhd, void **request_context,
                        enum MHD_RequestTerminationCode code);
void exchange_release(struct exchange *exchange);

/* flight.c: exchanges whose connection is suspended */
bool flight_add(struct exchange *exchange, int64_t deadline_ms); /* false: the front is stopping */
void flight_set_deadline(struct exchange *exchange, int64_t deadline_ms);
/* The one way on from OUTCOME_PENDING; false when another was faster. Resumes the connection. */
bool flight_settle(struct exchange *exchange, enum outcome outcome);
void flight_check(struct http *http, int64_t now);
void flight_stop(struct http *http);

/* wait.c */
void exchange_run(struct task *task); /* on the pool */
void waiters_end(struct http *http);  /* asks all a last time */
void waiters_changed(struct http *http, const char *job_id);
void waiters_check(struct http *http, int64_t now);
void waiters_gone(struct http *http, uint64_t serial);

/* events.c */
int streams_open(struct http *http, struct error *err);
void streams_done(struct streams *streams);
/* Copies what it needs of response (BODY_EVENTS). NULL: there are too many already, or no memory. */
struct MHD_Response *stream_begin(struct exchange *exchange, const struct response *response);
void streams_changed(struct http *http, const char *job_id, enum http_change change);
void streams_check(struct http *http, int64_t now);
void streams_gone(struct http *http, uint64_t event);
void streams_end(struct http *http); /* each gets its farewell */

/* reply.c */
enum MHD_Result reply_queue(struct exchange *exchange, struct response *response);

#endif
