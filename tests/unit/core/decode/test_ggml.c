/* Blocks of ggml's types decode to the bits that ggml's own reference gives (fixtures/golden/make_ggml.py). With
 * DIFFAID_SHARED set, longer ones of the same origin are read too. */
#include "core/decode/ggml.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const uint32_t numbers[] = {2,  3,  6,  7,  8,  10, 11, 12, 13, 14, 15, 16, 17,
                                   18, 19, 20, 21, 22, 23, 29, 34, 35, 39, 40, 41, 42};

static uint8_t *read_file(const char *folder, const char *type, const char *suffix, size_t *ret_bytes)
{
    char path[512];
    uint8_t *bytes = malloc(1 << 16);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s%s", folder, type, suffix);
    file = fopen(path, "rb");
    ck_assert_msg(file && bytes, "%s cannot be read", path);
    *ret_bytes = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

/* "Q4_K" lies in q4_K.blk. */
static const char *file_name(const char *name, char out[16])
{
    size_t i;

    for (i = 0; name[i]; i++) {
        bool is_k = name[i] == 'K' && i > 0 && name[i - 1] == '_';

        out[i] = is_k ? 'K' : (char)tolower(name[i]);
    }
    out[i] = '\0';
    return out;
}

static void check_type(const char *folder, const struct ggml_type *type)
{
    const struct decoder *decoder = type->storage.decoder;
    char name[16];
    size_t stored_bytes, bytes, elements;
    uint8_t *stored = read_file(folder, file_name(type->name, name), ".blk", &stored_bytes);
    uint8_t *expected = read_file(folder, name, ".f32", &bytes);
    float *values;

    elements = bytes / 4;
    ck_assert_uint_gt(elements, 0);
    ck_assert_uint_eq(decoder->granule, type->block);
    ck_assert_uint_eq(decoder->granule_bytes, type->block_bytes);
    ck_assert_uint_eq(stored_bytes / decoder->granule_bytes * decoder->granule, elements);
    values = malloc(bytes);
    ck_assert_ptr_nonnull(values);
    decoder->decode(&type->storage, stored, elements / decoder->granule, values);
    for (size_t i = 0; i < elements; i++) {
        float value;

        memcpy(&value, expected + 4 * i, 4);
        ck_assert_msg(memcmp(&values[i], expected + 4 * i, 4) == 0, "%s element %zu is %a, not %a", type->name, i,
                      (double)values[i], (double)value);
    }
    free(stored);
    free(expected);
    free(values);
}

START_TEST(blocks_decode_as_the_reference_does)
{
    const struct ggml_type *type = ggml_type_of(numbers[_i]);
    const char *shared = getenv("DIFFAID_SHARED");
    char folder[256];

    check_type(FIXTURES "/golden/ggml", type);
    if (shared) {
        snprintf(folder, sizeof(folder), "%s/golden/ggml", shared);
        check_type(folder, type);
    }
}
END_TEST

START_TEST(a_range_may_begin_and_end_within_a_block)
{
    const struct ggml_type *type = ggml_type_of(numbers[_i]);
    struct tensor tensor = {.dtype = DTYPE_F32, .storage = &type->storage};
    const uint32_t granule = type->block;
    const struct {
        uint64_t first;
        size_t elements;
    } ranges[] = {{0, 1}, {1, 1},          {granule - 1, 2}, {granule - 1, 1}, {3, granule + 5}, {granule, granule},
                  {5, 3}, {0, 2 * granule}};
    float whole[2 * DECODER_GRANULE_MAX], part[2 * DECODER_GRANULE_MAX];
    size_t bytes;
    char name[16];
    uint8_t *stored = read_file(FIXTURES "/golden/ggml", file_name(type->name, name), ".blk", &bytes);

    type->storage.decoder->decode(&type->storage, stored, 2, whole);
    for (int r = 0; r < COUNT(ranges); r++) {
        decoder_decode(&tensor, stored + ranges[r].first / granule * type->block_bytes, ranges[r].first,
                       ranges[r].elements, part);
        ck_assert_mem_eq(part, whole + ranges[r].first, ranges[r].elements * sizeof(float));
    }
    free(stored);
}
END_TEST

START_TEST(numbers_that_were_taken_back_or_belong_to_forks_have_no_type)
{
    static const uint32_t none[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 97, UINT32_MAX};

    ck_assert_ptr_null(ggml_type_of(none[_i]));
}
END_TEST

/* Every field of more than a byte turned round, as ggml's structs declare them and its code reads them: the values must
 * not move. */
START_TEST(big_endian_blocks_decode_to_the_same_values)
{
    static const struct {
        uint32_t number;
        struct {
            size_t at, bytes, count;
        } fields[2];
    } rows[] = {
        {2, {{0, 2, 1}}},
        {3, {{0, 2, 2}}},
        {6, {{0, 2, 1}, {2, 4, 1}}},
        {7, {{0, 2, 2}, {4, 4, 1}}},
        {8, {{0, 2, 1}}},

        {10, {{80, 2, 2}}},
        {11, {{108, 2, 1}}},
        {12, {{0, 2, 2}}},
        {13, {{0, 2, 2}}},
        {14, {{208, 2, 1}}},
        {15, {{0, 4, 1}, {260, 2, 16}}},
        {17, {{0, 2, 33}}},
        {18, {{0, 2, 1}, {66, 4, 8}}},
        {19, {{0, 2, 1}, {34, 2, 8}}},
        {20, {{0, 2, 1}}},
        {21, {{0, 2, 1}}},
        {22, {{0, 2, 1}}},
        {23, {{0, 2, 2}}},
        {29, {{48, 2, 4}}},
        {34, {{52, 2, 1}}},
        {35, {{64, 2, 1}}},
        {39, {{0, 1, 1}}},
        {40, {{0, 1, 1}}},
        {41, {{0, 2, 1}}},
        {42, {{0, 2, 1}}},
    };
    const struct ggml_type *type = ggml_type_of(rows[_i].number);
    float expected[DECODER_GRANULE_MAX], values[DECODER_GRANULE_MAX];
    size_t bytes;
    char name[16];
    uint8_t *stored = read_file(FIXTURES "/golden/ggml", file_name(type->name, name), ".blk", &bytes);

    type->storage.decoder->decode(&type->storage, stored, 1, expected);
    for (int f = 0; f < 2; f++)
        for (size_t w = 0; w < rows[_i].fields[f].count; w++) {
            uint8_t *word = stored + rows[_i].fields[f].at + w * rows[_i].fields[f].bytes, turned[4];

            for (size_t i = 0; i < rows[_i].fields[f].bytes; i++)
                turned[i] = word[rows[_i].fields[f].bytes - 1 - i];
            memcpy(word, turned, rows[_i].fields[f].bytes);
        }
    type->swapped.decoder->decode(&type->swapped, stored, 1, values);
    ck_assert_mem_eq(values, expected, type->block * sizeof(float));
    free(stored);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ggml");
    TCase *tcase = tcase_create("ggml");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, blocks_decode_as_the_reference_does, 0, COUNT(numbers));
    tcase_add_loop_test(tcase, a_range_may_begin_and_end_within_a_block, 0, COUNT(numbers));
    tcase_add_loop_test(tcase, numbers_that_were_taken_back_or_belong_to_forks_have_no_type, 0, 11);
    tcase_add_loop_test(tcase, big_endian_blocks_decode_to_the_same_values, 0, 25);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
