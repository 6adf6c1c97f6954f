/* Text of requests, file names and worker messages passes through here on its way to somebody's terminal: everything
 * but printable characters is escaped byte by byte, in JSON as \u00XX, in text as \xXX. UTF-8 passes through, except
 * what core/utf8.h calls harmful. Bytes that are not UTF-8 are escaped too, so that a line is always valid UTF-8. */
#include "server/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/utf8.h"
#include "server/clock.h"
#include "server/must.h"

enum {
    LINE_BYTES = 8192,
    GATHER_BYTES = 65536,
    GATHER_MS = 10, /* at least, before what is gathered is written */
};

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

/* An access line has a dozen of them and is written for each request: printf takes four times as long. */
static void put_number(struct line *line, uint64_t number, int digits_min)
{
    char digits[20];
    int at = (int)sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number || (int)sizeof(digits) - at < digits_min);
    put(line, digits + at, sizeof(digits) - (size_t)at);
}

/* "2025-01-31T12:00:00" of the second; each thread keeps its last one. */
static const char *stamp_of(time_t second)
{
    static _Thread_local time_t known = -1;
    static _Thread_local char stamp[32];
    struct tm utc;

    if (second != known) {
        gmtime_r(&second, &utc);
        snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d", (utc.tm_year + 1900) % 10000, utc.tm_mon + 1,
                 utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
        known = second;
    }
    return stamp;
}

static void put_field(struct line *line, const struct log_field *field, bool is_json)
{
    uint64_t microseconds;

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
        put_number(line, field->u64, 1);
        break;
    case LOG_FIELD_I64:
        if (field->i64 < 0)
            put_text(line, "-");
        put_number(line, field->i64 < 0 ? -(uint64_t)field->i64 : (uint64_t)field->i64, 1);
        break;
    case LOG_FIELD_SECONDS:
        microseconds = field->seconds > 0 && field->seconds < 1e12 ? (uint64_t)(field->seconds * 1e6 + 0.5) : 0;
        put_number(line, microseconds / 1000000, 1);
        put_text(line, ".");
        put_number(line, microseconds % 1000000, 6);
        break;
    }
}

unsigned log_render(enum log_format format, int64_t wall_ms, enum log_level level, const char *event,
                    const struct log_field *fields, unsigned count, char *out, unsigned size)
{
    struct line line = {.out = out, .size = size};
    const char *stamp = stamp_of((time_t)(wall_ms / 1000));
    bool is_json = format == LOG_JSON;

    if (is_json) {
        put_text(&line, "{\"time\":\"");
        put_text(&line, stamp);
        put_text(&line, ".");
        put_number(&line, (uint64_t)(wall_ms % 1000), 3);
        put_text(&line, "Z\",\"level\":\"");
        put_text(&line, level_names[level]);
        put_text(&line, "\",\"event\":\"");
        put_escaped(&line, event, true);
        put_text(&line, "\"");
        line.size--; /* kept for the closing brace */
    } else {
        put_text(&line, strchr(stamp, 'T') + 1);
        put_text(&line, " ");
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

static unsigned render_now(enum log_level level, const char *event, const struct log_field *fields, unsigned count,
                           char line[LINE_BYTES])
{
    enum log_format format = chosen;

    if (format == LOG_AUTO)
        format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
    return log_render(format, clock_wall_ms(), level, event, fields, count, line, LINE_BYTES);
}

static void write_whole(const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, bytes);

        if (written < 0 && errno != EINTR)
            return; /* nobody to tell */
        text += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
}

/* Lines that may be a little late. The thread sleeps until there is one, and then lets others come. */
static struct {
    pthread_mutex_t writing; /* held by whoever writes to standard error; taken before lock */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t changed;
    pthread_t thread;
    bool has_thread, is_ending;
    char *filling, *spare; /* GATHER_BYTES each */
    size_t bytes;          /* in filling */
} gathered = {
    .writing = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* writing is held. */
static void write_gathered(void)
{
    size_t bytes;
    char *lines;

    must(pthread_mutex_lock(&gathered.lock));
    lines = gathered.filling;
    bytes = gathered.bytes;
    gathered.filling = gathered.spare;
    gathered.spare = lines;
    gathered.bytes = 0;
    must(pthread_mutex_unlock(&gathered.lock));
    write_whole(lines, bytes);
}

static void *write_in_turn(void *argument)
{
    const struct timespec pause = {.tv_nsec = GATHER_MS * 1000000L};
    bool is_ending = false;

    (void)argument;
    while (!is_ending) {
        must(pthread_mutex_lock(&gathered.lock));
        while (gathered.bytes == 0 && !gathered.is_ending)
            must(pthread_cond_wait(&gathered.changed, &gathered.lock));
        is_ending = gathered.is_ending;
        must(pthread_mutex_unlock(&gathered.lock));
        if (!is_ending)
            nanosleep(&pause, NULL);
        must(pthread_mutex_lock(&gathered.writing));
        write_gathered();
        must(pthread_mutex_unlock(&gathered.writing));
    }
    return NULL;
}

void log_gather_start(void)
{
    gathered.is_ending = false;
    gathered.filling = malloc(GATHER_BYTES);
    gathered.spare = malloc(GATHER_BYTES);
    gathered.has_thread =
        gathered.filling && gathered.spare && pthread_create(&gathered.thread, NULL, write_in_turn, NULL) == 0;
    if (!gathered.has_thread)
        log_gather_stop(); /* every line is written at once, then */
}

void log_gather_stop(void)
{
    if (gathered.has_thread) {
        must(pthread_mutex_lock(&gathered.lock));
        gathered.is_ending = true;
        must(pthread_cond_signal(&gathered.changed));
        must(pthread_mutex_unlock(&gathered.lock));
        must(pthread_join(gathered.thread, NULL));
    }
    free(gathered.filling);
    free(gathered.spare);
    gathered.filling = gathered.spare = NULL;
    gathered.has_thread = false;
}

/* What came before comes first. */
static void write_now(const char *line, unsigned bytes)
{
    must(pthread_mutex_lock(&gathered.writing));
    write_gathered();
    write_whole(line, bytes);
    must(pthread_mutex_unlock(&gathered.writing));
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, unsigned count)
{
    char line[LINE_BYTES];

    write_now(line, render_now(level, event, fields, count, line));
}

/* Room for a line in what is gathered; false: there is none. */
static bool gather(const char *line, unsigned bytes)
{
    bool has_room;

    must(pthread_mutex_lock(&gathered.lock));
    has_room = gathered.filling && bytes <= GATHER_BYTES - gathered.bytes;
    if (has_room) {
        if (gathered.bytes == 0)
            must(pthread_cond_signal(&gathered.changed));
        memcpy(gathered.filling + gathered.bytes, line, bytes);
        gathered.bytes += bytes;
    }
    must(pthread_mutex_unlock(&gathered.lock));
    return has_room;
}

void log_write_soon(enum log_level level, const char *event, const struct log_field *fields, unsigned count)
{
    char line[LINE_BYTES];
    unsigned bytes = render_now(level, event, fields, count, line);

    if (!gather(line, bytes))
        write_now(line, bytes);
}
