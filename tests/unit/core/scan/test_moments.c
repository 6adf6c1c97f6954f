#include <math.h>

#include "tests/unit/core/scan/scan_models.h"

static struct side_record side(enum dtype dtype, const double *values, size_t n)
{
    struct side_record r;

    side_record_init(&r, dtype);
    r.elements = r.finite = n;
    r.min.f64 = r.max.f64 = values[0];
    for (size_t i = 0; i < n; i++)
        r.mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        r.m2 += (values[i] - r.mean) * (values[i] - r.mean);
        sum_add(&r.squares, values[i] * values[i]);
        r.min.f64 = fmin(r.min.f64, values[i]);
        r.max.f64 = fmax(r.max.f64, values[i]);
        r.abs_max = fmax(r.abs_max, fabs(values[i]));
    }
    return r;
}

START_TEST(sum_keeps_what_additions_round_away)
{
    struct sum sum = {0};

    sum_add(&sum, 1);
    sum_add(&sum, 1e100);
    sum_add(&sum, 1);
    sum_add(&sum, -1e100);
    ck_assert_double_eq(sum_value(&sum), 2);
    sum = (struct sum){0};
    sum_add(&sum, INFINITY);
    sum_add(&sum, 1);
    ck_assert_double_eq(sum_value(&sum), INFINITY);
}
END_TEST

START_TEST(merged_sides_are_the_side_of_all)
{
    const double values[] = {1, 2, 4, 8, 16, -3, 0.5};
    struct side_record all = side(DTYPE_F64, values, 7), first = side(DTYPE_F64, values, 3),
                       rest = side(DTYPE_F64, values + 3, 4), merged;

    side_record_init(&merged, DTYPE_F64);
    side_record_merge(&merged, &first);
    side_record_merge(&merged, &rest);
    ck_assert_uint_eq(merged.finite, 7);
    ck_assert_double_eq_tol(side_mean(&merged), side_mean(&all), 1e-15);
    ck_assert_double_eq_tol(side_std(&merged), side_std(&all), 1e-14);
    ck_assert_double_eq(side_l2(&merged), side_l2(&all));
    ck_assert_double_eq(merged.min.f64, -3);
    ck_assert_double_eq(merged.max.f64, 16);
    ck_assert_double_eq(merged.abs_max, 16);
}
END_TEST

START_TEST(merging_into_an_empty_record_changes_no_bit)
{
    const double values[] = {0.1, 0.2, 0.7};
    struct side_record one = side(DTYPE_F32, values, 3), merged;
    struct delta_record delta, total;

    side_record_init(&merged, DTYPE_F32);
    side_record_merge(&merged, &one);
    ck_assert_mem_eq(&merged, &one, sizeof(one));

    delta_record_init(&delta);
    delta.elements = delta.finite = 3;
    delta.max_abs = 0.5;
    delta.max_abs_at = 2;
    delta.exponent = delta.exponent_a = -600;
    delta.aa.high = 3;
    delta.delta_squares.high = 2;
    delta_record_init(&total);
    delta_record_merge(&total, &delta, 100);
    ck_assert_uint_eq(total.max_abs_at, 102);
    ck_assert_int_eq(total.exponent, -600);
    ck_assert_double_eq(total.aa.high, 3);
    ck_assert(total.is_bytes_equal);
}
END_TEST

START_TEST(zeros_have_any_exponent)
{
    struct side_record tiny, zero, merged;
    const double nothing[] = {0, 0, 0, 0};

    side_record_init(&tiny, DTYPE_F64);
    tiny.elements = tiny.finite = 4;
    tiny.exponent = -1000;
    tiny.mean = 0.5;
    tiny.squares.high = 1;
    tiny.abs_max = tiny.max.f64 = tiny.min.f64 = ldexp(0.5, -1000);
    zero = side(DTYPE_F64, nothing, 4);
    for (int order = 0; order < 2; order++) {
        side_record_init(&merged, DTYPE_F64);
        side_record_merge(&merged, order ? &tiny : &zero);
        side_record_merge(&merged, order ? &zero : &tiny);
        ck_assert_int_eq(merged.exponent, -1000);
        ck_assert_double_eq(side_mean(&merged), ldexp(0.25, -1000));
        ck_assert_double_eq(side_l2(&merged), ldexp(1, -1000));
    }
}
END_TEST

START_TEST(smaller_exponent_yields_to_the_larger)
{
    struct delta_record small, large;

    delta_record_init(&small);
    small.finite = small.elements = small.changed = 1;
    small.exponent = -500;
    small.delta_squares.high = 4;
    delta_record_init(&large);
    large.finite = large.elements = large.changed = 1;
    large.exponent = -480;
    large.delta_squares.high = 1;
    delta_record_merge(&small, &large, 1);
    ck_assert_int_eq(small.exponent, -480);
    ck_assert_double_eq(sum_value(&small.delta_squares), 1 + ldexp(4, -40));
}
END_TEST

START_TEST(earlier_of_equal_maxima_stays)
{
    struct delta_record total, next;

    delta_record_init(&total);
    delta_record_init(&next);
    next.max_abs = 2;
    next.max_abs_at = 7;
    delta_record_merge(&total, &next, 10);
    delta_record_merge(&total, &next, 20);
    ck_assert_uint_eq(total.max_abs_at, 17);
    next.max_abs = 3;
    delta_record_merge(&total, &next, 30);
    ck_assert_uint_eq(total.max_abs_at, 37);
}
END_TEST

