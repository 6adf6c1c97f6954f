#include "core/format/numpy_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"

enum { HEADER_BYTES_MAX = 1 << 20, RANK_MAX = 64, NESTING_MAX = 32, MAGIC_BYTES = 6 };

/* What is left of the literal. */
struct literal {
    struct byte_reader *reader;
    const char *at, *end;
};

static bool wrong(struct literal *l, const char *what)
{
    return byte_reader_fault(l->reader, ERROR_FORMAT, "its header %s", what);
}

static void skip_blanks(struct literal *l)
{
    while (l->at < l->end && strchr(" \t\r\n", *l->at) && *l->at)
        l->at++;
}

static bool take(struct literal *l, char c)
{
    skip_blanks(l);
    if (l->at == l->end || *l->at != c)
        return false;
    l->at++;
    return true;
}

static bool take_word(struct literal *l, const char *word)
{
    const size_t bytes = strlen(word);

    skip_blanks(l);
    if ((size_t)(l->end - l->at) < bytes || memcmp(l->at, word, bytes) != 0)
        return false;
    l->at += bytes;
    return true;
}

/* A string without escapes: keys and dtypes have none. */
static bool take_string(struct literal *l, struct name *ret)
{
    const char *from, *to;
    char quote;

    skip_blanks(l);
    if (l->at == l->end || (*l->at != '\'' && *l->at != '"'))
        return false;
    quote = *l->at;
    from = l->at + 1;
    to = memchr(from, quote, (size_t)(l->end - from));
    if (!to)
        return false;
    *ret = (struct name){from, (uint32_t)(to - from)};
    l->at = to + 1;
    return true;
}

/* Python 2 wrote 10L. */
static bool take_count(struct literal *l, uint64_t *ret)
{
    uint64_t value = 0;
    const char *from;

    skip_blanks(l);
    for (from = l->at; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++)
        if (!checked_mul(value, 10, &value) || !checked_add(value, (uint64_t)(*l->at - '0'), &value))
            return false;
    if (l->at == from)
        return false;
    if (l->at < l->end && *l->at == 'L')
        l->at++;
    *ret = value;
    return true;
}

static bool read_shape(struct literal *l, struct arena *arena, struct shape *ret)
{
    uint64_t dims[RANK_MAX], elements = 1, *kept;
    uint32_t rank = 0;

    if (!take(l, '('))
        return wrong(l, "has a shape that is no tuple");
    while (!take(l, ')')) {
        if (rank == RANK_MAX)
            return byte_reader_fault(l->reader, ERROR_LIMIT, "its array claims more than %d dimensions", RANK_MAX);
        if (!take_count(l, &dims[rank]))
            return wrong(l, "has a shape with something else than counts");
        if (!checked_mul(elements, dims[rank], &elements))
            return wrong(l, "has a shape that multiplies to more than 2^64");
        rank++;
        if (!take(l, ',')) {
            if (!take(l, ')'))
                return wrong(l, "has a shape without an end");
            break;
        }
    }
    kept = arena_take_array(arena, (size_t)rank + 1, sizeof(*kept));
    if (!kept)
        return byte_reader_fault(l->reader, arena_error(arena), "its arrays %s", arena_error_text(arena));
    memcpy(kept, dims, rank * sizeof(*kept));
    *ret = (struct shape){.dims = kept, .elements = elements, .rank = rank};
    return true;
}

static const struct {
    char kind;
    uint64_t bytes;
    enum dtype dtype;
} dtypes[] = {
    {'b', 1, DTYPE_BOOL}, {'i', 1, DTYPE_I8},  {'i', 2, DTYPE_I16}, {'i', 4, DTYPE_I32},   {'i', 8, DTYPE_I64},
    {'u', 1, DTYPE_U8},   {'u', 2, DTYPE_U16}, {'u', 4, DTYPE_U32}, {'u', 8, DTYPE_U64},   {'f', 2, DTYPE_F16},
    {'f', 4, DTYPE_F32},  {'f', 8, DTYPE_F64}, {'c', 8, DTYPE_C64}, {'c', 16, DTYPE_C128},
};

enum dtype numpy_dtype(char kind, uint64_t item_bytes)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (dtypes[i].kind == kind && dtypes[i].bytes == item_bytes)
            return dtypes[i].dtype;
    return DTYPE_UNKNOWN;
}

/* "<f4": byte order, kind, bytes of an item (of a character, for U). */
static bool set_dtype(struct literal *l, struct numpy_header *header, struct name descr)
{
    const char *at = descr.text, *end = descr.text + descr.bytes;
    uint64_t bytes = 0;
    char kind;

    if (at < end && strchr("<>|=", *at) && *at)
        header->is_swapped = *at++ == '>';
    if (at == end)
        return wrong(l, "has an empty dtype");
    kind = *at++;
    if (kind == 'O')
        return byte_reader_fault(l->reader, ERROR_UNSUPPORTED,
                                 "holds Python objects (dtype object): a pickle, which is not read");
    while (at < end && *at >= '0' && *at <= '9' && bytes < UINT32_MAX)
        bytes = bytes * 10 + (uint64_t)(*at++ - '0');
    header->item_bytes = kind == 'U' ? 4 * bytes : bytes;
    if (at == end)
        header->dtype = numpy_dtype(kind, bytes);
    return true;
}

