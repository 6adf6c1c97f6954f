/* Handlers with a backend in memory and no socket. */
#include "tests/unit/api/ask.h"

#include <fcntl.h>

#include "api/prefer.h"

static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
}

#define JOBS    "/v1/jobs"
#define JOB(id) "/v1/jobs/" id
#define TWO     "{\"models\":[\"a\",\"b\"]}"

START_TEST(a_job_is_accepted_with_its_address)
{
    struct answer a =
        ask(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\",{\"upload\":\"" ID_UPLOAD "\"}],\"labels\":{\"k\":\"v\"}}");

    ck_assert_int_eq(a.response.status, 202);
    ck_assert_str_eq(answer_header(&a, "Location"), JOB(ID_QUEUED));
    ck_assert_str_eq(answer_header(&a, "Retry-After"), "1");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"7-3\"");
    ck_assert_str_eq(answer_header(&a, "X-Request-Id"), "test-1");
    ck_assert_ptr_nonnull(strstr(a.body, "\"state\":\"queued\""));
    ck_assert_ptr_nonnull(strstr(a.body, "\"queue_position\":3"));
    ck_assert_ptr_nonnull(strstr(a.body, "\"create_time\":\"2023-11-14T22:13:20.123Z\""));
    ck_assert_str_eq(fake.last_labels, "{\"k\":\"v\"}");
    ck_assert_str_eq(fake.last_request,
                     "{\"models\":[\"a\",{\"upload\":\"" ID_UPLOAD "\"}],\"analyses\":[\"stats\"],\"options\":{}}");
    ck_assert_uint_eq(a.response.wait.seconds, 0);
    answer_done(&a);
}
END_TEST

static const struct {
    const char *model;
    int status;
    const char *detail;
} models[] = {
    {"\"missing\"", 404, "nothing lies at \\\"missing\\\""},
    {"{\"upload\":\"nope\"}", 404, "there is no upload with this id"},
    {"{\"upload\":\"" ID_UNKNOWN "\"}", 404, "there is no upload with this id"},
    {"\"../x\"", 422, "leads out of the models root"},
    {"\"fifo\"", 422, "is not a regular file"},
    {"\"private\"", 422, "may not read"},
    {"\"empty\"", 422, "no model lies in the directory"},
};

START_TEST(a_model_that_cannot_be_taken_is_pointed_at)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"models\":[\"a\",%s]}", models[_i].model);
    expect(&fake, "POST", JOBS, NULL, body, models[_i].status, "\"pointer\":\"/models/1\"");
    expect(&fake, "POST", JOBS, NULL, body, models[_i].status, models[_i].detail);
}
END_TEST

START_TEST(the_services_own_trouble_is_not_told)
{
    struct answer a = ask(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\",\"io\"]}");

    ck_assert_int_eq(a.response.status, 502);
    ck_assert_ptr_null(strstr(a.body, "sdb1"));
    ck_assert_ptr_nonnull(strstr(a.response.cause, "sdb1"));
    answer_done(&a);
    fake.fail = ERROR_INTERNAL;
    expect(&fake, "GET", JOB(ID_DONE), NULL, NULL, 500, "\"type\":\"/problems/internal\"");
    fake.fail = ERROR_NO_SPACE;
    expect(&fake, "POST", JOBS, NULL, TWO, 507, "/problems/no-space");
}
END_TEST

START_TEST(requests_are_faulted_with_pointers)
{
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\",\"b\"],\"analyses\":[\"stat\"]}", 422,
           "{\"pointer\":\"/analyses/0\",\"detail\":\"unknown analysis \\\"stat\\\"; did you mean \\\"stats\\\"?\"}");
    expect(&fake, "POST", JOBS, "Content-Type: text/plain", TWO, 415, "unsupported-media-type");
    expect(&fake, "POST", JOBS, "Content-Type: application/x-www-form-urlencoded", TWO, 415, NULL);
    expect(&fake, "POST", JOBS, "Content-Encoding: gzip", TWO, 415, NULL);
    expect(&fake, "POST", JOBS, "Content-Type: Application/JSON; charset=utf-8", TWO, 202, NULL);
    expect(&fake, "POST", JOBS "?x=1", NULL, TWO, 400, "unknown parameter");
    ck_assert_int_eq(atomic_load(&fake.submitted_state), JOB_QUEUED);
}
END_TEST

