#include "core/model/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/render/json_writer.h"
#include "core/model/model.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    struct error err = {0};

    ck_assert_msg(config_parse(text, strlen(text), &config, &err) == 0, "%s: %s", text, err.text);
    return config;
}

/* The difference as JSON text, which the caller frees; *ret_differs, if asked for, is whether there is any. */
static char *diff(const struct config *a, const struct config *b, uint64_t most, bool *ret_differs)
{
    struct output *output = malloc(sizeof(*output));
    struct json_writer writer;
    int fd = memfd_create("diff", 0);
    bool differs;
    char *text;
    off_t bytes;

    output_init(output, fd);
    json_writer_init(&writer, output, 0);
    differs = config_write_diff(a, b, most, &writer.writer);
    if (ret_differs)
        *ret_differs = differs;
    ck_assert_int_eq(output_finish(output, NULL), 0);
    bytes = lseek(fd, 0, SEEK_END);
    text = calloc(1, (size_t)bytes + 1);
    ck_assert_int_eq(pread(fd, text, (size_t)bytes, 0), bytes);
    close(fd);
    free(output);
    return text;
}

START_TEST(members_are_found_by_path)
{
    struct config *config = parse("{\"hidden_size\": 4096, \"rope\": {\"theta\": 1e6, \"deep\": {\"n\": 7}},\n"
                                  " \"tie\": true, \"off\": false, \"none\": null, \"architectures\": [\"A\", \"B\"],"
                                  " \"huge\": 18446744073709551615, \"beyond\": 18446744073709551616, \"f\": 32.0,"
                                  " \"minus\": -3, \"text\": \"gr\\u00fc\\u00df\", \"\": 5}");
    struct name text;
    uint64_t value = 0;
    bool flag = false;

    ck_assert(config_u64(config, "hidden_size", &value) && value == 4096);
    ck_assert(config_u64(config, "rope.deep.n", &value) && value == 7);
    ck_assert(config_u64(config, "huge", &value) && value == UINT64_MAX);
    ck_assert(!config_u64(config, "beyond", &value) && !config_u64(config, "f", &value));
    ck_assert(!config_u64(config, "minus", &value) && !config_u64(config, "rope.theta", &value));
    ck_assert(!config_u64(config, "rope", &value) && !config_u64(config, "none", &value));
    ck_assert(!config_u64(config, "absent", &value) && !config_u64(config, "tie", &value));
    ck_assert(!config_u64(config, "hidden_size.more", &value));
    ck_assert_uint_eq(value, UINT64_MAX); /* untouched by failures */
    ck_assert(config_flag(config, "tie", &flag) && flag);
    ck_assert(config_flag(config, "off", &flag) && !flag);
    ck_assert(!config_flag(config, "none", &flag));
    ck_assert(config_text(config, "architectures.1", &text) && name_equal(text, name_of("B")));
    ck_assert(!config_text(config, "architectures.2", &text) && !config_text(config, "architectures", &text));
    ck_assert(config_text(config, "text", &text) && name_equal(text, name_of("gr\xc3\xbc\xc3\x9f")));
    ck_assert(!config_text(NULL, "text", &text) && !config_u64(NULL, "hidden_size", &value));
    config_free(config);
}
END_TEST

static const struct {
    const char *text, *says;
} lies[] = {
    {"", "ends too early"},
    {"   ", "ends too early"},
    {"{", "ends too early"},
    {"{\"a\": 1", "ends too early"},
    {"{\"a\"", "ends too early"},
    {"{\"a\": \"b", "does not end"},
    {"{\"a\": 1,}", "expected a key"},
    {"{\"a\": 1} x", "something follows"},
    {"{\"a\": 01}", "leading zero"},
    {"{\"a\": 1.}", "without digits"},
    {"{\"a\": 1e}", "without digits"},
    {"{\"a\": nul}", "expected a value"},
    {"{\"a\": -}", "expected a value"},
    {"{\"a\": Nan}", "expected a value"},
    {"{\"a\": -Inf}", "expected a value"},
    {"{'a': 1}", "expected a key"},
    {"{\"a\": \"\xff\"}", "not valid UTF-8"},
    {"{\"\xed\xa0\x80\": 1}", "not valid UTF-8"},
    {"{\"a\": \"\\ud800\"}", "surrogate"},
    {"{\"a\": 1, \"b\": 2, \"a\": 3}", "the key a appears twice, at byte 18"},
    {"{\"a\": 1, \"\\u0061\": 3}", "the key a appears twice"},
    {"{\"a\": {\"b\": 1, \"b\": 1}}", "the key b appears twice"},
};

