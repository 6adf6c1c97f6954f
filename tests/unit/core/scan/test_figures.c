/* The figures of the pass, over tensors of more than one unit and of awkward content. */
#include "tests/unit/core/scan/scan_runs.h"

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

struct quantile_row {
    enum dtype dtype;
    size_t elements;
    double error; /* relative */
};

static const struct quantile_row quantile_rows[] = {
    {DTYPE_F32, 1, 0},           {DTYPE_F32, 2, 0},           {DTYPE_F32, 65535, 0},      {DTYPE_F32, 65536, 0.004},
    {DTYPE_F32, 2100000, 0.004}, {DTYPE_F64, 1100000, 0.004}, {DTYPE_F64, 65535, 0},      {DTYPE_BF16, 65536, 0},
    {DTYPE_BF16, 3200000, 0},    {DTYPE_F16, 2100000, 0},     {DTYPE_U8, 2100000, 0},     {DTYPE_I8, 70000, 0},
    {DTYPE_F8_E5M2, 70000, 0},   {DTYPE_F4, 100001, 0},       {DTYPE_I32, 100000, 0.004}, {DTYPE_I64, 100000, 0.004},
    {DTYPE_U16, 100000, 0.004},
};

START_TEST(quantiles_are_those_of_the_sorted_elements)
{
    const struct quantile_row *row = &quantile_rows[_i];
    const uint64_t dims[] = {row->elements};
    uint8_t *data = allocate(row->elements * 8 + 8);
    double *values = allocate(row->elements * sizeof(*values));
    struct scan_result *result;
    size_t n = 0;

    if (row->dtype == DTYPE_F32 || row->dtype == DTYPE_F64 || row->dtype == DTYPE_BF16)
        fill_normal(row->dtype, data, row->elements, 0.25, 1, 5);
    else
        fill_random(data, row->elements * 8, 6);
    decode_f64(row->dtype, data, 0, row->elements, values);
    for (size_t i = 0; i < row->elements; i++) {
        if (isfinite(values[i]))
            values[n++] = values[i];
    }
    qsort(values, n, sizeof(*values), compare_doubles);
    result = scan_one(row->dtype, data, 1, dims, NEED_QUANTILES);
    ck_assert(result->quantiles[0].is_exact == (row->error == 0));
    for (int i = 0; i < QUANTILE_COUNT; i++) {
        double at = (double)(n - 1) * quantile_levels[i], t = at - floor(at), a = values[(size_t)floor(at)],
               b = values[(size_t)ceil(at)], expected = t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;

        ck_assert_msg(fabs(result->quantiles[0].value[i] - expected) <= row->error * fabs(expected),
                      "level %g is %.17g, not %.17g", quantile_levels[i], result->quantiles[0].value[i], expected);
    }
    scan_result_free(result);
    free(values);
    free(data);
}
END_TEST

/* Histograms are counted while a pair is measured, in whatever format its kernel reads. */
START_TEST(quantiles_of_a_side_are_its_own_whatever_lies_opposite)
{
    enum { ELEMENTS = 2100000 };
    static const enum dtype dtypes[][2] = {
        {DTYPE_BF16, DTYPE_BF16}, {DTYPE_F16, DTYPE_F32}, {DTYPE_BF16, DTYPE_F64}, {DTYPE_F8_E4M3, DTYPE_F64},
        {DTYPE_U8, DTYPE_BF16},   {DTYPE_I64, DTYPE_F32}, {DTYPE_I64, DTYPE_I64},  {DTYPE_F32, DTYPE_F32},
    };
    const uint64_t dims[] = {ELEMENTS}, fewer[] = {ELEMENTS - 77777};
    const unsigned needs = NEED_SIDE | NEED_DELTA | NEED_QUANTILES;
    uint8_t *data[2] = {allocate(ELEMENTS * 8 + 8), allocate(ELEMENTS * 8 + 8)};

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        const enum dtype *dtype = dtypes[i];

        for (int opposite = 0; opposite < 3; opposite++) { /* other values, one unit of them, the same */
            struct scan_result *both, *alone[2];

            fill_random(data[0], ELEMENTS * 8, 6 + i);
            fill_random(data[1], opposite == 0 ? ELEMENTS * 8 : 0, 99);
            if (opposite > 0)
                memcpy(data[1], data[0], ELEMENTS * 8);
            if (opposite == 1)
                memset(data[1] + 3000000, 0x3c, 100000);
            both = scan_two(dtype[0], data[0], dtype[1], data[1], 1, dims, opposite == 0 ? fewer : dims, needs);
            for (int side = 0; side < 2; side++) {
                alone[side] = scan_one(dtype[side], data[side], 1, side == 1 && opposite == 0 ? fewer : dims, needs);
                ck_assert_mem_eq(both->quantiles[side].value, alone[side]->quantiles[0].value,
                                 sizeof(both->quantiles[side].value));
                scan_result_free(alone[side]);
            }
            scan_result_free(both);
        }
    }
    free(data[0]);
    free(data[1]);
}
END_TEST

