/* A range of a packed tensor is read in tiles: pieces of one row, or whole rows. Of each its codes, its scales and its
 * zero points are loaded, and brought together run by run of columns that share a scale. Nothing is kept from one read
 * to the next. */
#include "core/decode/packed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/packed_tile.h"
#include "core/decode/plane.h"
#include "core/scan/decode_wide.h"

enum {
    TILE = 1 << 16,      /* elements */
    TALL_TILE = 1 << 22, /* where rows lie across the lines of the part: the more at once, the longer the pieces */
    TURNED_ROWS = 64,
};

/* Room for count items; what was there is lost. ERROR_NO_MEMORY. */
static int reserve(struct packed_work *work, void *buffer, size_t *room, uint64_t count, size_t item_bytes)
{
    void **at = buffer;

    if (count <= *room)
        return 0;
    free(*at);
    *room = 0;
    *at = reallocarray(NULL, (size_t)count, item_bytes);
    if (!*at)
        return error_set(work->err, ERROR_NO_MEMORY, "no memory to unpack a tensor");
    *room = (size_t)count;
    return 0;
}

static void work_done(struct packed_work *work)
{
    free(work->raw);
    free(work->codes);
    free(work->scales);
    free(work->zeros);
    free(work->columns);
    free(work->group_of);
    free(work->turned);
}

/* Items [row, row + rows) × [column, column + columns) of a part, row by row. Lines that lie in one piece are read at
 * once; others are a view of their own. */
static int read_items(const struct model *model, const struct tensor *part, const struct packed_matrix *matrix,
                      uint64_t row, uint64_t rows, uint64_t column, uint64_t columns, void *out, struct error *err)
{
    const uint64_t size = dtype_traits(matrix->dtype)->bits / 8;
    const uint64_t first = row * matrix->row_step + column * matrix->column_step;
    const bool is_in_line = matrix->column_step == 1 || columns == 1;
    const uint64_t dims[2] = {rows, columns}, steps[2] = {matrix->row_step, matrix->column_step};
    const struct strides strides = {.steps = steps};
    const struct storage storage = {.decoder = &decoder_strided, .parameters = &strides};
    const struct tensor view = {.dtype = matrix->dtype,
                                .shape = {.dims = dims, .elements = rows * columns, .rank = 2},
                                .extent = {.offset = part->extent.offset + first * size,
                                           .bytes = rows * columns * size,
                                           .source = part->extent.source},
                                .storage = &storage};

    if (is_in_line && (rows == 1 || matrix->row_step == columns))
        return source_read_at(model->files[view.extent.source].source, view.extent.offset, out,
                              (size_t)view.extent.bytes, err);
    return decoder_read(model, &view, 0, (size_t)view.shape.elements, out, err);
}

static const struct tensor *part_of(const struct packed_work *work, uint8_t part)
{
    return &work->tensor->storage->parts[part];
}

int packed_work_read(struct packed_work *work, const struct packed_matrix *matrix, uint64_t row, uint64_t rows,
                     uint64_t column, uint64_t columns)
{
    const uint64_t bytes = rows * columns * (dtype_traits(matrix->dtype)->bits / 8);
    int rc = reserve(work, &work->raw, &work->raw_room, bytes + 1, 1);

    if (rc)
        return rc;
    work->raw[bytes] = 0;
    return read_items(work->model, part_of(work, matrix->part), matrix, row, rows, column, columns, work->raw,
                      work->err);
}

static int read_map(struct packed_work *work, uint8_t part, float *out)
{
    const struct packed_matrix floats = {.part = part, .dtype = DTYPE_F32, .column_step = 1};

    return read_items(work->model, part_of(work, part), &floats, 0, 1, 0, part_of(work, part)->shape.elements, out,
                      work->err);
}

/* What each byte is as an element of a dtype of eight bits. */
static void decode_bytes(enum dtype dtype, float out[256])
{
    uint8_t bytes[256];

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    decode_f32(dtype, bytes, 0, 256, out);
}

