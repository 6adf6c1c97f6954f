/* Asks a handler as the front does, without a socket. */
#ifndef TESTS_ASK_H
#define TESTS_ASK_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/problem.h"
#include "api/routes.h"
#include "tests/unit/api/fake_backend.h"

struct answer {
    struct response response;
    const char *operation; /* operationId, "" when no route matched */
    char *body;            /* terminated */
    size_t bytes;
};

static const char *const *ask_cors_origins; /* as the front would set them */

/* Called for each answer, when set. */
static void (*ask_record)(const char *operation, int status);

static inline char *read_whole_body(const struct response *response, size_t *ret_bytes)
{
    size_t length = (size_t)response_length(response), used = 0;
    char *body = malloc(length + 2);
    struct body_reader reader;
    ssize_t got;

    body_reader_init(&reader, response);
    /* In small pieces, so that every seam of a body is crossed. */
    while ((got = body_read(&reader, body + used, length + 1 - used < 7 ? length + 1 - used : 7)) > 0)
        used += (size_t)got;
    ck_assert_int_eq(got, 0);
    ck_assert_uint_eq(used, length);
    body_reader_done(&reader);
    body[used] = '\0';
    *ret_bytes = used;
    return body;
}

static inline void run_stream(const struct request *request, struct backend *backend, struct response *response)
{
    const struct route_stream *stream = route_stream_of(request);
    void *state = NULL;

    if (route_begin(request, backend, &state, response))
        return;
    if (request->body_bytes && stream->append(request, state, request->body, request->body_bytes, response))
        stream->abandon(state);
    else
        stream->finish(request, backend, state, response);
}

/* headers: "Name: value" lines, or NULL. */
static inline struct answer ask_waited(struct fake *fake, const char *method, const char *raw_target,
                                       const char *headers, const char *body, const char *waited, bool is_over)
{
    static const struct guard guard = {.is_loopback = true};
    struct field fields[16];
    struct request request = {
        .headers = fields, .is_ready = true, .cors_origins = ask_cors_origins, .body_bytes_max = 1 << 20};
    struct answer answer = {.operation = ""};
    struct target target = {.path = NULL};
    struct route_match match;
    struct error err = {.code = ERROR_NONE};
    char *text = strdup(headers ? headers : ""), *line, *rest = text, length[24];

    response_init(&answer.response);
    fields[request.header_count++] = (struct field){"Host", "localhost:8080"};
    if (body && !strcasestr(text, "Content-Type"))
        fields[request.header_count++] = (struct field){"Content-Type", "application/json"};
    snprintf(length, sizeof(length), "%zu", body ? strlen(body) : 0);
    if (body && !strcasestr(text, "Content-Length"))
        fields[request.header_count++] = (struct field){"Content-Length", length};
    while ((line = strsep(&rest, "\n")) && *line) {
        char *colon = strstr(line, ": ");

        *colon = '\0';
        if (strcmp(line, "Host") == 0)
            fields[0].value = colon + 2;
        else
            fields[request.header_count++] = (struct field){line, colon + 2};
    }
    request.method = method_by_name(method);
    snprintf(request.id, sizeof(request.id), "test-1");
    request.body = body;
    request.body_bytes = body ? strlen(body) : 0;
    request.waited.job_id = waited;
    request.waited.is_over = is_over;
    request.waited.is_replay = waited && strcasestr(headers ? headers : "", "Idempotency-Key");
    if (target_parse(raw_target, &target, &err)) {
        request.path = "";
        problem_reply(&answer.response, &request, PROBLEM_BAD_REQUEST, "%s", err.text);
    } else {
        request.path = target.path;
        request.query = target.query;
        request.query_count = target.query_count;
        route_find(request.method, &target, &match);
        request.route = match.route;
        memcpy(request.parameters, match.parameters, sizeof(request.parameters));
        if (match.route)
            answer.operation = match.route->operation_id;
        if (!guard_admit(&guard, &request, &answer.response) || !access_admit(fake->access, &request, &answer.response))
            ; /* refused */
        else if (!match.route)
            route_reply_unmatched(&request, &match, &answer.response);
        else if (route_stream_of(&request))
            run_stream(&request, &fake->backend, &answer.response);
        else if (access_owns(&request, &fake->backend, &answer.response))
            match.route->handle(&request, &fake->backend, &answer.response);
    }
    response_finish(&request, &answer.response);
    answer.body = read_whole_body(&answer.response, &answer.bytes);
    target_done(&target);
    free(text);
    if (ask_record)
        ask_record(answer.operation, answer.response.status);
    return answer;
}

static inline struct answer ask(struct fake *fake, const char *method, const char *target, const char *headers,
                                const char *body)
{
    return ask_waited(fake, method, target, headers, body, NULL, false);
}

static inline void answer_done(struct answer *answer)
{
    response_done(&answer->response);
    free(answer->body);
}

static inline int count_of(const char *text, const char *part)
{
    int count = 0;

    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static inline const char *answer_header(const struct answer *answer, const char *name)
{
    const char *value = response_header_value(&answer->response, name);

    return value ? value : "";
}

/* Asks, and holds the status and a piece of the body (NULL: any) against what is expected. */
static inline void expect(struct fake *fake, const char *method, const char *target, const char *headers,
                          const char *body, int status, const char *part)
{
    struct answer answer = ask(fake, method, target, headers, body);

    ck_assert_msg(answer.response.status == status, "%s %s: %d instead of %d: %s", method, target,
                  answer.response.status, status, answer.body);
    ck_assert_msg(!part || strstr(answer.body, part), "%s %s: no %s in: %s", method, target, part, answer.body);
    ck_assert_msg(!strstr(answer.body, "secret /") && !strstr(answer.body, "/secret"), "%s %s tells a secret: %s",
                  method, target, answer.body);
    if (status >= 400)
        ck_assert_str_eq(answer_header(&answer, "Content-Type"), "application/problem+json");
    ck_assert_str_eq(answer_header(&answer, "X-Content-Type-Options"), "nosniff");
    answer_done(&answer);
}

#endif
