/* One request on libmicrohttpd's side. Its calls are: exchange_begin when the request line is in; exchange_handle when
 * the header is, then for each piece of a body, then once more; and again after each suspension; exchange_completed at
 * the end. Nothing that a handler sees points into libmicrohttpd's memory: a handler may outlive its connection. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "server/http/front.h"

void *exchange_begin(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (!exchange)
        return NULL;
    exchange->raw_target = strdup(uri);
    if (!exchange->raw_target) {
        free(exchange);
        return NULL;
    }
    exchange->http = context;
    exchange->mhd = mhd;
    exchange->start_ns = clock_steady_ns();
    exchange->task.run = exchange_run;
    exchange->request.path = "";
    atomic_init(&exchange->holders, 1);
    response_init(&exchange->response);
    atomic_fetch_add_explicit(&exchange->http->requests, 1, memory_order_relaxed);
    return exchange;
}

void exchange_release(struct exchange *exchange)
{
    if (atomic_fetch_sub(&exchange->holders, 1) != 1)
        return;
    /* To keep or remove what came of a body may take a while: not on a socket's thread. */
    if (exchange->stream && exchange->work != WORK_ABANDON) {
        atomic_store(&exchange->holders, 1);
        exchange->work = WORK_ABANDON;
        pool_submit(exchange->http->pool, LANE_STORE, &exchange->task, true);
        return;
    }
    response_done(&exchange->response);
    target_done(&exchange->target);
    free(exchange->headers);
    free(exchange->raw_target);
    free(exchange->body);
    free(exchange);
}

/* Copies the header fields, those of one name joined. */
static bool copy_headers(struct exchange *exchange)
{
    const struct framing *framing = &exchange->framing;
    size_t bytes = framing->header_count * sizeof(struct field), count = 0;
    struct field *fields;
    char *out;

    for (size_t i = 0; i < framing->header_count; i++)
        bytes += framing->headers[i].name_bytes + framing->headers[i].value_bytes + 4;
    exchange->headers = fields = malloc(bytes + 1);
    if (!fields)
        return false;
    out = (char *)(fields + framing->header_count);
    for (size_t i = 0; i < framing->header_count; i++) {
        const struct framed_header *h = &framing->headers[i];
        bool is_repeated = false;

        for (size_t j = 0; j < i && !is_repeated; j++)
            is_repeated = framing->headers[j].name_bytes == h->name_bytes &&
                          strncasecmp(framing->headers[j].name, h->name, h->name_bytes) == 0;
        if (is_repeated)
            continue;
        fields[count].name = out;
        memcpy(out, h->name, h->name_bytes);
        out += h->name_bytes;
        *out++ = '\0';
        fields[count++].value = out;
        for (size_t j = i; j < framing->header_count; j++) {
            const struct framed_header *next = &framing->headers[j];

            if (next->name_bytes != h->name_bytes || strncasecmp(next->name, h->name, h->name_bytes) != 0)
                continue;
            if (j > i) {
                *out++ = ',';
                *out++ = ' ';
            }
            memcpy(out, next->value, next->value_bytes);
            out += next->value_bytes;
        }
        *out++ = '\0';
    }
    exchange->request.headers = fields;
    exchange->request.header_count = count;
    return true;
}

static bool has_body(const struct exchange *exchange)
{
    return exchange->framing.is_chunked || exchange->framing.length > 0;
}

/* From now on the body's bytes have a deadline; a cut says farewell. */
static void enter_body(struct exchange *exchange, unsigned timeout_ms, int farewell)
{
    struct connection *c = exchange->connection;

    atomic_store(&c->deadline_ms, clock_steady_ms() + timeout_ms);
    atomic_store(&c->farewell, farewell);
    if (!connection_enter(c, PHASE_ACTIVE, PHASE_BODY))
        connection_enter(c, PHASE_STREAM, PHASE_BODY);
}

