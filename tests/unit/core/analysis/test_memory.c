/* memory_analysis on made-up models; and all three findings against NumPy: tests/fixtures/golden/findings holds the
 * pair, the expectations and the script that made them. */
#include "tests/unit/core/analysis/made_models.h"

#define DIRECTORY FIXTURES "/golden/findings/"

static struct model *open_fixture(const char *name)
{
    char path[512];
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = name};
    struct model *model = NULL;
    struct error error = {0};

    snprintf(path, sizeof(path), DIRECTORY "%s.safetensors", name);
    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s", error.text);
    return model;
}

static struct json_object *analyse_fixtures(const char *a, const char *b)
{
    static const char *const names[] = {"memory_analysis", "anomaly_detection", "change_summary"};
    struct model *models[2] = {open_fixture(a), b ? open_fixture(b) : NULL};
    struct compare_request request = {0};
    struct json_object *document;

    for (int i = 0; i < (b ? 3 : 2); i++)
        request.analyses |= 1u << analysis_by_name(names[i], strlen(names[i]));
    options_init(&request.options);
    document = document_parsed(compared_text(&request, models, b ? 2 : 1, 2));
    options_done(&request.options);
    model_close(models[0]);
    model_close(models[1]);
    return document;
}

static void check_value(struct json_object *document, const char *pointer, const char *expected)
{
    struct json_object *found = made_at(document, pointer);
    bool is_energy = strstr(pointer, "/low_rank/") != NULL;
    double truth = strtod(expected, NULL), value = json_object_get_double(found);

    if (expected[0] == '"')
        ck_assert_msg(strcmp(json_object_get_string(found), expected + 1) == 0, "%s is %s, not %s", pointer,
                      json_object_get_string(found), expected);
    else if (strstr(expected, "0x"))
        ck_assert_msg(fabs(value - truth) <= (is_energy ? 1e-9 : 1e-12) * fabs(truth), "%s is %.17g, not %.17g",
                      pointer, value, truth);
    else
        ck_assert_msg(strcmp(json_object_to_json_string(found), expected) == 0, "%s is %s, not %s", pointer,
                      json_object_to_json_string(found), expected);
}

static void check_against(const char *truth_name, const char *a, const char *b)
{
    struct json_object *document = analyse_fixtures(a, b);
    char path[512];

    snprintf(path, sizeof(path), DIRECTORY "%s.tsv", truth_name);
    ck_assert_uint_gt(check_lines(document, path, "", check_value), 100);
    json_object_put(document);
}

START_TEST(a_pair_matches_numpy)
{
    check_against("findings", "findings.a", "findings.b");
}
END_TEST

START_TEST(a_model_alone_matches_numpy)
{
    check_against("one", "findings.b", NULL);
}
END_TEST

static double sum_of(struct json_object *list, const char *pointer)
{
    double total = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++)
        total += made_number_at(json_object_array_get_idx(list, i), pointer);
    return total;
}

/* files = tensors + excluded − shared + overhead, and each way of grouping sums to the tensors. */
static void check_sums(struct json_object *result, struct json_object *side, const char *bytes)
{
    static const char *const lists[] = {"/dtypes", "/layers", "/module_types"};
    double tensors = made_number_at(side, "/tensor_bytes");

    ck_assert_double_eq(made_number_at(side, "/file_bytes"), tensors + made_number_at(side, "/excluded_bytes") -
                                                                 made_number_at(side, "/shared_bytes") +
                                                                 made_number_at(side, "/overhead_bytes"));
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        ck_assert_double_eq(sum_of(made_at(result, lists[i]), bytes), tensors);
}

