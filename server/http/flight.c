/* Exchanges whose connection is suspended while the pool works on them. Whoever settles one first decides what the
 * client gets: the handler, its deadline, the client's departure, or the end of the service. */
#include "server/http/front.h"

bool flight_add(struct exchange *exchange, int64_t deadline_ms)
{
    struct flight *flight = &exchange->http->flight;
    bool is_open;

    must(pthread_mutex_lock(&flight->lock));
    is_open = !atomic_load(&exchange->http->is_stopping);
    if (is_open) {
        atomic_store(&exchange->outcome, OUTCOME_PENDING);
        exchange->flight_deadline_ms = deadline_ms;
        exchange->flight_previous = NULL;
        exchange->flight_next = flight->first;
        if (flight->first)
            flight->first->flight_previous = exchange;
        flight->first = exchange;
    }
    must(pthread_mutex_unlock(&flight->lock));
    return is_open;
}

void flight_set_deadline(struct exchange *exchange, int64_t deadline_ms)
{
    must(pthread_mutex_lock(&exchange->http->flight.lock));
    exchange->flight_deadline_ms = deadline_ms;
    must(pthread_mutex_unlock(&exchange->http->flight.lock));
}

/* Under the lock. */
static bool settle(struct exchange *exchange, enum outcome outcome)
{
    int expected = OUTCOME_PENDING;

    if (!atomic_compare_exchange_strong(&exchange->outcome, &expected, (int)outcome))
        return false;
    if (exchange->flight_previous)
        exchange->flight_previous->flight_next = exchange->flight_next;
    else
        exchange->http->flight.first = exchange->flight_next;
    if (exchange->flight_next)
        exchange->flight_next->flight_previous = exchange->flight_previous;
    if (outcome == OUTCOME_TIMED_OUT) /* counted before the client can know */
        atomic_fetch_add_explicit(&exchange->http->timed_out, 1, memory_order_relaxed);
    /* From here on the connection may end, and with it its hold on the exchange. */
    libmicrohttpd.MHD_resume_connection(exchange->mhd);
    return true;
}

bool flight_settle(struct exchange *exchange, enum outcome outcome)
{
    struct flight *flight = &exchange->http->flight;
    bool is_settled;

    must(pthread_mutex_lock(&flight->lock));
    is_settled = settle(exchange, outcome);
    must(pthread_mutex_unlock(&flight->lock));
    return is_settled;
}

void flight_check(struct http *http, int64_t now)
{
    struct exchange *next;

    must(pthread_mutex_lock(&http->flight.lock));
    for (struct exchange *e = http->flight.first; e; e = next) {
        next = e->flight_next;
        if (now >= e->flight_deadline_ms)
            settle(e, OUTCOME_TIMED_OUT);
    }
    must(pthread_mutex_unlock(&http->flight.lock));
}

void flight_stop(struct http *http)
{
    must(pthread_mutex_lock(&http->flight.lock));
    atomic_store(&http->is_stopping, true);
    while (http->flight.first)
        settle(http->flight.first, OUTCOME_TIMED_OUT);
    must(pthread_mutex_unlock(&http->flight.lock));
}
