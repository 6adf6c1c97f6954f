/* Where a rendering goes: standard output, an existing device, or a file that appears whole or not at all. It is opened
 * before the walls go up, and before hours of reading that it would waste. */
#ifndef SERVER_COMMANDS_DESTINATION_H
#define SERVER_COMMANDS_DESTINATION_H

#include <limits.h>

#include "core/error.h"

struct destination {
    const char *path; /* as the user named it; NULL: standard output */
    int fd;           /* -1: not open */
    int dir_fd;       /* of the directory where the file will take its place; -1: nothing is replaced */
    char final[PATH_MAX], temporary[PATH_MAX + 32]; /* temporary: "" when nothing is replaced */
};

/* path, borrowed: NULL is standard output. ERROR_WRITE; ERROR_CANCELLED when a signal came while a FIFO waited for its
 * reader. A destination that was never opened is {.fd = -1, .dir_fd = -1}. */
int destination_open(struct destination *destination, const char *path, struct error *err);

/* Closes it and puts the file in its place. */
int destination_commit(struct destination *destination, struct error *err);

/* Removes what was begun; nothing when it was committed or never opened. Fit for signal handlers. */
void destination_discard(const struct destination *destination);

#endif