START_TEST(a_full_queue_says_when_to_come_back)
{
    struct answer a;

    fake.fail = ERROR_BUSY;
    a = ask(&fake, "POST", JOBS, NULL, TWO);
    ck_assert_int_eq(a.response.status, 503);
    ck_assert_str_eq(answer_header(&a, "Retry-After"), "5");
    answer_done(&a);
}
END_TEST

START_TEST(a_wait_is_asked_for_and_answered)
{
    struct answer a = ask(&fake, "POST", JOBS, "Prefer: respond-async, wait=90", TWO);

    ck_assert_int_eq(a.response.status, 202);
    ck_assert_uint_eq(a.response.wait.seconds, 60);
    ck_assert_str_eq(a.response.wait.job_id, ID_QUEUED);
    answer_done(&a);
    a = ask_waited(&fake, "POST", JOBS, "Prefer: wait=5", TWO, ID_RUNNING, false);
    ck_assert_uint_eq(a.response.wait.seconds, 5);
    answer_done(&a);
    a = ask_waited(&fake, "POST", JOBS, "Prefer: wait=5", TWO, ID_RUNNING, true);
    ck_assert_uint_eq(a.response.wait.seconds, 0);
    ck_assert_int_eq(a.response.status, 202);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "wait=5");
    ck_assert_str_eq(answer_header(&a, "Location"), JOB(ID_RUNNING));
    answer_done(&a);
    a = ask_waited(&fake, "POST", JOBS, "Prefer: wait=\"5\"", TWO, ID_DONE, false);
    ck_assert_int_eq(a.response.status, 200);
    ck_assert_str_eq(answer_header(&a, "Preference-Applied"), "wait=5");
    answer_done(&a);
    a = ask(&fake, "GET", JOB(ID_RUNNING), "Prefer: wait=5", NULL);
    ck_assert_uint_eq(a.response.wait.seconds, 5);
    answer_done(&a);
    a = ask(&fake, "GET", JOB(ID_DONE), "Prefer: wait=5", NULL);
    ck_assert_uint_eq(a.response.wait.seconds, 0);
    answer_done(&a);
    a = ask_waited(&fake, "GET", JOB(ID_RUNNING), "Prefer: wait=5", NULL, ID_RUNNING, true);
    ck_assert_int_eq(a.response.status, 200);
    answer_done(&a);
}
END_TEST

START_TEST(preferences_are_read)
{
    ck_assert_uint_eq(prefer_wait(NULL), 0);
    ck_assert_uint_eq(prefer_wait("wait=7"), 7);
    ck_assert_uint_eq(prefer_wait("Wait = 7 ; x=y"), 7);
    ck_assert_uint_eq(prefer_wait("a=\"wait=9, wait=9\", wait=\"8\""), 8);
    ck_assert_uint_eq(prefer_wait("wait=999999999999999999999"), 60);
    ck_assert_uint_eq(prefer_wait("wait=-1"), 0);
    ck_assert_uint_eq(prefer_wait("wait=x, wait=3"), 3);
    ck_assert_uint_eq(prefer_wait("waiting=3"), 0);
    ck_assert_uint_eq(prefer_wait("wait="), 0);
    ck_assert_uint_eq(prefer_wait(",,;,\"\\\""), 0);
}
END_TEST

START_TEST(each_state_looks_as_documented)
{
    expect(&fake, "GET", JOB(ID_RUNNING), NULL, NULL, 200, "\"fraction\":0.25,\"bytes_done\":25");
    expect(&fake, "GET", JOB(ID_DONE), NULL, NULL, 200, "\"result_url\":\"" JOB(ID_DONE) "/result\"");
    expect(&fake, "GET", JOB(ID_DONE), NULL, NULL, 200, "\"run\":{\"elapsed_seconds\":0.5}");
    expect(&fake, "GET", JOB(ID_FAILED), NULL, NULL, 200,
           "\"error\":{\"code\":\"malformed-model\",\"status\":422,\"title\":\"Malformed "
           "model\",\"detail\":\"cut\",\"type\":"
           "\"/problems/malformed-model\"}");
    expect(&fake, "GET", JOB(ID_CANCELLED), NULL, NULL, 200, "\"state\":\"cancelled\"");
    expect(&fake, "GET", JOB(ID_UNKNOWN), NULL, NULL, 404, "job-not-found");
    expect(&fake, "GET", "/v1/jobs/not-an-id", NULL, NULL, 404, "job-not-found");
}
END_TEST

