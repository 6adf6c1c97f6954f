/* Which tensor of the base a module's name means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/align/pattern.h"

bool adapter_name_ends(struct name name, const char *suffix, struct name *ret_stem)
{
    const uint32_t bytes = (uint32_t)strlen(suffix);

    if (name.bytes <= bytes || memcmp(name.text + name.bytes - bytes, suffix, bytes) != 0)
        return false;
    *ret_stem = (struct name){name.text, name.bytes - bytes};
    return true;
}

struct name adapter_module(struct name name, char out[ADAPTER_NAME_BYTES])
{
    static const char *const left_out[] = {"modules_to_save.default", "modules_to_save", "token_adapter", "processor",
                                           "default"};
    uint32_t used = 0;

    if (name.bytes > 17 && memcmp(name.text, "base_model.model.", 17) == 0)
        name = (struct name){name.text + 17, name.bytes - 17};
    while (name.bytes) {
        size_t skipped = 0;
        const char *dot;
        uint32_t bytes;

        for (size_t i = 0; !skipped && i < sizeof(left_out) / sizeof(left_out[0]); i++) {
            const size_t length = strlen(left_out[i]);

            if (name.bytes > length && memcmp(name.text, left_out[i], length) == 0 && name.text[length] == '.')
                skipped = length + 1;
        }
        if (skipped) {
            name = (struct name){name.text + skipped, name.bytes - (uint32_t)skipped};
            continue;
        }
        dot = memchr(name.text, '.', name.bytes);
        bytes = dot ? (uint32_t)(dot - name.text) + 1 : name.bytes;
        if (bytes >= ADAPTER_NAME_BYTES - used)
            return (struct name){out, 0};
        memcpy(out + used, name.text, bytes);
        used += bytes;
        name = (struct name){name.text + bytes, name.bytes - bytes};
    }
    return (struct name){out, used};
}

/* The base's tensor of that spelling, where it is the only one. */
struct tensor *adapter_find_spelt(const struct applying *x, struct name spelt)
{
    const struct name_records records = {x->spelt, sizeof(*x->spelt)};
    const uint32_t at = name_index_find(x->spelt_index, records, spelt);

    return at == NAME_INDEX_NONE || x->is_spelt_twice[at] ? NULL : &x->fresh[at];
}

/* The base's tensor of that name, however many silent prefixes it has, or of that spelling. */
struct tensor *adapter_find(const struct applying *x, struct name name)
{
    const struct name_records records = {x->plain, sizeof(*x->plain)};
    const uint32_t at = name_index_find(x->index, records, name_plain(name));
    char text[PATTERN_NAME_BYTES];

    return at == NAME_INDEX_NONE ? adapter_find_spelt(x, spelling_of(x->spelling, name, text)) : &x->fresh[at];
}

struct tensor *adapter_find_text(const struct applying *x, struct name module, const char *suffix)
{
    static const char *const pipeline[] = {"unet.", "diffusion_model.", "text_encoder.", "text_encoder_2.",
                                           "text_encoder_3."};
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)module.bytes, module.text, suffix);
    const struct name name = {text, (uint32_t)length};
    struct tensor *found;

    if (length <= 0 || (size_t)length >= sizeof(text))
        return NULL;
    found = adapter_find(x, name);
    for (size_t i = 0; !found && i < sizeof(pipeline) / sizeof(pipeline[0]); i++) {
        const uint32_t bytes = (uint32_t)strlen(pipeline[i]);

        if (name.bytes > bytes && memcmp(text, pipeline[i], bytes) == 0)
            found = adapter_find(x, (struct name){text + bytes, name.bytes - bytes});
    }
    return found;
}

/* Whether a name's last parts are one of the words. */
static bool ends_with_word(struct name name, const char *const *words)
{
    for (; *words; words++) {
        const size_t bytes = strlen(*words);

        if (name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, *words, bytes) == 0 &&
            (name.bytes == bytes || name.text[name.bytes - bytes - 1] == '.'))
            return true;
    }
    return false;
}

void adapter_learn_embedding(struct applying *x)
{
    static const char *const embeddings[] = {"embed_tokens.weight",    "wte.weight",
                                             "word_embeddings.weight", "shared.weight",
                                             "embed_in.weight",        "tok_embeddings.weight",
                                             "embeddings.weight",      NULL};
    struct config *config = NULL;
    bool is_tied = true;

    if (x->base->config && config_parse(x->base->config, x->base->config_bytes, &config, NULL) == 0) {
        if (!config_flag(config, "tie_word_embeddings", &is_tied))
            config_flag(config, "text_config.tie_word_embeddings", &is_tied);
        config_free(config);
    }
    for (size_t i = 0; is_tied && i < x->base->tensor_count; i++) {
        if (x->fresh[i].shape.rank != 2 || !ends_with_word(x->fresh[i].name, embeddings))
            continue;
        is_tied = !x->embedding; /* of several, which is it? */
        x->embedding = is_tied ? &x->fresh[i] : NULL;
    }
}

