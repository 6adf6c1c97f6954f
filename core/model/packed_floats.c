/* Codes that are elements of a type, beside scales: FP8 and INT8 by the tensor, the channel, the block; FP4 two a byte.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/model/packed_group.h"

static bool is_f8(enum dtype dtype)
{
    return dtype == DTYPE_F8_E4M3 || dtype == DTYPE_F8_E5M2 || dtype == DTYPE_F8_E4M3FNUZ || dtype == DTYPE_F8_E5M2FNUZ;
}

void packed_name_blocks(struct packed_group *group, const char *what)
{
    const struct packed *packed = &group->packed;

    if (packed->groups == 1 && packed->row_block == packed->rows)
        snprintf(group->scheme, sizeof(group->scheme), "%s per tensor", what);
    else if (packed->groups == 1 && packed->row_block == 1)
        snprintf(group->scheme, sizeof(group->scheme), "%s per channel", what);
    else if (packed->groups == 1 && group->rank == 3 && packed->row_block == group->dims[1])
        snprintf(group->scheme, sizeof(group->scheme), "%s per expert", what);
    else
        snprintf(group->scheme, sizeof(group->scheme), "%s %" PRIu64 "x%" PRIu64, what, packed->row_block,
                 packed->column_block);
}

/* The number that scales of FP4 are times or divided by: one, or one for each matrix of a stack. */
bool packed_set_second(struct packed_group *group, const struct tensor *second, float *ret_one)
{
    struct packed *packed = &group->packed;

    if (second->shape.elements == 1) {
        uint8_t part;

        return packed_take(group, second, &part) && packed_read_float(group, second, ret_one);
    }
    if (group->rank != 3 || second->dtype != DTYPE_F32 || second->shape.elements != group->dims[0])
        return packed_unsure(group, "its second scale is not one F32 for each matrix");
    packed->factor_rows = group->dims[1];
    return packed_take(group, second, &packed->factors);
}

bool packed_set_fp4(struct packed_group *group, const struct tensor *codes, const uint64_t dims[3])
{
    uint8_t part;

    packed_set_stack(group, codes->shape.rank, (const uint64_t[3]){dims[0], dims[1], dims[2] * 2});
    group->packed.codes = PACKED_ALONG;
    group->packed.bits = 4;
    group->packed.row_bytes = dims[2];
    group->packed.meaning = PACKED_SMALL;
    group->packed.values = DTYPE_F4;
    return packed_take(group, codes, &part);
}

/* Two FP4 a byte, low half first, a scale F8_E4M3 for 16 columns, or for 32 where activations are FP8. */
bool packed_set_nvfp4(struct packed_group *group, const struct tensor *codes, const struct tensor *scales)
{
    uint64_t dims[3], scale_dims[3], block[2] = {1, 16};

    if (!packed_is_stack(codes, dims) || codes->dtype != DTYPE_U8 || scales->dtype != DTYPE_F8_E4M3 ||
        !packed_is_stack(scales, scale_dims) || scale_dims[0] != dims[0] || dims[2] > UINT32_MAX)
        return packed_unsure(group, "its codes and scales do not fit NVFP4");
    if (scale_dims[2] * 32 == dims[2] * 2)
        block[1] = 32;
    else if (scale_dims[2] * 16 != dims[2] * 2)
        return packed_unsure(group, "its codes and scales do not fit NVFP4");
    return packed_set_fp4(group, codes, dims) && packed_set_scales(group, scales, DTYPE_F8_E4M3, block, false);
}

/* ModelOpt's NVFP4: weight U8 [out, in / 2], weight_scale F8_E4M3 [out, in / 16], times weight_scale_2. */
static bool modelopt_nvfp4(struct packed_group *group, const struct tensor *codes, const struct tensor *second)
{
    if (!packed_set_nvfp4(group, codes, group->anchor))
        return false;
    snprintf(group->scheme, sizeof(group->scheme), "ModelOpt nvfp4");
    return packed_set_second(group, second, &group->packed.scale_factor);
}

