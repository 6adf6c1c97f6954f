/* An archive by Keras (fixtures/twins/make_keras.py) beside its variables by their own names, kept by NumPy. */
#include "core/format/format.h"

#include "core/format/keras_names.h"
#include "tests/unit/core/format/lies.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(variables_have_the_names_that_keras_gives_them)
{
    struct model *model = open_path(_i ? TWINS "model-deflated.keras" : TWINS "model.keras");
    struct model *twin = open_path(TWINS "keras.npz");

    ck_assert_uint_eq(check_twins(model, twin), 16);
    ck_assert_uint_eq(check_twins(twin, model), 16);
    ck_assert_str_eq(model->format->name, "keras");
    ck_assert_uint_eq(model_count_files(model), 1);
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
    model_close(twin);
}
END_TEST

static const char config[] =
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"net\",\"layers\":["
    "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"in\"}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"a\",\"use_bias\":true}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"b\",\"use_bias\":false}},"
    "{\"class_name\":\"BatchNormalization\",\"config\":{\"name\":\"bn\",\"scale\":false,\"center\":true}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"q\",\"dtype\":{\"class_name\":\"QuantizedDTypePolicy\"}}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"lora\",\"lora_rank\":4}},"
    "{\"class_name\":\"LSTM\",\"config\":{\"name\":\"memory\"}},"
    "{\"class_name\":\"MyLayer2D\",\"config\":{\"name\":\"own\"}},"
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"block\",\"layers\":["
    "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"r\"}},{\"class_name\":\"Embedding\",\"config\":{\"name\":\"e\"}}]}"
    "}]}}";

static const struct {
    const char *path, *name; /* NULL: its own */
} names[] = {
    {"layers/dense/vars/0", "a/kernel"},
    {"layers/dense/vars/1", "a/bias"},
    {"layers/dense/vars/2", "a/vars/2"},
    {"layers/dense/vars/10", "a/vars/10"},
    {"layers/dense_1/vars/0", "b/kernel"},
    {"layers/dense_1/vars/1", "b/vars/1"},
    {"layers/batch_normalization/vars/0", "bn/beta"},
    {"layers/batch_normalization/vars/2", "bn/moving_variance"},
    {"layers/dense_2/vars/0", "q/vars/0"},
    {"layers/dense_3/vars/0", "lora/vars/0"},
    {"layers/lstm/cell/vars/1", "memory/cell/vars/1"},
    {"layers/my_layer2d/vars/0", "own/vars/0"},
    {"layers/sequential/layers/embedding/vars/0", "block/e/embeddings"},
    {"_layer_checkpoint_dependencies/dense/vars/0", "a/kernel"},
    {"layers/conv2d/vars/0", NULL},
    {"optimizer/vars/0", NULL},
    {"vars/0", NULL},
    {"layers", NULL},
};

START_TEST(names_come_from_the_config)
{
    struct arena arena = {.limit = 1 << 20};
    char text[sizeof(config)];
    const struct keras_layer *model;
    struct name name;

    memcpy(text, config, sizeof(config));
    model = keras_read_config(text, sizeof(config) - 1, &arena);
    ck_assert_ptr_nonnull(model);
    name = keras_rename(model, name_of(names[_i].path), &arena);
    if (names[_i].name)
        ck_assert_msg(name_equal(name, name_of(names[_i].name)), "%.*s", (int)name.bytes, name.text);
    else
        ck_assert_ptr_null(name.text);
    arena_done(&arena);
}
END_TEST

static const struct lie lies[] = {
    {"model.keras", "\x89HDF", 0, "X", 1, "it cannot be opened; the HDF5 library says: "},
    {"model.keras", "SNOD", 0, "X", 1, "its groups cannot be read; the HDF5 library says: "},
};

START_TEST(what_lies_is_refused_in_words)
{
    check_lie(TWINS, &lies[_i]);
}
END_TEST

START_TEST(a_config_that_is_none_is_told_of)
{
    struct bytes bytes = load(TWINS "model.keras");
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model;
    uint8_t *at = memmem(bytes.data, bytes.count, "\"config\": {", 11);

    ck_assert_ptr_nonnull(at);
    at[0] = 'X';
    ck_assert_int_eq(memory_open(bytes.data, bytes.count, "x", &source, NULL), 0);
    ck_assert_int_eq(model_open_source(&opener, source, &model, NULL), 0);
    ck_assert_ptr_nonnull(model_find(model, name_of("layers/conv2d/vars/0")));
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].code, "config-unreadable");
    model_close(model);
    free(bytes.data);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    check_cuts(TWINS "model.keras");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keras");
    TCase *tcase = tcase_create("keras");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, variables_have_the_names_that_keras_gives_them, 0, 2);
    tcase_add_loop_test(tcase, names_come_from_the_config, 0, COUNT(names));
    tcase_add_loop_test(tcase, what_lies_is_refused_in_words, 0, COUNT(lies));
    tcase_add_test(tcase, a_config_that_is_none_is_told_of);
    tcase_add_test(tcase, a_file_cut_anywhere_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
