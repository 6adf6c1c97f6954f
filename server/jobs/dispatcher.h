/* Hands queued jobs to worker processes and writes down how they end. One thread a worker: it spawns its process,
 * claims, talks, settles. A crash takes the process and one attempt, nothing else. */
#ifndef SERVER_JOBS_DISPATCHER_H
#define SERVER_JOBS_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/backend.h"
#include "server/jobs/blobs.h"
#include "server/jobs/child.h"
#include "server/jobs/job_counters.h"
#include "server/jobs/store.h"

enum {
    CRASHES_MAX = 3,        /* attempts that a crash may take */
    INSPECT_MS = 2000,      /* for one header */
    STOP_PATIENCE_MS = 2000 /* from being told to stop to being killed */
};

struct dispatcher_settings {
    struct child_settings child;
    struct job_store *store;    /* borrowed */
    struct blob_store *results; /* borrowed */
    unsigned workers;
    int64_t job_timeout_ms;
    /* Optional: a job's state or progress is not what it was. From many threads, under no lock. */
    void (*changed)(void *context, const char *id, bool is_progress);
    void *context;
};

struct dispatcher;

/* Starts the threads; their processes come up in the background. */
int dispatcher_start(const struct dispatcher_settings *settings, struct dispatcher **ret, struct error *err);

/* A job was submitted. */
void dispatcher_wake(struct dispatcher *dispatcher);

/* The wish to cancel is in the store: tells the worker. Nothing when nobody runs that job. */
void dispatcher_cancel(struct dispatcher *dispatcher, const char *id);

/* The job's row is gone: stops its worker and waits until nothing of it is left. */
void dispatcher_forget(struct dispatcher *dispatcher, const char *id);

/* Progress of a job that runs now; false when it does not. *ret_changes grows with each call's news and starts anew
 * with each attempt. */
bool dispatcher_progress(struct dispatcher *dispatcher, const char *id, struct job_progress *ret,
                         uint64_t *ret_changes);

/* One model's header as a result document, from a worker process of its own. ERROR_BUSY when it took too long. */
int dispatcher_inspect(struct dispatcher *dispatcher, const char *path, char **ret_json, size_t *ret_bytes,
                       struct error *err);

/* Worker processes that are up. */
unsigned dispatcher_ready(struct dispatcher *dispatcher);

/* For metrics: workers wanted, and those of them that run a job now; and what was counted since the start. */
void dispatcher_occupation(struct dispatcher *dispatcher, unsigned *ret_workers, unsigned *ret_busy);
const struct job_counters *dispatcher_counters(const struct dispatcher *dispatcher);

/* The walls around the worker that came up last; false before the first one did. */
bool dispatcher_walls(struct dispatcher *dispatcher, struct walls *ret);

/* Claims nothing more; waits up to grace_ms for running jobs, gives the others back to the queue and ends the
 * processes. Questions may still be asked until dispatcher_free. */
void dispatcher_stop(struct dispatcher *dispatcher, int64_t grace_ms);
void dispatcher_free(struct dispatcher *dispatcher); /* a stopped one; NULL is fine */

#endif
