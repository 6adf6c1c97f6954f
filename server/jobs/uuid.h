/* UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits; as text, so that names in a directory sort by age.
 */
#ifndef SERVER_JOBS_UUID_H
#define SERVER_JOBS_UUID_H

#include <stdint.h>

#include "api/backend.h"

void uuid_new(int64_t unix_ms, char out[JOB_ID_BYTES]);

#endif
