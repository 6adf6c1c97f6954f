#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/json_text.h"

const struct problem_type problem_types[PROBLEM_COUNT] = {
    [PROBLEM_BAD_REQUEST] =
        {"bad-request", 400, "Bad request",
         "The request line, a header or the target is malformed or ambiguous. Nothing was done; the "
         "connection may have been closed."},
    [PROBLEM_INVALID_PARAMETER] =
        {"invalid-parameter", 400, "Invalid parameter",
         "A parameter of the query is unknown, given twice or has a value that is not allowed. "
         "A page token is good only for the list and the filter that it came from."},
    [PROBLEM_INVALID_REQUEST] = {"invalid-request", 422, "Invalid request",
                                 "The body is not what this call takes. errors[] points at each fault."},
    [PROBLEM_NOT_FOUND] = {"not-found", 404, "Not found", "There is nothing at this address."},
    [PROBLEM_JOB_NOT_FOUND] = {"job-not-found", 404, "No such job",
                               "No job has this id: it was never accepted, was deleted, or has expired."},
    [PROBLEM_UPLOAD_NOT_FOUND] = {"upload-not-found", 404, "No such upload",
                                  "No upload has this id: it never completed, was deleted, or has expired."},
    [PROBLEM_MODEL_NOT_FOUND] = {"model-not-found", 404, "No such model",
                                 "Nothing lies at this path below the service's models root. GET /v1/models lists what "
                                 "does."},
    [PROBLEM_MODEL_REFUSED] = {"model-refused", 422, "Model refused",
                               "The path leads out of the models root, may not be read by the service, is no regular "
                               "file, or is a directory without a model."},
    [PROBLEM_MALFORMED_MODEL] = {"malformed-model", 422, "Malformed model",
                                 "The file contradicts itself or is cut short."},
    [PROBLEM_UNSUPPORTED_MODEL] = {"unsupported-model", 422, "Unsupported model",
                                   "No format of this build recognises the content. GET /v1/formats lists them."},
    [PROBLEM_LIMIT_EXCEEDED] = {"limit-exceeded", 422, "Limit exceeded",
                                "The content claims more than a limit of this service allows."},
    [PROBLEM_SOURCE_CHANGED] = {"source-changed", 409, "Source changed",
                                "The file was changed or replaced while it was read. Try again when it is at rest."},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"method-not-allowed", 405, "Method not allowed",
                                    "This address does not take this method. The Allow header lists those it takes."},
    [PROBLEM_NOT_ACCEPTABLE] = {"not-acceptable", 406, "Not acceptable",
                                "None of the representations there are is acceptable by the Accept header."},
    [PROBLEM_JOB_NOT_FINISHED] = {"job-not-finished", 409, "Job not finished",
                                  "The job is queued or running. Ask again after Retry-After seconds, or wait with "
                                  "Prefer: wait=30 on GET /v1/jobs/{id}."},
    [PROBLEM_JOB_FAILED] = {"job-failed", 409, "Job failed",
                            "The job ended without a result. The member error says why."},
    [PROBLEM_JOB_CANCELLED] = {"job-cancelled", 409, "Job cancelled", "The job was cancelled and has no result."},
    [PROBLEM_UPLOAD_IN_USE] = {"upload-in-use", 409, "Upload in use",
                               "A job that is not finished needs this upload. Cancel the job, or wait for its end."},
    [PROBLEM_CONFLICT] = {"conflict", 409, "Conflict", "The state of the resource does not allow this now."},
    [PROBLEM_TOO_LARGE] = {"too-large", 413, "Content too large", "The body has more bytes than this call takes."},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {"unsupported-media-type", 415, "Unsupported media type",
                                        "Calls that take JSON take only Content-Type: application/json, without a "
                                        "Content-Encoding."},
    [PROBLEM_RANGE_NOT_SATISFIABLE] = {"range-not-satisfiable", 416, "Range not satisfiable",
                                       "The range lies beyond the end. Content-Range tells the length."},
    [PROBLEM_MISDIRECTED] =
        {"misdirected-request", 421, "Misdirected request",
         "The Host header names another host than this service answers for. A service that listens on "
         "loopback answers for localhost, 127.0.0.1, [::1] and what --allowed-host names."},
    [PROBLEM_FOREIGN_ORIGIN] =
        {"foreign-origin", 403, "Foreign origin",
         "A web page of another origin made this request. Such pages may not change anything here."},
    [PROBLEM_DIGEST_MISMATCH] = {"digest-mismatch", 422, "Digest mismatch",
                                 "The bytes that arrived do not have the sha-256 that Repr-Digest or Content-Digest "
                                 "announced. The upload was discarded."},
    [PROBLEM_HEADERS_TOO_LARGE] = {"headers-too-large", 431, "Request header fields too large",
                                   "The request has more header fields than this service takes."},
    [PROBLEM_BUSY] = {"busy", 503, "Busy", "The queue or the service is full. Try again after Retry-After seconds."},
    [PROBLEM_NOT_READY] = {"not-ready", 503, "Not ready", "The service cannot accept work now."},
    [PROBLEM_TIMEOUT] = {"timeout", 503, "Timeout",
                         "The service could not answer in time, for example because a file system hangs."},
    [PROBLEM_NO_SPACE] = {"no-space", 507, "Insufficient storage",
                          "There is no space left for this. Delete jobs or uploads, or try again later."},
    [PROBLEM_READ_ERROR] = {"read-error", 502, "Read error", "The device that holds the model failed to read it."},
    [PROBLEM_WORKER_CRASHED] = {"worker-crashed", 500, "The job's process crashed",
                                "The process that ran the job died, as often as a job is tried. The other jobs and the "
                                "service were not harmed."},
    [PROBLEM_DEADLINE_EXCEEDED] = {"deadline-exceeded", 504, "Deadline exceeded",
                                   "The job ran longer than --job-timeout allows."},
    [PROBLEM_MEMORY_EXCEEDED] = {"memory-exceeded", 422, "Memory limit exceeded",
                                 "The job needed more memory than --job-memory allows."},
    [PROBLEM_INTERRUPTED] = {"interrupted", 500, "Interrupted",
                             "The service ended during each of the job's attempts, as often as it is tried."},
    [PROBLEM_INTERNAL] = {"internal", 500, "Internal error",
                          "The service failed. The log has the cause under the request's id."},
};

