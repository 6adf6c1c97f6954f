/* Each class has a made-up pair that is recognised, and near misses that are not. */
#include "tests/unit/core/analysis/made_models.h"

enum { LAYERS = 3, WIDTH = 32 };

static void no_change(struct made *b)
{
    (void)b;
}

static void change_metadata(struct made *b)
{
    b->note = "other";
}

static void retype(struct made *b, enum dtype dtype)
{
    for (size_t i = 0; i < b->count; i++)
        b->items[i].dtype = dtype;
}

static void cast_to_bf16(struct made *b)
{
    retype(b, DTYPE_BF16);
}

static void cast_to_f16(struct made *b)
{
    retype(b, DTYPE_F16);
}

static void cast_to_f64(struct made *b)
{
    for (size_t i = 0; i < b->count; i++)
        for (uint64_t e = 0; e < b->items[i].elements; e++)
            b->items[i].values[e] = (double)(float)b->items[i].values[e];
    retype(b, DTYPE_F64);
}

static void fine_tune(struct made *b)
{
    made_disturb(b, "", 0.05, 9);
}

static void fine_tune_and_cast(struct made *b)
{
    fine_tune(b);
    cast_to_bf16(b);
}

static void quantise(struct made *b, double codes)
{
    for (size_t i = 0; i < b->count; i++) {
        struct made_tensor *t = &b->items[i];
        double largest = 0;

        if (t->rank < 2)
            continue;
        t->dtype = DTYPE_I8;
        for (uint64_t e = 0; e < t->elements; e++)
            largest = fmax(largest, fabs(t->values[e]));
        for (uint64_t e = 0; e < t->elements; e++)
            t->values[e] = nearbyint(t->values[e] / largest * codes);
    }
}

static void quantise_to_int8(struct made *b)
{
    quantise(b, 127);
}

static void quantise_to_three_codes(struct made *b)
{
    quantise(b, 1);
}

static void disturb_much(struct made *b)
{
    made_disturb(b, "", 1.5, 9);
}

static void tune_one_layer(struct made *b)
{
    made_disturb(b, "layers.1.", 0.05, 9);
}

static void tune_biases(struct made *b)
{
    made_disturb(b, "bias", 0.2, 9);
    made_disturb(b, "norm", 0.1, 9);
}

static void adapt(struct made *b, int rank)
{
    uint64_t state = 77;

    for (size_t i = 0; i < b->count; i++) {
        struct made_tensor *t = &b->items[i];
        double left[8 * WIDTH * 32], right[8 * WIDTH * 32];

        if (!strstr(t->name, "self_attn") || t->rank < 2)
            continue;
        for (uint64_t e = 0; e < t->dims[0] * (uint64_t)rank; e++)
            left[e] = made_normal(&state);
        for (uint64_t e = 0; e < t->dims[1] * (uint64_t)rank; e++)
            right[e] = made_normal(&state);
        for (uint64_t r = 0; r < t->dims[0]; r++)
            for (uint64_t c = 0; c < t->dims[1]; c++)
                for (int k = 0; k < rank; k++)
                    t->values[r * t->dims[1] + c] +=
                        0.003 * left[r * (uint64_t)rank + (uint64_t)k] * right[c * (uint64_t)rank + (uint64_t)k];
    }
}

static void merge_adapter(struct made *b)
{
    adapt(b, 4);
}

static void merge_wide_adapter(struct made *b)
{
    adapt(b, 20);
}

static void merge_adapter_and_tune(struct made *b)
{
    merge_adapter(b);
    made_disturb(b, "mlp", 0.05, 9);
}

static void prune(struct made *b)
{
    for (size_t i = 0; i < b->count; i++)
        for (uint64_t e = 0; b->items[i].rank == 2 && e < b->items[i].elements; e++)
            if (fabs(b->items[i].values[e]) < 0.01)
                b->items[i].values[e] = 0;
}

static void prune_rows(struct made *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (strstr(b->items[i].name, "mlp.up_proj"))
            memset(b->items[i].values, 0, b->items[i].elements / 2 * sizeof(double));
}

static void prune_and_tune(struct made *b)
{
    fine_tune(b);
    prune(b);
}

