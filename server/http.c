/* Starting and stopping the front. */
#include "server/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/libcrypto.h"
#include "server/http/front.h"

enum {
    API_MEMORY_BYTES = 16 * 1024, /* a connection commits all of it */
    UPLOAD_MEMORY_BYTES = 256 * 1024,
    API_THREADS = 2,
};

void http_config_init(struct http_config *config)
{
    *config = (struct http_config){
        .address = "127.0.0.1",
        .port = 8080,
        .is_loopback = true,
        .max_connections = 10000,
        .max_refusals = 256,
        .max_uploads = 64,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .pace_window_ms = 30000,
        .pace_bytes = 1024,
        .drop_timeout_ms = 1000,
        .idle_timeout_seconds = 60,
        .pool_timeout_ms = 5000,
        .pool_threads = 16,
        .pool_queue = 512,
        .max_waiters = 1000,
        .comment_ms = 15000,
        .max_streams = 8000,
        .body_bytes = 1024 * 1024,
        .drop_bytes = 8 * 1024 * 1024,
    };
}

/* A refusal takes a descriptor as well: without one to spare, a probe beyond the bound would hang in the backlog. */
bool http_config_fit(struct http_config *config, uint64_t descriptors)
{
    uint64_t connections;

    if (config->max_refusals > descriptors / 4)
        config->max_refusals = (unsigned)(descriptors / 4);
    connections = descriptors - config->max_refusals;
    if (connections >= config->max_connections)
        return false;
    config->max_connections = (unsigned)connections;
    return true;
}

/* Targets are taken apart raw: decoding first would make %2F a separator. */
static size_t unescape_nothing(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context;
    (void)mhd;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct http *http, size_t memory_bytes, unsigned threads, unsigned limit)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL}, {MHD_OPTION_END, 0, NULL}};

    if (threads < 2)
        pool[0].option = MHD_OPTION_END;
    return libmicrohttpd.MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_handle, http, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory_bytes,
        MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_TIMEOUT, http->config.idle_timeout_seconds,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, http, MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, http,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, http, MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

static void init(struct http *http, const struct http_config *config, struct backend *backend)
{

    http->config = *config;
    http->backend = backend;
    http->guard = (struct guard){
        .is_loopback = config->is_loopback, .allowed_hosts = config->allowed_hosts, .is_admin = config->is_admin};
    http->listener = http->wake = http->greeting_epoll = http->waiters.epoll = -1;
    must(pthread_mutex_init(&http->registry.lock, NULL));
    clock_steady_condition(&http->registry.closed);
    must(pthread_mutex_init(&http->flight.lock, NULL));
    must(pthread_mutex_init(&http->waiters.lock, NULL));
    must(pthread_mutex_init(&http->streams.lock, NULL));
    atomic_init(&http->is_watching, true);
}

/* What the two threads sleep on. */
static int open_epolls(struct http *http, struct error *err)
{
    struct epoll_event watch_wake = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    struct epoll_event accept_wake = {.events = EPOLLIN, .data.ptr = &http->wake};
    struct epoll_event accept_new = {.events = EPOLLIN, .data.ptr = &http->listener};

    http->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    http->greeting_epoll = epoll_create1(EPOLL_CLOEXEC);
    http->waiters.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (http->wake < 0 || http->greeting_epoll < 0 || http->waiters.epoll < 0 ||
        epoll_ctl(http->waiters.epoll, EPOLL_CTL_ADD, http->wake, &watch_wake) != 0 ||
        epoll_ctl(http->greeting_epoll, EPOLL_CTL_ADD, http->wake, &accept_wake) != 0 ||
        epoll_ctl(http->greeting_epoll, EPOLL_CTL_ADD, http->listener, &accept_new) != 0)
        return error_set(err, ERROR_INTERNAL, "no descriptor: %s", strerrordesc_np(errno));
    return 0;
}

