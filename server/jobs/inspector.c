/* Callers queue; one thread, which owns the process, serves them in turn. The answer comes in an anonymous file,
 * because a header's document may be larger than a message. Lock rules: `lock` guards the queue and every asked's
 * state. */
#include "server/jobs/inspector.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/job_error.h"
#include "server/log.h"
#include "server/must.h"

enum { ANSWER_BYTES_MAX = 256 << 20 };

/* Address space: the largest header that is read takes half of it. */
static const uint64_t memory_max = UINT64_C(1) << 30;

enum progress { ASKED_WAITS, ASKED_RUNS, ASKED_ANSWERED };

/* A caller's question, on its stack. */
struct asked {
    const char *path;
    enum progress progress;
    int rc;
    struct error error;
    char *json;
    size_t bytes;
    struct asked *next;
};

struct inspector {
    struct child_settings settings;
    int64_t limit_ms;
    struct job_counters *counters; /* borrowed */
    struct child child;            /* the thread's own */
    uint64_t serial;               /* the thread's own */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    struct asked *first; /* guarded by lock */
    bool is_stopping;    /* guarded by lock */
};

static int read_answer(int fd, struct asked *asked, struct error *err)
{
    struct stat file;
    size_t done = 0;

    if (fstat(fd, &file) != 0)
        return error_set(err, ERROR_READ, "the answer cannot be read: %s", strerrordesc_np(errno));
    if (file.st_size > ANSWER_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "what the model's header says takes %" PRId64 " bytes, %d is the limit",
                         (int64_t)file.st_size, ANSWER_BYTES_MAX);
    asked->bytes = (size_t)file.st_size;
    asked->json = malloc(asked->bytes + 1);
    if (!asked->json)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes", asked->bytes);
    while (done < asked->bytes) {
        ssize_t got = pread(fd, asked->json + done, asked->bytes - done, (off_t)done);

        if (got <= 0) {
            free(asked->json);
            asked->json = NULL;
            return error_set(err, ERROR_READ, "the answer cannot be read");
        }
        done += (size_t)got;
    }
    asked->json[done] = '\0';
    return 0;
}

