/* Submissions with a key, and uploads that come with a job. */
#include "tests/unit/api/ask.h"

static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
}

#define JOBS    "/v1/jobs"
#define JOB(id) "/v1/jobs/" id

START_TEST(uploads_are_taken_and_described)
{
    struct answer a = ask(&fake, "PUT", "/v1/uploads/m.safetensors", "Content-Type: x/y\nContent-Length: 5", "hello");

    ck_assert_int_eq(a.response.status, 201);
    ck_assert_str_eq(answer_header(&a, "Location"), "/v1/uploads/" ID_UPLOAD);
    ck_assert_str_eq(a.body, "{\"id\":\"" ID_UPLOAD
                             "\",\"name\":\"m.safetensors\",\"bytes\":5,\"is_complete\":true,\"sha256\":\"" FAKE_SHA
                             "\",\"create_time\":\"2023-11-14T22:13:20.000Z\"}");
    answer_done(&a);
    expect(&fake, "PUT", "/v1/uploads/a%2Fb.bin", NULL, "hello", 201, NULL);
    expect(&fake, "GET", "/v1/uploads/" ID_UPLOAD, NULL, NULL, 200, FAKE_SHA);
    expect(&fake, "GET", "/v1/uploads/a%2Fb", NULL, NULL, 400, "%2F");
    expect(&fake, "GET", "/v1/uploads", NULL, NULL, 200, "\"uploads\":[{");
    expect(&fake, "DELETE", "/v1/uploads/" ID_UPLOAD, NULL, NULL, 204, NULL);
    expect(&fake, "DELETE", "/v1/uploads/" ID_BUSY_UPLOAD, NULL, NULL, 409, "/problems/upload-in-use");
    expect(&fake, "DELETE", "/v1/uploads/" ID_UNKNOWN, NULL, NULL, 404, "/problems/upload-not-found");
    expect(&fake, "GET", "/v1/uploads/m.safetensors", NULL, NULL, 404, "/problems/upload-not-found");
}
END_TEST

static const struct {
    const char *name, *headers;
    int status;
} puts_[] = {
    {"m", "Repr-Digest: sha-256=:" FAKE_SHA_BASE64 ":", 201},
    {"m", "Content-Digest: md5=:eA==:, sha-256=:" FAKE_SHA_BASE64 ":", 201},
    {"m", "Repr-Digest: md5=:abcd:", 201},
    {"m", "Repr-Digest: sha-256=:AAJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", 422},
    {"m", "Content-Digest: sha-256=:AAJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", 422},
    {"m", "Repr-Digest: sha-256=" FAKE_SHA_BASE64, 400},
    {"m", "Repr-Digest: sha-256=:short:", 400},
    {"m", "Repr-Digest: sha-256=:*PJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", 400},
    {"m", "Content-Encoding: gzip", 415},
    {"m", "Content-Encoding: identity", 201},
    {"..", NULL, 400},
    {"%2e", NULL, 400},
    {"a%0Ab", NULL, 400},
    {"a%E2%80%AEb", NULL, 400},
};

START_TEST(names_and_digests_of_uploads_are_checked)
{
    char target[128];

    snprintf(target, sizeof(target), "/v1/uploads/%s", puts_[_i].name);
    expect(&fake, "PUT", target, puts_[_i].headers, "hello", puts_[_i].status, NULL);
    ck_assert_int_eq(atomic_load(&fake.begun), atomic_load(&fake.committed) + atomic_load(&fake.abandoned));
}
END_TEST

START_TEST(an_upload_without_room_is_abandoned)
{
    fake.fail_append = ERROR_NO_SPACE;
    expect(&fake, "PUT", "/v1/uploads/m", NULL, "hello", 507, NULL);
    ck_assert_int_eq(atomic_load(&fake.abandoned), 1);
    fake.fail_append = ERROR_LIMIT;
    expect(&fake, "PUT", "/v1/uploads/m", NULL, "hello", 413, NULL);
}
END_TEST

START_TEST(a_file_without_a_length_is_refused)
{
    expect(&fake, "PUT", "/v1/uploads/m", NULL, NULL, 411, "/problems/length-required");
    expect(&fake, "PUT", "/v1/uploads/m", "Content-Length: 0", NULL, 201, NULL);
    expect(&fake, "PUT", "/v1/uploads/m", "Transfer-Encoding: chunked", NULL, 201, NULL);
}
END_TEST

