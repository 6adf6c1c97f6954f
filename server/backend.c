#include "server/backend.h"

#include <string.h>

#include "server/jobs/results.h"
#include "server/status.h"

/* Progress lives in memory and the row's version on disk, but one ETag covers both: the row's version counts in the
 * high bits, news of the running attempt in the low ones. Every row change starts those anew, so the sum only grows. */
enum { CHANGE_BITS = 20 };

const char *const refusal_names[REFUSAL_COUNT] = {"queue_full", "key_quota", "no_space", "too_large", "ending"};

static struct service_backend *service_of(struct backend *backend)
{
    return (struct service_backend *)backend;
}

/* Ids become file names only after they were found in the store; this spares it the nonsense. */
static int check_id(const char *id, const char *what, struct error *err)
{
    if (id_is_valid(id))
        return 0;
    return error_set(err, ERROR_NOT_FOUND, "no such %s", what);
}

static void add_progress(struct service_backend *service, struct job *job)
{
    uint64_t changes = 0, most = (UINT64_C(1) << CHANGE_BITS) - 1;

    if (job->state == JOB_RUNNING)
        dispatcher_progress(service->dispatcher, job->id, &job->progress, &changes);
    job->version = job->version << CHANGE_BITS | (changes < most ? changes : most);
}

static void tell_changed(struct service_backend *service, const char *id)
{
    if (service->changed)
        service->changed(service->context, id, false);
}

static int backend_owner(struct backend *backend, const char *id, char ret_name[CALLER_NAME_BYTES], struct error *err)
{
    struct job_store *store = service_of(backend)->store;

    return store->ops->owner(store, id, ret_name, err);
}

static int refuse(struct service_backend *service, enum refusal refusal, int rc)
{
    atomic_fetch_add_explicit(&service->refused[refusal], 1, memory_order_relaxed);
    return rc;
}

/* Counts what an error of a submission or an upload sheds. */
static int count_refusal(struct service_backend *service, int rc)
{
    return rc == ERROR_BUSY       ? refuse(service, REFUSED_QUEUE_FULL, rc)
           : rc == ERROR_QUOTA    ? refuse(service, REFUSED_KEY_QUOTA, rc)
           : rc == ERROR_NO_SPACE ? refuse(service, REFUSED_NO_SPACE, rc)
           : rc == ERROR_LIMIT    ? refuse(service, REFUSED_TOO_LARGE, rc)
                                  : rc;
}

static int backend_submit(struct backend *backend, const struct submission *submission, struct job *ret,
                          bool *ret_is_replay, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc;

    if (atomic_load(&service->is_draining))
        return refuse(service, REFUSED_ENDING, error_set(err, ERROR_BUSY, "the service is ending"));
    rc = uploads_check_quota(&service->uploads, 1, err);
    if (!rc)
        rc = service->store->ops->insert(service->store, submission, ret, ret_is_replay, err);
    if (rc)
        return count_refusal(service, rc);
    dispatcher_wake(service->dispatcher);
    add_progress(service, ret);
    return 0;
}

static int backend_find_submitted(struct backend *backend, const struct submission *submission, struct job *ret,
                                  struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = service->store->ops->find_submitted(service->store, submission, ret, err);

    if (!rc)
        add_progress(service, ret);
    return rc;
}

static int backend_hold_key(struct backend *backend, const char *owner, const char *key, struct error *err)
{
    return held_keys_add(&service_of(backend)->held_keys, owner, key, err);
}

static void backend_let_key_go(struct backend *backend, const char *owner, const char *key)
{
    held_keys_remove(&service_of(backend)->held_keys, owner, key);
}

static int backend_get(struct backend *backend, const char *id, struct job *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = check_id(id, "job", err);

    if (!rc)
        rc = service->store->ops->get(service->store, id, ret, err);
    if (!rc)
        add_progress(service, ret);
    return rc;
}

static bool backend_peek(struct backend *backend, const char *id, struct job *ret)
{
    struct service_backend *service = service_of(backend);

    if (!service->store->ops->peek(service->store, id, ret))
        return false;
    add_progress(service, ret);
    return true;
}

static int backend_list(struct backend *backend, const struct job_filter *filter, uint64_t cursor, size_t limit,
                        struct job_list *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = service->store->ops->list(service->store, filter, cursor, limit, ret, err);

    for (size_t i = 0; !rc && i < ret->count; i++)
        add_progress(service, &ret->jobs[i]);
    return rc;
}

static int backend_cancel(struct backend *backend, const char *id, struct job *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = check_id(id, "job", err);

    if (!rc)
        rc = service->store->ops->cancel(service->store, id, ret, err);
    if (rc)
        return rc;
    if (ret->state == JOB_RUNNING)
        dispatcher_cancel(service->dispatcher, id);
    else if (ret->state == JOB_CANCELLED) /* files of an attempt that a crash cut off before its last commit */
        result_remove(service->results, id);
    tell_changed(service, id);
    add_progress(service, ret);
    return 0;
}

static int backend_forget(struct backend *backend, const char *id, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = check_id(id, "job", err);

    if (!rc)
        rc = service->store->ops->remove(service->store, id, err);
    if (rc)
        return rc;
    tell_changed(service, id);
    dispatcher_forget(service->dispatcher, id);
    result_remove(service->results, id);
    return 0;
}

static int backend_open_result(struct backend *backend, const char *id, enum representation representation,
                               struct blob *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = check_id(id, "job", err);

    return rc ? rc : result_open(service->store, service->results, id, representation, ret, err);
}

static int backend_upload_begin(struct backend *backend, const struct upload_wish *wish, struct upload_sink **ret,
                                struct error *err)
{
    struct service_backend *service = service_of(backend);

