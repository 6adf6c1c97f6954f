#include "core/utf8.h"

#include <check.h>
#include <string.h>

/* Every code point there is: written and read back, and refused where Unicode has none (surrogates). */
START_TEST(every_character_is_read_as_it_was_written)
{
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        uint32_t back = 0;
        char text[4];
        size_t length = utf8_encode(code, text);
        bool is_character = code < 0xd800 || code > 0xdfff;

        /* Check writes down each assertion: a million of them would take seconds. */
        if (utf8_decode(text, length, &back) != (is_character ? length : 0) || (is_character && back != code) ||
            utf8_decode(text, length - 1, &back) != 0)
            ck_abort_msg("U+%04X", (unsigned)code);
    }
}
END_TEST

/* From the table of ill-formed sequences of the Unicode standard, 3.9. */
static const char *const bad[] = {
    "\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x9f\xbf",     "\xed\xa0\x80",
    "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
    "\xe1\x80\xe2", "\xf1\x80\x80\x41", "\xc3\x28"};

START_TEST(what_is_not_well_formed_is_refused)
{
    uint32_t code;

    ck_assert_uint_eq(utf8_decode(bad[_i], strlen(bad[_i]), &code), 0);
    ck_assert(!utf8_is_valid(bad[_i], strlen(bad[_i])));
}
END_TEST

START_TEST(what_acts_on_a_terminal_is_harmful)
{
    static const uint32_t harmful[] = {0,      0x1b,   0x7f,   0x9b,   0x61c,  0x200b,
                                       0x200f, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff};
    static const uint32_t plain[] = {' ', 'a', 0xe9, 0x627, 0x6a21, 0x1f642};

    for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++)
        ck_assert_msg(utf8_is_harmful(harmful[i]), "U+%04X", (unsigned)harmful[i]);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        ck_assert_msg(!utf8_is_harmful(plain[i]), "U+%04X", (unsigned)plain[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tcase = tcase_create("utf8");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, every_character_is_read_as_it_was_written);
    tcase_add_loop_test(tcase, what_is_not_well_formed_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, what_acts_on_a_terminal_is_harmful);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
