/* Patterns of a client who means harm: whatever they ask for ends soon, as a match, none, or a limit. Time is the
 * processor's, so that a busy machine does not matter. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/patterns.h"

enum { LONG_NAME = 4096, MATCH_MS_MAX = 1000 };

static struct pattern_set *compiled(const char *text)
{
    char *copy = strdup(text);
    struct patterns patterns = {&copy, 1};
    struct pattern_set *set;
    struct error err = {0};

    ck_assert_msg(pattern_set_new(&patterns, &set, &err) == 0, "%s", err.text);
    free(copy);
    return set;
}

static double processor_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static const char *const hostile[] = {
    "(a+)+$b",
    "(a|aa)+b",
    "(.*)*(.*)*(.*)*x",
    "\\w+\\p{L}*?[a-z]++[a-z][^b]*$b",
    "([^b]*?[^b]*?\\1\\1)c",
    "(*NO_START_OPT)a*b",
    "(*NO_AUTO_POSSESS)\\w*\\w*\\w*!",
    "(*LIMIT_MATCH=429496729)(a+)+$b",
    "(*LIMIT_HEAP=42949672)(a|aa)+b",
    "[ab]*[cd]",
    "[ab]*[ab]*[ab]*[cd]",
    "(?:[ab]{1,3}){500}c",
    "(a(?1)?b)",
    "(?R)?a(?R)?b",
    "(?=(a*))\\1b",
    "(?<!(?:a|b|c|d|e)(?:a|b|c|d|e)(?:a|b))x",
    "(\\p{L}\\p{Lu}){1,1000}",
    "\\X*\\X*\\X*b",
};

START_TEST(a_hostile_pattern_ends_soon)
{
    static const uint32_t lengths[] = {30, 255, LONG_NAME};
    struct pattern_set *set = compiled(hostile[_i]);
    char name[LONG_NAME];

    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        double begin = processor_ms(), took;
        struct error err = {0};
        bool matches;
        int rc = pattern_set_match(set, (struct name){name, lengths[i]}, &matches, &err);

        took = processor_ms() - begin;
        ck_assert(rc == 0 || rc == ERROR_LIMIT);
        ck_assert_msg(took < MATCH_MS_MAX, "%s on %u letters: %.0f ms", hostile[_i], lengths[i], took);
    }
    pattern_set_free(set);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_told)
{
    struct pattern_set *set = compiled("a");
    char *name = calloc(1, LONG_NAME + 1);
    struct error err = {0};
    bool matches;

    ck_assert_ptr_nonnull(name);
    ck_assert_int_eq(pattern_set_match(set, (struct name){name, LONG_NAME + 1}, &matches, &err), ERROR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "4097"));
    pattern_set_free(set);
    free(name);
}
END_TEST

START_TEST(many_names_together_have_their_time)
{
    struct pattern_set *set = compiled("(a|aa)+b");
    double begin = processor_ms();
    struct error err = {0};
    bool matches;
    int rc = 0;

    pattern_set_limit_time(set, 50);
    for (int i = 0; i < 10000000 && !rc; i++)
        rc = pattern_set_match(set, (struct name){"aaaaaaaaa", 9}, &matches, &err);
    ck_assert_int_eq(rc, ERROR_LIMIT);
    ck_assert(processor_ms() - begin < 1000);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than it may"));
    pattern_set_free(set);
}
END_TEST

/* What people write, on the longest name that models have, must not meet a limit. */
static const struct {
    const char *pattern;
    bool matches;
} honest[] = {
    {".*layers\\.(1|2|3)\\..*\\.weight", true},
    {"^model\\.layers\\.\\d+\\.mlp\\.experts\\.\\d+\\.(gate|up|down)_proj\\.weight_scale_inv$", true},
    {"(?i)LAYERNORM|Norm\\.(weight|bias)", false},
    {".*(attn|attention).*(q|k|v)_proj.*", false},
    {"^(?!.*(lora|adapter)).*weight.*$", true},
    {"^\\w+(\\.\\w+)*$", true},
    {"(.*)\\.(.*)\\.(.*)\\.(.*)\\.(.*)\\.(.*)\\.(.*)_inv", true},
};

START_TEST(an_honest_pattern_meets_no_limit)
{
    static const char name[] = "model.layers.1.mlp.experts.127.gate_proj.weight_scale_inv";
    struct pattern_set *set = compiled(honest[_i].pattern);
    struct error err = {0};
    bool matches;

    ck_assert_msg(pattern_set_match(set, (struct name){name, sizeof(name) - 1}, &matches, &err) == 0, "%s", err.text);
    ck_assert_int_eq(matches, honest[_i].matches);
    pattern_set_free(set);
}
END_TEST

static const char *const refused[] = {"((((((((((((((((((a))))))))))))))))))", "\\C", "(", "a{2,1}"};

START_TEST(a_pattern_over_a_limit_is_refused)
{
    char *copy = strdup(refused[_i]), *longer = malloc(PATTERN_BYTES_MAX + 2);
    struct patterns one = {&copy, 1}, other = {&longer, 1};
    struct pattern_set *set;
    struct error err = {0};

    ck_assert_int_eq(pattern_set_new(&one, &set, &err), ERROR_REQUEST);
    memset(longer, 'a', PATTERN_BYTES_MAX + 1);
    longer[PATTERN_BYTES_MAX + 1] = '\0';
    ck_assert_int_eq(pattern_set_new(&other, &set, &err), ERROR_REQUEST);
    free(copy);
    free(longer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("patterns");
    TCase *tcase = tcase_create("patterns");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_hostile_pattern_ends_soon, 0, sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(tcase, a_name_that_is_too_long_is_told);
    tcase_add_test(tcase, many_names_together_have_their_time);
    tcase_add_loop_test(tcase, an_honest_pattern_meets_no_limit, 0, sizeof(honest) / sizeof(honest[0]));
    tcase_add_loop_test(tcase, a_pattern_over_a_limit_is_refused, 0, sizeof(refused) / sizeof(refused[0]));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
