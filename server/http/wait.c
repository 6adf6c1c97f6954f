/* What runs on the pool, and Prefer: wait. A handler that wants to wait is registered first and asked again at once, so
 * that a job that ends in between is not missed; then it is parked, without a thread, until the job changes, its time
 * is up, or its client leaves. */
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "server/http/front.h"

static bool waiter_add(struct exchange *exchange)
{
    struct waiters *waiters = &exchange->http->waiters;
    bool is_added;

    must(pthread_mutex_lock(&waiters->lock));
    is_added = !waiters->is_ending && waiters->count < exchange->http->config.max_waiters;
    if (is_added) {
        memcpy(exchange->wait_job, exchange->response.wait.job_id, sizeof(exchange->wait_job));
        exchange->request.waited.is_replay = exchange->response.wait.is_replay;
        exchange->wait_deadline_ms = clock_steady_ms() + 1000 * (int64_t)exchange->response.wait.seconds;
        exchange->wait_serial = ++waiters->next_serial;
        exchange->is_waiter = true;
        exchange->wait_previous = NULL;
        exchange->wait_next = waiters->first;
        if (waiters->first)
            waiters->first->wait_previous = exchange;
        waiters->first = exchange;
        waiters->count++;
    }
    must(pthread_mutex_unlock(&waiters->lock));
    return is_added;
}

/* Under the lock. */
static void unlink_waiter(struct waiters *waiters, struct exchange *exchange)
{
    if (exchange->wait_previous)
        exchange->wait_previous->wait_next = exchange->wait_next;
    else
        waiters->first = exchange->wait_next;
    if (exchange->wait_next)
        exchange->wait_next->wait_previous = exchange->wait_previous;
    waiters->count--;
    exchange->is_waiter = false;
}

static void forget_waiter(struct exchange *exchange)
{
    struct waiters *waiters = &exchange->http->waiters;

    must(pthread_mutex_lock(&waiters->lock));
    if (exchange->is_waiter)
        unlink_waiter(waiters, exchange);
    must(pthread_mutex_unlock(&waiters->lock));
}

/* Under the lock: nothing changed since the job was looked at. */
static void park(struct waiters *waiters, struct exchange *exchange)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.u64 = exchange->wait_serial};

    exchange->is_parked = true;
    epoll_ctl(waiters->epoll, EPOLL_CTL_ADD, exchange->connection->fd, &event);
}

static void unpark(struct waiters *waiters, struct exchange *exchange)
{
    exchange->is_parked = false;
    epoll_ctl(waiters->epoll, EPOLL_CTL_DEL, exchange->connection->fd, NULL);
}

/* Under the lock. */
static void wake(struct waiters *waiters, struct exchange *exchange)
{
    exchange->is_wait_changed = true;
    if (!exchange->is_parked)
        return;
    unpark(waiters, exchange);
    flight_set_deadline(exchange, clock_steady_ms() + exchange->http->config.pool_timeout_ms);
    /* Their number is bounded already. */
    pool_submit(exchange->http->pool, LANE_STORE, &exchange->task, true);
}

/* Whether the exchange is to be asked again, and if not, whether it was parked. Not to be touched when it was. */
enum next_step { STEP_ASK, STEP_PARKED, STEP_DONE };

static enum next_step next_step(struct exchange *exchange)
{
    struct waiters *waiters = &exchange->http->waiters;
    enum next_step step = STEP_DONE;

    must(pthread_mutex_lock(&waiters->lock));
    if (exchange->response.wait.seconds == 0 || atomic_load(&exchange->outcome) != OUTCOME_PENDING) {
        unlink_waiter(waiters, exchange);
    } else if (exchange->is_wait_changed || exchange->is_wait_over) {
        step = STEP_ASK;
    } else {
        flight_set_deadline(exchange, INT64_MAX);
        if (atomic_load(&exchange->outcome) == OUTCOME_PENDING) {
            park(waiters, exchange);
            step = STEP_PARKED;
        } else { /* it had struck already */
            unlink_waiter(waiters, exchange);
        }
    }
    must(pthread_mutex_unlock(&waiters->lock));
    return step;
}

