#include "server/jobs/results.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/render/result_index.h"
#include "core/checked.h"

enum { NAME_BYTES = JOB_ID_BYTES + 32, RECORDS_AT_ONCE = 256 };

static const char *const suffixes[REPRESENTATION_COUNT] = {[REPRESENTATION_JSON] = "json",
                                                           [REPRESENTATION_INDEX] = "index",
                                                           [REPRESENTATION_TEXT] = "txt",
                                                           [REPRESENTATION_MARKDOWN] = "md",
                                                           [REPRESENTATION_JUNIT] = "xml"};

static void temporary_name(const char *id, unsigned attempt, int representation, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s.%u.%s.tmp", id, attempt, suffixes[representation]);
}

static void final_name(const char *id, int representation, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s.%s", id, suffixes[representation]);
}

int result_files_open(struct blob_store *blobs, const char *id, unsigned attempt, struct result_files *ret,
                      struct error *err)
{
    struct result_files files = {.blobs = blobs, .attempt = attempt};
    char name[NAME_BYTES];
    int rc = 0;

    for (int i = 0; i < REPRESENTATION_COUNT; i++)
        files.fds[i] = -1;
    snprintf(files.id, sizeof(files.id), "%s", id);
    for (int i = 0; !rc && i < REPRESENTATION_COUNT; i++) {
        temporary_name(id, attempt, i, name);
        rc = blobs->ops->create(blobs, name, &files.fds[i], err);
    }
    if (rc) {
        result_files_done(&files);
        return rc;
    }
    *ret = files;
    return 0;
}

void result_files_done(struct result_files *files)
{
    char name[NAME_BYTES];

    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        if (files->fds[i] < 0)
            continue;
        close(files->fds[i]);
        files->fds[i] = -1;
        temporary_name(files->id, files->attempt, i, name);
        files->blobs->ops->remove(files->blobs, name);
    }
    free(files->data);
    files->data = NULL;
}

void result_remove(struct blob_store *blobs, const char *id)
{
    char name[NAME_BYTES];

    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        final_name(id, i, name);
        blobs->ops->remove(blobs, name);
    }
}

static int read_all(int fd, void *buffer, size_t bytes, uint64_t offset, struct error *err)
{
    char *at = buffer;

    while (bytes) {
        ssize_t got = pread(fd, at, bytes, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(err, ERROR_READ, "a result cannot be read back: %s",
                             got < 0 ? strerrordesc_np(errno) : "it ends too early");
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}

static int lying_index(struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "the worker wrote an index that does not fit its result");
}

/* The index was written by a process that parsed a stranger's file: every place it names must lie in the JSON, and
 * every name in the names. */
static int check_index(int fd, uint64_t index_bytes, uint64_t json_bytes, struct error *err)
{
    struct index_record records[RECORDS_AT_ONCE];
    struct index_header header;
    uint64_t expected, offset = sizeof(header);
    int rc;

    if (index_bytes < sizeof(header))
        return lying_index(err);
    rc = read_all(fd, &header, sizeof(header), 0, err);
    if (rc)
        return rc;
    if (header.magic != RESULT_INDEX_MAGIC || !checked_mul(header.records, sizeof(records[0]), &expected) ||
        !checked_add(expected, sizeof(header), &expected) || !checked_add(expected, header.names_bytes, &expected) ||
        expected != index_bytes)
        return lying_index(err);
    for (uint64_t left = header.records; left;) {
        size_t count = left < RECORDS_AT_ONCE ? (size_t)left : RECORDS_AT_ONCE;

        rc = read_all(fd, records, count * sizeof(records[0]), offset, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < count; i++)
            if (!index_record_fits(&records[i], json_bytes, header.names_bytes))
                return lying_index(err);
        offset += count * sizeof(records[0]);
        left -= count;
    }
    return 0;
}

static int make_durable(struct result_files *files, struct error *err)
{
    char from[REPRESENTATION_COUNT][NAME_BYTES], to[REPRESENTATION_COUNT][NAME_BYTES];
    struct blob_move moves[REPRESENTATION_COUNT];
    int rc;

    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        temporary_name(files->id, files->attempt, i, from[i]);
        final_name(files->id, i, to[i]);
        moves[i] = (struct blob_move){.fd = files->fds[i], .from = from[i], .to = to[i]};
    }
    rc = files->blobs->ops->commit(files->blobs, moves, REPRESENTATION_COUNT, err);
    if (rc)
        result_remove(files->blobs, files->id);
    return rc;
}

int result_files_settle(struct result_files *files, struct job_end *end, struct error *err)
{
    uint64_t total = 0;
    struct stat file;
    size_t used = 0;
    int rc;

    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        if (fstat(files->fds[i], &file) != 0)
            return error_set(err, ERROR_READ, "a result cannot be read back: %s", strerrordesc_np(errno));
        end->bytes[i] = (uint64_t)file.st_size;
        total += end->bytes[i];
    }
    rc = check_index(files->fds[REPRESENTATION_INDEX], end->bytes[REPRESENTATION_INDEX],
                     end->bytes[REPRESENTATION_JSON], err);
    if (rc)
        return rc;
    end->is_inline = total <= RESULT_INLINE_BYTES;
    if (!end->is_inline)
        return make_durable(files, err);
    files->data = malloc(total ? total : 1);
    if (!files->data)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a result of %" PRIu64 " bytes", total);
    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        end->data[i] = files->data + used;
        rc = read_all(files->fds[i], files->data + used, (size_t)end->bytes[i], 0, err);
        if (rc)
            return rc;
        used += (size_t)end->bytes[i];
    }
    return 0;
}

int result_open(struct job_store *store, struct blob_store *blobs, const char *id, enum representation representation,
                struct blob *ret, struct error *err)
{
    struct blob blob = {.fd = -1};
    uint64_t file_bytes;
    char name[NAME_BYTES];
    bool is_inline;
    int rc;

    rc = store->ops->result(store, id, representation, &is_inline, &blob.data, &blob.bytes, err);
    if (rc)
        return rc;
    if (!is_inline) {
        final_name(id, (int)representation, name);
        rc = blobs->ops->open(blobs, name, &blob.fd, &file_bytes, err);
        if (rc == ERROR_NOT_FOUND && store->ops->has_files(store, id, NULL) == 0)
            rc = error_set(err, ERROR_INTERNAL, "a result's file is gone"); /* not deleted along with its job */
        if (!rc && file_bytes != blob.bytes)
            rc = error_set(err, ERROR_INTERNAL, "a result's file has %" PRIu64 " bytes, its row says %" PRIu64,
                           file_bytes, blob.bytes);
        if (rc) {
            blob_done(&blob);
            return rc;
        }
    }
    /* A result never changes once there is one: its job's id says which bytes these are. */
    snprintf(blob.etag, sizeof(blob.etag), "\"%s.%s\"", id, suffixes[representation]);
    *ret = blob;
    return 0;
}
