/* Submitting a job: what can be told without parsing a model is checked first, so that an accepted job is never doomed
 * from the start; an Idempotency-Key is looked up before that, because what a repeated request names may be gone. */
#include "api/resources/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/prefer.h"
#include "api/resources/resources.h"

static int check_path(struct backend *backend, const char *path, const char *pointer, struct request_faults *faults,
                      struct error *err)
{
    char shown[NAME_PRINTABLE_BYTES];
    int rc = backend->ops->check_model(backend, path, err);

    name_printable(name_of(path), shown);
    switch ((enum error_code)rc) {
    case ERROR_NOT_FOUND:
        request_fault_add(faults, pointer, "nothing lies at \"%.300s\" below the models root", shown);
        break;
    case ERROR_OUTSIDE:
        request_fault_add(faults, pointer, "\"%.300s\" leads out of the models root", shown);
        break;
    case ERROR_ACCESS:
        request_fault_add(faults, pointer, "the service may not read \"%.300s\"", shown);
        break;
    case ERROR_NOT_REGULAR:
        request_fault_add(faults, pointer, "\"%.300s\" is not a regular file", shown);
        break;
    case ERROR_NO_MODEL:
        request_fault_add(faults, pointer, "no model lies in the directory \"%.300s\"", shown);
        break;
    case ERROR_REQUEST:
    case ERROR_FORMAT:
    case ERROR_UNSUPPORTED:
    case ERROR_LIMIT:
        request_fault_add(faults, pointer, "%.500s", err->text);
        break;
    default:
        break;
    }
    return rc;
}

/* view: as caller_view has it. */
static int check_upload(struct backend *backend, const char *view, const char *id, const char *pointer,
                        struct request_faults *faults, struct error *err)
{
    struct upload upload;
    int rc = ERROR_NOT_FOUND;

    if (id_is_valid(id)) {
        rc = backend->ops->upload_get(backend, id, &upload, err);
        if (rc == 0) {
            if (view && strcmp(upload.owner, view) != 0)
                rc = ERROR_NOT_FOUND;
            else if (!upload.is_complete)
                rc = ERROR_CONFLICT;
            upload_done(&upload);
        }
    }
    if (rc == ERROR_NOT_FOUND)
        request_fault_add(faults, pointer, "there is no upload with this id");
    else if (rc == ERROR_CONFLICT)
        request_fault_add(faults, pointer, "the upload is not complete");
    return rc;
}

static int check_place(const struct job_model *model, const struct request *request, struct backend *backend,
                       const char *pointer, struct request_faults *faults, struct error *err)
{
    return model->path ? check_path(backend, model->path, pointer, faults, err)
                       : check_upload(backend, caller_view(&request->caller), model->upload, pointer, faults, err);
}

/* What can be told of the models without parsing them. False with the response filled. */
static bool check_models(const struct job_request *job, size_t count, const struct request *request,
                         struct backend *backend, struct response *response)
{
    struct request_faults faults = {.count = 0};
    enum problem problem = PROBLEM_MODEL_NOT_FOUND;

    for (size_t i = 0; i < count; i++) {
        struct error err = {.code = ERROR_NONE};
        size_t before = faults.count;
        const struct job_model *model;
        char pointer[48];
        int rc;

        snprintf(pointer, sizeof(pointer), "/models/%zu%s", i, job->models[i].adapter ? "/base" : "");
        model = &job->models[i];
        rc = check_place(model, request, backend, pointer, &faults, &err);
        if (rc == 0 && model->adapter) {
            snprintf(pointer, sizeof(pointer), "/models/%zu/adapter", i);
            model = model->adapter;
            rc = check_place(model, request, backend, pointer, &faults, &err);
        }
        if (rc == 0)
            continue;
        if (faults.count == before && faults.count < REQUEST_FAULTS_MAX) {
            problem_reply_error(response, request, &err); /* the service's own trouble */
            return false;
        }
        if (rc == ERROR_CONFLICT)
            problem = PROBLEM_UPLOAD_INCOMPLETE;
        else if (rc != ERROR_NOT_FOUND)
            problem = PROBLEM_MODEL_REFUSED;
        else if (before == 0 && model->upload)
            problem = PROBLEM_UPLOAD_NOT_FOUND;
    }
    if (faults.count)
        problem_reply_faults(response, request, problem, &faults, faults.items[0].detail);
    return faults.count == 0;
}

/* Whether the request has a key; false with the response filled when that is malformed. */
bool submission_read_key(const struct request *request, char ret_key[KEY_BYTES_MAX + 1], struct response *response)
{
    const char *field = request_header(request, "Idempotency-Key");

    ret_key[0] = '\0';
    if (!field || submission_key_read(field, ret_key))
        return true;
    problem_reply(response, request, PROBLEM_BAD_REQUEST,
                  "Idempotency-Key must be 1 to %d visible ASCII characters, in quotes or without a comma",
                  KEY_BYTES_MAX);
    return false;
}

bool submission_hold_key(const struct request *request, struct backend *backend, const char *key,
                         struct response *response)
{
    struct error err = {.code = ERROR_NONE};

