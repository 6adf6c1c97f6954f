/* Tells callers of the ends of their jobs: POSTs the job to its callback_url, signed, until that says 2xx, 410, or not
 * after all attempts. What is to be done stands in the store, so that a restart goes on; a delivery that a kill cut off
 * is made again under the same webhook-id. */
#ifndef SERVER_WEBHOOKS_WEBHOOKS_H
#define SERVER_WEBHOOKS_WEBHOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "server/jobs/store.h"
#include "server/webhooks/allowance.h"
#include "server/webhooks/signature.h"

enum { WEBHOOK_ATTEMPTS = 5, WEBHOOK_URL_BYTES_MAX = 2048 };

struct webhook_settings {
    struct job_store *store; /* borrowed */
    const char *secret_file;
    const char *const *allowed; /* as allowance_init takes them */
    size_t allowed_count;
    int64_t delays_ms[WEBHOOK_ATTEMPTS - 1]; /* after the first attempt, the second, … */
    int64_t timeout_ms;                      /* of one attempt */
    /* Optional: a delivery is not what it was. */
    void (*changed)(void *context, const char *job_id);
    void *context;
};
void webhook_settings_init(struct webhook_settings *settings); /* delays of 1 s, 10 s, 1 min and 5 min; 15 s */

struct webhooks;

/* Loads libcurl and starts the thread. */
int webhooks_start(const struct webhook_settings *settings, struct webhooks **ret, struct error *err);
/* A job has ended. Cheap. */
void webhooks_wake(struct webhooks *webhooks);
/* Whether a job may ask for this. ERROR_REQUEST with what is wrong with it. */
int webhooks_check_url(struct webhooks *webhooks, const char *url, struct error *err);
/* Attempts that left a delivery in that state since the start: delivered, failed for good, or due again. Any thread. */
uint64_t webhooks_attempts(struct webhooks *webhooks, enum callback_state state);
/* Cuts off what is under way. NULL is fine. */
void webhooks_stop(struct webhooks *webhooks);

#endif
