#include "api/trace.h"

#include <stddef.h>
#include <string.h>

#include "api/random_hex.h"

enum { TRACE_ID_AT = 3, PARENT_ID_AT = 36, FLAGS_AT = 53, LENGTH = 55 };

static bool is_hex(const char *text, size_t count)
{
    return strspn(text, "0123456789abcdef") >= count;
}

static bool is_zero(const char *text, size_t count)
{
    return strspn(text, "0") >= count;
}

/* "00-" trace id "-" parent id "-" flags; a later version may go on with "-" and more. */
static bool is_valid(const char *text)
{
    size_t length = strlen(text);

    if (length < LENGTH || !is_hex(text, 2) || strncmp(text, "ff", 2) == 0)
        return false;
    if (length > LENGTH && (strncmp(text, "00", 2) == 0 || text[LENGTH] != '-'))
        return false;
    return text[2] == '-' && is_hex(text + TRACE_ID_AT, 32) && !is_zero(text + TRACE_ID_AT, 32) && text[35] == '-' &&
           is_hex(text + PARENT_ID_AT, 16) && !is_zero(text + PARENT_ID_AT, 16) && text[52] == '-' &&
           is_hex(text + FLAGS_AT, 2);
}

bool trace_continue(const char *sent, char out[TRACEPARENT_BYTES])
{
    out[0] = '\0';
    if (!sent || !is_valid(sent))
        return false;
    memcpy(out, "00-", 3);
    memcpy(out + TRACE_ID_AT, sent + TRACE_ID_AT, 33);
    random_hex(out + PARENT_ID_AT, 16);
    memcpy(out + 52, strchr("13579bdf", sent[FLAGS_AT + 1]) ? "-01" : "-00", 4); /* sampled; no other flag is known */
    return true;
}

void trace_id_of(const char *traceparent, char out[TRACE_ID_BYTES])
{
    size_t bytes = *traceparent ? 32 : 0;

    if (bytes)
        memcpy(out, traceparent + TRACE_ID_AT, bytes);
    out[bytes] = '\0';
}
