/* The figures of scan.tsv, which NumPy, ml_dtypes and exact rational arithmetic computed (make_scan_golden.py). */
#include <math.h>
#include <stdio.h>

#include "tests/unit/core/scan/scan_models.h"

enum { FIELDS = 32, LINE_BYTES = 4096 };

static uint8_t *blob;
static size_t blob_bytes;

static void load(void)
{
    FILE *file = fopen(FIXTURES "/golden/scan.bin", "rb");

    ck_assert_ptr_nonnull(file);
    blob = malloc(1 << 20);
    ck_assert_ptr_nonnull(blob);
    blob_bytes = fread(blob, 1, 1 << 20, file);
    ck_assert_uint_gt(blob_bytes, 0);
    fclose(file);
}

static void unload(void)
{
    free(blob);
}

static uint64_t u64_of(const char *text)
{
    return strtoull(text, NULL, 10);
}

static void same(const char *what, unsigned line, double got, const char *text)
{
    double expected = strtod(text, NULL);

    if (isnan(expected) || isinf(expected))
        ck_assert_msg(isnan(expected) ? isnan(got) : got == expected, "line %u: %s is %a, not %s", line, what, got,
                      text);
    else
        ck_assert_msg(got == expected, "line %u: %s is %a, not %s", line, what, got, text);
}

static void close_to(const char *what, unsigned line, double got, const char *text, double floor)
{
    double expected = strtod(text, NULL);

    if (!isfinite(expected))
        same(what, line, got, text);
    else
        ck_assert_msg(fabs(got - expected) <= 1e-12 * fabs(expected) + floor,
                      "line %u: %s is %a (%.17g), not %s (%.17g)", line, what, got, got, text, expected);
}

static void count(const char *what, unsigned line, uint64_t got, const char *text)
{
    ck_assert_msg(got == u64_of(text), "line %u: %s is %llu, not %s", line, what, (unsigned long long)got, text);
}

static void extreme(const char *what, unsigned line, const struct side_record *r, union extreme got, const char *text)
{
    switch (dtype_traits(r->dtype)->kind) {
    case DTYPE_KIND_INT:
        ck_assert_msg(got.i64 == strtoll(text, NULL, 10), "line %u: %s is %lld, not %s", line, what, (long long)got.i64,
                      text);
        break;
    case DTYPE_KIND_BOOL:
    case DTYPE_KIND_UINT:
        count(what, line, got.u64, text);
        break;
    case DTYPE_KIND_FLOAT:
        same(what, line, got.f64, text);
        break;
    case DTYPE_KIND_NONE:
    case DTYPE_KIND_COMPLEX:
        break;
    }
}

static void add(struct test_model *model, const char *dtype, const char *offset, const char *bytes,
                const char *elements)
{
    const uint64_t dims[] = {u64_of(elements)};
    const struct tensor *tensor;

    test_model_init(model, blob, blob_bytes, true);
    tensor = test_model_add(model, dtype_by_name(name_of(dtype)), u64_of(offset), 1, dims);
    ck_assert_int_ne(tensor->dtype, DTYPE_UNKNOWN);
    ck_assert_uint_eq(tensor->extent.bytes, u64_of(bytes));
}

/* side dtype offset bytes elements finite nans infs zeros mean std min max abs_max l2 p01 … p99 */
static void check_side(unsigned line, char **field, enum isa isa)
{
    struct test_model model;
    struct scan_result *result;
    const struct side_record *r;

    add(&model, field[1], field[2], field[3], field[4]);
    result = test_scan((struct test_model *[]){&model}, 1, NEED_SIDE | NEED_QUANTILES, 0, 1, isa);
    r = &result->sides[0];
    count("elements", line, r->elements, field[4]);
    count("finite", line, r->finite, field[5]);
    count("nans", line, r->nans, field[6]);
    count("infs", line, r->infs, field[7]);
    count("zeros", line, r->zeros, field[8]);
    /* The mean of what cancels is known to the rounding of its terms. */
    close_to("mean", line, side_mean(r), field[9], r->finite ? 1e-15 * side_l2(r) / sqrt((double)r->finite) : 0);
    close_to("std", line, side_std(r), field[10], 0);
    if (r->finite) {
        extreme("min", line, r, r->min, field[11]);
        extreme("max", line, r, r->max, field[12]);
    }
    if (dtype_is_complex(r->dtype))
        close_to("abs_max", line, r->abs_max, field[13], 0);
    else
        same("abs_max", line, r->abs_max, field[13]);
    close_to("l2", line, side_l2(r), field[14], 0);
    for (int i = 0; i < QUANTILE_COUNT; i++)
        same("a quantile", line, result->quantiles[0].value[i], field[15 + i]);
    ck_assert(result->quantiles[0].is_exact == !dtype_is_complex(r->dtype));
    scan_result_free(result);
}

