/* gzip for who asks, identity for everybody else; what zlib's own reader makes of it is the identity again. */
#include <zlib.h>

#include "api/encoding.h"
#include "api/prefer.h"
#include "tests/unit/api/ask.h"

static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
}

static const struct {
    const char *header;
    enum encoding worthwhile, not_worthwhile;
} fields[] = {
    {NULL, ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"", ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"gzip", ENCODING_GZIP, ENCODING_IDENTITY},
    {"GZip", ENCODING_GZIP, ENCODING_IDENTITY},
    {"x-gzip", ENCODING_GZIP, ENCODING_IDENTITY},
    {"deflate, gzip;q=1.0, *;q=0.5", ENCODING_GZIP, ENCODING_IDENTITY},
    {"compress, br", ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"br;q=1, gzip;q=0", ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"gzip;q=0.5, identity", ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"gzip;q=0.5, identity;q=0.5", ENCODING_GZIP, ENCODING_IDENTITY},
    {"gzip;q=0.001", ENCODING_GZIP, ENCODING_IDENTITY},
    {"gzip;q=0.000", ENCODING_IDENTITY, ENCODING_IDENTITY},
    {"gzip;q=2", ENCODING_IDENTITY, ENCODING_IDENTITY}, /* malformed: no element */
    {"*", ENCODING_GZIP, ENCODING_IDENTITY},
    {"*;q=0", ENCODING_NONE, ENCODING_NONE},
    {"identity;q=0", ENCODING_NONE, ENCODING_NONE},
    {"identity;q=0, gzip;q=0.1", ENCODING_GZIP, ENCODING_GZIP},
    {"gzip, *;q=0", ENCODING_GZIP, ENCODING_GZIP},
    {"identity, *;q=0", ENCODING_IDENTITY, ENCODING_IDENTITY},
};

START_TEST(the_coding_is_chosen_by_quality)
{
    ck_assert_msg(encoding_choose(fields[_i].header, true) == fields[_i].worthwhile, "%s", fields[_i].header);
    ck_assert_msg(encoding_choose(fields[_i].header, false) == fields[_i].not_worthwhile, "%s", fields[_i].header);
}
END_TEST

/* zlib inflates; NULL when it is no whole gzip stream of exactly these bytes. */
static char *inflated(const char *data, size_t bytes, size_t *ret_bytes)
{
    size_t capacity = 4u << 20;
    char *out = malloc(capacity);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data,
                  .avail_in = (uInt)bytes,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)capacity};
    int rc;

    ck_assert_int_eq(inflateInit2(&z, 16 + 15), Z_OK);
    rc = inflate(&z, Z_FINISH);
    *ret_bytes = z.total_out;
    inflateEnd(&z);
    if (rc == Z_STREAM_END && z.avail_in == 0)
        return out;
    free(out);
    return NULL;
}

#define ANALYSES "/v1/analyses"

START_TEST(a_long_reply_is_compressed_for_who_asks)
{
    struct answer plain = ask(&fake, "GET", ANALYSES, NULL, NULL);
    struct answer packed = ask(&fake, "GET", ANALYSES, "Accept-Encoding: gzip", NULL);
    struct answer head = ask(&fake, "HEAD", ANALYSES, "Accept-Encoding: gzip", NULL);
    size_t bytes = 0;
    char *text = inflated(packed.body, packed.bytes, &bytes);

    ck_assert_str_eq(answer_header(&plain, "Vary"), "Accept-Encoding");
    ck_assert_str_eq(answer_header(&plain, "Content-Encoding"), "");
    ck_assert_str_eq(answer_header(&packed, "Vary"), "Accept-Encoding");
    ck_assert_str_eq(answer_header(&packed, "Content-Encoding"), "gzip");
    ck_assert_uint_lt(packed.bytes, plain.bytes / 2);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(bytes, plain.bytes);
    ck_assert_mem_eq(text, plain.body, bytes);
    ck_assert_uint_eq(response_length(&head.response), packed.bytes);
    free(text);
    answer_done(&plain);
    answer_done(&packed);
    answer_done(&head);
}
END_TEST

START_TEST(a_short_reply_is_compressed_only_where_identity_is_refused)
{
    struct answer a = ask(&fake, "GET", "/version", "Accept-Encoding: gzip", NULL);

    ck_assert_str_eq(answer_header(&a, "Content-Encoding"), "");
    ck_assert_str_eq(answer_header(&a, "Vary"), "Accept-Encoding");
    answer_done(&a);
    a = ask(&fake, "GET", "/version", "Accept-Encoding: gzip, identity;q=0", NULL);
    ck_assert_str_eq(answer_header(&a, "Content-Encoding"), "gzip");
    answer_done(&a);
    expect(&fake, "GET", "/version", "Accept-Encoding: identity;q=0", NULL, 406, "identity and gzip");
    expect(&fake, "GET", "/nothing", "Accept-Encoding: *;q=0", NULL, 404, "not-found");
}
END_TEST

