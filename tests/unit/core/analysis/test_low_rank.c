/* Singular values against numpy.linalg.svd: tests/fixtures/golden/findings/low_rank.tsv, made by the script beside it.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/low_rank.h"
#include "core/analysis/svd.h"

static double uniform(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53 - 0.5;
}

struct matrix {
    uint64_t rows, columns;
    double *values;
    const double *stored; /* the candidate, where it is BF16; NULL: not rounded */
    uint64_t reads, largest;
    atomic_bool *cancels; /* set by the second read */
};

static struct matrix make_matrix(uint64_t seed, uint64_t rows, uint64_t columns, uint64_t rank)
{
    struct matrix m = {.rows = rows, .columns = columns, .values = calloc(rows * columns, sizeof(double))};

    ck_assert_ptr_nonnull(m.values);
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < columns; j++) {
            double *value = &m.values[i * columns + j];

            if (rank == 0)
                *value = uniform(seed, i * columns + j);
            for (uint64_t k = 0; k < rank; k++)
                *value += uniform(seed, i * rank + k) * uniform(seed + 1, k * columns + j);
            *value = (double)(float)*value;
        }
    return m;
}

/* Of BF16: seven bits behind the leading one. */
static double squares_of_spacings(const double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        int exponent;

        frexp(values[i], &exponent);
        sum += ldexp(1, 2 * (exponent - 8));
    }
    return sum;
}

static int read_matrix(void *context, uint64_t first, size_t count, double *ret_values, double *rounding,
                       struct error *err)
{
    struct matrix *m = context;

    (void)err;
    ck_assert_uint_le(first + count, m->rows * m->columns);
    memcpy(ret_values, m->values + first, count * sizeof(*ret_values));
    if (m->stored && rounding)
        *rounding += squares_of_spacings(m->stored + first, count) / 12;
    if (++m->reads == 2 && m->cancels)
        atomic_store(m->cancels, true);
    if (count > m->largest)
        m->largest = count;
    return 0;
}

static struct low_rank_matrix measure(struct matrix *m, double energy, uint64_t work)
{
    struct low_rank_source source = {.read = read_matrix, .context = m};
    struct low_rank_matrix found = {.pair = 7};
    struct error err = {0};

    ck_assert_msg(low_rank_measure_matrix(&source, m->rows, m->columns, energy, &work, &found, &err) == 0, "%s",
                  err.text);
    ck_assert_uint_eq(found.pair, 7);
    return found;
}

static double next_number(char **save)
{
    return strtod(strtok_r(NULL, "\t\n", save), NULL);
}

static void check_line(char *line, unsigned index)
{
    char *save = NULL;
    const char *name = strtok_r(line, "\t\n", &save);
    uint64_t rows = (uint64_t)next_number(&save), columns = (uint64_t)next_number(&save);
    uint64_t product = (uint64_t)next_number(&save);
    double total = next_number(&save);
    uint64_t rank = (uint64_t)next_number(&save);
    double energy = next_number(&save);
    struct matrix m = make_matrix(100 * (index + 1), rows, columns, product);
    struct low_rank_matrix found = measure(&m, 0.999, UINT64_C(1) << 32);

    ck_assert_msg(fabs(found.squares - total) <= 1e-12 * total, "%s: %.17g, not %.17g", name, found.squares, total);
    if (strcmp(name, "large_dense") == 0) {
        ck_assert_uint_eq(found.rank, 0);
        ck_assert_ptr_nonnull(found.reason);
        ck_assert_double_lt(found.energy, 0.5);
    } else {
        ck_assert_msg(found.rank == rank, "%s: rank %u, not %llu", name, found.rank, (unsigned long long)rank);
        ck_assert_msg(fabs(found.energy - energy) <= 1e-9 * energy, "%s: %.17g, not %.17g", name, found.energy, energy);
        ck_assert_double_lt(found.error_bound, 1e-9);
        for (uint32_t i = 0; i < found.value_count; i++) {
            double truth = next_number(&save), square = found.values[i] * found.values[i];

            ck_assert_msg(fabs(square - truth) <= 1e-9 * (i < rank ? truth : total),
                          "%s: energy %u is %.17g, not %.17g", name, i, square, truth);
        }
    }
    free(m.values);
}

START_TEST(singular_values_match_numpy)
{
    static char line[4096];
    FILE *truth = fopen(FIXTURES "/golden/findings/low_rank.tsv", "r");
    unsigned lines = 0;

    ck_assert_ptr_nonnull(truth);
    while (fgets(line, sizeof(line), truth))
        check_line(line, lines++);
    fclose(truth);
    ck_assert_uint_eq(lines, 10);
}
END_TEST

