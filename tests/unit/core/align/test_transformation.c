#include "core/align/transformation.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 1024, LINE = 8192 };

static float source_values[VALUES];

/* A model of one tensor that counts from 0. */
struct fixture {
    struct model_file file;
    struct model model;
    uint64_t dims[8];
    struct tensor tensor;
};

static uint32_t read_shape(const char *text, uint64_t *dims, uint64_t *elements)
{
    uint32_t rank = 0;
    char *end;

    *elements = 1;
    while (*text && *text != '\t') {
        dims[rank] = strtoull(text, &end, 10);
        *elements *= dims[rank++];
        text = *end == 'x' ? end + 1 : end;
    }
    return rank;
}

static void setup_fixture(struct fixture *f, const char *shape)
{
    *f = (struct fixture){.tensor = {.dtype = DTYPE_F32}};
    for (size_t i = 0; i < VALUES; i++)
        source_values[i] = (float)i;
    ck_assert_int_eq(memory_open((const uint8_t *)source_values, sizeof(source_values), "m", &f->file.source, NULL), 0);
    f->model = (struct model){.files = &f->file, .file_count = 1};
    f->tensor.shape.rank = read_shape(shape, f->dims, &f->tensor.shape.elements);
    f->tensor.shape.dims = f->dims;
    f->tensor.extent.bytes = f->tensor.shape.elements * sizeof(float);
}

static void check_line(char *line)
{
    char *fields[4] = {line};
    struct fixture f;
    struct arrangement *a = calloc(1, sizeof(*a));
    struct arena arena = {.limit = 1 << 20};
    struct symbols symbols = {0};
    struct tensor made;
    struct error err = {0};
    uint64_t dims[8], elements;
    uint32_t rank;

    for (int i = 1; i < 4; i++) {
        fields[i] = strchr(fields[i - 1], '\t');
        ck_assert_ptr_nonnull(fields[i]);
        *fields[i]++ = '\0';
    }
    setup_fixture(&f, fields[1]);
    rank = read_shape(fields[2], dims, &elements);
    ck_assert_msg(transformation_apply(name_of(fields[0]), &symbols, &f.tensor, a, &err) == 0, "%s: %s", fields[0],
                  err.text);
    ck_assert_uint_eq(a->rank, rank);
    ck_assert_mem_eq(a->dims, dims, rank * sizeof(*dims));
    ck_assert_int_eq(
        view_make(&(struct view){&f.tensor, a->pieces, a->piece_count, a->arithmetic}, rank, dims, &arena, &made, &err),
        0);
    ck_assert_uint_eq(made.shape.elements, elements);
    for (uint64_t first = 0; first < elements; first++) { /* every range that ends at the end */
        const char *at = fields[3];
        float values[VALUES];

        ck_assert_int_eq(decoder_read(&f.model, &made, first, (size_t)(elements - first), values, &err), 0);
        for (uint64_t i = 0; i < elements; i++) {
            char *end;
            const float expected = strtof(at, &end);

            if (i >= first)
                ck_assert_msg(values[i - first] == expected, "%s: element %d is %g, not %g", fields[0], (int)i,
                              (double)values[i - first], (double)expected);
            if (a->arithmetic == VIEW_AS_IT_IS)
                ck_assert_uint_eq(view_origin(&made, &f.tensor, i), (uint64_t)expected);
            at = end;
        }
    }
    arena_done(&arena);
    free(a);
    source_close(f.file.source);
}

START_TEST(every_step_yields_what_numpy_says)
{
    FILE *file = fopen(FIXTURES "/align/transformations.tsv", "r");
    static char line[LINE];
    int lines = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        check_line(line);
        lines++;
    }
    fclose(file);
    ck_assert_int_ge(lines, 20);
}
END_TEST

