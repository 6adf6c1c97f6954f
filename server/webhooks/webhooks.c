/* One thread on one multi handle. Every connection is new, and its address is looked at by the callback that opens the
 * socket: what a name resolved to a moment before does not count. */
#include "server/webhooks/webhooks.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/resources/resources.h"
#include "server/clock.h"
#include "server/log.h"
#include "server/must.h"
#include "server/webhooks/libcurl.h"

enum {
    DELIVERIES_MAX = 8, /* at once */
    CONNECT_MS = 5000,
    ANSWER_BYTES = 64 * 1024, /* of a receiver's body that are read, and dropped */
    IDLE_MS = 60000,
    HEADER_BYTES = 128,
};

struct delivery {
    struct webhooks *webhooks; /* NULL: free */
    struct callback_due due;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    bool is_host_allowed, is_refused;
    size_t answer_bytes;
};

struct webhooks {
    struct webhook_settings settings;
    struct libcurl curl;
    struct webhook_secret secret;
    struct allowance allowance;
    CURLM *multi;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopping, is_woken;
    _Atomic uint64_t attempts[CALLBACK_STATE_COUNT]; /* by the state that they left */
    struct delivery deliveries[DELIVERIES_MAX];      /* the thread's */
};

void webhook_settings_init(struct webhook_settings *settings)
{
    *settings = (struct webhook_settings){.delays_ms = {1000, 10000, 60000, 300000}, .timeout_ms = 15000};
}

/* The parts of a URL that are looked at. */
struct url_parts {
    char *scheme, *host, *user, *password, *fragment; /* of libcurl */
};

static void url_parts_done(struct webhooks *webhooks, struct url_parts *parts)
{
    webhooks->curl.curl_free(parts->scheme);
    webhooks->curl.curl_free(parts->host);
    webhooks->curl.curl_free(parts->user);
    webhooks->curl.curl_free(parts->password);
    webhooks->curl.curl_free(parts->fragment);
}

static bool url_take_apart(struct webhooks *webhooks, const char *url, struct url_parts *ret)
{
    const struct libcurl *curl = &webhooks->curl;
    struct url_parts parts = {.scheme = NULL};
    CURLU *handle = curl->curl_url();
    bool is_good = handle && curl->curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK &&
                   curl->curl_url_get(handle, CURLUPART_SCHEME, &parts.scheme, 0) == CURLUE_OK &&
                   curl->curl_url_get(handle, CURLUPART_HOST, &parts.host, 0) == CURLUE_OK && parts.host[0];

    if (is_good) {
        (void)curl->curl_url_get(handle, CURLUPART_USER, &parts.user, 0);
        (void)curl->curl_url_get(handle, CURLUPART_PASSWORD, &parts.password, 0);
        (void)curl->curl_url_get(handle, CURLUPART_FRAGMENT, &parts.fragment, 0);
        *ret = parts;
    } else {
        url_parts_done(webhooks, &parts);
    }
    curl->curl_url_cleanup(handle);
    return is_good;
}

int webhooks_check_url(struct webhooks *webhooks, const char *url, struct error *err)
{
    struct url_parts parts;
    bool is_listed, is_literal_good, is_allowed;
    int rc = 0;

    if (strlen(url) > WEBHOOK_URL_BYTES_MAX)
        return error_set(err, ERROR_REQUEST, "has more than %d bytes", WEBHOOK_URL_BYTES_MAX);
    for (const char *c = url; *c; c++)
        if (*c <= 0x20 || *c == 0x7f)
            return error_set(err, ERROR_REQUEST, "holds a character that a URL may not hold");
    if (!url_take_apart(webhooks, url, &parts))
        return error_set(err, ERROR_REQUEST, "is not a URL with a host");
    is_literal_good = allowance_has_literal(&webhooks->allowance, parts.host, &is_listed);
    is_allowed = is_listed || allowance_has_host(&webhooks->allowance, parts.host);
    if (strcasecmp(parts.scheme, "https") != 0 && strcasecmp(parts.scheme, "http") != 0)
        rc = error_set(err, ERROR_REQUEST, "must begin with https://");
    else if (parts.user || parts.password)
        rc = error_set(err, ERROR_REQUEST, "must not hold a user or a password: deliveries are signed instead");
    else if (parts.fragment)
        rc = error_set(err, ERROR_REQUEST, "must not have a fragment");
    else if (strcasecmp(parts.scheme, "http") == 0 && !is_allowed)
        rc = error_set(err, ERROR_REQUEST, "must begin with https://: plain http is for hosts of --webhook-allow");
    else if (!is_literal_good && !is_allowed)
        rc = error_set(err, ERROR_REQUEST, "names an address that is not public and not of --webhook-allow");
    url_parts_done(webhooks, &parts);
    return rc;
}

