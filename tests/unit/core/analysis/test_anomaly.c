/* Every rule has a planted example that it must find, and a clean one in which it must find nothing. */
#include "core/analysis/anomaly.h"

#include "tests/unit/core/analysis/made_models.h"

#define PLACE "model.layers.2.mlp.up_proj.weight"

static struct made *healthy(void)
{
    return made_decoder(42, 8, 16, MADE_TRAINED, DTYPE_F32);
}

/* The finding of that rule in that tensor, or NULL. */
static struct json_object *find(struct json_object *result, const char *id, const char *tensor, const char *against)
{
    struct json_object *findings = made_at(result, "/findings");

    for (size_t i = 0; i < json_object_array_length(findings); i++) {
        struct json_object *finding = json_object_array_get_idx(findings, i);

        if (strcmp(made_text_at(finding, "/id"), id) == 0 && strcmp(made_text_at(finding, "/tensor"), tensor) == 0 &&
            (!against || strcmp(made_text_at(finding, "/against"), against) == 0))
            return finding;
    }
    return NULL;
}

static bool is_unevaluated(struct json_object *result, const char *id, const char *reason)
{
    struct json_object *entries = made_at(result, "/not_evaluated");

    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);

        if (strcmp(made_text_at(entry, "/id"), id) == 0 && strstr(made_text_at(entry, "/reason"), reason))
            return true;
    }
    return false;
}

static void plant_nan(struct made_tensor *t)
{
    t->values[7] = NAN;
}

static void plant_inf(struct made_tensor *t)
{
    t->values[7] = -INFINITY;
}

static void plant_zeros(struct made_tensor *t)
{
    memset(t->values, 0, t->elements * sizeof(double));
}

static void plant_constant(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->elements; i++)
        t->values[i] = 0.25;
}

static void plant_dead_rows(struct made_tensor *t)
{
    memset(t->values, 0, t->elements / 4 * sizeof(double));
}

static void plant_explosion(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->elements; i++)
        t->values[i] *= 64;
}

static void plant_spike(struct made_tensor *t)
{
    t->values[9] = 30;
}

static void plant_collapse(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->elements; i++)
        t->values[i] /= 64;
}

static void plant_row(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->dims[1]; i++)
        t->values[5 * t->dims[1] + i] *= 40;
}

static void plant_column(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->dims[0]; i++)
        t->values[i * t->dims[1] + 6] *= 80;
}

static void plant_subnormals(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->elements / 5; i++)
        t->values[i] = 1e-40;
}

static void plant_bit_flip(struct made_tensor *t)
{
    float value = (float)t->values[100];
    uint32_t bits;

    memcpy(&bits, &value, 4);
    bits ^= UINT32_C(1) << 30;
    memcpy(&value, &bits, 4);
    t->values[100] = (double)value;
}

static void plant_low_bit_flip(struct made_tensor *t)
{
    float value = (float)t->values[100];
    uint32_t bits;

    memcpy(&bits, &value, 4);
    bits ^= UINT32_C(1) << 9;
    memcpy(&value, &bits, 4);
    t->values[100] = (double)value;
}

static void plant_signs(struct made_tensor *t)
{
    for (uint64_t i = 0; i < t->elements; i += 2)
        t->values[i] = -t->values[i];
}

static const struct planted {
    const char *id, *against, *severity;
    void (*plant)(struct made_tensor *);
    bool is_found_alone;
    const char *evidence;
    double least, most;
} planted[] = {
    {"nan", "itself", "critical", plant_nan, true, "/evidence/nans", 1, 1},
    {"inf", "itself", "error", plant_inf, true, "/evidence/infs", 1, 1},
    {"all_zero", "itself", "error", plant_zeros, true, "/evidence/zeros", 1024, 1024},
    {"constant", "itself", "error", plant_constant, true, "/evidence/value", 0.25, 0.25},
    {"dead_rows", "itself", "warning", plant_dead_rows, true, "/evidence/zero_rows", 16, 16},
    {"exploded", "baseline", "error", plant_explosion, false, "/evidence/std_ratio", 63.9, 64.1},
    {"exploded", "baseline", "error", plant_spike, false, "/evidence/abs_max_ratio", 10, 1e6},
    {"exploded", "peers", "error", plant_explosion, true, "/evidence/robust_z", 10, 1e9},
    {"collapsed", "baseline", "error", plant_collapse, false, "/evidence/std_ratio", 0.0156, 0.0157},
    {"outlier_channels", "rows", "warning", plant_row, true, "/evidence/at", 5, 5},
    {"outlier_channels", "columns", "warning", plant_column, true, "/evidence/at", 6, 6},
    {"subnormal", "itself", "warning", plant_subnormals, true, "/evidence/subnormals", 204, 204},
    {"bit_flip_suspect", "baseline", "error", plant_bit_flip, false, "/evidence/highest_bit", 30, 30},
    {"bit_flip_suspect", "baseline", "warning", plant_low_bit_flip, false, "/evidence/highest_bit", 9, 9},
    {"sign_flip_mass", "baseline", "warning", plant_signs, false, "/evidence/share", 0.49, 0.51},
};