/* What each code means. */
static int load_meanings(struct packed_work *work)
{
    const struct packed *packed = work->packed;
    switch (packed->meaning) {
    case PACKED_UNSIGNED:
        for (unsigned i = 0; i < 256; i++)
            work->meanings[i] = (float)i - packed->offset;
        return 0;
    case PACKED_SIGNED:
        for (int i = 0; i < 256; i++)
            work->meanings[i] = (float)(i < 1 << (packed->bits - 1) ? i : i - (1 << packed->bits));
        return 0;
    case PACKED_ELEMENTS:
        decode_bytes(packed->values, work->meanings);
        return 0;
    case PACKED_SMALL:
        for (unsigned i = 0; i < 1u << packed->bits; i++) {
            const uint8_t code = (uint8_t)i;

            decode_f32(packed->values, &code, 0, 1, &work->meanings[i]);
        }
        return 0;
    case PACKED_MAP:
        break;
    }
    return read_map(work, packed->map, work->meanings);
}

static int read_rows(struct packed_work *work, uint64_t first, uint64_t elements, float *out);

/* Elements of what is packed within another, in parts of the same tensor. */
static int load_elements(const struct packed_work *work, const struct packed *inner, uint64_t first, uint64_t count,
                         float *out)
{
    struct packed_work within = {.model = work->model, .tensor = work->tensor, .packed = inner, .err = work->err};
    int rc = load_meanings(&within);

    if (rc == 0)
        rc = read_rows(&within, first, count, out);
    work_done(&within);
    return rc;
}

/* Numbers of a matrix as they are, or as the elements of inner, which lie as close as they are asked for. */
static int load_numbers(struct packed_work *work, const struct packed *inner, const struct packed_matrix *matrix,
                        uint64_t row, uint64_t rows, uint64_t group, uint64_t groups, float *out)
{
    int rc;

    if (inner)
        return load_elements(work, inner, row * matrix->row_step + group * matrix->column_step, rows * groups, out);
    rc = packed_work_read(work, matrix, row, rows, group, groups);
    if (rc == 0 && decode_is_narrow(matrix->dtype))
        decode_f32(matrix->dtype, work->raw, 0, (size_t)(rows * groups), out);
    else
        for (uint64_t i = 0; rc == 0 && i < rows * groups; i++) {
            double wide;

            decode_f64(matrix->dtype, work->raw, i, 1, &wide);
            out[i] = (float)wide;
        }
    return rc;
}

enum { PANEL_ROWS = 128, PANEL_GROUPS = 4, PANEL = PANEL_ROWS * PANEL_GROUPS };

/* Scales that lie as the processors want them: panels of 128 rows and four groups, of which those of rows r, r + 32,
 * r + 64 and r + 96 are 16 bytes side by side. */
static int load_swizzled(struct packed_work *work, uint64_t row, uint64_t rows, uint64_t group, uint64_t groups,
                         float *out)
{
    const struct packed *packed = work->packed;
    const struct packed_matrix panels = {.part = packed->scales.part, .dtype = DTYPE_U8, .column_step = 1};
    const uint64_t across = (packed->groups - 1) / PANEL_GROUPS + 1, from = group / PANEL_GROUPS;
    const uint64_t count = (group + groups - 1) / PANEL_GROUPS - from + 1;
    float values[256];
    int rc;

    decode_bytes(packed->scales.dtype, values);
    for (uint64_t r = row, n; r < row + rows; r += n) {
        const uint64_t panel = r / PANEL_ROWS, end = (panel + 1) * PANEL_ROWS;

        n = end < row + rows ? end - r : row + rows - r;
        rc = packed_work_read(work, &panels, 0, 1, (panel * across + from) * PANEL, count * PANEL);
        if (rc)
            return rc;
        for (uint64_t i = r; i < r + n; i++)
            for (uint64_t g = group; g < group + groups; g++)
                *out++ = values[work->raw[(g / PANEL_GROUPS - from) * PANEL + i % 32 * 16 + i % PANEL_ROWS / 32 * 4 +
                                          g % PANEL_GROUPS]];
    }
    return 0;
}

