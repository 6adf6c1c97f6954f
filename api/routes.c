/* The table, finding a row in it, and what holds for every response whatever made it. */
#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/conditional.h"
#include "api/cors.h"
#include "api/encoding.h"
#include "api/multipart.h"
#include "api/problem.h"
#include "api/resources/resources.h"

const struct route routes[] = {
    {METHOD_GET, "/", "getRoot", SCOPE_NONE, OF_NOBODY, root_get, RUN_INLINE, TAKES_NONE, NULL, false, false},
    {METHOD_GET, "/livez", "getLive", SCOPE_NONE, OF_NOBODY, live_get, RUN_INLINE, TAKES_NONE, NULL, true, false},
    {METHOD_GET, "/readyz", "getReady", SCOPE_NONE, OF_NOBODY, ready_get, RUN_POOL, TAKES_NONE, NULL, true, false},
    {METHOD_GET, "/metrics", "getMetrics", SCOPE_READ, OF_NOBODY, metrics_get, RUN_POOL, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/version", "getVersion", SCOPE_NONE, OF_NOBODY, version_get, RUN_INLINE, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/openapi.yaml", "getOpenapi", SCOPE_NONE, OF_NOBODY, openapi_get, RUN_INLINE, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/problems/{slug}", "getProblem", SCOPE_NONE, OF_NOBODY, problems_get, RUN_INLINE, TAKES_NONE, NULL,
     false, false},
    {METHOD_POST, "/v1/jobs", "submitJob", SCOPE_SUBMIT, OF_NOBODY, jobs_submit, RUN_ROOTS, TAKES_JSON,
     &jobs_submit_form, false, false},
    {METHOD_GET, "/v1/jobs", "listJobs", SCOPE_READ, OF_NOBODY, jobs_list, RUN_POOL, TAKES_NONE, NULL, false, false},
    {METHOD_GET, "/v1/jobs/{id}", "getJob", SCOPE_READ, OF_JOB, jobs_get, RUN_MEMORY, TAKES_NONE, NULL, false, false},
    {METHOD_DELETE, "/v1/jobs/{id}", "deleteJob", SCOPE_SUBMIT, OF_JOB, jobs_forget, RUN_POOL, TAKES_NONE, NULL, false,
     false},
    {METHOD_POST, "/v1/jobs/{id}:cancel", "cancelJob", SCOPE_SUBMIT, OF_JOB, jobs_cancel, RUN_POOL, TAKES_NONE, NULL,
     false, false},
    {METHOD_GET, "/v1/jobs/{id}/events", "followJob", SCOPE_READ, OF_JOB, jobs_events, RUN_POOL, TAKES_NONE, NULL,
     false, false},
    {METHOD_GET, "/v1/jobs/{id}/result", "getResult", SCOPE_READ, OF_JOB, results_get, RUN_POOL, TAKES_NONE, NULL,
     false, false},
    {METHOD_GET, "/v1/jobs/{id}/tensors", "listTensors", SCOPE_READ, OF_JOB, tensors_list, RUN_POOL, TAKES_NONE, NULL,
     false, false},
    {METHOD_PUT, "/v1/uploads/{upload}", "putUpload", SCOPE_SUBMIT, OF_NOBODY, NULL, RUN_POOL, TAKES_STREAM,
     &uploads_put, false, true},
    {METHOD_POST, "/v1/uploads", "postUpload", SCOPE_SUBMIT, OF_NOBODY, NULL, RUN_POOL, TAKES_STREAM, &uploads_post,
     false, false},
    {METHOD_PATCH, "/v1/uploads/{upload}", "patchUpload", SCOPE_SUBMIT, OF_UPLOAD, NULL, RUN_POOL, TAKES_STREAM,
     &uploads_patch, false, false},
    {METHOD_GET, "/v1/uploads", "listUploads", SCOPE_READ, OF_NOBODY, uploads_list, RUN_POOL, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/v1/uploads/{upload}", "getUpload", SCOPE_READ, OF_UPLOAD, uploads_get, RUN_POOL, TAKES_NONE, NULL,
     false, false},
    {METHOD_DELETE, "/v1/uploads/{upload}", "deleteUpload", SCOPE_SUBMIT, OF_UPLOAD, uploads_delete, RUN_POOL,
     TAKES_NONE, NULL, false, false},
    {METHOD_GET, "/v1/models", "listModels", SCOPE_READ, OF_NOBODY, models_list, RUN_ROOTS, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/v1/models/inspect", "inspectModel", SCOPE_READ, OF_NOBODY, models_inspect, RUN_ROOTS, TAKES_NONE,
     NULL, false, false},
    {METHOD_GET, "/v1/analyses", "listAnalyses", SCOPE_READ, OF_NOBODY, analyses_list, RUN_INLINE, TAKES_NONE, NULL,
     false, false},
    {METHOD_GET, "/v1/status", "getStatus", SCOPE_READ, OF_NOBODY, status_get, RUN_POOL, TAKES_NONE, NULL, false,
     false},
    {METHOD_GET, "/v1/formats", "listFormats", SCOPE_READ, OF_NOBODY, formats_list, RUN_INLINE, TAKES_NONE, NULL, false,
     false},
};
const size_t route_count = sizeof(routes) / sizeof(routes[0]);

