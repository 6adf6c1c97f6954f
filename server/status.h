/* GET /v1/status: what holds here and now. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include "server/backend.h"
#include "server/config.h"
#include "server/http.h"
#include "server/jobs/capacity.h"
#include "server/jobs/sweeper.h"

/* What the status is read from beside the backend's own parts; borrowed. */
struct status_sources {
    const struct config *config;
    const struct capacity *capacity;
    const struct capacity_plan *plan;
    const struct sweeper *sweeper;
    struct http *_Atomic *http;
    int64_t start_ms; /* wall time */
};

/* The document, malloc'ed. ERROR_NO_MEMORY. */
int status_describe(struct service_backend *backend, char **ret_json, size_t *ret_bytes, struct error *err);

#endif
