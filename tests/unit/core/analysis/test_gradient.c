/* gradient_analysis against NumPy, over the layouts in which gradients and optimizer state lie in checkpoints. */
#include "tests/unit/core/analysis/series_documents.h"

#define AT "/analyses/gradient_analysis"

struct layout_case {
    const char *name;
    unsigned at_least;
};
static const struct layout_case layouts[] = {
    {"grads", 30},       {"grad_suffix", 30}, {"adam", 40}, {"adam_numbered", 40}, {"adam_listed", 40},
    {"adam_unnamed", 9}, {"flax", 40},        {"sgd", 30},  {"rmsprop", 30},       {"vae", 3},
};

START_TEST(a_layout_matches_numpy)
{
    const struct layout_case *layout = &layouts[_i];
    char file[64];
    const char *names[1] = {file};
    struct json_object *document;

    snprintf(file, sizeof(file), "%s.safetensors", layout->name);
    document = analyse_golden("gradient_analysis", names, 1, NULL);
    check_against(document, layout->name, AT, layout->at_least);
    json_object_put(document);
}
END_TEST

START_TEST(the_candidate_is_looked_at)
{
    static const char *const names[2] = {"vae.safetensors", "grads.safetensors"};
    struct json_object *document = analyse_golden("gradient_analysis", names, 2, NULL);

    check_against(document, "grads", AT, 30);
    json_object_put(document);
}
END_TEST

START_TEST(a_difference_stands_for_gradients_only_when_asked_to)
{
    static const char *const names[2] = {"proxy.a.safetensors", "proxy.b.safetensors"};
    static const char *const options[] = {"update_proxy", NULL};
    struct json_object *document = analyse_golden("gradient_analysis", names, 2, NULL);

    check_value(document, AT "/available", "false");
    check_value(document, AT "/source", "\"none");
    json_object_put(document);
    document = analyse_golden("gradient_analysis", names, 2, options);
    check_against(document, "proxy", AT, 30);
    json_object_put(document);
}
END_TEST

START_TEST(thresholds_are_options)
{
    static const char *const names[1] = {"grads.safetensors"};
    static const char *const options[] = {"gradient_vanishing=0", NULL};
    struct json_object *document = analyse_golden("gradient_analysis", names, 1, options);

    check_value(document, AT "/vanishing_layers", "0");
    check_value(document, AT "/layers/0/flag", "\"none");
    json_object_put(document);
}
END_TEST

START_TEST(training_state_is_no_weight_of_a_series)
{
    static const char *const names[2] = {"adam.safetensors", "adam.safetensors"};
    struct json_object *document = analyse_golden("convergence_analysis", names, 2, NULL);

    check_value(document, "/analyses/convergence_analysis/layers/0/layer", "\"model.h.0");
    ck_assert_uint_eq(json_object_array_length(at_pointer(document, "/analyses/convergence_analysis/layers")), 4);
    check_value(document, "/analyses/convergence_analysis/scalars/0/name", "\"optimizer.state.h.0.fc.bias.step");
    check_value(document, "/analyses/convergence_analysis/scalars/0/alike", "6");
    json_object_put(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradient_analysis");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, a_layout_matches_numpy, 0, sizeof(layouts) / sizeof(layouts[0]));
    tcase_add_test(tcase, the_candidate_is_looked_at);
    tcase_add_test(tcase, a_difference_stands_for_gradients_only_when_asked_to);
    tcase_add_test(tcase, thresholds_are_options);
    tcase_add_test(tcase, training_state_is_no_weight_of_a_series);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
