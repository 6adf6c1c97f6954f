/* pthread calls that can only fail by a defect of this program. */
#ifndef SERVER_HTTP_MUST_H
#define SERVER_HTTP_MUST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "diffaid: a thread primitive failed with error %d\n", rc);
    abort();
}

/* CLOCK_MONOTONIC. */
static inline int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t now_ms(void)
{
    return now_ns() / 1000000;
}

#endif