/* MXFP4 of ModelOpt and Quark: two codes a byte, a power of two for 32 columns. */
static bool mxfp4(struct packed_group *group, const struct tensor *codes, const char *library)
{
    uint64_t dims[3], scale_dims[3];

    if (!packed_is_stack(codes, dims) || !packed_is_stack(group->anchor, scale_dims) || scale_dims[0] != dims[0] ||
        dims[2] > UINT32_MAX || scale_dims[2] * 16 != dims[2])
        return packed_unsure(group, "weight and weight_scale do not fit MXFP4");
    snprintf(group->scheme, sizeof(group->scheme), "%s mxfp4", library);
    return packed_set_fp4(group, codes, dims) &&
           packed_set_scales(group, group->anchor, DTYPE_F8_E8M0, (const uint64_t[2]){1, 32}, false);
}

/* ModelOpt's int4: U8 [out / 2, in], of two rows a byte, the first in the low half, two's complement; scales [out,
 * in / group]. A second scale is that of the FP8 which it is multiplied in. */
static bool modelopt_int4(struct packed_group *group, const struct tensor *codes, const struct tensor *second)
{
    static const uint64_t no_block[2];
    struct packed *packed = &group->packed;
    uint64_t dims[3], scale_dims[3];
    uint8_t part;

    if (!packed_is_stack(codes, dims) || !packed_is_stack(group->anchor, scale_dims) || scale_dims[0] != dims[0] ||
        scale_dims[1] / 2 != dims[1] || scale_dims[1] % 2 != 0 || !packed_is_real(group->anchor))
        return packed_unsure(group, "weight is U8, and fits neither NVFP4 nor two int4 of its scale's rows");
    packed_set_stack(group, codes->shape.rank, (const uint64_t[3]){dims[0], scale_dims[1], dims[2]});
    packed->codes = PACKED_PAIRS;
    packed->bits = 4;
    packed->row_bytes = dims[2];
    packed->meaning = PACKED_SIGNED;
    if (!packed_take(group, codes, &part) ||
        !packed_set_scales(group, group->anchor, group->anchor->dtype, no_block, false) ||
        (second && !packed_take(group, second, &part)))
        return false;
    snprintf(group->scheme, sizeof(group->scheme), "ModelOpt int4 g%" PRIu64, packed->column_block);
    return true;
}

/* Quark's int4 and uint4 by groups: as AutoAWQ packs them, with its own names, and of int4 in two's complement, zero
 * points too. */
