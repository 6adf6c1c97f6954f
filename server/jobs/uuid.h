/* UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits; as text, so that names in a directory sort by age.
 */
#ifndef SERVER_JOBS_UUID_H
#define SERVER_JOBS_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UUID_TEXT_BYTES = 37 }; /* with its NUL */

void uuid_new(int64_t unix_ms, char out[UUID_TEXT_BYTES]);

/* Whether the first `bytes` bytes of text are a UUID as uuid_new spells it: lower-case hex and dashes, 36 of them. */
bool uuid_is_valid(const char *text, size_t bytes);

#endif
