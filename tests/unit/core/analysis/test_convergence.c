/* convergence_analysis against NumPy and SciPy, and against the training runs that DIFFAID_SHARED points at. */
#include "tests/unit/core/analysis/series_documents.h"

#define AT "/analyses/convergence_analysis"

START_TEST(a_series_matches_numpy)
{
    struct json_object *document = analyse_golden("convergence_analysis", series_names, 6, NULL);

    check_against(document, "series", AT, 200);
    json_object_put(document);
}
END_TEST

START_TEST(steps_of_unequal_length_keep_their_cosine)
{
    static const char *const names[3] = {"uneven.0.safetensors", "uneven.1.safetensors", "uneven.2.safetensors"};
    struct json_object *document = analyse_golden("convergence_analysis", names, 3, NULL);

    check_against(document, "uneven", AT, 3);
    json_object_put(document);
}
END_TEST

START_TEST(what_checkpoints_do_not_share_is_null)
{
    struct json_object *document = analyse_golden("convergence_analysis", ragged_names, 4, NULL);

    check_against(document, "ragged", AT, 3);
    check_value(document, AT "/cos_steps_reason", "\"the three checkpoints differ in their finite elements");
    json_object_put(document);
}
END_TEST

START_TEST(two_models_are_one_step_without_a_verdict)
{
    struct json_object *document = analyse_golden("convergence_analysis", series_names, 2, NULL);

    check_value(document, AT "/status", "\"undetermined");
    check_value(document, AT "/decay_rate", "null");
    check_value(document, AT "/decay_rate_reason", "\"fewer than four models");
    ck_assert_uint_eq(json_object_array_length(at_pointer(document, AT "/step_norm")), 1);
    ck_assert_uint_eq(json_object_array_length(at_pointer(document, AT "/cos_steps")), 0);
    check_close("path", number_at(document, AT "/path_length"), number_at(document, AT "/displacement"));
    json_object_put(document);
}
END_TEST

START_TEST(order_in_files_and_shards_change_nothing)
{
    const char *permuted[6], *sharded[6];
    struct json_object *plain = analyse_golden("convergence_analysis", series_names, 6, NULL), *other;

    memcpy(permuted, series_names, sizeof(permuted));
    memcpy(sharded, series_names, sizeof(sharded));
    permuted[3] = "permuted/series.3.safetensors";
    sharded[3] = "sharded";
    other = analyse_golden("convergence_analysis", permuted, 6, NULL);
    ck_assert_int_eq(json_object_equal(at_pointer(plain, AT), at_pointer(other, AT)), 1);
    json_object_put(other);
    other = analyse_golden("convergence_analysis", sharded, 6, NULL);
    ck_assert_int_eq(json_object_equal(at_pointer(plain, AT), at_pointer(other, AT)), 1);
    json_object_put(other);
    json_object_put(plain);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_document)
{
    char paths[6][512];
    const char *list[6];
    struct json_object *one;

    for (size_t i = 0; i < 6; i++) {
        snprintf(paths[i], sizeof(paths[i]), SERIES "%s", series_names[i]);
        list[i] = paths[i];
    }
    one = analyse("convergence_analysis", list, 6, NULL, 1);
    for (unsigned threads = 2; threads < 8; threads += 5) {
        struct json_object *other = analyse("convergence_analysis", list, 6, NULL, threads);

        ck_assert_str_eq(json_object_to_json_string(one), json_object_to_json_string(other));
        json_object_put(other);
    }
    json_object_put(one);
}
END_TEST

START_TEST(steps_obey_the_triangle_inequality)
{
    struct json_object *document = analyse_golden("convergence_analysis", series_names, 6, NULL);
    char start[96], next[96], step[96];

    for (unsigned t = 0; t < 5; t++) {
        snprintf(start, sizeof(start), AT "/dist_from_start/%u", t);
        snprintf(next, sizeof(next), AT "/dist_from_start/%u", t + 1);
        snprintf(step, sizeof(step), AT "/step_norm/%u", t);
        ck_assert_double_le(number_at(document, next),
                            (number_at(document, start) + number_at(document, step)) * (1 + 1e-12));
    }
    ck_assert_double_le(number_at(document, AT "/straightness"), 1 + 1e-12);
    json_object_put(document);
}
END_TEST

START_TEST(models_that_stand_still_have_converged)
{
    const char *names[4] = {series_names[2], series_names[2], series_names[2], series_names[2]};
    struct json_object *document = analyse_golden("convergence_analysis", names, 4, NULL);

    check_value(document, AT "/status", "\"converged");
    check_value(document, AT "/straightness", "null");
    check_value(document, AT "/straightness_reason", "\"nothing moved");
    check_value(document, AT "/decay_rate_reason", "\"fewer than three steps above 0");
    check_value(document, AT "/time_axis", "null");
    json_object_put(document);
}
END_TEST