START_TEST(polling_an_unchanged_job_costs_no_body)
{
    struct answer a = ask(&fake, "GET", JOB(ID_RUNNING), "If-None-Match: \"1-0\", W/\"7-0\"", NULL);

    ck_assert_int_eq(a.response.status, 304);
    ck_assert_uint_eq(a.bytes, 0);
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"7-0\"");
    ck_assert_str_eq(answer_header(&a, "Content-Type"), "");
    answer_done(&a);
    expect(&fake, "GET", JOB(ID_RUNNING), "If-None-Match: \"7-1\"", NULL, 200, NULL);
    expect(&fake, "GET", JOB(ID_RUNNING), "If-None-Match: 7-0", NULL, 200, NULL);
    expect(&fake, "GET", JOB(ID_RUNNING), "If-None-Match: *", NULL, 304, NULL);
    expect(&fake, "HEAD", JOB(ID_RUNNING), "If-None-Match: \"7-0\"", NULL, 304, NULL);
}
END_TEST

START_TEST(jobs_are_cancelled_and_forgotten)
{
    expect(&fake, "POST", JOB(ID_RUNNING) ":cancel", NULL, NULL, 202, NULL);
    expect(&fake, "POST", JOB(ID_DONE) ":cancel", NULL, NULL, 200, NULL);
    expect(&fake, "POST", JOB(ID_UNKNOWN) ":cancel", NULL, NULL, 404, NULL);
    expect(&fake, "POST", JOB(ID_DONE) ":explode", NULL, NULL, 404, "not-found");
    expect(&fake, "POST", "/v1/jobs/:cancel", NULL, NULL, 404, NULL);
    expect(&fake, "GET", JOB(ID_DONE) ":cancel", NULL, NULL, 405, "POST, OPTIONS");
    expect(&fake, "DELETE", JOB(ID_DONE), NULL, NULL, 204, NULL);
    expect(&fake, "DELETE", JOB(ID_UNKNOWN), NULL, NULL, 404, NULL);
}
END_TEST

START_TEST(pages_follow_one_another)
{
    struct answer a = ask(&fake, "GET", JOBS "?state=running&page_size=2", NULL, NULL);
    char token[64] = "", target[256];

    ck_assert_int_eq(a.response.status, 200);
    ck_assert_int_eq(sscanf(strstr(a.body, "\"next_page_token\":\"") + 19, "%63[^\"]", token), 1);
    snprintf(target, sizeof(target), "<" JOBS "?state=running&page_size=2&page_token=%s>; rel=\"next\"", token);
    ck_assert_str_eq(answer_header(&a, "Link"), target);
    answer_done(&a);
    snprintf(target, sizeof(target), JOBS "?page_token=%s&state=running&page_size=9", token);
    expect(&fake, "GET", target, NULL, NULL, 200, "\"next_page_token\":\"\"");
    /* Another filter, another list, another token. */
    snprintf(target, sizeof(target), JOBS "?page_token=%s&state=queued", token);
    expect(&fake, "GET", target, NULL, NULL, 400, "page_token");
    snprintf(target, sizeof(target), "/v1/uploads?page_token=%s", token);
    expect(&fake, "GET", target, NULL, NULL, 400, "page_token");
    expect(&fake, "GET", JOBS "?page_token=zzzzzzzzzzzzzzzzzzzzzz", NULL, NULL, 400, NULL);
    expect(&fake, "GET", JOBS "?page_token=*", NULL, NULL, 400, NULL);
}
END_TEST

START_TEST(parameters_of_lists_are_checked)
{
    expect(&fake, "GET", JOBS "?page_size=0", NULL, NULL, 200, NULL);
    expect(&fake, "GET", JOBS "?page_size=99999999999999999999", NULL, NULL, 200, NULL);
    expect(&fake, "GET", JOBS "?page_size=-1", NULL, NULL, 400, "page_size");
    expect(&fake, "GET", JOBS "?page_size=x", NULL, NULL, 400, "page_size");
    expect(&fake, "GET", JOBS "?state=dead", NULL, NULL, 400, "state must be one of");
    expect(&fake, "GET", JOBS "?label=:x", NULL, NULL, 400, "NAME:VALUE");
    expect(&fake, "GET", JOBS "?label==x", NULL, NULL, 400, "NAME:VALUE");
    expect(&fake, "GET", JOBS "?label=team:x&label=n%3D1&label=any", NULL, NULL, 200, NULL);
    ck_assert_uint_eq(fake.last_filter.label_count, 3);
    expect(&fake, "GET", JOBS "?label=1&label=2&label=3&label=4&label=5&label=6&label=7&label=8&label=9", NULL, NULL,
           400, "8 times at most");
    expect(&fake, "GET", JOBS "?staet=queued", NULL, NULL, 400, "unknown parameter \\\"staet\\\"");
}
END_TEST

