/* adapter_config.json, and the same text in the metadata of diffusers' files. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/adapter/adapter_work.h"

enum { PATTERN_TIME_MS = 2000, PARTS_MAX = 64, PART_BYTES_MAX = ADAPTER_KEY_BYTES - 64 };

/* A pipeline of diffusers keeps several configurations in one: "unet.lora_alpha" is that of modules below "unet". */
static struct name part_of_pipeline(const struct adapter_config *config, struct name module)
{
    const char *dot = memchr(module.text, '.', module.bytes);
    char path[ADAPTER_KEY_BYTES];
    double alpha;

    if (!dot || dot - module.text > PART_BYTES_MAX)
        return (struct name){module.text, 0};
    snprintf(path, sizeof(path), "\"%.*s.lora_alpha\"", (int)(dot - module.text), module.text);
    return (struct name){module.text,
                         config_number(config->json, path, &alpha) ? (uint32_t)(dot - module.text) + 1 : 0};
}

/* The path of a member that stands for a module. */
static const char *path_of(const struct adapter_config *config, const char *key, struct name module,
                           char out[ADAPTER_KEY_BYTES])
{
    const struct name part = part_of_pipeline(config, module);

    snprintf(out, ADAPTER_KEY_BYTES, "\"%.*s%s\"", (int)part.bytes, part.text, key);
    return out;
}

bool adapter_config_is(const struct adapter_config *config, const char *key, struct name module)
{
    char path[ADAPTER_KEY_BYTES];
    bool flag = false;

    return config_flag(config->json, path_of(config, key, module, path), &flag) && flag;
}

