/* MATLAB 4: matrices one behind the other, each with a header of 20 bytes. There is no magic: the first header must be
 * one that a matrix has. */
#include <inttypes.h>
#include <string.h>

#include "core/checked.h"
#include "core/format/matlab.h"

enum { HEADER_BYTES = 20, NAME_BYTES_MAX = 256, TYPE_MAX = 4052, BIG_ENDIAN_IEEE = 1 };

struct header {
    uint64_t type, rows, columns, is_complex, name_bytes;
};

static const enum dtype precisions[] = {DTYPE_F64, DTYPE_F32, DTYPE_I32, DTYPE_I16, DTYPE_U16, DTYPE_U8};

static struct header parse(const uint8_t *bytes, bool is_swapped)
{
    uint64_t values[5] = {0};

    for (unsigned v = 0; v < 5; v++)
        for (unsigned i = 0; i < 4; i++)
            values[v] = values[v] << 8 | bytes[4 * v + (is_swapped ? i : 3 - i)];
    return (struct header){values[0], values[1], values[2], values[3], values[4]};
}

/* type is MOPT in decimal: machine, 0, precision, kind. */
static bool is_possible(const struct header *header, bool is_swapped)
{
    return header->type <= TYPE_MAX && header->type / 1000 == (is_swapped ? BIG_ENDIAN_IEEE : 0) &&
           header->type / 100 % 10 == 0 && header->type / 10 % 10 < sizeof(precisions) / sizeof(precisions[0]) &&
           header->type % 10 <= 2 && header->rows <= INT32_MAX && header->columns <= INT32_MAX &&
           header->is_complex <= 1 && header->name_bytes > 1 && header->name_bytes <= NAME_BYTES_MAX;
}

/* Bytes of one part. */
static bool part_bytes(const struct header *header, uint64_t *ret)
{
    const enum dtype dtype = precisions[header->type / 10 % 10];

    return checked_mul(header->rows * header->columns, dtype_traits(dtype)->bits / 8, ret);
}

static bool starts_here(const struct head *head, bool is_swapped)
{
    struct header header;

    if (head->first_bytes < HEADER_BYTES)
        return false;
    header = parse(head->first, is_swapped);
    if (!is_possible(&header, is_swapped) || HEADER_BYTES + header.name_bytes > head->first_bytes)
        return false;
    for (uint64_t i = 0; i + 1 < header.name_bytes; i++) {
        const uint8_t c = head->first[HEADER_BYTES + i];

        if (c == 0 && i > 0)
            break;
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(i > 0 && ((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return head->first[HEADER_BYTES + header.name_bytes - 1] == 0;
}

static bool matlab_4_probe(const struct head *head)
{
    return starts_here(head, false) || starts_here(head, true);
}

static bool read_matrix(struct matlab *m, uint64_t *at)
{
    uint8_t bytes[HEADER_BYTES];
    struct matlab_numbers numbers = {.rank = 2, .spelled = "char"};
    struct header header;
    struct name name;
    uint64_t part, *dims;
    char *text;

    if (m->source->size - *at < HEADER_BYTES)
        return matlab_fault(m, ERROR_FORMAT, "the header at offset %" PRIu64 " is cut off", *at);
    m->rc = source_read_at(m->source, *at, bytes, sizeof(bytes), m->err);
    if (m->rc)
        return false;
    header = parse(bytes, m->is_swapped);
    if (!is_possible(&header, m->is_swapped) || !part_bytes(&header, &part) || part > m->source->size ||
        (header.is_complex + 1) * part > m->source->size ||
        HEADER_BYTES + header.name_bytes + (header.is_complex + 1) * part > m->source->size - *at)
        return matlab_fault(m, ERROR_FORMAT,
                            "there is no matrix at offset %" PRIu64 ", or one of more bytes than the %" PRIu64
                            " that are left",
                            *at, m->source->size - *at);
    dims = arena_take_array(&m->arena, 2, sizeof(*dims));
    text = arena_take(&m->arena, header.name_bytes + 1);
    if (!dims || !text)
        return matlab_no_memory(m);
    m->rc = source_read_at(m->source, *at + HEADER_BYTES, text, header.name_bytes, m->err);
    if (m->rc)
        return false;
    dims[0] = header.rows;
    dims[1] = header.columns;
    name = (struct name){text, (uint32_t)strnlen(text, header.name_bytes)};
    numbers.dims = dims;
    numbers.bytes = part;
    numbers.at = *at + HEADER_BYTES + header.name_bytes;
    numbers.dtype = numbers.stored = header.type % 10 == 1 ? DTYPE_UNKNOWN : precisions[header.type / 10 % 10];
    *at = numbers.at + (header.is_complex + 1) * part;
    if (!header.is_complex)
        return matlab_add(m, name, &numbers);
    for (unsigned i = 0; i < 2; i++) {
        const struct name half = matlab_name(m, "%.*s.%s", (int)name.bytes, name.text, i ? "imag" : "real");

        if (!half.text || !matlab_add(m, half, &numbers))
            return false;
        numbers.at += part;
    }
    return true;
}

static int matlab_4_open(const struct opener *opener, struct source *source, struct model **ret_model,
                         struct error *err)
{
    struct matlab m;
    uint8_t first[4] = {0};
    uint64_t at = 0;

    if (matlab_begin(&m, opener, source, err) == 0)
        m.rc = source_read_at(source, 0, first, sizeof(first), err);
    m.is_swapped = first[0] == 0 && (first[2] || first[3]);
    while (m.rc == 0 && at < source->size && read_matrix(&m, &at))
        ;
    return matlab_finish(&m, &matlab_4_format, ret_model);
}

const struct format matlab_4_format = {
    .name = "mat-4",
    .summary = "MATLAB 4 .mat: matrices",
    .docs = &matlab_docs,
    .probe = matlab_4_probe,
    .open = matlab_4_open,
};
