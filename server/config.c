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

enum kind { KIND_TEXT, KIND_LIST, KIND_COUNT, KIND_BYTES, KIND_DURATION, KIND_FLAG, KIND_CHOICE };

struct key {
    const char *flag;
    size_t offset;
    enum kind kind;
    uint64_t min, max; /* max 0: no bound */
    const char *fallback, *value_name, *help;
};

static const struct key keys[] = {
#define KEY(flag, member, kind, min, max, fallback, value, help)                                                       \
    {flag, offsetof(struct config, member), KIND_##kind, min, max, fallback, value, help},
#include "server/config_keys.def"
#undef KEY
};
enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]), NAME_BYTES = 64, LINE_BYTES = 4096 };

/* Read elsewhere in the program, or by a container's scripts. */
static const char *const other_variables[] = {"DIFFAID_CONFIG", "DIFFAID_ISA", "DIFFAID_VERSION"};

enum layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_FLAG };

struct reading {
    struct config *config;
    enum layer list_layer[KEY_COUNT]; /* the layer that a list's items come from */
};

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

static int set_number(const struct key *key, const char *name, const char *text, uint64_t *ret_value, struct error *err)
{
    const struct suffix *suffixes = key->kind == KIND_BYTES      ? size_suffixes
                                    : key->kind == KIND_DURATION ? time_suffixes
                                                                 : no_suffixes;
    const char *what = key->kind == KIND_BYTES      ? "a size such as 4096, 64K or 2G"
                       : key->kind == KIND_DURATION ? "a time such as 250ms, 10s, 5m, 2h or 30d"
                                                    : "a whole number";
    const char *unit = key->kind == KIND_BYTES ? " bytes" : key->kind == KIND_DURATION ? " ms" : "";
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
static int set_choice(const struct key *key, const char *name, const char *text, unsigned *ret_value, struct error *err)
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

/* name: how the person wrote it, for messages. */
static int set_value(struct reading *reading, size_t index, enum layer layer, const char *name, const char *text,
                     struct error *err)
{
    const struct key *key = &keys[index];
    char *member = (char *)reading->config + key->offset;
    uint64_t number = 0;
    int rc;

    switch (key->kind) {
    case KIND_TEXT: {
        char *copy = strdup(text);

        if (!copy)
            return error_set(err, ERROR_NO_MEMORY, "no memory for the settings");
        free(*(char **)member);
        *(char **)member = copy;
        return 0;
    }
    case KIND_LIST: {
        struct config_list *list = (struct config_list *)member;

        if (reading->list_layer[index] != layer)
            list_clear(list);
        reading->list_layer[index] = layer;
        if (layer != LAYER_ENVIRONMENT && layer != LAYER_DEFAULT)
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
    case KIND_COUNT:
    case KIND_BYTES:
    case KIND_DURATION:
        rc = set_number(key, name, text, &number, err);
        if (rc)
            return rc;
        if (key->kind == KIND_DURATION)
            *(int64_t *)member = (int64_t)number;
        else
            *(uint64_t *)member = number;
        return 0;
    case KIND_FLAG:
        return set_flag(name, text, (bool *)member, err);
    case KIND_CHOICE:
        return set_choice(key, name, text, (unsigned *)member, err);
    }
    return error_set(err, ERROR_INTERNAL, "%s has a kind that nobody reads", name);
}

static const char *nearest_flag(const char *name)
{
    unsigned best = EDIT_FAR;
    const char *nearest = NULL;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        unsigned distance = edit_distance(name, strlen(name), keys[i].flag, strlen(keys[i].flag));

        if (distance < best) {
            best = distance;
            nearest = keys[i].flag;
        }
    }
    return best <= 2 + strlen(name) / 3 ? nearest : NULL;
}

/* KEY_COUNT when there is none. Underscores count as dashes. */
static size_t key_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *flag = keys[i].flag;
        size_t at = 0;

        while (at < bytes && flag[at] && (name[at] == flag[at] || (name[at] == '_' && flag[at] == '-')))
            at++;
        if (at == bytes && !flag[at])
            return i;
    }
    return KEY_COUNT;
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

static int read_file(struct reading *reading, const char *path, struct error *err)
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
        rc = index == KEY_COUNT ? unknown(where, "", text, err)
                                : set_value(reading, index, LAYER_FILE, keys[index].flag, value, err);
        if (rc)
            rc = error_prefix(err, rc, "%.200s, ", path);
    }
    if (!rc && ferror(file))
        rc = error_set(err, ERROR_REQUEST, "cannot read the settings file %.200s: %s", path, strerror(errno));
    fclose(file);
    return rc;
}

