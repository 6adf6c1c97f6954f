/* Job requests: what is understood, and each lie with its pointer and sentence. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/request.h"
#include "core/analysis/analysis.h"

static int parse(const char *json, struct job_request **ret, struct request_faults *faults)
{
    struct error err = {.code = ERROR_NONE};
    int rc = job_request_parse(json, strlen(json), ret, faults, &err);

    if (rc)
        ck_assert_int_eq(rc, err.code);
    return rc;
}

#define A        "\"models\":[\"a\"]"
#define AB       "\"models\":[\"a\",\"b\"]"
#define NEST4(x) "[[[[" x "]]]]"

static const struct {
    const char *json, *pointer, *detail;
} faults[] = {
    {"", "", "not JSON"},
    {" ", "", "not JSON"},
    {"{", "", "not JSON"},
    {"{}x", "", "not JSON"},
    {"{} {}", "", "not JSON"},
    {"{\"models\":[\"a\",\"b\"],}", "", "not JSON"},
    {"{" AB ",\"options\":{\"top\":01}}", "/options/top", "leading zero"},
    {"{" AB ",\"options\":{\"epsilon\":NaN}}", "/options/epsilon", "not JSON"},
    {"{" AB ",\"options\":{\"epsilon\":.5}}", "/options/epsilon", "not JSON"},
    {"{" AB ",\"options\":{\"epsilon\":1e}}", "/options/epsilon", "not JSON"},
    {"{'models':[]}", "", "not JSON"},
    {"{\"models\":[\"a\\x\"]}", "/models/0", "an escape that JSON does not know"},
    {"{\"models\":[\"a\x01\"]}", "/models/0", "control character"},
    {"{\"models\":[\"a\xff\"]}", "/models/0", "UTF-8"},
    {"{\"models\":[\"\xc0\xaf\"]}", "/models/0", "UTF-8"},
    {"{\"models\":[\"\xed\xa0\x80\"]}", "/models/0", "UTF-8"},
    {"{\"models\":[\"\\ud800\"]}", "/models/0", "surrogate"},
    {"{\"models\":[\"\\udc00\\ud800\"]}", "/models/0", "surrogate"},
    {"{\"models\":[\"a\\u0000b\"]}", "/models/0", "\\u0000"},
    {"{\"a\\u0000b\":1}", "", "\\u0000"},
    {"null", "", "must be an object"},
    {"[]", "", "must be an object"},
    {"\"x\"", "", "must be an object"},
    {"12", "", "must be an object"},
    {"{}", "", "\"models\" is missing"},
    {"{\"models\":null}", "/models", "must not be null"},
    {"{\"models\":\"a\"}", "/models", "must be an array"},
    {"{\"models\":[]}", "/models", "must hold 1 to 64 models"},
    {"{" A ",\"analyses\":[\"stats\",\"layer_impact\"]}", "/analyses/1",
     "layer_impact needs at least 2 models, 1 given"},
    {"{" A
     ",\"gate\":[{\"metric\":\"stats.tensors\",\"max\":1},{\"metric\":\"change_summary.class\",\"equals\":\"x\"}]}",
     "/gate/1", "change_summary needs at least 2 models, 1 given"},
    {"{" AB ",\"options\":{\"digest\":true}}", "/options/digest", "takes one model, 2 given"},
    {"{" A ",\"options\":{\"digest\":true,\"headers_only\":true}}", "/options", "nothing to digest"},
    {"{\"models\":[\"a\",1]}", "/models/1", "must be a path"},
    {"{\"models\":[\"a\",null]}", "/models/1", "must be a path"},
    {"{\"models\":[\"a\",\"\"]}", "/models/1", "1 to 4096 bytes"},
    {"{\"models\":[\"a\",{}]}", "/models/1", "either"},
    {"{\"models\":[\"a\",{\"path\":\"x\",\"upload\":\"y\"}]}", "/models/1", "either"},
    {"{\"models\":[{\"base\":\"a\"},\"b\"]}", "/models/0", "needs an \"adapter\""},
    {"{\"models\":[{\"base\":\"a\",\"adaptor\":\"b\"},\"b\"]}", "/models/0", "did you mean \"adapter\"?"},
    {"{\"models\":[{\"base\":\"a\",\"adapter\":{\"base\":\"b\"}},\"b\"]}", "/models/0/adapter",
     "unknown member \"base\""},
    {"{\"models\":[{\"base\":7,\"adapter\":\"b\"},\"b\"]}", "/models/0/base", "must be a path"},
    {"{" AB ",\"options\":{\"align\":{\"rules\":[{\"target\":\"a\"}]}}}", "/options/align", "\"source\" is missing"},
    {"{" AB ",\"options\":{\"align\":{\"rule\":[]}}}", "/options/align", "at least one rule"},
    {"{\"models\":[\"a\",{\"path\":1}]}", "/models/1", "must be a string"},
    {"{\"models\":[\"a\",{\"pth\":\"x\"}]}", "/models/1", "did you mean \"path\"?"},
    {"{" AB "," AB "}", "/models", "given twice"},
    {"{" AB ",\"options\":{\"top\":1,\"t\\u006fp\":2}}", "/options/top", "given twice"},
    {"{\"models\":[\"a\",{\"path\":\"a\",\"path\":\"b\"}]}", "/models/1/path", "given twice"},
    {"{" AB ",\"labels\":{\"a/b~\":\"1\",\"a/b~\":\"2\"}}", "/labels/a~1b~0", "given twice"},
    {"{" AB ",\"option\":{}}", "/option", "did you mean \"options\"?"},
    {"{" AB ",\"gates\":[]}", "/gates", "unknown member \"gates\"; did you mean \"gate\"?"},
    {"{" AB ",\"gate\":[]}", "/gate", "a gate needs a rule"},
    {"{" AB ",\"gate\":{}}", "/gate", "must be an array of rules"},
    {"{" AB ",\"gate\":[{\"max\":1}]}", "/gate/0/metric", "must be the path of a figure"},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\"}]}", "/gate/0", "needs a limit"},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\",\"max\":1,\"min\":0}]}", "/gate/0/min", "one limit"},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\",\"max\":[]}]}", "/gate/0/max", "must be a number"},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\",\"max\":1,\"scope\":\"tenser\"}]}", "/gate/0/scope",
     "did you mean \"tensor\""},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\",\"max\":1,\"include\":\"(\"}]}", "/gate/0", "pattern"},
    {"{" AB ",\"gate\":[{\"metric\":\"l2\",\"max\":1,\"limit\":2}]}", "/gate/0", "unknown member \"limit\""},
    {"{" AB ",\"callback_uri\":\"x\"}", "/callback_uri", "unknown member"},
    {"{" AB ",\"analyses\":{}}", "/analyses", "must be an array"},
    {"{" AB ",\"analyses\":[1]}", "/analyses/0", "must be the name"},
    {"{" AB ",\"analyses\":[\"stats\",\"stat\"]}", "/analyses/1", "unknown analysis \"stat\"; did you mean \"stats\"?"},
    {"{" AB ",\"analyses\":[\"impact\"]}", "/analyses/0", "did you mean \"layer_impact\"?"},
    {"{" AB ",\"analyses\":[\"vibes\"]}", "/analyses/0", "known are: stats"},
    {"{" AB ",\"analyses\":[\"\\u001b[31m\"]}", "/analyses/0", "\\x1b[31m"},
    {"{" AB ",\"options\":[]}", "/options", "must be an object"},
    {"{" AB ",\"options\":{\"tpo\":1}}", "/options/tpo", "did you mean \"top\"?"},
    {"{" AB ",\"options\":{\"only-changed\":true}}", "/options/only-changed", "did you mean \"only_changed\"?"},
    {"{" AB ",\"options\":{\"align\":\"both\"}}", "/options/align", "must be one of auto, none"},
    {"{" AB ",\"options\":{\"top\":-1}}", "/options/top", "from 0"},
    {"{" AB ",\"options\":{\"top\":1.5}}", "/options/top", "whole number"},
    {"{" AB ",\"options\":{\"top\":1e300}}", "/options/top", "from 0"},
    {"{" AB ",\"options\":{\"top\":\"5\"}}", "/options/top", "must be a number, is a string"},
    {"{" AB ",\"options\":{\"top\":true}}", "/options/top", "must be a number, is a boolean"},
    {"{" AB ",\"options\":{\"epsilon\":-1e-9}}", "/options/epsilon", "from 0"},
    {"{" AB ",\"options\":{\"epsilon\":null}}", "/options/epsilon", "is null"},
    {"{" AB ",\"options\":{\"only_changed\":1}}", "/options/only_changed", "must be true or false"},
    {"{" AB ",\"options\":{\"sort\":\"size\"}}", "/options/sort", "must be one of name, change_magnitude"},
    {"{" AB ",\"options\":{\"sort\":[\"name\"]}}", "/options/sort", "must be a string"},
    {"{" AB ",\"options\":{\"include\":5}}", "/options/include", "must be a pattern"},
    {"{" AB ",\"options\":{\"include\":[\"a\",5]}}", "/options/include/1", "must be a string"},
    {"{" AB ",\"options\":{\"include\":\"(\"}}", "/options/include", "("},
    {"{" AB ",\"options\":{\"include\":[\"a\",\"b[\"]}}", "/options/include/1", "b["},
    {"{" AB ",\"options\":{\"exclude\":[\"a\",\"*\"]}}", "/options/exclude/1", "*"},
    {"{" AB ",\"options\":{\"include\":\"((((((((((((((((((((a))))))))))))))))))))\"}}", "/options/include", ""},
    {"{" AB ",\"labels\":[]}", "/labels", "must be an object"},
    {"{" AB ",\"labels\":{\"a\":1}}", "/labels/a", "must be a string"},
    {"{" AB ",\"labels\":{\"\":\"x\"}}", "/labels/", "1 to 63 bytes"},
    {NEST4(NEST4(NEST4(NEST4("[]")))), "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0", "deeper than 16"},
};

START_TEST(each_fault_is_found_and_pointed_at)
{
    struct job_request *request = NULL;
    struct request_faults found;

    ck_assert_msg(parse(faults[_i].json, &request, &found) == ERROR_REQUEST, "accepted: %s", faults[_i].json);
    ck_assert_ptr_null(request);
    ck_assert_uint_ge(found.count, 1);
    ck_assert_msg(strcmp(found.items[0].pointer, faults[_i].pointer) == 0, "%s: pointer %s, detail %s", faults[_i].json,
                  found.items[0].pointer, found.items[0].detail);
    ck_assert_msg(strstr(found.items[0].detail, faults[_i].detail), "%s: %s", faults[_i].json, found.items[0].detail);
}
END_TEST

START_TEST(all_faults_are_told_up_to_eight)
{
    struct job_request *request = NULL;
    struct request_faults found;

    parse("{\"models\":[1,2,3,4],\"analyses\":[\"x\",\"y\"],\"options\":{\"a\":1,\"b\":2,\"c\":3},\"labels\":1}",
          &request, &found);
    ck_assert_uint_eq(found.count, REQUEST_FAULTS_MAX);
    ck_assert_str_eq(found.items[0].pointer, "/models/0");
    ck_assert_str_eq(found.items[4].pointer, "/analyses/0");
    ck_assert_str_eq(found.items[6].pointer, "/options/a");
}
END_TEST

/* Parses, writes, parses what was written, writes again: the text is canonical. */
static void expect_text(const char *json, const char *text)
{
    struct job_request *request = NULL, *again = NULL;
    struct request_faults found;
    char *first, *second;

    ck_assert_msg(parse(json, &request, &found) == 0, "%s: %s", found.items[0].pointer, found.items[0].detail);
    first = job_request_text(request);
    ck_assert_str_eq(first, text);
    ck_assert_int_eq(parse(first, &again, &found), 0);
    second = job_request_text(again);
    ck_assert_str_eq(first, second);
    free(first);
    free(second);
    job_request_free(request);
    job_request_free(again);
}