/* A list of fields: gone over, brackets and strings in balance. */
static bool skip_structured(struct literal *l)
{
    unsigned depth = 0;
    struct name text;

    do {
        skip_blanks(l);
        if (l->at == l->end)
            return wrong(l, "has a dtype without an end");
        if (*l->at == '\'' || *l->at == '"') {
            if (!take_string(l, &text))
                return wrong(l, "has a string without an end");
            if (text.bytes >= 2 && text.text[1] == 'O' && strchr("<>|=", text.text[0]))
                return byte_reader_fault(l->reader, ERROR_UNSUPPORTED,
                                         "holds Python objects (dtype object): a pickle, which is not read");
            continue;
        }
        if (*l->at == '[' || *l->at == '(')
            depth++;
        else if (*l->at == ']' || *l->at == ')')
            depth--;
        if (depth > NESTING_MAX)
            return byte_reader_fault(l->reader, ERROR_LIMIT, "its dtype is nested more than %d deep", NESTING_MAX);
        l->at++;
    } while (depth > 0);
    return true;
}

static bool read_descr(struct literal *l, struct arena *arena, struct numpy_header *header)
{
    struct name text = name_of("structured");
    char *copy;

    if (take_string(l, &text)) {
        if (!set_dtype(l, header, text))
            return false;
    } else if (l->at < l->end && (*l->at == '[' || *l->at == '(')) {
        if (!skip_structured(l))
            return false;
    } else {
        return wrong(l, "has a dtype that is neither text nor a list");
    }
    copy = arena_copy(arena, text.text, text.bytes);
    if (!copy)
        return byte_reader_fault(l->reader, arena_error(arena), "its arrays %s", arena_error_text(arena));
    header->descr = (struct name){copy, text.bytes};
    return true;
}

static bool read_literal(struct literal *l, struct arena *arena, struct numpy_header *header)
{
    bool has_descr = false, has_order = false, has_shape = false;

    if (!take(l, '{'))
        return wrong(l, "is no dict");
    while (!take(l, '}')) {
        struct name key;

        if (!take_string(l, &key) || !take(l, ':'))
            return wrong(l, "has something else than keys and values");
        if (name_equal(key, name_of("descr")) && !has_descr) {
            has_descr = true;
            if (!read_descr(l, arena, header))
                return false;
        } else if (name_equal(key, name_of("fortran_order")) && !has_order) {
            has_order = true;
            header->is_fortran = take_word(l, "True");
            if (!header->is_fortran && !take_word(l, "False"))
                return wrong(l, "has a fortran_order that is neither True nor False");
        } else if (name_equal(key, name_of("shape")) && !has_shape) {
            has_shape = true;
            if (!read_shape(l, arena, &header->shape))
                return false;
        } else {
            return wrong(l, "has a key that is not one of descr, fortran_order and shape, or has it twice");
        }
        if (!take(l, ',')) {
            if (!take(l, '}'))
                return wrong(l, "has no end");
            break;
        }
    }
    skip_blanks(l);
    if (l->at < l->end)
        return wrong(l, "goes on behind its dict");
    return (has_descr && has_order && has_shape) || wrong(l, "lacks descr, fortran_order or shape");
}

bool numpy_header_read(struct byte_reader *reader, struct arena *arena, struct numpy_header *ret_header)
{
    struct numpy_header header = {.dtype = DTYPE_UNKNOWN};
    struct literal literal = {.reader = reader};
    char magic[MAGIC_BYTES];
    uint64_t major, minor, length;
    char *text;
    bool is_read;

    if (!byte_reader_bytes(reader, magic, sizeof(magic), "the magic") ||
        !byte_reader_number(reader, 1, &major, "the version") || !byte_reader_number(reader, 1, &minor, "the version"))
        return false;
    if (memcmp(magic, "\x93NUMPY", sizeof(magic)) != 0)
        return byte_reader_fault(reader, ERROR_FORMAT, "does not begin as NumPy's arrays do");
    if (major < 1 || major > 3 || minor != 0)
        return byte_reader_fault(reader, ERROR_UNSUPPORTED,
                                 "is a NumPy array of version %" PRIu64 ".%" PRIu64 ", known are 1.0, 2.0 and 3.0",
                                 major, minor);
    if (!byte_reader_number(reader, major == 1 ? 2 : 4, &length, "the length of its header"))
        return false;
    if (length > byte_reader_rest(reader))
        return byte_reader_fault(reader, ERROR_FORMAT, "header claims %" PRIu64 " bytes, %" PRIu64 " are left", length,
                                 byte_reader_rest(reader));
    if (length > HEADER_BYTES_MAX)
        return byte_reader_fault(reader, ERROR_LIMIT, "header claims %" PRIu64 " bytes, the limit is %d", length,
                                 HEADER_BYTES_MAX);
    text = malloc((size_t)length + 1);
    if (!text)
        return byte_reader_fault(reader, ERROR_NO_MEMORY, "out of memory for a header");
    literal.at = text;
    literal.end = text + length;
    is_read = byte_reader_bytes(reader, text, (size_t)length, "its header") && read_literal(&literal, arena, &header);
    free(text);
    if (!is_read)
        return false;
    header.data_at = reader->at;
    *ret_header = header;
    return true;
}
