/* Keys, scopes and owners, held against every route of the table. */
#include "tests/unit/api/ask.h"

/* The key is the caller's name and scopes: "bob 3". */
static bool identify(struct access *access, const char *key, size_t bytes, struct caller *ret)
{
    (void)access;
    if (bytes < 3 || key[bytes - 2] != '/')
        return false;
    *ret = (struct caller){.scopes = (unsigned)(key[bytes - 1] - '0')};
    memcpy(ret->name, key, bytes - 2);
    return true;
}

static struct access keys = {identify};
static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
    fake.access = &keys;
}

/* The route's address with ids in it. */
static const char *address(const struct route *route, char out[256])
{
    const char *id = route->of == OF_UPLOAD ? ID_UPLOAD : strstr(route->path, "{slug}") ? "busy" : ID_DONE;
    const char *open = strchr(route->path, '{'), *close = open ? strchr(open, '}') : NULL;

    if (open)
        snprintf(out, 256, "%.*s%s%s", (int)(open - route->path), route->path, id, close + 1);
    else
        snprintf(out, 256, "%s%s", route->path, strcmp(route->path, "/v1/models/inspect") == 0 ? "?path=a" : "");
    return out;
}

static struct answer ask_route(const struct route *route, const char *authorization)
{
    char target[256], headers[256];

    snprintf(headers, sizeof(headers), "%s%s%s",
             route->method == METHOD_PATCH ? "Content-Type: application/partial-upload\nUpload-Offset: 0" : "",
             route->method == METHOD_PATCH && authorization ? "\n" : "", authorization ? authorization : "");
    return ask(&fake, method_names[route->method], address(route, target), headers,
               route->body == TAKES_NONE ? NULL : "{\"models\":[\"a\",\"b\"]}");
}

START_TEST(a_route_with_a_scope_takes_a_known_key)
{
    const struct route *route = &routes[_i];
    struct answer none = ask_route(route, NULL), unknown = ask_route(route, "Authorization: Bearer nonsense"),
                  basic = ask_route(route, "Authorization: Basic bob/4");

    if (route->scope == SCOPE_NONE) {
        ck_assert_int_lt(none.response.status, 400);
        ck_assert_int_lt(unknown.response.status, 400);
    } else {
        ck_assert_int_eq(none.response.status, 401);
        ck_assert_str_eq(answer_header(&none, "WWW-Authenticate"), "Bearer realm=\"diffaid\"");
        ck_assert_str_eq(answer_header(&none, "Content-Type"), "application/problem+json");
        ck_assert_int_eq(unknown.response.status, 401);
        ck_assert_str_eq(answer_header(&unknown, "WWW-Authenticate"),
                         "Bearer realm=\"diffaid\", error=\"invalid_token\"");
        ck_assert_ptr_null(strstr(unknown.body, "nonsense"));
        ck_assert_int_eq(basic.response.status, 401);
        ck_assert_int_eq(atomic_load(&fake.calls), 0);
    }
    answer_done(&none);
    answer_done(&unknown);
    answer_done(&basic);
}
END_TEST

START_TEST(a_key_without_the_scope_is_refused_and_told_which)
{
    const struct route *route = &routes[_i];
    char header[64];
    struct answer answer;

    for (unsigned scopes = 1; scopes < 8; scopes++) {
        bool may = route->scope == SCOPE_NONE || scopes & SCOPE_ADMIN || scopes & route->scope;

        fake.owner = "bob";
        snprintf(header, sizeof(header), "Authorization: bearer  bob/%u", scopes);
        answer = ask_route(route, header);
        if (may) {
            ck_assert_msg(answer.response.status < 400, "%s with %u: %d", route->operation_id, scopes,
                          answer.response.status);
        } else {
            ck_assert_int_eq(answer.response.status, 403);
            ck_assert_ptr_nonnull(strstr(answer_header(&answer, "WWW-Authenticate"), "insufficient_scope"));
        }
        answer_done(&answer);
    }
}
END_TEST

