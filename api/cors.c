#include "api/cors.h"

#include <string.h>

/* What a page may send and read besides what the Fetch standard always allows. */
#define REQUEST_HEADERS                                                                                                \
    "Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Range, Idempotency-Key, Last-Event-ID, Prefer, " \
    "Range, Repr-Digest, Upload-Complete, Upload-Length, Upload-Offset, X-Request-Id, traceparent, tracestate"
#define RESPONSE_HEADERS                                                                                               \
    "Accept-Ranges, Content-Encoding, Content-Range, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, " \
    "Repr-Digest, Retry-After, Upload-Complete, Upload-Offset, WWW-Authenticate, X-Request-Id"

static bool is_origin(const char *origin)
{
    static const char *const schemes[] = {"https://", "http://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t bytes = strlen(schemes[i]);
        const char *host = origin + bytes;

        if (strncmp(origin, schemes[i], bytes) == 0)
            return *host && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == strlen(host);
    }
    return false;
}

int cors_origins_check(const char *const *origins, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!is_origin(origins[i]))
            return error_set(err, ERROR_REQUEST,
                             "--cors-origin takes an origin as browsers send it, such as https://dashboard.example or "
                             "http://localhost:3000, not \"%.100s\"",
                             origins[i]);
    return 0;
}

bool cors_allows(const struct request *request)
{
    const char *origin = request->cors_origins ? request_header(request, "Origin") : NULL;

    for (size_t i = 0; origin && request->cors_origins[i]; i++)
        if (strcmp(request->cors_origins[i], origin) == 0)
            return true;
    return false;
}

void cors_apply(const struct request *request, struct response *response)
{
    const char *allow = response_header_value(response, "Allow");

    if (!request->cors_origins)
        return;
    response_vary(response, "Origin");
    if (!cors_allows(request))
        return;
    response_header(response, "Access-Control-Allow-Origin", request_header(request, "Origin"));
    if (request->method == METHOD_OPTIONS && allow && request_header(request, "Access-Control-Request-Method")) {
        response_header(response, "Access-Control-Allow-Methods", allow);
        response_header(response, "Access-Control-Allow-Headers", REQUEST_HEADERS);
        response_header(response, "Access-Control-Max-Age", "600");
    } else {
        response_header(response, "Access-Control-Expose-Headers", RESPONSE_HEADERS);
    }
}
