/* A worker process, seen from the service. It belongs to the thread that spawned it: the kernel ends it with that
 * thread, so only threads that live as long as the service may spawn. */
#ifndef SERVER_JOBS_CHILD_H
#define SERVER_JOBS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"
#include "server/jobs/channel.h"
#include "server/jobs/sandbox.h"
#include "server/roots.h"

struct child_settings {
    const char *program; /* run as `program worker` */
    const struct roots *roots;
    int uploads_fd;
    unsigned threads;
    uint64_t memory_bytes; /* address space; 0: unlimited */
    uint64_t cache_bytes;  /* of struct scan_env */
    uint64_t file_bytes;   /* of a file that it writes; 0: unlimited */
    enum sandbox_mode sandbox;
};

struct child {
    pid_t pid; /* 0: none */
    struct channel channel;
    struct walls walls; /* as it told when it was ready */
};

/* Returns once the worker said it is ready. */
int child_spawn(const struct child_settings *settings, struct child *ret, struct error *err);

/* Whether the idle child is still there. */
bool child_is_alive(struct child *child);

/* Closes its line, which makes it exit; kills it after patience_ms. Waits for its end. */
void child_stop(struct child *child, int patience_ms);

/* How a child ended whose line is closed; kills one that did not. The child is gone afterwards. */
int child_reap(struct child *child, int *ret_status);

#endif
