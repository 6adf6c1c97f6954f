/* Ids of events are the job's versions, as in its ETag. The first event is the whole job, so a client that comes back
 * after a cut has missed nothing; when it knows that version already (Last-Event-ID), the first event is left out, and
 * 204 tells an EventSource that knows the end to come no more. */
#include "api/resources/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/prefer.h"
#include "api/resources/resources.h"

#define RETRY_LINE "retry: 2000\n\n"

/* Takes json. has_id: without it, a client that is cut off right after this event asks for it again. NULL without
 * memory. */
static char *render(const char *name, uint64_t version, bool has_id, struct json_text *json)
{
    size_t bytes = 0;
    char *data = json_text_take(json, &bytes), *text = NULL, id[32] = "";
    int length;

    if (!data)
        return NULL;
    /* An event's data ends at a line's end; in JSON one can only stand between values. */
    for (char *c = data; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    if (has_id)
        snprintf(id, sizeof(id), "id: %" PRIu64 "\n", version);
    length = asprintf(&text, "%sevent: %s\ndata: %s\n\n", id, name, data);
    free(data);
    return length < 0 ? NULL : text;
}

static char *render_whole(const char *name, const struct job *job, bool has_id)
{
    struct json_text json;

    json_text_init(&json);
    job_write(job, &json);
    return render(name, job->version, has_id, &json);
}

static char *render_progress(const struct job *job)
{
    struct json_text json;

    json_text_init(&json);
    write_begin_object(&json.writer);
    job_write_progress(job, &json.writer);
    write_end(&json.writer);
    return render("progress", job->version, true, &json);
}

static char *render_deleted(const char *job_id)
{
    struct json_text json;

    json_text_init(&json);
    write_begin_object(&json.writer);
    write_text(&json.writer, "id", job_id);
    write_end(&json.writer);
    return render("deleted", 0, false, &json);
}

int event_read(struct backend *backend, const char *job_id, struct event *ret, struct error *err)
{
    struct event event = {.version = UINT64_MAX, .is_last = true};
    struct job job;
    int rc = backend->ops->get(backend, job_id, &job, err);

    if (rc == ERROR_NOT_FOUND) {
        event.text = render_deleted(job_id);
    } else if (rc) {
        return rc;
    } else {
        event.version = job.version;
        event.is_last = job_is_terminal(&job);
        event.text = event.is_last ? render_whole("end", &job, true) : render_progress(&job);
        job_done(&job);
    }
    if (!event.text)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    event.bytes = strlen(event.text);
    *ret = event;
    return 0;
}

static bool knows_version(const struct request *request, uint64_t version)
{
    const char *sent = request_header(request, "Last-Event-ID");
    char known[32];

    snprintf(known, sizeof(known), "%" PRIu64, version);
    return sent && strcmp(sent, known) == 0;
}

/* Takes both; end may be NULL. */
static void reply_events(struct response *response, const struct job *job, char *first, char *end)
{
    char *text = NULL;

    if (asprintf(&text, RETRY_LINE "%s%s", first, end ? end : "") < 0)
        text = NULL;
    free(first);
    free(end);
    response_text(response, 200, "text/event-stream", text, text ? strlen(text) : 0);
    if (!text)
        return;
    response->kind = BODY_EVENTS;
    memcpy(response->follow.job_id, job->id, sizeof(job->id));
    response->follow.version = job->version;
    response->follow.is_over = job_is_terminal(job);
    response_header(response, "Cache-Control", "no-store");
    response_header(response, "X-Accel-Buffering", "no"); /* nginx would keep events until a buffer is full */
}

void jobs_events(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL}, *const media_types[] = {"text/event-stream"};
    struct error err = {.code = ERROR_NONE};
    bool is_over, is_known;
    char *first, *end;
    struct job job;

    if (!query_is_known(request, known, response))
        return;
    if (accept_choose(request_header(request, "Accept"), media_types, 1) < 0) {
        problem_reply(response, request, PROBLEM_NOT_ACCEPTABLE, "there is text/event-stream");
        return;
    }
    err.code = ERROR_NOT_FOUND;
    if (!id_is_valid(request->parameters[0]) || backend->ops->get(backend, request->parameters[0], &job, &err)) {
        reply_job_error(response, request, &err);
        return;
    }
    is_over = job_is_terminal(&job);
    is_known = knows_version(request, job.version);
    if (is_over && is_known) {
        response->status = 204;
        response_header(response, "Cache-Control", "no-store");
        job_done(&job);
        return;
    }
    first = is_known ? strdup("") : render_whole("snapshot", &job, !is_over);
    end = is_over ? render_whole("end", &job, true) : NULL;
    if (first && (end || !is_over)) {
        reply_events(response, &job, first, end);
    } else {
        free(first);
        free(end);
        response_text(response, 503, "", NULL, 0);
    }
    job_done(&job);
}