/* bitsandbytes' double quantisation: scales are codes themselves, in blocks of their own. */
static int load_nested(struct packed_work *work, uint64_t row, uint64_t rows, float *out)
{
    const struct packed *packed = work->packed;
    const struct packed_matrix floats = {.part = packed->nested_scales, .dtype = DTYPE_F32, .column_step = 1};
    const uint64_t from = row / packed->nested_block, to = (row + rows - 1) / packed->nested_block + 1;
    float *blocks = reallocarray(NULL, (size_t)(to - from), sizeof(*blocks));
    int rc =
        blocks ? read_items(work->model, part_of(work, floats.part), &floats, 0, 1, from, to - from, blocks, work->err)
               : error_set(work->err, ERROR_NO_MEMORY, "no memory to unpack a tensor");

    if (rc == 0)
        rc = packed_work_read(work, &packed->scales, row, rows, 0, 1);
    for (uint64_t r = 0; rc == 0 && r < rows; r++)
        out[r] = work->nested[work->raw[r]] * blocks[(row + r) / packed->nested_block - from] + packed->nested_offset;
    free(blocks);
    return rc;
}

/* What the columns of a tile are scaled by: groups [*ret_first, *ret_first + *ret_count) of each row. */
static int load_groups(struct packed_work *work, const struct packed_tile *tile, uint64_t *ret_first,
                       uint64_t *ret_count)
{
    const struct packed *packed = work->packed;
    const struct packed_matrix words = {.part = packed->group_index, .dtype = DTYPE_U32, .column_step = 1};
    int rc;

    if (packed->group_index == PACKED_NO_PART) {
        *ret_first = tile->column / packed->column_block;
        *ret_count = (tile->column + tile->columns - 1) / packed->column_block - *ret_first + 1;
        return 0;
    }
    *ret_first = 0;
    *ret_count = packed->groups;
    rc = reserve(work, &work->group_of, &work->group_room, tile->columns, sizeof(*work->group_of));
    if (rc == 0)
        rc = read_items(work->model, part_of(work, words.part), &words, 0, 1, tile->column, tile->columns,
                        work->group_of, work->err);
    for (uint64_t c = 0; rc == 0 && c < tile->columns; c++)
        if (work->group_of[c] >= packed->groups)
            rc = error_set(work->err, ERROR_FORMAT, "column %" PRIu64 " is of group %" PRIu32 ", there are %" PRIu64,
                           tile->column + c, work->group_of[c], packed->groups);
    return rc;
}

/* Rows [row, row + rows) of scales, of the groups each, times or divided by what is another number for each matrix. */
static int load_factors(struct packed_work *work, uint64_t row, uint64_t rows, uint64_t groups)
{
    const struct packed *packed = work->packed;
    const struct packed_matrix floats = {.part = packed->factors, .dtype = DTYPE_F32, .column_step = 1};
    uint64_t held = UINT64_MAX;
    float factor = 1;

    for (uint64_t r = 0; r < rows; r++) {
        const uint64_t at = (row + r) / packed->factor_rows;

        if (at != held) {
            int rc = read_items(work->model, part_of(work, floats.part), &floats, 0, 1, at, 1, &factor, work->err);

            if (rc)
                return rc;
            held = at;
        }
        for (uint64_t g = 0; g < groups; g++) {
            float *scale = &work->scales[r * groups + g];

            *scale = packed->are_divisors ? *scale / factor : *scale * factor;
        }
    }
    return 0;
}

static int load_scales(struct packed_work *work, uint64_t row, uint64_t rows, uint64_t group, uint64_t groups)
{
    const struct packed *packed = work->packed;
    const uint64_t count = rows * groups;
    int rc = reserve(work, &work->scales, &work->scale_room, count, sizeof(*work->scales));

    if (rc == 0 && packed->zeros != PACKED_NO_ZEROS)
        rc = reserve(work, &work->zeros, &work->zero_room, count, sizeof(*work->zeros));
    if (rc)
        return rc;
    if (packed->nested_map != PACKED_NO_PART)
        return load_nested(work, row, rows, work->scales);
    rc = packed->are_scales_swizzled
             ? load_swizzled(work, row, rows, group, groups, work->scales)
             : load_numbers(work, packed->scales_of, &packed->scales, row, rows, group, groups, work->scales);
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        work->scales[i] = work->scales[i] * packed->scale_factor / packed->scale_divisor;
    if (rc == 0 && packed->factors != PACKED_NO_PART)
        rc = load_factors(work, row, rows, groups);
    if (rc || packed->zeros == PACKED_NO_ZEROS)
        return rc;
    if (packed->zeros == PACKED_ZEROS)
        return load_numbers(work, packed->zeros_of, &packed->zero, row, rows, group, groups, work->zeros);
    return packed_load_zero_codes(work, row, rows, group, groups, work->zeros);
}

