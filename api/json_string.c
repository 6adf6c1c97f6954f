#include "api/json_string.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

/* The escape of a character that may not stand as it is, all of them below U+10000; length 0: it is no character. */
static size_t escape(size_t length, uint32_t code, char out[8])
{
    static const char shorts[] = "\"\"\\\\\nn\rr\tt";

    if (length == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    for (size_t i = 0; i + 1 < sizeof(shorts); i += 2)
        if (code == (unsigned char)shorts[i]) {
            out[0] = '\\';
            out[1] = shorts[i + 1];
            return 2;
        }
    return (size_t)snprintf(out, 8, "\\u%04x", (unsigned)code & 0xffff);
}

void json_string_write(const char *text, size_t bytes, void (*put)(void *context, const char *piece, size_t bytes),
                       void *context)
{
    size_t plain = 0, at = 0; /* [plain, at) needs no escape and is not written yet */

    put(context, "\"", 1);
    while (at < bytes) {
        unsigned char c = (unsigned char)text[at];
        char escaped[8];
        uint32_t code = c;
        size_t length;

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            at++;
            continue;
        }
        length = utf8_decode(text + at, bytes - at, &code);
        if (length > 1 && !utf8_is_harmful(code)) {
            at += length;
            continue;
        }
        put(context, text + plain, at - plain);
        put(context, escaped, escape(length, code, escaped));
        at += length ? length : 1;
        plain = at;
    }
    put(context, text + plain, at - plain);
    put(context, "\"", 1);
}
