#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;

    if (err) {
        err->code = code;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    size_t used, rest;
    va_list args;
    int length;

    if (!err)
        return code;
    va_start(args, format);
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length < 0)
        return code;
    used = (size_t)length < sizeof(text) - 1 ? (size_t)length : sizeof(text) - 1;
    rest = strlen(err->text);
    if (rest > sizeof(text) - 1 - used)
        rest = sizeof(text) - 1 - used;
    memcpy(text + used, err->text, rest);
    text[used + rest] = '\0';
    memcpy(err->text, text, used + rest + 1);
    return code;
}

const char *error_code_name(int code)
{
    switch ((enum error_code)code) {
    case ERROR_NONE:
        return "none";
    case ERROR_REQUEST:
        return "invalid-request";
    case ERROR_NOT_FOUND:
        return "not-found";
    case ERROR_ACCESS:
        return "access-denied";
    case ERROR_OUTSIDE:
        return "outside-roots";
    case ERROR_NOT_REGULAR:
        return "not-a-regular-file";
    case ERROR_NO_MODEL:
        return "no-model";
    case ERROR_FORMAT:
        return "malformed";
    case ERROR_UNSUPPORTED:
        return "unsupported-format";
    case ERROR_LIMIT:
        return "limit-exceeded";
    case ERROR_CHANGED:
        return "source-changed";
    case ERROR_READ:
        return "read-error";
    case ERROR_WRITE:
        return "write-error";
    case ERROR_NO_SPACE:
        return "no-space";
    case ERROR_NO_MEMORY:
        return "out-of-memory";
    case ERROR_CANCELLED:
        return "cancelled";
    case ERROR_CONFLICT:
        return "conflict";
    case ERROR_BUSY:
        return "busy";
    case ERROR_QUOTA:
        return "quota-exceeded";
    case ERROR_INTERNAL:
        break;
    }
    return "internal";
}