#define PAIR "{\"models\":[\"a\",\"b\"]}"

START_TEST(a_key_replays_its_job_and_refuses_another)
{
    struct answer a = ask(&fake, "POST", JOBS, "Idempotency-Key: done", PAIR);

    ck_assert_int_eq(a.response.status, 202);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    ck_assert_str_eq(answer_header(&a, "Location"), JOB(ID_DONE));
    answer_done(&a);
    a = ask(&fake, "POST", JOBS, "Idempotency-Key: \"done\"\nPrefer: wait=5", PAIR);
    ck_assert_int_eq(a.response.status, 200);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    answer_done(&a);
    ck_assert_str_eq(fake.last_request, ""); /* nothing was submitted */
    a = ask(&fake, "POST", JOBS, "Idempotency-Key: new", PAIR);
    ck_assert_int_eq(a.response.status, 202);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "");
    ck_assert_uint_eq(strlen(fake.last_digest), 64);
    answer_done(&a);
    expect(&fake, "POST", JOBS, "Idempotency-Key: other", PAIR, 422, "/problems/idempotency-key-reused");
    expect(&fake, "POST", JOBS, "Idempotency-Key: held", PAIR, 409, "/problems/submission-in-flight");
    expect(&fake, "POST", JOBS, "Idempotency-Key: a, b", PAIR, 400, "Idempotency-Key");
    expect(&fake, "POST", JOBS, "Idempotency-Key: new", "{\"models\":[\"missing\"]}", 404, NULL);
    /* What a replayed request names may be gone by now. */
    expect(&fake, "POST", JOBS, "Idempotency-Key: done", "{\"models\":[\"missing\"]}", 202, NULL);
    ck_assert_int_eq(atomic_load(&fake.held_keys), 0);
}
END_TEST

START_TEST(a_replay_is_still_one_after_a_wait)
{
    struct answer a = ask_waited(&fake, "POST", JOBS, "Idempotency-Key: done\nPrefer: wait=5", PAIR, ID_DONE, false);

    ck_assert_int_eq(a.response.status, 200);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed"), "true");
    answer_done(&a);
}
END_TEST

START_TEST(where_a_job_calls_back_is_checked)
{
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\"],\"callback_url\":\"https://example.org/hook\"}", 202, NULL);
    ck_assert_str_eq(fake.last_callback, "https://example.org/hook");
    ck_assert_ptr_null(strstr(fake.last_request, "example")); /* no worker's business */
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\"],\"callback_url\":\"https://inside/\"}", 422,
           "\"pointer\":\"/callback_url\"");
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\"],\"callback_url\":1}", 422, "\"pointer\":\"/callback_url\"");
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\"],\"callback_url\":\"\"}", 422, "1 to 2048 bytes");
}
END_TEST

#define FORM "Content-Type: multipart/form-data; boundary=B"
#define FILE_A                                                                                                         \
    "--B\r\nContent-Disposition: form-data; name=\"models\"; filename=\"a.bin\"\r\nContent-Type: "                     \
    "application/octet-stream\r\n\r\nhello\r\n"
#define REQUEST(json)                                                                                                  \
    "--B\r\nContent-Disposition: form-data; name=\"request\"\r\nContent-Type: application/json\r\n\r\n" json "\r\n"
#define END_OF_FORM "--B--\r\n"
#define UPLOAD      "{\"upload\":\"" ID_UPLOAD "\"}"

static const struct {
    const char *body, *models;
} forms[] = {
    {FILE_A FILE_A END_OF_FORM, "\"models\":[" UPLOAD "," UPLOAD "],\"analyses\":[\"stats\"]"},
    {FILE_A REQUEST("{\"analyses\":[\"layer_impact\"]}") FILE_A END_OF_FORM,
     "\"models\":[" UPLOAD "," UPLOAD "],\"analyses\":[\"layer_impact\"]"},
    {REQUEST("{\"models\":[\"base\"]}") FILE_A END_OF_FORM, "\"models\":[\"base\"," UPLOAD "]"},
    {REQUEST("{\"models\":[\"a\",\"b\"]}") END_OF_FORM, "\"models\":[\"a\",\"b\"]"},
};

