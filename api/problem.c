#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/json_text.h"

const struct problem_type problem_types[PROBLEM_COUNT] = {
    [PROBLEM_BAD_REQUEST] = {"bad-request", 400, "Bad request",
                             "The request line, a header or the target is malformed or ambiguous. Nothing was done; "
                             "the connection may have been closed.",
                             "Mend the client: detail names what it sent. Behind a proxy, look whether the proxy "
                             "rewrites headers or paths; %2F may stand in the name of an upload only."},
    [PROBLEM_INVALID_PARAMETER] = {"invalid-parameter", 400, "Invalid parameter",
                                   "A parameter of the query is unknown, given twice or has a value that is not "
                                   "allowed. A page token is good only for the list and the filter that it came from.",
                                   "Compare the query with the call's parameters in /openapi.yaml. When a page token "
                                   "is refused, start again from the first page with the filter as it is now."},
    [PROBLEM_INVALID_REQUEST] = {"invalid-request", 422, "Invalid request",
                                 "The body is not what this call takes. errors[] points at each fault.",
                                 "Mend what each pointer in errors[] names and send it again; the same body will fail "
                                 "again. GET /v1/analyses lists analyses and their options."},
    [PROBLEM_NOT_FOUND] = {"not-found", 404, "Not found", "There is nothing at this address.",
                           "Compare the path with /openapi.yaml. Behind a proxy that serves this under a prefix, let "
                           "the proxy take the prefix off."},
    [PROBLEM_JOB_NOT_FOUND] = {"job-not-found", 404, "No such job",
                               "No job has this id: it was never accepted, was deleted, or has expired.",
                               "Look for it in GET /v1/jobs. Jobs expire --retention after their end (expire_time says "
                               "when): fetch results before then, or submit the job again."},
    [PROBLEM_UPLOAD_NOT_FOUND] = {"upload-not-found", 404, "No such upload",
                                  "No upload has this id: it never completed, was deleted, or has expired.",
                                  "Look for it in GET /v1/uploads, or send the file again with PUT /v1/uploads/NAME "
                                  "and use the id in the answer."},
    [PROBLEM_MODEL_NOT_FOUND] = {"model-not-found", 404, "No such model",
                                 "Nothing lies at this path below the service's models root.",
                                 "GET /v1/models lists what does. With several roots a path begins with the root's "
                                 "name. A model that is not on the server can be uploaded."},
    [PROBLEM_MODEL_REFUSED] =
        {"model-refused", 422, "Model refused",
         "The path leads out of the models root, may not be read by the service, is no regular file, or is a directory "
         "without a model.",
         "Name a file, or a directory that holds a model, below the root and without links that lead out of it. Where "
         "detail says that it may not be read, give the service's user the right to read it."},
    [PROBLEM_MALFORMED_MODEL] = {"malformed-model", 422, "Malformed model",
                                 "The file contradicts itself or is cut short.",
                                 "detail says what the file claims and what is true. Compare its length and checksum "
                                 "with where it came from, and copy it again: a broken download is the usual cause."},
    [PROBLEM_UNSUPPORTED_MODEL] =
        {"unsupported-model", 422, "Unsupported model", "No format of this build recognises the content.",
         "GET /v1/formats lists the formats. The content decides, not the name: a file that is one of them by its name "
         "may be an error page or a pointer that stands for the real file. Otherwise convert it."},
    [PROBLEM_LIMIT_EXCEEDED] = {"limit-exceeded", 422, "Limit exceeded",
                                "The content claims more than a limit of this service allows.",
                                "detail names the limit and the claim. For a model that is what it should be, ask "
                                "whoever runs the service to raise the limit, or compare fewer models at once."},
    [PROBLEM_SOURCE_CHANGED] = {"source-changed", 409, "Source changed",
                                "The file was changed or replaced while it was read.",
                                "Submit the job again when the file is at rest. Write checkpoints under another name "
                                "and rename them when they are complete."},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"method-not-allowed", 405, "Method not allowed",
                                    "This address does not take this method.",
                                    "Use one of the methods in the Allow header."},
    [PROBLEM_NOT_ACCEPTABLE] =
        {"not-acceptable", 406, "Not acceptable",
         "None of the representations there are is acceptable by the Accept header.",
         "Send an Accept header that names a media type which /openapi.yaml lists for this call, or none."},
    [PROBLEM_JOB_NOT_FINISHED] =
        {"job-not-finished", 409, "Job not finished", "The job is queued or running.",
         "Ask again after Retry-After seconds, or wait with Prefer: wait=30 on GET /v1/jobs/{id}."},
    [PROBLEM_JOB_FAILED] = {"job-failed", 409, "Job failed",
                            "The job ended without a result. The member error says why.",
                            "Open the address in error.type: it says what to do about that cause. Then submit a new "
                            "job; a failed one is not tried again."},
    [PROBLEM_JOB_CANCELLED] = {"job-cancelled", 409, "Job cancelled", "The job was cancelled and has no result.",
                               "Submit a new job if the result is still wanted."},
    [PROBLEM_UPLOAD_IN_USE] = {"upload-in-use", 409, "Upload in use", "A job that is not finished needs this upload.",
                               "Cancel the job, or wait for its end, and delete the upload then."},
    [PROBLEM_CONFLICT] = {"conflict", 409, "Conflict", "The state of the resource does not allow this now.",
                          "GET the resource to see its state, and decide by that whether to ask again."},
    [PROBLEM_UPLOAD_INCOMPLETE] =
        {"upload-incomplete", 409, "Upload incomplete", "The job names an upload of which not every byte has arrived.",
         "HEAD /v1/uploads/ID tells its Upload-Offset: send the rest with PATCH, the last piece "
         "with Upload-Complete: ?1, and submit the job again."},
    [PROBLEM_UPLOAD_OFFSET] = {"upload-offset-mismatch", 409, "Upload offset mismatch",
                               "The piece does not begin where the upload ends, or the upload is complete.",
                               "Go on from expected_offset, which the Upload-Offset header tells too."},
    [PROBLEM_SUBMISSION_IN_FLIGHT] = {"submission-in-flight", 409, "Submission in flight",
                                      "Another request with this Idempotency-Key is being handled.",
                                      "Send it again after Retry-After seconds: the answer will be the job that the "
                                      "other request has made by then."},
    [PROBLEM_KEY_REUSED] = {"idempotency-key-reused", 422, "Idempotency key reused",
                            "The Idempotency-Key stands for an earlier job, which was another request.",
                            "Use a new key for each new job. A key is free again when its job has expired or was "
                            "deleted."},
    [PROBLEM_LENGTH_REQUIRED] =
        {"length-required", 411, "Length required",
         "The file comes with neither a Content-Length nor Transfer-Encoding: chunked, so that "
         "no byte of it would arrive.",
         "Send the file with its length, as curl -T FILE does, or chunked. An empty file is sent "
         "with Content-Length: 0."},
    [PROBLEM_TOO_LARGE] = {"too-large", 413, "Content too large", "The body has more bytes than this call takes.",
                           "Send a model as an upload rather than inside a request. If it is one already, ask whoever "
                           "runs the service to raise --upload-limit; for JSON it is --body-limit."},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] =
        {"unsupported-media-type", 415, "Unsupported media type",
         "Calls that take JSON take only Content-Type: application/json, without a Content-Encoding.",
         "Send that header: curl needs -H 'Content-Type: application/json' beside -d."},
    [PROBLEM_RANGE_NOT_SATISFIABLE] = {"range-not-satisfiable", 416, "Range not satisfiable",
                                       "The range lies beyond the end.",
                                       "Content-Range tells the length; ask for a range within it, or without Range."},
    [PROBLEM_MISDIRECTED] =
        {"misdirected-request", 421, "Misdirected request",
         "The Host header names another host than this service answers for. A service that listens on loopback answers "
         "for localhost, 127.0.0.1, [::1] and what --allowed-host names.",
         "Use one of these names, or start the service with --allowed-host NAME when a proxy passes another one on."},
    [PROBLEM_FOREIGN_ORIGIN] =
        {"foreign-origin", 403, "Foreign origin",
         "A web page of another origin made this request. Such pages may not change anything here.",
         "Make the request from a page that this service's own origin serves, or from a program that sends no Origin "
         "header."},
    [PROBLEM_UNAUTHORIZED] = {"unauthorized", 401, "Unauthorized",
                              "This service takes API keys, and none that it knows came with the request.",
                              "Send Authorization: Bearer KEY. For a key, or when yours is refused though it is spelt "
                              "right, ask whoever runs the service: keys are lines of its --api-keys-file."},
    [PROBLEM_FORBIDDEN] = {"forbidden", 403, "Forbidden", "The API key lacks the scope that this call takes.",
                           "detail and WWW-Authenticate name the scope: read, submit or admin. Use a key that has it, "
                           "or ask whoever runs the service to add it to yours."},
    [PROBLEM_QUOTA_EXCEEDED] = {"quota-exceeded", 429, "Quota exceeded", "As many jobs of this key wait as may.",
                                "Try again after Retry-After seconds, or cancel some of them. Whoever runs the service "
                                "sets the number: queued=N in the line of the key."},
    [PROBLEM_DIGEST_MISMATCH] = {"digest-mismatch", 422, "Digest mismatch",
                                 "The bytes that arrived do not have the sha-256 that Repr-Digest or Content-Digest "
                                 "announced. The upload was discarded.",
                                 "Compare the digest with the file, then send it again: either the file changed "
                                 "meanwhile or it was damaged on the way."},
    [PROBLEM_HEADERS_TOO_LARGE] =
        {"headers-too-large", 431, "Request header fields too large",
         "The request has more header fields than this service takes.",
         "Send fewer: 100 are taken. Look for a client or a proxy that adds the same field again and again."},
    [PROBLEM_BUSY] = {"busy", 503, "Busy", "The queue or the service is full.",
                      "Try again after Retry-After seconds, then at growing intervals. If it lasts, whoever runs the "
                      "service should see how long the queue is, and add workers or raise --queue-limit."},
    [PROBLEM_NOT_READY] = {"not-ready", 503, "Not ready", "The service cannot accept work now.",
                           "Wait: it is so while the service starts or ends. If it lasts, detail says what is missing "
                           "and the service's log says why."},
    [PROBLEM_TIMEOUT] = {"timeout", 503, "Timeout",
                         "The service could not answer in time, for example because a file system hangs.",
                         "Try again after Retry-After seconds. If it lasts for paths of one models root, whoever runs "
                         "the service should look at that file system."},
    [PROBLEM_NO_SPACE] = {"no-space", 507, "Insufficient storage",
                          "There is no space left for this: the disk or the quota is full.",
                          "Delete jobs and uploads that are not needed, or try again later. Whoever runs the service "
                          "can make the disk larger, raise --quota or shorten --retention."},
    [PROBLEM_READ_ERROR] = {"read-error", 502, "Read error", "The device that holds the model failed to read it.",
                            "Try again once; if it fails again, the disk or the network file system wants attention, "
                            "and the service's log has the cause."},
    [PROBLEM_WORKER_CRASHED] =
        {"worker-crashed", 500, "The job's process crashed",
         "The process that ran the job died: twice of the same defect in the same phase, or three times of anything. "
         "The other jobs and the service were not harmed.",
         "Please report it with the detail and, if you may, the file: a file must not be able to do that. When detail "
         "says that it was killed from outside, the machine ran out of memory: lower --workers or --job-memory. When "
         "it "
         "names a system call, the sandbox stopped it: report that in any case."},
    [PROBLEM_DEADLINE_EXCEEDED] = {"deadline-exceeded", 504, "Deadline exceeded",
                                   "The job ran longer than --job-timeout allows.",
                                   "Compare fewer tensors (include, exclude), fewer models or fewer analyses, or ask "
                                   "whoever runs the service to raise --job-timeout."},
    [PROBLEM_MEMORY_EXCEEDED] =
        {"memory-exceeded", 422, "Memory limit exceeded", "The job needed more memory than --job-memory allows.",
         "Compare fewer models or fewer analyses at once, or ask whoever runs the service to raise --job-memory."},
    [PROBLEM_INTERRUPTED] = {"interrupted", 500, "Interrupted",
                             "The service ended during each of the job's attempts, as often as it is tried.",
                             "Whoever runs the service should see in the log why it ends so often: a liveness probe, "
                             "too little memory, or a grace period shorter than the job. Then submit the job again."},
    [PROBLEM_INTERNAL] =
        {"internal", 500, "Internal error", "The service failed in a way that it did not foresee.",
         "Try again; if it fails again, report it with request_id. The service's log has the cause under that id."},
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
    case ERROR_QUOTA:
        return PROBLEM_QUOTA_EXCEEDED;
    case ERROR_BUSY:
    case ERROR_NO_MEMORY:
        return PROBLEM_BUSY;
    case ERROR_WRITE: /* the state directory's disk; nothing else is written */
        return PROBLEM_NOT_READY;
    case ERROR_NONE:
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
    if (type->status == 429 || type->status == 503)
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
    case PROBLEM_NOT_READY:
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
