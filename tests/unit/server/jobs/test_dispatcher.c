/* The dispatcher with real worker processes: this program again, started as `worker`, with an engine that does what the
 * request's text says. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/render/result_index.h"
#include "server/clock.h"
#include "server/jobs/dispatcher.h"
#include "server/jobs/results.h"
#include "server/jobs/worker.h"
#include "tests/unit/server/scratch.h"

static bool is_replay; /* of the last insert */

enum { BIG_BYTES = 200000, AWAIT_MS = 30000 };

static void put(int fd, const void *data, size_t bytes)
{
    if (write(fd, data, bytes) != (ssize_t)bytes)
        _exit(9);
}

static void write_result(const struct worker_task *task, size_t json_bytes)
{
    struct index_header header = {.magic = RESULT_INDEX_MAGIC};

    for (size_t i = 0; i < json_bytes; i++)
        put(task->outputs[REPRESENTATION_JSON], "j", 1);
    if (task->outputs[REPRESENTATION_INDEX] < 0)
        return;
    put(task->outputs[REPRESENTATION_INDEX], &header, sizeof(header));
    put(task->outputs[REPRESENTATION_TEXT], "text", 4);
}

static void wait_for_cancel(const struct worker_task *task)
{
    while (!atomic_load(task->cancel))
        usleep(1000);
}