START_TEST(a_merged_adapter_of_rank_16_says_so)
{
    struct matrix m = make_matrix(5, 1400, 1300, 16);
    struct low_rank_matrix found = measure(&m, 0.999, 0);

    ck_assert_int_eq(found.method, LOW_RANK_BY_SKETCH);
    ck_assert_uint_eq(found.rank, 16);
    ck_assert_double_ge(found.energy, 0.999);
    ck_assert_double_lt(found.values[16], 1e-4 * found.values[15]);
    free(m.values);
}
END_TEST

static double to_bf16(double value)
{
    float narrow = (float)value;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof(bits));
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
    memcpy(&narrow, &bits, sizeof(bits));
    return (double)narrow;
}

/* Weights in BF16, to which something was added before they were rounded again. */
static void check_rounded(char *line, unsigned index)
{
    char *save = NULL;
    const char *name = strtok_r(line, "\t\n", &save);
    uint64_t rows = (uint64_t)next_number(&save), columns = (uint64_t)next_number(&save);
    uint64_t product = (uint64_t)next_number(&save);
    double size = next_number(&save), share = next_number(&save);
    uint64_t rank = (uint64_t)next_number(&save), whole = (uint64_t)next_number(&save);
    double energy = next_number(&save);
    struct matrix m = make_matrix(5000 + 100 * index, rows, columns, 0);
    struct matrix added = make_matrix(5050 + 100 * index, rows, columns, product);
    struct low_rank_matrix found;

    for (size_t i = 0; i < rows * columns; i++) {
        double weight = to_bf16(m.values[i] * 0.125);

        added.values[i] = to_bf16(weight + added.values[i] * size);
        m.values[i] = added.values[i] - weight;
    }
    m.stored = added.values;
    found = measure(&m, 0.999, UINT64_C(1) << 32);
    ck_assert_msg(fabs(found.rounding - share) <= 1e-12 * share, "%s: %.17g, not %.17g", name, found.rounding, share);
    ck_assert_msg(found.rank == rank && found.whole == whole, "%s: rank %u, not %llu; whole %u, not %llu", name,
                  found.rank, (unsigned long long)rank, found.whole, (unsigned long long)whole);
    /* The sketch's values may lack what its bound says. */
    ck_assert_msg(fabs(found.energy - energy) <= (found.method == LOW_RANK_EXACT ? 1e-9 : 1e-3), "%s: %.17g, not %.17g",
                  name, found.energy, energy);
    free(m.values);
    free(added.values);
}

START_TEST(adapters_are_told_from_rounding_as_numpy_tells_them)
{
    static char line[4096];
    FILE *truth = fopen(FIXTURES "/golden/findings/low_rank_rounded.tsv", "r");
    unsigned lines = 0;

    ck_assert_ptr_nonnull(truth);
    while (fgets(line, sizeof(line), truth))
        check_rounded(line, lines++);
    fclose(truth);
    ck_assert_uint_eq(lines, 9);
}
END_TEST

START_TEST(the_energy_asked_for_decides)
{
    struct matrix m = make_matrix(9, 40, 30, 0);

    ck_assert_uint_lt(measure(&m, 0.5, UINT64_C(1) << 32).rank, measure(&m, 0.9, UINT64_C(1) << 32).rank);
    ck_assert_uint_eq(measure(&m, 1, UINT64_C(1) << 32).rank, 30);
    free(m.values);
}
END_TEST

/* The sketch's bound must hold where it is wide: rank 60 and a noise of full rank beside it. */
START_TEST(the_bound_holds_under_noise)
{
    struct matrix m = make_matrix(11, 600, 500, 4), noise = make_matrix(13, 600, 500, 0);
    struct low_rank_matrix sketched, exact;
    uint64_t all = UINT64_C(1) << 34;

    for (size_t i = 0; i < 600 * 500; i++)
        m.values[i] += noise.values[i] * 0.01;
    sketched = measure(&m, 0.99, 0);
    ck_assert_int_eq(sketched.method, LOW_RANK_BY_SKETCH);
    ck_assert_uint_eq(sketched.rank, 4);
    /* Asking for all the energy goes the exact way. */
    exact = measure(&m, 1, all);
    ck_assert_int_eq(exact.method, LOW_RANK_EXACT);
    ck_assert_double_gt(sketched.error_bound, 0);
    for (uint32_t i = 0; i < 4; i++) {
        double lacks = exact.values[i] * exact.values[i] - sketched.values[i] * sketched.values[i];

        ck_assert_double_ge(lacks, -1e-12 * exact.squares);
        ck_assert_double_le(lacks, sketched.error_bound * sketched.squares);
    }
    free(m.values);
    free(noise.values);
}
END_TEST

