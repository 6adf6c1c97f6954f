/* The README's table of formats is what the program says of itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/format.h"

static char *readme;

/* Without the marks of code. */
static void setup(void)
{
    FILE *file = fopen(FIXTURES "/../../README.md", "r");
    size_t used = 0;
    int c;

    ck_assert_ptr_nonnull(file);
    readme = calloc(1, 1 << 20);
    while (used < (1 << 20) - 1 && (c = getc(file)) != EOF)
        if (c != '`')
            readme[used++] = (char)c;
    fclose(file);
}

static void teardown(void)
{
    free(readme);
}

START_TEST(the_readme_says_what_each_format_reads_lists_and_refuses)
{
    const struct format_docs *docs = formats[_i]->docs;
    char row[8192];

    ck_assert_msg(docs && docs->reads && docs->lists && docs->refuses, "%s has no docs", formats[_i]->name);
    snprintf(row, sizeof(row), "| %s | %s | %s |\n", docs->reads, docs->lists, docs->refuses);
    ck_assert_msg(strstr(readme, row) != NULL, "README.md has no row of the table of formats that ends with: %s", row);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docs of formats");
    TCase *tcase = tcase_create("docs");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_readme_says_what_each_format_reads_lists_and_refuses, 0, (int)format_count);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
