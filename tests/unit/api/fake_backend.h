/* A backend in memory: a few jobs and uploads, and an answer to give instead when a test wants a failure. */
#ifndef TESTS_FAKE_BACKEND_H
#define TESTS_FAKE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/backend.h"
#include "api/digest.h"
#include "api/render/exposition.h"
#include "api/render/result_index.h"
#include "core/compare.h"

#define FAKE_ID(n)      "0190a000-0000-7000-8000-00000000000" #n
#define ID_QUEUED       FAKE_ID(1)
#define ID_RUNNING      FAKE_ID(2)
#define ID_DONE         FAKE_ID(3)
#define ID_FAILED       FAKE_ID(4)
#define ID_CANCELLED    FAKE_ID(5)
#define ID_UNKNOWN      FAKE_ID(9)
#define ID_UPLOAD       FAKE_ID(6)
#define ID_BUSY_UPLOAD  FAKE_ID(7)
#define ID_PART         FAKE_ID(8) /* an upload of 5 bytes out of 10 */
#define FAKE_SHA        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* of "hello" */
#define FAKE_SHA_BASE64 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

static const char fake_json[] = "{\"schema\":\"diffaid.result/v1\",\"tensors\":[\n"
                                "{\"name\":\"a.weight\",\"status\":\"changed\"},\n"
                                "{\"name\":\"b.weight\",\"status\":\"bit_equal\"},\n"
                                "{\"name\":\"c.bias\",\"status\":\"changed\"}\n"
                                "]}\n";

struct turnstile {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_open;
    int waiting;
};

struct fake {
    struct backend backend;      /* first */
    int fail;                    /* enum error_code that the next calls answer, 0: none */
    _Atomic int submitted_state; /* of ID_QUEUED, as get tells it: enum job_state */
    _Atomic uint64_t news;       /* changes of every job: its version is 7 and these */
    atomic_bool is_in_memory;    /* peek knows every job */
    atomic_int held_keys, discarded, paused, deleted_parts;
    char piece_sha256[SHA256_HEX_BYTES], whole_sha256[SHA256_HEX_BYTES]; /* of the last piece */
    atomic_int calls, gets, begun, abandoned, committed;
    _Atomic uint64_t appended;
    pthread_mutex_t lock;
    char last_request[4096], last_labels[512], last_digest[65]; /* guarded by lock */
    char last_owner[CALLER_NAME_BYTES];                         /* guarded by lock; "*": anybody's */
    const char *owner;                                          /* of every job and upload */
    struct access *access;                                      /* of ask(): NULL: no keys */
    bool is_file;                                               /* results lie in files */
    bool is_index_broken;                                       /* one record points beyond the result */
    bool is_index_foreign;                                      /* it is no index at all */
    int fail_append;                                            /* upload_append answers this */
    struct turnstile *_Atomic gate;                             /* get waits here when set */
    char last_callback[256];                                    /* guarded by lock */
    struct job_filter last_filter;                              /* its counts: the texts are gone */
    struct turnstile *append_gate;
};

struct upload_sink {
    struct fake *fake;
    uint64_t bytes;
    char sha256[65];
};

static inline void turnstile_init(struct turnstile *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->moved, NULL);
    gate->is_open = false;
    gate->waiting = 0;
}

