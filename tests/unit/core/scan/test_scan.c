/* The pass as a whole, over models in memory. */
#include "core/decode/decoder.h"
#include "tests/unit/core/scan/scan_runs.h"

static const enum isa isas[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
static const unsigned thread_counts[] = {1, 2, 7};

struct variety_row {
    enum dtype dtype;
    uint32_t rank;
    uint64_t dims[3];
};

static const struct variety_row variety[] = {
    {DTYPE_BF16, 2, {1100, 2000}}, {DTYPE_F32, 1, {(1 << 20) + 1}},
    {DTYPE_F16, 2, {2, 1100000}},  {DTYPE_I64, 1, {1100000}},
    {DTYPE_C64, 2, {600, 2000}},   {DTYPE_U8, 3, {3, 5, 7}},
    {DTYPE_F4, 2, {1030, 1025}},   {DTYPE_F6_E3M2, 1, {1111112}},
    {DTYPE_F64, 2, {1025, 1024}},  {DTYPE_F8_E4M3, 2, {2100, 1000}},
    {DTYPE_F32, 0, {0}},           {DTYPE_I8, 2, {0, 5}},
    {DTYPE_I32, 1, {70000}},       {DTYPE_BOOL, 1, {4097}},
    {DTYPE_F8_E5M2, 1, {70003}},   {DTYPE_F8_E4M3FNUZ, 1, {70003}},
};
enum { VARIETY = sizeof(variety) / sizeof(variety[0]) };

/* The same tensors over other bytes: random, so full of NaN and Inf. */
static void variety_model(struct test_model *model, uint8_t *data, size_t bytes, bool is_mapped)
{
    uint64_t offset = 3; /* no element is aligned */

    test_model_init(model, data, bytes, is_mapped);
    for (size_t i = 0; i < VARIETY; i++)
        offset += test_model_add(model, variety[i].dtype, offset, variety[i].rank, variety[i].dims)->extent.bytes;
    ck_assert_uint_le(offset, bytes);
}

START_TEST(results_are_the_same_bits_for_any_threads_instructions_and_sources)
{
    const size_t bytes = 64 << 20;
    uint8_t *a = allocate(bytes), *b = allocate(bytes);
    struct test_model first, second;
    struct test_model *both[] = {&first, &second};
    struct scan_result *expected;

    fill_random(a, bytes, 1);
    memcpy(b, a, bytes);
    for (size_t i = 0; i < bytes; i += 3 << 20) /* most units equal, some changed */
        fill_random(b + i, 4096, i + 5);
    variety_model(&first, a, bytes, true);
    variety_model(&second, b, bytes, true);
    expected = test_scan(both, 2, ALL_NEEDS, 0.5, 1, ISA_SCALAR);
    ck_assert_uint_gt(expected->deltas[0].changed, 0);
    for (size_t k = 0; k < 3; k++) {
        enum isa isa;

        if (isa_by_name(isa_name(isas[k]), &isa) != 0)
            continue;
        for (size_t t = 0; t < 3; t++) {
            struct scan_result *got;

            variety_model(&first, a, bytes, t != 1);
            variety_model(&second, b, bytes, k != 1);
            got = test_scan(both, 2, ALL_NEEDS, 0.5, thread_counts[t], isa);
            test_same_results(expected, got);
            ck_assert_uint_le(first.source.largest, 8 << 20);
            scan_result_free(got);
        }
    }
    scan_result_free(expected);
    free(a);
    free(b);
}
END_TEST

START_TEST(matrices_turned_over_have_the_figures_of_plain_ones_and_are_read_once)
{
    static const struct variety_row shapes[] = {{DTYPE_BF16, 2, {1500, 2100}}, {DTYPE_F64, 2, {1000, 1100}}};
    const size_t bytes = 16 << 20;
    uint8_t *a = allocate(bytes), *b = allocate(bytes), *turned = allocate(bytes);
    struct test_model first, second, third;
    struct strides strides[2];
    struct storage storages[2];
    uint64_t steps[2][2], offset = 3;
    struct scan_result *expected;

    fill_random(a, bytes, 1);
    fill_random(b, bytes, 2);
    test_model_init(&first, a, bytes, true);
    test_model_init(&second, b, bytes, true);
    for (size_t i = 0; i < 2; i++) {
        const uint64_t rows = shapes[i].dims[0], columns = shapes[i].dims[1];
        const size_t size = dtype_traits(shapes[i].dtype)->bits / 8;

        test_model_add(&first, shapes[i].dtype, offset, 2, shapes[i].dims);
        test_model_add(&second, shapes[i].dtype, offset, 2, shapes[i].dims);
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t c = 0; c < columns; c++)
                memcpy(turned + offset + (c * rows + r) * size, b + offset + (r * columns + c) * size, size);
        steps[i][0] = 1;
        steps[i][1] = rows;
        strides[i] = (struct strides){.steps = steps[i]};
        storages[i] = (struct storage){.decoder = &decoder_strided, .parameters = &strides[i]};
        offset += rows * columns * size;
    }
    expected = test_scan((struct test_model *[]){&first, &second}, 2, ALL_NEEDS, 0.5, 1, ISA_SCALAR);
    for (size_t t = 0; t < 3; t++) {
        struct scan_result *got;

        test_model_init(&third, turned, bytes, t != 1);
        for (size_t i = 0; i < 2; i++)
            test_model_add(&third, shapes[i].dtype, first.tensors[i].extent.offset, 2, shapes[i].dims)->storage =
                &storages[i];
        got = test_scan((struct test_model *[]){&first, &third}, 2, ALL_NEEDS, 0.5, thread_counts[t], ISA_AUTO);
        test_same_results(expected, got);
        ck_assert_uint_le(third.source.largest, 4 << 20);
        if (thread_counts[t] == 1) /* in looks of at most 4 MiB, halves of halves */
            ck_assert_uint_le(third.source.reads, 2 + 4);
        scan_result_free(got);
    }
    scan_result_free(expected);
    free(a);
    free(b);
    free(turned);
}
END_TEST