/* The response is filled before the body has been read. A client that is still sending when the connection closes sees
 * a broken pipe instead of the response, so the body is read and dropped for a while; unless it waits to be told to
 * send. */
static enum MHD_Result answer_early(struct exchange *exchange)
{
    response_finish(&exchange->request, &exchange->response);
    exchange->is_answered = true;
    if (has_body(exchange) && exchange->framing.expects_continue) {
        exchange->response.is_last = true;
        return reply_queue(exchange, &exchange->response);
    }
    if (has_body(exchange))
        enter_body(exchange, exchange->http->config.drop_timeout_ms, exchange->response.status);
    return MHD_YES;
}

/* Not to be trusted with another request. */
static enum MHD_Result answer_and_close(struct exchange *exchange, enum problem problem, const char *detail)
{
    problem_reply(&exchange->response, &exchange->request, problem, "%s", detail);
    response_finish(&exchange->request, &exchange->response);
    exchange->response.is_last = true;
    return reply_queue(exchange, &exchange->response);
}

/* Hands the exchange to the pool and suspends its connection. */
static enum MHD_Result dispatch(struct exchange *exchange, enum work work)
{
    struct http *http = exchange->http;
    enum lane lane = exchange->request.route->where == RUN_ROOTS && work != WORK_APPEND ? LANE_ROOTS : LANE_STORE;
    /* A file's end on disk takes as long as it takes. */
    int64_t deadline = work == WORK_HANDLE ? clock_steady_ms() + http->config.pool_timeout_ms : INT64_MAX;

    exchange->work = work;
    /* Before anybody can settle it: what is resumed first stays suspended for ever. */
    libmicrohttpd.MHD_suspend_connection(exchange->mhd);
    atomic_fetch_add(&exchange->holders, 1);
    if (!flight_add(exchange, deadline)) {
        atomic_store(&exchange->outcome, OUTCOME_TIMED_OUT);
        libmicrohttpd.MHD_resume_connection(exchange->mhd);
        exchange_release(exchange);
    } else if (!pool_submit(http->pool, lane, &exchange->task, work != WORK_HANDLE)) {
        problem_reply(&exchange->response, &exchange->request, PROBLEM_BUSY, "too many requests are being handled");
        response_finish(&exchange->request, &exchange->response);
        flight_settle(exchange, OUTCOME_DONE);
        exchange_release(exchange);
    }
    return MHD_YES;
}

/* The stream has begun, or the request is refused. */
static enum MHD_Result enter_stream(struct exchange *exchange)
{
    if (!exchange->stream)
        return answer_early(exchange);
    if (has_body(exchange))
        connection_enter(exchange->connection, PHASE_ACTIVE, PHASE_STREAM);
    return MHD_YES;
}

static enum MHD_Result prepare_body(struct exchange *exchange)
{
    const struct http_config *config = &exchange->http->config;

    if (route_stream_of(&exchange->request)) {
        /* It may wait for the store or the disk, which the upload daemon's threads can afford. */
        exchange->is_opening = !exchange->connection->is_upload;
        if (exchange->is_opening)
            return dispatch(exchange, WORK_BEGIN);
        route_begin(&exchange->request, exchange->http->backend, &exchange->stream, &exchange->response);
        return enter_stream(exchange);
    }
    if (exchange->framing.length > config->body_bytes) {
        problem_reply(&exchange->response, &exchange->request, PROBLEM_TOO_LARGE, "the body may have %zu bytes",
                      config->body_bytes);
        return answer_early(exchange);
    }
    if (has_body(exchange))
        enter_body(exchange, config->body_timeout_ms, 408);
    return MHD_YES;
}

static enum MHD_Result begin(struct exchange *exchange, const char *url, const char *method, const char *version)
{
    struct http *http = exchange->http;
    const union MHD_ConnectionInfo *info =
        libmicrohttpd.MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct request *request = &exchange->request;
    struct error err = {.code = ERROR_NONE};
    struct framed_header headers[FRAMING_HEADERS_MAX];
    const char *fault, *target;

