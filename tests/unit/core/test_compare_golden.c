/* Whole comparisons against what NumPy found: tests/fixtures/golden/compare holds the pairs, the expectations and the
 * script that made them. Every line of a .tsv is a JSON pointer into the result and the value expected there. */
#include <fcntl.h>
#include <json-c/json_pointer.h>
#include <math.h>

#include "tests/unit/core/analysis/documents.h"

#define DIRECTORY FIXTURES "/golden/compare/"

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

/* The result document's text; the caller frees it. */
static char *compare_fixtures(const char *a, const char *b, bool what_if, unsigned threads)
{
    struct model *models[2] = {open_fixture(a), open_fixture(b)};
    struct compare_request request = {.analyses = (1u << analysis_count) - 1};
    char *text;

    options_init(&request.options);
    request.options.what_if = what_if;
    text = compared_text(&request, models, 2, threads);
    options_done(&request.options);
    model_close(models[0]);
    model_close(models[1]);
    return text;
}

static void check_value(struct json_object *document, const char *pointer, const char *expected)
{
    struct json_object *found = NULL;

    ck_assert_msg(json_pointer_get(document, pointer, &found) == 0, "%s is missing", pointer);
    if (expected[0] == '"') {
        ck_assert_msg(json_object_is_type(found, json_type_string) &&
                          strcmp(json_object_get_string(found), expected + 1) == 0,
                      "%s is %s, not %s", pointer, json_object_to_json_string(found), expected);
    } else if (strcmp(expected, "null") == 0) {
        ck_assert_msg(!found, "%s is %s, not null", pointer, json_object_to_json_string(found));
    } else if (strcmp(expected, "true") == 0 || strcmp(expected, "false") == 0) {
        ck_assert_msg(json_object_get_boolean(found) == (expected[0] == 't'), "%s is not %s", pointer, expected);
    } else if (strstr(expected, "0x")) {
        double value = json_object_get_double(found), truth = strtod(expected, NULL);

        ck_assert_msg(found && fabs(value - truth) <= 1e-12 * fabs(truth), "%s is %.17g, not %.17g", pointer, value,
                      truth);
    } else {
        ck_assert_msg(found && strcmp(json_object_to_json_string(found), expected) == 0, "%s is %s, not %s", pointer,
                      json_object_to_json_string(found), expected);
    }
}

static void check_against(const char *name, bool what_if)
{
    char a[64], b[64], path[512];
    struct json_object *document;

    snprintf(a, sizeof(a), "%s.a", name);
    snprintf(b, sizeof(b), "%s.b", name);
    snprintf(path, sizeof(path), DIRECTORY "%s.tsv", name);
    document = document_parsed(compare_fixtures(a, b, what_if, 2));
    ck_assert_uint_gt(check_lines(document, path, "", check_value), 50);
    json_object_put(document);
}

START_TEST(finetune_matches_numpy)
{
    check_against("finetune", false);
}
END_TEST

START_TEST(quantised_forms_match_numpy)
{
    check_against("quantize", true);
}
END_TEST

START_TEST(a_model_against_itself_is_identical)
{
    struct json_object *document = document_parsed(compare_fixtures("finetune.a", "finetune.a", false, 2));

    check_value(document, "/summary/verdict", "\"identical");
    check_value(document, "/summary/relative_l2", "0x0p+0");
    check_value(document, "/summary/cosine", "0x1p+0");
    check_value(document, "/summary/metadata_changed", "false");
    json_object_put(document);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    char *one = compare_fixtures("finetune.a", "finetune.b", false, 1);
    char *two = compare_fixtures("finetune.a", "finetune.b", false, 2);
    char *seven = compare_fixtures("finetune.a", "finetune.b", false, 7);

    ck_assert_str_eq(one, two);
    ck_assert_str_eq(one, seven);
    free(one);
    free(two);
    free(seven);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare against NumPy");
    TCase *tcase = tcase_create("golden");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, finetune_matches_numpy);
    tcase_add_test(tcase, quantised_forms_match_numpy);
    tcase_add_test(tcase, a_model_against_itself_is_identical);
    tcase_add_test(tcase, any_number_of_threads_gives_the_same_bytes);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
