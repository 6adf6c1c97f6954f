/* The registry of connections. A descriptor is shut down only under the registry's lock while the connection is listed,
 * and the close notification, which comes before libmicrohttpd closes the descriptor, takes the same lock to unlist it:
 * so a number that was reused is never cut. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/http/front.h"

static void unlink_connection(struct registry *registry, struct connection *connection)
{
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        registry->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    atomic_fetch_sub(&registry->count, 1);
    if (connection->is_upload)
        atomic_fetch_sub(&registry->uploads, 1);
    must(pthread_cond_broadcast(&registry->closed));
    free(connection);
}

/* Room for by_fd[fd], under the lock. */
static bool has_room(struct registry *registry, int fd)
{
    size_t size = registry->by_fd_size ? registry->by_fd_size : 64;
    struct connection **grown;

    if ((size_t)fd < registry->by_fd_size)
        return true;
    while (size <= (size_t)fd)
        size *= 2;
    grown = reallocarray(registry->by_fd, size, sizeof(struct connection *));
    if (!grown)
        return false;
    memset(grown + registry->by_fd_size, 0, (size - registry->by_fd_size) * sizeof(struct connection *));
    registry->by_fd = grown;
    registry->by_fd_size = size;
    return true;
}

struct connection *connection_new(struct http *http, int fd, bool is_upload, int64_t deadline_ms)
{
    struct registry *registry = &http->registry;
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->fd = fd;
    connection->is_upload = is_upload;
    atomic_init(&connection->deadline_ms, deadline_ms);
    must(pthread_mutex_lock(&registry->lock));
    if (!has_room(registry, fd)) {
        must(pthread_mutex_unlock(&registry->lock));
        free(connection);
        return NULL;
    }
    /* Handed over once, never opened, and closed since: libmicrohttpd had no memory for it. */
    if (registry->by_fd[fd])
        unlink_connection(registry, registry->by_fd[fd]);
    registry->by_fd[fd] = connection;
    connection->next = registry->first;
    if (connection->next)
        connection->next->previous = connection;
    registry->first = connection;
    atomic_fetch_add(&registry->count, 1);
    if (is_upload)
        atomic_fetch_add(&registry->uploads, 1);
    must(pthread_mutex_unlock(&registry->lock));
    return connection;
}

void connection_discard(struct http *http, struct connection *connection)
{
    must(pthread_mutex_lock(&http->registry.lock));
    http->registry.by_fd[connection->fd] = NULL;
    unlink_connection(&http->registry, connection);
    must(pthread_mutex_unlock(&http->registry.lock));
}

void connection_notify(void *context, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    struct registry *registry = &http->registry;
    const union MHD_ConnectionInfo *info =
        libmicrohttpd.MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    must(pthread_mutex_lock(&registry->lock));
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        if (info && info->connect_fd >= 0 && (size_t)info->connect_fd < registry->by_fd_size) {
            *socket_context = registry->by_fd[info->connect_fd];
            registry->by_fd[info->connect_fd] = NULL;
            if (*socket_context)
                ((struct connection *)*socket_context)->is_open = true;
        }
    } else if (*socket_context) {
        unlink_connection(registry, *socket_context);
        *socket_context = NULL;
    }
    must(pthread_mutex_unlock(&registry->lock));
}

bool connection_enter(struct connection *connection, enum phase from, enum phase to)
{
    int expected = (int)from;

    return atomic_compare_exchange_strong(&connection->phase, &expected, (int)to);
}

const char *plain_reply(int status, char out[256])
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{400, "Bad Request"},
                   {408, "Request Timeout"},
                   {413, "Content Too Large"},
                   {431, "Request Header Fields Too Large"},
                   {503, "Service Unavailable"}};
    const char *reason = "Error";

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            reason = reasons[i].reason;
    snprintf(out, 256, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n", status, reason,
             status == 503 ? "Retry-After: 5\r\n" : "");
    return out;
}

/* Under the lock, or in the connection's own callbacks. */
static void say(const struct connection *connection, int status)
{
    char text[256];

    plain_reply(status, text);
    /* Lost when the peer does not read: it would not have read anything else either. */
    (void)!send(connection->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool connection_cut(struct http *http, struct connection *connection, enum phase phase, int status)
{
    if (!connection_enter(connection, phase, PHASE_CUT))
        return false;
    atomic_fetch_add_explicit(&http->cut, 1, memory_order_relaxed);
    if (status)
        say(connection, status);
    shutdown(connection->fd, SHUT_RDWR);
    return true;
}

void connection_tell(struct connection *connection, int status)
{
    atomic_store(&connection->farewell, 0); /* this is it */
    say(connection, status);
    shutdown(connection->fd, SHUT_WR);
}

void connections_close_idle(struct http *http)
{
    must(pthread_mutex_lock(&http->registry.lock));
    for (struct connection *c = http->registry.first; c; c = c->next)
        if (c->is_open && atomic_load(&c->requests) > 0 && connection_enter(c, PHASE_HEADER, PHASE_CUT))
            shutdown(c->fd, SHUT_RDWR);
    must(pthread_mutex_unlock(&http->registry.lock));
}

void connections_close_all(struct http *http)
{
    must(pthread_mutex_lock(&http->registry.lock));
    for (struct connection *c = http->registry.first; c; c = c->next)
        if (c->is_open) {
            atomic_store(&c->phase, PHASE_CUT);
            shutdown(c->fd, SHUT_RDWR);
        }
    must(pthread_mutex_unlock(&http->registry.lock));
}
