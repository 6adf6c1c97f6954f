/* Resumable uploads. The row is the truth: its offset and its digest's state are written after the file's bytes are on
 * disk, so what HEAD says is there after a kill or a power cut, and the digest goes on from there without reading
 * anything again. Bytes beyond the row's offset are dropped when the upload is continued. Those of a piece that has a
 * digest of its own lie beyond it until they are known to be right.
 *
 * One request at a time adds to an upload. A newer one cuts the older off: it waits for the piece that is being
 * written, makes what came durable, and goes on from there. A sink's lock is taken under none but that of a newer sink
 * that nobody else knows yet; uploads->lock is held for list work only. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/uuid.h"
#include "server/must.h"
#include "server/uploads/sink.h"

/* What a kill may cost: a second's work or less. */
static const uint64_t checkpoint_bytes = 128u << 20;

/* Takes the sink off the list; under uploads->lock. */
static void unlist(struct upload_sink *sink)
{
    if (!sink->is_listed)
        return;
    if (sink->previous)
        sink->previous->next = sink->next;
    else
        sink->uploads->sinks = sink->next;
    if (sink->next)
        sink->next->previous = sink->previous;
    sink->is_listed = false;
}

static void let_go(struct upload_sink *sink)
{
    struct uploads *uploads = sink->uploads;
    bool is_last;

    must(pthread_mutex_lock(&uploads->lock));
    is_last = --sink->holders == 0;
    if (is_last)
        unlist(sink);
    must(pthread_mutex_unlock(&uploads->lock));
    if (!is_last)
        return;
    must(pthread_mutex_destroy(&sink->lock));
    sink_free(sink);
}

/* Makes what came durable and notes it in the row; under the sink's lock. */
static int checkpoint(struct upload_sink *sink, struct error *err)
{
    struct job_store *store = sink->uploads->store;
    unsigned char state[DIGEST_STATE_BYTES];
    int rc;

    if (sink->upload.bytes == sink->durable_bytes || sink->piece_sha256[0])
        return 0;
    if (fdatasync(sink->fd) != 0)
        return write_error(errno, "cannot make an upload durable", err);
    running_digest_save(&sink->digest, state);
    rc = store->ops->upload_checkpoint(store, sink->upload.id, sink->durable_bytes, sink->upload.bytes, state, err);
    if (rc)
        return rc;
    atomic_fetch_sub(&sink->uploads->under_way_bytes, sink->upload.bytes - sink->durable_bytes);
    sink->durable_bytes = sink->upload.bytes;
    return 0;
}

/* Cuts off whoever adds to the upload now. */
static void cut_off(struct uploads *uploads, const char *id)
{
    for (;;) {
        struct upload_sink *old;

        must(pthread_mutex_lock(&uploads->lock));
        old = uploads->sinks;
        while (old && strcmp(old->id, id) != 0)
            old = old->next;
        if (old)
            old->holders++;
        must(pthread_mutex_unlock(&uploads->lock));
        if (!old)
            return;
        must(pthread_mutex_lock(&old->lock));
        if (!old->is_cut && old->fd >= 0)
            (void)checkpoint(old, NULL); /* what is not durable is sent again */
        old->is_cut = true;
        must(pthread_mutex_unlock(&old->lock));
        must(pthread_mutex_lock(&uploads->lock));
        unlist(old);
        must(pthread_mutex_unlock(&uploads->lock));
        let_go(old);
    }
}

/* Lists a sink, once nobody else adds to the same upload. */
static void enlist(struct upload_sink *sink)
{
    struct uploads *uploads = sink->uploads;

    while (!sink->is_listed) {
        struct upload_sink *other;

        cut_off(uploads, sink->id);
        must(pthread_mutex_lock(&uploads->lock));
        other = uploads->sinks;
        while (other && strcmp(other->id, sink->id) != 0)
            other = other->next;
        if (!other) {
            sink->previous = NULL;
            sink->next = uploads->sinks;
            if (sink->next)
                sink->next->previous = sink;
            uploads->sinks = sink;
            sink->is_listed = true;
        }
        must(pthread_mutex_unlock(&uploads->lock));
    }
}

