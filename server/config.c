/* One table, four layers. Each layer is read whole before the next one, and a list given in a layer replaces the list
 * of the layers below, so that a flag never adds to what a file says. A key that is not known stops the program: a
 * misspelt limit is worse than none. DIFFAID_* variables are the exception, because orchestrators set such names by
 * themselves (DIFFAID_PORT for a service called diffaid). */
#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/edit_distance.h"

enum { NAME_BYTES = CONFIG_VARIABLE_BYTES, LINE_BYTES = 4096 };

/* Read elsewhere in the program, or by a container's scripts. */
static const char *const other_variables[] = {"DIFFAID_CONFIG", "DIFFAID_ISA", "DIFFAID_VERSION"};

static void list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

static int list_add(struct config_list *list, const char *text, size_t bytes, struct error *err)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

    if (!items)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
    list->items = items;
    items[list->count] = strndup(text, bytes);
    if (!items[list->count])
        return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
    list->count++;
    return 0;
}

struct suffix {
    const char *text;
    uint64_t factor;
};
static const struct suffix size_suffixes[] = {{"", 1},
                                              {"B", 1},
                                              {"K", 1ull << 10},
                                              {"M", 1ull << 20},
                                              {"G", 1ull << 30},
                                              {"T", 1ull << 40},
                                              {"KiB", 1ull << 10},
                                              {"MiB", 1ull << 20},
                                              {"GiB", 1ull << 30},
                                              {"TiB", 1ull << 40},
                                              {NULL, 0}};
static const struct suffix time_suffixes[] = {{"", 1000},     {"ms", 1},          {"s", 1000}, {"m", 60000},
                                              {"h", 3600000}, {"d", 86400000ull}, {NULL, 0}};
static const struct suffix no_suffixes[] = {{"", 1}, {NULL, 0}};

static bool parse_number(const char *text, const struct suffix *suffixes, uint64_t *ret_value)
{
    uint64_t value;
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno)
        return false;
    for (; suffixes->text; suffixes++) {
        if (strcmp(suffixes->text, end) == 0)
            return !__builtin_mul_overflow(value, suffixes->factor, ret_value);
    }
    return false;
}

static int set_number(const struct config_key *key, const char *name, const char *text, uint64_t *ret_value,
                      struct error *err)
{
    const struct suffix *suffixes = key->kind == CONFIG_BYTES      ? size_suffixes
                                    : key->kind == CONFIG_DURATION ? time_suffixes
                                                                   : no_suffixes;
    const char *what = key->kind == CONFIG_BYTES      ? "a size such as 4096, 64K or 2G"
                       : key->kind == CONFIG_DURATION ? "a time such as 250ms, 10s, 5m, 2h or 30d"
                                                      : "a whole number";
    const char *unit = key->kind == CONFIG_BYTES ? " bytes" : key->kind == CONFIG_DURATION ? " ms" : "";
    uint64_t max = key->max ? key->max : INT64_MAX;
    uint64_t value;

    if (!parse_number(text, suffixes, &value))
        return error_set(err, ERROR_REQUEST, "%s: \"%.100s\" is not %s", name, text, what);
    if (value < key->min || value > max)
        return error_set(err, ERROR_REQUEST, "%s: %.100s is outside %" PRIu64 " to %" PRIu64 "%s", name, text, key->min,
                         max, unit);
    *ret_value = value;
    return 0;
}

static int set_flag(const char *name, const char *text, bool *ret_value, struct error *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret_value = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return error_set(err, ERROR_REQUEST, "%s: \"%.100s\" is neither true nor false", name, text);
}

/* The value's name lists the choices: "auto|json|text". */
static int set_choice(const struct config_key *key, const char *name, const char *text, unsigned *ret_value,
                      struct error *err)
{
    const char *choice = key->value_name;
    size_t length = strlen(text);

    for (unsigned index = 0;; index++) {
        size_t bytes = strcspn(choice, "|");

        if (bytes == length && strncmp(choice, text, bytes) == 0) {
            *ret_value = index;
            return 0;
        }
        if (!choice[bytes])
            break;
        choice += bytes + 1;
    }
    return error_set(err, ERROR_REQUEST, "%s: \"%.100s\" is not one of %s", name, text, key->value_name);
}

static int assign(struct config *config, size_t index, enum config_layer layer, const char *name, const char *text,
                  struct error *err)
{
    const struct config_key *key = &config_keys[index];
    char *member = (char *)config + key->offset;
    uint64_t number = 0;
    int rc;

