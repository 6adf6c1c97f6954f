/* Σ(m − a)(b − m) of three models that follow one another, over several units. */
#include <math.h>

#include "tests/unit/core/scan/scan_models.h"

enum { ROWS = 2500, COLUMNS = 1000, ELEMENTS = ROWS * COLUMNS, SMALL = 64 };

static struct scan_result *scan_three(enum dtype dtype, const void *const *data, uint64_t elements, unsigned threads)
{
    static const uint32_t groups[1] = {0};
    const uint64_t dims[] = {elements / (elements == ELEMENTS ? COLUMNS : 1), elements == ELEMENTS ? COLUMNS : 1};
    struct scan_env env = {.threads = threads};
    struct scan_result *result = NULL;
    struct test_model models[3];
    struct test_pairing pairing;
    struct error err = {0};
    struct scan_plan plan;

    for (size_t m = 0; m < 3; m++) {
        test_model_init(&models[m], data[m], elements * (dtype_traits(dtype)->bits / 8), m != 1);
        test_model_add(&models[m], dtype, 0, 2, dims);
    }
    test_pairing_init(&pairing, (struct test_model *[]){&models[0], &models[1], &models[2]}, 3);
    plan = test_plan(&pairing, NEED_COUPLES | NEED_TURNS, 0);
    plan.groups = groups;
    plan.group_count = 1;
    ck_assert_msg(scan_run(&plan, &env, &result, &err) == 0, "%s", err.text);
    return result;
}

static float *weights[3];

static void fill(void)
{
    uint64_t state = 42;

    for (size_t m = 0; m < 3; m++) {
        weights[m] = malloc(ELEMENTS * sizeof(float));
        for (size_t i = 0; i < ELEMENTS; i++)
            weights[m][i] = (float)(test_normal(&state) * (m == 2 ? 1e-3 : 1)) + (m ? weights[m - 1][i] : 0);
    }
    weights[1][7] = NAN;
    weights[2][ELEMENTS - 3] = HUGE_VALF;
}

static void empty(void)
{
    for (size_t m = 0; m < 3; m++)
        free(weights[m]);
}

START_TEST(units_add_up_whatever_the_threads)
{
    const void *data[3] = {weights[0], weights[1], weights[2]};
    struct scan_result *one = scan_three(DTYPE_F32, data, ELEMENTS, 1), *three;
    long double truth = 0, scale = 0;

    for (size_t i = 0; i < ELEMENTS; i++) {
        long double product = ((long double)weights[1][i] - (long double)weights[0][i]) *
                              ((long double)weights[2][i] - (long double)weights[1][i]);

        if (i == 7 || i == ELEMENTS - 3)
            continue;
        truth += product;
        scale += fabsl(product);
    }
    ck_assert_uint_eq(one->couples[couple_index(3, 0, 2)].turn_finite, ELEMENTS - 2);
    ck_assert_uint_eq(one->couples[couple_index(3, 0, 1)].turn_finite, 0);
    ck_assert_double_le(fabs(sum_value(&one->couples[couple_index(3, 0, 2)].turn) - (double)truth),
                        1e-14 * (double)scale);
    three = scan_three(DTYPE_F32, data, ELEMENTS, 3);
    ck_assert_mem_eq(&one->couples[couple_index(3, 0, 2)].turn, &three->couples[couple_index(3, 0, 2)].turn,
                     sizeof(struct sum));
    scan_result_free(one);
    scan_result_free(three);
}
END_TEST

START_TEST(extreme_values_keep_their_turn)
{
    double values[3][SMALL], plain = 0;
    const void *data[3] = {values[0], values[1], values[2]};
    struct scan_result *result;
    uint64_t state = 7;

    for (size_t i = 0; i < SMALL; i++) {
        double a = test_normal(&state), b = test_normal(&state), c = test_normal(&state);

        values[0][i] = ldexp(a, 700);
        values[1][i] = ldexp(b, 700);
        values[2][i] = ldexp(c, 700);
        plain += (b - a) * (c - b);
    }
    result = scan_three(DTYPE_F64, data, SMALL, 1);
    ck_assert_double_le(
        fabs(ldexp(sum_value(&result->couples[1].turn), result->couples[1].turn_exponent - 1400) - plain),
        1e-13 * fabs(plain));
    scan_result_free(result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turn");
    TCase *tcase = tcase_create("turn");

    tcase_add_unchecked_fixture(tcase, fill, empty);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, units_add_up_whatever_the_threads);
    tcase_add_test(tcase, extreme_values_keep_their_turn);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
