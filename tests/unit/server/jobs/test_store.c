#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "server/clock.h"
#include "server/jobs/connection.h"
#include "server/jobs/uuid.h"
#include "tests/unit/server/jobs/scratch_store.h"

static bool is_replay; /* of the last insert */

static void submit(const char *labels, char out_id[JOB_ID_BYTES])
{
    struct submission submission = {.request = "{\"models\":[\"a\",\"b\"]}", .labels = labels};
    struct error err = {0};
    struct job job;

    ck_assert_msg(store->ops->insert(store, &submission, &job, &is_replay, &err) == 0, "%s", err.text);
    snprintf(out_id, JOB_ID_BYTES, "%s", job.id);
    job_done(&job);
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

static void claim_one(struct job_claim *claim)
{
    struct error err = {0};

    ck_assert_msg(store->ops->claim(store, claim, &err) == 0, "%s", err.text);
}

static const struct job_end success = {.state = JOB_SUCCEEDED,
                                       .run = "{\"elapsed_seconds\":1}",
                                       .is_inline = true,
                                       .data = {"{\"a\":1}", "index", "text\n", "# a\n", "<a/>"},
                                       .bytes = {7, 5, 5, 4, 4}};

START_TEST(a_submitted_job_is_there_after_a_restart)
{
    char id[JOB_ID_BYTES];
    struct job job;

    submit("{\"team\":\"x\"}", id);
    reopen();
    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_QUEUED);
    ck_assert_str_eq(job.request, "{\"models\":[\"a\",\"b\"]}");
    ck_assert_str_eq(job.labels, "{\"team\":\"x\"}");
    ck_assert_uint_eq(job.queue_position, 1);
    job_done(&job);
}
END_TEST

START_TEST(jobs_are_claimed_oldest_first)
{
    char ids[3][JOB_ID_BYTES];
    struct job_claim claim;

    for (int i = 0; i < 3; i++)
        submit(NULL, ids[i]);
    for (int i = 0; i < 3; i++) {
        claim_one(&claim);
        ck_assert_str_eq(claim.id, ids[i]);
        ck_assert_uint_eq(claim.attempt, 1);
        job_claim_done(&claim);
    }
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(an_older_token_writes_nothing)
{
    char id[JOB_ID_BYTES];
    struct job_claim first, second;
    enum job_state state;

    submit(NULL, id);
    claim_one(&first);
    ck_assert_int_eq(store->ops->release(store, id, first.token, RELEASE_CRASHED, "SIGSEGV in scan", &state, NULL), 0);
    ck_assert_int_eq(state, JOB_QUEUED);
    claim_one(&second);
    ck_assert_uint_eq(second.crashes, 1);
    ck_assert_str_eq(second.last_crash, "SIGSEGV in scan");
    ck_assert_int_eq(store->ops->finish(store, id, first.token, &success, &state, NULL), ERROR_CONFLICT);
    ck_assert_int_eq(store->ops->release(store, id, first.token, RELEASE_UNTOUCHED, NULL, &state, NULL),
                     ERROR_CONFLICT);
    ck_assert_int_eq(state_of(id), JOB_RUNNING);
    ck_assert_int_eq(store->ops->finish(store, id, second.token, &success, &state, NULL), 0);
    ck_assert_int_eq(state, JOB_SUCCEEDED);
    ck_assert_int_eq(store->ops->finish(store, id, second.token, &success, &state, NULL), ERROR_CONFLICT);
    job_claim_done(&first);
    job_claim_done(&second);
}
END_TEST

START_TEST(a_job_carries_the_trace_of_its_submission_across_a_restart)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct submission submission = {.request = "{}", .traceparent = trace};
    struct job_claim claim;
    struct job job;

    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
    ck_assert_str_eq(job.traceparent, trace);
    job_done(&job);
    reopen();
    claim_one(&claim);
    ck_assert_str_eq(claim.traceparent, trace);
    ck_assert_int_eq(store->ops->get(store, claim.id, &job, NULL), 0);
    ck_assert_str_eq(job.traceparent, trace);
    job_done(&job);
    job_claim_done(&claim);
}
END_TEST

