/* What says how a model was quantised: config.json in one of several places, or a file of the quantiser's own beside
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/model/packed_group.h"

static const struct {
    const char *name;
    enum packed_method method;
} methods[] = {
    {"gptq", METHOD_GPTQ},
    {"awq", METHOD_AWQ},
    {"auto-round", METHOD_AUTO_ROUND},
    {"intel/auto-round", METHOD_AUTO_ROUND},
    {"fp8", METHOD_FP8},
    {"mxfp8", METHOD_FP8},
    {"bitsandbytes", METHOD_BITSANDBYTES},
    {"quanto", METHOD_QUANTO},
    {"compressed-tensors", METHOD_COMPRESSED_TENSORS},
    {"sparseml", METHOD_COMPRESSED_TENSORS},
    {"modelopt", METHOD_MODELOPT},
    {"modelopt_fp4", METHOD_MODELOPT},
    {"modelopt_mixed", METHOD_MODELOPT},
    {"fbgemm_fp8", METHOD_FBGEMM_FP8},
    {"bitnet", METHOD_BITNET},
    {"metal", METHOD_MLX},
    {"gemma", METHOD_GEMMA},
    {"quark", METHOD_QUARK},
};

/* Places of config.json, in the order in which they are believed. */
static const char *const roots[] = {"quantization_config.", "compression_config.", "text_config.quantization_config."};

/* Files of their own, where config.json names no method; one that names none itself is of the method that writes it. */
static const struct {
    const char *file, *root;
    enum packed_method method;
} files[] = {
    {"hf_quant_config.json", "quantization.", METHOD_MODELOPT},
    {"quantize_config.json", "", METHOD_GPTQ},
    {"quant_config.json", "", METHOD_AWQ},
    {"quanto_qmap.json", "", METHOD_QUANTO},
};

static const char *path_of(const struct packed_finder *finder, const char *member, char path[PACKED_PATH_BYTES])
{
    snprintf(path, PACKED_PATH_BYTES, "%s%s", finder->root, member);
    return path;
}

bool packed_setting_text(const struct packed_finder *finder, const char *member, struct name *ret)
{
    char path[PACKED_PATH_BYTES];

    return config_text(finder->quantisation, path_of(finder, member, path), ret);
}

bool packed_setting_u64(const struct packed_finder *finder, const char *member, uint64_t *ret)
{
    char path[PACKED_PATH_BYTES];

    return config_u64(finder->quantisation, path_of(finder, member, path), ret);
}

static bool setting_number(const struct packed_finder *finder, const char *member, double *ret)
{
    char path[PACKED_PATH_BYTES];

    return config_number(finder->quantisation, path_of(finder, member, path), ret);
}

bool packed_setting_key(const struct packed_finder *finder, const char *member, struct name *ret)
{
    char path[PACKED_PATH_BYTES];

    return config_key(finder->quantisation, path_of(finder, member, path), 0, ret);
}

bool packed_setting_is(const struct packed_finder *finder, const char *member, const char *text)
{
    struct name value;

    return packed_setting_text(finder, member, &value) && value.bytes == strlen(text) &&
           strncasecmp(value.text, text, value.bytes) == 0;
}

bool packed_packing_has(const struct packed_finder *finder, const char *part)
{
    const size_t bytes = strlen(part);
    struct name packing;

    if (!packed_setting_text(finder, "packing_format", &packing) && !packed_setting_text(finder, "backend", &packing))
        return false;
    for (size_t i = 0; i + bytes <= packing.bytes; i++)
        if (memcmp(packing.text + i, part, bytes) == 0)
            return true;
    return false;
}

/* A malformed file is as none here: whoever compares it says so. */
static int parse(const struct packed_finder *finder, const char *text, size_t bytes, struct config **ret)
{
    if (text && config_parse(text, bytes, ret, NULL) == ERROR_NO_MEMORY)
        return error_set(finder->err, ERROR_NO_MEMORY, "out of memory for its config");
    return 0;
}

static enum packed_method method_of(struct name name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (name.bytes == strlen(methods[i].name) && strncasecmp(name.text, methods[i].name, name.bytes) == 0)
            return methods[i].method;
    return METHOD_OTHER;
}