START_TEST(a_request_has_one_canonical_text)
{
    expect_text("{" A ",\"options\":{\"digest\":true}}",
                "{\"models\":[\"a\"],\"analyses\":[\"stats\"],\"options\":{\"digest\":true}}");
    expect_text("{" AB "}", "{\"models\":[\"a\",\"b\"],\"analyses\":[\"stats\"],\"options\":{}}");
    expect_text(" {\n\"analyses\" : [ ] , " AB "\t}\r\n",
                "{\"models\":[\"a\",\"b\"],\"analyses\":[\"stats\"],\"options\":{}}");
    expect_text(
        "{\"models\":[{\"path\":\"a\"},{\"upload\":\"u1\"}],\"analyses\":[\"layer_impact\",\"stats\",\"stats\"],"
        "\"options\":{\"top\":5.0,\"sort\":\"name\",\"include\":\"w$\",\"exclude\":[\"x\",\"\\u0079\"],\"epsilon\":1e-"
        "3}}",
        "{\"models\":[\"a\",{\"upload\":\"u1\"}],\"analyses\":[\"stats\",\"layer_impact\"],\"options\":{"
        "\"include\":[\"w$\"],\"exclude\":[\"x\",\"y\"],\"epsilon\":0.001,\"top\":5}}");
    expect_text("{\"models\":[{\"adapter\":{\"upload\":\"u1\"},\"base\":{\"path\":\"a\"}},\"b\"],"
                "\"options\":{\"align\":{\"rules\":[{\"target\":\"t.{n}\",\"source\":\"s.{n}\"}]}}}",
                "{\"models\":[{\"base\":\"a\",\"adapter\":{\"upload\":\"u1\"}},\"b\"],\"analyses\":[\"stats\"],"
                "\"options\":{\"align\":{\"rules\":[{\"name\":\"rules\",\"target\":\"t.{n}\",\"source\":\"s.{n}\","
                "\"part\":\"all\",\"transformation\":\"none\"}]}}}");
    expect_text("{\"models\":[\"\\u00e9\\ud83d\\ude00\\/\",\"\\u202e\\u001b\\\"\\\\\"]}",
                "{\"models\":[\"é😀/\",\"\\u202e\\u001b\\\"\\\\\"],\"analyses\":[\"stats\"],\"options\":{}}");
}
END_TEST

