#include "api/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const method_names[METHOD_COUNT] = {
    [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",       [METHOD_PUT] = "PUT",
    [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "",
};

enum http_method method_by_name(const char *name)
{
    unsigned method = 0;

    while (method < METHOD_OTHER && strcmp(name, method_names[method]) != 0)
        method++;
    return (enum http_method)method;
}

const char *request_header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

const char *request_query(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0)
            return request->query[i].value;
    return NULL;
}

void response_init(struct response *response)
{
    memset(response, 0, sizeof(*response));
    response->blob.fd = -1;
}

static void body_done(struct response *response)
{
    free(response->text);
    free(response->segments);
    free(response->before);
    free(response->after);
    blob_done(&response->blob);
    response->text = response->before = response->after = NULL;
    response->segments = NULL;
    response->blob = (struct blob){.fd = -1};
    response->kind = BODY_NONE;
}

void response_done(struct response *response)
{
    body_done(response);
    for (size_t i = 0; i < response->header_count; i++)
        free(response->headers[i].value);
    response->header_count = 0;
}

void response_header(struct response *response, const char *name, const char *value)
{
    char *copy;

    if (response->header_count == RESPONSE_HEADERS_MAX)
        return;
    copy = strdup(value);
    if (!copy)
        return;
    response->headers[response->header_count].name = name;
    response->headers[response->header_count++].value = copy;
}

void response_header_format(struct response *response, const char *name, const char *format, ...)
{
    char value[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    response_header(response, name, value);
}

void response_header_remove(struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (strcasecmp(response->headers[i].name, name) != 0)
            continue;
        free(response->headers[i].value);
        response->headers[i] = response->headers[--response->header_count];
        return;
    }
}

void response_vary(struct response *response, const char *field)
{
    const char *vary = response_header_value(response, "Vary");
    char joined[256];

    if (vary && strcasestr(vary, field))
        return;
    snprintf(joined, sizeof(joined), "%s%s%s", vary ? vary : "", vary ? ", " : "", field);
    response_header_remove(response, "Vary");
    response_header(response, "Vary", joined);
}

