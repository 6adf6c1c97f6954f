/* The one thread that writes to the database. Callers queue an operation and sleep until the commit that holds it is
 * durable; whatever queued up meanwhile goes into the next commit, so that a disk's slow fsync is shared. */
#ifndef SERVER_JOBS_COMMITTER_H
#define SERVER_JOBS_COMMITTER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/error.h"
#include "server/jobs/connection.h"
#include "server/jobs/job_cache.h"
#include "server/jobs/queue_order.h"
#include "server/jobs/reserve.h"
#include "server/jobs/store.h"

/* Embedded in the caller's own struct, on its stack. */
struct commit_op {
    /* Runs inside a savepoint, which is undone when it returns an error. It may run again when a commit failed, so it
     * starts from its inputs each time. */
    int (*run)(struct commit_op *op, struct connection *connection, uint64_t queued, struct error *err);
    bool is_adding;  /* refused while the disk is full */
    bool is_patient; /* sleeps through a full or failing disk; only its own errors and the end wake its caller */
    /* What it changes once committed; set by run. */
    int64_t queued_delta, used_delta;
    int64_t queued_seq;   /* of the job that came into the queue or left it */
    enum job_state ended; /* how a job ended by it; queued or running: none did */
    struct error error;
    int rc;
    sem_t done;
    struct commit_op *next;
};

struct committer {
    struct connection connection;
    const char *probe; /* SQL that writes and changes nothing: whether a disk that failed works again */
    struct reserve reserve;
    struct queue_order order; /* follows each commit */
    struct job_cache *cache;  /* the same */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct commit_op *first, **last; /* guarded by lock */
    bool is_stopping;                /* guarded by lock */
    bool is_reported_full;           /* guarded by lock: somebody else met a full disk */
    bool is_impatient;               /* guarded by lock: nothing waits for better times any more */
    /* Written by the thread; readers want no order with anything else. */
    atomic_bool is_full, is_broken;
    atomic_uint_least64_t queued, used_bytes;
    atomic_uint_least64_t ended[JOB_STATE_COUNT], commits, changes; /* counted since the start, for metrics */
};

/* Takes over connection, probe, reserve, order, cache, queued and used_bytes as set by the caller. */
int committer_start(struct committer *committer, struct error *err);
void committer_stop(struct committer *committer); /* waiting operations end with ERROR_BUSY */

/* Blocks until op is durable or refused; returns its rc with err filled. */
int committer_run(struct committer *committer, struct commit_op *op, struct error *err);
void committer_report_full(struct committer *committer);
void committer_stop_waiting(struct committer *committer);

#endif
