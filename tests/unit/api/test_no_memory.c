/* Requests of every kind while the nth allocation fails, for every n: the right answer or a 503, no crash, and nothing
 * left behind. The backend behind them is a fake whose own allocations do not fail. */
#include <check.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/failing_malloc.h"

#ifdef HAS_SANITIZER

int main(void)
{
    puts("left out: the allocator is the sanitizer's");
    return 0;
}

#else

#include "api/problem.h"
#include "api/routes.h"
#include "tests/unit/api/fake_backend.h"

enum { HEADERS_MAX = 3, BODY_BYTES = 1 << 20 };

static struct fake fake;

#define JOB(id) "/v1/jobs/" id
#define GET(target, status)                                                                                            \
    {                                                                                                                  \
        METHOD_GET, target, {{NULL, NULL}}, NULL, status, 0                                                            \
    }
#define GET_WITH(name, value, target, status)                                                                          \
    {                                                                                                                  \
        METHOD_GET, target, {{name, value}}, NULL, status, 0                                                           \
    }
#define POST_JOB(body, status)                                                                                         \
    {                                                                                                                  \
        METHOD_POST, "/v1/jobs", {{"Content-Type", "application/json"}, {"Prefer", "wait=5, respond-async"}}, body,    \
            status, 0                                                                                                  \
    }
#define FILE_PART(name)                                                                                                \
    "--XyZ\r\nContent-Disposition: form-data; name=\"models\"; filename=\"" name "\"\r\n\r\nhello\r\n"
#define REQUEST_PART "--XyZ\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{\"labels\":{\"a\":\"b\"}}\r\n"
#define POST_FORM(body, status)                                                                                        \
    {                                                                                                                  \
        METHOD_POST, "/v1/jobs", {{"Content-Type", "multipart/form-data; boundary=XyZ"}, {"Idempotency-Key", "new"}},  \
            body, status, 0                                                                                            \
    }
#define CALL(method, target, status)                                                                                   \
    {                                                                                                                  \
        METHOD_##method, target, {{NULL, NULL}}, NULL, status, 0                                                       \
    }