    switch (key->kind) {
    case CONFIG_TEXT: {
        char *copy = strdup(text);

        if (!copy)
            return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
        free(*(char **)member);
        *(char **)member = copy;
        return 0;
    }
    case CONFIG_LIST: {
        struct config_list *list = (struct config_list *)member;

        if (config->source[index] != layer)
            list_clear(list);
        if (layer != CONFIG_FROM_ENVIRONMENT && layer != CONFIG_FROM_DEFAULT)
            return list_add(list, text, strlen(text), err);
        while (*text) {
            size_t bytes = strcspn(text, ",");

            rc = bytes ? list_add(list, text, bytes, err) : 0;
            if (rc)
                return rc;
            text += bytes + (text[bytes] == ',');
        }
        return 0;
    }
    case CONFIG_COUNT:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        rc = set_number(key, name, text, &number, err);
        if (rc)
            return rc;
        if (key->kind == CONFIG_DURATION)
            *(int64_t *)member = (int64_t)number;
        else
            *(uint64_t *)member = number;
        return 0;
    case CONFIG_FLAG:
        return set_flag(name, text, (bool *)member, err);
    case CONFIG_CHOICE:
        return set_choice(key, name, text, (unsigned *)member, err);
    }
    return error_set(err, ERROR_INTERNAL, "%s has a kind that nobody reads", name);
}

/* name: how the person wrote it, for messages. */
static int set_value(struct config *config, size_t index, enum config_layer layer, const char *name, const char *text,
                     struct error *err)
{
    int rc = assign(config, index, layer, name, text, err);

    if (!rc)
        config->source[index] = (unsigned char)layer;
    return rc;
}

static const char *nearest_flag(const char *name)
{
    unsigned best = EDIT_FAR;
    const char *nearest = NULL;

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        unsigned distance = edit_distance(name, strlen(name), config_keys[i].flag, strlen(config_keys[i].flag));

        if (distance < best) {
            best = distance;
            nearest = config_keys[i].flag;
        }
    }
    return best <= 2 + strlen(name) / 3 ? nearest : NULL;
}

/* CONFIG_KEY_COUNT when there is none. Underscores count as dashes. */
static size_t key_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *flag = config_keys[i].flag;
        size_t at = 0;

        while (at < bytes && flag[at] && (name[at] == flag[at] || (name[at] == '_' && flag[at] == '-')))
            at++;
        if (at == bytes && !flag[at])
            return i;
    }
    return CONFIG_KEY_COUNT;
}

static int unknown(const char *where, const char *prefix, const char *name, struct error *err)
{
    const char *nearest = nearest_flag(name);

    if (nearest)
        return error_set(err, ERROR_REQUEST, "%s%s%.100s is not known; did you mean %s%s?", where, prefix, name, prefix,
                         nearest);
    return error_set(err, ERROR_REQUEST, "%s%s%.100s is not known", where, prefix, name);
}

static char *trim(char *text)
{
    char *end;

    while (isspace((unsigned char)*text))
        text++;
    end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

static int read_file(struct config *config, const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    char line[LINE_BYTES], where[NAME_BYTES];
    unsigned number = 0;
    int rc = 0;

    if (!file)
        return error_set(err, ERROR_REQUEST, "cannot read the settings file %.200s: %s", path, strerror(errno));
    while (!rc && fgets(line, sizeof(line), file)) {
        char *text, *value;
        size_t index;

        number++;
        if (!strchr(line, '\n') && !feof(file)) {
            rc = error_set(err, ERROR_REQUEST, "%.200s, line %u is longer than %d bytes", path, number, LINE_BYTES - 2);
            break;
        }
        text = trim(line);
        if (!*text || *text == '#')
            continue;
        value = strchr(text, '=');
        if (!value) {
            rc = error_set(err, ERROR_REQUEST, "%.200s, line %u is not key = value", path, number);
            break;
        }
        *value++ = '\0';
        text = trim(text);
        value = trim(value);
        snprintf(where, sizeof(where), "line %u: ", number);
        index = key_find(text, strlen(text));
        rc = index == CONFIG_KEY_COUNT
                 ? unknown(where, "", text, err)
                 : set_value(config, index, CONFIG_FROM_FILE, config_keys[index].flag, value, err);
        if (rc)
            rc = error_prefix(err, rc, "%.200s, ", path);
    }
    if (!rc && ferror(file))
        rc = error_set(err, ERROR_REQUEST, "cannot read the settings file %.200s: %s", path, strerror(errno));
    fclose(file);
    return rc;
}

static const char *variable_value(char *const *environment, const char *name)
{
    size_t bytes = strlen(name);

    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, bytes) == 0 && (*environment)[bytes] == '=')
            return *environment + bytes + 1;
    }
    return NULL;
}

static bool is_known_variable(const char *name, size_t bytes)
{
    char known[NAME_BYTES];

    for (size_t i = 0; i < sizeof(other_variables) / sizeof(other_variables[0]); i++) {
        if (strlen(other_variables[i]) == bytes && strncmp(other_variables[i], name, bytes) == 0)
            return true;
    }
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        config_variable(&config_keys[i], known);
        if (strlen(known) == bytes && strncmp(known, name, bytes) == 0)
            return true;
    }
    return false;
}

