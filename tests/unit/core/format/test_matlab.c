/* Files by SciPy and hdf5storage (fixtures/twins/make_matlab.py, make_matlab_73.py) beside arrays that NumPy kept. */
#include "core/format/format.h"

#include "tests/unit/core/format/lies.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(files_hold_what_was_written)
{
    static const struct {
        const char *file, *format, *twin;
        size_t tensors;
    } rows[] = {{"matlab.mat", "mat", TWINS "matlab.npz", 24},
                {"matlab-deflated.mat", "mat", TWINS "matlab.npz", 24},
                {"matlab-4.mat", "mat-4", TWINS "matlab.npz", 5},
                {"matlab-narrow.mat", "mat", TWINS "matlab.npz", 12},
                {"matlab-narrow-big-endian.mat", "mat", TWINS "matlab.npz", 12},
                {"matlab-73.mat", "mat-7.3", TWINS "matlab-73.npz", 16}};
    struct model *twin = open_path(rows[_i].twin), *model;
    char path[512];
    size_t found = 0;

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *a = &model->tensors[t], *b = model_find(twin, a->name);
        size_t bytes_a, bytes_b;
        uint8_t *x, *y;

        if (!tensor_is_decodable(a)) { /* a text */
            ck_assert(name_equal(tensor_dtype_name(a), name_of("char")));
            continue;
        }
        ck_assert_msg(b, "%.*s", (int)a->name.bytes, a->name.text);
        ck_assert_msg(a->dtype == b->dtype && shape_equal(&a->shape, &b->shape), "%.*s", (int)a->name.bytes,
                      a->name.text);
        x = elements_of(model, a, &bytes_a);
        y = elements_of(twin, b, &bytes_b);
        ck_assert_msg(bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0, "%.*s", (int)a->name.bytes, a->name.text);
        free(x);
        free(y);
        found++;
    }
    ck_assert_uint_eq(found, rows[_i].tensors);
    ck_assert_str_eq(model->format->name, rows[_i].format);
    ck_assert_uint_eq(model_count_files(model), 1);
    model_close(model);
    model_close(twin);
}
END_TEST

/* Of the first array of matlab-narrow.mat: header at 128, flags at 136, dimensions at 152, name at 168, numbers after.
 */
static const struct lie lies[] = {
    {"matlab-narrow.mat", "MATLAB", 128, "\x02\0\0\0", 4, "the element at offset 136 is of type 2: no array"},
    {"matlab-narrow.mat", "MATLAB", 132, "\xff\xff\xff\x7f", 4,
     "an element at offset 136 claims 2147483647 bytes, 728 are left"},
    {"matlab-narrow.mat", "MATLAB", 136, "\x05", 1, "an array has no flags at offset 144"},
    {"matlab-narrow.mat", "MATLAB", 144, "\x13", 1, "is of class 19, which is none"},
    {"matlab-narrow.mat", "MATLAB", 144, "\x08", 1, "it is of I8, and its numbers are stored as "},
    {"matlab-narrow.mat", "MATLAB", 152, "\x09", 1, "an array's dimensions are none"},
    {"matlab-narrow.mat", "MATLAB", 160, "\xff\xff\xff\xff", 4, "a dimension is negative"},
    {"matlab-narrow.mat", "MATLAB", 160, "\xff\xff\xff\x7f", 4,
     "array f8_u1: 6442450941 elements of 1 bytes need more than the 6 bytes that it has"},
    {"matlab-narrow.mat", "MATLAB", 168, "\x09", 1, "a name is no text"},
    {"matlab-narrow.mat", "MATLAB", 176, "\xff", 1, "is no text"},
    {"matlab-narrow.mat", "f8_u1", 8, "\x08", 1, "an array's numbers are of a type that is not known"},
    {"matlab-narrow.mat", "f8_u1", 12, "\x70", 1, "an element at offset 192 claims 112 bytes, 8 are left"},
    {"matlab-deflated.mat", "MATLAB", 132, "\x03\0\0\0", 4, "too few deflated bytes"},
    {"matlab-deflated.mat", "MATLAB", 136, "X", 1, "deflated bytes"},
    {"matlab-4.mat", "f8", -8, "\x02", 1, "no known format"},
    {"matlab-4.mat", "f8", -16, "\xff\xff\xff\x7f", 4,
     "there is no matrix at offset 0, or one of more bytes than the 283 that are left"},
    {"matlab.mat", "layers", -12, "\0\0\0\0", 4, "a struct's names are of no possible length"},
};

START_TEST(what_lies_is_refused_in_words)
{
    check_lie(TWINS, &lies[_i]);
}
END_TEST

/* Every array ends where the next begins: there, a file may end. */
START_TEST(a_file_cut_within_an_array_is_refused)
{
    struct bytes bytes = load(TWINS "matlab-narrow.mat");
    const size_t whole = bytes.count;
    size_t end = 128;

    for (size_t cut = 1; cut < whole; cut++) {
        struct error err;
        int rc;

        while (end < cut)
            end += 8 + bytes.data[end + 4];
        bytes.count = cut;
        rc = open_bytes(&bytes, &err);
        if (cut == end)
            ck_assert_msg(rc == 0, "%zu bytes: %d %s", cut, rc, err.text);
        else
            ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%zu bytes: %d %s", cut, rc, err.text);
    }
    free(bytes.data);
}
END_TEST

START_TEST(no_changed_byte_does_harm)
{
    static const char *const files[] = {"matlab.mat", "matlab-deflated.mat", "matlab-4.mat", "matlab-narrow.mat",
                                        "matlab-73.mat"};
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", files[_i]);
    check_changes(path, 0, _i < 2 || _i == 4 ? 211 : 1);
}
END_TEST

/* A cell that holds itself, and the numbers of an object that lies elsewhere. */
START_TEST(what_leads_back_is_listed_once_and_objects_are_left_out)
{
    struct model *model = open_path(TWINS "matlab-73-loop.mat");

    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_uint_eq(model->warning_count, 4);
    ck_assert_ptr_nonnull(strstr(model->warnings[0].message, "loop{1}{1} was left out"));
    ck_assert_str_eq(model->warnings[3].message, "object was left out: an object");
    model_close(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matlab");
    TCase *tcase = tcase_create("matlab");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, files_hold_what_was_written, 0, 6);
    tcase_add_loop_test(tcase, what_lies_is_refused_in_words, 0, COUNT(lies));
    tcase_add_test(tcase, a_file_cut_within_an_array_is_refused);
    tcase_add_loop_test(tcase, no_changed_byte_does_harm, 0, 5);
    tcase_add_test(tcase, what_leads_back_is_listed_once_and_objects_are_left_out);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
