/* `diffaid serve`: puts the service together, waits for a signal, takes it apart again in the opposite order. What is
 * asked of a part never outlives it: the front goes before the dispatcher, the dispatcher before the store. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cors.h"
#include "server/backend.h"
#include "server/clock.h"
#include "server/commands/check_config.h"
#include "server/commands/command.h"
#include "server/config.h"
#include "server/endpoint.h"
#include "server/http.h"
#include "server/jobs/capacity.h"
#include "server/jobs/sweeper.h"
#include "server/keyring.h"
#include "server/log.h"
#include "server/must.h"
#include "server/privileges.h"
#include "server/state_dir.h"
#include "server/status.h"

enum {
    LOCK_MS = 10000,
    RESERVE_BYTES = 16 << 20,
    DESCRIPTORS_KEPT = 192, /* for the store, a thread's reading each, and uploads under way */
    DESCRIPTORS_A_WORKER = 8,
    START_STEP_MS = 10,
};

static const uint64_t result_bytes_max = UINT64_C(16) << 30; /* of one file */

extern char **environ;

struct service {
    struct config config;
    struct endpoint endpoint;
    const char **allowed_hosts, **cors_origins; /* NULL-terminated */
    struct keyring *keyring;                    /* NULL: no keys are needed */
    struct state_dir state;
    struct roots roots;
    struct blob_store *results, *uploads;
    struct sweeper *sweeper;
    struct service_backend backend;
    struct capacity capacity;
    struct capacity_plan plan;
    uint64_t cache_bytes; /* of the workers' passes */
    struct status_sources status;
    struct http *_Atomic http; /* workers may report before the front is there */
    struct http *admin;        /* NULL: there is no second port */
};

static void warn_of_setting(void *context, const char *text)
{
    (void)context;
    LOG_LINE(LEVEL_WARNING, "setting", log_text("detail", text));
}

static void log_request(void *context, const struct http_access *access)
{
    const struct log_field fields[] = {
        log_text("method", access->method),
        log_text("route", access->route),
        log_i64("status", access->status),
        log_u64("bytes", access->bytes),
        log_seconds("seconds", access->seconds),
        log_text("request_id", access->request_id),
        log_text("key", access->key && *access->key ? access->key : NULL),
        log_text("job", *access->job_id ? access->job_id : NULL),
        log_text("trace_id", *access->trace_id ? access->trace_id : NULL),
        log_text("cause", access->cause && *access->cause ? access->cause : NULL),
    };

    (void)context;
    if (access->status >= 500)
        log_write(LEVEL_WARNING, "request", fields, sizeof(fields) / sizeof(fields[0]));
    else
        log_write_soon(LEVEL_INFO, "request", fields, sizeof(fields) / sizeof(fields[0]));
}

/* A job's caller was called, or could not be. */
static void tell_called(void *context, const char *id)
{
    struct http *http = atomic_load(&((struct service *)context)->http);

    if (http)
        http_job_changed(http, id, HTTP_CHANGE_STATE);
}

static void tell_front(void *context, const char *id, bool is_progress)
{
    struct service *service = context;
    struct http *http = atomic_load(&service->http);

    if (service->backend.webhooks && !is_progress)
        webhooks_wake(service->backend.webhooks);
    if (http)
        http_job_changed(http, id, is_progress ? HTTP_CHANGE_PROGRESS : HTTP_CHANGE_STATE);
}

/* Before the first thread: from here on files are written below the state directory and nowhere else. Reading and the
 * network stay free, which webhooks, their certificates and name service need. A worker, which starts with these
 * walls, writes its oom_score_adj below /proc; where that would open the kernel's settings to us, it does not. */
static void wall_in(const struct service *service)
{
    struct landlock_place places[2] = {{service->state.fd, LANDLOCK_WRITE}};
    size_t count = 1;
    struct error err;
    int proc = -1;

    if (service->config.sandbox == SANDBOX_OFF)
        return;
    if (access("/proc/sys/kernel/core_pattern", W_OK) != 0)
        proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc >= 0)
        places[count++] = (struct landlock_place){proc, LANDLOCK_WRITE};
    if (landlock_confine(places, count, true, &err) != 0)
        LOG_LINE(LEVEL_WARNING, "the service's own process has no walls", log_text("detail", err.text));
    if (proc >= 0)
        close(proc);
}