START_TEST(files_and_request_come_in_one_form_in_any_order)
{
    struct answer a = ask(&fake, "POST", JOBS, FORM "\nIdempotency-Key: new\nPrefer: wait=5", forms[_i].body);

    ck_assert_msg(a.response.status == 202, "%s", a.body);
    ck_assert_msg(strstr(fake.last_request, forms[_i].models) != NULL, "%s", fake.last_request);
    ck_assert_str_eq(answer_header(&a, "Location"), JOB(ID_QUEUED));
    ck_assert_uint_eq(strlen(fake.last_digest), 64);
    ck_assert_uint_eq(a.response.wait.seconds, 5);
    ck_assert_int_eq(atomic_load(&fake.discarded), 0);
    ck_assert_int_eq(atomic_load(&fake.begun), atomic_load(&fake.committed));
    ck_assert_int_eq(atomic_load(&fake.held_keys), 0);
    answer_done(&a);
}
END_TEST

static const struct {
    const char *headers, *body;
    int fail, fail_append; /* of the backend */
    int status;
    const char *text;
} bad_forms[] = {
    {FORM, FILE_A, 0, 0, 400, "ends before its last boundary"},
    {FORM, "hello", 0, 0, 400, "does not begin with its boundary"},
    {"Content-Type: multipart/form-data", FILE_A END_OF_FORM, 0, 0, 400, "no boundary"},
    {FORM, FILE_A REQUEST("{\"analyses\":[\"none\"]}") END_OF_FORM, 0, 0, 422, "/analyses/0"},
    {FORM, FILE_A REQUEST("nonsense") END_OF_FORM, 0, 0, 422, "not JSON"},
    {FORM, FILE_A REQUEST("{}") REQUEST("{}") END_OF_FORM, 0, 0, 422, "given twice"},
    {FORM, FILE_A REQUEST("{\"models\":[\"missing\"]}") END_OF_FORM, 0, 0, 404, "/models/0"},
    {FORM, REQUEST("{}") END_OF_FORM, 0, 0, 422, "\\\"models\\\" is missing"},
    {FORM, "--B\r\nContent-Disposition: form-data; name=models\r\n\r\na.bin\r\n" END_OF_FORM, 0, 0, 422, "no filename"},
    {FORM, "--B\r\nContent-Disposition: form-data; name=models; filename=\"..\"\r\n\r\nx\r\n" END_OF_FORM, 0, 0, 400,
     "filename"},
    {FORM, "--B\r\nContent-Disposition: form-data; name=model; filename=a\r\n\r\nx\r\n" END_OF_FORM, 0, 0, 422,
     "the parts are"},
    {FORM, "--B\r\nContent-Disposition: form-data; name=request\r\nContent-Type: text/xml\r\n\r\n{}\r\n" END_OF_FORM, 0,
     0, 415, "application/json"},
    {FORM,
     "--B\r\nContent-Disposition: form-data; name=models; filename=a\r\nRepr-Digest: "
     "sha-256=:AAJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:\r\n\r\nhello\r\n" FILE_A END_OF_FORM,
     0, 0, 422, "/problems/digest-mismatch"},
    {FORM, FILE_A FILE_A END_OF_FORM, 0, ERROR_NO_SPACE, 507, NULL},
    {FORM, FILE_A FILE_A END_OF_FORM, 0, ERROR_LIMIT, 413, NULL},
    {FORM, FILE_A END_OF_FORM, ERROR_BUSY, 0, 503, NULL},
    {FORM "\nIdempotency-Key: held", FILE_A END_OF_FORM, 0, 0, 409, "submission-in-flight"},
    {FORM "\nIdempotency-Key: other", FILE_A END_OF_FORM, 0, 0, 422, "idempotency-key-reused"},
    {FORM "\nIdempotency-Key: done", FILE_A END_OF_FORM, 0, 0, 202, ID_DONE},
    {FORM "\nOrigin: http://evil.example", FILE_A END_OF_FORM, 0, 0, 403, NULL},
    {FORM "\nContent-Encoding: gzip", FILE_A END_OF_FORM, 0, 0, 415, NULL},
};

START_TEST(a_form_without_a_new_job_leaves_no_upload)
{
    fake.fail = bad_forms[_i].fail;
    fake.fail_append = bad_forms[_i].fail_append;
    expect(&fake, "POST", JOBS, bad_forms[_i].headers, bad_forms[_i].body, bad_forms[_i].status, bad_forms[_i].text);
    ck_assert_str_eq(fake.last_request, "");
    ck_assert_int_eq(atomic_load(&fake.begun), atomic_load(&fake.committed) + atomic_load(&fake.abandoned));
    ck_assert_int_eq(atomic_load(&fake.discarded), atomic_load(&fake.committed));
    ck_assert_int_eq(atomic_load(&fake.held_keys), 0);
}
END_TEST

