/* The worker process's own side: takes messages from its line and gives jobs to an engine, one at a time. */
#ifndef SERVER_JOBS_WORKER_H
#define SERVER_JOBS_WORKER_H

#include <stdatomic.h>
#include <stdint.h>

#include "api/backend.h"
#include "core/error.h"
#include "server/roots.h"

struct worker;

struct worker_upload {
    const char *id, *name;
};

/* One job, as the engine gets it. All of it is borrowed. */
struct worker_task {
    const char *request; /* NULL: inspect path instead */
    const char *path;
    const struct worker_upload *uploads; /* those that the request names */
    size_t upload_count;
    int outputs[REPRESENTATION_COUNT]; /* open for writing; inspect has the first only, the others are −1 */
    const struct roots *roots;
    int uploads_fd;
    unsigned threads;
    uint64_t cache_bytes; /* of struct scan_env */
    const atomic_bool *cancel;
    struct worker *worker; /* for worker_tell */
};

/* What is told of a finished job beside its result: JSON objects, malloc'ed, each may be NULL. */
struct worker_report {
    char *summary; /* {verdict, headline, relative_l2} */
    char *run;     /* {elapsed_seconds, engine, timings} */
};

struct worker_engine {
    /* Fills the outputs and the report; ret_report is zeroed by the caller, who frees its members. */
    int (*run)(const struct worker_task *task, struct worker_report *ret_report, struct error *err);
};

/* Progress of the task under way; any thread. Coalesced to 4 a second, but a new phase is told at once. */
void worker_tell(struct worker *worker, const struct job_progress *progress);

/* Serves the line at descriptor fd until it closes, and ends the process then. Returns only when fd is no line. */
int worker_serve(int fd, const struct worker_engine *engine, struct error *err);

#endif
