#include "server/held_keys.h"

#include <stdlib.h>
#include <string.h>

#include "server/must.h"

struct held_key {
    struct held_key *next;
    size_t owner_bytes; /* with its NUL */
    char text[];        /* owner, key */
};

void held_keys_init(struct held_keys *keys)
{
    must(pthread_mutex_init(&keys->lock, NULL));
    keys->first = NULL;
}

/* Where the key hangs, or the end; under the lock. */
static struct held_key **find(struct held_keys *keys, const char *owner, const char *key)
{
    struct held_key **at = &keys->first;

    while (*at && (strcmp((*at)->text, owner) != 0 || strcmp((*at)->text + (*at)->owner_bytes, key) != 0))
        at = &(*at)->next;
    return at;
}

int held_keys_add(struct held_keys *keys, const char *owner, const char *key, struct error *err)
{
    size_t owner_bytes = strlen(owner) + 1, key_bytes = strlen(key) + 1;
    struct held_key *held = malloc(sizeof(*held) + owner_bytes + key_bytes), **at;
    int rc = 0;

    if (!held)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a key");
    held->next = NULL;
    held->owner_bytes = owner_bytes;
    memcpy(held->text, owner, owner_bytes);
    memcpy(held->text + owner_bytes, key, key_bytes);
    must(pthread_mutex_lock(&keys->lock));
    at = find(keys, owner, key);
    if (*at) {
        rc = error_set(err, ERROR_CONFLICT, "a submission with this key is under way");
    } else {
        *at = held;
        held = NULL;
    }
    must(pthread_mutex_unlock(&keys->lock));
    free(held);
    return rc;
}

void held_keys_remove(struct held_keys *keys, const char *owner, const char *key)
{
    struct held_key **at, *held;

    must(pthread_mutex_lock(&keys->lock));
    at = find(keys, owner, key);
    held = *at;
    if (held)
        *at = held->next;
    must(pthread_mutex_unlock(&keys->lock));
    free(held);
}
