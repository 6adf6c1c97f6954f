/* Streams of server-sent events over real sockets. */
#include "tests/unit/server/front.h"

#define EVENTS(id, headers) "GET /v1/jobs/" id "/events HTTP/1.1\r\n" HOST headers "\r\n"

static char text[65536];

static void follow(int fd, const char *request)
{
    text[0] = '\0';
    client_send(fd, request);
}

static void await(int fd, const char *part)
{
    ck_assert_msg(client_read_until(fd, text, sizeof(text), part), "no %s in: %s", part, text);
}

static void change(enum job_state state, enum http_change kind)
{
    atomic_store(&fake.submitted_state, state);
    atomic_fetch_add(&fake.news, 1);
    http_job_changed(front, ID_QUEUED, kind);
}

START_TEST(events_are_the_whole_job_then_progress_then_the_end)
{
    int fd;

    start();
    fd = client();
    follow(fd, EVENTS(ID_QUEUED, ""));
    await(fd, "\"request\":");
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 200 "));
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: text/event-stream\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Cache-Control: no-store\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "retry: 2000\n\nid: 7\nevent: snapshot\ndata: {\"id\":\"" ID_QUEUED "\","));
    change(JOB_RUNNING, HTTP_CHANGE_STATE);
    await(fd, "id: 8\nevent: progress\ndata: {\"state\":\"running\",\"attempt\":1,\"progress\":{\"fraction\":");
    change(JOB_SUCCEEDED, HTTP_CHANGE_STATE);
    await(fd, "id: 9\nevent: end\ndata: {\"id\":\"" ID_QUEUED "\",\"state\":\"succeeded\",");
    await(fd, "\r\n0\r\n\r\n");
    AWAIT(counters().streams == 0);
    /* The connection goes on. */
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    close(fd);
    stop();
    ck_assert_int_eq(count_text(access_log.lines, "GET /v1/jobs/{id}/events 200 "), 1);
}
END_TEST