START_TEST(side_records_do_not_depend_on_the_partner)
{
    const size_t elements = 1100 * 2000;
    const uint64_t dims[] = {1100, 2000}, fewer[] = {777, 2000}, other[] = {2000, 1100};
    uint8_t *a = allocate(elements * 2), *b = allocate(elements * 2), *c = allocate(elements * 4),
            *d = allocate(elements * 8);
    struct scan_result *alone, *got;

    fill_normal(DTYPE_BF16, a, elements, 0.1, 0.5, 1);
    fill_normal(DTYPE_BF16, b, elements, 0.1, 0.5, 2);
    fill_normal(DTYPE_F32, c, elements, 0, 1, 3);
    b[200000 * 2] = 0x80; /* NaN on the other side only */
    b[200000 * 2 + 1] = 0xff;
    memset(a + 3000000, 0, 4096);
    memset(d, 1, elements * 8);
    alone = scan_one(DTYPE_BF16, a, 2, dims, NEED_SIDE);
    for (int partner = 0; partner < 6; partner++) {
        if (partner == 0)
            got = scan_two(DTYPE_BF16, a, DTYPE_BF16, a, 2, dims, dims, NEED_SIDE | NEED_DELTA);
        else if (partner == 1)
            got = scan_two(DTYPE_BF16, a, DTYPE_BF16, b, 2, dims, dims, NEED_SIDE | NEED_DELTA);
        else if (partner == 2)
            got = scan_two(DTYPE_BF16, a, DTYPE_F32, c, 2, dims, dims, NEED_SIDE | NEED_DELTA);
        else if (partner == 3)
            got = scan_two(DTYPE_BF16, a, DTYPE_F64, d, 2, dims, dims, NEED_SIDE | NEED_DELTA);
        else if (partner == 4)
            got = scan_two(DTYPE_BF16, a, DTYPE_BF16, b, 2, dims, fewer, NEED_SIDE | NEED_DELTA);
        else
            got = scan_two(DTYPE_BF16, a, DTYPE_BF16, b, 2, dims, other, NEED_SIDE | NEED_DELTA);
        ck_assert_mem_eq(&got->sides[0], &alone->sides[0], sizeof(got->sides[0]));
        ck_assert_int_eq(got->coverage[0], partner < 4 ? COVERED_VALUES : partner == 4 ? COVERED_ROWS : COVERED_NOT);
        ck_assert(got->deltas[0].is_bytes_equal == (partner == 0));
        if (partner == 0) {
            ck_assert_double_eq(sum_value(&got->deltas[0].aa), sum_value(&alone->sides[0].squares));
            ck_assert_double_eq(delta_cosine(&got->deltas[0]), 1);
        }
        scan_result_free(got);
    }
    scan_result_free(alone);
    free(a);
    free(b);
    free(c);
    free(d);
}
END_TEST

