/* Header fields that are lists with parameters: Prefer, Accept, Accept-Encoding. */
#ifndef API_PREFER_H
#define API_PREFER_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds of Prefer: wait=N (RFC 7240), at most WAIT_SECONDS_MAX; 0 when not asked. header may be NULL. */
unsigned prefer_wait(const char *header);

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_NONE };
/* The content coding that Accept-Encoding likes best (RFC 9110 12.5.3); ENCODING_NONE when it refuses both. On a tie
 * gzip; not is_worthwhile: identity wherever it is not refused. header may be NULL. */
enum encoding encoding_choose(const char *header, bool is_worthwhile);

/* Which of the media types the Accept field likes best (RFC 9110 12.5.1): its index, −1 when none. On a tie the first;
 * no field means anything. */
int accept_choose(const char *header, const char *const *media_types, size_t count);

#endif
