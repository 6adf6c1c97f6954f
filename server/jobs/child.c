#include "server/jobs/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/clock.h"

enum { READY_MS = 20000, SEND_SECONDS = 10, REAP_MS = 1000 };

extern char **environ;

static int spawn_process(const char *program, int child_end, pid_t *ret_pid, struct error *err)
{
    char *arguments[] = {(char *)"diffaid", (char *)"worker", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    pid_t pid;
    int rc;

    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&actions, child_end, CHANNEL_FD);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(&actions, CHANNEL_FD + 1);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (!rc)
        rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (!rc)
        rc = posix_spawn(&pid, program, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (rc)
        return error_set(err, ERROR_BUSY, "cannot start a worker process: %s", strerrordesc_np(rc));
    *ret_pid = pid;
    return 0;
}

static int send_start(struct child *child, const struct child_settings *settings, struct error *err)
{
    struct json_object *message = message_new("start"), *roots = json_object_new_array();
    int descriptors[CHANNEL_DESCRIPTORS_MAX];
    size_t count = 0;
    int rc;

    if (!message || !roots) {
        json_object_put(message);
        json_object_put(roots);
        return error_set(err, ERROR_NO_MEMORY, "no memory to start a worker process");
    }
    message_add_u64(message, "threads", settings->threads);
    message_add_u64(message, "memory_bytes", settings->memory_bytes);
    message_add_u64(message, "cache_bytes", settings->cache_bytes);
    message_add_u64(message, "file_bytes", settings->file_bytes);
    message_add_u64(message, "sandbox", settings->sandbox);
    for (size_t i = 0; i < settings->roots->count; i++) {
        struct json_object *root = json_object_new_object();

        if (!root) {
            json_object_put(message);
            json_object_put(roots);
            return error_set(err, ERROR_NO_MEMORY, "no memory to start a worker process");
        }
        message_add_text(root, "name", settings->roots->items[i].name);
        message_add_text(root, "path", settings->roots->items[i].path);
        json_object_array_add(roots, root);
        descriptors[count++] = settings->roots->items[i].fd;
    }
    json_object_object_add(message, "roots", roots);
    descriptors[count++] = settings->uploads_fd;
    rc = channel_send(&child->channel, message, descriptors, count, err);
    json_object_put(message);
    return rc;
}

static int wait_ready(struct child *child, struct error *err)
{
    int64_t until_ms = clock_steady_ms() + READY_MS;
    struct json_object *message = NULL;
    uint64_t call;
    bool is_ready;

    while (!message) {
        struct pollfd line = {.fd = child->channel.fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_steady_ms();
        int rc;

        if (left_ms <= 0)
            return error_set(err, ERROR_BUSY, "a worker process was not ready after %d s", READY_MS / 1000);
        if (poll(&line, 1, (int)left_ms) <= 0)
            continue;
        rc = channel_receive(&child->channel, false, &message, err);
        if (rc)
            return error_prefix(err, rc, "a worker process ended before it was ready: ");
    }
    is_ready = strcmp(message_text(message, "type"), "ready") == 0;
    walls_read(json_object_object_get(message, "walls"), &child->walls);
    call = message_u64(message, "call");
    json_object_put(message);
    if (!is_ready && call)
        return error_set(err, ERROR_INTERNAL, "the sandbox stopped a worker process at system call %" PRIu64, call);
    if (!is_ready)
        return error_set(err, ERROR_FORMAT, "a worker process began with another word than ready");
    return 0;
}

int child_spawn(const struct child_settings *settings, struct child *ret, struct error *err)
{
    struct timeval timeout = {.tv_sec = SEND_SECONDS}; /* one that does not read is as good as dead */
    struct child child = {0};
    int ends[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_set(err, ERROR_BUSY, "cannot start a worker process: %s", strerrordesc_np(errno));
    rc = spawn_process(settings->program, ends[1], &child.pid, err);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        return rc;
    }
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    channel_init(&child.channel, ends[0], CHANNEL_LINE_FROM_WORKER);
    rc = send_start(&child, settings, err);
    if (!rc)
        rc = wait_ready(&child, err);
    if (rc) {
        child_stop(&child, 0);
        return rc;
    }
    *ret = child;
    return 0;
}

bool child_is_alive(struct child *child)
{
    struct pollfd line = {.fd = child->channel.fd, .events = POLLIN};

    /* An idle worker says nothing: anything to read is its end, or worth ending it for. */
    return child->pid && poll(&line, 1, 0) == 0;
}

/* Waits up to ms for the process to end, without taking its status. */
static void await_end(pid_t pid, int ms)
{
    int fd = ms > 0 ? pidfd_open(pid, 0) : -1;
    struct pollfd process = {.fd = fd, .events = POLLIN};
    int64_t until_ms = clock_steady_ms() + ms;

    if (fd < 0)
        return;
    while (poll(&process, 1, ms) < 0 && errno == EINTR) {
        ms = (int)(until_ms - clock_steady_ms());
        if (ms <= 0)
            break;
    }
    close(fd);
}

static int collect(struct child *child, int *ret_status)
{
    int status = 0;
    pid_t pid;

    kill(child->pid, SIGKILL); /* one that has ended already keeps the status of its own end */
    do
        pid = waitpid(child->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    channel_done(&child->channel);
    *child = (struct child){.channel = {.fd = -1}};
    *ret_status = status;
    return pid < 0 ? ERROR_INTERNAL : 0;
}

void child_stop(struct child *child, int patience_ms)
{
    int status;

    if (!child->pid)
        return;
    shutdown(child->channel.fd, SHUT_RDWR);
    await_end(child->pid, patience_ms);
    collect(child, &status);
}

int child_reap(struct child *child, int *ret_status)
{
    await_end(child->pid, REAP_MS);
    return collect(child, ret_status);
}
