/* What libraries save of their own quantised modules: bitsandbytes, optimum-quanto. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/model/packed_group.h"

/* Its shape by the state, whose product is the number of its elements. */
static bool read_shape(struct packed_group *group, const struct config *state, uint64_t *ret_elements)
{
    uint64_t elements = 1, dim;
    char path[32];

    for (uint32_t d = 0;; d++) {
        snprintf(path, sizeof(path), "shape.%" PRIu32, d);
        if (!config_u64(state, path, &dim))
            break;
        if (d == PACKED_RANK_MAX || dim == 0 || !checked_mul(elements, dim, &elements))
            return packed_unsure(group, "its state names a shape that it cannot have");
        group->dims[d] = dim;
        group->rank = d + 1;
    }
    *ret_elements = elements;
    return group->rank > 0 || packed_unsure(group, "its state names no shape");
}

static bool is_map(const struct tensor *map, uint64_t elements)
{
    return map && map->dtype == DTYPE_F32 && map->shape.elements == elements;
}

/* absmax F32, or U8 that nested_quant_map, nested_absmax and nested_offset turn into it. */
static bool set_absmax(struct packed_group *group, struct name weight, const struct config *state)
{
    const struct tensor *absmax = packed_partner(group, weight, ".absmax");
    const struct tensor *map = packed_partner(group, weight, ".nested_quant_map");
    const struct tensor *scales = packed_partner(group, weight, ".nested_absmax");
    struct packed *packed = &group->packed;
    uint64_t block = 0;
    double offset = 0;

    if (!absmax || absmax->shape.elements != packed->rows || (absmax->dtype != DTYPE_F32 && absmax->dtype != DTYPE_U8))
        return packed_unsure(group, "absmax is not one F32 or U8 for each of %" PRIu64 " blocks", packed->rows);
    packed->scales = (struct packed_matrix){.dtype = absmax->dtype, .row_step = 1, .column_step = 1};
    packed->groups = 1;
    if (!packed_take(group, absmax, &packed->scales.part))
        return false;
    if (absmax->dtype == DTYPE_F32)
        return true;
    if (!config_u64(state, "nested_blocksize", &block) || block == 0 || block > UINT32_MAX ||
        !config_number(state, "nested_offset", &offset) || !is_map(map, 256) ||
        !is_map(scales, (packed->rows - 1) / block + 1))
        return packed_unsure(group, "absmax is U8, and what is nested in it is not whole");
    packed->nested_block = (uint32_t)block;
    packed->nested_offset = (float)offset;
    return packed_take(group, map, &packed->nested_map) && packed_take(group, scales, &packed->nested_scales);
}

/* X any type of ⌈n / 2⌉ bytes, the first of two codes in the high half; X.quant_map F32 [16], X.absmax, and a state in
 * JSON that names blocksize and shape. Blocks are of the elements in order. */
static bool fill_bitsandbytes_4(struct packed_group *group, struct name weight, const struct config *state)
{
    const struct tensor *codes = packed_partner(group, weight, ""), *map = packed_partner(group, weight, ".quant_map");
    struct packed *packed = &group->packed;
    struct name type = {0};
    uint64_t block, elements = 0, size = 1;
    uint8_t part;

    if (!config_u64(state, "blocksize", &block) || block < 2 || block % 2 || block > UINT32_MAX ||
        !config_text(state, "quant_type", &type) || type.bytes != 3)
        return packed_unsure(group, "its state names no type or no size of blocks");
    if (!read_shape(group, state, &elements))
        return false;
    if (codes && dtype_traits(codes->dtype)->bits >= 8)
        size = dtype_traits(codes->dtype)->bits / 8; /* storage is filled up to a whole element of its type */
    if (!codes || codes->extent.bytes != (elements / 2 + elements % 2 + size - 1) / size * size)
        return packed_unsure(group, "its state names %" PRIu64 " elements, its codes have %" PRIu64 " bytes", elements,
                             codes ? codes->extent.bytes : 0);
    if (!is_map(map, 16))
        return packed_unsure(group, "quant_map is not 16 F32");
    packed->rows = (elements - 1) / block + 1;
    packed->columns = packed->column_block = block;
    packed->codes = PACKED_HIGH_FIRST;
    packed->bits = 4;
    packed->row_bytes = block / 2;
    packed->meaning = PACKED_MAP;
    snprintf(group->scheme, sizeof(group->scheme), "bitsandbytes %.3s b%" PRIu64, type.text, block);
    return packed_take(group, codes, &part) && packed_take(group, map, &packed->map) &&
           set_absmax(group, weight, state) && packed_take(group, group->anchor, &part) &&
           packed_call(group, weight, "");
}

bool packed_bitsandbytes_4(struct packed_group *group)
{
    struct config *state = packed_read_json(group, group->anchor);
    const bool is_certain = state && fill_bitsandbytes_4(group, group->stem, state);

    config_free(state);
    return is_certain;
}