START_TEST(extreme_codes_are_counted)
{
    const int8_t i8[] = {-128, 127, 127, 0, -127};
    const uint8_t u8[] = {0, 255, 128, 1, 254}, e4m3[] = {0x7e, 0xfe, 0x7f, 0x7d, 0};
    const uint64_t dims[] = {5};
    struct scan_result *result = scan_one(DTYPE_I8, i8, 1, dims, NEED_SIDE | NEED_SATURATION);

    ck_assert_uint_eq(result->sides[0].saturated, 3);
    scan_result_free(result);
    result = scan_one(DTYPE_U8, u8, 1, dims, NEED_SIDE | NEED_SATURATION);
    ck_assert_uint_eq(result->sides[0].saturated, 2);
    scan_result_free(result);
    result = scan_one(DTYPE_F8_E4M3, e4m3, 1, dims, NEED_SIDE | NEED_SATURATION);
    ck_assert_uint_eq(result->sides[0].saturated, 2);
    scan_result_free(result);
    result = scan_one(DTYPE_I8, i8, 1, dims, NEED_SIDE);
    ck_assert_uint_eq(result->sides[0].saturated, 0);
    scan_result_free(result);
}
END_TEST

START_TEST(rows_are_fitted_each_with_its_own_scale)
{
    enum { ROWS = 1500, COLUMNS = 1100 };
    const uint64_t dims[] = {ROWS, COLUMNS}, one_row[] = {1, ROWS * COLUMNS}, flat[] = {ROWS * COLUMNS};
    float *a = allocate(ROWS * COLUMNS * sizeof(*a));
    int8_t *b = allocate(ROWS * COLUMNS);
    long double fitted = 0;
    struct scan_result *result;
    uint64_t seed = 3;

    for (size_t row = 0; row < ROWS; row++) {
        long double ab = 0, bb = 0;

        for (size_t i = row * COLUMNS; i < (row + 1) * COLUMNS; i++) {
            a[i] = (float)(test_normal(&seed) * (double)(row + 1));
            b[i] = (int8_t)lrint(fmax(fmin((double)a[i] / (double)(row + 1) * 40, 127), -127));
            if (row == 7)
                b[i] = 0;
            if (i == 12345)
                a[i] = NAN;
            if (isfinite(a[i])) {
                ab += (long double)a[i] * b[i];
                bb += (long double)b[i] * b[i];
            }
        }
        if (bb > 0)
            fitted += ab * (ab / bb);
    }
    result = scan_two(DTYPE_F32, a, DTYPE_I8, b, 2, dims, dims, NEED_SIDE | NEED_DELTA | NEED_ROW_FIT);
    ck_assert(result->deltas[0].has_row_fit);
    ck_assert_double_eq_tol(sum_value(&result->deltas[0].row_fit), (double)fitted, 1e-12 * (double)fitted);
    ck_assert_double_gt(delta_row_fitted_sqnr_db(&result->deltas[0]), delta_fitted_sqnr_db(&result->deltas[0]) + 10);
    scan_result_free(result);
    result = scan_two(DTYPE_F32, a, DTYPE_I8, b, 2, one_row, one_row, NEED_DELTA | NEED_ROW_FIT);
    ck_assert(!result->deltas[0].has_row_fit); /* cut */
    scan_result_free(result);
    result = scan_two(DTYPE_F32, a, DTYPE_I8, b, 1, flat, flat, NEED_DELTA);
    ck_assert(!result->deltas[0].has_row_fit); /* not asked for */
    scan_result_free(result);
    result = scan_two(DTYPE_I8, b, DTYPE_I8, b, 2, dims, dims, NEED_DELTA | NEED_ROW_FIT);
    ck_assert(!result->deltas[0].has_row_fit); /* codes beside codes */
    scan_result_free(result);
    free(a);
    free(b);
}
END_TEST