#define RESULT "/v1/jobs/" ID_DONE "/result"

START_TEST(each_representation_has_its_own_etag)
{
    struct answer a = ask(&fake, "GET", RESULT, "Accept-Encoding: gzip, identity;q=0", NULL);

    ck_assert_str_eq(answer_header(&a, "ETag"), "\"etag-0-gzip\"");
    ck_assert_str_eq(answer_header(&a, "Vary"), "Accept, Accept-Encoding");
    answer_done(&a);
    a = ask(&fake, "GET", RESULT, "Accept-Encoding: gzip, identity;q=0\nIf-None-Match: \"etag-0-gzip\"", NULL);
    ck_assert_int_eq(a.response.status, 304);
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"etag-0-gzip\"");
    ck_assert_str_eq(answer_header(&a, "Content-Encoding"), "");
    answer_done(&a);
    expect(&fake, "GET", RESULT, "Accept-Encoding: gzip, identity;q=0\nIf-None-Match: \"etag-0\"", NULL, 200, NULL);
    expect(&fake, "GET", RESULT, "If-None-Match: \"etag-0-gzip\"", NULL, 200, NULL);
    /* A job that its client knows compressed is not even rendered. */
    a = ask(&fake, "GET", "/v1/jobs/" ID_RUNNING, "Accept-Encoding: gzip\nIf-None-Match: \"7-0-gzip\"", NULL);
    ck_assert_int_eq(a.response.status, 304);
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"7-0-gzip\"");
    answer_done(&a);
    expect(&fake, "GET", "/v1/jobs/" ID_RUNNING, "If-None-Match: \"7-0-gzip\"", NULL, 200, "running");
}
END_TEST

START_TEST(a_range_is_of_the_identity)
{
    struct answer a = ask(&fake, "GET", RESULT, "Accept-Encoding: gzip\nRange: bytes=0-8", NULL);

    ck_assert_int_eq(a.response.status, 206);
    ck_assert_str_eq(answer_header(&a, "Content-Encoding"), "");
    ck_assert_str_eq(answer_header(&a, "ETag"), "\"etag-0\"");
    ck_assert_str_eq(a.body, "{\"schema\"");
    answer_done(&a);
    /* The range of another representation than the client has. */
    a = ask(&fake, "GET", RESULT, "Accept-Encoding: gzip\nRange: bytes=0-8\nIf-Range: \"etag-0-gzip\"", NULL);
    ck_assert_int_eq(a.response.status, 200);
    answer_done(&a);
}
END_TEST

START_TEST(a_long_body_is_compressed_as_it_is_read)
{
    enum { LONG_BYTES = 3 << 20 };
    struct request request = {
        .method = METHOD_GET, .headers = &(struct field){"Accept-Encoding", "gzip"}, .header_count = 1};
    struct response response;
    char *text = malloc(LONG_BYTES), *packed = malloc(LONG_BYTES), *again, *copy = malloc(LONG_BYTES);
    struct gzip_reader *reader;
    size_t used = 0, bytes = 0;
    ssize_t got;

    for (unsigned i = 0; i < LONG_BYTES; i++)
        text[i] = (char)('a' + (i * 7919 / 64 + i / 1000) % 26);
    memcpy(copy, text, LONG_BYTES);
    response_init(&response);
    response_text(&response, 200, "application/json", text, LONG_BYTES);
    encoding_select(&request, &response);
    encoding_apply(&response);
    ck_assert(response.is_gzip);
    ck_assert_uint_eq(response.bytes, LONG_BYTES); /* nothing has been done yet */
    reader = gzip_reader_new(&response);
    /* Into small buffers, so that the compressor has to be asked again in the middle of a block. */
    while ((got = gzip_reader_read(reader, packed + used, 1000)) > 0)
        used += (size_t)got;
    ck_assert_int_eq(got, 0);
    gzip_reader_free(reader);
    again = inflated(packed, used, &bytes);
    ck_assert_ptr_nonnull(again);
    ck_assert_uint_eq(bytes, LONG_BYTES);
    ck_assert_mem_eq(again, copy, LONG_BYTES);
    free(again);
    free(copy);
    free(packed);
    response_done(&response);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoding");
    TCase *tc = tcase_create("encoding");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, the_coding_is_chosen_by_quality, 0, sizeof(fields) / sizeof(fields[0]));
    tcase_add_test(tc, a_long_reply_is_compressed_for_who_asks);
    tcase_add_test(tc, a_short_reply_is_compressed_only_where_identity_is_refused);
    tcase_add_test(tc, each_representation_has_its_own_etag);
    tcase_add_test(tc, a_range_is_of_the_identity);
    tcase_add_test(tc, a_long_body_is_compressed_as_it_is_read);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
