/* Files by onnx (fixtures/twins/make_onnx.py) beside their twin; messages written by hand, most of which lie. */
#include "core/format/format.h"

#include "tests/unit/core/format/twins.h"
#include "tests/unit/core/io/scratch.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(files_hold_what_onnx_reads)
{
    static const struct {
        const char *file, *format, *twin;
        size_t tensors, files;
    } rows[] = {{"raw.onnx", "onnx", TWINS "onnx.safetensors", 25, 1},
                {"typed.onnx", "onnx", TWINS "onnx.safetensors", 18, 1},
                {"external.onnx", "onnx", TWINS "onnx.safetensors", 18, 2},
                {"narrow.onnx", "onnx", TWINS "narrow.npz", 4, 1},
                {"narrow-typed.onnx", "onnx", TWINS "narrow.npz", 4, 1},
                {"tensor-raw.pb", "onnx-tensor", TWINS "onnx.safetensors", 1, 1},
                {"tensor-typed.pb", "onnx-tensor", TWINS "onnx.safetensors", 1, 1}};
    struct model *twin = open_path(rows[_i].twin), *model;
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_str_eq(model->format->name, rows[_i].format);
    ck_assert_uint_eq(check_twins(model, twin), rows[_i].tensors);
    ck_assert_uint_eq(model_count_files(model), rows[_i].files);
    model_close(model);
    model_close(twin);
}
END_TEST

/* A model of one graph of one tensor, whose TensorProto is given; lengths are below 128. */
static size_t make_model(const char *tensor, size_t tensor_bytes, uint8_t *out)
{
    const uint8_t head[] = {0x08, 10, 0x12, 1, 'p', 0x3a, (uint8_t)(tensor_bytes + 2), 0x2a, (uint8_t)tensor_bytes};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), tensor, tensor_bytes);
    return sizeof(head) + tensor_bytes;
}

static int open_bytes(const uint8_t *bytes, size_t count, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    uint8_t *copy = malloc(count + 1);
    struct source *source;
    struct model *model;
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, count);
    *err = (struct error){0};
    ck_assert_int_eq(memory_open(copy, count, "x.onnx", &source, NULL), 0);
    rc = model_open_source(&opener, source, &model, err);
    if (rc)
        source_close(source);
    else
        model_close(model);
    free(copy);
    return rc;
}

#define TENSOR(text)           text, sizeof(text) - 1
#define LOCATION(length, path) "\x6a" length "\x0a\x08location\x12" path
static const struct message {
    const char *tensor;
    size_t bytes;
    int code;
    const char *says;
} tensors[] = {
    /* dims 2, FLOAT, name w, 8 raw bytes */
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x4a\x08"
            "abcdefgh"),
     0, ""},
    {TENSOR("\x0a\x01\x02\x10\x01\x42\x01w\x4a\x08"
            "abcdefgh"),
     0, ""},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x22\x08"
            "abcdefgh"),
     0, ""},
    {TENSOR("\x08\x02\x10\x07\x42\x01w\x38\x05\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, ""},
    {TENSOR("\x08\x02\x10\x08\x42\x01w\x32\x01"
            "a\x32\x01"
            "b"),
     0, ""}, /* texts */
    {TENSOR("\x08\x03\x10\x01\x42\x01w\x4a\x08"
            "abcdefgh"),
     ERROR_FORMAT, "tensor w: has 8 bytes of raw data, its dimensions need 12"},
    {TENSOR("\x08\x03\x10\x01\x42\x01w\x22\x08"
            "abcdefgh"),
     ERROR_FORMAT, "tensor w: has fewer elements"},
    {TENSOR("\x08\x01\x10\x01\x42\x01w\x22\x08"
            "abcdefgh"),
     ERROR_FORMAT, "tensor w: has more elements"},
    {TENSOR("\x08\x02\x10\x63\x42\x01w"), ERROR_UNSUPPORTED, "is of data type 99, which ONNX does not have"},
    {TENSOR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"), ERROR_FORMAT, "negative dimension -1"},
    {TENSOR("\x08\x80\x80\x80\x80\x80\x20\x08\x80\x80\x80\x80\x80\x20\x10\x01\x42\x01w"), ERROR_FORMAT,
     "its dimensions multiply to more than 2^64"},
    {TENSOR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERROR_FORMAT, "more than 64 bits"},
    {TENSOR("\x4a\x7f"
            "abc"),
     ERROR_FORMAT, "claims 127 bytes, its message ends"},
    {TENSOR("\x0b\x0c"), ERROR_FORMAT, "is of wire type 3"},
    {TENSOR("\x02\x01"
            "a"),
     ERROR_FORMAT, "has the number 0"},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x70\x01" LOCATION("\x15", "\x09../secret")), ERROR_FORMAT,
     "its external data lie at \"../secret\", which leads out of the model's directory"},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x70\x01" LOCATION("\x17", "\x0b/etc/passwd")), ERROR_FORMAT,
     "which leads out of the model's directory"},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x70\x01" LOCATION("\x13", "\x07"
                                                                 "a/../..")),
     ERROR_FORMAT, "which leads out of the model's directory"},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x70\x01" LOCATION("\x0d", "\x01"
                                                                 "d")),
     ERROR_NOT_FOUND, "its external data, d, are not at hand"},
};