static void resize(struct made *b, const char *name, uint64_t rows)
{
    struct made_tensor *t = made_find(b, name);
    double *values = calloc(rows * t->dims[1] + 1, sizeof(double));
    uint64_t kept = rows < t->dims[0] ? rows : t->dims[0], state = 5;

    memcpy(values, t->values, kept * t->dims[1] * sizeof(double));
    for (uint64_t e = kept * t->dims[1]; e < rows * t->dims[1]; e++)
        values[e] = 0.02 * made_normal(&state);
    free(t->values);
    t->values = values;
    t->dims[0] = rows;
    t->elements = rows * t->dims[1];
}

static void grow_vocabulary(struct made *b)
{
    resize(b, "model.embed_tokens.weight", 5 * WIDTH + 8);
    resize(b, "lm_head.weight", 5 * WIDTH + 8);
}

static void cut_vocabulary(struct made *b)
{
    resize(b, "model.embed_tokens.weight", 5 * WIDTH - 8);
    resize(b, "lm_head.weight", 5 * WIDTH - 8);
}

static void grow_and_tune(struct made *b)
{
    grow_vocabulary(b);
    made_disturb(b, "layers", 0.05, 9);
}

static void grow_something_else(struct made *b)
{
    resize(b, "model.layers.0.mlp.up_proj.weight", 4 * WIDTH + 8);
}

static void remove_layer(struct made *b)
{
    for (size_t i = b->count; i-- > 0;)
        if (strstr(b->items[i].name, "layers.2."))
            made_remove(b, b->items[i].name);
}

static void add_layer(struct made *b)
{
    struct made *other = made_decoder(5, LAYERS + 1, WIDTH, MADE_TRAINED, DTYPE_F32);

    for (size_t i = 0; i < other->count; i++)
        if (strstr(other->items[i].name, "layers.3."))
            memcpy(made_add(b, DTYPE_F32, other->items[i].name, other->items[i].rank, (int)other->items[i].dims[0],
                            (int)other->items[i].dims[1]),
                   other->items[i].values, other->items[i].elements * sizeof(double));
    made_free(other);
}

static void add_tensor(struct made *b)
{
    made_add(b, DTYPE_F32, "pooler.weight", 2, 4, 4)[3] = 1;
}

static void reinitialise_head(struct made *b)
{
    uint64_t state = 31;

    made_fill_normal(made_find(b, "lm_head.weight"), 0.02, &state);
}

static void replace_all(struct made *b)
{
    uint64_t state = 31;

    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].rank == 2)
            made_fill_normal(&b->items[i], 0.02, &state);
}

static void gain_a_nan(struct made *b)
{
    fine_tune(b);
    made_find(b, "lm_head.weight")->values[3] = NAN;
}

static void turn_a_zero(struct made *b)
{
    made_find(b, "lm_head.weight")->values[0] = -0.0;
}

static const struct kind {
    const char *what;
    void (*change)(struct made *);
    const char *class, *also;
} kinds[] = {
    {"nothing", no_change, "identical", NULL},
    {"metadata", change_metadata, "metadata_only", NULL},
    {"a cast", cast_to_bf16, "cast", NULL},
    {"another cast", cast_to_f16, "cast", NULL},
    {"a widening", cast_to_f64, "cast", NULL},
    {"a fine-tune that is cast too", fine_tune_and_cast, "fine_tune", "cast"},
    {"codes", quantise_to_int8, "requantized", NULL},
    {"codes that hold little", quantise_to_three_codes, "undetermined", NULL},
    {"a fine-tune", fine_tune, "fine_tune", NULL},
    {"too much noise", disturb_much, "undetermined", NULL},
    {"one layer", tune_one_layer, "partial_fine_tune", NULL},
    {"biases", tune_biases, "partial_fine_tune", NULL},
    {"an adapter", merge_adapter, "low_rank", NULL},
    {"an adapter of high rank", merge_wide_adapter, "partial_fine_tune", NULL},
    {"an adapter and more", merge_adapter_and_tune, "partial_fine_tune", NULL},
    {"small weights gone", prune, "pruned", NULL},
    {"rows gone", prune_rows, "pruned", NULL},
    {"small weights gone, others tuned", prune_and_tune, "fine_tune", NULL},
    {"more tokens", grow_vocabulary, "grown_vocabulary", NULL},
    {"more tokens and a fine-tune", grow_and_tune, "partial_fine_tune", "grown_vocabulary"},
    {"fewer tokens", cut_vocabulary, "undetermined", NULL},
    {"a wider layer", grow_something_else, "undetermined", NULL},
    {"a layer more", add_layer, "layers_added", NULL},
    {"a layer less", remove_layer, "layers_removed", NULL},
    {"a tensor more", add_tensor, "undetermined", NULL},
    {"a new head", reinitialise_head, "reinitialised", NULL},
    {"all new", replace_all, "unrelated", NULL},
    {"a NaN", gain_a_nan, "undetermined", NULL},
    {"a zero's sign", turn_a_zero, "undetermined", NULL},
};

