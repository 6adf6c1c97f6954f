/* compressed-tensors' sparse-bitmask and sparse-24-bitmask: a mask, and the values that are not 0; of FP8 and int8 with
 * the scales that quantised weights have besides. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/model/packed_group.h"

static bool is_value(enum dtype dtype)
{
    return dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F32 || dtype == DTYPE_F8_E4M3 ||
           dtype == DTYPE_I8;
}

/* The values, and where each row's begin: with 2:4 of every row the half. */
static bool take_values(struct packed_group *group, const struct tensor *values)
{
    const struct tensor *offsets = packed_partner(group, group->stem, "row_offsets");
    struct bitmask *bitmask = &group->bitmask;
    uint64_t rows, columns;
    uint8_t part;

    if (!packed_take(group, group->anchor, &part) || !packed_take(group, values, &part))
        return false;
    bitmask->is_half = !offsets;
    if (offsets && (offsets->dtype != DTYPE_I64 || offsets->shape.elements != bitmask->rows || values->shape.rank != 1))
        return packed_unsure(group, "row_offsets are not one I64 for each of %" PRIu64 " rows", bitmask->rows);
    if (!offsets && (!packed_is_matrix(values, &rows, &columns) || rows != bitmask->rows || bitmask->columns % 4 != 0 ||
                     columns != bitmask->columns / 2))
        return packed_unsure(group, "compressed is not half of each of %" PRIu64 " rows", bitmask->rows);
    return !offsets || packed_take(group, offsets, &part);
}

/* Of quantised values one scale, or one a row; zero points are 0. */
static bool take_scales(struct packed_group *group, struct name module, const struct tensor *values)
{
    const struct tensor *scales = packed_partner(group, module, ".weight_scale");
    const bool is_quantised = values->dtype == DTYPE_F8_E4M3 || values->dtype == DTYPE_I8;
    uint8_t part;

    group->bitmask.has_scales = is_quantised;
    if (is_quantised != (scales != NULL) || packed_partner(group, module, ".weight_zero_point"))
        return packed_unsure(group, "%s values are there %s scales", dtype_traits(values->dtype)->name,
                             scales ? "with zero points or" : "without");
    if (!scales)
        return true;
    if (!packed_is_real(scales) || (scales->shape.elements != 1 && scales->shape.elements != group->bitmask.rows))
        return packed_unsure(group, "weight_scale is not one number, or one for each of %" PRIu64 " rows",
                             group->bitmask.rows);
    return packed_take(group, scales, &part);
}

/* X.bitmask U8 [out, ⌈in / 8⌉], X.compressed, X.shape: of 2:4 X is the module, else its weight. */
bool packed_sparse(struct packed_group *group)
{
    const struct tensor *values = packed_partner(group, group->stem, "compressed");
    const struct tensor *shape = packed_partner(group, group->stem, "shape");
    struct bitmask *bitmask = &group->bitmask;
    struct name module = {group->stem.text, group->stem.bytes ? group->stem.bytes - 1 : 0};
    uint64_t dims[2], rows, bytes;
    uint8_t part;

    if (!values || group->anchor->dtype != DTYPE_U8)
        return false;
    if (!shape || !packed_read_whole(group, shape, dims, 2))
        return packed_unsure(group, "there is no shape");
    if (!packed_is_matrix(group->anchor, &rows, &bytes) || dims[0] != rows || dims[1] == 0 ||
        dims[1] > BITMASK_COLUMNS_MAX || bytes != (dims[1] - 1) / 8 + 1 || !is_value(values->dtype))
        return packed_unsure(group, "bitmask, compressed and shape do not fit each other");
    group->decoder = &decoder_bitmask;
    bitmask->rows = rows;
    bitmask->columns = dims[1];
    packed_set_shape(group, rows, dims[1]);
    if (!take_values(group, values))
        return false;
    packed_cut(&module, ".weight");
    snprintf(group->scheme, sizeof(group->scheme), "sparse %s%s", bitmask->is_half ? "2:4 " : "",
             dtype_traits(values->dtype)->name);
    return take_scales(group, module, values) && packed_take(group, shape, &part) &&
           packed_call(group, module, module.bytes ? ".weight" : "weight");
}
