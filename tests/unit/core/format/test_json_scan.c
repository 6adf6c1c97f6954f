#include "core/format/json_scan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A copy that ends exactly where the text does, so that a read beyond it is caught. */
static char *copy_of(const char *text, size_t bytes)
{
    char *copy = malloc(bytes ? bytes : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, bytes);
    return copy;
}

static bool skips(const char *text, size_t bytes, uint32_t nesting, struct json_scan *scan)
{
    char *copy = copy_of(text, bytes);
    bool is_whole;

    json_init(scan, copy, bytes, nesting);
    is_whole = json_skip(scan) && json_end(scan);
    ck_assert_int_eq(is_whole, scan->problem == NULL);
    free(copy);
    return is_whole;
}

static const char *const valid[] = {
    "{}",
    "[]",
    "null",
    " true ",
    "false",
    "0",
    "-0",
    "-0.5e-7",
    "1E+400",
    "123456789012345678901234567890",
    "\"\"",
    "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
    "{\"a\":[1,2,{\"b\":null}],\"a\":{}}",
    "[[[]],[],[[],[]]]",
    "\t\r\n [ 1 , 2 ] \n",
};

START_TEST(valid_json_is_accepted)
{
    struct json_scan scan;

    ck_assert_msg(skips(valid[_i], strlen(valid[_i]), 64, &scan), "%s: %s", valid[_i], scan.problem);
}
END_TEST

START_TEST(valid_json_cut_anywhere_is_refused)
{
    struct json_scan scan;

    if (!strchr("{[\"", valid[_i][0]))
        return; /* a number cut short may be a number */
    for (size_t cut = 0; cut < strlen(valid[_i]); cut++)
        ck_assert_msg(!skips(valid[_i], cut, 64, &scan), "%s cut to %zu bytes", valid[_i], cut);
}
END_TEST

static const struct {
    const char *text;
    size_t at; /* the byte that is blamed */
    const char *says;
} invalid[] = {
    {"", 0, "ends too early"},
    {"   ", 3, "ends too early"},
    {"{", 1, "ends too early"},
    {"{]", 1, "expected a key"},
    {"[}", 1, "expected a value"},
    {"[1,]", 3, "expected a value"},
    {"[,1]", 1, "expected a value"},
    {"[1 2]", 3, "expected ',' or ']'"},
    {"{\"a\":1,}", 7, "expected a key"},
    {"{\"a\" 1}", 5, "expected ':'"},
    {"{\"a\":}", 5, "expected a value"},
    {"{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"},
    {"{a:1}", 1, "expected a key"},
    {"{1:1}", 1, "expected a key"},
    {"nul", 0, "expected a value"},
    {"True", 0, "expected a value"},
    {"NaN", 0, "expected a value"},
    {"-", 0, "expected a value"},
    {"01", 0, "leading zero"},
    {"-01", 0, "leading zero"},
    {"1.", 0, "point"},
    {".5", 0, "expected a value"},
    {"1e", 0, "exponent"},
    {"1e+", 0, "exponent"},
    {"+1", 0, "expected a value"},
    {"1 1", 2, "something follows"},
    {"{}x", 2, "something follows"},
    {"{}{}", 2, "something follows"},
    {"\"a", 2, "does not end"},
    {"\"a\\", 2, "escape"},
    {"\"\\x\"", 1, "escape"},
    {"\"\\u12\"", 1, "four hexadecimal"},
    {"\"\\u12g4\"", 1, "four hexadecimal"},
    {"\"\\ud800\"", 1, "surrogate"},
    {"\"\\ud800\\n\"", 1, "surrogate"},
    {"\"\\ud800\\ud800\"", 1, "surrogate"},
    {"\"\\udc00\"", 1, "surrogate"},
    {"\"a\nb\"", 2, "control character"},
    {"\"12345678\x01\"", 9, "control character"},
    {"\"\x80\"", 1, "UTF-8"},
    {"\"\xc0\xaf\"", 1, "UTF-8"}, /* overlong */
    {"\"\xc1\xbf\"", 1, "UTF-8"},
    {"\"\xe0\x9f\xbf\"", 1, "UTF-8"},
    {"\"\xed\xa0\x80\"", 1, "UTF-8"}, /* a surrogate */
    {"\"\xf0\x8f\xbf\xbf\"", 1, "UTF-8"},
    {"\"\xf4\x90\x80\x80\"", 1, "UTF-8"}, /* above U+10FFFF */
    {"\"\xf8\x88\x80\x80\x80\"", 1, "UTF-8"},
    {"\"\xe2\x82", 1, "UTF-8"}, /* cut */
    {"\"\xff\"", 1, "UTF-8"},
    {"[\xef\xbb\xbf]", 1, "outside of ASCII"},
    {"\xef\xbb\xbf{}", 0, "outside of ASCII"},
    {"//x", 0, "expected a value"},
    {"'a'", 0, "expected a value"},
};

START_TEST(invalid_json_is_refused_where_it_goes_wrong)
{
    struct json_scan scan;

    ck_assert_msg(!skips(invalid[_i].text, strlen(invalid[_i].text), 64, &scan), "%s", invalid[_i].text);
    ck_assert_msg(strstr(scan.problem, invalid[_i].says), "%s: %s", invalid[_i].text, scan.problem);
    ck_assert_msg(scan.problem_at == invalid[_i].at, "%s: %s at %zu", invalid[_i].text, scan.problem, scan.problem_at);
}
END_TEST

