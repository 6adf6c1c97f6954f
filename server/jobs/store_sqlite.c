/* Jobs on SQLite, for those who ask: submit, get, list, cancel, forget, results. Changes go through the committer,
 * reads through connections of their own (store_readers.c). */
#include "server/jobs/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/digest.h"
#include "server/clock.h"
#include "server/jobs/uuid.h"
#include "server/must.h"

const char sqlite_interrupted_error[] = "{\"code\":\"interrupted\",\"status\":500,\"title\":\"Interrupted\","
                                        "\"detail\":\"the service ended during each of eleven attempts at this job\"}";

void job_claim_done(struct job_claim *claim)
{
    for (size_t i = 0; i < claim->upload_count; i++)
        free(claim->uploads[i].name);
    free(claim->uploads);
    free(claim->request);
}

/* The job in the statement's row (JOB_COLUMNS); queue_position is left 0. */
static int read_job(struct sqlite_store *store, sqlite3_stmt *row, struct job *ret, int64_t *ret_seq, struct error *err)
{
    struct job job = {0};
    bool has_failed = false;

    *ret_seq = sqlite3_column_int64(row, 0);
    column_text(row, 1, job.id, sizeof(job.id));
    job.version = (uint64_t)sqlite3_column_int64(row, 2);
    job.state = (enum job_state)sqlite3_column_int(row, 3);
    job.attempt = (unsigned)sqlite3_column_int(row, 4);
    job.cancel_requested = sqlite3_column_int(row, 5) != 0;
    job.create_ms = sqlite3_column_int64(row, 6);
    job.start_ms = sqlite3_column_int64(row, 7);
    job.finish_ms = sqlite3_column_int64(row, 8);
    if (job.finish_ms)
        job.expire_ms = job.finish_ms + store->retention_ms;
    job.request = column_copy(row, 9, &has_failed);
    job.labels = column_copy(row, 10, &has_failed);
    job.error = column_copy(row, 11, &has_failed);
    job.run = column_copy(row, 12, &has_failed);
    job.summary = column_copy(row, 13, &has_failed);
    job.progress.bytes_done = (uint64_t)sqlite3_column_int64(row, 14);
    job.progress.bytes_total = (uint64_t)sqlite3_column_int64(row, 15);
    job.progress.tensors_done = (uint64_t)sqlite3_column_int64(row, 16);
    job.progress.tensors_total = (uint64_t)sqlite3_column_int64(row, 17);
    column_text(row, 18, job.owner, sizeof(job.owner));
    column_text(row, 19, job.traceparent, sizeof(job.traceparent));
    job.callback = (struct job_callback){.state = (enum callback_state)sqlite3_column_int(row, 20),
                                         .attempts = (unsigned)sqlite3_column_int(row, 21),
                                         .last_status = sqlite3_column_int(row, 22),
                                         .next_ms = sqlite3_column_int64(row, 23)};
    if (has_failed) {
        job_done(&job);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a job");
    }
    *ret = job;
    return 0;
}

int sqlite_get_from(struct sqlite_store *store, struct connection *connection, const char *id, struct job *ret,
                    int64_t *ret_seq, struct error *err)
{
    sqlite3_stmt *get = connection_statement(connection, SQL_JOB_GET, err);
    struct job job;
    int64_t seq;
    int rc, step;

    if (!get)
        return ERROR_BUSY;
    bind_text(get, 1, id);
    step = sqlite3_step(get);
    if (step == SQLITE_DONE)
        return error_set(err, ERROR_NOT_FOUND, "no such job");
    if (step != SQLITE_ROW)
        return connection_error(connection, err);
    rc = read_job(store, get, &job, &seq, err);
    sqlite3_reset(get);
    if (rc)
        return rc;
    *ret = job;
    *ret_seq = seq;
    return 0;
}

void sqlite_add_position(struct sqlite_store *store, int64_t seq, struct job *job)
{
    if (job->state == JOB_QUEUED)
        job->queue_position = queue_order_position(&store->committer.order, seq);
}

static bool sqlite_peek(struct job_store *base, const char *id, struct job *ret)
{
    struct sqlite_store *store = sqlite_store_of(base);
    int64_t seq;

    if (!job_cache_find(store->committer.cache, id, ret, &seq))
        return false;
    sqlite_add_position(store, seq, ret);
    return true;
}

