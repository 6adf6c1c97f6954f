/* Landlock: what a process may still do with files, the network and other processes, given up for good by the process
 * itself. The kernel's version of it is found at run time; newer rights are used where it knows them. */
#ifndef SERVER_JOBS_LANDLOCK_H
#define SERVER_JOBS_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

enum landlock_right {
    LANDLOCK_READ = 1,    /* read files and list directories */
    LANDLOCK_REPLACE = 2, /* remove regular files, make them, rename them within one directory */
    LANDLOCK_WRITE = 4,   /* write, cut, make and remove files and directories */
};

/* A directory, or a file, and what may be done beneath it: an or of enum landlock_right. */
struct landlock_place {
    int fd; /* O_PATH suffices */
    unsigned rights;
};

/* The kernel's version; 0 where it has none, or a container's filter hides it. */
int landlock_version(void);

/* From now on this thread, and those that it starts, may do with files what places say and nothing else.
 * is_writing_only: reading, running programs, the network and signals stay free. no_new_privs must be set. A descriptor
 * that is open keeps what it was opened for. Nothing happens where landlock_version() is 0. */
int landlock_confine(const struct landlock_place *places, size_t count, bool is_writing_only, struct error *err);

#endif
