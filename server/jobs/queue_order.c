/* A sorted array with a moving front: jobs come at the back and go at the front, where nothing is moved. Only a job
 * that was cancelled or given back costs a memmove of a few kilobytes. */
#include "server/jobs/queue_order.h"

#include <stdlib.h>
#include <string.h>

#include "server/must.h"

void queue_order_init(struct queue_order *order)
{
    *order = (struct queue_order){.count = 0};
    must(pthread_mutex_init(&order->lock, NULL));
}

void queue_order_done(struct queue_order *order)
{
    pthread_mutex_destroy(&order->lock);
    free(order->seqs);
}

/* How many are below seq; with the lock held. */
static size_t rank(const struct queue_order *order, int64_t seq)
{
    const int64_t *seqs = order->seqs + order->first;
    size_t low = 0, high = order->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (seqs[middle] < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for one more at the back; with the lock held. */
static int make_room(struct queue_order *order)
{
    size_t capacity = 2 * order->count + 64;
    int64_t *seqs;

    if (order->first + order->count < order->capacity)
        return 1;
    seqs = calloc(capacity, sizeof(*seqs));
    if (!seqs)
        return 0;
    if (order->count)
        memcpy(seqs, order->seqs + order->first, order->count * sizeof(*seqs));
    free(order->seqs);
    order->seqs = seqs;
    order->first = 0;
    order->capacity = capacity;
    return 1;
}

void queue_order_add(struct queue_order *order, int64_t seq)
{
    size_t at;

    must(pthread_mutex_lock(&order->lock));
    at = rank(order, seq);
    if ((at == order->count || order->seqs[order->first + at] != seq) && make_room(order)) {
        int64_t *place = order->seqs + order->first + at;

        memmove(place + 1, place, (order->count - at) * sizeof(*place));
        *place = seq;
        order->count++;
    }
    must(pthread_mutex_unlock(&order->lock));
}

void queue_order_remove(struct queue_order *order, int64_t seq)
{
    size_t at;

    must(pthread_mutex_lock(&order->lock));
    at = rank(order, seq);
    if (at < order->count && order->seqs[order->first + at] == seq) {
        int64_t *place = order->seqs + order->first + at;

        order->count--;
        if (at == 0)
            order->first++;
        else
            memmove(place, place + 1, (order->count - at) * sizeof(*place));
    }
    must(pthread_mutex_unlock(&order->lock));
}

uint64_t queue_order_position(struct queue_order *order, int64_t seq)
{
    size_t at;
    int is_there;

    must(pthread_mutex_lock(&order->lock));
    at = rank(order, seq);
    is_there = at < order->count && order->seqs[order->first + at] == seq;
    must(pthread_mutex_unlock(&order->lock));
    return is_there ? at + 1 : 1;
}