START_TEST(a_zero_byte_is_no_whitespace)
{
    struct json_scan scan;

    ck_assert(!skips("{}\0", 3, 64, &scan));
    ck_assert(!skips("\0{}", 3, 64, &scan));
    ck_assert(!skips("[\0]", 3, 64, &scan));
    ck_assert(!skips("\"\0\"", 3, 64, &scan));
}
END_TEST

START_TEST(nesting_ends_at_the_limit)
{
    char deep[2 * 5000];
    struct json_scan scan;

    memset(deep, '[', 5000);
    memset(deep + 5000, ']', 5000);
    ck_assert(skips(deep + 4000, 2000, UINT32_MAX, &scan) == false); /* beyond what any caller may ask for */
    ck_assert(skips(deep + 5000 - JSON_NESTING_MAX, (size_t)2 * JSON_NESTING_MAX, UINT32_MAX, &scan));
    ck_assert(skips(deep + 5000 - 64, 128, 64, &scan));
    ck_assert(!skips(deep + 5000 - 65, 130, 64, &scan));
    ck_assert_ptr_nonnull(strstr(scan.problem, "nested"));
    ck_assert_uint_eq(scan.problem_at, 64);
}
END_TEST

static const struct {
    const char *text, *value;
} strings[] = {
    {"\"plain\"", "plain"},
    {"\"a longer text without any escape in it\"", "a longer text without any escape in it"},
    {"\"tab\\tquote\\\"slash\\/back\\\\end\"", "tab\tquote\"slash/back\\end"},
    {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
    {"\"\xc3\xa9\\n\xf0\x9f\x98\x80 and on it goes\"", "\xc3\xa9\n\xf0\x9f\x98\x80 and on it goes"},
};

START_TEST(strings_are_unescaped_in_place)
{
    char *copy = copy_of(strings[_i].text, strlen(strings[_i].text));
    struct json_scan scan;
    struct name text;

    json_init(&scan, copy, strlen(strings[_i].text), 1);
    ck_assert(json_string(&scan, &text) && json_end(&scan));
    ck_assert_uint_eq(text.bytes, strlen(strings[_i].value));
    ck_assert_mem_eq(text.text, strings[_i].value, text.bytes);
    free(copy);
}
END_TEST

static const struct {
    const char *text;
    bool is_good;
    uint64_t value;
} numbers[] = {
    {"0", true, 0},
    {" 42 ", true, 42},
    {"18446744073709551615", true, UINT64_MAX},
    {"18446744073709551616", false, 0},
    {"99999999999999999999999999", false, 0},
    {"-1", false, 0},
    {"-0", false, 0},
    {"1.0", false, 0},
    {"1e2", false, 0},
    {"1E2", false, 0},
    {"007", false, 0},
    {"+1", false, 0},
    {"0x10", false, 0},
    {"\"1\"", false, 0},
    {"true", false, 0},
    {"null", false, 0},
    {"", false, 0},
};

START_TEST(only_non_negative_integers_of_64_bits_pass)
{
    char *copy = copy_of(numbers[_i].text, strlen(numbers[_i].text));
    struct json_scan scan;
    uint64_t value = 7;

    json_init(&scan, copy, strlen(numbers[_i].text), 1);
    ck_assert_msg((json_u64(&scan, &value) && json_end(&scan)) == numbers[_i].is_good, "%s", numbers[_i].text);
    if (numbers[_i].is_good)
        ck_assert_uint_eq(value, numbers[_i].value);
    free(copy);
}
END_TEST

START_TEST(the_first_fault_stays)
{
    char text[] = "{\"a\":x}";
    struct json_scan scan;
    struct name key;
    uint64_t value;
    bool has;

    json_init(&scan, text, 7, 8);
    ck_assert(json_object(&scan) && json_member(&scan, &key, &has) && has);
    ck_assert(!json_u64(&scan, &value));
    ck_assert_uint_eq(scan.problem_at, 5);
    ck_assert(!json_skip(&scan) && !json_end(&scan) && !json_member(&scan, &key, &has) && !json_string(&scan, &key));
    ck_assert_uint_eq(scan.problem_at, 5);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("format/json_scan");
    TCase *tests = tcase_create("json_scan");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, valid_json_is_accepted, 0, COUNT(valid));
    tcase_add_loop_test(tests, valid_json_cut_anywhere_is_refused, 0, COUNT(valid));
    tcase_add_loop_test(tests, invalid_json_is_refused_where_it_goes_wrong, 0, COUNT(invalid));
    tcase_add_test(tests, a_zero_byte_is_no_whitespace);
    tcase_add_test(tests, nesting_ends_at_the_limit);
    tcase_add_loop_test(tests, strings_are_unescaped_in_place, 0, COUNT(strings));
    tcase_add_loop_test(tests, only_non_negative_integers_of_64_bits_pass, 0, COUNT(numbers));
    tcase_add_test(tests, the_first_fault_stays);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
