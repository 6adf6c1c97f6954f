/* openapi.yaml against the route table, both ways; and every status that it documents is produced here by a request. */
#include <stdatomic.h>

#include "server/http.h"
#include "tests/unit/api/ask.h"
#include "tests/unit/server/raw_client.h"

extern const char openapi_yaml[], openapi_yaml_end[];

enum { OPERATIONS_MAX = 64, STATUSES_MAX = 16 };

struct operation {
    char method[8], path[64], id[32], scope[16]; /* "": open */
    bool has_security;
    int statuses[STATUSES_MAX];
    size_t status_count;
    bool is_seen[STATUSES_MAX];
};

static struct operation documented[OPERATIONS_MAX];
static size_t documented_count;

/* A line scan: paths by two blanks, methods by four, operationId and responses by six, statuses by eight. */
static void read_document(void)
{
    char *text = strndup(openapi_yaml, (size_t)(openapi_yaml_end - openapi_yaml)), *rest = text, *line;
    bool is_in_paths = false, is_in_responses = false;
    char path[64] = "";

    documented_count = 0;
    while ((line = strsep(&rest, "\n"))) {
        struct operation *last = documented_count ? &documented[documented_count - 1] : NULL;
        size_t indent = strspn(line, " "), length = strlen(line);
        int status;

        if (indent == 0 && length) {
            is_in_paths = strcmp(line, "paths:") == 0;
        } else if (!is_in_paths || !length) {
            continue;
        } else if (indent == 2) {
            ck_assert_int_eq(line[length - 1], ':');
            snprintf(path, sizeof(path), "%.*s", (int)(length - 3), line + 2);
        } else if (indent == 4 && strcmp(line + 4, "parameters:") != 0) {
            ck_assert_uint_lt(documented_count, OPERATIONS_MAX);
            last = &documented[documented_count++];
            memset(last, 0, sizeof(*last));
            snprintf(last->method, sizeof(last->method), "%.*s", (int)(length - 5), line + 4);
            snprintf(last->path, sizeof(last->path), "%s", path);
            for (char *c = last->method; *c; c++)
                *c = (char)(*c - 'a' + 'A');
        } else if (indent == 6) {
            is_in_responses = strcmp(line + 6, "responses:") == 0;
            sscanf(line, "      operationId: %31s", last->id);
            last->has_security |= strncmp(line + 6, "security: ", 10) == 0;
            sscanf(line, "      security: [{bearer: [%15[a-z]]}]", last->scope);
        } else if (indent == 8 && is_in_responses && sscanf(line, "        \"%d\":", &status) == 1) {
            ck_assert_uint_lt(last->status_count, STATUSES_MAX);
            last->statuses[last->status_count++] = status;
        }
    }
    free(text);
}

static const struct route *route_of(const char *id)
{
    for (size_t i = 0; i < route_count; i++)
        if (strcmp(routes[i].operation_id, id) == 0)
            return &routes[i];
    return NULL;
}

START_TEST(the_document_and_the_table_say_the_same)
{
    read_document();
    ck_assert_uint_eq(documented_count, route_count);
    for (size_t i = 0; i < documented_count; i++) {
        const struct route *route = route_of(documented[i].id);

        ck_assert_msg(route != NULL, "no route for %s", documented[i].id);
        ck_assert_str_eq(method_names[route->method], documented[i].method);
        ck_assert_str_eq(route->path, documented[i].path);
        ck_assert_uint_gt(documented[i].status_count, 0);
        ck_assert_msg(documented[i].has_security, "%s says nothing of keys", documented[i].id);
        ck_assert_str_eq(documented[i].scope, route->scope == SCOPE_READ     ? "read"
                                              : route->scope == SCOPE_SUBMIT ? "submit"
                                              : route->scope == SCOPE_ADMIN  ? "admin"
                                                                             : "");
        /* Whose it is, is decided by the address alone: a route that forgets the column would show it to everybody. */
        if (strstr(route->path, "{id}"))
            ck_assert_int_eq(route->of, OF_JOB);
        if (strstr(route->path, "{upload}") && route->method != METHOD_PUT)
            ck_assert_int_eq(route->of, OF_UPLOAD);
        if (route->of != OF_NOBODY)
            ck_assert_int_ne(route->where, RUN_INLINE);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(documented[i].id, documented[j].id);
    }
}
END_TEST