START_TEST(sums_equal_the_files)
{
    struct made *a = made_decoder(1, 3, 16, MADE_TRAINED, DTYPE_F32),
                *b = made_decoder(1, 2, 24, MADE_NORMAL, DTYPE_BF16);
    struct json_object *pair = made_analyse("memory_analysis", a, b, NULL);
    struct json_object *alone = made_analyse("memory_analysis", a, NULL, NULL);

    check_sums(pair, made_at(pair, "/baseline"), "/baseline_bytes");
    check_sums(pair, made_at(pair, "/candidate"), "/candidate_bytes");
    check_sums(alone, alone, "/bytes");
    ck_assert_double_gt(made_number_at(alone, "/overhead_bytes"), 100);
    ck_assert_double_eq(made_number_at(pair, "/delta_file_bytes"),
                        made_number_at(pair, "/delta_tensor_bytes") + made_number_at(pair, "/delta_overhead_bytes"));
    json_object_put(pair);
    json_object_put(alone);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(swapping_mirrors_the_sides)
{
    struct made *a = made_decoder(1, 3, 16, MADE_TRAINED, DTYPE_F32),
                *b = made_decoder(1, 2, 24, MADE_NORMAL, DTYPE_BF16);
    struct json_object *there = made_analyse("memory_analysis", a, b, NULL);
    struct json_object *back = made_analyse("memory_analysis", b, a, NULL);

    ck_assert_double_eq(made_number_at(there, "/delta_file_bytes"), -made_number_at(back, "/delta_file_bytes"));
    ck_assert_str_eq(json_object_to_json_string(made_at(there, "/baseline/weights_at")),
                     json_object_to_json_string(made_at(back, "/candidate/weights_at")));
    ck_assert_str_eq(json_object_to_json_string(made_at(there, "/candidate/opportunities")),
                     json_object_to_json_string(made_at(back, "/baseline/opportunities")));
    json_object_put(there);
    json_object_put(back);
    made_free(a);
    made_free(b);
}
END_TEST

static struct json_object *saving_of(struct json_object *result, const char *kind, const char *tensor)
{
    struct json_object *list = made_at(result, "/opportunities");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *saving = json_object_array_get_idx(list, i);

        if (strcmp(made_text_at(saving, "/kind"), kind) == 0 && strcmp(made_text_at(saving, "/tensor"), tensor) == 0)
            return saving;
    }
    return NULL;
}

START_TEST(one_value_more_and_nothing_is_lossless)
{
    struct made *a = calloc(1, sizeof(*a));
    double *exact = made_add(a, DTYPE_F32, "exact.weight", 2, 16, 16);
    double *near = made_add(a, DTYPE_F32, "near.weight", 2, 16, 16);
    double *wide = made_add(a, DTYPE_F64, "wide.weight", 1, 64);
    struct json_object *result;

    for (int i = 0; i < 256; i++)
        exact[i] = near[i] = (i - 100) * 0x1p-8;
    near[200] += 0x1p-20;
    for (int i = 0; i < 64; i++)
        wide[i] = i * 0.5;
    result = made_analyse("memory_analysis", a, NULL, NULL);
    ck_assert_double_eq(made_number_at(saving_of(result, "lossless_bf16", "exact.weight"), "/bytes_saved"), 512);
    ck_assert_double_eq(made_number_at(saving_of(result, "lossless_f16", "exact.weight"), "/bytes_saved"), 512);
    ck_assert_ptr_null(saving_of(result, "lossless_bf16", "near.weight"));
    ck_assert_ptr_null(saving_of(result, "lossless_f16", "near.weight"));
    ck_assert_double_eq(made_number_at(saving_of(result, "lossless_bf16", "wide.weight"), "/bytes_saved"), 64 * 6);
    json_object_put(result);
    made_free(a);
}
END_TEST

START_TEST(duplicates_are_equal_in_type_shape_and_content)
{
    struct made *a = calloc(1, sizeof(*a));
    struct json_object *result;
    struct json_object *saving;
    uint64_t state = 1;

    made_add(a, DTYPE_F32, "a.weight", 2, 8, 8);
    made_fill_normal(&a->items[0], 1, &state);
    memcpy(made_add(a, DTYPE_F32, "b.weight", 2, 8, 8), a->items[0].values, 64 * sizeof(double));
    memcpy(made_add(a, DTYPE_F32, "c.weight", 2, 4, 16), a->items[0].values, 64 * sizeof(double));
    memcpy(made_add(a, DTYPE_F32, "d.weight", 2, 8, 8), a->items[0].values, 64 * sizeof(double));
    a->items[3].values[63] += 0.5;
    memcpy(made_add(a, DTYPE_F32, "e.weight", 2, 8, 8), a->items[0].values, 64 * sizeof(double));
    result = made_analyse("memory_analysis", a, NULL, NULL);
    saving = saving_of(result, "duplicate", "a.weight");
    ck_assert_ptr_nonnull(saving);
    ck_assert_double_eq(made_number_at(saving, "/bytes_saved"), 512);
    ck_assert_str_eq(json_object_to_json_string_ext(made_at(saving, "/equal"), JSON_C_TO_STRING_PLAIN),
                     "[\"b.weight\",\"e.weight\"]");
    ck_assert_uint_eq(json_object_array_length(made_at(result, "/opportunities")), 1);
    ck_assert_double_eq(made_number_at(result, "/saveable_bytes"), 512);
    json_object_put(result);
    made_free(a);
}
END_TEST

