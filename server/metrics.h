/* Everything that /metrics shows: one table of families, read when somebody asks. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stdint.h>

#include "api/render/exposition.h"
#include "server/http.h"

struct service_backend;

/* What metrics are read from beside the backend's own parts; borrowed. */
struct metrics {
    struct http *_Atomic *http;
    uint64_t queue_limit, max_connections;
    int64_t start_ms; /* wall time */
};

/* Writes every family with its series. */
void metrics_write(struct service_backend *backend, struct exposition *out);

#endif