/* The one place where a connection begins. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct delivery *delivery = context;

    (void)purpose;
    if (!delivery->is_host_allowed &&
        !allowance_has_address(&delivery->webhooks->allowance, (const struct sockaddr *)&address->addr)) {
        delivery->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t drop_answer(char *data, size_t size, size_t count, void *context)
{
    struct delivery *delivery = context;

    (void)data;
    delivery->answer_bytes += size * count;
    return delivery->answer_bytes > ANSWER_BYTES ? 0 : size * count;
}

/* The job as its resource shows it. malloc'ed; NULL: it is gone, or there is no memory. */
static char *job_body(struct webhooks *webhooks, const char *id, size_t *ret_bytes)
{
    struct job_store *store = webhooks->settings.store;
    struct json_text json;
    struct job job;

    if (store->ops->get(store, id, &job, NULL))
        return NULL;
    json_text_init(&json);
    job_write(&job, &json);
    job_done(&job);
    return json_text_take(&json, ret_bytes);
}

static bool add_header(struct delivery *delivery, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool add_header(struct delivery *delivery, const char *format, ...)
{
    char text[HEADER_BYTES];
    struct curl_slist *grown;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    grown = delivery->webhooks->curl.curl_slist_append(delivery->headers, text);
    if (grown)
        delivery->headers = grown;
    return grown != NULL;
}

static void delivery_done(struct delivery *delivery)
{
    const struct libcurl *curl = &delivery->webhooks->curl;

    if (delivery->easy) {
        curl->curl_multi_remove_handle(delivery->webhooks->multi, delivery->easy);
        curl->curl_easy_cleanup(delivery->easy);
    }
    curl->curl_slist_free_all(delivery->headers);
    free(delivery->body);
    free(delivery->due.url);
    *delivery = (struct delivery){.webhooks = NULL};
}

static bool set_options(struct delivery *delivery, const char *url, size_t body_bytes)
{
    const struct libcurl *curl = &delivery->webhooks->curl;
    CURL *easy = delivery->easy;
    const char *schemes = strncasecmp(url, "http:", 5) == 0 ? "http" : "https";

    return curl->curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* else the callback sees the proxy */
           curl->curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, delivery) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_answer) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_WRITEDATA, delivery) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)delivery->webhooks->settings.timeout_ms) ==
               CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_USERAGENT, "diffaid/" DIFFAID_VERSION) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body_bytes) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_POSTFIELDS, delivery->body) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->headers) == CURLE_OK &&
           curl->curl_easy_setopt(easy, CURLOPT_PRIVATE, delivery) == CURLE_OK;
}

