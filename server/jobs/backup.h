/* A copy of a state directory, made while a service may be using it. */
#ifndef SERVER_JOBS_BACKUP_H
#define SERVER_JOBS_BACKUP_H

#include <stdint.h>

#include "core/error.h"

struct backup_counts {
    uint64_t jobs, uploads, files, file_bytes;
};

/* Makes the directory `to`, a whole state directory that a service starts on: it holds every job and complete
 * upload that had been acknowledged when the call began, unless it was deleted meanwhile. Appears whole or not at all.
 * ERROR_NOT_FOUND: `from` holds no job store; ERROR_REQUEST: `to` is there already; ERROR_CONFLICT: a newer program's;
 * ERROR_NO_SPACE, ERROR_WRITE, ERROR_READ. */
int backup_make(const char *from, const char *to, struct backup_counts *ret, struct error *err);

#endif
