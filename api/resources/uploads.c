/* Uploads: a body goes straight to the backend as it arrives; what it should have been is known before its first byte.
 */
#include "api/resources/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/digest.h"
#include "core/utf8.h"

enum { UPLOAD_NAME_BYTES_MAX = 255 };

static void upload_write(const struct upload *upload, struct json_text *json)
{
    struct writer *w = &json->writer;

    write_begin_object(w);
    write_text(w, "id", upload->id);
    if (upload->owner[0])
        write_text(w, "owner", upload->owner);
    write_text(w, "name", upload->name ? upload->name : "");
    write_u64(w, "bytes", upload->bytes);
    write_flag(w, "is_complete", upload->is_complete);
    if (upload->is_complete) {
        write_text(w, "sha256", upload->sha256);
    } else {
        write_u64(w, "offset", upload->bytes);
        if (upload->length >= 0)
            write_u64(w, "length", (uint64_t)upload->length);
    }
    json_text_member_time(json, "create_time", upload->create_ms);
    json_text_member_time(json, "expire_time", upload->expire_ms);
    write_end(w);
}

void reply_upload(struct response *response, int status, const struct upload *upload)
{
    struct json_text json;

    json_text_init(&json);
    upload_write(upload, &json);
    reply_json(response, status, &json);
}

void reply_upload_error(struct response *response, const struct request *request, const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        problem_reply(response, request, PROBLEM_UPLOAD_NOT_FOUND, "there is no upload with this id");
    else if (err->code == ERROR_CONFLICT)
        problem_reply(response, request, PROBLEM_UPLOAD_IN_USE, "a job that is not finished needs this upload");
    else if (err->code == ERROR_FORMAT)
        problem_reply(response, request, PROBLEM_DIGEST_MISMATCH, "%s", err->text);
    else if (err->code == ERROR_LIMIT)
        problem_reply(response, request, PROBLEM_TOO_LARGE, "%s", err->text);
    else
        problem_reply_error(response, request, err);
}

struct put {
    struct upload_sink *sink;
    struct backend *backend;
};

bool upload_name_is_good(const char *name)
{
    size_t bytes = strlen(name), length;
    uint32_t code;

    if (bytes == 0 || bytes > UPLOAD_NAME_BYTES_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t at = 0; at < bytes; at += length) {
        length = utf8_decode(name + at, bytes - at, &code);
        if (length == 0 || utf8_is_harmful(code))
            return false;
    }
    return true;
}

static int refuse_put(struct response *response, const struct request *request, enum problem problem,
                      const char *detail)
{
    problem_reply(response, request, problem, "%s", detail);
    return ERROR_REQUEST;
}

int upload_digests_read(const struct request *request, bool is_whole, char whole_sha256[SHA256_HEX_BYTES],
                        char piece_sha256[SHA256_HEX_BYTES], struct response *response)
{
    const char *repr = request_header(request, "Repr-Digest"), *content = request_header(request, "Content-Digest");

    piece_sha256[0] = '\0';
    if (is_whole ? digest_read(repr, content, whole_sha256)
                 : digest_read(repr, NULL, whole_sha256) && digest_read(NULL, content, piece_sha256))
        return 0;
    return refuse_put(response, request, PROBLEM_BAD_REQUEST,
                      "Repr-Digest or Content-Digest is malformed (sha-256=:BASE64:), or they contradict each other");
}

int upload_wish_read(const struct request *request, const char *name, struct upload_wish *ret_wish,
                     struct response *response)
{
    const char *encoding = request_header(request, "Content-Encoding");
    const char *length = request_header(request, "Content-Length");

    *ret_wish = (struct upload_wish){.owner = request->caller.name, .name = name, .bytes = -1, .sha256 = ""};
    if (!upload_name_is_good(name)) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST,
                      "the name must have 1 to %d bytes, no control characters, and not be . or ..",
                      UPLOAD_NAME_BYTES_MAX);
        return ERROR_REQUEST;
    }
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return refuse_put(response, request, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                          "send the file as it is, without an encoding");
    if (length)
        ret_wish->bytes = (int64_t)strtoull(length, NULL, 10);
    return 0;
}

int upload_whole_begin(const struct request *request, const char *name, struct backend *backend,
                       struct upload_sink **ret_sink, struct response *response)
{
    struct error err = {.code = ERROR_NONE};
    char sha256[SHA256_HEX_BYTES], none[SHA256_HEX_BYTES];
    struct upload_wish wish;

