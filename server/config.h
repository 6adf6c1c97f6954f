/* Settings of the service: flag > DIFFAID_* environment > --config file > default. The table is config_keys.def. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"

struct config_list {
    char **items; /* owned */
    size_t count;
};

#define CONFIG_TYPE_TEXT     char *
#define CONFIG_TYPE_LIST     struct config_list
#define CONFIG_TYPE_COUNT    uint64_t
#define CONFIG_TYPE_BYTES    uint64_t
#define CONFIG_TYPE_DURATION int64_t
#define CONFIG_TYPE_FLAG     bool
#define CONFIG_TYPE_CHOICE   unsigned

struct config {
#define KEY(flag, member, kind, min, max, fallback, value, help) CONFIG_TYPE_##kind member;
#include "server/config_keys.def"
#undef KEY
};

/* Reads the defaults, the file that --config or DIFFAID_CONFIG names, the environment and the arguments (argv[0] is
 * skipped). ERROR_REQUEST names the flag, key or variable and the nearest known one. Unknown DIFFAID_* variables are
 * only told to `warn` (optional). *ret_is_help: --help was asked for. On failure config is empty. */
int config_read(int argc, char *const *argv, char *const *environment, void (*warn)(void *context, const char *text),
                void *context, struct config *ret_config, bool *ret_is_help, struct error *err);
void config_done(struct config *config);

/* One line a setting: flag, help, default and environment name. */
void config_help(FILE *out);

/* "host:port", "[v6]:port" or ":port" into its parts; the host without brackets. ERROR_REQUEST. */
int config_listen_split(const char *listen, char *host, size_t host_size, uint16_t *ret_port, struct error *err);
bool config_host_is_loopback(const char *host);

#endif