enum problem problem_of_error(int code)
{
    switch ((enum error_code)code) {
    case ERROR_REQUEST:
        return PROBLEM_INVALID_REQUEST;
    case ERROR_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case ERROR_ACCESS:
    case ERROR_OUTSIDE:
    case ERROR_NOT_REGULAR:
    case ERROR_NO_MODEL:
        return PROBLEM_MODEL_REFUSED;
    case ERROR_FORMAT:
        return PROBLEM_MALFORMED_MODEL;
    case ERROR_UNSUPPORTED:
        return PROBLEM_UNSUPPORTED_MODEL;
    case ERROR_LIMIT:
        return PROBLEM_LIMIT_EXCEEDED;
    case ERROR_CHANGED:
        return PROBLEM_SOURCE_CHANGED;
    case ERROR_READ:
        return PROBLEM_READ_ERROR;
    case ERROR_NO_SPACE:
        return PROBLEM_NO_SPACE;
    case ERROR_CANCELLED:
        return PROBLEM_TIMEOUT;
    case ERROR_CONFLICT:
        return PROBLEM_CONFLICT;
    case ERROR_BUSY:
    case ERROR_NO_MEMORY:
        return PROBLEM_BUSY;
    case ERROR_NONE:
    case ERROR_WRITE:
    case ERROR_INTERNAL:
        break;
    }
    return PROBLEM_INTERNAL;
}

const struct problem_type *problem_by_slug(const char *slug)
{
    for (size_t i = 0; i < PROBLEM_COUNT; i++)
        if (strcmp(problem_types[i].slug, slug) == 0)
            return &problem_types[i];
    return NULL;
}

static void reply(struct response *response, const struct request *request, enum problem problem, const char *detail,
                  const struct request_faults *faults, const char *name, const char *json)
{
    const struct problem_type *type = &problem_types[problem];
    struct json_text text;
    struct writer *w = &text.writer;
    char address[96];
    size_t bytes = 0;
    char *body;

    snprintf(address, sizeof(address), "/problems/%s", type->slug);
    json_text_init(&text);
    write_begin_object(w);
    write_text(w, "type", address);
    write_text(w, "title", type->title);
    write_i64(w, "status", type->status);
    if (detail && *detail)
        write_text(w, "detail", detail);
    if (request && request->path && *request->path)
        write_text(w, "instance", request->path);
    if (faults && faults->count) {
        write_array(w, "errors");
        for (size_t i = 0; i < faults->count; i++) {
            write_begin_object(w);
            write_text(w, "pointer", faults->items[i].pointer);
            write_text(w, "detail", faults->items[i].detail);
            write_end(w);
        }
        write_end(w);
    }
    if (request && request->id[0])
        write_text(w, "request_id", request->id);
    json_text_member_raw(&text, name, json);
    write_end(w);
    body = json_text_take(&text, &bytes);
    response_text(response, type->status, "application/problem+json", body, bytes);
    response_header(response, "Cache-Control", "no-store");
    if (type->status == 503)
        response_header(response, "Retry-After", "5");
}

void problem_reply(struct response *response, const struct request *request, enum problem problem, const char *format,
                   ...)
{
    char detail[ERROR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    reply(response, request, problem, detail, NULL, NULL, NULL);
}

void problem_reply_faults(struct response *response, const struct request *request, enum problem problem,
                          const struct request_faults *faults, const char *detail)
{
    reply(response, request, problem, detail, faults, NULL, NULL);
}

void problem_reply_extra(struct response *response, const struct request *request, enum problem problem,
                         const char *detail, const char *name, const char *json)
{
    reply(response, request, problem, detail, NULL, name, json);
}

void problem_reply_error(struct response *response, const struct request *request, const struct error *err)
{
    enum problem problem = problem_of_error(err->code);
    const char *detail = err->text;

    switch (problem) {
    case PROBLEM_READ_ERROR:
    case PROBLEM_NO_SPACE:
    case PROBLEM_BUSY: /* the store's own words */
    case PROBLEM_INTERNAL:
        snprintf(response->cause, sizeof(response->cause), "%.250s", err->text);
        detail = NULL;
        break;
    case PROBLEM_MODEL_REFUSED:
        detail = err->code == ERROR_OUTSIDE       ? "the path leads out of the models root"
                 : err->code == ERROR_ACCESS      ? "the service may not read it"
                 : err->code == ERROR_NOT_REGULAR ? "it is not a regular file"
                                                  : "no model lies in this directory";
        break;
    default:
        break;
    }
    reply(response, request, problem, detail, NULL, NULL, NULL);
}
