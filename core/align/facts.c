/* What transformations need to know of a model: from a GGUF file's metadata, and from config.json where that is silent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/model/config.h"

enum { HEADS, KV_HEADS, HEAD_SIZE, WIDTH, LINEAR_GROUPS, LINEAR_KEY, LINEAR_INNER, LINEAR_VALUES, FACTS };

/* Where a figure is written: the key of a GGUF file behind its architecture, or whole; paths of config.json. */
static const struct fact {
    const char *symbol, *key;
    const char *paths[5];
} facts_table[FACTS] = {
    [HEADS] = {"heads",
               ".attention.head_count",
               {"num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"}},
    [KV_HEADS] = {"kv_heads", ".attention.head_count_kv", {"num_key_value_heads", "num_kv_heads", "n_head_kv"}},
    [HEAD_SIZE] = {"head_size", ".attention.key_length", {"head_dim", "d_kv"}},
    [WIDTH] = {"width", ".embedding_length", {"hidden_size", "n_embd", "d_model"}},
    [LINEAR_GROUPS] = {"linear_groups", ".ssm.group_count", {"linear_num_key_heads"}},
    [LINEAR_KEY] = {"linear_key", ".ssm.state_size", {"linear_key_head_dim"}},
    [LINEAR_INNER] = {"linear_inner", ".ssm.inner_size", {NULL}},
    [LINEAR_VALUES] = {"linear_values", ".ssm.time_step_rank", {"linear_num_value_heads"}},
};

struct layout_facts {
    const struct model *files[2]; /* GGUF files */
    size_t file_count;
    struct config *configs[2];
    size_t config_count;
    struct name architecture;
    bool has_lists; /* a figure a layer */
};

/* Whether the heads are listed layer by layer. */
static bool has_head_lists(const struct model *file)
{
    for (size_t i = 0; i < file->metadata_count; i++) {
        const struct metadata_entry *entry = &file->metadata[i];

        if (entry->value.bytes && entry->value.text[0] == '[' &&
            memmem(entry->key.text, entry->key.bytes, ".attention.head_count", 21))
            return true;
    }
    return false;
}

int layout_facts_new(const struct model *const *models, struct layout_facts **ret_facts, struct error *err)
{
    struct layout_facts *facts = calloc(1, sizeof(*facts));

    if (!facts)
        return error_set(err, ERROR_NO_MEMORY, "no memory for what is known of the models");
    for (size_t m = 0; m < 2; m++) {
        const struct name architecture = model_metadata(models[m], name_of("general.architecture"));

        if (architecture.text) {
            facts->files[facts->file_count++] = models[m];
            facts->architecture = architecture;
            facts->has_lists |= has_head_lists(models[m]);
        }
        if (models[m]->config) {
            struct error why;
            int rc =
                config_parse(models[m]->config, models[m]->config_bytes, &facts->configs[facts->config_count], &why);

            if (rc == ERROR_NO_MEMORY) {
                layout_facts_free(facts);
                return error_set(err, rc, "%s", why.text);
            }
            facts->config_count += rc == 0; /* a malformed one is a warning of the model's */
        }
    }
    *ret_facts = facts;
    return 0;
}

void layout_facts_free(struct layout_facts *facts)
{
    if (!facts)
        return;
    for (size_t i = 0; i < facts->config_count; i++)
        config_free(facts->configs[i]);
    free(facts);
}

bool layout_facts_vary(const struct layout_facts *facts)
{
    return facts->has_lists;
}

bool layout_is_listed(const char *list, struct name name)
{
    struct name rest = list ? name_of(list) : (struct name){NULL, 0}, item;

    while (pattern_next(&rest, "|", &item))
        if (name_equal(item, name))
            return true;
    return false;
}

struct name layout_facts_architecture(const struct layout_facts *facts)
{
    return facts->architecture;
}