static inline void turnstile_pass(struct turnstile *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->moved);
    while (!gate->is_open)
        pthread_cond_wait(&gate->moved, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Returns when count threads stand before the gate. */
static inline void turnstile_await(struct turnstile *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count)
        pthread_cond_wait(&gate->moved, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void turnstile_open(struct turnstile *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->lock);
}

static int fake_failure(struct backend *backend, struct error *err)
{
    struct fake *fake = (struct fake *)backend;

    atomic_fetch_add(&fake->calls, 1);
    if (!fake->fail)
        return 0;
    /* What speaks of the request may be shown; what speaks of the service may not. */
    if (fake->fail == ERROR_LIMIT || fake->fail == ERROR_CHANGED || fake->fail == ERROR_QUOTA ||
        fake->fail == ERROR_FORMAT)
        return error_set(err, (enum error_code)fake->fail, "as the request is");
    return error_set(err, (enum error_code)fake->fail, "secret /var/lib text of %s", error_code_name(fake->fail));
}

static void fake_fill(struct fake *fake, const char *id, struct job *job)
{
    memset(job, 0, sizeof(*job));
    snprintf(job->id, sizeof(job->id), "%s", id);
    job->version = 7 + atomic_load(&fake->news);
    job->create_ms = 1700000000123;
    job->expire_ms = 1702592000123;
    job->request = strdup("{\"models\":[\"a\",\"b\"],\"analyses\":[\"stats\"],\"options\":{}}");
    job->labels = strdup("{\"team\":\"x\"}");
    job->attempt = 1;
    job->state = strcmp(id, ID_QUEUED) == 0    ? (enum job_state)atomic_load(&fake->submitted_state)
                 : strcmp(id, ID_RUNNING) == 0 ? JOB_RUNNING
                 : strcmp(id, ID_DONE) == 0    ? JOB_SUCCEEDED
                 : strcmp(id, ID_FAILED) == 0  ? JOB_FAILED
                                               : JOB_CANCELLED;
    if (job->state == JOB_QUEUED)
        job->queue_position = 3;
    if (job->state == JOB_RUNNING)
        job->progress = (struct job_progress){25 + atomic_load(&fake->news), 100, 1, 4, "scan"};
    if (job->state == JOB_FAILED)
        job->error =
            strdup("{\"code\":\"malformed-model\",\"status\":422,\"title\":\"Malformed model\",\"detail\":\"cut\"}");
    if (job->state == JOB_SUCCEEDED)
        job->run = strdup("{\"elapsed_seconds\":0.5}");
}

static bool fake_knows(const char *id)
{
    return strncmp(id, "0190a000-0000-7000-8000-00000000000", 35) == 0 && id[35] >= '1' && id[35] <= '5';
}

/* "the-other"'s, when a test says that ids are. */
static int fake_owner(struct backend *backend, const char *id, char ret_name[CALLER_NAME_BYTES], struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    if (!fake_knows(id) && strcmp(id, ID_UPLOAD) != 0 && strcmp(id, ID_BUSY_UPLOAD) != 0 && strcmp(id, ID_PART) != 0)
        return error_set(err, ERROR_NOT_FOUND, "nobody's");
    snprintf(ret_name, CALLER_NAME_BYTES, "%s", ((struct fake *)backend)->owner);
    return 0;
}

static int fake_submit(struct backend *backend, const struct submission *submission, struct job *ret,
                       bool *ret_is_replay, struct error *err)
{
    struct fake *fake = (struct fake *)backend;
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    pthread_mutex_lock(&fake->lock);
    snprintf(fake->last_request, sizeof(fake->last_request), "%s", submission->request);
    snprintf(fake->last_owner, sizeof(fake->last_owner), "%s", submission->caller->name);
    snprintf(fake->last_labels, sizeof(fake->last_labels), "%s", submission->labels ? submission->labels : "");
    snprintf(fake->last_callback, sizeof(fake->last_callback), "%s",
             submission->callback_url ? submission->callback_url : "");
    snprintf(fake->last_digest, sizeof(fake->last_digest), "%s", submission->key ? submission->digest : "");
    pthread_mutex_unlock(&fake->lock);
    fake_fill(fake, ID_QUEUED, ret);
    *ret_is_replay = false;
    return 0;
}

static bool fake_peek(struct backend *backend, const char *id, struct job *ret)
{
    struct fake *fake = (struct fake *)backend;

    if (!atomic_load(&fake->is_in_memory) || !fake_knows(id))
        return false;
    fake_fill(fake, id, ret);
    return true;
}

/* "done" stands for a finished job, "other" for one that was another request. */
static int fake_find_submitted(struct backend *backend, const struct submission *submission, struct job *ret,
                               struct error *err)
{
    if (strcmp(submission->key, "other") == 0)
        return error_set(err, ERROR_REQUEST, "the key stands for another request");
    if (strcmp(submission->key, "done") != 0)
        return error_set(err, ERROR_NOT_FOUND, "no such key");
    fake_fill((struct fake *)backend, ID_DONE, ret);
    return 0;
}

/* "held" is held by somebody. */
static int fake_hold_key(struct backend *backend, const char *owner, const char *key, struct error *err)
{
    (void)owner;
    if (strcmp(key, "held") == 0)
        return error_set(err, ERROR_CONFLICT, "a submission with this key is under way");
    atomic_fetch_add(&((struct fake *)backend)->held_keys, 1);
    return 0;
}

static void fake_let_key_go(struct backend *backend, const char *owner, const char *key)
{
    (void)owner;
    (void)key;
    atomic_fetch_sub(&((struct fake *)backend)->held_keys, 1);
}

static int fake_get(struct backend *backend, const char *id, struct job *ret, struct error *err)
{
    struct fake *fake = (struct fake *)backend;
    struct turnstile *gate = atomic_load(&fake->gate);
    int rc = fake_failure(backend, err);

    atomic_fetch_add(&fake->gets, 1);
    if (gate)
        turnstile_pass(gate);
    if (rc)
        return rc;
    if (!fake_knows(id))
        return error_set(err, ERROR_NOT_FOUND, "no job");
    fake_fill(fake, id, ret);
    return 0;
}

static int fake_list(struct backend *backend, const struct job_filter *filter, uint64_t cursor, size_t limit,
                     struct job_list *ret, struct error *err)
{
    struct fake *fake = (struct fake *)backend;
    int rc = fake_failure(backend, err);

    pthread_mutex_lock(&fake->lock);
    fake->last_filter = *filter;
    if (!rc)
        snprintf(fake->last_owner, sizeof(fake->last_owner), "%s", filter->owner ? filter->owner : "*");
    pthread_mutex_unlock(&fake->lock);
    if (rc)
        return rc;
    ret->count = limit < 2 ? limit : 2;
    ret->jobs = calloc(2, sizeof(*ret->jobs));
    for (size_t i = 0; i < ret->count; i++)
        fake_fill((struct fake *)backend, i ? ID_RUNNING : ID_DONE, &ret->jobs[i]);
    ret->next = cursor ? 0 : 42;
    return 0;
}

static int fake_cancel(struct backend *backend, const char *id, struct job *ret, struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    if (!fake_knows(id))
        return error_set(err, ERROR_NOT_FOUND, "no job");
    fake_fill((struct fake *)backend, id, ret);
    return 0;
}

static int fake_forget(struct backend *backend, const char *id, struct error *err)
{
    int rc = fake_failure(backend, err);

    return rc ? rc : fake_knows(id) ? 0 : error_set(err, ERROR_NOT_FOUND, "no job");
}

static char *fake_index(struct fake *fake, size_t *ret_bytes)
{
    static const char *const names[] = {"a.weight", "b.weight", "c.bias"};
    static const double magnitude[] = {0.5, 0, 2};
    size_t bytes = sizeof(struct index_header) + 3 * sizeof(struct index_record) + 22;
    char *data = calloc(1, bytes);
    struct index_header *header = (struct index_header *)data;
    struct index_record *records = (struct index_record *)(header + 1);
    char *text = (char *)(records + 3);
    uint64_t at = 0;

    *header = (struct index_header){RESULT_INDEX_MAGIC, 3, 22};
    for (size_t i = 0; i < 3; i++) {
        char start[32];
        const char *found;

        snprintf(start, sizeof(start), "{\"name\":\"%s\"", names[i]);
        found = strstr(fake_json, start);
        records[i].offset = (uint64_t)(found - fake_json);
        records[i].bytes = (uint32_t)(strchr(found, '}') + 1 - found);
        records[i].name_at = at;
        records[i].name_bytes = (uint32_t)strlen(names[i]);
        records[i].status = i == 1 ? STATUS_BIT_EQUAL : STATUS_CHANGED;
        records[i].figures[SORT_NAME] = (double)i;
        records[i].figures[SORT_CHANGE_MAGNITUDE] = magnitude[i];
        memcpy(text + at, names[i], strlen(names[i]));
        at += strlen(names[i]);
    }
    if (fake->is_index_broken)
        records[2].offset = 1u << 30;
    if (fake->is_index_foreign)
        memset(data, 0, bytes);
    *ret_bytes = bytes;
    return data;
}

static int fake_open_result(struct backend *backend, const char *id, enum representation representation,
                            struct blob *ret, struct error *err)
{
    struct fake *fake = (struct fake *)backend;
    int rc = fake_failure(backend, err);
    size_t bytes = 0;

    if (rc)
        return rc;
    if (!fake_knows(id))
        return error_set(err, ERROR_NOT_FOUND, "no job");
    if (strcmp(id, ID_DONE) != 0)
        return error_set(err, ERROR_CONFLICT, "not finished");
    *ret = (struct blob){.fd = -1};
    if (representation == REPRESENTATION_JSON) {
        ret->data = strdup(fake_json);
        bytes = strlen(fake_json);
    } else if (representation >= REPRESENTATION_TEXT) {
        ret->data = strdup("  ~ a.weight\n");
        bytes = strlen(ret->data);
    } else {
        ret->data = fake_index(fake, &bytes);
    }
    ret->bytes = bytes;
    snprintf(ret->etag, sizeof(ret->etag), "\"etag-%d\"", (int)representation);
    if (fake->is_file) {
        ret->fd = memfd_create("result", MFD_CLOEXEC);
        if (write(ret->fd, ret->data, bytes) != (ssize_t)bytes)
            abort();
        free(ret->data);
        ret->data = NULL;
    }
    return 0;
}

static void fake_fill_upload(const char *id, uint64_t bytes, struct upload *ret)
{
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    ret->name = strdup("m.safetensors");
    ret->bytes = bytes;
    ret->is_complete = strcmp(id, ID_PART) != 0;
    ret->length = 10;
    snprintf(ret->sha256, sizeof(ret->sha256), "%s", FAKE_SHA);
    ret->create_ms = 1700000000000;
}

static int fake_upload_begin(struct backend *backend, const struct upload_wish *wish, struct upload_sink **ret,
                             struct error *err)
{
    struct fake *fake = (struct fake *)backend;
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    snprintf(fake->last_owner, sizeof(fake->last_owner), "%s", wish->owner);
    *ret = calloc(1, sizeof(**ret));
    (*ret)->fake = fake;
    snprintf((*ret)->sha256, sizeof((*ret)->sha256), "%s", wish->sha256);
    atomic_fetch_add(&fake->begun, 1);
    return 0;
}

static int fake_upload_append(struct upload_sink *sink, const void *data, size_t bytes, struct error *err)
{
    (void)data;
    if (sink->fake->append_gate)
        turnstile_pass(sink->fake->append_gate);
    if (sink->fake->fail_append)
        return error_set(err, (enum error_code)sink->fake->fail_append, "the disk is full");
    sink->bytes += bytes;
    atomic_fetch_add(&sink->fake->appended, bytes);
    return 0;
}

static int fake_upload_commit(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    struct fake *fake = sink->fake;
    uint64_t bytes = sink->bytes;
    int rc = fake_failure(&fake->backend, err);

    if (!rc && sink->sha256[0] && strcmp(sink->sha256, FAKE_SHA) != 0) {
        rc = error_set(err, ERROR_FORMAT, "announced was another sha-256");
        atomic_fetch_add(&fake->abandoned, 1);
    }
    free(sink);
    if (rc)
        return rc;
    atomic_fetch_add(&fake->committed, 1);
    fake_fill_upload(ID_UPLOAD, bytes, ret);
    return 0;
}

static int fake_upload_seal(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    return fake_upload_commit(sink, ret, err);
}

static void fake_upload_discard(struct backend *backend, const char *id)
{
    (void)id;
    atomic_fetch_add(&((struct fake *)backend)->discarded, 1);
}

static int fake_upload_create(struct backend *backend, const struct upload_wish *wish, struct upload *ret,
                              struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    fake_fill_upload(ID_PART, 0, ret);
    ret->length = wish->bytes;
    return 0;
}

static int fake_upload_resume(struct backend *backend, const char *id, const struct upload_piece *piece,
                              struct upload *ret_now, struct upload_sink **ret, struct error *err)
{
    int rc = fake_failure(backend, err);

    snprintf(((struct fake *)backend)->piece_sha256, SHA256_HEX_BYTES, "%s", piece->sha256);
    snprintf(((struct fake *)backend)->whole_sha256, SHA256_HEX_BYTES, "%s", piece->whole_sha256);
    *ret_now = (struct upload){.id = ""};
    if (rc)
        return rc;
    if (strcmp(id, ID_UPLOAD) != 0 && strcmp(id, ID_PART) != 0)
        return error_set(err, ERROR_NOT_FOUND, "no upload");
    if (piece->offset != 0 && (piece->offset != 5 || strcmp(id, ID_PART) != 0)) {
        fake_fill_upload(id, 5, ret_now);
        return error_set(err, ERROR_CONFLICT, "the upload has 5 bytes");
    }
    if (piece->length > 10)
        return error_set(err, ERROR_REQUEST, "the upload was to have 10 bytes");
    return fake_upload_begin(backend, &(struct upload_wish){"", "m", piece->length, ""}, ret, err);
}

static int fake_upload_pause(struct upload_sink *sink, struct upload *ret, struct error *err)
{
    struct fake *fake = sink->fake;
    uint64_t bytes = sink->bytes;
    int rc = fake_failure(&fake->backend, err);

    free(sink);
    if (rc)
        return rc;
    atomic_fetch_add(&fake->paused, 1);
    fake_fill_upload(ID_PART, bytes, ret);
    return 0;
}

static void fake_upload_limits(struct backend *backend, uint64_t *ret_bytes, int64_t *ret_age_ms)
{
    (void)backend;
    *ret_bytes = 1000;
    *ret_age_ms = 60000;
}

static void fake_upload_abandon(struct upload_sink *sink)
{
    if (sink)
        atomic_fetch_add(&sink->fake->abandoned, 1);
    free(sink);
}

static int fake_upload_get(struct backend *backend, const char *id, struct upload *ret, struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    if (strcmp(id, ID_UPLOAD) != 0 && strcmp(id, ID_BUSY_UPLOAD) != 0 && strcmp(id, ID_PART) != 0)
        return error_set(err, ERROR_NOT_FOUND, "no upload");
    fake_fill_upload(id, 5, ret);
    return 0;
}

static int fake_upload_list(struct backend *backend, const char *owner, uint64_t cursor, size_t limit,
                            struct upload_list *ret, struct error *err)
{
    int rc = fake_failure(backend, err);

    (void)limit;
    if (rc)
        return rc;
    snprintf(((struct fake *)backend)->last_owner, CALLER_NAME_BYTES, "%s", owner ? owner : "*");
    ret->uploads = calloc(1, sizeof(*ret->uploads));
    ret->count = 1;
    fake_fill_upload(ID_UPLOAD, 5, &ret->uploads[0]);
    ret->next = cursor ? 0 : 9;
    return 0;
}

static int fake_upload_delete(struct backend *backend, const char *id, struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    if (strcmp(id, ID_BUSY_UPLOAD) == 0)
        return error_set(err, ERROR_CONFLICT, "in use");
    if (strcmp(id, ID_PART) == 0)
        atomic_fetch_add(&((struct fake *)backend)->deleted_parts, 1);
    return strcmp(id, ID_UPLOAD) == 0 || strcmp(id, ID_PART) == 0 ? 0 : error_set(err, ERROR_NOT_FOUND, "no upload");
}

static int fake_check_callback(struct backend *backend, const char *url, struct error *err)
{
    (void)backend;
    return strstr(url, "inside") ? error_set(err, ERROR_REQUEST, "names an address that is not public") : 0;
}

/* The path says what is wrong with it. */
static int fake_check_model(struct backend *backend, const char *path, struct error *err)
{
    (void)backend;
    if (strstr(path, "missing"))
        return error_set(err, ERROR_NOT_FOUND, "no /srv/secret/%s", path);
    if (strstr(path, ".."))
        return error_set(err, ERROR_OUTSIDE, "/srv/secret leads out");
    if (strstr(path, "fifo"))
        return error_set(err, ERROR_NOT_REGULAR, "a FIFO");
    if (strstr(path, "private"))
        return error_set(err, ERROR_ACCESS, "no right");
    if (strstr(path, "empty"))
        return error_set(err, ERROR_NO_MODEL, "nothing there");
    if (strstr(path, "io"))
        return error_set(err, ERROR_READ, "device sdb1 failed");
    return 0;
}

static int fake_list_models(struct backend *backend, const char *path, size_t limit, struct model_list *ret,
                            struct error *err)
{
    int rc = fake_failure(backend, err);

    (void)limit;
    if (rc == 0)
        rc = fake_check_model(backend, path, err);
    if (rc)
        return rc;
    ret->entries = calloc(1, sizeof(*ret->entries));
    ret->count = 1;
    ret->entries[0] = (struct model_entry){strdup("a.safetensors"), false, true, 10, 1700000000000};
    return 0;
}

static int fake_inspect_model(struct backend *backend, const char *path, char **ret_json, size_t *ret_bytes,
                              struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc == 0)
        rc = fake_check_model(backend, path, err);
    if (rc)
        return rc;
    *ret_json = strdup("{\"models\":[]}");
    *ret_bytes = strlen(*ret_json);
    return 0;
}

