#include "api/resources/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/conditional.h"
#include "api/encoding.h"
#include "api/prefer.h"
#include "api/request.h"

enum { ETAG_BYTES = 48 };

bool job_is_terminal(const struct job *job)
{
    return job->state == JOB_SUCCEEDED || job->state == JOB_FAILED || job->state == JOB_CANCELLED;
}

/* The code stands first in what job_error_of_problem wrote. */
char *job_failure_text(const char *stored)
{
    static const char lead[] = "{\"code\":\"";
    const struct problem_type *known;
    char slug[64], *text;
    size_t bytes;

    if (!stored || strncmp(stored, lead, sizeof(lead) - 1) != 0)
        return strdup("{\"type\":\"/problems/internal\",\"title\":\"Internal error\",\"status\":500}");
    bytes = strcspn(stored + sizeof(lead) - 1, "\"");
    snprintf(slug, sizeof(slug), "%.*s", (int)bytes, stored + sizeof(lead) - 1);
    known = problem_by_slug(slug);
    if (asprintf(&text, "%.*s,\"type\":\"/problems/%s\"}", (int)strlen(stored) - 1, stored,
                 known ? known->slug : "job-failed") < 0)
        return NULL;
    return text;
}

static double fraction(const struct job *job)
{
    const struct job_progress *p = &job->progress;

    if (job->state == JOB_SUCCEEDED)
        return 1;
    if (p->bytes_total == 0)
        return 0;
    return p->bytes_done < p->bytes_total ? (double)p->bytes_done / (double)p->bytes_total : 1;
}

static void write_progress(const struct job *job, struct writer *w)
{
    write_object(w, "progress");
    write_figure(w, "fraction", fraction(job), NULL);
    write_u64(w, "bytes_done", job->progress.bytes_done);
    write_u64(w, "bytes_total", job->progress.bytes_total);
    write_u64(w, "tensors_done", job->progress.tensors_done);
    write_u64(w, "tensors_total", job->progress.tensors_total);
    write_text(w, "phase", job->progress.phase);
    write_end(w);
}

void job_write_progress(const struct job *job, struct writer *w)
{
    write_text(w, "state", job_state_names[job->state]);
    write_u64(w, "attempt", job->attempt);
    if (job->state == JOB_QUEUED && job->queue_position)
        write_u64(w, "queue_position", job->queue_position);
    write_progress(job, w);
}

void job_write(const struct job *job, struct json_text *json)
{
    struct writer *w = &json->writer;
    char url[80];

    write_begin_object(w);
    write_text(w, "id", job->id);
    if (job->owner[0])
        write_text(w, "owner", job->owner);
    write_text(w, "state", job_state_names[job->state]);
    write_progress(job, w);
    write_u64(w, "attempt", job->attempt);
    write_flag(w, "cancel_requested", job->cancel_requested);
    if (job->state == JOB_QUEUED && job->queue_position)
        write_u64(w, "queue_position", job->queue_position);
    json_text_member_time(json, "create_time", job->create_ms);
    json_text_member_time(json, "start_time", job->start_ms);
    json_text_member_time(json, "finish_time", job->finish_ms);
    json_text_member_time(json, "expire_time", job->expire_ms);
    if (job->callback.state != CALLBACK_NONE) {
        write_object(w, "callback");
        write_text(w, "state", callback_state_names[job->callback.state]);
        write_u64(w, "attempts", job->callback.attempts);
        if (job->callback.last_status)
            write_u64(w, "last_status", (uint64_t)job->callback.last_status);
        if (job->callback.state == CALLBACK_DUE)
            json_text_member_time(json, "next_attempt_time", job->callback.next_ms);
        write_end(w);
    }
    json_text_member_raw(json, "labels", job->labels ? job->labels : "{}");
    json_text_member_raw(json, "request", job->request ? job->request : "{}");
    if (job->state == JOB_SUCCEEDED) {
        if (job->summary)
            json_text_member_raw(json, "summary", job->summary);
        snprintf(url, sizeof(url), "/v1/jobs/%s/result", job->id);
        write_text(w, "result_url", url);
        snprintf(url, sizeof(url), "/v1/jobs/%s/tensors", job->id);
        write_text(w, "tensors_url", url);
    }
    if (job->state == JOB_FAILED) {
        char *failure = job_failure_text(job->error);

        json_text_member_raw(json, "error", failure);
        json->is_failed |= !failure;
        free(failure);
    }
    if (job->state == JOB_SUCCEEDED)
        json_text_member_raw(json, "run", job->run);
    write_end(w);
}

