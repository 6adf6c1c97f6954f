/* Files by NumPy (fixtures/twins/make_numpy.py) beside their twin; headers written by hand, most of which lie. */
#include "core/format/format.h"

#include "tests/unit/core/format/twins.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(files_hold_what_numpy_reads)
{
    static const struct {
        const char *file, *format;
        size_t tensors;
    } rows[] = {{"arrays.npz", "npz", 19},
                {"arrays-deflated.npz", "npz", 19},
                {"fortran.npy", "npy", 1},
                {"version-3.npy", "npy", 1}};
    struct model *twin = open_path(TWINS "numpy.safetensors"), *model;
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_uint_eq(check_twins(model, twin), rows[_i].tensors);
    ck_assert_str_eq(model->format->name, rows[_i].format);
    ck_assert_uint_eq(model_count_files(model), 1);
    model_close(model);
    model_close(twin);
}
END_TEST

/* A file of that header and so many bytes of data. */
static int open_header(const char *version, const char *header, size_t data, struct model **ret_model,
                       struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    const size_t length = strlen(header), length_bytes = version[0] == 1 ? 2 : 4;
    uint8_t *file = calloc(1, 12 + length + data);
    struct source *source;
    int rc;

    ck_assert_ptr_nonnull(file);
    memcpy(file, "\x93NUMPY", 6);
    memcpy(file + 6, version, 2);
    memcpy(file + 8, &length, length_bytes);
    memcpy(file + 8 + length_bytes, header, length);
    *err = (struct error){0};
    ck_assert_int_eq(memory_open(file, 8 + length_bytes + length + data, "x.npy", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    if (rc)
        source_close(source);
    free(file);
    return rc;
}

static const struct {
    const char *header;
    size_t data;
    int code;
    const char *says; /* or the dtype's name */
} headers[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", 24, 0, "F32"},
    {"{\"shape\":(3L,),\"descr\":\"|i1\",\"fortran_order\":True}", 3, 0, "I8"},
    {"{'descr': '=f8', 'fortran_order': False, 'shape': ()}", 8, 0, "F64"},
    {"{'descr': '<U5', 'fortran_order': False, 'shape': (2,)}", 40, 0, "<U5"},
    {"{'descr': '|V2', 'fortran_order': False, 'shape': (2,)}", 4, 0, "|V2"},
    {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (2,)}", 16, 0, "<M8[ns]"},
    {"{'descr': [('a', '<f4'), (('title', 'b'), '<i8', (2,))], 'fortran_order': False, 'shape': (2,)}", 40, 0,
     "structured"},
    {"", 0, ERROR_FORMAT, "is no dict"},
    {"{'descr': '<f4', 'fortran_order': False}", 0, ERROR_FORMAT, "lacks descr, fortran_order or shape"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", 4, ERROR_FORMAT, "neither True nor False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", 8, ERROR_FORMAT, "no tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8, ERROR_FORMAT, "something else than counts"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, ERROR_FORMAT, "has a key that is not one"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8, ERROR_FORMAT, "or has it twice"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} import os", 8, ERROR_FORMAT, "goes on behind its dict"},
    {"{'descr': __import__('os'), 'fortran_order': False, 'shape': (2,)}", 8, ERROR_FORMAT, "neither text nor a list"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8, ERROR_FORMAT,
     "multiplies to more than 2^64"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, ERROR_FORMAT,
     "3 elements of 4 bytes need more than the 8 bytes that it has"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", 8, ERROR_UNSUPPORTED,
     "holds Python objects (dtype object)"},
    {"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3,)}", 8, ERROR_UNSUPPORTED, "holds Python objects"},
};

START_TEST(a_header_is_read_or_refused_in_words)
{
    struct model *model;
    struct error err;
    int rc = open_header("\1", headers[_i].header, headers[_i].data, &model, &err);

    if (headers[_i].code) {
        ck_assert_msg(rc == headers[_i].code && strstr(err.text, headers[_i].says), "%d: %s", rc, err.text);
        ck_assert_msg(strncmp(err.text, "x.npy: array array: ", 20) == 0, "%s", err.text);
        return;
    }
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert(name_equal(tensor_dtype_name(&model->tensors[0]), name_of(headers[_i].says)));
    ck_assert_uint_eq(model->tensors[0].extent.bytes, headers[_i].data);
    model_close(model);
}
END_TEST

START_TEST(versions_that_are_not_known_are_refused)
{
    struct model *model;
    struct error err;

    ck_assert_int_eq(open_header("\4", headers[0].header, 24, &model, &err), ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "is a NumPy array of version 4.0"));
    ck_assert_int_eq(open_header("\2", headers[0].header, 24, &model, &err), 0);
    model_close(model);
}
END_TEST

START_TEST(bytes_behind_the_data_are_told_of)
{
    struct model *model;
    struct error err;

    ck_assert_int_eq(open_header("\1", headers[0].header, 30, &model, &err), 0);
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].code, "trailing-bytes");
    model_close(model);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    static const char *const files[] = {"arrays.npz", "arrays-deflated.npz", "fortran.npy"};
    const struct opener opener = {.limits = &limits_default};
    uint8_t *bytes = malloc(1 << 16);
    char path[512];
    size_t count;
    FILE *file;

    snprintf(path, sizeof(path), TWINS "%s", files[_i]);
    file = fopen(path, "rb");
    ck_assert(file && bytes);
    count = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    for (size_t cut = 0; cut<count; cut += cut> 100 && cut + 100 < count ? 5 : 1) {
        struct source *source;
        struct model *model;
        struct error err = {0};
        int rc;

        ck_assert_int_eq(memory_open(bytes, cut, "x", &source, NULL), 0);
        rc = model_open_source(&opener, source, &model, &err);
        ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%zu bytes: %d %s", cut, rc, err.text);
        source_close(source);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numpy");
    TCase *tcase = tcase_create("numpy");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, files_hold_what_numpy_reads, 0, 4);
    tcase_add_loop_test(tcase, a_header_is_read_or_refused_in_words, 0, COUNT(headers));
    tcase_add_test(tcase, versions_that_are_not_known_are_refused);
    tcase_add_test(tcase, bytes_behind_the_data_are_told_of);
    tcase_add_loop_test(tcase, a_file_cut_anywhere_is_refused, 0, 3);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
