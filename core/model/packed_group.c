/* What recognisers say of a group, and read of its parts. */
#include "core/model/packed_group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/scan/decode.h"

enum { INDEX_PIECE = 1024, STATE_BYTES_MAX = 1 << 16 };

bool packed_unsure(struct packed_group *group, const char *format, ...)
{
    va_list args;

    if (group->why[0] || group->rc)
        return false;
    va_start(args, format);
    vsnprintf(group->why, sizeof(group->why), format, args);
    va_end(args);
    return false;
}

const struct tensor *packed_partner(const struct packed_group *group, struct name stem, const char *suffix)
{
    const size_t bytes = stem.bytes + strlen(suffix);
    char name[PACKED_NAME_BYTES];

    if (bytes > sizeof(name))
        return NULL;
    if (stem.bytes)
        memcpy(name, stem.text, stem.bytes);
    memcpy(name + stem.bytes, suffix, bytes - stem.bytes);
    return model_find(group->finder->model, (struct name){name, (uint32_t)bytes});
}

bool packed_cut(struct name *name, const char *end)
{
    const size_t bytes = strlen(end);

    if (name->bytes <= bytes || memcmp(name->text + name->bytes - bytes, end, bytes) != 0)
        return false;
    name->bytes -= (uint32_t)bytes;
    return true;
}

bool packed_metadata(const struct packed_group *group, const char *suffix, struct name *ret)
{
    char key[PACKED_NAME_BYTES + 64];
    const int bytes =
        snprintf(key, sizeof(key), "%.*s%s", (int)group->stem.bytes, group->stem.bytes ? group->stem.text : "", suffix);
    struct name value = {NULL, 0};

    if (bytes >= 0 && (size_t)bytes < sizeof(key))
        value = model_metadata(group->finder->model, (struct name){key, (uint32_t)bytes});
    if (value.text)
        *ret = value;
    return value.text != NULL;
}

const struct packed packed_plain = {.row_block = 1,
                                    .column_block = 1,
                                    .group_index = PACKED_NO_PART,
                                    .nested_map = PACKED_NO_PART,
                                    .map = PACKED_NO_PART,
                                    .factors = PACKED_NO_PART,
                                    .scale_factor = 1,
                                    .scale_divisor = 1,
                                    .zero_sign = 1,
                                    .factor = 1,
                                    .column_factors = {.part = PACKED_NO_PART}};

bool packed_take(struct packed_group *group, const struct tensor *tensor, uint8_t *ret_part)
{
    char name[NAME_PRINTABLE_BYTES];

    if (tensor->storage)
        return packed_unsure(group, "%s does not lie there element by element", name_printable(tensor->name, name));
    if (group->part_count == PACKED_PARTS_MAX)
        return packed_unsure(group, "it has more than %d parts", PACKED_PARTS_MAX);
    *ret_part = group->part_count;
    group->parts[group->part_count++] = tensor;
    return true;
}

bool packed_call(struct packed_group *group, struct name stem, const char *suffix)
{
    const size_t bytes = stem.bytes + strlen(suffix);

    if (bytes > sizeof(group->name))
        return packed_unsure(group, "its name is longer than %zu bytes", sizeof(group->name));
    if (stem.bytes)
        memcpy(group->name, stem.text, stem.bytes);
    memcpy(group->name + stem.bytes, suffix, bytes - stem.bytes);
    group->name_bytes = bytes;
    return true;
}

bool packed_is_matrix(const struct tensor *tensor, uint64_t *ret_rows, uint64_t *ret_columns)
{
    if (tensor->shape.rank != 2 || tensor->shape.elements == 0)
        return false;
    *ret_rows = tensor->shape.dims[0];
    *ret_columns = tensor->shape.dims[1];
    return true;
}

bool packed_is_stack(const struct tensor *tensor, uint64_t ret_dims[3])
{
    if ((tensor->shape.rank != 2 && tensor->shape.rank != 3) || tensor->shape.elements == 0)
        return false;
    ret_dims[0] = tensor->shape.rank == 3 ? tensor->shape.dims[0] : 1;
    ret_dims[1] = tensor->shape.dims[tensor->shape.rank - 2];
    ret_dims[2] = tensor->shape.dims[tensor->shape.rank - 1];
    return true;
}

bool packed_is_real(const struct tensor *tensor)
{
    return tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_BF16 || tensor->dtype == DTYPE_F32;
}

bool packed_read(struct packed_group *group, const struct tensor *tensor, void *out, size_t bytes)
{
    struct model *model = group->finder->model;
    struct error *err = group->finder->err;
    char name[NAME_PRINTABLE_BYTES];

    if (group->rc)
        return false;
    if (tensor->extent.bytes < bytes)
        return packed_unsure(group, "%s has %" PRIu64 " bytes", name_printable(tensor->name, name),
                             tensor->extent.bytes);
    group->rc = source_read_at(model->files[tensor->extent.source].source, tensor->extent.offset, out, bytes, err);
    if (group->rc)
        error_prefix(err, group->rc, "tensor %s: ", name_printable(tensor->name, name));
    return group->rc == 0;
}

