/* Cross-origin requests from browsers: off, unless origins are named. */
#ifndef API_CORS_H
#define API_CORS_H

#include <stdbool.h>

#include "api/exchange.h"
#include "core/error.h"

/* 0 when each is as a browser sends Origin ("https://dashboard.example", perhaps with a port) and no pattern; else
 * ERROR_REQUEST. */
int cors_origins_check(const char *const *origins, size_t count, struct error *err);

/* Whether the request comes from a page of one of request.cors_origins. */
bool cors_allows(const struct request *request);

/* Says on every response what such a page may read, and in the answer to OPTIONS what it may send. Never allows
 * credentials: a key is sent by the page itself, in Authorization. */
void cors_apply(const struct request *request, struct response *response);

#endif
