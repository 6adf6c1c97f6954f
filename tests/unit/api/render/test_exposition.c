/* The text format, held against text written by hand from its definition. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/render/exposition.h"

static struct exposition out;

static void begin(void)
{
    exposition_init(&out);
}

static void expect_text(const char *expected)
{
    size_t bytes = 0;
    char *text = exposition_take(&out, &bytes);

    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(bytes, strlen(expected));
    free(text);
}

START_TEST(families_and_labels_are_escaped)
{
    exposition_family(&out, "a_total", METRIC_COUNTER, "A \\ and a \"quote\",\nand a line.");
    exposition_value(&out, 1, NULL);
    exposition_value(&out, 2, "x", "b\\c\"d\ne", "y", "", NULL);
    expect_text("# HELP a_total A \\\\ and a \"quote\",\\nand a line.\n"
                "# TYPE a_total counter\n"
                "a_total 1\n"
                "a_total{x=\"b\\\\c\\\"d\\ne\",y=\"\"} 2\n");
}
END_TEST

START_TEST(numbers_keep_every_digit_that_counts)
{
    exposition_family(&out, "g", METRIC_GAUGE, "Numbers.");
    exposition_value(&out, 9007199254740992.0, NULL);
    exposition_value(&out, 0.1, NULL);
    exposition_value(&out, -0.25, NULL);
    exposition_value(&out, NAN, NULL);
    exposition_value(&out, INFINITY, NULL);
    exposition_value(&out, -INFINITY, NULL);
    expect_text("# HELP g Numbers.\n# TYPE g gauge\n"
                "g 9007199254740992\ng 0.1\ng -0.25\ng NaN\ng +Inf\ng -Inf\n");
}
END_TEST

START_TEST(buckets_are_cumulative_and_end_at_infinity)
{
    static const double bounds[] = {0.25, 5};
    static const uint64_t counts[] = {1, 0, 2};

    exposition_family(&out, "h_seconds", METRIC_HISTOGRAM, "Three.");
    exposition_histogram(&out, bounds, 2, counts, 20.5, "r", "/x", NULL);
    exposition_histogram(&out, bounds, 2, counts, 20.5, NULL);
    expect_text("# HELP h_seconds Three.\n# TYPE h_seconds histogram\n"
                "h_seconds_bucket{r=\"/x\",le=\"0.25\"} 1\n"
                "h_seconds_bucket{r=\"/x\",le=\"5\"} 1\n"
                "h_seconds_bucket{r=\"/x\",le=\"+Inf\"} 3\n"
                "h_seconds_sum{r=\"/x\"} 20.5\n"
                "h_seconds_count{r=\"/x\"} 3\n"
                "h_seconds_bucket{le=\"0.25\"} 1\n"
                "h_seconds_bucket{le=\"5\"} 1\n"
                "h_seconds_bucket{le=\"+Inf\"} 3\n"
                "h_seconds_sum 20.5\n"
                "h_seconds_count 3\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exposition");
    TCase *tc = tcase_create("exposition");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, families_and_labels_are_escaped);
    tcase_add_test(tc, numbers_keep_every_digit_that_counts);
    tcase_add_test(tc, buckets_are_cumulative_and_end_at_infinity);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
