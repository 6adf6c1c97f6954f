/* The acceptor: one thread, one epoll. A new connection is greeted: its first bytes tell which daemon gets it. Until
 * then it costs a few hundred bytes. Beyond the bound, connections are answered right here, in two lines, because a
 * probe that hangs in the backlog has a healthy service killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/front.h"

enum {
    LINGER_MS = 1000, /* for a refused client to read its refusal */
    PAUSE_MS = 100,   /* when descriptors have run out */
    BACKLOG = 1024,
    PEEK_BYTES = 8192, /* of a header, to see whether a POST brings files */
};

struct list {
    struct greeting *first, *last;
};

struct greeting {
    struct list *list; /* it is in one of the acceptor's */
    struct greeting *previous, *next;
    int fd;
    int64_t deadline_ms;
    bool is_shed;
    bool is_talking; /* a header is on its way */
};

struct acceptor {
    struct http *http;
    int epoll;             /* borrowed */
    struct list waiting;   /* for first bytes */
    struct list unheard;   /* shed, and not a byte yet */
    struct list lingering; /* shed and answered, until the peer ends */
    unsigned shed;         /* of the latter two */
    bool is_paused;
    int64_t resume_ms;
};

static void list_add(struct list *list, struct greeting *g)
{
    g->list = list;
    g->previous = list->last;
    g->next = NULL;
    if (list->last)
        list->last->next = g;
    else
        list->first = g;
    list->last = g;
}

static void list_remove(struct greeting *g)
{
    if (g->previous)
        g->previous->next = g->next;
    else
        g->list->first = g->next;
    if (g->next)
        g->next->previous = g->previous;
    else
        g->list->last = g->previous;
}

static void forget(struct acceptor *a, struct greeting *g)
{
    list_remove(g);
    if (g->is_shed)
        a->shed--;
    else
        atomic_fetch_sub(&a->http->greetings, 1);
    free(g);
}

static void drop(struct acceptor *a, struct greeting *g)
{
    close(g->fd);
    forget(a, g);
}

int acceptor_open(struct http *http, struct error *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof(bound);
    char port[8];
    int fd = -1, on = 1, rc = 0;

    snprintf(port, sizeof(port), "%u", http->config.port);
    if (getaddrinfo(http->config.address, port, &hints, &found) != 0)
        return error_set(err, ERROR_REQUEST, "%s is not a numeric address", http->config.address);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        rc = error_set(err, ERROR_INTERNAL, "no socket: %s", strerrordesc_np(errno));
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
            rc = error_set(err,
                           errno == EADDRINUSE      ? ERROR_BUSY
                           : errno == EACCES        ? ERROR_ACCESS
                           : errno == EADDRNOTAVAIL ? ERROR_REQUEST
                                                    : ERROR_INTERNAL,
                           "%s port %s: %s", http->config.address, port, strerrordesc_np(errno));
        else if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0)
            rc = error_set(err, ERROR_INTERNAL, "getsockname: %s", strerrordesc_np(errno));
    }
    freeaddrinfo(found);
    if (rc) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    http->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                   : ((struct sockaddr_in *)&bound)->sin_port);
    http->listener = fd;
    return 0;
}

/* Answers a connection that is one too many. */
static void refuse(struct acceptor *a, struct greeting *g)
{
    static const char live[] =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        "\r\nlive\n";
    static const char ready[] =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
        "\r\nready\n";
    char text[16384], plain[256];
    ssize_t got = recv(g->fd, text, sizeof(text), MSG_DONTWAIT);
    const char *reply;

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop(a, g);
        return;
    }
    reply = plain_reply(503, plain);
    if (got > 11 && memcmp(text, "GET /livez ", 11) == 0)
        reply = live;
    else if (got > 12 && memcmp(text, "GET /readyz ", 12) == 0 && atomic_load(&a->http->is_ready))
        reply = ready;
    else
        atomic_fetch_add_explicit(&a->http->shed, 1, memory_order_relaxed);
    (void)!send(g->fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(g->fd, SHUT_WR);
    list_remove(g);
    g->deadline_ms = clock_steady_ms() + LINGER_MS;
    list_add(&a->lingering, g);
}