/* Matches one segment; a parameter's value goes to the match. */
static bool match_segment(const char *pattern, size_t bytes, const char *segment, struct route_match *match,
                          size_t *parameters)
{
    const char *close = memchr(pattern, '}', bytes);
    size_t verb, length = strlen(segment);

    if (pattern[0] != '{' || !close)
        return length == bytes && memcmp(pattern, segment, bytes) == 0;
    verb = bytes - (size_t)(close + 1 - pattern);
    if (length <= verb || memcmp(segment + length - verb, close + 1, verb) != 0)
        return false;
    if (verb > 0) {
        if (length - verb >= sizeof(match->text))
            return false;
        memcpy(match->text, segment, length - verb);
        match->text[length - verb] = '\0';
        segment = match->text;
    } else if (strncmp(pattern, "{id}", 4) == 0 && strchr(segment, ':')) {
        return false; /* a verb that there is not */
    }
    if (*parameters < PATH_PARAMETERS_MAX)
        match->parameters[(*parameters)++] = segment;
    return true;
}

static bool match_path(const struct route *route, const struct target *target, struct route_match *match,
                       bool *ret_is_slash_refused)
{
    const char *at = route->path;
    size_t index = 0, parameters = 0;

    *ret_is_slash_refused = false;
    while (*at == '/') {
        size_t bytes = strcspn(at + 1, "/");

        if (index == target->segment_count ||
            !match_segment(at + 1, bytes, target->segments[index], match, &parameters))
            return false;
        if (target->has_slash[index] && !route->is_slash_taken)
            *ret_is_slash_refused = true;
        at += 1 + bytes;
        index++;
    }
    return index == target->segment_count;
}

enum { ALLOW_BYTES = 64 };

/* The value of Allow. */
static void write_methods(unsigned methods, char out[ALLOW_BYTES])
{
    size_t used = 0;

    if (methods & 1U << METHOD_GET)
        methods |= 1U << METHOD_HEAD;
    methods |= 1U << METHOD_OPTIONS;
    for (unsigned method = 0; method < METHOD_COUNT; method++)
        if (methods & 1U << method)
            used += (size_t)snprintf(out + used, ALLOW_BYTES - used, "%s%s", used ? ", " : "", method_names[method]);
}

void route_find(enum http_method method, const struct target *target, struct route_match *ret_match)
{
    struct route_match *match = ret_match;

    *match = (struct route_match){.route = NULL};
    for (size_t i = 0; i < target->segment_count; i++)
        match->is_slash_refused |= target->has_slash[i];
    if (target->is_deep)
        return;
    for (size_t i = 0; i < route_count; i++) {
        struct route_match one;
        bool is_slash_refused;

        memset(one.parameters, 0, sizeof(one.parameters));
        one.text[0] = '\0';
        if (!match_path(&routes[i], target, &one, &is_slash_refused))
            continue;
        match->methods |= 1U << routes[i].method;
        if (routes[i].method != (method == METHOD_HEAD ? METHOD_GET : method))
            continue;
        match->is_slash_refused = is_slash_refused;
        match->route = &routes[i];
        memcpy(match->text, one.text, sizeof(one.text));
        for (size_t p = 0; p < PATH_PARAMETERS_MAX; p++)
            match->parameters[p] = one.parameters[p] == one.text ? match->text : one.parameters[p];
        break;
    }
    if (match->is_slash_refused)
        match->route = NULL;
}

const struct route_stream *route_stream_of(const struct request *request)
{
    const struct route *route = request->route;

    if (route->body == TAKES_JSON && !multipart_is(request_header(request, "Content-Type")))
        return NULL;
    return route->stream;
}

void route_reply_unmatched(const struct request *request, const struct route_match *match, struct response *response)
{
    char allowed[ALLOW_BYTES];

    write_methods(match->methods, allowed);
    if (match->is_slash_refused) {
        problem_reply(response, request, PROBLEM_BAD_REQUEST, "%%2F may stand in the name of an upload only");
    } else if (match->methods == 0) {
        problem_reply(response, request, PROBLEM_NOT_FOUND, "there is nothing at this address");
    } else if (request->method == METHOD_OPTIONS) {
        response->status = 204;
        response_header(response, "Allow", allowed);
    } else {
        problem_reply(response, request, PROBLEM_METHOD_NOT_ALLOWED, "this address takes %s", allowed);
        response_header(response, "Allow", allowed);
    }
}

void response_finish(const struct request *request, struct response *response)
{
    encoding_select(request, response);
    conditional_apply(request, response);
    encoding_apply(response);
    cors_apply(request, response);
    response_header(response, "X-Content-Type-Options", "nosniff");
    if (request->id[0])
        response_header(response, "X-Request-Id", request->id);
}

int route_begin(const struct request *request, struct backend *backend, void **ret_state, struct response *response)
{
    if (!access_owns(request, backend, response))
        return ERROR_NOT_FOUND;
    return route_stream_of(request)->begin(request, backend, ret_state, response);
}

void route_run(const struct request *request, struct backend *backend, struct response *response)
{
    if (access_owns(request, backend, response))
        request->route->handle(request, backend, response);
    response_finish(request, response);
}
