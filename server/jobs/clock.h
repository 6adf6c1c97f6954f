/* Two clocks: wall time for what people read, time since boot for every deadline. */
#ifndef SERVER_JOBS_CLOCK_H
#define SERVER_JOBS_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}
static inline int64_t clock_steady_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

/* The point in time `ms` from now, for condition variables that run on CLOCK_MONOTONIC. */
static inline struct timespec clock_steady_after(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

#endif