START_TEST(labels_are_kept)
{
    struct job_request *request = NULL;
    struct request_faults found;

    ck_assert_int_eq(parse("{" AB ",\"labels\":{\"team\":\"vision\",\"run\":\"\"}}", &request, &found), 0);
    ck_assert_str_eq(request->labels, "{\"run\":\"\",\"team\":\"vision\"}");
    job_request_free(request);
    ck_assert_int_eq(parse("{" AB ",\"labels\":{}}", &request, &found), 0);
    ck_assert_ptr_null(request->labels);
    job_request_free(request);
}
END_TEST

static char *repeat(const char *head, const char *format, int count, const char *tail)
{
    size_t size = strlen(head) + strlen(tail) + (size_t)count * (strlen(format) + 12) + 1;
    char *text = malloc(size);
    size_t used = (size_t)snprintf(text, size, "%s", head);

    for (int i = 0; i < count; i++) {
        if (i)
            text[used++] = ',';
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"") used +=
            (size_t)snprintf(text + used, size - used, format, i);
        _Pragma("GCC diagnostic pop")
    }
    snprintf(text + used, size - used, "%s", tail);
    return text;
}

static void expect_count(const char *head, const char *format, int count, const char *tail, const char *pointer)
{
    struct job_request *request = NULL;
    struct request_faults found;
    char *text = repeat(head, format, count, tail);
    int rc = parse(text, &request, &found);

    if (pointer) {
        ck_assert_int_eq(rc, ERROR_REQUEST);
        ck_assert_str_eq(found.items[0].pointer, pointer);
    } else {
        ck_assert_msg(rc == 0, "%s", rc ? found.items[0].detail : "");
    }
    job_request_free(request);
    free(text);
}