struct tensor *adapter_find_tied(const struct applying *x, struct name module)
{
    static const char *const heads[] = {"lm_head", "proj_out", "embed_out", "predictions.decoder", NULL};

    return x->embedding && ends_with_word(module, heads) && !adapter_find_text(x, module, ".weight") ? x->embedding
                                                                                                     : NULL;
}

/* A name without ".weight", its dots underscores; in the arena. */
static struct name flat_name(struct applying *x, struct name name)
{
    char *text;

    adapter_name_ends(name, ".weight", &name);
    text = arena_copy(&x->arena, name.text, name.bytes);
    for (uint32_t i = 0; text && i < name.bytes; i++)
        if (text[i] == '.')
            text[i] = '_';
    return (struct name){text, name.bytes};
}

static int flatten(struct applying *x)
{
    const size_t count = x->base->tensor_count;

    x->flat = calloc(count + 1, sizeof(*x->flat));
    x->is_flat_twice = calloc(count + 1, sizeof(*x->is_flat_twice));
    x->flat_index = name_index_new(count + 1);
    if (!x->flat || !x->is_flat_twice || !x->flat_index)
        return adapter_no_memory(x);
    for (size_t i = 0; i < count; i++) {
        const struct name_records records = {x->flat, sizeof(*x->flat)};
        uint32_t at;

        x->flat[i] = flat_name(x, x->fresh[i].name);
        if (!x->flat[i].text)
            return adapter_no_memory(x);
        at = name_index_add(x->flat_index, records, (uint32_t)i);
        x->is_flat_twice[at] = at != i;
    }
    return 0;
}

static struct tensor *find_flat(const struct applying *x, const char *place, struct name rest)
{
    const struct name_records records = {x->flat, sizeof(*x->flat)};
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%s%.*s", place, (int)rest.bytes, rest.text);
    uint32_t at;

    if (length <= 0 || (size_t)length >= sizeof(text))
        return NULL;
    at = name_index_find(x->flat_index, records, (struct name){text, (uint32_t)length});
    return at == NAME_INDEX_NONE || x->is_flat_twice[at] ? NULL : &x->fresh[at];
}

int adapter_find_flat(struct applying *x, struct name module, struct tensor **ret_tensor)
{
    static const char *const kohya[] = {"lora_unet_", "lora_te_",          "lora_te1_",
                                        "lora_te2_",  "lora_transformer_", "lora_prior_unet_"};
    static const char *const places[] = {"",
                                         "model_diffusion_model_",
                                         "diffusion_model_",
                                         "unet_",
                                         "transformer_",
                                         "text_encoder_",
                                         "cond_stage_model_transformer_",
                                         "conditioner_embedders_0_transformer_"};
    static const char text_model[] = "text_model_";
    struct name rest = {NULL, 0};

    *ret_tensor = NULL;
    for (size_t i = 0; !rest.text && i < sizeof(kohya) / sizeof(kohya[0]); i++) {
        const uint32_t bytes = (uint32_t)strlen(kohya[i]);

        if (module.bytes > bytes && memcmp(module.text, kohya[i], bytes) == 0)
            rest = (struct name){module.text + bytes, module.bytes - bytes};
    }
    if (!rest.text)
        return 0;
    if (!x->flat) {
        int rc = flatten(x);

        if (rc)
            return rc;
    }
    for (size_t i = 0; !*ret_tensor && i < sizeof(places) / sizeof(places[0]); i++)
        *ret_tensor = find_flat(x, places[i], rest);
    if (!*ret_tensor && rest.bytes > sizeof(text_model) - 1 &&
        memcmp(rest.text, text_model, sizeof(text_model) - 1) == 0)
        *ret_tensor =
            find_flat(x, "", /* as transformers 5 saves it */
                      (struct name){rest.text + sizeof(text_model) - 1, rest.bytes - (uint32_t)sizeof(text_model) + 1});
    return 0;
}

const struct tensor *adapter_part(const struct applying *x, struct name stem, const char *suffix)
{
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)stem.bytes, stem.text, suffix);
    const struct tensor *found = length > 0 && (size_t)length < sizeof(text)
                                     ? model_find(x->adapter, (struct name){text, (uint32_t)length})
                                     : NULL;

    return found ? &x->parts[found - x->adapter->tensors] : NULL;
}