bool packed_read_whole(struct packed_group *group, const struct tensor *tensor, uint64_t *out, size_t count)
{
    char name[NAME_PRINTABLE_BYTES];
    int64_t wide[PACKED_RANK_MAX];
    int32_t narrow[PACKED_RANK_MAX];

    name_printable(tensor->name, name);
    if (tensor->storage || count > PACKED_RANK_MAX || tensor->shape.elements != count ||
        (tensor->dtype != DTYPE_I64 && tensor->dtype != DTYPE_I32))
        return packed_unsure(group, "%s is not %zu whole numbers", name, count);
    if (!(tensor->dtype == DTYPE_I64 ? packed_read(group, tensor, wide, count * sizeof(*wide))
                                     : packed_read(group, tensor, narrow, count * sizeof(*narrow))))
        return false;
    for (size_t i = 0; i < count; i++) {
        const int64_t value = tensor->dtype == DTYPE_I64 ? wide[i] : narrow[i];

        if (value < 0)
            return packed_unsure(group, "%s holds %" PRId64, name, value);
        out[i] = (uint64_t)value;
    }
    return true;
}

bool packed_read_float(struct packed_group *group, const struct tensor *tensor, float *ret)
{
    char name[NAME_PRINTABLE_BYTES];
    uint8_t stored[4];
    double value;

    if (tensor->storage || tensor->shape.elements != 1 || !packed_is_real(tensor))
        return packed_unsure(group, "%s is not one number", name_printable(tensor->name, name));
    if (!packed_read(group, tensor, stored, dtype_traits(tensor->dtype)->bits / 8))
        return false;
    decode_f64(tensor->dtype, stored, 0, 1, &value);
    *ret = (float)value;
    return true;
}

struct config *packed_read_json(struct packed_group *group, const struct tensor *state)
{
    struct config *config = NULL;
    char *text;
    int rc;

    if (state->storage || state->dtype != DTYPE_U8 || state->extent.bytes > STATE_BYTES_MAX) {
        packed_unsure(group, "its state is no JSON in U8");
        return NULL;
    }
    text = malloc((size_t)state->extent.bytes + 1);
    if (!text) {
        group->rc = error_set(group->finder->err, ERROR_NO_MEMORY, "out of memory for its packed tensors");
        return NULL;
    }
    if (packed_read(group, state, text, (size_t)state->extent.bytes)) {
        rc = config_parse(text, (size_t)state->extent.bytes, &config, NULL);
        if (rc == ERROR_NO_MEMORY)
            group->rc = error_set(group->finder->err, rc, "out of memory for its packed tensors");
        else if (rc)
            packed_unsure(group, "its state is no JSON");
    }
    free(text);
    return config;
}

bool packed_set_elements(struct packed_group *group, const struct tensor *codes)
{
    struct packed *packed = &group->packed;
    uint64_t dims[3];
    uint8_t part;

    if (!packed_is_stack(codes, dims))
        return packed_unsure(group, "its codes are neither a matrix nor a stack of them");
    packed_set_stack(group, codes->shape.rank, dims);
    packed->codes = PACKED_ALONG;
    packed->bits = 8;
    packed->row_bytes = dims[2];
    packed->meaning = PACKED_ELEMENTS;
    packed->values = codes->dtype;
    return packed_take(group, codes, &part);
}

void packed_set_shape(struct packed_group *group, uint64_t rows, uint64_t columns)
{
    packed_set_stack(group, 2, (const uint64_t[3]){1, rows, columns});
}

void packed_set_stack(struct packed_group *group, uint32_t rank, const uint64_t dims[3])
{
    group->rank = rank;
    memcpy(group->dims, dims + (3 - rank), rank * sizeof(*dims));
    group->packed.rows = dims[0] * dims[1];
    group->packed.columns = dims[2];
}

/* n / parts, rounded up. */
static uint64_t quotient(uint64_t n, uint64_t parts)
{
    return n / parts + (n % parts != 0);
}

/* The rows and columns of the scales of each of so many matrices; false where they are not as many. */
static bool find_grid(const struct shape *shape, const uint64_t of[3], uint64_t grid[2])
{
    const uint64_t *dims = shape->dims;
    uint32_t rank = shape->rank;

    grid[0] = grid[1] = 1;
    if (of[0] > 1) {
        if (rank == 0 || dims[0] != of[0])
            return false;
        dims++;
        rank--;
    }
    if (rank == 4 && dims[1] == 1 && dims[3] == 1) { /* ModelOpt keeps the ones that blocks are reduced to */
        grid[0] = dims[0];
        grid[1] = dims[2];
        return true;
    }
    for (uint32_t d = 0; d < rank && d < 2; d++)
        grid[d] = dims[d];
    return rank <= 2;
}