START_TEST(a_result_in_the_row_survives_a_restart)
{
    static const char *const expected[] = {"{\"a\":1}", "index", "text\n", "# a\n", "<a/>"};
    char id[JOB_ID_BYTES], *data;
    struct job_claim claim;
    enum job_state state;
    struct store_status status;
    bool is_inline;
    uint64_t bytes;

    submit(NULL, id);
    ck_assert_int_eq(store->ops->result(store, id, REPRESENTATION_JSON, &is_inline, &data, &bytes, NULL),
                     ERROR_CONFLICT);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->finish(store, id, claim.token, &success, &state, NULL), 0);
    reopen();
    for (int i = 0; i < REPRESENTATION_COUNT; i++) {
        ck_assert_int_eq(store->ops->result(store, id, (enum representation)i, &is_inline, &data, &bytes, NULL), 0);
        ck_assert(is_inline);
        ck_assert_uint_eq(bytes, strlen(expected[i]));
        ck_assert_mem_eq(data, expected[i], bytes);
        free(data);
    }
    store->ops->status(store, &status);
    ck_assert_uint_eq(status.used_bytes, 25);
    job_claim_done(&claim);
}
END_TEST

START_TEST(running_jobs_come_back_after_a_kill_and_stop_coming_back_at_the_eleventh)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;
    struct job job;

    submit(NULL, id);
    for (int i = 1; i <= 10; i++) {
        claim_one(&claim);
        ck_assert_uint_eq(claim.attempt, (unsigned)i);
        ck_assert_uint_eq(claim.crashes, 0);
        job_claim_done(&claim);
        reopen();
        ck_assert_int_eq(state_of(id), JOB_QUEUED);
    }
    claim_one(&claim);
    job_claim_done(&claim);
    reopen();
    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(job.error, "interrupted"));
    job_done(&job);
}
END_TEST

START_TEST(a_wish_to_cancel_outlives_the_process)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;
    struct job job;

    submit(NULL, id);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_RUNNING);
    ck_assert(job.cancel_requested);
    job_done(&job);
    reopen();
    ck_assert_int_eq(state_of(id), JOB_CANCELLED);
    job_claim_done(&claim);
}
END_TEST

START_TEST(a_job_asked_to_cancel_ends_cancelled_whatever_its_worker_says)
{
    char id[JOB_ID_BYTES], *data;
    struct job_claim claim;
    enum job_state state;
    struct job job;
    bool is_inline;
    uint64_t bytes;

    submit(NULL, id);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    job_done(&job);
    ck_assert_int_eq(store->ops->finish(store, id, claim.token, &success, &state, NULL), 0);
    ck_assert_int_eq(state, JOB_CANCELLED);
    ck_assert_int_eq(store->ops->result(store, id, REPRESENTATION_JSON, &is_inline, &data, &bytes, NULL),
                     ERROR_CONFLICT);
    job_claim_done(&claim);
}
END_TEST

START_TEST(a_queued_job_is_cancelled_at_once_and_an_ended_one_stays)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;
    struct job job;
    uint64_t version;

    submit(NULL, id);
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_CANCELLED);
    ck_assert_int_ne(job.finish_ms, 0);
    version = job.version;
    job_done(&job);
    ck_assert_int_eq(store->ops->cancel(store, id, &job, NULL), 0);
    ck_assert_uint_eq(job.version, version);
    job_done(&job);
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(a_removed_job_is_gone_and_fences_its_worker)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;
    enum job_state state;
    struct job job;

    submit("{\"a\":\"b\"}", id);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->remove(store, id, NULL), 0);
    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->remove(store, id, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->finish(store, id, claim.token, &success, &state, NULL), ERROR_CONFLICT);
    job_claim_done(&claim);
}
END_TEST

START_TEST(a_full_queue_refuses_and_takes_again_after_a_claim)
{
    struct submission submission = {.request = "{}"};
    struct job_claim claim;
    struct job job;

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
        ck_assert_uint_eq(job.queue_position, (unsigned)i + 1);
        job_done(&job);
    }
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), ERROR_BUSY);
    claim_one(&claim);
    job_claim_done(&claim);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
    job_done(&job);
}
END_TEST

START_TEST(pages_meet_without_gap_or_overlap)
{
    char ids[23][JOB_ID_BYTES];
    struct job_filter filter = {.state = -1};
    uint64_t cursor = 0;
    size_t seen = 0, pages = 0;

    for (int i = 0; i < 23; i++)
        submit(NULL, ids[i]);
    do {
        struct job_list list;

        ck_assert_int_eq(store->ops->list(store, &filter, cursor, 5, &list, NULL), 0);
        for (size_t i = 0; i < list.count; i++, seen++) {
            ck_assert_str_eq(list.jobs[i].id, ids[22 - seen]);
            ck_assert_uint_eq(list.jobs[i].queue_position, 23 - seen);
        }
        cursor = list.next;
        job_list_done(&list);
        pages++;
    } while (cursor);
    ck_assert_uint_eq(seen, 23);
    ck_assert_uint_eq(pages, 5);
}
END_TEST