/* Values that take escaping and every kind of number. */
static void fake_write_metrics(struct backend *backend, struct exposition *out)
{
    static const double bounds[] = {0.25, 5};
    static const uint64_t counts[] = {1, 0, 2};

    (void)backend;
    exposition_family(out, "fake_total", METRIC_COUNTER, "A back\\slash, a \"quote\" and\na line.");
    exposition_value(out, 3, "a", "x\\y\"z\nw", "b", "", NULL);
    exposition_family(out, "fake_seconds", METRIC_HISTOGRAM, "Three observations.");
    exposition_histogram(out, bounds, 2, counts, 20.5, "a", "x", NULL);
    exposition_family(out, "fake_bytes", METRIC_GAUGE, "Large.");
    exposition_value(out, 1099511627776.0, NULL);
}

static int fake_status(struct backend *backend, char **ret_json, size_t *ret_bytes, struct error *err)
{
    int rc = fake_failure(backend, err);

    if (rc)
        return rc;
    *ret_json = strdup("{\"state\":\"serving\"}");
    *ret_bytes = strlen(*ret_json);
    return 0;
}

static int fake_check_ready(struct backend *backend, struct error *err)
{
    struct fake *fake = (struct fake *)backend;

    return fake->fail ? error_set(err, ERROR_BUSY, "the store is not open") : 0;
}

