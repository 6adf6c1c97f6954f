/* What ComfyUI writes: names as ModelOpt has them, but what they hold is laid out as its kernels want it. Which layer
 * is quantised and how is said in JSON, in a tensor comfy_quant of each layer or once in the file's metadata. */
#include <stdio.h>
#include <string.h>

#include "core/model/packed_group.h"

enum { FP4_SIZE = 16, MX_SIZE = 32, PREFIXES_MAX = 16 }; /* names may have thousands of dots */

/* Whether the metadata have a layer of that name; path is then where it is. */
static bool is_layer(const struct config *said, struct name layer, char *path, size_t path_bytes)
{
    char whole[PACKED_NAME_BYTES + PACKED_PATH_BYTES + sizeof("format")];
    struct name format;

    snprintf(path, path_bytes, "layers.\"%.*s\".", (int)layer.bytes, layer.text);
    return snprintf(whole, sizeof(whole), "%sformat", path) < (int)sizeof(whole) && config_text(said, whole, &format);
}

/* What is said of the module in either place, to be freed where ret_own is set; NULL: nothing. The metadata name a
 * layer without what goes before it in a file of more than one model. */
static const struct config *find_layer(struct packed_group *group, struct name module, char *path, size_t path_bytes,
                                       struct config **ret_own)
{
    const struct tensor *said = packed_partner(group, module, ".comfy_quant");
    const struct config *of_all = group->finder->comfy;
    unsigned prefixes = 0;

    *ret_own = NULL;
    if (said) {
        path[0] = '\0';
        *ret_own = packed_read_json(group, said);
        return *ret_own;
    }
    for (uint32_t at = 0; of_all && at < module.bytes && prefixes <= PREFIXES_MAX; at++)
        if ((at == 0 || module.text[at - 1] == '.') && ++prefixes &&
            is_layer(of_all, (struct name){module.text + at, module.bytes - at}, path, path_bytes))
            return of_all;
    if (of_all)
        packed_unsure(group, "ComfyUI's metadata say nothing of its layer");
    return NULL;
}

/* Scales of a byte each, swizzled, one for `size` columns; filled up to whole panels of 128 rows and four groups. */
static bool set_scales(struct packed_group *group, enum dtype dtype, uint64_t size)
{
    const struct tensor *scales = group->anchor;
    struct packed *packed = &group->packed;
    const uint64_t groups = packed->columns / size;
    const uint64_t room = ((packed->rows - 1) / 128 + 1) * 128 * ((groups - 1) / 4 + 1) * 4;

    if (packed->columns % size != 0 || dtype_traits(scales->dtype)->bits != 8 || scales->shape.elements != room)
        return packed_unsure(group, "weight_scale is not one byte for each %u columns, in panels of 128 rows",
                             (unsigned)size);
    packed->column_block = size;
    packed->groups = groups;
    packed->are_scales_swizzled = true;
    packed->scales = (struct packed_matrix){.dtype = dtype, .row_step = groups, .column_step = 1};
    return packed_take(group, scales, &packed->scales.part);
}

/* Two FP4 a byte, the first in the high half; scales times weight_scale_2. */
static bool nvfp4(struct packed_group *group, const struct tensor *codes)
{
    const struct tensor *second = packed_partner(group, group->stem, "_scale_2");
    uint64_t dims[3];

    if (codes->dtype != DTYPE_U8 || codes->shape.rank != 2 || !packed_is_stack(codes, dims) || dims[2] > UINT32_MAX ||
        dims[1] > UINT32_MAX || group->anchor->dtype != DTYPE_F8_E4M3 || !second)
        return packed_unsure(group, "weight, weight_scale and weight_scale_2 do not fit nvfp4");
    if (!packed_set_fp4(group, codes, dims))
        return false;
    group->packed.codes = PACKED_HIGH_FIRST;
    return set_scales(group, DTYPE_F8_E4M3, FP4_SIZE) && packed_set_second(group, second, &group->packed.scale_factor);
}

static bool mxfp8(struct packed_group *group, const struct tensor *codes)
{
    uint64_t dims[3];

    if (codes->shape.rank != 2 || codes->dtype != DTYPE_F8_E4M3 || !packed_is_stack(codes, dims) ||
        dims[1] > UINT32_MAX || dims[2] > UINT32_MAX ||
        (group->anchor->dtype != DTYPE_U8 && group->anchor->dtype != DTYPE_F8_E8M0))
        return packed_unsure(group, "weight and weight_scale do not fit mxfp8");
    return packed_set_elements(group, codes) && set_scales(group, DTYPE_F8_E8M0, MX_SIZE);
}

