/* What chunks went through, undone; damage is told of. */
#include "core/format/hdf5_filters.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/error.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

enum { DEFLATE = 1, SHUFFLE = 2, FLETCHER = 3, LZF = 32000 };

static const struct {
    struct hdf5_filter filters[3];
    unsigned count;
    uint32_t mask;
    const char *stored;
    size_t stored_bytes;
    const char *gives; /* NULL: see says */
    const char *says;
    uint64_t bytes;
} rows[] = {
    {{{0, 0}}, 0, 0, "plain", 5, "plain", NULL, 5},
    {{{0, 0}}, 0, 0, "plain", 5, NULL, "does not give as many bytes as its elements need", 6},
    {{{SHUFFLE, 2}},
     1,
     0,
     "aceX"
     "bdfY",
     8,
     "abcdefXY",
     NULL,
     8},
    {{{SHUFFLE, 2}}, 1, 1, "acebdf", 6, "acebdf", NULL, 6},
    {{{SHUFFLE, 0}}, 1, 0, "abc", 3, "abc", NULL, 3},
    {{{SHUFFLE, 2}}, 1, 0, "acbdZ", 5, "abcdZ", NULL, 5},
    {{{FLETCHER, 0}}, 1, 0, "ab\x62\x61\x62\x61", 6, "ab", NULL, 2},
    {{{FLETCHER, 0}}, 1, 0, "ab\x62\x61\x62\x60", 6, NULL, "does not have the checksum that it claims", 2},
    {{{FLETCHER, 0}}, 1, 0, "ab", 2, NULL, "is shorter than its checksum", 2},
    {{{LZF, 0}},
     1,
     0,
     "\x01"
     "ab"
     "\x40\x01",
     5,
     "abababab" + 2,
     NULL,
     6},
    {{{LZF, 0}},
     1,
     0,
     "\x00"
     "a"
     "\xe0\x03\x00",
     5,
     "aaaaaaaaaaaaa",
     NULL,
     13},
    {{{LZF, 0}},
     1,
     0,
     "\x05"
     "ab",
     3,
     NULL,
     "has damaged LZF bytes",
     6},
    {{{LZF, 0}},
     1,
     0,
     "\x00"
     "a"
     "\x20\x09",
     4,
     NULL,
     "has damaged LZF bytes",
     4},
    {{{LZF, 0}},
     1,
     0,
     "\x00"
     "a"
     "\xe0",
     3,
     NULL,
     "has damaged LZF bytes",
     4},
    {{{LZF, 0}},
     1,
     0,
     "\x00"
     "a"
     "\xe0\xff\x00",
     5,
     NULL,
     "has damaged LZF bytes",
     4},
    {{{DEFLATE, 6}}, 1, 0, "no zlib", 7, NULL, "has damaged deflated bytes", 4},
    {{{DEFLATE, 6}}, 1, 0, "", 0, NULL, "ends before its deflated bytes do", 4},
};

START_TEST(filters_are_undone_or_say_why_not)
{
    uint8_t *data = malloc(rows[_i].stored_bytes + 1);
    uint64_t bytes = rows[_i].stored_bytes;
    const char *fault = NULL;
    int rc;

    ck_assert_ptr_nonnull(data);
    memcpy(data, rows[_i].stored, rows[_i].stored_bytes);
    rc = hdf5_unfilter(rows[_i].filters, rows[_i].count, rows[_i].mask, rows[_i].bytes, &data, &bytes, &fault);
    if (rows[_i].gives) {
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(bytes, rows[_i].bytes);
        ck_assert_mem_eq(data, rows[_i].gives, bytes);
    } else {
        ck_assert_int_eq(rc, ERROR_FORMAT);
        ck_assert_str_eq(fault, rows[_i].says);
    }
    free(data);
}
END_TEST

/* As h5py has them: shuffled, deflated, summed. */
START_TEST(a_bomb_ends_at_what_its_elements_need)
{
    static const struct hdf5_filter filter = {DEFLATE, 6};
    static uint8_t zeros[1 << 20];
    uLongf room = compressBound(sizeof(zeros));
    uint8_t *data = malloc(room);
    const char *fault = NULL;
    uint64_t bytes;

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(compress(data, &room, zeros, sizeof(zeros)), Z_OK);
    bytes = room;
    ck_assert_int_eq(hdf5_unfilter(&filter, 1, 0, 4096, &data, &bytes, &fault), ERROR_FORMAT);
    ck_assert_str_eq(fault, "inflates to more than its elements need");
    free(data);
}
END_TEST

START_TEST(filters_that_are_not_undone_have_a_reason)
{
    const struct hdf5_filter known[] = {{SHUFFLE, 4}, {DEFLATE, 6}, {FLETCHER, 0}}, szip = {4, 0}, other = {777, 0};
    const struct hdf5_filter twice[] = {{DEFLATE, 6}, {DEFLATE, 6}};

    ck_assert_ptr_null(hdf5_filters_reason(known, 3));
    ck_assert_str_eq(hdf5_filters_reason(&szip, 1), "its filter szip is not undone here");
    ck_assert_str_eq(hdf5_filters_reason(&other, 1), "it went through a filter that is not known here");
    ck_assert_str_eq(hdf5_filters_reason(twice, 2), "it is compressed more than once");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hdf5_filters");
    TCase *tcase = tcase_create("hdf5_filters");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, filters_are_undone_or_say_why_not, 0, COUNT(rows));
    tcase_add_test(tcase, a_bomb_ends_at_what_its_elements_need);
    tcase_add_test(tcase, filters_that_are_not_undone_have_a_reason);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
