/* What differs between two models: tensors, configs, the files beside them. */
#include "tests/unit/core/analysis/architecture_models.h"

static void headers_only(struct options *options)
{
    options->headers_only = true;
}

static void lists_of_one(struct options *options)
{
    options->architecture_list = 1;
}

START_TEST(differences_between_tensors_are_listed)
{
    struct json_object *document;

    write_model("a", "F32", "x=10 gone=4 also.gone=6 wide=8x4 emb=10x4 same=2", NULL);
    write_model("b", "F32", "x=10 new=5 wide=8x4 emb=12x4 same=2", NULL);
    document = compare_paths(in_scratch("a"), in_scratch("b"), headers_only);
    ck_assert_str_eq(at(document, "/tensors/added"),
                     "{\"count\":1,\"items\":[{\"name\":\"new\",\"dtype\":\"F32\",\"shape\":[5]}]}");
    ck_assert_str_eq(at(document, "/tensors/removed/count"), "2");
    ck_assert_str_eq(at(document, "/tensors/reshaped"),
                     "{\"count\":1,\"items\":[{\"name\":\"emb\",\"baseline\":[10,4],\"candidate\":[12,4]}]}");
    ck_assert_str_eq(at(document, "/tensors/dtype_changed/count"), "0");
    ck_assert_str_eq(at(document, "/compatible"), "false");
    ck_assert_str_eq(at(document, "/loading"), "{\"loadable\":3,\"missing\":2,\"unexpected\":1,\"mismatched\":1}");
    /* 10 + 32 + 2 of 10 + 4 + 6 + 32 + 40 + 2 elements */
    ck_assert_double_eq_tol(strtod(at(document, "/loadable_fraction"), NULL), 44.0 / 94.0, 1e-15);
    json_object_put(document);
    document = compare_paths(in_scratch("a"), in_scratch("b"), lists_of_one);
    ck_assert_str_eq(at(document, "/tensors/removed/count"), "2");
    ck_assert_str_eq(at(document, "/tensors/removed/items"),
                     "[{\"name\":\"also.gone\",\"dtype\":\"F32\",\"shape\":[6]}]");
    json_object_put(document);
}
END_TEST

START_TEST(another_dtype_still_loads)
{
    struct json_object *document;

    write_model("a", "F32", LLAMA("2"), NULL);
    write_model("b", "BF16", LLAMA("2"), NULL);
    document = compare_dirs("a", "b");
    ck_assert_str_eq(at(document, "/compatible"), "true");
    ck_assert_str_eq(at(document, "/loadable_fraction"), "1");
    ck_assert_str_eq(at(document, "/tensors/dtype_changed/count"), "19");
    ck_assert_str_eq(at(document, "/tensors/dtype_changed/items/0"),
                     "{\"name\":\"lm_head.weight\",\"baseline\":\"F32\",\"candidate\":\"BF16\"}");
    json_object_put(document);
}
END_TEST

/* By name alone: the made-up values repeat, and would be found as copies. */
static void only_attention(struct options *options)
{
    ck_assert_int_eq(option_parse(options, option_find("align", 5), "none", NULL), 0);
    ck_assert_int_eq(option_parse(options, option_find("include", 7), "self_attn", NULL), 0);
}

START_TEST(the_selection_restricts_what_is_compared_and_loaded)
{
    struct json_object *document;

    write_model("a", "F32", LLAMA("2"), NULL);
    write_model("b", "F32", LLAMA("3"), NULL);
    document = compare_paths(in_scratch("a"), in_scratch("b"), only_attention);
    ck_assert_str_eq(at(document, "/tensors/added/count"), "4");
    ck_assert_str_eq(at(document, "/loading"), "{\"loadable\":8,\"missing\":0,\"unexpected\":4,\"mismatched\":0}");
    json_object_put(document);
}
END_TEST