static int sqlite_get(struct job_store *base, const char *id, struct job *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    uint64_t epoch = job_cache_epoch(store->committer.cache);
    struct reader *reader;
    struct job job;
    int64_t seq;
    int rc;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    rc = sqlite_get_from(store, &reader->connection, id, &job, &seq, err);
    sqlite_reader_put(store, reader);
    if (rc)
        return rc;
    job_cache_put(store->committer.cache, &job, seq, epoch);
    sqlite_add_position(store, seq, &job);
    *ret = job;
    return 0;
}

static int sqlite_owner(struct job_store *base, const char *id, char ret_name[CALLER_NAME_BYTES], struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *row;
    int rc;

    rc = sqlite_reader_row(store, SQL_OWNER, id, "neither a job nor an upload", &reader, &row, err);
    if (rc)
        return rc;
    column_text(row, 0, ret_name, CALLER_NAME_BYTES);
    sqlite_reader_put(store, reader);
    return 0;
}

static int sqlite_list(struct job_store *base, const struct job_filter *filter, uint64_t cursor, size_t limit,
                       struct job_list *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    int64_t before = cursor && cursor < INT64_MAX ? (int64_t)cursor : INT64_MAX, seq = 0;
    struct job_list list = {0};
    struct reader *reader;
    sqlite3_stmt *rows;
    int step = SQLITE_DONE, rc;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    list.jobs = calloc(limit ? limit : 1, sizeof(*list.jobs));
    if (!list.jobs) {
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for %zu jobs", limit);
        goto out;
    }
    rows = connection_statement(&reader->connection,
                                filter->label_count  ? SQL_JOB_LIST_LABEL
                                : filter->owner      ? SQL_JOB_LIST_OWNER
                                : filter->state >= 0 ? SQL_JOB_LIST_STATE
                                                     : SQL_JOB_LIST,
                                err);
    if (!rows) {
        rc = ERROR_BUSY;
        goto out;
    }
    sqlite3_bind_int64(rows, 1, before);
    sqlite3_bind_int64(rows, 2, (int64_t)limit + 1);
    if (filter->label_count || filter->owner || filter->state >= 0)
        sqlite3_bind_int(rows, 3, filter->state);
    if (filter->label_count || filter->owner)
        bind_text(rows, 6, filter->owner);
    for (size_t i = 0; i < filter->label_count; i++) {
        int at = i ? 5 + 2 * (int)i : 4; /* the owner is in between */

        bind_text(rows, at, filter->labels[i].name);
        bind_text(rows, at + 1, filter->labels[i].value);
    }
    while (!rc && list.count < limit && (step = sqlite3_step(rows)) == SQLITE_ROW) {
        struct job *job = &list.jobs[list.count];

        rc = read_job(store, rows, job, &seq, err);
        if (rc)
            break;
        list.count++;
        if (job->state == JOB_QUEUED)
            job->queue_position = queue_order_position(&store->committer.order, seq);
    }
    if (!rc && list.count == limit)
        step = sqlite3_step(rows);
    if (!rc && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = connection_error(&reader->connection, err);
    if (!rc) {
        list.next = step == SQLITE_ROW ? (uint64_t)seq : 0;
        *ret = list;
        list = (struct job_list){0};
    }
out:
    job_list_done(&list);
    sqlite_reader_put(store, reader);
    return rc;
}

struct change_op {
    struct commit_op op;
    struct sqlite_store *store;
    const char *id;
    int64_t now_ms;
    struct job job; /* as it is after the change */
};

static int cancel_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct change_op *change = (struct change_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_JOB_CANCEL, err);
    int64_t seq = 0;
    int step, rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, change->id);
    sqlite3_bind_int64(statement, 2, change->now_ms);
    step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        seq = sqlite3_column_int64(statement, 0);
        op->queued_delta = sqlite3_column_int(statement, 1) == JOB_CANCELLED ? -1 : 0;
        op->queued_seq = seq;
        op->ended = op->queued_delta ? JOB_CANCELLED : JOB_QUEUED;
        step = sqlite3_step(statement);
    }
    if (step != SQLITE_DONE)
        return connection_error(c, err);
    sqlite3_reset(statement);
    if (op->queued_delta) {
        statement = connection_statement(c, SQL_JOB_DROP_USES, err);
        if (!statement)
            return ERROR_BUSY;
        sqlite3_bind_int64(statement, 1, seq);
        rc = connection_run(c, statement, err);
        if (rc)
            return rc;
    }
    job_done(&change->job); /* of a run that did not commit */
    change->job = (struct job){0};
    rc = sqlite_get_from(change->store, c, change->id, &change->job, &seq, err);
    if (!rc)
        sqlite_add_position(change->store, seq, &change->job);
    return rc;
}

