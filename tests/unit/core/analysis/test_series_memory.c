/* Walks through a comparison with the analyses of series failing one allocation after the other: each ends it in
 * ERROR_NO_MEMORY, and nothing leaks. Sanitizers have an allocator of their own, so there the walk is left out. */
#include "tests/unit/core/analysis/series_documents.h"
#include "tests/unit/failing_malloc.h"

#ifdef HAS_SANITIZER
#define IS_WALK 0
static bool is_counting;
static long countdown, live;
#else
#define IS_WALK 1
#endif

/* What may fail without harm (a list that is not made shorter) ends in success too. */
static void walk(struct model *const *models, size_t count, const char *const *names, unsigned at_least)
{
    struct compare_request request = {0};
    struct compare_env env = {.scan.threads = 1};
    size_t failures = 0, in_a_row = 0;

    options_init(&request.options);
    request.options.similarity_across = ACROSS_BETWEEN;
    for (size_t i = 0; names[i]; i++)
        request.analyses |= 1u << analysis_by_name(names[i], strlen(names[i]));
    for (size_t fails_at = 1; IS_WALK && in_a_row < 8; fails_at++) {
        struct comparison *comparison = NULL;
        struct error err = {0};
        int rc;

        countdown = (long)fails_at - 1;
        live = 0;
        is_counting = true;
        rc = compare_run(&request, models, count, &env, &comparison, &err);
        comparison_free(comparison);
        is_counting = false;
        ck_assert_msg(live == 0, "allocation %zu: %ld blocks are left", fails_at, live);
        in_a_row = rc ? 0 : in_a_row + 1;
        if (rc) {
            ck_assert_int_eq(rc, ERROR_NO_MEMORY);
            failures++;
        }
    }
    ck_assert(!IS_WALK || failures >= at_least);
    options_done(&request.options);
}

START_TEST(a_series_survives_every_failed_allocation)
{
    static const char *const names[] = {"convergence_analysis", "similarity_matrix", NULL};
    struct model *models[3] = {open_at(SERIES "series.0.safetensors"), open_at(SERIES "series.1.safetensors"),
                               open_at(SERIES "series.2.safetensors")};

    walk(models, 3, names, 30);
    for (size_t i = 0; i < 3; i++)
        model_close(models[i]);
}
END_TEST

START_TEST(a_checkpoint_survives_every_failed_allocation)
{
    static const char *const names[] = {"gradient_analysis", NULL};
    struct model *models[1] = {open_at(SERIES "adam.safetensors")};

    walk(models, 1, names, 10);
    model_close(models[0]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_series_survives_every_failed_allocation,
        a_checkpoint_survives_every_failed_allocation,
    };

    return run_cases("memory of series", tests, sizeof(tests) / sizeof(tests[0]));
}
