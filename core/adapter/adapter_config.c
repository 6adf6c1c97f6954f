/* adapter_config.json, and the same text in the metadata of diffusers' files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/patterns.h"

enum { PATTERN_TIME_MS = 2000 };

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
    config_flag(config->json, "use_rslora", &config->is_rslora);
    config_flag(config->json, "use_dora", &config->is_dora);
    config_flag(config->json, "fan_in_fan_out", &config->is_fan_in_fan_out);
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

/* peft's rule: a key of a pattern matches the end of a module's name, behind a dot or whole. */
static int pattern_value(const struct adapter_config *config, const char *path, struct name module, double *value,
                         struct error *err)
{
    const size_t count = config_count(config->json, path);

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
        if (matches) {
            *value = number;
            return 0;
        }
    }
    return 0;
}

int adapter_config_scale(const struct adapter_config *config, struct name module, uint64_t rank, double *ret_scale,
                         struct error *err)
{
    double alpha, r = (double)rank;
    int rc;

    if (!config_number(config->json, "lora_alpha", &alpha))
        return error_set(err, ERROR_FORMAT, "the adapter's configuration names no lora_alpha");
    rc = pattern_value(config, "alpha_pattern", module, &alpha, err);
    if (rc == 0)
        *ret_scale = alpha / (config->is_rslora ? sqrt(r) : r);
    return rc;
}