static uint64_t position_of(const char *id)
{
    uint64_t position;
    struct job job;

    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
    position = job.queue_position;
    job_done(&job);
    return position;
}

START_TEST(places_in_the_queue_follow_what_happens_in_front)
{
    char ids[5][JOB_ID_BYTES];
    struct job_claim claim;
    enum job_state state;
    struct job job;

    for (int i = 0; i < 5; i++)
        submit(NULL, ids[i]);
    claim_one(&claim);
    ck_assert_uint_eq(position_of(ids[0]), 0);
    ck_assert_uint_eq(position_of(ids[1]), 1);
    ck_assert_int_eq(store->ops->cancel(store, ids[2], &job, NULL), 0);
    job_done(&job);
    ck_assert_uint_eq(position_of(ids[4]), 3);
    ck_assert_int_eq(store->ops->release(store, ids[0], claim.token, RELEASE_UNTOUCHED, NULL, &state, NULL), 0);
    ck_assert_uint_eq(position_of(ids[0]), 1); /* back into its place */
    ck_assert_uint_eq(position_of(ids[4]), 4);
    ck_assert_int_eq(store->ops->remove(store, ids[3], NULL), 0);
    ck_assert_uint_eq(position_of(ids[4]), 3);
    reopen();
    ck_assert_uint_eq(position_of(ids[4]), 3);
    job_claim_done(&claim);
}
END_TEST

