#include "api/digest.h"

#include <string.h>

#include "api/structured.h"

void sha256_spell(const unsigned char digest[32], char out[SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
}

/* Of members with one key the last one counts. */
static bool read_field(const char *field, char hex[SHA256_HEX_BYTES])
{
    struct structured_member member;
    unsigned char digest[32];
    bool has;

    hex[0] = '\0';
    if (!field)
        return true;
    while (structured_member(&field, &member, &has)) {
        if (!has)
            return true;
        if (member.key_bytes != 7 || memcmp(member.key, "sha-256", 7) != 0)
            continue;
        if (member.item.kind != STRUCTURED_BYTES ||
            !base64_decode_exactly(member.item.text, member.item.bytes, digest, sizeof(digest)))
            return false;
        sha256_spell(digest, hex);
    }
    return false;
}

bool digest_read(const char *repr_digest, const char *content_digest, char ret_hex[SHA256_HEX_BYTES])
{
    char repr[SHA256_HEX_BYTES], content[SHA256_HEX_BYTES];

    if (!read_field(repr_digest, repr) || !read_field(content_digest, content) ||
        (repr[0] && content[0] && strcmp(repr, content) != 0))
        return false;
    memcpy(ret_hex, repr[0] ? repr : content, SHA256_HEX_BYTES);
    return true;
}