    if (upload_wish_read(request, name, &wish, response) || upload_digests_read(request, true, sha256, none, response))
        return ERROR_REQUEST;
    wish.sha256 = sha256;
    if (wish.bytes < 0 && !request_header(request, "Transfer-Encoding"))
        return refuse_put(response, request, PROBLEM_LENGTH_REQUIRED,
                          "send the file with its Content-Length, or chunked");
    if (backend->ops->upload_begin(backend, &wish, ret_sink, &err)) {
        reply_upload_error(response, request, &err);
        return err.code ? (int)err.code : ERROR_INTERNAL;
    }
    return 0;
}

static int put_begin(const struct request *request, struct backend *backend, void **ret_state,
                     struct response *response)
{
    struct put *put = calloc(1, sizeof(*put));
    int rc;

    if (!put)
        return refuse_put(response, request, PROBLEM_BUSY, "out of memory");
    put->backend = backend;
    rc = upload_whole_begin(request, request->parameters[0], backend, &put->sink, response);
    if (rc) {
        free(put);
        return rc;
    }
    *ret_state = put;
    return 0;
}

static int put_append(const struct request *request, void *state, const void *data, size_t bytes,
                      struct response *response)
{
    struct put *put = state;
    struct error err = {.code = ERROR_NONE};
    int rc = put->backend->ops->upload_append(put->sink, data, bytes, &err);

    if (rc)
        reply_upload_error(response, request, &err);
    return rc;
}

static void put_finish(const struct request *request, struct backend *backend, void *state, struct response *response)
{
    struct put *put = state;
    struct error err = {.code = ERROR_NONE};
    struct upload upload;

    if (backend->ops->upload_commit(put->sink, &upload, &err)) {
        reply_upload_error(response, request, &err);
    } else {
        reply_upload(response, 201, &upload);
        response_header_format(response, "Location", "/v1/uploads/%s", upload.id);
        upload_done(&upload);
    }
    free(put);
}

static void put_abandon(void *state)
{
    struct put *put = state;

    if (!put)
        return;
    put->backend->ops->upload_abandon(put->sink);
    free(put);
}

const struct route_stream uploads_put = {put_begin, put_append, put_finish, put_abandon};

void uploads_list(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {"page_size", "page_token", NULL};
    struct upload_list list = {.count = 0};
    struct error err = {.code = ERROR_NONE};
    uint64_t filter = page_filter(request), cursor;
    struct json_text json;
    size_t size;

    if (!query_is_known(request, known, response) || !page_size_read(request, &size, response) ||
        !page_token_read(request, filter, &cursor, response))
        return;
    if (backend->ops->upload_list(backend, caller_view(&request->caller), cursor, size, &list, &err)) {
        problem_reply_error(response, request, &err);
        return;
    }
    json_text_init(&json);
    write_begin_object(&json.writer);
    write_array(&json.writer, "uploads");
    for (size_t i = 0; i < list.count; i++)
        upload_write(&list.uploads[i], &json);
    reply_list(request, list.next, filter, &json, response);
    upload_list_done(&list);
}

void uploads_get(const struct request *request, struct backend *backend, struct response *response)
{
    struct error err = {.code = ERROR_NOT_FOUND};
    struct upload upload;
    bool is_good = id_is_valid(request->parameters[0]);

    /* Who asks with HEAD is about to go on from there. */
    if (is_good && request->method == METHOD_HEAD)
        is_good = backend->ops->upload_offset(backend, request->parameters[0], &upload, &err) == 0;
    else if (is_good)
        is_good = backend->ops->upload_get(backend, request->parameters[0], &upload, &err) == 0;
    if (!is_good) {
        reply_upload_error(response, request, &err);
        return;
    }
    reply_upload(response, 200, &upload);
    upload_headers(backend, &upload, response);
    upload_done(&upload);
}

void uploads_delete(const struct request *request, struct backend *backend, struct response *response)
{
    struct error err = {.code = ERROR_NOT_FOUND};

    if (!id_is_valid(request->parameters[0]) || backend->ops->upload_delete(backend, request->parameters[0], &err))
        reply_upload_error(response, request, &err);
    else
        response->status = 204;
}