START_TEST(lists_are_filtered_by_state_and_label)
{
    char id[JOB_ID_BYTES], other[JOB_ID_BYTES];
    struct job_claim claim;
    struct job_list list;

    submit("{\"team\":\"red\",\"n\":\"1\"}", id);
    submit("{\"team\":\"blue\"}", other);
    claim_one(&claim);
    job_claim_done(&claim);
    ck_assert_int_eq(store->ops->list(store, &(struct job_filter){.state = JOB_RUNNING}, 0, 9, &list, NULL), 0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(list.jobs[0].id, id);
    job_list_done(&list);
    ck_assert_int_eq(store->ops->list(store,
                                      &(struct job_filter){.state = -1, .labels = {{"team", "blue"}}, .label_count = 1},
                                      0, 9, &list, NULL),
                     0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(list.jobs[0].id, other);
    ck_assert_uint_eq(list.jobs[0].queue_position, 1);
    job_list_done(&list);
    ck_assert_int_eq(
        store->ops->list(store,
                         &(struct job_filter){.state = JOB_QUEUED, .labels = {{"team", "red"}}, .label_count = 1}, 0, 9,
                         &list, NULL),
        0);
    ck_assert_uint_eq(list.count, 0);
    job_list_done(&list);
    ck_assert_int_eq(store->ops->list(store,
                                      &(struct job_filter){.state = -1, .labels = {{"team", NULL}}, .label_count = 1},
                                      0, 1, &list, NULL),
                     0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_ne(list.next, 0);
    job_list_done(&list);
}
END_TEST

static void add_upload(const char *name, char out_id[JOB_ID_BYTES])
{
    struct upload upload = {.name = (char *)name, .bytes = 42, .create_ms = clock_wall_ms()};

    uuid_new(upload.create_ms, upload.id);
    memset(upload.sha256, 'a', 64);
    ck_assert_int_eq(store->ops->upload_insert(store, &upload, NULL), 0);
    snprintf(out_id, JOB_ID_BYTES, "%s", upload.id);
}

START_TEST(an_upload_in_use_stays_until_its_job_ends)
{
    char upload[JOB_ID_BYTES];
    const char *uploads[] = {upload, upload};
    struct submission submission = {.request = "{}", .uploads = uploads, .upload_count = 2};
    struct job_claim claim;
    enum job_state state;
    struct job job;

    add_upload("weights.safetensors", upload);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
    job_done(&job);
    ck_assert_int_eq(store->ops->upload_remove(store, upload, NULL), ERROR_CONFLICT);
    claim_one(&claim);
    ck_assert_uint_eq(claim.upload_count, 1);
    ck_assert_str_eq(claim.uploads[0].name, "weights.safetensors");
    ck_assert_int_eq(store->ops->upload_remove(store, upload, NULL), ERROR_CONFLICT);
    ck_assert_int_eq(store->ops->finish(store, claim.id, claim.token, &success, &state, NULL), 0);
    ck_assert_int_eq(store->ops->upload_remove(store, upload, NULL), 0);
    ck_assert_int_eq(store->ops->upload_remove(store, upload, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), ERROR_NOT_FOUND);
    job_claim_done(&claim);
}
END_TEST

START_TEST(files_belong_to_jobs_that_have_a_result_or_may_get_one)
{
    struct job_end failure = {.state = JOB_FAILED, .error = "{}"};
    char good[JOB_ID_BYTES], bad[JOB_ID_BYTES], stopped[JOB_ID_BYTES];
    struct job_claim claim;
    enum job_state state;
    struct job job;

    submit(NULL, good);
    submit(NULL, bad);
    submit(NULL, stopped);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->has_files(store, good, NULL), 0);
    ck_assert_int_eq(store->ops->finish(store, good, claim.token, &success, &state, NULL), 0);
    job_claim_done(&claim);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->finish(store, bad, claim.token, &failure, &state, NULL), 0);
    job_claim_done(&claim);
    ck_assert_int_eq(store->ops->has_files(store, stopped, NULL), 0);
    ck_assert_int_eq(store->ops->cancel(store, stopped, &job, NULL), 0);
    job_done(&job);
    ck_assert_int_eq(store->ops->has_files(store, good, NULL), 0);
    ck_assert_int_eq(store->ops->has_files(store, bad, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->has_files(store, stopped, NULL), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(what_is_old_expires_and_what_lives_stays)
{
    char ended[JOB_ID_BYTES], waiting[JOB_ID_BYTES], upload[JOB_ID_BYTES];
    struct job_claim claim;
    enum job_state state;
    static struct id_batch ids;

    submit(NULL, ended);
    submit(NULL, waiting);
    add_upload("old", upload);
    claim_one(&claim);
    ck_assert_int_eq(store->ops->finish(store, ended, claim.token, &success, &state, NULL), 0);
    ck_assert_int_eq(store->ops->expire_jobs(store, clock_wall_ms() - 100000, &ids, NULL), 0);
    ck_assert_uint_eq(ids.count, 0);
    ck_assert_int_eq(store->ops->expire_jobs(store, clock_wall_ms() + 100000, &ids, NULL), 0);
    ck_assert_uint_eq(ids.count, 1);
    ck_assert_str_eq(ids.ids[0], ended);
    ck_assert_int_eq(store->ops->has_files(store, ended, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->has_files(store, waiting, NULL), 0);
    ck_assert_int_eq(store->ops->has_files(store, upload, NULL), 0);
    ck_assert_int_eq(store->ops->expire_uploads(store, clock_wall_ms() + 100000, &ids, NULL), 0);
    ck_assert_uint_eq(ids.count, 1);
    ck_assert_str_eq(ids.ids[0], upload);
    job_claim_done(&claim);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    struct store_settings settings = {.state_fd = state_fd, .state_dir = state_dir, .queue_limit = 1};
    struct job_store *opened;
    struct error err = {0};
    sqlite3 *db;
    char path[512];

    snprintf(path, sizeof(path), "%s/diffaid.db", state_dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    ck_assert_int_eq(sqlite_store_open(&settings, &opened, &err), ERROR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "newer"));
}
END_TEST

struct late_end {
    struct job_claim claim;
    int rc;
    enum job_state state;
};

static void *finish_late(void *argument)
{
    struct late_end *late = argument;

    late->rc = store->ops->finish(store, late->claim.id, late->claim.token, &success, &late->state, NULL);
    return NULL;
}

/* Somebody else holds the database for longer than we wait for it, as a failing disk would. */
START_TEST(a_store_that_cannot_write_says_so_and_comes_back_by_itself)
{
    struct submission submission = {.request = "{}"};
    struct late_end late;
    struct store_status status;
    char id[JOB_ID_BYTES], path[512];
    pthread_t thread;
    struct job job;
    sqlite3 *db;

    submit(NULL, id);
    claim_one(&late.claim);
    snprintf(path, sizeof(path), "%s/diffaid.db", state_dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, finish_late, &late), 0);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), ERROR_BUSY);
    store->ops->status(store, &status);
    ck_assert(status.is_broken && !status.is_full);
    ck_assert_int_eq(state_of(id), JOB_RUNNING); /* reading goes on */
    ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    pthread_join(thread, NULL);
    ck_assert_int_eq(late.rc, 0);
    ck_assert_int_eq(late.state, JOB_SUCCEEDED);
    do /* bounded by the test's time */
        store->ops->status(store, &status);
    while (status.is_broken);
    job_claim_done(&late.claim);
}
END_TEST

enum { THREADS = 8, EACH = 200 };

static void *submit_many(void *argument)
{
    struct submission submission = {.request = "{}"};
    struct job_store *target = argument;

    for (int i = 0; i < EACH; i++) {
        struct job job;
        bool is_again;

        ck_assert_int_eq(target->ops->insert(target, &submission, &job, &is_again, NULL), 0);
        job_done(&job);
    }
    return NULL;
}

static void *claim_many(void *argument)
{
    struct job_store *target = argument;
    size_t finished = 0;

    while (finished < EACH) {
        struct job_claim claim;
        enum job_state state;
        int rc = target->ops->claim(target, &claim, NULL);

        if (rc == ERROR_NOT_FOUND)
            continue;
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(claim.attempt, 1);
        ck_assert_int_eq(target->ops->finish(target, claim.id, claim.token, &success, &state, NULL), 0);
        job_claim_done(&claim);
        finished++;
    }
    return NULL;
}

START_TEST(many_threads_submit_and_claim_and_each_job_runs_once)
{
    pthread_t threads[2 * THREADS];
    struct store_status status;
    struct job_filter filter = {.state = JOB_SUCCEEDED};
    struct job_list list;

    store->ops->close(store);
    store = open_store(THREADS * EACH);
    for (int i = 0; i < 2 * THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i % 2 ? claim_many : submit_many, store), 0);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    store->ops->status(store, &status);
    ck_assert_uint_eq(status.queued, 0);
    ck_assert_int_eq(store->ops->list(store, &filter, 0, THREADS * EACH + 1, &list, NULL), 0);
    ck_assert_uint_eq(list.count, THREADS * EACH);
    job_list_done(&list);
}
END_TEST

/* A child submits, tells each id over a pipe as soon as insert returned, and is killed in the middle of it. */
START_TEST(what_was_accepted_before_a_kill_is_there)
{
    char id[JOB_ID_BYTES];
    int told[2], count = 0;
    pid_t child;
    FILE *ids;

    store->ops->close(store);
    ck_assert_int_eq(pipe(told), 0);
    child = fork();
    if (child == 0) {
        close(told[0]);
        store = open_store(100000);
        for (;;) {
            submit(NULL, id);
            if (write(told[1], id, sizeof(id)) != sizeof(id))
                _exit(1);
        }
    }
    close(told[1]);
    ids = fdopen(told[0], "r");
    ck_assert_ptr_nonnull(ids);
    for (; count < 50 && fread(id, sizeof(id), 1, ids) == 1; count++)
        ;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    store = open_store(100000);
    ck_assert_int_eq(state_of(id), JOB_QUEUED);
    while (fread(id, sizeof(id), 1, ids) == 1) /* told before the kill, read after it */
        ck_assert_int_eq(state_of(id), JOB_QUEUED);
    fclose(ids);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("store");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_submitted_job_is_there_after_a_restart);
    tcase_add_test(tcase, jobs_are_claimed_oldest_first);
    tcase_add_test(tcase, an_older_token_writes_nothing);
    tcase_add_test(tcase, a_job_carries_the_trace_of_its_submission_across_a_restart);
    tcase_add_test(tcase, a_result_in_the_row_survives_a_restart);
    tcase_add_test(tcase, running_jobs_come_back_after_a_kill_and_stop_coming_back_at_the_eleventh);
    tcase_add_test(tcase, a_wish_to_cancel_outlives_the_process);
    tcase_add_test(tcase, a_job_asked_to_cancel_ends_cancelled_whatever_its_worker_says);
    tcase_add_test(tcase, a_queued_job_is_cancelled_at_once_and_an_ended_one_stays);
    tcase_add_test(tcase, a_removed_job_is_gone_and_fences_its_worker);
    tcase_add_test(tcase, a_full_queue_refuses_and_takes_again_after_a_claim);
    tcase_add_test(tcase, pages_meet_without_gap_or_overlap);
    tcase_add_test(tcase, places_in_the_queue_follow_what_happens_in_front);
    tcase_add_test(tcase, lists_are_filtered_by_state_and_label);
    tcase_add_test(tcase, an_upload_in_use_stays_until_its_job_ends);
    tcase_add_test(tcase, files_belong_to_jobs_that_have_a_result_or_may_get_one);
    tcase_add_test(tcase, what_is_old_expires_and_what_lives_stays);
    tcase_add_test(tcase, a_newer_schema_is_refused);
    tcase_add_test(tcase, a_store_that_cannot_write_says_so_and_comes_back_by_itself);
    tcase_add_test(tcase, many_threads_submit_and_claim_and_each_job_runs_once);
    tcase_add_test(tcase, what_was_accepted_before_a_kill_is_there);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
