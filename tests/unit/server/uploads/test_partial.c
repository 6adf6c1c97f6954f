/* Uploads in pieces: their offset is what the disk has, and their digest goes on from there. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/uploads/running_digest.h"
#include "server/uploads/uploads.h"
#include "tests/unit/server/scratch.h"

static char *state_dir;
static int state_fd;
static struct job_store *store;
static struct blob_store *blobs;
static struct uploads uploads;

static void open_all(void)
{
    struct store_settings settings = {
        .queue_limit = 100, .retention_ms = 1000, .state_fd = state_fd, .state_dir = state_dir};

    ck_assert_int_eq(sqlite_store_open(&settings, &store, NULL), 0);
    ck_assert_int_eq(blob_directory_open(state_fd, "uploads", &blobs, NULL), 0);
    uploads = (struct uploads){.store = store, .blobs = blobs, .limit_bytes = 1000, .retention_ms = 1000};
    uploads_init(&uploads);
}

static void close_all(void)
{
    store->ops->close(store);
    blobs->ops->close(blobs);
}

static void setup(void)
{
    state_dir = scratch_new();
    state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_all();
}

static void teardown(void)
{
    close_all();
    close(state_fd);
    scratch_remove(state_dir);
}

static void create(int64_t length, const char *sha256, char out_id[JOB_ID_BYTES])
{
    struct upload upload;

    ck_assert_int_eq(partial_create(&uploads, &(struct upload_wish){"me", "m", length, sha256}, &upload, NULL), 0);
    memcpy(out_id, upload.id, JOB_ID_BYTES);
    upload_done(&upload);
}

static struct upload_sink *resume(const char *id, uint64_t offset)
{
    struct upload_sink *sink;
    struct upload now;
    struct error err = {0};

    ck_assert_msg(partial_resume(&uploads, id, &(struct upload_piece){offset, -1, "", ""}, &now, &sink, &err) == 0,
                  "%s", err.text);
    return sink;
}

static uint64_t offset_of(const char *id)
{
    struct upload upload;

    ck_assert_int_eq(partial_offset(&uploads, id, &upload, NULL), 0);
    ck_assert_str_eq(upload.owner, "me");
    upload_done(&upload);
    return upload.bytes;
}

/* Of "abc", by sha256sum. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static off_t file_bytes(const char *id)
{
    char path[128];
    struct stat file;

    snprintf(path, sizeof(path), "uploads/%s", id);
    return fstatat(state_fd, path, &file, 0) == 0 ? file.st_size : -1;
}

START_TEST(pieces_become_one_upload_also_across_restarts)
{
    char id[JOB_ID_BYTES];
    struct upload_sink *sink;
    struct upload upload;

    create(3, ABC, id);
    ck_assert_uint_eq(offset_of(id), 0);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "a", 1, NULL), 0);
    ck_assert_int_eq(partial_pause(sink, &upload, NULL), 0);
    ck_assert_uint_eq(upload.bytes, 1);
    ck_assert(!upload.is_complete);
    upload_done(&upload);
    close_all();
    open_all();
    ck_assert_uint_eq(offset_of(id), 1);
    sink = resume(id, 1);
    ck_assert_int_eq(upload_append(sink, "b", 1, NULL), 0);
    upload_abandon(sink); /* a cut keeps what came */
    ck_assert_uint_eq(offset_of(id), 2);
    close_all();
    open_all();
    sink = resume(id, 2);
    ck_assert_int_eq(upload_append(sink, "c", 1, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), 0);
    ck_assert_str_eq(upload.sha256, ABC);
    ck_assert(upload.is_complete);
    upload_done(&upload);
    ck_assert_int_eq(store->ops->upload_get(store, id, &upload, NULL), 0);
    ck_assert(upload.is_complete);
    ck_assert_uint_eq(upload.bytes, 3);
    ck_assert_str_eq(upload.sha256, ABC);
    upload_done(&upload);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
}
END_TEST

