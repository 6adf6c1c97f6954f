/* Every route says in the table which scope it takes and whether its address names somebody's job or upload, so that
 * no handler has to remember either. Somebody else's is answered in the very words of one that does not exist. */
#include "api/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/problem.h"
#include "api/resources/resources.h"
#include "api/routes.h"

const char *const scope_names[] = {"read", "submit", "admin", NULL};

const struct caller caller_anyone = {.scopes = SCOPE_READ | SCOPE_SUBMIT | SCOPE_ADMIN};

bool caller_may(const struct caller *caller, enum scope scope)
{
    return scope == SCOPE_NONE || (caller->scopes & ((unsigned)scope | SCOPE_ADMIN)) != 0;
}

const char *caller_view(const struct caller *caller)
{
    return caller->scopes & SCOPE_ADMIN ? NULL : caller->name;
}

static const char *scope_name(enum scope scope)
{
    for (unsigned i = 0; scope_names[i]; i++)
        if ((unsigned)scope == 1u << i)
            return scope_names[i];
    return "";
}

/* The token of "Bearer TOKEN"; NULL when there is none. */
static const char *bearer(const struct request *request, size_t *ret_bytes)
{
    const char *field = request_header(request, "Authorization");

    if (!field || strncasecmp(field, "Bearer ", 7) != 0)
        return NULL;
    field += 7 + strspn(field + 7, " ");
    *ret_bytes = strcspn(field, " ");
    return field[*ret_bytes + strspn(field + *ret_bytes, " ")] ? NULL : field;
}

bool access_admit(struct access *access, struct request *request, struct response *response)
{
    enum scope scope = request->route ? request->route->scope : SCOPE_NONE;
    const char *key;
    size_t bytes = 0;

    if (!access) {
        request->caller = caller_anyone;
        return true;
    }
    key = bearer(request, &bytes);
    if (key && access->identify(access, key, bytes, &request->caller)) {
        if (caller_may(&request->caller, scope))
            return true;
        problem_reply(response, request, PROBLEM_FORBIDDEN, "this takes a key with the scope %s", scope_name(scope));
        response_header_format(response, "WWW-Authenticate",
                               "Bearer realm=\"diffaid\", error=\"insufficient_scope\", scope=\"%s\"",
                               scope_name(scope));
        return false;
    }
    if (scope == SCOPE_NONE)
        return true;
    problem_reply(response, request, PROBLEM_UNAUTHORIZED,
                  key ? "this key is not known" : "send Authorization: Bearer KEY");
    response_header(response, "WWW-Authenticate",
                    key ? "Bearer realm=\"diffaid\", error=\"invalid_token\"" : "Bearer realm=\"diffaid\"");
    return false;
}

/* On the socket's thread memory has to know, or another call answers. */
static int find_owner(const struct request *request, struct backend *backend, const char *id,
                      char ret_owner[CALLER_NAME_BYTES], struct response *response, struct error *err)
{
    struct job job;

    if (!request->is_on_socket)
        return backend->ops->owner(backend, id, ret_owner, err);
    response->is_deferred = !backend->ops->peek || !backend->ops->peek(backend, id, &job);
    if (response->is_deferred)
        return ERROR_BUSY;
    memcpy(ret_owner, job.owner, sizeof(job.owner));
    job_done(&job);
    return 0;
}

bool access_owns(const struct request *request, struct backend *backend, struct response *response)
{
    const char *view = caller_view(&request->caller), *id = request->parameters[0];
    enum route_of of = request->route->of;
    struct error err = {.code = ERROR_NONE};
    char owner[CALLER_NAME_BYTES];
    int rc;

    if (!view || of == OF_NOBODY || !id_is_valid(id))
        return true; /* what is no id at all is the handler's to refuse */
    rc = find_owner(request, backend, id, owner, response, &err);
    if (response->is_deferred)
        return false;
    if (!rc && strcmp(owner, view) == 0)
        return true;
    if (!rc)
        rc = error_set(&err, ERROR_NOT_FOUND, "somebody else's");
    if (of == OF_JOB)
        reply_job_error(response, request, &err);
    else
        reply_upload_error(response, request, &err);
    return false;
}
