/* HQQ's modules: codes and what they mean, each a tensor in safetensors; in PyTorch's own files Python's numbers and
 * texts, which are metadata. Scales and zero points may be quantised themselves, in the same way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/model/packed_group.h"

/* Ways to pack a matrix: sections of its rows in one unit, the first in the highest bits that are used. */
static const struct {
    const char *name, *view;
    uint8_t bits, unit_bytes, sections;
} packings[] = {
    {"8bit_u8", "torch.uint8", 8, 1, 1}, {"4bit_u8", "torch.uint8", 4, 1, 2}, {"3bit_32", "torch.int32", 3, 4, 10},
    {"2bit_u8", "torch.uint8", 2, 1, 4}, {"1bit_u8", "torch.uint8", 1, 1, 8},
};

/* One of the quantised: the weight, or its scales or zero points. */
struct quantised {
    struct packed_group *group;
    const char *prefix; /* of its attributes below the module: "", "meta_scale." */
    const char *codes;
    uint64_t dims[2], elements;
};

enum { ATTRIBUTE_BYTES = 64 };

static const struct tensor *tensor_of(const struct quantised *q, const char *attribute)
{
    char suffix[ATTRIBUTE_BYTES];

    snprintf(suffix, sizeof(suffix), "%s%s", q->prefix, attribute);
    return packed_partner(q->group, q->group->stem, suffix);
}

static bool text_of(const struct quantised *q, const char *attribute, struct name *ret)
{
    char suffix[ATTRIBUTE_BYTES];

    snprintf(suffix, sizeof(suffix), "%s%s", q->prefix, attribute);
    return packed_metadata(q->group, suffix, ret);
}

static bool has_numbers(const struct quantised *q, const char *attribute, uint64_t *out, size_t count)
{
    const struct tensor *tensor = tensor_of(q, attribute);
    char of[ATTRIBUTE_BYTES / 2], digits[24] = "";
    struct name text;

    if (tensor)
        return packed_read_whole(q->group, tensor, out, count);
    for (size_t i = 0; i < count; i++) {
        snprintf(of, sizeof(of), count > 1 ? "%s.%zu" : "%s", attribute, i);
        if (!text_of(q, of, &text) || text.bytes == 0 || text.bytes >= sizeof(digits))
            return false;
        memcpy(digits, text.text, text.bytes);
        digits[text.bytes] = '\0';
        if (digits[strspn(digits, "0123456789")] != '\0')
            return packed_unsure(q->group, "%s is no number", attribute);
        out[i] = strtoull(digits, NULL, 10);
    }
    return true;
}

static bool numbers_of(const struct quantised *q, const char *attribute, uint64_t *out, size_t count)
{
    return has_numbers(q, attribute, out, count) || packed_unsure(q->group, "there is no %s%s", q->prefix, attribute);
}

/* Whether the attribute is that text, or, with may_lack, is not there at all. */
static bool is_text(const struct quantised *q, const char *attribute, const char *wanted, bool may_lack)
{
    const struct tensor *tensor = tensor_of(q, attribute);
    const size_t bytes = strlen(wanted);
    struct name text;
    char read[32];

    if (tensor)
        return !tensor->storage && tensor->dtype == DTYPE_U8 && tensor->extent.bytes == bytes &&
               packed_read(q->group, tensor, read, bytes) && memcmp(read, wanted, bytes) == 0;
    return text_of(q, attribute, &text) ? name_equal(text, name_of(wanted)) : may_lack;
}

/* A flag, which is not set where it is not there; false with why or rc where it is no flag. */
static bool read_flag(const struct quantised *q, const char *attribute, bool *ret)
{
    const struct tensor *tensor = tensor_of(q, attribute);
    struct name text;
    uint8_t value = 0;

    *ret = !tensor && text_of(q, attribute, &text) && name_equal(text, name_of("true"));
    if (!tensor)
        return true;
    if (tensor->storage || tensor->extent.bytes != 1)
        return packed_unsure(q->group, "%s is not one byte", attribute);
    if (!packed_read(q->group, tensor, &value, 1))
        return false;
    *ret = value != 0;
    return true;
}

/* Codes of a matrix of groups: with axis 1 a group is a row of it, with axis 0 a column. Its elements in order are
 * those of dims. Without groups of a size all are one. */
