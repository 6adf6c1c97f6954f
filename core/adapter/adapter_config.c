/* adapter_config.json, and the same text in the metadata of diffusers' files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/adapter/adapter_work.h"
#include "core/patterns.h"

enum { PATTERN_TIME_MS = 2000, PART_BYTES_MAX = 64, KEY_BYTES = PART_BYTES_MAX + 64 };

int adapter_config_read(const char *text, size_t bytes, struct adapter_config **ret_config, struct error *err)
{
    struct adapter_config *config = calloc(1, sizeof(*config));
    int rc;

    if (!config)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an adapter's configuration");
    rc = config_parse(text, bytes, &config->json, err);
    if (rc) {
        free(config);
        return rc;
    }
    *ret_config = config;
    return 0;
}

void adapter_config_free(struct adapter_config *config)
{
    if (!config)
        return;
    config_free(config->json);
    free(config);
}

/* A pipeline of diffusers keeps several configurations in one: "unet.lora_alpha" is that of modules below "unet". */
static struct name part_of_pipeline(const struct adapter_config *config, struct name module)
{
    const char *dot = memchr(module.text, '.', module.bytes);
    char path[KEY_BYTES];
    double alpha;

    if (!dot || dot - module.text > PART_BYTES_MAX)
        return (struct name){module.text, 0};
    snprintf(path, sizeof(path), "\"%.*s.lora_alpha\"", (int)(dot - module.text), module.text);
    return (struct name){module.text,
                         config_number(config->json, path, &alpha) ? (uint32_t)(dot - module.text) + 1 : 0};
}

/* The path of a member that stands for a module. */
static const char *path_of(const struct adapter_config *config, const char *key, struct name module,
                           char out[KEY_BYTES])
{
    const struct name part = part_of_pipeline(config, module);

    snprintf(out, KEY_BYTES, "\"%.*s%s\"", (int)part.bytes, part.text, key);
    return out;
}

bool adapter_config_is(const struct adapter_config *config, const char *key, struct name module)
{
    char path[KEY_BYTES];
    bool flag = false;

    return config_flag(config->json, path_of(config, key, module, path), &flag) && flag;
}

