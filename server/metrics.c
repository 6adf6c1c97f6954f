/* Modules count for themselves (relaxed atomics, or figures that they keep anyway); here their figures are read and
 * named. Label values come from tables of this program, never from a request, so that the number of series is bounded.
 */
#include "server/metrics.h"

#include <math.h>
#include <stdatomic.h>

#include "api/routes.h"
#include "server/backend.h"
#include "server/clock.h"
#include "server/process.h"

/* One reading: everything is asked once, before the first family is written. Figures that are one number each are
 * doubles that the table points at; NAN: not known, or there is no such thing, and no series is written. */
struct reading {
    const struct job_counters *jobs;
    struct http *http;               /* NULL: not there yet */
    struct webhooks *webhooks;       /* NULL: none are sent */
    const _Atomic uint64_t *refused; /* by enum refusal */
    struct store_status store;
    struct store_counts counts;
    struct walls walls;
    bool has_counts, has_walls;
    unsigned workers, busy, up;
    double ready, start_seconds;
    double queued, queue_limit, queue_age, attempts, scanned_bytes, scanned_tensors;
    double worker_starts, worker_start_failures;
    double connections, connection_limit, upload_connections, waiters, streams, accepted, shed, cut, timed_out;
    double uploads, received_bytes, under_way_bytes, used_bytes, quota_bytes, free_bytes;
    double full, failing, commits, changes;
    double cpu_seconds, resident_bytes, virtual_bytes, open_descriptors, descriptor_limit;
};

static double value_of(const _Atomic uint64_t *counter)
{
    return (double)atomic_load_explicit(counter, memory_order_relaxed);
}

static void take_jobs(struct service_backend *backend, struct reading *r)
{
    const struct job_counters *jobs = dispatcher_counters(backend->dispatcher);
    int64_t age_ms;

    backend->store->ops->status(backend->store, &r->store);
    r->has_counts = backend->store->ops->count(backend->store, &r->counts, NULL) == 0;
    age_ms = r->counts.oldest_queued_ms ? clock_wall_ms() - r->counts.oldest_queued_ms : 0;
    dispatcher_occupation(backend->dispatcher, &r->workers, &r->busy);
    r->up = dispatcher_ready(backend->dispatcher);
    r->has_walls = dispatcher_walls(backend->dispatcher, &r->walls);
    r->jobs = jobs;
    r->refused = backend->refused;
    r->webhooks = backend->webhooks;
    r->queued = (double)r->store.queued;
    r->queue_limit = (double)backend->metrics.queue_limit;
    r->queue_age = !r->has_counts ? NAN : age_ms > 0 ? (double)age_ms / 1000 : 0;
    r->attempts = value_of(&jobs->attempts);
    r->scanned_bytes = value_of(&jobs->scanned_bytes);
    r->scanned_tensors = value_of(&jobs->scanned_tensors);
    r->worker_starts = value_of(&jobs->worker_starts);
    r->worker_start_failures = value_of(&jobs->worker_start_failures);
}

static void take_front(struct service_backend *backend, struct reading *r)
{
    struct http_counters front = {.connections = 0};

    r->http = atomic_load(backend->metrics.http);
    if (r->http)
        http_count(r->http, &front);
    r->connection_limit = (double)backend->metrics.max_connections;
    r->connections = (double)front.connections;
    r->upload_connections = (double)front.uploads;
    r->waiters = (double)front.waiters;
    r->streams = (double)front.streams;
    r->accepted = (double)front.accepted;
    r->shed = (double)front.shed;
    r->cut = (double)front.cut;
    r->timed_out = (double)front.timed_out;
}

static void take_storage(struct service_backend *backend, struct reading *r)
{
    uint64_t free_bytes = backend->results->ops->free_bytes(backend->results);

    r->uploads = r->has_counts ? (double)r->counts.uploads : NAN;
    r->received_bytes = value_of(&backend->uploads.received_bytes);
    r->under_way_bytes = value_of(&backend->uploads.under_way_bytes);
    r->used_bytes = (double)r->store.used_bytes;
    r->quota_bytes = backend->uploads.quota_bytes ? (double)backend->uploads.quota_bytes : NAN;
    r->free_bytes = free_bytes == UINT64_MAX ? NAN : (double)free_bytes;
    r->full = r->store.is_full;
    r->failing = r->store.is_broken || !r->has_counts;
    r->commits = (double)r->store.commits;
    r->changes = (double)r->store.changes;
}

