/* Requests that ended, counted by route, status and duration. */
#ifndef SERVER_HTTP_TALLY_H
#define SERVER_HTTP_TALLY_H

#include <stdint.h>

#include "api/routes.h"
#include "core/error.h"
#include "server/http.h"

struct tally_row;

struct tally {
    struct tally_row *rows; /* of each route, then of what matched none */
};

int tally_init(struct tally *tally, struct error *err);
void tally_done(struct tally *tally); /* a zeroed one is fine */

/* route: NULL when none matched. status 0: the connection ended before a response. From any thread. */
void tally_add(struct tally *tally, const struct route *route, int status, int64_t nanoseconds);
/* index: of the route in routes; route_count: of what matched none. */
void tally_read(const struct tally *tally, size_t index, struct http_route_counters *ret);

#endif