static const struct kind {
    enum http_method method;
    const char *target;
    struct field headers[HEADERS_MAX];
    const char *body;
    int status, also; /* also: another one that is right when memory is short */
} kinds[] = {
    POST_JOB("{\"models\":[\"a\",\"b\"]}", 202),
    POST_JOB("{\"models\":[\"a\",{\"upload\":\"" ID_UPLOAD
             "\"}],\"labels\":{\"team\":\"x\",\"run\":\"a label that is longer "
             "than json-c has room for at first\"},\"analyses\":[\"stats\",\"layer_impact\",\"quantization_analysis\"],"
             "\"options\":{\"include\":[\"layers\"],\"exclude\":[\"norm$\"],\"top\":5,\"what_if\":true},"
             "\"gate\":[{\"metric\":\"relative_l2\",\"scope\":\"tensor\",\"max\":0.1}]}",
             202),
    POST_JOB("{\"models\":[\"a\"],\"analyses\":[\"stat\"],\"option\":{}}", 422),
    POST_JOB("{\"models\":[\"a\",\"missing\"]}", 404),
    POST_JOB("{\"models\":[\"a\",", 422),
    POST_JOB("null", 422),
    {METHOD_POST,
     "/v1/jobs",
     {{"Content-Type", "application/json"}, {"Idempotency-Key", "done"}},
     "{\"models\":[\"a\",\"b\"]}",
     202,
     0},
    {METHOD_POST,
     "/v1/jobs",
     {{"Content-Type", "application/json"}, {"Idempotency-Key", "other"}},
     "{\"models\":[\"a\",\"b\"]}",
     422,
     0},
    POST_FORM(FILE_PART("a") FILE_PART("b") REQUEST_PART "--XyZ--\r\n", 202),
    POST_FORM(FILE_PART("a") "--XyZ", 400),
    POST_FORM("--XyZ\r\nContent-Disposition: form-data; name=\"models\"\r\n\r\na\r\n--XyZ--\r\n", 422),
    GET(JOB(ID_QUEUED), 200),
    GET_WITH("Prefer", "wait=5", JOB(ID_RUNNING), 200),
    GET_WITH("If-None-Match", "\"another\", W/\"x\"", JOB(ID_DONE), 200),
    GET(JOB(ID_FAILED), 200),
    GET(JOB(ID_UNKNOWN), 404),
    GET("/v1/jobs?state=running&label=team%3Dx&page_size=2", 200),
    GET("/v1/jobs?page_token=nonsense", 400),
    GET(JOB(ID_DONE) "/result", 200),
    {METHOD_GET, JOB(ID_DONE) "/result", {{"Range", "bytes=5-20"}}, NULL, 206, 200},
    GET_WITH("Accept", "application/x-ndjson", JOB(ID_DONE) "/result", 200),
    GET_WITH("Accept", "text/plain", JOB(ID_DONE) "/result", 200),
    GET_WITH("Accept", "text/markdown;q=0.8, application/junit+xml", JOB(ID_DONE) "/result", 200),
    GET_WITH("Accept", "image/png", JOB(ID_DONE) "/result", 406),
    GET(JOB(ID_RUNNING) "/result", 409),
    GET(JOB(ID_FAILED) "/result", 409),
    GET(JOB(ID_RUNNING) "/events", 200),
    GET_WITH("Last-Event-ID", "3", JOB(ID_DONE) "/events", 200),
    GET(JOB(ID_DONE) "/tensors", 200),
    GET(JOB(ID_DONE) "/tensors?sort=change_magnitude&order=descending&page_size=2&status=changed&include=weight", 200),
    GET(JOB(ID_DONE) "/tensors?include=%28", 400),
    CALL(POST, JOB(ID_RUNNING) ":cancel", 202),
    CALL(DELETE, JOB(ID_DONE), 204),
    {METHOD_PUT,
     "/v1/uploads/m",
     {{"Content-Length", "5"}, {"Repr-Digest", "sha-256=:" FAKE_SHA_BASE64 ":"}},
     "hello",
     201,
     0},
    {METHOD_PUT, "/v1/uploads/m%20n", {{"Content-Encoding", "gzip"}}, "hello", 415, 0},
    {METHOD_POST, "/v1/uploads", {{"Upload-Complete", "?0"}, {"Upload-Length", "10"}}, NULL, 201, 0},
    {METHOD_POST,
     "/v1/uploads",
     {{"Upload-Complete", "?1"}, {"Content-Length", "5"}, {"Content-Disposition", "attachment; filename=\"m.bin\""}},
     "hello",
     201,
     0},
    CALL(HEAD, "/v1/uploads/" ID_PART, 200),
    {METHOD_PATCH,
     "/v1/uploads/" ID_PART,
     {{"Content-Type", "application/partial-upload"}, {"Upload-Offset", "5"}, {"Upload-Complete", "?1"}},
     "hello",
     200,
     0},
    {METHOD_PATCH,
     "/v1/uploads/" ID_PART,
     {{"Content-Type", "application/partial-upload"}, {"Upload-Offset", "4"}},
     "hello",
     409,
     0},
    GET("/v1/uploads", 200),
    GET("/v1/uploads/" ID_UPLOAD, 200),
    CALL(DELETE, "/v1/uploads/" ID_UPLOAD, 204),
    CALL(DELETE, "/v1/uploads/" ID_BUSY_UPLOAD, 409),
    GET("/v1/models?path=a%2Fb", 200),
    GET("/v1/models/inspect?path=a", 200),
    GET("/v1/models/inspect?path=missing", 404),
    GET("/v1/analyses", 200),
    GET("/v1/formats", 200),
    GET("/v1/status", 200),
    GET("/metrics", 200),
    GET("/problems/too-large", 200),
    GET("/version", 200),
    GET("/openapi.yaml", 200),
    GET("/livez", 200),
    GET("/readyz", 200),
    GET("/nowhere", 404),
    CALL(PATCH, "/v1/jobs", 405),
};