/* Takes due. False when it could not even begin. */
static bool delivery_begin(struct webhooks *webhooks, struct delivery *delivery, struct callback_due *due)
{
    int64_t now_s = clock_wall_ms() / 1000;
    char id[JOB_ID_BYTES + 4], signature[SIGNATURE_BYTES];
    struct url_parts parts;
    size_t bytes = 0;

    *delivery = (struct delivery){.webhooks = webhooks, .due = *due};
    due->url = NULL;
    snprintf(id, sizeof(id), "msg_%s", delivery->due.job);
    delivery->body = job_body(webhooks, delivery->due.job, &bytes);
    delivery->easy = webhooks->curl.curl_easy_init();
    if (!delivery->body || !delivery->easy || !url_take_apart(webhooks, delivery->due.url, &parts))
        return false;
    delivery->is_host_allowed = allowance_has_host(&webhooks->allowance, parts.host);
    url_parts_done(webhooks, &parts);
    return webhook_sign(&webhooks->secret, id, now_s, delivery->body, bytes, signature, NULL) == 0 &&
           add_header(delivery, "Content-Type: application/json") && add_header(delivery, "Expect:") &&
           add_header(delivery, "webhook-id: %s", id) && add_header(delivery, "webhook-timestamp: %" PRId64, now_s) &&
           add_header(delivery, "webhook-signature: %s", signature) &&
           set_options(delivery, delivery->due.url, bytes) &&
           webhooks->curl.curl_multi_add_handle(webhooks->multi, delivery->easy) == CURLM_OK;
}

/* Notes how an attempt went. */
static void delivery_end(struct delivery *delivery, const char *trouble, long status)
{
    struct webhooks *webhooks = delivery->webhooks;
    struct job_store *store = webhooks->settings.store;
    unsigned attempts = delivery->due.attempts + 1;
    bool is_good = status >= 200 && status < 300;
    struct callback_outcome outcome = {
        .state = is_good                                         ? CALLBACK_DELIVERED
                 : status == 410 || attempts >= WEBHOOK_ATTEMPTS ? CALLBACK_FAILED
                                                                 : CALLBACK_DUE,
        .attempts = attempts,
        .last_status = (int)status,
        .next_ms = clock_wall_ms(),
    };

    if (outcome.state == CALLBACK_DUE)
        outcome.next_ms += webhooks->settings.delays_ms[attempts - 1];
    atomic_fetch_add_explicit(&webhooks->attempts[outcome.state], 1, memory_order_relaxed);
    if (store->ops->callback_note(store, delivery->due.job, &outcome, NULL) == 0 && webhooks->settings.changed)
        webhooks->settings.changed(webhooks->settings.context, delivery->due.job);
    LOG_LINE(is_good ? LEVEL_INFO : LEVEL_WARNING, "callback", log_text("job", delivery->due.job),
             log_u64("attempt", attempts), log_i64("status", status), log_text("trouble", is_good ? NULL : trouble),
             log_text("state", callback_state_names[outcome.state]));
    delivery_done(delivery);
}

static struct delivery *find_delivery(struct webhooks *webhooks, const char *job)
{
    for (size_t i = 0; i < DELIVERIES_MAX; i++) {
        struct delivery *delivery = &webhooks->deliveries[i];

        if (job ? delivery->webhooks && strcmp(delivery->due.job, job) == 0 : !delivery->webhooks)
            return delivery;
    }
    return NULL;
}

/* Begins what is due; returns how long there is nothing to begin. */
static int64_t begin_due(struct webhooks *webhooks)
{
    struct job_store *store = webhooks->settings.store;
    struct callback_due due[2 * DELIVERIES_MAX];
    int64_t now_ms = clock_wall_ms(), idle_ms = IDLE_MS;
    size_t count = 0;

    if (store->ops->callbacks_due(store, due, 2 * DELIVERIES_MAX, &count, NULL))
        return 1000;
    for (size_t i = 0; i < count; i++) {
        struct delivery *room = find_delivery(webhooks, NULL);

        if (find_delivery(webhooks, due[i].job))
            ; /* under way */
        else if (due[i].next_ms > now_ms)
            idle_ms = due[i].next_ms - now_ms < idle_ms ? due[i].next_ms - now_ms : idle_ms;
        else if (!room)
            idle_ms = IDLE_MS; /* an end makes room, and wakes */
        else if (!delivery_begin(webhooks, room, &due[i]))
            delivery_end(room, "it could not be begun", 0);
        free(due[i].url);
    }
    return idle_ms;
}

