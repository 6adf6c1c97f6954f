/* Which addresses a webhook may go to: public ones by https, and what --webhook-allow names by http too. */
#ifndef SERVER_WEBHOOKS_ALLOWANCE_H
#define SERVER_WEBHOOKS_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/error.h"

struct network {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

struct allowance {
    struct network *networks; /* owned */
    size_t network_count;
    const char *const *hosts; /* borrowed: the settings that are no network, NULL entries between them */
    size_t host_count;
};

/* settings: "10.0.0.0/8", "fd00::/8", "192.168.1.5" or a host's name; they must outlive it. ERROR_REQUEST. */
int allowance_init(struct allowance *allowance, const char *const *settings, size_t count, struct error *err);
void allowance_done(struct allowance *allowance);

bool allowance_has_host(const struct allowance *allowance, const char *host);
/* Whether a connection may be made to the address: it is public, or of an allowed network. */
bool allowance_has_address(const struct allowance *allowance, const struct sockaddr *address);
/* A host that is a literal address: whether it may be connected to, and whether by http. True for names. */
bool allowance_has_literal(const struct allowance *allowance, const char *host, bool *ret_is_listed);

#endif
