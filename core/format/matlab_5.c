/* MATLAB 5 to 7: a header of 128 bytes, then arrays as tagged elements, from 7 on each of them deflated. Cells and
 * structs hold arrays, which get MATLAB's own expressions for names: net.layers{2}.weights. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/checked.h"
#include "core/format/matlab.h"
#include "core/io/inflated.h"

enum {
    HEADER_BYTES = 128,
    RANK_MAX = 32,
    NAME_MAX_BYTES = 4096,
    FIELDS_MAX = 4096,
    KEPT_BYTES_MAX = 65536, /* of a deflated array, which is inflated at once then, and its checksum held against it */
    ZLIB_HEADER_BYTES = 2,
    ZLIB_CHECKSUM_BYTES = 4,

    TYPE_INT8 = 1,
    TYPE_INT32 = 5,
    TYPE_UINT32 = 6,
    TYPE_MATRIX = 14,
    TYPE_COMPRESSED = 15,
    TYPE_UTF8 = 16,

    CLASS_CELL = 1,
    CLASS_STRUCT = 2,
    CLASS_OBJECT = 3,
    CLASS_CHAR = 4,
    CLASS_SPARSE = 5,
    CLASS_DOUBLE = 6,
    CLASS_FUNCTION = 16,
    CLASS_OPAQUE = 17,

    FLAG_LOGICAL = 0x200,
    FLAG_COMPLEX = 0x800
};

/* Of an element's tag: what its numbers are stored as. */
static const enum dtype stored_types[] = {
    [1] = DTYPE_I8,  [2] = DTYPE_U8,  [3] = DTYPE_I16, [4] = DTYPE_U16,  [5] = DTYPE_I32,
    [6] = DTYPE_U32, [7] = DTYPE_F32, [9] = DTYPE_F64, [12] = DTYPE_I64, [13] = DTYPE_U64};
/* Of an array's flags: what they are, from CLASS_DOUBLE on. */
static const enum dtype class_types[] = {DTYPE_F64, DTYPE_F32, DTYPE_I8,  DTYPE_U8,  DTYPE_I16,
                                         DTYPE_U16, DTYPE_I32, DTYPE_U32, DTYPE_I64, DTYPE_U64};

/* The elements that are being read: those of the file, or of a deflated one. */
struct stream {
    struct matlab *m;
    struct byte_reader reader;
    uint32_t file;
    unsigned depth;
};

struct element {
    unsigned type;
    uint64_t at, bytes;
    uint64_t end; /* with its padding */
};

static bool read_array(struct stream *stream, uint64_t end, struct name outer, bool is_inner);

static bool fault(struct stream *stream, const char *what)
{
    return matlab_fault(stream->m, ERROR_FORMAT, "%s at offset %" PRIu64 "%s", what, stream->reader.at,
                        stream->file ? " of a deflated array" : "");
}

static bool reader_good(struct stream *stream)
{
    if (stream->reader.rc && !stream->m->rc)
        stream->m->rc = stream->reader.rc;
    return stream->m->rc == 0;
}

/* A tag; small elements have their bytes within it. Ends before end, or is refused. */
static bool read_tag(struct stream *stream, uint64_t end, const char *what, struct element *ret)
{
    struct byte_reader *reader = &stream->reader;
    uint64_t first, bytes;

    if (end < reader->at || end - reader->at < 8)
        return fault(stream, what);
    if (!byte_reader_number(reader, 4, &first, what))
        return reader_good(stream);
    if (first >> 16) {
        *ret = (struct element){.type = first & 0xffff, .at = reader->at, .bytes = first >> 16, .end = reader->at + 4};
        return ret->bytes <= 4 || fault(stream, "a small element of more than 4 bytes");
    }
    if (!byte_reader_number(reader, 4, &bytes, what))
        return reader_good(stream);
    if (bytes > end - reader->at)
        return matlab_fault(stream->m, ERROR_FORMAT,
                            "an element at offset %" PRIu64 " claims %" PRIu64 " bytes, %" PRIu64 " are left",
                            reader->at, bytes, end - reader->at);
    *ret = (struct element){.type = (unsigned)first, .at = reader->at, .bytes = bytes};
    ret->end = reader->at + (bytes + 7) / 8 * 8;
    if (ret->end > end)
        ret->end = end; /* deflated ones are not padded */
    return true;
}

