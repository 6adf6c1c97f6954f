/* What holds for every row of the table of routes. */
#include "tests/unit/api/ask.h"

static struct fake fake;

static void setup(void)
{
    fake_init(&fake);
}

/* Every route of GET, its parameters filled in. */
static void fill(const char *path, char out[256])
{
    size_t used = 0;

    for (; *path; path++) {
        const char *value = strncmp(path, "{id}", 4) == 0       ? ID_DONE
                            : strncmp(path, "{upload}", 8) == 0 ? ID_UPLOAD
                            : strncmp(path, "{slug}", 6) == 0   ? "busy"
                                                                : NULL;

        if (value) {
            used += (size_t)snprintf(out + used, 256 - used, "%s", value);
            path = strchr(path, '}');
        } else {
            out[used++] = *path;
        }
    }
    out[used] = '\0';
}

START_TEST(wherever_get_is_head_is_and_options_says_so)
{
    char target[256];

    for (size_t i = 0; i < route_count; i++) {
        struct answer get, head, options;

        if (routes[i].method != METHOD_GET)
            continue;
        fill(routes[i].path, target);
        get = ask(&fake, "GET", target, NULL, NULL);
        head = ask(&fake, "HEAD", target, NULL, NULL);
        options = ask(&fake, "OPTIONS", target, NULL, NULL);
        ck_assert_int_eq(head.response.status, get.response.status);
        ck_assert_str_eq(answer_header(&head, "Content-Type"), answer_header(&get, "Content-Type"));
        ck_assert_str_eq(answer_header(&head, "ETag"), answer_header(&get, "ETag"));
        ck_assert_str_eq(answer_header(&head, "Vary"), answer_header(&get, "Vary"));
        ck_assert_int_eq(options.response.status, 204);
        ck_assert_msg(strstr(answer_header(&options, "Allow"), "GET, HEAD") != NULL, "%s: %s", target,
                      answer_header(&options, "Allow"));
        ck_assert_ptr_nonnull(strstr(answer_header(&options, "Allow"), "OPTIONS"));
        answer_done(&get);
        answer_done(&head);
        answer_done(&options);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *tc = tcase_create("routes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, wherever_get_is_head_is_and_options_says_so);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