START_TEST(the_document_lists_every_type_of_problem)
{
    char *text = strndup(openapi_yaml, (size_t)(openapi_yaml_end - openapi_yaml));

    for (size_t i = 0; i < PROBLEM_COUNT; i++) {
        const struct problem_type *type = &problem_types[i];
        char row[256];

        snprintf(row, sizeof(row), "| [%s](/problems/%s) | %d | %s |\n", type->slug, type->slug, type->status,
                 type->title);
        ck_assert_msg(strstr(text, row) != NULL, "openapi.yaml lacks the row: %s", row);
    }
    ck_assert_int_eq(count_of(text, "](/problems/"), PROBLEM_COUNT);
    free(text);
}
END_TEST

/* What every call may answer beside its own: "default" in the document. */
static bool is_common(int status)
{
    static const int common[] = {400, 401, 403, 405, 406, 421, 431, 500, 503};

    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
        if (common[i] == status)
            return true;
    return false;
}

static void record(const char *id, int status)
{
    for (size_t i = 0; i < documented_count; i++) {
        if (strcmp(documented[i].id, id) != 0)
            continue;
        for (size_t s = 0; s < documented[i].status_count; s++)
            if (documented[i].statuses[s] == status) {
                documented[i].is_seen[s] = true;
                return;
            }
        ck_assert_msg(is_common(status), "%s answered %d, which is not documented", id, status);
        return;
    }
    ck_assert_msg(!*id, "%s is not documented", id);
}

#define JOB(id) "/v1/jobs/" id
#define TWO     "{\"models\":[\"a\",\"b\"]}"
#define PART    "/v1/uploads/" ID_PART
#define PIECE   "Content-Type: application/partial-upload\nUpload-Offset: 5"
#define EVIL    "Origin: http://evil.example"