static int name_compare_bytes(struct name a, struct name b)
{
    const int order = memcmp(a.text, b.text, a.bytes < b.bytes ? a.bytes : b.bytes);

    return order ? order : a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

/* peft's rule: a key of a pattern matches the end of a module's name, behind a dot or whole, and of several the first
 * counts; peft writes them sorted by their bytes. */
static int pattern_value(const struct adapter_config *config, const char *path, struct name module, double *value,
                         struct error *err)
{
    const size_t count = config_count(config->json, path);
    struct name first = {NULL, 0};

    for (size_t i = 0; i < count && i < 1024; i++) {
        struct pattern_set *set = NULL;
        struct patterns patterns = {.count = 1};
        char text[PATTERN_BYTES_MAX + 16], *texts[1] = {text};
        struct name key;
        double number;
        bool matches = false;
        int rc;

        if (!config_member_number(config->json, path, i, &key, &number) || key.bytes > PATTERN_BYTES_MAX - 16)
            continue;
        snprintf(text, sizeof(text), "^(?:.*\\.)?(?:%.*s)$", (int)key.bytes, key.text);
        patterns.text = texts;
        rc = pattern_set_new(&patterns, &set, err);
        if (rc == 0) {
            pattern_set_limit_time(set, PATTERN_TIME_MS);
            rc = pattern_set_match(set, module, &matches, err);
        }
        pattern_set_free(set);
        if (rc)
            return error_prefix(err, rc, "%s of the adapter: ", path);
        if (matches && (!first.text || name_compare_bytes(key, first) < 0)) {
            *value = number;
            first = key;
        }
    }
    return 0;
}

/* Whether an optional member is there and says something. */
static bool is_set(const struct adapter_config *config, const char *path)
{
    bool flag = false;

    return config_count(config->json, path) || config_length(config->json, path) ||
           (config_flag(config->json, path, &flag) && flag);
}

/* The path of the member that is called key, or ends in it behind a dot, and has a place of at least at. */
static bool next_path(const struct adapter_config *config, const char *key, size_t *at, char out[KEY_BYTES])
{
    const size_t bytes = strlen(key);
    struct name name;

    for (; config_key(config->json, "", *at, &name); ++*at)
        if (name.bytes >= bytes && name.bytes < KEY_BYTES - 2 &&
            memcmp(name.text + name.bytes - bytes, key, bytes) == 0 &&
            (name.bytes == bytes || name.text[name.bytes - bytes - 1] == '.')) {
            snprintf(out, KEY_BYTES, "\"%.*s\"", (int)name.bytes, name.text);
            ++*at;
            return true;
        }
    return false;
}

int adapter_config_check(const struct adapter_config *config, struct error *err)
{
    static const struct {
        const char *key, *why;
    } unlike[] = {
        {"alora_invocation_tokens", "an activated LoRA acts behind some tokens only and has no merge"},
        {"use_bdlora", "its factors are block-diagonal, which is not computed"},
        {"kasa_config", "it changes the base by a singular value decomposition, which is not computed"},
        {"arrow_config", "it routes between adapters and has no merge"},
        {"layer_replication", "it repeats layers of the base, which is not done here"},
    };
    static const char *const changing[] = {"pissa", "olora", "corda", "loftq"};
    char path[KEY_BYTES], printable[NAME_PRINTABLE_BYTES];
    struct name text;

    if (config_text(config->json, "peft_type", &text) && !name_equal(text, name_of("LORA")) &&
        !name_equal(text, name_of("TRAINABLE_TOKENS")))
        return error_set(err, ERROR_FORMAT, "is an adapter of type %s; only LORA is merged",
                         name_printable(text, printable));
    for (size_t i = 0; i < sizeof(unlike) / sizeof(unlike[0]); i++)
        for (size_t at = 0; next_path(config, unlike[i].key, &at, path);)
            if (is_set(config, path))
                return error_set(err, ERROR_FORMAT, "is an adapter with %s: %s", unlike[i].key, unlike[i].why);
    for (size_t at = 0; next_path(config, "init_lora_weights", &at, path);)
        for (size_t i = 0; config_text(config->json, path, &text) && i < sizeof(changing) / sizeof(changing[0]); i++)
            if (text.bytes >= strlen(changing[i]) && strncasecmp(text.text, changing[i], strlen(changing[i])) == 0)
                return error_set(err, ERROR_FORMAT,
                                 "is an adapter that began as %s (init_lora_weights), on a base from which its "
                                 "beginning was taken away: save it with path_initial_model_for_weight_conversion, or "
                                 "give that base and init_lora_weights true",
                                 name_printable(text, printable));
    return 0;
}

bool adapter_config_saves(const struct adapter_config *config, struct name name)
{
    const size_t count = config_length(config->json, "modules_to_save");

    for (size_t i = 0; i < count && i < 1024; i++) {
        char path[48];
        struct name module;
        const char *found;

        snprintf(path, sizeof(path), "modules_to_save.%zu", i);
        if (!config_text(config->json, path, &module) || module.bytes == 0)
            continue;
        for (struct name rest = name; (found = memmem(rest.text, rest.bytes, module.text, module.bytes));) {
            const size_t before = (size_t)(found - name.text), behind = before + module.bytes;

            if ((before == 0 || name.text[before - 1] == '.') && behind < name.bytes && name.text[behind] == '.')
                return true;
            rest = (struct name){found + 1, (uint32_t)(name.text + name.bytes - found - 1)};
        }
    }
    return false;
}

/* Where the tokens of an embedding are listed: one list for the input embedding, or one for each by its name's end. */
static bool tokens_path(const struct adapter_config *config, struct name module, char out[ADAPTER_NAME_BYTES])
{
    static const char *const lists[] = {"trainable_token_indices", "token_indices"};
    struct name key;

    for (size_t i = 0; i < 2; i++) {
        if (config_length(config->json, lists[i])) {
            snprintf(out, ADAPTER_NAME_BYTES, "%s", lists[i]);
            return true;
        }
        for (size_t k = 0; config_key(config->json, lists[i], k, &key); k++)
            if (key.bytes <= module.bytes && key.bytes < ADAPTER_NAME_BYTES - 64 &&
                memcmp(module.text + module.bytes - key.bytes, key.text, key.bytes) == 0 &&
                (key.bytes == module.bytes || module.text[module.bytes - key.bytes - 1] == '.')) {
                snprintf(out, ADAPTER_NAME_BYTES, "%s.\"%.*s\"", lists[i], (int)key.bytes, key.text);
                return true;
            }
    }
    return false;
}

size_t adapter_config_tokens(const struct adapter_config *config, struct name module)
{
    char path[ADAPTER_NAME_BYTES];

    return tokens_path(config, module, path) ? config_length(config->json, path) : 0;
}

bool adapter_config_token(const struct adapter_config *config, struct name module, size_t at, uint64_t *ret_row)
{
    char path[ADAPTER_NAME_BYTES], element[ADAPTER_NAME_BYTES + 24];

    if (!tokens_path(config, module, path))
        return false;
    snprintf(element, sizeof(element), "%s.%zu", path, at);
    return config_u64(config->json, element, ret_row);
}

int adapter_config_scale(const struct adapter_config *config, struct name module, uint64_t rank, double *ret_scale,
                         struct error *err)
{
    const struct name part = part_of_pipeline(config, module);
    const struct name within = {module.text + part.bytes, module.bytes - part.bytes};
    double alpha, r = (double)rank;
    char path[KEY_BYTES];
    int rc;

    if (!config_number(config->json, path_of(config, "lora_alpha", module, path), &alpha))
        return error_set(err, ERROR_FORMAT, "the adapter's configuration names no lora_alpha");
    rc = pattern_value(config, path_of(config, "alpha_pattern", module, path), within, &alpha, err);
    if (rc == 0)
        *ret_scale = alpha / (adapter_config_is(config, "use_rslora", module) ? sqrt(r) : r);
    return rc;
}