static int sqlite_cancel(struct job_store *base, const char *id, struct job *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct change_op change = {.op = {.run = cancel_run}, .store = store, .id = id, .now_ms = clock_wall_ms()};
    int rc = committer_run(&store->committer, &change.op, err);

    if (rc) {
        job_done(&change.job);
        return rc;
    }
    *ret = change.job;
    return 0;
}

static int remove_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct change_op *change = (struct change_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_JOB_GET, err);
    enum job_state state;
    int64_t seq;
    int step, rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, change->id);
    step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        return error_set(err, ERROR_NOT_FOUND, "no such job");
    if (step != SQLITE_ROW)
        return connection_error(c, err);
    seq = sqlite3_column_int64(statement, 0);
    state = (enum job_state)sqlite3_column_int(statement, 3);
    sqlite3_reset(statement);
    rc = sqlite_remove_row(c, seq, &op->used_delta, err);
    if (!rc)
        op->queued_delta = state == JOB_QUEUED ? -1 : 0;
    op->queued_seq = seq;
    return rc;
}

static int sqlite_remove(struct job_store *base, const char *id, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct change_op change = {.op = {.run = remove_run}, .store = store, .id = id};

    return committer_run(&store->committer, &change.op, err);
}

static int sqlite_result(struct job_store *base, const char *id, enum representation representation,
                         bool *ret_is_inline, char **ret_data, uint64_t *ret_bytes, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *row;
    enum job_state state;
    int rc;

    rc = sqlite_reader_row(store, SQL_JOB_RESULT, id, "no such job", &reader, &row, err);
    if (rc)
        return rc;
    state = (enum job_state)sqlite3_column_int(row, 0);
    if (state != JOB_SUCCEEDED) {
        rc = error_set(err, ERROR_CONFLICT, "the job is %s", job_state_names[state]);
        goto out;
    }
    if (sqlite3_column_int(row, 1)) {
        const void *data = sqlite3_column_blob(row, 2 + (int)representation);
        size_t bytes = (size_t)sqlite3_column_bytes(row, 2 + (int)representation);
        char *copy = malloc(bytes + 1);

        if (!copy) {
            rc = error_set(err, ERROR_NO_MEMORY, "no memory for a result of %zu bytes", bytes);
            goto out;
        }
        if (bytes)
            memcpy(copy, data, bytes);
        copy[bytes] = '\0';
        *ret_data = copy;
        *ret_bytes = bytes;
        *ret_is_inline = true;
    } else {
        *ret_data = NULL;
        *ret_bytes = (uint64_t)sqlite3_column_int64(row, 2 + REPRESENTATION_COUNT + (int)representation);
        *ret_is_inline = false;
    }
out:
    sqlite_reader_put(store, reader);
    return rc;
}

static int sqlite_has_files(struct job_store *base, const char *id, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *row;
    int rc;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    row = connection_statement(&reader->connection, SQL_HAS_FILES, err);
    if (!row) {
        rc = ERROR_BUSY;
    } else {
        bind_text(row, 1, id);
        if (sqlite3_step(row) != SQLITE_ROW)
            rc = connection_error(&reader->connection, err);
        else if (!sqlite3_column_int(row, 0))
            rc = error_set(err, ERROR_NOT_FOUND, "neither a job nor an upload");
    }
    sqlite_reader_put(store, reader);
    return rc;
}

static void sqlite_status(struct job_store *base, struct store_status *ret)
{
    struct committer *committer = &sqlite_store_of(base)->committer;

    ret->is_full = atomic_load(&committer->is_full);
    ret->is_broken = atomic_load(&committer->is_broken);
    ret->queued = atomic_load(&committer->queued);
    ret->used_bytes = atomic_load(&committer->used_bytes);
    for (size_t i = 0; i < JOB_STATE_COUNT; i++)
        ret->ended[i] = atomic_load_explicit(&committer->ended[i], memory_order_relaxed);
    ret->commits = atomic_load_explicit(&committer->commits, memory_order_relaxed);
    ret->changes = atomic_load_explicit(&committer->changes, memory_order_relaxed);
}

static void sqlite_report_full(struct job_store *base)
{
    committer_report_full(&sqlite_store_of(base)->committer);
}