static int load_column_factors(struct packed_work *work, const struct packed_tile *tile)
{
    const struct packed_matrix *factors = &work->packed->column_factors;
    int rc;

    if (factors->part == PACKED_NO_PART)
        return 0;
    rc = reserve(work, &work->columns, &work->column_room, tile->columns, sizeof(*work->columns));
    return rc ? rc : load_numbers(work, NULL, factors, 0, 1, tile->column, tile->columns, work->columns);
}

/* What becomes of codes, in values of its own: what is written may not be taken for what is read. */
struct arithmetic {
    bool is_shift, is_divided;
    float zero_sign, factor;
};

static struct arithmetic arithmetic_of(const struct packed *packed)
{
    return (struct arithmetic){packed->is_shift, packed->is_divided, packed->zero_sign, packed->factor};
}

static float value_of(struct arithmetic a, float meaning, float scale, float zero)
{
    if (a.is_shift)
        return meaning * scale + zero * a.zero_sign;
    if (a.is_divided)
        return meaning / scale;
    return (meaning - zero) * scale * a.factor;
}

/* Elements that share a scale. There are few codes: where elements are many, each code is worked out once. */
static void write_run(const struct packed_work *work, const uint8_t *restrict codes, size_t count, float scale,
                      float zero, float *restrict out)
{
    const struct arithmetic arithmetic = arithmetic_of(work->packed);
    const size_t kinds = (size_t)1 << work->packed->bits;
    const float *meanings = work->meanings;
    float values[256];

    if (count < 2 * kinds) {
        for (size_t i = 0; i < count; i++)
            out[i] = value_of(arithmetic, meanings[codes[i]], scale, zero);
        return;
    }
    for (size_t i = 0; i < kinds; i++)
        values[i] = value_of(arithmetic, meanings[i], scale, zero);
    for (size_t i = 0; i < count; i++)
        out[i] = values[codes[i]];
}

/* Of one row of the tile; scales and zeros are the row's, from group `first` on. */
static void write_row(const struct packed_work *work, const struct packed_tile *tile, const uint8_t *codes,
                      const float *scales, const float *zeros, uint64_t first, float *restrict out)
{
    const struct packed *packed = work->packed;
    const struct arithmetic arithmetic = arithmetic_of(packed);

    if (packed->group_index != PACKED_NO_PART) {
        for (uint64_t c = 0; c < tile->columns; c++)
            out[c] = value_of(arithmetic, work->meanings[codes[c]], scales[work->group_of[c]],
                              zeros ? zeros[work->group_of[c]] : 0);
        return;
    }
    for (uint64_t c = 0, n; c < tile->columns; c += n) {
        const uint64_t group = (tile->column + c) / packed->column_block, end = (group + 1) * packed->column_block;

        n = end - (tile->column + c) < tile->columns - c ? end - (tile->column + c) : tile->columns - c;
        write_run(work, codes + c, (size_t)n, scales[group - first], zeros ? zeros[group - first] : 0, out + c);
    }
}

/* The row of scales that row r is scaled by. */
static uint64_t scales_row(const struct packed *packed, uint64_t r)
{
    const uint64_t stack = packed->stack_rows, block = packed->row_block;

    return stack ? r / stack * ((stack - 1) / block + 1) + r % stack / block : r / block;
}

static int read_tile(struct packed_work *work, const struct packed_tile *tile, float *out)
{
    const struct packed *packed = work->packed;
    const uint64_t top = scales_row(packed, tile->row);
    const uint64_t tops = scales_row(packed, tile->row + tile->rows - 1) - top + 1;
    uint64_t first, groups;
    int rc = reserve(work, &work->codes, &work->code_room, tile->rows * tile->columns, 1);

    if (rc == 0)
        rc = load_groups(work, tile, &first, &groups);
    if (rc == 0)
        rc = load_scales(work, top, tops, first, groups);
    if (rc == 0)
        rc = load_column_factors(work, tile);
    if (rc == 0)
        rc = packed_load_codes(work, tile);
    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint64_t at = (scales_row(packed, tile->row + r) - top) * groups;
        float *row = out + r * tile->columns;

        write_row(work, tile, work->codes + r * tile->columns, work->scales + at,
                  packed->zeros == PACKED_NO_ZEROS ? NULL : work->zeros + at, first, row);
        for (uint64_t c = 0; packed->column_factors.part != PACKED_NO_PART && c < tile->columns; c++)
            row[c] *= work->columns[c];
    }
    return rc;
}