/* ---- the fake's own memory does not fail */

#define SPARED(name, type, parameters, arguments)                                                                      \
    static type spared_##name parameters                                                                               \
    {                                                                                                                  \
        type result;                                                                                                   \
        is_sparing = true;                                                                                             \
        result = fake_ops.name arguments;                                                                              \
        is_sparing = false;                                                                                            \
        return result;                                                                                                 \
    }
SPARED(submit, int,
       (struct backend * b, const struct submission *s, struct job *job, bool *is_replay, struct error *err),
       (b, s, job, is_replay, err))
SPARED(get, int, (struct backend * b, const char *id, struct job *job, struct error *err), (b, id, job, err))
SPARED(list, int,
       (struct backend * b, const struct job_filter *f, uint64_t at, size_t most, struct job_list *list,
        struct error *err),
       (b, f, at, most, list, err))
SPARED(cancel, int, (struct backend * b, const char *id, struct job *job, struct error *err), (b, id, job, err))
SPARED(open_result, int,
       (struct backend * b, const char *id, enum representation r, struct blob *blob, struct error *err),
       (b, id, r, blob, err))
SPARED(upload_begin, int,
       (struct backend * b, const struct upload_wish *wish, struct upload_sink **sink, struct error *err),
       (b, wish, sink, err))
SPARED(upload_commit, int, (struct upload_sink * sink, struct upload *upload, struct error *err), (sink, upload, err))
SPARED(upload_get, int, (struct backend * b, const char *id, struct upload *upload, struct error *err),
       (b, id, upload, err))
SPARED(upload_list, int,
       (struct backend * b, const char *owner, uint64_t at, size_t most, struct upload_list *list, struct error *err),
       (b, owner, at, most, list, err))
SPARED(find_submitted, int, (struct backend * b, const struct submission *s, struct job *job, struct error *err),
       (b, s, job, err))
SPARED(upload_seal, int, (struct upload_sink * sink, struct upload *upload, struct error *err), (sink, upload, err))
SPARED(upload_create, int,
       (struct backend * b, const struct upload_wish *wish, struct upload *upload, struct error *err),
       (b, wish, upload, err))
SPARED(upload_resume, int,
       (struct backend * b, const char *id, const struct upload_piece *piece, struct upload *now,
        struct upload_sink **sink, struct error *err),
       (b, id, piece, now, sink, err))
SPARED(upload_pause, int, (struct upload_sink * sink, struct upload *upload, struct error *err), (sink, upload, err))
SPARED(status, int, (struct backend * b, char **json, size_t *bytes, struct error *err), (b, json, bytes, err))
SPARED(list_models, int,
       (struct backend * b, const char *path, size_t most, struct model_list *list, struct error *err),
       (b, path, most, list, err))
SPARED(inspect_model, int, (struct backend * b, const char *path, char **json, size_t *bytes, struct error *err),
       (b, path, json, bytes, err))

static struct backend_ops spared_ops(void)
{
    struct backend_ops ops = fake_ops;

    ops.submit = spared_submit;
    ops.get = spared_get;
    ops.list = spared_list;
    ops.cancel = spared_cancel;
    ops.open_result = spared_open_result;
    ops.upload_begin = spared_upload_begin;
    ops.upload_commit = spared_upload_commit;
    ops.find_submitted = spared_find_submitted;
    ops.upload_seal = spared_upload_seal;
    ops.upload_create = spared_upload_create;
    ops.upload_resume = spared_upload_resume;
    ops.upload_pause = spared_upload_pause;
    ops.upload_offset = ops.upload_get = spared_upload_get;
    ops.status = spared_status;
    ops.upload_list = spared_upload_list;
    ops.list_models = spared_list_models;
    ops.inspect_model = spared_inspect_model;
    return ops;
}

/* ---- one request, as the front handles it */