static const struct backend_ops fake_ops = {
    .owner = fake_owner,
    .submit = fake_submit,
    .find_submitted = fake_find_submitted,
    .hold_key = fake_hold_key,
    .let_key_go = fake_let_key_go,
    .get = fake_get,
    .peek = fake_peek,
    .list = fake_list,
    .cancel = fake_cancel,
    .forget = fake_forget,
    .open_result = fake_open_result,
    .upload_begin = fake_upload_begin,
    .upload_append = fake_upload_append,
    .upload_commit = fake_upload_commit,
    .upload_abandon = fake_upload_abandon,
    .upload_seal = fake_upload_seal,
    .upload_discard = fake_upload_discard,
    .upload_create = fake_upload_create,
    .upload_resume = fake_upload_resume,
    .upload_pause = fake_upload_pause,
    .upload_offset = fake_upload_get,
    .upload_limits = fake_upload_limits,
    .upload_get = fake_upload_get,
    .upload_list = fake_upload_list,
    .upload_delete = fake_upload_delete,
    .check_callback = fake_check_callback,
    .check_model = fake_check_model,
    .list_models = fake_list_models,
    .inspect_model = fake_inspect_model,
    .write_metrics = fake_write_metrics,
    .status = fake_status,
    .check_ready = fake_check_ready,
};

static void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->backend.ops = &fake_ops;
    fake->owner = "";
    pthread_mutex_init(&fake->lock, NULL);
}

#endif
