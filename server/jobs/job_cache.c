/* Why what is found is never older than what its reader may know. The writing thread goes: COMMIT, raise the epoch,
 * empty the slots of the rows it changed, tell whoever waits for the commit. A reader that puts a job goes: take the
 * epoch, query, put unless the slot was emptied at a later epoch. If its query did not see the commit, it took the
 * epoch before the commit raised it: either its put comes first, and is emptied, or it comes later, and is refused.
 * Which rows change is told by SQLite's update hook, so no statement can be forgotten here. This process alone writes
 * the database: it holds the state directory's lock.
 *
 * A slot for each seq modulo their number: a job pushes out whatever had its slot. Another table leads from ids there.
 */
#include "server/jobs/job_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/name.h"
#include "server/must.h"

enum { NOTED_MAX = 1024 }; /* rows of one commit; beyond, everything is forgotten */

struct cached {
    pthread_mutex_t lock;
    uint64_t emptied_at; /* epoch of the last emptying */
    bool is_used;
    int64_t seq;
    struct job job;
};

struct job_cache {
    _Atomic uint64_t epoch;
    _Atomic int64_t seq_of[JOB_CACHE_SLOTS]; /* by the hash of an id: where it may be */
    struct cached slots[JOB_CACHE_SLOTS];
    /* Of the writing thread. */
    int64_t noted[NOTED_MAX];
    size_t noted_count;
    bool is_overfull;
};

int job_cache_new(struct job_cache **ret, struct error *err)
{
    struct job_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the job store");
    for (size_t i = 0; i < JOB_CACHE_SLOTS; i++)
        must(pthread_mutex_init(&cache->slots[i].lock, NULL));
    *ret = cache;
    return 0;
}

/* Under the slot's lock. */
static void empty(struct cached *slot)
{
    if (slot->is_used)
        job_done(&slot->job);
    slot->is_used = false;
}

void job_cache_free(struct job_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < JOB_CACHE_SLOTS; i++) {
        empty(&cache->slots[i]);
        pthread_mutex_destroy(&cache->slots[i].lock);
    }
    free(cache);
}

static void note(void *context, int operation, const char *database, const char *table, sqlite3_int64 seq)
{
    struct job_cache *cache = context;

    (void)operation;
    (void)database;
    if (strcmp(table, "job") != 0)
        return;
    if (cache->noted_count == NOTED_MAX)
        cache->is_overfull = true;
    else
        cache->noted[cache->noted_count++] = seq;
}

void job_cache_follow(struct job_cache *cache, sqlite3 *db)
{
    sqlite3_update_hook(db, note, cache);
}

static struct cached *lock_slot(struct job_cache *cache, int64_t seq)
{
    struct cached *slot = &cache->slots[(uint64_t)seq % JOB_CACHE_SLOTS];

    must(pthread_mutex_lock(&slot->lock));
    return slot;
}

static void forget(struct job_cache *cache, int64_t seq, uint64_t epoch)
{
    struct cached *slot = lock_slot(cache, seq);

    slot->emptied_at = epoch;
    empty(slot);
    must(pthread_mutex_unlock(&slot->lock));
}

void job_cache_settle(struct job_cache *cache)
{
    uint64_t epoch = atomic_fetch_add(&cache->epoch, 1) + 1;

    for (int64_t i = 0; cache->is_overfull && i < JOB_CACHE_SLOTS; i++)
        forget(cache, i, epoch);
    for (size_t i = 0; !cache->is_overfull && i < cache->noted_count; i++)
        forget(cache, cache->noted[i], epoch);
    cache->noted_count = 0;
    cache->is_overfull = false;
}

static bool copy_text(char **text)
{
    if (!*text)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static bool copy(const struct job *job, struct job *ret)
{
    struct job made = *job;
    bool is_whole;

    /* Each of them, so that every pointer is a copy's or NULL. */
    is_whole = copy_text(&made.request);
    is_whole &= copy_text(&made.labels);
    is_whole &= copy_text(&made.error);
    is_whole &= copy_text(&made.summary);
    is_whole &= copy_text(&made.run);
    if (is_whole)
        *ret = made;
    else
        job_done(&made);
    return is_whole;
}

static _Atomic int64_t *seq_of(struct job_cache *cache, const char *id)
{
    return &cache->seq_of[name_hash(name_of(id)) % JOB_CACHE_SLOTS];
}

bool job_cache_find(struct job_cache *cache, const char *id, struct job *ret, int64_t *ret_seq)
{
    struct cached *slot = lock_slot(cache, atomic_load_explicit(seq_of(cache, id), memory_order_relaxed));
    bool is_found = slot->is_used && strcmp(slot->job.id, id) == 0 && copy(&slot->job, ret);

    if (is_found)
        *ret_seq = slot->seq;
    must(pthread_mutex_unlock(&slot->lock));
    return is_found;
}

uint64_t job_cache_epoch(struct job_cache *cache)
{
    return atomic_load(&cache->epoch);
}

static size_t length_of(const char *text)
{
    return text ? strlen(text) : 0;
}

void job_cache_put(struct job_cache *cache, const struct job *job, int64_t seq, uint64_t epoch)
{
    size_t bytes = length_of(job->request) + length_of(job->labels) + length_of(job->error) + length_of(job->summary) +
                   length_of(job->run);
    struct cached *slot;

    if (bytes > JOB_CACHE_TEXT_BYTES)
        return;
    slot = lock_slot(cache, seq);
    if (slot->emptied_at <= epoch) {
        empty(slot);
        slot->is_used = copy(job, &slot->job);
        slot->seq = seq;
        atomic_store_explicit(seq_of(cache, job->id), seq, memory_order_relaxed);
    }
    must(pthread_mutex_unlock(&slot->lock));
}