static void run_stream(const struct request *request, struct response *response)
{
    const struct route_stream *stream = route_stream_of(request);
    void *state = NULL;

    if (route_begin(request, &fake.backend, &state, response))
        return;
    if (stream->append(request, state, request->body, request->body_bytes, response))
        stream->abandon(state);
    else
        stream->finish(request, &fake.backend, state, response);
}

static void handle(const struct request *request, const struct route_match *match, struct response *response)
{
    static const struct guard guard = {.is_loopback = true};
    struct request asked = *request;

    if (!guard_admit(&guard, &asked, response) || !access_admit(NULL, &asked, response))
        return;
    if (!match->route)
        route_reply_unmatched(&asked, match, response);
    else if (route_stream_of(&asked))
        run_stream(&asked, response);
    else if (access_owns(&asked, &fake.backend, response))
        match->route->handle(&asked, &fake.backend, response);
}

/* The status, with the body in body; −1: a body that broke off. */
static int ask(const struct kind *kind, char *body, size_t *ret_bytes)
{
    struct field fields[HEADERS_MAX + 1] = {{"Host", "localhost:8080"}};
    struct request request = {
        .method = kind->method, .headers = fields, .header_count = 1, .is_ready = true, .body_bytes_max = 1 << 20};
    struct target target = {.path = NULL};
    struct response response;
    struct route_match match;
    struct body_reader reader;
    struct error err = {0};
    size_t used = 0;
    ssize_t got;
    int status;

    for (size_t i = 0; i < HEADERS_MAX && kind->headers[i].name; i++)
        fields[request.header_count++] = kind->headers[i];
    snprintf(request.id, sizeof(request.id), "test-1");
    request.body = kind->body;
    request.body_bytes = kind->body ? strlen(kind->body) : 0;
    response_init(&response);
    if (target_parse(kind->target, &target, &err)) {
        request.path = "";
        problem_reply_error(&response, &request, &err);
    } else {
        request.path = target.path;
        request.query = target.query;
        request.query_count = target.query_count;
        route_find(request.method, &target, &match);
        request.route = match.route;
        memcpy(request.parameters, match.parameters, sizeof(request.parameters));
        handle(&request, &match, &response);
    }
    response_finish(&request, &response);
    body_reader_init(&reader, &response);
    while ((got = body_read(&reader, body + used, BODY_BYTES - used)) > 0)
        used += (size_t)got;
    status = got < 0 ? -1 : response.status;
    body_reader_done(&reader);
    response_done(&response);
    target_done(&target);
    *ret_bytes = used;
    return status;
}

START_TEST(every_kind_of_request_is_answered_rightly_or_by_503)
{
    static char undisturbed[BODY_BYTES], body[BODY_BYTES];
    const struct kind *kind = &kinds[_i];
    struct backend_ops ops = spared_ops();
    size_t expected, bytes;
    long n = 0;
    int status;

    fake_init(&fake);
    fake.backend.ops = &ops;
    ERR_clear_error(); /* makes libcrypto's record of this thread's errors */
    ck_assert_int_eq(ask(kind, undisturbed, &expected), kind->status); /* and what is made once is made */
    do {
        live = 0;
        countdown = n;
        is_counting = true;
        status = ask(kind, body, &bytes);
        ERR_clear_error(); /* libcrypto keeps each thread's latest errors */
        is_counting = false;
        ck_assert_msg(live == 0, "%s: %ld blocks are left when allocation %ld fails", kind->target, live, n);
        ck_assert_msg(status == kind->status || status == 503 || status == kind->also,
                      "%s: status %d when allocation %ld fails: %.*s", kind->target, status, n, (int)bytes, body);
        ck_assert_msg(status != kind->status || (bytes == expected && memcmp(body, undisturbed, bytes) == 0),
                      "%s: another body when allocation %ld fails: %.*s", kind->target, n, (int)bytes, body);
        n++;
    } while (countdown < 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("requests without memory");
    TCase *tcase = tcase_create("no_memory");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_kind_of_request_is_answered_rightly_or_by_503, 0,
                        sizeof(kinds) / sizeof(kinds[0]));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
