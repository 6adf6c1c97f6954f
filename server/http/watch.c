/* One thread that holds every absolute deadline: headers, bodies, handlers on the pool, waits. It also learns of parked
 * clients that leave.
 *
 * A body without a deadline and a response take as long as they take, as long as the client moves: one that does not
 * send or read 1 KiB a second over 30 s is cut. The kernel's counts tell that too, and whether it is the client that is
 * slow, or this side that has not read what came.
 *
 * The first byte of a later request on a connection is not told by libmicrohttpd. The kernel's count of bytes received
 * tells it, for connections that have been between requests for a while: one getsockopt a second each, and no cost at
 * all for those that are busy. */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "server/http/front.h"

/* The bytes that have come, and those that the other end has acknowledged. */
static bool read_traffic(int fd, uint64_t *ret_received, uint64_t *ret_acknowledged)
{
    struct tcp_info info;
    socklen_t bytes = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0 ||
        bytes < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
        return false;
    *ret_received = info.tcpi_bytes_received;
    *ret_acknowledged = info.tcpi_bytes_acked;
    return true;
}

/* The deadline of the header under way, or 0 when none is. */
static int64_t header_deadline(struct http *http, struct connection *c, int64_t now)
{
    int64_t interval = http->config.header_timeout_ms / 4 < 1000 ? http->config.header_timeout_ms / 4 : 1000;
    unsigned requests = atomic_load(&c->requests);
    uint64_t received, acknowledged;

    if (requests == 0)
        return atomic_load(&c->deadline_ms);
    if (requests != c->seen_requests) {
        c->seen_requests = requests;
        c->next_deadline_ms = 0;
        c->looked_ms = read_traffic(c->fd, &c->idle_bytes, &acknowledged) ? now : INT64_MAX - interval;
    } else if (c->next_deadline_ms == 0 && now >= c->looked_ms + interval) {
        if (read_traffic(c->fd, &received, &acknowledged) && received != c->idle_bytes)
            c->next_deadline_ms = c->looked_ms + http->config.header_timeout_ms;
        c->looked_ms = now;
    }
    return c->next_deadline_ms;
}

/* Whether it is the client that keeps us waiting: it does not send, or what it was sent does not leave. */
static bool is_waiting_for_client(int fd, enum phase phase)
{
    int bytes = 0;

    if (ioctl(fd, phase == PHASE_STREAM ? SIOCINQ : SIOCOUTQ, &bytes) != 0)
        return false;
    return phase == PHASE_STREAM ? bytes == 0 : bytes > 0;
}

/* Less than pace_bytes a second over a whole window. It starts anew whenever nothing waits for the client. */
static bool is_too_slow(struct http *http, struct connection *c, enum phase phase, int64_t now)
{
    const struct http_config *config = &http->config;
    int64_t interval = config->pace_window_ms / 8 < 1000 ? config->pace_window_ms / 8 : 1000;
    struct pace *pace = &c->pace;
    uint64_t received, acknowledged, bytes, least = (uint64_t)config->pace_bytes * config->pace_window_ms / 1000;
    bool is_slow;

    if (pace->phase != phase)
        *pace = (struct pace){.phase = phase};
    if (now < pace->looked_ms + interval)
        return false;
    pace->looked_ms = now;
    if (!is_waiting_for_client(c->fd, phase) || !read_traffic(c->fd, &received, &acknowledged)) {
        pace->since_ms = 0;
        return false;
    }
    bytes = phase == PHASE_STREAM ? received : acknowledged;
    if (pace->since_ms != 0 && now < pace->since_ms + (int64_t)config->pace_window_ms)
        return false;
    is_slow = pace->since_ms != 0 && bytes - pace->bytes < least;
    pace->since_ms = now;
    pace->bytes = bytes;
    return is_slow;
}

/* libmicrohttpd 0.9.75 takes a short read for the end of what there is, and epoll's edge for the end of the stream is
 * gone when that came along with the last bytes: it would wait for more until the idle timeout. A shutdown of what the
 * peer has shut down already changes nothing but makes the edge anew. */
static void poke_when_ended(const struct connection *c)
{
    char byte;

    if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        shutdown(c->fd, SHUT_RD);
}

static void check_connections(struct http *http, int64_t now)
{
    struct connection *next;
    int64_t deadline;

    must(pthread_mutex_lock(&http->registry.lock));
    for (struct connection *c = http->registry.first; c; c = next) {
        next = c->next;
        if (!c->is_open)
            continue;
        switch ((enum phase)atomic_load(&c->phase)) {
        case PHASE_HEADER:
            deadline = header_deadline(http, c, now);
            if (deadline && now >= deadline)
                connection_cut(http, c, PHASE_HEADER, 408);
            break;
        case PHASE_BODY:
            deadline = atomic_load(&c->deadline_ms);
            if (deadline && now >= deadline)
                connection_cut(http, c, PHASE_BODY, atomic_load(&c->farewell));
            else
                poke_when_ended(c);
            break;
        case PHASE_STREAM:
            if (is_too_slow(http, c, PHASE_STREAM, now))
                connection_cut(http, c, PHASE_STREAM, 408);
            else
                poke_when_ended(c);
            break;
        case PHASE_ACTIVE:
            if (is_too_slow(http, c, PHASE_ACTIVE, now))
                connection_cut(http, c, PHASE_ACTIVE, 0);
            break;
        case PHASE_CUT:
            break;
        }
    }
    must(pthread_mutex_unlock(&http->registry.lock));
}

/* An eighth of the shortest deadline: how late a cut may come. */
static int choose_tick(const struct http_config *config)
{
    unsigned shortest = config->header_timeout_ms;

    if (config->body_timeout_ms < shortest)
        shortest = config->body_timeout_ms;
    if (config->drop_timeout_ms < shortest)
        shortest = config->drop_timeout_ms;
    if (config->pool_timeout_ms < shortest)
        shortest = config->pool_timeout_ms;
    if (config->pace_window_ms < shortest)
        shortest = config->pace_window_ms;
    shortest /= 8;
    return shortest < 5 ? 5 : shortest > 200 ? 200 : (int)shortest;
}

void *watcher_run(void *context)
{
    struct http *http = context;
    int tick = choose_tick(&http->config);
    struct epoll_event events[64];
    int64_t next = 0;

    while (atomic_load(&http->is_watching)) {
        int64_t now = clock_steady_ms();
        int count;

        if (now >= next) {
            check_connections(http, now);
            flight_check(http, now);
            waiters_check(http, now);
            streams_check(http, now);
            next = now + tick;
        }
        count = epoll_wait(http->waiters.epoll, events, 64, (int)(next - now));
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 & STREAM_EVENT)
                streams_gone(http, events[i].data.u64);
            else
                waiters_gone(http, events[i].data.u64);
        }
    }
    return NULL;
}