START_TEST(a_tensor_is_read_or_refused_in_words)
{
    uint8_t bytes[256];
    struct error err;
    size_t count = make_model(tensors[_i].tensor, tensors[_i].bytes, bytes);
    int rc = open_bytes(bytes, count, &err);

    ck_assert_msg(rc == tensors[_i].code && strstr(err.text, tensors[_i].says), "%d: %s", rc, err.text);
    if (rc)
        ck_assert_msg(strncmp(err.text, "x.onnx: ", 8) == 0, "%s", err.text);
}
END_TEST

static const struct message alone[] = {
    {TENSOR("\x10\x01\x42\x01w\x4a\x04"
            "abcd"),
     0, ""},
    {TENSOR("\x08\x02\x10\x01\x42\x01w\x4a\x04"
            "abcd"),
     ERROR_FORMAT, "tensor w: "},
    {TENSOR("\x08\x02\x10\x01\x4a\x09"
            "abcdefgh"),
     ERROR_FORMAT, "claims 9 bytes, its message ends"},
    {TENSOR("\x08\x02\x42\x01w\x4a\x08"
            "abcdefgh"),
     ERROR_UNSUPPORTED, "no known format"}, /* no data_type */
    {TENSOR("\x08\x02\x10\x01\x1a\x08"
            "abcdefgh"),
     ERROR_UNSUPPORTED, "no known format"}, /* a sequence's field */
};

START_TEST(a_tensor_alone_is_read_or_refused_in_words)
{
    struct error err;
    int rc = open_bytes((const uint8_t *)alone[_i].tensor, alone[_i].bytes, &err);

    ck_assert_msg(rc == alone[_i].code && strstr(err.text, alone[_i].says), "%d: %s", rc, err.text);
}
END_TEST

/* Cut at a field's end a message is whole: then a model with fewer tensors is read. */
START_TEST(a_file_cut_anywhere_is_no_other_model)
{
    struct model *model = open_path(TWINS "raw.onnx");
    const size_t tensors_of_whole = model->tensor_count;
    uint8_t bytes[4096];
    FILE *file = fopen(TWINS "raw.onnx", "rb");
    size_t count;

    model_close(model);
    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t cut = 0; cut < count; cut++) {
        struct error err;
        int rc = open_bytes(bytes, cut, &err);

        ck_assert_msg(rc == 0 || rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%zu bytes: %d %s", cut, rc, err.text);
    }
    ck_assert_uint_eq(tensors_of_whole, 25);
}
END_TEST

START_TEST(external_data_that_are_missing_or_short_are_told)
{
    char path[512];
    uint8_t bytes[4096];
    FILE *file = fopen(TWINS "external.onnx", "rb"), *copy;
    struct place place = {.dir_fd = AT_FDCWD, .uri = "m.onnx"};
    struct model *model;
    struct error err = {0};
    size_t count;

    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    snprintf(path, sizeof(path), "%s", in_scratch("external.onnx"));
    copy = fopen(path, "wb");
    ck_assert(copy && fwrite(bytes, 1, count, copy) == count);
    fclose(copy);
    place.path = path;
    ck_assert_int_eq(model_open(&place, &limits_default, &model, &err), ERROR_NOT_FOUND);
    ck_assert_msg(strstr(err.text, "its external data: "), "%s", err.text);
    scratch_text("external.onnx.data", "short");
    ck_assert_int_eq(model_open(&place, &limits_default, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "of its external data, which end at 5"), "%s", err.text);
}
END_TEST

START_TEST(a_saved_model_of_tensorflow_is_none)
{
    static uint8_t bytes[3 + 2 + 5000] = {0x08, 1, 0x12, 0x88, 0x27, 0x0a, 0xc8, 0x24}; /* one MetaGraphDef */
    struct error err;

    ck_assert_int_eq(open_bytes(bytes, sizeof(bytes), &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "no known format"), "%s", err.text);
}
END_TEST

/* However the fields before its graph lie: where the part of the file that tells its format ends matters not. */
START_TEST(a_model_is_known_wherever_its_head_ends)
{
    static uint8_t bytes[HEAD_BYTES + 64];

    for (size_t first = 0; first < 8; first++) {
        const size_t before = HEAD_BYTES - 8 + first; /* where the graph begins */
        const uint8_t doc[] = {0x32, (uint8_t)((before - 5) % 128 | 128), (uint8_t)((before - 5) / 128)};
        size_t count = 5;
        struct error err;

        memset(bytes, 'x', sizeof(bytes));
        memcpy(bytes, "\x08\x0a", 2);
        memcpy(bytes + 2, doc, sizeof(doc)); /* doc_string, up to the graph */
        count += before - 5;
        memcpy(bytes + count, "\x28\x01", 2); /* model_version */
        count += 2;
        memcpy(bytes + count,
               "\x3a\x0a\x2a\x08\x10\x01\x4a\x04"
               "abcd",
               12); /* graph: a scalar of FLOAT */
        count += 12;
        ck_assert_msg(open_bytes(bytes, count, &err) == 0, "%zu: %s", before, err.text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tcase = tcase_create("onnx");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, a_saved_model_of_tensorflow_is_none);
    tcase_add_test(tcase, a_model_is_known_wherever_its_head_ends);
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, files_hold_what_onnx_reads, 0, 7);
    tcase_add_loop_test(tcase, a_tensor_alone_is_read_or_refused_in_words, 0, COUNT(alone));
    tcase_add_loop_test(tcase, a_tensor_is_read_or_refused_in_words, 0, COUNT(tensors));
    tcase_add_test(tcase, a_file_cut_anywhere_is_no_other_model);
    tcase_add_test(tcase, external_data_that_are_missing_or_short_are_told);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
