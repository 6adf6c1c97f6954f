#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/jobs/backup.h"
#include "server/jobs/blobs.h"
#include "server/jobs/connection.h"
#include "server/jobs/store.h"
#include "server/jobs/uuid.h"
#include "tests/unit/server/scratch.h"

static char *directory;
static char from[600], to[600];
static int state_fd;
static struct job_store *store;

static void open_store(const char *path)
{
    struct store_settings settings = {.state_dir = path, .queue_limit = 100, .retention_ms = 1000};
    struct error err = {0};

    state_fd = settings.state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_msg(sqlite_store_open(&settings, &store, &err) == 0, "%s", err.text);
}

static void close_store(void)
{
    store->ops->close(store);
    close(state_fd);
}

static void setup(void)
{
    directory = scratch_new();
    snprintf(from, sizeof(from), "%s/from", directory);
    snprintf(to, sizeof(to), "%s/to", directory);
    ck_assert_int_eq(mkdir(from, 0700), 0);
    open_store(from);
    ck_assert_int_eq(mkdirat(state_fd, "results", 0700), 0);
    ck_assert_int_eq(mkdirat(state_fd, "uploads", 0700), 0);
}

static void teardown(void)
{
    close_store();
    scratch_remove(directory);
}

static void submit(char out_id[JOB_ID_BYTES])
{
    struct connection connection;
    char sql[256], path[640];

    uuid_new(1, out_id);
    snprintf(path, sizeof(path), "%s/diffaid.db", from);
    snprintf(sql, sizeof(sql), "INSERT INTO job (id, state, version, create_ms, request) VALUES ('%s', 0, 1, 1, '{}')",
             out_id);
    close_store();
    ck_assert_int_eq(connection_open(path, true, NULL, 0, &connection, NULL), 0);
    ck_assert_int_eq(sqlite3_exec(connection.db, sql, NULL, NULL, NULL), SQLITE_OK);
    connection_close(&connection);
    open_store(from);
}

static void upload(char out_id[JOB_ID_BYTES], bool has_file)
{
    struct upload row = {.name = (char *)"m", .bytes = 5, .create_ms = 1};
    char name[64];

    uuid_new(1, row.id);
    snprintf(name, sizeof(name), "uploads/%s", row.id);
    if (has_file)
        scratch_write(from, name, "hello", 5);
    ck_assert_int_eq(store->ops->upload_insert(store, &row, NULL), 0);
    memcpy(out_id, row.id, JOB_ID_BYTES);
}

/* A job whose result lies in files. */
static void succeed_in_files(char out_id[JOB_ID_BYTES])
{
    static const char *const suffixes[] = {"json", "index", "txt", "md", "xml"};
    struct job_end end = {.state = JOB_SUCCEEDED};
    struct job_claim claim;
    enum job_state state;

    submit(out_id);
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), 0);
    for (size_t i = 0; i < 5; i++) {
        char name[96];

        snprintf(name, sizeof(name), "results/%s.%s", claim.id, suffixes[i]);
        scratch_write(from, name, suffixes[i], strlen(suffixes[i]));
        end.bytes[i] = strlen(suffixes[i]);
    }
    ck_assert_int_eq(store->ops->finish(store, claim.id, claim.token, &end, &state, NULL), 0);
    job_claim_done(&claim);
}

static bool holds(const char *root, const char *room, const char *id, const char *suffix)
{
    char path[1024];

    snprintf(path, sizeof(path), "%s/%s/%s%s", root, room, id, suffix);
    return access(path, F_OK) == 0;
}

START_TEST(a_backup_holds_rows_and_their_files_and_nothing_else)
{
    char done[JOB_ID_BYTES], queued[JOB_ID_BYTES], sent[JOB_ID_BYTES], stray[JOB_ID_BYTES], name[96];
    struct backup_counts counts;
    struct error err = {0};
    struct job job;

    succeed_in_files(done);
    submit(queued);
    upload(sent, true);
    uuid_new(2, stray); /* what a kill left, and what is under way */
    snprintf(name, sizeof(name), "results/%s.json", stray);
    scratch_write(from, name, "x", 1);
    snprintf(name, sizeof(name), "uploads/%s.tmp", stray);
    scratch_write(from, name, "x", 1);
    ck_assert_msg(backup_make(from, to, &counts, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(counts.jobs, 2);
    ck_assert_uint_eq(counts.uploads, 1);
    ck_assert_uint_eq(counts.files, 6);
    ck_assert(holds(to, "results", done, ".index") && holds(to, "results", done, ".xml"));
    ck_assert(holds(to, "uploads", sent, ""));
    ck_assert(!holds(to, "results", stray, ".json") && !holds(to, "uploads", stray, ".tmp"));
    close_store();
    open_store(to);
    ck_assert_int_eq(store->ops->get(store, done, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_SUCCEEDED);
    job_done(&job);
    ck_assert_int_eq(store->ops->get(store, queued, &job, NULL), 0);
    ck_assert_int_eq(job.state, JOB_QUEUED);
    job_done(&job);
}
END_TEST

static void expect_nothing_left(void)
{
    char partial[620];

    snprintf(partial, sizeof(partial), "%s.partial", to);
    ck_assert(access(to, F_OK) != 0 && access(partial, F_OK) != 0);
}

START_TEST(a_row_without_its_file_fails_the_backup_which_leaves_nothing)
{
    struct backup_counts counts;
    struct error err = {0};
    char sent[JOB_ID_BYTES];

    upload(sent, false);
    ck_assert_int_eq(backup_make(from, to, &counts, &err), ERROR_READ);
    ck_assert_msg(strstr(err.text, "missing") != NULL, "%s", err.text);
    expect_nothing_left();
}
END_TEST

START_TEST(a_backup_overwrites_nothing_and_takes_only_a_state_directory)
{
    struct backup_counts counts;
    struct error err = {0};
    char elsewhere[700];

    ck_assert_int_eq(mkdir(to, 0700), 0);
    ck_assert_int_eq(backup_make(from, to, &counts, &err), ERROR_REQUEST);
    ck_assert_int_eq(rmdir(to), 0);
    snprintf(elsewhere, sizeof(elsewhere), "%s/nowhere", directory);
    ck_assert_int_eq(backup_make(elsewhere, to, &counts, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(backup_make(directory, to, &counts, &err), ERROR_NOT_FOUND);
    expect_nothing_left();
    snprintf(elsewhere, sizeof(elsewhere), "%s/no/such/parent", directory);
    ck_assert_int_eq(backup_make(from, elsewhere, &counts, &err), ERROR_WRITE);
}
END_TEST

START_TEST(a_newer_programs_state_is_left_alone)
{
    struct connection connection;
    struct backup_counts counts;
    struct error err = {0};
    char path[700];

    snprintf(path, sizeof(path), "%s/diffaid.db", from);
    ck_assert_int_eq(connection_open(path, true, NULL, 0, &connection, &err), 0);
    ck_assert_int_eq(sqlite3_exec(connection.db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    connection_close(&connection);
    ck_assert_int_eq(backup_make(from, to, &counts, &err), ERROR_CONFLICT);
    expect_nothing_left();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tc = tcase_create("backup");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_backup_holds_rows_and_their_files_and_nothing_else);
    tcase_add_test(tc, a_row_without_its_file_fails_the_backup_which_leaves_nothing);
    tcase_add_test(tc, a_backup_overwrites_nothing_and_takes_only_a_state_directory);
    tcase_add_test(tc, a_newer_programs_state_is_left_alone);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
