/* Lock rules: `lock` guards the queue and the two flags; the thread holds it only to take a batch. An operation belongs
 * to its caller until it is queued and to the thread until its semaphore is posted, which is the last touch. */
#include "server/jobs/committer.h"

#include <errno.h>
#include <string.h>

#include "server/clock.h"
#include "server/must.h"

enum { RETRY_MS = 500 }; /* how often a full or failing disk is tried again */

enum outcome { BATCH_DURABLE, BATCH_NO_SPACE, BATCH_FAILED };

static void settle(struct commit_op *op)
{
    sem_post(&op->done);
}

static void execute(struct committer *c, const char *sql)
{
    sqlite3_exec(c->connection.db, sql, NULL, NULL, NULL);
}

static bool is_ok(struct committer *c, const char *sql)
{
    return sqlite3_exec(c->connection.db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static enum outcome failure(struct committer *c, struct error *err)
{
    enum outcome outcome = connection_is_out_of_space(&c->connection) ? BATCH_NO_SPACE : BATCH_FAILED;

    connection_error(&c->connection, err);
    /* Statements that SQLite left open would hold the transaction. */
    for (size_t i = 0; i < c->connection.count; i++)
        sqlite3_reset(c->connection.statements[i]);
    execute(c, "ROLLBACK");
    return outcome;
}

/* Whether SQLite's last word was about the disk or memory, not about one operation's values. */
static bool is_disk_trouble(struct committer *c)
{
    switch (sqlite3_errcode(c->connection.db) & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return false;
    default:
        return true;
    }
}

/* SQLite goes on writing a file that has lost its name: everything would be accepted and nothing kept. */
static bool has_lost_its_file(struct committer *c)
{
    int has_moved = 0;

    return sqlite3_file_control(c->connection.db, NULL, SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK && has_moved;
}

/* One transaction over the batch. An operation that is wrong by itself loses only its savepoint; a disk that fails
 * loses the whole batch. */
static enum outcome commit_batch(struct committer *c, struct commit_op *batch, struct error *err)
{
    bool is_full = atomic_load(&c->is_full);
    uint64_t queued = atomic_load(&c->queued), used = atomic_load(&c->used_bytes);
    bool has_changes = false;

    if (has_lost_its_file(c)) {
        error_set(err, ERROR_BUSY, "the job store's file is gone from the state directory");
        return BATCH_FAILED;
    }
    if (!is_ok(c, "BEGIN IMMEDIATE"))
        return failure(c, err);
    for (struct commit_op *op = batch; op; op = op->next) {
        op->queued_delta = op->used_delta = 0;
        op->ended = JOB_QUEUED;
        if (is_full && op->is_adding) {
            op->rc = error_set(&op->error, ERROR_NO_SPACE, "the disk of the state directory is full");
            continue;
        }
        if (!is_ok(c, "SAVEPOINT op"))
            return failure(c, err);
        op->rc = op->run(op, &c->connection, queued, &op->error);
        if ((op->rc && is_disk_trouble(c)) || sqlite3_get_autocommit(c->connection.db))
            return failure(c, err);
        if (op->rc) {
            op->queued_delta = op->used_delta = 0;
            execute(c, "ROLLBACK TO op");
        } else {
            has_changes = true;
        }
        if (!is_ok(c, "RELEASE op"))
            return failure(c, err);
        queued = (uint64_t)((int64_t)queued + op->queued_delta);
        used = (uint64_t)((int64_t)used + op->used_delta);
    }
    if (!is_ok(c, has_changes ? "COMMIT" : "ROLLBACK"))
        return failure(c, err);
    atomic_store(&c->queued, queued);
    atomic_store(&c->used_bytes, used);
    if (has_changes)
        atomic_fetch_add_explicit(&c->commits, 1, memory_order_relaxed);
    for (struct commit_op *op = batch; op; op = op->next) {
        if (!op->rc)
            atomic_fetch_add_explicit(&c->changes, 1, memory_order_relaxed);
        if (!op->rc && op->ended > JOB_RUNNING)
            atomic_fetch_add_explicit(&c->ended[op->ended], 1, memory_order_relaxed);
        if (op->queued_delta > 0)
            queue_order_add(&c->order, op->queued_seq);
        else if (op->queued_delta < 0)
            queue_order_remove(&c->order, op->queued_seq);
    }
    job_cache_settle(c->cache);
    return BATCH_DURABLE;
}

static void give_reserve_up(struct committer *c)
{
    reserve_give_up(&c->reserve);
    atomic_store(&c->is_full, true);
}

/* Commits the batch and wakes its callers; returns those that wait for better times. */
static struct commit_op *work_off(struct committer *c, struct commit_op *batch, bool is_impatient)
{
    struct commit_op *patient = NULL, **last = &patient, *next;
    enum outcome outcome;
    struct error err;

    outcome = commit_batch(c, batch, &err);
    if (outcome == BATCH_NO_SPACE && !atomic_load(&c->is_full)) {
        give_reserve_up(c);
        outcome = commit_batch(c, batch, &err);
    }
    atomic_store(&c->is_broken, outcome == BATCH_FAILED);
    for (struct commit_op *op = batch; op; op = next) {
        next = op->next;
        if (outcome != BATCH_DURABLE) {
            if (op->is_patient && !is_impatient) {
                *last = op;
                last = &op->next;
                continue;
            }
            op->rc = err.code;
            op->error = err;
        }
        settle(op);
    }
    *last = NULL;
    return patient;
}

/* Takes up to STORE_BATCH operations off the queue; with the lock held. */
static struct commit_op *take_batch(struct committer *c)
{
    struct commit_op *batch = c->first, *end = batch;

    for (int i = 1; end && end->next && i < STORE_BATCH; i++)
        end = end->next;
    if (end) {
        c->first = end->next;
        if (!c->first)
            c->last = &c->first;
        end->next = NULL;
    }
    return batch;
}

/* Sleeps until there is something to do; with the lock held. Returns whether a retry is due. */
static bool wait_for_work(struct committer *c, bool has_patient, int64_t retry_at_ms)
{
    bool is_troubled = has_patient || atomic_load(&c->is_full) || atomic_load(&c->is_broken);

    while (!c->is_stopping) {
        int64_t left_ms = retry_at_ms - clock_steady_ms();
        struct timespec until;

        if ((is_troubled && left_ms <= 0) || (has_patient && c->is_impatient))
            return true;
        if (c->first || c->is_reported_full)
            return false;
        if (is_troubled) {
            until = clock_steady_after(left_ms);
            pthread_cond_timedwait(&c->wake, &c->lock, &until);
        } else {
            must(pthread_cond_wait(&c->wake, &c->lock));
        }
    }
    return false;
}

static void *committer_main(void *argument)
{
    struct committer *c = argument;
    struct commit_op *patient = NULL, *batch, **end;
    int64_t retry_at_ms = 0;
    bool is_impatient;

    must(pthread_mutex_lock(&c->lock));
    for (;;) {
        bool is_due = wait_for_work(c, patient != NULL, retry_at_ms);

        if (c->is_stopping)
            break;
        if (c->is_reported_full && !atomic_load(&c->is_full))
            give_reserve_up(c);
        c->is_reported_full = false;
        batch = take_batch(c);
        is_impatient = c->is_impatient;
        must(pthread_mutex_unlock(&c->lock));
        if (is_due) {
            retry_at_ms = clock_steady_ms() + RETRY_MS;
            patient = patient ? work_off(c, patient, is_impatient) : NULL;
            if (atomic_load(&c->is_full) && reserve_hold(&c->reserve))
                atomic_store(&c->is_full, false);
            if (atomic_load(&c->is_broken) && !has_lost_its_file(c) && is_ok(c, c->probe))
                atomic_store(&c->is_broken, false);
        }
        if (batch) {
            batch = work_off(c, batch, is_impatient);
            for (end = &patient; *end;)
                end = &(*end)->next;
            *end = batch;
        }
        must(pthread_mutex_lock(&c->lock));
    }
    must(pthread_mutex_unlock(&c->lock));
    while ((batch = patient) != NULL) {
        patient = batch->next;
        batch->rc = error_set(&batch->error, ERROR_BUSY, "the service is ending");
        settle(batch);
    }
    return NULL;
}

int committer_start(struct committer *c, struct error *err)
{

    c->first = NULL;
    c->last = &c->first;
    if (!reserve_hold(&c->reserve))
        give_reserve_up(c);
    must(pthread_mutex_init(&c->lock, NULL));
    clock_steady_condition(&c->wake);
    if (pthread_create(&c->thread, NULL, committer_main, c) != 0)
        return error_set(err, ERROR_NO_MEMORY, "cannot start the thread that writes the job store");
    return 0;
}

void committer_stop(struct committer *c)
{
    struct commit_op *op;

    must(pthread_mutex_lock(&c->lock));
    c->is_stopping = true;
    must(pthread_cond_signal(&c->wake));
    must(pthread_mutex_unlock(&c->lock));
    must(pthread_join(c->thread, NULL));
    /* Queued after the last batch: their callers still wait. */
    while ((op = c->first) != NULL) {
        c->first = op->next;
        op->rc = error_set(&op->error, ERROR_BUSY, "the service is ending");
        settle(op);
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
}

int committer_run(struct committer *c, struct commit_op *op, struct error *err)
{
    sem_init(&op->done, 0, 0);
    op->next = NULL;
    op->error = (struct error){0};
    must(pthread_mutex_lock(&c->lock));
    if (c->is_stopping) {
        must(pthread_mutex_unlock(&c->lock));
        sem_destroy(&op->done);
        return error_set(err, ERROR_BUSY, "the service is ending");
    }
    *c->last = op;
    c->last = &op->next;
    must(pthread_cond_signal(&c->wake));
    must(pthread_mutex_unlock(&c->lock));
    while (sem_wait(&op->done) != 0 && errno == EINTR)
        continue;
    sem_destroy(&op->done);
    if (op->rc && err)
        *err = op->error;
    return op->rc;
}

void committer_report_full(struct committer *c)
{
    must(pthread_mutex_lock(&c->lock));
    c->is_reported_full = true;
    must(pthread_cond_signal(&c->wake));
    must(pthread_mutex_unlock(&c->lock));
}

void committer_stop_waiting(struct committer *c)
{
    must(pthread_mutex_lock(&c->lock));
    c->is_impatient = true;
    must(pthread_cond_signal(&c->wake));
    must(pthread_mutex_unlock(&c->lock));
}
