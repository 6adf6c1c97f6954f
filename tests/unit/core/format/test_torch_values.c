/* What PyTorch's files hold beside plain tensors, and checkpoints of several processes (fixtures/twins/
 * make_torch_values.py, make_torch_distributed.py), beside the values that torch and NumPy give. */
#include "core/format/format.h"

#include "tests/unit/core/format/twins.h"
#include "tests/unit/core/io/scratch.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(what_is_no_plain_tensor_is_read_by_its_parts)
{
    static const struct {
        const char *file, *prefix;
        size_t tensors, checked; /* text has no twin */
    } rows[] = {{"arrays.pt", "", 13, 12},
                {"arrays-5.pt", "", 13, 12},
                {"arrays-legacy.pt", "", 13, 12},
                {"parts.pt", "parts.", 18, 18},
                {"attributes.pt", "attributes.", 3, 3}};
    struct model *twin = open_path(TWINS "torch-values.safetensors"), *model;
    size_t checked = 0;
    char text[512];

    snprintf(text, sizeof(text), TWINS "%s", rows[_i].file);
    model = open_path(text);
    ck_assert_uint_eq(model->tensor_count, rows[_i].tensors);
    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *a = &model->tensors[t], *b;
        size_t bytes_a, bytes_b;
        uint8_t *x, *y;

        snprintf(text, sizeof(text), "%s%.*s", rows[_i].prefix, (int)a->name.bytes, a->name.text);
        b = model_find(twin, name_of(text));
        if (!b)
            continue;
        ck_assert_msg(a->dtype == b->dtype && shape_equal(&a->shape, &b->shape), "%s", text);
        x = elements_of(model, a, &bytes_a);
        y = elements_of(twin, b, &bytes_b);
        ck_assert_msg(bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0, "%s has other values", text);
        free(x);
        free(y);
        checked++;
    }
    ck_assert_uint_eq(checked, rows[_i].checked);
    model_close(model);
    model_close(twin);
}
END_TEST

/* The twin has each complex number as a last dimension of two. */
START_TEST(complex_numbers_of_every_width_are_read)
{
    static const struct {
        const char *name;
        enum dtype dtype;
        bool is_encoded;
    } rows[] = {{"wide", DTYPE_C128, false}, {"turned", DTYPE_C128, false}, {"half", DTYPE_C64, true}};
    struct model *twin = open_path(TWINS "torch-values.safetensors"), *model = open_path(TWINS "complex.pt");
    const struct tensor *a = model_find(model, name_of(rows[_i].name)), *b;
    size_t bytes_a, bytes_b;
    uint8_t *x, *y;
    char name[64];

    snprintf(name, sizeof(name), "complex.%s", rows[_i].name);
    b = model_find(twin, name_of(name));
    ck_assert(a && b);
    ck_assert_int_eq(a->dtype, rows[_i].dtype);
    ck_assert_uint_eq(b->shape.elements, 2 * a->shape.elements);
    ck_assert(tensor_is_encoded(a) == rows[_i].is_encoded);
    x = elements_of(model, a, &bytes_a);
    y = elements_of(twin, b, &bytes_b);
    ck_assert_uint_eq(bytes_a, bytes_b);
    ck_assert_mem_eq(x, y, bytes_a);
    free(x);
    free(y);
    model_close(model);
    model_close(twin);
}
END_TEST

/* Scales that are no numbers: what the fuzzer's corpus has too. */
START_TEST(scales_that_have_no_numbers_are_refused)
{
    const char *const path =
        _i ? FIXTURES "/../fuzz/corpus/torch/complex_scales" : FIXTURES "/../fuzz/corpus/torch/bits_scales";
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = "m"};
    struct model *model = NULL;
    struct error err = {0};

    ck_assert_int_eq(model_open(&place, &limits_default, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "of a type that has no numbers"), "%s", err.text);
}
END_TEST

