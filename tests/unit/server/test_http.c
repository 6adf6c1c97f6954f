/* The front over real sockets: deadlines, bounds, waiting, draining. Deadlines here are short; nothing sleeps but
 * clients whose slowness is the point. */
#include "api/routes.h"
#include "tests/unit/server/front.h"

START_TEST(a_header_that_drips_is_cut_at_the_deadline)
{
    static const char *const beginnings[] = {"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
                                             "PUT /v1/uploads/m HTTP/1.1\r\nHost: localhost\r\nX-Slow: "};
    char text[4096];
    int64_t took;
    int fd;

    config.header_timeout_ms = 400;
    start();
    fd = client();
    took = drip(fd, beginnings[_i]);
    ck_assert_int_ge(took, 300);
    ck_assert_int_le(took, 3000);
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 408 "));
    close(fd);
    stop();
}
END_TEST

START_TEST(a_silent_connection_is_closed_at_the_deadline)
{
    char text[64];
    int fd;

    config.header_timeout_ms = 200;
    start();
    fd = client();
    if (_i)
        client_send(fd, "PU"); /* not yet told whether it uploads */
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_str_eq(text, "");
    close(fd);
    stop();
}
END_TEST

START_TEST(a_later_header_has_a_deadline_too_but_idleness_has_not)
{
    struct timespec idle = {.tv_nsec = 500 * 1000000}; /* beyond the deadline: slowness is the point */
    char text[4096];
    int64_t took;
    int fd;

    config.header_timeout_ms = 200;
    start();
    fd = client();
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    nanosleep(&idle, NULL);
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    took = drip(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    ck_assert_int_ge(took, 150);
    ck_assert_int_le(took, 3000);
    close(fd);
    stop();
}
END_TEST

START_TEST(beyond_the_bound_there_is_a_fixed_503_but_health_answers)
{
    static const struct {
        const char *request;
        const char *status;
    } shed[] = {{GET("/v1/jobs"), "HTTP/1.1 503 "},
                {GET("/livez"), "HTTP/1.1 200 "},
                {GET("/readyz"), "HTTP/1.1 200 "},
                {"PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 503 "}};
    char text[4096];
    int held[3], fd;

    config.max_connections = 3;
    start();
    for (int i = 0; i < 3; i++) {
        held[i] = client();
        client_send(held[i], GET("/livez"));
        ck_assert_int_eq(client_read_response(held[i], text, sizeof(text), true), 200);
    }
    for (size_t i = 0; i < 4; i++) {
        fd = client();
        client_send(fd, shed[i].request);
        ck_assert(client_read_all(fd, text, sizeof(text)));
        ck_assert_msg(strncmp(text, shed[i].status, strlen(shed[i].status)) == 0, "%s", text);
        if (strstr(shed[i].status, "503"))
            ck_assert_ptr_nonnull(strstr(text, "Retry-After"));
        close(fd);
    }
    http_set_ready(front, false);
    fd = client();
    client_send(fd, GET("/readyz"));
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 503 "));
    close(fd);
    ck_assert_uint_eq(counters().shed, 3);
    /* Room again. */
    close(held[0]);
    AWAIT(counters().connections == 2);
    fd = client();
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_ptr_nonnull(strstr(text, "X-Request-Id"));
    close(fd);
    close(held[1]);
    close(held[2]);
    stop();
}
END_TEST

/* Those that were answered and do not leave give way to it. */
START_TEST(a_probe_is_answered_behind_a_crowd_of_refused_clients)
{
    enum { REFUSED = 12 };
    char text[4096];
    int kept, refused[REFUSED], probe;

    config.max_connections = 1;
    config.max_refusals = 4;
    start();
    kept = client();
    client_send(kept, GET("/livez"));
    ck_assert_int_eq(client_read_response(kept, text, sizeof(text), true), 200);
    for (size_t i = 0; i < REFUSED; i++) {
        refused[i] = client();
        client_send(refused[i], GET("/v1/jobs"));
        ck_assert_int_eq(client_read_response(refused[i], text, sizeof(text), true), 503);
    }
    probe = client();
    client_send(probe, GET("/livez"));
    ck_assert_int_eq(client_read_response(probe, text, sizeof(text), true), 200);
    close(probe);
    for (size_t i = 0; i < REFUSED; i++)
        close(refused[i]);
    close(kept);
    stop();
}
END_TEST

START_TEST(connections_are_kept_and_pipelined)
{
    char text[65536];
    int fd;

    start();
    fd = client();
    client_send(fd, GET("/livez") GET("/v1/jobs") GET(RUNNING) GET("/nothing") GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_ptr_nonnull(strstr(text, "\"jobs\":["));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_ptr_nonnull(strstr(text, ID_RUNNING));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 404);
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    client_send(fd, "GET /livez HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    close(fd);
    stop();
}
END_TEST

START_TEST(head_tells_what_get_would_send)
{
    static const char *const targets[] = {"/", "/livez", RUNNING, DONE "/result", DONE "/tensors", "/nothing"};
    char head[65536], get[65536], request[256];
    size_t length_head, length_get;
    int fd, status;

    fake.is_file = true;
    start();
    fd = client();
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        snprintf(request, sizeof(request), "HEAD %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
        client_send(fd, request);
        status = client_read_response(fd, head, sizeof(head), false);
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
        client_send(fd, request);
        ck_assert_int_eq(client_read_response(fd, get, sizeof(get), true), status);
        length_head = strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10);
        length_get = strtoul(strstr(get, "Content-Length: ") + 16, NULL, 10);
        ck_assert_uint_eq(length_head, length_get);
        ck_assert_uint_eq(strlen(strstr(get, "\r\n\r\n") + 4), length_get);
    }
    close(fd);
    stop();
}
END_TEST

START_TEST(responses_without_a_body_have_none)
{
    char text[4096];
    int fd;

    start();
    fd = client();
    for (int i = 0; i < 2; i++) {
        client_send(fd, "GET " RUNNING " HTTP/1.1\r\n" HOST "If-None-Match: \"7-0\"\r\n\r\n");
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 304);
        client_send(fd, "DELETE " DONE " HTTP/1.1\r\n" HOST "\r\n");
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 204);
        client_send(fd, "OPTIONS /v1/jobs HTTP/1.1\r\n" HOST "\r\n");
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 204);
        ck_assert_ptr_nonnull(strstr(text, "Allow: GET, HEAD, POST, OPTIONS"));
    }
    close(fd);
    stop();
}
END_TEST