static const struct {
    int fail; /* of the backend */
    const char *method, *target, *headers, *body;
    int status;
} asked[] = {
    {0, "GET", "/", NULL, NULL, 200},
    {0, "GET", "/livez", NULL, NULL, 200},
    {0, "GET", "/readyz", NULL, NULL, 200},
    {ERROR_BUSY, "GET", "/readyz", NULL, NULL, 503},
    {0, "GET", "/metrics", NULL, NULL, 200},
    {0, "GET", "/version", NULL, NULL, 200},
    {0, "GET", "/openapi.yaml", NULL, NULL, 200},
    {0, "GET", "/problems/busy", NULL, NULL, 200},
    {0, "GET", "/problems/none", NULL, NULL, 404},
    {0, "POST", "/v1/jobs", NULL, TWO, 202},
    {0, "POST", "/v1/jobs?a=b", NULL, TWO, 400},
    {0, "POST", "/v1/jobs", EVIL, TWO, 403},
    {0, "POST", "/v1/jobs", NULL, "{\"models\":[\"a\",\"missing\"]}", 404},
    {0, "POST", "/v1/jobs", "Content-Type: text/plain", TWO, 415},
    {0, "POST", "/v1/jobs", NULL, "{}", 422},
    {ERROR_QUOTA, "POST", "/v1/jobs", NULL, TWO, 429},
    {0, "POST", "/v1/jobs", "Idempotency-Key: held", TWO, 409},
    {ERROR_BUSY, "POST", "/v1/jobs", NULL, TWO, 503},
    {ERROR_NO_SPACE, "POST", "/v1/jobs", NULL, TWO, 507},
    {0, "GET", "/v1/jobs", NULL, NULL, 200},
    {0, "GET", "/v1/jobs?page_size=x", NULL, NULL, 400},
    {0, "GET", JOB(ID_RUNNING), NULL, NULL, 200},
    {0, "GET", JOB(ID_RUNNING), "If-None-Match: \"7-0\"", NULL, 304},
    {0, "GET", JOB(ID_UNKNOWN), NULL, NULL, 404},
    {0, "DELETE", JOB(ID_DONE), NULL, NULL, 204},
    {0, "DELETE", JOB(ID_DONE), EVIL, NULL, 403},
    {0, "DELETE", JOB(ID_UNKNOWN), NULL, NULL, 404},
    {0, "POST", JOB(ID_DONE) ":cancel", NULL, NULL, 200},
    {0, "POST", JOB(ID_RUNNING) ":cancel", NULL, NULL, 202},
    {0, "POST", JOB(ID_DONE) ":cancel", EVIL, NULL, 403},
    {0, "POST", JOB(ID_UNKNOWN) ":cancel", NULL, NULL, 404},
    {0, "GET", JOB(ID_RUNNING) "/events", NULL, NULL, 200},
    {0, "GET", JOB(ID_DONE) "/events", "Last-Event-ID: 7", NULL, 204},
    {0, "GET", JOB(ID_UNKNOWN) "/events", NULL, NULL, 404},
    {0, "GET", JOB(ID_DONE) "/events", "Accept: application/json", NULL, 406},
    {0, "GET", JOB(ID_DONE) "/result", NULL, NULL, 200},
    {0, "GET", JOB(ID_DONE) "/result", "Range: bytes=0-1", NULL, 206},
    {0, "GET", JOB(ID_DONE) "/result", "If-None-Match: *", NULL, 304},
    {0, "GET", JOB(ID_UNKNOWN) "/result", NULL, NULL, 404},
    {0, "GET", JOB(ID_DONE) "/result", "Accept: image/png", NULL, 406},
    {0, "GET", JOB(ID_RUNNING) "/result", NULL, NULL, 409},
    {0, "GET", JOB(ID_DONE) "/result", "Range: bytes=999-", NULL, 416},
    {0, "GET", JOB(ID_DONE) "/tensors", NULL, NULL, 200},
    {0, "GET", JOB(ID_DONE) "/tensors", "If-None-Match: *", NULL, 304},
    {0, "GET", JOB(ID_DONE) "/tensors?sort=x", NULL, NULL, 400},
    {0, "GET", JOB(ID_UNKNOWN) "/tensors", NULL, NULL, 404},
    {0, "GET", JOB(ID_FAILED) "/tensors", NULL, NULL, 409},
    {0, "PUT", "/v1/uploads/m", NULL, "hello", 201},
    {0, "PUT", "/v1/uploads/..", NULL, "hello", 400},
    {0, "PUT", "/v1/uploads/m", EVIL, "hello", 403},
    {0, "PUT", "/v1/uploads/m", NULL, NULL, 411},
    {ERROR_LIMIT, "PUT", "/v1/uploads/m", NULL, "hello", 413},
    {0, "PUT", "/v1/uploads/m", "Content-Encoding: gzip", "hello", 415},
    {0, "PUT", "/v1/uploads/m", "Repr-Digest: sha-256=:AAJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", "x", 422},
    {ERROR_NO_SPACE, "PUT", "/v1/uploads/m", NULL, "hello", 507},
    {0, "POST", "/v1/uploads", NULL, "hello", 201},
    {0, "POST", "/v1/uploads", "Upload-Complete: yes", "hello", 400},
    {0, "POST", "/v1/uploads", EVIL, "hello", 403},
    {0, "POST", "/v1/uploads", NULL, NULL, 411},
    {ERROR_LIMIT, "POST", "/v1/uploads", "Upload-Complete: ?0", "hello", 413},
    {0, "POST", "/v1/uploads", "Content-Encoding: gzip", "hello", 415},
    {0, "POST", "/v1/uploads", "Repr-Digest: sha-256=:AAJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", "x", 422},
    {ERROR_NO_SPACE, "POST", "/v1/uploads", NULL, "hello", 507},
    {0, "PATCH", PART, PIECE "\nUpload-Complete: ?1", "hello", 200},
    {0, "PATCH", PART, PIECE, "hel", 204},
    {0, "PATCH", PART, "Content-Type: application/partial-upload", "hello", 400},
    {0, "PATCH", PART, PIECE "\n" EVIL, "hello", 403},
    {0, "PATCH", "/v1/uploads/" ID_UNKNOWN, PIECE, "hello", 404},
    {0, "PATCH", "/v1/uploads/" ID_UPLOAD, PIECE, "hello", 409},
    {ERROR_LIMIT, "PATCH", PART, PIECE, "hello", 413},
    {0, "PATCH", PART, "Upload-Offset: 5", "hello", 415},
    {ERROR_FORMAT, "PATCH", PART, PIECE "\nUpload-Complete: ?1", "hello", 422},
    {ERROR_NO_SPACE, "PATCH", PART, PIECE, "hello", 507},
    {0, "GET", "/v1/uploads", NULL, NULL, 200},
    {0, "GET", "/v1/uploads?page_token=x", NULL, NULL, 400},
    {0, "GET", "/v1/uploads/" ID_UPLOAD, NULL, NULL, 200},
    {0, "GET", "/v1/uploads/" ID_UNKNOWN, NULL, NULL, 404},
    {0, "DELETE", "/v1/uploads/" ID_UPLOAD, NULL, NULL, 204},
    {0, "DELETE", "/v1/uploads/" ID_UPLOAD, EVIL, NULL, 403},
    {0, "DELETE", "/v1/uploads/" ID_UNKNOWN, NULL, NULL, 404},
    {0, "DELETE", "/v1/uploads/" ID_BUSY_UPLOAD, NULL, NULL, 409},
    {0, "GET", "/v1/models", NULL, NULL, 200},
    {0, "GET", "/v1/models?a=b", NULL, NULL, 400},
    {0, "GET", "/v1/models?path=missing", NULL, NULL, 404},
    {0, "GET", "/v1/models?path=..", NULL, NULL, 422},
    {0, "GET", "/v1/models/inspect?path=a", NULL, NULL, 200},
    {0, "GET", "/v1/models/inspect", NULL, NULL, 400},
    {0, "GET", "/v1/models/inspect?path=missing", NULL, NULL, 404},
    {ERROR_CHANGED, "GET", "/v1/models/inspect?path=a", NULL, NULL, 409},
    {0, "GET", "/v1/models/inspect?path=fifo", NULL, NULL, 422},
    {0, "GET", "/v1/models/inspect?path=io", NULL, NULL, 502},
    {0, "GET", "/v1/analyses", NULL, NULL, 200},
    {0, "GET", "/v1/formats", NULL, NULL, 200},
    {0, "GET", "/v1/status", NULL, NULL, 200},
    {0, "GET", "/v1/status?a=b", NULL, NULL, 400},
    /* What every call may answer. */
    {0, "GET", "/v1/jobs/%zz", NULL, NULL, 400},
    {0, "PATCH", "/v1/jobs", NULL, NULL, 405},
    {0, "GET", "/v1/formats", "Host: evil", NULL, 421},
    {ERROR_INTERNAL, "GET", "/v1/jobs", NULL, NULL, 500},
};

