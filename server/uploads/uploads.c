#include "server/uploads/uploads.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/uuid.h"

enum {
    NAME_MAX_BYTES = 255,
    /* Left free by an announced upload: the last block of a disk is worth more to the job store. */
    SPARE_BYTES = 1 << 20,
    TEMPORARY_BYTES = JOB_ID_BYTES + 4,
};

struct upload_sink {
    struct uploads *uploads;
    struct upload upload;
    char temporary[TEMPORARY_BYTES];
    int fd;
    EVP_MD_CTX *digest;
};

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

static int too_large(const struct uploads *uploads, struct error *err)
{
    return error_set(err, ERROR_LIMIT, "an upload may have %" PRIu64 " bytes at most", uploads->limit_bytes);
}

static int check_space(struct uploads *uploads, uint64_t bytes, struct error *err)
{
    struct store_status status;
    uint64_t available;

    uploads->store->ops->status(uploads->store, &status);
    available = uploads->blobs->ops->free_bytes(uploads->blobs);
    if (status.is_full || (bytes && (available < SPARE_BYTES || available - SPARE_BYTES < bytes)))
        return error_set(err, ERROR_NO_SPACE, "the disk of the state directory is full");
    return uploads_check_quota(uploads, bytes, err);
}

int upload_begin(struct uploads *uploads, const char *owner, const char *name, int64_t expected_bytes,
                 struct upload_sink **ret_sink, struct error *err)
{
    uint64_t expected = expected_bytes > 0 ? (uint64_t)expected_bytes : 0;
    struct upload_sink *sink;
    int rc;

    if (!*name || strlen(name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_REQUEST, "an upload's name has 1 to %d bytes", NAME_MAX_BYTES);
    if (expected > uploads->limit_bytes)
        return too_large(uploads, err);
    rc = check_space(uploads, expected, err);
    if (rc)
        return rc;
    sink = calloc(1, sizeof(*sink));
    if (!sink)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    sink->uploads = uploads;
    sink->fd = -1;
    sink->upload.create_ms = clock_wall_ms();
    uuid_new(sink->upload.create_ms, sink->upload.id);
    snprintf(sink->temporary, sizeof(sink->temporary), "%s.tmp", sink->upload.id);
    snprintf(sink->upload.owner, sizeof(sink->upload.owner), "%s", owner);
    sink->upload.name = strdup(name);
    sink->digest = EVP_MD_CTX_new();
    if (!sink->upload.name || !sink->digest || EVP_DigestInit_ex(sink->digest, EVP_sha256(), NULL) != 1)
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

int upload_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    const char *at = data;
    size_t left = bytes;
    int rc;

    if (bytes > uploads->limit_bytes - sink->upload.bytes)
        return too_large(uploads, err);
    rc = uploads_check_quota(uploads, bytes, err);
    if (rc)
        return rc;
    if (EVP_DigestUpdate(sink->digest, data, bytes) != 1)
        return error_set(err, ERROR_INTERNAL, "SHA-256 failed");
    while (left) {
        ssize_t written = write(sink->fd, at, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return write_error(errno, "cannot write the upload", err);
        at += written;
        left -= (size_t)written;
    }
    sink->upload.bytes += bytes;
    atomic_fetch_add(&uploads->under_way_bytes, bytes);
    atomic_fetch_add_explicit(&uploads->received_bytes, bytes, memory_order_relaxed);
    return 0;
}

static void sink_free(struct upload_sink *sink)
{
    atomic_fetch_sub(&sink->uploads->under_way_bytes, sink->upload.bytes);
    if (sink->fd >= 0)
        close(sink->fd);
    EVP_MD_CTX_free(sink->digest);
    upload_done(&sink->upload);
    free(sink);
}

void upload_abandon(struct upload_sink *sink)
{
    if (!sink)
        return;
    if (sink->fd >= 0)
        sink->uploads->blobs->ops->remove(sink->uploads->blobs, sink->temporary);
    sink_free(sink);
}

static void spell_digest(const unsigned char *digest, char out[65])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

int upload_commit(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    struct blob_move move = {.fd = sink->fd, .from = sink->temporary, .to = sink->upload.id};
    unsigned char digest[EVP_MAX_MD_SIZE];
    int rc;

    if (EVP_DigestFinal_ex(sink->digest, digest, NULL) != 1)
        rc = error_set(err, ERROR_INTERNAL, "SHA-256 failed");
    else
        rc = uploads->blobs->ops->commit(uploads->blobs, &move, 1, err);
    if (!rc) {
        spell_digest(digest, sink->upload.sha256);
        sink->upload.expire_ms = sink->upload.create_ms + uploads->retention_ms;
        rc = uploads->store->ops->upload_insert(uploads->store, &sink->upload, err);
    }
    if (rc) {
        uploads->blobs->ops->remove(uploads->blobs, sink->upload.id);
        upload_abandon(sink);
        return rc;
    }
    *ret = sink->upload;
    sink->upload.name = NULL; /* handed over */
    sink_free(sink);
    return 0;
}

int uploads_remove(struct uploads *uploads, const char *id, struct error *err)
{
    int rc = uploads->store->ops->upload_remove(uploads->store, id, err);

    if (!rc)
        uploads->blobs->ops->remove(uploads->blobs, id);
    return rc;
}