START_TEST(results_are_sent_from_files_and_in_pieces)
{
    char text[65536];
    int fd;

    fake.is_file = _i;
    start();
    fd = client();
    for (int i = 0; i < 2; i++) {
        client_send(fd, GET(DONE "/result"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
        ck_assert_str_eq(strstr(text, "\r\n\r\n") + 4, fake_json);
        client_send(fd, "GET " DONE "/result HTTP/1.1\r\n" HOST "Range: bytes=1-8\r\n\r\n");
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 206);
        ck_assert_str_eq(strstr(text, "\r\n\r\n") + 4, "\"schema\"");
        client_send(fd, GET(DONE "/tensors?status=bit_equal"));
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
        ck_assert_str_eq(strstr(text, "\r\n\r\n") + 4,
                         "{\"tensors\":[{\"name\":\"b.weight\",\"status\":\"bit_equal\"}],"
                         "\"next_page_token\":\"\",\"total_size\":1}");
    }
    close(fd);
    stop();
}
END_TEST

#define SUBMIT(prefer)                                                                                                 \
    "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n" prefer "Content-Length: 20\r\n\r\n"         \
    "{\"models\":[\"a\",\"b\"]}"

START_TEST(who_waits_is_told_when_the_job_ends)
{
    char text[4096];
    int fd;

    start();
    fd = client();
    client_send(fd, SUBMIT("Prefer: wait=60\r\n"));
    AWAIT(counters().waiters == 1);
    http_job_changed(front, ID_RUNNING, HTTP_CHANGE_STATE); /* another's end */
    http_job_changed(front, ID_QUEUED, HTTP_CHANGE_STATE);  /* a change that is no end */
    atomic_store(&fake.submitted_state, JOB_SUCCEEDED);
    http_job_changed(front, ID_QUEUED, HTTP_CHANGE_STATE);
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_ptr_nonnull(strstr(text, "Preference-Applied: wait=60"));
    ck_assert_ptr_nonnull(strstr(text, "Location: /v1/jobs/" ID_QUEUED));
    ck_assert_ptr_nonnull(strstr(text, "\"state\":\"succeeded\""));
    ck_assert_uint_eq(counters().waiters, 0);
    /* On the same connection, for a job that is there already. */
    atomic_store(&fake.submitted_state, JOB_RUNNING);
    client_send(fd, "GET /v1/jobs/" ID_QUEUED " HTTP/1.1\r\n" HOST "Prefer: wait=60\r\n\r\n");
    AWAIT(counters().waiters == 1);
    atomic_store(&fake.submitted_state, JOB_FAILED);
    http_job_changed(front, ID_QUEUED, HTTP_CHANGE_STATE);
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    ck_assert_ptr_nonnull(strstr(text, "\"state\":\"failed\""));
    close(fd);
    stop();
}
END_TEST

START_TEST(a_wait_ends_with_202_when_its_time_is_up)
{
    char text[4096];
    int64_t begun;
    int fd;

    start();
    fd = client();
    begun = clock_ms();
    client_send(fd, SUBMIT("Prefer: wait=1\r\n"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 202);
    ck_assert_int_ge(clock_ms() - begun, 900);
    ck_assert_ptr_nonnull(strstr(text, "Preference-Applied: wait=1"));
    ck_assert_ptr_nonnull(strstr(text, "Retry-After: "));
    close(fd);
    stop();
}
END_TEST

START_TEST(a_job_that_ends_while_it_is_submitted_is_not_missed)
{
    char text[4096];
    int fd;

    /* The change comes when the front has not registered the wait yet. */
    fake.gate = &gate;
    start();
    fd = client();
    client_send(fd, SUBMIT("Prefer: wait=60\r\n"));
    turnstile_await(&gate, 1); /* asked again after the registration, and about to look */
    atomic_store(&fake.submitted_state, JOB_SUCCEEDED);
    turnstile_open(&gate);
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    close(fd);
    stop();
}
END_TEST

START_TEST(who_waits_and_leaves_is_forgotten)
{
    int fds[20];

    start();
    for (int i = 0; i < 20; i++) {
        fds[i] = client();
        client_send(fds[i], SUBMIT("Prefer: wait=60\r\n"));
    }
    AWAIT(counters().waiters == 20);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    AWAIT(counters().waiters == 0);
    AWAIT(counters().connections == 0);
    stop();
}
END_TEST

START_TEST(there_are_only_so_many_who_wait)
{
    char text[4096];
    int first, second;

    config.max_waiters = 1;
    start();
    first = client();
    client_send(first, SUBMIT("Prefer: wait=60\r\n"));
    AWAIT(counters().waiters == 1);
    second = client();
    client_send(second, SUBMIT("Prefer: wait=60\r\n"));
    ck_assert_int_eq(client_read_response(second, text, sizeof(text), true), 202);
    ck_assert_ptr_null(strstr(text, "Preference-Applied"));
    close(first);
    close(second);
    stop();
}
END_TEST

START_TEST(a_handler_that_hangs_does_not_take_the_rest_along)
{
    char text[4096];
    int stuck[4], fd;

    config.pool_timeout_ms = 300;
    config.pool_threads = 4;
    config.pool_queue = 2;
    fake.gate = &gate;
    start();
    for (int i = 0; i < 4; i++) {
        stuck[i] = client();
        client_send(stuck[i], GET(RUNNING));
        turnstile_await(&gate, i + 1); /* the queue is short */
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(client_read_response(stuck[i], text, sizeof(text), true), 503);
        ck_assert_ptr_nonnull(strstr(text, "/problems/timeout"));
        ck_assert_ptr_nonnull(strstr(text, "Retry-After"));
    }
    ck_assert_uint_eq(counters().timed_out, 4);
    /* What needs no pool still answers, and so does a job that lies in memory. */
    fd = client();
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    atomic_store(&fake.is_in_memory, true);
    client_send(fd, GET(RUNNING));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    client_send(fd, "GET " RUNNING " HTTP/1.1\r\n" HOST "If-None-Match: \"7-0\"\r\n\r\n");
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), false), 304);
    atomic_store(&fake.is_in_memory, false);
    /* The queue takes two, the third is told at once. */
    for (int i = 0; i < 2; i++)
        client_send(stuck[i], GET(RUNNING));
    AWAIT(counters().requests == 4 + 3 + 2);
    client_send(stuck[2], GET(RUNNING));
    client_read_response(stuck[2], text, sizeof(text), true);
    ck_assert_ptr_nonnull(strstr(text, " 503 "));
    turnstile_open(&gate);
    for (int i = 0; i < 4; i++)
        close(stuck[i]);
    close(fd);
    stop();
}
END_TEST

