/* Server-sent events of a job: what one event says. Who sends them, and how often, is server/http/events.c's. */
#ifndef API_RESOURCES_EVENTS_H
#define API_RESOURCES_EVENTS_H

#include "api/exchange.h"

struct event {
    char *text; /* owned; ends with its blank line */
    size_t bytes;
    uint64_t version; /* of the job as told */
    bool is_last;     /* the job has ended, or is gone */
};

/* Tells how the job is now: `progress`, or `end`, or `deleted`. Fails when the backend cannot say now; may block. */
int event_read(struct backend *backend, const char *job_id, struct event *ret, struct error *err);

#endif
