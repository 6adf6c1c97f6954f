/* Deletes what is old, and files that no row knows. Runs on a thread of its own, so that a start never waits for it. */
#ifndef SERVER_JOBS_SWEEPER_H
#define SERVER_JOBS_SWEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/jobs/blobs.h"
#include "server/jobs/store.h"

/* Whether wall time can be trusted to delete by: it has run beside the steady clock, within an hour, for a day, or
 * since the start. */
struct clock_guard {
    int64_t offset_ms;    /* wall − steady, as last agreed */
    int64_t steady_since; /* when it last changed; INT64_MIN: never */
};
void clock_guard_init(struct clock_guard *guard, int64_t wall_ms, int64_t steady_ms);
bool clock_guard_agrees(struct clock_guard *guard, int64_t wall_ms, int64_t steady_ms);

struct sweeper;

/* Lists the files that are there now: only these may be found to be nobody's, so call it before anybody makes new ones.
 */
int sweeper_open(struct job_store *store, struct blob_store *results, struct blob_store *uploads, int64_t retention_ms,
                 struct sweeper **ret, struct error *err);
/* Starts its thread. */
int sweeper_start(struct sweeper *sweeper, struct error *err);
void sweeper_stop(struct sweeper *sweeper); /* also one that was only opened; NULL is fine */

/* Whether the clock is trusted to delete by. */
bool sweeper_trusts_clock(const struct sweeper *sweeper);

/* What the thread does, once. Adds what was removed to *swept. */
struct swept {
    size_t jobs, uploads, orphans;
};
void sweeper_sweep_orphans(struct sweeper *sweeper, struct swept *swept);
void sweeper_sweep_expired(struct sweeper *sweeper, int64_t wall_ms, struct swept *swept);

#endif
