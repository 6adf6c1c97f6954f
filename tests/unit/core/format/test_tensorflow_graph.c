/* Graphs by TensorFlow itself (fixtures/twins/make_tensorflow_graph.py) beside the values that it reads in them; and
 * graphs of one constant made up here, most of which lie. */
#include "core/format/format.h"

#include "tests/unit/core/format/lies.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(graphs_hold_what_tensorflow_reads)
{
    struct model *model = open_path(TWINS "graph.pb"), *frozen = open_path(TWINS "graph-frozen.pb"), *twin;

    ck_assert_str_eq(model->format->name, "tensorflow-graph");
    twin = open_path(TWINS "graph.npz");
    ck_assert_uint_eq(check_twins(twin, model), 128);
    model_close(twin);
    twin = open_path(TWINS "graph.safetensors"); /* of the dtypes that NumPy does not have */
    ck_assert_uint_eq(check_twins(twin, model), 26);
    model_close(twin);
    ck_assert_uint_eq(model->tensor_count, 154);
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].message, "Const_1 was left out: texts, not numbers");
    ck_assert_uint_eq(model_count_files(model), 1);
    model_close(model);
    twin = open_path(TWINS "graph-frozen.npz");
    ck_assert_uint_eq(check_twins(frozen, twin), twin->tensor_count);
    model_close(twin);
    model_close(frozen);
}
END_TEST

/* Constants that lie in the file as they do in memory are read there. */
START_TEST(large_constants_are_not_loaded)
{
    struct model *model = open_path(TWINS "graph.pb");
    const struct tensor *content = model_find(model, name_of("content.large")),
                        *run = model_find(model, name_of("typed.float32")),
                        *bytes = model_find(model, name_of("typed.float8_e5m2")),
                        *numbers = model_find(model, name_of("typed.int32"));

    ck_assert_uint_eq(content->extent.source, 0);
    ck_assert_uint_eq(content->extent.bytes, 4800);
    ck_assert_uint_eq(run->extent.source, 0);
    ck_assert_uint_eq(bytes->extent.source, 0);
    ck_assert_uint_ne(numbers->extent.source, 0);
    model_close(model);
}
END_TEST

/* Files of ONNX's in the same wire format are ONNX's. */
START_TEST(other_files_of_the_wire_format_are_no_graphs)
{
    static const struct {
        const char *file, *format;
    } rows[] = {{"raw.onnx", "onnx"}, {"tensor-raw.pb", "onnx-tensor"}, {"tensor-typed.pb", "onnx-tensor"}};

    for (int i = 0; i < COUNT(rows); i++) {
        char path[512];
        struct model *model;

        snprintf(path, sizeof(path), TWINS "%s", rows[i].file);
        model = open_path(path);
        ck_assert_str_eq(model->format->name, rows[i].format);
        model_close(model);
    }
}
END_TEST

/* Messages within messages, from the inside to the outside. */
struct message {
    uint8_t data[1024];
    size_t bytes;
};

static void put(struct message *message, const void *data, size_t bytes)
{
    ck_assert_uint_le(message->bytes + bytes, sizeof(message->data));
    memcpy(message->data + message->bytes, data, bytes);
    message->bytes += bytes;
}

static void put_field(struct message *message, unsigned number, const void *data, size_t bytes)
{
    const uint8_t head[] = {(uint8_t)(number << 3 | 2), (uint8_t)(bytes % 128 | 128), (uint8_t)(bytes / 128)};

    put(message, head, sizeof(head));
    put(message, data, bytes);
}

static void put_text(struct message *message, unsigned number, const char *text)
{
    put_field(message, number, text, strlen(text));
}

/* A node with attributes dtype (0: none) and value (NULL: none). */
static void put_node(struct message *graph, unsigned number, const char *name, const char *operation, uint8_t dtype,
                     const void *tensor, size_t bytes)
{
    const uint8_t type[] = {6 << 3, dtype};
    struct message node = {0}, entry = {0}, value = {0};

    put_text(&node, 1, name);
    put_text(&node, 2, operation);
    if (dtype) {
        put_text(&entry, 1, "dtype");
        put_field(&entry, 2, type, sizeof(type));
        put_field(&node, 5, entry.data, entry.bytes);
    }
    entry.bytes = 0;
    if (tensor) {
        put_field(&value, 8, tensor, bytes);
        put_text(&entry, 1, "value");
        put_field(&entry, 2, value.data, value.bytes);
        put_field(&node, 5, entry.data, entry.bytes);
    }
    put_field(graph, number, node.data, node.bytes);
}

