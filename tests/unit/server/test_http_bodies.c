/* Bodies over real sockets: uploads, refusals, deadlines. */
#include "tests/unit/server/front.h"

START_TEST(a_body_that_drips_is_cut_at_the_deadline)
{
    char text[4096];
    int fd;

    config.body_timeout_ms = 300;
    start();
    fd = client();
    client_send(fd,
                "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
    drip(fd, "{\"models\":[\"a\",\"b\"],   ");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 408 "));
    AWAIT(counters().connections == 0);
    close(fd);
    stop();
}
END_TEST

START_TEST(uploads_have_a_bound_of_their_own)
{
    char text[4096];
    int first, second;

    config.max_uploads = 1;
    start();
    first = client();
    client_send(first, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    AWAIT(atomic_load(&fake.appended) == 3);
    second = client();
    client_send(second, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    ck_assert(client_read_all(second, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 503 "));
    close(second);
    second = client();
    client_send(second, GET("/v1/jobs"));
    ck_assert_int_eq(client_read_response(second, text, sizeof(text), true), 200);
    close(second);
    client_send(first, "def");
    ck_assert_int_eq(client_read_response(first, text, sizeof(text), true), 201);
    close(first);
    stop();
}
END_TEST

START_TEST(a_broken_upload_is_abandoned)
{
    static const char *const uploads[] = {"Content-Length: 1000\r\n\r\n0123456789",
                                          "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n",
                                          "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nnonsense\r\n"};
    char text[4096];
    int fd;

    start();
    fd = client();
    if (_i >= 3) { /* on a connection that was used before, so on the other daemon */
        client_send(fd, GET("/livez"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    }
    client_send(fd, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST);
    client_send(fd, uploads[_i % 3]);
    AWAIT(atomic_load(&fake.appended) == 10);
    if (_i % 3 < 2)
        close(fd);
    AWAIT(atomic_load(&fake.abandoned) == 1);
    ck_assert_int_eq(atomic_load(&fake.committed), 0);
    if (_i % 3 == 2)
        close(fd);
    stop();
}
END_TEST

static size_t resident_kib(void)
{
    char text[256] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    unsigned long size = 0, resident = 0;

    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    sscanf(text, "%lu %lu", &size, &resident);
    return resident * 4;
}

START_TEST(an_upload_of_100_mb_takes_no_memory)
{
    static char block[1 << 20];
    char text[4096], head[256];
    size_t before, most = 0;
    int fd;

    start();
    fd = client();
    if (_i) {
        client_send(fd, GET("/livez"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    }
    memset(block, 'x', sizeof(block));
    before = resident_kib();
    snprintf(head, sizeof(head), "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             100 * sizeof(block));
    client_send(fd, head);
    for (int i = 0; i < 100; i++) {
        size_t now;

        ck_assert(client_send_bytes(fd, block, sizeof(block)));
        now = resident_kib();
        if (now > most)
            most = now;
    }
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 201);
    ck_assert_uint_eq(atomic_load(&fake.appended), 100 * sizeof(block));
    ck_assert_msg(most < before + 16 * 1024, "from %zu to %zu KiB", before, most);
    close(fd);
    stop();
}
END_TEST

START_TEST(an_upload_may_follow_other_requests)
{
    static char block[300000];
    char text[4096];
    int fd;

    start();
    fd = client();
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 3; i++) {
        client_send(fd, GET("/v1/jobs"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
        client_send(fd, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
        ck_assert(client_send_bytes(fd, block, sizeof(block)));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 201);
        client_send(fd, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST
                        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 201);
        ck_assert_ptr_nonnull(strstr(text, "\"bytes\":5,"));
    }
    ck_assert_uint_eq(atomic_load(&fake.appended), 3 * 300005);
    close(fd);
    stop();
}
END_TEST

START_TEST(an_upload_that_fails_under_way_is_told_and_abandoned)
{
    static char block[300000];
    char text[4096];
    int fd;

    fake.fail_append = ERROR_NO_SPACE;
    start();
    fd = client();
    if (_i) {
        client_send(fd, GET("/v1/jobs"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    }
    client_send(fd, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
    client_send_bytes(fd, block, sizeof(block));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 507);
    AWAIT(atomic_load(&fake.abandoned) == 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(a_body_that_is_not_wanted_is_dropped_and_the_refusal_is_read)
{
    static char block[4 << 20];
    char text[4096], head[256];
    int fd;

    start();
    fd = client();
    memset(block, 'x', sizeof(block));
    /* Under the bound of what is dropped: the connection stays. */
    snprintf(head, sizeof(head),
             "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             sizeof(block));
    for (int i = 0; i < 2; i++) {
        client_send(fd, head);
        ck_assert(client_send_bytes(fd, block, sizeof(block)));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 413);
        ck_assert_ptr_nonnull(strstr(text, "/problems/too-large"));
    }
    /* A chunked one is counted as it comes. */
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST
                    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_send(fd, "400000\r\n");
    ck_assert(client_send_bytes(fd, block, sizeof(block)));
    client_send(fd, "\r\n0\r\n\r\n");
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 413);
    /* Other refusals alike. */
    snprintf(head, sizeof(head), "PUT /v1/nothing HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", sizeof(block));
    client_send(fd, head);
    ck_assert(client_send_bytes(fd, block, sizeof(block)));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 404);
    close(fd);
    /* Beyond it: told in a few bytes, which are read though the client went on for a while; cut when it does not end.
     */
    fd = client();
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST
                    "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n");
    for (int i = 0; i < 24 && client_send_bytes(fd, block, sizeof(block)); i++)
        ;
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 413);
    AWAIT(counters().connections == 0);
    ck_assert_uint_eq(counters().cut, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(a_refused_body_that_never_comes_does_not_hold_the_connection)
{
    char text[4096];
    int fd;

    config.drop_timeout_ms = 200;
    start();
    fd = client();
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST
                    "Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\nx");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 413 "));
    close(fd);
    stop();
}
END_TEST

START_TEST(a_client_that_asks_first_sends_nothing_in_vain)
{
    char text[4096];
    int fd;

    start();
    fd = client();
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 100000000\r\n"
                    "Expect: 100-continue\r\n\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_msg(strncmp(text, "HTTP/1.1 413 ", 13) == 0, "%s", text);
    close(fd);
    fd = client();
    client_send(fd, "PUT /v1/uploads/.. HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_msg(strncmp(text, "HTTP/1.1 400 ", 13) == 0, "%s", text);
    close(fd);
    fd = client();
    client_send(fd, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    ck_assert_int_eq(recv(fd, text, 12, MSG_WAITALL), 12);
    ck_assert_int_eq(memcmp(text, "HTTP/1.1 100", 12), 0);
    client_send(fd, "abc");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 201 "));
    close(fd);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http bodies");
    TCase *tc = tcase_create("http");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, prepare, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_body_that_drips_is_cut_at_the_deadline);
    tcase_add_test(tc, uploads_have_a_bound_of_their_own);
    tcase_add_loop_test(tc, a_broken_upload_is_abandoned, 0, 6);
    tcase_add_loop_test(tc, an_upload_of_100_mb_takes_no_memory, 0, 2);
    tcase_add_test(tc, an_upload_may_follow_other_requests);
    tcase_add_loop_test(tc, an_upload_that_fails_under_way_is_told_and_abandoned, 0, 2);
    tcase_add_test(tc, a_body_that_is_not_wanted_is_dropped_and_the_refusal_is_read);
    tcase_add_test(tc, a_refused_body_that_never_comes_does_not_hold_the_connection);
    tcase_add_test(tc, a_client_that_asks_first_sends_nothing_in_vain);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
