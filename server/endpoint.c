#include "server/endpoint.h"

#include <string.h>

static int split(const char *listen, struct endpoint *ret, struct error *err)
{
    struct endpoint endpoint;
    int rc = config_listen_split(listen, endpoint.host, sizeof(endpoint.host), &endpoint.port, err);

    if (rc)
        return rc;
    if (strcasecmp(endpoint.host, "localhost") == 0)
        snprintf(endpoint.host, sizeof(endpoint.host), "127.0.0.1");
    else if (!endpoint.host[0] || strcmp(endpoint.host, "*") == 0)
        snprintf(endpoint.host, sizeof(endpoint.host), "0.0.0.0");
    endpoint.is_loopback = config_host_is_loopback(endpoint.host);
    *ret = endpoint;
    return 0;
}

int endpoint_main(const struct config *config, struct endpoint *ret, struct error *err)
{
    struct endpoint endpoint;
    int rc = split(config->listen, &endpoint, err);

    if (rc)
        return rc;
    if (!endpoint.is_loopback && !config->no_auth && !config->api_keys_file[0])
        return error_set(err, ERROR_REQUEST,
                         "%s can be reached from other machines: give --api-keys-file, or say --no-auth if everybody "
                         "there may use the service",
                         config->listen);
    *ret = endpoint;
    return 0;
}

int endpoint_admin(const struct config *config, struct endpoint *ret, struct error *err)
{
    const char *text = config->admin_port;
    struct endpoint endpoint;
    char listen[HOST_BYTES + 16];
    int rc;

    if (!text[0])
        return error_set(err, ERROR_NOT_FOUND, "no admin port");
    if (strchr(text, ':')) {
        rc = split(text, &endpoint, err);
    } else {
        const char *colon = strrchr(config->listen, ':');

        snprintf(listen, sizeof(listen), "%.*s:%.8s", colon ? (int)(colon - config->listen) : 0, config->listen, text);
        rc = split(listen, &endpoint, err);
    }
    if (rc)
        return error_prefix(err, rc, "--admin-port ");
    *ret = endpoint;
    return 0;
}