const char *response_header_value(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

void response_fixed(struct response *response, int status, const char *media_type, const char *text, size_t bytes)
{
    body_done(response);
    response->status = status;
    response->kind = BODY_FIXED;
    response->fixed = text;
    response->bytes = bytes;
    response_header(response, "Content-Type", media_type);
}

void response_body(struct response *response, char *text, size_t bytes)
{
    body_done(response);
    response->kind = BODY_TEXT;
    response->text = text;
    response->bytes = bytes;
}

void response_text(struct response *response, int status, const char *media_type, char *text, size_t bytes)
{
    static const char sorry[] = "{\"type\":\"/problems/out-of-memory\",\"title\":\"Out of memory\",\"status\":503}";

    if (!text) {
        response_fixed(response, 503, "application/problem+json", sorry, sizeof(sorry) - 1);
        return;
    }
    response_body(response, text, bytes);
    response->status = status;
    response_header(response, "Content-Type", media_type);
}

void response_segments(struct response *response, const char *media_type, struct blob *blob, struct segment *segments,
                       size_t count, const char *before, const char *between, const char *after)
{
    body_done(response);
    response->status = 200;
    response->kind = BODY_SEGMENTS;
    response->blob = *blob;
    response->segments = segments;
    response->segment_count = count;
    response->before = strdup(before);
    response->between = between;
    response->after = strdup(after);
    if (response->before && response->after)
        response_header(response, "Content-Type", media_type);
    else
        response_text(response, 503, "", NULL, 0);
}

uint64_t response_length(const struct response *response)
{
    uint64_t length = 0;

    switch (response->kind) {
    case BODY_NONE:
        break;
    case BODY_TEXT:
    case BODY_EVENTS:
    case BODY_FIXED:
        length = response->bytes;
        break;
    case BODY_BLOB:
        length = response->length;
        break;
    case BODY_SEGMENTS:
        length = strlen(response->before) + strlen(response->after);
        for (size_t i = 0; i < response->segment_count; i++)
            length += response->segments[i].bytes;
        if (response->segment_count > 1)
            length += (response->segment_count - 1) * strlen(response->between);
        break;
    }
    return length;
}

enum { WINDOW_BYTES = 64 * 1024 };

void body_reader_init(struct body_reader *reader, const struct response *response)
{
    *reader = (struct body_reader){.response = response};
}

void body_reader_done(struct body_reader *reader)
{
    free(reader->window);
    reader->window = NULL;
}

static size_t copy_text(const char *text, size_t bytes, uint64_t at, void *buffer, size_t size)
{
    size_t rest = at < bytes ? bytes - (size_t)at : 0;

    if (rest > size)
        rest = size;
    if (rest)
        memcpy(buffer, text + at, rest);
    return rest;
}

static ssize_t read_blob(const struct blob *blob, uint64_t offset, void *buffer, size_t size)
{
    size_t got = 0;

    if (blob->fd < 0)
        return (ssize_t)copy_text(blob->data, blob->bytes, offset, buffer, size);
    while (got < size) {
        ssize_t n = pread(blob->fd, (char *)buffer + got, size - got, (off_t)(offset + got));

        if (n <= 0)
            return n < 0 ? -1 : (ssize_t)got;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* Copies up to size bytes of the file at offset, where bytes are wanted there and more will be within reach_bytes. */
static ssize_t read_window(struct body_reader *reader, uint64_t offset, size_t bytes, bool is_more_near, void *buffer,
                           size_t size)
{
    const struct blob *blob = &reader->response->blob;
    ssize_t got;

    if (bytes > size)
        bytes = size;
    if (offset >= reader->window_offset && offset + bytes <= reader->window_offset + reader->window_bytes) {
        memcpy(buffer, reader->window + (offset - reader->window_offset), bytes);
        return (ssize_t)bytes;
    }
    if (is_more_near && blob->fd >= 0 && bytes < WINDOW_BYTES) {
        if (!reader->window)
            reader->window = malloc(WINDOW_BYTES);
        if (reader->window) {
            got = read_blob(blob, offset, reader->window, WINDOW_BYTES);
            reader->window_offset = offset;
            reader->window_bytes = got > 0 ? (size_t)got : 0;
            if (reader->window_bytes >= bytes) {
                memcpy(buffer, reader->window, bytes);
                return (ssize_t)bytes;
            }
            return -1;
        }
    }
    got = read_blob(blob, offset, buffer, bytes);
    return got == (ssize_t)bytes ? got : -1;
}

static ssize_t read_segments(struct body_reader *reader, char *buffer, size_t size)
{
    const struct response *r = reader->response;
    size_t last = r->segment_count ? 2 * r->segment_count : 1; /* the part that is after */
    size_t done = 0;

    while (done < size && reader->part <= last) {
        size_t index = (reader->part - 1) / 2;
        const char *text = reader->part == 0 ? r->before : reader->part == last ? r->after : r->between;
        ssize_t got;

        if (reader->part % 2 == 1 && r->segment_count) {
            const struct segment *s = &r->segments[index];
            bool is_more_near = index + 1 < r->segment_count && s[1].offset > s->offset &&
                                s[1].offset + s[1].bytes <= s->offset + WINDOW_BYTES;

            got = reader->at == s->bytes ? 0
                                         : read_window(reader, s->offset + reader->at, (size_t)(s->bytes - reader->at),
                                                       is_more_near, buffer + done, size - done);
        } else {
            got = (ssize_t)copy_text(text, strlen(text), reader->at, buffer + done, size - done);
        }
        if (got < 0)
            return -1;
        if (got == 0) {
            reader->part++;
            reader->at = 0;
        }
        reader->at += (uint64_t)got;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

ssize_t body_read(struct body_reader *reader, void *buffer, size_t size)
{
    const struct response *r = reader->response;
    ssize_t got = 0;

    switch (r->kind) {
    case BODY_NONE:
        break;
    case BODY_TEXT:
    case BODY_EVENTS:
        got = (ssize_t)copy_text(r->text, r->bytes, reader->at, buffer, size);
        break;
    case BODY_FIXED:
        got = (ssize_t)copy_text(r->fixed, r->bytes, reader->at, buffer, size);
        break;
    case BODY_BLOB:
        if (size > r->length - reader->at)
            size = (size_t)(r->length - reader->at);
        got = size ? read_blob(&r->blob, r->offset + reader->at, buffer, size) : 0;
        if (size && got == 0)
            got = -1;
        break;
    case BODY_SEGMENTS:
        return read_segments(reader, buffer, size);
    }
    if (got > 0)
        reader->at += (uint64_t)got;
    return got;
}
