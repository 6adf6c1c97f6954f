/* A worker process beside the others, for what must be answered at once: one model's header at a time. */
#ifndef SERVER_JOBS_INSPECTOR_H
#define SERVER_JOBS_INSPECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "server/jobs/child.h"
#include "server/jobs/job_counters.h"

struct inspector;

/* counters, borrowed: of its processes' deaths. */
int inspector_start(const struct child_settings *settings, int64_t limit_ms, struct job_counters *counters,
                    struct inspector **ret, struct error *err);

/* The model's header as a result document (the caller's). Waits its turn and then for the answer, limit_ms each;
 * ERROR_BUSY when either took longer. */
int inspector_run(struct inspector *inspector, const char *path, char **ret_json, size_t *ret_bytes, struct error *err);

/* Ends the process; whoever asks from now on gets ERROR_BUSY. */
void inspector_stop(struct inspector *inspector);
void inspector_free(struct inspector *inspector); /* stopped, and nobody asks any more; NULL is fine */

#endif
