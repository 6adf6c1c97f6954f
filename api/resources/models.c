#include "api/resources/resources.h"

#include <stdlib.h>

enum { ENTRIES_MAX = 1000 };

/* Whatever the path was, the answer names only what the caller sent. */
static void reply_model_error(struct response *response, const struct request *request, const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        problem_reply(response, request, PROBLEM_MODEL_NOT_FOUND, "nothing lies at this path below the models root");
    else
        problem_reply_error(response, request, err);
}

void models_list(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {"path", NULL};
    const char *path = request_query(request, "path");
    struct model_list list = {.count = 0};
    struct error err = {.code = ERROR_NONE};
    struct json_text json;
    struct writer *w = &json.writer;

    if (!query_is_known(request, known, response))
        return;
    if (backend->ops->list_models(backend, path ? path : "", ENTRIES_MAX, &list, &err)) {
        reply_model_error(response, request, &err);
        return;
    }
    json_text_init(&json);
    write_begin_object(w);
    write_array(w, "models");
    for (size_t i = 0; i < list.count; i++) {
        const struct model_entry *entry = &list.entries[i];

        write_begin_object(w);
        write_text(w, "path", entry->path);
        write_flag(w, "is_directory", entry->is_directory);
        write_flag(w, "is_model", entry->is_model);
        write_u64(w, "bytes", entry->bytes);
        json_text_member_time(&json, "modify_time", entry->modify_ms);
        write_end(w);
    }
    write_end(w);
    write_flag(w, "is_cut", list.is_cut);
    write_end(w);
    reply_json(response, 200, &json);
    model_list_done(&list);
}

void models_inspect(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {"path", NULL};
    const char *path = request_query(request, "path");
    struct error err = {.code = ERROR_NONE};
    char *json = NULL;
    size_t bytes = 0;

    if (!query_is_known(request, known, response))
        return;
    if (!path || !*path) {
        problem_reply(response, request, PROBLEM_INVALID_PARAMETER, "path is missing");
        return;
    }
    if (backend->ops->inspect_model(backend, path, &json, &bytes, &err)) {
        reply_model_error(response, request, &err);
        return;
    }
    response_text(response, 200, "application/json", json, bytes);
}
