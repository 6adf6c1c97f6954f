/* Codes out of their bits. Each kind reads the lines of its part that the tile touches, however far apart these lie,
 * and then takes them apart in memory. */
#include <string.h>

#include "core/decode/packed_tile.h"

/* Where nibbles of AWQ's words lie: that of row j, in fours of bits. */
static const uint8_t awq_nibbles[8] = {0, 4, 1, 5, 2, 6, 3, 7};

enum { FAST_KNOT = 64, FAST_ROWS = 4 };

/* Codes of `bits` bits from bit `bit` of stored on; a byte more than they need may be looked at. */
static void unpack(const uint8_t *stored, uint64_t bit, unsigned bits, size_t count, uint8_t *codes)
{
    const unsigned mask = (1u << bits) - 1;
    size_t i = 0;

    if (bits == 8 && bit % 8 == 0) {
        memcpy(codes, stored + bit / 8, count);
        return;
    }
    if (bits == 4 && bit % 8 == 0) {
        const uint8_t *from = stored + bit / 8;

        for (; i + 2 <= count; i += 2) {
            codes[i] = from[i / 2] & 15;
            codes[i + 1] = from[i / 2] >> 4;
        }
    }
    if (bits == 2 && bit % 8 == 0) {
        const uint8_t *from = stored + bit / 8;

        for (; i + 4 <= count; i += 4) {
            const unsigned byte = from[i / 4];

            codes[i] = byte & 3;
            codes[i + 1] = byte >> 2 & 3;
            codes[i + 2] = byte >> 4 & 3;
            codes[i + 3] = (uint8_t)(byte >> 6);
        }
    }
    for (; i < count; i++) {
        const uint64_t at = bit + i * bits;
        const unsigned pair = stored[at / 8] | (unsigned)stored[at / 8 + 1] << 8;

        codes[i] = (uint8_t)(pair >> at % 8 & mask);
    }
}

static uint32_t word_at(const uint8_t *words, size_t i)
{
    uint32_t word;

    memcpy(&word, words + i * sizeof(word), sizeof(word));
    return word;
}

/* Codes [first, first + count) of words that hold so many each; words begins with that of code first. */
static void unpack_words(const uint8_t *words, uint64_t first, unsigned bits, unsigned each, size_t count,
                         uint8_t *codes)
{
    const uint64_t base = first / each;

    for (size_t i = 0; i < count; i++) {
        const uint64_t at = first + i;

        codes[i] = (uint8_t)(word_at(words, (size_t)(at / each - base)) >> at % each * bits & ((1u << bits) - 1));
    }
}

/* Code i of 32 whose bits lie in planes of eight, four, two and one, as far as they have them: first the words of all
 * codes' lowest bits, then of those above. A plane of so many bits is as many words, which lie `step` apart. */
static unsigned plane_code(const uint8_t *words, size_t step, unsigned bits, unsigned i)
{
    unsigned code = 0, at = 0;

    for (unsigned width = 8; width; width /= 2) {
        if (!(bits & width))
            continue;
        code |= (word_at(words, (at + i * width / 32) * step) >> i * width % 32 & ((1u << width) - 1)) << at;
        at += width;
    }
    return code;
}

/* Rows of bytes, or of words where codes do not cross them. */
static int load_along(struct packed_work *work, const struct packed_tile *tile)
{
    const struct packed *packed = work->packed;
    const unsigned bits = packed->bits, each = packed->codes_per_word;
    const uint64_t end = tile->column + tile->columns;
    const uint64_t from = each ? tile->column / each * 4 : tile->column * bits / 8;
    const uint64_t to = each ? ((end - 1) / each + 1) * 4 : (end * bits + 7) / 8;
    const struct packed_matrix bytes = {
        .part = work->packed->part, .dtype = DTYPE_U8, .row_step = packed->row_bytes, .column_step = 1};
    int rc = packed_work_read(work, &bytes, tile->row, tile->rows, from, to - from);

    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint8_t *row = work->raw + r * (to - from);
        uint8_t *codes = work->codes + r * tile->columns;

        if (each)
            unpack_words(row, tile->column, bits, each, (size_t)tile->columns, codes);
        else
            unpack(row, tile->column * bits - from * 8, bits, (size_t)tile->columns, codes);
    }
    return rc;
}

static void unpack_planes(const uint8_t *words, uint64_t first, unsigned bits, size_t count, uint8_t *codes)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = first % 32 + i;

        codes[i] = (uint8_t)plane_code(words + at / 32 * bits * 4, 1, bits, (unsigned)(at % 32));
    }
}