/* Against the same values as F32, whose blocks are never equal in bytes to those of BF16. */
START_TEST(equal_blocks_have_the_figures_of_measured_ones)
{
    enum { ELEMENTS = 1100 * 2000 };
    static const size_t changed_at[] = {5, 5000, 1024 * 700 - 1, 1024 * 1024, ELEMENTS - 1};
    const unsigned needs = NEED_SIDE | NEED_DELTA | NEED_PROFILE | NEED_ROWS | NEED_COLUMNS;
    const uint64_t dims[] = {1100, 2000};
    uint8_t *a = allocate(ELEMENTS * 2), *b = allocate(ELEMENTS * 2), *wide = allocate(ELEMENTS * 4);

    fill_normal(DTYPE_BF16, a, ELEMENTS, 0.1, 0.5, 1);
    memset(a + 300000, 0xff, 2); /* NaN in a block that stays equal */
    memset(a + 900000, 0, 512);
    for (size_t i = 0; i < sizeof(changed_at) / sizeof(changed_at[0]); i++) {
        struct scan_result *shared, *measured;

        memcpy(b, a, ELEMENTS * 2);
        b[changed_at[i] * 2 + 1] ^= 0x80;
        for (size_t k = 0; k < ELEMENTS; k++)
            memcpy(wide + k * 4 + 2, b + k * 2, 2);
        shared = scan_two(DTYPE_BF16, a, DTYPE_BF16, b, 2, dims, dims, needs);
        measured = scan_two(DTYPE_BF16, a, DTYPE_F32, wide, 2, dims, dims, needs);
        ck_assert_uint_eq(shared->deltas[0].changed, 1);
        ck_assert_uint_eq(shared->deltas[0].max_abs_at, changed_at[i]);
        ck_assert_mem_eq(&shared->deltas[0], &measured->deltas[0], sizeof(shared->deltas[0]));
        ck_assert_mem_eq(&shared->sides[0], &measured->sides[0], sizeof(shared->sides[0]));
        measured->sides[1].dtype = DTYPE_BF16;
        ck_assert_mem_eq(&shared->sides[1], &measured->sides[1], sizeof(shared->sides[1]));
        ck_assert_mem_eq(shared->profiles, measured->profiles, 2 * sizeof(*shared->profiles));
        ck_assert_mem_eq(shared->rows, measured->rows, 2 * sizeof(*shared->rows));
        ck_assert_mem_eq(shared->columns, measured->columns, 2 * sizeof(*shared->columns));
        scan_result_free(shared);
        scan_result_free(measured);
    }
    free(a);
    free(b);
    free(wide);
}
END_TEST

START_TEST(common_rows_are_compared_where_only_the_leading_dimension_differs)
{
    const uint64_t dims[] = {1500, 1000}, fewer[] = {1200, 1000}, none[] = {0, 1000};
    uint8_t *a = allocate(1500000 * 4), *b = allocate(1500000 * 4);
    struct scan_result *rows, *whole;

    fill_normal(DTYPE_F32, a, 1500000, 0, 1, 1);
    fill_normal(DTYPE_F32, b, 1500000, 0, 1, 2);
    for (int order = 0; order < 2; order++) {
        rows =
            scan_two(DTYPE_F32, a, DTYPE_F32, b, 2, order ? dims : fewer, order ? fewer : dims, NEED_SIDE | NEED_DELTA);
        whole = scan_two(DTYPE_F32, a, DTYPE_F32, b, 2, fewer, fewer, NEED_SIDE | NEED_DELTA);
        ck_assert_int_eq(rows->coverage[0], COVERED_ROWS);
        ck_assert_uint_eq(rows->deltas[0].elements, 1200000);
        ck_assert_uint_eq(rows->sides[order ? 0 : 1].elements, 1500000);
        ck_assert_mem_eq(&rows->deltas[0], &whole->deltas[0], sizeof(rows->deltas[0]));
        scan_result_free(rows);
        scan_result_free(whole);
    }
    rows = scan_two(DTYPE_F32, a, DTYPE_F32, a, 2, dims, fewer, NEED_SIDE | NEED_DELTA);
    ck_assert_uint_eq(rows->deltas[0].changed, 0);
    ck_assert(!rows->deltas[0].is_bytes_equal);
    scan_result_free(rows);
    rows = scan_two(DTYPE_F32, a, DTYPE_F32, b, 2, dims, none, NEED_SIDE | NEED_DELTA);
    ck_assert_int_eq(rows->coverage[0], COVERED_NOT);
    ck_assert_uint_eq(rows->sides[0].elements, 1500000);
    scan_result_free(rows);
    rows = scan_two(DTYPE_F32, a, DTYPE_F32, b, 1, dims, fewer, NEED_SIDE | NEED_DELTA); /* vectors */
    ck_assert_int_eq(rows->coverage[0], COVERED_ROWS);
    ck_assert_uint_eq(rows->deltas[0].elements, 1200);
    scan_result_free(rows);
    free(a);
    free(b);
}
END_TEST