static int fake_run(const struct worker_task *task, struct worker_report *ret_report, struct error *err)
{
    const char *what = task->request ? task->request : task->path;
    struct job_progress progress = {.bytes_done = 5, .bytes_total = 10, .phase = "scan"};

    worker_tell(task->worker, &progress);
    if (strcmp(what, "abort") == 0)
        abort();
    if (strcmp(what, "overrun") == 0) {
        signal(SIGSEGV, SIG_DFL); /* the sanitizers' handler would make an exit of it */
        raise(SIGSEGV);
    }
    if (strcmp(what, "oom") == 0)
        raise(SIGKILL); /* what the kernel would send */
    if (strcmp(what, "connect") == 0)
        socket(AF_INET, SOCK_STREAM, 0);
    if (strcmp(what, "fork") == 0)
        fork();
    if (strcmp(what, "exec") == 0)
        execl("/bin/true", "true", NULL);
    if (strcmp(what, "peek") == 0)
        return open("/etc/passwd", O_RDONLY) < 0 ? error_set(err, ERROR_ACCESS, "peek: %s", strerror(errno)) : 0;
    if (strcmp(what, "write") == 0)
        open("/tmp/diffaid-crossed", O_WRONLY | O_CREAT, 0600);
    if (strcmp(what, "greedy") == 0) {
        size_t bytes = 1;

        while (mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
            bytes *= 2;
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes", bytes);
    }
    if (strcmp(what, "exit") == 0)
        _exit(7);
    if (strcmp(what, "wait") == 0) {
        wait_for_cancel(task);
        return error_set(err, ERROR_CANCELLED, "cancelled");
    }
    if (strcmp(what, "deaf") == 0)
        for (;;)
            poll(NULL, 0, -1);
    if (strcmp(what, "unasked") == 0)
        return error_set(err, ERROR_CANCELLED, "cancelled");
    if (strcmp(what, "malformed") == 0)
        return error_set(err, ERROR_FORMAT, "a.safetensors: tensor \"w\" at offset 8: \"quoted\"");
    if (strcmp(what, "unreadable") == 0)
        return error_set(err, ERROR_READ, "a.safetensors: the device failed");
    if (strcmp(what, "hungry") == 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a header");
    if (strcmp(what, "lie") == 0) {
        struct index_header header = {.magic = RESULT_INDEX_MAGIC, .records = 1};
        struct index_record record = {.offset = 1000, .bytes = 1};

        put(task->outputs[REPRESENTATION_INDEX], &header, sizeof(header));
        put(task->outputs[REPRESENTATION_INDEX], &record, sizeof(record));
        return 0;
    }
    if (strcmp(what, "nonsense") == 0)
        put(3, "[1, 2\n", 6);
    if (strcmp(what, "endless") == 0)
        for (;;)
            put(3, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32);
    write_result(task, strcmp(what, "big") == 0 ? BIG_BYTES : 10);
    ret_report->run = strdup("{\"elapsed_seconds\":0.5}");
    ret_report->summary = strdup("{\"verdict\":\"changed\"}");
    return 0;
}

static const struct worker_engine fake_engine = {.run = fake_run};

static char *state_dir;
static int state_fd;
static struct roots roots;
static struct job_store *store;
static struct blob_store *results, *uploads;
static struct dispatcher *dispatcher;

static void start_dispatcher(unsigned workers, int64_t timeout_ms)
{
    struct dispatcher_settings settings = {
        .child = {.program = "/proc/self/exe",
                  .roots = &roots,
                  .uploads_fd = uploads->dir_fd,
                  .threads = 1,
                  .memory_bytes = 512 << 20},
        .store = store,
        .results = results,
        .workers = workers,
        .job_timeout_ms = timeout_ms,
    };
    struct error err = {0};

    ck_assert_msg(dispatcher_start(&settings, &dispatcher, &err) == 0, "%s", err.text);
}

static void setup(void)
{
    struct store_settings settings = {.queue_limit = 1000, .retention_ms = 1000};
    struct error err = {0};

    state_dir = scratch_new();
    state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    settings.state_fd = state_fd;
    settings.state_dir = state_dir;
    ck_assert_msg(sqlite_store_open(&settings, &store, &err) == 0, "%s", err.text);
    ck_assert_int_eq(blob_directory_open(state_fd, "results", &results, &err), 0);
    ck_assert_int_eq(blob_directory_open(state_fd, "uploads", &uploads, &err), 0);
    start_dispatcher(2, 60000);
}

static void stop_dispatcher(int64_t grace_ms)
{
    dispatcher_stop(dispatcher, grace_ms);
    dispatcher_free(dispatcher);
    dispatcher = NULL;
}

static void teardown(void)
{
    if (dispatcher)
        stop_dispatcher(0);
    store->ops->close(store);
    results->ops->close(results);
    uploads->ops->close(uploads);
    close(state_fd);
    scratch_remove(state_dir);
}

static void submit(const char *request, char out_id[JOB_ID_BYTES])
{
    struct submission submission = {.request = request};
    struct error err = {0};
    struct job job;

    ck_assert_msg(store->ops->insert(store, &submission, &job, &is_replay, &err) == 0, "%s", err.text);
    snprintf(out_id, JOB_ID_BYTES, "%s", job.id);
    job_done(&job);
    dispatcher_wake(dispatcher);
}

static enum job_state state_of(const char *id)
{
    enum job_state state;
    struct job job;

    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
    state = job.state;
    job_done(&job);
    return state;
}

/* The job once it has ended; job_done is the caller's. */
static struct job await_end(const char *id)
{
    int64_t until_ms = clock_steady_ms() + AWAIT_MS;
    struct job job;

    for (;;) {
        ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
        if (job.state >= JOB_SUCCEEDED)
            return job;
        job_done(&job);
        ck_assert_msg(clock_steady_ms() < until_ms, "the job does not end");
        usleep(2000);
    }
}

static void await_scan(const char *id)
{
    int64_t until_ms = clock_steady_ms() + AWAIT_MS;
    struct job_progress progress = {0};
    uint64_t changes;

    while (!dispatcher_progress(dispatcher, id, &progress, &changes) || strcmp(progress.phase, "scan") != 0) {
        ck_assert_msg(clock_steady_ms() < until_ms, "the job does not begin");
        usleep(2000);
    }
    ck_assert_uint_eq(progress.bytes_done, 5);
    ck_assert_uint_ge(changes, 1);
}

static size_t files_of_results(void)
{
    struct blob_names names;
    size_t count;

    ck_assert_int_eq(results->ops->names(results, &names, NULL), 0);
    count = names.count;
    blob_names_done(&names);
    return count;
}

/* A job's end is written down before the temporary files of its last attempt go. */
static void await_no_files(void)
{
    int64_t until_ms = clock_steady_ms() + AWAIT_MS;

    while (files_of_results() != 0) {
        ck_assert_msg(clock_steady_ms() < until_ms, "%zu files are left", files_of_results());
        usleep(2000);
    }
}

START_TEST(a_small_result_lies_in_the_row)
{
    char id[JOB_ID_BYTES];
    struct blob blob;
    struct job job;

    submit("small", id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_SUCCEEDED);
    ck_assert_str_eq(job.run, "{\"elapsed_seconds\":0.5}");
    ck_assert_str_eq(job.summary, "{\"verdict\":\"changed\"}");
    ck_assert_uint_eq(job.progress.bytes_done, 5);
    job_done(&job);
    ck_assert_int_eq(result_open(store, results, id, REPRESENTATION_JSON, &blob, NULL), 0);
    ck_assert_int_eq(blob.fd, -1);
    ck_assert_uint_eq(blob.bytes, 10);
    ck_assert_mem_eq(blob.data, "jjjjjjjjjj", 10);
    blob_done(&blob);
    ck_assert_int_eq(result_open(store, results, id, REPRESENTATION_TEXT, &blob, NULL), 0);
    ck_assert_mem_eq(blob.data, "text", 4);
    blob_done(&blob);
}
END_TEST

START_TEST(a_large_result_lies_in_files)
{
    char id[JOB_ID_BYTES];
    struct blob blob;
    struct job job;

    submit("big", id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_SUCCEEDED);
    job_done(&job);
    ck_assert_int_eq(result_open(store, results, id, REPRESENTATION_JSON, &blob, NULL), 0);
    ck_assert_int_ge(blob.fd, 0);
    ck_assert_uint_eq(blob.bytes, BIG_BYTES);
    blob_done(&blob);
}
END_TEST

struct failure {
    const char *request, *code;
    unsigned attempts;
};
#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number
static const struct failure failures[] = {
    {"malformed", "\"malformed-model\",\"status\":422", 1},
    {"hungry", "\"memory-exceeded\"", 1},
    {"lie", "\"internal\"", 1},
    {"unasked", "\"internal\"", 1},
    {"unreadable", "\"read-error\"", 3},
    {"exit", "\"worker-crashed\"", 3},
    {"abort", "\"worker-crashed\"", 2}, /* the same defect in the same phase: a third time would end the same */
    {"abort", "killed by signal 6 (SIGABRT), in phase scan of attempt 2", 2},
    {"overrun", "killed by signal 11 (SIGSEGV), in phase scan of attempt 2", 2},
    {"oom", "killed from outside (signal 9)", 3},
    {"exit", "ended by itself with status 7", 3},
    {"nonsense", "sent what is no message", 3},
    {"endless", "sent what is no message", 3},
    /* through the walls of a real worker; more attempts are in test_sandbox.c */
    {"connect", "seccomp: system call " TEXT_OF(__NR_socket) ", socket)", 2},
    {"fork", "seccomp: system call " TEXT_OF(__NR_clone) ", clone)", 2},
    {"exec", "seccomp: system call " TEXT_OF(__NR_execve) ", execve)", 2},
    {"write", "seccomp: system call " TEXT_OF(__NR_openat) ", openat)", 2},
    {"peek", "peek: Permission denied", 1},
    {"greedy", "memory limit is 0.5 GiB", 1},
};

START_TEST(a_failure_is_told_and_tried_again_only_where_that_can_help)
{
    const struct failure *failure = &failures[_i];
    char id[JOB_ID_BYTES], after[JOB_ID_BYTES];
    struct job job;

    submit(failure->request, id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_msg(strstr(job.error, failure->code) != NULL, "%s", job.error);
    ck_assert_uint_eq(job.attempt, failure->attempts);
    job_done(&job);
    submit("small", after);
    job = await_end(after);
    ck_assert_int_eq(job.state, JOB_SUCCEEDED);
    job_done(&job);
}
END_TEST

START_TEST(a_running_job_is_cancelled_and_its_worker_goes_on)
{
    char id[JOB_ID_BYTES], after[JOB_ID_BYTES];
    int64_t begin_ms;
    struct job job;

    submit("wait", id);
    await_scan(id);
    begin_ms = clock_steady_ms();
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    job_done(&job);
    dispatcher_cancel(dispatcher, id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_CANCELLED);
    ck_assert_int_lt(clock_steady_ms() - begin_ms, 1000);
    job_done(&job);
    submit("small", after);
    job = await_end(after);
    ck_assert_int_eq(job.state, JOB_SUCCEEDED);
    job_done(&job);
}
END_TEST

START_TEST(a_worker_that_does_not_hear_is_killed)
{
    char id[JOB_ID_BYTES];
    struct job job;

    submit("deaf", id);
    await_scan(id);
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    job_done(&job);
    dispatcher_cancel(dispatcher, id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_CANCELLED);
    ck_assert_uint_eq(job.attempt, 1);
    job_done(&job);
}
END_TEST

START_TEST(a_forgotten_job_leaves_no_file)
{
    char id[JOB_ID_BYTES];
    struct job_progress progress;
    uint64_t changes;

    submit(_i ? "deaf" : "wait", id);
    await_scan(id);
    ck_assert_int_eq(store->ops->remove(store, id, NULL), 0);
    dispatcher_forget(dispatcher, id);
    ck_assert(!dispatcher_progress(dispatcher, id, &progress, &changes));
    ck_assert_uint_eq(files_of_results(), 0);
}
END_TEST

START_TEST(a_deadline_ends_a_job_for_good)
{
    char id[JOB_ID_BYTES];
    struct job job;

    stop_dispatcher(0);
    start_dispatcher(1, 200);
    submit(_i ? "deaf" : "wait", id);
    job = await_end(id);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(job.error, "deadline-exceeded"));
    ck_assert_ptr_nonnull(strstr(job.error, "deadline of 0.2 s"));
    ck_assert_uint_eq(job.attempt, 1);
    job_done(&job);
    ck_assert_uint_eq(dispatcher_counters(dispatcher)->worker_deaths[WORKER_DEATH_DEADLINE], _i ? 1 : 0);
}
END_TEST

START_TEST(stopping_gives_running_jobs_back)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;

    submit(_i ? "deaf" : "wait", id);
    await_scan(id);
    stop_dispatcher(0);
    ck_assert_int_eq(state_of(id), JOB_QUEUED);
    ck_assert_uint_eq(files_of_results(), 0);
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), 0);
    ck_assert_uint_eq(claim.crashes, 0);
    job_claim_done(&claim);
}
END_TEST