START_TEST(configs_and_side_files_are_compared)
{
    struct json_object *document;

    write_model("a", "F32", "x=4", "{\"a\": 1, \"rope\": {\"theta\": 10000.0}}");
    write_model("b", "F32", "x=4", "{\"rope\": {\"theta\": 500000.0}, \"b\": true}");
    write_beside("a", "generation_config.json", "{\"top_k\": 50}");
    write_beside("b", "generation_config.json", "{\"top_k\": 20, \"top_p\": 0.9}");
    write_beside("a", "vocab.json", "{\"a\": 0, \"b\": 1, \"c\": 2}");
    write_beside("b", "vocab.json", "{\"a\": 0, \"c\": 1, \"d\": 2, \"e\": 3}");
    write_beside("a", "merges.txt", "#version: 0.2\na b\nb c\n");
    write_beside("b", "merges.txt", "#version: 0.2\nb c\r\na b\r\nc d\r\n");
    write_beside("a", "special_tokens_map.json", "{}");
    write_beside("b", "special_tokens_map.json", "{}");
    write_beside("a", "tokenizer.model", "old");
    write_beside("b", "tokenizer.model", "new");
    write_beside("a", "vocab.txt", "only here\n");
    write_beside("b", "tokenizer_config.json", "{\"only\": \"here\"}");
    document = compare_dirs("a", "b");
    ck_assert_str_eq(at(document, "/config"), "{\"added\":{\"/b\":true},\"removed\":{\"/a\":1},"
                                              "\"changed\":{\"/rope/theta\":[10000,500000]}}");
    ck_assert_str_eq(at(document, "/side_files/0"),
                     "{\"name\":\"generation_config.json\",\"status\":\"changed\",\"diff\":"
                     "{\"added\":{\"/top_p\":0.9},\"removed\":{},\"changed\":{\"/top_k\":[50,20]}}}");
    ck_assert_str_eq(at(document, "/side_files/1"),
                     "{\"name\":\"vocab.json\",\"status\":\"changed\",\"vocabulary\":"
                     "{\"added\":{\"count\":2,\"examples\":[{\"token\":\"d\",\"id\":2},{\"token\":\"e\",\"id\":3}]},"
                     "\"removed\":{\"count\":1,\"examples\":[{\"token\":\"b\",\"id\":1}]},"
                     "\"changed\":{\"count\":1,\"examples\":[{\"token\":\"c\",\"id\":[2,1]}]}}}");
    ck_assert_str_eq(at(document, "/side_files/2/name"), "\"vocab.txt\"");
    ck_assert_str_eq(at(document, "/side_files/2/status"), "\"removed\"");
    ck_assert_str_eq(at(document, "/side_files/3"),
                     "{\"name\":\"merges.txt\",\"status\":\"changed\",\"merges\":"
                     "{\"added\":{\"count\":1,\"examples\":[{\"token\":\"c d\",\"rank\":2}]},"
                     "\"removed\":{\"count\":0,\"examples\":[]},"
                     "\"changed\":{\"count\":2,\"examples\":[{\"token\":\"a b\",\"rank\":[0,1]},"
                     "{\"token\":\"b c\",\"rank\":[1,0]}]}}}");
    ck_assert_str_eq(at(document, "/side_files/4"), "{\"name\":\"tokenizer.model\",\"status\":\"changed\"}");
    ck_assert_str_eq(at(document, "/side_files/5"), "{\"name\":\"tokenizer_config.json\",\"status\":\"added\"}");
    json_object_put(document);
}
END_TEST

/* A tokenizer.json of 5,000 tokens: too large to be kept as text. */
static void write_tokenizer(const char *dir, const char *first, const char *merges, const char *extra)
{
    char *text = malloc(200000);
    size_t at_byte = (size_t)sprintf(
        text, "{ \"version\": \"1.0\", %s\"model\": {\"type\": \"BPE\", \"vocab\": {\"%s\": 0", extra, first);

    for (int i = 1; i < 5000; i++)
        at_byte += (size_t)sprintf(text + at_byte, ", \"token%d\": %d", i, i);
    sprintf(text + at_byte, "}, \"merges\": [%s], \"dropout\": null} }", merges);
    write_beside(dir, "tokenizer.json", text);
    free(text);
}