#define RESULT JOB(ID_DONE) "/result"
static const struct {
    const char *accept;
    int status;
    const char *type;
} accepts[] = {
    {NULL, 200, "application/json"},
    {"Accept: */*", 200, "application/json"},
    {"Accept: application/*", 200, "application/json"},
    {"Accept: text/plain", 200, "text/plain; charset=utf-8"},
    {"Accept: text/*;q=0.5, application/json;q=0.4", 200, "text/plain; charset=utf-8"},
    {"Accept: TEXT/PLAIN ; Q=1.000", 200, "text/plain; charset=utf-8"},
    {"Accept: application/x-ndjson", 200, "application/x-ndjson"},
    {"Accept: */*, application/json;q=0", 200, "application/x-ndjson"},
    {"Accept: */*;q=0.1, text/plain;q=0.2", 200, "text/plain; charset=utf-8"},
    {"Accept: text/html, application/xhtml+xml, */*;q=0.8", 200, "application/json"},
    {"Accept: text/html", 406, "application/problem+json"},
    {"Accept: */*;q=0", 406, "application/problem+json"},
    {"Accept: application/json;q=2", 406, "application/problem+json"},
    {"Accept: application/json;q=0.5;v=1", 200, "application/json"},
};

START_TEST(the_representation_is_chosen_by_accept)
{
    struct answer a = ask(&fake, "GET", RESULT, accepts[_i].accept, NULL);

    ck_assert_int_eq(a.response.status, accepts[_i].status);
    ck_assert_str_eq(answer_header(&a, "Content-Type"), accepts[_i].type);
    if (accepts[_i].status == 200)
        ck_assert_str_eq(answer_header(&a, "Vary"), "Accept, Accept-Encoding");
    answer_done(&a);
}
END_TEST

/* From memory and from a file alike. */
START_TEST(results_come_as_they_lie)
{
    struct answer a;

    fake.is_file = _i;
    a = ask(&fake, "GET", RESULT, NULL, NULL);
    ck_assert_str_eq(a.body, fake_json);
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"etag-0\"");
    ck_assert_str_eq(answer_header(&a, "Cache-Control"), "private, max-age=31536000, immutable");
    answer_done(&a);
    a = ask(&fake, "GET", RESULT, "Accept: application/x-ndjson", NULL);
    ck_assert_str_eq(a.body, "{\"name\":\"a.weight\",\"status\":\"changed\"}\n"
                             "{\"name\":\"b.weight\",\"status\":\"bit_equal\"}\n"
                             "{\"name\":\"c.bias\",\"status\":\"changed\"}\n");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"etag-0-ndjson\"");
    answer_done(&a);
    expect(&fake, "GET", RESULT, "If-None-Match: \"etag-0\"", NULL, 304, NULL);
    expect(&fake, "GET", RESULT, "Accept: text/plain\nIf-None-Match: \"etag-0\"", NULL, 200, "~ a.weight");
}
END_TEST

static const struct {
    const char *headers;
    int status;
    const char *range; /* Content-Range */
    size_t from, bytes;
} ranges[] = {
    {"Range: bytes=0-9", 206, "bytes 0-9/164", 0, 10},
    {"Range: bytes=160-", 206, "bytes 160-163/164", 160, 4},
    {"Range: bytes=160-999", 206, "bytes 160-163/164", 160, 4},
    {"Range: bytes=-4", 206, "bytes 160-163/164", 160, 4},
    {"Range: bytes=-999", 206, "bytes 0-163/164", 0, 164},
    {"Range: bytes=164-", 416, "bytes */164", 0, 0},
    {"Range: bytes=-0", 416, "bytes */164", 0, 0},
    {"Range: bytes=99999999999999999999-", 416, "bytes */164", 0, 0},
    {"Range: bytes=5-4", 200, "", 0, 164},
    {"Range: bytes=0-1,3-4", 200, "", 0, 164},
    {"Range: bytes=a-b", 200, "", 0, 164},
    {"Range: bytes=-", 200, "", 0, 164},
    {"Range: lines=0-1", 200, "", 0, 164},
    {"Range: bytes=0-9\nIf-Range: \"etag-0\"", 206, "bytes 0-9/164", 0, 10},
    {"Range: bytes=0-9\nIf-Range: \"other\"", 200, "", 0, 164},
    {"Range: bytes=0-9\nIf-Range: W/\"etag-0\"", 200, "", 0, 164},
    {"Range: bytes=0-9\nIf-None-Match: \"etag-0\"", 304, "", 0, 0},
    {"Range: bytes=0-1\nAccept: application/x-ndjson", 200, "", 0, 0},
};