/* As a kill leaves it: the file has more than the row knows of. */
START_TEST(bytes_that_the_row_does_not_know_are_dropped)
{
    char id[JOB_ID_BYTES], path[128];
    struct upload_sink *sink;
    struct upload upload;
    int fd;

    create(-1, ABC, id);
    snprintf(path, sizeof(path), "uploads/%s", id);
    fd = openat(state_fd, path, O_WRONLY);
    ck_assert_int_eq(write(fd, "garbage", 7), 7);
    close(fd);
    ck_assert_uint_eq(offset_of(id), 0);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "abc", 3, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), 0);
    upload_done(&upload);
    ck_assert_int_eq(file_bytes(id), 3);
}
END_TEST

START_TEST(another_offset_is_refused_and_the_true_one_told)
{
    char id[JOB_ID_BYTES];
    struct upload_sink *sink;
    struct upload now;

    create(3, "", id);
    ck_assert_int_eq(partial_resume(&uploads, id, &(struct upload_piece){1, -1, "", ""}, &now, &sink, NULL),
                     ERROR_CONFLICT);
    ck_assert_str_eq(now.id, id);
    ck_assert_uint_eq(now.bytes, 0);
    upload_done(&now);
    ck_assert_int_eq(partial_resume(&uploads, id, &(struct upload_piece){0, 4, "", ""}, &now, &sink, NULL),
                     ERROR_REQUEST); /* not 3 any more */
    upload_done(&now);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "abcd", 4, NULL), ERROR_REQUEST);
    ck_assert_int_eq(upload_append(sink, "ab", 2, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &now, NULL), ERROR_REQUEST); /* 2 of 3 bytes */
    ck_assert_uint_eq(offset_of(id), 2);
    sink = resume(id, 2);
    ck_assert_int_eq(upload_append(sink, "c", 1, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &now, NULL), 0);
    upload_done(&now);
    ck_assert_int_eq(partial_resume(&uploads, id, &(struct upload_piece){3, -1, "", ""}, &now, &sink, NULL),
                     ERROR_CONFLICT);
    ck_assert(now.is_complete);
    upload_done(&now);
    ck_assert_int_eq(partial_resume(&uploads, "0190a000-0000-7000-8000-000000000009",
                                    &(struct upload_piece){0, -1, "", ""}, &now, &sink, NULL),
                     ERROR_NOT_FOUND);
}
END_TEST

START_TEST(a_newer_request_cuts_the_older_off)
{
    char id[JOB_ID_BYTES];
    struct upload_sink *old, *new;
    struct upload upload;

    create(-1, "", id);
    old = resume(id, 0);
    ck_assert_int_eq(upload_append(old, "ab", 2, NULL), 0);
    new = resume(id, 2); /* what the older has brought counts */
    ck_assert_int_eq(upload_append(old, "x", 1, NULL), ERROR_CONFLICT);
    ck_assert_int_eq(upload_append(new, "c", 1, NULL), 0);
    upload_abandon(old);
    ck_assert_uint_eq(offset_of(id), 3); /* asks, and cuts off as well */
    ck_assert_int_eq(upload_append(new, "x", 1, NULL), ERROR_CONFLICT);
    ck_assert_int_eq(partial_pause(new, &upload, NULL), ERROR_CONFLICT);
    ck_assert_int_eq(file_bytes(id), 3);
}
END_TEST

START_TEST(a_deleted_or_wrong_upload_leaves_nothing)
{
    char id[JOB_ID_BYTES];
    struct upload_sink *sink;
    struct upload upload;

    create(-1, "", id);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "ab", 2, NULL), 0);
    ck_assert_int_eq(uploads_remove(&uploads, id, NULL), 0);
    ck_assert_int_eq(upload_append(sink, "c", 1, NULL), ERROR_CONFLICT);
    upload_abandon(sink);
    ck_assert_int_eq(file_bytes(id), -1);
    create(-1, ABC, id);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "abd", 3, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), ERROR_FORMAT);
    ck_assert_int_eq(file_bytes(id), -1);
    ck_assert_int_eq(store->ops->upload_get(store, id, &upload, NULL), ERROR_NOT_FOUND);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
}
END_TEST