/* Reads what a refused client still sends, so that its kernel does not throw our refusal away. */
static void linger(struct acceptor *a, struct greeting *g)
{
    char waste[16384];
    ssize_t got;

    do
        got = recv(g->fd, waste, sizeof(waste), MSG_DONTWAIT);
    while (got > 0);
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        drop(a, g);
}

static void hand_over(struct acceptor *a, struct greeting *g, bool is_upload)
{
    struct http *http = a->http;
    struct sockaddr_in unknown = {.sin_family = AF_INET};
    struct connection *connection;

    epoll_ctl(a->epoll, EPOLL_CTL_DEL, g->fd, NULL);
    connection = connection_new(http, g->fd, is_upload, g->deadline_ms);
    if (!connection) {
        drop(a, g);
        return;
    }
    /* It closes the descriptor, also when it fails. */
    if (libmicrohttpd.MHD_add_connection(is_upload ? http->uploads : http->api, g->fd, (struct sockaddr *)&unknown,
                                         sizeof(unknown)) != MHD_YES)
        connection_discard(http, connection);
    forget(a, g);
}

enum destination { DESTINATION_UNKNOWN, DESTINATION_API, DESTINATION_UPLOADS };

/* Whether a header's Content-Type is multipart/form-data. */
static bool brings_form(const char *header)
{
    const char *line = strcasestr(header, "\r\nContent-Type:");

    if (!line)
        return false;
    line += strlen("\r\nContent-Type:");
    return strncasecmp(line + strspn(line, " \t"), "multipart/form-data", 19) == 0;
}

/* Which daemon a request is for, by what has come of it. A POST of files looks like any other up to its Content-Type.
 * To be wrong is harmless: each daemon takes every request. */
static enum destination destination_of(const char *text, size_t bytes)
{
    static const struct {
        const char *start;
        enum destination destination;
    } starts[] = {
        {"PUT ", DESTINATION_UPLOADS},
        {"PATCH ", DESTINATION_UPLOADS},
        {"POST /v1/uploads", DESTINATION_UPLOADS},
        {"POST ", DESTINATION_UNKNOWN},
    };

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t length = strlen(starts[i].start);

        if (bytes < length && memcmp(text, starts[i].start, bytes) == 0)
            return DESTINATION_UNKNOWN;
        if (bytes < length || memcmp(text, starts[i].start, length) != 0)
            continue;
        if (starts[i].destination != DESTINATION_UNKNOWN)
            return starts[i].destination;
        if (!strstr(text, "\r\n\r\n"))
            return DESTINATION_UNKNOWN;
        return brings_form(text) ? DESTINATION_UPLOADS : DESTINATION_API;
    }
    return DESTINATION_API;
}

static void greet(struct acceptor *a, struct greeting *g)
{
    enum destination destination;
    char text[PEEK_BYTES + 1], *end;
    ssize_t got = recv(g->fd, text, PEEK_BYTES, MSG_PEEK | MSG_DONTWAIT);
    size_t skip = 0;

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop(a, g);
        return;
    }
    text[got] = '\0';
    end = strstr(text, "\r\n\r\n");
    if (end)
        end[4] = '\0'; /* what follows the header is not asked */
    /* Empty lines before a request are allowed. */
    while (skip < (size_t)got && (text[skip] == '\r' || text[skip] == '\n'))
        skip++;
    if (skip == (size_t)got && got < PEEK_BYTES)
        return;
    destination = destination_of(text + skip, strlen(text + skip));
    if (destination == DESTINATION_UNKNOWN && got < PEEK_BYTES) {
        g->is_talking = strncmp(text + skip, "POST ", 5) == 0; /* more bytes wake us again */
        return;
    }
    if (destination == DESTINATION_UPLOADS && atomic_load(&a->http->registry.uploads) >= a->http->config.max_uploads) {
        g->is_shed = true;
        a->shed++;
        atomic_fetch_sub(&a->http->greetings, 1);
        refuse(a, g);
        return;
    }
    hand_over(a, g, destination == DESTINATION_UPLOADS);
}

