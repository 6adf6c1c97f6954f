/* Keys and labels of submissions on SQLite. */
#include <stdlib.h>
#include <string.h>

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

static size_t count_labelled(const struct label *labels, size_t count)
{
    struct job_filter filter = {.state = -1, .label_count = count};
    struct job_list list;

    for (size_t i = 0; i < count; i++)
        filter.labels[i] = labels[i];
    ck_assert_int_eq(store->ops->list(store, &filter, 0, 9, &list, NULL), 0);
    count = list.count;
    job_list_done(&list);
    return count;
}

START_TEST(several_labels_must_all_be_there)
{
    static const struct label labels[FILTER_LABELS_MAX] = {{"a", "1"}, {"b", "2"}, {"c", NULL}, {"d", "4"},
                                                           {"e", "5"}, {"f", "6"}, {"g", "7"},  {"h", "8"}};
    static const struct label one_wrong[] = {{"a", "1"}, {"b", "3"}}, one_more[] = {{"a", "1"}, {"z", NULL}};
    char id[JOB_ID_BYTES];

    submit("{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\",\"f\":\"6\",\"g\":\"7\",\"h\":\"8\"}", id);
    submit("{\"a\":\"1\"}", id);
    ck_assert_uint_eq(count_labelled(labels, 1), 2);
    for (size_t i = 2; i <= FILTER_LABELS_MAX; i++)
        ck_assert_uint_eq(count_labelled(labels, i), 1);
    ck_assert_uint_eq(count_labelled(one_wrong, 2), 0);
    ck_assert_uint_eq(count_labelled(one_more, 2), 0);
}
END_TEST

START_TEST(a_key_makes_one_job_of_an_owner_until_that_is_gone)
{
    struct caller caller = {.name = "x"};
    struct submission submission = {.request = "{}", .caller = &caller, .key = "k", .digest = "d1"};
    struct job first, again;

    ck_assert_int_eq(store->ops->find_submitted(store, &submission, &first, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->insert(store, &submission, &first, &is_replay, NULL), 0);
    ck_assert(!is_replay);
    store->ops->close(store);
    store = open_store(1); /* after a restart, and with the queue full */
    ck_assert_int_eq(store->ops->insert(store, &submission, &again, &is_replay, NULL), 0);
    ck_assert(is_replay);
    ck_assert_str_eq(again.id, first.id);
    ck_assert_uint_eq(again.queue_position, 1);
    job_done(&again);
    ck_assert_int_eq(store->ops->find_submitted(store, &submission, &again, NULL), 0);
    ck_assert_str_eq(again.id, first.id);
    job_done(&again);
    submission.digest = "d2";
    ck_assert_int_eq(store->ops->insert(store, &submission, &again, &is_replay, NULL), ERROR_REQUEST);
    ck_assert_int_eq(store->ops->find_submitted(store, &submission, &again, NULL), ERROR_REQUEST);
    caller.name[0] = 'y'; /* somebody else's key of the same name */
    ck_assert_int_eq(store->ops->find_submitted(store, &submission, &again, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(store->ops->remove(store, first.id, NULL), 0);
    caller.name[0] = 'x';
    ck_assert_int_eq(store->ops->insert(store, &submission, &again, &is_replay, NULL), 0);
    ck_assert(!is_replay);
    ck_assert_str_ne(again.id, first.id);
    job_done(&again);
    job_done(&first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_submissions");
    TCase *tcase = tcase_create("store_submissions");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, several_labels_must_all_be_there);
    tcase_add_test(tcase, a_key_makes_one_job_of_an_owner_until_that_is_gone);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
