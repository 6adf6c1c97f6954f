#include "core/fingerprint.h"

#include <string.h>

#include "core/compare.h"

static const char scheme[] = "sha256:";

void fingerprint_text(const uint8_t digest[DIGEST_BYTES], char out[FINGERPRINT_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out + sizeof(scheme) - 1;

    memcpy(out, scheme, sizeof(scheme) - 1);
    for (int i = 0; i < DIGEST_BYTES; i++) {
        *at++ = digits[digest[i] >> 4];
        *at++ = digits[digest[i] & 15];
    }
    *at = '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int fingerprint_parse(const char *text, uint8_t ret[DIGEST_BYTES], struct error *err)
{
    bool is_good = strncmp(text, scheme, sizeof(scheme) - 1) == 0;
    const char *at = text + sizeof(scheme) - 1;
    uint8_t digest[DIGEST_BYTES];

    for (int i = 0; is_good && i < DIGEST_BYTES; i++, at += 2) {
        int high = digit_of(at[0]), low = high < 0 ? -1 : digit_of(at[1]);

        is_good = low >= 0;
        digest[i] = (uint8_t)(is_good ? high << 4 | low : 0);
    }
    if (!is_good || (*at && *at != ' ' && *at != '\n'))
        return error_set(err, ERROR_REQUEST, "must be sha256: and 64 hexadecimal digits, not \"%.100s\"", text);
    memcpy(ret, digest, DIGEST_BYTES);
    return 0;
}

int fingerprint_of(const struct comparison *c, struct fingerprint *ret, struct error *err)
{
    struct digest *names = NULL, *all = NULL;
    struct fingerprint fingerprint = {.tensors = 0};
    int rc = digest_new(&names, err);

    if (rc == 0)
        rc = digest_new(&all, err);
    if (rc == 0)
        rc = digest_begin_plain(all, err);
    for (size_t pair = 0; rc == 0 && pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, 0);
        uint8_t name[DIGEST_BYTES];

        rc = digest_unit(names, tensor->name.text, tensor->name.bytes, name, err);
        if (rc == 0)
            rc = digest_add_unit(all, name, err);
        if (rc == 0)
            rc = digest_add_unit(all, c->scan->digests[pair], err);
        fingerprint.tensors++;
    }
    if (rc == 0)
        rc = digest_end(all, fingerprint.digest, err);
    if (rc == 0)
        *ret = fingerprint;
    digest_free(names);
    digest_free(all);
    return rc;
}
