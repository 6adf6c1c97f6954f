/* Arrays in Flax's msgpack: one extension each, or a map of pieces. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/format/flax.h"
#include "core/utf8.h"

enum { RANK_MAX = 64, EXTENSION_ARRAY = 1 };

/* As numpy and ml_dtypes name them. */
static const struct {
    const char *name;
    enum dtype dtype;
} dtypes[] = {
    {"float32", DTYPE_F32},
    {"float64", DTYPE_F64},
    {"float16", DTYPE_F16},
    {"bfloat16", DTYPE_BF16},
    {"float8_e4m3fn", DTYPE_F8_E4M3},
    {"float8_e5m2", DTYPE_F8_E5M2},
    {"float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ},
    {"float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ},
    {"float8_e8m0fnu", DTYPE_F8_E8M0},
    {"int8", DTYPE_I8},
    {"int16", DTYPE_I16},
    {"int32", DTYPE_I32},
    {"int64", DTYPE_I64},
    {"uint8", DTYPE_U8},
    {"uint16", DTYPE_U16},
    {"uint32", DTYPE_U32},
    {"uint64", DTYPE_U64},
    {"bool", DTYPE_BOOL},
    {"complex64", DTYPE_C64},
    {"complex128", DTYPE_C128},
    {"uint4", DTYPE_U8}, /* a byte each */
    {"int4", DTYPE_I8},  /* by a decoder */
};

static bool fault(struct flax *f, enum error_code code, const char *what)
{
    char path[NAME_PRINTABLE_BYTES];

    return byte_reader_fault(&f->bytes, code, "tensor %s: %s",
                             name_printable((struct name){f->path, (uint32_t)f->path_bytes}, path), what);
}

bool flax_no_memory(struct flax *f)
{
    return byte_reader_fault(&f->bytes, arena_error(&f->arena), "its values %s", arena_error_text(&f->arena));
}

static bool read_shape(struct flax *f, struct array *array)
{
    struct msgpack_token token;
    uint64_t *dims, elements = 1;
    uint32_t rank;

    if (!msgpack_next(&f->bytes, "a shape", &token))
        return false;
    if (token.kind != MSGPACK_ARRAY)
        return fault(f, ERROR_FORMAT, "its array's shape is no list");
    if (token.count > RANK_MAX)
        return fault(f, ERROR_FORMAT, "its array claims more than 64 dimensions");
    rank = (uint32_t)token.count;
    dims = arena_take_array(&f->arena, rank + 1u, sizeof(*dims));
    if (!dims)
        return flax_no_memory(f);
    for (uint32_t d = 0; d < rank; d++) {
        if (!msgpack_next(&f->bytes, "a dimension", &token))
            return false;
        if (token.kind != MSGPACK_INT || token.integer < 0)
            return fault(f, ERROR_FORMAT, "a dimension of its array is no count");
        dims[d] = (uint64_t)token.integer;
        if (!checked_mul(elements, dims[d], &elements))
            return fault(f, ERROR_FORMAT, "its array's dimensions multiply to more than 2^64");
    }
    array->shape = (struct shape){.dims = dims, .elements = elements, .rank = rank};
    return true;
}

static bool read_dtype(struct flax *f, struct array *array)
{
    struct msgpack_token token;

    if (!msgpack_next(&f->bytes, "a dtype", &token))
        return false;
    if ((token.kind != MSGPACK_TEXT && token.kind != MSGPACK_BINARY) || token.count >= sizeof(array->dtype_name))
        return fault(f, ERROR_FORMAT, "its array's dtype is no name");
    if (!byte_reader_bytes(&f->bytes, array->dtype_name, (size_t)token.count, "a dtype"))
        return false;
    array->dtype_name[token.count] = '\0';
    if (!utf8_is_valid(array->dtype_name, (size_t)token.count))
        return fault(f, ERROR_FORMAT, "its array's dtype is no name");
    array->dtype = DTYPE_UNKNOWN;
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(array->dtype_name, dtypes[i].name) == 0)
            array->dtype = dtypes[i].dtype;
    return true;
}

/* (shape, dtype, bytes), which fill the extension up. */
bool flax_array(struct flax *f, uint64_t extension_bytes, struct array *ret_array)
{
    const uint64_t end = f->bytes.at + extension_bytes;
    struct array array = {0};
    struct msgpack_token token;
    char path[NAME_PRINTABLE_BYTES];
    uint64_t bytes;

    if (!msgpack_next(&f->bytes, "an array", &token))
        return false;
    if (token.kind != MSGPACK_ARRAY || token.count != 3)
        return fault(f, ERROR_FORMAT, "its array is not (shape, dtype, bytes)");
    if (!read_shape(f, &array) || !read_dtype(f, &array) || !msgpack_next(&f->bytes, "an array's bytes", &token))
        return false;
    array.offset = f->bytes.at;
    array.bytes = token.count;
    if ((token.kind != MSGPACK_BINARY && token.kind != MSGPACK_TEXT) || array.offset > end ||
        token.count != end - array.offset)
        return fault(f, ERROR_FORMAT, "its array's bytes do not fill its extension");
    name_printable((struct name){f->path, (uint32_t)f->path_bytes}, path);
    if (array.dtype != DTYPE_UNKNOWN &&
        (!checked_mul(array.shape.elements, dtype_traits(array.dtype)->bits / 8, &bytes) || bytes != array.bytes))
        return byte_reader_fault(&f->bytes, ERROR_FORMAT,
                                 "tensor %s: %" PRIu64 " elements of %s do not take the %" PRIu64 " bytes that it has",
                                 path, array.shape.elements, array.dtype_name, array.bytes);
    *ret_array = array;
    return byte_reader_skip(&f->bytes, array.bytes, "an array");
}

/* A map's key as a component of a path, until the next one. */
bool flax_key(struct flax *f, struct name *ret_key)
{
    struct msgpack_token token;

    if (!msgpack_next(&f->bytes, "a key", &token))
        return false;
    if (token.kind == MSGPACK_INT) {
        *ret_key = (struct name){f->key, (uint32_t)snprintf(f->key, sizeof(f->key), "%" PRId64, token.integer)};
        return true;
    }
    if (token.kind != MSGPACK_TEXT && token.kind != MSGPACK_BINARY)
        return fault(f, ERROR_UNSUPPORTED, "a key is neither a text nor a number");
    if (token.count >= FLAX_PATH_BYTES)
        return byte_reader_fault(&f->bytes, ERROR_LIMIT, "a name has more than %d bytes", FLAX_PATH_BYTES);
    if (!byte_reader_bytes(&f->bytes, f->key, (size_t)token.count, "a key"))
        return false;
    if (!utf8_is_valid(f->key, (size_t)token.count))
        return fault(f, ERROR_FORMAT, "a key is no UTF-8");
    *ret_key = (struct name){f->key, (uint32_t)token.count};
    return true;
}

bool flax_is_chunked(struct name key)
{
    return name_equal(key, name_of("__msgpack_chunked_array__"));
}

static bool key_is(struct name key, const char *text)
{
    return name_equal(key, name_of(text));
}

/* The number that a key "12" is. */
static bool index_of(struct name key, uint64_t count, uint64_t *ret_index)
{
    uint64_t index = 0;

    if (key.bytes == 0 || key.bytes > 9)
        return false;
    for (uint32_t i = 0; i < key.bytes; i++) {
        if (key.text[i] < '0' || key.text[i] > '9')
            return false;
        index = index * 10 + (uint64_t)(key.text[i] - '0');
    }
    *ret_index = index;
    return index < count;
}

/* {"0": dimension, "1": …} */
static bool read_shape_map(struct flax *f, struct array *whole)
{
    struct msgpack_token token;
    uint64_t *dims, elements = 1, seen = 0, count;

    if (!msgpack_next(&f->bytes, "a shape", &token))
        return false;
    count = token.count;
    if (token.kind != MSGPACK_MAP || count > RANK_MAX)
        return fault(f, ERROR_FORMAT, "the shape of its pieces is no map of at most 64 dimensions");
    dims = arena_take_array(&f->arena, (size_t)count + 1, sizeof(*dims));
    if (!dims)
        return flax_no_memory(f);
    for (uint64_t i = 0; i < count; i++) {
        struct name key;
        uint64_t at;

        if (!flax_key(f, &key) || !msgpack_next(&f->bytes, "a dimension", &token))
            return false;
        if (!index_of(key, count, &at) || token.kind != MSGPACK_INT || token.integer < 0 || (seen >> at & 1))
            return fault(f, ERROR_FORMAT, "a dimension of its pieces is no count");
        seen |= UINT64_C(1) << at;
        dims[at] = (uint64_t)token.integer;
    }
    for (uint64_t d = 0; d < count; d++)
        if (!checked_mul(elements, dims[d], &elements))
            return fault(f, ERROR_FORMAT, "the dimensions of its pieces multiply to more than 2^64");
    whole->shape = (struct shape){.dims = dims, .elements = elements, .rank = (uint32_t)count};
    return true;
}

/* {"0": array, "1": …}: read into parts, in the order of their numbers. */
static bool read_parts(struct flax *f, struct array **ret_parts, uint64_t *ret_count)
{
    struct msgpack_token token;
    struct array *parts;
    uint64_t count;

    if (!msgpack_next(&f->bytes, "pieces", &token))
        return false;
    count = token.count;
    if (token.kind != MSGPACK_MAP || count == 0)
        return fault(f, ERROR_FORMAT, "its pieces are no map");
    parts = arena_take_array(&f->arena, (size_t)count, sizeof(*parts));
    if (!parts)
        return flax_no_memory(f);
    for (uint64_t i = 0; i < count; i++) {
        struct name key;
        uint64_t at;

        if (!flax_key(f, &key) || !msgpack_next(&f->bytes, "a piece", &token))
            return false;
        if (!index_of(key, count, &at) || parts[at].dtype_name[0] || token.kind != MSGPACK_EXTENSION ||
            token.extension != EXTENSION_ARRAY)
            return fault(f, ERROR_FORMAT, "a piece is no array, or has no number of its own");
        if (!flax_array(f, token.count, &parts[at]))
            return false;
    }
    *ret_parts = parts;
    *ret_count = count;
    return true;
}

static bool join(struct flax *f, const struct shape *shape, const struct array *parts, uint64_t count,
                 struct tensor *ret_tensor)
{
    struct tile *list = arena_take_array(&f->arena, (size_t)count, sizeof(*list));
    struct tiles *tiles = arena_take(&f->arena, sizeof(*tiles));
    struct storage *storage = arena_take(&f->arena, sizeof(*storage));
    char path[NAME_PRINTABLE_BYTES];
    struct tensor tensor = {.dtype = parts[0].dtype, .shape = *shape};
    uint64_t elements = 0;

    if (!list || !tiles || !storage)
        return flax_no_memory(f);
    if (tensor.dtype == DTYPE_UNKNOWN || strcmp(parts[0].dtype_name, "int4") == 0)
        return fault(f, ERROR_UNSUPPORTED, "its pieces are of a dtype that is not put together here");
    for (uint64_t i = 0; i < count; i++) {
        const struct array *part = &parts[i];

        if (part->dtype != tensor.dtype)
            return fault(f, ERROR_FORMAT, "its pieces are of more than one dtype");
        if (part->bytes == 0)
            continue;
        list[tiles->count++] =
            (struct tile){.row = elements, .rows = part->shape.elements, .columns = 1, .offset = part->offset};
        elements += part->shape.elements; /* in the file: no overflow */
        tensor.extent.bytes += part->bytes;
    }
    if (elements != shape->elements)
        return byte_reader_fault(
            &f->bytes, ERROR_FORMAT, "tensor %s: its pieces have %" PRIu64 " elements, its shape has %" PRIu64,
            name_printable((struct name){f->path, (uint32_t)f->path_bytes}, path), elements, shape->elements);
    if (elements > 0) {
        tiles->columns = 1;
        tiles_settle(tiles, list, &tensor);
        *storage = (struct storage){.decoder = &decoder_tiles, .parameters = tiles};
        tensor.storage = storage;
    }
    *ret_tensor = tensor;
    return true;
}

bool flax_chunked(struct flax *f, uint64_t pairs, struct tensor *ret_tensor)
{
    struct array whole = {0}, *parts = NULL;
    struct msgpack_token token;
    bool has_shape = false;
    uint64_t count = 0;

    if (!msgpack_next(&f->bytes, "a value", &token))
        return false;
    if (token.kind != MSGPACK_BOOL || !token.integer)
        return fault(f, ERROR_FORMAT, "is an array in pieces and is not");
    for (uint64_t i = 1; i < pairs; i++) {
        struct name key;

        if (!flax_key(f, &key))
            return false;
        if (key_is(key, "shape") && !has_shape) {
            has_shape = true;
            if (!read_shape_map(f, &whole))
                return false;
        } else if (key_is(key, "chunks") && !parts) {
            if (!read_parts(f, &parts, &count))
                return false;
        } else {
            return fault(f, ERROR_FORMAT, "is an array in pieces with something else than a shape and chunks");
        }
    }
    if (!has_shape || !parts)
        return fault(f, ERROR_FORMAT, "is an array in pieces without a shape or chunks");
    return join(f, &whole.shape, parts, count, ret_tensor);
}
