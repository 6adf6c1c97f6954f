#include "api/encoding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "api/prefer.h"
#include "api/problem.h"

enum {
    WORTHWHILE_BYTES = 1000, /* a packet carries less anyway */
    SHORT_BYTES = 256 * 1024,
    INPUT_BYTES = 16 * 1024,
    LEVEL = 4, /* JSON of tensors: a sixth, at 100 MB/s; the default level makes it a seventh, at half that speed */
    GZIP_WINDOW = 16, /* added to the window's bits: a gzip header */
};

struct gzip_reader {
    struct body_reader source;
    z_stream z;
    bool is_source_over, is_over;
    char input[INPUT_BYTES];
};

struct gzip_reader *gzip_reader_new(const struct response *response)
{
    struct gzip_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    if (deflateInit2(&reader->z, LEVEL, Z_DEFLATED, GZIP_WINDOW + 14, 7, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(reader);
        return NULL;
    }
    body_reader_init(&reader->source, response);
    return reader;
}

ssize_t gzip_reader_read(struct gzip_reader *reader, void *buffer, size_t size)
{
    z_stream *z = &reader->z;

    z->next_out = buffer;
    z->avail_out = (uInt)size;
    while (z->avail_out == size && !reader->is_over) {
        int rc;

        if (z->avail_in == 0 && !reader->is_source_over) {
            ssize_t got = body_read(&reader->source, reader->input, sizeof(reader->input));

            if (got < 0)
                return -1;
            reader->is_source_over = got == 0;
            z->next_in = (Bytef *)reader->input;
            z->avail_in = (uInt)got;
        }
        rc = deflate(z, reader->is_source_over ? Z_FINISH : Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END)
            return -1;
        reader->is_over = rc == Z_STREAM_END;
    }
    return (ssize_t)(size - z->avail_out);
}

void gzip_reader_free(struct gzip_reader *reader)
{
    if (!reader)
        return;
    deflateEnd(&reader->z);
    body_reader_done(&reader->source);
    free(reader);
}

void encoding_etag(const char *etag, char *out, size_t size)
{
    snprintf(out, size, "%.*s-gzip\"", (int)strlen(etag) - 1, etag);
}

static bool is_compressible(const char *type)
{
    size_t bytes = strcspn(type, ";");

    if (strncasecmp(type, "text/", 5) == 0)
        return strncasecmp(type, "text/event-stream", 17) != 0;
    return (bytes > 4 &&
            (strncasecmp(type + bytes - 4, "json", 4) == 0 || strncasecmp(type + bytes - 4, "yaml", 4) == 0)) ||
           (bytes > 3 && strncasecmp(type + bytes - 3, "xml", 3) == 0);
}

static void replace_etag(struct response *response)
{
    const char *etag = response_header_value(response, "ETag");
    char made[160];

    if (!etag)
        return;
    encoding_etag(etag, made, sizeof(made));
    response_header_remove(response, "ETag");
    response_header(response, "ETag", made);
}

void encoding_select(const struct request *request, struct response *response)
{
    const char *type = response_header_value(response, "Content-Type");
    bool is_range = response->kind == BODY_BLOB && request_header(request, "Range") != NULL;

    if (!type || response->kind == BODY_EVENTS || !is_compressible(type))
        return;
    response_vary(response, "Accept-Encoding");
    if (response->kind == BODY_NONE)
        return;
    switch (encoding_choose(request_header(request, "Accept-Encoding"),
                            !is_range && response_length(response) >= WORTHWHILE_BYTES)) {
    case ENCODING_IDENTITY:
        return;
    case ENCODING_GZIP:
        response_header(response, "Content-Encoding", "gzip");
        replace_etag(response);
        return;
    case ENCODING_NONE:
        if (response->status >= 400) /* the client would learn nothing of its mistake */
            return;
        response_done(response);
        problem_reply(response, request, PROBLEM_NOT_ACCEPTABLE, "there are the codings identity and gzip");
        return;
    }
}

/* The whole body compressed. False without memory, or when it cannot be read. */
static bool compress_whole(const struct response *response, char **ret_text, size_t *ret_bytes)
{
    struct gzip_reader *reader = gzip_reader_new(response);
    size_t capacity = (size_t)response_length(response) / 4 + 1024, used = 0;
    char *text = reader ? malloc(capacity) : NULL, *grown;
    ssize_t got = text ? 1 : -1;

    while (got > 0) {
        if (used == capacity) {
            grown = reallocarray(text, 2, capacity);
            if (!grown) {
                got = -1;
                break;
            }
            text = grown;
            capacity *= 2;
        }
        got = gzip_reader_read(reader, text + used, capacity - used);
        used += got > 0 ? (size_t)got : 0;
    }
    gzip_reader_free(reader);
    if (got < 0) {
        free(text);
        return false;
    }
    *ret_text = text;
    *ret_bytes = used;
    return true;
}

void encoding_apply(struct response *response)
{
    char *text = NULL;
    size_t bytes = 0;

    if (!response_header_value(response, "Content-Encoding"))
        return;
    if (response->kind == BODY_NONE) { /* 304 */
        response_header_remove(response, "Content-Encoding");
        return;
    }
    if (response_length(response) > SHORT_BYTES) {
        response->is_gzip = true;
        return;
    }
    if (compress_whole(response, &text, &bytes)) {
        response_body(response, text, bytes);
        return;
    }
    response_done(response);
    response_text(response, 503, "", NULL, 0);
}