static int open_state(struct service *service, struct error *err)
{
    struct store_settings settings = {.state_dir = service->config.state_dir,
                                      .queue_limit = service->config.queue_limit,
                                      .retention_ms = service->config.retention_ms,
                                      .reserve_bytes = RESERVE_BYTES};
    int rc = state_dir_open(service->config.state_dir, true, LOCK_MS, &service->state, err);

    settings.state_fd = service->state.fd;
    if (!rc)
        wall_in(service);
    if (!rc)
        rc = blob_directory_open(service->state.fd, "results", &service->results, err);
    if (!rc)
        rc = blob_directory_open(service->state.fd, "uploads", &service->uploads, err);
    if (!rc)
        rc = sqlite_store_open(&settings, &service->backend.store, err);
    if (!rc)
        rc = sweeper_open(service->backend.store, service->results, service->uploads, service->config.retention_ms,
                          &service->sweeper, err);
    return rc;
}

/* Nothing that a request can do needs more than this; files that are made are the service's own to read. */
static void drop_privileges(const struct service *service)
{
    uint16_t port = service->endpoint.port;
    struct endpoint admin = {.port = 0};
    bool is_low_port;

    endpoint_admin(&service->config, &admin, NULL);
    is_low_port = (port > 0 && port < 1024) || (admin.port > 0 && admin.port < 1024);
    umask(S_IRWXG | S_IRWXO);
    privileges_drop(PRIVILEGE_READ_FILES | PRIVILEGE_WRITE_FILES | (is_low_port ? PRIVILEGE_LOW_PORTS : 0));
    if (geteuid() == 0)
        LOG_LINE(LEVEL_WARNING, "the service runs as root; an account of its own would be safer");
}

/* What this kernel cannot give workers, said before the first model is read. */
static int check_walls(const struct service *service, struct error *err)
{
    enum sandbox_mode mode = (enum sandbox_mode)service->config.sandbox;
    struct walls offered;

    sandbox_probe(&offered);
    if (mode == SANDBOX_OFF)
        LOG_LINE(LEVEL_WARNING, "--sandbox off: workers may open files and connections like any program");
    else if (mode == SANDBOX_REQUIRE && (!offered.has_seccomp || !offered.landlock_version))
        return error_set(err, ERROR_REQUEST, "--sandbox require: the kernel offers no %s here",
                         offered.has_seccomp ? "Landlock" : "seccomp");
    if (mode == SANDBOX_AUTO && !offered.has_seccomp)
        LOG_LINE(LEVEL_WARNING, "no seccomp here: workers may make any system call");
    if (mode == SANDBOX_AUTO && !offered.landlock_version)
        LOG_LINE(LEVEL_WARNING, "no Landlock here: workers may read whatever the service may read");
    return 0;
}

static void plan_capacity(struct service *service)
{
    const struct config *config = &service->config;

    capacity_read("", &service->capacity);
    service->cache_bytes = capacity_cache_bytes(&service->capacity, (enum cache_policy)config->cache);
    capacity_plan(&service->capacity, config->workers, config->threads, config->job_memory_bytes, &service->plan);
    if (service->plan.is_reduced)
        LOG_LINE(LEVEL_WARNING, "this container's memory does not suffice for what was asked",
                 log_u64("memory_bytes", service->capacity.memory_bytes), log_u64("workers", service->plan.workers),
                 log_u64("job_memory_bytes", service->plan.job_memory_bytes));
}

static int start_webhooks(struct service *service, struct error *err)
{
    const struct config *config = &service->config;
    struct webhook_settings settings;

    if (!*config->webhook_secret_file)
        return 0;
    webhook_settings_init(&settings);
    settings.store = service->backend.store;
    settings.secret_file = config->webhook_secret_file;
    settings.allowed = (const char *const *)config->webhook_allow.items;
    settings.allowed_count = config->webhook_allow.count;
    settings.changed = tell_called;
    settings.context = service;
    return webhooks_start(&settings, &service->backend.webhooks, err);
}

