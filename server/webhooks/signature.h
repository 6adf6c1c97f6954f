/* Standard Webhooks (standardwebhooks.com): the secret and the signature. */
#ifndef SERVER_WEBHOOKS_SIGNATURE_H
#define SERVER_WEBHOOKS_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum { WEBHOOK_SECRET_MAX = 64, WEBHOOK_SECRET_MIN = 24, SIGNATURE_BYTES = 48 };

struct webhook_secret {
    unsigned char bytes[WEBHOOK_SECRET_MAX];
    size_t count;
};

/* "whsec_" and base64 of 24 to 64 bytes, with blanks around it. ERROR_REQUEST. */
int webhook_secret_parse(const char *text, struct webhook_secret *ret, struct error *err);
/* The same, of a file. ERROR_NOT_FOUND, ERROR_READ. */
int webhook_secret_read(const char *path, struct webhook_secret *ret, struct error *err);

/* "v1," and base64 of HMAC-SHA256 over ID.TIMESTAMP.BODY. */
int webhook_sign(const struct webhook_secret *secret, const char *id, int64_t timestamp_s, const char *body,
                 size_t body_bytes, char ret_signature[SIGNATURE_BYTES], struct error *err);

#endif