/* The same integers in another order: every figure is equal, and the bytes decide. */
START_TEST(equal_figures_are_no_proof)
{
    struct made *a = calloc(1, sizeof(*a));
    double *x = made_add(a, DTYPE_F32, "x.weight", 1, 64), *y = made_add(a, DTYPE_F32, "y.weight", 1, 64);
    double *z = made_add(a, DTYPE_F32, "z.weight", 1, 64);
    struct json_object *result;

    for (int i = 0; i < 64; i++)
        x[i] = y[(i + 8) % 64] = z[(i + 8) % 64] = i % 2 ? 1 : -1 - (i == 40);
    result = made_analyse("memory_analysis", a, NULL, NULL);
    ck_assert_ptr_null(saving_of(result, "duplicate", "x.weight"));
    ck_assert_double_eq(made_number_at(saving_of(result, "duplicate", "y.weight"), "/copies"), 1);
    json_object_put(result);
    made_free(a);
}
END_TEST

START_TEST(what_is_not_read_is_not_claimed)
{
    struct made *a = made_decoder(1, 2, 16, MADE_NORMAL, DTYPE_F32);
    struct json_object *result = made_analyse("memory_analysis", a, NULL, "headers_only", 1.0, NULL);

    ck_assert_ptr_null(made_at(result, "/saveable_bytes"));
    ck_assert_uint_eq(json_object_array_length(made_at(result, "/opportunities")), 0);
    ck_assert_ptr_null(made_at(result, "/kv_cache_bytes_per_token"));
    ck_assert_str_eq(made_text_at(result, "/kv_cache_bytes_per_token_reason"), "no config.json beside the model");
    json_object_put(result);
    made_free(a);
}
END_TEST

START_TEST(low_precision_is_told_when_asked_for)
{
    struct made *a = made_decoder(4, 1, 64, MADE_NORMAL, DTYPE_F32);
    struct json_object *result = made_analyse("memory_analysis", a, NULL, "what_if", 1.0, NULL);
    struct json_object *first = made_at(result, "/low_precision/candidates/0");

    ck_assert_str_eq(made_text_at(first, "/to"), "INT8_per_row");
    ck_assert_double_ge(made_number_at(first, "/sqnr_db"), 30);
    /* 320 rows of 64: one byte an element and a scale of four a row, instead of four bytes an element. */
    ck_assert_double_eq(made_number_at(first, "/bytes_saved"), 320 * 64 * 3 - 320 * 4);
    json_object_put(result);
    result = made_analyse("memory_analysis", a, NULL, NULL);
    ck_assert_int_ne(json_pointer_get(result, "/low_precision", &first), 0);
    json_object_put(result);
    made_free(a);
}
END_TEST

static struct json_object *analyse_with_config(const char *config)
{
    char directory[] = "/tmp/diffaid-made-XXXXXX", path[96], weights[96], made_path[MADE_PATH];
    struct made *a = made_decoder(1, 1, 8, MADE_NORMAL, DTYPE_F32);
    struct place place = {.dir_fd = AT_FDCWD, .path = directory, .uri = "made"};
    struct compare_request request = {.analyses = 1u << analysis_by_name("memory_analysis", 15)};
    struct model *model = made_open(a, made_path);
    struct json_object *document, *found;
    struct error error = {0};
    FILE *file;

