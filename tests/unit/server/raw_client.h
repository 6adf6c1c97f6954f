/* A client that sends what it is told, byte by byte. */
#ifndef TESTS_RAW_CLIENT_H
#define TESTS_RAW_CLIENT_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static inline int client_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline bool client_send_bytes(int fd, const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes > 0) {
        ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static inline void client_send(int fd, const char *text)
{
    ck_assert(client_send_bytes(fd, text, strlen(text)));
}

/* Reads until the other side closes; false when it does not in time. text is terminated. */
static inline bool client_read_all(int fd, char *text, size_t size)
{
    size_t used = 0;

    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        ssize_t got;

        text[used] = '\0';
        if (poll(&poller, 1, PATIENCE_MS) <= 0)
            return false;
        got = recv(fd, text + used, size - used - 1, 0);
        if (got <= 0)
            return true;
        used += (size_t)got;
        if (used == size - 1) {
            text[used] = '\0';
            return true;
        }
    }
}

/* Reads one response with its Content-Length (has_body: false after HEAD, 204 and 304). Returns its status. */
static inline int client_read_response(int fd, char *text, size_t size, bool has_body)
{
    size_t used = 0, whole = 0;
    int status = 0;

    text[0] = '\0';
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        char *end = strstr(text, "\r\n\r\n");
        ssize_t got;

        if (end && whole == 0) {
            const char *length = strcasestr(text, "\r\nContent-Length:");

            whole = (size_t)(end + 4 - text);
            if (has_body && length && length < end)
                whole += strtoul(length + 17, NULL, 10);
            sscanf(text, "HTTP/1.1 %d", &status);
            if (status == 100) { /* the real one follows */
                size_t skip = (size_t)(end + 4 - text);

                memmove(text, text + skip, used - skip + 1);
                used -= skip;
                whole = 0;
                continue;
            }
        }
        if (whole && used >= whole)
            return status;
        ck_assert_msg(used < size - 1, "the response is too long");
        ck_assert_msg(poll(&poller, 1, PATIENCE_MS) > 0, "no response; so far: %s", text);
        /* Not beyond this response: the next is read by the next call. */
        got = recv(fd, text + used, whole ? whole - used : 1, 0);
        if (got <= 0)
            return used ? status : -1;
        used += (size_t)got;
        text[used] = '\0';
    }
}

/* Reads on until text, which stays as it was so far, holds part; false when the other side closes or time is up. */
static inline bool client_read_until(int fd, char *text, size_t size, const char *part)
{
    size_t used = strlen(text);

    while (!strstr(text, part)) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (used == size - 1 || poll(&poller, 1, PATIENCE_MS) <= 0)
            return false;
        got = recv(fd, text + used, size - used - 1, 0);
        if (got <= 0)
            return false;
        used += (size_t)got;
        text[used] = '\0';
    }
    return true;
}

static inline int count_text(const char *text, const char *part)
{
    int count = 0;

    while ((text = strstr(text, part))) {
        count++;
        text += strlen(part);
    }
    return count;
}

#endif
