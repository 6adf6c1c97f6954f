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

enum config_kind { CONFIG_TEXT, CONFIG_LIST, CONFIG_COUNT, CONFIG_BYTES, CONFIG_DURATION, CONFIG_FLAG, CONFIG_CHOICE };

enum {
#define KEY(flag, member, kind, min, max, fallback, value, help) CONFIG_KEY_##member,
#include "server/config_keys.def"
#undef KEY
    CONFIG_KEY_COUNT,
    CONFIG_VARIABLE_BYTES = 64,
};

enum config_layer { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_FLAG };

struct config {
#define KEY(flag, member, kind, min, max, fallback, value, help) CONFIG_TYPE_##kind member;
#include "server/config_keys.def"
#undef KEY
    unsigned char source[CONFIG_KEY_COUNT]; /* enum config_layer that each value comes from */
};

/* A row of the table. */
struct config_key {
    const char *flag;
    size_t offset; /* in struct config */
    enum config_kind kind;
    uint64_t min, max; /* max 0: no bound */
    const char *fallback, *value_name, *help;
};
extern const struct config_key config_keys[CONFIG_KEY_COUNT];

/* "DIFFAID_QUEUE_LIMIT" */
void config_variable(const struct config_key *key, char out[CONFIG_VARIABLE_BYTES]);
/* What the value may be, in the units of its kind: "1 to 256", "100ms or more"; "" when everything goes. */
void config_bounds(const struct config_key *key, char *out, size_t size);

enum config_wish { CONFIG_RUN, CONFIG_HELP, CONFIG_CHECK };

/* Reads the defaults, the file that --config or DIFFAID_CONFIG names, the environment and the arguments (argv[0] is
 * skipped). ERROR_REQUEST names the flag, key or variable and the nearest known one. Unknown DIFFAID_* variables are
 * only told to `warn` (optional). *ret_wish: what --help or --check-config asked for. On failure config is empty. */
int config_read(int argc, char *const *argv, char *const *environment, void (*warn)(void *context, const char *text),
                void *context, struct config *ret_config, enum config_wish *ret_wish, struct error *err);
void config_done(struct config *config);

/* One line a setting: flag, help, default, bounds and environment name. */
void config_help(FILE *out);
/* Every setting as lines of a --config file, each with where it comes from in a comment above when that is no default.
 */
void config_print(const struct config *config, FILE *out);

/* "host:port", "[v6]:port" or ":port" into its parts; the host without brackets. ERROR_REQUEST. */
int config_listen_split(const char *listen, char *host, size_t host_size, uint16_t *ret_port, struct error *err);
bool config_host_is_loopback(const char *host);

#endif