static int name_compare_bytes(struct name a, struct name b)
{
    const int order = memcmp(a.text, b.text, a.bytes < b.bytes ? a.bytes : b.bytes);

    return order ? order : a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

/* A name stands for itself as a regular expression too, but for its dots, of which no other character is thought. */
static bool is_plain(struct name key)
{
    for (uint32_t i = 0; i < key.bytes; i++)
        if (!isalnum((unsigned char)key.text[i]) && !memchr("._-", key.text[i], 3))
            return false;
    return true;
}

/* The module's ends that are keys, of which the first by its bytes is *first. */
static int plain_value(const struct adapter_config *config, const char *path, struct name module, struct name *first,
                       double *value, struct error *err)
{
    char text[ADAPTER_KEY_BYTES + ADAPTER_NAME_BYTES + 8], printable[NAME_PRINTABLE_BYTES];
    struct name end = module;
    double number;

    for (size_t parts = 0; end.bytes; parts++) {
        const char *dot = memchr(end.text, '.', end.bytes);
        const int bytes = snprintf(text, sizeof(text), "%s.\"%.*s\"", path, (int)end.bytes, end.text);

        if (parts == PARTS_MAX)
            return error_set(err, ERROR_LIMIT, "%s has more than %d parts, too many to be looked for in %s",
                             name_printable(module, printable), PARTS_MAX, path);
        if ((size_t)bytes < sizeof(text) && is_plain(end) && config_number(config->json, text, &number) &&
            (!first->text || name_compare_bytes(end, *first) < 0)) {
            *value = number;
            *first = end;
        }
        end = dot ? (struct name){dot + 1, (uint32_t)(end.text + end.bytes - dot - 1)} : (struct name){NULL, 0};
    }
    return 0;
}

/* peft's rule: a key of a pattern matches the end of a module's name, behind a dot or whole, and of several the first
 * counts; peft writes them sorted by their bytes. */
static int pattern_value(struct adapter_config *config, const char *path, struct name module, double *value,
                         struct error *err)
{
    struct name first = {NULL, 0};
    int rc = config_count(config->json, path) ? plain_value(config, path, module, &first, value, err) : 0;

    if (config->set && !config->is_timed) {
        pattern_set_limit_time(config->set, PATTERN_TIME_MS);
        config->is_timed = true;
    }
    for (size_t i = 0; rc == 0 && i < config->expression_count; i++) {
        const struct adapter_expression *expression = &config->expressions[i];
        bool matches;

        if (strcmp(expression->path, path) != 0 || (first.text && name_compare_bytes(expression->key, first) > 0))
            continue;
        rc = pattern_set_match_one(config->set, i, module, &matches, err);
        if (rc)
            return error_prefix(err, rc, "%s of the adapter: ", path);
        if (matches) {
            *value = expression->alpha;
            first = expression->key;
        }
    }
    return rc;
}

/* Whether an optional member is there and says something. */
static bool is_set(const struct adapter_config *config, const char *path)
{
    bool flag = false;

    return config_count(config->json, path) || config_length(config->json, path) ||
           (config_flag(config->json, path, &flag) && flag);
}

/* The path of the member that is called key, or ends in it behind a dot, and has a place of at least at. */
static bool next_path(const struct adapter_config *config, const char *key, size_t *at, char out[ADAPTER_KEY_BYTES])
{
    const size_t bytes = strlen(key);
    struct name name;

    for (; config_key(config->json, "", *at, &name); ++*at)
        if (name.bytes >= bytes && name.bytes < ADAPTER_KEY_BYTES - 2 &&
            memcmp(name.text + name.bytes - bytes, key, bytes) == 0 &&
            (name.bytes == bytes || name.text[name.bytes - bytes - 1] == '.')) {
            snprintf(out, ADAPTER_KEY_BYTES, "\"%.*s\"", (int)name.bytes, name.text);
            ++*at;
            return true;
        }
    return false;
}

/* The keys of an alpha_pattern that are more than names. */
static int add_expressions(struct adapter_config *config, const char *path, struct error *err)
{
    const size_t count = config_count(config->json, path);

    for (size_t i = 0; i < count; i++) {
        struct adapter_expression *expression;
        struct name key;
        double alpha;

        if (!config_member_number(config->json, path, i, &key, &alpha) || is_plain(key))
            continue;
        if (config->expression_count == PATTERNS_MAX)
            return error_set(err, ERROR_LIMIT, "has more than %d regular expressions in %s", PATTERNS_MAX, path);
        expression = &config->expressions[config->expression_count++];
        snprintf(expression->path, sizeof(expression->path), "%s", path);
        expression->key = key;
        expression->alpha = alpha;
    }
    return 0;
}

/* All are compiled once: modules may be many. */
static int compile(struct adapter_config *config, struct error *err)
{
    char texts[PATTERNS_MAX][PATTERN_BYTES_MAX + 16], path[ADAPTER_KEY_BYTES], *text[PATTERNS_MAX];
    int rc = 0;

    for (size_t at = 0; rc == 0 && next_path(config, "alpha_pattern", &at, path);)
        rc = add_expressions(config, path, err);
    for (size_t i = 0; i < config->expression_count; i++) {
        const struct name key = config->expressions[i].key;

        text[i] = texts[i];
        snprintf(text[i], sizeof(texts[i]), "^(?:.*\\.)?(?:%.*s)$", (int)key.bytes, key.text);
    }
    return rc ? rc : pattern_set_new(&(struct patterns){text, config->expression_count}, &config->set, err);
}

int adapter_config_read(const char *text, size_t bytes, struct adapter_config **ret_config, struct error *err)
{
    struct adapter_config *config = calloc(1, sizeof(*config));
    int rc;

    if (!config)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an adapter's configuration");
    rc = config_parse(text, bytes, &config->json, err);
    if (rc == 0)
        rc = compile(config, err);
    if (rc) {
        adapter_config_free(config);
        return rc;
    }
    *ret_config = config;
    return 0;
}

void adapter_config_free(struct adapter_config *config)
{
    if (!config)
        return;
    pattern_set_free(config->set);
    config_free(config->json);
    free(config);
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
    char path[ADAPTER_KEY_BYTES], printable[NAME_PRINTABLE_BYTES];
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

size_t adapter_config_tokens(const struct adapter_config *config, struct name module, char ret_path[ADAPTER_NAME_BYTES])
{
    return tokens_path(config, module, ret_path) ? config_length(config->json, ret_path) : 0;
}

bool adapter_config_token(const struct adapter_config *config, const char *path, size_t at, uint64_t *ret_row)
{
    char element[ADAPTER_NAME_BYTES + 24];

    snprintf(element, sizeof(element), "%s.%zu", path, at);
    return config_u64(config->json, element, ret_row);
}

int adapter_config_scale(struct adapter_config *config, struct name module, uint64_t rank, double *ret_scale,
                         struct error *err)
{
    const struct name part = part_of_pipeline(config, module);
    const struct name within = {module.text + part.bytes, module.bytes - part.bytes};
    double alpha, r = (double)rank;
    char path[ADAPTER_KEY_BYTES];
    int rc;

    if (!config_number(config->json, path_of(config, "lora_alpha", module, path), &alpha))
        return error_set(err, ERROR_FORMAT, "the adapter's configuration names no lora_alpha");
    rc = pattern_value(config, path_of(config, "alpha_pattern", module, path), within, &alpha, err);
    if (rc == 0)
        *ret_scale = alpha / (adapter_config_is(config, "use_rslora", module) ? sqrt(r) : r);
    return rc;
}
