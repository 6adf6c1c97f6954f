/* The JSON writer, and the index beside a result: what it says must be where it says. */
#include <check.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/render/json_writer.h"
#include "api/render/result_index.h"
#include "core/analysis/analysis.h"

static struct output output, index_output;

static char *contents(struct output *of, size_t *ret_bytes)
{
    off_t size;
    char *text;

    ck_assert_int_eq(output_finish(of, NULL), 0);
    size = lseek(of->fd, 0, SEEK_END);
    text = calloc(1, (size_t)size + 1);
    ck_assert_int_eq(pread(of->fd, text, (size_t)size, 0), size);
    close(of->fd);
    if (ret_bytes)
        *ret_bytes = (size_t)size;
    return text;
}

START_TEST(a_figure_that_has_no_value_is_null_with_its_reason)
{
    struct json_writer json;
    char *text;

    output_init(&output, memfd_create("json", 0));
    json_writer_init(&json, &output, 0);
    write_begin_object(&json.writer);
    write_figure(&json.writer, "cosine", NAN, "one side is all zero");
    write_figure(&json.writer, "mean", 0.5, "empty");
    write_null(&json.writer, "index", NULL);
    write_array(&json.writer, "list");
    json.writer.ops->null(&json.writer, "not told in a list");
    write_end(&json.writer);
    write_end(&json.writer);
    text = contents(&output, NULL);
    ck_assert_str_eq(text, "{\"cosine\":null,\"cosine_reason\":\"one side is all zero\",\"mean\":0.5,\"index\":null,"
                           "\"list\":[null]}\n");
    free(text);
}
END_TEST

static const struct {
    const char *text;
    size_t bytes;
    const char *expected;
} strings[] = {
    {"plain", 5, "\"plain\""},
    {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
    {"\x1b[31m\n", 6, "\"\\u001b[31m\\n\""},
    {"\xe2\x80\xae"
     "a\xc2\x9b",
     6, "\"\\u202ea\\u009b\""},
    {"nul\0in", 6, "\"nul\\u0000in\""},
    {"gr\xc3\xbc\xc3\x9f", 6, "\"gr\xc3\xbc\xc3\x9f\""},
    {"bad\xff", 4, "\"bad\xef\xbf\xbd\""},
    {"cut\xe2\x82", 5, "\"cut\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
};

START_TEST(strings_are_escaped_and_always_valid)
{
    char *text;

    output_init(&output, memfd_create("json", 0));
    json_write_string(&output, strings[_i].text, strings[_i].bytes);
    text = contents(&output, NULL);
    ck_assert_str_eq(text, strings[_i].expected);
    free(text);
}
END_TEST

/* What the writer copies eight bytes at a time comes out as json_write_string has it, byte by byte. */
START_TEST(every_byte_at_every_place_of_a_string_is_written_as_it_must_be)
{
    static struct output expected;
    char text[20];
    size_t unlike = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < sizeof(text); at++) {
            struct json_writer json;

            output_init(&output, -1);
            output_init(&expected, -1);
            memset(text, 'x', sizeof(text));
            text[at] = (char)byte;
            json_writer_init(&json, &output, 0);
            json.writer.ops->text(&json.writer, text, sizeof(text));
            json_write_string(&expected, text, sizeof(text));
            unlike += output.used != expected.used || memcmp(output.buffer, expected.buffer, output.used) != 0;
        }
    }
    ck_assert_uint_eq(unlike, 0);
}
END_TEST

static struct model *open_fixture(const char *path)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};
    struct model *model = NULL;

    ck_assert_int_eq(model_open(&place, &limits_default, &model, NULL), 0);
    return model;
}

START_TEST(the_index_points_at_each_record_of_the_listing)
{
    struct model *models[2] = {open_fixture(FIXTURES "/golden/compare/finetune.a.safetensors"),
                               open_fixture(FIXTURES "/golden/compare/finetune.b.safetensors")};
    struct compare_request request = {.analyses = 1u};
    struct compare_env env = {.scan.threads = 2};
    struct comparison *comparison = NULL;
    struct render_options options = {.index = &index_output};
    const struct index_header *header;
    const struct index_record *records;
    size_t text_bytes, index_bytes;
    char *text, *index;

    options_init(&request.options);
    request.options.sort = SORT_CHANGE_MAGNITUDE;
    ck_assert_int_eq(compare_run(&request, models, 2, &env, &comparison, NULL), 0);
    output_init(&output, memfd_create("json", 0));
    output_init(&index_output, memfd_create("index", 0));
    json_renderer.render(comparison, &options, &output);
    text = contents(&output, &text_bytes);
    index = contents(&index_output, &index_bytes);
    header = (const struct index_header *)index;
    records = (const struct index_record *)(header + 1);
    ck_assert_uint_eq(header->magic, RESULT_INDEX_MAGIC);
    ck_assert_uint_eq(header->records, comparison->listing_count);
    ck_assert_uint_eq(index_bytes, sizeof(*header) + header->records * sizeof(*records) + header->names_bytes);
    for (size_t i = 0; i < header->records; i++) {
        const char *name = index + sizeof(*header) + header->records * sizeof(*records) + records[i].name_at;
        struct json_object *record, *member;
        char *copy;

        ck_assert_uint_le(records[i].offset + records[i].bytes, text_bytes);
        copy = strndup(text + records[i].offset, records[i].bytes);
        record = json_tokener_parse(copy);
        ck_assert_ptr_nonnull(record);
        ck_assert(json_object_object_get_ex(record, "name", &member));
        ck_assert_uint_eq((size_t)json_object_get_string_len(member), records[i].name_bytes);
        ck_assert_mem_eq(json_object_get_string(member), name, records[i].name_bytes);
        ck_assert(json_object_object_get_ex(record, "status", &member));
        ck_assert_str_eq(json_object_get_string(member), status_names[records[i].status]);
        if (json_object_object_get_ex(record, "delta", &member)) {
            struct json_object *figure;

            ck_assert(json_object_object_get_ex(member, "l2", &figure));
            ck_assert_double_eq(json_object_get_double(figure), records[i].figures[SORT_L2]);
        }
        json_object_put(record);
        free(copy);
    }
    free(text);
    free(index);
    comparison_free(comparison);
    model_close(models[0]);
    model_close(models[1]);
}
END_TEST

START_TEST(a_full_disk_is_reported_once_at_the_end)
{
    struct error error = {0};

    output_init(&output, open("/dev/full", O_WRONLY));
    for (int i = 0; i < 100000; i++)
        output_text(&output, "some text");
    ck_assert_int_eq(output_finish(&output, &error), ERROR_NO_SPACE);
    close(output.fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, a_figure_that_has_no_value_is_null_with_its_reason);
    tcase_add_loop_test(tcase, strings_are_escaped_and_always_valid, 0, sizeof(strings) / sizeof(strings[0]));
    tcase_add_test(tcase, every_byte_at_every_place_of_a_string_is_written_as_it_must_be);
    tcase_add_test(tcase, the_index_points_at_each_record_of_the_listing);
    tcase_add_test(tcase, a_full_disk_is_reported_once_at_the_end);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
