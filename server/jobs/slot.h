/* One worker thread of the dispatcher and the attempt it is at; between dispatcher.c and attempt.c. */
#ifndef SERVER_JOBS_SLOT_H
#define SERVER_JOBS_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/jobs/dispatcher.h"
#include "server/jobs/inspector.h"
#include "server/jobs/job_counters.h"

/* Why a running job is to stop; a higher one takes precedence. */
enum stop_reason { STOP_NONE, STOP_RELEASE, STOP_DEADLINE, STOP_CANCEL, STOP_FORGET };

struct slot {
    struct dispatcher *dispatcher;
    pthread_t thread;
    int event_fd;       /* written to wake the thread */
    struct child child; /* the thread's own */
    uint64_t serial;    /* the thread's own: of the latest task its child got */
    /* guarded by the dispatcher's lock: */
    bool is_idle;
    char id[JOB_ID_BYTES]; /* of the job under way; "" */
    enum stop_reason stop;
    struct job_progress progress;
    uint64_t changes;
};

struct dispatcher {
    struct dispatcher_settings settings;
    struct inspector *inspector;
    struct job_counters counters;
    struct slot *slots;
    size_t slot_count;
    atomic_uint ready; /* processes that are up */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a slot let go of its job, or came up */
    uint64_t submitted;     /* guarded by lock: counts wakes, so that none is missed between a claim and a sleep */
    bool is_stopping;       /* guarded by lock */
    bool has_walls;         /* guarded by lock: a worker has been up */
    struct walls walls;     /* guarded by lock: the latest one's */
};

/* Raises the slot's reason to stop and wakes it; with the lock held. */
void slot_stop(struct slot *slot, enum stop_reason reason);

/* Runs the claimed job to the end of this attempt and writes it down. The child may be gone afterwards. */
void attempt_run(struct slot *slot, const struct job_claim *claim);

#endif
