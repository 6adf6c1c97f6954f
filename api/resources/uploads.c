/* Uploads: a body goes straight to the backend as it arrives; what it should have been is known before its first byte.
 */
#include "api/resources/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    write_text(w, "sha256", upload->sha256);
    json_text_member_time(json, "create_time", upload->create_ms);
    json_text_member_time(json, "expire_time", upload->expire_ms);
    write_end(w);
}

static void reply_upload(struct response *response, int status, const struct upload *upload)
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
    else if (err->code == ERROR_LIMIT)
        problem_reply(response, request, PROBLEM_TOO_LARGE, "%s", err->text);
    else
        problem_reply_error(response, request, err);
}

struct put {
    struct upload_sink *sink;
    struct backend *backend;
    char sha256[65]; /* "": not announced */
};

static bool is_name_good(const char *name)
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

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* 44 characters of base64, the last '=', to 64 of hex. */
static bool read_base64_sha256(const char *text, char hex[65])
{
    unsigned bits = 0, held = 0, bytes = 0;

    for (int i = 0; i < 43; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return false;
        bits = (bits << 6) | (unsigned)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            snprintf(hex + 2 * bytes++, 3, "%02x", (bits >> held) & 0xff);
        }
    }
    return text[43] == '=';
}

/* sha-256=:…: of a digest field (RFC 9530), among others. False when there is one but not so. */
static bool read_digest(const char *field, char hex[65])
{
    while (field && *field) {
        field += strspn(field, " \t,");
        if (strncasecmp(field, "sha-256=", 8) == 0) {
            field += 8;
            return strlen(field) >= 46 && field[0] == ':' && field[45] == ':' && read_base64_sha256(field + 1, hex);
        }
        field += strcspn(field, ",");
    }
    return true;
}

static int put_begin(const struct request *request, struct backend *backend, void **ret_state,
                     struct response *response)
{
    const char *encoding = request_header(request, "Content-Encoding");
    const char *length = request_header(request, "Content-Length");
    struct error err = {.code = ERROR_NONE};
    int64_t expected = -1;
    struct put *put;

    if (!is_name_good(request->parameters[0])) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST,
                      "the name must have 1 to %d bytes, no control characters, and not be . or ..",
                      UPLOAD_NAME_BYTES_MAX);
        return ERROR_REQUEST;
    }
    if (encoding && strcasecmp(encoding, "identity") != 0) {
        problem_reply(response, request, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "send the file as it is, without an encoding");
        return ERROR_REQUEST;
    }
    if (length)
        expected = (int64_t)strtoull(length, NULL, 10);
    put = calloc(1, sizeof(*put));
    if (!put) {
        error_set(&err, ERROR_NO_MEMORY, "out of memory");
        problem_reply_error(response, request, &err);
        return ERROR_NO_MEMORY;
    }
    if (!read_digest(request_header(request, "Repr-Digest"), put->sha256) ||
        !read_digest(request_header(request, "Content-Digest"), put->sha256)) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "a digest is not sha-256=:BASE64:");
        free(put);
        return ERROR_REQUEST;
    }
    put->backend = backend;
    if (backend->ops->upload_begin(backend, request->caller.name, request->parameters[0], expected, &put->sink, &err)) {
        reply_upload_error(response, request, &err);
        free(put);
        return err.code ? (int)err.code : ERROR_INTERNAL;
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
        if (put->sha256[0] && strcmp(put->sha256, upload.sha256) != 0) {
            backend->ops->upload_delete(backend, upload.id, NULL);
            problem_reply(response, request, PROBLEM_DIGEST_MISMATCH, "announced sha-256 %s, received %s", put->sha256,
                          upload.sha256);
        } else {
            reply_upload(response, 201, &upload);
            response_header_format(response, "Location", "/v1/uploads/%s", upload.id);
        }
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

    if (!id_is_valid(request->parameters[0]) ||
        backend->ops->upload_get(backend, request->parameters[0], &upload, &err)) {
        reply_upload_error(response, request, &err);
        return;
    }
    reply_upload(response, 200, &upload);
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
