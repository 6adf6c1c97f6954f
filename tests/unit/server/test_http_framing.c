/* Framings that other servers read differently get exactly one 400, and what follows them is never read. */
#include <check.h>
#include <stdlib.h>

#include "server/http.h"
#include "tests/unit/api/fake_backend.h"
#include "tests/unit/server/raw_client.h"

static struct fake fake;
static struct http *front;

static void start(void)
{
    struct http_config config;
    struct error err = {.code = ERROR_NONE};

    fake_init(&fake);
    http_config_init(&config);
    config.port = 0;
    ck_assert_msg(http_start(&config, &fake.backend, &front, &err) == 0, "%s", err.text);
    http_set_ready(front, true);
}

static void stop(void)
{
    http_stop(front);
}

#define BYTES(text) text, sizeof(text) - 1
#define JOB         "/v1/jobs/" ID_DONE
#define HOST        "Host: localhost\r\n"

static const struct {
    const char *name;
    const char *bytes;
    size_t count;
} bad[] = {
    {"two different lengths",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x")},
    {"two equal lengths", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")},
    {"length and chunked",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"chunked and length",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")},
    {"two encodings", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST
                            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"an encoding that is not chunked",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
    {"an encoding with a tail",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")},
    {"chunked in HTTP/1.0", BYTES("POST /v1/jobs HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"a blank before the colon", BYTES("GET " JOB " HTTP/1.1\r\nHost : localhost\r\n\r\n")},
    {"a blank before another colon", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "Content-Length : 0\r\n\r\n")},
    {"a control character in a name", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X\x01y: z\r\n\r\n")},
    {"a bracket in a name", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X[y]: z\r\n\r\n")},
    {"a name with a high byte", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X\xc3\xa9: z\r\n\r\n")},
    {"bare LF after the request line", BYTES("GET " JOB " HTTP/1.1\n" HOST "\r\n")},
    {"bare LF between fields", BYTES("GET " JOB " HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n")},
    {"bare LF at the last field", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: y\n\r\n")},
    {"bare LF everywhere", BYTES("GET " JOB " HTTP/1.1\nHost: localhost\n\n")},
    {"bare LF as the blank line", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "\n")},
    {"NUL in a value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n")},
    {"NUL in the last value's end", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\0\r\n\r\n")},
    {"NUL in a name", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X\0y: a\r\n\r\n")},
    {"NUL in the target", BYTES("GET " JOB "\0x HTTP/1.1\r\n" HOST "\r\n")},
    {"a control character in a value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\x1b[31m\r\n\r\n")},
    {"DEL in a value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n")},
    {"a folded line", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n")},
    {"a line folded with a tab", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\nY: z\r\n\r\n")},
    {"a folded Content-Length", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length:\r\n 2\r\n\r\n{}")},
    {"no Host", BYTES("GET " JOB " HTTP/1.1\r\nX: y\r\n\r\n")},
    {"no field at all", BYTES("GET " JOB " HTTP/1.1\r\n\r\n")},
    {"two Hosts", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "Host: localhost\r\n\r\n")},
    {"two different Hosts", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "Host: evil\r\n\r\n")},
    {"a bracket in the method", BYTES("G[T " JOB " HTTP/1.1\r\n" HOST "\r\n")},
    {"a target without a path", BYTES("GET jobs HTTP/1.1\r\n" HOST "\r\n")},
    {"a target of another host", BYTES("GET http://evil" JOB " HTTP/1.1\r\n" HOST "\r\n")},
    {"a target with a user", BYTES("GET http://localhost@evil" JOB " HTTP/1.1\r\n" HOST "\r\n")},
    {"CONNECT", BYTES("CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n")},
    {"two blanks before the target", BYTES("GET  " JOB " HTTP/1.1\r\n" HOST "\r\n")},
    {"two blanks after the target", BYTES("GET " JOB "  HTTP/1.1\r\n" HOST "\r\n")},
    {"a length with a sign", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: +2\r\n\r\n{}")},
    {"a negative length", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: -2\r\n\r\n{}")},
    {"a length that is no number", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 2x\r\n\r\n{}")},
    {"a length list", BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 2, 2\r\n\r\n{}")},
};

START_TEST(bad_framing_gets_one_4xx_and_the_connection_ends)
{
    char text[65536];
    int fd = client_connect(http_port(front));

    ck_assert(client_send_bytes(fd, bad[_i].bytes, bad[_i].count));
    client_send_bytes(fd, BYTES("GET /v1/jobs/" ID_RUNNING " HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_msg(client_read_all(fd, text, sizeof(text)), "%s: still open after: %s", bad[_i].name, text);
    ck_assert_msg(strncmp(text, "HTTP/1.1 4", 10) == 0 || strncmp(text, "HTTP/1.0 4", 10) == 0, "%s: %s", bad[_i].name,
                  text);
    /* libmicrohttpd says its own header block twice for a length that is no number, then closes. */
    if (!strstr(text, "<html>"))
        ck_assert_msg(count_text(text, "HTTP/1.1 ") == 1, "%s: %s", bad[_i].name, text);
    ck_assert_msg(!strstr(text, "\"state\""), "%s: the second request was served: %s", bad[_i].name, text);
    ck_assert_int_eq(atomic_load(&fake.gets), 0);
    close(fd);
}
END_TEST

#define CHUNKS "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

/* Refused by libmicrohttpd before a handler sees it; its versions do not agree on the status. */
static const struct {
    const char *name, *head;
    size_t filling; /* bytes of 'a' after the head */
    const char *tail;
} below[] = {
    {"a field larger than the buffer", "GET " JOB " HTTP/1.1\r\n" HOST "X: ", 20000, "\r\n\r\n"},
    {"a field without an end", "GET " JOB " HTTP/1.1\r\n" HOST "X: ", 200000, ""},
    {"a target larger than the buffer", "GET /", 100000, " HTTP/1.1\r\n" HOST "\r\n"},
    {"a chunk's size that is no number", CHUNKS "zz\r\n{}\r\n0\r\n\r\n", 0, ""},
    {"a chunk's size with a sign", CHUNKS "-1\r\n{}\r\n0\r\n\r\n", 0, ""},
    {"a chunk's size with a prefix", CHUNKS "0x2\r\n{}\r\n0\r\n\r\n", 0, ""},
    {"a chunk's size beyond 64 bits", CHUNKS "FFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", 0, ""},
    {"a chunk that is longer than it says", CHUNKS "2\r\n{}xx0\r\n\r\n", 0, ""},
    {"a chunk's extension larger than the buffer", CHUNKS "2;", 40000, "\r\n{}\r\n0\r\n\r\n"},
    {"HTTP/2.0", "GET " JOB " HTTP/2.0\r\n" HOST "\r\n", 0, ""},
    {"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, ""},
    {"HTTP/0.9", "GET " JOB "\r\n\r\n", 0, ""},
    {"a line without a colon", "GET " JOB " HTTP/1.1\r\n" HOST "nocolon\r\n\r\n", 0, ""},
};

START_TEST(what_is_not_http_gets_one_refusal_and_the_connection_ends)
{
    size_t head = strlen(below[_i].head), tail = strlen(below[_i].tail);
    char *bytes = malloc(head + below[_i].filling + tail), text[65536];
    int fd = client_connect(http_port(front));

    memcpy(bytes, below[_i].head, head);
    memset(bytes + head, 'a', below[_i].filling);
    memcpy(bytes + head + below[_i].filling, below[_i].tail, tail);
    client_send_bytes(fd, bytes, head + below[_i].filling + tail);
    client_send_bytes(fd, BYTES("GET /v1/jobs/" ID_RUNNING " HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_msg(client_read_all(fd, text, sizeof(text)), "%s: still open after: %s", below[_i].name, text);
    /* A reset may have thrown the refusal away. */
    ck_assert_msg(!*text || strncmp(text + 8, " 4", 2) == 0 || strncmp(text + 8, " 5", 2) == 0, "%s: %s",
                  below[_i].name, text);
    ck_assert_msg(!strstr(text, "\"state\""), "%s: the second request was served: %s", below[_i].name, text);
    ck_assert_int_eq(atomic_load(&fake.gets), 0);
    free(bytes);
    close(fd);
}
END_TEST

static const struct {
    const char *name;
    const char *bytes;
    size_t count;
    int status;
} good[] = {
    {"plain", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "\r\n"), 200},
    {"no blank after the colon", BYTES("GET " JOB " HTTP/1.1\r\nHost:localhost\r\n\r\n"), 200},
    {"blanks around a value", BYTES("GET " JOB " HTTP/1.1\r\nHost: \t localhost\r\nX:   y\r\n\r\n"), 200},
    {"an empty value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X:\r\nY: \r\n\r\n"), 200},
    {"a colon in a value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a: b :c\r\n\r\n"), 200},
    {"a tab and high bytes in a value", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "X: a\tb\xc3\xa9\r\n\r\n"), 200},
    {"a cookie", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "Cookie: a=b; c=\"d\"; e\r\nX: y\r\n\r\n"), 200},
    {"a query", BYTES("GET /v1/jobs?state=queued&page_size=2 HTTP/1.1\r\n" HOST "\r\n"), 200},
    {"a query of odd pieces", BYTES("GET /v1/jobs?&&state=&label HTTP/1.1\r\n" HOST "\r\n"), 200},
    {"absolute-form", BYTES("GET http://localhost" JOB " HTTP/1.1\r\n" HOST "\r\n"), 200},
    {"an empty line first", BYTES("\r\nGET " JOB " HTTP/1.1\r\n" HOST "\r\n"), 200},
    {"fields twice", BYTES("GET " JOB " HTTP/1.1\r\n" HOST "Accept: a/b\r\nAccept: */*\r\n\r\n"), 200},
    {"an unknown method", BYTES("BREW " JOB " HTTP/1.1\r\n" HOST "\r\n"), 405},
    {"chunked",
     BYTES("POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: "
           "chunked\r\n\r\n4\r\n{\"mo\r\n11;x=y\r\ndels\":[\"a\",\"b\"]}\r\n0\r\n\r\n"),
     202},
};

START_TEST(good_framing_is_served_and_the_connection_stays)
{
    char text[65536];
    int fd = client_connect(http_port(front));

    for (int i = 0; i < 2; i++) {
        ck_assert(client_send_bytes(fd, good[_i].bytes, good[_i].count));
        ck_assert_msg(client_read_response(fd, text, sizeof(text), true) == good[_i].status, "%s: %s", good[_i].name,
                      text);
    }
    close(fd);
}
END_TEST

START_TEST(http_1_0_is_served_and_closed)
{
    char text[65536];
    int fd = client_connect(http_port(front));

    client_send(fd, "GET " JOB " HTTP/1.0\r\nHost: localhost\r\n\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, " 200 "));
    ck_assert_ptr_null(strcasestr(text, "chunked"));
    close(fd);
    fd = client_connect(http_port(front));
    client_send(fd, "GET /livez HTTP/1.0\r\n\r\n"); /* without a Host, which it may */
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, " 200 "));
    close(fd);
}
END_TEST

static const struct {
    const char *target;
    int status;
} targets[] = {
    {"/v1/jobs/0190a000-0000-7000-8000-00000000000%33", 200},
    {"/v1/jobs/" ID_DONE "/", 404},
    {"//v1/jobs", 404},
    {"/v1/./jobs", 404},
    {"/v1/../v1/jobs", 404},
    {"/v1/jobs/%2e%2e", 404},
    {"/v1/jobs/a%00b", 400},
    {"/v1/jobs/a%ff", 400},
    {"/v1/jobs/a%c0%af", 400},
    {"/v1/jobs/a%2Fb", 400},
    {"/v1%2Fjobs", 400},
    {"/v1/jobs/%", 400},
    {"/v1/jobs/%4", 400},
    {"/v1/jobs/%zz", 400},
    {"/v1/jobs#x", 400},
    {"/v1/jobs?page_size=%zz", 400},
    {"/v1/jobs?page_size=1&page_size=2", 400},
    {"/v1/jobs?page_siz=1", 400},
    {"/v1/jobs?page%5Fsize=1", 200},
    {"/a/b/c/d/e/f/g/h/i/j/k", 404},
};

START_TEST(targets_are_decoded_once_and_by_segment)
{
    char text[65536], request[512];
    int fd = client_connect(http_port(front));

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", targets[_i].target);
    client_send(fd, request);
    ck_assert_msg(client_read_response(fd, text, sizeof(text), true) == targets[_i].status, "%s: %s",
                  targets[_i].target, text);
    close(fd);
}
END_TEST

START_TEST(a_hundred_and_one_fields_are_too_many)
{
    char text[65536], request[8192];
    int fd = client_connect(http_port(front));
    size_t used = (size_t)snprintf(request, sizeof(request), "GET /livez HTTP/1.1\r\nHost: localhost\r\n");

    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(request + used, sizeof(request) - used, "X%d: y\r\n", i);
    snprintf(request + used, sizeof(request) - used, "\r\n");
    client_send(fd, request);
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 431 "));
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http framing");
    TCase *tc = tcase_create("framing");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, start, stop);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, bad_framing_gets_one_4xx_and_the_connection_ends, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_loop_test(tc, what_is_not_http_gets_one_refusal_and_the_connection_ends, 0,
                        sizeof(below) / sizeof(below[0]));
    tcase_add_loop_test(tc, good_framing_is_served_and_the_connection_stays, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_test(tc, http_1_0_is_served_and_closed);
    tcase_add_loop_test(tc, targets_are_decoded_once_and_by_segment, 0, sizeof(targets) / sizeof(targets[0]));
    tcase_add_test(tc, a_hundred_and_one_fields_are_too_many);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
