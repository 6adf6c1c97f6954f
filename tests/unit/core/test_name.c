#include "core/name.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const char *const in_order[] = {
    "",
    "01",
    "1",
    "2",
    "10",
    "A",
    "a",
    "a.",
    "a.1",
    "a.1.b",
    "a.2",
    "a.9.b",
    "a.10.a",
    "a.010.b",
    "a.10.b",
    "a.010.c",
    "a.10.c",
    "a.10b",
    "a.99999999999999999999998",
    "a.99999999999999999999999",
    "a.100000000000000000000000",
    "a.b",
    "layers.00",
    "layers.0.weight",
    "layers.1.mlp.experts.2.w",
    "layers.1.mlp.experts.10.w",
    "layers.2.mlp.experts.1.w",
    "layers.11.mlp.experts.1.w",
    "model.layers.12345678.a",
    "model.layers.12345679.a",
    "model.layers.123456780.a",
    "x12y3",
    "x12y12",
    "\xc3\xa9",
};

START_TEST(digit_runs_compare_as_numbers)
{
    for (int j = 0; j < COUNT(in_order); j++) {
        int order = name_compare_natural(name_of(in_order[_i]), name_of(in_order[j]));
        int wanted = _i < j ? -1 : _i > j;

        ck_assert_msg((order > 0) - (order < 0) == wanted, "%s and %s: %d", in_order[_i], in_order[j], order);
    }
}
END_TEST

/* The obvious way, without the shortcut over common prefixes. */
static int compare_slowly(struct name a, struct name b)
{
    uint32_t i = 0, j = 0;
    size_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order;

    while (i < a.bytes && j < b.bytes) {
        char run_a[64] = "", run_b[64] = "";
        size_t used_a = 0, used_b = 0;

        while (i < a.bytes && a.text[i] >= '0' && a.text[i] <= '9')
            run_a[used_a++] = a.text[i++];
        while (j < b.bytes && b.text[j] >= '0' && b.text[j] <= '9')
            run_b[used_b++] = b.text[j++];
        if (used_a && used_b) {
            unsigned long long one = strtoull(run_a, NULL, 10), two = strtoull(run_b, NULL, 10);

            if (one != two)
                return one < two ? -1 : 1;
            continue;
        }
        i -= (uint32_t)used_a;
        j -= (uint32_t)used_b;
        if (a.text[i] != b.text[j])
            return (unsigned char)a.text[i] < (unsigned char)b.text[j] ? -1 : 1;
        i++;
        j++;
    }
    if ((i < a.bytes) != (j < b.bytes))
        return i < a.bytes ? 1 : -1;
    order = memcmp(a.text, b.text, shorter);
    if (order)
        return order;
    return a.bytes == b.bytes ? 0 : a.bytes < b.bytes ? -1 : 1;
}

START_TEST(random_names_compare_as_the_obvious_way_says)
{
    static const char alphabet[] = "0019.ab";
    uint32_t state = 12345;

    for (int round = 0; round < 200000; round++) {
        char text[2][24];
        struct name names[2];
        int fast, slow;

        for (int n = 0; n < 2; n++) {
            state = state * 1664525u + 1013904223u;
            names[n] = (struct name){text[n], (state >> 16) % 12 + (round % 2 ? 8 : 0)};
            for (uint32_t i = 0; i < names[n].bytes; i++) {
                state = state * 1664525u + 1013904223u;
                text[n][i] = i < 8 && round % 2 ? "x.1y20.1"[i] : alphabet[(state >> 16) % 7];
            }
        }
        fast = name_compare_natural(names[0], names[1]);
        slow = compare_slowly(names[0], names[1]);
        ck_assert_msg((fast > 0) - (fast < 0) == (slow > 0) - (slow < 0), "%.*s and %.*s: %d, %d", (int)names[0].bytes,
                      text[0], (int)names[1].bytes, text[1], fast, slow);
    }
}
END_TEST

START_TEST(equal_means_the_same_bytes)
{
    struct name with_zero = {"a\0b", 3}, other_zero = {"a\0c", 3}, empty = {NULL, 0};

    ck_assert(name_equal(with_zero, with_zero));
    ck_assert(!name_equal(with_zero, other_zero));
    ck_assert(!name_equal(with_zero, name_of("a")));
    ck_assert(name_equal(empty, name_of("")));
    ck_assert_int_eq(name_compare_natural(with_zero, with_zero), 0);
    ck_assert_int_lt(name_compare_natural(with_zero, other_zero), 0);
    ck_assert_uint_ne(name_hash(with_zero), name_hash(other_zero));
}
END_TEST

static const struct {
    const char *text, *printed;
} printable[] = {
    {"model.weight", "model.weight"},
    {"n\xc3\xa4me \xf0\x9f\x98\x80", "n\xc3\xa4me \xf0\x9f\x98\x80"},
    {"a\nb\x1b[0m\x7f", "a\\x0ab\\x1b[0m\\x7f"},
    {"\xff\xc0\xaf", "\\xff\\xc0\\xaf"},
    {"\xe2\x80\xae"
     "evil",
     "\\u{202e}evil"},
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
};

START_TEST(names_are_printed_without_harm)
{
    char out[NAME_PRINTABLE_BYTES];

    ck_assert_str_eq(name_printable(name_of(printable[_i].text), out), printable[_i].printed);
}
END_TEST

START_TEST(long_names_are_abbreviated_in_the_middle)
{
    char out[NAME_PRINTABLE_BYTES], text[10000];

    memset(text, 'x', sizeof(text));
    name_printable((struct name){text, sizeof(text)}, out);
    ck_assert_uint_lt(strlen(out), 200);
    ck_assert_ptr_nonnull(strstr(out, "…"));
    ck_assert_ptr_nonnull(strstr(out, "(10000 bytes)"));
    memset(text, 1, sizeof(text)); /* each byte takes four */
    name_printable((struct name){text, sizeof(text)}, out);
    ck_assert_uint_lt(strlen(out), NAME_PRINTABLE_BYTES);
    ck_assert_ptr_nonnull(strstr(out, "(10000 bytes)"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("name");
    TCase *tests = tcase_create("name");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, digit_runs_compare_as_numbers, 0, COUNT(in_order));
    tcase_add_test(tests, random_names_compare_as_the_obvious_way_says);
    tcase_add_test(tests, equal_means_the_same_bytes);
    tcase_add_loop_test(tests, names_are_printed_without_harm, 0, COUNT(printable));
    tcase_add_test(tests, long_names_are_abbreviated_in_the_middle);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
