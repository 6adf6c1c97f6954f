/* What memory says of a job is never older than what the asker may know. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/jobs/job_cache.h"
#include "server/jobs/store.h"
#include "tests/unit/server/scratch.h"

static struct job_cache *cache;
static sqlite3 *db;

static void run(const char *sql)
{
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void setup(void)
{
    ck_assert_int_eq(job_cache_new(&cache, NULL), 0);
    ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    run("CREATE TABLE job (seq INTEGER PRIMARY KEY, state INTEGER); CREATE TABLE other (seq INTEGER PRIMARY KEY);"
        "INSERT INTO job VALUES (1, 0), (2, 0), (3, 0)");
    job_cache_follow(cache, db);
}

static void teardown(void)
{
    job_cache_free(cache);
    sqlite3_close(db);
}

static void put(const char *id, int64_t seq, uint64_t epoch)
{
    char request[] = "{}", labels[] = "{\"a\":\"b\"}";
    struct job job = {.version = 5, .state = JOB_RUNNING, .request = request, .labels = labels};

    snprintf(job.id, sizeof(job.id), "%s", id);
    job_cache_put(cache, &job, seq, epoch);
}

static bool has(const char *id)
{
    struct job job;
    int64_t seq;
    bool is_found = job_cache_find(cache, id, &job, &seq);

    if (is_found) {
        ck_assert_str_eq(job.id, id);
        ck_assert_uint_eq(job.version, 5);
        ck_assert_str_eq(job.labels, "{\"a\":\"b\"}");
        ck_assert_ptr_null(job.error);
        job_done(&job);
    }
    return is_found;
}

START_TEST(a_job_is_found_until_a_commit_changes_its_row)
{
    static const char *const changes[] = {"UPDATE job SET state = 1 WHERE seq = 2", "DELETE FROM job WHERE state = 0",
                                          "INSERT OR REPLACE INTO job VALUES (2, 1)"};

    put("two", 2, job_cache_epoch(cache));
    put("three", 3, job_cache_epoch(cache));
    ck_assert(has("two"));
    ck_assert(!has("one"));
    run("INSERT INTO other VALUES (2)");
    job_cache_settle(cache);
    ck_assert(has("two"));
    run(changes[_i]);
    ck_assert(has("two")); /* nobody has been told */
    job_cache_settle(cache);
    ck_assert(!has("two"));
    ck_assert_int_eq(has("three"), _i != 1);
}
END_TEST

START_TEST(what_was_read_before_a_commit_is_not_kept_after_it)
{
    uint64_t before = job_cache_epoch(cache);

    run("UPDATE job SET state = 1 WHERE seq = 2");
    job_cache_settle(cache);
    put("two", 2, before);
    ck_assert(!has("two"));
    put("three", 3, before); /* not touched by it */
    ck_assert(has("three"));
    put("two", 2, job_cache_epoch(cache));
    ck_assert(has("two"));
}
END_TEST

START_TEST(a_commit_of_very_many_rows_forgets_everything)
{
    put("three", 3, job_cache_epoch(cache));
    run("WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO job SELECT i, 0 "
        "FROM n");
    job_cache_settle(cache);
    ck_assert(!has("three"));
    put("three", 3, job_cache_epoch(cache));
    job_cache_settle(cache);
    ck_assert(has("three"));
}
END_TEST

START_TEST(jobs_of_one_slot_push_each_other_out)
{
    put("two", 2, job_cache_epoch(cache));
    put("beyond", 2 + JOB_CACHE_SLOTS, job_cache_epoch(cache));
    ck_assert(has("beyond"));
    ck_assert(!has("two"));
}
END_TEST

/* The real store: readers look all the time while a job goes through its states. */
enum { READERS = 3, JOBS = 15 };

static struct job_store *store;
static char current[JOB_ID_BYTES];
static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int known_state; /* told to the writer by a commit, or later */
static atomic_bool is_over;
static atomic_int peeked;

static void *look(void *context)
{
    (void)context;
    while (!atomic_load(&is_over)) {
        char id[JOB_ID_BYTES];
        struct job job;
        int least;

        pthread_mutex_lock(&current_lock);
        memcpy(id, current, sizeof(id));
        least = atomic_load(&known_state);
        pthread_mutex_unlock(&current_lock);
        if (store->ops->peek(store, id, &job))
            atomic_fetch_add(&peeked, 1);
        else if (store->ops->get(store, id, &job, NULL))
            continue;
        ck_assert_int_ge((int)job.state, least);
        job_done(&job);
    }
    return NULL;
}

START_TEST(nobody_sees_a_state_older_than_one_that_was_told)
{
    char *directory = scratch_new();
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct store_settings settings = {.state_fd = fd, .state_dir = directory, .queue_limit = 100};
    struct submission submission = {.request = "{}"};
    pthread_t readers[READERS];

    ck_assert_int_eq(sqlite_store_open(&settings, &store, NULL), 0);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, look, NULL), 0);
    for (int i = 0; i < JOBS; i++) {
        struct job_end end = {.state = JOB_FAILED, .error = "{}"};
        struct job_claim claim;
        enum job_state state;
        struct job job;
        bool is_replay;

        ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
        pthread_mutex_lock(&current_lock);
        memcpy(current, job.id, sizeof(current));
        atomic_store(&known_state, JOB_QUEUED);
        pthread_mutex_unlock(&current_lock);
        job_done(&job);
        ck_assert_int_eq(store->ops->claim(store, &claim, NULL), 0);
        atomic_store(&known_state, JOB_RUNNING);
        ck_assert_int_eq(store->ops->finish(store, claim.id, claim.token, &end, &state, NULL), 0);
        atomic_store(&known_state, JOB_FAILED);
        job_claim_done(&claim);
    }
    while (atomic_load(&peeked) == 0)
        sched_yield();
    atomic_store(&is_over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    store->ops->close(store);
    close(fd);
    scratch_remove(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_cache");
    TCase *tc = tcase_create("alone"), *with_store = tcase_create("with the store");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_job_is_found_until_a_commit_changes_its_row, 0, 3);
    tcase_add_test(tc, what_was_read_before_a_commit_is_not_kept_after_it);
    tcase_add_test(tc, a_commit_of_very_many_rows_forgets_everything);
    tcase_add_test(tc, jobs_of_one_slot_push_each_other_out);
    tcase_set_timeout(with_store, 60);
    tcase_add_test(with_store, nobody_sees_a_state_older_than_one_that_was_told);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, with_store);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