static void ask_all(struct fake *fake)
{
    ask_record = record;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        fake->fail = asked[i].fail;
        expect(fake, asked[i].method, asked[i].target, asked[i].headers, asked[i].body, asked[i].status, NULL);
    }
    fake->fail = 0;
}

/* What only a socket brings about. */
static void ask_front(struct fake *fake)
{
    static const struct {
        const char *id, *bytes;
        int status;
    } sent[] = {
        {"submitJob",
         "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n"
         "Expect: 100-continue\r\n\r\n",
         413},
        {"submitJob",
         "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{",
         408},
        {"submitJob",
         "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n"
         "Prefer: wait=9\r\n\r\n" TWO,
         200},
    };
    struct http_config config;
    struct http *front = NULL;
    struct error err = {.code = ERROR_NONE};
    char text[8192];

    http_config_init(&config);
    config.port = 0;
    config.body_timeout_ms = 100;
    ck_assert_msg(http_start(&config, &fake->backend, &front, &err) == 0, "%s", err.text);
    atomic_store(&fake->submitted_state, JOB_SUCCEEDED);
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        int fd = client_connect(http_port(front));

        client_send(fd, sent[i].bytes);
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), sent[i].status);
        record(sent[i].id, sent[i].status);
        close(fd);
    }
    http_stop(front);
}

START_TEST(every_documented_status_is_produced)
{
    struct fake fake;

    fake_init(&fake);
    read_document();
    ask_all(&fake);
    ask_front(&fake);
    for (size_t i = 0; i < documented_count; i++)
        for (size_t s = 0; s < documented[i].status_count; s++)
            ck_assert_msg(documented[i].is_seen[s], "%s: %d is documented and was not produced", documented[i].id,
                          documented[i].statuses[s]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract");
    TCase *tc = tcase_create("contract");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_document_and_the_table_say_the_same);
    tcase_add_test(tc, the_document_lists_every_type_of_problem);
    tcase_add_test(tc, every_documented_status_is_produced);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
