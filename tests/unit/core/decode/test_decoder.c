#include "core/decode/decoder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { STORED = 1 << 15, RANK = 4 };

static uint8_t bytes[STORED * 8];

/* A model of one tensor over `bytes`. */
struct fixture {
    struct model_file file;
    struct model model;
    uint64_t dims[RANK], steps[RANK];
    struct strides strides;
    struct storage storage;
    struct tensor tensor;
};

static void setup_fixture(struct fixture *f, enum dtype dtype, uint32_t rank, const uint64_t *dims,
                          const uint64_t *steps)
{
    *f = (struct fixture){.tensor = {.dtype = dtype}};
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 131 + i / 256 * 7);
    ck_assert_int_eq(memory_open(bytes, sizeof(bytes), "m", &f->file.source, NULL), 0);
    f->model = (struct model){.files = &f->file, .file_count = 1};
    f->tensor.shape = (struct shape){.dims = f->dims, .elements = 1, .rank = rank};
    for (uint32_t d = 0; d < rank; d++) {
        f->dims[d] = dims[d];
        f->steps[d] = steps[d];
        f->tensor.shape.elements *= dims[d];
    }
    f->strides = (struct strides){.steps = f->steps};
    f->storage = (struct storage){.decoder = &decoder_strided, .parameters = &f->strides};
    f->tensor.storage = &f->storage;
    f->tensor.extent.bytes = f->tensor.shape.elements * (dtype_traits(dtype)->bits / 8);
}

static const uint8_t *element_of(const struct fixture *f, uint64_t flat)
{
    uint64_t at = 0;

    for (uint32_t d = f->tensor.shape.rank; d-- > 0;) {
        at += flat % f->dims[d] * f->steps[d];
        flat /= f->dims[d];
    }
    return bytes + f->tensor.extent.offset + at * (dtype_traits(f->tensor.dtype)->bits / 8);
}

/* All elements in order, one by one as the strides say. */
static uint8_t *expected_of(const struct fixture *f)
{
    const size_t size = dtype_traits(f->tensor.dtype)->bits / 8;
    uint8_t *expected = malloc(f->tensor.shape.elements * size);

    ck_assert_ptr_nonnull(expected);
    for (size_t i = 0; i < f->tensor.shape.elements; i++)
        for (size_t j = 0; j < size; j++)
            expected[i * size + j] = element_of(f, i)[f->strides.is_swapped ? size - 1 - j : j];
    return expected;
}

static void check_range(const struct fixture *f, const uint8_t *expected, uint64_t first, size_t elements)
{
    const size_t size = dtype_traits(f->tensor.dtype)->bits / 8;
    uint8_t *out = malloc(elements * size + 1);

    ck_assert_ptr_nonnull(out);
    out[elements * size] = 0xa5;
    ck_assert_int_eq(decoder_read(&f->model, &f->tensor, first, elements, out, NULL), 0);
    ck_assert_msg(memcmp(out, expected + first * size, elements * size) == 0, "%zu elements from %llu", elements,
                  (unsigned long long)first);
    ck_assert_uint_eq(out[elements * size], 0xa5);
    free(out);
}

static const struct {
    uint32_t rank;
    uint64_t dims[RANK], steps[RANK];
} views[] = {
    {0, {1}, {1}},
    {1, {7}, {1}},
    {1, {7}, {3}},
    {1, {9}, {0}},
    {2, {5, 7}, {7, 1}},
    {2, {5, 7}, {1, 5}},
    {2, {40, 33}, {1, 40}},
    {2, {5, 7}, {20, 2}},
    {2, {5, 7}, {0, 1}},
    {3, {3, 4, 5}, {1, 3, 12}},
    {3, {3, 4, 5}, {5, 15, 1}},
    {3, {2, 3, 4}, {12, 1, 3}},
    {4, {2, 3, 4, 5}, {1, 2, 6, 24}},
    {4, {3, 1, 5, 2}, {100, 9, 7, 3}},
    {2, {70, 133}, {1, 75}}, /* more than a tile, whole squares and edges */
    {3, {2, 139, 66}, {66 * 140, 1, 140}},
};
enum { VIEWS = sizeof(views) / sizeof(views[0]) };

