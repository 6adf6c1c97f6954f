/* POST /v1/jobs as multipart/form-data: files and request in one. File parts go straight to sinks; they are made
 * durable when the whole body has come and its request is good, and become visible uploads in the transaction that
 * inserts the job. Until then nobody sees them, and whatever fails removes them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/multipart.h"
#include "api/resources/resources.h"
#include "api/resources/submit.h"

struct form {
    struct backend *backend;
    struct caller caller;
    struct multipart *multipart;
    struct submission_key key;
    bool is_key_held;
    struct upload_sink *sinks[REQUEST_MODELS_MAX];
    size_t sink_count;
    char *json; /* of the request part */
    size_t json_bytes, json_capacity;
    bool has_json, is_json; /* is_json: the part under way is the request */
    /* While a piece is read: */
    const struct request *request;
    struct response *response;
    bool is_refused; /* response is filled */
};

static void form_free(struct form *form)
{
    if (!form)
        return;
    for (size_t i = 0; i < form->sink_count; i++)
        form->backend->ops->upload_abandon(form->sinks[i]);
    if (form->is_key_held)
        submission_let_key_go(&form->caller, form->backend, form->key.text);
    multipart_free(form->multipart);
    free(form->json);
    free(form);
}

static void form_abandon(void *state)
{
    form_free(state);
}

static int refuse(struct form *form, enum problem problem, const char *detail)
{
    problem_reply(form->response, form->request, problem, "%s", detail);
    form->is_refused = true;
    return ERROR_REQUEST;
}

static int refuse_upload(struct form *form, const struct error *err)
{
    reply_upload_error(form->response, form->request, err);
    form->is_refused = true;
    return err->code ? (int)err->code : ERROR_INTERNAL;
}

static int begin_request(struct form *form, const struct multipart_part *part)
{
    if (form->has_json)
        return refuse(form, PROBLEM_INVALID_REQUEST, "the part \"request\" is given twice");
    if (part->type[0] && strcmp(part->type, "application/json") != 0)
        return refuse(form, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "the part \"request\" must be application/json");
    form->has_json = form->is_json = true;
    return 0;
}

static int begin_model(struct form *form, const struct multipart_part *part)
{
    struct upload_wish wish = {form->caller.name, part->filename, -1, part->sha256};
    struct error err = {.code = ERROR_NONE};

    if (!part->has_filename)
        return refuse(
            form, PROBLEM_INVALID_REQUEST,
            "a part \"models\" has no filename: it must be a file (models=@FILE); models that lie on the server "
            "are named in the part \"request\"");
    if (!upload_name_is_good(part->filename))
        return refuse(
            form, PROBLEM_BAD_REQUEST,
            "the filename of a part must have 1 to 255 bytes of UTF-8, no control characters, and not be . or ..");
    if (form->sink_count == REQUEST_MODELS_MAX)
        return refuse(form, PROBLEM_INVALID_REQUEST, "there are more than 64 parts \"models\"");
    if (form->backend->ops->upload_begin(form->backend, &wish, &form->sinks[form->sink_count], &err))
        return refuse_upload(form, &err);
    form->sink_count++;
    form->is_json = false;
    return 0;
}

static int part_begin(void *context, const struct multipart_part *part)
{
    if (strcmp(part->name, "request") == 0)
        return begin_request(context, part);
    if (strcmp(part->name, "models") == 0)
        return begin_model(context, part);
    return refuse(context, PROBLEM_INVALID_REQUEST, "the parts are \"models\", each a file, and \"request\"");
}

static int keep_json(struct form *form, const char *data, size_t bytes)
{
    size_t most = form->request->body_bytes_max;

    if (bytes > most - form->json_bytes) {
        problem_reply(form->response, form->request, PROBLEM_TOO_LARGE, "the part \"request\" may have %zu bytes",
                      most);
        form->is_refused = true;
        return ERROR_REQUEST;
    }
    if (form->json_bytes + bytes > form->json_capacity) {
        size_t capacity = 2 * (form->json_bytes + bytes);
        char *grown = realloc(form->json, capacity);

        if (!grown)
            return refuse(form, PROBLEM_BUSY, "out of memory");
        form->json = grown;
        form->json_capacity = capacity;
    }
    memcpy(form->json + form->json_bytes, data, bytes);
    form->json_bytes += bytes;
    return 0;
}

static int part_data(void *context, const char *data, size_t bytes)
{
    struct form *form = context;
    struct error err = {.code = ERROR_NONE};

    if (form->is_json)
        return keep_json(form, data, bytes);
    if (form->backend->ops->upload_append(form->sinks[form->sink_count - 1], data, bytes, &err))
        return refuse_upload(form, &err);
    return 0;
}

static int part_end(void *context)
{
    (void)context;
    return 0;
}