/* Of "b", by sha256sum. */
#define B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"

static struct upload_sink *resume_with(const char *id, uint64_t offset, const char *sha256, const char *whole_sha256)
{
    struct upload_sink *sink;
    struct upload now;

    ck_assert_int_eq(
        partial_resume(&uploads, id, &(struct upload_piece){offset, -1, sha256, whole_sha256}, &now, &sink, NULL), 0);
    return sink;
}

START_TEST(a_piece_with_a_digest_is_kept_whole_or_not_at_all)
{
    char id[JOB_ID_BYTES];
    struct upload_sink *sink;
    struct upload upload, now;
    struct error err = {0};

    create(3, "", id);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, "a", 1, NULL), 0);
    upload_abandon(sink);
    sink = resume_with(id, 1, B, ""); /* other bytes */
    ck_assert_int_eq(upload_append(sink, "x", 1, NULL), 0);
    ck_assert_int_eq(partial_pause(sink, &upload, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "still ends at byte 1") != NULL, "%s", err.text);
    ck_assert_uint_eq(offset_of(id), 1);
    sink = resume_with(id, 1, B, ""); /* a part of it, and a cut */
    upload_abandon(sink);
    sink = resume_with(id, 1, B, "");
    ck_assert_int_eq(upload_append(sink, "b", 1, NULL), 0);
    ck_assert_uint_eq(offset_of(id), 1); /* cuts it off, and nobody knows yet whether it is right */
    ck_assert_int_eq(partial_pause(sink, &upload, NULL), ERROR_CONFLICT);
    sink = resume_with(id, 1, B, ABC);
    ck_assert_int_eq(upload_append(sink, "b", 1, NULL), 0);
    ck_assert_int_eq(partial_pause(sink, &upload, NULL), 0);
    upload_done(&upload);
    ck_assert_uint_eq(offset_of(id), 2);
    /* The whole's digest, told with a piece that was paused, is told again with the last. */
    sink = resume_with(id, 2, "", ABC);
    ck_assert_int_eq(upload_append(sink, "c", 1, NULL), 0);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), 0);
    ck_assert_str_eq(upload.sha256, ABC);
    upload_done(&upload);

    create(3, ABC, id); /* a whole of another digest than before */
    ck_assert_int_eq(partial_resume(&uploads, id, &(struct upload_piece){0, -1, "", B}, &now, &sink, &err),
                     ERROR_REQUEST);
    upload_done(&now);
}
END_TEST

START_TEST(a_job_cannot_use_an_upload_that_grows_and_an_expiry_takes_it)
{
    char id[JOB_ID_BYTES];
    const char *used[] = {id};
    struct submission submission = {.request = "{}", .uploads = used, .upload_count = 1};
    struct id_batch expired;
    bool is_replay;
    struct job job;

    create(-1, "", id);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->expire_uploads(store, INT64_MAX, &expired, NULL), 0);
    ck_assert_uint_eq(expired.count, 1);
    ck_assert_str_eq(expired.ids[0], id);
}
END_TEST

START_TEST(the_quota_counts_the_pieces)
{
    static char data[400];
    char id[JOB_ID_BYTES];
    struct store_status status;
    struct upload_sink *sink;
    struct upload upload;

    uploads.quota_bytes = 500;
    create(-1, "", id);
    sink = resume(id, 0);
    ck_assert_int_eq(upload_append(sink, data, 400, NULL), 0);
    ck_assert_int_eq(upload_append(sink, data, 101, NULL), ERROR_NO_SPACE);
    upload_abandon(sink);
    store->ops->status(store, &status);
    ck_assert_uint_eq(status.used_bytes, 400);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
    ck_assert_int_eq(partial_create(&uploads, &(struct upload_wish){"", "m", 101, ""}, &upload, NULL), ERROR_NO_SPACE);
    ck_assert_int_eq(partial_create(&uploads, &(struct upload_wish){"", "m", 1001, ""}, &upload, NULL), ERROR_LIMIT);
    ck_assert_int_eq(uploads_remove(&uploads, id, NULL), 0);
    store->ops->status(store, &status);
    ck_assert_uint_eq(status.used_bytes, 0);
}
END_TEST