    exchange->connection = info ? info->socket_context : NULL;
    if (!exchange->connection)
        return MHD_NO;
    atomic_fetch_add(&exchange->connection->requests, 1);
    if (!connection_enter(exchange->connection, PHASE_HEADER, PHASE_ACTIVE))
        return MHD_NO;
    request->method = method_by_name(method);
    request->is_ready = atomic_load(&http->is_ready);
    request->cors_origins = http->config.cors_origins;
    request->body_bytes_max = http->config.body_bytes;
    fault =
        framing_check(exchange->mhd, url, method, version, exchange->raw_target, headers, &exchange->framing, &target);

    if (fault) {
        request_id_choose(NULL, request->id);
        return answer_and_close(exchange,
                                exchange->framing.is_too_many ? PROBLEM_HEADERS_TOO_LARGE : PROBLEM_BAD_REQUEST, fault);
    }
    if (!copy_headers(exchange))
        return MHD_NO;
    request_id_choose(request_header(request, "X-Request-Id"), request->id);
    trace_continue(request_header(request, "traceparent"), request->traceparent);
    if (target_parse(target, &exchange->target, &err)) {
        if (err.code == ERROR_NO_MEMORY)
            problem_reply_error(&exchange->response, request, &err);
        else
            problem_reply(&exchange->response, request, PROBLEM_BAD_REQUEST, "%s", err.text);
        return answer_early(exchange);
    }
    request->path = exchange->target.path;
    request->query = exchange->target.query;
    request->query_count = exchange->target.query_count;
    route_find(request->method, &exchange->target, &exchange->match);
    request->route = exchange->match.route;
    memcpy(request->parameters, exchange->match.parameters, sizeof(request->parameters));
    if (!guard_admit(&http->guard, request, &exchange->response) ||
        !access_admit(http->config.access, request, &exchange->response))
        return answer_early(exchange);
    if (!request->route) {
        route_reply_unmatched(request, &exchange->match, &exchange->response);
        return answer_early(exchange);
    }
    return prepare_body(exchange);
}

/* A piece of a body that is refused. A client that will not come to an end is told before it has; what it sends until
 * it has read that, or until the deadline, is still taken: its kernel would throw the refusal away otherwise. */
static enum MHD_Result drop(struct exchange *exchange, size_t *bytes)
{
    exchange->dropped_bytes += *bytes;
    *bytes = 0;
    if (exchange->dropped_bytes > exchange->http->config.drop_bytes && !exchange->is_told) {
        exchange->is_told = true;
        exchange->status = exchange->response.status;
        connection_tell(exchange->connection, exchange->response.status);
    }
    return MHD_YES;
}

static enum MHD_Result refuse_rest(struct exchange *exchange)
{
    response_finish(&exchange->request, &exchange->response);
    exchange->is_answered = true;
    /* Where the phase is PHASE_BODY already, the deadline and the farewell change. */
    enter_body(exchange, exchange->http->config.drop_timeout_ms, exchange->response.status);
    return MHD_YES;
}

/* Room for bytes in exchange->body, which may have most. */
static bool make_room(struct exchange *exchange, size_t bytes, size_t most)
{
    size_t capacity = 2 * exchange->body_capacity;
    char *grown;

    if (bytes <= exchange->body_capacity)
        return true;
    if (capacity < exchange->framing.length)
        capacity = exchange->framing.length;
    if (capacity > most)
        capacity = most;
    if (capacity < bytes)
        capacity = bytes;
    grown = realloc(exchange->body, capacity);
    if (!grown)
        return false;
    exchange->body = grown;
    exchange->body_capacity = capacity;
    return true;
}

static enum MHD_Result take_piece(struct exchange *exchange, const char *data, size_t *bytes)
{
    size_t most = exchange->http->config.body_bytes, used = exchange->request.body_bytes;