static bool is_tall(const struct packed *packed)
{
    return packed->codes == PACKED_DOWN || packed->codes == PACKED_AWQ;
}

static int read_rows(struct packed_work *work, uint64_t first, uint64_t elements, float *out)
{
    const struct packed *packed = work->packed;
    const uint64_t most = is_tall(packed) ? TALL_TILE : TILE;

    while (elements > 0) {
        struct packed_tile tile = {.row = first / packed->columns, .rows = 1, .column = first % packed->columns};
        const uint64_t rest = packed->columns - tile.column;
        int rc;

        tile.columns = rest < elements ? rest : elements;
        if (tile.columns > most)
            tile.columns = most;
        if (tile.columns == packed->columns) {
            tile.rows = elements / packed->columns;
            if (tile.rows > most / packed->columns)
                tile.rows = most / packed->columns;
        }
        rc = read_tile(work, &tile, out);
        if (rc)
            return rc;
        first += tile.rows * tile.columns;
        elements -= tile.rows * tile.columns;
        out += tile.rows * tile.columns;
    }
    return 0;
}

/* Matrices that are turned over: column i of the codes' is row i of the tensor's. Rows [row, row + rows) of plane
 * `plane`, elements [from, from + count) of each, which lie plane_rows apart in out. */
static int read_turned_box(struct packed_work *work, uint64_t plane, uint64_t row, uint64_t rows, uint64_t from,
                           uint64_t count, float *out)
{
    const struct packed *packed = work->packed;
    const uint64_t most = TILE / TURNED_ROWS;
    int rc = reserve(work, &work->turned, &work->turned_room, TILE, sizeof(*work->turned));

    for (uint64_t at = 0, n; rc == 0 && at < count; at += n) {
        n = count - at < most ? count - at : most;
        rc = read_tile(work,
                       &(struct packed_tile){
                           .row = plane * packed->plane_rows + from + at, .rows = n, .column = row, .columns = rows},
                       work->turned);
        if (rc == 0)
            plane_transpose((uint8_t *)(out + at), packed->plane_rows, (const uint8_t *)work->turned, rows, rows, n,
                            sizeof(*out));
    }
    return rc;
}

static int read_turned(struct packed_work *work, uint64_t first, uint64_t elements, float *out)
{
    const uint64_t wide = work->packed->plane_rows, tall = work->packed->columns;

    while (elements > 0) {
        const uint64_t plane = first / wide / tall, row = first / wide % tall, from = first % wide;
        uint64_t rows = 1, count = wide - from < elements ? wide - from : elements;
        int rc;

        if (count == wide) {
            rows = elements / wide < tall - row ? elements / wide : tall - row;
            if (rows > TURNED_ROWS)
                rows = TURNED_ROWS;
        }
        rc = read_turned_box(work, plane, row, rows, from, count, out);
        if (rc)
            return rc;
        first += rows * count;
        elements -= rows * count;
        out += rows * count;
    }
    return 0;
}

static int read_packed(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                       void *out, struct error *err)
{
    struct packed_work work = {.model = model, .tensor = tensor, .packed = tensor->storage->parameters, .err = err};
    int rc = elements ? load_meanings(&work) : 0;

    if (rc == 0 && elements && work.packed->nested_map != PACKED_NO_PART)
        rc = read_map(&work, work.packed->nested_map, work.nested);
    if (rc == 0 && work.packed->plane_rows)
        rc = read_turned(&work, first, elements, out);
    else if (rc == 0)
        rc = read_rows(&work, first, elements, out);
    work_done(&work);
    return rc;
}

static bool is_scattered(const struct tensor *tensor)
{
    const struct packed *packed = tensor->storage->parameters;

    return is_tall(packed) || packed->plane_rows;
}

const struct decoder decoder_packed = {
    .name = "packed", .is_encoding = true, .read = read_packed, .is_scattered = is_scattered};
