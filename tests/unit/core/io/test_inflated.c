#include "core/io/inflated.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BYTES = 20 << 20 };

static uint8_t *content, *deflated;
static size_t deflated_bytes;
static struct source *parent;

/* Half noise, half repetition, so that blocks of every kind come up. */
static void setup(void)
{
    z_stream stream = {0};
    uint32_t state = 1;

    content = malloc(BYTES);
    deflated = malloc(BYTES + BYTES / 8);
    ck_assert(content && deflated);
    for (size_t i = 0; i < BYTES; i++) {
        state = state * 1664525 + 1013904223;
        content[i] = (uint8_t)(i >> 18 & 1 ? state >> 24 : state >> 30);
    }
    ck_assert_int_eq(deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = content;
    stream.avail_in = BYTES;
    stream.next_out = deflated;
    stream.avail_out = BYTES + BYTES / 8;
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflated_bytes = stream.total_out;
    deflateEnd(&stream);
    ck_assert_int_eq(memory_open(deflated, deflated_bytes, "m", &parent, NULL), 0);
}

static void teardown(void)
{
    source_close(parent);
    free(content);
    free(deflated);
}

static struct source *open_good(void)
{
    struct source *source = NULL;

    ck_assert_int_eq(inflated_open(parent, 0, deflated_bytes, BYTES, &source, NULL), 0);
    return source;
}

START_TEST(reads_in_order_give_the_content)
{
    struct source *source = open_good();
    uint8_t *out = malloc(BYTES);

    ck_assert_ptr_nonnull(out);
    for (size_t at = 0; at < BYTES; at += 1 << 20)
        ck_assert_int_eq(source_read_at(source, at, out + at, 1 << 20, NULL), 0);
    ck_assert_mem_eq(out, content, BYTES);
    free(out);
    source_close(source);
}
END_TEST

START_TEST(reads_in_any_order_give_the_content)
{
    struct source *source = open_good();
    uint8_t out[4096];
    uint64_t state = 7;

    for (int i = 0; i < 60; i++) {
        size_t at;

        state = state * UINT64_C(6364136223846793005) + 1;
        at = (size_t)((state >> 33) % (BYTES - sizeof(out)));
        ck_assert_int_eq(source_read_at(source, at, out, sizeof(out), NULL), 0);
        ck_assert_mem_eq(out, content + at, sizeof(out));
    }
    ck_assert_int_eq(source_read_at(source, BYTES - 10, out, 10, NULL), 0);
    ck_assert_mem_eq(out, content + BYTES - 10, 10);
    ck_assert_int_eq(source_read_at(source, 0, out, 10, NULL), 0);
    ck_assert_mem_eq(out, content, 10);
    source_close(source);
}
END_TEST

static int read_all(uint64_t stored, uint64_t bytes, struct error *err)
{
    struct source *source;
    uint8_t *out = malloc((size_t)bytes + 1);
    int rc = inflated_open(parent, 0, stored, bytes, &source, err);

    ck_assert_ptr_nonnull(out);
    if (rc == 0) {
        rc = source_read_at(source, 0, out, (size_t)bytes, err);
        source_close(source);
    }
    free(out);
    return rc;
}

START_TEST(claims_that_do_not_hold_are_refused)
{
    static const struct {
        int cut, more;
        const char *says;
    } rows[] = {{0, 1, "end too early"},
                {0, -1, "give more than is claimed"},
                {1, 0, "end too early"},
                {1000, 0, "end too early"}};
    struct error err = {0};

    ck_assert_int_eq(read_all(deflated_bytes - (size_t)rows[_i].cut, (uint64_t)(BYTES + rows[_i].more), &err),
                     ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, rows[_i].says), "%s", err.text);
}
END_TEST

START_TEST(a_bomb_is_refused_before_it_is_read)
{
    struct source *source;
    struct error err = {0};

    ck_assert_int_eq(inflated_open(parent, 0, 1000, 2000000, &source, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "1000 deflated bytes at offset 0 claim to give 2000000, more than they can"), "%s",
                  err.text);
    ck_assert_int_eq(inflated_open(parent, 10, deflated_bytes, 10, &source, &err), ERROR_FORMAT);
}
END_TEST

START_TEST(damaged_bytes_are_told)
{
    struct error err = {0};

    memset(deflated + deflated_bytes / 2, 0xff, 4096);
    ck_assert_int_eq(read_all(deflated_bytes, BYTES, &err), ERROR_FORMAT);
    ck_assert_msg(strncmp(err.text, "m: the deflated bytes at offset 0 ", 34) == 0, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inflated");
    TCase *tcase = tcase_create("inflated");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, reads_in_order_give_the_content);
    tcase_add_test(tcase, reads_in_any_order_give_the_content);
    tcase_add_loop_test(tcase, claims_that_do_not_hold_are_refused, 0, 4);
    tcase_add_test(tcase, a_bomb_is_refused_before_it_is_read);
    tcase_add_test(tcase, damaged_bytes_are_told);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