static bool quark_int4(struct packed_group *group, const struct tensor *codes, const struct tensor *zeros)
{
    const struct packed_finder *finder = group->finder;
    const bool is_signed = packed_setting_is(finder, "global_quant_config.weight.dtype", "int4");
    struct packed *packed = &group->packed;
    uint64_t in, words, groups, out, zero_groups, zero_words;
    struct name exception;
    uint8_t part;

    if ((!is_signed && !packed_setting_is(finder, "global_quant_config.weight.dtype", "uint4")) ||
        !packed_setting_is(finder, "export.pack_method", "reorder") ||
        packed_setting_key(finder, "layer_quant_config", &exception) ||
        packed_setting_key(finder, "layer_type_quant_config", &exception))
        return packed_unsure(group, "the config does not tell that all its codes are int4 or uint4, reordered");
    if (!packed_is_matrix(codes, &in, &words) || !packed_is_matrix(group->anchor, &groups, &out) || !zeros ||
        zeros->dtype != DTYPE_I32 || !packed_is_matrix(zeros, &zero_groups, &zero_words) ||
        !packed_is_real(group->anchor) || out / 8 != words || out % 8 != 0 || zero_groups != groups ||
        zero_words != words || in % groups != 0)
        return packed_unsure(group, "weight, weight_scale and weight_zero_point do not fit groups of int4");
    packed_set_shape(group, out, in);
    packed->codes = PACKED_AWQ;
    packed->bits = 4;
    packed->meaning = is_signed ? PACKED_SIGNED : PACKED_UNSIGNED;
    packed->words = words;
    packed->groups = groups;
    packed->column_block = in / groups;
    packed->zeros = PACKED_ZEROS_AWQ;
    if (!packed_take(group, codes, &part) || !packed_take(group, group->anchor, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, group->anchor->dtype, 1, out};
    packed->zero = (struct packed_matrix){packed->zero.part, DTYPE_U32, 1, words};
    snprintf(group->scheme, sizeof(group->scheme), "Quark %sint4 g%" PRIu64, is_signed ? "" : "u",
             packed->column_block);
    return true;
}

/* BitNet: U8 [out / 4, in], row r in two bits of row r % (out / 4), one less than what is stored; one scale, which
 * BitLinear divides by and AutoBitLinear multiplies by. */
static bool bitnet(struct packed_group *group, const struct tensor *codes)
{
    struct packed *packed = &group->packed;
    const bool is_factor = packed_setting_is(group->finder, "linear_class", "autobitlinear");
    uint64_t rows, columns;
    uint8_t part;

    if (!packed_is_matrix(codes, &rows, &columns) || rows > UINT64_MAX / 4 || !packed_is_real(group->anchor) ||
        group->anchor->shape.elements != 1)
        return packed_unsure(group, "weight and weight_scale do not fit BitNet's");
    packed_set_shape(group, rows * 4, columns);
    packed->codes = PACKED_SECTIONS;
    packed->bits = 2;
    packed->unit_bytes = 1;
    packed->section = rows * columns;
    packed->shift_step = 2;
    packed->meaning = PACKED_UNSIGNED;
    packed->offset = 1;
    packed->row_block = packed->rows;
    packed->column_block = columns;
    packed->groups = 1;
    packed->scales = (struct packed_matrix){.dtype = group->anchor->dtype};
    packed->is_divided = !is_factor;
    snprintf(group->scheme, sizeof(group->scheme), "BitNet ternary");
    return packed_take(group, codes, &part) && packed_take(group, group->anchor, &packed->scales.part);
}

/* Gemma's own: U8 [out, in · bits / 8] of 4 or 2 bits, the first lowest, less the half of their range; a scale a row.
 */
static bool gemma(struct packed_group *group, const struct tensor *codes)
{
    static const uint64_t no_block[2];
    struct packed *packed = &group->packed;
    uint64_t rows, bytes, bits = 4;
    struct name exception;
    uint8_t part;

    packed_setting_u64(group->finder, "num_bits", &bits);
    if (packed_setting_key(group->finder, "module_quant_configs", &exception) || (bits != 4 && bits != 2) ||
        !packed_is_matrix(codes, &rows, &bytes) || bytes > UINT64_MAX / 4 || !packed_is_real(group->anchor))
        return packed_unsure(group, "the config does not tell of how many bits its codes are");
    packed_set_shape(group, rows, bytes * (8 / bits));
    packed->codes = PACKED_ALONG;
    packed->bits = (uint8_t)bits;
    packed->row_bytes = bytes;
    packed->offset = (float)(1u << (bits - 1));
    snprintf(group->scheme, sizeof(group->scheme), "Gemma int%" PRIu64, bits);
    return packed_take(group, codes, &part) &&
           packed_set_scales(group, group->anchor, group->anchor->dtype, no_block, false);
}

/* What is 8 bits a code, by the method that the config names: whether X_scale is what multiplies it. */
static bool is_scaled_by(enum packed_method method, enum dtype dtype)
{
    switch (method) {
    case METHOD_COMPRESSED_TENSORS:
    case METHOD_MODELOPT:
    case METHOD_GEMMA:
    case METHOD_QUARK:
        return true;
    case METHOD_FBGEMM_FP8:
    case METHOD_FP8:
    case METHOD_AUTO_ROUND:
        return dtype != DTYPE_I8;
    default:
        return false;
    }
}

/* Zero points of the scales' shape. */
static bool set_zeros(struct packed_group *group, const struct tensor *codes, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;

    if ((zeros->dtype != DTYPE_I8 && zeros->dtype != codes->dtype && !packed_is_real(zeros)) ||
        zeros->shape.elements != group->anchor->shape.elements)
        return packed_unsure(group, "weight_zero_point is not one I8 for each scale");
    packed->zeros = PACKED_ZEROS;
    packed->zero = packed->scales;
    packed->zero.dtype = zeros->dtype;
    return packed_take(group, zeros, &packed->zero.part);
}

static bool fill_scaled(struct packed_group *group)
{
    const struct tensor *codes = packed_partner(group, group->stem, ""), *scales = group->anchor;
    const struct tensor *second = packed_partner(group, group->stem, "_scale_2");
    const struct tensor *zeros = packed_partner(group, group->stem, "_zero_point");
    const struct packed_finder *finder = group->finder;
    const bool is_power = scales->dtype == DTYPE_U8 || scales->dtype == DTYPE_F8_E8M0;
    uint64_t dims[3];
    char what[32];

    if (!codes || !packed_call(group, group->stem, ""))
        return false;
    if (codes->dtype == DTYPE_I32 && finder->method == METHOD_QUARK)
        return quark_int4(group, codes, zeros);
    if (!is_f8(codes->dtype) && codes->dtype != DTYPE_I8 && codes->dtype != DTYPE_U8)
        return false;
    if (codes->dtype == DTYPE_U8) {
        if (second && scales->dtype == DTYPE_F8_E4M3)
            return modelopt_nvfp4(group, codes, second);
        if (finder->method == METHOD_MODELOPT)
            return is_power ? mxfp4(group, codes, "ModelOpt") : modelopt_int4(group, codes, second);
        if (finder->method == METHOD_QUARK && is_power)
            return mxfp4(group, codes, "Quark");
        if (finder->method == METHOD_BITNET)
            return bitnet(group, codes);
        if (finder->method == METHOD_GEMMA)
            return gemma(group, codes);
        return packed_unsure(group, "weight is U8 and there is no weight_scale_2");
    }
    if (!is_scaled_by(finder->method, codes->dtype))
        return packed_unsure(group, "quantization_config names no method that scales %s so",
                             dtype_traits(codes->dtype)->name);
    if (!packed_is_stack(codes, dims) || !(packed_is_real(scales) || is_power))
        return packed_unsure(group, "weight is no matrix, or weight_scale of a type that scales do not have");
    if (!packed_set_elements(group, codes) ||
        !packed_set_scales(group, scales, is_power ? DTYPE_F8_E8M0 : scales->dtype,
                           is_power ? (const uint64_t[2]){1, 32} : finder->block, finder->method == METHOD_MODELOPT) ||
        (zeros && !set_zeros(group, codes, zeros)))
        return false;
    if (is_power && group->packed.column_block != 32)
        return packed_unsure(group, "scales that are powers of two are not of 32 columns");
    snprintf(what, sizeof(what), "scaled %s", dtype_traits(codes->dtype)->name);
    packed_name_blocks(group, what);
    return true;
}

/* X of 8 bits or two FP4, and X_scale: of a tensor, channels, groups of columns or blocks, of one matrix or a stack. A
 * module's weight that was smoothed has pre_quant_scale beside it (ModelOpt's AWQ and SmoothQuant). */
bool packed_scaled(struct packed_group *group)
{
    struct name module = group->stem;
    const struct tensor *smoothing = NULL;

    if (!fill_scaled(group))
        return false;
    if (packed_cut(&module, ".weight"))
        smoothing = packed_partner(group, module, ".pre_quant_scale");
    return !smoothing || packed_set_column_factors(group, smoothing);
}

/* DeepSeek's FP8 by blocks, and what followed it: X F8_E4M3 [out, in], X_scale_inv [⌈out / rows⌉, ⌈in / columns⌉],
 * which multiplies in spite of its name, but where the config says that it is an inverse (GPTQModel); of a stack of
 * matrices too. Scales are floats, or powers of two (F8_E8M0, or U8). An I8 is two FP4, low half first, whose blocks
 * are told by the grid alone. */
static bool scaled_by_blocks(struct packed_group *group, const struct tensor *codes)
{
    const struct tensor *scales = group->anchor;
    const enum dtype as_dtype = scales->dtype == DTYPE_U8 ? DTYPE_F8_E8M0 : scales->dtype;
    bool is_fp4;
    uint64_t dims[3];

    if (!codes || !(is_f8(codes->dtype) || codes->dtype == DTYPE_I8))
        return false;
    is_fp4 = codes->dtype == DTYPE_I8;
    if (group->finder->method != METHOD_FP8 && group->finder->method != METHOD_AUTO_ROUND)
        return packed_unsure(group, "quantization_config does not name fp8");
    if (!packed_is_stack(codes, dims) || scales->shape.elements == 0)
        return packed_unsure(group, "the weight is no matrix");
    if (!packed_is_real(scales) && as_dtype != DTYPE_F8_E8M0)
        return packed_unsure(group, "scales are of the type %s", dtype_traits(scales->dtype)->name);
    if (is_fp4 && as_dtype != DTYPE_F8_E8M0)
        return packed_unsure(group, "an I8 beside scales of %s", dtype_traits(scales->dtype)->name);
    if (!(is_fp4 ? packed_set_fp4(group, codes, dims) : packed_set_elements(group, codes)) ||
        !packed_set_scales(group, scales, as_dtype, is_fp4 ? (const uint64_t[2]){0, 0} : group->finder->block, true))
        return false;
    group->packed.is_divided = packed_setting_is(group->finder, "weight_scale_semantics", "inverse");
    packed_name_blocks(group, is_fp4 ? "block FP4" : codes->dtype == DTYPE_F8_E4M3 ? "block F8_E4M3" : "block F8");
    return true;
}

bool packed_scaled_inverse(struct packed_group *group)
{
    return packed_call(group, group->stem, "") && scaled_by_blocks(group, packed_partner(group, group->stem, ""));
}

/* The same as DeepSeek's and Mistral's own code names it: weight beside scale, or beside qscale_weight. */
bool packed_scaled_aside(struct packed_group *group)
{
    return packed_call(group, group->stem, "weight") &&
           scaled_by_blocks(group, packed_partner(group, group->stem, "weight"));
}

/* gpt-oss: X_blocks U8 [E, out, in / 32, 16], low half first, X_scales U8 [E, out, in / 32], powers of two; the weight
 * is turned over, [E, in, out]. */
bool packed_gptoss(struct packed_group *group)
{
    const struct tensor *codes = group->anchor, *scales = packed_partner(group, group->stem, "_scales");
    const uint64_t *dims = codes->shape.dims;
    struct packed *packed = &group->packed;
    uint8_t part;

    if (!scales || codes->dtype != DTYPE_U8 || scales->dtype != DTYPE_U8 || codes->shape.rank != 4 ||
        codes->shape.elements == 0)
        return false;
    if (scales->shape.rank != 3 || dims[3] != 16 || memcmp(dims, scales->shape.dims, 3 * sizeof(*dims)) != 0)
        return packed_unsure(group, "blocks and scales do not fit MXFP4");
    packed->rows = dims[0] * dims[1];
    packed->columns = dims[2] * 32;
    packed->plane_rows = dims[1];
    packed->codes = PACKED_ALONG;
    packed->bits = 4;
    packed->row_bytes = dims[2] * 16;
    packed->meaning = PACKED_SMALL;
    packed->values = DTYPE_F4;
    packed->groups = dims[2];
    packed->column_block = 32;
    packed->scales = (struct packed_matrix){.dtype = DTYPE_F8_E8M0, .row_step = dims[2], .column_step = 1};
    group->dims[0] = dims[0];
    group->dims[1] = packed->columns;
    group->dims[2] = dims[1];
    group->rank = 3;
    snprintf(group->scheme, sizeof(group->scheme), "MXFP4 blocks");
    return packed_take(group, codes, &part) && packed_take(group, scales, &packed->scales.part) &&
           packed_call(group, group->stem, "");
}
