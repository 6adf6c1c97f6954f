#include "server/http/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/clock.h"
#include "server/must.h"

struct queue {
    struct task *first, **last;
    unsigned queued, running, running_max;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct queue lanes[LANE_COUNT]; /* guarded by lock, like the rest */
    unsigned threads, queue_max;
    unsigned alive;
    bool is_ending;
    pthread_t *ids;
};

/* The next task that may run now, under the lock: lanes take turns by being asked in order of the fewest running. */
static struct task *take(struct pool *pool, enum lane *ret_lane)
{
    enum lane order[LANE_COUNT] = {LANE_STORE, LANE_ROOTS};

    if (pool->lanes[LANE_ROOTS].running < pool->lanes[LANE_STORE].running) {
        order[0] = LANE_ROOTS;
        order[1] = LANE_STORE;
    }
    for (int i = 0; i < LANE_COUNT; i++) {
        struct queue *queue = &pool->lanes[order[i]];
        struct task *task = queue->first;

        if (!task || queue->running >= queue->running_max)
            continue;
        queue->first = task->next;
        if (!queue->first)
            queue->last = &queue->first;
        queue->queued--;
        queue->running++;
        *ret_lane = order[i];
        return task;
    }
    return NULL;
}

static void *work(void *context)
{
    struct pool *pool = context;

    must(pthread_mutex_lock(&pool->lock));
    for (;;) {
        enum lane lane = LANE_STORE;
        struct task *task = take(pool, &lane);

        if (task) {
            must(pthread_mutex_unlock(&pool->lock));
            task->run(task);
            must(pthread_mutex_lock(&pool->lock));
            pool->lanes[lane].running--;
            /* A lane at its bound has room again: a sleeping thread may take its next task. */
            if (pool->lanes[lane].first && pool->lanes[lane].running + 1 == pool->lanes[lane].running_max)
                must(pthread_cond_signal(&pool->work));
            continue;
        }
        if (pool->is_ending && !pool->lanes[LANE_STORE].first && !pool->lanes[LANE_ROOTS].first)
            break;
        must(pthread_cond_wait(&pool->work, &pool->lock));
    }
    pool->alive--;
    must(pthread_cond_broadcast(&pool->work));
    must(pthread_cond_signal(&pool->done));
    must(pthread_mutex_unlock(&pool->lock));
    return NULL;
}

int pool_new(unsigned threads, unsigned queue, struct pool **ret_pool, struct error *err)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    pool->ids = calloc(threads, sizeof(*pool->ids));
    if (!pool->ids) {
        free(pool);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    must(pthread_mutex_init(&pool->lock, NULL));
    must(pthread_cond_init(&pool->work, NULL));
    clock_steady_condition(&pool->done);
    pool->queue_max = queue;
    for (int i = 0; i < LANE_COUNT; i++) {
        pool->lanes[i].last = &pool->lanes[i].first;
        pool->lanes[i].running_max = i == LANE_ROOTS && threads > 1 ? threads / 2 : threads;
    }
    pool->alive = threads;
    for (pool->threads = 0; pool->threads < threads; pool->threads++) {
        if (pthread_create(&pool->ids[pool->threads], NULL, work, pool) == 0)
            continue;
        must(pthread_mutex_lock(&pool->lock));
        pool->alive = pool->threads;
        must(pthread_mutex_unlock(&pool->lock));
        pool_free(pool, 60000);
        return error_set(err, ERROR_NO_MEMORY, "a thread could not be started");
    }
    *ret_pool = pool;
    return 0;
}

bool pool_submit(struct pool *pool, enum lane lane, struct task *task, bool is_forced)
{
    struct queue *queue = &pool->lanes[lane];
    bool is_taken;

    task->next = NULL;
    must(pthread_mutex_lock(&pool->lock));
    is_taken = is_forced || queue->queued < pool->queue_max;
    if (is_taken) {
        *queue->last = task;
        queue->last = &task->next;
        queue->queued++;
        must(pthread_cond_signal(&pool->work));
    }
    must(pthread_mutex_unlock(&pool->lock));
    return is_taken;
}

bool pool_free(struct pool *pool, unsigned timeout_ms)
{
    struct timespec until = clock_steady_after(timeout_ms);
    int rc = 0;

    if (!pool)
        return true;
    must(pthread_mutex_lock(&pool->lock));
    pool->is_ending = true;
    must(pthread_cond_broadcast(&pool->work));
    while (pool->alive > 0 && rc == 0)
        rc = pthread_cond_timedwait(&pool->done, &pool->lock, &until);
    must(pthread_mutex_unlock(&pool->lock));
    if (rc == ETIMEDOUT) {
        for (unsigned i = 0; i < pool->threads; i++)
            must(pthread_detach(pool->ids[i]));
        return false;
    }
    must(rc);
    for (unsigned i = 0; i < pool->threads; i++)
        must(pthread_join(pool->ids[i], NULL));
    must(pthread_cond_destroy(&pool->work));
    must(pthread_cond_destroy(&pool->done));
    must(pthread_mutex_destroy(&pool->lock));
    free(pool->ids);
    free(pool);
    return true;
}
