#include "core/edit_distance.h"

#include <check.h>
#include <string.h>

static const struct {
    const char *a, *b;
    unsigned edits;
} cases[] = {
    {"", "", 0},          {"", "abc", 3},    {"abc", "", 3},           {"stats", "stats", 0},
    {"stat", "stats", 1}, {"tpo", "top", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2},
};

START_TEST(edits_are_counted_both_ways)
{
    const char *a = cases[_i].a, *b = cases[_i].b;

    ck_assert_uint_eq(edit_distance(a, strlen(a), b, strlen(b)), cases[_i].edits);
    ck_assert_uint_eq(edit_distance(b, strlen(b), a, strlen(a)), cases[_i].edits);
}
END_TEST

START_TEST(only_the_bytes_given_are_looked_at)
{
    ck_assert_uint_eq(edit_distance("topmost", 3, "top", 3), 0);
}
END_TEST

START_TEST(long_names_are_far)
{
    char name[EDIT_NAME_BYTES_MAX + 1];

    memset(name, 'a', sizeof(name));
    ck_assert_uint_eq(edit_distance(name, sizeof(name) - 1, name, sizeof(name) - 1), 0);
    ck_assert_uint_eq(edit_distance(name, sizeof(name), name, 1), EDIT_FAR);
    ck_assert_uint_eq(edit_distance(name, 1, name, sizeof(name)), EDIT_FAR);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edit_distance");
    TCase *tcase = tcase_create("edit_distance");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, edits_are_counted_both_ways, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, only_the_bytes_given_are_looked_at);
    tcase_add_test(tcase, long_names_are_far);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
