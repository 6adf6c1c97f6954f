/* Uploads: bytes go straight to a file below the state directory, hashed on the way; the row comes last. A broken
 * upload leaves neither. */
#ifndef SERVER_UPLOADS_UPLOADS_H
#define SERVER_UPLOADS_UPLOADS_H

#include <pthread.h>
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
    pthread_mutex_t lock;
    struct upload_sink *sinks;             /* guarded by lock: those of resumable uploads */
    atomic_uint_least64_t under_way_bytes; /* on disk already, in no row yet */
    atomic_uint_least64_t received_bytes;  /* ever, for metrics */
};

/* As struct backend_ops has them. ERROR_LIMIT: larger than one upload may be. ERROR_NO_SPACE: the disk or the quota. */
int upload_begin(struct uploads *uploads, const struct upload_wish *wish, struct upload_sink **ret_sink,
                 struct error *err);
int upload_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err);
int upload_commit(struct upload_sink *sink, struct upload *ret, struct error *err);
int upload_seal(struct upload_sink *sink, struct upload *ret, struct error *err);
void upload_discard(struct uploads *uploads, const char *id);
void upload_abandon(struct upload_sink *sink);

/* Resumable ones: partial.c. create: an upload of no byte, of wish.bytes in the end if that is known. resume: a sink
 * for a piece, whose commit completes the upload and whose abandon keeps what came, unless the piece has a digest: then
 * it is kept whole or not at all. ERROR_CONFLICT with *ret_now filled when offset is not where it ends, or it is
 * complete. pause: as abandon, but says how that went. offset: the upload as it is on disk; cuts off whoever adds to
 * it. */
int partial_create(struct uploads *uploads, const struct upload_wish *wish, struct upload *ret, struct error *err);
int partial_resume(struct uploads *uploads, const char *id, const struct upload_piece *piece, struct upload *ret_now,
                   struct upload_sink **ret_sink, struct error *err);
int partial_pause(struct upload_sink *sink, struct upload *ret, struct error *err);
int partial_offset(struct uploads *uploads, const char *id, struct upload *ret, struct error *err);
void partial_cancel(struct uploads *uploads, const char *id); /* its row is gone */

void uploads_init(struct uploads *uploads); /* before the first call; what callers set stays */
int uploads_remove(struct uploads *uploads, const char *id, struct error *err);

/* ERROR_NO_SPACE when `more` bytes would exceed the quota. */
int uploads_check_quota(const struct uploads *uploads, uint64_t more, struct error *err);

#endif
