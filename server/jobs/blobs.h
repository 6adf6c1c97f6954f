/* Files of results and uploads. A blob is written under a temporary name and nobody sees it before commit; after commit
 * it survives a power cut. The only store today is a local directory. */
#ifndef SERVER_JOBS_BLOBS_H
#define SERVER_JOBS_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct blob_store;

struct blob_move {
    int fd; /* the temporary file, still open */
    const char *from, *to;
};

struct blob_names {
    char **items; /* owned */
    size_t count;
};
void blob_names_done(struct blob_names *names);
/* What lies in the directory. ERROR_READ, ERROR_NO_MEMORY. */
int blob_names_read(int dir_fd, struct blob_names *ret, struct error *err);

struct blob_store_ops {
    /* A new file for reading and writing; ERROR_NO_SPACE, ERROR_WRITE. */
    int (*create)(struct blob_store *, const char *name, int *ret_fd, struct error *);
    /* All of them durable under their new names, or an error (then some may be renamed: remove both names). */
    int (*commit)(struct blob_store *, const struct blob_move *moves, size_t count, struct error *);
    int (*open)(struct blob_store *, const char *name, int *ret_fd, uint64_t *ret_bytes, struct error *);
    /* The same, to write on. */
    int (*reopen)(struct blob_store *, const char *name, int *ret_fd, uint64_t *ret_bytes, struct error *);
    void (*remove)(struct blob_store *, const char *name); /* nothing there is fine */
    int (*names)(struct blob_store *, struct blob_names *ret, struct error *);
    uint64_t (*free_bytes)(struct blob_store *); /* what the disk still takes; UINT64_MAX: unknown */
    void (*close)(struct blob_store *);
};

struct blob_store {
    const struct blob_store_ops *ops;
    int dir_fd; /* what workers open beneath */
};

/* The directory `name` below state_fd, made if need be. */
int blob_directory_open(int state_fd, const char *name, struct blob_store **ret_store, struct error *err);

/* An errno of writing as our error, with what was being done in front. */
int write_error(int number, const char *doing, struct error *err);

#endif
