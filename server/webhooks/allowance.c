/* Addresses are compared as IPv6. What is public is said by what is not: of IPv4 the special blocks of IANA's registry
 * and the addresses at which clouds answer with a machine's credentials; of IPv6 everything outside 2000::/3, and
 * within it the blocks that carry an IPv4 address or are for documents. */
#include "server/webhooks/allowance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const closed[] = {
    "0.0.0.0/8",        "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12",    "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15",    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "168.63.129.16/32", "2001::/23",       "2001:db8::/32",  "2002::/16",      "3fff::/20",
};

static void map(const struct in_addr *v4, unsigned char out[16])
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(out, prefix, sizeof(prefix));
    memcpy(out + 12, v4, 4);
}

static bool is_mapped(const unsigned char address[16])
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

/* A literal address, a v6 one with or without brackets. */
static bool read_address(const char *text, unsigned char out[16], bool *ret_is_v4)
{
    char plain[64];
    struct in_addr v4;
    size_t bytes = strlen(text);

    if (inet_pton(AF_INET, text, &v4) == 1) {
        map(&v4, out);
        *ret_is_v4 = true;
        return true;
    }
    if (bytes > 2 && bytes < sizeof(plain) && text[0] == '[' && text[bytes - 1] == ']') {
        memcpy(plain, text + 1, bytes - 2);
        plain[bytes - 2] = '\0';
        text = plain;
    }
    *ret_is_v4 = false;
    return inet_pton(AF_INET6, text, out) == 1;
}

/* ADDRESS or ADDRESS/BITS. */
static bool read_network(const char *text, struct network *network)
{
    char address[64];
    size_t bytes = strcspn(text, "/");
    unsigned bits = 0, most;
    bool is_v4;

    if (bytes >= sizeof(address))
        return false;
    memcpy(address, text, bytes);
    address[bytes] = '\0';
    if (!read_address(address, network->address, &is_v4))
        return false;
    most = is_v4 ? 32 : 128;
    if (text[bytes] == '\0') {
        bits = most;
    } else {
        const char *digit = text + bytes + 1;

        if (!*digit || strlen(digit) > 3)
            return false;
        for (; *digit; digit++) {
            if (*digit < '0' || *digit > '9')
                return false;
            bits = bits * 10 + (unsigned)(*digit - '0');
        }
    }
    network->bits = bits + (is_v4 ? 96 : 0);
    return bits <= most;
}

static bool is_within(const unsigned char address[16], const struct network *network)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(address, network->address, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ network->address[whole]) >> (8 - rest) == 0;
}

static bool is_public(const unsigned char address[16])
{
    struct network network;

    if (!is_mapped(address) && (address[0] & 0xe0) != 0x20)
        return false;
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        if (read_network(closed[i], &network) && is_within(address, &network))
            return false;
    return true;
}

static bool is_listed(const struct allowance *allowance, const unsigned char address[16])
{
    for (size_t i = 0; i < allowance->network_count; i++)
        if (is_within(address, &allowance->networks[i]))
            return true;
    return false;
}

int allowance_init(struct allowance *allowance, const char *const *settings, size_t count, struct error *err)
{
    *allowance = (struct allowance){.hosts = settings, .host_count = count};
    allowance->networks = calloc(count ? count : 1, sizeof(*allowance->networks));
    if (!allowance->networks)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
    for (size_t i = 0; i < count; i++) {
        if (read_network(settings[i], &allowance->networks[allowance->network_count])) {
            allowance->network_count++;
        } else if (!settings[i][0] || strpbrk(settings[i], "/:@ ")) {
            allowance_done(allowance);
            return error_set(err, ERROR_REQUEST,
                             "--webhook-allow %.100s: neither a network (10.0.0.0/8) nor a host's name", settings[i]);
        }
    }
    return 0;
}

void allowance_done(struct allowance *allowance)
{
    free(allowance->networks);
    *allowance = (struct allowance){.network_count = 0};
}

bool allowance_has_host(const struct allowance *allowance, const char *host)
{
    for (size_t i = 0; i < allowance->host_count; i++)
        if (strcasecmp(allowance->hosts[i], host) == 0)
            return true;
    return false;
}

bool allowance_has_address(const struct allowance *allowance, const struct sockaddr *address)
{
    unsigned char bytes[16];

    if (address->sa_family == AF_INET)
        map(&((const struct sockaddr_in *)(const void *)address)->sin_addr, bytes);
    else if (address->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof(bytes));
    else
        return false;
    return is_listed(allowance, bytes) || is_public(bytes);
}

bool allowance_has_literal(const struct allowance *allowance, const char *host, bool *ret_is_listed)
{
    unsigned char address[16];
    bool is_v4;

    *ret_is_listed = false;
    if (!read_address(host, address, &is_v4))
        return true;
    *ret_is_listed = is_listed(allowance, address);
    return *ret_is_listed || is_public(address);
}