/* pair dtype offset bytes dtype offset bytes elements epsilon finite changed nonfinite flips beyond at max_abs l2 rms
 * mean mean_abs relative cosine sqnr scale */
static void check_pair(unsigned line, char **field, enum isa isa)
{
    struct test_model a, b;
    struct scan_result *result;
    const struct delta_record *r;
    bool is_complex;

    add(&a, field[1], field[2], field[3], field[7]);
    add(&b, field[4], field[5], field[6], field[7]);
    is_complex = dtype_is_complex(a.tensors[0].dtype) || dtype_is_complex(b.tensors[0].dtype);
    result = test_scan((struct test_model *[]){&a, &b}, 2, NEED_SIDE | NEED_DELTA, strtod(field[8], NULL), 1, isa);
    ck_assert_int_eq(result->coverage[0], COVERED_VALUES);
    r = &result->deltas[0];
    count("elements", line, r->elements, field[7]);
    count("finite", line, r->finite, field[9]);
    count("changed", line, r->changed, field[10]);
    count("nonfinite_changed", line, r->nonfinite_changed, field[11]);
    count("sign_flips", line, r->sign_flips, field[12]);
    count("beyond_epsilon", line, r->beyond_epsilon, field[13]);
    if (r->max_abs > 0)
        count("max_abs_at", line, r->max_abs_at, field[14]);
    close_to("max_abs", line, r->max_abs, field[15], 0);
    close_to("l2", line, delta_l2(r), field[16], 0);
    close_to("rms", line, delta_rms(r), field[17], 0);
    close_to("mean", line, delta_mean(r), field[18], 1e-15 * (isfinite(delta_rms(r)) ? delta_rms(r) : 0));
    close_to("mean_abs", line, delta_mean_abs(r), field[19], 0);
    close_to("relative_l2", line, delta_relative_l2(r), field[20], 0);
    close_to("cosine", line, delta_cosine(r), field[21], is_complex ? 1e-15 : 1e-15);
    close_to("sqnr_db", line, delta_sqnr_db(r), field[22], 1e-12);
    close_to("fitted scale", line, delta_fitted_scale(r), field[23], 0);
    ck_assert(r->is_bytes_equal == (strcmp(field[1], field[4]) == 0 &&
                                    memcmp(blob + u64_of(field[2]), blob + u64_of(field[5]), u64_of(field[3])) == 0));
    scan_result_free(result);
}

static void check_all(enum isa isa)
{
    FILE *file = fopen(FIXTURES "/golden/scan.tsv", "r");
    char text[LINE_BYTES], *field[FIELDS], *at;
    unsigned line = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(text, sizeof(text), file)) {
        int fields = 0;

        line++;
        text[strcspn(text, "\n")] = '\0';
        for (at = text; at && fields < FIELDS; fields++) {
            field[fields] = at;
            at = strchr(at, '\t');
            if (at)
                *at++ = '\0';
        }
        if (strcmp(field[0], "side") == 0) {
            ck_assert_int_eq(fields, 22);
            check_side(line, field, isa);
        } else {
            ck_assert_int_eq(fields, 24);
            check_pair(line, field, isa);
        }
    }
    ck_assert_uint_gt(line, 200);
    fclose(file);
}

static const enum isa isas[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};

START_TEST(figures_are_those_of_numpy_and_exact_arithmetic)
{
    enum isa isa;

    load();
    if (isa_by_name(isa_name(isas[_i]), &isa) == 0)
        check_all(isa);
    unload();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan golden");
    TCase *tcase = tcase_create("golden");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, figures_are_those_of_numpy_and_exact_arithmetic, 0, 3);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