/* What a row and a column of the grid are for; false: nothing that is known. */
static bool find_block(const uint64_t of[3], const uint64_t grid[2], const uint64_t named[2], bool may_infer,
                       uint64_t ret[2])
{
    const uint64_t rows = of[1], columns = of[2];

    ret[0] = rows;
    ret[1] = columns;
    if (grid[0] == 0 || grid[1] == 0)
        return false;
    if (named[0] && named[1] && grid[0] == quotient(rows, named[0]) && grid[1] == quotient(columns, named[1])) {
        ret[0] = named[0];
        ret[1] = named[1];
        return true;
    }
    if (grid[0] == 1 && grid[1] == 1)
        return true;
    if (of[0] > 1 && rows != columns &&
        ((grid[0] == 1 && grid[1] == columns) || (grid[0] == columns && grid[1] == 1))) {
        ret[1] = 1; /* experts that are turned over have their outputs for columns */
        return true;
    }
    if ((grid[0] != rows && !may_infer) || rows % grid[0] != 0 || columns % grid[1] != 0)
        return false;
    ret[0] = rows / grid[0];
    ret[1] = columns / grid[1];
    return true;
}

bool packed_set_scales(struct packed_group *group, const struct tensor *scales, enum dtype as_dtype,
                       const uint64_t block[2], bool may_infer)
{
    struct packed *packed = &group->packed;
    const uint64_t planes = group->rank == 3 ? group->dims[0] : 1;
    const uint64_t of[3] = {planes, packed->rows / planes, packed->columns};
    char name[NAME_PRINTABLE_BYTES];
    uint64_t grid[2], size[2];

    if (!packed_take(group, scales, &packed->scales.part))
        return false;
    packed->scales.dtype = as_dtype;
    if (scales->shape.elements == 1) {
        packed->row_block = packed->rows;
        packed->column_block = packed->columns;
        packed->groups = 1;
        return true;
    }
    if (!find_grid(&scales->shape, of, grid) || !find_block(of, grid, block, may_infer, size))
        return packed_unsure(group, "the shape of %s fits neither rows, groups of columns nor the config's blocks",
                             name_printable(scales->name, name));
    packed->row_block = size[0];
    packed->column_block = size[1];
    packed->stack_rows = planes > 1 && of[1] % size[0] != 0 ? of[1] : 0;
    packed->scales.row_step = packed->groups = quotient(of[2], size[1]);
    packed->scales.column_step = 1;
    return true;
}

bool packed_set_column_factors(struct packed_group *group, const struct tensor *factors)
{
    struct packed *packed = &group->packed;
    char name[NAME_PRINTABLE_BYTES];

    if (!packed_is_real(factors) || factors->shape.elements != packed->columns)
        return packed_unsure(group, "%s is not one number for each of %" PRIu64 " columns",
                             name_printable(factors->name, name), packed->columns);
    packed->column_factors = (struct packed_matrix){.dtype = factors->dtype, .column_step = 1};
    return packed_take(group, factors, &packed->column_factors.part);
}

bool packed_set_group_index(struct packed_group *group, const struct tensor *index)
{
    struct packed *packed = &group->packed;
    char name[NAME_PRINTABLE_BYTES];
    uint32_t groups[INDEX_PIECE];
    bool is_in_order = true;
    struct tensor piece = *index;
    uint8_t part;

    name_printable(index->name, name);
    if (index->dtype != DTYPE_I32 || index->shape.elements != packed->columns || packed->groups > PACKED_GROUPS_MAX)
        return packed_unsure(group, "%s does not tell the group of each of %" PRIu64 " columns", name, packed->columns);
    if (!packed_take(group, index, &part))
        return false;
    for (uint64_t c = 0; c < packed->columns; c += INDEX_PIECE) {
        const size_t n = packed->columns - c < INDEX_PIECE ? (size_t)(packed->columns - c) : INDEX_PIECE;

        piece.extent.offset = index->extent.offset + c * sizeof(*groups);
        piece.extent.bytes = n * sizeof(*groups);
        if (!packed_read(group, &piece, groups, n * sizeof(*groups)))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (groups[i] >= packed->groups)
                return packed_unsure(group, "%s names group %" PRId32 " for column %" PRIu64 ", there are %" PRIu64,
                                     name, (int32_t)groups[i], c + i, packed->groups);
            is_in_order = is_in_order && packed->column_block && groups[i] == (c + i) / packed->column_block;
        }
    }
    packed->group_index = is_in_order ? PACKED_NO_PART : part;
    return true;
}