static bool skip_to(struct stream *stream, uint64_t at)
{
    if (at < stream->reader.at)
        return fault(stream, "elements overlap");
    return byte_reader_skip(&stream->reader, at - stream->reader.at, "an element") || reader_good(stream);
}

static bool read_bytes(struct stream *stream, const struct element *element, uint64_t most, const char *what,
                       char **ret_text)
{
    char *text = element->bytes <= most ? arena_take(&stream->m->arena, element->bytes + 1) : NULL;

    if (element->bytes > most)
        return fault(stream, what);
    if (!text)
        return matlab_no_memory(stream->m);
    if (!byte_reader_bytes(&stream->reader, text, element->bytes, what))
        return reader_good(stream);
    *ret_text = text;
    return skip_to(stream, element->end);
}

static bool read_dims(struct stream *stream, uint64_t end, struct matlab_numbers *numbers)
{
    struct element element;
    uint64_t *dims, value = 0;

    if (!read_tag(stream, end, "an array's dimensions are cut off", &element))
        return false;
    if ((element.type != TYPE_INT32 && element.type != TYPE_UINT32) || element.bytes % 4 || element.bytes < 4 ||
        element.bytes / 4 > RANK_MAX)
        return fault(stream, "an array's dimensions are none");
    numbers->rank = (uint32_t)(element.bytes / 4);
    dims = arena_take_array(&stream->m->arena, numbers->rank, sizeof(*dims));
    if (!dims)
        return matlab_no_memory(stream->m);
    for (uint32_t d = 0; d < numbers->rank; d++) {
        if (!byte_reader_number(&stream->reader, 4, &value, "a dimension"))
            return reader_good(stream);
        if (value > INT32_MAX)
            return fault(stream, "a dimension is negative");
        dims[d] = value;
    }
    numbers->dims = dims;
    return skip_to(stream, element.end);
}

static bool read_name(struct stream *stream, uint64_t end, const char *what, struct name *ret)
{
    struct element element;
    char *text = NULL;

    if (!read_tag(stream, end, what, &element))
        return false;
    if (element.type != TYPE_INT8 && element.type != TYPE_UTF8)
        return fault(stream, "a name is no text");
    if (!read_bytes(stream, &element, NAME_MAX_BYTES, "a name is too long", &text))
        return false;
    *ret = (struct name){text, (uint32_t)strnlen(text, element.bytes)};
    return true;
}

/* One element of numbers, as a tensor; without dimensions, it is a vector of as many as there are. MATLAB keeps the
 * logicals of a sparse array as doubles, or as bytes that it calls doubles: known by the number of nonzeros, or 0. */