START_TEST(deaths_are_counted_by_cause)
{
    static const struct {
        const char *request;
        enum worker_death death;
        uint64_t count;
    } causes[] = {{"abort", WORKER_DEATH_CRASH, 2},
                  {"connect", WORKER_DEATH_SANDBOX, 2},
                  {"oom", WORKER_DEATH_SIGNAL, 3},
                  {"exit", WORKER_DEATH_EXIT, 3},
                  {"nonsense", WORKER_DEATH_NONSENSE, 3}};
    char id[JOB_ID_BYTES];
    struct job job;

    submit(causes[_i].request, id);
    job = await_end(id);
    job_done(&job);
    for (enum worker_death death = 0; death < WORKER_DEATH_COUNT; death++)
        ck_assert_uint_eq(dispatcher_counters(dispatcher)->worker_deaths[death],
                          death == causes[_i].death ? causes[_i].count : 0);
}
END_TEST

START_TEST(a_worker_tells_of_its_walls)
{
    char id[JOB_ID_BYTES];
    struct walls walls;
    struct job job;

    submit("small", id);
    job = await_end(id);
    job_done(&job);
    ck_assert(dispatcher_walls(dispatcher, &walls));
    ck_assert(walls.has_no_new_privs);
    ck_assert(walls.has_seccomp);
    ck_assert_int_eq(walls.landlock_version, landlock_version());
}
END_TEST

