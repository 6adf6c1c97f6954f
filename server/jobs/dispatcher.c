/* Lock rules: the dispatcher's lock guards what slots show of themselves and the wake counter; nobody holds it over a
 * call to the store or to a process. A wish (cancel, forget, release) is set on the slot and its event descriptor is
 * written; the slot's own thread does the rest. */
#include "server/jobs/dispatcher.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/slot.h"
#include "server/log.h"
#include "server/must.h"

enum { RESPAWN_MS = 1000, STORE_RETRY_MS = 1000, EXIT_PATIENCE_MS = 500 };

static void slot_wake(struct slot *slot)
{
    uint64_t one = 1;

    while (write(slot->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

void slot_stop(struct slot *slot, enum stop_reason reason)
{
    if (slot->stop < reason)
        slot->stop = reason;
    slot_wake(slot);
}

/* Sleeps until woken, the child stirs, or ms have passed (−1: never). */
static void slot_sleep(struct slot *slot, int ms)
{
    struct pollfd lines[2] = {{.fd = slot->event_fd, .events = POLLIN},
                              {.fd = slot->child.channel.fd, .events = POLLIN}};
    uint64_t count;

    if (poll(lines, slot->child.pid ? 2 : 1, ms) > 0 && lines[0].revents &&
        read(slot->event_fd, &count, sizeof(count)) < 0)
        return; /* somebody read it first: there is nothing to forget */
}

static bool is_stopping(struct dispatcher *dispatcher)
{
    bool is;

    must(pthread_mutex_lock(&dispatcher->lock));
    is = dispatcher->is_stopping;
    must(pthread_mutex_unlock(&dispatcher->lock));
    return is;
}

/* True when the slot has a process that is up. */
static bool ensure_child(struct slot *slot)
{
    struct dispatcher *dispatcher = slot->dispatcher;
    struct error err = {0};

    if (child_is_alive(&slot->child))
        return true;
    if (slot->child.pid) {
        int pid = slot->child.pid, status = 0;
        enum worker_death death;

        child_reap(&slot->child, &status);
        death = worker_death_of_status(status);
        job_counters_add(&dispatcher->counters.worker_deaths[death], 1);
        atomic_fetch_sub(&dispatcher->ready, 1);
        LOG_LINE(LEVEL_WARNING, "idle worker process ended", log_i64("pid", pid),
                 log_text("cause", worker_death_names[death]));
    }
    if (child_spawn(&dispatcher->settings.child, &slot->child, &err) != 0) {
        LOG_LINE(LEVEL_ERROR, "worker process did not start", log_text("detail", err.text));
        job_counters_add(&dispatcher->counters.worker_start_failures, 1);
        slot_sleep(slot, RESPAWN_MS);
        return false;
    }
    slot->serial = 0;
    must(pthread_mutex_lock(&dispatcher->lock));
    dispatcher->walls = slot->child.walls;
    dispatcher->has_walls = true;
    must(pthread_mutex_unlock(&dispatcher->lock));
    job_counters_add(&dispatcher->counters.worker_starts, 1);
    atomic_fetch_add(&dispatcher->ready, 1);
    return true;
}

static void begin_attempt(struct slot *slot, const struct job_claim *claim)
{
    must(pthread_mutex_lock(&slot->dispatcher->lock));
    memcpy(slot->id, claim->id, sizeof(slot->id));
    slot->stop = slot->dispatcher->is_stopping ? STOP_RELEASE : STOP_NONE;
    slot->progress = (struct job_progress){0};
    slot->changes = 0;
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
}

static void end_attempt(struct slot *slot)
{
    must(pthread_mutex_lock(&slot->dispatcher->lock));
    slot->id[0] = '\0';
    must(pthread_cond_broadcast(&slot->dispatcher->changed));
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
}

/* Idle until the next wake, unless one came since `seen`. */
static void idle(struct slot *slot, uint64_t seen)
{
    struct dispatcher *dispatcher = slot->dispatcher;

    must(pthread_mutex_lock(&dispatcher->lock));
    slot->is_idle = dispatcher->submitted == seen && !dispatcher->is_stopping;
    if (slot->is_idle) {
        must(pthread_mutex_unlock(&dispatcher->lock));
        slot_sleep(slot, -1);
        must(pthread_mutex_lock(&dispatcher->lock));
        slot->is_idle = false;
    }
    must(pthread_mutex_unlock(&dispatcher->lock));
}

static void *slot_main(void *argument)
{
    struct slot *slot = argument;
    struct dispatcher *dispatcher = slot->dispatcher;
    struct job_store *store = dispatcher->settings.store;

    while (!is_stopping(dispatcher)) {
        struct store_status status;
        struct job_claim claim;
        struct error err = {0};
        uint64_t seen;
        int rc;

        if (!ensure_child(slot))
            continue;
        store->ops->status(store, &status);
        if (status.is_full) { /* whatever ran now would only fill the disk further */
            slot_sleep(slot, STORE_RETRY_MS);
            continue;
        }
        must(pthread_mutex_lock(&dispatcher->lock));
        seen = dispatcher->submitted;
        must(pthread_mutex_unlock(&dispatcher->lock));
        rc = store->ops->claim(store, &claim, &err);
        if (rc == ERROR_NOT_FOUND) {
            idle(slot, seen);
        } else if (rc) {
            LOG_LINE(LEVEL_ERROR, "no job could be claimed", log_text("detail", err.text));
            slot_sleep(slot, STORE_RETRY_MS);
        } else {
            begin_attempt(slot, &claim);
            attempt_run(slot, &claim);
            end_attempt(slot);
            job_claim_done(&claim);
        }
    }
    child_stop(&slot->child, EXIT_PATIENCE_MS);
    return NULL;
}

void dispatcher_free(struct dispatcher *dispatcher)
{
    if (!dispatcher)
        return;
    inspector_free(dispatcher->inspector);
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        close(dispatcher->slots[i].event_fd);
    pthread_cond_destroy(&dispatcher->changed);
    pthread_mutex_destroy(&dispatcher->lock);
    free(dispatcher->slots);
    free(dispatcher);
}

int dispatcher_start(const struct dispatcher_settings *settings, struct dispatcher **ret, struct error *err)
{
    struct dispatcher *dispatcher = calloc(1, sizeof(*dispatcher));
    int rc;

    if (!dispatcher)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the dispatcher");
    dispatcher->settings = *settings;
    job_counters_init(&dispatcher->counters);
    dispatcher->slots = calloc(settings->workers, sizeof(*dispatcher->slots));
    must(pthread_mutex_init(&dispatcher->lock, NULL));
    clock_steady_condition(&dispatcher->changed);
    if (!dispatcher->slots) {
        dispatcher_free(dispatcher);
        return error_set(err, ERROR_NO_MEMORY, "no memory for %u workers", settings->workers);
    }
    rc = inspector_start(&settings->child, INSPECT_MS, &dispatcher->counters, &dispatcher->inspector, err);
    if (rc) {
        dispatcher_free(dispatcher);
        return rc;
    }
    for (size_t i = 0; i < settings->workers; i++) {
        struct slot *slot = &dispatcher->slots[i];

        slot->dispatcher = dispatcher;
        slot->child.channel.fd = -1;
        slot->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (slot->event_fd < 0 || pthread_create(&slot->thread, NULL, slot_main, slot) != 0) {
            if (slot->event_fd >= 0)
                close(slot->event_fd);
            dispatcher_stop(dispatcher, 0);
            dispatcher_free(dispatcher);
            return error_set(err, ERROR_NO_MEMORY, "cannot start the threads of %u workers", settings->workers);
        }
        dispatcher->slot_count++;
    }
    *ret = dispatcher;
    return 0;
}

void dispatcher_wake(struct dispatcher *dispatcher)
{
    must(pthread_mutex_lock(&dispatcher->lock));
    dispatcher->submitted++;
    for (size_t i = 0; i < dispatcher->slot_count; i++) {
        if (dispatcher->slots[i].is_idle) {
            dispatcher->slots[i].is_idle = false; /* the next submission wakes another one */
            slot_wake(&dispatcher->slots[i]);
            break;
        }
    }
    must(pthread_mutex_unlock(&dispatcher->lock));
}

/* The slot that runs the job, or NULL; with the lock held. */
static struct slot *slot_of(struct dispatcher *dispatcher, const char *id)
{
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        if (strcmp(dispatcher->slots[i].id, id) == 0)
            return &dispatcher->slots[i];
    return NULL;
}

void dispatcher_cancel(struct dispatcher *dispatcher, const char *id)
{
    struct slot *slot;

    must(pthread_mutex_lock(&dispatcher->lock));
    slot = slot_of(dispatcher, id);
    if (slot)
        slot_stop(slot, STOP_CANCEL);
    must(pthread_mutex_unlock(&dispatcher->lock));
}

void dispatcher_forget(struct dispatcher *dispatcher, const char *id)
{
    struct slot *slot;

    must(pthread_mutex_lock(&dispatcher->lock));
    while ((slot = slot_of(dispatcher, id)) != NULL) {
        slot_stop(slot, STOP_FORGET);
        must(pthread_cond_wait(&dispatcher->changed, &dispatcher->lock));
    }
    must(pthread_mutex_unlock(&dispatcher->lock));
}

bool dispatcher_progress(struct dispatcher *dispatcher, const char *id, struct job_progress *ret, uint64_t *ret_changes)
{
    struct slot *slot;

    must(pthread_mutex_lock(&dispatcher->lock));
    slot = slot_of(dispatcher, id);
    if (slot) {
        *ret = slot->progress;
        *ret_changes = slot->changes;
    }
    must(pthread_mutex_unlock(&dispatcher->lock));
    return slot != NULL;
}

int dispatcher_inspect(struct dispatcher *dispatcher, const char *path, char **ret_json, size_t *ret_bytes,
                       struct error *err)
{
    return inspector_run(dispatcher->inspector, path, ret_json, ret_bytes, err);
}

unsigned dispatcher_ready(struct dispatcher *dispatcher)
{
    return atomic_load(&dispatcher->ready);
}

void dispatcher_occupation(struct dispatcher *dispatcher, unsigned *ret_workers, unsigned *ret_busy)
{
    unsigned busy = 0;

    must(pthread_mutex_lock(&dispatcher->lock));
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        busy += dispatcher->slots[i].id[0] != '\0';
    must(pthread_mutex_unlock(&dispatcher->lock));
    *ret_workers = (unsigned)dispatcher->slot_count;
    *ret_busy = busy;
}

const struct job_counters *dispatcher_counters(const struct dispatcher *dispatcher)
{
    return &dispatcher->counters;
}

bool dispatcher_walls(struct dispatcher *dispatcher, struct walls *ret)
{
    bool has_walls;

    must(pthread_mutex_lock(&dispatcher->lock));
    has_walls = dispatcher->has_walls;
    if (has_walls)
        *ret = dispatcher->walls;
    must(pthread_mutex_unlock(&dispatcher->lock));
    return has_walls;
}

static bool is_any_running(const struct dispatcher *dispatcher)
{
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        if (dispatcher->slots[i].id[0])
            return true;
    return false;
}

/* Until no job runs or the time is up; with the lock held. */
static void await_jobs(struct dispatcher *dispatcher, int64_t ms)
{
    struct timespec until = clock_steady_after(ms > 0 ? ms : 0);
    int rc = 0;

    while (is_any_running(dispatcher) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&dispatcher->changed, &dispatcher->lock, &until);
}

void dispatcher_stop(struct dispatcher *dispatcher, int64_t grace_ms)
{
    struct job_store *store = dispatcher->settings.store;

    must(pthread_mutex_lock(&dispatcher->lock));
    dispatcher->is_stopping = true;
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        slot_wake(&dispatcher->slots[i]);
    /* A job that has to be given back needs a moment for that. */
    await_jobs(dispatcher, grace_ms - STOP_PATIENCE_MS - EXIT_PATIENCE_MS);
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        if (dispatcher->slots[i].id[0])
            slot_stop(&dispatcher->slots[i], STOP_RELEASE);
    must(pthread_mutex_unlock(&dispatcher->lock));
    store->ops->stop_waiting(store);
    for (size_t i = 0; i < dispatcher->slot_count; i++)
        must(pthread_join(dispatcher->slots[i].thread, NULL));
    inspector_stop(dispatcher->inspector);
}