static int start_dispatcher(struct service *service, struct error *err)
{
    const struct config *config = &service->config;
    struct service_backend *backend = &service->backend;
    struct dispatcher_settings settings = {
        .child = {.program = "/proc/self/exe",
                  .roots = &service->roots,
                  .uploads_fd = service->uploads->dir_fd,
                  .threads = service->plan.threads,
                  .cache_bytes = service->cache_bytes,
                  .memory_bytes = service->plan.job_memory_bytes,
                  .file_bytes = result_bytes_max,
                  .sandbox = (enum sandbox_mode)config->sandbox},
        .store = backend->store,
        .results = service->results,
        .workers = service->plan.workers,
        .job_timeout_ms = config->job_timeout_ms,
        .changed = tell_front,
        .context = service,
    };

    backend->base.ops = &service_backend_ops;
    held_keys_init(&backend->held_keys);
    uploads_init(&backend->uploads);
    backend->results = service->results;
    backend->roots = &service->roots;
    backend->metrics = (struct metrics){.http = &service->http,
                                        .queue_limit = config->queue_limit,
                                        .max_connections = config->max_connections,
                                        .start_ms = clock_wall_ms()};
    service->status = (struct status_sources){.config = config,
                                              .capacity = &service->capacity,
                                              .plan = &service->plan,
                                              .sweeper = service->sweeper,
                                              .http = &service->http,
                                              .start_ms = clock_wall_ms()};
    backend->status = &service->status;
    backend->changed = tell_front;
    backend->context = service;
    backend->uploads.store = backend->store;
    backend->uploads.blobs = service->uploads;
    backend->uploads.limit_bytes = config->upload_limit_bytes;
    backend->uploads.quota_bytes = config->quota_bytes;
    backend->uploads.retention_ms = config->retention_ms;
    return dispatcher_start(&settings, &backend->dispatcher, err);
}

/* Connections that took the last descriptor would leave none for the store and the jobs. */
static void fit_connections(const struct service *service, struct http_config *http)
{
    uint64_t kept = DESCRIPTORS_KEPT + (uint64_t)DESCRIPTORS_A_WORKER * service->plan.workers;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    if (kept > limit.rlim_cur / 2)
        kept = limit.rlim_cur / 2;
    if (http_config_fit(http, limit.rlim_cur - kept))
        LOG_LINE(LEVEL_WARNING, "the limit on descriptors does not suffice for the connections that were asked for",
                 log_u64("descriptors", limit.rlim_cur), log_u64("connections", http->max_connections));
}

/* The items, borrowed, with NULL at their end. */
static const char **terminated(const struct config_list *list)
{
    const char **items = calloc(list->count + 1, sizeof(*items));

    for (size_t i = 0; items && i < list->count; i++)
        items[i] = list->items[i];
    return items;
}

static int start_front(struct service *service, struct error *err)
{
    const struct config *config = &service->config;
    struct http_config http;
    struct http *front;
    int rc = cors_origins_check((const char *const *)config->cors_origins.items, config->cors_origins.count, err);

    if (rc)
        return rc;
    service->allowed_hosts = terminated(&config->allowed_hosts);
    service->cors_origins = terminated(&config->cors_origins);
    if (!service->allowed_hosts || !service->cors_origins)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
    http_config_init(&http);
    http.address = service->endpoint.host;
    http.port = service->endpoint.port;
    http.is_loopback = service->endpoint.is_loopback;
    http.allowed_hosts = service->allowed_hosts;
    http.cors_origins = config->cors_origins.count ? service->cors_origins : NULL;
    http.access = keyring_access(service->keyring);
    http.max_connections = (unsigned)config->max_connections;
    fit_connections(service, &http);
    http.header_timeout_ms = (unsigned)config->header_timeout_ms;
    http.body_bytes = (size_t)config->body_limit_bytes;
    http.log = log_request;
    rc = http_start(&http, &service->backend.base, &front, err);
    if (!rc)
        atomic_store(&service->http, front);
    return rc;
}

/* A front of its own, with threads and connections of its own: it answers whatever the other one is busy with. */
static int start_admin(struct service *service, struct error *err)
{
    struct endpoint endpoint;
    struct http_config http;
    int rc = endpoint_admin(&service->config, &endpoint, err);

    if (rc)
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    http_config_init(&http);
    http.address = endpoint.host;
    http.port = endpoint.port;
    http.is_loopback = endpoint.is_loopback;
    http.allowed_hosts = service->allowed_hosts;
    http.is_admin = true;
    http.max_connections = 64;
    http.max_uploads = 0;
    http.pool_threads = 2;
    http.pool_queue = 64;
    rc = http_start(&http, &service->backend.base, &service->admin, err);
    if (!rc)
        LOG_LINE(LEVEL_INFO, "admin port", log_text("host", endpoint.host), log_u64("port", http_port(service->admin)));
    return rc;
}