int partial_create(struct uploads *uploads, const struct upload_wish *wish, struct upload *ret, struct error *err)
{
    uint64_t expected = wish->bytes > 0 ? (uint64_t)wish->bytes : 0;
    struct upload upload = {.length = wish->bytes, .create_ms = clock_wall_ms()};
    char temporary[JOB_ID_BYTES + 4];
    struct blob_move move = {.fd = -1, .from = temporary, .to = upload.id};
    int rc;

    if (expected > uploads->limit_bytes)
        return sink_too_large(uploads, err);
    rc = sink_check_space(uploads, expected, err);
    if (rc)
        return rc;
    uuid_new(upload.create_ms, upload.id);
    snprintf(temporary, sizeof(temporary), "%s.tmp", upload.id);
    upload.expire_ms = upload.create_ms + uploads->retention_ms;
    snprintf(upload.owner, sizeof(upload.owner), "%s", wish->owner);
    upload.name = strdup(wish->name);
    if (!upload.name)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    /* The file first: a row without its file would be a promise. */
    rc = uploads->blobs->ops->create(uploads->blobs, temporary, &move.fd, err);
    if (!rc)
        rc = uploads->blobs->ops->commit(uploads->blobs, &move, 1, err);
    if (!rc)
        rc = uploads->store->ops->upload_create(uploads->store, &upload, wish->sha256, err);
    if (rc) {
        uploads->blobs->ops->remove(uploads->blobs, temporary);
        uploads->blobs->ops->remove(uploads->blobs, upload.id);
        upload_done(&upload);
    } else {
        *ret = upload;
    }
    if (move.fd >= 0)
        close(move.fd);
    return rc;
}

/* Opens the file at the row's offset; under the sink's lock. */
static int open_at(struct upload_sink *sink, const unsigned char state[DIGEST_STATE_BYTES], struct error *err)
{
    struct blob_store *blobs = sink->uploads->blobs;
    uint64_t bytes;
    int rc = blobs->ops->reopen(blobs, sink->upload.id, &sink->fd, &bytes, err);

    if (rc)
        return rc;
    if (bytes < sink->upload.bytes)
        return error_set(err, ERROR_INTERNAL, "the file of upload %s has %" PRIu64 " bytes of %" PRIu64,
                         sink->upload.id, bytes, sink->upload.bytes);
    if (ftruncate(sink->fd, (off_t)sink->upload.bytes) != 0 || lseek(sink->fd, 0, SEEK_END) < 0)
        return write_error(errno, "cannot continue an upload", err);
    if (sink->upload.bytes)
        running_digest_restore(&sink->digest, state);
    else
        running_digest_init(&sink->digest);
    if (sink->digest.bytes != sink->upload.bytes)
        return error_set(err, ERROR_INTERNAL, "the digest of upload %s was kept at another offset", sink->upload.id);
    return 0;
}

/* Reads the row and holds the request against it; under the sink's lock. */
static int load(struct upload_sink *sink, const struct upload_piece *piece, struct upload *ret_now, struct error *err)
{
    const int64_t length = piece->length;
    struct uploads *uploads = sink->uploads;
    unsigned char state[DIGEST_STATE_BYTES];
    struct upload now;
    int rc = uploads->store->ops->upload_resume(uploads->store, sink->id, &now, sink->wished_sha256, state, err);

    if (rc)
        return rc;
    if (now.is_complete)
        rc = error_set(err, ERROR_CONFLICT, "the upload is complete");
    else if (piece->offset != now.bytes)
        rc = error_set(err, ERROR_CONFLICT, "Upload-Offset is %" PRIu64 ", the upload has %" PRIu64 " bytes",
                       piece->offset, now.bytes);
    else if (length >= 0 && now.length >= 0 && length != now.length)
        rc =
            error_set(err, ERROR_REQUEST, "the upload was to have %" PRId64 " bytes, now %" PRId64, now.length, length);
    else if (piece->whole_sha256[0] && sink->wished_sha256[0] && strcmp(piece->whole_sha256, sink->wished_sha256) != 0)
        rc = error_set(err, ERROR_REQUEST, "the upload was to have sha-256 %s, now %s", sink->wished_sha256,
                       piece->whole_sha256);
    if (rc) {
        *ret_now = now;
        return rc;
    }
    if (length > 0 && (uint64_t)length > uploads->limit_bytes)
        rc = sink_too_large(uploads, err);
    else if (length > (int64_t)now.bytes)
        rc = sink_check_space(uploads, (uint64_t)length - now.bytes, err);
    sink->upload = now;
    sink->durable_bytes = now.bytes;
    if (length >= 0)
        sink->upload.length = length;
    if (piece->whole_sha256[0])
        memcpy(sink->wished_sha256, piece->whole_sha256, SHA256_HEX_BYTES);
    snprintf(sink->piece_sha256, sizeof(sink->piece_sha256), "%s", piece->sha256);
    running_digest_init(&sink->piece_digest);
    return rc ? rc : open_at(sink, state, err);
}

int partial_resume(struct uploads *uploads, const char *id, const struct upload_piece *piece, struct upload *ret_now,
                   struct upload_sink **ret_sink, struct error *err)
{
    struct upload_sink *sink = calloc(1, sizeof(*sink));
    int rc;

