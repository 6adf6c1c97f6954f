/* What handlers may ask (api/backend.h), answered by the service's own parts. */
#ifndef SERVER_BACKEND_H
#define SERVER_BACKEND_H

#include <stdatomic.h>

#include "api/backend.h"
#include "server/held_keys.h"
#include "server/jobs/blobs.h"
#include "server/jobs/dispatcher.h"
#include "server/jobs/store.h"
#include "server/metrics.h"
#include "server/roots.h"
#include "server/uploads/uploads.h"
#include "server/webhooks/webhooks.h"

/* Work that was shed at the door. */
enum refusal {
    REFUSED_QUEUE_FULL,
    REFUSED_KEY_QUOTA,
    REFUSED_NO_SPACE,
    REFUSED_TOO_LARGE,
    REFUSED_ENDING,
    REFUSAL_COUNT
};
extern const char *const refusal_names[REFUSAL_COUNT]; /* "queue_full", … */

struct status_sources;

struct service_backend {
    struct backend base; /* first: ops is service_backend_ops */
    struct job_store *store;
    struct blob_store *results;
    struct dispatcher *dispatcher;
    struct uploads uploads;
    struct held_keys held_keys;
    struct webhooks *webhooks; /* NULL: there is no secret to sign with */
    const struct roots *roots;
    struct metrics metrics;
    atomic_bool is_draining;
    _Atomic uint64_t refused[REFUSAL_COUNT]; /* jobs and uploads, since the start */
    const struct status_sources *status;     /* borrowed */
    /* Optional: a job is not what it was; for those who wait for it. */
    void (*changed)(void *context, const char *id, bool is_progress);
    void *context;
};

extern const struct backend_ops service_backend_ops;

#endif