START_TEST(an_ended_job_is_told_and_the_stream_ends)
{
    int fd;

    start();
    fd = client();
    follow(fd, EVENTS(ID_DONE, ""));
    await(fd, "\r\n0\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(text, "\n\nevent: snapshot\ndata: {"));
    ck_assert_ptr_nonnull(strstr(text, "\n\nid: 7\nevent: end\ndata: {"));
    /* Who knows the end is told to come no more. */
    client_send(fd, EVENTS(ID_DONE, "Last-Event-ID: 7\r\n"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 204);
    client_send(fd, EVENTS(ID_UNKNOWN, ""));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 404);
    client_send(fd, EVENTS(ID_DONE, "Accept: application/json\r\n"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 406);
    client_send(fd, "HEAD /v1/jobs/" ID_RUNNING "/events HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 200 "));
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: text/event-stream\r\n"));
    ck_assert_ptr_null(strstr(text, "Content-Length:"));
    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n"); /* and nothing after it */
    close(fd);
    stop();
}
END_TEST

START_TEST(who_comes_back_hears_only_what_is_new)
{
    int fd;

    start();
    atomic_store(&fake.submitted_state, JOB_RUNNING);
    fd = client();
    follow(fd, EVENTS(ID_QUEUED, "Last-Event-ID: 7\r\n"));
    await(fd, "retry: 2000\n\n");
    change(JOB_RUNNING, HTTP_CHANGE_PROGRESS);
    await(fd, "id: 8\nevent: progress\n");
    ck_assert_ptr_null(strstr(text, "event: snapshot"));
    close(fd);
    fd = client();
    follow(fd, EVENTS(ID_QUEUED, "Last-Event-ID: 7\r\n"));
    await(fd, "id: 8\nevent: snapshot\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(progress_is_told_four_times_a_second_and_the_end_at_once)
{
    int64_t begun, end;
    int fd, changes = 0;

    start();
    atomic_store(&fake.submitted_state, JOB_RUNNING);
    fd = client();
    follow(fd, EVENTS(ID_QUEUED, ""));
    await(fd, "event: snapshot");
    AWAIT(atomic_load(&fake.gets) == 2); /* the handler's look, and the one after the registration */
    begun = clock_ms();
    do {
        change(JOB_RUNNING, HTTP_CHANGE_PROGRESS);
        changes++;
    } while (clock_ms() - begun < 900);
    end = clock_ms();
    change(JOB_SUCCEEDED, HTTP_CHANGE_STATE);
    await(fd, "event: end");
    ck_assert_int_lt(clock_ms() - end, 200);
    ck_assert_int_gt(changes, 100);
    ck_assert_int_ge(count_text(text, "event: progress"), 2);
    ck_assert_int_le(count_text(text, "event: progress"), 4);
    close(fd);
    stop();
}
END_TEST

START_TEST(a_change_between_the_look_and_the_stream_is_not_missed)
{
    int fd;

    fake.gate = &gate;
    start();
    fd = client();
    follow(fd, EVENTS(ID_QUEUED, ""));
    turnstile_await(&gate, 1); /* the handler looks; the change is not told to the stream, which is not there yet */
    turnstile_open(&gate);
    fake.gate = NULL;
    await(fd, "event: snapshot");
    AWAIT(atomic_load(&fake.gets) == 2);
    close(fd);
    stop();
}
END_TEST

START_TEST(many_follow_one_job_at_the_cost_of_one_look)
{
    enum { FOLLOWERS = 300 };
    int fds[FOLLOWERS], looks;

    start();
    atomic_store(&fake.submitted_state, JOB_RUNNING);
    for (int i = 0; i < FOLLOWERS; i++) {
        fds[i] = client();
        follow(fds[i], EVENTS(ID_QUEUED, ""));
        await(fds[i], "event: snapshot");
    }
    ck_assert_uint_eq(counters().streams, FOLLOWERS);
    looks = atomic_load(&fake.gets);
    change(JOB_FAILED, HTTP_CHANGE_STATE);
    for (int i = 0; i < FOLLOWERS; i++) {
        text[0] = '\0';
        await(fds[i], "event: end");
        close(fds[i]);
    }
    ck_assert_int_le(atomic_load(&fake.gets) - looks, 3);
    AWAIT(counters().streams == 0);
    stop();
}
END_TEST

START_TEST(who_follows_and_leaves_is_forgotten)
{
    int fds[20], idle[4];

    start();
    /* Some that keep their connections, on each thread. */
    for (int i = 0; i < 4; i++) {
        idle[i] = client();
        client_send(idle[i], GET("/livez"));
        ck_assert_int_eq(client_read_response(idle[i], text, sizeof(text), true), 200);
        text[0] = '\0';
    }
    for (int i = 0; i < 20; i++) {
        fds[i] = client();
        follow(fds[i], EVENTS(ID_RUNNING, ""));
        await(fds[i], "event: snapshot");
    }
    ck_assert_uint_eq(counters().streams, 20);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    AWAIT(counters().streams == 0);
    AWAIT(counters().connections == 4);
    for (int i = 0; i < 4; i++)
        close(idle[i]);
    stop();
}
END_TEST

START_TEST(a_silent_stream_is_kept_alive_by_comments)
{
    int fd;

    config.comment_ms = 50;
    start();
    fd = client();
    follow(fd, EVENTS(ID_RUNNING, ""));
    await(fd, "event: snapshot");
    await(fd, "\r\n:\n\n\r\n");
    ck_assert_int_eq(count_text(text, "event: "), 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(a_deleted_job_is_said_to_be)
{
    int fd;

    start();
    fd = client();
    follow(fd, EVENTS(ID_RUNNING, ""));
    await(fd, "event: snapshot");
    AWAIT(atomic_load(&fake.gets) == 2);
    fake.fail = ERROR_NOT_FOUND;
    http_job_changed(front, ID_RUNNING, HTTP_CHANGE_STATE);
    await(fd, "event: deleted\ndata: {\"id\":\"" ID_RUNNING "\"}\n\n");
    await(fd, "\r\n0\r\n\r\n");
    close(fd);
    stop();
}
END_TEST

START_TEST(streams_get_a_last_event_when_the_service_ends)
{
    int fd;

    start();
    fd = client();
    follow(fd, EVENTS(ID_RUNNING, ""));
    await(fd, "event: snapshot");
    ck_assert_uint_eq(http_drain(front, PATIENCE_MS), 0);
    await(fd, "event: closing\ndata: {");
    await(fd, "\r\n0\r\n\r\n");
    ck_assert_int_eq(recv(fd, text, 1, 0), 0);
    close(fd);
    stop();
}
END_TEST

START_TEST(there_are_only_so_many_who_follow)
{
    int first, second;

    config.max_streams = 1;
    start();
    first = client();
    follow(first, EVENTS(ID_RUNNING, ""));
    await(first, "event: snapshot");
    second = client();
    client_send(second, EVENTS(ID_RUNNING, ""));
    ck_assert_int_eq(client_read_response(second, text, sizeof(text), true), 503);
    ck_assert_ptr_nonnull(strstr(text, "Retry-After: "));
    close(first);
    AWAIT(counters().streams == 0);
    follow(second, EVENTS(ID_RUNNING, ""));
    await(second, "event: snapshot");
    close(second);
    stop();
}
END_TEST

START_TEST(http_1_0_gets_its_events_unchunked)
{
    int fd;

    start();
    fd = client();
    follow(fd, "GET /v1/jobs/" ID_DONE "/events HTTP/1.0\r\n" HOST "\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_null(strcasestr(text, "chunked"));
    ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nretry: 2000\n\nevent: snapshot\n"));
    close(fd);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http events");
    TCase *tc = tcase_create("events");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, prepare, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, events_are_the_whole_job_then_progress_then_the_end);
    tcase_add_test(tc, an_ended_job_is_told_and_the_stream_ends);
    tcase_add_test(tc, who_comes_back_hears_only_what_is_new);
    tcase_add_test(tc, progress_is_told_four_times_a_second_and_the_end_at_once);
    tcase_add_test(tc, a_change_between_the_look_and_the_stream_is_not_missed);
    tcase_add_test(tc, many_follow_one_job_at_the_cost_of_one_look);
    tcase_add_test(tc, who_follows_and_leaves_is_forgotten);
    tcase_add_test(tc, a_silent_stream_is_kept_alive_by_comments);
    tcase_add_test(tc, a_deleted_job_is_said_to_be);
    tcase_add_test(tc, streams_get_a_last_event_when_the_service_ends);
    tcase_add_test(tc, there_are_only_so_many_who_follow);
    tcase_add_test(tc, http_1_0_gets_its_events_unchunked);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
