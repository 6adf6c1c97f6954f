/* A file by the schema's own code (fixtures/twins/make_tflite.py) beside the values that NumPy makes of its codes. */
#include "core/format/format.h"

#include "tests/unit/core/format/lies.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

START_TEST(constants_have_the_values_that_they_stand_for)
{
    struct model *model = open_path(TWINS "model.tflite"), *twin = open_path(TWINS "tflite.npz");

    ck_assert_uint_eq(check_twins(model, twin), 9);
    ck_assert_uint_eq(check_twins(twin, model), 9);
    ck_assert_str_eq(model->format->name, "tflite");
    ck_assert(name_equal(tensor_dtype_name(model_find(model, name_of("codes"))), name_of("INT8")));
    model_close(model);
    model_close(twin);
}
END_TEST

/* Several to a byte, the last of which is not full (make_narrow.py). */
START_TEST(integers_of_less_than_a_byte_are_read)
{
    struct model *model = open_path(TWINS "narrow.tflite"), *twin = open_path(TWINS "narrow.npz");
    const struct tensor *codes = model_find(model, name_of("codes"));

    ck_assert_uint_eq(check_twins(model, twin), 5);
    ck_assert(name_equal(tensor_dtype_name(codes), name_of("INT4")));
    ck_assert_uint_eq(codes->extent.bytes, 8);
    for (uint64_t i = 0; i < codes->shape.elements; i++) {
        const struct tensor *plain = model_find(model, name_of("i4")), *of = model_find(twin, name_of("i4"));
        uint8_t one, other;

        ck_assert_int_eq(decoder_read(model, plain, i, 1, &one, NULL), 0);
        ck_assert_int_eq(decoder_read(twin, of, i, 1, &other, NULL), 0);
        ck_assert_uint_eq(one, other);
    }
    model_close(model);
    model_close(twin);
}
END_TEST

/* By what stands before and behind the texts, which lie where the builder left them. */
static const struct lie lies[] = {
    {"model.tflite", "TFL3", -4, "\xff\xff\xff\x7f", 4,
     "4 bytes at offset 2147483647 are claimed, the file ends at 968"},
    {"model.tflite", "TFL3", -4, "\x01\0\0\0", 4, ""},
    {"model.tflite", "codes", -4, "\xff\xff\xff\x7f", 4, "claims 2147483647 elements of 1 bytes, the file ends at 968"},
    {"model.tflite", "codes", 0, "\xff", 1, "is no text"},
};

START_TEST(what_lies_is_refused_in_words)
{
    check_lie(TWINS, &lies[_i]);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    check_cuts(TWINS "model.tflite");
}
END_TEST

START_TEST(no_changed_byte_does_harm)
{
    check_changes(TWINS "model.tflite", 0, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tflite");
    TCase *tcase = tcase_create("tflite");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, constants_have_the_values_that_they_stand_for);
    tcase_add_test(tcase, integers_of_less_than_a_byte_are_read);
    tcase_add_loop_test(tcase, what_lies_is_refused_in_words, 0, COUNT(lies));
    tcase_add_test(tcase, a_file_cut_anywhere_is_refused);
    tcase_add_test(tcase, no_changed_byte_does_harm);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