/* weight I8 [out, in], SCB F32 [out]: code · SCB · (1 / 127). weight_format 0: by rows. */
bool packed_bitsandbytes_8(struct packed_group *group)
{
    static const uint64_t no_block[2];
    const struct tensor *codes = packed_partner(group, group->stem, "weight");
    const struct tensor *form = packed_partner(group, group->stem, "weight_format");
    struct packed *packed = &group->packed;
    uint64_t rows, columns;
    uint8_t part, value = 0;

    if (!codes || codes->dtype != DTYPE_I8)
        return false;
    if (!packed_is_matrix(codes, &rows, &columns) || group->anchor->dtype != DTYPE_F32 ||
        group->anchor->shape.elements != rows || group->anchor->shape.rank != 1)
        return packed_unsure(group, "SCB is not one F32 for each row of weight");
    if (!form && group->finder->method != METHOD_BITSANDBYTES)
        return packed_unsure(group, "there is neither a weight_format nor a config that names bitsandbytes");
    if (form && (form->dtype != DTYPE_U8 || form->shape.elements != 1))
        return packed_unsure(group, "weight_format is not one U8");
    packed->factor = (float)(1.0 / 127);
    if (!packed_set_elements(group, codes) || !packed_set_scales(group, group->anchor, DTYPE_F32, no_block, false) ||
        (form && (!packed_take(group, form, &part) || !packed_read(group, form, &value, 1))))
        return false;
    if (value != 0)
        return packed_unsure(group, "weight_format is %u, not that of rows", value);
    snprintf(group->scheme, sizeof(group->scheme), "bitsandbytes int8");
    return packed_call(group, group->stem, "weight");
}

/* Which side of a transformer's linear layer of that name is the config's hidden_size; the file tells no shape. */
static const struct {
    const char *end;
    bool is_out;
} linears[] = {
    {".q_proj.weight", false},    {".k_proj.weight", false},  {".v_proj.weight", false},   {".o_proj.weight", true},
    {".gate_proj.weight", false}, {".up_proj.weight", false}, {".down_proj.weight", true},
};

/* The bias beside a weight has one number for each output. */
static uint64_t outputs_by_bias(const struct packed_group *group, struct name weight)
{
    const struct tensor *bias = packed_cut(&weight, ".weight") ? packed_partner(group, weight, ".bias") : NULL;

    return bias && bias->shape.rank == 1 ? bias->shape.elements : 0;
}

/* Groups of `size` do not reach from one row into the next. */
static bool set_configured_shape(struct packed_group *group, struct name weight, uint64_t elements, uint64_t size)
{
    const uint64_t outputs = outputs_by_bias(group, weight);
    uint64_t hidden = 0;

    if (outputs && elements % outputs == 0 && elements / outputs % size == 0) {
        group->dims[0] = outputs;
        group->dims[1] = elements / outputs;
        group->rank = 2;
        return true;
    }
    config_u64(group->finder->config, "hidden_size", &hidden);
    for (size_t i = 0; i < sizeof(linears) / sizeof(linears[0]); i++) {
        struct name module = weight;

        if (!packed_cut(&module, linears[i].end))
            continue;
        if (hidden == 0 || elements % hidden != 0 || (linears[i].is_out ? elements / hidden : hidden) % size != 0)
            break;
        group->dims[0] = linears[i].is_out ? hidden : elements / hidden;
        group->dims[1] = linears[i].is_out ? elements / hidden : hidden;
        group->rank = 2;
        return true;
    }
    return packed_unsure(group,
                         "its shape is not in the file, and its name and the config's hidden_size do not tell it");
}

/* The type of a weight: that of all, or by quanto's own map of modules, whose names hold dots. */
static bool read_type(const struct packed_group *group, struct name *ret)
{
    struct name module = group->stem;
    char member[PACKED_NAME_BYTES + 32];

    if (packed_setting_text(group->finder, "weights", ret))
        return true;
    if (!packed_cut(&module, ".weight"))
        return false;
    snprintf(member, sizeof(member), "\"%.*s\".weights", (int)module.bytes, module.text);
    return config_text(group->finder->quantisation, member, ret);
}

/* Scales of a convolution are [out, 1, …], of as many dimensions as its codes. */
static bool is_convolution(const struct tensor *codes, const struct tensor *scales)
{
    const uint32_t rank = codes->shape.rank;

    if (rank < 3 || rank > PACKED_RANK_MAX || scales->shape.rank != rank || codes->shape.elements == 0)
        return false;
    for (uint32_t d = 1; d < rank; d++)
        if (scales->shape.dims[d] != 1)
            return false;
    return scales->shape.dims[0] > 0;
}

/* A row of what is left of the codes' shape for each output, as its scale's shape has them. */
static void set_convolution(struct packed_group *group, const struct tensor *codes)
{
    struct packed *packed = &group->packed;

    group->rank = codes->shape.rank;
    memcpy(group->dims, codes->shape.dims, group->rank * sizeof(*group->dims));
    group->dims[0] = packed->rows = group->anchor->shape.dims[0];
    packed->columns = packed->column_block = codes->shape.elements / codes->shape.dims[0];
    packed->groups = 1;
    packed->scales = (struct packed_matrix){.dtype = group->anchor->dtype, .row_step = 1, .column_step = 1};
}

