/* `diffaid health`: for containers that have no curl. Asks the service of this machine whether it is ready. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/commands/command.h"
#include "server/config.h"

enum { HOST_BYTES = 256, TIMEOUT_SECONDS = 3, ANSWER_BYTES = 4096 };

extern char **environ;

static int connect_to(const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *addresses;
    struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    char service[8];
    int fd = -1;

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &addresses) != 0)
        return -1;
    for (struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next) {
        fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    return fd;
}

/* The status code of GET /readyz, or 0. */
static int ask(int fd)
{
    static const char question[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[ANSWER_BYTES];
    size_t used = 0;

    if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(question) - 1)
        return 0;
    while (used < sizeof(answer) - 1) {
        ssize_t got = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    if (used < 12 || strncmp(answer, "HTTP/1.", 7) != 0)
        return 0;
    return (int)strtol(answer + 9, NULL, 10);
}

int command_health(int argc, char **argv)
{
    struct config config;
    struct error err = {0};
    char host[HOST_BYTES];
    enum config_wish wish = CONFIG_RUN;
    uint16_t port;
    int rc, fd, status;

    rc = config_read(argc, argv, environ, NULL, NULL, &config, &wish, &err);
    if (!rc && wish != CONFIG_RUN) {
        printf("usage: diffaid health [--listen ADDRESS:PORT]\n\n"
               "exit status: 0 the service there is ready, 1 it is not, 2 usage\n");
        config_done(&config);
        return 0;
    }
    if (!rc)
        rc = config_listen_split(config.listen, host, sizeof(host), &port, &err);
    if (rc) {
        fprintf(stderr, "diffaid health: %s\n", err.text);
        config_done(&config);
        return EXIT_INPUT;
    }
    if (!host[0] || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0)
        snprintf(host, sizeof(host), "127.0.0.1");
    else if (strcmp(host, "::") == 0)
        snprintf(host, sizeof(host), "::1");
    fd = connect_to(host, port);
    status = fd < 0 ? 0 : ask(fd);
    if (fd >= 0)
        close(fd);
    if (status != 200)
        fprintf(stderr,
                status ? "diffaid health: %s is not ready (status %d)\n" : "diffaid health: %s does not answer\n",
                config.listen, status);
    config_done(&config);
    return status == 200 ? 0 : 1;
}
