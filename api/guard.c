/* Loopback is no protection from a browser: any page may send requests there, and a name that resolves to 127.0.0.1
 * makes it same-origin. Host and Origin tell; JSON as the only type keeps form posts out. */
#include <string.h>
#include <strings.h>

#include "api/cors.h"
#include "api/problem.h"
#include "api/random_hex.h"
#include "api/routes.h"

/* Length of host's name without its port; 0 when malformed. */
static size_t name_bytes(const char *host)
{
    size_t bytes = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");

    if (host[0] == '[') {
        if (host[bytes] != ']')
            return 0;
        bytes++;
    }
    if (host[bytes] == ':' && host[bytes + 1 + strspn(host + bytes + 1, "0123456789")] == '\0')
        return bytes;
    return host[bytes] == '\0' ? bytes : 0;
}

static bool is_host(const char *host, size_t bytes, const char *allowed)
{
    return strlen(allowed) == bytes && strncasecmp(host, allowed, bytes) == 0;
}

static bool is_host_allowed(const struct guard *guard, const char *host)
{
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]", NULL};
    size_t bytes = host ? name_bytes(host) : 0;

    if (bytes == 0)
        return false;
    for (size_t i = 0; own[i]; i++)
        if (is_host(host, bytes, own[i]))
            return true;
    for (size_t i = 0; guard->allowed_hosts && guard->allowed_hosts[i]; i++)
        if (is_host(host, bytes, guard->allowed_hosts[i]) ||
            strcasecmp(host, guard->allowed_hosts[i]) == 0) /* with its port */
            return true;
    return false;
}

static bool is_foreign(const struct request *request)
{
    const char *origin = request_header(request, "Origin");
    const char *site = request_header(request, "Sec-Fetch-Site");
    const char *host = request_header(request, "Host");
    const char *authority;

    if (site && strcasecmp(site, "cross-site") == 0)
        return true;
    if (!origin)
        return false;
    authority = strstr(origin, "://");
    return !authority || !host || strcasecmp(authority + 3, host) != 0;
}

static bool is_json(const char *content_type)
{
    size_t bytes = content_type ? strcspn(content_type, "; \t") : 0;

    return bytes == 16 && strncasecmp(content_type, "application/json", 16) == 0;
}

bool guard_admit(const struct guard *guard, const struct request *request, struct response *response)
{
    const char *encoding = request_header(request, "Content-Encoding");
    bool is_safe = request->method == METHOD_GET || request->method == METHOD_HEAD || request->method == METHOD_OPTIONS;

    if (guard->is_admin && request->route && strncmp(request->route->path, "/v1/", 4) == 0) {
        problem_reply(response, request, PROBLEM_NOT_FOUND, "the service itself is on another port");
        return false;
    }
    if (guard->is_loopback && !(request->route && request->route->is_exempt) &&
        !is_host_allowed(guard, request_header(request, "Host"))) {
        problem_reply(response, request, PROBLEM_MISDIRECTED, "this service does not answer for that Host");
        return false;
    }
    if (!is_safe && is_foreign(request) && !cors_allows(request)) {
        problem_reply(response, request, PROBLEM_FOREIGN_ORIGIN, "a page of another origin may not do this");
        return false;
    }
    if (request->route && request->route->body == TAKES_JSON &&
        ((!route_stream_of(request) && !is_json(request_header(request, "Content-Type"))) ||
         (encoding && strcasecmp(encoding, "identity") != 0))) {
        problem_reply(response, request, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                      request->route->stream
                          ? "send Content-Type: application/json or multipart/form-data, without a Content-Encoding"
                          : "send Content-Type: application/json, without a Content-Encoding");
        return false;
    }
    return true;
}

void request_id_choose(const char *sent, char out[REQUEST_ID_BYTES])
{
    size_t bytes = sent ? strlen(sent) : 0;

    if (bytes > 0 && bytes < REQUEST_ID_BYTES &&
        strspn(sent, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+=@") == bytes) {
        memcpy(out, sent, bytes + 1);
        return;
    }
    random_hex(out, 24);
}
