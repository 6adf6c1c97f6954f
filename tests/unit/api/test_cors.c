/* Pages of other origins: none by default, the named ones when the operator says so. */
#include "api/cors.h"
#include "tests/unit/api/ask.h"

#define DASH   "https://dash.example"
#define SUBMIT "{\"models\":[\"a\",\"b\"]}"

static const char *const origins[] = {"http://localhost:3000", DASH, NULL};
static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
    ask_cors_origins = origins;
}

START_TEST(without_named_origins_nothing_is_said)
{
    struct answer a;

    ask_cors_origins = NULL;
    a = ask(&fake, "GET", "/version", "Origin: " DASH, NULL);
    ck_assert_int_eq(a.response.status, 200); /* the browser keeps it from the page */
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), "");
    ck_assert_ptr_null(strstr(answer_header(&a, "Vary"), "Origin"));
    answer_done(&a);
    expect(&fake, "POST", "/v1/jobs", "Origin: " DASH, SUBMIT, 403, "foreign-origin");
}
END_TEST

START_TEST(a_named_origin_may_read_and_submit)
{
    struct answer a = ask(&fake, "GET", "/v1/jobs/" ID_RUNNING, "Origin: " DASH, NULL);

    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), DASH);
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Access-Control-Expose-Headers"), "ETag"));
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Access-Control-Expose-Headers"), "Location"));
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Credentials"), "");
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Vary"), "Origin"));
    answer_done(&a);
    a = ask(&fake, "POST", "/v1/jobs", "Origin: " DASH "\nSec-Fetch-Site: cross-site", SUBMIT);
    ck_assert_int_eq(a.response.status, 202);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), DASH);
    answer_done(&a);
    /* Problems are readable too. */
    a = ask(&fake, "GET", "/nothing", "Origin: http://localhost:3000", NULL);
    ck_assert_int_eq(a.response.status, 404);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), "http://localhost:3000");
    answer_done(&a);
}
END_TEST

static const char *const others[] = {"https://evil.example",      "http://dash.example",  "https://dash.example:8443",
                                     "https://dash.example.evil", "HTTPS://DASH.EXAMPLE", "null"};

START_TEST(any_other_origin_is_as_foreign_as_ever)
{
    char headers[128];
    struct answer a;

    snprintf(headers, sizeof(headers), "Origin: %s", others[_i]);
    expect(&fake, "POST", "/v1/jobs", headers, SUBMIT, 403, "foreign-origin");
    a = ask(&fake, "GET", "/version", headers, NULL);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), "");
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Vary"), "Origin")); /* for caches */
    answer_done(&a);
    snprintf(headers, sizeof(headers), "Origin: %s\nAccess-Control-Request-Method: POST", others[_i]);
    a = ask(&fake, "OPTIONS", "/v1/jobs", headers, NULL);
    ck_assert_int_eq(a.response.status, 204);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), "");
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Methods"), "");
    answer_done(&a);
}
END_TEST

START_TEST(a_preflight_says_what_may_be_sent)
{
    struct answer a = ask(&fake, "OPTIONS", "/v1/jobs",
                          "Origin: " DASH "\nAccess-Control-Request-Method: POST\n"
                          "Access-Control-Request-Headers: authorization, content-type, idempotency-key",
                          NULL);

    ck_assert_int_eq(a.response.status, 204);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Origin"), DASH);
    ck_assert_str_eq(answer_header(&a, "Access-Control-Allow-Methods"), "GET, HEAD, POST, OPTIONS");
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "Authorization"));
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "Idempotency-Key"));
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "traceparent"));
    ck_assert_str_eq(answer_header(&a, "Access-Control-Max-Age"), "600");
    answer_done(&a);
}
END_TEST

START_TEST(only_origins_can_be_named)
{
    static const char *const good[] = {"https://a.example", "http://localhost:3000", "http://[::1]:8080"};
    static const char *const bad[] = {"*",
                                      "null",
                                      "",
                                      "https://",
                                      "a.example",
                                      "https://a.example/",
                                      "https://A.example",
                                      "https://*.example",
                                      "ftp://a.example",
                                      "https://a.example b"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(cors_origins_check(&good[i], 1, NULL) == 0, "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(cors_origins_check(&bad[i], 1, NULL) == ERROR_REQUEST, "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cors");
    TCase *tc = tcase_create("cors");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, without_named_origins_nothing_is_said);
    tcase_add_test(tc, a_named_origin_may_read_and_submit);
    tcase_add_loop_test(tc, any_other_origin_is_as_foreign_as_ever, 0, sizeof(others) / sizeof(others[0]));
    tcase_add_test(tc, a_preflight_says_what_may_be_sent);
    tcase_add_test(tc, only_origins_can_be_named);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
