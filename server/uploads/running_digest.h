/* SHA-256 whose state can be put away and taken up again, in another process too: an upload of many gigabytes that is
 * continued after a restart is not read again. libcrypto's EVP interface has no way to do so in OpenSSL 3, so this uses
 * the older one beneath it, which runs the same code. */
#ifndef SERVER_UPLOADS_RUNNING_DIGEST_H
#define SERVER_UPLOADS_RUNNING_DIGEST_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/jobs/store.h" /* DIGEST_STATE_BYTES: chaining value, bytes hashed, the block that is not full yet */

struct running_digest {
    SHA256_CTX context;
    uint64_t bytes; /* hashed so far */
};

void running_digest_init(struct running_digest *digest);
void running_digest_add(struct running_digest *digest, const void *data, size_t bytes);
void running_digest_end(struct running_digest *digest, unsigned char out[32]);

void running_digest_save(const struct running_digest *digest, unsigned char out[DIGEST_STATE_BYTES]);
void running_digest_restore(struct running_digest *digest, const unsigned char state[DIGEST_STATE_BYTES]);

#endif