/* Waits for the worker's last word. Any error means that the process is of no more use. */
static int await_word(struct inspector *inspector, bool *ret_is_done, struct error *ret_failure, struct error *err)
{
    int64_t until_ms = clock_steady_ms() + inspector->limit_ms;

    for (;;) {
        struct pollfd line = {.fd = inspector->child.channel.fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_steady_ms();
        struct json_object *message = NULL;
        const char *type;
        int rc;

        if (left_ms <= 0)
            return error_set(err, ERROR_BUSY, "reading the model's header took longer than %" PRId64 " s",
                             inspector->limit_ms / 1000);
        rc = channel_receive(&inspector->child.channel, false, &message, err);
        if (rc)
            return error_set(err, ERROR_INTERNAL, "the process that reads headers ended");
        if (!message) { /* only now: several may have come at once */
            poll(&line, 1, (int)left_ms);
            continue;
        }
        type = message_text(message, "type");
        if (strcmp(type, "progress") != 0) {
            *ret_is_done = strcmp(type, "done") == 0;
            if (!*ret_is_done)
                error_set(ret_failure, (enum error_code)job_error_code(message_text(message, "code")), "%s",
                          message_text(message, "detail"));
            json_object_put(message);
            return 0;
        }
        json_object_put(message);
    }
}

/* Ends the process, or takes note of how it ended. */
static void bury(struct inspector *inspector, bool is_late)
{
    int status = 0;

    if (is_late)
        kill(inspector->child.pid, SIGKILL);
    child_reap(&inspector->child, &status);
    job_counters_add(
        &inspector->counters->worker_deaths[is_late ? WORKER_DEATH_DEADLINE : worker_death_of_status(status)], 1);
}

static int inspect(struct inspector *inspector, struct asked *asked, struct error *err)
{
    struct error failure = {.code = ERROR_INTERNAL};
    struct json_object *message;
    bool is_done = false;
    int fd, rc = 0;

    if (!child_is_alive(&inspector->child)) {
        if (inspector->child.pid)
            bury(inspector, false);
        rc = child_spawn(&inspector->settings, &inspector->child, err);
        if (rc)
            return rc;
    }
    fd = memfd_create("inspection", MFD_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an answer: %s", strerrordesc_np(errno));
    message = message_new("inspect");
    if (message) {
        message_add_u64(message, "serial", ++inspector->serial);
        message_add_text(message, "path", asked->path);
    }
    rc = channel_send(&inspector->child.channel, message, &fd, 1, err);
    json_object_put(message);
    if (!rc)
        rc = await_word(inspector, &is_done, &failure, err);
    if (rc)
        bury(inspector, rc == ERROR_BUSY);
    else if (is_done)
        rc = read_answer(fd, asked, err);
    else {
        *err = failure;
        rc = failure.code;
    }
    close(fd);
    return rc;
}

static void *inspector_main(void *argument)
{
    struct inspector *inspector = argument;
    struct error err = {0};

    if (child_spawn(&inspector->settings, &inspector->child, &err) != 0) /* ahead; tried again when somebody asks */
        LOG_LINE(LEVEL_WARNING, "inspection process did not start", log_text("detail", err.text));
    must(pthread_mutex_lock(&inspector->lock));
    while (!inspector->is_stopping) {
        struct asked *asked = inspector->first;

        if (!asked) {
            must(pthread_cond_wait(&inspector->asked, &inspector->lock));
            continue;
        }
        inspector->first = asked->next;
        asked->progress = ASKED_RUNS;
        must(pthread_mutex_unlock(&inspector->lock));
        asked->rc = inspect(inspector, asked, &asked->error);
        must(pthread_mutex_lock(&inspector->lock));
        asked->progress = ASKED_ANSWERED;
        must(pthread_cond_broadcast(&inspector->answered));
    }
    must(pthread_mutex_unlock(&inspector->lock));
    child_stop(&inspector->child, 0);
    return NULL;
}

int inspector_start(const struct child_settings *settings, int64_t limit_ms, struct job_counters *counters,
                    struct inspector **ret, struct error *err)
{
    struct inspector *inspector = calloc(1, sizeof(*inspector));

    if (!inspector)
        return error_set(err, ERROR_NO_MEMORY, "no memory to inspect models");
    inspector->settings = *settings;
    inspector->settings.file_bytes = ANSWER_BYTES_MAX;
    if (!settings->memory_bytes || settings->memory_bytes > memory_max)
        inspector->settings.memory_bytes = memory_max;
    inspector->limit_ms = limit_ms;
    inspector->counters = counters;
    inspector->child.channel.fd = -1;
    must(pthread_mutex_init(&inspector->lock, NULL));
    must(pthread_cond_init(&inspector->asked, NULL));
    clock_steady_condition(&inspector->answered);
    if (pthread_create(&inspector->thread, NULL, inspector_main, inspector) != 0) {
        inspector_free(inspector);
        return error_set(err, ERROR_NO_MEMORY, "cannot start a thread");
    }
    *ret = inspector;
    return 0;
}

/* Takes asked out of the queue; with the lock held. */
static void withdraw(struct inspector *inspector, struct asked *asked)
{
    struct asked **at = &inspector->first;

    while (*at && *at != asked)
        at = &(*at)->next;
    if (*at)
        *at = asked->next;
}

int inspector_run(struct inspector *inspector, const char *path, char **ret_json, size_t *ret_bytes, struct error *err)
{
    struct timespec until = clock_steady_after(inspector->limit_ms);
    struct asked asked = {.path = path}, **end = &inspector->first;
    int rc = 0;

    must(pthread_mutex_lock(&inspector->lock));
    if (inspector->is_stopping) {
        must(pthread_mutex_unlock(&inspector->lock));
        return error_set(err, ERROR_BUSY, "the service is ending");
    }
    while (*end)
        end = &(*end)->next;
    *end = &asked;
    must(pthread_cond_signal(&inspector->asked));
    while (asked.progress == ASKED_WAITS && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&inspector->answered, &inspector->lock, &until);
    if (asked.progress == ASKED_WAITS) {
        withdraw(inspector, &asked);
        asked.progress = ASKED_ANSWERED;
        asked.rc = error_set(&asked.error, ERROR_BUSY, "other models' headers are being read; try again");
    }
    while (asked.progress != ASKED_ANSWERED) /* bounded: the thread keeps to limit_ms */
        must(pthread_cond_wait(&inspector->answered, &inspector->lock));
    must(pthread_mutex_unlock(&inspector->lock));
    if (asked.rc) {
        if (err)
            *err = asked.error;
        return asked.rc;
    }
    *ret_json = asked.json;
    *ret_bytes = asked.bytes;
    return 0;
}

void inspector_stop(struct inspector *inspector)
{
    must(pthread_mutex_lock(&inspector->lock));
    inspector->is_stopping = true;
    must(pthread_cond_signal(&inspector->asked));
    must(pthread_mutex_unlock(&inspector->lock));
    must(pthread_join(inspector->thread, NULL));
}

void inspector_free(struct inspector *inspector)
{
    if (!inspector)
        return;
    pthread_cond_destroy(&inspector->asked);
    pthread_cond_destroy(&inspector->answered);
    pthread_mutex_destroy(&inspector->lock);
    free(inspector);
}