static void take_process(struct service_backend *backend, struct reading *r)
{
    struct process process;

    process_read(&process);
    r->ready = backend->base.ops->check_ready(&backend->base, NULL) == 0;
    r->start_seconds = (double)backend->metrics.start_ms / 1000;
    r->cpu_seconds = process.cpu_seconds;
    r->resident_bytes = (double)process.resident_bytes;
    r->virtual_bytes = (double)process.virtual_bytes;
    r->open_descriptors = (double)process.open_descriptors;
    r->descriptor_limit = (double)process.descriptor_limit;
}

static void read_build(const struct reading *r, struct exposition *out)
{
    (void)r;
    exposition_value(out, 1, "version", DIFFAID_VERSION, NULL);
}

static void read_jobs(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; r->has_counts && i < JOB_STATE_COUNT; i++)
        exposition_value(out, (double)r->counts.jobs[i], "state", job_state_names[i], NULL);
}

static void read_ended(const struct reading *r, struct exposition *out)
{
    for (size_t i = JOB_SUCCEEDED; i < JOB_STATE_COUNT; i++)
        exposition_value(out, (double)r->store.ended[i], "state", job_state_names[i], NULL);
}

static void read_refused(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; i < REFUSAL_COUNT; i++)
        exposition_value(out, value_of(&r->refused[i]), "cause", refusal_names[i], NULL);
}

/* Only those that have happened: most problems are of requests. */
static void read_failures(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; i < PROBLEM_COUNT; i++)
        if (value_of(&r->jobs->failures[i]) > 0)
            exposition_value(out, value_of(&r->jobs->failures[i]), "problem", problem_types[i].slug, NULL);
}

/* Nothing where none are sent. */
static void read_callbacks(const struct reading *r, struct exposition *out)
{
    for (enum callback_state state = CALLBACK_DUE; r->webhooks && state < CALLBACK_STATE_COUNT; state++)
        exposition_value(out, (double)webhooks_attempts(r->webhooks, state), "state", callback_state_names[state],
                         NULL);
}

static void write_histogram(const struct histogram *histogram, struct exposition *out)
{
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];

    for (size_t i = 0; i <= histogram->bound_count; i++)
        counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    exposition_histogram(out, histogram->bounds, histogram->bound_count, counts,
                         value_of(&histogram->nanoseconds) / 1e9, NULL);
}

static void read_wait(const struct reading *r, struct exposition *out)
{
    write_histogram(&r->jobs->wait, out);
}

static void read_attempt(const struct reading *r, struct exposition *out)
{
    write_histogram(&r->jobs->attempt, out);
}

/* A slot whose process is just ending still counts as busy when it no longer counts as up. */
static void read_workers(const struct reading *r, struct exposition *out)
{
    unsigned idle = r->up > r->busy ? r->up - r->busy : 0;
    unsigned down = r->workers > r->busy + idle ? r->workers - r->busy - idle : 0;

    exposition_value(out, r->busy, "state", "busy", NULL);
    exposition_value(out, idle, "state", "idle", NULL);
    exposition_value(out, down, "state", "down", NULL);
}

static void read_worker_deaths(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; i < WORKER_DEATH_COUNT; i++)
        exposition_value(out, value_of(&r->jobs->worker_deaths[i]), "cause", worker_death_names[i], NULL);
}

/* Nothing before a worker has been up. */
static void read_walls(const struct reading *r, struct exposition *out)
{
    if (!r->has_walls)
        return;
    exposition_value(out, r->walls.has_no_new_privs, "wall", "no_new_privs", NULL);
    exposition_value(out, r->walls.has_seccomp, "wall", "seccomp", NULL);
    exposition_value(out, r->walls.landlock_version > 0, "wall", "landlock", NULL);
}

/* Of what matched no route both are empty. */
static const char *method_of(size_t route)
{
    return route < route_count ? method_names[routes[route].method] : "";
}

static const char *path_of(size_t route)
{
    return route < route_count ? routes[route].path : "";
}

