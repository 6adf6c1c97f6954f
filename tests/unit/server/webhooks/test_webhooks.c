/* Webhooks against a receiver on loopback, which a test allows or does not. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/store.h"
#include "server/webhooks/webhooks.h"
#include "tests/unit/server/raw_client.h"
#include "tests/unit/server/scratch.h"

/* Of the specification's own libraries. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

START_TEST(the_signature_is_that_of_the_standard)
{
    static const char body[] = "{\"test\": 2432232314}";
    struct webhook_secret secret;
    char signature[SIGNATURE_BYTES];

    ck_assert_int_eq(webhook_secret_parse("  " SECRET "\n", &secret, NULL), 0);
    ck_assert_int_eq(
        webhook_sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body), signature, NULL), 0);
    ck_assert_str_eq(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    ck_assert_int_eq(webhook_secret_parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &secret, NULL), ERROR_REQUEST);
    ck_assert_int_eq(webhook_secret_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La", &secret, NULL), ERROR_REQUEST);
    ck_assert_int_eq(webhook_secret_parse(SECRET " " SECRET, &secret, NULL), ERROR_REQUEST);
    ck_assert_int_eq(webhook_secret_parse("", &secret, NULL), ERROR_REQUEST);
}
END_TEST

static const struct {
    const char *address;
    bool is_public;
} addresses[] = {
    {"8.8.8.8", true},
    {"93.184.216.34", true},
    {"2606:4700::1111", true},
    {"2a00:1450::5", true},
    {"127.0.0.1", false},
    {"127.255.0.9", false},
    {"0.0.0.0", false},
    {"10.1.2.3", false},
    {"172.16.0.1", false},
    {"172.31.255.255", false},
    {"172.32.0.1", true},
    {"192.168.0.1", false},
    {"169.254.169.254", false},
    {"100.64.0.1", false},
    {"100.100.100.200", false},
    {"168.63.129.16", false},
    {"192.0.0.192", false},
    {"198.18.0.1", false},
    {"224.0.0.1", false},
    {"255.255.255.255", false},
    {"::1", false},
    {"::", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:8.8.8.8", true},
    {"fd00:ec2::254", false},
    {"fe80::1", false},
    {"ff02::1", false},
    {"64:ff9b::a9fe:a9fe", false},
    {"2002:7f00:1::", false},
    {"2001::1", false},
    {"2001:db8::1", false},
    {"::127.0.0.1", false},
};

START_TEST(only_public_addresses_are_connected_to)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct allowance allowance;
    const char *address = addresses[_i].address;
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;

    ck_assert(is_v4 || inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
    ck_assert_int_eq(allowance_init(&allowance, NULL, 0, NULL), 0);
    ck_assert_msg(allowance_has_address(&allowance, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6) ==
                      addresses[_i].is_public,
                  "%s", address);
    allowance_done(&allowance);
}
END_TEST

START_TEST(what_is_allowed_is_connected_to)
{
    static const char *const settings[] = {"10.2.0.0/15", "fd00::/8", "127.0.0.1", "hooks.internal"};
    static const char *const faulty[] = {"10.0.0.0/33", "http://x", "user@host", "", "10.0.0.0/", "10.0.0.0/1x"};
    struct allowance allowance;
    bool is_listed;

    ck_assert_int_eq(allowance_init(&allowance, settings, 4, NULL), 0);
    ck_assert(allowance_has_literal(&allowance, "10.3.255.1", &is_listed) && is_listed);
    ck_assert(!allowance_has_literal(&allowance, "10.4.0.1", &is_listed));
    ck_assert(allowance_has_literal(&allowance, "[fd12::1]", &is_listed) && is_listed);
    ck_assert(!allowance_has_literal(&allowance, "127.0.0.2", &is_listed));
    ck_assert(allowance_has_literal(&allowance, "8.8.8.8", &is_listed) && !is_listed);
    ck_assert(allowance_has_host(&allowance, "HOOKS.internal"));
    ck_assert(!allowance_has_host(&allowance, "internal"));
    allowance_done(&allowance);
    for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++)
        ck_assert_msg(allowance_init(&allowance, &faulty[i], 1, NULL) == ERROR_REQUEST, "%s", faulty[i]);
}
END_TEST

/* A receiver that answers each request with the next of its statuses, the last for ever. */
static struct {
    int listener, stop[2];
    uint16_t port;
    pthread_t thread;
    int statuses[8];
    atomic_uint requests, connections;
    char seen[8][4096];
} receiver;