static bool quanto_convolution(struct packed_group *group, const struct tensor *codes)
{
    struct packed *packed = &group->packed;

    if (codes->shape.dims[0] != group->anchor->shape.dims[0])
        return packed_unsure(group, "_scale is not one number for each output of _data");
    set_convolution(group, codes);
    packed->codes = PACKED_ALONG;
    packed->bits = 8;
    packed->row_bytes = packed->columns;
    packed->meaning = PACKED_ELEMENTS;
    packed->values = codes->dtype;
    return packed_take(group, codes, &packed->part) && packed_take(group, group->anchor, &packed->scales.part);
}

/* X._data._data U8 [⌈groups · bits / 8⌉, size], group r's codes in the lowest bits left free; X._scale and X._shift
 * [groups, 1]: code · scale − shift. Groups are of the elements in order; of a convolution one is an output. */
static bool quanto_groups(struct packed_group *group, const struct tensor *codes, const struct tensor *shift)
{
    const struct tensor *scales = group->anchor;
    const bool is_conv = is_convolution(codes, scales);
    struct packed *packed = &group->packed;
    uint64_t rows, size, groups, one, elements;
    struct name type = {0};
    unsigned bits = 0;
    uint8_t part;

    if (is_conv) {
        set_convolution(group, codes);
        rows = codes->shape.dims[0];
        groups = packed->rows;
        size = packed->columns;
    } else if (!packed_is_matrix(codes, &rows, &size) || !packed_is_matrix(scales, &groups, &one) || one != 1)
        return packed_unsure(group, "_data and _scale do not fit groups of codes");
    if (codes->dtype != DTYPE_U8 || !shift || !packed_is_real(shift) || !packed_is_real(scales) ||
        !shape_equal(&scales->shape, &shift->shape))
        return packed_unsure(group, "_data, _scale and _shift do not fit groups of codes");
    if (read_type(group, &type))
        bits = name_equal(type, name_of("qint4")) || name_equal(type, name_of("int4"))   ? 4
               : name_equal(type, name_of("qint2")) || name_equal(type, name_of("int2")) ? 2
                                                                                         : 0;
    if (bits == 0 || rows != (groups - 1) / (8 / bits) + 1 || !checked_mul(groups, size, &elements))
        return packed_unsure(group, "its codes are not those of %" PRIu64 " groups in qint4 or qint2", groups);
    packed->rows = groups;
    packed->columns = packed->column_block = size;
    packed->codes = PACKED_SECTIONS;
    packed->bits = (uint8_t)bits;
    packed->unit_bytes = 1;
    packed->section = rows * size;
    packed->shift_step = (int8_t)bits;
    packed->groups = 1;
    packed->scales = (struct packed_matrix){.dtype = scales->dtype, .row_step = 1, .column_step = 1};
    packed->zeros = PACKED_ZEROS;
    packed->zero = (struct packed_matrix){.dtype = shift->dtype, .row_step = 1, .column_step = 1};
    packed->is_shift = true;
    packed->zero_sign = -1;
    snprintf(group->scheme, sizeof(group->scheme), "quanto qint%u g%" PRIu64, bits, size);
    return (is_conv || set_configured_shape(group, group->stem, elements, size)) && packed_take(group, codes, &part) &&
           packed_take(group, scales, &packed->scales.part) && packed_take(group, shift, &packed->zero.part) &&
           packed_call(group, group->stem, "");
}

bool packed_quanto(struct packed_group *group)
{
    static const uint64_t no_block[2];
    const struct tensor *codes = packed_partner(group, group->stem, "._data._data"), *plain;
    uint64_t rows, columns;

    plain = packed_partner(group, group->stem, "._data");
    if (!codes && !plain)
        return false;
    if (group->finder->method != METHOD_QUANTO)
        return packed_unsure(group, "quantization_config does not name quanto");
    if (codes)
        return quanto_groups(group, codes, packed_partner(group, group->stem, "._shift"));
    if ((plain->dtype != DTYPE_I8 && dtype_traits(plain->dtype)->kind != DTYPE_KIND_FLOAT) ||
        dtype_traits(plain->dtype)->bits != 8 || !packed_is_real(group->anchor))
        return packed_unsure(group, "_data is of no type that quanto has");
    snprintf(group->scheme, sizeof(group->scheme), "quanto %s",
             plain->dtype == DTYPE_I8 ? "qint8" : dtype_traits(plain->dtype)->name);
    if (!packed_call(group, group->stem, ""))
        return false;
    if (is_convolution(plain, group->anchor))
        return quanto_convolution(group, plain);
    return packed_is_matrix(plain, &rows, &columns)
               ? packed_set_elements(group, plain) &&
                     packed_set_scales(group, group->anchor, group->anchor->dtype, no_block, false)
               : packed_unsure(group, "_data is neither a matrix nor of a convolution");
}
