/* The examples of W3C Trace Context, and what it says of what is not one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "api/trace.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static const struct {
    const char *sent;
    const char *flags; /* NULL: not valid */
} fields[] = {
    {"00-" TRACE "-" PARENT "-01", "01"},
    {"00-" TRACE "-" PARENT "-00", "00"},
    {"00-" TRACE "-" PARENT "-03", "01"},
    {"00-" TRACE "-" PARENT "-fe", "00"},
    {"cc-" TRACE "-" PARENT "-01", "01"},
    {"cc-" TRACE "-" PARENT "-01-what-the-future-brings", "01"},
    {"cc-" TRACE "-" PARENT "-01.what", NULL},
    {"00-" TRACE "-" PARENT "-01-more", NULL},
    {"ff-" TRACE "-" PARENT "-01", NULL},
    {"00-" TRACE "-" PARENT "-1", NULL},
    {"00-" TRACE "-" PARENT "-0g", NULL},
    {"00-00000000000000000000000000000000-" PARENT "-01", NULL},
    {"00-" TRACE "-0000000000000000-01", NULL},
    {"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01", NULL},
    {"00-" TRACE "-" PARENT, NULL},
    {"00-" TRACE "-" PARENT "-01, 00-" TRACE "-" PARENT "-01", NULL},
    {"00_" TRACE "-" PARENT "-01", NULL},
    {"0-" TRACE "-" PARENT "-001", NULL},
    {"", NULL},
    {NULL, NULL},
};

START_TEST(a_trace_goes_on_under_a_parent_id_of_our_own)
{
    char out[TRACEPARENT_BYTES] = "x", id[TRACE_ID_BYTES];
    bool is_valid = trace_continue(fields[_i].sent, out);

    trace_id_of(out, id);
    ck_assert_int_eq(is_valid, fields[_i].flags != NULL);
    if (!is_valid) {
        ck_assert_str_eq(out, "");
        ck_assert_str_eq(id, "");
        return;
    }
    ck_assert_uint_eq(strlen(out), 55);
    ck_assert_int_eq(strncmp(out, "00-" TRACE "-", 36), 0);
    ck_assert_int_ne(strncmp(out + 36, PARENT, 16), 0);
    ck_assert_uint_eq(strspn(out + 36, "0123456789abcdef"), 16);
    ck_assert_str_eq(out + 53, fields[_i].flags);
    ck_assert_str_eq(id, TRACE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tc = tcase_create("trace");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, a_trace_goes_on_under_a_parent_id_of_our_own, 0, sizeof(fields) / sizeof(fields[0]));
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
