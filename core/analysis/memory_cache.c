/* The cache of keys and values, from config.json: only where a decoder with one kind of attention is described in full.
 */
#include <string.h>

#include "core/analysis/memory.h"
#include "core/checked.h"
#include "core/model/config.h"

#include <stdio.h>

enum { PATH_BYTES = 96 };

/* The first of the names, in the config itself or in the part that describes the text decoder. */
static bool any_u64(const struct config *config, const char *const *names, uint64_t *ret_value)
{
    static const char *const parts[] = {"", "text_config."};
    char path[PATH_BYTES];

    for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++)
        for (size_t i = 0; names[i]; i++) {
            snprintf(path, sizeof(path), "%s%s", parts[part], names[i]);
            if (config_u64(config, path, ret_value))
                return true;
        }
    return false;
}

static bool has_text(struct name name, const char *text)
{
    return memmem(name.text, name.bytes, text, strlen(text)) != NULL;
}

static bool is_set(const struct config *config, const char *path)
{
    bool value;

    return config_flag(config, path, &value) && value;
}

/* Why the plain formula does not describe this model; NULL when it does. */
static const char *why_not(const struct config *config)
{
    static const char *const latent[] = {"kv_lora_rank", NULL};
    struct name architecture, kind;
    uint64_t value;

    if (!config_text(config, "architectures.0", &architecture))
        return "config.json names no architecture";
    if (!has_text(architecture, "CausalLM") && !has_text(architecture, "LMHead") &&
        !has_text(architecture, "ConditionalGeneration"))
        return "the architecture is no decoder";
    if (is_set(config, "is_encoder_decoder"))
        return "an encoder and a decoder keep caches of two kinds";
    if (any_u64(config, latent, &value))
        return "keys and values are kept in latent form";
    for (unsigned layer = 0; layer < 4096; layer++) {
        char path[PATH_BYTES];

        snprintf(path, sizeof(path), "layer_types.%u", layer);
        if (!config_text(config, path, &kind))
            break;
        if (!has_text(kind, "full_attention") && !has_text(kind, "sliding_attention"))
            return "layers of several kinds keep different states";
    }
    return NULL;
}

static uint64_t element_bytes_of(const struct config *config)
{
    struct name type;

    if (!config_text(config, "dtype", &type) && !config_text(config, "torch_dtype", &type) &&
        !config_text(config, "text_config.dtype", &type))
        return 2;
    return has_text(type, "float64") ? 8 : has_text(type, "float32") ? 4 : has_text(type, "float8") ? 1 : 2;
}

static const char *read_config(const struct config *config, struct kv_cache *cache)
{
    static const char *const layer_names[] = {"num_hidden_layers", "n_layer", "num_layers", NULL};
    static const char *const head_names[] = {"num_attention_heads", "n_head", NULL};
    static const char *const kv_names[] = {"num_key_value_heads", "num_kv_heads", NULL};
    static const char *const size_names[] = {"hidden_size", "n_embd", "d_model", NULL};
    static const char *const dim_names[] = {"head_dim", NULL};
    const char *reason = why_not(config);
    uint64_t heads, size;

    if (reason)
        return reason;
    if (!any_u64(config, layer_names, &cache->layers) || !any_u64(config, head_names, &heads) || heads == 0)
        return "config.json does not tell layers and heads";
    if (is_set(config, "multi_query") && !is_set(config, "new_decoder_architecture"))
        cache->kv_heads = 1;
    else if (!any_u64(config, kv_names, &cache->kv_heads))
        cache->kv_heads = heads;
    if (!any_u64(config, dim_names, &cache->head_dim)) {
        if (!any_u64(config, size_names, &size) || size % heads)
            return "config.json does not tell the size of a head";
        cache->head_dim = size / heads;
    }
    cache->element_bytes = element_bytes_of(config);
    if (!checked_mul(2 * cache->element_bytes, cache->layers, &size) || !checked_mul(size, cache->kv_heads, &size) ||
        !checked_mul(size, cache->head_dim, &cache->bytes_per_token))
        return "config.json claims sizes that overflow";
    return NULL;
}

struct kv_cache kv_cache_of(const struct model *model)
{
    struct kv_cache cache = {.reason = "no config.json beside the model"};
    struct config *config = NULL;

    if (!model->config)
        return cache;
    if (config_parse(model->config, model->config_bytes, &config, NULL))
        cache.reason = "config.json is malformed";
    else
        cache.reason = read_config(config, &cache);
    config_free(config);
    return cache;
}