static struct made *base(void)
{
    struct made *made = made_decoder(21, LAYERS, WIDTH, MADE_TRAINED, DTYPE_F32);

    made_find(made, "lm_head.weight")->values[0] = 0.0;
    return made;
}

START_TEST(each_kind_of_change_has_its_class)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *result, *also;

    kinds[_i].change(b);
    result = made_analyse("change_summary", a, b, NULL);
    ck_assert_msg(strcmp(made_text_at(result, "/class"), kinds[_i].class) == 0, "%s is %s: %s", kinds[_i].what,
                  made_text_at(result, "/class"), json_object_to_json_string(made_at(result, "/evidence")));
    also = made_at(result, "/also");
    ck_assert_msg(json_object_array_length(also) == (kinds[_i].also ? 1u : 0u), "%s: also %s", kinds[_i].what,
                  json_object_to_json_string(also));
    if (kinds[_i].also)
        ck_assert_str_eq(made_text_at(result, "/also/0"), kinds[_i].also);
    if (strcmp(kinds[_i].class, "undetermined") == 0)
        ck_assert_ptr_nonnull(made_at(result, "/class_reason"));
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(frozen_layers_are_listed)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *result;

    tune_one_layer(b);
    result = made_analyse("change_summary", a, b, NULL);
    ck_assert_str_eq(json_object_to_json_string_ext(made_at(result, "/changed_layers"), JSON_C_TO_STRING_PLAIN),
                     "[\"model.layers.1\"]");
    ck_assert_str_eq(json_object_to_json_string_ext(made_at(result, "/frozen_layers"), JSON_C_TO_STRING_PLAIN),
                     "[\"lm_head\",\"model.embed_tokens\",\"model.layers.0\",\"model.layers.2\",\"model.norm\"]");
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(a_merged_adapter_has_its_rank)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *result;

    merge_adapter(b);
    result = made_analyse("change_summary", a, b, NULL);
    ck_assert_double_eq(made_number_at(result, "/low_rank/measured"), 4 * LAYERS);
    for (int i = 0; i < 4 * LAYERS; i++) {
        char pointer[64];

        snprintf(pointer, sizeof(pointer), "/low_rank/tensors/%d/rank", i);
        ck_assert_double_eq(made_number_at(result, pointer), 4);
    }
    ck_assert_double_gt(made_number_at(result, "/evidence/low_rank_share"), 0.999999);
    json_object_put(result);
    /* What the budget leaves out is sampled, and named so. */
    result = made_analyse("change_summary", a, b, "low_rank_elements", 1024.0, NULL);
    ck_assert_double_eq(made_number_at(result, "/low_rank/measured"), 1);
    ck_assert_double_eq(made_number_at(result, "/low_rank/sampled"), 4 * LAYERS - 1);
    ck_assert_str_eq(made_text_at(result, "/low_rank/tensors/1/method"), "sample");
    ck_assert_str_eq(made_text_at(result, "/class"), "low_rank");
    json_object_put(result);
    /* Without the budget nothing is measured, and nothing claimed. */
    result = made_analyse("change_summary", a, b, "low_rank_elements", 0.0, NULL);
    ck_assert_double_eq(made_number_at(result, "/low_rank/skipped_over_budget"), 4 * LAYERS);
    ck_assert_str_eq(made_text_at(result, "/class"), "partial_fine_tune");
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

