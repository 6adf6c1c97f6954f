/* Names no path and no host: whoever may read jobs may read this. */
#include "server/status.h"

#include <json-c/json.h>
#include <string.h>

#include "api/json_text.h"
#include "api/request.h"
#include "core/limits.h"
#include "core/scan/scan.h"
#include "server/clock.h"

static void write_seconds(struct writer *w, const char *name, int64_t ms)
{
    write_figure(w, name, (double)ms / 1000, NULL);
}

static void write_process(const struct service_backend *backend, struct json_text *json)
{
    const struct status_sources *sources = backend->status;
    struct writer *w = &json->writer;
    int64_t now_ms = clock_wall_ms();
    bool is_draining = atomic_load(&backend->is_draining);

    write_text(w, "version", DIFFAID_VERSION);
    write_text(w, "state", is_draining ? "ending" : dispatcher_ready(backend->dispatcher) ? "serving" : "starting");
    json_text_member_time(json, "start_time", sources->start_ms);
    json_text_member_time(json, "time", now_ms);
    write_flag(w, "is_clock_trusted", sweeper_trusts_clock(sources->sweeper));
    write_flag(w, "takes_keys", sources->config->api_keys_file[0] != '\0');
    write_text(w, "isa", isa_name(isa_best()));
}

static void write_workers(struct service_backend *backend, struct writer *w)
{
    const struct status_sources *sources = backend->status;
    unsigned workers, busy;

    dispatcher_occupation(backend->dispatcher, &workers, &busy);
    write_object(w, "workers");
    write_u64(w, "wanted", workers);
    write_u64(w, "ready", dispatcher_ready(backend->dispatcher));
    write_u64(w, "busy", busy);
    write_u64(w, "threads", sources->plan->threads);
    write_u64(w, "job_memory_bytes", sources->plan->job_memory_bytes);
    write_flag(w, "is_reduced", sources->plan->is_reduced);
    write_u64(w, "cores", sources->capacity->cores);
    if (sources->capacity->memory_bytes)
        write_u64(w, "memory_bytes", sources->capacity->memory_bytes);
    write_end(w);
}

/* Of the worker that came up last; null before the first one did. */
static void write_walls(struct service_backend *backend, struct json_text *json)
{
    struct json_object *described = NULL;
    struct walls walls;

    if (dispatcher_walls(backend->dispatcher, &walls))
        described = walls_describe(&walls);
    json_text_member_raw(json, "walls",
                         described ? json_object_to_json_string_ext(described, JSON_C_TO_STRING_PLAIN) : "null");
    json_object_put(described);
}

static void write_store(struct service_backend *backend, struct writer *w)
{
    const struct config *config = backend->status->config;
    uint64_t free_bytes = backend->results->ops->free_bytes(backend->results);
    struct store_status store;

    backend->store->ops->status(backend->store, &store);
    write_object(w, "queue");
    write_u64(w, "queued", store.queued);
    write_u64(w, "limit", config->queue_limit);
    write_object(w, "refused");
    for (int i = 0; i < REFUSAL_COUNT; i++)
        write_u64(w, refusal_names[i], atomic_load(&backend->refused[i]));
    write_end(w);
    write_end(w);
    write_object(w, "disk");
    write_u64(w, "used_bytes", store.used_bytes);
    if (config->quota_bytes)
        write_u64(w, "quota_bytes", config->quota_bytes);
    if (free_bytes != UINT64_MAX)
        write_u64(w, "free_bytes", free_bytes);
    write_flag(w, "is_full", store.is_full);
    write_flag(w, "is_failing", store.is_broken);
    write_end(w);
}

static void write_connections(struct http *http, struct writer *w)
{
    struct http_counters counters = {0};

    if (http)
        http_count(http, &counters);
    write_object(w, "connections");
    write_u64(w, "open", counters.connections);
    write_u64(w, "uploads", counters.uploads);
    write_u64(w, "waiting", counters.waiters);
    write_u64(w, "shed", counters.shed);
    write_end(w);
}

static void write_limits(const struct config *config, struct writer *w)
{
    write_object(w, "limits");
    write_u64(w, "queued_jobs", config->queue_limit);
    write_u64(w, "connections", config->max_connections);
    write_u64(w, "body_bytes", config->body_limit_bytes);
    write_u64(w, "upload_bytes", config->upload_limit_bytes);
    write_u64(w, "models_per_job", REQUEST_MODELS_MAX);
    write_u64(w, "header_bytes_per_file", limits_default.header_bytes);
    write_u64(w, "tensors_per_model", limits_default.tensors);
    write_u64(w, "files_per_model", limits_default.shards);
    write_seconds(w, "header_seconds", config->header_timeout_ms);
    write_seconds(w, "job_seconds", config->job_timeout_ms);
    write_seconds(w, "retention_seconds", config->retention_ms);
    write_seconds(w, "grace_seconds", config->grace_ms);
    write_end(w);
}

int status_describe(struct service_backend *backend, char **ret_json, size_t *ret_bytes, struct error *err)
{
    struct json_text json;
    char *text;

    json_text_init(&json);
    write_begin_object(&json.writer);
    write_process(backend, &json);
    write_workers(backend, &json.writer);
    write_walls(backend, &json);
    write_store(backend, &json.writer);
    write_connections(atomic_load(backend->status->http), &json.writer);
    write_limits(backend->status->config, &json.writer);
    write_end(&json.writer);
    text = json_text_take(&json, ret_bytes);
    if (!text)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the status");
    *ret_json = text;
    return 0;
}
