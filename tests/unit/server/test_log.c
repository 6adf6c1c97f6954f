#include <check.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"

static const int64_t noon_ms = INT64_C(1735732800123); /* 2025-01-01T12:00:00.123Z */

START_TEST(a_line_of_json_has_its_fields)
{
    const struct log_field fields[] = {log_text("job", "x\"y\\z"), log_u64("attempt", 2), log_text("absent", NULL),
                                       log_seconds("seconds", 0.5), log_i64("pid", -1)};
    char line[512];
    unsigned bytes = log_render(LOG_JSON, noon_ms, LEVEL_WARNING, "job", fields, 5, line, sizeof(line));

    ck_assert_uint_eq(bytes, strlen(line));
    ck_assert_str_eq(line, "{\"time\":\"2025-01-01T12:00:00.123Z\",\"level\":\"warning\",\"event\":\"job\","
                           "\"job\":\"x\\\"y\\\\z\",\"attempt\":2,\"seconds\":0.500000,\"pid\":-1}\n");
}
END_TEST

START_TEST(a_line_of_text_is_for_people)
{
    const struct log_field fields[] = {log_text("job", "x"), log_text("cause", "two words"), log_text("empty", "")};
    char line[512];

    log_render(LOG_TEXT, noon_ms, LEVEL_ERROR, "job", fields, 3, line, sizeof(line));
    ck_assert_str_eq(line, "12:00:00 error: job job=x cause=\"two words\" empty=\"\"\n");
}
END_TEST

/* Each is dangerous on a terminal, or no UTF-8. */
static const char *const dangers[] = {"\x1b[2J",
                                      "a\nb",
                                      "\x7f",
                                      "\xc2\x9b"
                                      "2J",
                                      "\xe2\x80\xae"
                                      "txt",
                                      "\xe2\x81\xa6",
                                      "\xd8\x9c",
                                      "\xe2\x81\xa0",
                                      "\xff",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x80\x8b x",
                                      "\xe2\x82 cut",
                                      "\xef\xbb\xbf"};

START_TEST(nothing_reaches_the_terminal_that_acts_on_it)
{
    const struct log_field field = log_text("name", dangers[_i]);
    char line[512];
    struct json_object *parsed;

    for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
        unsigned bytes =
            log_render((enum log_format)format, noon_ms, LEVEL_INFO, "event", &field, 1, line, sizeof(line));

        for (unsigned i = 0; i + 1 < bytes; i++)
            ck_assert_msg((unsigned char)line[i] >= 0x20 && (unsigned char)line[i] < 0x7f, "%s", line);
        ck_assert_int_eq(line[bytes - 1], '\n');
        if (format == LOG_JSON) {
            parsed = json_tokener_parse(line);
            ck_assert_ptr_nonnull(parsed);
            json_object_put(parsed);
        }
    }
}
END_TEST

START_TEST(letters_of_other_scripts_pass)
{
    const struct log_field field = log_text("name", "Größe 模型 🙂");
    char line[512];

    log_render(LOG_JSON, noon_ms, LEVEL_INFO, "event", &field, 1, line, sizeof(line));
    ck_assert_ptr_nonnull(strstr(line, "Größe 模型 🙂"));
}
END_TEST

START_TEST(a_field_that_is_too_long_leaves_a_whole_line)
{
    static char long_text[20000];
    struct log_field fields[] = {log_text("before", "1"), log_text("long", long_text), log_text("after", "2")};
    char line[1024];
    struct json_object *parsed;

    memset(long_text, '\x01', sizeof(long_text) - 1);
    log_render(LOG_JSON, noon_ms, LEVEL_INFO, "event", fields, 3, line, sizeof(line));
    parsed = json_tokener_parse(line);
    ck_assert_ptr_nonnull(parsed);
    ck_assert(json_object_object_get_ex(parsed, "before", NULL));
    ck_assert(json_object_object_get_ex(parsed, "after", NULL));
    json_object_put(parsed);
}
END_TEST

enum { WRITERS = 4, LINES = 20000, URGENT = 1000 };

static void *write_lines(void *number)
{
    for (unsigned i = 0; i < LINES; i++) {
        const struct log_field fields[] = {log_u64("writer", *(const unsigned *)number), log_u64("line", i)};

        (i % URGENT ? log_write_soon : log_write)(LEVEL_INFO, "line", fields, 2);
    }
    return NULL;
}

START_TEST(gathered_lines_come_whole_and_in_order)
{
    char path[] = "/tmp/diffaid-log-XXXXXX", line[512];
    int file = mkstemp(path), kept = dup(STDERR_FILENO);
    unsigned numbers[WRITERS] = {0, 1, 2, 3}, next[WRITERS] = {0}, count = 0;
    pthread_t writers[WRITERS];
    FILE *written;

    unlink(path);
    ck_assert(file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    log_start(LOG_TEXT);
    log_gather_start();
    for (unsigned i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_lines, &numbers[i]), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    log_gather_stop();
    LOG_LINE(LEVEL_INFO, "last");
    dup2(kept, STDERR_FILENO);
    close(kept);
    written = fdopen(file, "r");
    rewind(written);
    while (fgets(line, sizeof(line), written) && !strstr(line, " last\n")) {
        unsigned writer, i;
        char end;

        ck_assert_msg(sscanf(line, "%*s line writer=%u line=%u%c", &writer, &i, &end) == 3 && end == '\n', "%s", line);
        ck_assert_uint_lt(writer, WRITERS);
        ck_assert_uint_eq(i, next[writer]++);
        count++;
    }
    ck_assert_uint_eq(count, WRITERS * LINES);
    ck_assert_ptr_nonnull(strstr(line, " last\n"));
    fclose(written);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_line_of_json_has_its_fields);
    tcase_add_test(tcase, a_line_of_text_is_for_people);
    tcase_add_loop_test(tcase, nothing_reaches_the_terminal_that_acts_on_it, 0, sizeof(dangers) / sizeof(dangers[0]));
    tcase_add_test(tcase, letters_of_other_scripts_pass);
    tcase_add_test(tcase, a_field_that_is_too_long_leaves_a_whole_line);
    tcase_add_test(tcase, gathered_lines_come_whole_and_in_order);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