static void pause_listening(struct acceptor *a, bool is_paused)
{
    struct epoll_event event = {.events = is_paused ? 0 : EPOLLIN, .data.ptr = &a->http->listener};

    a->is_paused = is_paused;
    a->resume_ms = clock_steady_ms() + PAUSE_MS;
    epoll_ctl(a->epoll, EPOLL_CTL_MOD, a->http->listener, &event);
}

/* Of those being refused: who has been answered goes before who has not, it may be a probe; who has waited longest
 * without a word goes before who has just come. */
static void make_room(struct acceptor *a)
{
    if (a->lingering.first) {
        drop(a, a->lingering.first);
    } else if (a->unheard.first) {
        atomic_fetch_add_explicit(&a->http->shed, 1, memory_order_relaxed);
        drop(a, a->unheard.first);
    }
}

static void accept_all(struct acceptor *a)
{
    struct http *http = a->http;

    for (;;) {
        int fd = accept4(http->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
        struct greeting *g;

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_listening(a, true); /* else the same event comes for ever */
            else if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        atomic_fetch_add_explicit(&http->accepted, 1, memory_order_relaxed);
        g = calloc(1, sizeof(*g));
        if (!g) {
            close(fd);
            continue;
        }
        g->fd = fd;
        g->is_shed = atomic_load(&http->greetings) + atomic_load(&http->registry.count) >= http->config.max_connections;
        g->deadline_ms = clock_steady_ms() + (g->is_shed ? LINGER_MS : http->config.header_timeout_ms);
        event.data.ptr = g;
        if (g->is_shed && a->shed >= http->config.max_refusals)
            make_room(a);
        if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            free(g);
            continue;
        }
        list_add(g->is_shed ? &a->unheard : &a->waiting, g);
        if (g->is_shed) {
            a->shed++;
            refuse(a, g); /* what it wants has mostly come by now; in a burst, it then makes room for the next */
        } else {
            atomic_fetch_add(&http->greetings, 1);
        }
    }
}

static void drop_overdue(struct acceptor *a, const struct list *list, int64_t now)
{
    struct greeting *next;

    for (struct greeting *g = list->first; g; g = next) {
        next = g->next;
        if (now >= g->deadline_ms && g->is_talking && !g->is_shed)
            hand_over(a, g, false); /* the watcher tells it that it was too slow */
        else if (now >= g->deadline_ms)
            drop(a, g);
    }
}

static void event_on(struct acceptor *a, struct greeting *g)
{
    if (g->list == &a->lingering)
        linger(a, g);
    else if (g->is_shed)
        refuse(a, g);
    else
        greet(a, g);
}

void *acceptor_run(void *context)
{
    struct http *http = context;
    struct acceptor a = {.http = http, .epoll = http->greeting_epoll};
    struct epoll_event events[128];
    unsigned tick = http->config.header_timeout_ms / 8;
    int64_t checked = clock_steady_ms();
    bool is_ending = false;

    tick = tick < 5 ? 5 : tick > 250 ? 250 : tick;
    while (!is_ending) {
        int count = epoll_wait(a.epoll, events, 128, a.waiting.first || a.shed || a.is_paused ? (int)tick : -1);
        int64_t now = clock_steady_ms();
        bool has_new = false;

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &http->wake)
                is_ending = atomic_load(&http->is_draining);
            else if (events[i].data.ptr == &http->listener)
                has_new = true;
            else
                event_on(&a, events[i].data.ptr);
        }
        if (has_new) /* last, as it may drop one that has an event in this round */
            accept_all(&a);
        if (now - checked >= tick) {
            drop_overdue(&a, &a.waiting, now);
            drop_overdue(&a, &a.unheard, now);
            drop_overdue(&a, &a.lingering, now);
            checked = now;
        }
        if (a.is_paused && now >= a.resume_ms)
            pause_listening(&a, false);
    }
    /* Whoever has already sent something is still served. */
    accept_all(&a);
    for (struct greeting *g = a.waiting.first, *next; g; g = next) {
        next = g->next;
        event_on(&a, g);
    }
    close(http->listener);
    http->listener = -1;
    while (a.waiting.first)
        drop(&a, a.waiting.first);
    while (a.unheard.first)
        drop(&a, a.unheard.first);
    while (a.lingering.first)
        drop(&a, a.lingering.first);
    return NULL;
}
