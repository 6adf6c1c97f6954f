/* The front over real sockets: deadlines, bounds, bodies, waiting, draining. Deadlines here are short; nothing sleeps but
 * clients whose slowness is the point. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "server/http.h"
#include "tests/unit/api/fake_backend.h"
#include "tests/unit/server/raw_client.h"

static struct fake fake;
static struct http_config config;
static struct http *front;
static struct gate gate;

static struct {
    pthread_mutex_t lock;
    char lines[16384];
} access_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_log(void *context, const struct http_access *access)
{
    size_t used;

    (void)context;
    pthread_mutex_lock(&access_log.lock);
    used = strlen(access_log.lines);
    if (used + 200 < sizeof(access_log.lines))
        snprintf(access_log.lines + used, sizeof(access_log.lines) - used, "%s %s %d %llu %s|%s\n", access->method,
                 access->route, access->status, (unsigned long long)access->bytes, access->request_id, access->cause);
    pthread_mutex_unlock(&access_log.lock);
}

static void prepare(void)
{
    fake_init(&fake);
    gate_init(&gate);
    http_config_init(&config);
    config.port = 0;
    config.log = keep_log;
    access_log.lines[0] = '\0';
    front = NULL;
}

static void start(void)
{
    struct error err = {.code = ERROR_NONE};

    ck_assert_msg(http_start(&config, &fake.backend, &front, &err) == 0, "%s", err.text);
    http_set_ready(front, true);
}

static void stop(void)
{
    http_stop(front);
}

static int client(void)
{
    return client_connect(http_port(front));
}

#define HOST "Host: localhost\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define RUNNING "/v1/jobs/" ID_RUNNING
#define DONE "/v1/jobs/" ID_DONE

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the front has noticed something; fails after a while. */
#define AWAIT(condition)                                                                                              \
    do {                                                                                                              \
        int64_t await_end = clock_ms() + PATIENCE_MS;                                                                 \
        while (!(condition)) {                                                                                        \
            ck_assert_msg(clock_ms() < await_end, "still not: %s", #condition);                                       \
            sched_yield();                                                                                            \
        }                                                                                                             \
    } while (0)

static struct http_counters counters(void)
{
    struct http_counters counted;

    http_count(front, &counted);
    return counted;
}

/* Sends a byte every 10 ms until the other side closes; returns after how long it did. */
static int64_t drip(int fd, const char *text)
{
    int64_t begun = clock_ms();
    size_t length = strlen(text);

    for (size_t i = 0;; i++) {
        struct pollfd poller = {.fd = fd, .events = POLLIN | POLLRDHUP};

        if (!client_send_bytes(fd, i < length ? text + i : "x", 1) || poll(&poller, 1, 10) > 0)
            break;
        ck_assert_msg(clock_ms() - begun < PATIENCE_MS, "a client that drips is never cut");
    }
    return clock_ms() - begun;
}

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

START_TEST(a_body_that_drips_is_cut_at_the_deadline)
{
    char text[4096];
    int fd;

    config.body_timeout_ms = 300;
    start();
    fd = client();
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
    drip(fd, "{\"models\":[\"a\",\"b\"],   ");
    ck_assert(client_read_all(fd, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "HTTP/1.1 408 "));
    AWAIT(counters().connections == 0);
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
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
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
    /* Beyond it: cut, after a few bytes of farewell. */
    fd = client();
    client_send(fd, "POST /v1/jobs HTTP/1.1\r\n" HOST
                    "Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 24 && client_send_bytes(fd, block, sizeof(block)); i++)
        ;
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
        ck_assert_ptr_nonnull(strstr(text, "Allow: POST, GET, HEAD, OPTIONS"));
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
        ck_assert_str_eq(strstr(text, "\r\n\r\n") + 4, "{\"tensors\":[{\"name\":\"b.weight\",\"status\":\"bit_equal\"}],"
                                                       "\"next_page_token\":\"\",\"total_size\":1}");
    }
    close(fd);
    stop();
}
END_TEST

#define SUBMIT(prefer)                                                                                                \
    "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n" prefer "Content-Length: 20\r\n\r\n"          \
    "{\"models\":[\"a\",\"b\"]}"

START_TEST(who_waits_is_told_when_the_job_ends)
{
    char text[4096];
    int fd;

    start();
    fd = client();
    client_send(fd, SUBMIT("Prefer: wait=60\r\n"));
    AWAIT(counters().waiters == 1);
    http_job_changed(front, ID_RUNNING); /* another's end */
    http_job_changed(front, ID_QUEUED);  /* a change that is no end */
    atomic_store(&fake.submitted_state, JOB_SUCCEEDED);
    http_job_changed(front, ID_QUEUED);
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
    http_job_changed(front, ID_QUEUED);
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
    gate_await(&gate, 1); /* asked again after the registration, and about to look */
    atomic_store(&fake.submitted_state, JOB_SUCCEEDED);
    gate_open(&gate);
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
        gate_await(&gate, i + 1); /* the queue is short */
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(client_read_response(stuck[i], text, sizeof(text), true), 503);
        ck_assert_ptr_nonnull(strstr(text, "/problems/timeout"));
        ck_assert_ptr_nonnull(strstr(text, "Retry-After"));
    }
    ck_assert_uint_eq(counters().timed_out, 4);
    /* What needs no pool still answers. */
    fd = client();
    client_send(fd, GET("/livez"));
    ck_assert_int_eq(client_read_response(fd, text, sizeof(text), true), 200);
    /* The queue takes two, the third is told at once. */
    for (int i = 0; i < 2; i++)
        client_send(stuck[i], GET(RUNNING));
    AWAIT(counters().requests == 4 + 1 + 2);
    client_send(stuck[2], GET(RUNNING));
    client_read_response(stuck[2], text, sizeof(text), true);
    ck_assert_ptr_nonnull(strstr(text, " 503 "));
    gate_open(&gate);
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

START_TEST(each_request_is_logged_once)
{
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
    close(fd);
    stop();
    ck_assert_ptr_nonnull(strstr(access_log.lines, "GET /livez 200 5 r1|\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, "GET /v1/jobs/{id} 500 "));
    ck_assert_ptr_nonnull(strstr(access_log.lines, " r2|secret /var/lib text of internal\n"));
    ck_assert_ptr_nonnull(strstr(access_log.lines, "HEAD  404 0 r3|\n"));
    ck_assert_int_eq(count_text(access_log.lines, "\n"), 3);
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
    static const char *const requests[] = {GET("/livez"), GET(RUNNING), GET(DONE "/result"), GET(DONE "/tensors"),
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
            http_job_changed(front, ID_QUEUED);
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
    tcase_add_test(tc, a_body_that_drips_is_cut_at_the_deadline);
    tcase_add_test(tc, beyond_the_bound_there_is_a_fixed_503_but_health_answers);
    tcase_add_test(tc, uploads_have_a_bound_of_their_own);
    tcase_add_loop_test(tc, a_broken_upload_is_abandoned, 0, 6);
    tcase_add_loop_test(tc, an_upload_of_100_mb_takes_no_memory, 0, 2);
    tcase_add_test(tc, an_upload_may_follow_other_requests);
    tcase_add_loop_test(tc, an_upload_that_fails_under_way_is_told_and_abandoned, 0, 2);
    tcase_add_test(tc, a_body_that_is_not_wanted_is_dropped_and_the_refusal_is_read);
    tcase_add_test(tc, a_refused_body_that_never_comes_does_not_hold_the_connection);
    tcase_add_test(tc, a_client_that_asks_first_sends_nothing_in_vain);
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
    tcase_add_test(tc, each_request_is_logged_once);
    tcase_add_test(tc, an_address_that_cannot_be_had_is_said);
    tcase_add_test(tc, many_clients_at_once_get_their_own_answers);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