/* Wherever it is put away, the digest of what follows is the same: FIPS 180-2's "abcdbcde…" and a million times "a". */
START_TEST(a_digest_goes_on_in_another_process)
{
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const unsigned char sum[4] = {0x24, 0x8d, 0x6a, 0x61}, million[4] = {0xcd, 0xc7, 0x6e, 0x5c};
    unsigned char state[DIGEST_STATE_BYTES], out[32];
    struct running_digest digest, again;

    for (size_t cut = 0; cut <= sizeof(text) - 1; cut++) {
        running_digest_init(&digest);
        running_digest_add(&digest, text, cut);
        running_digest_save(&digest, state);
        memset(&again, 0xa5, sizeof(again));
        running_digest_restore(&again, state);
        running_digest_add(&again, text + cut, sizeof(text) - 1 - cut);
        running_digest_end(&again, out);
        ck_assert_mem_eq(out, sum, 4);
    }
    running_digest_init(&digest);
    for (int i = 0; i < 1000000; i += 100) {
        char a[100];

        memset(a, 'a', sizeof(a));
        running_digest_save(&digest, state);
        running_digest_restore(&digest, state);
        running_digest_add(&digest, a, sizeof(a));
    }
    running_digest_end(&digest, out);
    ck_assert_mem_eq(out, million, 4);
}
END_TEST

static char raced[JOB_ID_BYTES];

static void *race(void *argument)
{
    for (int i = 0; i < 100; i++) {
        uint64_t offset = offset_of(raced);
        struct upload_sink *sink;
        struct upload now;

        if (partial_resume(&uploads, raced, &(struct upload_piece){offset, -1, "", ""}, &now, &sink, NULL)) {
            upload_done(&now);
            continue;
        }
        (void)upload_append(sink, argument, 1, NULL);
        upload_abandon(sink);
    }
    return NULL;
}

START_TEST(one_of_many_at_a_time_adds)
{
    struct upload_sink *sink;
    struct upload upload;
    pthread_t threads[4];
    uint64_t bytes;

    create(-1, "", raced);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, "x"), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    bytes = offset_of(raced);
    sink = resume(raced, bytes);
    ck_assert_int_eq(upload_commit(sink, &upload, NULL), 0);
    ck_assert_uint_eq(upload.bytes, bytes);
    ck_assert_int_eq(file_bytes(raced), (off_t)bytes);
    upload_done(&upload);
    ck_assert_uint_eq(atomic_load(&uploads.under_way_bytes), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("partial");
    TCase *tcase = tcase_create("partial");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pieces_become_one_upload_also_across_restarts);
    tcase_add_test(tcase, bytes_that_the_row_does_not_know_are_dropped);
    tcase_add_test(tcase, another_offset_is_refused_and_the_true_one_told);
    tcase_add_test(tcase, a_newer_request_cuts_the_older_off);
    tcase_add_test(tcase, a_deleted_or_wrong_upload_leaves_nothing);
    tcase_add_test(tcase, a_piece_with_a_digest_is_kept_whole_or_not_at_all);
    tcase_add_test(tcase, a_job_cannot_use_an_upload_that_grows_and_an_expiry_takes_it);
    tcase_add_test(tcase, the_quota_counts_the_pieces);
    tcase_add_test(tcase, a_digest_goes_on_in_another_process);
    tcase_add_test(tcase, one_of_many_at_a_time_adds);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
