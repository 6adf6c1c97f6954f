/* Uploads that are not complete, on SQLite: the row is what a client may rely on, so it is written after the bytes. */
#include <string.h>

#include "server/jobs/store_sqlite.h"

struct partial_op {
    struct commit_op op;
    const struct upload *upload; /* create, complete */
    const char *wished_sha256;   /* create */
    const char *id;              /* checkpoint */
    uint64_t from_bytes, bytes;
    const unsigned char *state;
};

static int create_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct partial_op *create = (struct partial_op *)op;
    const struct upload *upload = create->upload;
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_CREATE, err);

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, upload->id);
    bind_text(statement, 2, upload->name);
    sqlite3_bind_int64(statement, 3, upload->create_ms);
    bind_text(statement, 4, upload->owner);
    sqlite3_bind_int64(statement, 5, upload->length);
    bind_text(statement, 6, create->wished_sha256);
    return connection_run(c, statement, err);
}

int sqlite_upload_create(struct job_store *base, const struct upload *upload, const char *wished_sha256,
                         struct error *err)
{
    struct partial_op create = {
        .op = {.run = create_run, .is_adding = true}, .upload = upload, .wished_sha256 = wished_sha256};

    return committer_run(&sqlite_store_of(base)->committer, &create.op, err);
}

/* Steps an UPDATE … RETURNING of one row that must be there. */
static int step_one(struct connection *c, sqlite3_stmt *statement, struct error *err)
{
    int step = sqlite3_step(statement);

    if (step == SQLITE_DONE) {
        sqlite3_reset(statement);
        return error_set(err, ERROR_NOT_FOUND, "the upload is gone");
    }
    if (step == SQLITE_ROW)
        step = sqlite3_step(statement);
    if (step != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(statement);
    return 0;
}

static int checkpoint_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct partial_op *checkpoint = (struct partial_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_CHECKPOINT, err);
    int rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, checkpoint->id);
    sqlite3_bind_int64(statement, 2, (int64_t)checkpoint->from_bytes);
    sqlite3_bind_int64(statement, 3, (int64_t)checkpoint->bytes);
    sqlite3_bind_blob(statement, 4, checkpoint->state, DIGEST_STATE_BYTES, SQLITE_STATIC);
    rc = step_one(c, statement, err);
    if (!rc)
        op->used_delta = (int64_t)(checkpoint->bytes - checkpoint->from_bytes);
    return rc;
}

int sqlite_upload_checkpoint(struct job_store *base, const char *id, uint64_t from_bytes, uint64_t bytes,
                             const unsigned char state[DIGEST_STATE_BYTES], struct error *err)
{
    struct partial_op checkpoint = {
        .op = {.run = checkpoint_run}, .id = id, .from_bytes = from_bytes, .bytes = bytes, .state = state};

    return committer_run(&sqlite_store_of(base)->committer, &checkpoint.op, err);
}

static int complete_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    const struct upload *upload = ((struct partial_op *)op)->upload;
    sqlite3_stmt *statement = connection_statement(c, SQL_UPLOAD_COMPLETE, err);

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, upload->id);
    bind_text(statement, 2, upload->sha256);
    return step_one(c, statement, err);
}

int sqlite_upload_complete(struct job_store *base, const struct upload *upload, struct error *err)
{
    struct partial_op complete = {.op = {.run = complete_run}, .upload = upload};

    return committer_run(&sqlite_store_of(base)->committer, &complete.op, err);
}

int sqlite_upload_resume(struct job_store *base, const char *id, struct upload *ret, char ret_wished[65],
                         unsigned char ret_state[DIGEST_STATE_BYTES], struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *row;
    uint64_t seq;
    int rc;

    rc = sqlite_reader_row(store, SQL_UPLOAD_RESUME, id, "no such upload", &reader, &row, err);
    if (rc)
        return rc;
    rc = sqlite_read_upload(store, row, ret, &seq, err);
    if (rc)
        goto out;
    column_text(row, 9, ret_wished, 65);
    memset(ret_state, 0, DIGEST_STATE_BYTES);
    if (sqlite3_column_bytes(row, 10) == DIGEST_STATE_BYTES)
        memcpy(ret_state, sqlite3_column_blob(row, 10), DIGEST_STATE_BYTES);
out:
    sqlite_reader_put(store, reader);
    return rc;
}