START_TEST(going_back_and_forth_oscillates)
{
    const char *names[5] = {series_names[1], series_names[2], series_names[1], series_names[2], series_names[1]};
    struct json_object *document = analyse_golden("convergence_analysis", names, 5, NULL);

    check_value(document, AT "/status", "\"oscillating");
    check_close("turn", number_at(document, AT "/cos_steps/0"), -1);
    check_value(document, AT "/displacement", "0");
    json_object_put(document);
}
END_TEST

START_TEST(a_series_turned_round_diverges)
{
    const char *names[6];
    struct json_object *document, *loose;
    static const char *const options[] = {"convergence_growing=10", "convergence_spread=100", NULL};

    for (size_t i = 0; i < 6; i++)
        names[i] = series_names[5 - i];
    document = analyse_golden("convergence_analysis", names, 6, NULL);
    check_value(document, AT "/status", "\"diverging");
    ck_assert_double_gt(number_at(document, AT "/decay_rate"), 1);
    check_value(document, AT "/projected_remaining", "null");
    json_object_put(document);
    loose = analyse_golden("convergence_analysis", names, 6, options);
    check_value(loose, AT "/status", "\"plateaued");
    json_object_put(loose);
}
END_TEST

START_TEST(a_model_that_gains_a_nan_diverges)
{
    const char *names[4] = {ragged_names[0], ragged_names[0], ragged_names[0], ragged_names[2]};
    struct json_object *document = analyse_golden("convergence_analysis", names, 4, NULL);

    check_value(document, AT "/status", "\"diverging");
    check_value(document, AT "/evidence/nonfinite_last", "1");
    json_object_put(document);
}
END_TEST

START_TEST(headers_alone_give_no_figure)
{
    static const char *const options[] = {"headers_only", NULL};
    struct json_object *document = analyse_golden("convergence_analysis", series_names, 4, options);

    check_value(document, AT "/status", "null");
    check_value(document, AT "/status_reason", "\"values not read");
    json_object_put(document);
}
END_TEST

static void check_list(struct json_object *document, const char *name, struct json_object *truth)
{
    size_t count = json_object_array_length(truth);

    for (size_t i = 0; i < count; i++) {
        char pointer[128];

        snprintf(pointer, sizeof(pointer), AT "/%s/%zu", name, i);
        check_close(pointer, number_at(document, pointer), json_object_get_double(json_object_array_get_idx(truth, i)));
    }
}

/* Weights alone, or the training checkpoints that hold the same weights beside an optimizer's state. */
static void check_run(const char *shared, const char *run, const char *name, const char *status)
{
    static const char *const lists[] = {"norm", "cos_steps", "dist_from_start", "dist_to_end", "max_abs", "step_norm"};
    char paths[12][512], truth_path[512];
    const char *list[12];
    struct json_object *document, *truth, *all;

    for (size_t i = 0; i < 12; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/series/%s/%s_%05zu.%s", shared, run, name, i * 40,
                 strcmp(name, "ckpt") == 0 ? "pt" : "safetensors");
        list[i] = paths[i];
    }
    snprintf(truth_path, sizeof(truth_path), "%s/series/truth.json", shared);
    all = json_object_from_file(truth_path);
    ck_assert_ptr_nonnull(all);
    truth = json_object_object_get(json_object_object_get(all, "series"), run);
    document = analyse("convergence_analysis", list, 12, NULL, 2);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        check_list(document, lists[i], json_object_object_get(truth, lists[i]));
    check_list(document, "relative_step_norm", json_object_object_get(truth, "rel_step_norm"));
    check_close("path", number_at(document, AT "/path_length"),
                json_object_get_double(json_object_object_get(truth, "path_length")));
    check_close("displacement", number_at(document, AT "/displacement"),
                json_object_get_double(json_object_object_get(truth, "displacement")));
    check_close("straightness", number_at(document, AT "/straightness"),
                json_object_get_double(json_object_object_get(truth, "straightness")));
    check_value(document, AT "/status", status);
    json_object_put(document);
    json_object_put(all);
}

START_TEST(trained_series_match_their_truth)
{
    const char *shared = getenv("DIFFAID_SHARED");

    if (!shared)
        return; /* the runs are not part of the project */
    for (int i = 0; i < 2; i++) {
        check_run(shared, "converging", i ? "ckpt" : "model", "\"converging");
        check_run(shared, "oscillating", i ? "ckpt" : "model", "\"oscillating");
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_series_matches_numpy,
        steps_of_unequal_length_keep_their_cosine,
        what_checkpoints_do_not_share_is_null,
        two_models_are_one_step_without_a_verdict,
        order_in_files_and_shards_change_nothing,
        any_number_of_threads_gives_the_same_document,
        steps_obey_the_triangle_inequality,
        models_that_stand_still_have_converged,
        going_back_and_forth_oscillates,
        a_series_turned_round_diverges,
        a_model_that_gains_a_nan_diverges,
        headers_alone_give_no_figure,
        trained_series_match_their_truth,
    };

    return run_cases("convergence_analysis", tests, sizeof(tests) / sizeof(tests[0]));
}
