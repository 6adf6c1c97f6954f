/* Owners of jobs and uploads in the store. */
#include <stdio.h>
#include <string.h>

#include "server/jobs/uuid.h"
#include "tests/unit/server/jobs/scratch_store.h"

static int submit_as(const char *name, unsigned scopes, uint64_t queued_max, const char *upload,
                     char out_id[JOB_ID_BYTES])
{
    struct caller caller = {.scopes = scopes, .queued_max = queued_max};
    struct submission submission = {.request = "{}",
                                    .labels = "{\"k\":\"v\"}",
                                    .uploads = &upload,
                                    .upload_count = upload != NULL,
                                    .caller = &caller};
    bool is_replay;
    struct job job;
    int rc;

    snprintf(caller.name, sizeof(caller.name), "%s", name);
    rc = store->ops->insert(store, &submission, &job, &is_replay, NULL);
    if (rc)
        return rc;
    ck_assert_str_eq(job.owner, name);
    snprintf(out_id, JOB_ID_BYTES, "%s", job.id);
    job_done(&job);
    return 0;
}

static size_t count_jobs(const struct job_filter *filter)
{
    struct job_list list;
    size_t count;

    ck_assert_int_eq(store->ops->list(store, filter, 0, 100, &list, NULL), 0);
    count = list.count;
    job_list_done(&list);
    return count;
}

START_TEST(jobs_and_uploads_have_owners)
{
    struct upload upload = {.owner = "alice", .bytes = 1, .create_ms = 1}, found;
    char id[JOB_ID_BYTES], owner[CALLER_NAME_BYTES];
    struct upload_list uploads;
    struct job job;

    uuid_new(1, upload.id);
    upload.name = (char *)"m";
    ck_assert_int_eq(store->ops->upload_insert(store, &upload, NULL), 0);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 0, upload.id, id), ERROR_NOT_FOUND);
    ck_assert_int_eq(submit_as("root", SCOPE_ADMIN, 0, upload.id, id), 0);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 0, NULL, id), 0);
    ck_assert_int_eq(submit_as("alice", SCOPE_SUBMIT, 0, upload.id, id), 0);
    reopen();
    ck_assert_int_eq(store->ops->owner(store, id, owner, NULL), 0);
    ck_assert_str_eq(owner, "alice");
    ck_assert_int_eq(store->ops->owner(store, upload.id, owner, NULL), 0);
    ck_assert_str_eq(owner, "alice");
    ck_assert_int_eq(store->ops->owner(store, "0190a000-0000-7000-8000-000000000009", owner, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
    ck_assert_str_eq(job.owner, "alice");
    job_done(&job);
    ck_assert_int_eq(store->ops->upload_get(store, upload.id, &found, NULL), 0);
    ck_assert_str_eq(found.owner, "alice");
    upload_done(&found);
    ck_assert_uint_eq(count_jobs(&(struct job_filter){.state = -1}), 3);
    ck_assert_uint_eq(count_jobs(&(struct job_filter){.state = -1, .owner = "alice"}), 1);
    ck_assert_uint_eq(count_jobs(&(struct job_filter){.state = JOB_QUEUED, .owner = "alice"}), 1);
    ck_assert_uint_eq(count_jobs(&(struct job_filter){.state = JOB_RUNNING, .owner = "alice"}), 0);
    ck_assert_uint_eq(
        count_jobs(&(struct job_filter){.state = -1, .labels = {{"k", NULL}}, .label_count = 1, .owner = "bob"}), 1);
    ck_assert_uint_eq(count_jobs(&(struct job_filter){.state = -1, .owner = "carol"}), 0);
    ck_assert_int_eq(store->ops->upload_list(store, "bob", 0, 9, &uploads, NULL), 0);
    ck_assert_uint_eq(uploads.count, 0);
    upload_list_done(&uploads);
    ck_assert_int_eq(store->ops->upload_list(store, "alice", 0, 9, &uploads, NULL), 0);
    ck_assert_uint_eq(uploads.count, 1);
    upload_list_done(&uploads);
}
END_TEST

START_TEST(a_share_of_the_queue_is_full_for_its_owner_only)
{
    char id[JOB_ID_BYTES];
    struct job_claim claim;

    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 2, NULL, id), 0);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 2, NULL, id), 0);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 2, NULL, id), ERROR_QUOTA);
    ck_assert_int_eq(submit_as("alice", SCOPE_SUBMIT, 2, NULL, id), 0);
    /* One that runs waits no more. */
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), 0);
    job_claim_done(&claim);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 2, NULL, id), 0);
    ck_assert_int_eq(submit_as("bob", SCOPE_SUBMIT, 2, NULL, id), ERROR_QUOTA);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store owners");
    TCase *tc = tcase_create("store owners");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, jobs_and_uploads_have_owners);
    tcase_add_test(tc, a_share_of_the_queue_is_full_for_its_owner_only);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