    if (*bytes > most - used) {
        *bytes = 0;
        problem_reply(&exchange->response, &exchange->request, PROBLEM_TOO_LARGE, "the body may have %zu bytes", most);
        return refuse_rest(exchange);
    }
    if (!make_room(exchange, used + *bytes, most))
        return MHD_NO;
    memcpy(exchange->body + used, data, *bytes);
    exchange->request.body = exchange->body;
    exchange->request.body_bytes += *bytes;
    *bytes = 0;
    return MHD_YES;
}

/* On the upload daemon a piece is written right here: its threads have nothing better to do. On the other daemon, which
 * gets an upload only on a connection that was used before, the pool writes it. */
static enum MHD_Result stream_piece(struct exchange *exchange, const char *data, size_t *bytes)
{
    struct connection *c = exchange->connection;

    if (c->is_upload) {
        int rc;

        /* A disk that takes its time is not the client's fault. */
        if (!connection_enter(c, PHASE_STREAM, PHASE_ACTIVE))
            return MHD_NO;
        rc = exchange->request.route->stream->append(&exchange->request, exchange->stream, data, *bytes,
                                                     &exchange->response);
        *bytes = 0;
        if (rc)
            return refuse_rest(exchange);
        connection_enter(c, PHASE_ACTIVE, PHASE_STREAM);
        return MHD_YES;
    }
    if (atomic_load(&exchange->outcome) == OUTCOME_NONE) {
        if (!make_room(exchange, *bytes, *bytes))
            return MHD_NO;
        memcpy(exchange->body, data, *bytes);
        exchange->piece_bytes = *bytes;
        if (!connection_enter(c, PHASE_STREAM, PHASE_ACTIVE))
            return MHD_NO;
        return dispatch(exchange, WORK_APPEND);
    }
    if (atomic_load(&exchange->outcome) != OUTCOME_DONE || *bytes < exchange->piece_bytes)
        return MHD_NO;
    atomic_store(&exchange->outcome, OUTCOME_NONE);
    *bytes -= exchange->piece_bytes;
    if (exchange->is_answered)
        enter_body(exchange, exchange->http->config.drop_timeout_ms, exchange->response.status);
    else
        connection_enter(c, PHASE_ACTIVE, PHASE_STREAM);
    return MHD_YES;
}

static enum MHD_Result piece(struct exchange *exchange, const char *data, size_t *bytes)
{
    bool is_pending = atomic_load(&exchange->outcome) != OUTCOME_NONE;

    if (exchange->is_queued)
        return MHD_NO;
    if (exchange->is_answered && !is_pending)
        return drop(exchange, bytes);
    if (exchange->stream)
        return stream_piece(exchange, data, bytes);
    return take_piece(exchange, data, bytes);
}

static enum MHD_Result reply_timed_out(struct exchange *exchange)
{
    struct response late; /* the pool may still be writing the other */
    enum MHD_Result result;

    response_init(&late);
    problem_reply(&late, &exchange->request, PROBLEM_TIMEOUT, "there was no answer in time");
    response_finish(&exchange->request, &late);
    result = reply_queue(exchange, &late);
    response_done(&late);
    return result;
}

/* Answers here and now if the handler touches memory only: not even a disk that hangs may stop a socket's thread.
 * False: it is the pool's. */
static bool run_on_socket(struct exchange *exchange)
{
    enum route_where where = exchange->request.route->where;
    struct response *response = &exchange->response;

    if (where != RUN_INLINE && where != RUN_MEMORY)
        return false;
    exchange->request.is_on_socket = true;
    route_run(&exchange->request, exchange->http->backend, response);
    exchange->request.is_on_socket = false;
    if (!response->is_deferred && response->wait.seconds == 0)
        return true;
    response_done(response);
    response_init(response);
    return false;
}

/* The request is whole. */
static enum MHD_Result finish(struct exchange *exchange)
{
    struct connection *c = exchange->connection;

