/* Submissions on SQLite: a job, its labels, what it uses and the files that came with it are one transaction; so is its
 * idempotency key. */
#include "server/jobs/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "api/digest.h"
#include "server/clock.h"
#include "server/jobs/uuid.h"

/* The job that a key stands for. ERROR_NOT_FOUND; ERROR_REQUEST: it was submitted as something else. */
static int get_by_key(struct sqlite_store *store, struct connection *c, const struct submission *submission,
                      struct job *ret, struct error *err)
{
    sqlite3_stmt *row = connection_statement(c, SQL_JOB_BY_KEY, err);
    char id[JOB_ID_BYTES], digest[SHA256_HEX_BYTES];
    int64_t seq;
    int step, rc;

    if (!row)
        return ERROR_BUSY;
    bind_text(row, 1, submission->caller ? submission->caller->name : "");
    bind_text(row, 2, submission->key);
    step = sqlite3_step(row);
    if (step == SQLITE_DONE)
        return error_set(err, ERROR_NOT_FOUND, "no job was submitted with this key");
    if (step != SQLITE_ROW)
        return connection_error(c, err);
    column_text(row, 0, id, sizeof(id));
    column_text(row, 1, digest, sizeof(digest));
    sqlite3_reset(row);
    if (strcmp(digest, submission->digest) != 0)
        return error_set(err, ERROR_REQUEST, "the key stands for job %s, which was another request", id);
    rc = sqlite_get_from(store, c, id, ret, &seq, err);
    if (!rc)
        sqlite_add_position(store, seq, ret);
    return rc;
}

int sqlite_find_submitted(struct job_store *base, const struct submission *submission, struct job *ret,
                          struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    int rc;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    rc = get_by_key(store, &reader->connection, submission, ret, err);
    sqlite_reader_put(store, reader);
    return rc;
}

struct insert_op {
    struct commit_op op;
    struct sqlite_store *store;
    const struct submission *submission;
    const char *id;
    int64_t now_ms;
    uint64_t position;
    struct job replayed; /* id is "" unless the key had made it before */
};

/* Whether the caller may have one more job waiting. */
static int check_share(struct connection *c, const struct caller *caller, struct error *err)
{
    sqlite3_stmt *statement;
    uint64_t waiting;

    if (!caller->queued_max)
        return 0;
    statement = connection_statement(c, SQL_JOB_WAITING_OF, err);
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, caller->name);
    sqlite3_bind_int64(statement, 2, (int64_t)caller->queued_max);
    if (sqlite3_step(statement) != SQLITE_ROW)
        return connection_error(c, err);
    waiting = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (waiting >= caller->queued_max)
        return error_set(err, ERROR_QUOTA, "%llu jobs of this key wait already", (unsigned long long)waiting);
    return 0;
}

static int insert_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct insert_op *insert = (struct insert_op *)op;
    const struct submission *submission = insert->submission;
    const struct caller *caller = submission->caller ? submission->caller : &caller_anyone;
    sqlite3_stmt *statement;
    sqlite3_int64 seq;
    int rc;

    if (submission->key) {
        job_done(&insert->replayed); /* of a run that did not commit */
        insert->replayed = (struct job){0};
        rc = get_by_key(insert->store, c, submission, &insert->replayed, err);
        if (rc != ERROR_NOT_FOUND)
            return rc;
    }
    if (queued >= insert->store->queue_limit)
        return error_set(err, ERROR_BUSY, "%llu jobs wait already", (unsigned long long)queued);
    rc = check_share(c, caller, err);
    if (rc)
        return rc;
    statement = connection_statement(c, SQL_JOB_INSERT, err);
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, insert->id);
    sqlite3_bind_int64(statement, 2, insert->now_ms);
    bind_text(statement, 3, submission->request);
    bind_text(statement, 4, submission->labels);
    bind_text(statement, 5, caller->name);
    bind_text(statement, 6, submission->traceparent);
    bind_text(statement, 7, submission->key);
    bind_text(statement, 8, submission->digest);
    bind_text(statement, 9, submission->callback_url);
    rc = connection_run(c, statement, err);
    if (rc)
        return rc;
    seq = sqlite3_last_insert_rowid(c->db);
    for (size_t i = 0; i < submission->part_count; i++) {
        rc = sqlite_insert_upload(c, &submission->parts[i], err);
        if (rc)
            return rc;
        op->used_delta += (int64_t)submission->parts[i].bytes;
    }
    for (size_t i = 0; i < submission->upload_count; i++) {
        statement = connection_statement(c, SQL_JOB_USES_UPLOAD, err);
        if (!statement)
            return ERROR_BUSY;
        sqlite3_bind_int64(statement, 1, seq);
        bind_text(statement, 2, submission->uploads[i]);
        bind_text(statement, 3, caller_view(caller));
        rc = connection_run(c, statement, err);
        if (rc)
            return rc;
    }
    if (submission->upload_count) {
        size_t found = 0;

        statement = connection_statement(c, SQL_JOB_UPLOADS, err);
        if (!statement)
            return ERROR_BUSY;
        sqlite3_bind_int64(statement, 1, seq);
        while (sqlite3_step(statement) == SQLITE_ROW)
            found++;
        sqlite3_reset(statement);
        for (size_t i = 0; i < submission->upload_count; i++) { /* a model may be compared with itself */
            for (size_t j = 0; j < i; j++) {
                if (strcmp(submission->uploads[i], submission->uploads[j]) == 0) {
                    found++;
                    break;
                }
            }
        }
        if (found < submission->upload_count)
            return error_set(err, ERROR_NOT_FOUND, "no such upload");
    }
    if (submission->labels) {
        statement = connection_statement(c, SQL_JOB_LABELS, err);
        if (!statement)
            return ERROR_BUSY;
        sqlite3_bind_int64(statement, 1, seq);
        bind_text(statement, 2, submission->labels);
        rc = connection_run(c, statement, err);
        if (rc)
            return rc;
    }
    op->queued_delta = 1;
    op->queued_seq = seq;
    insert->position = queued + 1;
    return 0;
}

int sqlite_insert(struct job_store *base, const struct submission *submission, struct job *ret, bool *ret_is_replay,
                  struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct job job = {.version = 1, .state = JOB_QUEUED, .create_ms = clock_wall_ms()};
    struct insert_op insert = {.op = {.run = insert_run, .is_adding = true},
                               .store = store,
                               .submission = submission,
                               .id = job.id,
                               .now_ms = job.create_ms};
    int rc;

    uuid_new(job.create_ms, job.id);
    job.callback.state = submission->callback_url ? CALLBACK_WAITING : CALLBACK_NONE;
    if (submission->caller)
        memcpy(job.owner, submission->caller->name, sizeof(job.owner));
    snprintf(job.traceparent, sizeof(job.traceparent), "%s", submission->traceparent ? submission->traceparent : "");
    job.request = strdup(submission->request);
    job.labels = submission->labels ? strdup(submission->labels) : NULL;
    if (!job.request || (submission->labels && !job.labels))
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for a job");
    else
        rc = committer_run(&store->committer, &insert.op, err);
    *ret_is_replay = !rc && insert.replayed.id[0];
    if (rc || *ret_is_replay)
        job_done(&job);
    if (rc) {
        job_done(&insert.replayed);
        return rc;
    }
    job.queue_position = insert.position;
    *ret = *ret_is_replay ? insert.replayed : job;
    return 0;
}