START_TEST(every_range_of_a_view_is_what_its_strides_say)
{
    static const enum dtype dtypes[] = {DTYPE_U8, DTYPE_BF16, DTYPE_F32, DTYPE_F64};

    for (int t = 0; t < 4; t++) {
        struct fixture f;
        uint64_t elements;
        uint8_t *expected;

        setup_fixture(&f, dtypes[t], views[_i].rank, views[_i].dims, views[_i].steps);
        f.tensor.extent.offset = 24;
        elements = f.tensor.shape.elements;
        expected = expected_of(&f);
        check_range(&f, expected, 0, elements);
        for (uint64_t first = 0; first < elements; first += 1 + elements / 20)
            for (size_t n = 0; n <= elements - first; n += 1 + (size_t)elements / 20)
                check_range(&f, expected, first, n);
        free(expected);
        f.strides.is_swapped = true;
        expected = expected_of(&f);
        check_range(&f, expected, 0, elements);
        free(expected);
        source_close(f.file.source);
    }
}
END_TEST

START_TEST(a_view_wider_than_a_look_is_gathered_piece_by_piece)
{
    enum { ROWS = 3, COLUMNS = 5, APART = 40 << 20 };
    const uint64_t dims[] = {ROWS, COLUMNS}, steps[] = {1, APART};
    uint8_t *wide = calloc(COLUMNS, APART), out[ROWS * COLUMNS];
    struct fixture f;

    ck_assert_ptr_nonnull(wide);
    setup_fixture(&f, DTYPE_U8, 2, dims, steps);
    source_close(f.file.source);
    ck_assert_int_eq(memory_open(wide, (size_t)COLUMNS * APART, "wide", &f.file.source, NULL), 0);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            wide[(size_t)c * APART + (size_t)r] = (uint8_t)(10 * r + c + 1);
    ck_assert_int_eq(decoder_read(&f.model, &f.tensor, 0, ROWS * COLUMNS, out, NULL), 0);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        ck_assert_uint_eq(out[i], (unsigned)(10 * (i / COLUMNS) + i % COLUMNS + 1));
    source_close(f.file.source);
    free(wide);
}
END_TEST

START_TEST(elements_of_the_other_byte_order_are_turned_round)
{
    static const enum dtype dtypes[] = {DTYPE_I8, DTYPE_F16, DTYPE_I32, DTYPE_F64, DTYPE_C64, DTYPE_C128};
    const uint64_t dims[] = {300}, steps[] = {1};
    const enum dtype dtype = dtypes[_i];
    const size_t size = dtype_traits(dtype)->bits / 8 / (dtype_is_complex(dtype) ? 2 : 1);
    const size_t all = 300 * (dtype_traits(dtype)->bits / 8);
    uint8_t out[300 * 16], part[300 * 16];
    struct fixture f;

    setup_fixture(&f, dtype, 1, dims, steps);
    f.storage = (struct storage){.decoder = decoder_swapped(dtype)};
    ck_assert_int_eq(decoder_read(&f.model, &f.tensor, 0, 300, out, NULL), 0);
    for (size_t i = 0; i < all; i++)
        ck_assert_uint_eq(out[i], bytes[i / size * size + size - 1 - i % size]);
    ck_assert_int_eq(decoder_read_bytes(&f.model, &f.tensor, 80, 160, part, NULL), 0);
    ck_assert_mem_eq(part, out + 80, 160);
    ck_assert(!tensor_is_encoded(&f.tensor));
    source_close(f.file.source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decoder");
    TCase *tcase = tcase_create("decoder");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, every_range_of_a_view_is_what_its_strides_say, 0, VIEWS);
    tcase_add_test(tcase, a_view_wider_than_a_look_is_gathered_piece_by_piece);
    tcase_add_loop_test(tcase, elements_of_the_other_byte_order_are_turned_round, 0, 6);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