/* The words that codes [first, first + count) touch, in planes whole blocks of 32 codes. */
static void words_of(const struct packed *packed, uint64_t first, uint64_t count, uint64_t *ret_from, uint64_t *ret_to)
{
    const unsigned bits = packed->bits, each = packed->codes_per_word;
    const uint64_t last = first + count - 1;

    if (packed->is_planar) {
        *ret_from = first / 32 * bits;
        *ret_to = (last / 32 + 1) * bits;
        return;
    }
    *ret_from = each ? first / each : first * bits / 32;
    *ret_to = each ? last / each + 1 : (last * bits + bits - 1) / 32 + 1;
}

static int load_down(struct packed_work *work, const struct packed_tile *tile)
{
    const struct packed *packed = work->packed;
    uint64_t from, to;
    const struct packed_matrix words = {
        .part = work->packed->part, .dtype = DTYPE_U32, .row_step = 1, .column_step = packed->words};
    int rc;

    words_of(packed, tile->column, tile->columns, &from, &to);
    rc = packed_work_read(work, &words, tile->row, tile->rows, from, to - from);
    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint8_t *row = work->raw + r * (to - from) * 4;
        uint8_t *codes = work->codes + r * tile->columns;

        if (packed->is_planar)
            unpack_planes(row, tile->column, packed->bits, (size_t)tile->columns, codes);
        else
            unpack(row, tile->column * packed->bits - from * 32, packed->bits, (size_t)tile->columns, codes);
    }
    return rc;
}

static int load_high_first(struct packed_work *work, const struct packed_tile *tile)
{
    const uint64_t from = tile->column / 2, to = (tile->column + tile->columns + 1) / 2;
    const struct packed_matrix bytes = {
        .part = work->packed->part, .dtype = DTYPE_U8, .row_step = work->packed->row_bytes, .column_step = 1};
    int rc = packed_work_read(work, &bytes, tile->row, tile->rows, from, to - from);

    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint8_t *row = work->raw + r * (to - from);
        uint8_t *codes = work->codes + r * tile->columns;

        for (uint64_t c = 0; c < tile->columns; c++) {
            const uint64_t at = tile->column + c;

            codes[c] = row[at / 2 - from] >> (at % 2 ? 0 : 4) & 15;
        }
    }
    return rc;
}

static int load_pairs(struct packed_work *work, const struct packed_tile *tile)
{
    const uint64_t from = tile->row / 2, to = (tile->row + tile->rows + 1) / 2;
    const struct packed_matrix bytes = {
        .part = work->packed->part, .dtype = DTYPE_U8, .row_step = work->packed->row_bytes, .column_step = 1};
    int rc = packed_work_read(work, &bytes, from, to - from, tile->column, tile->columns);

    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint64_t row = tile->row + r;
        const uint8_t *line = work->raw + (row / 2 - from) * tile->columns;
        uint8_t *codes = work->codes + r * tile->columns;

        for (uint64_t c = 0; c < tile->columns; c++)
            codes[c] = line[c] >> row % 2 * 4 & 15;
    }
    return rc;
}

static int load_awq(struct packed_work *work, const struct packed_tile *tile)
{
    const uint64_t from = tile->row / 8, to = (tile->row + tile->rows + 7) / 8;
    const struct packed_matrix words = {
        .part = work->packed->part, .dtype = DTYPE_U32, .row_step = 1, .column_step = work->packed->words};
    int rc = packed_work_read(work, &words, from, to - from, tile->column, tile->columns);

    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint64_t row = tile->row + r;
        const unsigned shift = 4u * awq_nibbles[row % 8];
        const uint8_t *line = work->raw + (row / 8 - from) * tile->columns * 4;
        uint8_t *codes = work->codes + r * tile->columns;

        for (size_t c = 0; c < tile->columns; c++)
            codes[c] = (uint8_t)(word_at(line, c) >> shift & 15);
    }
    return rc;
}

/* Column c of row r: word (c / 64) · 64 + (r % 4) · 16 + ((c / 32) % 2) · 8 + c % 8 of the four rows', four bits of it
 * from bit (c % 32) / 8 · 4 on. */
static int load_awq_fast(struct packed_work *work, const struct packed_tile *tile)
{
    const uint64_t from = tile->column / FAST_KNOT * FAST_KNOT;
    const uint64_t to = (tile->column + tile->columns + FAST_KNOT - 1) / FAST_KNOT * FAST_KNOT, width = to - from;
    const uint64_t top = tile->row / FAST_ROWS, bottom = (tile->row + tile->rows + FAST_ROWS - 1) / FAST_ROWS;
    const struct packed_matrix words = {
        .part = work->packed->part, .dtype = DTYPE_U16, .row_step = work->packed->columns, .column_step = 1};
    int rc = packed_work_read(work, &words, top, bottom - top, from, width);

    for (uint64_t r = 0; rc == 0 && r < tile->rows; r++) {
        const uint64_t row = tile->row + r;
        const uint8_t *line = work->raw + (row / FAST_ROWS - top) * width * 2;
        uint8_t *codes = work->codes + r * tile->columns;

        for (uint64_t i = 0; i < tile->columns; i++) {
            const uint64_t c = tile->column + i;
            const uint64_t at = c / FAST_KNOT * FAST_KNOT - from + row % FAST_ROWS * 16 + c / 32 % 2 * 8 + c % 8;

            codes[i] = line[2 * at + c % 32 / 16] >> (c % 16 / 8 * 4) & 15;
        }
    }
    return rc;
}