    if (atomic_load(&service->is_draining))
        return refuse(service, REFUSED_ENDING, error_set(err, ERROR_BUSY, "the service is ending"));
    return count_refusal(service, upload_begin(&service->uploads, wish, ret, err));
}

static void backend_upload_discard(struct backend *backend, const char *id)
{
    upload_discard(&service_of(backend)->uploads, id);
}

static int backend_upload_create(struct backend *backend, const struct upload_wish *wish, struct upload *ret,
                                 struct error *err)
{
    struct service_backend *service = service_of(backend);

    if (atomic_load(&service->is_draining))
        return refuse(service, REFUSED_ENDING, error_set(err, ERROR_BUSY, "the service is ending"));
    return count_refusal(service, partial_create(&service->uploads, wish, ret, err));
}

static int backend_upload_resume(struct backend *backend, const char *id, const struct upload_piece *piece,
                                 struct upload *ret_now, struct upload_sink **ret, struct error *err)
{
    struct service_backend *service = service_of(backend);

    *ret_now = (struct upload){.id = ""};
    if (atomic_load(&service->is_draining))
        return error_set(err, ERROR_BUSY, "the service is ending");
    return check_id(id, "upload", err) ? ERROR_NOT_FOUND
                                       : partial_resume(&service->uploads, id, piece, ret_now, ret, err);
}

static int backend_upload_offset(struct backend *backend, const char *id, struct upload *ret, struct error *err)
{
    int rc = check_id(id, "upload", err);

    return rc ? rc : partial_offset(&service_of(backend)->uploads, id, ret, err);
}

static void backend_upload_limits(struct backend *backend, uint64_t *ret_bytes, int64_t *ret_age_ms)
{
    const struct uploads *uploads = &service_of(backend)->uploads;

    *ret_bytes = uploads->limit_bytes;
    *ret_age_ms = uploads->retention_ms;
}

static int backend_upload_get(struct backend *backend, const char *id, struct upload *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = check_id(id, "upload", err);

    return rc ? rc : service->store->ops->upload_get(service->store, id, ret, err);
}

static int backend_upload_list(struct backend *backend, const char *owner, uint64_t cursor, size_t limit,
                               struct upload_list *ret, struct error *err)
{
    struct service_backend *service = service_of(backend);

    return service->store->ops->upload_list(service->store, owner, cursor, limit, ret, err);
}

static int backend_upload_delete(struct backend *backend, const char *id, struct error *err)
{
    int rc = check_id(id, "upload", err);

    return rc ? rc : uploads_remove(&service_of(backend)->uploads, id, err);
}

static int backend_check_callback(struct backend *backend, const char *url, struct error *err)
{
    struct service_backend *service = service_of(backend);

    if (!service->webhooks)
        return error_set(err, ERROR_REQUEST, "this service calls nobody back: it has no --webhook-secret-file");
    return webhooks_check_url(service->webhooks, url, err);
}

static int backend_check_model(struct backend *backend, const char *path, struct error *err)
{
    return roots_check_model(service_of(backend)->roots, path, err);
}

static int backend_list_models(struct backend *backend, const char *path, size_t limit, struct model_list *ret,
                               struct error *err)
{
    return roots_list(service_of(backend)->roots, path, limit, ret, err);
}

static int backend_inspect_model(struct backend *backend, const char *path, char **ret_json, size_t *ret_bytes,
                                 struct error *err)
{
    struct service_backend *service = service_of(backend);
    int rc = roots_check_model(service->roots, path, err);

    return rc ? rc : dispatcher_inspect(service->dispatcher, path, ret_json, ret_bytes, err);
}

static void backend_write_metrics(struct backend *backend, struct exposition *out)
{
    metrics_write(service_of(backend), out);
}

static int backend_status(struct backend *backend, char **ret_json, size_t *ret_bytes, struct error *err)
{
    return status_describe(service_of(backend), ret_json, ret_bytes, err);
}

static int backend_check_ready(struct backend *backend, struct error *err)
{
    struct service_backend *service = service_of(backend);
    struct store_status status;

    if (atomic_load(&service->is_draining))
        return error_set(err, ERROR_BUSY, "the service is ending");
    service->store->ops->status(service->store, &status);
    if (status.is_broken)
        return error_set(err, ERROR_BUSY, "the job store cannot be written");
    if (!dispatcher_ready(service->dispatcher))
        return error_set(err, ERROR_BUSY, "no worker process is up");
    return 0;
}

const struct backend_ops service_backend_ops = {
    .owner = backend_owner,
    .submit = backend_submit,
    .find_submitted = backend_find_submitted,
    .hold_key = backend_hold_key,
    .let_key_go = backend_let_key_go,
    .get = backend_get,
    .peek = backend_peek,
    .list = backend_list,
    .cancel = backend_cancel,
    .forget = backend_forget,
    .open_result = backend_open_result,
    .upload_begin = backend_upload_begin,
    .upload_append = upload_append,
    .upload_commit = upload_commit,
    .upload_abandon = upload_abandon,
    .upload_seal = upload_seal,
    .upload_discard = backend_upload_discard,
    .upload_create = backend_upload_create,
    .upload_resume = backend_upload_resume,
    .upload_pause = partial_pause,
    .upload_offset = backend_upload_offset,
    .upload_limits = backend_upload_limits,
    .upload_get = backend_upload_get,
    .upload_list = backend_upload_list,
    .upload_delete = backend_upload_delete,
    .check_callback = backend_check_callback,
    .check_model = backend_check_model,
    .list_models = backend_list_models,
    .inspect_model = backend_inspect_model,
    .write_metrics = backend_write_metrics,
    .status = backend_status,
    .check_ready = backend_check_ready,
};
