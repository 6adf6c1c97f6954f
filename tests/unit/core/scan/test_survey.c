/* Profiles, norms of rows and columns, flips, couples and digests, held against NumPy and hashlib (survey.tsv). */
#include <math.h>
#include <stdio.h>

#include "tests/unit/core/scan/patterns.h"

enum {
    FIELDS_MAX = 64,
    LINES_MAX = 256,
    SURVEY_NEEDS = NEED_SIDE | NEED_PROFILE | NEED_ROWS | NEED_COLUMNS | NEED_DIGEST
};

struct line {
    char *field[FIELDS_MAX];
    size_t count;
};

static char text[1 << 16];
static struct line lines[LINES_MAX];
static size_t line_count;

static void load_lines(void)
{
    FILE *file = fopen(FIXTURES "/golden/survey.tsv", "r");
    char *at = text, *end;

    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    line_count = 0;
    while ((end = strchr(at, '\n'))) {
        struct line *line = &lines[line_count++];

        ck_assert_uint_le(line_count, LINES_MAX);
        *end = '\0';
        line->count = 0;
        for (char *field = at; field; line->count++) {
            char *tab = strchr(field, '\t');

            ck_assert_uint_lt(line->count, FIELDS_MAX);
            line->field[line->count] = field;
            field = tab ? tab + 1 : NULL;
            if (tab)
                *tab = '\0';
        }
        at = end + 1;
    }
}

static uint64_t number(const struct line *line, size_t field)
{
    ck_assert_uint_lt(field, line->count);
    return strtoull(line->field[field], NULL, 10);
}

static double real(const struct line *line, size_t field)
{
    ck_assert_uint_lt(field, line->count);
    return strtod(line->field[field], NULL);
}

static uint32_t dims_of(const char *field, uint64_t dims[4])
{
    uint32_t rank = 0;

    while (field && *field != '-') {
        dims[rank++] = strtoull(field, NULL, 10);
        field = strchr(field, ',');
        field = field ? field + 1 : NULL;
    }
    return rank;
}

