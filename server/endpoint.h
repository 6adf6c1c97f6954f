/* Where the service listens, from its settings. */
#ifndef SERVER_ENDPOINT_H
#define SERVER_ENDPOINT_H

#include "server/config.h"

enum { HOST_BYTES = 256 };

struct endpoint {
    char host[HOST_BYTES]; /* numeric, without brackets */
    uint16_t port;
    bool is_loopback;
};

/* --listen. ERROR_REQUEST: malformed, or open to other machines though nobody would be asked for a key. */
int endpoint_main(const struct config *config, struct endpoint *ret, struct error *err);
/* --admin-port, on the host of --listen unless it names one. ERROR_NOT_FOUND when there is none. */
int endpoint_admin(const struct config *config, struct endpoint *ret, struct error *err);

#endif
