#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "api/structured.h"
#include "api/submission_key.h"

static const struct {
    const char *field;
    bool is_good;
    enum structured_kind kind;
    int64_t integer;
    const char *text;
} items[] = {
    {"?1", true, STRUCTURED_BOOLEAN, 1, ""},
    {"?0;x=1", true, STRUCTURED_BOOLEAN, 0, ""},
    {"  42  ", true, STRUCTURED_INTEGER, 42, ""},
    {"-7", true, STRUCTURED_INTEGER, -7, ""},
    {"999999999999999", true, STRUCTURED_INTEGER, 999999999999999, ""},
    {"\"a\\\"b\"", true, STRUCTURED_STRING, 0, "a\\\"b"},
    {":AQ==:", true, STRUCTURED_BYTES, 0, "AQ=="},
    {"1.5", true, STRUCTURED_OTHER, 1, ""},
    {"token/x", true, STRUCTURED_OTHER, 0, ""},
    {"@1659578233", true, STRUCTURED_OTHER, 1659578233, ""},
    {"", false, STRUCTURED_OTHER, 0, ""},
    {"?2", false, STRUCTURED_OTHER, 0, ""},
    {"1000000000000000", false, STRUCTURED_OTHER, 0, ""},
    {"1.", false, STRUCTURED_OTHER, 0, ""},
    {"1.2345", false, STRUCTURED_OTHER, 0, ""},
    {"--1", false, STRUCTURED_OTHER, 0, ""},
    {"\"open", false, STRUCTURED_OTHER, 0, ""},
    {"\"a\\x\"", false, STRUCTURED_OTHER, 0, ""},
    {"\"\xc3\xa4\"", false, STRUCTURED_OTHER, 0, ""},
    {":AQ==", false, STRUCTURED_OTHER, 0, ""},
    {"1 2", false, STRUCTURED_OTHER, 0, ""},
    {"?1, ?0", false, STRUCTURED_OTHER, 0, ""},
    {"1;A=2", false, STRUCTURED_OTHER, 0, ""},
    {"1\t", false, STRUCTURED_OTHER, 0, ""},
};

START_TEST(an_item_is_read_as_its_grammar_says)
{
    struct structured_item item = {.kind = STRUCTURED_OTHER};
    bool is_good = structured_item(items[_i].field, &item);

    ck_assert_msg(is_good == items[_i].is_good, "%s", items[_i].field);
    if (!is_good)
        return;
    ck_assert_int_eq(item.kind, items[_i].kind);
    ck_assert_int_eq(item.integer, items[_i].integer);
    ck_assert_uint_eq(item.bytes, strlen(items[_i].text));
    if (item.bytes)
        ck_assert_mem_eq(item.text, items[_i].text, item.bytes);
}
END_TEST

/* The digest of "hello", by sha256sum and base64. */
#define HELLO     "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
#define HELLO_HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define EMPTY     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const struct {
    const char *repr, *content, *hex; /* hex NULL: refused */
} digests[] = {
    {NULL, NULL, ""},
    {"sha-256=:" HELLO ":", NULL, HELLO_HEX},
    {NULL, "sha-256=:" HELLO ":", HELLO_HEX},
    {"sha-256=:" HELLO ":", "sha-256=:" HELLO ":", HELLO_HEX},
    {"sha-512=:AAAA:, sha-256=:" HELLO ":;q=0.5", NULL, HELLO_HEX},
    {"sha-256=:" EMPTY ":, sha-256=:" HELLO ":", NULL, HELLO_HEX},
    {"sha-512=:AAAA:", NULL, ""},
    {"", NULL, ""},
    {"sha-256=:" HELLO ":", "sha-256=:" EMPTY ":", NULL},
    {"sha-256=" HELLO, NULL, NULL},
    {"sha-256=:AAAA:", NULL, NULL},
    {"sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ:", NULL, NULL},
    {"sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCR=:", NULL, NULL}, /* bits beyond the digest */
    {"sha-256=?1", NULL, NULL},
    {"sha-256=:" HELLO ":,", NULL, NULL},
    {"SHA-256=:" HELLO ":", NULL, NULL},
    {"sha-256=:" HELLO ":, sha-512", "x y", NULL},
};