/* A change of full rank must not pass for a low one, however the sketch falls. */
START_TEST(noise_is_never_of_low_rank)
{
    struct matrix m = make_matrix(1000 + (uint64_t)_i, 500 + 100 * (uint64_t)_i, 450, 0);
    struct low_rank_matrix found = measure(&m, 0.999, 0);

    uint64_t step = 65536 / 450, blocks = (m.rows + step - 1) / step;

    ck_assert_uint_eq(found.rank, 0);
    ck_assert_uint_eq(m.reads, blocks); /* one pass told it */
    /* Asked for little, it is measured by a second pass: the estimate of the first must have been near. */
    ck_assert_double_eq_tol(found.error_bound, measure(&m, 0.01, 0).error_bound, 0.05);
    ck_assert_uint_eq(m.reads, 3 * blocks);
    free(m.values);
}
END_TEST

START_TEST(nothing_has_no_rank)
{
    struct matrix m = {.rows = 400, .columns = 400, .values = calloc(400 * 400, sizeof(double))};
    struct low_rank_matrix found = measure(&m, 0.999, UINT64_C(1) << 32);

    ck_assert_uint_eq(found.rank, 0);
    ck_assert_str_eq(found.reason, "no finite element differs");
    m.rows = 3;
    ck_assert_uint_eq(measure(&m, 0.999, UINT64_C(1) << 32).rank, 0);
    free(m.values);
}
END_TEST

START_TEST(work_is_spent_once)
{
    struct low_rank_matrix found = {0};
    struct matrix m = make_matrix(3, 64, 64, 0);
    struct low_rank_source source = {.read = read_matrix, .context = &m};
    uint64_t work = 500000;

    ck_assert_int_eq(low_rank_measure_matrix(&source, 64, 64, 0.999, &work, &found, NULL), 0);
    ck_assert_uint_gt(found.rank, 0);
    ck_assert_uint_lt(work, 200000);
    ck_assert_int_eq(low_rank_measure_matrix(&source, 64, 64, 0.999, &work, &found, NULL), 0);
    ck_assert_uint_eq(found.rank, 0);
    ck_assert_ptr_nonnull(found.reason);
    free(m.values);
}
END_TEST

START_TEST(cancelling_ends_it)
{
    atomic_bool cancel = false;
    struct matrix m = make_matrix(3, 1500, 1200, 2);
    struct low_rank_source source = {.read = read_matrix, .context = &m, .cancel = &cancel};
    struct low_rank_matrix found = {0};
    uint64_t work = 0;

    m.cancels = &cancel;
    ck_assert_int_eq(low_rank_measure_matrix(&source, 1500, 1200, 0.999, &work, &found, NULL), ERROR_CANCELLED);
    ck_assert_uint_eq(m.reads, 2);
    ck_assert_uint_le(m.largest, 1 << 16);
    free(m.values);
}
END_TEST

START_TEST(eigenvalues_of_small_matrices_are_known)
{
    double a[9] = {2, -1, 0, -1, 2, -1, 0, -1, 2}, values[3], scratch[6];
    double one[1] = {-3}, diagonal[4] = {1, 0, 0, 5}, jacobi[4] = {3, 0, 4, 5};

    svd_symmetric(a, 3, values, scratch);
    ck_assert_double_eq_tol(values[0], 2 + sqrt(2), 1e-15 * 4);
    ck_assert_double_eq_tol(values[1], 2, 1e-15 * 4);
    ck_assert_double_eq_tol(values[2], 2 - sqrt(2), 1e-15 * 4);
    svd_symmetric(one, 1, values, scratch);
    ck_assert_double_eq(values[0], -3);
    svd_symmetric(diagonal, 2, values, scratch);
    ck_assert_double_eq(values[0], 5);
    ck_assert_double_eq(values[1], 1);
    svd_jacobi(jacobi, 2, values);
    ck_assert_double_eq_tol(values[0], sqrt(45), 1e-14);
    ck_assert_double_eq_tol(values[1], sqrt(5), 1e-14);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("low_rank");
    TCase *tcase = tcase_create("singular values");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, singular_values_match_numpy);
    tcase_add_test(tcase, a_merged_adapter_of_rank_16_says_so);
    tcase_add_test(tcase, adapters_are_told_from_rounding_as_numpy_tells_them);
    tcase_add_test(tcase, the_energy_asked_for_decides);
    tcase_add_test(tcase, the_bound_holds_under_noise);
    tcase_add_loop_test(tcase, noise_is_never_of_low_rank, 0, 4);
    tcase_add_test(tcase, nothing_has_no_rank);
    tcase_add_test(tcase, work_is_spent_once);
    tcase_add_test(tcase, cancelling_ends_it);
    tcase_add_test(tcase, eigenvalues_of_small_matrices_are_known);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
