#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/jobs/results.h"

static unsigned files_left; /* that may be made */

static int create(struct blob_store *blobs, const char *name, int *ret_fd, struct error *err)
{
    (void)blobs;
    (void)name;
    if (files_left == 0)
        return error_set(err, ERROR_WRITE, "no more");
    files_left--;
    *ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return 0;
}

static void remove_nothing(struct blob_store *blobs, const char *name)
{
    (void)blobs;
    (void)name;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

/* Closing a number that is not ours cuts whoever has it: a client's connection, or the job store. */
START_TEST(files_that_cannot_be_opened_close_no_descriptor_of_others)
{
    static const struct blob_store_ops ops = {.create = create, .remove = remove_nothing};
    struct blob_store blobs = {.ops = &ops};
    struct result_files files;
    int next;

    if (!is_open(STDIN_FILENO)) /* so that closing it would show */
        ck_assert_int_eq(open("/dev/null", O_RDONLY), STDIN_FILENO);
    next = dup(STDIN_FILENO);
    close(next);
    files_left = (unsigned)_i;
    ck_assert_int_eq(result_files_open(&blobs, "01a209be-3135-794b-a11d-ddaae933eb87", 1, &files, NULL), ERROR_WRITE);
    ck_assert(is_open(STDIN_FILENO));
    ck_assert_int_eq(dup(STDIN_FILENO), next); /* and its own are closed */
    close(next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("results");
    TCase *tcase = tcase_create("results");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, files_that_cannot_be_opened_close_no_descriptor_of_others, 0, REPRESENTATION_COUNT);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
