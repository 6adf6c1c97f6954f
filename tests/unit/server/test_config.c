#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"
#include "tests/unit/server/scratch.h"

static char *directory;
static char file_flag[600];
static char warnings[1000];

static void setup(void)
{
    directory = scratch_new();
    snprintf(file_flag, sizeof(file_flag), "--config=%s/settings", directory);
    warnings[0] = '\0';
}

static void teardown(void)
{
    scratch_remove(directory);
}

static void write_file(const char *text)
{
    scratch_write(directory, "settings", text, strlen(text));
}

static void keep_warning(void *context, const char *text)
{
    (void)context;
    snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n", text);
}

static int read_settings(char *const *arguments, char *const *environment, struct config *config, struct error *err)
{
    enum config_wish wish;
    int argc = 0;

    while (arguments[argc])
        argc++;
    return config_read(argc, arguments, environment, keep_warning, NULL, config, &wish, err);
}

#define WORDS(...)     ((char *const[]){(char *)"serve", __VA_ARGS__ __VA_OPT__(, ) NULL})
#define VARIABLES(...) ((char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

START_TEST(defaults_hold_when_nothing_is_said)
{
    struct config config;

    ck_assert_int_eq(read_settings(WORDS(), VARIABLES(), &config, NULL), 0);
    ck_assert_str_eq(config.listen, "127.0.0.1:8080");
    ck_assert_uint_eq(config.queue_limit, 10000);
    ck_assert_int_eq(config.retention_ms, INT64_C(30) * 86400000);
    ck_assert_uint_eq(config.models_roots.count, 0);
    ck_assert(!config.no_auth);
    config_done(&config);
}
END_TEST

START_TEST(a_flag_beats_the_environment_beats_the_file_beats_the_default)
{
    struct config config;
    struct error err = {0};

    write_file("# comment\nworkers = 3\nthreads=5\nqueue-limit = 7\nmodels-root = /from/file\nmodels-root = /second\n");
    ck_assert_msg(read_settings(WORDS(file_flag, (char *)"--workers", (char *)"9"),
                                VARIABLES((char *)"DIFFAID_WORKERS=8", (char *)"DIFFAID_THREADS=6"), &config,
                                &err) == 0,
                  "%s", err.text);
    ck_assert_uint_eq(config.workers, 9);
    ck_assert_uint_eq(config.threads, 6);
    ck_assert_uint_eq(config.queue_limit, 7);
    ck_assert_uint_eq(config.models_roots.count, 2);
    ck_assert_str_eq(config.models_roots.items[1], "/second");
    config_done(&config);
}
END_TEST

START_TEST(a_list_of_a_higher_layer_replaces_the_lower_one)
{
    struct config config;

    write_file("models-root = /from/file\n");
    ck_assert_int_eq(read_settings(WORDS(file_flag), VARIABLES((char *)"DIFFAID_MODELS_ROOT=a=/x,b=/y"), &config, NULL),
                     0);
    ck_assert_uint_eq(config.models_roots.count, 2);
    ck_assert_str_eq(config.models_roots.items[0], "a=/x");
    config_done(&config);
    ck_assert_int_eq(read_settings(WORDS(file_flag, (char *)"--models-root=/z,1"),
                                   VARIABLES((char *)"DIFFAID_MODELS_ROOT=/x"), &config, NULL),
                     0);
    ck_assert_uint_eq(config.models_roots.count, 1);
    ck_assert_str_eq(config.models_roots.items[0], "/z,1");
    config_done(&config);
}
END_TEST

START_TEST(an_unknown_variable_only_warns)
{
    struct config config;

    ck_assert_int_eq(read_settings(WORDS(),
                                   VARIABLES((char *)"DIFFAID_PORT=tcp://10.0.0.1", (char *)"DIFFAID_ISA=scalar",
                                             (char *)"PATH=/bin"),
                                   &config, NULL),
                     0);
    ck_assert_ptr_nonnull(strstr(warnings, "DIFFAID_PORT"));
    ck_assert_ptr_null(strstr(warnings, "ISA"));
    ck_assert_ptr_null(strstr(warnings, "PATH"));
    config_done(&config);
}
END_TEST

struct spelling {
    const char *flag, *value;
    int64_t expected; /* −1: refused */
};
static const struct spelling spellings[] = {
    {"--upload-limit", "4096", 4096},
    {"--upload-limit", "64K", 65536},
    {"--upload-limit", "2GiB", INT64_C(2) << 30},
    {"--upload-limit", "2 G", -1},
    {"--upload-limit", "-1", -1},
    {"--upload-limit", "0", -1}, /* below its least */
    {"--upload-limit", "99999999999999999999", -1},
    {"--upload-limit", "9999999999T", -1},
    {"--upload-limit", "", -1},
    {"--upload-limit", "1e3", -1},
    {"--job-timeout", "10", 10000},
    {"--job-timeout", "250ms", 250},
    {"--job-timeout", "5m", 300000},
    {"--job-timeout", "2h", 7200000},
    {"--job-timeout", "30d", INT64_C(2592000000)},
    {"--job-timeout", "31d", -1},
    {"--job-timeout", "5 minutes", -1},
};

