/* A source that goes on with its last element. */
#include "core/io/repeated.h"

#include <check.h>
#include <string.h>

START_TEST(the_last_element_goes_on_to_the_end)
{
    static const char whole[] = "aabbccccccccccccc";
    struct source *source = NULL;
    struct error err = {0};
    char out[16];

    ck_assert_int_eq(repeated_open("aabbcc", 6, 2, 16, "x", &source, &err), 0);
    ck_assert_uint_eq(source->size, 16);
    for (size_t from = 0; from <= 16; from++)
        for (size_t bytes = 0; bytes <= 16 - from; bytes++) {
            ck_assert_int_eq(source_read_at(source, from, out, bytes, &err), 0);
            ck_assert_mem_eq(out, whole + from, bytes);
        }
    ck_assert_int_eq(source_read_at(source, 10, out, 7, &err), ERROR_FORMAT);
    ck_assert_int_eq(source_check(source, &err), 0);
    source_close(source);
}
END_TEST

/* Bytes of an element keep their order wherever a range begins. */
START_TEST(elements_of_several_bytes_are_repeated_whole)
{
    struct source *source = NULL;
    char out[9];

    ck_assert_int_eq(repeated_open("0123", 4, 4, 1 << 20, "x", &source, NULL), 0);
    ck_assert_int_eq(source_read_at(source, 4 * 99 + 3, out, 9, NULL), 0);
    ck_assert_mem_eq(out, "301230123", 9);
    source_close(source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repeated");
    TCase *tcase = tcase_create("repeated");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, the_last_element_goes_on_to_the_end);
    tcase_add_test(tcase, elements_of_several_bytes_are_repeated_whole);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