START_TEST(malformed_text_is_refused_with_its_place)
{
    struct config *config = NULL;
    struct error err = {0};
    int rc = config_parse(lies[_i].text, strlen(lies[_i].text), &config, &err);

    ck_assert_msg(rc == ERROR_FORMAT, "%s: %d %s", lies[_i].text, rc, err.text);
    ck_assert_msg(strstr(err.text, lies[_i].says), "%s: %s", lies[_i].text, err.text);
    ck_assert_msg(strstr(err.text, "at byte "), "%s", err.text);
    ck_assert_ptr_null(config);
}
END_TEST

START_TEST(every_beginning_of_a_config_is_refused)
{
    static const char whole[] = "{\"a\": [1, {\"b\": \"c\\n\"}, null, true, -1.5e3], \"d\": {}}";
    struct config *config = NULL;
    struct error err;

    for (size_t bytes = 0; bytes < sizeof(whole) - 1; bytes++)
        ck_assert_int_eq(config_parse(whole, bytes, &config, &err), ERROR_FORMAT);
    config_free(parse(whole));
}
END_TEST

START_TEST(what_is_deep_or_long_or_much_is_refused)
{
    size_t bytes = (size_t)CONFIG_VALUES_MAX * 2 + 16;
    char *text = malloc(bytes + 1);
    struct config *config = NULL;
    struct error err;

    memset(text, '[', 1000);
    ck_assert_int_eq(config_parse(text, 1000, &config, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "nested too deeply, at byte 32"), "%s", err.text);
    memset(text + CONFIG_NESTING_MAX, ']', CONFIG_NESTING_MAX);
    ck_assert_int_eq(config_parse(text, 2 * CONFIG_NESTING_MAX, &config, &err), 0);
    config_free(config);
    memcpy(text, "{\"", 2);
    memset(text + 2, 'k', CONFIG_KEY_BYTES_MAX + 1);
    strcpy(text + 3 + CONFIG_KEY_BYTES_MAX, "\": 1}");
    ck_assert_int_eq(config_parse(text, strlen(text), &config, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "a key of more than 1,024 bytes"), "%s", err.text);
    text[0] = '[';
    for (size_t i = 0; i < CONFIG_VALUES_MAX; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    strcpy(text + 2 * (size_t)CONFIG_VALUES_MAX, "]");
    ck_assert_int_eq(config_parse(text, strlen(text), &config, &err), ERROR_LIMIT);
    free(text);
}
END_TEST

/* The walk's pointer has room for the longest path there can be. */
START_TEST(the_longest_pointer_is_written)
{
    size_t room = (size_t)CONFIG_NESTING_MAX * (CONFIG_KEY_BYTES_MAX + 8) + 16, at = 0;
    char *text = malloc(room), *written;
    struct config *config;

    for (int level = 0; level < CONFIG_NESTING_MAX; level++) {
        at += (size_t)sprintf(text + at, "{\"");
        memset(text + at, '/', CONFIG_KEY_BYTES_MAX);
        at += CONFIG_KEY_BYTES_MAX;
        at += (size_t)sprintf(text + at, "\":");
    }
    at += (size_t)sprintf(text + at, "1");
    memset(text + at, '}', CONFIG_NESTING_MAX);
    text[at + CONFIG_NESTING_MAX] = '\0';
    config = parse(text);
    text[at - 1] = '2';
    {
        struct config *other = parse(text);

        written = diff(config, other, 10, NULL);
        ck_assert(strstr(written, "~1~1~1\": [1, 2]") || strstr(written, "~1~1~1\":[1,2]"));
        ck_assert_uint_gt(strlen(written), (size_t)CONFIG_NESTING_MAX * 2 * CONFIG_KEY_BYTES_MAX);
        config_free(other);
    }
    config_free(config);
    free(written);
    free(text);
}
END_TEST

#define NOTHING "{\"added\":{},\"removed\":{},\"changed\":{}}"

static const struct {
    const char *before, *after, *diff; /* before or after NULL: no config */
} diffs[] = {
    {"{}", "{}", NOTHING},
    {"{\"a\": 1, \"b\": [1, 2]}", "{ \"b\":[1,2],\"a\":1 }", NOTHING},
    {"{\"a\": 1}", "{\"a\": 1.0}", NOTHING},
    {"{\"a\": 1e3}", "{\"a\": 1000}", NOTHING},
    {"{\"a\": -0}", "{\"a\": 0}", NOTHING},
    {"{\"a\": 10}", "{\"a\": 0}", "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[10,0]}}"},
    {"{\"a\": \"\\u0041\"}", "{\"a\": \"A\"}", NOTHING},
    {"{\"a\": NaN, \"b\": -Infinity}", "{\"a\": NaN, \"b\": -Infinity}", NOTHING},
    {"{\"a\": [0.0, Infinity]}", "{\"a\": [0, 5]}",
     "{\"added\":{},\"removed\":{},\"changed\":{\"/a/1\":[\"Infinity\",5]}}"},
    {"{\"a\": 1}", "{\"a\": 2}", "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[1,2]}}"},
    {"{\"a\": 1}", "{\"a\": \"1\"}", "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[1,\"1\"]}}"},
    {"{\"a\": null}", "{}", "{\"added\":{},\"removed\":{\"/a\":null},\"changed\":{}}"},
    {"{\"a\": null}", "{\"a\": {\"b\": true}}",
     "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[null,{\"b\":true}]}}"},
    {"{\"a\": {\"b\": [1, 2, 3]}}", "{\"a\": {\"b\": [1, 5], \"c\": -2}}",
     "{\"added\":{\"/a/c\":-2},\"removed\":{\"/a/b/2\":3},\"changed\":{\"/a/b/1\":[2,5]}}"},
    {"{\"a/b~c\": 1}", "{\"\": 2}", "{\"added\":{\"/\":2},\"removed\":{\"/a~1b~0c\":1},\"changed\":{}}"},
    {"{\"l10\": 1, \"l9\": 1}", "{}", "{\"added\":{},\"removed\":{\"/l9\":1,\"/l10\":1},\"changed\":{}}"},
    {"[1]", "{\"a\": 1}", "{\"added\":{},\"removed\":{},\"changed\":{\"\":[[1],{\"a\":1}]}}"},
    {"5", "5", NOTHING},
    {NULL, "{\"a\": 1, \"b\": {\"c\": 2}}", "{\"added\":{\"/a\":1,\"/b\":{\"c\":2}},\"removed\":{},\"changed\":{}}"},
    {"{\"a\": 1}", NULL, "{\"added\":{},\"removed\":{\"/a\":1},\"changed\":{}}"},
    {"7", NULL, "{\"added\":{},\"removed\":{\"\":7},\"changed\":{}}"},
    {NULL, NULL, NOTHING},
    /* Integers beyond a double are told apart, and shown as they are spelt. */
    {"{\"a\": 9007199254740993}", "{\"a\": 9007199254740992}",
     "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[9007199254740993,9007199254740992]}}"},
    {"{\"a\": 18446744073709551617}", "{\"a\": 18446744073709551616}",
     "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[\"18446744073709551617\",\"18446744073709551616\"]}}"},
    {"{\"a\": 1e999}", "{\"a\": -1e999}", "{\"added\":{},\"removed\":{},\"changed\":{\"/a\":[\"1e999\",\"-1e999\"]}}"},
};

static char *without_space(char *text)
{
    char *out = text;

    for (char *in = text; *in; in++)
        if (*in != ' ' && *in != '\n')
            *out++ = *in;
    *out = '\0';
    return text;
}

START_TEST(differences_are_pointers_to_values)
{
    struct config *before = diffs[_i].before ? parse(diffs[_i].before) : NULL;
    struct config *after = diffs[_i].after ? parse(diffs[_i].after) : NULL;
    bool differs, differs_back;
    char *text = without_space(diff(before, after, 100, &differs)), *back = diff(after, before, 100, &differs_back);

    ck_assert_str_eq(text, diffs[_i].diff);
    ck_assert(differs == (strcmp(diffs[_i].diff, NOTHING) != 0) && differs == differs_back);
    free(text);
    free(back);
    config_free(before);
    config_free(after);
}
END_TEST

START_TEST(only_so_many_differences_are_listed)
{
    struct config *before = parse("{\"a\": 1, \"b\": 2, \"c\": 3}"), *after = parse("{\"a\": 9, \"b\": 9, \"d\": 9}");
    char *text = without_space(diff(before, after, 2, NULL));

    ck_assert_str_eq(text, "{\"added\":{\"/d\":9},\"removed\":{\"/c\":3},\"changed\":{},\"omitted\":2}");
    free(text);
    config_free(before);
    config_free(after);
}
END_TEST

START_TEST(large_values_are_listed_member_by_member_and_long_text_is_cut)
{
    char text[16384] = "{\"labels\": {";
    struct config *before, *after;
    char *written;

    for (int i = 0; i < 100; i++)
        sprintf(text + strlen(text), "%s\"%d\": \"label\"", i ? "," : "", i);
    strcat(text, "}, \"long\": \"");
    memset(text + strlen(text), 'x', 5000);
    strcat(text, "\"}");
    before = parse("{}");
    after = parse(text);
    written = diff(before, after, 1000, NULL);
    ck_assert(strstr(written, "\"/labels/99\"") && strstr(written, "… (5000 bytes)"));
    ck_assert_uint_lt(strlen(written), 4096 + 4000);
    free(written);
    written = diff(before, after, 10, NULL);
    ck_assert(strstr(written, "\"/labels/9\"") && !strstr(written, "\"/labels/10\""));
    ck_assert(strstr(written, "91"));
    free(written);
    config_free(before);
    config_free(after);
}
END_TEST

START_TEST(deep_values_are_listed_level_by_level)
{
    struct config *before = parse("{}"), *after = parse("{\"a\": [[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]}");
    char *written = without_space(diff(before, after, 10, NULL));

    ck_assert_str_eq(written,
                     "{\"added\":{\"/a/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0\":[[[[7]]]]},\"removed\":{},\"changed\":{}}");
    free(written);
    config_free(before);
    config_free(after);
}
END_TEST

START_TEST(metadata_differs_like_a_config)
{
    struct metadata_entry before[] = {{name_of("format"), name_of("pt")}, {name_of("step"), name_of("1")}};
    struct metadata_entry after[] = {{name_of("format"), name_of("pt")}, {name_of("step"), name_of("2")}};
    struct config *a, *b, *none;
    char *text;

    ck_assert_int_eq(config_of_metadata(before, 2, &a, NULL), 0);
    ck_assert_int_eq(config_of_metadata(after, 2, &b, NULL), 0);
    ck_assert_int_eq(config_of_metadata(NULL, 0, &none, NULL), 0);
    text = without_space(diff(a, b, 10, NULL));
    ck_assert_str_eq(text, "{\"added\":{},\"removed\":{},\"changed\":{\"/step\":[\"1\",\"2\"]}}");
    free(text);
    text = without_space(diff(none, b, 10, NULL));
    ck_assert_str_eq(text, "{\"added\":{\"/format\":\"pt\",\"/step\":\"2\"},\"removed\":{},\"changed\":{}}");
    free(text);
    config_free(a);
    config_free(b);
    config_free(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/config");
    TCase *tests = tcase_create("config");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, members_are_found_by_path);
    tcase_add_loop_test(tests, malformed_text_is_refused_with_its_place, 0, COUNT(lies));
    tcase_add_test(tests, every_beginning_of_a_config_is_refused);
    tcase_add_test(tests, what_is_deep_or_long_or_much_is_refused);
    tcase_add_test(tests, the_longest_pointer_is_written);
    tcase_add_loop_test(tests, differences_are_pointers_to_values, 0, COUNT(diffs));
    tcase_add_test(tests, only_so_many_differences_are_listed);
    tcase_add_test(tests, large_values_are_listed_member_by_member_and_long_text_is_cut);
    tcase_add_test(tests, deep_values_are_listed_level_by_level);
    tcase_add_test(tests, metadata_differs_like_a_config);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