START_TEST(sizes_and_times_are_spelt_as_people_spell_them)
{
    const struct spelling *spelling = &spellings[_i];
    struct config config;
    struct error err = {0};
    int rc = read_settings(WORDS((char *)spelling->flag, (char *)spelling->value), VARIABLES(), &config, &err);

    if (spelling->expected < 0) {
        ck_assert_int_eq(rc, ERROR_REQUEST);
        ck_assert_ptr_nonnull(strstr(err.text, spelling->flag));
        return;
    }
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_eq(strcmp(spelling->flag, "--upload-limit") == 0 ? (int64_t)config.upload_limit_bytes
                                                                   : config.job_timeout_ms,
                     spelling->expected);
    config_done(&config);
}
END_TEST

struct mistake {
    const char *argument, *message;
};
static const struct mistake mistakes[] = {
    {"--worker=2", "did you mean --workers?"},
    {"--model-root=/x", "did you mean --models-root?"},
    {"--zzzzzzzz=1", "--zzzzzzzz is not known"},
    {"--workers", "needs a value"},
    {"--workers=257", "outside 0 to 256"},
    {"--no-auth=perhaps", "neither true nor false"},
    {"--log-format=xml", "not one of auto|json|text"},
    {"--sandbox=maybe", "not one of auto|require|off"},
    {"workers=2", "settings start with --"},
    {"--", "settings start with --"},
};

START_TEST(a_mistake_is_named_with_what_was_meant)
{
    struct config config;
    struct error err = {0};

    ck_assert_int_eq(read_settings(WORDS((char *)mistakes[_i].argument), VARIABLES(), &config, &err), ERROR_REQUEST);
    ck_assert_msg(strstr(err.text, mistakes[_i].message) != NULL, "%s", err.text);
    ck_assert_ptr_null(config.listen);
}
END_TEST

static const struct mistake lines[] = {
    {"worker = 2\n", "did you mean workers?"},
    {"ok = 1\n", "line 1"},
    {"workers\n", "not key = value"},
    {"# fine\n\nworkers = many\n", "not a whole number"},
};

START_TEST(a_file_is_held_to_the_same_table)
{
    struct config config;
    struct error err = {0};

    write_file(lines[_i].argument);
    ck_assert_int_eq(read_settings(WORDS(file_flag), VARIABLES(), &config, &err), ERROR_REQUEST);
    ck_assert_msg(strstr(err.text, lines[_i].message) != NULL, "%s", err.text);
    ck_assert_int_eq(read_settings(WORDS((char *)"--config=/nowhere"), VARIABLES(), &config, &err), ERROR_REQUEST);
}
END_TEST

START_TEST(help_is_recognised_whatever_else_is_said)
{
    struct config config;
    enum config_wish wish = CONFIG_RUN;

    ck_assert_int_eq(config_read(2, WORDS((char *)"--help"), VARIABLES(), NULL, NULL, &config, &wish, NULL), 0);
    ck_assert_int_eq(wish, CONFIG_HELP);
    config_done(&config);
}
END_TEST

START_TEST(addresses_are_split_and_judged)
{
    char host[64];
    uint16_t port;

    ck_assert_int_eq(config_listen_split("[::1]:80", host, sizeof(host), &port, NULL), 0);
    ck_assert_str_eq(host, "::1");
    ck_assert_uint_eq(port, 80);
    ck_assert_int_eq(config_listen_split(":8080", host, sizeof(host), &port, NULL), 0);
    ck_assert_str_eq(host, "");
    ck_assert_int_eq(config_listen_split("::1:80", host, sizeof(host), &port, NULL), ERROR_REQUEST);
    ck_assert_int_eq(config_listen_split("127.0.0.1", host, sizeof(host), &port, NULL), ERROR_REQUEST);
    ck_assert_int_eq(config_listen_split("127.0.0.1:65536", host, sizeof(host), &port, NULL), ERROR_REQUEST);
    ck_assert(config_host_is_loopback("127.1.2.3"));
    ck_assert(config_host_is_loopback("localhost"));
    ck_assert(!config_host_is_loopback("127.evil.example"));
    ck_assert(!config_host_is_loopback("0.0.0.0"));
    ck_assert(!config_host_is_loopback(""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, defaults_hold_when_nothing_is_said);
    tcase_add_test(tcase, a_flag_beats_the_environment_beats_the_file_beats_the_default);
    tcase_add_test(tcase, a_list_of_a_higher_layer_replaces_the_lower_one);
    tcase_add_test(tcase, an_unknown_variable_only_warns);
    tcase_add_loop_test(tcase, sizes_and_times_are_spelt_as_people_spell_them, 0,
                        sizeof(spellings) / sizeof(spellings[0]));
    tcase_add_loop_test(tcase, a_mistake_is_named_with_what_was_meant, 0, sizeof(mistakes) / sizeof(mistakes[0]));
    tcase_add_loop_test(tcase, a_file_is_held_to_the_same_table, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tcase, help_is_recognised_whatever_else_is_said);
    tcase_add_test(tcase, addresses_are_split_and_judged);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