/* 2^48 elements of stride 0 in a tar of 4 KB, which the fuzzer made; its corpus has a byte in front. */
START_TEST(a_view_that_repeats_its_elements_without_end_is_listed)
{
    const struct opener opener = {.limits = &limits_default};
    static uint8_t bytes[1 << 14];
    FILE *file = fopen(FIXTURES "/../fuzz/corpus/torch/view-repeats-elements.tar", "rb");
    const struct tensor *tensor;
    struct source *source;
    struct model *model;
    size_t count;

    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    ck_assert_int_eq(memory_open(bytes + 1, count - 1, "x.pt", &source, NULL), 0);
    ck_assert_int_eq(model_open_source(&opener, source, &model, NULL), 0);
    tensor = model_find(model, name_of("state.n"));
    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_gt(tensor->shape.elements, UINT64_C(1) << 47);
    ck_assert(!tensor_is_decodable(tensor));
    ck_assert_str_eq(tensor->storage->reason, "a view that repeats its elements beyond 4 GB");
    ck_assert_uint_eq(tensor->extent.bytes, 0);
    model_close(model);
}
END_TEST

static bool has_metadata(const struct model *model, const char *key, const char *value)
{
    for (size_t i = 0; i < model->metadata_count; i++)
        if (name_equal(model->metadata[i].key, name_of(key)))
            return name_equal(model->metadata[i].value, name_of(value));
    return false;
}

START_TEST(numbers_are_metadata)
{
    static const struct {
        const char *file, *key, *value;
    } rows[] = {
        {"arrays.pt", "scalars.f8", "0.1"},     {"arrays.pt", "scalars.f4", "-0.5"},
        {"arrays.pt", "scalars.f2", "1.5"},     {"arrays.pt", "scalars.i1", "-3"},
        {"arrays.pt", "scalars.u2", "65535"},   {"arrays.pt", "scalars.i8", "-7"},
        {"arrays.pt", "scalars.b1", "true"},    {"arrays.pt", "scalars.big", "3"},
        {"arrays-5.pt", "scalars.f8", "0.1"},   {"distributed", "step", "12"},
        {"distributed", "settings.lr", "0.25"}, {"distributed", "settings.name", "tiny"},
    };
    char path[512];
    struct model *model;

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_msg(has_metadata(model, rows[_i].key, rows[_i].value), "%s", rows[_i].key);
    model_close(model);
}
END_TEST

#define PICKLE(text) (const uint8_t *)(text), sizeof(text) - 1

/* A file of the legacy container: an object, the keys of its storages, and these. The model borrows the bytes. */
static struct model *open_legacy(uint8_t bytes[1024], const uint8_t *object, size_t object_bytes, const uint8_t *rest,
                                 size_t rest_bytes)
{
    static const uint8_t front[] = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.I1001\n.}.";
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model = NULL;
    struct error err = {0};
    size_t count = sizeof(front) - 1;

    memcpy(bytes, front, count);
    memcpy(bytes + count, object, object_bytes);
    memcpy(bytes + count + object_bytes, rest, rest_bytes);
    count += object_bytes + rest_bytes;
    ck_assert_uint_le(count, 1024);
    ck_assert_int_eq(memory_open(bytes, count, "x.pt", &source, NULL), 0);
    ck_assert_msg(model_open_source(&opener, source, &model, &err) == 0, "%s", err.text);
    return model;
}

