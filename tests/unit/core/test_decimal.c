/* How numbers look: expectations are Python's repr of the same doubles, which is the shortest that reads back. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"

static const struct {
    double value;
    const char *text;
} cases[] = {
    {0.1, "0.1"},
    {-0.0, "0"},
    {1, "1"},
    {-1.5, "-1.5"},
    {100, "100"},
    {1e16, "10000000000000000"},
    {1e17, "1e+17"},
    {1e22, "1e+22"},
    {0.0001, "0.0001"},
    {0.00001234, "0.00001234"},
    {0.000001234, "1.234e-06"},
    {9007199254740993.0, "9007199254740992"},
    {5e-324, "5e-324"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {0x1p-1074 * 3, "1.5e-323"},
    {123456.789, "123456.789"},
    {0.30000000000000004, "0.30000000000000004"},
    {9.5367431640625e-07, "9.5367431640625e-07"},
};

START_TEST(known_values_look_as_expected)
{
    char text[DECIMAL_BYTES];

    ck_assert_uint_eq(decimal_write(cases[_i].value, text), strlen(cases[_i].text));
    ck_assert_str_eq(text, cases[_i].text);
}
END_TEST

START_TEST(random_values_read_back_and_are_no_longer_than_seventeen_digits)
{
    uint64_t state = 88172645463325252u;

    for (int i = 0; i < 200000; i++) {
        char text[DECIMAL_BYTES], shorter[64];
        double value;
        int digits;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(&value, &state, sizeof(value));
        if (!isfinite(value))
            continue;
        ck_assert_uint_lt(decimal_write(value, text), DECIMAL_BYTES);
        ck_assert_double_eq(strtod(text, NULL), value);
        /* printf with one digit less must not read back as well: the digits are the fewest */
        digits = 0;
        for (const char *at = text; *at && *at != 'e'; at++)
            digits += (*at >= '0' && *at <= '9') && (digits || *at != '0');
        if (digits > 1 && strchr(text, '.')) {
            snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, value);
            ck_assert_msg(strtod(shorter, NULL) != value, "%s could be %s", text, shorter);
        }
    }
}
END_TEST

START_TEST(whole_numbers_look_as_printf_has_them)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 200; i++) {
        char text[DECIMAL_BYTES], expected[DECIMAL_BYTES];

        ck_assert_int_lt(snprintf(expected, sizeof(expected), "%" PRIu64, value), DECIMAL_BYTES);
        ck_assert_uint_eq(decimal_write_u64(value, text), strlen(expected));
        ck_assert_str_eq(text, expected);
        value = i % 3 == 0   ? UINT64_MAX >> (i / 3 % 64)
                : i % 3 == 1 ? value + 1
                             : UINT64_C(10000000000000000000) / (value | 1);
    }
}
END_TEST

/* Where a digit is added; a figure of as many digits stands with its point behind each of them. */
START_TEST(every_count_of_digits_looks_as_printf_has_it)
{
    uint64_t power = 1;

    for (unsigned digits = 1; digits <= 19; digits++, power *= 10) {
        char text[DECIMAL_BYTES], expected[DECIMAL_BYTES];

        for (uint64_t value = power - 1; value != power + 2; value++) {
            snprintf(expected, sizeof(expected), "%" PRIu64, value);
            ck_assert_uint_eq(decimal_write_u64(value, text), strlen(expected));
            ck_assert_str_eq(text, expected);
        }
        for (int point = 1; digits >= 2 && digits <= 15 && point <= 19; point++) {
            double value;

            snprintf(text, sizeof(text), "%" PRIu64 "e-%d", power + power / 10 * 2 + 1, point); /* no 0 at its end */
            value = strtod(text, NULL);
            snprintf(expected, sizeof(expected), "%.*f", point, value);
            decimal_write(value, text);
            ck_assert_msg(strchr(text, 'e') || strcmp(text, expected) == 0, "%s instead of %s", text, expected);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decimal");
    TCase *tcase = tcase_create("decimal");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60); /* sanitizers are slow */
    tcase_add_loop_test(tcase, known_values_look_as_expected, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, whole_numbers_look_as_printf_has_them);
    tcase_add_test(tcase, every_count_of_digits_looks_as_printf_has_it);
    tcase_add_test(tcase, random_values_read_back_and_are_no_longer_than_seventeen_digits);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