START_TEST(one_range_is_served)
{
    struct answer a;

    for (int i = 0; i < 2; i++) {
        fake.is_file = i;
        a = ask(&fake, "GET", RESULT, ranges[_i].headers, NULL);
        ck_assert_int_eq(a.response.status, ranges[_i].status);
        ck_assert_str_eq(answer_header(&a, "Content-Range"), ranges[_i].range);
        if (ranges[_i].bytes) {
            ck_assert_uint_eq(a.bytes, ranges[_i].bytes);
            ck_assert_int_eq(memcmp(a.body, fake_json + ranges[_i].from, a.bytes), 0);
        }
        answer_done(&a);
    }
}
END_TEST

START_TEST(there_is_no_result_until_the_job_has_succeeded)
{
    static const char *const ends[] = {"/result", "/tensors"};
    char target[128];

    snprintf(target, sizeof(target), JOB(ID_RUNNING) "%s", ends[_i]);
    expect(&fake, "GET", target, NULL, NULL, 409, "/problems/job-not-finished");
    snprintf(target, sizeof(target), JOB(ID_QUEUED) "%s", ends[_i]);
    expect(&fake, "GET", target, NULL, NULL, 409, "/problems/job-not-finished");
    snprintf(target, sizeof(target), JOB(ID_FAILED) "%s", ends[_i]);
    expect(&fake, "GET", target, NULL, NULL, 409, "\"error\":{\"code\":\"malformed-model\"");
    expect(&fake, "GET", target, NULL, NULL, 409, "\"type\":\"/problems/malformed-model\"");
    snprintf(target, sizeof(target), JOB(ID_CANCELLED) "%s", ends[_i]);
    expect(&fake, "GET", target, NULL, NULL, 409, "/problems/job-cancelled");
    snprintf(target, sizeof(target), JOB(ID_UNKNOWN) "%s", ends[_i]);
    expect(&fake, "GET", target, NULL, NULL, 404, "/problems/job-not-found");
}
END_TEST

#define TENSORS             JOB(ID_DONE) "/tensors"
#define A                   "{\"name\":\"a.weight\",\"status\":\"changed\"}"
#define B                   "{\"name\":\"b.weight\",\"status\":\"bit_equal\"}"
#define C                   "{\"name\":\"c.bias\",\"status\":\"changed\"}"
#define PAGE(records, size) "{\"tensors\":[" records "],\"next_page_token\":\"\",\"total_size\":" #size "}"
static const struct {
    const char *query, *body;
} pages[] = {
    {"", PAGE(A "," B "," C, 3)},
    {"?sort=change_magnitude", PAGE(C "," A "," B, 3)},
    {"?sort=change_magnitude&order=ascending", PAGE(B "," A "," C, 3)},
    {"?order=descending", PAGE(C "," B "," A, 3)},
    {"?sort=name", PAGE(A "," B "," C, 3)},
    {"?status=changed", PAGE(A "," C, 2)},
    {"?status=bit_equal,added", PAGE(B, 1)},
    {"?status=removed", PAGE("", 0)},
    {"?include=weight$", PAGE(A "," B, 2)},
    {"?include=%5Ea&status=changed", PAGE(A, 1)},
};

START_TEST(tensors_are_filtered_and_sorted)
{
    char target[256];
    struct answer a;

    snprintf(target, sizeof(target), TENSORS "%s", pages[_i].query);
    for (int i = 0; i < 2; i++) {
        fake.is_file = i;
        a = ask(&fake, "GET", target, NULL, NULL);
        ck_assert_int_eq(a.response.status, 200);
        ck_assert_str_eq(a.body, pages[_i].body);
        answer_done(&a);
    }
}
END_TEST

