/* What PyTorch stores once (fixtures/twins/make_torch_tied.py, which prints the figures that torch finds). */
#include "core/model/shared.h"
#include "tests/unit/core/compared.h"

#define TWINS FIXTURES "/twins/"

START_TEST(what_lies_in_another_tensor_says_so_and_counts_once)
{
    static const char *const within[] = {NULL, "emb.weight", NULL, "x"};
    struct model *model = opened(TWINS "tied-a.pt");

    ck_assert_uint_eq(model->tensor_count, 4);
    ck_assert_uint_eq(model->parameters, 64);
    for (size_t t = 0; t < 4; t++) {
        const struct tensor *found = model_within(model, t);

        ck_assert(!found == !within[t]);
        ck_assert(!found || name_equal(found->name, name_of(within[t])));
    }
    model_close(model);
}
END_TEST

/* Tied on both sides, a head counts once; where one side has a head of its own, it is another tensor. */
START_TEST(sums_are_over_each_storage_once)
{
    static const struct {
        const char *other;
        uint64_t elements;
        double relative_l2;
    } rows[] = {{TWINS "tied-b.pt", 64, 1.0562557619010609}, {TWINS "untied-b.pt", 104, 1.2566049344925898}};
    struct compared x;

    compare_paths(&x, TWINS "tied-a.pt", NULL, rows[_i].other, false);
    ck_assert_uint_eq(x.c->parameters_compared, rows[_i].elements);
    ck_assert_double_eq_tol(delta_relative_l2(&x.c->total), rows[_i].relative_l2, 1e-14);
    ck_assert_uint_eq(x.c->status_counts[STATUS_CHANGED], 4);
    done(&x);
}
END_TEST

START_TEST(a_selection_without_the_other_counts_what_is_left)
{
    struct compared x = {.request = {.analyses = 1}};
    struct compare_env env = {.scan = {.threads = 1, .cache_bytes = UINT64_MAX}};
    struct error err = {0};

    options_init(&x.request.options);
    ck_assert_int_eq(option_set_text(&x.request.options, option_find("include", 7), "lm_head", &err), 0);
    x.models[0] = opened(TWINS "tied-a.pt");
    x.models[1] = opened(TWINS "tied-b.pt");
    ck_assert_msg(compare_run(&x.request, x.models, 2, &env, &x.c, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(x.c->parameters_compared, 40);
    done(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared");
    TCase *tcase = tcase_create("shared");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, what_lies_in_another_tensor_says_so_and_counts_once);
    tcase_add_loop_test(tcase, sums_are_over_each_storage_once, 0, 2);
    tcase_add_test(tcase, a_selection_without_the_other_counts_what_is_left);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
