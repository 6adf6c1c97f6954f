/* torchao's tensor subclasses: in safetensors module._weight_qdata, …_scale and what the metadata says in JSON of
 * "module.weight"; in PyTorch's own files the attributes of an object, as the format lists them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/packed_group.h"

/* A subclass, in whichever of the two forms. */
struct subclass {
    struct packed_group *group;
    struct name stem;            /* of its data */
    const struct config *config; /* of the metadata; NULL: the attributes are metadata each */
};

static const struct tensor *data_of(const struct subclass *of, const char *data)
{
    char suffix[64];

    snprintf(suffix, sizeof(suffix), "%c%s", of->config ? '_' : '.', data);
    return packed_partner(of->group, of->stem, suffix);
}

static bool attribute_of(const struct subclass *of, const char *attribute, struct name *ret)
{
    char suffix[64];

    snprintf(suffix, sizeof(suffix), ".%s", attribute);
    return packed_metadata(of->group, suffix, ret);
}

static bool attribute_u64(const struct subclass *of, const char *attribute, uint64_t *ret)
{
    char path[64], text[24] = "";
    struct name number;

    if (of->config) {
        snprintf(path, sizeof(path), "_data.%s", attribute);
        return config_u64(of->config, path, ret);
    }
    if (!attribute_of(of, attribute, &number) || number.bytes >= sizeof(text))
        return false;
    memcpy(text, number.text, number.bytes);
    *ret = strtoull(text, NULL, 10);
    return true;
}

static bool attribute_is_true(const struct subclass *of, const char *attribute)
{
    struct name value;
    char path[64];
    bool flag = false;

    if (!of->config)
        return attribute_of(of, attribute, &value) && name_equal(value, name_of("true"));
    snprintf(path, sizeof(path), "_data.%s", attribute);
    return config_flag(of->config, path, &flag) && flag;
}

/* block_size is one number for each dimension, ones but for the last two. */
static bool read_block(const struct subclass *of, uint32_t rank, uint64_t block[2])
{
    char attribute[32];

    for (uint32_t d = 0; d < rank; d++) {
        uint64_t size = 0;

        snprintf(attribute, sizeof(attribute), "block_size.%" PRIu32, d);
        if (!attribute_u64(of, attribute, &size) || size == 0 || (d + 2 < rank && size != 1))
            return false;
        if (d + 2 >= rank)
            block[d + 2 - rank] = size;
    }
    return true;
}

/* (code − zero point) · scale, a code an element. */
static bool elements(const struct subclass *of)
{
    const struct tensor *codes = of->group->anchor, *scales = data_of(of, "scale"), *zeros = data_of(of, "zero_point");
    struct packed_group *group = of->group;
    struct packed *packed = &group->packed;
    uint64_t block[2], dims[3];
    char what[32];

    if (!packed_is_stack(codes, dims) ||
        (codes->dtype != DTYPE_I8 && codes->dtype != DTYPE_F8_E4M3 && codes->dtype != DTYPE_F8_E5M2) || !scales ||
        scales->shape.elements == 0 || !packed_is_real(scales))
        return packed_unsure(group, "qdata and scale are not of the types that torchao gives them");
    if (!read_block(of, codes->shape.rank, block) ||
        scales->shape.elements != dims[0] * ((dims[1] - 1) / block[0] + 1) * ((dims[2] - 1) / block[1] + 1))
        return packed_unsure(group, "scale is not one for each block of block_size");
    if (!packed_set_elements(group, codes) || !packed_set_scales(group, scales, scales->dtype, block, false))
        return false;
    if (packed->row_block != block[0] && packed->row_block != dims[1] && packed->row_block != packed->rows)
        return packed_unsure(group, "scale has another shape than its blocks");
    if (zeros) {
        if ((zeros->dtype != DTYPE_I8 && zeros->dtype != DTYPE_I32 && zeros->dtype != DTYPE_I64 &&
             !packed_is_real(zeros)) ||
            !shape_equal(&zeros->shape, &scales->shape))
            return packed_unsure(group, "zero_point is not one number for each scale");
        packed->zeros = PACKED_ZEROS;
        packed->zero = packed->scales;
        packed->zero.dtype = zeros->dtype;
        if (!packed_take(group, zeros, &packed->zero.part))
            return false;
    }
    snprintf(what, sizeof(what), "torchao %s", codes->dtype == DTYPE_I8 ? "int8" : dtype_traits(codes->dtype)->name);
    packed_name_blocks(group, what);
    return true;
}

/* qdata [out, in / 2], two's complement, the first in the low half; scale and zero_point [in / group, out]: code ·
 * scale + zero point. */
