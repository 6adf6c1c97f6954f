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
    else
        snprintf(group->scheme, sizeof(group->scheme), "%s %" PRIu64 "x%" PRIu64, what, packed->row_block,
                 packed->column_block);
}

/* ModelOpt's NVFP4: weight U8 [out, in / 2], weight_scale F8_E4M3 [out, in / 16], times weight_scale_2. */
static bool modelopt_nvfp4(struct packed_group *group, const struct tensor *codes, const struct tensor *second)
{
    static const uint64_t no_block[2];
    struct packed *packed = &group->packed;
    uint64_t rows, bytes, scale_rows, groups;
    uint8_t part;

    if (!packed_is_matrix(codes, &rows, &bytes) || !packed_is_matrix(group->anchor, &scale_rows, &groups) ||
        scale_rows != rows || groups * 16 != bytes * 2 || group->anchor->dtype != DTYPE_F8_E4M3)
        return packed_unsure(group, "weight and weight_scale do not fit ModelOpt's NVFP4");
    packed_set_shape(group, rows, bytes * 2);
    packed->codes = PACKED_ALONG;
    packed->bits = 4;
    packed->row_bytes = bytes;
    packed->meaning = PACKED_F4;
    snprintf(group->scheme, sizeof(group->scheme), "ModelOpt nvfp4");
    return packed_take(group, codes, &part) && packed_set_scales(group, group->anchor, DTYPE_F8_E4M3, no_block) &&
           packed_take(group, second, &part) && packed_read_float(group, second, &packed->scale_factor);
}

/* Zero points of the scales' shape. */
static bool set_zeros(struct packed_group *group, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;

    if (zeros->dtype != DTYPE_I8 || zeros->shape.elements != group->anchor->shape.elements)
        return packed_unsure(group, "weight_zero_point is not one I8 for each scale");
    packed->zeros = PACKED_ZEROS;
    packed->zero = packed->scales;
    packed->zero.dtype = zeros->dtype;
    return packed_take(group, zeros, &packed->zero.part);
}

bool packed_scaled(struct packed_group *group)
{
    const struct tensor *codes = packed_partner(group, group->stem, "weight");
    const struct tensor *second = packed_partner(group, group->stem, "weight_scale_2");
    const struct tensor *zeros = packed_partner(group, group->stem, "weight_zero_point");
    const struct packed_finder *finder = group->finder;
    uint64_t rows, columns;
    char what[32];

    if (!codes || !(is_f8(codes->dtype) || codes->dtype == DTYPE_I8 || codes->dtype == DTYPE_U8))
        return false;
    if (!packed_call(group, group->stem, "weight"))
        return false;
    if (codes->dtype == DTYPE_U8)
        return second ? modelopt_nvfp4(group, codes, second)
                      : packed_unsure(group, "weight is U8 and there is no weight_scale_2");
    if (finder->method != METHOD_COMPRESSED_TENSORS &&
        (codes->dtype == DTYPE_I8 ||
         (finder->method != METHOD_FBGEMM_FP8 && finder->method != METHOD_MODELOPT && finder->method != METHOD_FP8)))
        return packed_unsure(group, "quantization_config names no method that scales %s so",
                             dtype_traits(codes->dtype)->name);
    if (!packed_is_matrix(codes, &rows, &columns) || !packed_is_real(group->anchor))
        return packed_unsure(group, "weight is no matrix, or weight_scale of a type that scales do not have");
    if (!packed_set_elements(group, codes, rows, columns) ||
        !packed_set_scales(group, group->anchor, group->anchor->dtype, finder->block) ||
        (zeros && !set_zeros(group, zeros)))
        return false;
    snprintf(what, sizeof(what), "scaled %s", dtype_traits(codes->dtype)->name);
    packed_name_blocks(group, what);
    return true;
}

/* A block's size from the grid of scales alone, which must divide the matrix. */
static bool set_block_of_grid(const struct packed_group *group, const struct tensor *scales, uint64_t block[2])
{
    uint64_t rows, columns;

    if (!packed_is_matrix(scales, &rows, &columns) || group->packed.rows % rows != 0 ||
        group->packed.columns % columns != 0)
        return false;
    block[0] = group->packed.rows / rows;
    block[1] = group->packed.columns / columns;
    return true;
}

/* DeepSeek's FP8 by blocks, and what followed it: X F8_E4M3 [out, in], X_scale_inv [⌈out / rows⌉, ⌈in / columns⌉],
 * which multiplies in spite of its name. Scales are floats, or powers of two (F8_E8M0, or U8). An I8 is two FP4, low
 * half first, whose blocks are told by the grid alone. */
bool packed_scaled_inverse(struct packed_group *group)
{
    const struct tensor *codes = packed_partner(group, group->stem, ""), *scales = group->anchor;
    const enum dtype as_dtype = scales->dtype == DTYPE_U8 ? DTYPE_F8_E8M0 : scales->dtype;
    struct packed *packed = &group->packed;
    uint64_t rows, columns, block[2] = {group->finder->block[0], group->finder->block[1]};
    bool is_fp4;

    if (!codes || !(is_f8(codes->dtype) || codes->dtype == DTYPE_I8))
        return false;
    is_fp4 = codes->dtype == DTYPE_I8;
    if (group->finder->method != METHOD_FP8)
        return packed_unsure(group, "quantization_config does not name fp8");
    if (!packed_is_matrix(codes, &rows, &columns) || scales->shape.elements == 0)
        return packed_unsure(group, "the weight is no matrix");
    if (!packed_is_real(scales) && as_dtype != DTYPE_F8_E8M0)
        return packed_unsure(group, "scales are of the type %s", dtype_traits(scales->dtype)->name);
    if (is_fp4 && as_dtype != DTYPE_F8_E8M0)
        return packed_unsure(group, "an I8 beside scales of %s", dtype_traits(scales->dtype)->name);
    if (!packed_call(group, group->stem, "") || !packed_set_elements(group, codes, rows, columns))
        return false;
    if (is_fp4) {
        packed_set_shape(group, rows, columns * 2);
        packed->bits = 4;
        packed->meaning = PACKED_F4;
        if (!set_block_of_grid(group, scales, block))
            return packed_unsure(group, "the grid of scales does not divide the weight");
    } else if (block[0] == 0 || (scales->shape.rank == 2 && (scales->shape.dims[0] != (rows - 1) / block[0] + 1 ||
                                                             scales->shape.dims[1] != (columns - 1) / block[1] + 1))) {
        set_block_of_grid(group, scales, block);
    }
    if (!packed_set_scales(group, scales, as_dtype, block))
        return false;
    packed_name_blocks(group, is_fp4 ? "block FP4" : codes->dtype == DTYPE_F8_E4M3 ? "block F8_E4M3" : "block F8");
    return true;
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
    packed->meaning = PACKED_F4;
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