    /* PHASE_ACTIVE already, when there was no body or after a suspension. */
    if (!connection_enter(c, PHASE_BODY, PHASE_ACTIVE) && !connection_enter(c, PHASE_STREAM, PHASE_ACTIVE) &&
        atomic_load(&c->phase) != PHASE_ACTIVE)
        return MHD_NO;
    if (exchange->is_told)
        return MHD_NO;
    if (exchange->is_queued)
        return MHD_YES;
    switch ((enum outcome)atomic_load(&exchange->outcome)) {
    case OUTCOME_DONE:
        return reply_queue(exchange, &exchange->response);
    case OUTCOME_TIMED_OUT:
        return reply_timed_out(exchange);
    case OUTCOME_GONE:
        return MHD_NO;
    case OUTCOME_NONE:
    case OUTCOME_PENDING:
        break;
    }
    if (exchange->is_answered)
        return reply_queue(exchange, &exchange->response);
    if (exchange->stream)
        return dispatch(exchange, WORK_FINISH);
    if (!run_on_socket(exchange))
        return dispatch(exchange, WORK_HANDLE);
    return reply_queue(exchange, &exchange->response);
}

enum MHD_Result exchange_handle(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload_data, size_t *upload_data_size,
                                void **request_context)
{
    struct exchange *exchange = *request_context;

    (void)context;
    (void)mhd;
    if (!exchange)
        return MHD_NO;
    if (!exchange->is_begun) {
        exchange->is_begun = true;
        return begin(exchange, url, method, version);
    }
    if (exchange->is_opening) { /* called anew after the suspension, before any of the body */
        exchange->is_opening = false;
        return atomic_exchange(&exchange->outcome, OUTCOME_NONE) == OUTCOME_DONE ? enter_stream(exchange) : MHD_NO;
    }
    if (*upload_data_size > 0)
        return piece(exchange, upload_data, upload_data_size);
    return finish(exchange);
}

/* The job that the address names, or that the response is about. */
static const char *job_of(const struct exchange *exchange, bool is_timed_out)
{
    const struct route *route = exchange->request.route;
    const char *id = exchange->request.parameters[0];

    if (route && strncmp(route->path, "/v1/jobs/{id}", 13) == 0)
        return id && id_is_valid(id) ? id : "";
    return is_timed_out ? "" : exchange->response.job_id;
}

static void report(struct exchange *exchange)
{
    struct http *http = exchange->http;
    const struct request *request = &exchange->request;
    int64_t nanoseconds = clock_steady_ns() - exchange->start_ns;
    /* After its time the handler may still be writing the response. */
    bool is_timed_out = atomic_load(&exchange->outcome) == OUTCOME_TIMED_OUT;
    char trace_id[TRACE_ID_BYTES];

    tally_add(&http->tally, request->route, exchange->status, nanoseconds);
    trace_id_of(request->traceparent, trace_id);
    if (http->config.log) {
        struct http_access access = {
            .method = method_names[request->method],
            .route = request->route ? request->route->path : "",
            .request_id = request->id,
            .key = request->caller.name,
            .job_id = job_of(exchange, is_timed_out),
            .trace_id = trace_id,
            .cause = is_timed_out ? "timed out" : exchange->response.cause,
            .status = exchange->status,
            .bytes = exchange->bytes,
            .seconds = (double)nanoseconds / 1e9,
        };

        http->config.log(http->config.log_context, &access);
    }
}

void exchange_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                        enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *request_context;

    (void)context;
    (void)mhd;
    (void)code;
    *request_context = NULL;
    if (!exchange)
        return;
    report(exchange);
    if (exchange->connection && !connection_enter(exchange->connection, PHASE_ACTIVE, PHASE_HEADER) &&
        !connection_enter(exchange->connection, PHASE_BODY, PHASE_HEADER))
        connection_enter(exchange->connection, PHASE_STREAM, PHASE_HEADER);
    exchange_release(exchange);
}
