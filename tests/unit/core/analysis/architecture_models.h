/* Small models in the layouts that libraries write, compared whole. A layout is one line: "name=4x8" for each tensor,
 * {n} in a name for n of them. */
#ifndef TESTS_ARCHITECTURE_MODELS_H
#define TESTS_ARCHITECTURE_MODELS_H

#include <json-c/json_pointer.h>

#include "tests/unit/core/analysis/documents.h"
#include "tests/unit/core/io/scratch.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

/* --- models --- */

struct builder {
    char header[65536];
    size_t used, data_bytes;
    const char *dtype;
};

static inline void add_tensor(struct builder *b, const char *name, const char *dims)
{
    const char *brace = strchr(name, '{');
    size_t elements = 1, width = strcmp(b->dtype, "BF16") == 0 ? 2 : 4;
    char expanded[256], shape[64] = "";

    if (brace) {
        for (int i = 0, count = atoi(brace + 1); i < count; i++) {
            snprintf(expanded, sizeof(expanded), "%.*s%d%s", (int)(brace - name), name, i, strchr(brace, '}') + 1);
            add_tensor(b, expanded, dims);
        }
        return;
    }
    while (*dims) {
        char *end;
        unsigned long dim = strtoul(dims, &end, 10);

        elements *= dim;
        sprintf(shape + strlen(shape), "%s%lu", shape[0] ? "," : "", dim);
        dims = *end == 'x' ? end + 1 : end;
    }
    b->used += (size_t)snprintf(b->header + b->used, sizeof(b->header) - b->used,
                                "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                b->used > 1 ? "," : "", name, b->dtype, shape, b->data_bytes,
                                b->data_bytes + elements * width);
    b->data_bytes += elements * width;
    ck_assert_uint_lt(b->used, sizeof(b->header) - 1);
}

/* Writes the layout as dir/model.safetensors, with config.json beside it when there is one. */
static inline void write_model(const char *dir, const char *dtype, const char *layout, const char *config)
{
    struct builder *b = calloc(1, sizeof(*b));
    char *copy = strdup(layout), *rest = copy, *word, path[128];

    if (access(in_scratch(dir), F_OK) != 0)
        scratch_mkdir(dir);
    b->dtype = dtype;
    b->header[b->used++] = '{';
    while ((word = strsep(&rest, " "))) {
        char *equals = strchr(word, '=');

        if (!equals)
            continue;
        *equals = '\0';
        add_tensor(b, word, equals + 1);
    }
    b->header[b->used] = '}';
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    scratch_safetensors(path, b->header, b->data_bytes);
    snprintf(path, sizeof(path), "%s/config.json", dir);
    if (config)
        scratch_text(path, config);
    free(copy);
    free(b);
}

static inline void write_beside(const char *dir, const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    scratch_text(path, text);
}

/* --- results --- */

static inline struct model *open_at(const char *path)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};
    struct model *model = NULL;
    struct error error = {0};

    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s", error.text);
    return model;
}

/* The result document of comparing the models at a and b, or of a alone (b NULL). */
static inline struct json_object *compare_paths(const char *a, const char *b, void (*with)(struct options *))
{
    struct model *models[2] = {open_at(a), b ? open_at(b) : NULL};
    int analysis = analysis_by_name("architecture_comparison", strlen("architecture_comparison"));
    struct compare_request request = {.analyses = 1u << analysis};
    struct json_object *document;

    options_init(&request.options);
    if (with)
        with(&request.options);
    document = document_parsed(compared_text(&request, models, b ? 2 : 1, 1));
    options_done(&request.options);
    model_close(models[0]);
    model_close(models[1]);
    return document;
}

static inline struct json_object *compare_dirs(const char *a, const char *b)
{
    return compare_paths(in_scratch(a), b ? in_scratch(b) : NULL, NULL);
}

#define ANALYSIS "/analyses/architecture_comparison"

/* The value at pointer below the analysis as JSON text. */
static inline const char *at(struct json_object *document, const char *pointer)
{
    struct json_object *found = NULL;
    char path[256];

    snprintf(path, sizeof(path), ANALYSIS "%s", pointer);
    ck_assert_msg(json_pointer_get(document, path, &found) == 0, "%s is missing", pointer);
    return json_object_to_json_string_ext(found, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static inline bool has_warning(struct json_object *document, const char *code, const char *says)
{
    struct json_object *warnings = NULL;

    ck_assert_int_eq(json_pointer_get(document, "/warnings", &warnings), 0);
    for (size_t i = 0; i < json_object_array_length(warnings); i++) {
        const char *text = json_object_to_json_string(json_object_array_get_idx(warnings, i));

        if (strstr(text, code) && strstr(text, says))
            return true;
    }
    return false;
}

/* "name=value/source", a null without a source; each must hold on that side. */
static inline void check_figures(struct json_object *document, const char *side, const char *expected)
{
    char *copy = strdup(expected), *rest = copy, *word;

    while ((word = strsep(&rest, " "))) {
        char pointer[128], *equals = strchr(word, '='), *slash = strchr(word, '/');

        *equals = '\0';
        if (slash)
            *slash = '\0';
        snprintf(pointer, sizeof(pointer), "/%s/%s/value", side, word);
        ck_assert_msg(strcmp(at(document, pointer), equals + 1) == 0, "%s is %s, not %s", pointer,
                      at(document, pointer), equals + 1);
        snprintf(pointer, sizeof(pointer), "/%s/%s/%s", side, word, slash ? "source" : "value_reason");
        if (slash)
            ck_assert_msg(strstr(at(document, pointer), slash + 1), "%s is %s, not %s", pointer, at(document, pointer),
                          slash + 1);
        else
            ck_assert_uint_gt(strlen(at(document, pointer)), 8); /* null says why */
    }
    free(copy);
}

#define LLAMA_BLOCK(depth)                                                                                             \
    "model.layers.{" depth "}.self_attn.q_proj.weight=64x64 model.layers.{" depth "}.self_attn.k_proj.weight=32x64 "   \
    "model.layers.{" depth "}.self_attn.v_proj.weight=32x64 model.layers.{" depth "}.self_attn.o_proj.weight=64x64 "   \
    "model.layers.{" depth "}.mlp.gate_proj.weight=96x64 model.layers.{" depth "}.mlp.up_proj.weight=96x64 "           \
    "model.layers.{" depth "}.mlp.down_proj.weight=64x96 model.layers.{" depth "}.input_layernorm.weight=64 "
#define LLAMA(depth) "model.embed_tokens.weight=256x64 lm_head.weight=256x64 model.norm.weight=64 " LLAMA_BLOCK(depth)

#endif
