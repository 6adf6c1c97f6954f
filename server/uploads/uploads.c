#include "server/uploads/uploads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/digest.h"
#include "server/clock.h"
#include "server/jobs/uuid.h"
#include "server/must.h"
#include "server/uploads/sink.h"

enum {
    NAME_MAX_BYTES = 255,
    /* Left free by an announced upload: the last block of a disk is worth more to the job store. */
    SPARE_BYTES = 1 << 20,
};

void uploads_init(struct uploads *uploads)
{
    must(pthread_mutex_init(&uploads->lock, NULL));
    uploads->sinks = NULL;
}

int uploads_check_quota(const struct uploads *uploads, uint64_t more, struct error *err)
{
    struct store_status status;
    uint64_t used;

    if (!uploads->quota_bytes)
        return 0;
    uploads->store->ops->status(uploads->store, &status);
    used = status.used_bytes + atomic_load(&uploads->under_way_bytes);
    if (used > uploads->quota_bytes || more > uploads->quota_bytes - used)
        return error_set(err, ERROR_NO_SPACE, "the quota of %" PRIu64 " bytes is used up: delete jobs or uploads",
                         uploads->quota_bytes);
    return 0;
}

int sink_too_large(const struct uploads *uploads, struct error *err)
{
    return error_set(err, ERROR_LIMIT, "an upload may have %" PRIu64 " bytes at most", uploads->limit_bytes);
}

int sink_check_space(struct uploads *uploads, uint64_t bytes, struct error *err)
{
    struct store_status status;
    uint64_t available;

    uploads->store->ops->status(uploads->store, &status);
    available = uploads->blobs->ops->free_bytes(uploads->blobs);
    if (status.is_full || (bytes && (available < SPARE_BYTES || available - SPARE_BYTES < bytes)))
        return error_set(err, ERROR_NO_SPACE, "the disk of the state directory is full");
    return uploads_check_quota(uploads, bytes, err);
}

int upload_begin(struct uploads *uploads, const struct upload_wish *wish, struct upload_sink **ret_sink,
                 struct error *err)
{
    uint64_t expected = wish->bytes > 0 ? (uint64_t)wish->bytes : 0;
    struct upload_sink *sink;
    int rc;

    if (!*wish->name || strlen(wish->name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_REQUEST, "an upload's name has 1 to %d bytes", NAME_MAX_BYTES);
    if (expected > uploads->limit_bytes)
        return sink_too_large(uploads, err);
    rc = sink_check_space(uploads, expected, err);
    if (rc)
        return rc;
    sink = calloc(1, sizeof(*sink));
    if (!sink)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    sink->uploads = uploads;
    sink->fd = -1;
    snprintf(sink->wished_sha256, sizeof(sink->wished_sha256), "%s", wish->sha256);
    sink->upload.create_ms = clock_wall_ms();
    uuid_new(sink->upload.create_ms, sink->upload.id);
    snprintf(sink->temporary, sizeof(sink->temporary), "%s.tmp", sink->upload.id);
    snprintf(sink->upload.owner, sizeof(sink->upload.owner), "%s", wish->owner);
    sink->upload.name = strdup(wish->name);
    sink->upload.is_complete = true;
    running_digest_init(&sink->digest);
    if (!sink->upload.name)
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    if (!rc)
        rc = uploads->blobs->ops->create(uploads->blobs, sink->temporary, &sink->fd, err);
    if (rc) {
        upload_abandon(sink);
        return rc;
    }
    *ret_sink = sink;
    return 0;
}

int sink_write(struct upload_sink *sink, const void *data, size_t bytes, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    const char *at = data;
    size_t left = bytes;
    int rc = uploads_check_quota(uploads, bytes, err);

    if (rc)
        return rc;
    while (left) {
        ssize_t written = write(sink->fd, at, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return write_error(errno, "cannot write the upload", err);
        at += written;
        left -= (size_t)written;
    }
    running_digest_add(&sink->digest, data, bytes);
    sink->upload.bytes += bytes;
    atomic_fetch_add(&uploads->under_way_bytes, bytes);
    atomic_fetch_add_explicit(&uploads->received_bytes, bytes, memory_order_relaxed);
    return 0;
}

int upload_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err)
{
    if (sink->is_resumable)
        return partial_append(sink, data, bytes, err);
    if (bytes > sink->uploads->limit_bytes - sink->upload.bytes)
        return sink_too_large(sink->uploads, err);
    return sink_write(sink, data, bytes, err);
}

void sink_free(struct upload_sink *sink)
{
    atomic_fetch_sub(&sink->uploads->under_way_bytes, sink->upload.bytes - sink->durable_bytes);
    if (sink->fd >= 0)
        close(sink->fd);
    upload_done(&sink->upload);
    free(sink);
}

void upload_abandon(struct upload_sink *sink)
{
    if (!sink)
        return;
    if (sink->is_resumable) {
        partial_abandon(sink);
        return;
    }
    if (sink->fd >= 0)
        sink->uploads->blobs->ops->remove(sink->uploads->blobs, sink->temporary);
    sink_free(sink);
}

/* Fills in the upload's digest and holds it against the one that was wished for. */
int sink_take_digest(struct upload_sink *sink, struct error *err)
{
    unsigned char digest[32];

    running_digest_end(&sink->digest, digest);
    sha256_spell(digest, sink->upload.sha256);
    if (sink->wished_sha256[0] && strcmp(sink->wished_sha256, sink->upload.sha256) != 0)
        return error_set(err, ERROR_FORMAT, "announced was sha-256 %s, what arrived has %s", sink->wished_sha256,
                         sink->upload.sha256);
    return 0;
}

int upload_seal(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    struct blob_move move = {.fd = sink->fd, .from = sink->temporary, .to = sink->upload.id};
    int rc = sink_take_digest(sink, err);

    if (!rc) {
        rc = uploads->blobs->ops->commit(uploads->blobs, &move, 1, err);
        if (rc)
            uploads->blobs->ops->remove(uploads->blobs, sink->upload.id);
    }
    if (rc) {
        upload_abandon(sink);
        return rc;
    }
    sink->upload.expire_ms = sink->upload.create_ms + uploads->retention_ms;
    *ret = sink->upload;
    sink->upload.name = NULL; /* handed over */
    sink_free(sink);
    return 0;
}

int upload_commit(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    struct upload upload;
    int rc;

    if (sink->is_resumable)
        return partial_commit(sink, ret, err);
    rc = upload_seal(sink, &upload, err);
    if (rc)
        return rc;
    rc = uploads->store->ops->upload_insert(uploads->store, &upload, err);
    if (rc) {
        upload_discard(uploads, upload.id);
        upload_done(&upload);
        return rc;
    }
    *ret = upload;
    return 0;
}

void upload_discard(struct uploads *uploads, const char *id)
{
    uploads->blobs->ops->remove(uploads->blobs, id);
}

int uploads_remove(struct uploads *uploads, const char *id, struct error *err)
{
    int rc = uploads->store->ops->upload_remove(uploads->store, id, err);

    if (rc)
        return rc;
    partial_cancel(uploads, id);
    uploads->blobs->ops->remove(uploads->blobs, id);
    return 0;
}
