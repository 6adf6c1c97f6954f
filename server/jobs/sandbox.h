/* The walls around a process that reads strangers' files: a worker of the service, or the command line once its files
 * are open. What is given up here cannot be taken back. SECURITY.md says what they hold and what they do not. */
#ifndef SERVER_JOBS_SANDBOX_H
#define SERVER_JOBS_SANDBOX_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "server/jobs/landlock.h"

enum sandbox_mode {
    SANDBOX_AUTO,    /* what the kernel offers */
    SANDBOX_REQUIRE, /* ERROR_REQUEST where it does not offer all */
    SANDBOX_OFF      /* no filter of system calls and no Landlock; limits hold */
};

struct sandbox {
    enum sandbox_mode mode;
    const struct landlock_place *places; /* what may be opened from now on */
    size_t place_count;
    int line_fd;                              /* the one socket that messages may pass; -1: none */
    bool may_replace;                         /* files may be renamed and removed, where places say so */
    uint64_t memory_bytes, file_bytes, files; /* address space, size of a file written, descriptors; 0: as it is */
    /* Optional: runs in the handler of SIGSYS, before the process dies of a system call that it may not make. */
    void (*stopped)(long call);
};

/* What is in force in a process. */
struct walls {
    bool has_no_new_privs, has_seccomp;
    int landlock_version;                     /* 0: not in force */
    uint64_t memory_bytes, file_bytes, files; /* 0: unlimited */
};

/* Builds the walls around every thread that is there and that will be. Locale, time zone, libraries and whatever else
 * is read from files must be in place. ret_walls tells what stands in any case: a failure leaves the other walls up. */
int sandbox_enter(const struct sandbox *sandbox, struct walls *ret_walls, struct error *err);

/* What the kernel offers to this process, whether or not it is in force. */
void sandbox_probe(struct walls *ret_walls);

/* The member of a message that tells of walls, and back: ret is zeroed where it tells nothing. */
struct json_object *walls_describe(const struct walls *walls);
void walls_read(struct json_object *described, struct walls *ret);

#endif