START_TEST(many_jobs_each_run_once)
{
    enum { JOBS = 200 };
    static char ids[JOBS][JOB_ID_BYTES];
    struct job job;

    for (int i = 0; i < JOBS; i++)
        submit("small", ids[i]);
    for (int i = 0; i < JOBS; i++) {
        job = await_end(ids[i]);
        ck_assert_int_eq(job.state, JOB_SUCCEEDED);
        ck_assert_uint_eq(job.attempt, 1);
        job_done(&job);
    }
    await_no_files();
}
END_TEST

START_TEST(inspections_are_answered_and_bounded)
{
    struct error err = {0};
    char *json;
    size_t bytes;

    ck_assert_msg(dispatcher_inspect(dispatcher, "fine", &json, &bytes, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(bytes, 10);
    ck_assert_str_eq(json, "jjjjjjjjjj");
    free(json);
    ck_assert_int_eq(dispatcher_inspect(dispatcher, "malformed", &json, &bytes, &err), ERROR_FORMAT);
    ck_assert_int_eq(dispatcher_inspect(dispatcher, "abort", &json, &bytes, &err), ERROR_INTERNAL);
    ck_assert_int_eq(dispatcher_inspect(dispatcher, "deaf", &json, &bytes, &err), ERROR_BUSY);
    ck_assert_int_eq(dispatcher_inspect(dispatcher, "fine", &json, &bytes, &err), 0);
    free(json);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("dispatcher");
    TCase *tcase = tcase_create("dispatcher");
    SRunner *runner;
    int failed;

    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        struct error err = {0};

        worker_serve(3, &fake_engine, &err);
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    runner = srunner_create(suite);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_small_result_lies_in_the_row);
    tcase_add_test(tcase, a_large_result_lies_in_files);
    tcase_add_loop_test(tcase, a_failure_is_told_and_tried_again_only_where_that_can_help, 0,
                        sizeof(failures) / sizeof(failures[0]));
    tcase_add_test(tcase, a_running_job_is_cancelled_and_its_worker_goes_on);
    tcase_add_test(tcase, a_worker_that_does_not_hear_is_killed);
    tcase_add_loop_test(tcase, a_forgotten_job_leaves_no_file, 0, 2);
    tcase_add_loop_test(tcase, a_deadline_ends_a_job_for_good, 0, 2);
    tcase_add_loop_test(tcase, stopping_gives_running_jobs_back, 0, 2);
    tcase_add_loop_test(tcase, deaths_are_counted_by_cause, 0, 5);
    tcase_add_test(tcase, a_worker_tells_of_its_walls);
    tcase_add_test(tcase, many_jobs_each_run_once);
    tcase_add_test(tcase, inspections_are_answered_and_bounded);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