    model_close(model);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(weights, sizeof(weights), "%s/model.safetensors", directory);
    snprintf(path, sizeof(path), "%s/config.json", directory);
    ck_assert_int_eq(rename(made_path, weights), 0);
    file = fopen(path, "w");
    fputs(config, file);
    fclose(file);
    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s", error.text);
    options_init(&request.options);
    request.options.opportunities = 0;
    document = document_parsed(compared_text(&request, &model, 1, 1));
    found = json_object_get(made_at(document, "/analyses/memory_analysis"));
    json_object_put(document);
    options_done(&request.options);
    model_close(model);
    unlink(weights);
    unlink(path);
    rmdir(directory);
    made_free(a);
    return found;
}

static const struct cached {
    const char *config;
    double bytes;
    const char *reason;
} cached[] = {
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":32,\"num_attention_heads\":32,"
     "\"num_key_value_heads\":8,\"hidden_size\":4096,\"dtype\":\"bfloat16\"}",
     131072, NULL},
    {"{\"architectures\":[\"GPT2LMHeadModel\"],\"n_layer\":12,\"n_head\":12,\"n_embd\":768,\"torch_dtype\":"
     "\"float32\"}",
     73728, NULL},
    {"{\"architectures\":[\"GPTBigCodeForCausalLM\"],\"multi_query\":true,\"n_layer\":24,\"n_head\":16,\"n_embd\":"
     "2048}",
     2.0 * 24 * 128 * 2, NULL},
    {"{\"architectures\":[\"LlavaForConditionalGeneration\"],\"text_config\":{\"num_hidden_layers\":2,\"head_dim\":64,"
     "\"num_attention_heads\":4,\"num_key_value_heads\":2}}",
     2.0 * 2 * 2 * 64 * 2, NULL},
    {"{\"architectures\":[\"BertForMaskedLM\"],\"num_hidden_layers\":2,\"num_attention_heads\":4,\"hidden_size\":32}",
     0, "no decoder"},
    {"{\"architectures\":[\"T5ForConditionalGeneration\"],\"is_encoder_decoder\":true,\"num_layers\":2,\"num_heads\":"
     "4}",
     0, "two kinds"},
    {"{\"architectures\":[\"DeepseekV2ForCausalLM\"],\"num_hidden_layers\":2,\"num_attention_heads\":4,"
     "\"hidden_size\":32,\"kv_lora_rank\":16}",
     0, "latent"},
    {"{\"architectures\":[\"Qwen3NextForCausalLM\"],\"num_hidden_layers\":2,\"num_attention_heads\":4,\"head_dim\":8,"
     "\"layer_types\":[\"linear_attention\",\"full_attention\"]}",
     0, "several kinds"},
    {"{\"architectures\":[\"MambaForCausalLM\"],\"num_hidden_layers\":2,\"hidden_size\":32}", 0, "layers and heads"},
    {"{\"num_hidden_layers\":2}", 0, "no architecture"},
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":18446744073709551615,"
     "\"num_attention_heads\":32,\"head_dim\":128}",
     0, "overflow"},
    {"{\"architectures\":", 0, "malformed"},
};

START_TEST(the_cache_is_read_from_the_config)
{
    struct json_object *result = analyse_with_config(cached[_i].config);

    if (cached[_i].reason) {
        ck_assert_ptr_null(made_at(result, "/kv_cache_bytes_per_token"));
        ck_assert_msg(strstr(made_text_at(result, "/kv_cache_bytes_per_token_reason"), cached[_i].reason), "%s",
                      made_text_at(result, "/kv_cache_bytes_per_token_reason"));
    } else {
        ck_assert_double_eq(made_number_at(result, "/kv_cache_bytes_per_token"), cached[_i].bytes);
    }
    json_object_put(result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_analysis");
    TCase *tcase = tcase_create("bytes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_pair_matches_numpy);
    tcase_add_test(tcase, a_model_alone_matches_numpy);
    tcase_add_test(tcase, sums_equal_the_files);
    tcase_add_test(tcase, swapping_mirrors_the_sides);
    tcase_add_test(tcase, one_value_more_and_nothing_is_lossless);
    tcase_add_test(tcase, duplicates_are_equal_in_type_shape_and_content);
    tcase_add_test(tcase, equal_figures_are_no_proof);
    tcase_add_test(tcase, what_is_not_read_is_not_claimed);
    tcase_add_test(tcase, low_precision_is_told_when_asked_for);
    tcase_add_loop_test(tcase, the_cache_is_read_from_the_config, 0, (int)(sizeof(cached) / sizeof(cached[0])));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