static bool int4(const struct subclass *of)
{
    const struct tensor *codes = of->group->anchor, *scales = data_of(of, "scale"), *zeros = data_of(of, "zero_point");
    struct packed_group *group = of->group;
    struct packed *packed = &group->packed;
    uint64_t block[2], rows, bytes, groups, out;
    uint8_t part;

    if ((codes->dtype != DTYPE_I8 && codes->dtype != DTYPE_U8) || !packed_is_matrix(codes, &rows, &bytes) || !scales ||
        !zeros || !packed_is_real(scales) || zeros->dtype != scales->dtype ||
        !shape_equal(&scales->shape, &zeros->shape) || !packed_is_matrix(scales, &groups, &out) || out != rows ||
        !read_block(of, 2, block) || block[0] != 1 || bytes > UINT64_MAX / 2 || bytes * 2 % block[1] != 0 ||
        bytes * 2 / block[1] != groups)
        return packed_unsure(group, "qdata, scale, zero_point and block_size do not fit int4");
    packed_set_shape(group, rows, bytes * 2);
    packed->codes = PACKED_ALONG;
    packed->bits = 4;
    packed->row_bytes = bytes;
    packed->meaning = PACKED_SIGNED;
    packed->column_block = block[1];
    packed->groups = groups;
    packed->is_shift = true;
    packed->zeros = PACKED_ZEROS;
    if (!packed_take(group, codes, &part) || !packed_take(group, scales, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, scales->dtype, 1, out};
    packed->zero = (struct packed_matrix){packed->zero.part, zeros->dtype, 1, out};
    snprintf(group->scheme, sizeof(group->scheme), "torchao int4 g%" PRIu64, block[1]);
    return true;
}

/* Scales of groups of `size` columns, a row of them a row, or swizzled: panels of 128 rows and four groups. */
static bool set_block_scales(const struct subclass *of, const struct tensor *scales, enum dtype dtype, uint64_t size)
{
    struct packed_group *group = of->group;
    struct packed *packed = &group->packed;
    const uint64_t rows = packed->rows, groups = packed->columns / size;
    const bool is_swizzled = attribute_is_true(of, "is_swizzled_scales");
    const uint64_t room = is_swizzled ? ((rows - 1) / 128 + 1) * 128 * ((groups - 1) / 4 + 1) * 4 : rows * groups;

    if (packed->columns % size != 0 || !scales || scales->dtype != dtype || scales->shape.elements != room)
        return packed_unsure(group, "scale is not one for each %" PRIu64 " columns", size);
    packed->column_block = size;
    packed->groups = groups;
    packed->are_scales_swizzled = is_swizzled;
    packed->scales = (struct packed_matrix){.dtype = dtype, .row_step = groups, .column_step = 1};
    return packed_take(group, scales, &packed->scales.part);
}

static bool set_fp4(struct packed_group *group)
{
    const struct tensor *codes = group->anchor;
    uint64_t dims[3];

    if (codes->dtype != DTYPE_U8 || !packed_is_stack(codes, dims) || dims[2] > UINT64_MAX / 2)
        return packed_unsure(group, "qdata is not two FP4 a byte");
    return packed_set_fp4(group, codes, dims);
}

static bool nvfp4(const struct subclass *of)
{
    const struct tensor *second = data_of(of, "per_tensor_scale");

    snprintf(of->group->scheme, sizeof(of->group->scheme), "torchao nvfp4");
    return set_fp4(of->group) && set_block_scales(of, data_of(of, "scale"), DTYPE_F8_E4M3, 16) &&
           (!second || packed_set_second(of->group, second, &of->group->packed.scale_factor));
}

/* The element's type is named in safetensors; what is a number of Python's elsewhere is no dtype, so one byte a code.
 */
static bool mx(const struct subclass *of)
{
    struct packed_group *group = of->group;
    char printable[NAME_PRINTABLE_BYTES];
    struct name elements = {0};
    uint64_t size = 0;
    bool is_fp4;

    attribute_u64(of, "block_size", &size);
    if (of->config ? config_text(of->config, "_data.elem_dtype", &elements) : attribute_of(of, "elem_dtype", &elements))
        return packed_unsure(group, "elements of the type %s", name_printable(elements, printable));
    if (size == 0)
        return packed_unsure(group, "there is no block_size");
    is_fp4 = group->anchor->dtype == DTYPE_U8;
    if (is_fp4 ? !set_fp4(group) : !packed_set_elements(group, group->anchor))
        return false;
    if (!is_fp4 && group->packed.values != DTYPE_F8_E4M3 && group->packed.values != DTYPE_F8_E5M2)
        return packed_unsure(group, "qdata is of no type that MXTensor has");
    snprintf(group->scheme, sizeof(group->scheme), "torchao mx%s",
             is_fp4 ? "fp4" : dtype_traits(group->packed.values)->name);
    return set_block_scales(of, data_of(of, "scale"), DTYPE_F8_E8M0, size);
}

static const struct {
    const char *name;
    bool (*recognise)(const struct subclass *of);
} subclasses[] = {
    {"Int8Tensor", elements}, {"Float8Tensor", elements}, {"IntxUnpackedToInt8Tensor", elements},
    {"Int4Tensor", int4},     {"NVFP4Tensor", nvfp4},     {"MXTensor", mx},
};

/* Data that are of the weight, or of activations alone; anything else changes what it stands for. */
static const char *const data_names[] = {
    "qdata",         "scale",           "zero_point",           "per_tensor_scale",
    "act_pre_scale", "act_quant_scale", "act_quant_zero_point", "act_per_tensor_scale"};

static bool recognise(const struct subclass *of, struct name type)
{
    const struct tensor *smoothing = data_of(of, "act_pre_scale");
    char printable[NAME_PRINTABLE_BYTES];

    for (size_t i = 0; i < sizeof(subclasses) / sizeof(subclasses[0]); i++)
        if (name_equal(type, name_of(subclasses[i].name)))
            return subclasses[i].recognise(of) && (!smoothing || packed_set_column_factors(of->group, smoothing));
    return packed_unsure(of->group, "torchao's %s is not known", name_printable(type, printable));
}

static bool are_data_known(const struct config *config)
{
    struct name name;
    char path[64];

    for (unsigned i = 0;; i++) {
        bool is_known = false;

        snprintf(path, sizeof(path), "_tensor_data_names.%u", i);
        if (!config_text(config, path, &name))
            return i > 0;
        for (size_t d = 0; d < sizeof(data_names) / sizeof(data_names[0]); d++)
            is_known = is_known || name_equal(name, name_of(data_names[d]));
        if (!is_known)
            return false;
    }
}

bool packed_torchao(struct packed_group *group)
{
    struct name stem = group->stem, type = {0}, value;
    struct subclass of = {.group = group, .stem = stem};
    char printable[NAME_PRINTABLE_BYTES];
    struct config *config = NULL;
    uint32_t at = stem.bytes;
    bool is_certain = false;
    int rc;

    while (at > 0 && stem.text[at - 1] != '.')
        at--;
    if (at == stem.bytes || stem.text[at] != '_' || !packed_call(group, (struct name){stem.text, at}, ""))
        return false;
    if (group->name_bytes + (stem.bytes - at - 1) > sizeof(group->name))
        return packed_unsure(group, "its name is too long");
    memcpy(group->name + group->name_bytes, stem.text + at + 1, stem.bytes - at - 1);
    group->name_bytes += stem.bytes - at - 1;
    group->stem = (struct name){group->name, (uint32_t)group->name_bytes};
    if (!packed_metadata(group, "", &value))
        return packed_unsure(group, "the metadata does not say what it is");
    rc = config_parse(value.text, value.bytes, &config, NULL);
    if (rc == ERROR_NO_MEMORY)
        group->rc = error_set(group->finder->err, rc, "out of memory for its packed tensors");
    if (rc)
        return packed_unsure(group, "what the metadata says of it is no JSON");
    of.config = config;
    config_text(config, "_type", &type);
    if (are_data_known(config))
        is_certain = recognise(&of, type);
    else
        packed_unsure(group, "torchao's %s has other data than are known", name_printable(type, printable));
    config_free(config);
    return is_certain;
}

/* The class of the object whose attributes lie below stem, without its module. */
static bool class_below(struct packed_group *group, struct name stem, struct name *ret)
{
    const struct name kept = group->stem;
    struct name type;
    bool is_there;

    group->stem = stem;
    is_there = packed_metadata(group, "._type", &type);
    group->stem = kept;
    *ret = (struct name){0};
    for (uint32_t i = is_there ? type.bytes : 0; i > 0 && type.text[i - 1] != '.'; i--)
        *ret = (struct name){type.text + i - 1, type.bytes - i + 1};
    return is_there;
}

bool packed_torchao_torch(struct packed_group *group)
{
    const struct subclass of = {.group = group, .stem = group->stem};
    struct name class;

    if (!packed_call(group, group->stem, "") || !class_below(group, group->stem, &class))
        return false;
    return recognise(&of, class);
}

/* What versions before 0.12 pickle: X.tensor_impl.int_data or .float8_data, within X.original_weight_tensor where
 * activations are quantised too. */
bool packed_torchao_affine(struct packed_group *group)
{
    const struct subclass of = {.group = group, .stem = group->stem};
    struct name outer = group->stem, class, whole;
    char printable[NAME_PRINTABLE_BYTES];

    if (!class_below(group, of.stem, &class) || !packed_cut(&outer, ".tensor_impl"))
        return false;
    whole = outer;
    packed_cut(&whole, ".original_weight_tensor");
    group->stem = outer;
    if (!name_equal(class, name_of("PlainAQTTensorImpl")) && !name_equal(class, name_of("Float8AQTTensorImpl")))
        return packed_unsure(group, "torchao's %s is not known", name_printable(class, printable));
    return elements(&of) && packed_call(group, whole, "");
}