static bool set_codes(struct quantised *q, struct packed *packed, uint64_t *ret_size)
{
    const struct tensor *codes = packed_partner(q->group, q->group->stem, q->codes);
    uint64_t bits, size = 0, axis, groups, rows, columns;
    size_t way = 0;
    bool is_one;

    if (!codes)
        return packed_unsure(q->group, "there is no %s", q->codes);
    if (!numbers_of(q, "nbits", &bits, 1) || !numbers_of(q, "axis", &axis, 1) || !numbers_of(q, "shape", q->dims, 2))
        return false;
    is_one = q->prefix[0] && !has_numbers(q, "group_size", &size, 1);
    if (q->group->why[0] || q->group->rc || (!is_one && !numbers_of(q, "group_size", &size, 1)))
        return false;
    while (way < sizeof(packings) / sizeof(packings[0]) && packings[way].bits != bits)
        way++;
    if (way == sizeof(packings) / sizeof(packings[0]) || !is_text(q, "packing", packings[way].name, false) ||
        !is_text(q, "unpack_view_dtype", packings[way].view, true))
        return packed_unsure(q->group, "packing is not known for %" PRIu64 " bits", bits);
    if (!checked_mul(q->dims[0], q->dims[1], &q->elements) || q->elements == 0 ||
        (!is_one && (size == 0 || q->elements % size != 0)) || axis > 1)
        return packed_unsure(q->group, "shape, group_size and axis do not make a matrix of groups");
    groups = is_one ? 1 : q->elements / size;
    rows = is_one ? q->dims[0] : axis ? groups : size;
    columns = is_one ? q->dims[1] : axis ? size : groups;
    packed->rows = rows;
    packed->columns = columns;
    packed->codes = PACKED_SECTIONS;
    packed->bits = (uint8_t)bits;
    packed->unit_bytes = packings[way].unit_bytes;
    packed->section = ((rows - 1) / packings[way].sections + 1) * columns;
    packed->first_shift = (int8_t)(bits * (packings[way].sections - 1u));
    packed->shift_step = (int8_t)-packed->bits;
    if (codes->extent.bytes % packed->unit_bytes != 0 || codes->extent.bytes / packed->unit_bytes != packed->section ||
        (rows % packings[way].sections != 0 && bits != 3))
        return packed_unsure(q->group, "%s has %" PRIu64 " bytes, not those of %" PRIu64 " rows of %" PRIu64, q->codes,
                             codes->extent.bytes, rows, columns);
    packed->row_block = !is_one && axis ? 1 : rows;
    packed->column_block = is_one || axis ? columns : 1;
    packed->groups = is_one || axis ? 1 : columns;
    *ret_size = size;
    return packed_take(q->group, codes, &packed->part);
}

/* Numbers, one for each of so many groups. */
static bool set_numbers(const struct quantised *q, const char *attribute, uint64_t groups, struct packed_matrix *ret)
{
    const struct tensor *numbers = tensor_of(q, attribute);

    if (!numbers || !packed_is_real(numbers) || numbers->shape.elements != groups)
        return packed_unsure(q->group, "scale and zero are not one number for each of %" PRIu64 " groups", groups);
    *ret = (struct packed_matrix){.dtype = numbers->dtype, .row_step = 1, .column_step = 1};
    return packed_take(q->group, numbers, &ret->part);
}

static bool set_meaning(const struct quantised *q, struct packed *packed)
{
    const uint64_t groups = packed->rows * packed->columns / packed->row_block / packed->column_block;

    packed->zeros = PACKED_ZEROS;
    return set_numbers(q, "scale", groups, &packed->scales) && set_numbers(q, "zero", groups, &packed->zero);
}

/* Scales or zero points that are codes themselves, one for each group of the weight. */
static bool set_quantised(struct packed_group *group, const char *prefix, const char *codes, uint64_t groups,
                          struct packed *inner)
{
    struct quantised q = {.group = group, .prefix = prefix, .codes = codes};
    uint64_t size;

    *inner = packed_plain;
    if (!set_codes(&q, inner, &size))
        return false;
    if (q.elements != groups)
        return packed_unsure(group, "%s has %" PRIu64 " codes for %" PRIu64 " groups", codes, q.elements, groups);
    return set_meaning(&q, inner);
}

/* What only describes is a part all the same. */
static bool take_rest(struct packed_group *group)
{
    static const char *const rest[] = {
        "nbits",
        "group_size",
        "shape",
        "axis",
        "packing",
        "unpack_view_dtype",
        "view_as_float",
        "quant_zero",
        "quant_scale",
        "channel_wise",
        "optimize",
        "round_zero",
        "compute_dtype",
        "offload_meta",
        "stores_quant_config",
        "encoded_state_dict",
    };

    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        const struct tensor *tensor = packed_partner(group, group->stem, rest[i]);
        uint8_t part;

        if (tensor && !packed_take(group, tensor, &part))
            return false;
    }
    return true;
}

/* W_q, and scale and zero, or scale_q and zero_q with what they mean: (code − zero) · scale. */
bool packed_hqq(struct packed_group *group)
{
    struct quantised q = {.group = group, .prefix = "", .codes = "W_q"};
    struct packed *packed = &group->packed;
    bool are_scales_codes, are_zeros_codes;
    uint64_t size, groups;

    if (!read_flag(&q, "quant_scale", &are_scales_codes) || !read_flag(&q, "quant_zero", &are_zeros_codes))
        return false;
    if ((!are_scales_codes && !tensor_of(&q, "scale")) || (!are_zeros_codes && !tensor_of(&q, "zero")))
        return false;
    if (!set_codes(&q, packed, &size))
        return false;
    groups = q.elements / size;
    packed->zeros = PACKED_ZEROS;
    packed->scales = packed->zero = (struct packed_matrix){.dtype = DTYPE_F32, .row_step = 1, .column_step = 1};
    if (are_scales_codes ? !set_quantised(group, "meta_scale.", "scale_q", groups, &group->inner[0])
                         : !set_numbers(&q, "scale", groups, &packed->scales))
        return false;
    if (are_zeros_codes ? !set_quantised(group, "meta_zero.", "zero_q", groups, &group->inner[1])
                        : !set_numbers(&q, "zero", groups, &packed->zero))
        return false;
    packed->scales_of = are_scales_codes ? &group->inner[0] : NULL;
    packed->zeros_of = are_zeros_codes ? &group->inner[1] : NULL;
    group->dims[0] = q.dims[0];
    group->dims[1] = q.dims[1];
    group->rank = 2;
    snprintf(group->scheme, sizeof(group->scheme), "HQQ int%u g%" PRIu64, packed->bits, size);
    return take_rest(group) && packed_call(group, group->stem, "weight");
}