START_TEST(draining_lets_requests_finish_and_closes_the_rest)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[4096];
    int idle, waiting, busy, late;

    start();
    idle = client();
    client_send(idle, GET("/livez"));
    ck_assert_int_eq(client_read_response(idle, text, sizeof(text), true), 200);
    waiting = client();
    client_send(waiting, SUBMIT("Prefer: wait=60\r\n"));
    AWAIT(counters().waiters == 1);
    busy = client();
    client_send(busy, "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    AWAIT(atomic_load(&fake.appended) == 3);
    ck_assert_uint_eq(http_drain(front, 200), 1); /* the upload is left */
    ck_assert(client_read_all(idle, text, sizeof(text)));
    ck_assert_int_eq(client_read_response(waiting, text, sizeof(text), true), 202);
    ck_assert_ptr_nonnull(strstr(text, "Connection: close"));
    late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons(http_port(front));
    ck_assert_int_ne(connect(late, (struct sockaddr *)&address, sizeof(address)), 0);
    client_send(busy, "def");
    ck_assert_int_eq(client_read_response(busy, text, sizeof(text), true), 201);
    ck_assert_uint_eq(http_drain(front, PATIENCE_MS), 0);
    close(idle);
    close(waiting);
    close(busy);
    close(late);
    stop();
}
END_TEST

