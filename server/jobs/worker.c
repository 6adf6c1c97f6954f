/* Two threads: this one runs jobs; the reader waits for messages, so that a cancel is seen in the middle of a tensor,
 * and ends the process when the line closes, whatever the engine is doing. Lock rules: `lock` guards the task handed
 * over; `send_lock` keeps messages of the engine's threads whole. */
#include "server/jobs/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/request.h"
#include "server/clock.h"
#include "server/jobs/channel.h"
#include "server/jobs/sandbox.h"
#include "server/libcrypto.h"
#include "server/must.h"
#include "server/privileges.h"

enum {
    TELL_MS = 250,
    ARENAS = 4,
    FILES_MAX = 65536, /* two models of the most shards, two descriptors each, with room */
    OOM_SCORE_ADDED = 500
};

static int line_fd; /* for the handler of SIGSYS */

struct worker {
    struct channel channel;
    const struct worker_engine *engine;
    struct roots roots;
    int uploads_fd;
    unsigned threads;
    uint64_t cache_bytes;
    pthread_mutex_t send_lock;
    struct job_progress told; /* guarded by send_lock */
    int64_t told_ms;          /* guarded by send_lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct json_object *next;               /* guarded by lock: the message to work on */
    int next_outputs[REPRESENTATION_COUNT]; /* guarded by lock */
    uint64_t serial;                        /* guarded by lock: of the latest task */
    atomic_bool cancel;
};

/* The service is gone, or what it says makes no sense: nothing is left to do here. Static destructors and leak checks
 * would wait for threads that are still at work. */
static _Noreturn void leave(int status)
{
    _exit(status);
}

/* In a signal handler, and one write, so that another thread's message stays whole: both fit the socket's buffer. */
static void tell_stopped(long call)
{
    static const char head[] = "{\"type\":\"stopped\",\"call\":";
    char text[sizeof(head) + 32];
    size_t end = sizeof(text), at;

    text[--end] = '\n';
    text[--end] = '}';
    at = end;
    do
        text[--at] = (char)('0' + call % 10);
    while ((call /= 10) > 0);
    at -= sizeof(head) - 1;
    memcpy(text + at, head, sizeof(head) - 1);
    if (write(line_fd, text + at, sizeof(text) - at) < 0)
        return; /* nobody listens; the signal will tell */
}

/* Takes message. A closed line is the reader's to notice. */
static void send_message(struct worker *worker, struct json_object *message)
{
    must(pthread_mutex_lock(&worker->send_lock));
    channel_send(&worker->channel, message, NULL, 0, NULL);
    must(pthread_mutex_unlock(&worker->send_lock));
    json_object_put(message);
}

void worker_tell(struct worker *worker, const struct job_progress *progress)
{
    struct json_object *message = NULL;
    int64_t now_ms = clock_steady_ms();

    must(pthread_mutex_lock(&worker->send_lock));
    if (strcmp(worker->told.phase, progress->phase) != 0 || now_ms - worker->told_ms >= TELL_MS) {
        worker->told = *progress;
        worker->told_ms = now_ms;
        message = message_new("progress");
    }
    if (message) {
        message_add_text(message, "phase", progress->phase);
        message_add_u64(message, "bytes_done", progress->bytes_done);
        message_add_u64(message, "bytes_total", progress->bytes_total);
        message_add_u64(message, "tensors_done", progress->tensors_done);
        message_add_u64(message, "tensors_total", progress->tensors_total);
        channel_send(&worker->channel, message, NULL, 0, NULL);
    }
    must(pthread_mutex_unlock(&worker->send_lock));
    json_object_put(message);
}