static int form_begin(const struct request *request, struct backend *backend, void **ret_state,
                      struct response *response)
{
    static const struct multipart_events events = {part_begin, part_data, part_end};
    static const char *const known[] = {NULL};
    struct form *form = calloc(1, sizeof(*form));
    struct error err = {.code = ERROR_NONE};

    if (!form) {
        error_set(&err, ERROR_NO_MEMORY, "out of memory");
        problem_reply_error(response, request, &err);
        return ERROR_NO_MEMORY;
    }
    form->backend = backend;
    form->caller = request->caller;
    if (!query_is_known(request, known, response) || !submission_read_key(request, form->key.text, response))
        goto refused;
    if (multipart_new(request_header(request, "Content-Type"), &events, form, &form->multipart, &err)) {
        if (err.code == ERROR_REQUEST)
            problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s", err.text);
        else
            problem_reply_error(response, request, &err);
        goto refused;
    }
    /* Before the files come: who repeats a request that is still arriving need not send them. */
    form->is_key_held = submission_hold_key(request, backend, form->key.text, response);
    if (!form->is_key_held)
        goto refused;
    *ret_state = form;
    return 0;
refused:
    form_free(form);
    return ERROR_REQUEST;
}

static int form_append(const struct request *request, void *state, const void *data, size_t bytes,
                       struct response *response)
{
    struct form *form = state;
    struct error err = {.code = ERROR_NONE};
    int rc;

    form->request = request;
    form->response = response;
    rc = multipart_feed(form->multipart, data, bytes, &err);
    if (rc && !form->is_refused)
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s", err.text);
    return rc;
}

/* The request part as a typed request whose last models are the file parts. NULL with the response filled. */
static struct job_request *read_request(const struct form *form, const struct request *request,
                                        struct response *response)
{
    static const char none[] = "{}";
    struct job_request *job_request = NULL;
    struct request_faults faults = {.count = 0};
    struct error err = {.code = ERROR_NONE};

    if (job_request_parse_with(form->has_json ? form->json : none, form->has_json ? form->json_bytes : sizeof(none) - 1,
                               form->sink_count, &job_request, &faults, &err) == 0)
        return job_request;
    if (faults.count)
        problem_reply_faults(response, request, PROBLEM_INVALID_REQUEST, &faults, err.text);
    else
        problem_reply_error(response, request, &err);
    return NULL;
}

/* Makes the files durable. False with the response filled; *ret_count tells how many are. */
static bool seal(struct form *form, struct upload *uploads, size_t *ret_count, const struct request *request,
                 struct response *response)
{
    struct error err = {.code = ERROR_NONE};

    for (size_t i = 0; i < form->sink_count; i++) {
        struct upload_sink *sink = form->sinks[i];

        form->sinks[i] = NULL; /* freed either way */
        if (form->backend->ops->upload_seal(sink, &uploads[i], &err)) {
            reply_upload_error(response, request, &err);
            return false;
        }
        (*ret_count)++;
    }
    return true;
}

/* The key's digest, then the ids in the request. */
static bool name_uploads(struct form *form, struct job_request *job_request, const struct upload *uploads)
{
    struct submission_part parts[REQUEST_MODELS_MAX];
    size_t first = job_request->model_count - form->sink_count;

    for (size_t i = 0; i < form->sink_count; i++)
        parts[i] = (struct submission_part){uploads[i].name, uploads[i].sha256};
    if (form->key.text[0] && submission_digest(job_request, parts, form->sink_count, form->key.digest))
        return false;
    for (size_t i = 0; i < form->sink_count; i++) {
        free(job_request->models[first + i].upload);
        job_request->models[first + i].upload = strdup(uploads[i].id);
        if (!job_request->models[first + i].upload)
            return false;
    }
    return true;
}

static void form_finish(const struct request *request, struct backend *backend, void *state, struct response *response)
{
    struct form *form = state;
    struct upload uploads[REQUEST_MODELS_MAX];
    struct job_request *job_request = NULL;
    struct error err = {.code = ERROR_NONE};
    bool is_submitted = false;
    size_t sealed = 0;

    if (multipart_end(form->multipart, &err)) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%s", err.text);
        goto out;
    }
    job_request = read_request(form, request, response);
    if (!job_request || !seal(form, uploads, &sealed, request, response))
        goto out;
    if (name_uploads(form, job_request, uploads)) {
        is_submitted = submission_run(job_request, uploads, sealed, &form->key, request, backend, response);
    } else {
        error_set(&err, ERROR_NO_MEMORY, "out of memory");
        problem_reply_error(response, request, &err);
    }
out:
    for (size_t i = 0; i < sealed; i++) {
        if (!is_submitted)
            backend->ops->upload_discard(backend, uploads[i].id);
        upload_done(&uploads[i]);
    }
    job_request_free(job_request);
    form_free(form);
}

const struct route_stream jobs_submit_form = {form_begin, form_append, form_finish, form_abandon};
