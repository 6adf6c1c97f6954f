/* A finished result by Accept. JSON and text are files as they lie; NDJSON is cut out of the JSON by the index. */
#include "api/resources/resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/prefer.h"
#include "api/resources/record_index.h"

enum result_form { FORM_JSON, FORM_NDJSON, FORM_TEXT, FORM_MARKDOWN, FORM_JUNIT, FORM_COUNT };
static const char *const media_types[FORM_COUNT] = {"application/json", "application/x-ndjson", "text/plain",
                                                    "text/markdown", "application/junit+xml"};
static const char *const content_types[FORM_COUNT] = {"application/json", "application/x-ndjson",
                                                      "text/plain; charset=utf-8", "text/markdown; charset=utf-8",
                                                      "application/junit+xml"};
static const enum representation files[FORM_COUNT] = {
    [FORM_JSON] = REPRESENTATION_JSON,         [FORM_NDJSON] = REPRESENTATION_JSON, [FORM_TEXT] = REPRESENTATION_TEXT,
    [FORM_MARKDOWN] = REPRESENTATION_MARKDOWN, [FORM_JUNIT] = REPRESENTATION_JUNIT,
};

void reply_no_result(struct response *response, const struct request *request, struct backend *backend,
                     const struct error *cause)
{
    struct error err = {.code = ERROR_NONE};
    struct job job;

    if (cause->code != ERROR_CONFLICT) {
        reply_job_error(response, request, cause);
        return;
    }
    if (backend->ops->get(backend, request->parameters[0], &job, &err)) {
        reply_job_error(response, request, &err);
        return;
    }
    if (job.state == JOB_FAILED) {
        char *failure = job_failure_text(job.error);

        if (failure)
            problem_reply_extra(response, request, PROBLEM_JOB_FAILED, "the job failed", "error", failure);
        else
            problem_reply(response, request, PROBLEM_BUSY, "out of memory");
        free(failure);
    } else if (job.state == JOB_CANCELLED) {
        problem_reply(response, request, PROBLEM_JOB_CANCELLED, "the job was cancelled");
    } else {
        problem_reply(response, request, PROBLEM_JOB_NOT_FINISHED, "the job is %s", job_state_names[job.state]);
        response_header(response, "Retry-After", "1");
    }
    job_done(&job);
}

static void reply_file(struct response *response, const char *media_type, struct blob *blob)
{
    response->status = 200;
    response->kind = BODY_BLOB;
    response->blob = *blob;
    response->offset = 0;
    response->length = blob->bytes;
    response_header(response, "Content-Type", media_type);
    response_header(response, "ETag", blob->etag);
    response_header(response, "Accept-Ranges", "bytes");
}

/* Takes json. */
static void reply_ndjson(const struct request *request, struct backend *backend, struct blob *json,
                         struct response *response)
{
    struct record_index index = {.blob = {.fd = -1}};
    struct error err = {.code = ERROR_NONE};
    struct segment *segments = NULL;
    int rc = record_index_open(backend, request->parameters[0], json->bytes, &index, &err);

    if (rc == 0) {
        segments = calloc(index.count ? index.count : 1, sizeof(*segments));
        if (!segments)
            rc = error_set(&err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; rc == 0 && i < index.count; i++) {
        rc = record_index_check(&index, i, &err);
        if (rc == 0)
            segments[i] = (struct segment){index.records[i].offset, index.records[i].bytes};
    }
    if (rc) {
        reply_job_error(response, request, &err);
        blob_done(json);
        free(segments);
        record_index_close(&index);
        return;
    }
    response_segments(response, content_types[FORM_NDJSON], json, segments, index.count, "", "\n",
                      index.count ? "\n" : "");
    if (response->status == 200)
        response_header_format(response, "ETag", "%.*s-ndjson\"", (int)strlen(json->etag) - 1, json->etag);
    record_index_close(&index);
}

void results_get(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct error err = {.code = ERROR_NONE};
    struct blob blob = {.fd = -1};
    int form;

    if (!query_is_known(request, known, response))
        return;
    form = accept_choose(request_header(request, "Accept"), media_types, FORM_COUNT);
    if (form < 0) {
        problem_reply(response, request, PROBLEM_NOT_ACCEPTABLE,
                      "there are application/json, application/x-ndjson, text/plain, text/markdown and "
                      "application/junit+xml");
        return;
    }
    err.code = ERROR_NOT_FOUND;
    if (!id_is_valid(request->parameters[0]) ||
        backend->ops->open_result(backend, request->parameters[0], files[form], &blob, &err)) {
        reply_no_result(response, request, backend, &err);
        return;
    }
    if (form == FORM_NDJSON)
        reply_ndjson(request, backend, &blob, response);
    else
        reply_file(response, content_types[form], &blob);
    if (response->status == 200) {
        response_header(response, "Cache-Control", "private, max-age=31536000, immutable");
        response_header(response, "Vary", "Accept, Accept-Encoding");
    }
}