START_TEST(a_planted_fault_is_found)
{
    const struct planted *p = &planted[_i];
    struct made *a = healthy(), *b = made_copy(a);
    struct json_object *pair, *alone, *clean, *finding;

    p->plant(made_find(b, PLACE));
    pair = made_analyse("anomaly_detection", a, b, NULL);
    alone = made_analyse("anomaly_detection", b, NULL, NULL);
    clean = made_analyse("anomaly_detection", a, a, NULL);
    finding = find(pair, p->id, PLACE, p->against);
    ck_assert_msg(finding, "%s is not found: %s", p->id, json_object_to_json_string(pair));
    ck_assert_str_eq(made_text_at(finding, "/severity"), p->severity);
    ck_assert_msg(made_number_at(finding, p->evidence) >= p->least && made_number_at(finding, p->evidence) <= p->most,
                  "%s", json_object_to_json_string(finding));
    ck_assert_int_eq(find(alone, p->id, PLACE, p->against) != NULL, p->is_found_alone);
    ck_assert_ptr_null(find(clean, p->id, PLACE, NULL));
    json_object_put(pair);
    json_object_put(alone);
    json_object_put(clean);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(saturated_codes_are_found)
{
    struct made *a = calloc(1, sizeof(*a)), *b;
    double *codes = made_add(a, DTYPE_I8, "layers.0.up_proj.weight", 2, 32, 32);
    struct json_object *found, *clean;
    uint64_t state = 3;

    for (int i = 0; i < 1024; i++)
        codes[i] = floor(200 * made_uniform(&state)) - 100;
    b = made_copy(a);
    for (int i = 0; i < 100; i++)
        b->items[0].values[i] = i % 2 ? 127 : -128;
    found = made_analyse("anomaly_detection", b, NULL, NULL);
    clean = made_analyse("anomaly_detection", a, NULL, NULL);
    ck_assert_ptr_nonnull(find(found, "saturated", "layers.0.up_proj.weight", NULL));
    ck_assert_ptr_null(find(clean, "saturated", "layers.0.up_proj.weight", NULL));
    json_object_put(found);
    json_object_put(clean);
    made_free(a);
    made_free(b);
}
END_TEST

/* Ten healthy models and their fine-tunes: nothing at error or above. */
START_TEST(healthy_models_raise_no_error)
{
    static const struct {
        int layers, width;
        enum made_init init;
        enum dtype dtype;
        double delta;
    } kinds[] = {
        {2, 16, MADE_NORMAL, DTYPE_F32, 0.01},   {8, 16, MADE_XAVIER, DTYPE_F32, 0.1},
        {8, 24, MADE_TRAINED, DTYPE_F32, 0.03},  {12, 16, MADE_TRAINED, DTYPE_BF16, 0.003},
        {6, 32, MADE_NORMAL, DTYPE_BF16, 0.001}, {10, 16, MADE_TRAINED, DTYPE_F16, 0.01},
        {7, 40, MADE_XAVIER, DTYPE_F16, 0.3},    {3, 48, MADE_TRAINED, DTYPE_F64, 1e-6},
        {16, 16, MADE_TRAINED, DTYPE_F32, 0.5},  {9, 20, MADE_NORMAL, DTYPE_F32, 1e-7},
    };
    struct made *a =
        made_decoder(100 + (uint64_t)_i, kinds[_i].layers, kinds[_i].width, kinds[_i].init, kinds[_i].dtype);
    struct made *b = made_copy(a);
    struct json_object *results[3];

    made_disturb(b, "", kinds[_i].delta, 7);
    results[0] = made_analyse("anomaly_detection", a, NULL, NULL);
    results[1] = made_analyse("anomaly_detection", a, b, NULL);
    results[2] = made_analyse("anomaly_detection", b, a, NULL);
    for (int r = 0; r < 3; r++) {
        ck_assert_msg(made_number_at(results[r], "/critical") == 0 && made_number_at(results[r], "/error") == 0, "%s",
                      json_object_to_json_string(made_at(results[r], "/findings")));
        json_object_put(results[r]);
    }
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(constant_norms_and_biases_are_only_noted)
{
    struct made *a = made_decoder(1, 6, 16, MADE_NORMAL, DTYPE_F32);
    struct json_object *result = made_analyse("anomaly_detection", a, NULL, NULL);

    ck_assert_str_eq(made_text_at(find(result, "constant", "model.norm.weight", NULL), "/severity"), "info");
    ck_assert_str_eq(made_text_at(find(result, "all_zero", "model.layers.3.self_attn.q_proj.bias", NULL), "/severity"),
                     "info");
    ck_assert_str_eq(made_text_at(result, "/worst"), "info");
    json_object_put(result);
    made_free(a);
}
END_TEST

START_TEST(what_has_no_measure_is_listed)
{
    struct made *a = made_decoder(1, 6, 16, MADE_NORMAL, DTYPE_F32), *b = made_copy(a), *few;
    struct json_object *result;

    made_disturb(b, "bias", 1, 5);
    made_disturb(b, "norm", 1, 5);
    result = made_analyse("anomaly_detection", a, b, NULL);
    ck_assert(is_unevaluated(result, "exploded", "the baseline has no spread"));
    ck_assert_ptr_null(find(result, "exploded", "model.norm.weight", NULL));
    json_object_put(result);
    result = made_analyse("anomaly_detection", a, NULL, NULL);
    ck_assert(is_unevaluated(result, "exploded", "MAD 0"));
    json_object_put(result);
    few = made_decoder(1, 5, 16, MADE_TRAINED, DTYPE_F32);
    plant_explosion(made_find(few, PLACE));
    result = made_analyse("anomaly_detection", few, NULL, NULL);
    ck_assert(is_unevaluated(result, "exploded", "fewer than 5 peers"));
    ck_assert_ptr_null(find(result, "exploded", PLACE, NULL));
    json_object_put(result);
    result = made_analyse("anomaly_detection", few, NULL, "headers_only", 1.0, NULL);
    ck_assert(is_unevaluated(result, "nan", "values not read"));
    ck_assert_ptr_null(made_at(result, "/worst"));
    json_object_put(result);
    made_free(a);
    made_free(b);
    made_free(few);
}
END_TEST

START_TEST(swapping_turns_exploded_into_collapsed)
{
    struct made *a = healthy(), *b = made_copy(a);
    struct json_object *there, *back;

    plant_explosion(made_find(b, PLACE));
    there = made_analyse("anomaly_detection", a, b, NULL);
    back = made_analyse("anomaly_detection", b, a, NULL);
    ck_assert_ptr_nonnull(find(there, "exploded", PLACE, "baseline"));
    ck_assert_ptr_null(find(there, "collapsed", PLACE, "baseline"));
    ck_assert_ptr_nonnull(find(back, "collapsed", PLACE, "baseline"));
    ck_assert_ptr_null(find(back, "exploded", PLACE, "baseline"));
    ck_assert_double_eq_tol(made_number_at(find(there, "exploded", PLACE, "baseline"), "/evidence/std_ratio") *
                                made_number_at(find(back, "collapsed", PLACE, "baseline"), "/evidence/std_ratio"),
                            1, 1e-12);
    json_object_put(there);
    json_object_put(back);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(a_threshold_moves_the_rule)
{
    struct made *a = healthy(), *b = made_copy(a);
    struct json_object *result;

    plant_explosion(made_find(b, PLACE));
    result = made_analyse("anomaly_detection", a, b, "exploded_ratio", 100.0, NULL);
    ck_assert_ptr_null(find(result, "exploded", PLACE, NULL));
    json_object_put(result);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    struct made *a = healthy(), *b = made_copy(a);
    char *one, *seven;

    made_disturb(b, "", 0.2, 3);
    plant_nan(made_find(b, PLACE));
    one = made_bytes("anomaly_detection", a, b, 1, NULL);
    seven = made_bytes("anomaly_detection", a, b, 7, NULL);
    ck_assert_str_eq(one, seven);
    free(one);
    free(seven);
    made_free(a);
    made_free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("anomaly_detection");
    TCase *tcase = tcase_create("rules");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_planted_fault_is_found, 0, (int)(sizeof(planted) / sizeof(planted[0])));
    tcase_add_test(tcase, saturated_codes_are_found);
    tcase_add_loop_test(tcase, healthy_models_raise_no_error, 0, 10);
    tcase_add_test(tcase, constant_norms_and_biases_are_only_noted);
    tcase_add_test(tcase, what_has_no_measure_is_listed);
    tcase_add_test(tcase, swapping_turns_exploded_into_collapsed);
    tcase_add_test(tcase, a_threshold_moves_the_rule);
    tcase_add_test(tcase, any_number_of_threads_gives_the_same_bytes);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