#define PIECE "Content-Type: application/partial-upload\n"
#define PART  "/v1/uploads/" ID_PART

static const struct {
    const char *method, *target, *headers, *body;
    int status;
    const char *offset, *complete; /* of the answer */
    const char *text;
} pieces[] = {
    {"POST", "/v1/uploads", "Upload-Complete: ?0", NULL, 201, "0", "?0", "\"is_complete\":false,\"offset\":0,"},
    {"POST", "/v1/uploads", "Upload-Complete: ?0\nUpload-Length: 10", "hello", 201, "5", "?0", "\"length\":10"},
    {"POST", "/v1/uploads", "Upload-Complete: ?1", "hello", 201, "5", "?1", FAKE_SHA},
    {"POST", "/v1/uploads", NULL, "hello", 201, "", "", FAKE_SHA},
    {"POST", "/v1/uploads", "Upload-Complete: ?0\nContent-Disposition: attachment; filename=\"..\"", "hello", 400, "",
     "", "name"},
    {"POST", "/v1/uploads", "Content-Disposition: attachment; filename=\"x", "hello", 400, "", "",
     "Content-Disposition"},
    {"POST", "/v1/uploads", "Upload-Complete: 1", "hello", 400, "", "", "?0 or ?1"},
    {"POST", "/v1/uploads", "Upload-Complete: ?0\nUpload-Length: -1", "hello", 400, "", "", "Upload-Length"},
    {"POST", "/v1/uploads", "Upload-Complete: ?0\nUpload-Length: 4", "hello", 400, "", "", "ends at byte 5"},
    {"PATCH", PART, PIECE "Upload-Offset: 5", "hello", 204, "5", "?0", NULL},
    {"PATCH", PART, PIECE "Upload-Offset: 5\nUpload-Complete: ?1", "hello", 200, "5", "?1", FAKE_SHA},
    {"PATCH", PART, PIECE "Upload-Offset: 4", "hello", 409, "5", "?0", "\"expected_offset\":5"},
    {"PATCH", "/v1/uploads/" ID_UPLOAD, PIECE "Upload-Offset: 5", "hello", 409, "5", "?1",
     "/problems/upload-offset-mismatch"},
    {"PATCH", PART, PIECE "Upload-Offset: 5\nUpload-Length: 11", "hello", 400, "", "", "10 bytes"},
    {"PATCH", PART, PIECE "Upload-Offset: 5\nUpload-Length: 9", "hello", 400, "", "", "ends at byte 10"},
    {"PATCH", PART, PIECE "Upload-Offset: 5\nUpload-Complete: ?1\nUpload-Length: 11", "hello", 400, "", "",
     "ends at byte 10"},
    {"PATCH", PART, PIECE "Upload-Offset: 1.5", "hello", 400, "", "", "must be a number"},
    {"PATCH", PART, PIECE, "hello", 400, "", "", "Upload-Offset is missing"},
    {"PATCH", PART, "Content-Type: application/partial-upload-x\nUpload-Offset: 5", "hello", 415, "", "", NULL},
    {"PATCH", "/v1/uploads/x", PIECE "Upload-Offset: 0", "hello", 404, "", "", NULL},
    {"HEAD", PART, NULL, NULL, 200, "5", "?0", NULL},
    {"GET", PART, NULL, NULL, 200, "5", "?0", "\"offset\":5,\"length\":10"},
    {"HEAD", "/v1/uploads/" ID_UPLOAD, NULL, NULL, 200, "5", "?1", NULL},
};

START_TEST(uploads_come_in_pieces)
{
    struct answer a = ask(&fake, pieces[_i].method, pieces[_i].target, pieces[_i].headers, pieces[_i].body);

    ck_assert_msg(a.response.status == pieces[_i].status, "%d: %s", a.response.status, a.body);
    ck_assert_str_eq(answer_header(&a, "Upload-Offset"), pieces[_i].offset);
    ck_assert_str_eq(answer_header(&a, "Upload-Complete"), pieces[_i].complete);
    ck_assert_msg(!pieces[_i].text || strstr(a.body, pieces[_i].text), "%s", a.body);
    if (pieces[_i].offset[0]) {
        ck_assert_str_eq(answer_header(&a, "Upload-Limit"), "max-size=1000, max-age=60");
        ck_assert_str_eq(answer_header(&a, "Cache-Control"), "no-store");
    }
    ck_assert_int_eq(atomic_load(&fake.begun),
                     atomic_load(&fake.committed) + atomic_load(&fake.abandoned) + atomic_load(&fake.paused));
    answer_done(&a);
}
END_TEST