static bool find_in_config(struct packed_finder *finder)
{
    uint64_t bits;

    finder->quantisation = finder->config;
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        finder->root = roots[i];
        if (packed_setting_text(finder, "quant_method", &finder->method_name)) {
            finder->method = method_of(finder->method_name);
            return true;
        }
    }
    finder->root = "quantization."; /* MLX names no method */
    if (packed_setting_u64(finder, "bits", &bits)) {
        finder->method = METHOD_MLX;
        finder->method_name = name_of("mlx");
        return true;
    }
    return false;
}

static int find_beside(struct packed_finder *finder)
{
    const struct model *model = finder->model;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        for (size_t s = 0; s < model->side_file_count; s++) {
            const struct side_file *file = &model->side_files[s];
            int rc;

            if (strcmp(file->name, files[i].file) != 0)
                continue;
            rc = parse(finder, file->text, (size_t)file->bytes, &finder->beside);
            if (rc || !finder->beside)
                return rc;
            finder->quantisation = finder->beside;
            finder->root = files[i].root;
            finder->method = files[i].method;
            finder->method_name = name_of(files[i].file);
            if (packed_setting_text(finder, "quant_method", &finder->method_name))
                finder->method = method_of(finder->method_name);
            return 0;
        }
    return 0;
}

/* Of the groups of compressed-tensors and of those that write as it does: bits, groups, blocks. */
static void read_groups(struct packed_finder *finder)
{
    struct name key;
    char path[PACKED_PATH_BYTES];

    path_of(finder, "config_groups", path);
    for (size_t i = 0; finder->bits_count < PACKED_BITS_MAX && config_key(finder->quantisation, path, i, &key); i++) {
        char member[CONFIG_KEY_BYTES_MAX + PACKED_PATH_BYTES + 64];
        const int length =
            snprintf(member, sizeof(member), "%s.%.*s.weights.", path, (int)key.bytes, key.text ? key.text : "");
        double group_size;
        uint64_t bits;

        snprintf(member + length, sizeof(member) - (size_t)length, "num_bits");
        if (config_u64(finder->quantisation, member, &bits))
            finder->bits[finder->bits_count++] = bits;
        snprintf(member + length, sizeof(member) - (size_t)length, "group_size");
        if (config_number(finder->quantisation, member, &group_size))
            finder->group_size = group_size;
        for (int d = 0; d < 2; d++) {
            snprintf(member + length, sizeof(member) - (size_t)length, "block_structure.%d", d);
            config_u64(finder->quantisation, member, &finder->block[d]);
        }
    }
}

/* What ComfyUI says of all layers in one entry of the metadata. */
static int read_comfy(struct packed_finder *finder)
{
    const struct name said = model_metadata(finder->model, name_of("_quantization_metadata"));

    return parse(finder, said.text, said.bytes, &finder->comfy);
}

int packed_config_read(struct packed_finder *finder)
{
    int rc = read_comfy(finder);

    if (rc == 0)
        rc = parse(finder, finder->model->config, finder->model->config_bytes, &finder->config);
    if (rc == 0 && !find_in_config(finder))
        rc = find_beside(finder);
    if (rc || finder->method == METHOD_NONE)
        return rc;
    if (!packed_setting_u64(finder, "weight_block_size.0", &finder->block[0]) ||
        !packed_setting_u64(finder, "weight_block_size.1", &finder->block[1]))
        finder->block[0] = finder->block[1] = finder->method == METHOD_FP8 ? 128 : 0; /* as transformers has it */
    if (packed_setting_u64(finder, "bits", &finder->bits[0]) || packed_setting_u64(finder, "w_bit", &finder->bits[0]))
        finder->bits_count = 1;
    if (!setting_number(finder, "group_size", &finder->group_size))
        setting_number(finder, "q_group_size", &finder->group_size);
    read_groups(finder);
    if (finder->block[0] == 0 || finder->block[1] == 0)
        finder->block[0] = finder->block[1] = 0;
    return 0;
}

void packed_config_done(struct packed_finder *finder)
{
    config_free(finder->config);
    config_free(finder->beside);
    config_free(finder->comfy);
}
