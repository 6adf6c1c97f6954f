/* The numbers of all jobs that wait, in order, so that a job's place in the queue is a search and not a count over the
 * table. Any thread. */
#ifndef SERVER_JOBS_QUEUE_ORDER_H
#define SERVER_JOBS_QUEUE_ORDER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct queue_order {
    pthread_mutex_t lock;
    int64_t *seqs; /* guarded by lock, as the rest: [first, first + count), ascending */
    size_t first, count, capacity;
};

void queue_order_init(struct queue_order *order);
void queue_order_done(struct queue_order *order);

/* A number that is there already, or no memory for it, changes nothing: its place then reads as 1. */
void queue_order_add(struct queue_order *order, int64_t seq);
void queue_order_remove(struct queue_order *order, int64_t seq);

/* 1 for the next one; also for a number that is not there, because it was claimed a moment ago. */
uint64_t queue_order_position(struct queue_order *order, int64_t seq);

#endif