static void ask_again(struct exchange *exchange)
{
    struct waiters *waiters = &exchange->http->waiters;

    must(pthread_mutex_lock(&waiters->lock));
    exchange->is_wait_changed = false;
    exchange->request.waited.job_id = exchange->wait_job;
    exchange->request.waited.is_over = exchange->is_wait_over;
    must(pthread_mutex_unlock(&waiters->lock));
    response_done(&exchange->response);
    response_init(&exchange->response);
    route_run(&exchange->request, exchange->http->backend, &exchange->response);
}

/* What the response asks for, or goes on with. False: parked. */
static bool await(struct exchange *exchange)
{
    enum next_step step = STEP_ASK;

    if (!exchange->is_waiter && (exchange->response.wait.seconds == 0 || !waiter_add(exchange)))
        return true;
    while (step == STEP_ASK) {
        ask_again(exchange);
        step = next_step(exchange);
    }
    return step == STEP_DONE;
}

void exchange_run(struct task *task)
{
    struct exchange *exchange = (struct exchange *)task;
    const struct route_stream *stream = exchange->match.route->stream;
    void *state = exchange->stream;

    if (exchange->work == WORK_ABANDON) {
        stream->abandon(state);
        exchange->stream = NULL;
        exchange_release(exchange);
        return;
    }
    /* Its time ran out in the queue, and its client was told. */
    if (atomic_load(&exchange->outcome) != OUTCOME_PENDING) {
        forget_waiter(exchange);
        exchange_release(exchange);
        return;
    }
    switch (exchange->work) {
    case WORK_HANDLE:
        if (!exchange->is_waiter)
            route_run(&exchange->request, exchange->http->backend, &exchange->response);
        if (!await(exchange))
            return;
        break;
    case WORK_BEGIN:
        route_begin(&exchange->request, exchange->http->backend, &exchange->stream, &exchange->response);
        break;
    case WORK_APPEND:
        if (stream->append(&exchange->request, state, exchange->body, exchange->piece_bytes, &exchange->response)) {
            response_finish(&exchange->request, &exchange->response);
            exchange->is_answered = true;
        }
        break;
    case WORK_ABANDON:
        break;
    case WORK_FINISH:
        exchange->stream = NULL;
        exchange->work = WORK_HANDLE; /* should it be asked again */
        stream->finish(&exchange->request, exchange->http->backend, state, &exchange->response);
        response_finish(&exchange->request, &exchange->response);
        if (!await(exchange))
            return;
        break;
    }
    flight_settle(exchange, OUTCOME_DONE);
    exchange_release(exchange);
}

void waiters_changed(struct http *http, const char *job_id)
{
    must(pthread_mutex_lock(&http->waiters.lock));
    for (struct exchange *e = http->waiters.first; e; e = e->wait_next)
        if (strcmp(e->wait_job, job_id) == 0)
            wake(&http->waiters, e);
    must(pthread_mutex_unlock(&http->waiters.lock));
}

void waiters_check(struct http *http, int64_t now)
{
    must(pthread_mutex_lock(&http->waiters.lock));
    for (struct exchange *e = http->waiters.first; e; e = e->wait_next)
        if (!e->is_wait_over && now >= e->wait_deadline_ms) {
            e->is_wait_over = true;
            wake(&http->waiters, e);
        }
    must(pthread_mutex_unlock(&http->waiters.lock));
}

void waiters_end(struct http *http)
{
    must(pthread_mutex_lock(&http->waiters.lock));
    http->waiters.is_ending = true;
    for (struct exchange *e = http->waiters.first; e; e = e->wait_next) {
        e->is_wait_over = true;
        wake(&http->waiters, e);
    }
    must(pthread_mutex_unlock(&http->waiters.lock));
}

void waiters_gone(struct http *http, uint64_t serial)
{
    struct exchange *gone;

    must(pthread_mutex_lock(&http->waiters.lock));
    gone = http->waiters.first;
    while (gone && (gone->wait_serial != serial || !gone->is_parked))
        gone = gone->wait_next;
    if (gone) {
        unpark(&http->waiters, gone);
        unlink_waiter(&http->waiters, gone);
    }
    must(pthread_mutex_unlock(&http->waiters.lock));
    if (!gone)
        return;
    flight_settle(gone, OUTCOME_GONE);
    exchange_release(gone);
}
