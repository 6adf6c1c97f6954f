/* Where bytes come from: one open file, a buffer, later an HTTPS range. Any thread may read a source. */
#ifndef CORE_IO_SOURCE_H
#define CORE_IO_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct source;

struct span {
    const uint8_t *data;
    size_t bytes;
    void *mapping; /* what unmap needs */
    size_t mapping_bytes;
};

/* What tells whether a file is still the one that was opened. */
struct identity {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
};

enum source_advice {
    SOURCE_WILL_NEED, /* soon: a device may begin to read */
    SOURCE_DONE_WITH, /* need not stay in the page cache */
};

struct source_ops {
    const char *name; /* "file", "memory" */
    /* Fills buf with exactly bytes bytes. ERROR_FORMAT beyond the end, ERROR_CHANGED where the file shrank, ERROR_READ.
     */
    int (*read_at)(struct source *, uint64_t offset, void *buf, size_t bytes, struct error *);
    /* Optional. A view of [offset, offset + bytes), valid until unmap. Fails with ERROR_CHANGED when the file shrank.
     */
    int (*map)(struct source *, uint64_t offset, size_t bytes, struct span *ret, struct error *);
    void (*unmap)(struct source *, struct span *);
    /* Optional, both. Hints that change no byte. is_cached: whether the byte at offset can be had without waiting for a
     * device; true where that cannot be told. */
    bool (*is_cached)(struct source *, uint64_t offset);
    void (*advise)(struct source *, uint64_t offset, uint64_t bytes, enum source_advice);
    /* ERROR_CHANGED when the content may not be what was opened. */
    int (*check)(struct source *, struct error *);
    void (*close)(struct source *);
};

struct source {
    const struct source_ops *ops;
    char *uri; /* as the requester named it: what messages say */
    uint64_t size;
    struct identity identity;
    /* Of the pass under way: whether it asks for what comes next before it is there, and lets go of what it has read.
     */
    bool is_read_ahead, is_let_go;
};

int source_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err);
int source_check(struct source *source, struct error *err);
void source_close(struct source *source); /* NULL is fine */

/* A place in the file system: a directory descriptor and a path below it. */
struct place {
    int dir_fd;       /* AT_FDCWD at the command line, a root's descriptor in the service; borrowed */
    int is_confined;  /* resolve beneath dir_fd only: no "..", no link that leads out, no magic links */
    const char *path; /* "" with is_confined: the directory itself */
    const char *uri;  /* how messages and results name it */
};

/* Opens place as a regular file. ERROR_NOT_FOUND, ERROR_ACCESS, ERROR_OUTSIDE, ERROR_NOT_REGULAR. */
int file_open(const struct place *place, struct source **ret_source, struct error *err);

/* Opens any place without reading it and tells what it is; *ret_fd is the caller's. Directories and regular files only.
 */
int place_open(const struct place *place, int *ret_fd, int *ret_is_directory, struct error *err);

/* A source over a descriptor that is open for reading (a regular file; taken on success). */
int file_open_descriptor(int fd, const char *uri, struct source **ret_source, struct error *err);

/* A source over bytes that outlive it. */
int memory_open(const void *data, size_t bytes, const char *uri, struct source **ret_source, struct error *err);

#endif