/* {"a": …, "i": 7}: what does not fit 64 bits with a sign is not told, rather than told as another number. */
static const struct {
    const uint8_t *bytes;
    size_t count;
    const char *value; /* of "a"; NULL: none */
} numbers[] = {
    {PICKLE("(dS'a'\nL9223372036854775807L\nsS'i'\nI7\ns."), "9223372036854775807"},
    {PICKLE("(dS'a'\nL-9223372036854775808L\nsS'i'\nI7\ns."), "-9223372036854775808"},
    {PICKLE("(dS'a'\nL9223372036854775808L\nsS'i'\nI7\ns."), NULL},
    {PICKLE("(dS'a'\nI18446744073709551615\nsS'i'\nI7\ns."), NULL},
    {PICKLE("(dS'a'\nI-9223372036854775809\nsS'i'\nI7\ns."), NULL},
    /* numpy.uint64(2 ** 63 - 1) and numpy.uint64(2 ** 64 - 1) */
    {PICKLE("(dS'a'\ncnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'u8'\nI00\nI01\ntRC\x08\xff\xff\xff\xff\xff\xff"
            "\xff\x7ftRsS'i'\nI7\ns."),
     "9223372036854775807"},
    {PICKLE("(dS'a'\ncnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'u8'\nI00\nI01\ntRC\x08\xff\xff\xff\xff\xff\xff"
            "\xff\xfftRsS'i'\nI7\ns."),
     NULL},
};

START_TEST(numbers_beyond_64_bits_are_not_told_as_others)
{
    uint8_t bytes[1024];
    struct model *model = open_legacy(bytes, numbers[_i].bytes, numbers[_i].count, PICKLE("]."));

    ck_assert(has_metadata(model, "i", "7"));
    ck_assert_uint_eq(model->metadata_count, numbers[_i].value ? 2 : 1);
    ck_assert(!numbers[_i].value || has_metadata(model, "a", numbers[_i].value));
    model_close(model);
}
END_TEST

/* A storage that is bytes 4 to 8 of another, as torch's legacy reader cuts it: an untyped one counts bytes, whatever
 * the dtype of the tensor. */
START_TEST(a_part_of_an_untyped_storage_begins_where_its_bytes_do)
{
    uint8_t bytes[1024];
    float value = 0;
    struct model *model = open_legacy(
        bytes,
        PICKLE("\x80\x02}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v3\n((X\7\0\0\0storagectorch\nUntypedStorage\n"
               "X\1\0\0\0kX\3\0\0\0cpuK\x0c(X\1\0\0\0vK\4K\4ttQK\0K\1\x85K\1\x85\x89Nctorch\nfloat32\ntRs."),
        PICKLE("](X\1\0\0\0ke.\x0c\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0@@")); /* 12 bytes: 1, 2, 3 */

    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_int_eq(decoder_read(model, &model->tensors[0], 0, 1, &value, NULL), 0);
    ck_assert_float_eq(value, 2);
    model_close(model);
}
END_TEST

static bool is_warned(const struct model *model, const char *says)
{
    for (size_t i = 0; i < model->warning_count; i++)
        if (strstr(model->warnings[i].message, says))
            return true;
    return false;
}

START_TEST(what_is_not_read_whole_is_told_of)
{
    static const struct {
        const char *file, *says;
    } rows[] = {{"arrays.pt", "objects was left out: it is an array of Python objects"},
                {"parts.pt", "placed is a DTensor: what of it lies on the rank that wrote the file was read"},
                {"distributed-grid", "inner lies in 2 chunks that are no rows of tiles"},
                {"tiles-of-f4", "w lies in 2 chunks that are no rows of tiles"}};
    char path[512];
    struct model *model;

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_msg(is_warned(model, rows[_i].says), "%s", rows[_i].says);
    model_close(model);
}
END_TEST

START_TEST(a_distributed_checkpoint_is_put_together)
{
    static const struct {
        const char *path, *twin;
        size_t files;
    } rows[] = {{TWINS "distributed", TWINS "torch-distributed.safetensors", 3},
                {TWINS "distributed/.metadata", TWINS "torch-distributed.safetensors", 3},
                {TWINS "distributed-grid", TWINS "torch-distributed-grid.safetensors", 5}};
    struct model *twin = open_path(rows[_i].twin), *model = open_path(rows[_i].path);

    ck_assert_str_eq(model->format->name, "torch-distributed");
    ck_assert_uint_eq(model_count_files(model), rows[_i].files);
    ck_assert_uint_eq(check_twins(model, twin), twin->tensor_count);
    model_close(model);
    model_close(twin);
}
END_TEST