/* One scale of all elements, or one a row. */
static bool scaled(struct packed_group *group, const struct tensor *codes)
{
    static const uint64_t no_block[2];

    if (!packed_is_real(group->anchor))
        return packed_unsure(group, "its scale is of a type that scales do not have");
    return packed_set_elements(group, codes) &&
           packed_set_scales(group, group->anchor, group->anchor->dtype, no_block, false);
}

static bool float8(struct packed_group *group, const struct tensor *codes)
{
    if (codes->dtype != DTYPE_F8_E4M3 && codes->dtype != DTYPE_F8_E5M2)
        return packed_unsure(group, "weight is %s, not FP8", dtype_traits(codes->dtype)->name);
    return scaled(group, codes);
}

static bool int8(struct packed_group *group, const struct tensor *codes)
{
    if (codes->dtype != DTYPE_I8)
        return packed_unsure(group, "weight is %s, not I8", dtype_traits(codes->dtype)->name);
    return scaled(group, codes);
}

static const struct {
    const char *name;
    bool (*recognise)(struct packed_group *, const struct tensor *codes);
} formats[] = {
    {"float8_e4m3fn", float8}, {"float8_e5m2", float8}, {"nvfp4", nvfp4}, {"mxfp8", mxfp8}, {"int8_tensorwise", int8},
};

static bool recognise(struct packed_group *group, const struct config *layer, char *path, size_t path_bytes)
{
    const struct tensor *codes = packed_partner(group, group->stem, "");
    const size_t base = strlen(path);
    char printable[NAME_PRINTABLE_BYTES];
    struct name format = {0};
    bool is_rotated = false;

    snprintf(path + base, path_bytes - base, "convrot");
    config_flag(layer, path, &is_rotated);
    snprintf(path + base, path_bytes - base, "format");
    config_text(layer, path, &format);
    if (is_rotated)
        return packed_unsure(group, "ComfyUI's rotated weights are not decoded");
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (!name_equal(format, name_of(formats[i].name)))
            continue;
        snprintf(group->scheme, sizeof(group->scheme), "ComfyUI %s", formats[i].name);
        return packed_call(group, group->stem, "") && formats[i].recognise(group, codes);
    }
    return packed_unsure(group, "ComfyUI's format %s is not decoded", name_printable(format, printable));
}

/* X.weight beside X.weight_scale, of a layer of which something is said. */
bool packed_comfy(struct packed_group *group)
{
    char path[PACKED_NAME_BYTES + PACKED_PATH_BYTES];
    struct name module = group->stem;
    const struct config *layer;
    struct config *own;
    bool is_certain;
    uint8_t part;

    if (!packed_cut(&module, ".weight") || !packed_partner(group, group->stem, ""))
        return false;
    layer = find_layer(group, module, path, sizeof(path), &own);
    is_certain = layer && recognise(group, layer, path, sizeof(path));
    if (is_certain && own)
        is_certain = packed_take(group, packed_partner(group, module, ".comfy_quant"), &part);
    config_free(own);
    return is_certain;
}

/* Before there was JSON: X.weight FP8 and X.scale_weight, where a tensor scaled_fp8 at some dot before says so. */
bool packed_comfy_scaled(struct packed_group *group)
{
    const struct tensor *codes = packed_partner(group, group->stem, "weight");
    bool is_said = packed_partner(group, (struct name){0}, "scaled_fp8") != NULL;
    unsigned prefixes = 0;

    if (!codes || (codes->dtype != DTYPE_F8_E4M3 && codes->dtype != DTYPE_F8_E5M2))
        return false;
    for (uint32_t i = 0; !is_said && i < group->stem.bytes && prefixes < PREFIXES_MAX; i++)
        is_said = group->stem.text[i] == '.' && ++prefixes &&
                  packed_partner(group, (struct name){group->stem.text, i + 1}, "scaled_fp8") != NULL;
    if (!is_said)
        return packed_unsure(group, "there is no scaled_fp8 of ComfyUI's");
    snprintf(group->scheme, sizeof(group->scheme), "ComfyUI %s",
             codes->dtype == DTYPE_F8_E4M3 ? "float8_e4m3fn" : "float8_e5m2");
    return packed_call(group, group->stem, "weight") && scaled(group, codes);
}