static void variable_name(const struct key *key, char out[NAME_BYTES])
{
    size_t used = (size_t)snprintf(out, NAME_BYTES, "DIFFAID_");

    for (const char *c = key->flag; *c && used < NAME_BYTES - 1; c++)
        out[used++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    out[used] = '\0';
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
    for (size_t i = 0; i < KEY_COUNT; i++) {
        variable_name(&keys[i], known);
        if (strlen(known) == bytes && strncmp(known, name, bytes) == 0)
            return true;
    }
    return false;
}

static int read_environment(struct reading *reading, char *const *environment,
                            void (*warn)(void *context, const char *text), void *context, struct error *err)
{
    char name[NAME_BYTES], text[256];

    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *value;
        int rc;

        variable_name(&keys[i], name);
        value = variable_value(environment, name);
        if (!value)
            continue;
        rc = set_value(reading, i, LAYER_ENVIRONMENT, name, value, err);
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

/* One pass over the arguments. reading NULL: only --config and --help are looked for. */
static int read_arguments(struct reading *reading, int argc, char *const *argv, const char **ret_file,
                          bool *ret_is_help, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i], *value;
        char name[NAME_BYTES + 2];
        size_t bytes, index;
        bool is_config;
        int rc;

        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            *ret_is_help = true;
            continue;
        }
        if (strncmp(argument, "--", 2) != 0 || !argument[2])
            return error_set(err, ERROR_REQUEST, "\"%.100s\" is no setting; settings start with --", argument);
        bytes = strcspn(argument + 2, "=");
        is_config = bytes == 6 && strncmp(argument + 2, "config", 6) == 0;
        index = is_config ? KEY_COUNT : key_find(argument + 2, bytes);
        snprintf(name, sizeof(name), "--%.*s", (int)(bytes < NAME_BYTES ? bytes : NAME_BYTES - 1), argument + 2);
        if (!is_config && index == KEY_COUNT)
            return unknown("", "--", name + 2, err);
        if (argument[2 + bytes] == '=')
            value = argument + 2 + bytes + 1;
        else if (!is_config && keys[index].kind == KIND_FLAG)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return error_set(err, ERROR_REQUEST, "%s needs a value", name);
        if (is_config) {
            *ret_file = value;
            continue;
        }
        if (!reading)
            continue;
        rc = set_value(reading, index, LAYER_FLAG, name, value, err);
        if (rc)
            return rc;
    }
    return 0;
}

int config_read(int argc, char *const *argv, char *const *environment, void (*warn)(void *context, const char *text),
                void *context, struct config *ret_config, bool *ret_is_help, struct error *err)
{
    struct config config = {0};
    struct reading reading = {.config = &config};
    const char *file = variable_value(environment, "DIFFAID_CONFIG");
    bool is_help = false;
    int rc = 0;

    *ret_config = (struct config){0};
    for (size_t i = 0; !rc && i < KEY_COUNT; i++)
        rc = set_value(&reading, i, LAYER_DEFAULT, keys[i].flag, keys[i].fallback, err);
    if (!rc)
        rc = read_arguments(NULL, argc, argv, &file, &is_help, err);
    if (!rc && file && *file && !is_help)
        rc = read_file(&reading, file, err);
    if (!rc && !is_help)
        rc = read_environment(&reading, environment, warn, context, err);
    if (!rc && !is_help)
        rc = read_arguments(&reading, argc, argv, &file, &is_help, err);
    if (rc) {
        config_done(&config);
        return rc;
    }
    *ret_config = config;
    *ret_is_help = is_help;
    return 0;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char *member = (char *)config + keys[i].offset;

        if (keys[i].kind == KIND_TEXT)
            free(*(char **)member);
        else if (keys[i].kind == KIND_LIST)
            list_clear((struct config_list *)member);
    }
    *config = (struct config){0};
}

void config_help(FILE *out)
{
    char name[NAME_BYTES], flag[NAME_BYTES];

    for (size_t i = 0; i < KEY_COUNT; i++) {
        bool has_default = keys[i].fallback[0] && keys[i].kind != KIND_FLAG;

        snprintf(flag, sizeof(flag), "--%s%s%s", keys[i].flag, keys[i].value_name[0] ? " " : "", keys[i].value_name);
        variable_name(&keys[i], name);
        fprintf(out, "  %-29s %s", flag, keys[i].help);
        if (has_default)
            fprintf(out, " [%s]", keys[i].fallback);
        fprintf(out, " (%s)\n", name);
    }
    fprintf(out, "  %-29s %s\n", "--config FILE", "Settings as lines of key = value. (DIFFAID_CONFIG)");
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