START_TEST(what_others_own_is_not_there)
{
    const struct route *route = &routes[_i];
    struct answer other, missing, admin;
    char target[256];
    char *id;

    if (route->of == OF_NOBODY)
        return;
    fake.owner = "alice";
    other = ask_route(route, "Authorization: Bearer bob/3");
    ck_assert_int_eq(other.response.status, 404);
    /* In the same words as for an id that does not exist. */
    address(route, target);
    id = strstr(target, route->of == OF_JOB ? ID_DONE : ID_UPLOAD);
    memcpy(id, ID_UNKNOWN, strlen(ID_UNKNOWN));
    missing = ask(&fake, method_names[route->method], target, "Authorization: Bearer bob/3", NULL);
    ck_assert_int_eq(missing.response.status, 404);
    id = strstr(missing.body, ID_UNKNOWN);
    memcpy(id, route->of == OF_JOB ? ID_DONE : ID_UPLOAD, strlen(ID_UNKNOWN));
    ck_assert_str_eq(other.body, missing.body);
    admin = ask_route(route, "Authorization: Bearer root/4");
    ck_assert_int_lt(admin.response.status, 400);
    answer_done(&other);
    answer_done(&missing);
    answer_done(&admin);
}
END_TEST

START_TEST(lists_and_what_is_made_belong_to_the_caller)
{
    expect(&fake, "GET", "/v1/jobs", "Authorization: Bearer bob/1", NULL, 200, NULL);
    ck_assert_str_eq(fake.last_owner, "bob");
    expect(&fake, "GET", "/v1/jobs", "Authorization: Bearer root/4", NULL, 200, NULL);
    ck_assert_str_eq(fake.last_owner, "*");
    expect(&fake, "GET", "/v1/uploads", "Authorization: Bearer bob/1", NULL, 200, NULL);
    ck_assert_str_eq(fake.last_owner, "bob");
    expect(&fake, "PUT", "/v1/uploads/m", "Authorization: Bearer carol/2", "x", 201, NULL);
    ck_assert_str_eq(fake.last_owner, "carol");
    expect(&fake, "POST", "/v1/jobs", "Authorization: Bearer bob/2", "{\"models\":[\"a\",\"b\"]}", 202, NULL);
    ck_assert_str_eq(fake.last_owner, "bob");
    fake.access = NULL;
    expect(&fake, "POST", "/v1/jobs", NULL, "{\"models\":[\"a\",\"b\"]}", 202, NULL);
    ck_assert_str_eq(fake.last_owner, "");
    expect(&fake, "GET", "/v1/jobs", NULL, NULL, 200, NULL);
    ck_assert_str_eq(fake.last_owner, "*");
}
END_TEST

START_TEST(a_page_token_of_another_owner_is_refused)
{
    struct answer a = ask(&fake, "GET", "/v1/jobs?page_size=2", "Authorization: Bearer bob/1", NULL);
    const char *token = strstr(a.body, "\"next_page_token\":\"") + 19;
    char target[128];

    snprintf(target, sizeof(target), "/v1/jobs?page_token=%.22s", token);
    expect(&fake, "GET", target, "Authorization: Bearer bob/1", NULL, 200, NULL);
    expect(&fake, "GET", target, "Authorization: Bearer carol/1", NULL, 400, "page_token");
    answer_done(&a);
}
END_TEST

START_TEST(a_job_of_somebody_elses_upload_is_refused)
{
    const char *body = "{\"models\":[\"a\",{\"upload\":\"" ID_UPLOAD "\"}]}";

    expect(&fake, "POST", "/v1/jobs", "Authorization: Bearer bob/2", body, 404, "there is no upload with this id");
    expect(&fake, "POST", "/v1/jobs", "Authorization: Bearer root/4", body, 202, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access");
    TCase *tc = tcase_create("access");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_route_with_a_scope_takes_a_known_key, 0, (int)route_count);
    tcase_add_loop_test(tc, a_key_without_the_scope_is_refused_and_told_which, 0, (int)route_count);
    tcase_add_loop_test(tc, what_others_own_is_not_there, 0, (int)route_count);
    tcase_add_test(tc, lists_and_what_is_made_belong_to_the_caller);
    tcase_add_test(tc, a_page_token_of_another_owner_is_refused);
    tcase_add_test(tc, a_job_of_somebody_elses_upload_is_refused);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
