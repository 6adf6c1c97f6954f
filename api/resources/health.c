#include "api/resources/resources.h"

#include "api/render/exposition.h"

void live_get(const struct request *request, struct backend *backend, struct response *response)
{
    (void)request;
    (void)backend;
    response_fixed(response, 200, "text/plain; charset=utf-8", "live\n", 5);
    response_header(response, "Cache-Control", "no-store");
}

void ready_get(const struct request *request, struct backend *backend, struct response *response)
{
    struct error err = {.code = ERROR_NONE};

    if (!request->is_ready) {
        problem_reply(response, request, PROBLEM_NOT_READY, "the service is starting or stopping");
        return;
    }
    if (backend->ops->check_ready && backend->ops->check_ready(backend, &err)) {
        problem_reply(response, request, PROBLEM_NOT_READY, "%s", err.text);
        return;
    }
    response_fixed(response, 200, "text/plain; charset=utf-8", "ready\n", 6);
    response_header(response, "Cache-Control", "no-store");
}

void metrics_get(const struct request *request, struct backend *backend, struct response *response)
{
    struct exposition exposition;
    size_t bytes = 0;
    char *text;

    (void)request;
    exposition_init(&exposition);
    backend->ops->write_metrics(backend, &exposition);
    text = exposition_take(&exposition, &bytes);
    response_text(response, 200, EXPOSITION_MEDIA_TYPE, text, bytes);
    response_header(response, "Cache-Control", "no-store");
}

void version_get(const struct request *request, struct backend *backend, struct response *response)
{
    struct json_text json;

    (void)request;
    (void)backend;
    json_text_init(&json);
    write_begin_object(&json.writer);
    write_text(&json.writer, "name", "diffaid");
    write_text(&json.writer, "version", DIFFAID_VERSION);
    write_text(&json.writer, "api", "v1");
    write_end(&json.writer);
    reply_json(response, 200, &json);
}

void status_get(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct error err = {.code = ERROR_NONE};
    size_t bytes = 0;
    char *text = NULL;

    if (!query_is_known(request, known, response))
        return;
    if (backend->ops->status(backend, &text, &bytes, &err)) {
        problem_reply_error(response, request, &err);
        return;
    }
    response_text(response, 200, "application/json", text, bytes);
    response_header(response, "Cache-Control", "no-store");
}