START_TEST(numbers_of_things_have_bounds)
{
    expect_count("{\"models\":[", "\"%d\"", 64, "]}", NULL);
    expect_count("{\"models\":[", "\"%d\"", 65, "]}", "/models");
    expect_count("{" AB ",\"labels\":{", "\"%d\":\"\"", 64, "}}", NULL);
    expect_count("{" AB ",\"labels\":{", "\"%d\":\"\"", 65, "}}", "/labels");
    expect_count("{" AB ",\"labels\":{", "\"%d\":\"\"", 129, "}}", "/labels/128");
}
END_TEST

START_TEST(analyses_say_how_many_models_they_take)
{
    struct job_request *request = NULL;
    struct request_faults found;

    for (size_t i = 0; i < analysis_count; i++) {
        char json[256];
        int rc;

        snprintf(json, sizeof(json), "{\"models\":[\"a\"],\"analyses\":[\"%s\"]}", analyses[i]->name);
        rc = parse(json, &request, &found);
        ck_assert_int_eq(rc, analyses[i]->models_min > 1 ? ERROR_REQUEST : 0);
        if (rc)
            ck_assert_str_eq(found.items[0].pointer, "/analyses/0");
        else
            job_request_free(request);
        snprintf(json, sizeof(json), "{\"models\":[\"a\",\"b\",\"c\"],\"analyses\":[\"%s\"]}", analyses[i]->name);
        rc = parse(json, &request, &found);
        if (analyses[i]->models_max && analyses[i]->models_max < 3) {
            ck_assert_int_eq(rc, ERROR_REQUEST);
            ck_assert_ptr_nonnull(strstr(found.items[0].detail, "at most"));
        } else {
            ck_assert_int_eq(rc, 0);
            job_request_free(request);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *tc = tcase_create("request");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, each_fault_is_found_and_pointed_at, 0, sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(tc, all_faults_are_told_up_to_eight);
    tcase_add_test(tc, a_request_has_one_canonical_text);
    tcase_add_test(tc, labels_are_kept);
    tcase_add_test(tc, numbers_of_things_have_bounds);
    tcase_add_test(tc, analyses_say_how_many_models_they_take);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