static void *receive(void *argument)
{
    (void)argument;
    for (;;) {
        struct pollfd pollers[2] = {{.fd = receiver.listener, .events = POLLIN},
                                    {.fd = receiver.stop[0], .events = POLLIN}};
        unsigned n = atomic_load(&receiver.requests), last = n;
        char answer[256];
        int fd, status;

        poll(pollers, 2, -1);
        if (pollers[1].revents)
            return NULL;
        fd = accept(receiver.listener, NULL, NULL);
        atomic_fetch_add(&receiver.connections, 1);
        client_read_response(fd, receiver.seen[n % 8], sizeof(receiver.seen[0]), true); /* a request is framed alike */
        while (last > 0 && !receiver.statuses[last])
            last--;
        status = receiver.statuses[last];
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\nLocation: http://127.0.0.1:%u/again\r\n\r\nok", status,
                 receiver.port);
        atomic_fetch_add(&receiver.requests, 1); /* before anybody can know of the answer */
        client_send_bytes(fd, answer, strlen(answer));
        close(fd);
    }
}

static void receiver_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    memset(&receiver, 0, sizeof(receiver));
    receiver.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(receiver.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(receiver.listener, 16), 0);
    getsockname(receiver.listener, (struct sockaddr *)&address, &bytes);
    receiver.port = ntohs(address.sin_port);
    ck_assert_int_eq(pipe(receiver.stop), 0);
    ck_assert_int_eq(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

static char *state_dir;
static int state_fd;
static struct job_store *store;
static struct webhooks *webhooks;
static char secret_file[256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static unsigned news; /* guarded by lock */

static void on_change(void *context, const char *id)
{
    (void)context;
    (void)id;
    pthread_mutex_lock(&lock);
    news++;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
}

static void start_webhooks(const char *const *allowed, size_t count)
{
    struct webhook_settings settings;
    struct error err;

    webhook_settings_init(&settings);
    settings.store = store;
    settings.secret_file = secret_file;
    settings.allowed = allowed;
    settings.allowed_count = count;
    for (size_t i = 0; i < WEBHOOK_ATTEMPTS - 1; i++)
        settings.delays_ms[i] = 5;
    settings.changed = on_change;
    ck_assert_msg(webhooks_start(&settings, &webhooks, &err) == 0, "%s", err.text);
}

static void open_store(void)
{
    struct store_settings settings = {
        .queue_limit = 100, .retention_ms = 1000000, .state_fd = state_fd, .state_dir = state_dir};

    ck_assert_int_eq(sqlite_store_open(&settings, &store, NULL), 0);
}

static void setup(void)
{
    FILE *file;

    state_dir = scratch_new();
    state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(secret_file, sizeof(secret_file), "%s/secret", state_dir);
    file = fopen(secret_file, "w");
    fputs(SECRET "\n", file);
    fclose(file);
    open_store();
    receiver_start();
    news = 0;
    webhooks = NULL;
}

static void teardown(void)
{
    webhooks_stop(webhooks);
    ck_assert_int_eq(write(receiver.stop[1], "x", 1), 1);
    pthread_join(receiver.thread, NULL);
    close(receiver.listener);
    store->ops->close(store);
    close(state_fd);
    scratch_remove(state_dir);
}

/* Submits a job that calls back, and ends it. */
static void end_job(const char *path, char out_id[JOB_ID_BYTES])
{
    char url[128];
    struct submission submission = {.request = "{\"models\":[\"a\"]}", .callback_url = url};
    struct job_end end = {.state = JOB_FAILED, .error = "{}"};
    struct job_claim claim;
    enum job_state state;
    bool is_replay;
    struct job job;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", receiver.port, path);
    ck_assert_int_eq(store->ops->insert(store, &submission, &job, &is_replay, NULL), 0);
    ck_assert_int_eq(job.callback.state, CALLBACK_WAITING);
    memcpy(out_id, job.id, JOB_ID_BYTES);
    job_done(&job);
    ck_assert_int_eq(store->ops->claim(store, &claim, NULL), 0);
    ck_assert_int_eq(store->ops->finish(store, claim.id, claim.token, &end, &state, NULL), 0);
    job_claim_done(&claim);
}

/* Returns when the job's callback is in that state. */
static struct job_callback await(const char *id, enum callback_state state)
{
    struct timespec until;
    struct job job;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&lock);
    for (;;) {
        ck_assert_int_eq(store->ops->get(store, id, &job, NULL), 0);
        job_done(&job);
        if (job.callback.state == state)
            break;
        ck_assert_msg(rc == 0, "the callback of job %s stays in state %d", id, (int)job.callback.state);
        rc = pthread_cond_timedwait(&told, &lock, &until);
    }
    pthread_mutex_unlock(&lock);
    return job.callback;
}

static const char *const loopback[] = {"127.0.0.0/8"};

START_TEST(a_job_is_told_signed_and_once)
{
    char id[JOB_ID_BYTES], text[128], timestamp[32] = "", signature[SIGNATURE_BYTES], *body;
    struct webhook_secret secret;
    struct job_callback callback;

    receiver.statuses[0] = 204;
    start_webhooks(loopback, 1);
    end_job("/hook?x=1", id);
    webhooks_wake(webhooks);
    callback = await(id, CALLBACK_DELIVERED);
    ck_assert_uint_eq(callback.attempts, 1);
    ck_assert_int_eq(callback.last_status, 204);
    ck_assert_uint_eq(atomic_load(&receiver.requests), 1);
    ck_assert_int_eq(strncmp(receiver.seen[0], "POST /hook?x=1 HTTP/1.1\r\n", 25), 0);
    snprintf(text, sizeof(text), "webhook-id: msg_%s\r\n", id);
    ck_assert_ptr_nonnull(strstr(receiver.seen[0], text));
    sscanf(strstr(receiver.seen[0], "webhook-timestamp: "), "webhook-timestamp: %31[0-9]", timestamp);
    body = strstr(receiver.seen[0], "\r\n\r\n") + 4;
    snprintf(text, sizeof(text), "{\"id\":\"%s\"", id);
    ck_assert_int_eq(strncmp(body, text, strlen(text)), 0);
    ck_assert_ptr_nonnull(strstr(body, "\"state\":\"failed\""));
    ck_assert_int_eq(webhook_secret_parse(SECRET, &secret, NULL), 0);
    snprintf(text, sizeof(text), "msg_%s", id);
    ck_assert_int_eq(webhook_sign(&secret, text, strtoll(timestamp, NULL, 10), body, strlen(body), signature, NULL), 0);
    snprintf(text, sizeof(text), "webhook-signature: %s\r\n", signature);
    ck_assert_ptr_nonnull(strstr(receiver.seen[0], text));
}
END_TEST

START_TEST(a_receiver_that_fails_is_tried_again_also_after_a_restart)
{
    char id[JOB_ID_BYTES], first[64], second[64];
    struct job_callback callback;

    receiver.statuses[0] = 500;
    receiver.statuses[1] = 302; /* no redirect is followed */
    receiver.statuses[2] = 200;
    end_job("/", id); /* before the service is up: as if a kill had come in between */
    store->ops->close(store);
    open_store();
    start_webhooks(loopback, 1);
    callback = await(id, CALLBACK_DELIVERED);
    ck_assert_uint_eq(callback.attempts, 3);
    ck_assert_uint_eq(atomic_load(&receiver.connections), 3);
    sscanf(strstr(receiver.seen[0], "webhook-id: "), "webhook-id: %63s", first);
    sscanf(strstr(receiver.seen[2], "webhook-id: "), "webhook-id: %63s", second);
    ck_assert_str_eq(first, second);
}
END_TEST

START_TEST(a_receiver_that_is_gone_or_never_well_is_given_up)
{
    char gone[JOB_ID_BYTES], ill[JOB_ID_BYTES];
    struct job_callback callback;

    receiver.statuses[0] = 410;
    receiver.statuses[1] = 503;
    start_webhooks(loopback, 1);
    end_job("/", gone);
    webhooks_wake(webhooks);
    callback = await(gone, CALLBACK_FAILED);
    ck_assert_uint_eq(callback.attempts, 1);
    ck_assert_int_eq(callback.last_status, 410);
    end_job("/", ill);
    webhooks_wake(webhooks);
    callback = await(ill, CALLBACK_FAILED);
    ck_assert_uint_eq(callback.attempts, WEBHOOK_ATTEMPTS);
    ck_assert_int_eq(callback.last_status, 503);
}
END_TEST

START_TEST(an_address_that_is_not_allowed_sees_no_connection)
{
    static const char *const elsewhere[] = {"10.0.0.0/8"};
    char id[JOB_ID_BYTES];
    struct job_callback callback;

    receiver.statuses[0] = 200;
    start_webhooks(elsewhere, 1);
    end_job("/", id); /* as if its check had passed: a name may resolve to anything later */
    webhooks_wake(webhooks);
    callback = await(id, CALLBACK_FAILED);
    ck_assert_int_eq(callback.last_status, 0);
    ck_assert_uint_eq(atomic_load(&receiver.connections), 0);
}
END_TEST

static const struct {
    const char *url;
    bool is_good;
} urls[] = {
    {"https://example.org/hook", true},
    {"https://example.org:8443/?a=b", true},
    {"https://8.8.8.8/", true},
    {"https://127.0.0.1/", true}, /* allowed below */
    {"http://127.0.0.1/", true},
    {"http://hooks.internal:80/x", true},
    {"https://127.1/", true}, /* libcurl reads it as 127.0.0.1 */
    {"http://example.org/", false},
    {"HTTP://example.org/", false},
    {"https://user@example.org/", false},
    {"https://user:secret@example.org/", false},
    {"https://example.org/#here", false},
    {"https://10.0.0.1/", false},
    {"https://[::1]/", false},
    {"https://[fd00:ec2::254]/", false},
    {"https://169.254.169.254/latest", false},
    {"https://2852039166/", false}, /* the same as a number */
    {"https://0xa9fea9fe/", false},
    {"ftp://example.org/", false},
    {"file:///etc/passwd", false},
    {"javascript:alert(1)", false},
    {"example.org", false},
    {"https://", false},
    {"https://exa mple.org/", false},
    {"", false},
};

START_TEST(urls_are_checked_before_a_job_is_taken)
{
    static const char *const allowed[] = {"127.0.0.0/8", "hooks.internal"};
    struct error err = {.code = ERROR_NONE};

    start_webhooks(allowed, 2);
    ck_assert_msg((webhooks_check_url(webhooks, urls[_i].url, &err) == 0) == urls[_i].is_good, "%s: %s", urls[_i].url,
                  err.text);
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhooks");
    TCase *pure = tcase_create("pure"), *tcase = tcase_create("webhooks");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(pure, the_signature_is_that_of_the_standard);
    tcase_add_loop_test(pure, only_public_addresses_are_connected_to, 0, sizeof(addresses) / sizeof(addresses[0]));
    tcase_add_test(pure, what_is_allowed_is_connected_to);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_job_is_told_signed_and_once);
    tcase_add_test(tcase, a_receiver_that_fails_is_tried_again_also_after_a_restart);
    tcase_add_test(tcase, a_receiver_that_is_gone_or_never_well_is_given_up);
    tcase_add_test(tcase, an_address_that_is_not_allowed_sees_no_connection);
    tcase_add_loop_test(tcase, urls_are_checked_before_a_job_is_taken, 0, sizeof(urls) / sizeof(urls[0]));
    suite_add_tcase(suite, pure);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