static uint8_t *allocate(size_t bytes)
{
    uint8_t *memory = calloc(bytes ? bytes : 1, 1);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void ck_close(double got, double expected, double scale, const struct line *line)
{
    ck_assert_msg(fabs(got - expected) <= 1e-12 * scale || got == expected, "%s %s %s: %.17g, not %.17g",
                  line->field[0], line->field[1], line->field[2], got, expected);
}

static void check_norms(const struct line *line, size_t field, const struct channel_norms *norms)
{
    if (line->field[field][0] == '-') {
        ck_assert_uint_eq(norms->count, 0);
        return;
    }
    ck_assert_uint_eq(norms->count, number(line, field));
    ck_assert_uint_eq(norms->zeros, number(line, field + 1));
    ck_close(norms->median, real(line, field + 2), real(line, field + 2), line);
    ck_close(norms->max, real(line, field + 3), real(line, field + 3), line);
    ck_assert_uint_eq(norms->max_at, number(line, field + 4));
}

static void check_digest(const struct line *line, size_t field, const uint8_t digest[32])
{
    char hex[65];

    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(hex, line->field[field]);
}

static void check_tensor(const struct line *line)
{
    enum dtype dtype = dtype_by_name(name_of(line->field[1]));
    uint64_t dims[4];
    uint32_t rank = dims_of(line->field[2], dims);
    size_t bytes = pattern_bytes(dtype, pattern_elements(dims, rank));
    uint8_t *data = allocate(bytes);
    struct test_model model;
    struct scan_result *result;

    pattern_fill(data, dtype, dims, rank, number(line, 3), (enum pattern_mode)number(line, 4));
    test_model_init(&model, data, bytes, true);
    test_model_add(&model, dtype, 0, rank, dims);
    result = test_scan((struct test_model *[]){&model}, 1, SURVEY_NEEDS, 0, 2, ISA_AUTO);
    ck_assert_uint_eq(result->profiles[0].subnormals, number(line, 5));
    ck_assert_uint_eq(result->profiles[0].not_bf16, number(line, 6));
    ck_assert_uint_eq(result->profiles[0].not_f16, number(line, 7));
    check_norms(line, 8, &result->rows[0]);
    check_norms(line, 13, &result->columns[0]);
    check_digest(line, 18, result->digests[0]);
    scan_result_free(result);
    free(data);
}

START_TEST(profiles_norms_and_digests_are_those_of_numpy_and_hashlib)
{
    size_t checked = 0;

    load_lines();
    for (size_t i = 0; i < line_count; i++) {
        if (strcmp(lines[i].field[0], "tensor") != 0)
            continue;
        check_tensor(&lines[i]);
        checked++;
    }
    ck_assert_uint_gt(checked, 30);
}
END_TEST

START_TEST(flips_are_those_of_numpy)
{
    size_t checked = 0;

    load_lines();
    for (size_t i = 0; i < line_count; i++) {
        const struct line *line = &lines[i];
        enum dtype dtype = dtype_by_name(name_of(line->field[1]));
        uint64_t dims[4], elements, seed;
        struct scan_result *result;
        uint8_t *a, *b, *other;
        struct test_model first, second;
        uint32_t rank;
        size_t bytes;

        if (strcmp(line->field[0], "flips") != 0)
            continue;
        rank = dims_of(line->field[2], dims);
        elements = pattern_elements(dims, rank);
        bytes = pattern_bytes(dtype, elements);
        seed = number(line, 5);
        a = allocate(bytes);
        b = allocate(bytes);
        other = allocate(bytes);
        pattern_fill(a, dtype, dims, rank, seed, (enum pattern_mode)number(line, 3));
        pattern_fill(other, dtype, dims, rank, seed + 1, (enum pattern_mode)number(line, 4));
        memcpy(b, a, bytes);
        pattern_mix(b, other, dtype, elements, seed + 2, number(line, 6));
        test_model_init(&first, a, bytes, true);
        test_model_init(&second, b, bytes, true);
        test_model_add(&first, dtype, 0, rank, dims);
        test_model_add(&second, dtype, 0, rank, dims);
        result = test_scan((struct test_model *[]){&first, &second}, 2, NEED_FLIPS, 0, 2, ISA_AUTO);
        ck_assert_uint_eq(result->flips[0].zeroed, number(line, 7));
        ck_assert_uint_eq(result->flips[0].revived, number(line, 8));
        ck_assert_uint_eq(result->flips[0].count, number(line, 9));
        for (size_t k = 0; k < result->flips[0].count; k++) {
            ck_assert_uint_eq(result->flips[0].items[k].at, number(line, 10 + 3 * k));
            ck_assert_uint_eq(result->flips[0].items[k].bits, number(line, 11 + 3 * k));
            ck_assert_uint_eq(result->flips[0].items[k].highest, number(line, 12 + 3 * k));
        }
        scan_result_free(result);
        free(a);
        free(b);
        free(other);
        checked++;
    }
    ck_assert_uint_gt(checked, 8);
}
END_TEST

enum { SERIES_MAX = 5 };

/* Models of a series; each tensor's bytes follow one another. */
struct series {
    struct test_model model[SERIES_MAX];
    struct test_model *models[SERIES_MAX];
    uint8_t *data[SERIES_MAX];
    size_t models_count, tensors;
};

static void series_init(struct series *series, const struct line *line)
{
    const enum pattern_mode mode = (enum pattern_mode)number(line, 2);
    const uint64_t seed = number(line, 3), every = number(line, 4);
    size_t total = 0;

    series->models_count = number(line, 1);
    series->tensors = line->count - 5;
    for (int pass = 0; pass < 2; pass++) { /* to know the size, to fill */
        size_t offset = 0;

        for (size_t m = 0; pass == 1 && m < series->models_count; m++) {
            series->data[m] = allocate(2 * total);
            series->models[m] = &series->model[m];
            test_model_init(&series->model[m], series->data[m], total, true);
        }
        for (size_t t = 0; t < series->tensors; t++) {
            const char *dims_text = strchr(line->field[5 + t], ':');
            enum dtype dtype =
                dtype_by_name((struct name){line->field[5 + t], (uint32_t)(dims_text - line->field[5 + t])});
            uint64_t dims[4];
            uint32_t rank = dims_of(dims_text + 1, dims);
            uint64_t elements = pattern_elements(dims, rank);
            size_t bytes = pattern_bytes(dtype, elements);

            for (size_t m = 0; pass == 1 && m < series->models_count; m++) {
                uint8_t *to = series->data[m] + offset, *other = series->data[m] + total;

                test_model_add(&series->model[m], dtype, offset, rank, dims);
                pattern_fill(other, dtype, dims, rank, seed + 100 * t + m, mode);
                memcpy(to, m ? series->data[m - 1] + offset : other, bytes);
                if (m)
                    pattern_mix(to, other, dtype, elements, seed + 100 * t + 50 + m, every);
            }
            offset += bytes;
        }
        total = offset;
    }
}

static void series_done(struct series *series)
{
    for (size_t m = 0; m < series->models_count; m++)
        free(series->data[m]);
}

static struct scan_result *series_scan(struct series *series, unsigned needs, unsigned threads, enum isa isa)
{
    static const uint32_t groups[] = {0, 1, 0, 1, 0, 1, 0, 1};
    struct scan_env env = {.threads = threads, .isa = isa};
    struct scan_result *result = NULL;
    struct test_pairing pairing;
    struct error err = {0};
    struct scan_plan plan;
    int rc;

    test_pairing_init(&pairing, series->models, series->models_count);
    plan = test_plan(&pairing, needs, 0);
    plan.groups = groups;
    plan.group_count = 2;
    rc = scan_run(&plan, &env, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return result;
}

static double couple_sum(const struct sum *sum, int exponent)
{
    return ldexp(sum_value(sum), exponent);
}

static void check_couple(const struct line *line, const struct couple_record *couple)
{
    const struct delta_record *delta = &couple->delta;
    const double n = (double)delta->finite, d2 = real(line, 7), aa = real(line, 8), bb = real(line, 9);

    ck_assert_uint_eq(delta->finite, number(line, 4));
    ck_assert_uint_eq(delta->changed, number(line, 5));
    /* Sums of both signs are held to what their terms amount to. */
    ck_close(couple_sum(&delta->delta, delta->exponent), real(line, 6), sqrt(n * d2), line);
    ck_close(couple_sum(&delta->delta_squares, 2 * delta->exponent), d2, d2, line);
    ck_close(couple_sum(&delta->aa, 2 * delta->exponent_a), aa, aa, line);
    ck_close(couple_sum(&delta->bb, 2 * delta->exponent_b), bb, bb, line);
    ck_close(couple_sum(&delta->ab, delta->exponent_a + delta->exponent_b), real(line, 10), sqrt(aa * bb), line);
    ck_close(couple_sum(&couple->a, delta->exponent_a), real(line, 11), sqrt(n * aa), line);
    ck_close(couple_sum(&couple->b, delta->exponent_b), real(line, 12), sqrt(n * bb), line);
}

START_TEST(couples_are_those_of_numpy_for_any_threads_and_instructions)
{
    static const enum isa isas[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
    size_t checked = 0;

    load_lines();
    for (size_t i = 0; i < line_count; i++) {
        static struct series series;
        struct scan_result *result;
        size_t couples;

        if (strcmp(lines[i].field[0], "series") != 0)
            continue;
        series_init(&series, &lines[i]);
        result = series_scan(&series, NEED_COUPLES | NEED_TURNS, 2, ISA_AUTO);
        couples = couple_count(series.models_count);
        ck_assert_uint_eq(result->group_count, 2);
        for (size_t k = 1; k <= 2 * couples; k++) {
            const struct line *line = &lines[i + k];
            size_t group = number(line, 1), at = couple_index(series.models_count, number(line, 2), number(line, 3));

            ck_assert_str_eq(line->field[0], "couple");
            check_couple(line, &result->couples[group * couples + at]);
            ck_assert_uint_eq(result->couples[group * couples + at].tensors, (series.tensors + 1 - group) / 2);
            checked++;
        }
        for (size_t k = 0; k < 3; k++) {
            for (unsigned threads = 1; threads <= 5; threads += 2) {
                struct scan_result *again =
                    series_scan(&series, NEED_COUPLES | NEED_TURNS | NEED_SIDE | NEED_DELTA, threads, isas[k]);

                ck_assert_mem_eq(again->couples, result->couples, 2 * couples * sizeof(*result->couples));
                scan_result_free(again);
            }
        }
        scan_result_free(result);
        series_done(&series);
    }
    ck_assert_uint_gt(checked, 20);
}
END_TEST

/* Puts the tensors of every other model in the opposite order in its file: as another sharding would. */
static void series_shuffle(struct series *series)
{
    for (size_t m = 1; m < series->models_count; m += 2) {
        struct test_model *model = &series->model[m];
        uint8_t *moved = allocate(2 * (size_t)model->source.base.size);

        for (size_t t = 0; t < series->tensors; t++) {
            struct extent *extent = &model->tensors[t].extent;
            uint64_t offset = model->source.base.size - extent->offset - extent->bytes;

            memcpy(moved + offset, series->data[m] + extent->offset, extent->bytes);
            extent->offset = offset;
        }
        free(series->data[m]);
        series->data[m] = moved;
        model->source.data = moved;
    }
}

START_TEST(where_tensors_lie_in_their_files_changes_nothing)
{
    enum { NEEDS = SURVEY_NEEDS | NEED_DELTA | NEED_FLIPS | NEED_COUPLES | NEED_TURNS };

    load_lines();
    for (size_t i = 0; i < line_count; i++) {
        static struct series series;
        struct scan_result *result, *moved;

        if (strcmp(lines[i].field[0], "series") != 0)
            continue;
        series_init(&series, &lines[i]);
        result = series_scan(&series, NEEDS, 2, ISA_AUTO);
        series_shuffle(&series);
        moved = series_scan(&series, NEEDS, 2, ISA_AUTO);
        test_same_results(result, moved);
        ck_assert_mem_eq(result->couples, moved->couples,
                         2 * couple_count(series.models_count) * sizeof(*result->couples));
        scan_result_free(result);
        scan_result_free(moved);
        series_done(&series);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *tcase = tcase_create("golden");

    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, profiles_norms_and_digests_are_those_of_numpy_and_hashlib);
    tcase_add_test(tcase, flips_are_those_of_numpy);
    tcase_add_test(tcase, couples_are_those_of_numpy_for_any_threads_and_instructions);
    tcase_add_test(tcase, where_tensors_lie_in_their_files_changes_nothing);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