START_TEST(figures_hold_across_many_units)
{
    const size_t elements = (3 << 20) + 77;
    const uint64_t dims[] = {elements};
    double *values = allocate(elements * sizeof(*values));
    long double mean = 0, m2 = 0;
    struct scan_result *result;
    uint64_t seed = 77;

    for (size_t i = 0; i < elements; i++)
        values[i] = 0.1;
    result = scan_one(DTYPE_F64, values, 1, dims, NEED_SIDE);
    ck_assert_double_eq(side_mean(&result->sides[0]), 0.1);
    ck_assert_double_eq(side_std(&result->sides[0]), 0);
    ck_assert_double_eq_tol(side_l2(&result->sides[0]), 0.1 * sqrt((double)elements),
                            1e-12 * side_l2(&result->sides[0]));
    scan_result_free(result);

    for (size_t i = 0; i < elements; i++) {
        values[i] = 1e9 + 1e-3 * test_normal(&seed);
        mean += values[i] - 1e9L; /* or the reference itself would round */
    }
    mean = 1e9L + mean / (long double)elements;
    for (size_t i = 0; i < elements; i++)
        m2 += (values[i] - mean) * (values[i] - mean);
    result = scan_one(DTYPE_F64, values, 1, dims, NEED_SIDE);
    ck_assert_double_eq_tol(side_mean(&result->sides[0]), (double)mean, 1e-15 * (double)mean);
    ck_assert_double_eq_tol(side_std(&result->sides[0]), (double)sqrtl(m2 / (long double)elements),
                            1e-12 * side_std(&result->sides[0]));
    scan_result_free(result);
    free(values);
}
END_TEST

START_TEST(wide_identifiers_keep_their_spread_across_units)
{
    const size_t elements = (2 << 20) + 5;
    const uint64_t dims[] = {elements};
    int64_t *values = allocate(elements * sizeof(*values));
    struct scan_result *result;
    double expected;

    for (size_t i = 0; i < elements; i++)
        values[i] = (INT64_C(1) << 60) + (int64_t)(i % 3);
    result = scan_one(DTYPE_I64, values, 1, dims, NEED_SIDE);
    expected = sqrt(2.0 / 3.0);
    ck_assert_double_eq_tol(side_std(&result->sides[0]), expected, 1e-6);
    ck_assert_int_eq(result->sides[0].max.i64 - result->sides[0].min.i64, 2);
    scan_result_free(result);
    free(values);
}
END_TEST