START_TEST(tensors_come_in_pages)
{
    static const char *const records[] = {C, A, B};
    char target[256] = TENSORS "?sort=change_magnitude&page_size=1", token[64] = "", etags[3][64];
    struct answer a;

    for (int i = 0; i < 3; i++) {
        a = ask(&fake, "GET", target, NULL, NULL);
        ck_assert_int_eq(a.response.status, 200);
        ck_assert_ptr_nonnull(strstr(a.body, records[i]));
        ck_assert_int_eq(count_of(a.body, "\"name\""), 1);
        snprintf(etags[i], sizeof(etags[i]), "%s", answer_header(&a, "ETag"));
        token[0] = '\0';
        sscanf(strstr(a.body, "\"next_page_token\":\"") + 19, "%63[^\"]", token);
        snprintf(target, sizeof(target), TENSORS "?sort=change_magnitude&page_size=1&page_token=%s", token);
        answer_done(&a);
    }
    ck_assert_str_eq(token, "");
    ck_assert_str_ne(etags[0], etags[1]);
    snprintf(target, sizeof(target), "If-None-Match: %s", etags[0]);
    expect(&fake, "GET", TENSORS "?sort=change_magnitude&page_size=1", target, NULL, 304, NULL);
    expect(&fake, "GET", TENSORS "?page_size=1", target, NULL, 200, NULL);
}
END_TEST

START_TEST(parameters_of_tensors_are_checked)
{
    expect(&fake, "GET", TENSORS "?sort=size", NULL, NULL, 400, "sort must be one of name, change_magnitude");
    expect(&fake, "GET", TENSORS "?order=up", NULL, NULL, 400, "order must be one of ascending, descending");
    expect(&fake, "GET", TENSORS "?status=changed,odd", NULL, NULL, 400, "status must be one of bit_equal");
    expect(&fake, "GET", TENSORS "?include=(", NULL, NULL, 400, "include");
    expect(&fake, "GET", TENSORS "?page_token=x", NULL, NULL, 400, "page_token");
}
END_TEST

START_TEST(an_index_that_lies_is_not_believed)
{
    int spare = open("/dev/null", O_RDONLY); /* so that descriptor 0 is surely there */

    fake.is_index_broken = true;
    expect(&fake, "GET", TENSORS, NULL, NULL, 500, "/problems/internal");
    expect(&fake, "GET", RESULT, "Accept: application/x-ndjson", NULL, 500, "/problems/internal");
    expect(&fake, "GET", RESULT, NULL, NULL, 200, NULL);
    fake.is_index_foreign = true;
    expect(&fake, "GET", TENSORS, NULL, NULL, 500, "/problems/internal");
    expect(&fake, "GET", RESULT, "Accept: application/x-ndjson", NULL, 500, "/problems/internal");
    ck_assert_msg(fcntl(0, F_GETFD) >= 0, "somebody else's descriptor was closed");
    close(spare);
}
END_TEST

START_TEST(models_are_listed_and_inspected)
{
    expect(&fake, "GET", "/v1/models", NULL, NULL, 200,
           "{\"models\":[{\"path\":\"a.safetensors\",\"is_directory\":false,\"is_model\":true,\"bytes\":10,\"modify_"
           "time\":");
    expect(&fake, "GET", "/v1/models?path=missing", NULL, NULL, 404, "model-not-found");
    expect(&fake, "GET", "/v1/models?path=../x", NULL, NULL, 422, "leads out of the models root");
    expect(&fake, "GET", "/v1/models/inspect?path=a", NULL, NULL, 200, "{\"models\":[]}");
    expect(&fake, "GET", "/v1/models/inspect", NULL, NULL, 400, "path is missing");
    expect(&fake, "GET", "/v1/models/inspect?path=io", NULL, NULL, 502, NULL);
}
END_TEST

START_TEST(the_catalog_comes_from_the_tables)
{
    expect(&fake, "GET", "/v1/analyses", NULL, NULL, 200, "{\"analyses\":[{\"name\":\"stats\",");
    expect(&fake, "GET", "/v1/analyses", NULL, NULL, 200, "\"docs\":{\"measures\":\"Where the change lies");
    expect(&fake, "GET", "/v1/analyses", NULL, NULL, 200,
           "{\"name\":\"sort\",\"type\":\"string\",\"default\":\"name\",");
    expect(&fake, "GET", "/v1/formats", NULL, NULL, 200, "\"name\":\"safetensors\"");
    expect(&fake, "GET", "/v1/formats", NULL, NULL, 200, "\"refuses\":\"what the reference reader refuses");
    expect(&fake, "GET", "/version", NULL, NULL, 200, "\"version\":\"" DIFFAID_VERSION "\"");
    expect(&fake, "GET", "/openapi.yaml", NULL, NULL, 200, "operationId: submitJob");
    expect(&fake, "GET", "/", NULL, NULL, 200, "<title>diffaid</title>");
}
END_TEST

