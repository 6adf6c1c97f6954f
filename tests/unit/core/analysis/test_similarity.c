/* similarity_matrix against NumPy and SciPy. */
#include "core/analysis/clustering.h"
#include "tests/unit/core/analysis/series_documents.h"

#define AT "/analyses/similarity_matrix"

START_TEST(matrices_and_clusters_match_scipy)
{
    static const char *const options[] = {"similarity_layers", NULL};
    struct json_object *document = analyse_golden("similarity_matrix", series_names, 6, options);

    check_against(document, "series", AT, 500);
    json_object_put(document);
}
END_TEST

START_TEST(only_what_both_have_is_compared)
{
    struct json_object *document = analyse_golden("similarity_matrix", ragged_names, 4, NULL);

    check_against(document, "ragged", AT, 60);
    check_value(document, AT "/cosine_reason", "\"nothing in common, or one side is all zero");
    check_value(document, AT "/min_coverage", "0");
    json_object_put(document);
}
END_TEST

START_TEST(pairs_found_by_content_count_as_such)
{
    static const char *const names[3] = {"moved.0.safetensors", "moved.1.safetensors", "moved.2.safetensors"};
    struct json_object *document = analyse_golden("similarity_matrix", names, 3, NULL);

    check_against(document, "moved", AT, 40);
    json_object_put(document);
    document = analyse_golden("convergence_analysis", names, 3, NULL);
    check_against(document, "moved", "/analyses/convergence_analysis", 3);
    json_object_put(document);
}
END_TEST

START_TEST(turning_the_series_round_mirrors_every_matrix)
{
    static const char *const keys[] = {"cosine", "relative_l2", "correlation", "coverage"};
    const char *names[4];
    struct json_object *plain = analyse_golden("similarity_matrix", ragged_names, 4, NULL), *turned;

    for (size_t i = 0; i < 4; i++)
        names[i] = ragged_names[3 - i];
    turned = analyse_golden("similarity_matrix", names, 4, NULL);
    for (size_t k = 0; k < 4; k++)
        for (unsigned i = 0; i < 4; i++)
            for (unsigned j = 0; j < 4; j++) {
                char here[96], there[96];

                snprintf(here, sizeof(here), AT "/%s/%u/%u", keys[k], i, j);
                snprintf(there, sizeof(there), AT "/%s/%u/%u", keys[k], 3 - i, 3 - j);
                ck_assert_int_eq(!at_pointer(plain, here), !at_pointer(turned, there));
                if (at_pointer(plain, here))
                    check_close(here, number_at(plain, here), number_at(turned, there));
            }
    json_object_put(plain);
    json_object_put(turned);
}
END_TEST

START_TEST(order_in_files_and_shards_change_nothing)
{
    const char *names[6];
    struct json_object *plain = analyse_golden("similarity_matrix", series_names, 6, NULL), *other;

    memcpy(names, series_names, sizeof(names));
    names[3] = "sharded";
    other = analyse_golden("similarity_matrix", names, 6, NULL);
    ck_assert_int_eq(json_object_equal(at_pointer(plain, AT), at_pointer(other, AT)), 1);
    json_object_put(other);
    names[3] = "permuted/series.3.safetensors";
    other = analyse_golden("similarity_matrix", names, 6, NULL);
    ck_assert_int_eq(json_object_equal(at_pointer(plain, AT), at_pointer(other, AT)), 1);
    json_object_put(other);
    json_object_put(plain);
}
END_TEST

START_TEST(a_model_twice_has_cosine_exactly_1)
{
    const char *names[3] = {series_names[0], series_names[4], series_names[0]};
    struct json_object *document = analyse_golden("similarity_matrix", names, 3, NULL);

    ck_assert_double_eq(number_at(document, AT "/cosine/0/2"), 1);
    ck_assert_double_eq(number_at(document, AT "/correlation/2/0"), 1);
    ck_assert_double_eq(number_at(document, AT "/relative_l2/0/2"), 0);
    check_value(document, AT "/clustering/merges/0/left", "0");
    check_value(document, AT "/clustering/merges/0/right", "2");
    check_value(document, AT "/clustering/merges/0/height", "0");
    json_object_put(document);
}
END_TEST

static void check_across(const char *which)
{
    static const char *const names[2] = {"layers.0.safetensors", "layers.1.safetensors"};
    char option[64], truth[64];
    const char *options[2] = {option, NULL};
    struct json_object *document;

    snprintf(option, sizeof(option), "similarity_across=%s", which);
    snprintf(truth, sizeof(truth), "layers_%s", which);
    document = analyse_golden("similarity_matrix", names, 2, options);
    check_against(document, truth, AT, 16);
    if (strcmp(which, "between") == 0)
        ck_assert_double_eq(number_at(document, AT "/across/kinds/0/cosine/1/2"), 1);
    json_object_put(document);
}

START_TEST(layers_are_held_against_layers)
{
    check_across("between");
    check_across("within");
}
END_TEST

START_TEST(equal_distances_merge_the_lowest_first)
{
    double distance[16] = {0, 2, 2, 2, 2, 0, 2, 2, 2, 2, 0, 2, 2, 2, 2, 0};
    struct clustering clustering;

    clustering_run(distance, 4, &clustering);
    ck_assert_uint_eq(clustering.merges[0].left, 0);
    ck_assert_uint_eq(clustering.merges[0].right, 1);
    ck_assert_uint_eq(clustering.merges[1].left, 2); /* 2 and the cluster 4 of 0 and 1 */
    ck_assert_uint_eq(clustering.merges[1].right, 4);
    ck_assert_uint_eq(clustering.merges[2].size, 4);
    for (size_t k = 0; k < 3; k++)
        ck_assert_double_eq(clustering.merges[k].height, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        matrices_and_clusters_match_scipy,        only_what_both_have_is_compared,
        pairs_found_by_content_count_as_such,     turning_the_series_round_mirrors_every_matrix,
        order_in_files_and_shards_change_nothing, a_model_twice_has_cosine_exactly_1,
        layers_are_held_against_layers,           equal_distances_merge_the_lowest_first,
    };

    return run_cases("similarity_matrix", tests, sizeof(tests) / sizeof(tests[0]));
}