static void *reader_main(void *argument)
{
    struct worker *worker = argument;

    for (;;) {
        struct json_object *message;
        const char *type;
        bool is_inspect;

        if (channel_receive(&worker->channel, true, &message, NULL) != 0)
            leave(0);
        type = message_text(message, "type");
        is_inspect = strcmp(type, "inspect") == 0;
        must(pthread_mutex_lock(&worker->lock));
        if (strcmp(type, "cancel") == 0) {
            if (message_u64(message, "serial") == worker->serial)
                atomic_store(&worker->cancel, true);
            json_object_put(message);
        } else if ((is_inspect || strcmp(type, "run") == 0) && !worker->next) {
            for (int i = 0; i < REPRESENTATION_COUNT; i++)
                worker->next_outputs[i] = -1;
            if (!channel_take(&worker->channel, worker->next_outputs, is_inspect ? 1 : REPRESENTATION_COUNT))
                leave(1);
            worker->next = message;
            worker->serial = message_u64(message, "serial");
            atomic_store(&worker->cancel, false);
            must(pthread_cond_signal(&worker->wake));
        } else {
            leave(1); /* a second job before the first one's end: not our service */
        }
        must(pthread_mutex_unlock(&worker->lock));
    }
    return NULL;
}

static struct json_object *failure(int code, const char *detail)
{
    struct json_object *message = message_new("failed");

    if (message) {
        message_add_text(message, "code", error_code_name(code));
        message_add_text(message, "detail", detail);
    }
    return message;
}

static void add_parsed(struct json_object *message, const char *member, const char *text)
{
    struct json_object *parsed = message && text ? json_tokener_parse(text) : NULL;

    if (parsed)
        json_object_object_add(message, member, parsed);
}

static struct json_object *success(const struct worker_report *report)
{
    struct json_object *message = message_new("done");

    add_parsed(message, "summary", report->summary);
    add_parsed(message, "run", report->run);
    return message;
}

static void run_task(struct worker *worker, struct json_object *message, int outputs[REPRESENTATION_COUNT])
{
    bool is_inspect = strcmp(message_text(message, "type"), "inspect") == 0;
    struct worker_upload uploads[2 * REQUEST_MODELS_MAX]; /* models and adapters */
    struct worker_task task = {
        .request = is_inspect ? NULL : message_text(message, "request"),
        .path = is_inspect ? message_text(message, "path") : NULL,
        .uploads = uploads,
        .roots = &worker->roots,
        .uploads_fd = worker->uploads_fd,
        .threads = worker->threads,
        .cache_bytes = worker->cache_bytes,
        .cancel = &worker->cancel,
        .worker = worker,
    };
    struct json_object *named;
    struct error err = {0};
    struct worker_report report = {0};
    int rc;

    if (json_object_object_get_ex(message, "uploads", &named) && json_object_is_type(named, json_type_object)) {
        json_object_object_foreach(named, id, name)
        {
            if (task.upload_count == sizeof(uploads) / sizeof(uploads[0]))
                break;
            uploads[task.upload_count++] = (struct worker_upload){id, json_object_get_string(name)};
        }
    }
    memcpy(task.outputs, outputs, sizeof(task.outputs));
    must(pthread_mutex_lock(&worker->send_lock));
    worker->told = (struct job_progress){0};
    worker->told_ms = 0;
    must(pthread_mutex_unlock(&worker->send_lock));
    rc = worker->engine->run(&task, &report, &err);
    for (int i = 0; i < REPRESENTATION_COUNT; i++)
        if (outputs[i] >= 0)
            close(outputs[i]);
    send_message(worker, rc ? failure(rc, err.text) : success(&report));
    free(report.summary);
    free(report.run);
}

/* What the process will ever need is open by now. Called before the reader starts: that thread is to have walls too. */
static int wall_in(struct worker *worker, struct json_object *message, struct walls *ret_walls, struct error *err)
{
    struct landlock_place places[CHANNEL_DESCRIPTORS_MAX];
    struct sandbox sandbox = {
        .mode = (enum sandbox_mode)message_u64(message, "sandbox"),
        .places = places,
        .line_fd = worker->channel.fd,
        .memory_bytes = message_u64(message, "memory_bytes"),
        .file_bytes = message_u64(message, "file_bytes"),
        .files = FILES_MAX,
        .stopped = tell_stopped,
    };

    for (size_t i = 0; i < worker->roots.count; i++)
        places[sandbox.place_count++] = (struct landlock_place){worker->roots.items[i].fd, LANDLOCK_READ};
    places[sandbox.place_count++] = (struct landlock_place){worker->uploads_fd, LANDLOCK_READ};
    line_fd = worker->channel.fd;
    return sandbox_enter(&sandbox, ret_walls, err);
}