/* A job's ETag: its version, and what others change in it. */
static void write_etag(const struct job *job, char out[ETAG_BYTES])
{
    snprintf(out, ETAG_BYTES, "\"%" PRIu64 "-%" PRIu64 "\"", job->version,
             job->state == JOB_QUEUED ? job->queue_position : 0);
}

/* What goes with a job, body or not. */
static void set_job_headers(const struct job *job, const char *etag, struct response *response)
{
    memcpy(response->job_id, job->id, sizeof(job->id));
    response_header(response, "ETag", etag);
    response_header(response, "Cache-Control", "private, no-cache");
    if (!job_is_terminal(job))
        response_header(response, "Retry-After", "1");
}

void reply_job(struct response *response, int status, const struct job *job)
{
    struct json_text json;
    char etag[ETAG_BYTES];

    write_etag(job, etag);
    json_text_init(&json);
    job_write(job, &json);
    reply_json(response, status, &json);
    set_job_headers(job, etag, response);
}

/* To a GET: without its body when the client knows it. */
static void reply_job_unless_known(const struct request *request, const struct job *job, struct response *response)
{
    char etag[ETAG_BYTES], etag_gzip[ETAG_BYTES];
    bool is_known_gzip;

    write_etag(job, etag);
    encoding_etag(etag, etag_gzip, sizeof(etag_gzip));
    is_known_gzip = conditional_is_known(request, etag_gzip) &&
                    encoding_choose(request_header(request, "Accept-Encoding"), true) == ENCODING_GZIP;
    if (!is_known_gzip && !conditional_is_known(request, etag)) {
        reply_job(response, 200, job);
        return;
    }
    response->status = 200; /* conditional_apply makes it 304 */
    response_header(response, "Content-Type", "application/json");
    set_job_headers(job, is_known_gzip ? etag_gzip : etag, response);
}

void reply_job_error(struct response *response, const struct request *request, const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        problem_reply(response, request, PROBLEM_JOB_NOT_FOUND, "there is no job with this id");
    else
        problem_reply_error(response, request, err);
}

static bool has_id(const struct request *request, struct response *response)
{
    if (id_is_valid(request->parameters[0]))
        return true;
    problem_reply(response, request, PROBLEM_JOB_NOT_FOUND, "there is no job with this id");
    return false;
}

void job_set_wait(const struct job *job, unsigned seconds, struct response *response)
{
    if (seconds == 0 || job_is_terminal(job))
        return;
    memcpy(response->wait.job_id, job->id, sizeof(job->id));
    response->wait.seconds = seconds;
}

void set_preference_applied(unsigned seconds, struct response *response)
{
    if (seconds)
        response_header_format(response, "Preference-Applied", "wait=%u", seconds);
}

/* The end of a wait on POST: 200 with the finished job, else 202 as it is now. */
void reply_waited(const struct request *request, struct backend *backend, int status_unfinished,
                  struct response *response)
{
    struct error err = {.code = ERROR_NONE};
    unsigned seconds = prefer_wait(request_header(request, "Prefer"));
    struct job job;

    if (backend->ops->get(backend, request->waited.job_id, &job, &err)) {
        reply_job_error(response, request, &err);
        return;
    }
    reply_job(response, job_is_terminal(&job) ? 200 : status_unfinished, &job);
    if (request->method == METHOD_POST)
        response_header_format(response, "Location", "/v1/jobs/%s", job.id);
    if (request->waited.is_replay)
        response_header(response, "Idempotency-Replayed", "true");
    if (!request->waited.is_over)
        job_set_wait(&job, seconds, response);
    set_preference_applied(seconds, response);
    job_done(&job);
}

static bool peek(const struct request *request, struct backend *backend, struct job *ret)
{
    return backend->ops->peek && backend->ops->peek(backend, request->parameters[0], ret);
}