    if (!*key || backend->ops->hold_key(backend, request->caller.name, key, &err) == 0)
        return true;
    if (err.code == ERROR_CONFLICT) {
        problem_reply(response, request, PROBLEM_SUBMISSION_IN_FLIGHT, "%s", err.text);
        response_header(response, "Retry-After", "1");
    } else {
        problem_reply_error(response, request, &err);
    }
    return false;
}

void submission_let_key_go(const struct caller *caller, struct backend *backend, const char *key)
{
    if (*key)
        backend->ops->let_key_go(backend, caller->name, key);
}

static bool check_callback(const char *url, const struct request *request, struct backend *backend,
                           struct response *response)
{
    struct request_faults faults = {.count = 0};
    struct error err = {.code = ERROR_NONE};

    if (!url || backend->ops->check_callback(backend, url, &err) == 0)
        return true;
    request_fault_add(&faults, "/callback_url", "%s", err.text);
    problem_reply_faults(response, request, PROBLEM_INVALID_REQUEST, &faults, err.text);
    return false;
}

static void reply_submit_error(struct response *response, const struct request *request, const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        problem_reply(response, request, PROBLEM_UPLOAD_NOT_FOUND, "an upload that the request names is gone");
    else if (err->code == ERROR_REQUEST)
        problem_reply(response, request, PROBLEM_KEY_REUSED, "%s", err->text);
    else
        problem_reply_error(response, request, err);
}

static void reply_submitted(const struct request *request, const struct job *job, bool is_replay,
                            struct response *response)
{
    unsigned seconds = prefer_wait(request_header(request, "Prefer"));
    bool is_waited = seconds && job_is_terminal(job);

    reply_job(response, is_waited ? 200 : 202, job);
    response_header_format(response, "Location", "/v1/jobs/%s", job->id);
    if (is_replay)
        response_header(response, "Idempotency-Replayed", "true");
    if (is_waited)
        set_preference_applied(seconds, response);
    job_set_wait(job, seconds, response);
    response->wait.is_replay = is_replay;
}

bool submission_run(const struct job_request *job_request, const struct upload *parts, size_t part_count,
                    const struct submission_key *key, const struct request *request, struct backend *backend,
                    struct response *response)
{
    const char *uploads[2 * REQUEST_MODELS_MAX]; /* models and adapters */
    struct submission submission = {.labels = job_request->labels,
                                    .uploads = uploads,
                                    .caller = &request->caller,
                                    .callback_url = job_request->callback_url,
                                    .traceparent = request->traceparent,
                                    .parts = parts,
                                    .part_count = part_count};
    struct error err = {.code = ERROR_NOT_FOUND};
    bool is_replay = true;
    char *text = NULL;
    struct job job;
    int rc = ERROR_NOT_FOUND;

    if (key->text[0]) {
        submission.key = key->text;
        submission.digest = key->digest;
        rc = backend->ops->find_submitted(backend, &submission, &job, &err);
    }
    if (rc == ERROR_NOT_FOUND) {
        if (!check_callback(job_request->callback_url, request, backend, response))
            return false;
        if (!check_models(job_request, job_request->model_count - part_count, request, backend, response))
            return false;
        for (size_t i = 0; i < job_request->model_count; i++) {
            const struct job_model *model = &job_request->models[i];

            if (model->upload)
                uploads[submission.upload_count++] = model->upload;
            if (model->adapter && model->adapter->upload)
                uploads[submission.upload_count++] = model->adapter->upload;
        }
        submission.request = text = job_request_text(job_request);
        rc = text ? backend->ops->submit(backend, &submission, &job, &is_replay, &err)
                  : error_set(&err, ERROR_NO_MEMORY, "out of memory");
    }
    free(text);
    if (rc) {
        reply_submit_error(response, request, &err);
        return false;
    }
    reply_submitted(request, &job, is_replay, response);
    job_done(&job);
    return !is_replay;
}

void jobs_submit(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct job_request *job_request = NULL;
    struct request_faults faults = {.count = 0};
    struct error err = {.code = ERROR_NONE};
    struct submission_key key;

    if (!query_is_known(request, known, response))
        return;
    if (request->waited.job_id) {
        reply_waited(request, backend, 202, response);
        return;
    }
    if (!submission_read_key(request, key.text, response))
        return;
    if (job_request_parse(request->body ? request->body : "", request->body_bytes, &job_request, &faults, &err)) {
        if (faults.count)
            problem_reply_faults(response, request, PROBLEM_INVALID_REQUEST, &faults, err.text);
        else
            problem_reply_error(response, request, &err);
        return;
    }
    if (key.text[0] && submission_digest(job_request, NULL, 0, key.digest)) {
        error_set(&err, ERROR_NO_MEMORY, "out of memory");
        problem_reply_error(response, request, &err);
    } else if (submission_hold_key(request, backend, key.text, response)) {
        submission_run(job_request, NULL, 0, &key, request, backend, response);
        submission_let_key_go(&request->caller, backend, key.text);
    }
    job_request_free(job_request);
}
