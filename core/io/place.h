/* How a place is resolved to a descriptor; file.c and place_open share it. */
#ifndef CORE_IO_PLACE_H
#define CORE_IO_PLACE_H

#include <sys/stat.h>

#include "core/io/source.h"

/* Opens place with flags (O_CLOEXEC is added). Returns a descriptor, or -1 with errno: EXDEV or ELOOP when a confined
 * path leads out. */
int place_resolve(const struct place *place, int flags);

/* As place_resolve for a confined place, for kernels without openat2: every component is opened by itself and no
 * symbolic link is followed at all. */
int place_walk(const struct place *place, int flags);

/* Turns errno of opening place into an error that names it. */
int place_error(const struct place *place, int number, struct error *err);

/* "a FIFO", "a device", … of a mode that is neither a regular file nor a directory. */
const char *place_kind(mode_t mode);

#endif
