#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/uploads/uploads.h"
#include "tests/unit/server/scratch.h"

static char *state_dir;
static int state_fd;
static struct job_store *store;
static struct blob_store *blobs;
static struct uploads uploads;

static void setup(void)
{
    struct store_settings settings = {.queue_limit = 100, .retention_ms = 1000};

    state_dir = scratch_new();
    state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    settings.state_fd = state_fd;
    settings.state_dir = state_dir;
    ck_assert_int_eq(sqlite_store_open(&settings, &store, NULL), 0);
    ck_assert_int_eq(blob_directory_open(state_fd, "uploads", &blobs, NULL), 0);
    uploads = (struct uploads){.store = store, .blobs = blobs, .limit_bytes = 1000, .retention_ms = 1000};
    uploads_init(&uploads);
}

static void teardown(void)
{
    store->ops->close(store);
    blobs->ops->close(blobs);
    close(state_fd);
    scratch_remove(state_dir);
}

static size_t files(void)
{
    struct blob_names names;
    size_t count;

    ck_assert_int_eq(blobs->ops->names(blobs, &names, NULL), 0);
    count = names.count;
    blob_names_done(&names);
    return count;
}

static int begin(const char *name, int64_t bytes, struct upload_sink **ret_sink)
{
    return upload_begin(&uploads, &(struct upload_wish){"", name, bytes, ""}, ret_sink, NULL);
}

START_TEST(an_upload_is_hashed_and_found_again)
{
    struct upload_sink *sink;
    struct upload upload, found;
    char read_back[8] = {0};
    uint64_t bytes;
    int fd;

    ck_assert_int_eq(begin("model.safetensors", 3, &sink), 0);
    ck_assert_int_eq(upload_append(sink, "a", 1, NULL), 0);
    ck_assert_int_eq(upload_append(sink, "bc", 2, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), 0);
    ck_assert_str_eq(upload.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_uint_eq(upload.bytes, 3);
    ck_assert_int_eq(store->ops->upload_get(store, upload.id, &found, NULL), 0);
    ck_assert_str_eq(found.name, "model.safetensors");
    ck_assert_str_eq(found.sha256, upload.sha256);
    ck_assert_int_eq(found.expire_ms, found.create_ms + 1000);
    ck_assert_int_eq(blobs->ops->open(blobs, upload.id, &fd, &bytes, NULL), 0);
    ck_assert_int_eq(read(fd, read_back, sizeof(read_back)), 3);
    ck_assert_str_eq(read_back, "abc");
    close(fd);
    ck_assert_uint_eq(files(), 1);
    ck_assert_int_eq(uploads_remove(&uploads, upload.id, NULL), 0);
    ck_assert_uint_eq(files(), 0);
    upload_done(&upload);
    upload_done(&found);
}
END_TEST

START_TEST(an_abandoned_upload_leaves_nothing)
{
    struct upload_list list;
    struct upload_sink *sink;

    ck_assert_int_eq(begin("x", -1, &sink), 0);
    ck_assert_int_eq(upload_append(sink, "abc", 3, NULL), 0);
    ck_assert_uint_eq(files(), 1);
    upload_abandon(sink);
    upload_abandon(NULL);
    ck_assert_uint_eq(files(), 0);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
    ck_assert_int_eq(store->ops->upload_list(store, NULL, 0, 10, &list, NULL), 0);
    ck_assert_uint_eq(list.count, 0);
    upload_list_done(&list);
}
END_TEST

START_TEST(an_upload_over_the_limit_is_refused_announced_or_not)
{
    static char data[1001];
    struct upload_sink *sink;

    ck_assert_int_eq(begin("x", 1001, &sink), ERROR_LIMIT);
    ck_assert_int_eq(begin("x", 1000, &sink), 0);
    ck_assert_int_eq(upload_append(sink, data, 1000, NULL), 0);
    ck_assert_int_eq(upload_append(sink, data, 1, NULL), ERROR_LIMIT);
    upload_abandon(sink);
    ck_assert_int_eq(begin("", 1, &sink), ERROR_REQUEST);
    ck_assert_uint_eq(files(), 0);
}
END_TEST

START_TEST(an_upload_with_another_digest_than_announced_is_never_seen)
{
    struct upload_wish wish = {"", "x", 3,
                               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}; /* of abc */
    struct upload_list list;
    struct upload_sink *sink;
    struct upload upload;
    struct error err;

    ck_assert_int_eq(upload_begin(&uploads, &wish, &sink, NULL), 0);
    ck_assert_int_eq(upload_append(sink, "abd", 3, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, &err), ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"));
    ck_assert_uint_eq(files(), 0);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
    ck_assert_int_eq(store->ops->upload_list(store, NULL, 0, 10, &list, NULL), 0);
    ck_assert_uint_eq(list.count, 0);
    upload_list_done(&list);
    ck_assert_int_eq(upload_begin(&uploads, &wish, &sink, NULL), 0);
    ck_assert_int_eq(upload_append(sink, "abc", 3, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, &err), 0);
    upload_done(&upload);
}
END_TEST

START_TEST(the_quota_counts_what_is_stored_and_what_is_under_way)
{
    static char data[400];
    struct upload_sink *first, *second, *third;
    struct upload upload;

    uploads.quota_bytes = 1000;
    ck_assert_int_eq(begin("x", 400, &first), 0);
    ck_assert_int_eq(upload_append(first, data, 400, NULL), 0);
    ck_assert_int_eq(upload_commit(first, &upload, NULL), 0);
    ck_assert_int_eq(begin("x", -1, &second), 0);
    ck_assert_int_eq(upload_append(second, data, 400, NULL), 0);
    ck_assert_int_eq(begin("x", 300, &third), ERROR_NO_SPACE);
    ck_assert_int_eq(upload_append(second, data, 201, NULL), ERROR_NO_SPACE);
    upload_abandon(second);
    ck_assert_int_eq(begin("x", 600, &third), 0);
    upload_abandon(third);
    upload_done(&upload);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uploads");
    TCase *tcase = tcase_create("uploads");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_upload_is_hashed_and_found_again);
    tcase_add_test(tcase, an_abandoned_upload_leaves_nothing);
    tcase_add_test(tcase, an_upload_over_the_limit_is_refused_announced_or_not);
    tcase_add_test(tcase, an_upload_with_another_digest_than_announced_is_never_seen);
    tcase_add_test(tcase, the_quota_counts_what_is_stored_and_what_is_under_way);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
