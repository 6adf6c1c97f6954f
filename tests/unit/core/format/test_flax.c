/* Files by Flax itself (fixtures/twins/make_flax.py) beside their twin; and files made up here, most of which lie. */
#include "core/format/format.h"

#include "tests/unit/core/format/twins.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

/* One tensor "w" of two F32, by hand: {"w": ext 1 of (shape [2], "float32", bytes)}. */
#define GOOD                                                                                                           \
    "\x81\xa1w\xc7\x15\x01\x93\x91\x02\xa7"                                                                            \
    "float32\xc4\x08"                                                                                                  \
    "01234567"

static int open_bytes(const void *bytes, size_t count, struct model **ret_model, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    uint8_t *copy = malloc(count + 1); /* ends where the file does: a sanitizer sees a byte too far */
    struct source *source;
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, count);
    *err = (struct error){0};
    *ret_model = NULL;
    ck_assert_int_eq(memory_open(copy, count, "x.msgpack", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    ck_assert_int_eq(rc == 0, *ret_model != NULL);
    if (rc)
        source_close(source);
    free(copy);
    return rc;
}

static void check_key(const struct model *model, const char *key, const char *text)
{
    for (size_t i = 0; i < model->metadata_count; i++)
        if (name_equal(model->metadata[i].key, name_of(key))) {
            ck_assert_msg(name_equal(model->metadata[i].value, name_of(text)), "%s: %.*s", key,
                          (int)model->metadata[i].value.bytes, model->metadata[i].value.text);
            return;
        }
    ck_abort_msg("%s is missing", key);
}

START_TEST(states_hold_what_their_twin_holds)
{
    static const char *const files[] = {TWINS "state.msgpack", TWINS "state-pieces.msgpack"};
    struct model *twin = open_path(TWINS "flax.safetensors"), *model = open_path(files[_i]);

    ck_assert_str_eq(model->format->name, "flax");
    ck_assert_uint_eq(check_twins(model, twin), twin->tensor_count);
    check_key(model, "step", "1300");
    check_key(model, "loss", "0.125");
    check_key(model, "done", "false");
    check_key(model, "name", "run ü");
    check_key(model, "large", "9223372036854775809");
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
    model_close(twin);
}
END_TEST

START_TEST(ranges_of_pieces_are_read_in_any_order)
{
    struct model *plain = open_path(TWINS "state.msgpack"), *pieces = open_path(TWINS "state-pieces.msgpack");

    for (size_t t = 0; t < plain->tensor_count; t++) {
        const struct tensor *a = &plain->tensors[t], *b = model_find(pieces, a->name);
        const size_t size = dtype_traits(a->dtype)->bits / 8;

        for (uint64_t i = a->shape.elements; i-- > 0;)
            for (size_t n = 1; n <= 9 && n <= a->shape.elements - i; n += 4) {
                uint8_t x[128], y[128];

                ck_assert_int_eq(decoder_read(plain, a, i, n, x, NULL), 0);
                ck_assert_int_eq(decoder_read(pieces, b, i, n, y, NULL), 0);
                ck_assert_mem_eq(x, y, n * size);
            }
    }
    model_close(plain);
    model_close(pieces);
}
END_TEST

START_TEST(shards_are_found_by_an_index_that_joins_names_by_slashes)
{
    struct model *twin = open_path(TWINS "flax.safetensors"), *model = open_path(TWINS "flax-sharded");

    ck_assert_uint_eq(model_count_files(model), 2);
    ck_assert_uint_eq(model->tensor_count, 21);
    for (size_t t = 0; t < model->tensor_count; t++) {
        char name[256];

        snprintf(name, sizeof(name), "params.%.*s", (int)model->tensors[t].name.bytes, model->tensors[t].name.text);
        ck_assert_msg(model_find(twin, name_of(name)), "%s", name);
    }
    model_close(model);
    model_close(twin);
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_refused)
{
    static const char *const files[] = {TWINS "state.msgpack", TWINS "state-pieces.msgpack"};
    FILE *file = fopen(files[_i], "rb");
    uint8_t bytes[4096];
    struct model *model;
    struct error err;
    size_t count;

    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t cut = 0; cut < count; cut++)
        ck_assert_msg(open_bytes(bytes, cut, &model, &err) < 0, "%zu of %zu bytes", cut, count);
    ck_assert_int_eq(open_bytes(bytes, count, &model, &err), 0);
    model_close(model);
}
END_TEST

#define LIE(text, why)                                                                                                 \
    {                                                                                                                  \
        text, sizeof(text) - 1, why                                                                                    \
    }
