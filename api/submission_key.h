/* Idempotency-Key: its syntax, and the digest of what it stands for. */
#ifndef API_SUBMISSION_KEY_H
#define API_SUBMISSION_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "api/digest.h"
#include "api/request.h"

enum { KEY_BYTES_MAX = 255 };

/* The key of the field, as a quoted string (draft-ietf-httpapi-idempotency-key) or bare: 1 to 255 visible ASCII
 * characters. False when it is neither. A bare one holds no comma, which would be two fields joined. */
bool submission_key_read(const char *field, char ret_key[KEY_BYTES_MAX + 1]);

/* Something that belongs to a submission beside its JSON. */
struct submission_part {
    const char *name, *sha256;
};

/* Digest of the request in its canonical form and of the parts that came with it; ERROR_NO_MEMORY. */
int submission_digest(const struct job_request *request, const struct submission_part *parts, size_t count,
                      char ret_hex[SHA256_HEX_BYTES]);

#endif
