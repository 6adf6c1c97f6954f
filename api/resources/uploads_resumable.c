/* Uploads in pieces, as in the IETF's draft of resumable uploads (draft-ietf-httpbis-resumable-upload), without its
 * interim responses: POST with Upload-Complete: ?0 makes an upload and says where it is, HEAD tells how far it has
 * come, PATCH adds to it, and the piece with Upload-Complete: ?1 is the last. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/multipart_header.h"
#include "api/resources/resources.h"
#include "api/structured.h"

static const char unnamed[] = "upload";

struct piece {
    struct backend *backend;
    struct upload_sink *sink;
    char id[JOB_ID_BYTES]; /* of one that this request has made: "" when there is none, or it came whole */
    bool is_last;          /* Upload-Complete: ?1, or not in pieces at all */
    bool is_told;          /* the header was sent */
    bool is_new;           /* POST */
};

static int refuse(struct response *response, const struct request *request, enum problem problem, const char *detail)
{
    problem_reply(response, request, problem, "%s", detail);
    return ERROR_REQUEST;
}

void upload_headers(struct backend *backend, const struct upload *upload, struct response *response)
{
    uint64_t limit_bytes;
    int64_t age_ms;

    backend->ops->upload_limits(backend, &limit_bytes, &age_ms);
    response_header_format(response, "Upload-Offset", "%" PRIu64, upload->bytes);
    response_header(response, "Upload-Complete", upload->is_complete ? "?1" : "?0");
    if (upload->is_complete || upload->length >= 0)
        response_header_format(response, "Upload-Length", "%" PRIu64,
                               upload->is_complete ? upload->bytes : (uint64_t)upload->length);
    response_header_format(response, "Upload-Limit", "max-size=%" PRIu64 ", max-age=%" PRId64, limit_bytes,
                           age_ms / 1000);
    response_header(response, "Cache-Control", "no-store");
}

/* A number that is not negative; *ret_value is -1 when the field was not sent. False with 400. */
static bool read_number(const struct request *request, const char *name, int64_t *ret_value, struct response *response)
{
    const char *field = request_header(request, name);
    struct structured_item item;

    *ret_value = -1;
    if (!field)
        return true;
    if (!structured_item(field, &item) || item.kind != STRUCTURED_INTEGER || item.integer < 0) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s must be a number", name);
        return false;
    }
    *ret_value = item.integer;
    return true;
}

/* Upload-Complete. False with 400. */
static bool read_complete(const struct request *request, struct piece *piece, struct response *response)
{
    const char *field = request_header(request, "Upload-Complete");
    struct structured_item item;

    piece->is_told |= field != NULL;
    if (!field)
        return true;
    if (!structured_item(field, &item) || item.kind != STRUCTURED_BOOLEAN) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "Upload-Complete must be ?0 or ?1");
        return false;
    }
    piece->is_last = item.integer == 1;
    return true;
}

/* Of the whole upload, in the end: as announced, or as this last piece shows; -1 when neither tells. False with 400. */
static bool read_length(const struct request *request, const struct piece *piece, int64_t offset, int64_t *ret_length,
                        struct response *response)
{
    const char *field = request_header(request, "Content-Length");
    int64_t bytes = field ? (int64_t)strtoull(field, NULL, 10) : 0;
    bool is_known = field || !request_header(request, "Transfer-Encoding");

    if (!read_number(request, "Upload-Length", ret_length, response))
        return false;
    if (is_known && *ret_length >= 0 &&
        (piece->is_last ? bytes + offset != *ret_length : bytes + offset > *ret_length)) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST,
                      "Upload-Length is %" PRId64 ", but this piece ends at byte %" PRId64, *ret_length,
                      bytes + offset);
        return false;
    }
    if (is_known && piece->is_last)
        *ret_length = bytes + offset;
    return true;
}

static bool read_name(const struct request *request, char out[MULTIPART_FILENAME_BYTES_MAX + 1],
                      struct response *response)
{
    const char *field = request_header(request, "Content-Disposition");
    struct error err = {.code = ERROR_NONE};
    bool has = false;

    if (field && disposition_filename(field, out, &has, &err)) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s", err.text);
        return false;
    }
    if (!has)
        snprintf(out, MULTIPART_FILENAME_BYTES_MAX + 1, "%s", unnamed);
    return true;
}

/* Makes a new upload that comes in pieces, and opens it for the first. */
static int create(struct piece *piece, const struct request *request, const char *name, struct response *response)
{
    struct backend *backend = piece->backend;
    struct error err = {.code = ERROR_NONE};
    char whole[SHA256_HEX_BYTES], first[SHA256_HEX_BYTES];
    struct upload_piece what = {.sha256 = first, .whole_sha256 = whole};
    struct upload_wish wish;
    struct upload upload;

    if (!read_length(request, piece, 0, &what.length, response) || upload_wish_read(request, name, &wish, response) ||
        upload_digests_read(request, false, whole, first, response))
        return ERROR_REQUEST;
    wish.bytes = what.length;
    wish.sha256 = whole;
    if (backend->ops->upload_create(backend, &wish, &upload, &err)) {
        reply_upload_error(response, request, &err);
        return ERROR_REQUEST;
    }
    memcpy(piece->id, upload.id, sizeof(piece->id));
    upload_done(&upload);
    if (backend->ops->upload_resume(backend, piece->id, &what, &upload, &piece->sink, &err)) {
        upload_done(&upload);
        backend->ops->upload_delete(backend, piece->id, NULL);
        reply_upload_error(response, request, &err);
        return ERROR_REQUEST;
    }
    return 0;
}