void jobs_get(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct error err = {.code = ERROR_NONE};
    struct job job;

    if (!query_is_known(request, known, response) || !has_id(request, response))
        return;
    if (request->waited.job_id) {
        reply_waited(request, backend, 200, response);
        return;
    }
    if (request->is_on_socket) {
        response->is_deferred = !peek(request, backend, &job);
        if (response->is_deferred)
            return;
    } else if (backend->ops->get(backend, request->parameters[0], &job, &err)) {
        reply_job_error(response, request, &err);
        return;
    }
    reply_job_unless_known(request, &job, response);
    job_set_wait(&job, prefer_wait(request_header(request, "Prefer")), response);
    job_done(&job);
}

void jobs_cancel(const struct request *request, struct backend *backend, struct response *response)
{
    struct error err = {.code = ERROR_NONE};
    struct job job;

    if (!has_id(request, response))
        return;
    if (backend->ops->cancel(backend, request->parameters[0], &job, &err)) {
        reply_job_error(response, request, &err);
        return;
    }
    reply_job(response, job_is_terminal(&job) ? 200 : 202, &job);
    job_done(&job);
}

void jobs_forget(const struct request *request, struct backend *backend, struct response *response)
{
    struct error err = {.code = ERROR_NONE};

    if (!has_id(request, response))
        return;
    if (backend->ops->forget(backend, request->parameters[0], &err))
        reply_job_error(response, request, &err);
    else
        response->status = 204;
}

/* One label of the query: NAME:VALUE, or NAME for whatever value. The name is cut off in place. */
static bool read_label(char *text, struct job_filter *filter)
{
    size_t name_bytes = strcspn(text, ":=");
    struct label *label = &filter->labels[filter->label_count];

    if (name_bytes == 0 || filter->label_count == FILTER_LABELS_MAX)
        return false;
    label->name = text;
    label->value = text[name_bytes] ? text + name_bytes + 1 : NULL;
    text[name_bytes] = '\0';
    filter->label_count++;
    return true;
}

/* state and label of the query. False with the response filled. *ret_text, what the labels point at, is the caller's to
 * free. */
static bool read_filter(const struct request *request, struct job_filter *filter, char **ret_text,
                        struct response *response)
{
    const char *state = request_query(request, "state");
    size_t bytes = 1;
    char *text;

    *filter = (struct job_filter){.state = -1, .owner = caller_view(&request->caller)};
    if (state && *state) {
        for (int i = 0; i < JOB_STATE_COUNT; i++)
            if (strcmp(state, job_state_names[i]) == 0)
                filter->state = i;
        if (filter->state < 0) {
            problem_reply(response, request, PROBLEM_INVALID_PARAMETER,
                          "state must be one of queued, running, succeeded, failed, cancelled");
            return false;
        }
    }
    for (size_t i = 0; i < request->query_count; i++)
        bytes += strlen(request->query[i].value) + 1;
    text = *ret_text = malloc(bytes);
    if (!text) {
        problem_reply(response, request, PROBLEM_BUSY, "out of memory");
        return false;
    }
    for (size_t i = 0; i < request->query_count; i++) {
        size_t length = strlen(request->query[i].value);

        if (strcmp(request->query[i].name, "label") != 0 || length == 0)
            continue;
        memcpy(text, request->query[i].value, length + 1);
        if (!read_label(text, filter)) {
            problem_reply(response, request, PROBLEM_INVALID_PARAMETER,
                          "label must be NAME:VALUE or NAME, and be given %d times at most", FILTER_LABELS_MAX);
            return false;
        }
        text += length + 1;
    }
    return true;
}

void jobs_list(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {"state", "label", "page_size", "page_token", NULL};
    struct job_list list = {.count = 0};
    struct error err = {.code = ERROR_NONE};
    uint64_t filter_hash = page_filter(request), cursor;
    struct job_filter filter;
    struct json_text json;
    char *label = NULL;
    size_t size;

    if (!query_is_known(request, known, response) || !page_size_read(request, &size, response) ||
        !page_token_read(request, filter_hash, &cursor, response) || !read_filter(request, &filter, &label, response))
        goto out;
    if (backend->ops->list(backend, &filter, cursor, size, &list, &err)) {
        problem_reply_error(response, request, &err);
        goto out;
    }
    json_text_init(&json);
    write_begin_object(&json.writer);
    write_array(&json.writer, "jobs");
    for (size_t i = 0; i < list.count; i++)
        job_write(&list.jobs[i], &json);
    reply_list(request, list.next, filter_hash, &json, response);
out:
    job_list_done(&list);
    free(label);
}