static int read_environment(struct config *config, char *const *environment,
                            void (*warn)(void *context, const char *text), void *context, struct error *err)
{
    char name[NAME_BYTES], text[256];

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *value;
        int rc;

        config_variable(&config_keys[i], name);
        value = variable_value(environment, name);
        if (!value)
            continue;
        rc = set_value(config, i, CONFIG_FROM_ENVIRONMENT, name, value, err);
        if (rc)
            return rc;
    }
    for (; warn && environment && *environment; environment++) {
        size_t bytes = strcspn(*environment, "=");

        if (strncmp(*environment, "DIFFAID_", 8) != 0 || is_known_variable(*environment, bytes))
            continue;
        snprintf(text, sizeof(text), "the environment's %.*s is no setting and was ignored",
                 (int)(bytes < 100 ? bytes : 100), *environment);
        warn(context, text);
    }
    return 0;
}

/* One pass over the arguments. config NULL: only --config, --check-config and --help are looked for. */
static int read_arguments(struct config *config, int argc, char *const *argv, const char **ret_file,
                          enum config_wish *ret_wish, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i], *value;
        char name[NAME_BYTES + 2];
        size_t bytes, index;
        bool is_config;
        int rc;

        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            *ret_wish = CONFIG_HELP;
            continue;
        }
        if (strcmp(argument, "--check-config") == 0) {
            if (*ret_wish == CONFIG_RUN)
                *ret_wish = CONFIG_CHECK;
            continue;
        }
        if (strncmp(argument, "--", 2) != 0 || !argument[2])
            return error_set(err, ERROR_REQUEST, "\"%.100s\" is no setting; settings start with --", argument);
        bytes = strcspn(argument + 2, "=");
        is_config = bytes == 6 && strncmp(argument + 2, "config", 6) == 0;
        index = is_config ? CONFIG_KEY_COUNT : key_find(argument + 2, bytes);
        snprintf(name, sizeof(name), "--%.*s", (int)(bytes < NAME_BYTES ? bytes : NAME_BYTES - 1), argument + 2);
        if (!is_config && index == CONFIG_KEY_COUNT)
            return unknown("", "--", name + 2, err);
        if (argument[2 + bytes] == '=')
            value = argument + 2 + bytes + 1;
        else if (!is_config && config_keys[index].kind == CONFIG_FLAG)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return error_set(err, ERROR_REQUEST, "%s needs a value", name);
        if (is_config) {
            *ret_file = value;
            continue;
        }
        if (!config)
            continue;
        rc = set_value(config, index, CONFIG_FROM_FLAG, name, value, err);
        if (rc)
            return rc;
    }
    return 0;
}

int config_read(int argc, char *const *argv, char *const *environment, void (*warn)(void *context, const char *text),
                void *context, struct config *ret_config, enum config_wish *ret_wish, struct error *err)
{
    struct config config = {0};
    const char *file = variable_value(environment, "DIFFAID_CONFIG");
    enum config_wish wish = CONFIG_RUN;
    int rc = 0;

    *ret_config = (struct config){0};
    for (size_t i = 0; !rc && i < CONFIG_KEY_COUNT; i++)
        rc = set_value(&config, i, CONFIG_FROM_DEFAULT, config_keys[i].flag, config_keys[i].fallback, err);
    if (!rc)
        rc = read_arguments(NULL, argc, argv, &file, &wish, err);
    if (!rc && file && *file && wish != CONFIG_HELP)
        rc = read_file(&config, file, err);
    if (!rc && wish != CONFIG_HELP)
        rc = read_environment(&config, environment, warn, context, err);
    if (!rc && wish != CONFIG_HELP)
        rc = read_arguments(&config, argc, argv, &file, &wish, err);
    if (rc) {
        config_done(&config);
        return rc;
    }
    *ret_config = config;
    *ret_wish = wish;
    return 0;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char *member = (char *)config + config_keys[i].offset;

        if (config_keys[i].kind == CONFIG_TEXT)
            free(*(char **)member);
        else if (config_keys[i].kind == CONFIG_LIST)
            list_clear((struct config_list *)member);
    }
    *config = (struct config){0};
}

int config_listen_split(const char *listen, char *host, size_t host_size, uint16_t *ret_port, struct error *err)
{
    const char *colon = strrchr(listen, ':');
    const char *start = listen;
    size_t bytes;
    uint64_t port;

    if (!colon || !parse_number(colon + 1, no_suffixes, &port) || port > UINT16_MAX)
        return error_set(err, ERROR_REQUEST, "\"%.100s\" is no address and port such as 127.0.0.1:8080", listen);
    bytes = (size_t)(colon - listen);
    if (bytes >= 2 && start[0] == '[' && start[bytes - 1] == ']') {
        start++;
        bytes -= 2;
    } else if (memchr(start, ':', bytes)) {
        return error_set(err, ERROR_REQUEST, "\"%.100s\": write an IPv6 address as [address]:port", listen);
    }
    if (bytes >= host_size)
        return error_set(err, ERROR_REQUEST, "\"%.100s\" is too long for an address", listen);
    memcpy(host, start, bytes);
    host[bytes] = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

bool config_host_is_loopback(const char *host)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "::1") == 0 || strcasecmp(host, "localhost") == 0;
}