static bool add_numbers(struct stream *stream, uint64_t end, struct name name, const struct matlab_numbers *shape,
                        uint64_t nonzeros)
{
    struct matlab_numbers numbers = *shape;
    struct element element;
    uint64_t *dim;

    if (!read_tag(stream, end, "an array's numbers are cut off", &element))
        return false;
    if (element.type < sizeof(stored_types) / sizeof(stored_types[0]))
        numbers.stored = stored_types[element.type];
    if (numbers.stored == DTYPE_UNKNOWN && numbers.dtype != DTYPE_UNKNOWN)
        return fault(stream, "an array's numbers are of a type that is not known");
    if (numbers.dtype == DTYPE_BOOL && (numbers.stored == DTYPE_U8 || (nonzeros && element.bytes == nonzeros)))
        numbers.stored = DTYPE_BOOL;
    else if (numbers.dtype == DTYPE_BOOL)
        numbers.dtype = numbers.stored;
    if (numbers.dtype == DTYPE_UNKNOWN)
        numbers.stored = DTYPE_UNKNOWN;
    numbers.file = stream->file;
    numbers.at = element.at;
    numbers.bytes = element.bytes;
    if (!numbers.dims && numbers.stored != DTYPE_UNKNOWN) {
        dim = arena_take(&stream->m->arena, sizeof(*dim));
        if (!dim)
            return matlab_no_memory(stream->m);
        *dim = element.bytes / (dtype_traits(numbers.stored)->bits / 8);
        if (element.bytes % (dtype_traits(numbers.stored)->bits / 8))
            return fault(stream, "an array's numbers are cut off");
        numbers.dims = dim;
        numbers.rank = 1;
    }
    return matlab_add(stream->m, name, &numbers) && skip_to(stream, element.end);
}

/* The real part, and the imaginary one if there is. */
static bool add_parts(struct stream *stream, uint64_t end, struct name name, const struct matlab_numbers *shape,
                      bool is_complex, uint64_t nonzeros)
{
    struct matlab *m = stream->m;
    const int bytes = (int)name.bytes;

    if (!is_complex)
        return add_numbers(stream, end, name, shape, nonzeros);
    for (int i = 0; i < 2; i++) {
        const struct name part = matlab_name(m, "%.*s.%s", bytes, name.text, i ? "imag" : "real");

        if (!part.text || !add_numbers(stream, end, part, shape, nonzeros))
            return false;
    }
    return true;
}

static bool add_sparse(struct stream *stream, uint64_t end, struct name name, enum dtype dtype, bool is_complex)
{
    const struct matlab_numbers indices = {.dtype = DTYPE_I32}, values = {.dtype = dtype};
    struct matlab *m = stream->m;
    const struct name ir = matlab_name(m, "%.*s.ir", (int)name.bytes, name.text);
    const struct name jc = matlab_name(m, "%.*s.jc", (int)name.bytes, name.text);
    const struct name data = matlab_name(m, "%.*s.data", (int)name.bytes, name.text);
    uint64_t nonzeros;

    if (m->rc || !add_numbers(stream, end, ir, &indices, 0))
        return false;
    nonzeros = m->model->tensors[m->model->tensor_count - 1].shape.elements;
    return add_numbers(stream, end, jc, &indices, 0) && add_parts(stream, end, data, &values, is_complex, nonzeros);
}

/* Arrays within an array: their number is that of its elements, each has a tag at least. */
static bool count_inner(struct stream *stream, uint64_t end, const struct matlab_numbers *shape, uint64_t *ret_count)
{
    uint64_t count = 1;

    for (uint32_t d = 0; d < shape->rank; d++)
        if (!checked_mul(count, shape->dims[d], &count))
            count = UINT64_MAX;
    if (count > (end - stream->reader.at) / 8)
        return matlab_fault(stream->m, ERROR_FORMAT,
                            "an array of %" PRIu64 " arrays at offset %" PRIu64 " has %" PRIu64 " bytes for them",
                            count, stream->reader.at, end - stream->reader.at);
    *ret_count = count;
    return true;
}

static bool read_inner(struct stream *stream, uint64_t end, struct name name)
{
    struct element element;

    if (!name.text || !read_tag(stream, end, "an array within an array is cut off", &element))
        return false;
    if (element.type != TYPE_MATRIX)
        return fault(stream, "what lies within an array is no array");
    if (stream->depth + 1 > stream->m->opener->limits->nesting)
        return matlab_fault(stream->m, ERROR_LIMIT, "its arrays are nested more than %u deep, the limit",
                            stream->m->opener->limits->nesting);
    stream->depth++;
    if (element.bytes && !read_array(stream, element.at + element.bytes, name, true))
        return false;
    stream->depth--;
    return skip_to(stream, element.end);
}

