/* Result documents of the models in tests/fixtures/golden/series (or anywhere), and expectations held against them. */
#ifndef TESTS_UNIT_CORE_ANALYSIS_SERIES_DOCUMENTS_H
#define TESTS_UNIT_CORE_ANALYSIS_SERIES_DOCUMENTS_H

#include <check.h>
#include <fcntl.h>
#include <json-c/json_pointer.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/core/analysis/documents.h"

#define SERIES FIXTURES "/golden/series/"

enum { SERIES_MODELS_MAX = 16 };

static inline struct model *open_at(const char *path)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = "model"};
    struct model *model = NULL;
    struct error error = {0};

    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s: %s", path, error.text);
    return model;
}

/* The document of the one analysis over models at paths ("NAME=VALUE" options, NULL-terminated, may be NULL). */
static inline struct json_object *analyse(const char *analysis, const char *const *paths, size_t count,
                                          const char *const *options, unsigned threads)
{
    struct model *models[SERIES_MODELS_MAX];
    struct compare_request request = {.analyses = 1u << analysis_by_name(analysis, strlen(analysis))};
    struct json_object *document;
    struct error error = {0};

    ck_assert_uint_le(count, SERIES_MODELS_MAX);
    for (size_t i = 0; i < count; i++)
        models[i] = open_at(paths[i]);
    options_init(&request.options);
    for (size_t i = 0; options && options[i]; i++) {
        const char *equals = strchr(options[i], '=');
        size_t bytes = equals ? (size_t)(equals - options[i]) : strlen(options[i]);

        ck_assert_int_eq(
            option_parse(&request.options, option_find(options[i], bytes), equals ? equals + 1 : NULL, &error), 0);
    }
    document = document_parsed(compared_text(&request, models, count, threads));
    options_done(&request.options);
    for (size_t i = 0; i < count; i++)
        model_close(models[i]);
    return document;
}

/* Of the golden models series.0 … by their names. */
static inline struct json_object *analyse_golden(const char *analysis, const char *const *names, size_t count,
                                                 const char *const *options)
{
    char paths[SERIES_MODELS_MAX][512];
    const char *list[SERIES_MODELS_MAX];

    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof(paths[i]), SERIES "%s", names[i]);
        list[i] = paths[i];
    }
    return analyse(analysis, list, count, options, 2);
}

static inline struct json_object *at_pointer(struct json_object *document, const char *pointer)
{
    struct json_object *found = NULL;
    char parent[256];

    if (json_pointer_get(document, pointer, &found) == 0)
        return found;
    /* json-c finds no null in an array */
    snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(pointer, '/') - pointer), pointer);
    ck_assert_msg(json_pointer_get(document, parent, &found) == 0 && json_object_is_type(found, json_type_array) &&
                      strtoul(strrchr(pointer, '/') + 1, NULL, 10) < json_object_array_length(found),
                  "%s is missing", pointer);
    return NULL;
}

static inline double number_at(struct json_object *document, const char *pointer)
{
    struct json_object *found = at_pointer(document, pointer);

    ck_assert_msg(found, "%s is null", pointer);
    return json_object_get_double(found);
}

static inline void check_close(const char *what, double value, double truth)
{
    ck_assert_msg(fabs(value - truth) <= 1e-12 * fabs(truth), "%s is %.17g, not %.17g", what, value, truth);
}

static inline void check_value(struct json_object *document, const char *pointer, const char *expected)
{
    struct json_object *found = at_pointer(document, pointer);
    const char *text = json_object_to_json_string(found);

    if (strcmp(expected, "null") == 0) {
        ck_assert_msg(!found, "%s is %s, not null", pointer, text);
        return;
    }
    ck_assert_msg(found, "%s is null, not %s", pointer, expected);
    if (expected[0] == '"')
        ck_assert_msg(strcmp(json_object_get_string(found), expected + 1) == 0, "%s is %s, not %s", pointer, text,
                      expected);
    else if (strstr(expected, "0x"))
        check_close(pointer, json_object_get_double(found), strtod(expected, NULL));
    else
        ck_assert_msg(strcmp(text, expected) == 0, "%s is %s, not %s", pointer, text, expected);
}

/* Every expectation of CASE.tsv whose pointer begins with prefix. */
static inline void check_against(struct json_object *document, const char *name, const char *prefix, unsigned at_least)
{
    char path[512];

    snprintf(path, sizeof(path), SERIES "%s.tsv", name);
    ck_assert_uint_ge(check_lines(document, path, prefix, check_value), at_least);
}

static inline int run_cases(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const char *const series_names[6] = {"series.0.safetensors", "series.1.safetensors", "series.2.safetensors",
                                            "series.3.safetensors", "series.4.safetensors", "series.5.safetensors"};
static const char *const ragged_names[4] = {"ragged.0.safetensors", "ragged.1.safetensors", "ragged.2.safetensors",
                                            "ragged.3.safetensors"};

#endif