int http_start(const struct http_config *config, struct backend *backend, struct http **ret_http, struct error *err)
{
    struct http *http = calloc(1, sizeof(*http));
    struct libcrypto crypto;
    int rc;

    if (!http)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    init(http, config, backend);
    rc = tally_init(&http->tally, err);
    if (rc)
        goto out;
    rc = libmicrohttpd_load(err);
    if (rc == 0)
        rc = libcrypto_load(&crypto, err); /* whether it is there */
    if (rc)
        goto out;
    rc = streams_open(http, err);
    if (rc)
        goto out;
    rc = acceptor_open(http, err);
    if (rc)
        goto out;
    rc = pool_new(config->pool_threads, config->pool_queue, &http->pool, err);
    if (rc)
        goto out;
    rc = open_epolls(http, err);
    if (rc)
        goto out;
    /* libmicrohttpd splits its own limit among its threads and lets what is beyond it hang, so it never gets there. */
    http->api = start_daemon(http, API_MEMORY_BYTES, API_THREADS, 2 * config->max_connections + 64);
    http->uploads = start_daemon(http, UPLOAD_MEMORY_BYTES, 1, config->max_uploads + 64);
    if (!http->api || !http->uploads) {
        rc = error_set(err, ERROR_INTERNAL, "libmicrohttpd could not be started");
        goto out;
    }
    http->has_watcher = pthread_create(&http->watcher, NULL, watcher_run, http) == 0;
    http->has_acceptor = http->has_watcher && pthread_create(&http->acceptor, NULL, acceptor_run, http) == 0;
    if (!http->has_acceptor) {
        rc = error_set(err, ERROR_NO_MEMORY, "a thread could not be started");
        goto out;
    }
    *ret_http = http;
    http = NULL;
out:
    http_stop(http);
    return rc;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

void http_set_ready(struct http *http, bool is_ready)
{
    atomic_store(&http->is_ready, is_ready);
}

static void wake_threads(struct http *http)
{
    uint64_t one = 1;

    (void)!write(http->wake, &one, sizeof(one));
}

static void stop_accepting(struct http *http)
{
    if (!http->has_acceptor)
        return;
    http->has_acceptor = false;
    atomic_store(&http->is_draining, true);
    wake_threads(http);
    must(pthread_join(http->acceptor, NULL));
}

unsigned http_drain(struct http *http, unsigned timeout_ms)
{
    struct registry *registry = &http->registry;
    int64_t end = clock_steady_ms() + timeout_ms;

    stop_accepting(http);
    waiters_end(http);
    streams_end(http);
    while (atomic_load(&registry->count) > 0 && clock_steady_ms() < end) {
        struct timespec soon = clock_steady_after(20);

        /* A connection that carried a response already goes as soon as it is idle. */
        connections_close_idle(http);
        must(pthread_mutex_lock(&registry->lock));
        if (atomic_load(&registry->count) > 0)
            (void)pthread_cond_timedwait(&registry->closed, &registry->lock, &soon);
        must(pthread_mutex_unlock(&registry->lock));
    }
    return atomic_load(&registry->count);
}

void http_stop(struct http *http)
{
    bool is_pool_free;

    if (!http)
        return;
    stop_accepting(http);
    waiters_end(http);
    streams_end(http);
    flight_stop(http);
    connections_close_all(http);
    if (http->api)
        libmicrohttpd.MHD_stop_daemon(http->api);
    if (http->uploads)
        libmicrohttpd.MHD_stop_daemon(http->uploads);
    if (http->has_watcher) {
        atomic_store(&http->is_watching, false);
        wake_threads(http);
        must(pthread_join(http->watcher, NULL));
    }
    is_pool_free = pool_free(http->pool, http->config.pool_timeout_ms);
    if (http->listener >= 0)
        close(http->listener);
    if (http->wake >= 0)
        close(http->wake);
    if (http->greeting_epoll >= 0)
        close(http->greeting_epoll);
    if (http->waiters.epoll >= 0)
        close(http->waiters.epoll);
    if (!is_pool_free)
        return; /* a handler hangs for ever and will look at this again */
    while (http->registry.first)
        connection_discard(http, http->registry.first);
    free(http->registry.by_fd);
    must(pthread_mutex_destroy(&http->registry.lock));
    must(pthread_cond_destroy(&http->registry.closed));
    must(pthread_mutex_destroy(&http->flight.lock));
    must(pthread_mutex_destroy(&http->waiters.lock));
    must(pthread_mutex_destroy(&http->streams.lock));
    streams_done(&http->streams);
    tally_done(&http->tally);
    free(http);
}

void http_count(struct http *http, struct http_counters *ret_counters)
{
    *ret_counters = (struct http_counters){
        .connections = atomic_load(&http->greetings) + atomic_load(&http->registry.count),
        .uploads = atomic_load(&http->registry.uploads),
        .accepted = atomic_load(&http->accepted),
        .shed = atomic_load(&http->shed),
        .cut = atomic_load(&http->cut),
        .timed_out = atomic_load(&http->timed_out),
        .requests = atomic_load(&http->requests),
    };
    must(pthread_mutex_lock(&http->waiters.lock));
    ret_counters->waiters = http->waiters.count;
    must(pthread_mutex_unlock(&http->waiters.lock));
    must(pthread_mutex_lock(&http->streams.lock));
    ret_counters->streams = http->streams.count;
    must(pthread_mutex_unlock(&http->streams.lock));
}

void http_job_changed(struct http *http, const char *job_id, enum http_change change)
{
    if (change == HTTP_CHANGE_STATE)
        waiters_changed(http, job_id);
    streams_changed(http, job_id, change);
}

void http_count_route(const struct http *http, size_t index, struct http_route_counters *ret_counters)
{
    tally_read(&http->tally, index, ret_counters);
}