/* Where a view lies in a file beside the first, what it turns does too. */
START_TEST(views_are_turned_in_whatever_file_they_lie)
{
    static const char *const paths[] = {TWINS "negated-shards", TWINS "negated-distributed"};
    struct model *twin = open_path(TWINS "torch-negated.safetensors"), *model = open_path(paths[_i]);

    ck_assert_uint_eq(model->tensor_count, 3);
    ck_assert_uint_eq(check_twins(model, twin), 3);
    model_close(model);
    model_close(twin);
}
END_TEST

/* torch has no negation of these: some have no sign, some have one that makes 0 a NaN. */
START_TEST(narrow_floats_are_not_turned)
{
    struct model *model = open_path(TWINS "negated-narrow.pt");

    ck_assert_uint_eq(model->tensor_count, 3);
    for (size_t t = 0; t < model->tensor_count; t++)
        ck_assert(!tensor_is_decodable(&model->tensors[t]));
    model_close(model);
}
END_TEST

/* Of bands of tiles: whole rows are read otherwise than their parts. */
START_TEST(any_range_of_tiles_is_the_same)
{
    struct model *model = open_path(TWINS "distributed-grid");
    const struct tensor *tensor = model_find(model, name_of("grid"));
    float whole[35], part[35];

    ck_assert_int_eq(decoder_read(model, tensor, 0, 35, whole, NULL), 0);
    for (size_t first = 0; first < 35; first++)
        for (size_t n = 1; first + n <= 35; n++) {
            ck_assert_int_eq(decoder_read(model, tensor, first, n, part, NULL), 0);
            ck_assert_mem_eq(part, whole + first, n * sizeof(float));
        }
    model_close(model);
}
END_TEST

/* A fixture's bytes in scratch, with one place changed. */
static void copy_changed(const char *fixture, const char *name, const char *from, const char *to, size_t bytes)
{
    static uint8_t content[1 << 16];
    char path[512];
    uint8_t *place;
    size_t count;
    FILE *file;

    snprintf(path, sizeof(path), TWINS "%s", fixture);
    file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    count = fread(content, 1, sizeof(content), file);
    fclose(file);
    place = bytes ? memmem(content, count, from, bytes) : NULL;
    ck_assert_msg(bytes == 0 || place, "the file has not what is to be changed");
    if (place)
        memcpy(place, to, bytes);
    file = fopen(in_scratch(name), "wb");
    ck_assert(file && fwrite(content, 1, count, file) == count && fclose(file) == 0);
}

static int open_scratch(const char *name, struct error *err)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = in_scratch(name), .uri = "m"};
    struct model *model = NULL;
    int rc;

    *err = (struct error){0};
    rc = model_open(&place, &limits_default, &model, err);
    model_close(model);
    return rc;
}

#define CHANGE(from, to) from, to, sizeof(from) - 1
START_TEST(arrays_that_lie_are_refused)
{
    /* Of arrays-legacy.pt: the first array is f32, 2 by 3. */
    static const struct {
        const char *from, *to;
        size_t bytes;
        const char *says;
    } rows[] = {
        {CHANGE("K\x02K\x03\x86", "K\x02K\x04\x86"), "arrays.f32: its bytes are not those of its shape"},
        {CHANGE("X\x02\0\0\0f4", "X\x02\0\0\0f8"), "arrays.f32: its bytes are not those of its shape"},
        {CHANGE("X\x02\0\0\0f4", "X\x02\0\0\0f2"), "arrays.f32: its bytes are not those of its shape"},
    };
    struct error err;

    copy_changed("arrays-legacy.pt", "x.pt", rows[_i].from, rows[_i].to, rows[_i].bytes);
    ck_assert_int_ne(open_scratch("x.pt", &err), 0);
    ck_assert_msg(strstr(err.text, rows[_i].says), "%s", err.text);
}
END_TEST

