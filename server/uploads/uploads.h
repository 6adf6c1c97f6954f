/* Uploads: bytes go straight to a file below the state directory, hashed on the way; the row comes last. A broken
 * upload leaves neither. */
#ifndef SERVER_UPLOADS_UPLOADS_H
#define SERVER_UPLOADS_UPLOADS_H

#include <stdatomic.h>
#include <stdint.h>

#include "api/backend.h"
#include "server/jobs/blobs.h"
#include "server/jobs/store.h"

struct uploads {
    struct job_store *store;  /* borrowed */
    struct blob_store *blobs; /* borrowed */
    uint64_t limit_bytes;     /* of one upload */
    uint64_t quota_bytes;     /* of uploads and results together; 0: none */
    int64_t retention_ms;
    atomic_uint_least64_t under_way_bytes; /* on disk already, in no row yet */
    atomic_uint_least64_t received_bytes;  /* ever, for metrics */
};

/* As struct backend_ops has them. ERROR_LIMIT: larger than one upload may be. ERROR_NO_SPACE: the disk or the quota. */
int upload_begin(struct uploads *uploads, const char *owner, const char *name, int64_t expected_bytes,
                 struct upload_sink **ret_sink, struct error *err);
int upload_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err);
int upload_commit(struct upload_sink *sink, struct upload *ret, struct error *err);
void upload_abandon(struct upload_sink *sink);

int uploads_remove(struct uploads *uploads, const char *id, struct error *err);

/* ERROR_NO_SPACE when `more` bytes would exceed the quota. */
int uploads_check_quota(const struct uploads *uploads, uint64_t more, struct error *err);

#endif