static void set_ready(struct service *service, bool is_ready)
{
    http_set_ready(service->http, is_ready);
    if (service->admin)
        http_set_ready(service->admin, is_ready);
}

/* Every connection, worker and file takes a descriptor; the soft limit is often 1,024 for the sake of select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool has_demo(const struct root *root)
{
    return faccessat(root->fd, "base.safetensors", R_OK, 0) == 0 &&
           faccessat(root->fd, "finetuned.safetensors", R_OK, 0) == 0;
}

/* For a person who started the service by hand; machines read the log. */
static void serve_banner(const struct service *service)
{
    bool is_v6 = strchr(service->endpoint.host, ':') != NULL;
    const char *host = strcmp(service->endpoint.host, "0.0.0.0") == 0 ? "127.0.0.1"
                       : strcmp(service->endpoint.host, "::") == 0    ? "::1"
                                                                      : service->endpoint.host;
    char address[HOST_BYTES + 32];
    bool is_demo = false;

    snprintf(address, sizeof(address), is_v6 ? "http://[%s]:%u" : "http://%s:%u", host,
             (unsigned)http_port(service->http));
    LOG_LINE(LEVEL_INFO, "listening", log_text("address", address), log_text("version", DIFFAID_VERSION),
             log_u64("workers", service->plan.workers), log_u64("threads", service->plan.threads),
             log_u64("models_roots", service->roots.count));
    for (size_t i = 0; i < service->roots.count; i++)
        is_demo = is_demo || (i == 0 && has_demo(&service->roots.items[i]));
    if (!is_demo && !isatty(STDOUT_FILENO))
        return;
    printf("diffaid %s serves %s\n", DIFFAID_VERSION, address);
    for (size_t i = 0; i < service->roots.count; i++)
        printf("models root: %s%s%s\n", service->roots.items[i].name, *service->roots.items[i].name ? " = " : "",
               service->roots.items[i].path);
    if (is_demo)
        printf("try:  curl -s -H 'Prefer: wait=30' -H 'Content-Type: application/json' %s/v1/jobs "
               "-d '{\"models\":[\"%s%sbase.safetensors\",\"%s%sfinetuned.safetensors\"]}'\n",
               address, service->roots.items[0].name, *service->roots.items[0].name ? "/" : "",
               service->roots.items[0].name, *service->roots.items[0].name ? "/" : "");
    fflush(stdout);
}

static int start(struct service *service, const char *const *roots, struct error *err)
{
    int rc = roots_open(roots, service->config.models_roots.count, &service->roots, err);

    if (rc)
        return rc;
    if (!service->roots.count)
        LOG_LINE(LEVEL_WARNING, "no --models-root is given: only uploads can be compared");
    if (service->config.api_keys_file[0])
        rc = keyring_open(service->config.api_keys_file, &service->keyring, err);
    if (rc)
        return rc;
    raise_descriptor_limit();
    drop_privileges(service);
    plan_capacity(service);
    rc = check_walls(service, err);
    if (!rc)
        rc = open_state(service, err);
    if (!rc)
        rc = start_webhooks(service, err);
    if (!rc)
        rc = start_dispatcher(service, err);
    if (!rc) {
        log_gather_start();
        rc = start_front(service, err);
    }
    if (!rc)
        rc = start_admin(service, err);
    if (!rc)
        rc = sweeper_start(service->sweeper, err);
    return rc;
}

static void reload_keys(struct service *service)
{
    struct error err = {0};

    if (!service->keyring)
        LOG_LINE(LEVEL_INFO, "SIGHUP: there is no API keys file to read again");
    else if (keyring_reload(service->keyring, &err))
        LOG_LINE(LEVEL_ERROR, "the API keys stay as they were", log_text("detail", err.text));
    else
        LOG_LINE(LEVEL_INFO, "read the API keys again", log_u64("keys", keyring_count(service->keyring)));
}

/* Returns at the signal that ends the service. */
static void await_end(struct service *service, const sigset_t *signals)
{
    int number;

    while (sigwait(signals, &number) == 0 && number == SIGHUP)
        reload_keys(service);
}

