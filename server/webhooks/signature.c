#include "server/webhooks/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/structured.h"
#include "server/libcrypto.h"

int webhook_secret_parse(const char *text, struct webhook_secret *ret, struct error *err)
{
    static const char prefix[] = "whsec_", blanks[] = " \t\r\n";
    size_t bytes;

    text += strspn(text, blanks);
    bytes = strcspn(text, blanks);
    if (text[bytes + strspn(text + bytes, blanks)] == '\0' && strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
        text += sizeof(prefix) - 1;
        bytes -= sizeof(prefix) - 1;
        for (size_t count = WEBHOOK_SECRET_MIN; count <= WEBHOOK_SECRET_MAX; count++)
            if (base64_decode_exactly(text, bytes, ret->bytes, count)) {
                ret->count = count;
                return 0;
            }
    }
    return error_set(err, ERROR_REQUEST, "the webhook secret is not whsec_ and the base64 of %d to %d bytes",
                     WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
}

int webhook_secret_read(const char *path, struct webhook_secret *ret, struct error *err)
{
    FILE *file = fopen(path, "re");
    char text[512];
    size_t bytes;

    if (!file)
        return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_READ, "--webhook-secret-file %.300s: %s", path,
                         strerrordesc_np(errno));
    bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = '\0';
    return webhook_secret_parse(text, ret, err);
}

int webhook_sign(const struct webhook_secret *secret, const char *id, int64_t timestamp_s, const char *body,
                 size_t body_bytes, char ret_signature[SIGNATURE_BYTES], struct error *err)
{
    unsigned char mac[32];
    char *text = malloc(strlen(id) + 24 + body_bytes);
    unsigned mac_bytes = sizeof(mac);
    size_t used;
    bool is_good;

    if (!text)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a webhook");
    used = (size_t)snprintf(text, strlen(id) + 24, "%s.%" PRId64 ".", id, timestamp_s);
    memcpy(text + used, body, body_bytes);
    is_good = libcrypto()->HMAC(libcrypto()->EVP_sha256(), secret->bytes, (int)secret->count,
                                (const unsigned char *)text, used + body_bytes, mac, &mac_bytes) != NULL;
    free(text);
    if (!is_good)
        return error_set(err, ERROR_INTERNAL, "HMAC failed");
    memcpy(ret_signature, "v1,", 3);
    libcrypto()->EVP_EncodeBlock((unsigned char *)ret_signature + 3, mac, sizeof(mac));
    return 0;
}
