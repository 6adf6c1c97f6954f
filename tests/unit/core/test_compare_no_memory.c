/* Whole comparisons while the nth allocation fails, for every n: an error each time, no crash and nothing left behind.
 * One thread: which of several would meet the failure is not told. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/render/render.h"
#include "core/analysis/analysis.h"
#include "tests/unit/failing_malloc.h"

#ifdef HAS_SANITIZER

int main(void)
{
    puts("left out: the allocator is the sanitizer's");
    return 0;
}

#else

#define FIXTURE(name) FIXTURES "/golden/compare/" name ".safetensors"

static int open_one(const char *path, struct model **ret_model, struct error *err)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};

    return model_open(&place, &limits_default, ret_model, err);
}

enum { MODELS_MAX = 3 };

static int compare_and_render(const struct compare_request *request, const char *const *paths, size_t count,
                              struct error *err)
{
    static struct output output;
    struct model *models[MODELS_MAX] = {NULL};
    struct compare_env env = {.scan.threads = 1};
    struct render_options options = {0};
    struct comparison *comparison = NULL;
    int rc = 0;

    for (size_t m = 0; rc == 0 && m < count; m++)
        rc = open_one(paths[m], &models[m], err);
    if (rc == 0)
        rc = compare_run(request, models, count, &env, &comparison, err);
    if (rc == 0) {
        output_init(&output, open("/dev/null", O_WRONLY | O_CLOEXEC));
        for (size_t i = 0; i < renderer_count; i++)
            renderers[i]->render(comparison, &options, &output);
        rc = output_finish(&output, err);
        close(output.fd);
    }
    comparison_free(comparison);
    for (size_t m = 0; m < count; m++)
        model_close(models[m]);
    return rc;
}

static void walk_all(const struct compare_request *request, const char *const *paths, size_t count)
{
    long n = 0;
    int rc;

    do {
        struct error err = {0};

        live = 0;
        countdown = n++;
        is_counting = true;
        rc = compare_and_render(request, paths, count, &err);
        is_counting = false;
        ck_assert_msg(live == 0, "%ld blocks are left when allocation %ld fails: %s", live, n - 1, err.text);
        ck_assert_msg(rc == 0 || rc == ERROR_NO_MEMORY, "allocation %ld: %d: %s", n - 1, rc, err.text);
    } while (rc != 0 || countdown < 0);
    ck_assert_int_gt(n, 30);
}

static void walk(const struct compare_request *request, const char *a, const char *b)
{
    walk_all(request, (const char *const[]){a, b}, 2);
}

START_TEST(every_analysis_reports_short_memory)
{
    struct compare_request request = {.analyses = (1u << analysis_count) - 1};

    options_init(&request.options);
    request.options.quantiles = true;
    walk(&request, FIXTURE("finetune.a"), FIXTURE("finetune.b"));
    request.options.quantiles = false;
    request.options.what_if = true;
    walk(&request, FIXTURE("quantize.a"), FIXTURE("quantize.b"));
    options_done(&request.options);
}
END_TEST

/* Layers that were dropped, doubled and renamed: pairs are made anew, and the couples of their layers read again. */
START_TEST(pairing_by_content_reports_short_memory)
{
    struct compare_request request = {.analyses = 0};

    for (size_t i = 0; i < analysis_count; i++)
        if (strcmp(analyses[i]->name, "convergence_analysis") == 0 || strcmp(analyses[i]->name, "change_summary") == 0)
            request.analyses |= 1u << i;
    options_init(&request.options);
    walk(&request, FIXTURES "/golden/series/moved.0.safetensors", FIXTURES "/golden/series/moved.2.safetensors");
    options_done(&request.options);
}
END_TEST

/* The last looks at parts of the first's tensors, and so does the model between, whose layout is the first's. */
START_TEST(models_of_other_layouts_report_short_memory)
{
    static const char *const paths[] = {FIXTURES "/align/qkv-fused", FIXTURES "/align/qkv-fused",
                                        FIXTURES "/align/qkv-apart"};
    struct compare_request request = {.analyses = 1};

    options_init(&request.options);
    walk_all(&request, paths, 3);
    options_done(&request.options);
}
END_TEST

START_TEST(patterns_report_short_memory)
{
    struct compare_request request = {.analyses = 1};

    options_init(&request.options);
    ck_assert_int_eq(option_set_text(&request.options, option_find("include", 7), "layers", NULL), 0);
    ck_assert_int_eq(option_set_text(&request.options, option_find("exclude", 7), "norm|bias", NULL), 0);
    walk(&request, FIXTURE("finetune.a"), FIXTURE("finetune.b"));
    options_done(&request.options);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("comparison without memory");
    TCase *tcase = tcase_create("no_memory");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, every_analysis_reports_short_memory);
    tcase_add_test(tcase, pairing_by_content_reports_short_memory);
    tcase_add_test(tcase, models_of_other_layouts_report_short_memory);
    tcase_add_test(tcase, patterns_report_short_memory);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