static int load_sections(struct packed_work *work, const struct packed_tile *tile)
{
    const struct packed *packed = work->packed;
    const struct packed_matrix units = {
        .part = packed->part, .dtype = packed->unit_bytes == 4 ? DTYPE_U32 : DTYPE_U8, .column_step = 1};
    const unsigned mask = (1u << packed->bits) - 1;
    uint64_t at = tile->row * packed->columns + tile->column, left = tile->rows * tile->columns;
    uint8_t *codes = work->codes;

    while (left > 0) {
        const uint64_t within = at % packed->section;
        const uint64_t n = left < packed->section - within ? left : packed->section - within;
        const unsigned shift = (unsigned)(packed->first_shift + (int)(at / packed->section) * packed->shift_step);
        int rc = packed_work_read(work, &units, 0, 1, within, n);

        if (rc)
            return rc;
        if (packed->unit_bytes == 4)
            for (size_t i = 0; i < n; i++)
                codes[i] = (uint8_t)(word_at(work->raw, i) >> shift & mask);
        else
            for (size_t i = 0; i < n; i++)
                codes[i] = (uint8_t)((unsigned)work->raw[i] >> shift & mask);
        at += n;
        left -= n;
        codes += n;
    }
    return 0;
}

int packed_load_codes(struct packed_work *work, const struct packed_tile *tile)
{
    static int (*const loads[])(struct packed_work *, const struct packed_tile *) = {
        [PACKED_ALONG] = load_along, [PACKED_DOWN] = load_down,         [PACKED_HIGH_FIRST] = load_high_first,
        [PACKED_AWQ] = load_awq,     [PACKED_AWQ_FAST] = load_awq_fast, [PACKED_SECTIONS] = load_sections,
        [PACKED_PAIRS] = load_pairs,
    };

    return loads[work->packed->codes](work, tile);
}

/* Code i of a run of words that lie `step` words apart, word 0 of which is the run's word `from`. */
static float zero_code(const struct packed *packed, const uint8_t *words, size_t step, uint64_t from, uint64_t i)
{
    const unsigned bits = packed->bits, each = packed->codes_per_word;
    const uint64_t bit = each ? i / each * 32 + i % each * bits : i * bits, word = bit / 32;
    uint64_t pair;

    if (packed->is_planar)
        return (float)plane_code(words + (i / 32 * bits - from) * step * 4, step, bits, (unsigned)(i % 32));
    pair = (uint32_t)(word_at(words, (size_t)(word - from) * step) + packed->zero_addend);
    if (bit % 32 + bits > 32)
        pair |= (uint64_t)word_at(words, (size_t)(word + 1 - from) * step) << 32;
    return (float)(pair >> bit % 32 & ((1u << bits) - 1)) + packed->zero_plus - packed->offset;
}

/* Zero points that are codes themselves, [row, row + rows) × [group, group + groups), less what codes are less too. */
int packed_load_zero_codes(struct packed_work *work, uint64_t row, uint64_t rows, uint64_t group, uint64_t groups,
                           float *out)
{
    const struct packed *packed = work->packed;
    uint64_t from, to;
    int rc;

    if (packed->zeros == PACKED_ZEROS_ALONG) {
        words_of(packed, group, groups, &from, &to);
        rc = packed_work_read(work, &packed->zero, row, rows, from, to - from);
        for (uint64_t r = 0; rc == 0 && r < rows; r++)
            for (uint64_t g = 0; g < groups; g++)
                *out++ = zero_code(packed, work->raw + r * (to - from) * 4, 1, from, group + g);
        return rc;
    }
    if (packed->zeros == PACKED_ZEROS_DOWN) {
        words_of(packed, row, rows, &from, &to);
        rc = packed_work_read(work, &packed->zero, from, to - from, group, groups);
        for (uint64_t r = 0; rc == 0 && r < rows; r++)
            for (uint64_t g = 0; g < groups; g++)
                *out++ = zero_code(packed, work->raw + g * 4, (size_t)groups, from, row + r);
        return rc;
    }
    from = row / 8;
    to = (row + rows + 7) / 8;
    rc = packed_work_read(work, &packed->zero, from, to - from, group, groups);
    for (uint64_t r = row; rc == 0 && r < row + rows; r++)
        for (uint64_t g = 0; g < groups; g++)
            *out++ =
                work->meanings[word_at(work->raw, (size_t)((r / 8 - from) * groups + g)) >> 4u * awq_nibbles[r % 8] &
                               15];
    return rc;
}
