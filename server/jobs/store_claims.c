/* Jobs on SQLite, for those who run them: claim, finish, release; and the end of what is old. */
#include "server/jobs/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"

struct claim_op {
    struct commit_op op;
    int64_t now_ms;
    struct job_claim claim;
};

static int read_uploads(struct connection *c, int64_t seq, struct job_claim *claim, struct error *err)
{
    sqlite3_stmt *rows = connection_statement(c, SQL_JOB_UPLOADS, err);
    bool has_failed = false;
    int step;

    if (!rows)
        return ERROR_BUSY;
    sqlite3_bind_int64(rows, 1, seq);
    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        struct claim_upload *uploads = reallocarray(claim->uploads, claim->upload_count + 1, sizeof(*claim->uploads));

        if (!uploads)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a claim");
        claim->uploads = uploads;
        uploads += claim->upload_count;
        column_text(rows, 0, uploads->id, sizeof(uploads->id));
        uploads->name = column_copy(rows, 1, &has_failed);
        if (has_failed)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a claim");
        claim->upload_count++;
    }
    if (step != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(rows);
    return 0;
}

static int claim_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct claim_op *claim_op = (struct claim_op *)op;
    struct job_claim *claim = &claim_op->claim;
    sqlite3_stmt *row;
    bool has_failed = false;
    int64_t seq;
    int step;

    job_claim_done(claim); /* of a run that did not commit */
    *claim = (struct job_claim){0};
    if (!queued)
        return error_set(err, ERROR_NOT_FOUND, "no job waits");
    row = connection_statement(c, SQL_JOB_CLAIM, err);
    if (!row)
        return ERROR_BUSY;
    sqlite3_bind_int64(row, 1, claim_op->now_ms);
    step = sqlite3_step(row);
    if (step == SQLITE_DONE)
        return error_set(err, ERROR_NOT_FOUND, "no job waits");
    if (step != SQLITE_ROW)
        return connection_error(c, err);
    seq = sqlite3_column_int64(row, 0);
    column_text(row, 1, claim->id, sizeof(claim->id));
    claim->token = (uint64_t)sqlite3_column_int64(row, 2);
    claim->attempt = (unsigned)sqlite3_column_int(row, 3);
    claim->crashes = (unsigned)sqlite3_column_int(row, 4);
    column_text(row, 5, claim->last_crash, sizeof(claim->last_crash));
    claim->request = column_copy(row, 6, &has_failed);
    claim->create_ms = sqlite3_column_int64(row, 7);
    column_text(row, 8, claim->traceparent, sizeof(claim->traceparent));
    if (has_failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a claim");
    if (sqlite3_step(row) != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(row);
    op->queued_delta = -1;
    op->queued_seq = seq;
    return read_uploads(c, seq, claim, err);
}

int sqlite_claim(struct job_store *base, struct job_claim *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct claim_op claim = {.op = {.run = claim_run}, .now_ms = clock_wall_ms()};
    int rc = committer_run(&store->committer, &claim.op, err);

    if (rc) {
        job_claim_done(&claim.claim);
        return rc;
    }
    *ret = claim.claim;
    return 0;
}

struct end_op {
    struct commit_op op;
    const char *id;
    uint64_t token;
    const struct job_end *end; /* finish */
    enum release_cause cause;  /* release */
    const char *crash;
    int64_t now_ms;
    enum job_state state; /* what became of the job */
};

/* Steps an UPDATE … RETURNING seq, state that the token fences. */
static int fenced(struct connection *c, sqlite3_stmt *statement, int64_t *ret_seq, enum job_state *ret_state,
                  struct error *err)
{
    int step = sqlite3_step(statement);

    if (step == SQLITE_DONE) {
        sqlite3_reset(statement);
        return error_set(err, ERROR_CONFLICT, "the job is gone or somebody else's by now");
    }
    if (step == SQLITE_ROW) {
        *ret_seq = sqlite3_column_int64(statement, 0);
        *ret_state = (enum job_state)sqlite3_column_int(statement, 1);
        step = sqlite3_step(statement);
    }
    if (step != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(statement);
    return 0;
}

static int drop_uses(struct connection *c, int64_t seq, struct error *err)
{
    sqlite3_stmt *statement = connection_statement(c, SQL_JOB_DROP_USES, err);

    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    return connection_run(c, statement, err);
}

static int insert_result(struct connection *c, int64_t seq, const struct job_end *end, int64_t *ret_used,
                         struct error *err)
{
    sqlite3_stmt *statement = connection_statement(c, SQL_RESULT_INSERT, err);
    uint64_t bytes = 0;

    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int(statement, 2, end->is_inline);
    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        if (end->is_inline)
            sqlite3_bind_blob64(statement, 3 + i, end->bytes[i] ? end->data[i] : "", end->bytes[i], SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3 + REPRESENTATION_COUNT + i, (int64_t)end->bytes[i]);
        bytes += end->bytes[i];
    }
    *ret_used = (int64_t)bytes;
    return connection_run(c, statement, err);
}

static int finish_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct end_op *finish = (struct end_op *)op;
    const struct job_end *end = finish->end;
    sqlite3_stmt *statement = connection_statement(c, SQL_JOB_FINISH, err);
    int64_t seq;
    int rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, finish->id);
    sqlite3_bind_int64(statement, 2, (int64_t)finish->token);
    sqlite3_bind_int64(statement, 3, finish->now_ms);
    sqlite3_bind_int(statement, 4, (int)end->state);
    bind_text(statement, 5, end->error);
    bind_text(statement, 6, end->run);
    bind_text(statement, 7, end->summary);
    sqlite3_bind_int64(statement, 8, (int64_t)end->progress.bytes_done);
    sqlite3_bind_int64(statement, 9, (int64_t)end->progress.bytes_total);
    sqlite3_bind_int64(statement, 10, (int64_t)end->progress.tensors_done);
    sqlite3_bind_int64(statement, 11, (int64_t)end->progress.tensors_total);
    rc = fenced(c, statement, &seq, &finish->state, err);
    if (!rc)
        rc = drop_uses(c, seq, err);
    op->ended = finish->state;
    if (!rc && finish->state == JOB_SUCCEEDED)
        rc = insert_result(c, seq, end, &op->used_delta, err);
    return rc;
}

