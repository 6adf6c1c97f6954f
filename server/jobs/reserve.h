/* Space kept back for a full disk. SQLite cannot even delete without some, so a file is held ready and given up at the
 * first ENOSPC; it comes back when the disk has room for it. Used by one thread. */
#ifndef SERVER_JOBS_RESERVE_H
#define SERVER_JOBS_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

struct reserve {
    int dir_fd;     /* borrowed */
    uint64_t bytes; /* 0: none is kept */
};

/* True when the file is there with its full size, made now if need be: false means the disk is full. */
bool reserve_hold(const struct reserve *reserve);
void reserve_give_up(const struct reserve *reserve);

#endif