static int open_message(const struct message *message, struct model **ret_model, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    int rc;

    *err = (struct error){0};
    ck_assert_int_eq(memory_open(message->data, message->bytes, "x", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    if (rc)
        source_close(source);
    return rc;
}

#define TENSOR(bytes) bytes, sizeof(bytes) - 1
#define TWO           "\x12\x04\x12\x02\x08\x02" /* a shape of two */

static const struct {
    uint8_t dtype; /* of the node */
    const char *tensor;
    size_t bytes;
    int code;
    const char *says;
} lies[] = {
    {1,
     TENSOR("\x08\x01" TWO "\x22\x08"
            "abcdefgh"),
     0, NULL},
    {0,
     TENSOR("\x08\x01" TWO "\x22\x08"
            "abcdefgh"),
     0, NULL},
    {1,
     TENSOR("\x08\x01" TWO "\x22\x04"
            "abcd"),
     ERROR_FORMAT, "constant w: has 4 bytes of content, its dimensions need 8"},
    {3,
     TENSOR("\x08\x01" TWO "\x22\x08"
            "abcdefgh"),
     ERROR_FORMAT, "constant w: says that it is of dtype 3, and its tensor that of 1"},
    {40, TENSOR("\x08\x28" TWO), ERROR_UNSUPPORTED, "constant w: is of the unknown dtype 40"},
    {1,
     TENSOR("\x08\x01" TWO "\x2a\x0c"
            "abcdefghijkl"),
     ERROR_FORMAT, "constant w: has more values than its dimensions say"},
    {3, TENSOR("\x08\x03" TWO "\x3a\x02\x01\x02\x38\x03"), ERROR_FORMAT, "has more values than its dimensions say"},
    {1,
     TENSOR("\x08\x01" TWO "\x2a\x05"
            "abcde"),
     ERROR_FORMAT, "take 5 bytes, which are no multiple of 4"},
    {8,
     TENSOR("\x08\x08" TWO "\x4a\x04"
            "abcd"),
     ERROR_FORMAT, "constant w: has fewer values than its dimensions say"},
    {3, TENSOR("\x08\x03" TWO "\x3a\x01\x80\x42\x00"), ERROR_FORMAT, "a number reaches beyond its field"},
    {3, TENSOR("\x08\x03" TWO "\x3a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERROR_FORMAT,
     "has more than 64 bits"},
    {1, TENSOR("\x08\x01\x12\x02\x18\x01"), ERROR_FORMAT, "constant w: its rank is not known"},
    {1,
     TENSOR("\x08\x01\x12\x16"
            "\x12\x09\x08\x80\x80\x80\x80\x80\x80\x80\x40"
            "\x12\x09\x08\x80\x80\x80\x80\x80\x80\x80\x40"),
     ERROR_FORMAT, "constant w: its dimensions multiply to more than 2^64"},
    {1, TENSOR("\x08\x01\x12\x0c\x12\x0a\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40"), ERROR_FORMAT,
     "constant w: its dimensions multiply to more than 2^64"},
    {1, TENSOR("\x08\x01\x12\x0d\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERROR_FORMAT,
     "constant w: its dimensions multiply to more than 2^64"}, /* -1 */
    {1, TENSOR("\x08\x01\x12\x08\x12\x06\x08\x80\x80\x80\x80\x08"), ERROR_LIMIT,
     "has more than 1073741824 bytes of elements that are said once, the limit"},
    {1, TENSOR("\x08\x01" TWO "\x22\x7f"), ERROR_FORMAT, "claims 127 bytes, its message ends at"},
    {1, NULL, 0, ERROR_FORMAT, "constant w: has no value"},
    {7,
     TENSOR("\x08\x07\x42\x01"
            "a"),
     ERROR_UNSUPPORTED, "is a graph without constants of numbers"},
    {21, TENSOR("\x08\x15"), ERROR_UNSUPPORTED, "is a graph without constants of numbers"},
};

START_TEST(a_constant_is_read_or_refused_in_words)
{
    struct message graph = {0};
    struct model *model = NULL;
    struct error err;
    int rc;

    put_node(&graph, 1, "w", "Const", lies[_i].dtype, lies[_i].tensor, lies[_i].bytes);
    rc = open_message(&graph, &model, &err);
    ck_assert_msg(rc == lies[_i].code, "%d: %s", rc, err.text);
    if (rc == 0) {
        size_t bytes;
        uint8_t *elements = elements_of(model, &model->tensors[0], &bytes);

        ck_assert_uint_eq(bytes, 8);
        ck_assert_mem_eq(elements, "abcdefgh", 8);
        free(elements);
        model_close(model);
    } else {
        ck_assert_msg(strncmp(err.text, "x: ", 3) == 0 && strstr(err.text, lies[_i].says), "%s", err.text);
    }
}
END_TEST

static const char one[] = "\x08\x01\x2a\x04"
                          "abcd";

START_TEST(names_have_dots_where_that_leaves_them_apart)
{
    struct message graph = {0};
    struct model *model;
    struct error err;

    put_node(&graph, 1, "a/w", "Const", 1, TENSOR(one));
    ck_assert_int_eq(open_message(&graph, &model, &err), 0);
    ck_assert_ptr_nonnull(model_find(model, name_of("a.w")));
    model_close(model);
    put_node(&graph, 1, "a.w", "Const", 1, TENSOR(one));
    ck_assert_int_eq(open_message(&graph, &model, &err), 0);
    ck_assert_ptr_nonnull(model_find(model, name_of("a.w")));
    ck_assert_ptr_nonnull(model_find(model, name_of("a/w")));
    model_close(model);
    put_node(&graph, 1, "a.w", "Const", 1, TENSOR(one));
    ck_assert_int_eq(open_message(&graph, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "a.w") && strstr(err.text, "twice"), "%s", err.text);
}
END_TEST

/* One node of every function in the library may be called as one of the graph's own is. */
START_TEST(constants_of_functions_go_by_both_names)
{
    struct message graph = {0}, library = {0};
    struct model *model;
    struct error err;

    put_node(&graph, 1, "w", "Const", 1, TENSOR(one));
    for (int i = 0; i < 2; i++) {
        struct message function = {0}, signature = {0};

        put_text(&signature, 1, i ? "f" : "g");
        put_field(&function, 1, signature.data, signature.bytes);
        put_node(&function, 3, "w", "Const", 1, TENSOR(one));
        put_field(&library, 1, function.data, function.bytes);
    }
    put_field(&graph, 2, library.data, library.bytes);
    ck_assert_msg(open_message(&graph, &model, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(model->tensor_count, 3);
    ck_assert_ptr_nonnull(model_find(model, name_of("w")));
    ck_assert_ptr_nonnull(model_find(model, name_of("w@f")));
    ck_assert_ptr_nonnull(model_find(model, name_of("w@g")));
    model_close(model);
}
END_TEST

START_TEST(a_graph_that_was_not_frozen_says_so)
{
    struct message graph = {0};
    struct model *model;
    struct error err;

    put_node(&graph, 1, "layer/kernel", "VariableV2", 0, NULL, 0);
    put_node(&graph, 1, "layer/bias", "VarHandleOp", 0, NULL, 0);
    ck_assert_int_eq(open_message(&graph, &model, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "was not frozen: its variables (layer/kernel) lie in a checkpoint"), "%s", err.text);
    put_node(&graph, 1, "axis", "Const", 1, TENSOR(one));
    ck_assert_int_eq(open_message(&graph, &model, &err), 0);
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].message,
                     "the graph was not frozen: the values of 2 variables (the first is layer/kernel) lie in a "
                     "checkpoint and are not compared");
    model_close(model);
}
END_TEST

/* Texts are counted beyond what is told of one by one. */
START_TEST(texts_are_left_out_and_counted)
{
    struct message graph = {0};
    struct model *model;
    struct error err;

    put_node(&graph, 1, "w", "Const", 1, TENSOR(one));
    for (int i = 0; i < 22; i++)
        put_node(&graph, 1, "t", "Const", 0, TENSOR("\x08\x07"));
    ck_assert_int_eq(open_message(&graph, &model, &err), 0);
    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_uint_eq(model->warning_count, 21);
    ck_assert_str_eq(model->warnings[20].message, "… and 2 more (left-out)");
    model_close(model);
}
END_TEST

/* What begins like a node and is none: a file descriptor, an example, a vocabulary, names of strange characters. */
START_TEST(what_only_begins_like_a_graph_is_not_known)
{
    static const struct {
        const char *data;
        size_t bytes;
    } rows[] = {
        {TENSOR("\x0a\x12\x0a\x05"
                "a.txt\x12\x01P\x62\x06proto3")},
        {TENSOR("\x0a\x0c\x0a\x0a\x0a\x01"
                "a\x12\x05\x0a\x03\x0a\x01"
                "b")},
        {TENSOR("\x0a\x0a\x0a\x03"
                "<s>\x15\x00\x00\x00\x00")},
        {TENSOR("\x0a\x0a\x0a\x02"
                "a b\x12\x03"
                "Add")},
        {TENSOR("\x0a\x09\x0a\x01"
                "a\x12\x04"
                "add1")},
        {TENSOR("\x0a\x0a\x0a\x01"
                "a\x12\x05"
                "Const\x38\x01")},
    };

    for (int i = 0; i < COUNT(rows); i++) {
        struct message file = {0};
        struct model *model;
        struct error err;

        put(&file, rows[i].data, rows[i].bytes);
        ck_assert_int_eq(open_message(&file, &model, &err), ERROR_UNSUPPORTED);
        ck_assert_msg(strstr(err.text, "no known format recognises the content"), "%d: %s", i, err.text);
    }
}
END_TEST

/* The end of the top level's field that begins at at. */
static size_t field_end(const struct bytes *bytes, size_t at)
{
    size_t length = 0, shift = 0;

    for (at++; bytes->data[at] > 127; at++, shift += 7)
        length |= (size_t)(bytes->data[at] & 127) << shift;
    length |= (size_t)bytes->data[at++] << shift;
    return at + length;
}

/* Between two nodes a graph may end; nowhere else. */
START_TEST(a_graph_cut_within_a_field_is_refused)
{
    struct bytes bytes = load(_i ? TWINS "graph.pb" : TWINS "graph-frozen.pb");
    const size_t whole = bytes.count;
    size_t last = 0, next = field_end(&bytes, 0), ends = 0;

    for (size_t cut = 1; cut < whole; cut++) {
        struct error err;
        int rc;

        if (_i && cut > last + 2 && cut + 2 < next && cut % 13)
            continue; /* of the larger one, all about the ends and some within */
        bytes.count = cut;
        rc = open_bytes(&bytes, &err);
        if (cut == next) {
            ck_assert_msg(rc == 0 || strstr(err.text, "without constants"), "%zu bytes: %d %s", cut, rc, err.text);
            last = next;
            next = field_end(&bytes, next);
            ends++;
        } else {
            ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%zu bytes: %d %s", cut, rc, err.text);
        }
    }
    ck_assert_uint_ge(ends, 6);
    ck_assert_uint_eq(next, whole);
    free(bytes.data);
}
END_TEST

START_TEST(no_changed_byte_does_harm)
{
    check_changes(_i ? TWINS "graph.pb" : TWINS "graph-frozen.pb", (size_t)_i, _i ? 7 : 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tensorflow_graph");
    TCase *tcase = tcase_create("tensorflow_graph");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, graphs_hold_what_tensorflow_reads);
    tcase_add_test(tcase, large_constants_are_not_loaded);
    tcase_add_test(tcase, other_files_of_the_wire_format_are_no_graphs);
    tcase_add_loop_test(tcase, a_constant_is_read_or_refused_in_words, 0, COUNT(lies));
    tcase_add_test(tcase, names_have_dots_where_that_leaves_them_apart);
    tcase_add_test(tcase, constants_of_functions_go_by_both_names);
    tcase_add_test(tcase, a_graph_that_was_not_frozen_says_so);
    tcase_add_test(tcase, texts_are_left_out_and_counted);
    tcase_add_test(tcase, what_only_begins_like_a_graph_is_not_known);
    tcase_add_loop_test(tcase, a_graph_cut_within_a_field_is_refused, 0, 2);
    tcase_add_loop_test(tcase, no_changed_byte_does_harm, 0, 2);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
