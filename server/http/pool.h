/* A bounded set of threads for handlers that may block. Tasks of the roots lane never take more than half of it, so
 * that a hung file system leaves room for the others. */
#ifndef SERVER_HTTP_POOL_H
#define SERVER_HTTP_POOL_H

#include <stdbool.h>

#include "core/error.h"

enum lane { LANE_STORE, LANE_ROOTS, LANE_COUNT };

/* Embedded in what it is about. */
struct task {
    struct task *next;
    void (*run)(struct task *);
};

struct pool;

int pool_new(unsigned threads, unsigned queue, struct pool **ret_pool, struct error *err);
/* False when the lane's queue is full; a forced task is always taken. */
bool pool_submit(struct pool *pool, enum lane lane, struct task *task, bool is_forced);
/* Runs what is queued, then ends the threads and frees. Gives up on threads that are stuck for timeout_ms: these and
 * the pool's memory stay behind, and it returns false. */
bool pool_free(struct pool *pool, unsigned timeout_ms);

#endif
