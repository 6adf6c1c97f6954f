/* How long things took, counted in buckets. Any thread observes, any thread reads; a reader may see an observation that
 * another is adding half counted, which a later reading makes good. */
#ifndef SERVER_HISTOGRAM_H
#define SERVER_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 15 };

struct histogram {
    const double *bounds; /* seconds, ascending; static */
    size_t bound_count;
    /* Counters: relaxed, for nothing is ordered by them. */
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1], nanoseconds;
};

static inline void histogram_init(struct histogram *histogram, const double *bounds, size_t bound_count)
{
    *histogram = (struct histogram){.bounds = bounds, .bound_count = bound_count};
}

static inline void histogram_observe(struct histogram *histogram, int64_t nanoseconds)
{
    uint64_t spent = nanoseconds > 0 ? (uint64_t)nanoseconds : 0;
    size_t i = 0;

    while (i < histogram->bound_count && (double)spent > histogram->bounds[i] * 1e9)
        i++;
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->nanoseconds, spent, memory_order_relaxed);
}

#endif