int sqlite_finish(struct job_store *base, const char *id, uint64_t token, const struct job_end *end,
                  enum job_state *ret_state, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct end_op finish = {
        .op = {.run = finish_run, .is_patient = true}, .id = id, .token = token, .end = end, .now_ms = clock_wall_ms()};
    int rc = committer_run(&store->committer, &finish.op, err);

    if (!rc)
        *ret_state = finish.state;
    return rc;
}

static int release_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct end_op *release = (struct end_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_JOB_RELEASE, err);
    int64_t seq;
    int rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, release->id);
    sqlite3_bind_int64(statement, 2, (int64_t)release->token);
    sqlite3_bind_int(statement, 3, release->cause == RELEASE_CRASHED);
    sqlite3_bind_int(statement, 4, release->cause == RELEASE_INTERRUPTED);
    bind_text(statement, 5, release->crash);
    sqlite3_bind_int(statement, 6, INTERRUPTIONS_MAX);
    sqlite3_bind_int64(statement, 7, release->now_ms);
    bind_text(statement, 8, sqlite_interrupted_error);
    rc = fenced(c, statement, &seq, &release->state, err);
    op->queued_seq = rc ? 0 : seq;
    op->ended = release->state;
    if (!rc && release->state == JOB_QUEUED)
        op->queued_delta = 1;
    else if (!rc)
        rc = drop_uses(c, seq, err);
    return rc;
}

int sqlite_release(struct job_store *base, const char *id, uint64_t token, enum release_cause cause, const char *crash,
                   enum job_state *ret_state, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct end_op release = {.op = {.run = release_run, .is_patient = true},
                             .id = id,
                             .token = token,
                             .cause = cause,
                             .crash = crash,
                             .now_ms = clock_wall_ms()};
    int rc = committer_run(&store->committer, &release.op, err);

    if (!rc)
        *ret_state = release.state;
    return rc;
}

int sqlite_remove_row(struct connection *c, int64_t seq, int64_t *ret_used, struct error *err)
{
    sqlite3_stmt *statement = connection_statement(c, SQL_RESULT_BYTES, err);
    int step;

    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *ret_used -= sqlite3_column_int64(statement, 0);
    else if (step != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(statement);
    statement = connection_statement(c, SQL_JOB_REMOVE, err);
    if (!statement)
        return ERROR_BUSY;
    sqlite3_bind_int64(statement, 1, seq);
    return connection_run(c, statement, err);
}

struct expire_op {
    struct commit_op op;
    int64_t before_ms;
    struct id_batch *ids;
};

int sqlite_read_expired(struct connection *c, enum statement which, int64_t before_ms, struct id_batch *ret_ids,
                        int64_t seqs[STORE_BATCH], int64_t *ret_bytes, struct error *err)
{
    sqlite3_stmt *rows = connection_statement(c, which, err);
    int step;

    if (!rows)
        return ERROR_BUSY;
    ret_ids->count = 0;
    *ret_bytes = 0;
    sqlite3_bind_int64(rows, 1, before_ms);
    sqlite3_bind_int(rows, 2, STORE_BATCH);
    while ((step = sqlite3_step(rows)) == SQLITE_ROW && ret_ids->count < STORE_BATCH) {
        seqs[ret_ids->count] = sqlite3_column_int64(rows, 0);
        column_text(rows, 1, ret_ids->ids[ret_ids->count++], JOB_ID_BYTES);
        *ret_bytes += sqlite3_column_int64(rows, 2);
    }
    if (step != SQLITE_DONE && step != SQLITE_ROW)
        return connection_error(c, err);
    sqlite3_reset(rows);
    return 0;
}

static int expire_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct expire_op *expire = (struct expire_op *)op;
    int64_t seqs[STORE_BATCH], bytes;
    int rc = sqlite_read_expired(c, SQL_JOB_EXPIRED, expire->before_ms, expire->ids, seqs, &bytes, err);

    (void)queued;
    for (size_t i = 0; !rc && i < expire->ids->count; i++)
        rc = sqlite_remove_row(c, seqs[i], &op->used_delta, err);
    return rc;
}

int sqlite_expire_jobs(struct job_store *base, int64_t before_ms, struct id_batch *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct expire_op expire = {.op = {.run = expire_run}, .before_ms = before_ms, .ids = ret};

    return committer_run(&store->committer, &expire.op, err);
}