/* Routes and statuses that have occurred. */
static void read_requests(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; r->http && i <= route_count; i++) {
        struct http_route_counters route;

        http_count_route(r->http, i, &route);
        for (size_t s = 0; s < HTTP_STATUSES; s++) {
            char status[8] = "other";

            if (!route.by_status[s])
                continue;
            if (http_statuses[s] != HTTP_STATUS_OTHER)
                snprintf(status, sizeof(status), "%d", http_statuses[s]);
            exposition_value(out, (double)route.by_status[s], "method", method_of(i), "route", path_of(i), "status",
                             http_statuses[s] ? status : "none", NULL);
        }
    }
}

static void read_request_durations(const struct reading *r, struct exposition *out)
{
    for (size_t i = 0; r->http && i <= route_count; i++) {
        struct http_route_counters route;
        uint64_t count = 0;

        http_count_route(r->http, i, &route);
        for (size_t d = 0; d < HTTP_DURATION_BUCKETS; d++)
            count += route.by_duration[d];
        if (count)
            exposition_histogram(out, http_duration_bounds, HTTP_DURATION_BUCKETS - 1, route.by_duration, route.seconds,
                                 "method", method_of(i), "route", path_of(i), NULL);
    }
}

#define READ(reader) .read = (reader)
#define AT(member)   .at = offsetof(struct reading, member)

