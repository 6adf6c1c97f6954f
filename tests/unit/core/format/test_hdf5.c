/* Files by h5py (fixtures/twins/make_hdf5.py) beside arrays that NumPy kept; files that lead elsewhere or claim too
 * much; and files in which one thing was made to lie. */
#include "core/format/format.h"

#include "tests/unit/core/format/lies.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(files_hold_what_h5py_wrote)
{
    static const struct {
        const char *file, *twin;
    } rows[] = {{"hdf5-old.h5", "hdf5-old.npz"}, {"hdf5-v110.h5", "hdf5-v110.npz"}};
    struct model *model, *twin;
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    snprintf(path, sizeof(path), TWINS "%s", rows[_i].twin);
    twin = open_path(path);
    ck_assert_uint_eq(check_twins(model, twin), 100);
    ck_assert_uint_eq(check_twins(twin, model), 100);
    ck_assert_str_eq(model->format->name, "hdf5");
    ck_assert_uint_eq(model_count_files(model), 1);
    ck_assert_uint_eq(model->warning_count, 3); /* a soft link, a ring, a text */
    model_close(model);
    model_close(twin);
}
END_TEST

/* Pieces of any size that begin anywhere are those of the whole. */
START_TEST(any_range_of_chunks_is_read)
{
    struct model *model = open_path(TWINS "hdf5-v110.h5");
    struct error err = {0};

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];
        const size_t size = dtype_traits(tensor->dtype)->bits / 8;
        size_t bytes, elements = (size_t)tensor->shape.elements;
        uint8_t *whole, *part;

        if (!model->files[tensor->extent.source].is_member)
            continue;
        whole = elements_of(model, tensor, &bytes);
        part = malloc(bytes + 1);
        ck_assert_ptr_nonnull(part);
        for (size_t first = 0; first < elements; first += 1 + elements / 50) {
            const size_t count = 1 + (first * 7919 + t) % (elements - first);

            ck_assert_int_eq(decoder_read(model, tensor, first, count, part, &err), 0);
            ck_assert_mem_eq(part, whole + first * size, count * size);
        }
        free(whole);
        free(part);
    }
    model_close(model);
}
END_TEST

/* One dataset that cannot be read keeps nobody from the others. */
START_TEST(what_cannot_be_read_is_listed_with_its_reason)
{
    static const struct {
        const char *file, *name, *dtype, *reason;
        uint64_t elements;
    } rows[] = {
        {"h5", "elsewhere/storage", "F32", "its data lie in other files, which are not read", 4},
        {"h5", "elsewhere/virtual", "F32", "it is virtual: its data lie in other datasets or files", 4},
        {"h5", "filters/bitshuffle", "F32", "its filter bitshuffle is not undone here", 60},
        {"h5", "filters/blosc", "F32", "its filter Blosc is not undone here", 60},
        {"h5", "filters/blosc2", "F32", "its filter Blosc2 is not undone here", 60},
        {"h5", "filters/bzip2", "F32", "its filter bzip2 is not undone here", 60},
        {"h5", "filters/complex", "C64", "its filter Zstandard is not undone here", 60},
        {"h5", "filters/large-chunks", "F64", "its compressed chunks are larger than 64 MB each, the most that is read",
         UINT64_C(1) << 25},
        {"h5", "filters/lz4", "F32", "its filter LZ4 is not undone here", 60},
        {"h5", "filters/scale-offset", "I32", "its filter scale-offset is not undone here", 60},
        {"h5", "filters/text", "text", "its filter Zstandard is not undone here", 2},
        {"h5", "filters/zstd", "F32", "its filter Zstandard is not undone here", 60},
        {"mat", "pairs.imag", "F64", "its filter Zstandard is not undone here", 12},
        {"mat", "pairs.real", "F64", "its filter Zstandard is not undone here", 12},
    };
    struct model *models[] = {open_path(TWINS "hdf5-unread.h5"), open_path(TWINS "hdf5-unread.mat")};
    size_t unread = 0;

    for (int i = 0; i < COUNT(rows); i++) {
        const struct tensor *tensor = model_find(models[rows[i].file[0] == 'm'], name_of(rows[i].name));

        ck_assert_msg(tensor && !tensor_is_decodable(tensor), "%s", rows[i].name);
        ck_assert_str_eq(tensor->storage->reason, rows[i].reason);
        ck_assert_msg(name_equal(tensor_dtype_name(tensor), name_of(rows[i].dtype)), "%s", rows[i].name);
        ck_assert_uint_eq(tensor->shape.elements, rows[i].elements);
        ck_assert_uint_eq(tensor->extent.bytes, 0);
    }
    for (int m = 0; m < 2; m++) {
        for (size_t t = 0; t < models[m]->tensor_count; t++)
            unread += !tensor_is_decodable(&models[m]->tensors[t]);
        model_close(models[m]);
    }
    ck_assert_uint_eq(unread, COUNT(rows));
}
END_TEST

START_TEST(what_can_be_read_beside_it_is)
{
    struct model *model = open_path(TWINS "hdf5-unread.h5"), *twin = open_path(TWINS "hdf5-unread.npz");

    for (size_t t = 0; t < twin->tensor_count; t++) {
        const struct tensor *a = &twin->tensors[t], *b = model_find(model, a->name);
        size_t bytes_a, bytes_b;
        uint8_t *x, *y;

        ck_assert(b && a->dtype == b->dtype && shape_equal(&a->shape, &b->shape));
        x = elements_of(twin, a, &bytes_a);
        y = elements_of(model, b, &bytes_b);
        ck_assert_mem_eq(x, y, bytes_a);
        free(x);
        free(y);
    }
    ck_assert_uint_eq(twin->tensor_count, 3);
    model_close(model);
    model_close(twin);
}
END_TEST