START_TEST(a_tokenizer_is_taken_apart)
{
    struct json_object *document;

    write_model("a", "F32", "x=4", NULL);
    write_model("b", "F32", "x=4", NULL);
    write_tokenizer("a", "<s>", "\"a b\", \"b c\"", "\"truncation\": null, ");
    write_tokenizer("b", "\\u003cpad>", "[\"a\", \"b\"], [\"c\",\"d\"]", "");
    document = compare_dirs("a", "b");
    ck_assert_str_eq(at(document, "/side_files/0/diff"),
                     "{\"added\":{},\"removed\":{\"/truncation\":null},\"changed\":{}}");
    ck_assert_str_eq(at(document, "/side_files/0/vocabulary/added"),
                     "{\"count\":1,\"examples\":[{\"token\":\"<pad>\",\"id\":0}]}");
    ck_assert_str_eq(at(document, "/side_files/0/vocabulary/removed/count"), "1");
    ck_assert_str_eq(at(document, "/side_files/0/vocabulary/changed/count"), "0");
    ck_assert_str_eq(at(document, "/side_files/0/merges/added/examples/0/token"), "\"c d\"");
    ck_assert_str_eq(at(document, "/side_files/0/merges/removed/count"), "1");
    json_object_put(document);
    document = compare_dirs("a", "a");
    ck_assert_str_eq(at(document, "/side_files"), "[]");
    json_object_put(document);
}
END_TEST

START_TEST(a_unigram_tokenizer_compares_scores)
{
    struct json_object *document;

    write_model("a", "F32", "x=4", NULL);
    write_model("b", "F32", "x=4", NULL);
    write_beside("a", "tokenizer.json", "{\"model\": {\"vocab\": [[\"a\", -1.5], [\"b\", -2]]}}");
    write_beside("b", "tokenizer.json", "{\"model\": {\"vocab\": [[\"a\", -1.25], [\"b\", -2]]}}");
    document = compare_dirs("a", "b");
    ck_assert_str_eq(at(document, "/side_files/0/vocabulary/changed/count"), "1");
    json_object_put(document);
}
END_TEST

static const struct {
    const char *name, *text;
} broken[] = {
    {"tokenizer.json", "{\"model\": {\"vocab\": {\"a\": -1}}}"},
    {"tokenizer.json", "{\"model\": {\"merges\": [[\"a\"]]}}"},
    {"tokenizer.json", "{\"model\": {\"vocab\": [[\"a\"]]}}"},
    {"tokenizer.json", "{\"model\": {\"vocab\": {}}"},
    {"tokenizer.json", "{\"model\": {}, \"model\": {}}"},
    {"tokenizer.json", "[]"},
    {"tokenizer.json", ""},
    {"vocab.json", "{\"a\": \"b\"}"},
    {"vocab.json", "{\"a\": 0} {"},
    {"generation_config.json", "{\"a\": 1, \"a\": 2}"},
    {"generation_config.json", ""},
};

START_TEST(a_malformed_side_file_is_compared_as_bytes)
{
    struct json_object *document;

    write_model("a", "F32", "x=4", NULL);
    write_model("b", "F32", "x=4", NULL);
    write_beside("a", broken[_i].name, "{}");
    write_beside("b", broken[_i].name, broken[_i].text);
    document = compare_dirs("a", "b");
    ck_assert_str_eq(at(document, "/side_files/0/status"), "\"changed\"");
    ck_assert_str_eq(at(document, "/side_files/0/reason"), "\"malformed: compared as bytes\"");
    json_object_put(document);
    document = compare_dirs("b", "b");
    ck_assert_str_eq(at(document, "/side_files"), "[]");
    json_object_put(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("analysis/architecture_differences");
    TCase *tests = tcase_create("architecture");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
    tcase_add_test(tests, differences_between_tensors_are_listed);
    tcase_add_test(tests, another_dtype_still_loads);
    tcase_add_test(tests, the_selection_restricts_what_is_compared_and_loaded);
    tcase_add_test(tests, configs_and_side_files_are_compared);
    tcase_add_test(tests, a_tokenizer_is_taken_apart);
    tcase_add_test(tests, a_unigram_tokenizer_compares_scores);
    tcase_add_loop_test(tests, a_malformed_side_file_is_compared_as_bytes, 0, COUNT(broken));
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
