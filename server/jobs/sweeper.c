#include "server/jobs/sweeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/jobs/results.h"
#include "server/log.h"
#include "server/must.h"

enum {
    HOUR_MS = 3600000,
    DAY_MS = 24 * HOUR_MS,
    INTERVAL_MS = 60000,
};

struct sweeper {
    struct job_store *store;
    struct blob_store *results, *uploads;
    int64_t retention_ms;
    struct clock_guard guard;
    struct blob_names result_names, upload_names; /* as they were at the start */
    struct id_batch ids;                          /* the thread's own */
    pthread_t thread;
    bool is_started;
    atomic_bool is_clock_wrong;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping; /* guarded by lock */
};

void clock_guard_init(struct clock_guard *guard, int64_t wall_ms, int64_t steady_ms)
{
    *guard = (struct clock_guard){.offset_ms = wall_ms - steady_ms, .steady_since = INT64_MIN};
}

bool clock_guard_agrees(struct clock_guard *guard, int64_t wall_ms, int64_t steady_ms)
{
    int64_t offset_ms = wall_ms - steady_ms;

    if (offset_ms - guard->offset_ms > HOUR_MS || guard->offset_ms - offset_ms > HOUR_MS) {
        guard->offset_ms = offset_ms;
        guard->steady_since = steady_ms;
    }
    return guard->steady_since == INT64_MIN || steady_ms - guard->steady_since >= DAY_MS;
}

/* Removes names that no row speaks for. A process that is killed between renaming a result and noting its job's end
 * leaves the files of a job that is cancelled or failed afterwards: those have a row, and go as well. Temporary files
 * are nobody's by now: their writers ended with the last process, and attempts are numbered on, so that no name comes
 * twice. */
static void sweep_names(struct sweeper *sweeper, struct blob_store *blobs, struct blob_names *names,
                        struct swept *swept)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i], *suffix = strrchr(name, '.');
        char id[JOB_ID_BYTES];
        bool is_temporary = suffix && strcmp(suffix, ".tmp") == 0;

        snprintf(id, sizeof(id), "%s", name);
        if (!id_is_valid(id))
            continue; /* not ours */
        if (!is_temporary && sweeper->store->ops->has_files(sweeper->store, id, NULL) != ERROR_NOT_FOUND)
            continue;
        blobs->ops->remove(blobs, name);
        swept->orphans++;
    }
    blob_names_done(names);
}

void sweeper_sweep_orphans(struct sweeper *sweeper, struct swept *swept)
{
    sweep_names(sweeper, sweeper->results, &sweeper->result_names, swept);
    sweep_names(sweeper, sweeper->uploads, &sweeper->upload_names, swept);
}

void sweeper_sweep_expired(struct sweeper *sweeper, int64_t wall_ms, struct swept *swept)
{
    int64_t before_ms = wall_ms - sweeper->retention_ms;
    struct job_store *store = sweeper->store;

    while (store->ops->expire_jobs(store, before_ms, &sweeper->ids, NULL) == 0 && sweeper->ids.count) {
        for (size_t i = 0; i < sweeper->ids.count; i++)
            result_remove(sweeper->results, sweeper->ids.ids[i]);
        swept->jobs += sweeper->ids.count;
    }
    while (store->ops->expire_uploads(store, before_ms, &sweeper->ids, NULL) == 0 && sweeper->ids.count) {
        for (size_t i = 0; i < sweeper->ids.count; i++)
            sweeper->uploads->ops->remove(sweeper->uploads, sweeper->ids.ids[i]);
        swept->uploads += sweeper->ids.count;
    }
}

bool sweeper_trusts_clock(const struct sweeper *sweeper)
{
    return !atomic_load(&sweeper->is_clock_wrong);
}

static void *sweeper_main(void *argument)
{
    struct sweeper *sweeper = argument;
    struct swept orphans = {0};
    bool was_agreed = true;

    sweeper_sweep_orphans(sweeper, &orphans);
    if (orphans.orphans)
        LOG_LINE(LEVEL_INFO, "removed files that nobody knows", log_u64("files", orphans.orphans));
    must(pthread_mutex_lock(&sweeper->lock));
    while (!sweeper->is_stopping) {
        int64_t interval_ms = sweeper->retention_ms < INTERVAL_MS ? sweeper->retention_ms : INTERVAL_MS;
        struct timespec until = clock_steady_after(interval_ms);
        int64_t wall_ms = clock_wall_ms();
        bool is_agreed = clock_guard_agrees(&sweeper->guard, wall_ms, clock_read_ms(CLOCK_BOOTTIME));
        struct swept swept = {0};
        int rc = 0;

        must(pthread_mutex_unlock(&sweeper->lock));
        atomic_store(&sweeper->is_clock_wrong, !is_agreed);
        if (is_agreed)
            sweeper_sweep_expired(sweeper, wall_ms, &swept);
        else if (was_agreed)
            LOG_LINE(LEVEL_WARNING, "the clock jumped: nothing expires until it has been steady for a day");
        if (swept.jobs || swept.uploads)
            LOG_LINE(LEVEL_INFO, "forgot what is older than the retention", log_u64("jobs", swept.jobs),
                     log_u64("uploads", swept.uploads));
        was_agreed = is_agreed;
        must(pthread_mutex_lock(&sweeper->lock));
        while (!sweeper->is_stopping && rc != ETIMEDOUT)
            rc = pthread_cond_timedwait(&sweeper->wake, &sweeper->lock, &until);
    }
    must(pthread_mutex_unlock(&sweeper->lock));
    return NULL;
}

int sweeper_open(struct job_store *store, struct blob_store *results, struct blob_store *uploads, int64_t retention_ms,
                 struct sweeper **ret, struct error *err)
{
    struct sweeper *sweeper = calloc(1, sizeof(*sweeper));
    int rc;

    if (!sweeper)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the sweeper");
    sweeper->store = store;
    sweeper->results = results;
    sweeper->uploads = uploads;
    sweeper->retention_ms = retention_ms;
    clock_guard_init(&sweeper->guard, clock_wall_ms(), clock_read_ms(CLOCK_BOOTTIME));
    must(pthread_mutex_init(&sweeper->lock, NULL));
    clock_steady_condition(&sweeper->wake);
    rc = results->ops->names(results, &sweeper->result_names, err);
    if (!rc)
        rc = uploads->ops->names(uploads, &sweeper->upload_names, err);
    if (rc) {
        sweeper_stop(sweeper);
        return rc;
    }
    *ret = sweeper;
    return 0;
}

int sweeper_start(struct sweeper *sweeper, struct error *err)
{
    if (pthread_create(&sweeper->thread, NULL, sweeper_main, sweeper) != 0)
        return error_set(err, ERROR_NO_MEMORY, "cannot start the sweeper's thread");
    sweeper->is_started = true;
    return 0;
}

void sweeper_stop(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    must(pthread_mutex_lock(&sweeper->lock));
    sweeper->is_stopping = true;
    must(pthread_cond_signal(&sweeper->wake));
    must(pthread_mutex_unlock(&sweeper->lock));
    if (sweeper->is_started)
        must(pthread_join(sweeper->thread, NULL));
    blob_names_done(&sweeper->result_names);
    blob_names_done(&sweeper->upload_names);
    pthread_cond_destroy(&sweeper->wake);
    pthread_mutex_destroy(&sweeper->lock);
    free(sweeper);
}