static void collect_ends(struct webhooks *webhooks)
{
    const struct libcurl *curl = &webhooks->curl;
    CURLMsg *message;
    int left;

    while ((message = curl->curl_multi_info_read(webhooks->multi, &left)) != NULL) {
        struct delivery *delivery = NULL;
        const char *trouble;
        long status = 0;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &delivery);
        curl->curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        /* Not libcurl's text of the error: that may hold the URL. */
        trouble = delivery->is_refused               ? "the address is not public"
                  : message->data.result == CURLE_OK ? NULL
                                                     : curl->curl_easy_strerror(message->data.result);
        /* Whoever says 2xx and then too much has said 2xx. */
        if (message->data.result != CURLE_OK && message->data.result != CURLE_WRITE_ERROR)
            status = 0;
        delivery_end(delivery, trouble, status);
        atomic_store(&webhooks->is_woken, true);
    }
}

static void *deliver(void *context)
{
    struct webhooks *webhooks = context;
    const struct libcurl *curl = &webhooks->curl;
    int64_t next_ms = 0;
    int running;

    while (!atomic_load(&webhooks->is_stopping)) {
        int64_t left_ms;

        if (atomic_exchange(&webhooks->is_woken, false) || clock_steady_ms() >= next_ms)
            next_ms = clock_steady_ms() + begin_due(webhooks);
        curl->curl_multi_perform(webhooks->multi, &running);
        collect_ends(webhooks);
        left_ms = atomic_load(&webhooks->is_woken) ? 0 : next_ms - clock_steady_ms();
        curl->curl_multi_poll(webhooks->multi, NULL, 0, left_ms > 0 ? (int)left_ms : 0, NULL);
    }
    return NULL;
}

int webhooks_start(const struct webhook_settings *settings, struct webhooks **ret, struct error *err)
{
    struct webhooks *webhooks = calloc(1, sizeof(*webhooks));
    int rc;

    if (!webhooks)
        return error_set(err, ERROR_NO_MEMORY, "no memory for webhooks");
    webhooks->settings = *settings;
    rc = webhook_secret_read(settings->secret_file, &webhooks->secret, err);
    if (!rc)
        rc = allowance_init(&webhooks->allowance, settings->allowed, settings->allowed_count, err);
    if (!rc)
        rc = libcurl_load(&webhooks->curl, err);
    if (!rc) {
        webhooks->multi = webhooks->curl.curl_multi_init();
        webhooks->has_thread = webhooks->multi && pthread_create(&webhooks->thread, NULL, deliver, webhooks) == 0;
        if (!webhooks->has_thread)
            rc = error_set(err, ERROR_NO_MEMORY, "the thread of the webhooks could not be started");
    }
    if (rc) {
        webhooks_stop(webhooks);
        return rc;
    }
    *ret = webhooks;
    return 0;
}

void webhooks_wake(struct webhooks *webhooks)
{
    if (!atomic_exchange(&webhooks->is_woken, true))
        webhooks->curl.curl_multi_wakeup(webhooks->multi);
}

uint64_t webhooks_attempts(struct webhooks *webhooks, enum callback_state state)
{
    return atomic_load_explicit(&webhooks->attempts[state], memory_order_relaxed);
}

void webhooks_stop(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    if (webhooks->has_thread) {
        atomic_store(&webhooks->is_stopping, true);
        webhooks->curl.curl_multi_wakeup(webhooks->multi);
        must(pthread_join(webhooks->thread, NULL));
    }
    for (size_t i = 0; i < DELIVERIES_MAX; i++)
        if (webhooks->deliveries[i].webhooks)
            delivery_done(&webhooks->deliveries[i]);
    if (webhooks->multi)
        webhooks->curl.curl_multi_cleanup(webhooks->multi);
    allowance_done(&webhooks->allowance);
    free(webhooks);
}