START_TEST(a_digest_field_says_one_sha256_or_is_refused)
{
    char hex[SHA256_HEX_BYTES];
    bool is_good = digest_read(digests[_i].repr, digests[_i].content, hex);

    ck_assert_msg(is_good == (digests[_i].hex != NULL), "%s", digests[_i].repr ? digests[_i].repr : "none");
    if (is_good)
        ck_assert_str_eq(hex, digests[_i].hex);
}
END_TEST

static const struct {
    const char *field, *key; /* key NULL: refused */
} keys[] = {
    {"8e03978e-40d5", "8e03978e-40d5"},
    {"\"8e03978e-40d5\"", "8e03978e-40d5"},
    {"\"a,b\\\"c\"", "a,b\"c"},
    {"", NULL},
    {"\"\"", NULL},
    {"a b", NULL},
    {"\"a b\"", NULL},
    {"a, b", NULL},
    {"\"a", NULL},
    {"\"a\", \"b\"", NULL},
    {"k\xc3\xa4y", NULL},
    {"a\x7f", NULL},
};

START_TEST(a_key_is_visible_ascii_bare_or_quoted)
{
    char key[KEY_BYTES_MAX + 1];
    bool is_good = submission_key_read(keys[_i].field, key);

    ck_assert_msg(is_good == (keys[_i].key != NULL), "%s", keys[_i].field);
    if (is_good)
        ck_assert_str_eq(key, keys[_i].key);
}
END_TEST

START_TEST(a_key_has_255_bytes_at_most)
{
    char field[300], key[KEY_BYTES_MAX + 1];

    memset(field, 'k', sizeof(field));
    field[255] = '\0';
    ck_assert(submission_key_read(field, key));
    ck_assert_uint_eq(strlen(key), 255);
    field[255] = 'k';
    field[256] = '\0';
    ck_assert(!submission_key_read(field, key));
}
END_TEST

static void digest_of(const char *json, const struct submission_part *parts, size_t count, char hex[SHA256_HEX_BYTES])
{
    struct job_request *request;

    ck_assert_int_eq(job_request_parse(json, strlen(json), &request, NULL, NULL), 0);
    ck_assert_int_eq(submission_digest(request, parts, count, hex), 0);
    job_request_free(request);
}

START_TEST(requests_that_mean_the_same_have_one_digest)
{
    static const char *const same[] = {
        "{\"models\":[\"a\",\"b\"],\"labels\":{\"x\":\"1\",\"y\":\"2\"}}",
        " { \"labels\" : {\"y\":\"2\",\"x\":\"1\"}, \"models\":[{\"path\":\"a\"},\"b\"],\"analyses\":[\"stats\"]}",
    };
    static const char *const others[] = {
        "{\"models\":[\"b\",\"a\"],\"labels\":{\"x\":\"1\",\"y\":\"2\"}}",
        "{\"models\":[\"a\",\"b\"],\"labels\":{\"x\":\"1\",\"y\":\"3\"}}",
        "{\"models\":[\"a\",\"b\"]}",
        "{\"models\":[\"a\",\"b\"],\"labels\":{\"x\":\"1\",\"y\":\"2\"},\"options\":{\"epsilon\":0.5}}",
    };
    const struct submission_part parts[] = {{"a", HELLO_HEX}, {"b", HELLO_HEX}};
    char first[SHA256_HEX_BYTES], second[SHA256_HEX_BYTES];

    digest_of(same[0], NULL, 0, first);
    digest_of(same[1], NULL, 0, second);
    ck_assert_str_eq(first, second);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        digest_of(others[i], NULL, 0, second);
        ck_assert_str_ne(first, second);
    }
    digest_of(same[0], parts, 1, first);
    digest_of(same[0], parts, 2, second);
    ck_assert_str_ne(first, second);
    digest_of(same[0], parts + 1, 1, second);
    ck_assert_str_ne(first, second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("structured");
    TCase *tc = tcase_create("structured");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, an_item_is_read_as_its_grammar_says, 0, sizeof(items) / sizeof(items[0]));
    tcase_add_loop_test(tc, a_digest_field_says_one_sha256_or_is_refused, 0, sizeof(digests) / sizeof(digests[0]));
    tcase_add_loop_test(tc, a_key_is_visible_ascii_bare_or_quoted, 0, sizeof(keys) / sizeof(keys[0]));
    tcase_add_test(tc, a_key_has_255_bytes_at_most);
    tcase_add_test(tc, requests_that_mean_the_same_have_one_digest);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