START_TEST(one_unequal_part_makes_the_whole_unequal)
{
    struct delta_record total, next;

    delta_record_init(&total);
    delta_record_init(&next);
    delta_record_merge(&total, &next, 0);
    ck_assert(total.is_bytes_equal);
    next.is_bytes_equal = next.has_row_fit = false;
    delta_record_merge(&total, &next, 0);
    ck_assert(!total.is_bytes_equal);
    ck_assert(!total.has_row_fit);
    next.is_bytes_equal = true;
    delta_record_merge(&total, &next, 0);
    ck_assert(!total.is_bytes_equal);
}
END_TEST

START_TEST(wide_integers_keep_their_spread_across_a_merge)
{
    struct side_record a, b;

    side_record_init(&a, DTYPE_I64);
    a.elements = a.finite = 1000;
    a.mean = 0x1p60;
    a.mean_low = 1.25;
    a.m2 = 500;
    a.min.i64 = 1;
    a.max.i64 = 2;
    b = a;
    b.mean_low = 3.25;
    side_record_merge(&a, &b);
    ck_assert_double_eq(a.m2, 500 + 500 + 4 * 500);
    ck_assert_double_eq(a.mean, 0x1p60);
    ck_assert_double_eq(a.mean_low, 2.25);
}
END_TEST

START_TEST(integers_and_floats_merge_into_doubles)
{
    const double values[] = {-1.5, 2.5};
    struct side_record merged = side(DTYPE_F32, values, 2), integers;

    side_record_init(&integers, DTYPE_I8);
    integers.elements = integers.finite = 2;
    integers.min.i64 = -7;
    integers.max.i64 = 2;
    side_record_merge(&merged, &integers);
    ck_assert_double_eq(merged.min.f64, -7);
    ck_assert_double_eq(merged.max.f64, 2.5);
}
END_TEST

START_TEST(figures_of_nothing_are_not_numbers)
{
    struct side_record side_empty;
    struct delta_record empty;

    side_record_init(&side_empty, DTYPE_F32);
    delta_record_init(&empty);
    ck_assert(isnan(side_mean(&side_empty)) && isnan(side_std(&side_empty)) && isnan(side_l2(&side_empty)));
    ck_assert(isnan(delta_l2(&empty)) && isnan(delta_rms(&empty)) && isnan(delta_mean(&empty)));
    ck_assert(isnan(delta_mean_abs(&empty)) && isnan(delta_relative_l2(&empty)) && isnan(delta_cosine(&empty)));
    ck_assert(isnan(delta_sqnr_db(&empty)) && isnan(delta_fitted_scale(&empty)));
    ck_assert(isnan(delta_fitted_sqnr_db(&empty)) && isnan(delta_row_fitted_sqnr_db(&empty)));
}
END_TEST

START_TEST(cosine_and_relative_l2_at_their_edges)
{
    struct delta_record r;

    delta_record_init(&r);
    r.elements = r.finite = 2;
    ck_assert_double_eq(delta_cosine(&r), 1); /* both all zero, and equal */
    ck_assert_double_eq(delta_relative_l2(&r), 0);
    r.changed = 1;
    r.bb.high = r.delta_squares.high = 4;
    ck_assert(isnan(delta_cosine(&r)) && isnan(delta_relative_l2(&r)));
    r.aa.high = 4;
    r.ab.high = 4.0000000001;
    ck_assert_double_eq(delta_cosine(&r), 1);
    r.ab.high = -4.0000000001;
    ck_assert_double_eq(delta_cosine(&r), -1);
    ck_assert_double_eq(delta_sqnr_db(&r), 0);
    r.delta_squares.high = 0;
    ck_assert(isnan(delta_sqnr_db(&r)));
}
END_TEST

START_TEST(best_scale_leaves_what_no_scale_explains)
{
    /* a = (2, 1), b = (1, 0): s = 2, residual (0, 1). */
    struct delta_record r;

    delta_record_init(&r);
    r.elements = r.finite = r.changed = 2;
    r.aa.high = 5;
    r.bb.high = 1;
    r.ab.high = 2;
    r.delta_squares.high = 2;
    ck_assert_double_eq(delta_fitted_scale(&r), 2);
    ck_assert_double_eq_tol(delta_fitted_sqnr_db(&r), 10 * log10(5), 1e-12);
    r.row_fit.high = 4.5;
    ck_assert_double_eq_tol(delta_row_fitted_sqnr_db(&r), 10, 1e-12);
    r.has_row_fit = false;
    ck_assert(isnan(delta_row_fitted_sqnr_db(&r)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moments");
    TCase *tcase = tcase_create("moments");

    tcase_add_test(tcase, sum_keeps_what_additions_round_away);
    tcase_add_test(tcase, merged_sides_are_the_side_of_all);
    tcase_add_test(tcase, merging_into_an_empty_record_changes_no_bit);
    tcase_add_test(tcase, zeros_have_any_exponent);
    tcase_add_test(tcase, smaller_exponent_yields_to_the_larger);
    tcase_add_test(tcase, earlier_of_equal_maxima_stays);
    tcase_add_test(tcase, one_unequal_part_makes_the_whole_unequal);
    tcase_add_test(tcase, wide_integers_keep_their_spread_across_a_merge);
    tcase_add_test(tcase, integers_and_floats_merge_into_doubles);
    tcase_add_test(tcase, figures_of_nothing_are_not_numbers);
    tcase_add_test(tcase, cosine_and_relative_l2_at_their_edges);
    tcase_add_test(tcase, best_scale_leaves_what_no_scale_explains);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
