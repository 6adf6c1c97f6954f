/* Implements the writer over one growing buffer. Text is valid JSON whatever it is fed. */
#include "api/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/json_string.h"
#include "core/decimal.h"

static void put(struct json_text *d, const char *text, size_t bytes)
{
    if (d->is_failed)
        return;
    if (bytes >= d->capacity - d->used) {
        size_t capacity = d->capacity ? d->capacity : 512;
        char *grown;

        while (capacity - d->used <= bytes)
            capacity *= 2;
        grown = realloc(d->text, capacity);
        if (!grown) {
            d->is_failed = true;
            return;
        }
        d->text = grown;
        d->capacity = capacity;
    }
    memcpy(d->text + d->used, text, bytes);
    d->used += bytes;
}

static void before_value(struct json_text *d)
{
    if (d->is_key_written) {
        d->is_key_written = false;
        return;
    }
    if (d->depth > 0 && (d->has_member & (1u << d->depth)))
        put(d, ",", 1);
    d->has_member |= 1u << d->depth;
}

static void put_piece(void *context, const char *piece, size_t bytes)
{
    put(context, piece, bytes);
}

static void put_text(struct json_text *d, const char *text, size_t bytes)
{
    json_string_write(text, bytes, put_piece, d);
}

static void begin(struct writer *w, enum writer_scope scope)
{
    struct json_text *d = (struct json_text *)w;

    before_value(d);
    put(d, scope == WRITER_OBJECT ? "{" : "[", 1);
    if (d->depth + 1 >= JSON_TEXT_DEPTH_MAX) {
        d->is_failed = true;
        return;
    }
    d->depth++;
    d->has_member &= ~(1u << d->depth);
    if (scope == WRITER_OBJECT)
        d->is_object |= 1u << d->depth;
    else
        d->is_object &= ~(1u << d->depth);
}

static void end(struct writer *w)
{
    struct json_text *d = (struct json_text *)w;

    put(d, d->is_object & (1u << d->depth) ? "}" : "]", 1);
    if (d->depth > 0)
        d->depth--;
}

static void key(struct writer *w, const char *text, size_t bytes)
{
    struct json_text *d = (struct json_text *)w;

    before_value(d);
    put_text(d, text, bytes);
    put(d, ":", 1);
    d->is_key_written = true;
}

static void f64(struct writer *w, double value)
{
    struct json_text *d = (struct json_text *)w;
    char digits[DECIMAL_BYTES];

    before_value(d);
    put(d, digits, decimal_write(value, digits));
}

static void u64(struct writer *w, uint64_t value)
{
    struct json_text *d = (struct json_text *)w;
    char digits[24];

    before_value(d);
    put(d, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, value));
}

static void i64(struct writer *w, int64_t value)
{
    struct json_text *d = (struct json_text *)w;
    char digits[24];

    before_value(d);
    put(d, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value));
}

static void text(struct writer *w, const char *bytes, size_t count)
{
    struct json_text *d = (struct json_text *)w;

    before_value(d);
    put_text(d, bytes, count);
}

static void flag(struct writer *w, bool value)
{
    struct json_text *d = (struct json_text *)w;

    before_value(d);
    put(d, value ? "true" : "false", value ? 4 : 5);
}

static void null(struct writer *w, const char *reason)
{
    struct json_text *d = (struct json_text *)w;

    (void)reason;
    before_value(d);
    put(d, "null", 4);
}

static const struct writer_ops json_text_ops = {.begin = begin,
                                                .end = end,
                                                .key = key,
                                                .f64 = f64,
                                                .u64 = u64,
                                                .i64 = i64,
                                                .text = text,
                                                .flag = flag,
                                                .null = null};

void json_text_init(struct json_text *json)
{
    *json = (struct json_text){.writer = {&json_text_ops}};
}

void json_text_done(struct json_text *json)
{
    free(json->text);
    json->text = NULL;
}

void json_text_raw(struct json_text *json, const char *value, size_t bytes)
{
    before_value(json);
    put(json, value, bytes);
}

void json_text_member_raw(struct json_text *json, const char *name, const char *value)
{
    if (!value)
        return;
    key(&json->writer, name, strlen(name));
    json_text_raw(json, value, strlen(value));
}

void json_text_member_time(struct json_text *json, const char *name, int64_t time_ms)
{
    char out[TIME_TEXT_BYTES];

    if (time_ms != 0)
        write_text(&json->writer, name, time_text(time_ms, out));
}

char *json_text_take(struct json_text *json, size_t *ret_bytes)
{
    char *taken;

    put(json, "", 1);
    taken = json->text;
    if (json->is_failed) {
        free(taken);
        taken = NULL;
    } else if (ret_bytes) {
        *ret_bytes = json->used - 1;
    }
    json_text_init(json);
    return taken;
}

const char *time_text(int64_t time_ms, char out[TIME_TEXT_BYTES])
{
    time_t seconds = (time_t)(time_ms / 1000);
    unsigned ms = (unsigned)(time_ms % 1000) % 1000;
    struct tm utc;
    char date[24];

    if (!gmtime_r(&seconds, &utc))
        memset(&utc, 0, sizeof(utc));
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, TIME_TEXT_BYTES, "%s.%03uZ", date, ms);
    return out;
}