static const struct family {
    const char *name;
    enum metric_type type;
    const char *help;
    void (*read)(const struct reading *, struct exposition *); /* NULL: one series, the double at `at` */
    size_t at;
} families[] = {
    {"diffaid_build_info", METRIC_GAUGE, "What is running; always 1.", READ(read_build)},
    {"diffaid_ready", METRIC_GAUGE, "1 while the service accepts work, as /readyz says.", AT(ready)},

    {"diffaid_jobs", METRIC_GAUGE, "Jobs in the store.", READ(read_jobs)},
    {"diffaid_refused_total", METRIC_COUNTER, "Jobs and uploads refused for want of room, by what was full.",
     READ(read_refused)},
    {"diffaid_jobs_ended_total", METRIC_COUNTER, "Jobs that ended, by how.", READ(read_ended)},
    {"diffaid_job_failures_total", METRIC_COUNTER, "Jobs that failed, by the problem that they ended with.",
     READ(read_failures)},
    {"diffaid_job_attempts_total", METRIC_COUNTER, "Attempts at jobs; more than jobs where attempts were interrupted.",
     AT(attempts)},
    {"diffaid_job_wait_seconds", METRIC_HISTOGRAM, "Time from a job's submission to its first attempt.",
     READ(read_wait)},
    {"diffaid_job_attempt_seconds", METRIC_HISTOGRAM,
     "Time that an attempt took, from its claim until its end was on disk.", READ(read_attempt)},
    {"diffaid_queue_jobs", METRIC_GAUGE, "Jobs that wait.", AT(queued)},
    {"diffaid_queue_limit_jobs", METRIC_GAUGE, "Jobs that may wait (--queue-limit).", AT(queue_limit)},
    {"diffaid_queue_oldest_age_seconds", METRIC_GAUGE, "Time since the next job was submitted; 0 when none waits.",
     AT(queue_age)},
    {"diffaid_scanned_bytes_total", METRIC_COUNTER, "Bytes of models read by attempts.", AT(scanned_bytes)},
    {"diffaid_scanned_tensors_total", METRIC_COUNTER, "Tensors compared by attempts.", AT(scanned_tensors)},

    {"diffaid_callback_attempts_total", METRIC_COUNTER,
     "Attempts to tell a callback_url of a job's end, by the state that they left: pending is tried again, failed is "
     "not.",
     READ(read_callbacks)},

    {"diffaid_workers", METRIC_GAUGE, "Worker processes.", READ(read_workers)},
    {"diffaid_worker_walls", METRIC_GAUGE, "1 for each wall around worker processes that is in force.",
     READ(read_walls)},
    {"diffaid_worker_starts_total", METRIC_COUNTER, "Worker processes that came up.", AT(worker_starts)},
    {"diffaid_worker_start_failures_total", METRIC_COUNTER, "Worker processes that did not come up.",
     AT(worker_start_failures)},
    {"diffaid_worker_deaths_total", METRIC_COUNTER,
     "Worker processes that ended and should not have: crash is a defect, sandbox a system call that is not allowed, "
     "signal came from outside (SIGKILL: no memory left), exit was their own, nonsense, deadline and stop mean killed "
     "for "
     "what they sent or because their job did not stop.",
     READ(read_worker_deaths)},

    {"diffaid_http_requests_total", METRIC_COUNTER,
     "Requests that ended, HEAD counted as GET. Status none: the connection ended first; route empty: there was none.",
     READ(read_requests)},
    {"diffaid_http_request_duration_seconds", METRIC_HISTOGRAM,
     "Time from a request's first line to the end of its response; includes waiting asked for by Prefer, and bodies.",
     READ(read_request_durations)},
    {"diffaid_http_connections", METRIC_GAUGE, "Open connections.", AT(connections)},
    {"diffaid_http_connections_limit", METRIC_GAUGE, "Connections that may be open (--max-connections).",
     AT(connection_limit)},
    {"diffaid_http_upload_connections", METRIC_GAUGE, "Open connections that began with an upload.",
     AT(upload_connections)},
    {"diffaid_http_waiting_requests", METRIC_GAUGE, "Requests that wait for a job's end (Prefer: wait).", AT(waiters)},
    {"diffaid_http_event_streams", METRIC_GAUGE, "Requests that follow the events of a job.", AT(streams)},
    {"diffaid_http_connections_accepted_total", METRIC_COUNTER, "Connections accepted.", AT(accepted)},
    {"diffaid_http_connections_shed_total", METRIC_COUNTER, "Connections refused with 503 because too many were open.",
     AT(shed)},
    {"diffaid_http_connections_cut_total", METRIC_COUNTER, "Connections cut at a deadline or because of their framing.",
     AT(cut)},
    {"diffaid_http_handler_timeouts_total", METRIC_COUNTER,
     "Requests that were answered with 503 because they took too long.", AT(timed_out)},

    {"diffaid_uploads", METRIC_GAUGE, "Uploads in the store.", AT(uploads)},
    {"diffaid_upload_received_bytes_total", METRIC_COUNTER, "Bytes of uploads written to disk, broken ones included.",
     AT(received_bytes)},
    {"diffaid_upload_incomplete_bytes", METRIC_GAUGE, "Bytes of uploads that are under way.", AT(under_way_bytes)},
    {"diffaid_storage_used_bytes", METRIC_GAUGE, "Occupied by results and complete uploads.", AT(used_bytes)},
    {"diffaid_storage_quota_bytes", METRIC_GAUGE, "Most that these may occupy (--quota); absent without a quota.",
     AT(quota_bytes)},
    {"diffaid_storage_free_bytes", METRIC_GAUGE, "Free on the disk of the state directory.", AT(free_bytes)},
    {"diffaid_storage_full", METRIC_GAUGE, "1 while that disk is full: submissions and uploads are refused with 507.",
     AT(full)},
    {"diffaid_store_failing", METRIC_GAUGE, "1 while the job store cannot be written or read.", AT(failing)},
    {"diffaid_store_commits_total", METRIC_COUNTER, "Commits of the job store.", AT(commits)},
    {"diffaid_store_changes_total", METRIC_COUNTER, "Changes in these commits; several share one under load.",
     AT(changes)},

    {"process_cpu_seconds_total", METRIC_COUNTER, "User and system time of the service, without its workers.",
     AT(cpu_seconds)},
    {"process_start_time_seconds", METRIC_GAUGE, "Start of the process, in seconds since 1970.", AT(start_seconds)},
    {"process_resident_memory_bytes", METRIC_GAUGE, "Resident memory of the service, without its workers.",
     AT(resident_bytes)},
    {"process_virtual_memory_bytes", METRIC_GAUGE, "Address space of the service.", AT(virtual_bytes)},
    {"process_open_fds", METRIC_GAUGE, "Open descriptors.", AT(open_descriptors)},
    {"process_max_fds", METRIC_GAUGE, "Descriptors that may be open.", AT(descriptor_limit)},
};

void metrics_write(struct service_backend *backend, struct exposition *out)
{
    struct reading reading = {.jobs = NULL};

    take_jobs(backend, &reading);
    take_front(backend, &reading);
    take_storage(backend, &reading);
    take_process(backend, &reading);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        const struct family *family = &families[i];

        exposition_family(out, family->name, family->type, family->help);
        if (family->read) {
            family->read(&reading, out);
        } else {
            double value = *(const double *)((const char *)&reading + family->at);

            if (!isnan(value))
                exposition_value(out, value, NULL);
        }
    }
}
