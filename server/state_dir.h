/* The directory that holds all the service keeps, locked: two services on one would run every job twice. */
#ifndef SERVER_STATE_DIR_H
#define SERVER_STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

struct state_dir {
    int fd, lock_fd; /* −1: not open */
};

/* Makes the directory where is_made says so and it is not there; waits up to patience_ms for whoever holds its lock.
 * ERROR_BUSY: another service does still; ERROR_NOT_FOUND; ERROR_WRITE; ERROR_REQUEST: a path that is none. */
int state_dir_open(const char *path, bool is_made, int64_t patience_ms, struct state_dir *ret, struct error *err);
void state_dir_close(struct state_dir *dir);

#endif