static void sqlite_stop_waiting(struct job_store *base)
{
    committer_stop_waiting(&sqlite_store_of(base)->committer);
}

static void store_free(struct sqlite_store *store)
{
    sqlite_readers_close(store);
    connection_close(&store->committer.connection);
    queue_order_done(&store->committer.order);
    job_cache_free(store->committer.cache);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

static void sqlite_close(struct job_store *base)
{
    struct sqlite_store *store = sqlite_store_of(base);

    committer_stop(&store->committer);
    store_free(store);
}

static const struct job_store_ops sqlite_ops = {
    .insert = sqlite_insert,
    .find_submitted = sqlite_find_submitted,
    .get = sqlite_get,
    .owner = sqlite_owner,
    .peek = sqlite_peek,
    .list = sqlite_list,
    .cancel = sqlite_cancel,
    .remove = sqlite_remove,
    .result = sqlite_result,
    .claim = sqlite_claim,
    .finish = sqlite_finish,
    .release = sqlite_release,
    .upload_insert = sqlite_upload_insert,
    .callbacks_due = sqlite_callbacks_due,
    .callback_note = sqlite_callback_note,
    .upload_create = sqlite_upload_create,
    .upload_checkpoint = sqlite_upload_checkpoint,
    .upload_resume = sqlite_upload_resume,
    .upload_complete = sqlite_upload_complete,
    .upload_get = sqlite_upload_get,
    .upload_list = sqlite_upload_list,
    .upload_remove = sqlite_upload_remove,
    .expire_jobs = sqlite_expire_jobs,
    .expire_uploads = sqlite_expire_uploads,
    .has_files = sqlite_has_files,
    .status = sqlite_status,
    .count = sqlite_count,
    .report_full = sqlite_report_full,
    .stop_waiting = sqlite_stop_waiting,
    .close = sqlite_close,
};

/* What the counters start from. */
static int read_totals(struct committer *committer, struct error *err)
{
    struct connection *connection = &committer->connection;
    sqlite3_stmt *rows = connection_statement(connection, SQL_JOB_WAITING, err);
    uint64_t queued = 0;
    int step;

    if (!rows)
        return ERROR_BUSY;
    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        queue_order_add(&committer->order, sqlite3_column_int64(rows, 0));
        queued++;
    }
    sqlite3_reset(rows);
    if (step != SQLITE_DONE)
        return connection_error(connection, err);
    rows = connection_statement(connection, SQL_USED_BYTES, err);
    if (!rows || sqlite3_step(rows) != SQLITE_ROW)
        return connection_error(connection, err);
    atomic_store(&committer->queued, queued);
    atomic_store(&committer->used_bytes, (uint64_t)sqlite3_column_int64(rows, 0));
    sqlite3_reset(rows);
    return 0;
}

int sqlite_store_open(const struct store_settings *settings, struct job_store **ret_store, struct error *err)
{
    struct sqlite_store *store = calloc(1, sizeof(*store));
    struct committer *committer;
    int rc;

    if (!store || asprintf(&store->path, "%s/diffaid.db", settings->state_dir) < 0) {
        free(store);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the job store");
    }
    committer = &store->committer;
    store->base.ops = &sqlite_ops;
    store->queue_limit = settings->queue_limit;
    store->retention_ms = settings->retention_ms;
    must(pthread_mutex_init(&store->lock, NULL));
    queue_order_init(&committer->order);
    committer->probe = sqlite_probe;
    committer->reserve = (struct reserve){.dir_fd = settings->state_fd, .bytes = settings->reserve_bytes};
    rc = job_cache_new(&committer->cache, err);
    if (rc)
        goto fail;
    rc = connection_open(store->path, true, sqlite_texts, SQL_COUNT, &committer->connection, err);
    if (rc)
        goto fail;
    job_cache_follow(committer->cache, committer->connection.db);
    rc = sqlite_schema_open(&committer->connection, err);
    if (rc == ERROR_NO_SPACE) { /* a start on a full disk: the reserve is for this */
        reserve_give_up(&committer->reserve);
        rc = sqlite_schema_open(&committer->connection, err);
    }
    if (rc)
        goto fail;
    rc = read_totals(committer, err);
    if (rc)
        goto fail;
    rc = committer_start(committer, err);
    if (rc)
        goto fail;
    *ret_store = &store->base;
    return 0;
fail:
    store_free(store);
    return rc;
}
