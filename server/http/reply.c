/* A response of api/ becomes one of libmicrohttpd. Files are sent by the kernel, ranges of a file through a small
 * buffer; nothing is ever held whole. */
#include <stdlib.h>
#include <string.h>

#include "api/encoding.h"
#include "server/http/front.h"

enum { BLOCK_BYTES = 32 * 1024 };

/* A body that is read piece by piece; owns the response. */
struct body {
    struct response response;
    struct body_reader reader;
    struct gzip_reader *gzip; /* NULL: as it is */
    struct exchange *exchange;
};

static ssize_t read_body(void *context, uint64_t at, char *buffer, size_t size)
{
    struct body *body = context;
    ssize_t got;

    (void)at;
    got = body->gzip ? gzip_reader_read(body->gzip, buffer, size) : body_read(&body->reader, buffer, size);
    if (body->gzip && got > 0)
        body->exchange->bytes += (uint64_t)got;
    return got > 0 ? got : got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_body(void *context)
{
    struct body *body = context;

    gzip_reader_free(body->gzip);
    body_reader_done(&body->reader);
    response_done(&body->response);
    free(body);
}

static struct MHD_Response *make_read(struct exchange *exchange, struct response *response)
{
    struct body *body = calloc(1, sizeof(*body));
    uint64_t bytes = response->is_gzip ? MHD_SIZE_UNKNOWN : response_length(response);
    struct MHD_Response *made;

    if (!body)
        return NULL;
    body->response = *response;
    body->response.header_count = 0; /* these stay with the caller */
    response->kind = BODY_NONE;
    response->text = response->before = response->after = NULL;
    response->segments = NULL;
    response->blob = (struct blob){.fd = -1};
    body->exchange = exchange;
    body_reader_init(&body->reader, &body->response);
    if (body->response.is_gzip) {
        body->gzip = gzip_reader_new(&body->response);
        if (!body->gzip) {
            free_body(body);
            return NULL;
        }
    }
    made = libmicrohttpd.MHD_create_response_from_callback(bytes, BLOCK_BYTES, read_body, body, free_body);
    if (!made)
        free_body(body);
    return made;
}

static ssize_t read_nothing(void *context, uint64_t at, char *buffer, size_t size)
{
    (void)context;
    (void)at;
    (void)buffer;
    (void)size;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

/* The answer to HEAD where GET's length is not known beforehand. libmicrohttpd 0.9.75 would send a last chunk, which
 * the client takes for the next response; as to an HTTP/1.0 client it sends the header alone and closes. */
static struct MHD_Response *make_header_only(void)
{
    struct MHD_Response *made =
        libmicrohttpd.MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL, NULL);

    if (made)
        libmicrohttpd.MHD_set_response_options(made, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return made;
}

static struct MHD_Response *make(struct exchange *exchange, struct response *response)
{
    struct MHD_Response *made = NULL;
    void *fixed;

    if (exchange->request.method == METHOD_HEAD && (response->kind == BODY_EVENTS || response->is_gzip))
        return make_header_only();
    if (response->is_gzip)
        return make_read(exchange, response);
    switch (response->kind) {
    case BODY_NONE:
        made = libmicrohttpd.MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        break;
    case BODY_TEXT:
        made = libmicrohttpd.MHD_create_response_from_buffer(response->bytes, response->text, MHD_RESPMEM_MUST_FREE);
        if (made)
            response->text = NULL;
        break;
    case BODY_FIXED:
        memcpy(&fixed, &response->fixed, sizeof(fixed)); /* it is only read, but not declared so */
        made = libmicrohttpd.MHD_create_response_from_buffer(response->bytes, fixed, MHD_RESPMEM_PERSISTENT);
        break;
    case BODY_BLOB:
        if (response->blob.fd >= 0) {
            made = libmicrohttpd.MHD_create_response_from_fd_at_offset64(response->length, response->blob.fd,
                                                                         response->offset);
            if (made)
                response->blob.fd = -1;
        } else {
            made = make_read(exchange, response);
        }
        break;
    case BODY_SEGMENTS:
        made = make_read(exchange, response);
        break;
    case BODY_EVENTS:
        made = stream_begin(exchange, response);
        break;
    }
    return made;
}

enum MHD_Result reply_queue(struct exchange *exchange, struct response *response)
{
    uint64_t bytes = exchange->request.method == METHOD_HEAD ? 0 : response_length(response);
    bool is_last = response->is_last || exchange->connection->is_upload || atomic_load(&exchange->http->is_draining);
    bool is_gzip = response->is_gzip;
    struct MHD_Response *made = make(exchange, response);
    enum MHD_Result result;

    if (!made && response->kind == BODY_EVENTS) {
        response_done(response);
        problem_reply(response, &exchange->request, PROBLEM_BUSY, "too many clients follow events");
        response_finish(&exchange->request, response);
        made = make(exchange, response);
        bytes = response_length(response);
    }
    if (!made)
        return MHD_NO;
    for (size_t i = 0; i < response->header_count; i++)
        libmicrohttpd.MHD_add_response_header(made, response->headers[i].name, response->headers[i].value);
    if (is_last)
        libmicrohttpd.MHD_add_response_header(made, "Connection", "close");
    exchange->status = response->status;
    exchange->bytes = response->kind == BODY_EVENTS || is_gzip ? 0 : bytes; /* these count as they are sent */
    exchange->is_queued = true;
    result = libmicrohttpd.MHD_queue_response(exchange->mhd, (unsigned)response->status, made);
    libmicrohttpd.MHD_destroy_response(made);
    return result;
}