START_TEST(empty_tensors_are_compared_and_say_so)
{
    const uint64_t dims[] = {0, 7};
    struct scan_result *result = scan_two(DTYPE_F32, "", DTYPE_F32, "", 2, dims, dims, ALL_NEEDS);

    ck_assert_int_eq(result->coverage[0], COVERED_VALUES);
    ck_assert(result->deltas[0].is_bytes_equal);
    ck_assert_uint_eq(result->deltas[0].elements, 0);
    ck_assert(isnan(side_mean(&result->sides[0])) && isnan(result->quantiles[0].value[3]));
    scan_result_free(result);
    result = scan_two(DTYPE_F32, "", DTYPE_BF16, "", 2, dims, dims, NEED_SIDE | NEED_DELTA);
    ck_assert_int_eq(result->coverage[0], COVERED_VALUES);
    ck_assert(!result->deltas[0].is_bytes_equal);
    scan_result_free(result);
}
END_TEST

static void make_opaque(struct test_model *model, const struct storage *storage, uint64_t bytes)
{
    model->tensors[0].dtype = DTYPE_UNKNOWN;
    model->tensors[0].storage = storage;
    model->tensors[0].extent.bytes = bytes;
}

START_TEST(undecodable_tensors_are_compared_as_bytes)
{
    const struct storage q4 = {.stored_as = name_of("Q4_0")}, q5 = {.stored_as = name_of("Q5_0")};
    const uint64_t dims[] = {1000}, bytes = (9 << 20) + 5;
    uint8_t *a = allocate(bytes), *b = allocate(bytes);
    struct test_model first, second;
    struct test_model *both[] = {&first, &second};
    struct scan_result *result;

    for (int change = 0; change < 4; change++) {
        memset(a, 7, bytes);
        memcpy(b, a, bytes);
        if (change == 1)
            b[bytes - 1] = 8;
        test_model_init(&first, a, bytes, true);
        test_model_init(&second, b, bytes, true);
        test_model_add(&first, DTYPE_U8, 0, 1, dims);
        test_model_add(&second, DTYPE_U8, 0, 1, dims);
        make_opaque(&first, &q4, bytes);
        make_opaque(&second, change == 2 ? &q5 : &q4, change == 3 ? bytes - 1 : bytes);
        result = test_scan(both, 2, ALL_NEEDS, 0, 2, ISA_AUTO);
        ck_assert_int_eq(result->coverage[0], change < 2 ? COVERED_BYTES : COVERED_OPAQUE);
        ck_assert(result->deltas[0].is_bytes_equal == (change == 0));
        ck_assert_uint_eq(result->sides[0].elements, 0);
        ck_assert_uint_eq(result->deltas[0].elements, 0);
        scan_result_free(result);
    }
    free(a);
    free(b);
}
END_TEST

