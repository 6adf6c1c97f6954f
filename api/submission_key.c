#include "api/submission_key.h"

#include <stdlib.h>
#include <string.h>

#include "api/structured.h"
#include "core/libcrypto.h"

bool submission_key_read(const char *field, char ret_key[KEY_BYTES_MAX + 1])
{
    struct structured_item item = {.text = field, .bytes = strlen(field)};
    size_t used = 0;

    if (field[0] == '"' && (!structured_item(field, &item) || item.kind != STRUCTURED_STRING))
        return false;
    for (size_t i = 0; i < item.bytes; i++) {
        char c = item.text[i];

        if (c == '\\' && field[0] == '"')
            c = item.text[++i];
        if (c <= 0x20 || c == 0x7f || (field[0] != '"' && c == ',') || used == KEY_BYTES_MAX)
            return false;
        ret_key[used++] = c;
    }
    ret_key[used] = '\0';
    return used > 0;
}

/* Each text with its NUL, so that no two lists of texts run together the same. */
static bool add(const struct libcrypto *crypto, EVP_MD_CTX *digest, const char *text)
{
    return crypto->EVP_DigestUpdate(digest, text ? text : "", (text ? strlen(text) : 0) + 1) == 1;
}

int submission_digest(const struct job_request *request, const struct submission_part *parts, size_t count,
                      char ret_hex[SHA256_HEX_BYTES])
{
    struct libcrypto crypto;
    EVP_MD_CTX *digest;
    unsigned char bytes[EVP_MAX_MD_SIZE];
    bool is_good;
    char *text;

    if (libcrypto_load(&crypto, NULL))
        return ERROR_NO_MEMORY; /* it was there when the service started */
    text = job_request_text(request);
    digest = crypto.EVP_MD_CTX_new();
    is_good = text && digest && crypto.EVP_DigestInit_ex(digest, crypto.EVP_sha256(), NULL) == 1 &&
              add(&crypto, digest, text) && add(&crypto, digest, request->labels) &&
              add(&crypto, digest, request->callback_url);
    for (size_t i = 0; is_good && i < count; i++)
        is_good = add(&crypto, digest, parts[i].name) && add(&crypto, digest, parts[i].sha256);
    is_good = is_good && crypto.EVP_DigestFinal_ex(digest, bytes, NULL) == 1;
    if (is_good)
        sha256_spell(bytes, ret_hex);
    crypto.EVP_MD_CTX_free(digest);
    free(text);
    return is_good ? 0 : ERROR_NO_MEMORY;
}