/* Links are named with what they lead to; none is followed, be it to a file, to nowhere or in a ring. */
START_TEST(what_leads_elsewhere_is_told_of_and_not_followed)
{
    static const char *const says[] = {
        "elsewhere/endless was left out: it is virtual, as large as what lies in other datasets or files",
        "links/file was left out: it is a link to another file, which is not opened: /etc/passwd",
        "links/soft was left out: it is a link to /plain",
        "links/dangling was left out: it is a link to /nowhere/at/all",
        "links/itself was left out: it is a link to /links/itself",
        "links/ring was left out: it leads to a group that is listed already",
    };
    struct model *model = open_path(TWINS "hdf5-unread.h5");

    ck_assert_uint_eq(model->warning_count, COUNT(says));
    for (int i = 0; i < COUNT(says); i++)
        ck_assert_str_eq(model->warnings[i].message, says[i]);
    model_close(model);
    model = open_path(TWINS "hdf5-unread.mat");
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].message, "cells was left out: its filter Zstandard is not undone here");
    model_close(model);
}
END_TEST

START_TEST(what_claims_too_much_or_leaves_nothing_is_refused)
{
    static const struct {
        const char *file;
        int code;
        const char *says;
    } rows[] = {
        {"external-link", ERROR_UNSUPPORTED,
         "nothing is left of it: weight was left out: it is a link to another file, which is not opened: /etc/passwd"},
        {"nested", ERROR_LIMIT, "its groups are nested more than 64 deep, the limit"},
        {"claims", ERROR_FORMAT, "dataset weight: it claims 8796093022208 bytes of elements"},
        {"many-chunks", ERROR_LIMIT,
         "dataset weight: it has 4192256 chunks, with those before more than such a file may"},
        {"newer", ERROR_UNSUPPORTED,
         "nothing is left of it: weight was left out: its layout is newer than the HDF5 library here"},
        {"texts", ERROR_UNSUPPORTED, "nothing is left of it: names was left out: text of variable length"},
    };
    char path[512];
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};
    struct model *model;
    struct error err = {0};
    int rc;

    snprintf(path, sizeof(path), FIXTURES "/bad/hdf5-%s.h5", rows[_i].file);
    rc = model_open(&place, &limits_default, &model, &err);
    ck_assert_msg(rc == rows[_i].code && strstr(err.text, rows[_i].says), "%d: %s", rc, err.text);
}
END_TEST

static const struct lie lies[] = {
    {"hdf5-v110.h5", "\x89HDF", 8, "\x04", 1, "x: it cannot be opened; the HDF5 library says: bad superblock version"},
    {"hdf5-v110.h5", "\x89HDF", 9, "\x03", 1,
     "it cannot be opened; the HDF5 library says: bad byte number in an address"},
    {"hdf5-v110.h5", "\x89HDF", 28, "\xff", 1,
     "it cannot be opened; the HDF5 library says: incorrect metadata checksum"},
    {"hdf5-v110.h5", "OHDR", 4, "\x09", 1, "the HDF5 library says: bad object header version number"},
    {"hdf5-v110.h5", "FRHP", 0, "X", 1, "its groups cannot be read; the HDF5 library says: wrong fractal heap header"},
    {"hdf5-v110.h5", "BTHD", 0, "X", 1, "the HDF5 library says: incorrect metadata checksum"},
    {"hdf5-v110.h5", "FAHD", 6, "\x03", 1,
     "dataset chunked/tree: its chunks cannot be counted; the HDF5 library says: "},
    {"hdf5-old.h5", "\x89HDF", 40, "\0\0\0\0\0\0\0\x7f", 8, "it cannot be opened; the HDF5 library says: "},
    {"hdf5-old.h5", "TREE\x01", 56, "\xff\xff\xff\x7f", 4,
     "its chunks cannot be counted; the HDF5 library says: addr overflow"},
    {"hdf5-old.h5", "TREE", 5, "\x40", 1, "the HDF5 library says: wrong B-tree signature"},
    {"hdf5-old.h5", "SNOD", 0, "X", 1,
     "its groups cannot be read; the HDF5 library says: bad symbol table node signature"},
    {"hdf5-old.h5", "HEAP", 0, "X", 1, "its groups cannot be read; the HDF5 library says: bad local heap signature"},
};

START_TEST(what_lies_is_refused_in_words)
{
    check_lie(TWINS, &lies[_i]);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    check_cuts(_i ? TWINS "hdf5-v110.h5" : TWINS "hdf5-old.h5");
}
END_TEST

START_TEST(no_changed_byte_does_harm)
{
    check_changes(_i ? TWINS "hdf5-v110.h5" : TWINS "hdf5-old.h5", (size_t)_i, 1999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hdf5");
    TCase *tcase = tcase_create("hdf5");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, files_hold_what_h5py_wrote, 0, 2);
    tcase_add_test(tcase, any_range_of_chunks_is_read);
    tcase_add_test(tcase, what_cannot_be_read_is_listed_with_its_reason);
    tcase_add_test(tcase, what_can_be_read_beside_it_is);
    tcase_add_test(tcase, what_leads_elsewhere_is_told_of_and_not_followed);
    tcase_add_loop_test(tcase, what_claims_too_much_or_leaves_nothing_is_refused, 0, 6);
    tcase_add_loop_test(tcase, what_lies_is_refused_in_words, 0, COUNT(lies));
    tcase_add_loop_test(tcase, a_file_cut_anywhere_is_refused, 0, 2);
    tcase_add_loop_test(tcase, no_changed_byte_does_harm, 0, 2);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
