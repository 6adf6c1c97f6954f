/* Text of requests, file names and worker messages passes through here on its way to somebody's terminal: everything
 * but printable characters is escaped byte by byte, in JSON as \u00XX, in text as \xXX. UTF-8 passes through, except
 * what core/utf8.h calls harmful. Bytes that are not UTF-8 are escaped too, so that a line is always valid UTF-8. */
#include "server/log.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/utf8.h"
#include "server/clock.h"

enum { LINE_BYTES = 8192 };

static enum log_format chosen = LOG_AUTO; /* written before threads start */

static const char *const level_names[] = {[LEVEL_INFO] = "info", [LEVEL_WARNING] = "warning", [LEVEL_ERROR] = "error"};

struct line {
    char *out;
    unsigned used, size;
};

static void put(struct line *line, const char *text, size_t bytes)
{
    if (bytes > line->size - 2 - line->used) /* room for the newline and the NUL */
        bytes = 0;
    memcpy(line->out + line->used, text, bytes);
    line->used += (unsigned)bytes;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Length of the printable character at text, 0 when its first byte is to be escaped. */
static size_t printable_bytes(const char *text, size_t bytes)
{
    uint32_t code;
    size_t length = utf8_decode(text, bytes, &code);

    return length && !utf8_is_harmful(code) ? length : 0;
}

static void put_escaped(struct line *line, const char *text, bool is_json)
{
    const char *end = text + strlen(text);

    for (const char *at = text; at < end;) {
        size_t length = printable_bytes(at, (size_t)(end - at));
        char escape[8];

        if (is_json && (*at == '"' || *at == '\\')) {
            escape[0] = '\\';
            escape[1] = *at++;
            put(line, escape, 2);
        } else if (length) {
            put(line, at, length);
            at += length;
        } else {
            snprintf(escape, sizeof(escape), is_json ? "\\u00%02x" : "\\x%02x", (unsigned)(unsigned char)*at++);
            put_text(line, escape);
        }
    }
}

static void put_field(struct line *line, const struct log_field *field, bool is_json)
{
    char number[40];

    if (field->kind == LOG_FIELD_TEXT && !field->text)
        return;
    if (is_json) {
        put_text(line, ",\"");
        put_text(line, field->key);
        put_text(line, "\":");
    } else {
        put_text(line, " ");
        put_text(line, field->key);
        put_text(line, "=");
    }
    switch (field->kind) {
    case LOG_FIELD_TEXT: {
        bool is_quoted = is_json || !field->text[0] || strpbrk(field->text, " \t\"=") != NULL;

        if (is_quoted)
            put_text(line, "\"");
        put_escaped(line, field->text, is_json);
        if (is_quoted)
            put_text(line, "\"");
        return;
    }
    case LOG_FIELD_U64:
        snprintf(number, sizeof(number), "%llu", (unsigned long long)field->u64);
        break;
    case LOG_FIELD_I64:
        snprintf(number, sizeof(number), "%lld", (long long)field->i64);
        break;
    case LOG_FIELD_SECONDS:
        snprintf(number, sizeof(number), "%.6f", isfinite(field->seconds) ? field->seconds : 0.0);
        break;
    }
    put_text(line, number);
}

unsigned log_render(enum log_format format, int64_t wall_ms, enum log_level level, const char *event,
                    const struct log_field *fields, unsigned count, char *out, unsigned size)
{
    struct line line = {.out = out, .size = size};
    time_t seconds = (time_t)(wall_ms / 1000);
    bool is_json = format == LOG_JSON;
    struct tm utc;
    char stamp[64];

    gmtime_r(&seconds, &utc);
    if (is_json) {
        snprintf(stamp, sizeof(stamp), "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"",
                 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                 (int)(wall_ms % 1000));
        put_text(&line, stamp);
        put_text(&line, level_names[level]);
        put_text(&line, "\",\"event\":\"");
        put_escaped(&line, event, true);
        put_text(&line, "\"");
        line.size--; /* kept for the closing brace */
    } else {
        snprintf(stamp, sizeof(stamp), "%02d:%02d:%02d ", utc.tm_hour, utc.tm_min, utc.tm_sec);
        put_text(&line, stamp);
        if (level != LEVEL_INFO) {
            put_text(&line, level_names[level]);
            put_text(&line, ": ");
        }
        put_escaped(&line, event, false);
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned room = line.size - 2 - line.used;
        size_t need = strlen(fields[i].key) + 48;

        if (fields[i].kind == LOG_FIELD_TEXT && fields[i].text)
            need += 6 * strlen(fields[i].text);
        if (need > room) { /* a field is whole or absent, so that the line stays valid JSON */
            struct log_field cut = fields[i];

            if (cut.kind == LOG_FIELD_TEXT)
                cut.text = "(too long to log)";
            if (room > 128)
                put_field(&line, &cut, is_json);
            continue;
        }
        put_field(&line, &fields[i], is_json);
    }
    if (is_json) {
        line.size++;
        put_text(&line, "}");
    }
    line.out[line.used++] = '\n';
    line.out[line.used] = '\0';
    return line.used;
}

void log_start(enum log_format format)
{
    if (format == LOG_AUTO)
        format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
    chosen = format;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, unsigned count)
{
    enum log_format format = chosen;
    char line[LINE_BYTES];
    unsigned bytes;

    if (format == LOG_AUTO)
        format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
    bytes = log_render(format, clock_wall_ms(), level, event, fields, count, line, sizeof(line));
    while (write(STDERR_FILENO, line, bytes) < 0 && errno == EINTR)
        continue;
}