static const struct {
    const char *text, *shape, *message;
} refused[] = {
    {"", "4x4", "unknown step"},
    {"turn", "4x4", "unknown step \"turn\""},
    {"turn(2)", "4x4", "unknown step \"turn(\""},
    {"rows(0:9)", "4x4", "does not fit"},
    {"rows(3:1)", "4x4", "does not fit"},
    {"rows(0:2:0)", "4x4", "does not fit"},
    {"rows(0)", "4x4", "a colon"},
    {"rows(0:2", "4x4", "a closing bracket"},
    {"rows(0:2) x", "4x4", "its end"},
    {"rows(0:1/3)", "4x4", "a fraction"},
    {"rows(0:1/0)", "4x4", "a fraction"},
    {"rows(-9:)", "4x4", "from the end"},
    {"rows(0:99999999999999999999)", "4x4", "not known of this model"},
    {"index(4)", "4x4", "does not fit"},
    {"index2(0)", "4x4", "does not fit"},
    {"transpose", "4", "does not fit"},
    {"heads(3)", "4x4", "does not fit"},
    {"rope_permute(3)", "4x4", "does not fit"},
    {"rope_permute(4)", "4x4", "does not fit"},
    {"rope_permute(heads)", "4x4", "\"heads\" is not known of this model"},
    {"rope_permute(0)", "4x4", "does not fit"},
    {"rope_permute(2)|transpose", "4x4", "transpose does not fit"},
    {"regroup(2:1,2)", "4x4", "does not fit"},
    {"regroup(2:0,0)", "4x4", "does not fit"},
    {"regroup(2:~1)", "4x4", "does not fit"},
    {"regroup(2)", "4x4", "a colon"},
    {"tile(2)", "4x4", "a colon"},
    {"tile(3:1)", "4x4", "does not fit"},
    {"tile(2:3)", "4x4", "does not fit"},
    {"tile(2:1:4)", "4x4", "does not fit"},
    {"tile_columns(2:2)", "4", "does not fit"},
    {"tile_columns(2:2)", "2x4x2", "does not fit"},
    {"tile(0:2)", "4x4", "does not fit"},
    {"plus_one|plus_one", "4x4", "does not fit"},
};

START_TEST(what_does_not_fit_is_refused)
{
    struct fixture f;
    struct arrangement *a = calloc(1, sizeof(*a));
    struct symbols symbols = {0};
    struct error err = {0};

    setup_fixture(&f, refused[_i].shape);
    ck_assert_int_eq(transformation_apply(name_of(refused[_i].text), &symbols, &f.tensor, a, &err), ERROR_REQUEST);
    ck_assert_msg(strstr(err.text, refused[_i].message) != NULL, "%s: %s", refused[_i].text, err.text);
    free(a);
    source_close(f.file.source);
}
END_TEST

START_TEST(symbols_have_values)
{
    struct fixture f;
    struct arrangement *a = calloc(1, sizeof(*a));
    struct symbols symbols = {0};

    setup_fixture(&f, "8x3");
    symbols_set(&symbols, "heads", 4);
    symbols_set(&symbols, "heads", 2);
    ck_assert_int_eq(transformation_apply(name_of("rope_permute(heads)"), &symbols, &f.tensor, a, NULL), 0);
    ck_assert_str_eq(a->text, "rope_permute(2)");
    ck_assert_int_eq(transformation_check(name_of("rope_permute(heads)|plus_one"), NULL), 0);
    ck_assert_int_eq(transformation_check(name_of("rope_permute(heads"), NULL), ERROR_REQUEST);
    free(a);
    source_close(f.file.source);
}
END_TEST

static const struct {
    const char *a, *b;
    bool is_same;
} arrangements[] = {
    {"none", "regroup(1:4,2,2)", true},
    {"none", "heads(2)", true},
    {"transpose", "heads(1)|transpose", true},
    {"none", "rowmap(0:3:1,3:8:1)", true},
    {"none", "transpose", false},
    {"none", "plus_one", false},
    {"rows(0:4)", "rows(4:8)", false},
    {"none", "rope_permute(2)", false},
    {"rope_permute(2)", "rope_permute(4)", false},
    {"rope_permute(2)", "rope_unpermute(2)", true}, /* of heads of four rows the one is the other */
};

START_TEST(fingerprints_are_of_what_is_taken)
{
    struct fixture f;
    struct arrangement *a = calloc(1, sizeof(*a));
    struct symbols symbols = {0};
    uint64_t first;

    setup_fixture(&f, "8x3");
    ck_assert_int_eq(transformation_apply(name_of(arrangements[_i].a), &symbols, &f.tensor, a, NULL), 0);
    first = arrangement_fingerprint(a);
    ck_assert_int_eq(transformation_apply(name_of(arrangements[_i].b), &symbols, &f.tensor, a, NULL), 0);
    ck_assert_int_eq(first == arrangement_fingerprint(a), arrangements[_i].is_same);
    free(a);
    source_close(f.file.source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transformation");
    TCase *tcase = tcase_create("transformation");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, every_step_yields_what_numpy_says);
    tcase_add_loop_test(tcase, what_does_not_fit_is_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, symbols_have_values);
    tcase_add_loop_test(tcase, fingerprints_are_of_what_is_taken, 0, sizeof(arrangements) / sizeof(arrangements[0]));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
