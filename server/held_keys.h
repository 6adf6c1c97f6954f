/* Idempotency keys of submissions that are under way. */
#ifndef SERVER_HELD_KEYS_H
#define SERVER_HELD_KEYS_H

#include <pthread.h>

#include "core/error.h"

struct held_key;

struct held_keys {
    pthread_mutex_t lock;
    struct held_key *first; /* guarded by lock: as many as there are requests on their way, which the front bounds */
};

void held_keys_init(struct held_keys *keys);
/* ERROR_CONFLICT: it is held; ERROR_NO_MEMORY. */
int held_keys_add(struct held_keys *keys, const char *owner, const char *key, struct error *err);
void held_keys_remove(struct held_keys *keys, const char *owner, const char *key); /* one that was added */

#endif