/* The page, as text and for a browser, holds both texts; neither is empty. */
static void expect_page(const char *target, const char *meaning, const char *remedy)
{
    static const char browser[] = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    struct answer text = ask(&fake, "GET", target, "Accept: */*", NULL),
                  page = ask(&fake, "GET", target, browser, NULL);
    const char *heading = strstr(page.body, "<h2>What to do</h2>\n<p>");

    ck_assert_uint_gt(strlen(meaning), 20);
    ck_assert_uint_gt(strlen(remedy), 20);
    ck_assert_str_eq(answer_header(&text, "Content-Type"), "text/plain; charset=utf-8");
    ck_assert_ptr_nonnull(strstr(text.body, meaning));
    ck_assert_ptr_nonnull(strstr(text.body, remedy));
    ck_assert_str_eq(answer_header(&page, "Content-Type"), "text/html; charset=utf-8");
    ck_assert_str_eq(answer_header(&page, "Vary"), "Accept, Accept-Encoding");
    ck_assert_ptr_nonnull(strstr(answer_header(&page, "Content-Security-Policy"), "default-src 'none'"));
    ck_assert_ptr_nonnull(heading);
    ck_assert_msg(heading[24] != '<', "%s does not say what to do", target);
    answer_done(&text);
    answer_done(&page);
}

START_TEST(every_type_of_problem_explains_itself)
{
    for (size_t i = 0; i < PROBLEM_COUNT; i++) {
        char target[128], type[160];

        ck_assert_ptr_nonnull(problem_types[i].slug);
        ck_assert_int_ge(problem_types[i].status, 400);
        snprintf(target, sizeof(target), "/problems/%s", problem_types[i].slug);
        snprintf(type, sizeof(type), "{\"type\":\"%s\"", target);
        expect(&fake, "GET", target, "Accept: application/json", NULL, 200, type);
        expect_page(target, problem_types[i].meaning, problem_types[i].remedy);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(problem_types[i].slug, problem_types[j].slug);
    }
    expect(&fake, "GET", "/problems/nothing", NULL, NULL, 404, NULL);
    for (int code = ERROR_INTERNAL; code <= 0; code++)
        ck_assert_int_lt(problem_of_error(code), PROBLEM_COUNT);
}
END_TEST