    *ret_now = (struct upload){.id = ""};
    if (!sink)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    sink->uploads = uploads;
    sink->fd = -1;
    sink->is_resumable = true;
    sink->holders = 1;
    must(pthread_mutex_init(&sink->lock, NULL));
    snprintf(sink->id, sizeof(sink->id), "%s", id);
    must(pthread_mutex_lock(&sink->lock));
    enlist(sink);
    rc = load(sink, piece, ret_now, err);
    if (rc)
        sink->is_cut = true; /* a newer one has nothing to save here */
    must(pthread_mutex_unlock(&sink->lock));
    if (rc) {
        let_go(sink);
        return rc;
    }
    *ret_sink = sink;
    return 0;
}

int partial_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    int rc;

    must(pthread_mutex_lock(&sink->lock));
    if (sink->is_cut)
        rc = error_set(err, ERROR_CONFLICT, "another request continues this upload, or it was deleted");
    else if (bytes > uploads->limit_bytes - sink->upload.bytes)
        rc = sink_too_large(uploads, err);
    else if (sink->upload.length >= 0 && bytes > (uint64_t)sink->upload.length - sink->upload.bytes)
        rc = error_set(err, ERROR_REQUEST, "more than the announced %" PRId64 " bytes arrived", sink->upload.length);
    else
        rc = sink_write(sink, data, bytes, err);
    if (!rc && sink->piece_sha256[0])
        running_digest_add(&sink->piece_digest, data, bytes);
    if (!rc && sink->upload.bytes - sink->durable_bytes >= checkpoint_bytes)
        rc = checkpoint(sink, err);
    must(pthread_mutex_unlock(&sink->lock));
    return rc;
}

/* The end of an upload; under the sink's lock. */
static int complete(struct upload_sink *sink, struct error *err)
{
    struct uploads *uploads = sink->uploads;
    int rc = checkpoint(sink, err);

    if (rc)
        return rc;
    if (sink->upload.length >= 0 && sink->upload.bytes != (uint64_t)sink->upload.length)
        return error_set(err, ERROR_REQUEST, "the upload was to have %" PRId64 " bytes, it has %" PRIu64,
                         sink->upload.length, sink->upload.bytes);
    rc = sink_take_digest(sink, err);
    if (rc == ERROR_FORMAT) { /* no byte more can mend it */
        if (uploads->store->ops->upload_remove(uploads->store, sink->upload.id, NULL) == 0)
            uploads->blobs->ops->remove(uploads->blobs, sink->upload.id);
        return rc;
    }
    sink->upload.is_complete = true;
    return rc ? rc : uploads->store->ops->upload_complete(uploads->store, &sink->upload, err);
}

/* Holds the piece against its digest; under the sink's lock. */
static int check_piece(struct upload_sink *sink, struct error *err)
{
    unsigned char digest[32];
    char sha256[SHA256_HEX_BYTES];

    if (!sink->piece_sha256[0])
        return 0;
    running_digest_end(&sink->piece_digest, digest);
    sha256_spell(digest, sha256);
    if (strcmp(sha256, sink->piece_sha256) != 0)
        return error_set(err, ERROR_FORMAT,
                         "announced for this piece was sha-256 %s, what arrived has %s; the upload still ends at byte "
                         "%" PRIu64,
                         sink->piece_sha256, sha256, sink->durable_bytes);
    sink->piece_sha256[0] = '\0';
    return 0;
}

/* The sink's last use: what it has is made durable by end, and handed over. */
static int part_with(struct upload_sink *sink, int (*end)(struct upload_sink *, struct error *), struct upload *ret,
                     struct error *err)
{
    int rc;

    must(pthread_mutex_lock(&sink->lock));
    rc = sink->is_cut ? error_set(err, ERROR_CONFLICT, "another request continues this upload, or it was deleted")
                      : check_piece(sink, err);
    if (!rc)
        rc = end(sink, err);
    sink->is_cut = true;
    if (!rc) {
        *ret = sink->upload;
        sink->upload.name = NULL; /* handed over */
    }
    must(pthread_mutex_unlock(&sink->lock));
    let_go(sink);
    return rc;
}

int partial_pause(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    return part_with(sink, checkpoint, ret, err);
}

int partial_commit(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    return part_with(sink, complete, ret, err);
}

void partial_abandon(struct upload_sink *sink)
{
    must(pthread_mutex_lock(&sink->lock));
    if (!sink->is_cut)
        (void)checkpoint(sink, NULL); /* what is not durable is sent again */
    sink->is_cut = true;
    must(pthread_mutex_unlock(&sink->lock));
    let_go(sink);
}

int partial_offset(struct uploads *uploads, const char *id, struct upload *ret, struct error *err)
{
    cut_off(uploads, id);
    return uploads->store->ops->upload_get(uploads->store, id, ret, err);
}

void partial_cancel(struct uploads *uploads, const char *id)
{
    cut_off(uploads, id);
}
