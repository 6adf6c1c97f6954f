/* Clients that send or read too slowly are cut; those who are kept waiting by this side are not. */
#include "tests/unit/server/front.h"

#define UPLOAD "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n"

static void prepare_pace(void)
{
    prepare();
    config.pace_window_ms = 300;
    config.pace_bytes = 10000;
}

START_TEST(an_upload_that_drips_does_not_hold_its_place)
{
    char text[4096];
    int fd;

    start();
    fd = client();
    client_send(fd, UPLOAD);
    AWAIT(counters().uploads == 1);
    ck_assert_int_ge(drip(fd, "abc"), 300); /* 100 bytes a second */
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 408 "));
    AWAIT(atomic_load(&fake.abandoned) == 1);
    AWAIT(counters().uploads == 0);
    ck_assert_uint_eq(counters().cut, 1);
    close(fd);
    stop();
}
END_TEST

/* Sends requests until the front reads no more. */
static void flood(int fd, const char *request)
{
    size_t length = strlen(request), at = 0;
    int64_t stuck = clock_ms();

    while (clock_ms() - stuck < 100) {
        ssize_t sent = send(fd, request + at, length - at, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent > 0) {
            at = (at + (size_t)sent) % length;
            stuck = clock_ms();
        }
    }
}

START_TEST(a_flood_of_requests_whose_replies_are_not_read_is_cut)
{
    int64_t begun;
    int fd, other;
    char text[65536];

    start();
    fd = client();
    flood(fd, GET("/openapi.yaml"));
    begun = clock_ms();
    /* Meanwhile others are served. */
    other = client();
    client_send(other, GET("/livez"));
    ck_assert_int_eq(client_read_response(other, text, sizeof(text), true), 200);
    close(other);
    AWAIT(counters().cut == 1);
    AWAIT(counters().connections == 0);
    ck_assert_int_lt(clock_ms() - begun, 2000);
    close(fd);
    stop();
}
END_TEST

/* Reads at most a buffer every 10 ms until the front cuts somebody or time is up; the bytes read. */
static size_t read_slowly(int fd, size_t buffer, int64_t most_ms)
{
    static char text[256 * 1024];
    int64_t begun = clock_ms();
    size_t total = 0;

    while (clock_ms() - begun < most_ms && counters().cut == 0) {
        struct pollfd pause = {.fd = -1};
        ssize_t got = recv(fd, text, buffer, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        total += got > 0 ? (size_t)got : 0;
        poll(&pause, 1, 10);
    }
    return total;
}

START_TEST(a_reader_that_drips_is_cut)
{
    int fd;

    start();
    fd = client();
    flood(fd, GET("/openapi.yaml"));
    read_slowly(fd, 10, PATIENCE_MS); /* 1,000 bytes a second */
    ck_assert_uint_eq(counters().cut, 1);
    AWAIT(counters().connections == 0);
    close(fd);
    stop();
}
END_TEST

START_TEST(a_reader_that_is_fast_enough_is_not_cut)
{
    int fd;

    start();
    fd = client();
    flood(fd, GET("/openapi.yaml"));
    ck_assert_uint_gt(read_slowly(fd, 20000, 1200), 1000000); /* 2 MB a second, over four windows */
    ck_assert_uint_eq(counters().cut, 0);
    close(fd);
    stop();
}
END_TEST

START_TEST(an_upload_that_this_side_keeps_waiting_is_not_cut)
{
    static char data[1000000];
    char text[4096];
    int fd, slow;

    fake.append_gate = &gate;
    start();
    fd = client();
    client_send(fd, UPLOAD);
    client_send_bytes(fd, data, 100000);
    turnstile_await(&gate, 1); /* the disk hangs, and the rest lies in the kernel */
    slow = client();           /* when it is cut, the upload's window is over too */
    flood(slow, GET("/openapi.yaml"));
    AWAIT(counters().cut == 1);
    turnstile_open(&gate);
    ck_assert(client_send_bytes(fd, data, sizeof(data) - 100000));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 201);
    close(slow);
    close(fd);
    stop();
}
END_TEST

START_TEST(who_waits_or_follows_is_not_slow)
{
    char text[8192] = "";
    int slow, waiter, follower;

    start();
    waiter = client();
    client_send(waiter, "GET /v1/jobs/" ID_RUNNING " HTTP/1.1\r\n" HOST "Prefer: wait=60\r\n\r\n");
    AWAIT(counters().waiters == 1);
    follower = client();
    client_send(follower, GET("/v1/jobs/" ID_RUNNING "/events"));
    ck_assert(client_read_until(follower, text, sizeof(text), "event: snapshot"));
    slow = client();
    flood(slow, GET("/openapi.yaml"));
    AWAIT(counters().cut == 1);
    AWAIT(counters().connections == 2);
    ck_assert_uint_eq(counters().waiters, 1);
    ck_assert_uint_eq(counters().streams, 1);
    close(slow);
    close(waiter);
    close(follower);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http pace");
    TCase *tc = tcase_create("pace");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, prepare_pace, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, an_upload_that_drips_does_not_hold_its_place);
    tcase_add_test(tc, a_flood_of_requests_whose_replies_are_not_read_is_cut);
    tcase_add_test(tc, a_reader_that_drips_is_cut);
    tcase_add_test(tc, a_reader_that_is_fast_enough_is_not_cut);
    tcase_add_test(tc, an_upload_that_this_side_keeps_waiting_is_not_cut);
    tcase_add_test(tc, who_waits_or_follows_is_not_slow);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