/* The ends of both types, and integers that are no double. Expected: Python's, in whole numbers and fractions. */
static const struct wide_row {
    enum dtype dtype;
    uint64_t elements, a[6], b[6];
    double mean, std, l2, delta_mean, delta_mean_abs, delta_l2, cosine;
    uint64_t changed, sign_flips;
} wide_rows[] = {
    {DTYPE_I64,
     6,
     {UINT64_C(1) << 63, INT64_MAX, 0, (uint64_t)-1, 1, INT64_MAX},
     {INT64_MAX, UINT64_C(1) << 63, 5, 1, (uint64_t)-1, INT64_MAX},
     1.5372286728091292e+18,
     6.338156188720091e+18,
     1.5975348984942514e+19,
     0.8333333333333334,
     6.148914691236517e+18,
     2.6087635650665566e+19,
     -0.3333333333333333,
     5,
     4},
    {DTYPE_U64,
     4,
     {0, UINT64_MAX, (UINT64_C(1) << 53) + 1, UINT64_C(1) << 63},
     {UINT64_MAX, 0, UINT64_C(1) << 53, INT64_MAX},
     6.919780827454767e+18,
     7.645579980955813e+18,
     2.0624088823044076e+19,
     -0.5,
     9.223372036854776e+18,
     2.6087635650665566e+19,
     0.20000015258786152,
     4,
     0},
};

START_TEST(the_ends_of_wide_integers_are_exact)
{
    const struct wide_row *row = &wide_rows[_i];
    const uint64_t dims[] = {row->elements};
    struct scan_result *result =
        scan_two(row->dtype, row->a, row->dtype, row->b, 1, dims, dims, NEED_SIDE | NEED_DELTA);
    const struct side_record *side = &result->sides[0];
    const struct delta_record *delta = &result->deltas[0];

    ck_assert_double_eq_tol(side_mean(side), row->mean, 1e-15 * row->mean);
    ck_assert_double_eq_tol(side_std(side), row->std, 1e-15 * row->std);
    ck_assert_double_eq_tol(side_l2(side), row->l2, 1e-15 * row->l2);
    ck_assert_double_eq_tol(delta_mean(delta), row->delta_mean, 1e-15);
    ck_assert_double_eq_tol(delta_mean_abs(delta), row->delta_mean_abs, 1e-15 * row->delta_mean_abs);
    ck_assert_double_eq_tol(delta_l2(delta), row->delta_l2, 1e-15 * row->delta_l2);
    ck_assert_double_eq_tol(delta_cosine(delta), row->cosine, 1e-15);
    ck_assert_double_eq(delta->max_abs, 0x1p64);
    ck_assert_uint_eq(delta->max_abs_at, 0);
    ck_assert_uint_eq(delta->changed, row->changed);
    ck_assert_uint_eq(delta->sign_flips, row->sign_flips);
    scan_result_free(result);
}
END_TEST

START_TEST(the_first_of_equal_maxima_is_found_across_units)
{
    const size_t elements = (2 << 20) + 5;
    const uint64_t dims[] = {elements};
    float *a = allocate(elements * sizeof(*a)), *b = allocate(elements * sizeof(*b));
    struct scan_result *result;

    b[(1 << 20) + 3] = -2;
    b[(1 << 20) + 9] = 2;
    b[(2 << 20) + 1] = 2;
    b[17] = 1.5f;
    result = scan_two(DTYPE_F32, a, DTYPE_F32, b, 1, dims, dims, NEED_DELTA);
    ck_assert_uint_eq(result->deltas[0].max_abs_at, (1 << 20) + 3);
    ck_assert_double_eq(result->deltas[0].max_abs, 2);
    ck_assert_uint_eq(result->deltas[0].changed, 4);
    scan_result_free(result);
    free(a);
    free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("figures");
    TCase *tcase = tcase_create("figures");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, quantiles_are_those_of_the_sorted_elements, 0,
                        (int)(sizeof(quantile_rows) / sizeof(quantile_rows[0])));
    tcase_add_test(tcase, quantiles_of_a_side_are_its_own_whatever_lies_opposite);
    tcase_add_test(tcase, extreme_codes_are_counted);
    tcase_add_test(tcase, rows_are_fitted_each_with_its_own_scale);
    tcase_add_test(tcase, figures_hold_across_many_units);
    tcase_add_test(tcase, wide_identifiers_keep_their_spread_across_units);
    tcase_add_loop_test(tcase, the_ends_of_wide_integers_are_exact, 0, sizeof(wide_rows) / sizeof(wide_rows[0]));
    tcase_add_test(tcase, the_first_of_equal_maxima_is_found_across_units);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