static int post_begin(const struct request *request, struct backend *backend, void **ret_state,
                      struct response *response)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    char name[MULTIPART_FILENAME_BYTES_MAX + 1];
    int rc = ERROR_REQUEST;

    if (!piece)
        return refuse(response, request, PROBLEM_BUSY, "out of memory");
    *piece = (struct piece){.backend = backend, .is_last = true, .is_new = true};
    if (read_complete(request, piece, response) && read_name(request, name, response))
        rc = piece->is_last ? upload_whole_begin(request, name, backend, &piece->sink, response)
                            : create(piece, request, name, response);
    if (rc) {
        free(piece);
        return rc;
    }
    *ret_state = piece;
    return 0;
}

static bool is_partial(const struct request *request)
{
    const char *type = request_header(request, "Content-Type");
    size_t bytes = type ? strcspn(type, "; \t") : 0;

    return bytes == 26 && strncasecmp(type, "application/partial-upload", 26) == 0;
}

/* now: as the upload is, when the backend told. */
static void reply_resume_error(struct response *response, const struct request *request, struct backend *backend,
                               const struct upload *now, const struct error *err)
{
    char expected[24];

    if (err->code == ERROR_CONFLICT && now->id[0]) {
        snprintf(expected, sizeof(expected), "%" PRIu64, now->bytes);
        problem_reply_extra(response, request, PROBLEM_UPLOAD_OFFSET, err->text, "expected_offset", expected);
        upload_headers(backend, now, response);
    } else if (err->code == ERROR_CONFLICT) {
        problem_reply(response, request, PROBLEM_CONFLICT, "%s", err->text);
    } else if (err->code == ERROR_REQUEST) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s", err->text);
    } else {
        reply_upload_error(response, request, err);
    }
}

static int patch_begin(const struct request *request, struct backend *backend, void **ret_state,
                       struct response *response)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    struct error err = {.code = ERROR_NONE};
    char whole[SHA256_HEX_BYTES], sha256[SHA256_HEX_BYTES];
    struct upload_piece what = {.sha256 = sha256, .whole_sha256 = whole};
    int64_t offset;
    struct upload now;
    int rc = ERROR_REQUEST;

    if (!piece)
        return refuse(response, request, PROBLEM_BUSY, "out of memory");
    piece->backend = backend;
    piece->is_told = true;
    if (!id_is_valid(request->parameters[0]))
        refuse(response, request, PROBLEM_UPLOAD_NOT_FOUND, "there is no upload with this id");
    else if (!is_partial(request))
        refuse(response, request, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/partial-upload");
    else if (!read_complete(request, piece, response) || !read_number(request, "Upload-Offset", &offset, response))
        ; /* it is answered */
    else if (offset < 0)
        refuse(response, request, PROBLEM_BAD_REQUEST, "Upload-Offset is missing");
    else if (read_length(request, piece, offset, &what.length, response) &&
             upload_digests_read(request, false, whole, sha256, response) == 0) {
        what.offset = (uint64_t)offset;
        rc = backend->ops->upload_resume(backend, request->parameters[0], &what, &now, &piece->sink, &err);
    }
    if (rc) {
        if (err.code) {
            reply_resume_error(response, request, backend, &now, &err);
            upload_done(&now);
        }
        free(piece);
        return rc;
    }
    *ret_state = piece;
    return 0;
}

static int piece_append(const struct request *request, void *state, const void *data, size_t bytes,
                        struct response *response)
{
    static const struct upload unknown = {.id = ""};
    struct piece *piece = state;
    struct error err = {.code = ERROR_NONE};
    int rc = piece->backend->ops->upload_append(piece->sink, data, bytes, &err);

    if (rc)
        reply_resume_error(response, request, piece->backend, &unknown, &err);
    return rc;
}

static void piece_finish(const struct request *request, struct backend *backend, void *state, struct response *response)
{
    static const struct upload unknown = {.id = ""};
    struct piece *piece = state;
    struct error err = {.code = ERROR_NONE};
    struct upload upload;

    if (piece->is_last ? backend->ops->upload_commit(piece->sink, &upload, &err)
                       : backend->ops->upload_pause(piece->sink, &upload, &err)) {
        reply_resume_error(response, request, backend, &unknown, &err);
        if (piece->id[0]) /* its client was never told of it */
            backend->ops->upload_delete(backend, piece->id, NULL);
    } else {
        if (piece->is_new) {
            reply_upload(response, 201, &upload);
            response_header_format(response, "Location", "/v1/uploads/%s", upload.id);
        } else if (piece->is_last) {
            reply_upload(response, 200, &upload);
        } else {
            response->status = 204;
        }
        if (piece->is_told)
            upload_headers(backend, &upload, response);
        upload_done(&upload);
    }
    free(piece);
}

/* An upload that its client was never told of cannot be gone on with. */
static void piece_abandon(void *state)
{
    struct piece *piece = state;

    if (!piece)
        return;
    piece->backend->ops->upload_abandon(piece->sink);
    if (piece->id[0])
        piece->backend->ops->upload_delete(piece->backend, piece->id, NULL);
    free(piece);
}

const struct route_stream uploads_post = {post_begin, piece_append, piece_finish, piece_abandon};
const struct route_stream uploads_patch = {patch_begin, piece_append, piece_finish, piece_abandon};