START_TEST(a_distributed_checkpoint_that_lies_is_refused)
{
    static const struct {
        const char *from, *to;
        size_t bytes;
        int code;
        const char *says;
    } rows[] = {
        {CHANGE("__0_0.distcp", "/_0_0.distcp"), ERROR_FORMAT, "the file of a chunk leads out of the directory"},
        {CHANGE("__0_0.distcp", "../_0.distcp"), ERROR_FORMAT, "the file of a chunk leads out of the directory"},
        {CHANGE("__0_0.distcp", "__9_0.distcp"), ERROR_NOT_FOUND, "its data: "},
        {CHANGE("storage_data", "storage_dado"), ERROR_FORMAT, "no state_dict_metadata and storage_data"},
        {CHANGE("relative_path", "relative_pith"), ERROR_FORMAT, "do not say where each chunk lies"},
        {CHANGE("\x8c\x06"
                "chunks",
                "\x8c\x06"
                "chinks"),
         ERROR_FORMAT, "not all of its chunks are stored"},
        {CHANGE("\x8c\x06length", "\x8c\x06lengdh"), ERROR_FORMAT, "do not say where each chunk lies"},
        {CHANGE("\x8c\x03"
                "fqn\x94",
                "\x8c\x03"
                "fqm\x94"),
         ERROR_FORMAT, "do not say where each chunk lies"},
    };
    struct error err;
    int rc;

    copy_changed("distributed/.metadata", ".metadata", rows[_i].from, rows[_i].to, rows[_i].bytes);
    copy_changed("distributed/__0_0.distcp", "__0_0.distcp", NULL, NULL, 0);
    copy_changed("distributed/__1_0.distcp", "__1_0.distcp", NULL, NULL, 0);
    rc = open_scratch("", &err);
    ck_assert_msg(rc == rows[_i].code && strstr(err.text, rows[_i].says), "%d: %s", rc, err.text);
}
END_TEST

START_TEST(a_directory_says_what_it_misses)
{
    static const struct {
        const char *file, *says;
    } rows[] = {{"__0_0.distcp", "whose .metadata, which is written last, is missing"},
                {"latest", "its file latest names the directory below that does, as DeepSpeed"}};
    struct error err;

    copy_changed("distributed/__0_0.distcp", rows[_i].file, NULL, NULL, 0);
    ck_assert_int_eq(open_scratch("", &err), ERROR_NO_MODEL);
    ck_assert_msg(strstr(err.text, rows[_i].says), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torch_values");
    TCase *tcase = tcase_create("torch_values");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, what_is_no_plain_tensor_is_read_by_its_parts, 0, 5);
    tcase_add_loop_test(tcase, complex_numbers_of_every_width_are_read, 0, 3);
    tcase_add_loop_test(tcase, scales_that_have_no_numbers_are_refused, 0, 2);
    tcase_add_test(tcase, a_view_that_repeats_its_elements_without_end_is_listed);
    tcase_add_loop_test(tcase, numbers_are_metadata, 0, 12);
    tcase_add_loop_test(tcase, numbers_beyond_64_bits_are_not_told_as_others, 0,
                        (int)(sizeof(numbers) / sizeof(numbers[0])));
    tcase_add_test(tcase, a_part_of_an_untyped_storage_begins_where_its_bytes_do);
    tcase_add_loop_test(tcase, what_is_not_read_whole_is_told_of, 0, 4);
    tcase_add_loop_test(tcase, a_distributed_checkpoint_is_put_together, 0, 3);
    tcase_add_loop_test(tcase, views_are_turned_in_whatever_file_they_lie, 0, 2);
    tcase_add_test(tcase, narrow_floats_are_not_turned);
    tcase_add_test(tcase, any_range_of_tiles_is_the_same);
    tcase_add_loop_test(tcase, arrays_that_lie_are_refused, 0, 3);
    tcase_add_loop_test(tcase, a_distributed_checkpoint_that_lies_is_refused, 0, 8);
    tcase_add_loop_test(tcase, a_directory_says_what_it_misses, 0, 2);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
