/* Conditions and ranges (RFC 9110 13 and 14) on a response that has an ETag. */
#ifndef API_CONDITIONAL_H
#define API_CONDITIONAL_H

#include "api/exchange.h"

/* Turns a 200 of GET or HEAD into 304 when If-None-Match names its ETag, and a whole file of GET into 206 or 416 by
 * Range (one range; If-Range). Leaves every other response alone. */
void conditional_apply(const struct request *request, struct response *response);

/* Whether If-None-Match of a GET or HEAD names etag: its body will not be sent, so it need not be made. */
bool conditional_is_known(const struct request *request, const char *etag);

#endif