static int start(struct worker *worker, struct json_object *message, struct walls *ret_walls, struct error *err)
{
    struct json_object *roots;
    int descriptors[CHANNEL_DESCRIPTORS_MAX], rc = 0;
    size_t count;

    if (strcmp(message_text(message, "type"), "start") != 0 || !json_object_object_get_ex(message, "roots", &roots) ||
        !json_object_is_type(roots, json_type_array))
        return error_set(err, ERROR_REQUEST, "the first message is not start");
    count = json_object_array_length(roots);
    if (count + 1 > CHANNEL_DESCRIPTORS_MAX || !channel_take(&worker->channel, descriptors, count + 1))
        return error_set(err, ERROR_REQUEST, "start came without its descriptors");
    for (size_t i = 0; !rc && i < count; i++) {
        struct json_object *root = json_object_array_get_idx(roots, i);

        rc = roots_add(&worker->roots, message_text(root, "name"), message_text(root, "path"), descriptors[i], err);
    }
    worker->uploads_fd = descriptors[count];
    worker->threads = (unsigned)message_u64(message, "threads");
    if (!worker->threads)
        worker->threads = 1;
    worker->cache_bytes = message_u64(message, "cache_bytes");
    libcrypto(); /* is loaded while files can be opened */
    return rc ? rc : wall_in(worker, message, ret_walls, err);
}

/* When memory runs out all the same, the kernel is to take a worker and not the service. */
static void offer_to_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char text[32] = "";
    long score;

    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0) {
        score = strtol(text, NULL, 10) + OOM_SCORE_ADDED;
        snprintf(text, sizeof(text), "%ld", score > 1000 ? 1000 : score);
        if (pwrite(fd, text, strlen(text), 0) < 0)
            score = 0; /* not ours to raise here: it stays what it is */
    }
    close(fd);
}

/* Takes walls' description into the message that tells of it. */
static void send_ready(struct worker *worker, const struct walls *walls)
{
    struct json_object *message = message_new("ready"), *described = walls_describe(walls);

    if (message)
        json_object_object_add(message, "walls", described);
    else
        json_object_put(described);
    send_message(worker, message);
}

int worker_serve(int fd, const struct worker_engine *engine, struct error *err)
{
    struct worker worker = {.engine = engine,
                            .send_lock = PTHREAD_MUTEX_INITIALIZER,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .wake = PTHREAD_COND_INITIALIZER};
    struct walls walls = {0};
    struct json_object *message;
    pthread_t reader;
    struct stat file;
    int rc;

    if (fstat(fd, &file) != 0 || !S_ISSOCK(file.st_mode))
        return error_set(err, ERROR_REQUEST, "worker processes are started by diffaid serve, not by hand");
    /* The terminal's ^C and a manager's SIGTERM reach the whole group; when workers end is the service's to say. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    offer_to_oom_killer();
    privileges_drop(PRIVILEGE_READ_FILES);
    mallopt(M_ARENA_MAX, ARENAS); /* each reserves 64 MiB of the address space that is limited below */
    channel_init(&worker.channel, fd, SIZE_MAX - 1);
    rc = channel_receive(&worker.channel, true, &message, err);
    if (rc)
        leave(0);
    rc = start(&worker, message, &walls, err);
    json_object_put(message);
    if (rc)
        return rc;
    if (pthread_create(&reader, NULL, reader_main, &worker) != 0)
        return error_set(err, ERROR_NO_MEMORY, "cannot start a thread");
    send_ready(&worker, &walls);
    for (;;) {
        int outputs[REPRESENTATION_COUNT];

        must(pthread_mutex_lock(&worker.lock));
        while (!worker.next)
            must(pthread_cond_wait(&worker.wake, &worker.lock));
        message = worker.next;
        memcpy(outputs, worker.next_outputs, sizeof(outputs));
        worker.next = NULL;
        must(pthread_mutex_unlock(&worker.lock));
        run_task(&worker, message, outputs);
        json_object_put(message);
    }
}
