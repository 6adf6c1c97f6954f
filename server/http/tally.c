/* Plain counters with relaxed order: they are read for metrics only, and two threads that add to one cache line cost
 * each other less than a tenth of a microsecond. */
#include "server/http/tally.h"

#include <stdatomic.h>
#include <stdlib.h>

const int http_statuses[HTTP_STATUSES] = {0,
                                          200,
                                          201,
                                          202,
                                          204,
                                          206,
                                          304,
                                          400,
                                          401,
                                          403,
                                          404,
                                          405,
                                          406,
                                          408,
                                          409,
                                          413,
                                          415,
                                          416,
                                          421,
                                          422,
                                          429,
                                          431,
                                          500,
                                          501,
                                          502,
                                          503,
                                          504,
                                          507,
                                          HTTP_STATUS_OTHER};

const double http_duration_bounds[HTTP_DURATION_BUCKETS - 1] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                                0.1,    0.25,  0.5,    1,     2.5,  10,    60};

struct tally_row {
    _Atomic uint64_t by_status[HTTP_STATUSES], by_duration[HTTP_DURATION_BUCKETS], nanoseconds;
};

int tally_init(struct tally *tally, struct error *err)
{
    tally->rows = calloc(route_count + 1, sizeof(*tally->rows));
    return tally->rows ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");
}

void tally_done(struct tally *tally)
{
    free(tally->rows);
    tally->rows = NULL;
}

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

void tally_add(struct tally *tally, const struct route *route, int status, int64_t nanoseconds)
{
    struct tally_row *row = &tally->rows[route ? (size_t)(route - routes) : route_count];
    size_t s = 0, d = 0;

    while (s < HTTP_STATUSES - 1 && http_statuses[s] != status)
        s++;
    while (d < HTTP_DURATION_BUCKETS - 1 && (double)nanoseconds > 1e9 * http_duration_bounds[d])
        d++;
    add(&row->by_status[s], 1);
    add(&row->by_duration[d], 1);
    add(&row->nanoseconds, nanoseconds > 0 ? (uint64_t)nanoseconds : 0);
}

void tally_read(const struct tally *tally, size_t index, struct http_route_counters *ret)
{
    const struct tally_row *row = &tally->rows[index];

    for (size_t s = 0; s < HTTP_STATUSES; s++)
        ret->by_status[s] = atomic_load_explicit(&row->by_status[s], memory_order_relaxed);
    for (size_t d = 0; d < HTTP_DURATION_BUCKETS; d++)
        ret->by_duration[d] = atomic_load_explicit(&row->by_duration[d], memory_order_relaxed);
    ret->seconds = (double)atomic_load_explicit(&row->nanoseconds, memory_order_relaxed) / 1e9;
}