START_TEST(stopping_ends_whatever_is_under_way)
{
    int fds[4];

    start();
    fds[0] = client();
    client_send(fds[0], SUBMIT("Prefer: wait=60\r\n"));
    fds[1] = client();
    client_send(fds[1], "PUT /v1/uploads/m HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
    fds[2] = client();
    client_send(fds[2], "GET /livez HT");
    fds[3] = client();
    AWAIT(counters().waiters == 1 && atomic_load(&fake.appended) == 3 && counters().connections == 4);
    stop();
    ck_assert_int_eq(atomic_load(&fake.abandoned), 1);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}
END_TEST

static size_t slot_of(int status)
{
    size_t i = 0;

    while (i < HTTP_STATUSES - 1 && http_statuses[i] != status)
        i++;
    return i;
}

/* Of the operation; of what matched none when there is no such operation. */
static struct http_route_counters counted(const char *operation_id)
{
    struct http_route_counters counted;
    size_t i = 0;

    while (i < route_count && strcmp(routes[i].operation_id, operation_id) != 0)
        i++;
    http_count_route(front, i, &counted);
    return counted;
}

START_TEST(each_request_is_logged_and_counted_once)
{
    struct http_route_counters job;
    uint64_t ended = 0;
    char text[4096];
    int fd;

    start();
    fd = client();
    client_send(fd, "GET /livez HTTP/1.1\r\n" HOST "X-Request-Id: r1\r\n\r\n");
    client_read_response(fd, text, sizeof(text), true);
    ck_assert_ptr_nonnull(strstr(text, "X-Request-Id: r1\r\n"));
    fake.fail = ERROR_INTERNAL;
    client_send(fd, "GET " RUNNING " HTTP/1.1\r\n" HOST "X-Request-Id: r2\r\n\r\n");
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 500);
    ck_assert_ptr_null(strstr(text, "secret"));
    client_send(fd, "HEAD /nothing HTTP/1.1\r\n" HOST "X-Request-Id: r3\r\n\r\n");
    client_read_response(fd, text, sizeof(text), false);
    fake.fail = 0;
    client_send(fd,
                "GET " RUNNING "?token=secret HTTP/1.1\r\n" HOST "X-Request-Id: r4\r\nAuthorization: Bearer secret\r\n"
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    client_read_response(fd, text, sizeof(text), true);
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST "X-Request-Id: r5\r\nContent-Type: application/json\r\n"
                    "Content-Length: 20\r\n\r\n{\"models\":[\"a\",\"b\"]}");
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 202);
    close(fd);
    AWAIT(counted("submitJob").by_status[slot_of(202)] == 1);
    job = counted("getJob");
    ck_assert_uint_eq(job.by_status[slot_of(400)], 1);
    ck_assert_uint_eq(job.by_status[slot_of(500)], 1);
    for (int d = 0; d < HTTP_DURATION_BUCKETS; d++)
        ended += job.by_duration[d];
    ck_assert_uint_eq(ended, 2);
    ck_assert(job.seconds > 0);
    ck_assert_uint_eq(counted("nothing").by_status[slot_of(404)], 1);
    ck_assert_uint_eq(counters().requests, 5);
    stop();
    ck_assert_ptr_nonnull(strstr(access_log.lines, "GET /livez 200 5 r1|\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, " r4||" ID_RUNNING "|0af7651916cd43dd8448eb211c80319c\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, "POST /v1/jobs 202 "));
    ck_assert_ptr_nonnull(strstr(access_log.lines, " r5||" ID_QUEUED "\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, "GET /v1/jobs/{id} 500 "));
    ck_assert_ptr_nonnull(strstr(access_log.lines, " r2|secret /var/lib text of internal|" ID_RUNNING "\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, "HEAD  404 0 r3|\n"));
    ck_assert_ptr_null(strstr(access_log.lines, "Bearer"));
    ck_assert_ptr_null(strstr(access_log.lines, "token"));
    ck_assert_int_eq(count_text(access_log.lines, "\n"), 5);
}
END_TEST

START_TEST(an_address_that_cannot_be_had_is_said)
{
    struct error err = {.code = ERROR_NONE};
    struct http *second = NULL;
    struct http_config same;

    start();
    same = config;
    same.port = http_port(front);
    ck_assert_int_eq(http_start(&same, &fake.backend, &second, &err), ERROR_BUSY);
    same.port = 0;
    same.address = "not-an-address";
    ck_assert_int_eq(http_start(&same, &fake.backend, &second, &err), ERROR_REQUEST);
    same.address = "192.0.2.1";
    ck_assert_int_eq(http_start(&same, &fake.backend, &second, &err), ERROR_REQUEST);
    ck_assert_ptr_null(second);
    stop();
}
END_TEST

enum { CROWD = 16, ROUNDS = 60 };

static void *ask_much(void *context)
{
    static const char *const requests[] = {
        GET("/livez"),   GET(RUNNING),    GET(DONE "/result"),         GET(DONE "/tensors"),
        GET("/v1/jobs"), GET("/nothing"), SUBMIT("Prefer: wait=1\r\n")};
    static const int statuses[] = {200, 200, 200, 200, 200, 404, 200};
    size_t seed = (size_t)(uintptr_t)context;
    char text[16384];
    int fd = -1;

    for (int i = 0; i < ROUNDS; i++) {
        size_t choice = (seed + (size_t)i * 5) % 7;

        if (fd < 0)
            fd = client();
        client_send(fd, requests[choice]);
        if (choice == 6)
            http_job_changed(front, ID_QUEUED, HTTP_CHANGE_STATE);
        ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), statuses[choice]);
        if ((seed + (size_t)i) % 9 == 0) {
            close(fd);
            fd = -1;
        }
    }
    close(fd);
    return NULL;
}

START_TEST(many_clients_at_once_get_their_own_answers)
{
    pthread_t threads[CROWD];

    fake.is_file = true;
    atomic_store(&fake.submitted_state, JOB_SUCCEEDED);
    start();
    for (size_t i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_much, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(counters().requests, CROWD * ROUNDS);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tc = tcase_create("http");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, prepare, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_header_that_drips_is_cut_at_the_deadline, 0, 2);
    tcase_add_loop_test(tc, a_silent_connection_is_closed_at_the_deadline, 0, 2);
    tcase_add_test(tc, a_later_header_has_a_deadline_too_but_idleness_has_not);
    tcase_add_test(tc, beyond_the_bound_there_is_a_fixed_503_but_health_answers);
    tcase_add_test(tc, a_probe_is_answered_behind_a_crowd_of_refused_clients);
    tcase_add_test(tc, connections_are_kept_and_pipelined);
    tcase_add_test(tc, head_tells_what_get_would_send);
    tcase_add_test(tc, responses_without_a_body_have_none);
    tcase_add_loop_test(tc, results_are_sent_from_files_and_in_pieces, 0, 2);
    tcase_add_test(tc, who_waits_is_told_when_the_job_ends);
    tcase_add_test(tc, a_wait_ends_with_202_when_its_time_is_up);
    tcase_add_test(tc, a_job_that_ends_while_it_is_submitted_is_not_missed);
    tcase_add_test(tc, who_waits_and_leaves_is_forgotten);
    tcase_add_test(tc, there_are_only_so_many_who_wait);
    tcase_add_test(tc, a_handler_that_hangs_does_not_take_the_rest_along);
    tcase_add_test(tc, draining_lets_requests_finish_and_closes_the_rest);
    tcase_add_test(tc, stopping_ends_whatever_is_under_way);
    tcase_add_test(tc, each_request_is_logged_and_counted_once);
    tcase_add_test(tc, an_address_that_cannot_be_had_is_said);
    tcase_add_test(tc, many_clients_at_once_get_their_own_answers);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