/* A sample that shows more than a low rank ends the claim. */
START_TEST(samples_of_full_rank_are_seen)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *result;

    merge_adapter(b);
    made_disturb(b, "layers.0.mlp.down_proj", 0.02, 5);
    result = made_analyse("change_summary", a, b, "low_rank_elements", 1024.0, NULL);
    ck_assert_double_eq(made_number_at(result, "/low_rank/sampled"), 4 * LAYERS);
    ck_assert_double_lt(made_number_at(result, "/evidence/low_rank_share"), 0.9999);
    json_object_put(result);
    result = made_analyse("change_summary", a, b, "low_rank_elements", 1024.0, "low_rank_share", 0.9999, NULL);
    ck_assert_str_eq(made_text_at(result, "/class"), "partial_fine_tune");
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(pruned_rows_are_structured_and_scattered_zeros_are_not)
{
    struct made *a = base(), *b = made_copy(a), *c = made_copy(a);
    struct json_object *rows, *scattered;

    prune_rows(b);
    prune(c);
    rows = made_analyse("change_summary", a, b, NULL);
    scattered = made_analyse("change_summary", a, c, NULL);
    ck_assert_double_eq(made_number_at(rows, "/evidence/zeroed_in_whole_rows_or_columns"), 1);
    ck_assert_double_lt(made_number_at(scattered, "/evidence/zeroed_in_whole_rows_or_columns"), 0.01);
    json_object_put(rows);
    json_object_put(scattered);
    made_free(a);
    made_free(b);
    made_free(c);
}
END_TEST

START_TEST(swapping_mirrors_the_layers)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *there, *back;

    add_layer(b);
    there = made_analyse("change_summary", a, b, NULL);
    back = made_analyse("change_summary", b, a, NULL);
    ck_assert_str_eq(made_text_at(back, "/class"), "layers_removed");
    ck_assert_str_eq(made_text_at(there, "/added_layers/0"), "model.layers.3");
    ck_assert_str_eq(made_text_at(back, "/removed_layers/0"), "model.layers.3");
    json_object_put(there);
    json_object_put(back);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(headers_alone_decide_nothing)
{
    struct made *a = base();
    struct json_object *result = made_analyse("change_summary", a, a, "headers_only", 1.0, NULL);

    ck_assert_str_eq(made_text_at(result, "/class"), "undetermined");
    ck_assert_str_eq(made_text_at(result, "/class_reason"), "values not read");
    json_object_put(result);
    made_free(a);
}
END_TEST

START_TEST(shares_of_the_top_tensors_sum_to_one)
{
    struct made *a = base(), *b = made_copy(a);
    struct json_object *result, *top;
    double total = 0;

    fine_tune(b);
    result = made_analyse("change_summary", a, b, "top_changes", 1000.0, NULL);
    top = made_at(result, "/top_tensors");
    for (size_t i = 0; i < json_object_array_length(top); i++)
        total += made_number_at(json_object_array_get_idx(top, i), "/share");
    ck_assert_double_eq_tol(total, 1, 1e-12);
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    struct made *a = base(), *b = made_copy(a);
    char *one, *seven;

    merge_adapter(b);
    one = made_bytes("change_summary", a, b, 1, NULL);
    seven = made_bytes("change_summary", a, b, 7, NULL);
    ck_assert_str_eq(one, seven);
    free(one);
    free(seven);
    made_free(a);
    made_free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("change_summary");
    TCase *tcase = tcase_create("classes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, each_kind_of_change_has_its_class, 0, (int)(sizeof(kinds) / sizeof(kinds[0])));
    tcase_add_test(tcase, frozen_layers_are_listed);
    tcase_add_test(tcase, a_merged_adapter_has_its_rank);
    tcase_add_test(tcase, samples_of_full_rank_are_seen);
    tcase_add_test(tcase, pruned_rows_are_structured_and_scattered_zeros_are_not);
    tcase_add_test(tcase, swapping_mirrors_the_layers);
    tcase_add_test(tcase, headers_alone_decide_nothing);
    tcase_add_test(tcase, shares_of_the_top_tensors_sum_to_one);
    tcase_add_test(tcase, any_number_of_threads_gives_the_same_bytes);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