START_TEST(baseline_is_the_first_model_and_candidate_the_last)
{
    const uint64_t dims[] = {4}, other[] = {2, 2};
    const float a[] = {1, 2, 3, 4}, b[] = {9, 9, 9, 9}, c[] = {1, 2, 3, 6};
    struct test_model first, middle, last;
    struct test_model *all[] = {&first, &middle, &last};
    struct scan_result *result;

    test_model_init(&first, a, sizeof(a), true);
    test_model_init(&middle, b, sizeof(b), true);
    test_model_init(&last, c, sizeof(c), true);
    test_model_add(&first, DTYPE_F32, 0, 1, dims);
    test_model_add(&middle, DTYPE_F32, 0, 2, other);
    test_model_add(&last, DTYPE_F32, 0, 1, dims);
    test_model_add(&last, DTYPE_F32, 0, 1, dims); /* in the last alone */
    result = test_scan(all, 3, NEED_SIDE | NEED_DELTA, 0, 2, ISA_AUTO);
    ck_assert_double_eq(result->deltas[0].max_abs, 2);
    ck_assert_uint_eq(result->deltas[0].max_abs_at, 3);
    ck_assert_double_eq(side_mean(&result->sides[1]), 9);
    ck_assert_int_eq(result->coverage[1], COVERED_NOT);
    ck_assert_uint_eq(result->sides[3].elements, 0);
    ck_assert_uint_eq(result->sides[5].elements, 4);
    scan_result_free(result);
    result = test_scan(all, 3, NEED_DELTA, 0, 2, ISA_AUTO);
    ck_assert_uint_eq(middle.source.reads, 1); /* the first pass's: the second needs nothing of it */
    scan_result_free(result);
}
END_TEST

static int run(struct test_model *const *models, size_t count, unsigned threads, const atomic_bool *cancel,
               struct error *err)
{
    struct scan_env env = {.threads = threads, .cancel = cancel};
    struct scan_result *result = NULL;
    struct test_pairing pairing;
    struct scan_plan plan;
    int rc;

    test_pairing_init(&pairing, models, count);
    plan = test_plan(&pairing, ALL_NEEDS, 0);
    rc = scan_run(&plan, &env, &result, err);
    ck_assert(rc == 0 || result == NULL);
    scan_result_free(result);
    for (size_t m = 0; m < count; m++)
        ck_assert_int_eq(models[m]->source.held, 0);
    return rc;
}

START_TEST(a_failing_read_is_told_with_file_tensor_and_offset)
{
    const size_t bytes = 64 << 20;
    uint8_t *data = allocate(bytes);
    struct test_model first, second;
    struct test_model *both[] = {&first, &second};
    char text[ERROR_TEXT_BYTES] = "";

    for (size_t t = 0; t < 3; t++) {
        struct error err = {0};

        variety_model(&first, data, bytes, false);
        variety_model(&second, data, bytes, false);
        second.tensors[8].name = name_of("blocks.3.weight");
        second.source.fails_from = second.tensors[8].extent.offset + 100;
        second.source.fails_with = ERROR_READ;
        ck_assert_int_eq(run(both, 2, thread_counts[t], NULL, &err), ERROR_READ);
        ck_assert_int_eq(err.code, ERROR_READ);
        ck_assert_ptr_nonnull(strstr(err.text, "weights.bin"));
        ck_assert_ptr_nonnull(strstr(err.text, "the device says no"));
        ck_assert_ptr_nonnull(strstr(err.text, "offset "));
        if (t > 0)
            ck_assert_str_eq(err.text, text);
        memcpy(text, err.text, sizeof(text));
    }
    free(data);
}
END_TEST

START_TEST(a_file_that_shrank_is_told_as_changed)
{
    const size_t bytes = 64 << 20;
    uint8_t *data = allocate(bytes);
    struct test_model model;
    struct error err = {0};

    variety_model(&model, data, bytes, true);
    model.source.fails_from = 30 << 20;
    model.source.fails_with = ERROR_CHANGED;
    ck_assert_int_eq(run((struct test_model *[]){&model}, 1, 2, NULL, &err), ERROR_CHANGED);
    ck_assert_int_eq(run((struct test_model *[]){&model}, 1, 2, NULL, NULL), ERROR_CHANGED);
    free(data);
}
END_TEST

START_TEST(a_tensor_shorter_than_its_shape_is_refused)
{
    const uint64_t dims[] = {100, 100}, huge[] = {UINT64_C(1) << 60};
    uint8_t *data = allocate(40000);
    struct test_model model;
    struct error err = {0};

    test_model_init(&model, data, 40000, true);
    test_model_add(&model, DTYPE_F32, 0, 2, dims)->extent.bytes = 39996;
    ck_assert_int_eq(run((struct test_model *[]){&model}, 1, 1, NULL, &err), ERROR_FORMAT);
    test_model_init(&model, data, 40000, true);
    test_model_add(&model, DTYPE_F64, 0, 1, huge)->extent.bytes = 40000;
    ck_assert_int_eq(run((struct test_model *[]){&model}, 1, 2, NULL, &err), ERROR_FORMAT);
    free(data);
}
END_TEST

