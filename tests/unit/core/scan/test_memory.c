/* Walks through the pass failing one allocation after the other: each ends it in ERROR_NO_MEMORY, and nothing leaks.
 * The C library's own allocator is put in front of; sanitizers have theirs, so there the walk is left out. */
#include "tests/unit/core/scan/scan_models.h"
#include "tests/unit/failing_malloc.h"

#ifdef HAS_SANITIZER
#define IS_WALK 0
static bool is_counting;
static long countdown, live;
#else
#define IS_WALK 1
#endif

START_TEST(every_failed_allocation_ends_the_pass_and_leaks_nothing)
{
    static uint8_t data[(3 << 20) + 4096];
    const uint64_t large[] = {3000, 1000}, small[] = {70, 1000}, wide[] = {1500, 1000};
    const uint32_t groups[] = {GROUP_NONE, 0, GROUP_NONE};
    struct scan_env env = {.threads = 1};
    struct test_pairing pairing;
    struct test_model first, second;
    struct scan_plan plan;
    size_t failures = 0;
    int rc = ERROR_NO_MEMORY;

    for (size_t fails_at = 1; IS_WALK && rc; fails_at++) {
        struct scan_result *result = NULL;
        struct error err = {0};

        test_model_init(&first, data, sizeof(data), false);
        test_model_init(&second, data, sizeof(data), false);
        test_model_add(&first, DTYPE_U8, 0, 2, large);
        test_model_add(&first, DTYPE_BF16, 0, 2, wide);
        test_model_add(&first, DTYPE_U8, 0, 2, small);
        test_model_add(&second, DTYPE_I8, 0, 2, large);
        test_model_add(&second, DTYPE_BF16, 0, 2, wide);
        test_pairing_init(&pairing, (struct test_model *[]){&first, &second}, 2);
        plan = test_plan(&pairing,
                         NEED_SIDE | NEED_DELTA | NEED_QUANTILES | NEED_PROFILE | NEED_ROWS | NEED_COLUMNS |
                             NEED_FLIPS | NEED_COUPLES | NEED_TURNS,
                         0);
        plan.groups = groups;
        plan.group_count = 1;
        countdown = (long)fails_at - 1;
        live = 0;
        is_counting = true;
        rc = scan_run(&plan, &env, &result, &err);
        scan_result_free(result);
        is_counting = false;
        ck_assert_int_eq(live, 0);
        if (rc) {
            ck_assert_int_eq(rc, ERROR_NO_MEMORY);
            ck_assert_int_eq(err.code, ERROR_NO_MEMORY);
            failures++;
        }
    }
    ck_assert(!IS_WALK || failures > 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan memory");
    TCase *tcase = tcase_create("memory");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_failed_allocation_ends_the_pass_and_leaks_nothing);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