static bool read_cells(struct stream *stream, uint64_t end, struct name name, const struct matlab_numbers *shape)
{
    uint64_t count;

    if (!count_inner(stream, end, shape, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!read_inner(stream, end, matlab_name(stream->m, "%.*s{%" PRIu64 "}", (int)name.bytes, name.text, i + 1)))
            return false;
    return true;
}

/* Names of one length, one behind the other; then the fields of each struct. */
static bool read_structs(struct stream *stream, uint64_t end, struct name name, const struct matlab_numbers *shape)
{
    struct element length_element, names;
    uint64_t count, length = 0, fields;
    char *text = NULL;

    if (!read_tag(stream, end, "the length of a struct's names is cut off", &length_element))
        return false;
    if (length_element.type != TYPE_INT32 || length_element.bytes != 4)
        return fault(stream, "the length of a struct's names is none");
    if (!byte_reader_number(&stream->reader, 4, &length, "a length"))
        return reader_good(stream);
    if (!skip_to(stream, length_element.end) || !read_tag(stream, end, "a struct's names are cut off", &names))
        return false;
    fields = length ? names.bytes / length : 0;
    if ((length == 0 && names.bytes) || length > NAME_MAX_BYTES || fields > FIELDS_MAX)
        return fault(stream, "a struct's names are of no possible length");
    if (!read_bytes(stream, &names, (uint64_t)NAME_MAX_BYTES * FIELDS_MAX, "a struct's names are too long", &text))
        return false;
    if (fields == 0)
        return true;
    if (!count_inner(stream, end, shape, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t f = 0; f < fields; f++) {
            const char *field = text + f * length;
            const int bytes = (int)strnlen(field, length);
            const struct name inner =
                count == 1
                    ? matlab_name(stream->m, "%.*s.%.*s", (int)name.bytes, name.text, bytes, field)
                    : matlab_name(stream->m, "%.*s(%" PRIu64 ").%.*s", (int)name.bytes, name.text, i + 1, bytes, field);

            if (!read_inner(stream, end, inner))
                return false;
        }
    return true;
}

static bool read_content(struct stream *stream, uint64_t end, struct name name, uint64_t flags,
                         struct matlab_numbers *numbers)
{
    const unsigned class_of = flags & 0xff;
    const bool is_complex = flags & FLAG_COMPLEX, is_logical = flags & FLAG_LOGICAL;
    struct name class_name;

    if (class_of >= CLASS_DOUBLE && class_of < CLASS_FUNCTION) {
        numbers->dtype = is_logical && class_of == CLASS_DOUBLE + 3 ? DTYPE_BOOL : class_types[class_of - CLASS_DOUBLE];
        return add_parts(stream, end, name, numbers, is_complex, 0);
    }
    switch (class_of) {
    case CLASS_CELL:
        return read_cells(stream, end, name, numbers);
    case CLASS_STRUCT:
        return read_structs(stream, end, name, numbers);
    case CLASS_OBJECT:
        return read_name(stream, end, "an object's class is cut off", &class_name) &&
               read_structs(stream, end, name, numbers);
    case CLASS_SPARSE:
        return add_sparse(stream, end, name, is_logical ? DTYPE_BOOL : DTYPE_F64, is_complex);
    case CLASS_CHAR:
        numbers->dtype = DTYPE_UNKNOWN;
        numbers->spelled = "char";
        return end - stream->reader.at < 8 || add_numbers(stream, end, name, numbers, 0);
    case CLASS_FUNCTION:
        return matlab_left_out(stream->m, name, "a function");
    default:
        return matlab_fault(stream->m, ERROR_FORMAT, "an array at offset %" PRIu64 " is of class %u, which is none",
                            stream->reader.at, class_of);
    }
}

/* An array that ends at end: flags, dimensions, name, and what its class has. Those within others have no name. */
static bool read_array(struct stream *stream, uint64_t end, struct name outer, bool is_inner)
{
    struct matlab_numbers numbers = {.dtype = DTYPE_UNKNOWN};
    struct element element;
    struct name name = {0};
    uint64_t flags = 0;

    if (!read_tag(stream, end, "an array's flags are cut off", &element))
        return false;
    if (element.type != TYPE_UINT32 || element.bytes != 8)
        return fault(stream, "an array has no flags");
    if (!byte_reader_number(&stream->reader, 4, &flags, "an array's flags"))
        return reader_good(stream);
    if (!skip_to(stream, element.end))
        return false;
    if ((flags & 0xff) == CLASS_OPAQUE) { /* no dimensions: a name comes next */
        if (!read_name(stream, end, "an object's name is cut off", &name))
            return false;
        return matlab_left_out(stream->m, is_inner ? outer : name, "an object") && skip_to(stream, end);
    }
    if (!read_dims(stream, end, &numbers) || !read_name(stream, end, "an array's name is cut off", &name))
        return false;
    if (!is_inner && name.bytes == 0)
        return matlab_left_out(stream->m, name_of("what objects share"), "an array without a name") &&
               skip_to(stream, end);
    return read_content(stream, end, is_inner ? outer : name, flags, &numbers) && skip_to(stream, end);
}

/* The array that a deflated element holds. What it takes inflated stands in its first 8 bytes. */
static bool measure_deflated(struct stream *stream, const struct element *element, uint64_t *ret_bytes)
{
    uint8_t stored[256], tag[8] = {0};
    const size_t count = element->bytes < sizeof(stored) ? (size_t)element->bytes : sizeof(stored);
    z_stream z = {.next_in = stored, .avail_in = (unsigned)count, .next_out = tag, .avail_out = sizeof(tag)};
    uint64_t type = 0, bytes = 0;

    stream->m->rc = source_read_at(stream->m->source, element->at, stored, count, stream->m->err);
    if (stream->m->rc)
        return false;
    if (inflateInit(&z) != Z_OK)
        return matlab_no_memory(stream->m);
    while (z.avail_out && inflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in)
        ;
    inflateEnd(&z);
    if (z.avail_out)
        return fault(stream, "damaged deflated bytes");
    for (unsigned i = 0; i < 4; i++) {
        type = type << 8 | tag[stream->m->is_swapped ? i : 3 - i];
        bytes = bytes << 8 | tag[stream->m->is_swapped ? 4 + i : 7 - i];
    }
    if (type != TYPE_MATRIX)
        return fault(stream, "what is deflated is no array");
    *ret_bytes = 8 + bytes;
    return true;
}

/* Small ones are inflated here and now. */
static bool inflate_whole(struct stream *stream, const struct element *element, uint64_t bytes, struct source **ret)
{
    struct matlab *m = stream->m;
    uint8_t *stored = element->bytes <= 2 * KEPT_BYTES_MAX ? malloc(element->bytes + 1) : NULL;
    uint8_t *data = arena_take(&m->arena, bytes + 1);
    uLongf count = bytes + 1; /* one more, to see whether there is */
    int rc = Z_MEM_ERROR;

    if (element->bytes > 2 * KEPT_BYTES_MAX)
        return fault(stream, "more deflated bytes than an array needs");
    if (stored && data) {
        m->rc = source_read_at(m->source, element->at, stored, (size_t)element->bytes, m->err);
        if (m->rc == 0)
            rc = uncompress(data, &count, stored, (uLong)element->bytes);
    }
    free(stored);
    if (m->rc)
        return false;
    if (rc == Z_MEM_ERROR)
        return matlab_no_memory(m);
    if (rc != Z_OK || count != bytes)
        return matlab_fault(m, ERROR_FORMAT,
                            "the deflated bytes at offset %" PRIu64 " are damaged, or give other than the %" PRIu64
                            " bytes that are claimed",
                            element->at, bytes);
    m->rc = memory_open(data, bytes, m->model->uri, ret, m->err);
    return m->rc == 0;
}

static bool read_deflated(struct stream *stream, const struct element *element)
{
    struct matlab *m = stream->m;
    struct stream inner = {.m = m};
    struct element array;
    struct source *source = NULL;
    uint64_t bytes = 0;
    bool is_good;

    if (element->bytes <= ZLIB_HEADER_BYTES + ZLIB_CHECKSUM_BYTES)
        return fault(stream, "too few deflated bytes");
    if (!measure_deflated(stream, element, &bytes))
        return false;
    if (bytes <= KEPT_BYTES_MAX) {
        if (!inflate_whole(stream, element, bytes, &source))
            return false;
    } else {
        m->rc = inflated_open(m->source, element->at + ZLIB_HEADER_BYTES,
                              element->bytes - ZLIB_HEADER_BYTES - ZLIB_CHECKSUM_BYTES, bytes, &source, m->err);
        if (m->rc)
            return false;
    }
    inner.file = matlab_add_file(m, source, element->bytes);
    if (inner.file == UINT32_MAX)
        return false;
    m->rc = byte_reader_open(&inner.reader, source, 0, bytes, m->err);
    if (m->rc)
        return false;
    inner.reader.is_swapped = m->is_swapped;
    is_good = read_tag(&inner, bytes, "a deflated array is cut off", &array) &&
              read_array(&inner, array.at + array.bytes, (struct name){0}, false);
    byte_reader_done(&inner.reader);
    return is_good;
}

static bool read_file(struct matlab *m)
{
    struct stream stream = {.m = m};
    const uint64_t end = m->source->size;
    bool is_good = true;

    m->rc = byte_reader_open(&stream.reader, m->source, HEADER_BYTES, end, m->err);
    if (m->rc)
        return false;
    stream.reader.is_swapped = m->is_swapped;
    while (is_good && stream.reader.at < end) {
        struct element element;

        is_good = read_tag(&stream, end, "an element is cut off", &element);
        if (!is_good)
            break;
        if (element.type == TYPE_COMPRESSED) { /* the only ones without padding */
            is_good = read_deflated(&stream, &element) && skip_to(&stream, element.at + element.bytes);
        } else if (element.type == TYPE_MATRIX) {
            is_good =
                (element.bytes == 0 || read_array(&stream, element.at + element.bytes, (struct name){0}, false)) &&
                skip_to(&stream, element.end);
        } else {
            is_good = matlab_fault(m, ERROR_FORMAT, "the element at offset %" PRIu64 " is of type %u: no array",
                                   element.at, element.type);
        }
    }
    byte_reader_done(&stream.reader);
    return is_good;
}

static bool matlab_5_probe(const struct head *head)
{
    const uint8_t *at = head->first + HEADER_BYTES - 4;
    const bool is_little = memcmp(at + 2, "IM", 2) == 0 && at[0] == 0 && at[1] == 1;
    const bool is_big = memcmp(at + 2, "MI", 2) == 0 && at[0] == 1 && at[1] == 0;

    return head->first_bytes >= HEADER_BYTES && memchr(head->first, '\0', 4) == NULL && (is_little || is_big);
}

static int matlab_5_open(const struct opener *opener, struct source *source, struct model **ret_model,
                         struct error *err)
{
    struct matlab m;
    char order = 'I';

    if (matlab_begin(&m, opener, source, err) == 0)
        m.rc = source_read_at(source, HEADER_BYTES - 2, &order, 1, err);
    m.is_swapped = order == 'M';
    if (m.rc == 0)
        read_file(&m);
    return matlab_finish(&m, &matlab_5_format, ret_model);
}

const struct format matlab_5_format = {
    .name = "mat",
    .summary = "MATLAB 5 to 7 .mat: arrays, deflated or not, those within structs and cells too",
    .docs = &matlab_docs,
    .probe = matlab_5_probe,
    .open = matlab_5_open,
};