START_TEST(addresses_and_methods_that_are_not_there)
{
    struct answer a = ask(&fake, "PATCH", JOBS, NULL, NULL);

    ck_assert_int_eq(a.response.status, 405);
    ck_assert_str_eq(answer_header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
    answer_done(&a);
    a = ask(&fake, "OPTIONS", "/v1/uploads/x", NULL, NULL);
    ck_assert_int_eq(a.response.status, 204);
    ck_assert_str_eq(answer_header(&a, "Allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    answer_done(&a);
    expect(&fake, "GET", "/v2/jobs", NULL, NULL, 404, "/problems/not-found");
    expect(&fake, "GET", "/v1/jobs/", NULL, NULL, 404, NULL);
    expect(&fake, "GET", "/v1/statuses", NULL, NULL, 404, NULL);
}
END_TEST

static const struct {
    const char *method, *headers;
    int status;
} browsers[] = {
    {"GET", "Host: evil.example", 421},
    {"GET", "Host: localhost.evil.example", 421},
    {"GET", "Host: 127.0.0.1.evil.example:80", 421},
    {"GET", "Host: 127.0.0.1", 200},
    {"GET", "Host: [::1]:8080", 200},
    {"GET", "Host: [::1", 421},
    {"GET", "Host: localhost:x", 421},
    {"GET", "Host: ", 421},
    {"GET", "Host: LOCALHOST:99", 200},
    {"GET", "Host: localhost.", 421},
    {"GET", "Host: localhost:80:80", 421},
    {"GET", "Host: localhost@evil.example", 421},
    {"GET", "Host: localhost:80@evil.example", 421},
    {"GET", "Host: localhost/evil.example", 421},
    {"GET", "Host: [::1]evil.example", 421},
    {"GET", "Host: [::1]:80@evil.example", 421},
    {"GET", "Host: [::1].evil.example", 421},
    {"GET", "Host: [::ffff:127.0.0.1]", 421},
    {"GET", "Host: 127.1", 421},
    {"GET", "Host: 2130706433", 421},
    {"GET", "Host: 0.0.0.0:8080", 421},
    {"GET", "Origin: http://evil.example", 200},
    {"DELETE", "Origin: http://evil.example", 403},
    {"DELETE", "Origin: null", 403},
    {"DELETE", "Origin: http://localhost:8080.evil.example", 403},
    {"DELETE", "Origin: http://evil.example?://localhost:8080", 403},
    {"DELETE", "Origin: http://localhost", 403},
    {"DELETE", "Origin: localhost:8080", 403},
    {"DELETE", "Sec-Fetch-Site: Cross-Site", 403},
    {"DELETE", "Origin: http://localhost:9999", 403},
    {"DELETE", "Origin: http://localhost:8080", 204},
    {"DELETE", "Sec-Fetch-Site: cross-site", 403},
    {"DELETE", "Sec-Fetch-Site: same-origin", 204},
    {"DELETE", "Sec-Fetch-Site: none", 204},
};

START_TEST(pages_of_other_origins_change_nothing)
{
    expect(&fake, browsers[_i].method, JOB(ID_DONE), browsers[_i].headers, NULL, browsers[_i].status, NULL);
}
END_TEST

START_TEST(health_is_told_to_anybody)
{
    expect(&fake, "GET", "/livez", "Host: 10.0.0.7:8080", NULL, 200, "live");
    expect(&fake, "GET", "/readyz", "Host: 10.0.0.7:8080", NULL, 200, "ready");
    fake.fail = ERROR_BUSY;
    expect(&fake, "GET", "/livez", NULL, NULL, 200, NULL);
    expect(&fake, "GET", "/readyz", NULL, NULL, 503, "the store is not open");
}
END_TEST

START_TEST(ids_of_requests_are_echoed_when_fit)
{
    char id[REQUEST_ID_BYTES], other[REQUEST_ID_BYTES], longest[200];

    request_id_choose("abc-DEF_1.2:3/4", id);
    ck_assert_str_eq(id, "abc-DEF_1.2:3/4");
    request_id_choose("a b", id);
    ck_assert_uint_eq(strlen(id), 24);
    request_id_choose("a\x1b[31m", other);
    ck_assert_str_ne(id, other);
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    request_id_choose(longest, id);
    ck_assert_uint_eq(strlen(id), 24);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resources");
    TCase *tc = tcase_create("resources");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
#define LOOP(test, table) tcase_add_loop_test(tc, test, 0, sizeof(table) / sizeof(table[0]))
    tcase_add_test(tc, a_job_is_accepted_with_its_address);
    LOOP(a_model_that_cannot_be_taken_is_pointed_at, models);
    tcase_add_test(tc, the_services_own_trouble_is_not_told);
    tcase_add_test(tc, requests_are_faulted_with_pointers);
    tcase_add_test(tc, a_full_queue_says_when_to_come_back);
    tcase_add_test(tc, a_wait_is_asked_for_and_answered);
    tcase_add_test(tc, preferences_are_read);
    tcase_add_test(tc, each_state_looks_as_documented);
    tcase_add_test(tc, polling_an_unchanged_job_costs_no_body);
    tcase_add_test(tc, jobs_are_cancelled_and_forgotten);
    tcase_add_test(tc, pages_follow_one_another);
    tcase_add_test(tc, parameters_of_lists_are_checked);
    LOOP(the_representation_is_chosen_by_accept, accepts);
    tcase_add_loop_test(tc, results_come_as_they_lie, 0, 2);
    LOOP(one_range_is_served, ranges);
    tcase_add_loop_test(tc, there_is_no_result_until_the_job_has_succeeded, 0, 2);
    LOOP(tensors_are_filtered_and_sorted, pages);
    tcase_add_test(tc, tensors_come_in_pages);
    tcase_add_test(tc, parameters_of_tensors_are_checked);
    tcase_add_test(tc, an_index_that_lies_is_not_believed);
    tcase_add_test(tc, models_are_listed_and_inspected);
    tcase_add_test(tc, the_catalog_comes_from_the_tables);
    tcase_add_test(tc, every_type_of_problem_explains_itself);
    tcase_add_test(tc, addresses_and_methods_that_are_not_there);
    LOOP(pages_of_other_origins_change_nothing, browsers);
    tcase_add_test(tc, health_is_told_to_anybody);
    tcase_add_test(tc, ids_of_requests_are_echoed_when_fit);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