/* "32", or the layer's in "[32, 32, 16]". */
static bool number_of(struct name text, uint64_t layer, uint64_t *ret)
{
    uint64_t at = 0, value = 0;
    bool is_list = text.bytes > 0 && text.text[0] == '[', has_digits = false;

    for (uint32_t i = is_list; i < text.bytes; i++) {
        const char c = text.text[i];

        if (c >= '0' && c <= '9' && value < UINT32_MAX) {
            value = value * 10 + (uint64_t)(c - '0');
            has_digits = true;
        } else if (is_list && (c == ',' || c == ']')) {
            if (at++ == layer)
                break;
            value = 0;
            has_digits = false;
        } else if (c != ' ') {
            return false;
        }
    }
    *ret = value;
    return has_digits;
}

static bool fact_in_file(const struct layout_facts *facts, const struct model *model, const struct fact *fact,
                         uint64_t layer, uint64_t *ret)
{
    char key[128];

    snprintf(key, sizeof(key), "%.*s%s", (int)(facts->architecture.bytes < 64 ? facts->architecture.bytes : 64),
             facts->architecture.text, fact->key);
    return number_of(model_metadata(model, name_of(key)), layer, ret);
}

static bool fact_in_config(const struct config *config, const struct fact *fact, uint64_t *ret)
{
    for (size_t i = 0; i < sizeof(fact->paths) / sizeof(fact->paths[0]) && fact->paths[i]; i++) {
        char nested[64];

        snprintf(nested, sizeof(nested), "text_config.%s", fact->paths[i]);
        if (config_u64(config, fact->paths[i], ret) || config_u64(config, nested, ret))
            return true;
    }
    return false;
}

static bool vision_heads(const struct layout_facts *facts, uint64_t *ret)
{
    for (size_t i = 0; i < facts->file_count; i++)
        if (number_of(model_metadata(facts->files[i], name_of("clip.vision.attention.head_count")), 0, ret))
            return true;
    for (size_t i = 0; i < facts->config_count; i++)
        if (config_u64(facts->configs[i], "vision_config.num_attention_heads", ret) ||
            config_u64(facts->configs[i], "vision_config.num_heads", ret))
            return true;
    return false;
}

void layout_facts_symbols(const struct layout_facts *facts, uint64_t layer, struct symbols *ret_symbols)
{
    uint64_t values[FACTS] = {0}, vision;

    for (size_t f = 0; f < FACTS; f++) {
        bool is_known = false;

        for (size_t i = 0; !is_known && i < facts->file_count; i++)
            is_known = fact_in_file(facts, facts->files[i], &facts_table[f], layer, &values[f]);
        for (size_t i = 0; !is_known && i < facts->config_count; i++)
            is_known = fact_in_config(facts->configs[i], &facts_table[f], &values[f]);
        if (f == KV_HEADS && !is_known)
            values[f] = values[HEADS]; /* without a figure of their own, as many as heads */
        if (values[f])
            symbols_set(ret_symbols, facts_table[f].symbol, values[f]);
    }
    if (values[HEADS] && values[KV_HEADS] && values[HEADS] % values[KV_HEADS] == 0)
        symbols_set(ret_symbols, "group", values[HEADS] / values[KV_HEADS]);
    if (values[HEAD_SIZE] == 0 && values[HEADS] && values[WIDTH])
        values[HEAD_SIZE] = values[WIDTH] / values[HEADS];
    if (values[HEADS] && values[HEAD_SIZE])
        symbols_set(ret_symbols, "q_rows", values[HEADS] * values[HEAD_SIZE]);
    if (values[LINEAR_GROUPS] && values[LINEAR_INNER] && values[LINEAR_INNER] % values[LINEAR_GROUPS] == 0)
        symbols_set(ret_symbols, "linear_value", values[LINEAR_INNER] / values[LINEAR_GROUPS]);
    if (values[LINEAR_GROUPS] && values[LINEAR_KEY])
        symbols_set(ret_symbols, "linear_keys", 2 * values[LINEAR_GROUPS] * values[LINEAR_KEY]);
    if (values[LINEAR_GROUPS] && values[LINEAR_VALUES] % values[LINEAR_GROUPS] == 0 &&
        values[LINEAR_VALUES] > values[LINEAR_GROUPS])
        symbols_set(ret_symbols, "linear_ratio", values[LINEAR_VALUES] / values[LINEAR_GROUPS]);
    if (vision_heads(facts, &vision))
        symbols_set(ret_symbols, "vision_heads", vision);
}
