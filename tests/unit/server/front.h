/* A front with a backend in memory, for each test anew. Set config between prepare and start. */
#ifndef TESTS_FRONT_H
#define TESTS_FRONT_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "server/http.h"
#include "tests/unit/api/fake_backend.h"
#include "tests/unit/server/raw_client.h"

static struct fake fake;
static struct http_config config;
static struct http *front;
static struct turnstile gate;

static struct {
    pthread_mutex_t lock;
    char lines[16384];
} access_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void keep_log(void *context, const struct http_access *access)
{
    size_t used;

    (void)context;
    pthread_mutex_lock(&access_log.lock);
    used = strlen(access_log.lines);
    if (used + 300 < sizeof(access_log.lines))
        snprintf(access_log.lines + used, sizeof(access_log.lines) - used, "%s %s %d %llu %s|%s%s%s%s%s\n",
                 access->method, access->route, access->status, (unsigned long long)access->bytes, access->request_id,
                 access->cause, *access->job_id ? "|" : "", access->job_id, *access->trace_id ? "|" : "",
                 access->trace_id);
    pthread_mutex_unlock(&access_log.lock);
}

static inline void prepare(void)
{
    fake_init(&fake);
    turnstile_init(&gate);
    http_config_init(&config);
    config.port = 0;
    config.log = keep_log;
    access_log.lines[0] = '\0';
    front = NULL;
}

static inline void start(void)
{
    struct error err = {.code = ERROR_NONE};

    ck_assert_msg(http_start(&config, &fake.backend, &front, &err) == 0, "%s", err.text);
    http_set_ready(front, true);
}

static inline void stop(void)
{
    http_stop(front);
}

static inline int client(void)
{
    return client_connect(http_port(front));
}

#define HOST        "Host: localhost\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define RUNNING     "/v1/jobs/" ID_RUNNING
#define DONE        "/v1/jobs/" ID_DONE

static inline int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the front has noticed something; fails after a while. */
#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        int64_t await_end = clock_ms() + PATIENCE_MS;                                                                  \
        while (!(condition)) {                                                                                         \
            ck_assert_msg(clock_ms() < await_end, "still not: %s", #condition);                                        \
            sched_yield();                                                                                             \
        }                                                                                                              \
    } while (0)

static inline struct http_counters counters(void)
{
    struct http_counters counted;

    http_count(front, &counted);
    return counted;
}

/* Sends a byte every 10 ms until the other side closes; returns after how long it did. */
static inline int64_t drip(int fd, const char *text)
{
    int64_t begun = clock_ms();
    size_t length = strlen(text);

    for (size_t i = 0;; i++) {
        struct pollfd poller = {.fd = fd, .events = POLLIN | POLLRDHUP};

        if (!client_send_bytes(fd, i < length ? text + i : "x", 1) || poll(&poller, 1, 10) > 0)
            break;
        ck_assert_msg(clock_ms() - begun < PATIENCE_MS, "a client that drips is never cut");
    }
    return clock_ms() - begun;
}

#endif