static const struct {
    const char *bytes;
    size_t count;
    const char *why;
} lies[] = {
    LIE(GOOD "x", "x.msgpack: its map ends at offset 27, the file at 28"),
    LIE("\x82\xa1w\xc7\x15\x01\x93\x91\x02\xa7"
        "float32\xc4\x08"
        "01234567\xa1w\xc7\x15\x01\x93\x91\x02\xa7"
        "float32\xc4\x08"
        "01234567",
        "x.msgpack: tensor w appears twice"),
    LIE("\x81\xa1w\xc7\x15\x01\x93\x91\x03\xa7"
        "float32\xc4\x08"
        "01234567",
        "tensor w: 3 elements of float32 do not take the 8 bytes that it has"),
    LIE("\x81\xa1w\xc7\x15\x01\x93\x91\x02\xa7"
        "float32\xc4\x07"
        "01234567",
        "tensor w: its array's bytes do not fill its extension"),
    LIE("\x81\xa1w\xc7\x15\x01\x92\x91\x02\xa7"
        "float32\xc4\x08"
        "01234567",
        "is not (shape, dtype, bytes)"),
    LIE("\x81\xa1w\xc7\x15\x01\x93\x91\xff\xa7"
        "float32\xc4\x08"
        "01234567",
        "a dimension of its array is no count"),
    LIE("\x81\xa1w\xc7\xff\x01\x93\x91\x02\xa7"
        "float32\xc4\x08"
        "01234567",
        "a value at offset 3 claims 255 bytes, the file ends at 27"),
    LIE("\x81\xa1w\xdf\xff\xff\xff\xff\xa1", "a value at offset 3 claims 4294967295 pairs, the file ends at 9"),
    LIE("\x81\xa1w\xdd\xff\xff\xff\xff\xa1", "a value at offset 3 claims 4294967295 values, the file ends at 9"),
    LIE("\x81\xa1w\x81\x93\x01\x02\x03\x04", "a key is neither a text nor a number"),
    LIE("\x81\xa1w\x01\x02", "its map ends at offset 4"),
    LIE("\x81\xa1w\xa3"
        "abc",
        "is msgpack without an array, so none of Flax's"),
    LIE("\x82\xa1w\x01\xa1v\xc1", "a value at offset 6 begins with 0xc1, which nothing does"),
    LIE("\x81\xa1w\x81\xb9__msgpack_chunked_array__\xc3", "an array in pieces without a shape or chunks"),
    LIE("\x81\xa1w\x82\xb9__msgpack_chunked_array__\xc3\xa6"
        "chunks\x81\xa1"
        "5\xc0",
        "a piece is no array, or has no number of its own"),
    LIE("\x81\xa1w\x83\xb9__msgpack_chunked_array__\xc3\xa5"
        "shape\x81\xa1"
        "0\x03\xa6"
        "chunks\x81\xa1"
        "0\xc7\x15\x01\x93\x91\x02\xa7"
        "float32\xc4\x08"
        "01234567",
        "tensor w: its pieces have 2 elements, its shape has 3"),
    LIE("\x81\xa1w\x83\xb9__msgpack_chunked_array__\xc3\xa5"
        "shape\x82\xa1"
        "0\x03\xa1"
        "0\x03\xa6"
        "chunks\x80",
        "a dimension of its pieces is no count"),
};

START_TEST(a_lie_is_refused_with_what_is_true)
{
    struct model *model;
    struct error err;
    const int rc = open_bytes(lies[_i].bytes, lies[_i].count, &model, &err);

    ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED || rc == ERROR_LIMIT, "%d: %s", rc, err.text);
    ck_assert_msg(strstr(err.text, lies[_i].why), "%s", err.text);
}
END_TEST

START_TEST(a_tensor_made_by_hand_is_read)
{
    struct model *model;
    struct error err;

    ck_assert_msg(open_bytes(GOOD, sizeof(GOOD) - 1, &model, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_uint_eq(model->tensors[0].extent.offset, 19);
    ck_assert_uint_eq(model->tensors[0].extent.bytes, 8);
    model_close(model);
}
END_TEST

START_TEST(numbers_of_a_long_list_are_not_told_one_by_one)
{
    static const char text[] =
        "\x83\xa1s\x92\x01\x02\xa1l\xdc\x00\x11\x01\x02\x03\x04\x05\x06\x07\x08\x09\x01\x02\x03\x04\x05"
        "\x06\x07\x81\xa1n\x05";
    uint8_t bytes[256];
    struct model *model;
    struct error err;

    memcpy(bytes, text, sizeof(text) - 1);
    memcpy(bytes + sizeof(text) - 1, GOOD + 1, sizeof(GOOD) - 2);
    ck_assert_msg(open_bytes(bytes, sizeof(text) - 1 + sizeof(GOOD) - 2, &model, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(model->metadata_count, 3);
    check_key(model, "s.0", "1");
    check_key(model, "s.1", "2");
    check_key(model, "l.16.n", "5");
    model_close(model);
}
END_TEST

START_TEST(values_nested_without_end_are_refused)
{
    static uint8_t bytes[4096] = {0x81, 0xa1, 'w'};
    struct model *model;
    struct error err;

    memset(bytes + 3, 0x91, sizeof(bytes) - 3);
    ck_assert_int_eq(open_bytes(bytes, sizeof(bytes), &model, &err), ERROR_LIMIT);
    ck_assert_msg(strstr(err.text, "nested more than 200 deep"), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flax");
    TCase *tcase = tcase_create("flax");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, states_hold_what_their_twin_holds, 0, 2);
    tcase_add_test(tcase, ranges_of_pieces_are_read_in_any_order);
    tcase_add_test(tcase, shards_are_found_by_an_index_that_joins_names_by_slashes);
    tcase_add_loop_test(tcase, a_file_cut_short_anywhere_is_refused, 0, 2);
    tcase_add_loop_test(tcase, a_lie_is_refused_with_what_is_true, 0, COUNT(lies));
    tcase_add_test(tcase, a_tensor_made_by_hand_is_read);
    tcase_add_test(tcase, numbers_of_a_long_list_are_not_told_one_by_one);
    tcase_add_test(tcase, values_nested_without_end_are_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