START_TEST(a_piece_and_the_whole_have_digests_of_their_own)
{
    static const char repr[] = "Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
                      content[] = "Content-Digest: sha-256=:" FAKE_SHA_BASE64 ":";
    char headers[512];

    snprintf(headers, sizeof(headers), PIECE "Upload-Offset: 5\n%s\n%s", repr, content);
    expect(&fake, "PATCH", PART, headers, "hello", 204, NULL);
    ck_assert_str_eq(fake.piece_sha256, FAKE_SHA);
    ck_assert_str_eq(fake.whole_sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    snprintf(headers, sizeof(headers), "Upload-Complete: ?0\n%s", content);
    expect(&fake, "POST", "/v1/uploads", headers, "hello", 201, NULL);
    ck_assert_str_eq(fake.piece_sha256, FAKE_SHA);
    ck_assert_str_eq(fake.whole_sha256, "");
    /* A whole file is its only piece. */
    snprintf(headers, sizeof(headers), "Upload-Complete: ?1\n%s\n%s", repr, content);
    expect(&fake, "POST", "/v1/uploads", headers, "hello", 400, "contradict");
    expect(&fake, "PATCH", PART, PIECE "Upload-Offset: 5\nContent-Digest: sha-256=:x:", "hello", 400, "Content-Digest");
}
END_TEST

START_TEST(a_cut_keeps_a_piece_but_not_an_upload_that_nobody_was_told_of)
{
    fake.fail_append = ERROR_NO_SPACE; /* ends as a cut does */
    expect(&fake, "PATCH", PART, PIECE "Upload-Offset: 5", "hello", 507, NULL);
    ck_assert_int_eq(atomic_load(&fake.abandoned), 1);
    ck_assert_int_eq(atomic_load(&fake.deleted_parts), 0);
    expect(&fake, "POST", "/v1/uploads", "Upload-Complete: ?0", "hello", 507, NULL);
    ck_assert_int_eq(atomic_load(&fake.abandoned), 2);
    ck_assert_int_eq(atomic_load(&fake.deleted_parts), 1);
    fake.fail_append = ERROR_CONFLICT;
    expect(&fake, "PATCH", PART, PIECE "Upload-Offset: 5", "hello", 409, "/problems/conflict");
}
END_TEST

START_TEST(a_job_waits_for_every_byte_of_its_uploads)
{
    expect(&fake, "POST", JOBS, NULL, "{\"models\":[\"a\",{\"upload\":\"" ID_PART "\"}]}", 409,
           "/problems/upload-incomplete");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submissions");
    TCase *tc = tcase_create("submissions");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, uploads_are_taken_and_described);
    tcase_add_loop_test(tc, names_and_digests_of_uploads_are_checked, 0, sizeof(puts_) / sizeof(puts_[0]));
    tcase_add_test(tc, an_upload_without_room_is_abandoned);
    tcase_add_test(tc, a_file_without_a_length_is_refused);
    tcase_add_test(tc, a_key_replays_its_job_and_refuses_another);
    tcase_add_test(tc, where_a_job_calls_back_is_checked);
    tcase_add_test(tc, a_replay_is_still_one_after_a_wait);
    tcase_add_loop_test(tc, files_and_request_come_in_one_form_in_any_order, 0, sizeof(forms) / sizeof(forms[0]));
    tcase_add_loop_test(tc, a_form_without_a_new_job_leaves_no_upload, 0, sizeof(bad_forms) / sizeof(bad_forms[0]));
    tcase_add_loop_test(tc, uploads_come_in_pieces, 0, sizeof(pieces) / sizeof(pieces[0]));
    tcase_add_test(tc, a_piece_and_the_whole_have_digests_of_their_own);
    tcase_add_test(tc, a_cut_keeps_a_piece_but_not_an_upload_that_nobody_was_told_of);
    tcase_add_test(tc, a_job_waits_for_every_byte_of_its_uploads);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
