/* Header fields that are lists with parameters: Prefer and Accept. */
#ifndef API_PREFER_H
#define API_PREFER_H

#include <stddef.h>

/* Seconds of Prefer: wait=N (RFC 7240), at most WAIT_SECONDS_MAX; 0 when not asked. header may be NULL. */
unsigned prefer_wait(const char *header);

/* Which of the media types the Accept field likes best (RFC 9110 12.5.1): its index, −1 when none. On a tie the first;
 * no field means anything. */
int accept_choose(const char *header, const char *const *media_types, size_t count);

#endif
