/* MLX's quantised layers, and what transformers writes alike. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/model/packed_group.h"

/* The path of a module's own setting, whose name holds dots. */
static const char *own_path(const struct packed_group *group, struct name module, const char *member,
                            char path[PACKED_NAME_BYTES + PACKED_PATH_BYTES])
{
    snprintf(path, PACKED_NAME_BYTES + PACKED_PATH_BYTES, "%s\"%.*s\".%s", group->finder->root, (int)module.bytes,
             module.bytes ? module.text : "", member);
    return path;
}

/* A setting: the module's own, else that of all. */
static void read_number(const struct packed_group *group, struct name module, const char *member, uint64_t *out)
{
    char path[PACKED_NAME_BYTES + PACKED_PATH_BYTES];

    packed_setting_u64(group->finder, member, out);
    config_u64(group->finder->quantisation, own_path(group, module, member, path), out);
}

static struct name read_mode(const struct packed_group *group, struct name module)
{
    char path[PACKED_NAME_BYTES + PACKED_PATH_BYTES];
    struct name mode = name_of("affine");

    packed_setting_text(group->finder, "mode", &mode);
    config_text(group->finder->quantisation, own_path(group, module, "mode", path), &mode);
    return mode;
}

/* Modes whose scales are of a byte each, and which have no biases. */
static const struct {
    const char *name;
    uint8_t bits, size;
    enum dtype values, scales;
} modes[] = {
    {"mxfp4", 4, 32, DTYPE_F4, DTYPE_F8_E8M0},
    {"mxfp8", 8, 32, DTYPE_F8_E4M3, DTYPE_F8_E8M0},
    {"nvfp4", 4, 16, DTYPE_F4, DTYPE_F8_E4M3},
};

/* code · scale + bias. */
static bool affine(struct packed_group *group, const struct tensor *codes, uint64_t bits, uint64_t size)
{
    static const uint64_t no_block[2];
    const struct tensor *scales = group->anchor, *biases = packed_partner(group, group->stem, "biases");
    struct packed *packed = &group->packed;
    uint8_t part;

    if (!biases)
        biases = packed_partner(group, group->stem, "qbiases");
    if (!biases || !packed_is_real(scales) || biases->dtype != scales->dtype ||
        !shape_equal(&scales->shape, &biases->shape))
        return packed_unsure(group, "scales and biases do not fit each other");
    if (bits < 2 || bits > 8 || bits == 7)
        return packed_unsure(group, "there are no codes of %" PRIu64 " bits", bits);
    packed->is_shift = true;
    packed->zeros = PACKED_ZEROS;
    if (!packed_take(group, codes, &packed->part) ||
        !packed_set_scales(group, scales, scales->dtype, no_block, false) || !packed_take(group, biases, &part))
        return false;
    packed->zero = packed->scales;
    packed->zero.part = part;
    snprintf(group->scheme, sizeof(group->scheme), "MLX int%" PRIu64 " g%" PRIu64, bits, size);
    return true;
}

static bool of_mode(struct packed_group *group, const struct tensor *codes, struct name mode, uint64_t bits,
                    uint64_t size)
{
    struct packed *packed = &group->packed;
    char printable[NAME_PRINTABLE_BYTES];

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (!name_equal(mode, name_of(modes[i].name)))
            continue;
        if (group->anchor->dtype != DTYPE_U8 || bits != modes[i].bits || size != modes[i].size)
            return packed_unsure(group, "scales, bits and group_size are not those of %s", modes[i].name);
        packed->meaning = bits == 8 ? PACKED_ELEMENTS : PACKED_SMALL;
        packed->values = modes[i].values;
        snprintf(group->scheme, sizeof(group->scheme), "MLX %s", modes[i].name);
        return packed_take(group, codes, &packed->part) &&
               packed_set_scales(group, group->anchor, modes[i].scales, (const uint64_t[2]){1, size}, false);
    }
    return packed_unsure(group, "MLX's mode %s is not known", name_printable(mode, printable));
}

/* weight U32 [out, in · bits / 32], a dense stream of codes, scales [out, in / group], and biases; of stacks too. */
bool packed_mlx(struct packed_group *group)
{
    const struct tensor *codes = packed_partner(group, group->stem, "weight"), *scales = group->anchor;
    const struct name module = {group->stem.text, group->stem.bytes ? group->stem.bytes - 1 : 0};
    struct packed *packed = &group->packed;
    uint64_t bits = 0, size = 0, dims[3], scale_dims[3];
    struct name mode;

    if (!codes || codes->dtype != DTYPE_U32)
        return false;
    if (group->finder->method != METHOD_MLX &&
        !(group->finder->method == METHOD_AUTO_ROUND && packed_packing_has(group->finder, "mlx")))
        return packed_unsure(group, "the config has no quantization of MLX");
    read_number(group, module, "bits", &bits);
    read_number(group, module, "group_size", &size);
    if (!packed_is_stack(codes, dims) || !packed_is_stack(scales, scale_dims) || scale_dims[0] != dims[0] ||
        scale_dims[1] != dims[1])
        return packed_unsure(group, "weight and scales do not fit each other");
    if (bits == 0 || bits > 8 || size == 0 || size > UINT32_MAX || scale_dims[2] > UINT32_MAX || dims[2] > UINT32_MAX ||
        dims[2] * 32 / bits / size != scale_dims[2] || dims[2] * 32 % (bits * size) != 0)
        return packed_unsure(group, "%" PRIu64 " words a row are not %" PRIu64 " groups of the config's size and bits",
                             dims[2], scale_dims[2]);
    packed_set_stack(group, codes->shape.rank, (const uint64_t[3]){dims[0], dims[1], scale_dims[2] * size});
    packed->codes = PACKED_ALONG;
    packed->bits = (uint8_t)bits;
    packed->row_bytes = dims[2] * 4;
    mode = read_mode(group, module);
    return (name_equal(mode, name_of("affine")) ? affine(group, codes, bits, size)
                                                : of_mode(group, codes, mode, bits, size)) &&
           packed_call(group, group->stem, "weight");
}
