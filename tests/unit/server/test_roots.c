#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/roots.h"
#include "tests/unit/server/scratch.h"

enum { RACES = 20000 };

static char *directory;
static char root_path[640], other_path[640];
static struct roots one, two;

static void at(char out[600], const char *name)
{
    snprintf(out, 600, "%s/%s", directory, name);
}

static void link_to(const char *target, const char *name)
{
    char path[600];

    at(path, name);
    ck_assert_int_eq(symlink(target, path), 0);
}

static void make_directory(const char *name)
{
    char path[600];

    at(path, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

/* root/{model10,model2,.hidden,dir/{a,model.safetensors},inside→model2,out→../secret,absolute→/etc/passwd,fifo},
 * other/, secret */
static void setup(void)
{
    const char *settings[2];
    char path[600];
    struct error err = {0};

    directory = scratch_new();
    make_directory("root");
    make_directory("root/dir");
    make_directory("root/empty");
    make_directory("other");
    scratch_write(directory, "secret", "s", 1);
    scratch_write(directory, "root/model10", "0123456789", 10);
    scratch_write(directory, "root/model2", "ab", 2);
    scratch_write(directory, "root/.hidden", "", 0);
    scratch_write(directory, "root/bad\xff.bin", "", 0);
    scratch_write(directory, "root/dir/model.safetensors", "x", 1);
    scratch_write(directory, "other/b", "x", 1);
    link_to("model2", "root/inside");
    link_to("../secret", "root/out");
    link_to("/etc/passwd", "root/absolute");
    link_to("../../other", "root/dir/up");
    link_to("/proc/self/fd/0", "root/magic");
    at(path, "root/fifo");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    at(path, "root");
    snprintf(root_path, sizeof(root_path), "%s", path);
    settings[0] = root_path;
    ck_assert_msg(roots_open(settings, 1, &one, &err) == 0, "%s", err.text);
    snprintf(other_path, sizeof(other_path), "second=%s/other", directory);
    settings[1] = other_path;
    ck_assert_msg(roots_open(settings, 2, &two, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
    roots_done(&one);
    roots_done(&two);
    scratch_remove(directory);
}

struct attempt {
    const char *path;
    int expected;
};
static const struct attempt attempts[] = {
    {"model2", 0},
    {"./model2", 0},
    {"dir/../model2", 0},
    {"inside", 0},
    {"dir", 0},
    {"dir/model.safetensors", 0},
    {"empty", ERROR_NO_MODEL},
    {"missing", ERROR_NOT_FOUND},
    {"model2/x", ERROR_NOT_FOUND},
    {"out", ERROR_OUTSIDE},
    {"absolute", ERROR_OUTSIDE},
    {"magic", ERROR_OUTSIDE},
    {"dir/up/b", ERROR_OUTSIDE},
    {"..", ERROR_OUTSIDE},
    {"../secret", ERROR_OUTSIDE},
    {"dir/../../secret", ERROR_OUTSIDE},
    {"/etc/passwd", ERROR_OUTSIDE},
    {"/", ERROR_OUTSIDE},
    {"fifo", ERROR_NOT_REGULAR},
};

START_TEST(only_what_lies_below_the_root_can_be_named)
{
    struct error err = {0};
    int rc = roots_check_model(&one, attempts[_i].path, &err);

    ck_assert_msg(rc == attempts[_i].expected, "%s: %d, %s", attempts[_i].path, rc, err.text);
    ck_assert_msg(rc == 0 || strstr(err.text, directory) == NULL, "a message shows the root's path: %s", err.text);
}
END_TEST

START_TEST(an_absolute_path_below_a_root_is_accepted)
{
    char path[600];

    at(path, "root/model2");
    ck_assert_int_eq(roots_check_model(&one, path, NULL), 0);
    at(path, "root/../secret");
    ck_assert_int_eq(roots_check_model(&one, path, NULL), ERROR_OUTSIDE);
    at(path, "rootless");
    ck_assert_int_eq(roots_check_model(&one, path, NULL), ERROR_OUTSIDE);
    at(path, "other/b");
    ck_assert_int_eq(roots_check_model(&one, path, NULL), ERROR_OUTSIDE);
    ck_assert_int_eq(roots_check_model(&two, path, NULL), 0);
}
END_TEST

START_TEST(several_roots_are_told_apart_by_name)
{
    ck_assert_int_eq(roots_check_model(&two, "root/model2", NULL), 0);
    ck_assert_int_eq(roots_check_model(&two, "second/b", NULL), 0);
    ck_assert_int_eq(roots_check_model(&two, "model2", NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(roots_check_model(&two, "second/../root/model2", NULL), ERROR_OUTSIDE);
    ck_assert_int_eq(roots_check_model(&two, "secondary/b", NULL), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(a_path_of_any_length_is_answered)
{
    char *path = malloc(100001);

    memset(path, 'a', 100000);
    path[100000] = '\0';
    ck_assert_int_eq(roots_check_model(&one, path, NULL), ERROR_REQUEST);
    free(path);
}
END_TEST

START_TEST(a_listing_is_natural_and_shows_nothing_that_leads_out)
{
    static const char *const expected[] = {"dir", "empty", "inside", "model2", "model10"};
    struct model_list list;

    ck_assert_int_eq(roots_list(&one, "", 100, &list, NULL), 0);
    ck_assert(!list.is_cut);
    ck_assert_uint_eq(list.count, 5);
    for (size_t i = 0; i < list.count; i++)
        ck_assert_str_eq(list.entries[i].path, expected[i]);
    ck_assert(list.entries[0].is_directory && list.entries[0].is_model);
    ck_assert(list.entries[1].is_directory && !list.entries[1].is_model);
    ck_assert_uint_eq(list.entries[2].bytes, 2);
    ck_assert(list.entries[4].is_model && !list.entries[4].is_directory);
    ck_assert_uint_eq(list.entries[4].bytes, 10);
    ck_assert_int_gt(list.entries[4].modify_ms, 0);
    model_list_done(&list);
}
END_TEST

START_TEST(a_listing_spells_paths_as_a_request_would)
{
    struct model_list list;

    ck_assert_int_eq(roots_list(&two, NULL, 100, &list, NULL), 0);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.entries[1].path, "second");
    model_list_done(&list);
    ck_assert_int_eq(roots_list(&two, "root/dir/", 100, &list, NULL), 0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(list.entries[0].path, "root/dir/model.safetensors");
    ck_assert_int_eq(roots_check_model(&two, list.entries[0].path, NULL), 0);
    model_list_done(&list);
    ck_assert_int_eq(roots_list(&one, "", 2, &list, NULL), 0);
    ck_assert(list.is_cut);
    ck_assert_uint_eq(list.count, 2);
    model_list_done(&list);
    ck_assert_int_eq(roots_list(&one, "..", 2, &list, NULL), ERROR_OUTSIDE);
    ck_assert_int_eq(roots_list(&one, "model2", 2, &list, NULL), ERROR_REQUEST);
}
END_TEST

START_TEST(roots_that_cannot_be_are_refused)
{
    const char *missing[] = {"/nowhere/at/all"}, *twins[] = {root_path, root_path}, *named[] = {"a=/", "a=/tmp"};
    struct roots roots;

    ck_assert_int_eq(roots_open(missing, 1, &roots, NULL), ERROR_REQUEST);
    ck_assert_int_eq(roots_open(twins, 2, &roots, NULL), ERROR_REQUEST);
    ck_assert_int_eq(roots_open(named, 2, &roots, NULL), ERROR_REQUEST);
}
END_TEST

static atomic_bool is_over;

/* Swaps a directory for a link that leads out, and back, as fast as it can. */
static void *swap(void *argument)
{
    char swapped[600], real[600], link[600];

    (void)argument;
    at(swapped, "root/swapped");
    at(real, "root/real");
    at(link, "root/link");
    while (!atomic_load(&is_over)) {
        rename(swapped, real);
        rename(link, swapped);
        rename(swapped, link);
        rename(real, swapped);
    }
    return NULL;
}

START_TEST(a_race_of_renames_never_leads_out)
{
    struct stat secret, found;
    char path[600];
    pthread_t thread;
    int fd, is_directory, opened = 0;

    make_directory("root/swapped");
    scratch_write(directory, "root/swapped/secret", "i", 1);
    link_to("..", "root/link");
    at(path, "secret");
    ck_assert_int_eq(stat(path, &secret), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    /* On a busy machine the other thread may sleep for long in the moment when there is nothing to open. */
    for (int i = 0; i < RACES || opened == 0; i++) {
        struct place place;

        ck_assert_int_eq(roots_find(&one, "swapped/secret", &place, NULL), 0);
        if (place_open(&place, &fd, &is_directory, NULL) != 0)
            continue;
        ck_assert_int_eq(fstat(fd, &found), 0);
        ck_assert_uint_ne(found.st_ino, secret.st_ino);
        close(fd);
        opened++;
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    ck_assert_int_gt(opened, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("roots");
    TCase *tcase = tcase_create("roots");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, only_what_lies_below_the_root_can_be_named, 0, sizeof(attempts) / sizeof(attempts[0]));
    tcase_add_test(tcase, an_absolute_path_below_a_root_is_accepted);
    tcase_add_test(tcase, several_roots_are_told_apart_by_name);
    tcase_add_test(tcase, a_path_of_any_length_is_answered);
    tcase_add_test(tcase, a_listing_is_natural_and_shows_nothing_that_leads_out);
    tcase_add_test(tcase, a_listing_spells_paths_as_a_request_would);
    tcase_add_test(tcase, roots_that_cannot_be_are_refused);
    tcase_add_test(tcase, a_race_of_renames_never_leads_out);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
