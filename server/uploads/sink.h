/* What the files of the uploads share: a file on its way to disk. */
#ifndef SERVER_UPLOADS_SINK_H
#define SERVER_UPLOADS_SINK_H

#include <pthread.h>

#include "api/digest.h"
#include "server/uploads/running_digest.h"
#include "server/uploads/uploads.h"

struct upload_sink {
    struct uploads *uploads;
    struct upload upload;
    char temporary[JOB_ID_BYTES + 4];
    int fd;
    struct running_digest digest;
    char wished_sha256[SHA256_HEX_BYTES]; /* "": none */
    uint64_t durable_bytes;               /* of a resumable one: as its row says */
    /* Of a resumable one: */
    bool is_resumable;
    char id[JOB_ID_BYTES]; /* never changes, so that others may compare it; upload is the lock's */
    struct running_digest piece_digest;
    char piece_sha256[SHA256_HEX_BYTES]; /* "": none, or what came has it */
    pthread_mutex_t lock;                /* of all that changes while it grows */
    bool is_cut;                         /* guarded by lock: another request continues, or nobody any more */
    struct upload_sink *previous, *next; /* guarded by uploads->lock */
    bool is_listed;                      /* guarded by uploads->lock */
    unsigned holders;                    /* guarded by uploads->lock */
};

int sink_too_large(const struct uploads *uploads, struct error *err);
/* ERROR_NO_SPACE: no room for that many bytes on the disk or in the quota. */
int sink_check_space(struct uploads *uploads, uint64_t bytes, struct error *err);
/* Hashes and writes; limits are the caller's. */
int sink_write(struct upload_sink *sink, const void *data, size_t bytes, struct error *err);
/* Ends the digest and holds it against the one wished for: ERROR_FORMAT. */
int sink_take_digest(struct upload_sink *sink, struct error *err);
void sink_free(struct upload_sink *sink);

/* partial.c, for the sinks that are resumable: what uploads.h promises of any. */
int partial_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err);
int partial_commit(struct upload_sink *sink, struct upload *ret, struct error *err);
void partial_abandon(struct upload_sink *sink);

#endif
