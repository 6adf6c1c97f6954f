/* Uploads on SQLite: rows only; the bytes are in files named by id. */
#include "server/jobs/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct upload_op {
    struct commit_op op;
    const struct upload *upload; /* insert */
    const char *id;              /* remove */
    int64_t before_ms;           /* expire */
    struct id_batch *ids;
};

int sqlite_insert_upload(struct connection *c, const struct upload *upload, struct error *err)
{
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_INSERT, err);

    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, upload->id);
    bind_text(statement, 2, upload->name);
    sqlite3_bind_int64(statement, 3, (int64_t)upload->bytes);
    bind_text(statement, 4, upload->sha256);
    sqlite3_bind_int64(statement, 5, upload->create_ms);
    bind_text(statement, 6, upload->owner);
    return connection_run(c, statement, err);
}

static int insert_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    const struct upload *upload = ((struct upload_op *)op)->upload;

    (void)queued;
    op->used_delta = (int64_t)upload->bytes;
    return sqlite_insert_upload(c, upload, err);
}

int sqlite_upload_insert(struct job_store *base, const struct upload *upload, struct error *err)
{
    struct upload_op insert = {.op = {.run = insert_run, .is_adding = true}, .upload = upload};

    return committer_run(&sqlite_store_of(base)->committer, &insert.op, err);
}

int sqlite_read_upload(struct sqlite_store *store, sqlite3_stmt *row, struct upload *ret, uint64_t *ret_seq,
                       struct error *err)
{
    struct upload upload = {0};
    bool has_failed = false;

    *ret_seq = (uint64_t)sqlite3_column_int64(row, 0);
    column_text(row, 1, upload.id, sizeof(upload.id));
    upload.name = column_copy(row, 2, &has_failed);
    if (has_failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an upload");
    upload.bytes = (uint64_t)sqlite3_column_int64(row, 3);
    column_text(row, 4, upload.sha256, sizeof(upload.sha256));
    upload.create_ms = sqlite3_column_int64(row, 5);
    column_text(row, 6, upload.owner, sizeof(upload.owner));
    upload.is_complete = sqlite3_column_int(row, 7) != 0;
    upload.length = sqlite3_column_int64(row, 8);
    upload.expire_ms = upload.create_ms + store->retention_ms;
    *ret = upload;
    return 0;
}

int sqlite_upload_get(struct job_store *base, const char *id, struct upload *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *row;
    uint64_t seq;
    int rc;

    rc = sqlite_reader_row(store, SQL_UPLOAD_GET, id, "no such upload", &reader, &row, err);
    if (rc)
        return rc;
    rc = sqlite_read_upload(store, row, ret, &seq, err);
    sqlite_reader_put(store, reader);
    return rc;
}

int sqlite_upload_list(struct job_store *base, const char *owner, uint64_t cursor, size_t limit,
                       struct upload_list *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct upload_list list = {0};
    struct reader *reader;
    sqlite3_stmt *rows;
    uint64_t seq = 0;
    int rc, step = SQLITE_DONE;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    list.uploads = calloc(limit ? limit : 1, sizeof(*list.uploads));
    rows = connection_statement(&reader->connection, owner ? SQL_UPLOAD_LIST_OWNER : SQL_UPLOAD_LIST, err);
    if (!list.uploads)
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for %zu uploads", limit);
    else if (!rows)
        rc = ERROR_BUSY;
    if (rc)
        goto out;
    sqlite3_bind_int64(rows, 1, cursor && cursor < INT64_MAX ? (int64_t)cursor : INT64_MAX);
    sqlite3_bind_int64(rows, 2, (int64_t)limit + 1);
    if (owner)
        bind_text(rows, 3, owner);
    while (!rc && list.count < limit && (step = sqlite3_step(rows)) == SQLITE_ROW) {
        rc = sqlite_read_upload(store, rows, &list.uploads[list.count], &seq, err);
        list.count += !rc;
    }
    if (!rc && list.count == limit)
        step = sqlite3_step(rows);
    if (!rc && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = connection_error(&reader->connection, err);
    if (!rc) {
        list.next = step == SQLITE_ROW ? seq : 0;
        *ret = list;
        list = (struct upload_list){0};
    }
out:
    upload_list_done(&list);
    sqlite_reader_put(store, reader);
    return rc;
}

static int remove_upload(struct connection *c, int64_t seq, struct error *err)
{
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_REMOVE, err);

    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    return connection_run(c, statement, err);
}

static int remove_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct upload_op *removal = (struct upload_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_GET, err);
    int64_t seq, bytes;
    int step, rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, removal->id);
    step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        return error_set(err, ERROR_NOT_FOUND, "no such upload");
    if (step != SQLITE_ROW)
        return connection_error(c, err);
    seq = sqlite3_column_int64(statement, 0);
    bytes = sqlite3_column_int64(statement, 3);
    sqlite3_reset(statement);
    statement = connection_statement(c, SQL_UPLOAD_IN_USE, err);
    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    step = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (step == SQLITE_ROW)
        return error_set(err, ERROR_CONFLICT, "a job that has not ended names this upload");
    if (step != SQLITE_DONE)
        return connection_error(c, err);
    rc = remove_upload(c, seq, err);
    if (!rc)
        op->used_delta = -bytes;
    return rc;
}

int sqlite_upload_remove(struct job_store *base, const char *id, struct error *err)
{
    struct upload_op removal = {.op = {.run = remove_run}, .id = id};

    return committer_run(&sqlite_store_of(base)->committer, &removal.op, err);
}

static int expire_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct upload_op *expire = (struct upload_op *)op;
    int64_t seqs[STORE_BATCH], bytes;
    int rc = sqlite_read_expired(c, SQL_UPLOAD_EXPIRED, expire->before_ms, expire->ids, seqs, &bytes, err);

    (void)queued;
    for (size_t i = 0; !rc && i < expire->ids->count; i++)
        rc = remove_upload(c, seqs[i], err);
    if (!rc)
        op->used_delta = -bytes;
    return rc;
}

int sqlite_expire_uploads(struct job_store *base, int64_t before_ms, struct id_batch *ret, struct error *err)
{
    struct upload_op expire = {.op = {.run = expire_run}, .before_ms = before_ms, .ids = ret};

    return committer_run(&sqlite_store_of(base)->committer, &expire.op, err);
}