START_TEST(cancelling_ends_the_pass)
{
    const size_t bytes = 64 << 20;
    uint8_t *data = allocate(bytes);

    for (size_t t = 0; t < 3; t++) {
        for (size_t at = 0; at < 3; at++) {
            atomic_bool cancel = at == 0;
            struct test_model model;
            struct error err = {0};

            variety_model(&model, data, bytes, false);
            model.source.cancels = &cancel;
            model.source.cancels_at = at == 0 ? SIZE_MAX : at;
            ck_assert_int_eq(run((struct test_model *[]){&model}, 1, thread_counts[t], &cancel, &err), ERROR_CANCELLED);
            ck_assert_uint_le(model.source.reads, at + thread_counts[t]);
        }
    }
    free(data);
}
END_TEST

struct seen {
    struct scan_progress last;
    unsigned calls;
    atomic_int inside;
};

static void see(void *context, const struct scan_progress *progress)
{
    struct seen *seen = context;

    ck_assert_int_eq(atomic_fetch_add(&seen->inside, 1), 0); /* one at a time */
    ck_assert_uint_ge(progress->bytes_done, seen->last.bytes_done);
    ck_assert_uint_ge(progress->tensors_done, seen->last.tensors_done);
    seen->last = *progress;
    seen->calls++;
    atomic_fetch_sub(&seen->inside, 1);
}

START_TEST(progress_ends_with_all_done)
{
    const size_t bytes = 64 << 20;
    uint8_t *data = allocate(bytes);

    for (size_t t = 0; t < 3; t++) {
        struct seen seen = {.calls = 0};
        struct scan_env env = {.threads = thread_counts[t], .progress = see, .progress_context = &seen};
        struct scan_result *result = NULL;
        struct test_pairing pairing;
        struct test_model model;
        struct scan_plan plan;
        uint64_t total = 0;

        variety_model(&model, data, bytes, true);
        for (size_t i = 0; i < VARIETY; i++)
            total += model.tensors[i].extent.bytes;
        test_pairing_init(&pairing, (struct test_model *[]){&model}, 1);
        plan = test_plan(&pairing, NEED_SIDE, 0);
        ck_assert_int_eq(scan_run(&plan, &env, &result, NULL), 0);
        ck_assert_uint_ge(seen.calls, 1);
        ck_assert_uint_eq(seen.last.bytes_total, total);
        ck_assert_uint_eq(seen.last.bytes_done, total);
        ck_assert_uint_eq(seen.last.tensors_done, VARIETY);
        ck_assert_uint_eq(seen.last.tensors_total, VARIETY);
        scan_result_free(result);
    }
    free(data);
}
END_TEST

START_TEST(no_models_tensors_are_no_error)
{
    struct test_model model;
    struct scan_result *result;

    test_model_init(&model, "", 0, true);
    result = test_scan((struct test_model *[]){&model, &model}, 2, ALL_NEEDS, 0, 2, ISA_AUTO);
    ck_assert_uint_eq(result->pairs, 0);
    scan_result_free(result);
    scan_result_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan");
    TCase *tcase = tcase_create("scan");

    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, results_are_the_same_bits_for_any_threads_instructions_and_sources);
    tcase_add_test(tcase, matrices_turned_over_have_the_figures_of_plain_ones_and_are_read_once);
    tcase_add_test(tcase, side_records_do_not_depend_on_the_partner);
    tcase_add_test(tcase, equal_blocks_have_the_figures_of_measured_ones);
    tcase_add_test(tcase, common_rows_are_compared_where_only_the_leading_dimension_differs);
    tcase_add_test(tcase, empty_tensors_are_compared_and_say_so);
    tcase_add_test(tcase, undecodable_tensors_are_compared_as_bytes);
    tcase_add_test(tcase, baseline_is_the_first_model_and_candidate_the_last);
    tcase_add_test(tcase, a_failing_read_is_told_with_file_tensor_and_offset);
    tcase_add_test(tcase, a_file_that_shrank_is_told_as_changed);
    tcase_add_test(tcase, a_tensor_shorter_than_its_shape_is_refused);
    tcase_add_test(tcase, cancelling_ends_the_pass);
    tcase_add_test(tcase, progress_ends_with_all_done);
    tcase_add_test(tcase, no_models_tensors_are_no_error);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