/* Until a worker is up or a signal to end comes. */
static bool await_ready(struct service *service, const sigset_t *signals)
{
    struct timespec step = {.tv_nsec = START_STEP_MS * 1000000L};

    while (!dispatcher_ready(service->backend.dispatcher)) {
        int number = sigtimedwait(signals, NULL, &step);

        if (number == SIGHUP)
            reload_keys(service);
        else if (number > 0)
            return false;
    }
    set_ready(service, true);
    return true;
}

static void *leave_at_second_signal(void *argument)
{
    int number = 0;

    while (sigwait(argument, &number) == 0 && number == SIGHUP)
        continue;
    if (number) {
        LOG_LINE(LEVEL_WARNING, "second signal: ending at once");
        _exit(128 + number);
    }
    return NULL;
}

struct draining {
    struct http *http;
    unsigned ms;
};

static void *drain_front(void *argument)
{
    struct draining *draining = argument;

    http_drain(draining->http, draining->ms);
    return NULL;
}

/* Requests and jobs come to their ends side by side. */
static void drain(struct service *service, sigset_t *signals)
{
    struct draining draining = {.http = service->http, .ms = (unsigned)service->config.grace_ms};
    pthread_t impatient, front;

    LOG_LINE(LEVEL_INFO, "ending: no new work is taken", log_i64("grace_ms", service->config.grace_ms));
    atomic_store(&service->backend.is_draining, true);
    set_ready(service, false);
    if (pthread_create(&impatient, NULL, leave_at_second_signal, signals) == 0)
        must(pthread_detach(impatient));
    if (pthread_create(&front, NULL, drain_front, &draining) != 0) {
        http_drain(service->http, 0);
        dispatcher_stop(service->backend.dispatcher, service->config.grace_ms);
        return;
    }
    dispatcher_stop(service->backend.dispatcher, service->config.grace_ms);
    must(pthread_join(front, NULL));
}

static void stop(struct service *service)
{
    http_stop(service->http);
    http_stop(service->admin);
    dispatcher_free(service->backend.dispatcher);
    webhooks_stop(service->backend.webhooks);
    sweeper_stop(service->sweeper);
    if (service->backend.store)
        service->backend.store->ops->close(service->backend.store);
    if (service->results)
        service->results->ops->close(service->results);
    if (service->uploads)
        service->uploads->ops->close(service->uploads);
    keyring_free(service->keyring);
    roots_done(&service->roots);
    state_dir_close(&service->state);
    free(service->allowed_hosts);
    free(service->cors_origins);
    config_done(&service->config);
    log_gather_stop();
}

static int exit_status_of(int code)
{
    switch ((enum error_code)code) {
    case ERROR_REQUEST:
    case ERROR_NOT_FOUND:
    case ERROR_OUTSIDE:
        return EXIT_INPUT;
    default:
        return EXIT_DEVICE;
    }
}

static int print_help(void)
{
    printf(
        "usage: diffaid serve [SETTING...]\n\nThe HTTP service. Settings are flags, or DIFFAID_* variables, or lines "
        "of the --config file, in this order.\n\n");
    config_help(stdout);
    return 0;
}

int command_serve(int argc, char **argv)
{
    struct service service = {.state = {.fd = -1, .lock_fd = -1}};
    struct error err = {0};
    sigset_t signals;
    enum config_wish wish = CONFIG_RUN;
    int rc;

    /* Before any thread: each of them inherits this, and so do the workers. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    rc = config_read(argc, argv, environ, warn_of_setting, NULL, &service.config, &wish, &err);
    if (!rc && wish != CONFIG_RUN) {
        rc = wish == CONFIG_CHECK ? check_config(&service.config) : print_help();
        config_done(&service.config);
        return rc;
    }
    if (!rc) {
        log_start((enum log_format)service.config.log_format);
        rc = endpoint_main(&service.config, &service.endpoint, &err);
    }
    if (!rc)
        rc = start(&service, (const char *const *)service.config.models_roots.items, &err);
    if (rc) {
        fprintf(stderr, "diffaid serve: %s\n", err.text);
        if (service.backend.dispatcher)
            dispatcher_stop(service.backend.dispatcher, 0);
        stop(&service);
        return exit_status_of(rc);
    }
    serve_banner(&service);
    if (await_ready(&service, &signals))
        await_end(&service, &signals);
    drain(&service, &signals);
    stop(&service);
    LOG_LINE(LEVEL_INFO, "ended");
    return 0;
}
