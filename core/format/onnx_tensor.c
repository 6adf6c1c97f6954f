/* TensorProto: dims, a type, and the data in one of three places: raw bytes, fields by type (numbers of variable
 * length, which are unpacked into memory when the file is opened), or another file beside. (onnx/onnx, onnx.proto3.) */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/format/onnx.h"

enum { RANK_MAX = 64, TEXT_MAX = 65536, EXTERNAL = 1 };

enum field {
    FIELD_DIMS = 1,
    FIELD_TYPE = 2,
    FIELD_FLOAT = 4,
    FIELD_INT32 = 5,
    FIELD_STRING = 6,
    FIELD_INT64 = 7,
    FIELD_NAME = 8,
    FIELD_RAW = 9,
    FIELD_DOUBLE = 10,
    FIELD_UINT64 = 11,
    FIELD_EXTERNAL = 13,
    FIELD_LOCATION = 14,
};

/* Where a type's elements lie when they are not raw, and what they take raw. */
static const struct onnx_type {
    const char *name;
    enum dtype dtype;
    unsigned bits;
    enum field field;
} types[] = {
    [1] = {"FLOAT", DTYPE_F32, 32, FIELD_FLOAT},
    [2] = {"UINT8", DTYPE_U8, 8, FIELD_INT32},
    [3] = {"INT8", DTYPE_I8, 8, FIELD_INT32},
    [4] = {"UINT16", DTYPE_U16, 16, FIELD_INT32},
    [5] = {"INT16", DTYPE_I16, 16, FIELD_INT32},
    [6] = {"INT32", DTYPE_I32, 32, FIELD_INT32},
    [7] = {"INT64", DTYPE_I64, 64, FIELD_INT64},
    [8] = {"STRING", DTYPE_UNKNOWN, 0, FIELD_STRING},
    [9] = {"BOOL", DTYPE_BOOL, 8, FIELD_INT32},
    [10] = {"FLOAT16", DTYPE_F16, 16, FIELD_INT32},
    [11] = {"DOUBLE", DTYPE_F64, 64, FIELD_DOUBLE},
    [12] = {"UINT32", DTYPE_U32, 32, FIELD_UINT64},
    [13] = {"UINT64", DTYPE_U64, 64, FIELD_UINT64},
    [14] = {"COMPLEX64", DTYPE_C64, 64, FIELD_FLOAT},
    [15] = {"COMPLEX128", DTYPE_C128, 128, FIELD_DOUBLE},
    [16] = {"BFLOAT16", DTYPE_BF16, 16, FIELD_INT32},
    [17] = {"FLOAT8E4M3FN", DTYPE_F8_E4M3, 8, FIELD_INT32},
    [18] = {"FLOAT8E4M3FNUZ", DTYPE_F8_E4M3FNUZ, 8, FIELD_INT32},
    [19] = {"FLOAT8E5M2", DTYPE_F8_E5M2, 8, FIELD_INT32},
    [20] = {"FLOAT8E5M2FNUZ", DTYPE_F8_E5M2FNUZ, 8, FIELD_INT32},
    [21] = {"UINT4", DTYPE_U8, 4, FIELD_INT32},
    [22] = {"INT4", DTYPE_I8, 4, FIELD_INT32},
    [23] = {"FLOAT4E2M1", DTYPE_F4, 4, FIELD_INT32},
    [24] = {"FLOAT8E8M0", DTYPE_F8_E8M0, 8, FIELD_INT32},
    [25] = {"UINT2", DTYPE_U8, 2, FIELD_INT32},
    [26] = {"INT2", DTYPE_I8, 2, FIELD_INT32},
};

/* What a TensorProto says, before it is believed. */
struct said {
    struct name name;
    char printable[NAME_PRINTABLE_BYTES];
    uint64_t dims[RANK_MAX];
    uint32_t rank;
    uint64_t type;
    bool has_raw, is_external;
    uint64_t raw_at, raw_end;
    struct name location;
    uint64_t offset, length;
    bool has_length;
    const struct onnx_type *kind;
    uint64_t elements, bytes;
};

static bool refuse(struct onnx *onnx, const struct said *said, const char *what)
{
    return byte_reader_fault(&onnx->reader, ERROR_FORMAT, "tensor %s: %s", said->printable, what);
}

static bool add_dim(struct onnx *onnx, struct said *said, uint64_t dim)
{
    if (said->rank == RANK_MAX)
        return byte_reader_fault(&onnx->reader, ERROR_LIMIT, "a tensor claims more than %d dimensions", RANK_MAX);
    if (dim > INT64_MAX)
        return byte_reader_fault(&onnx->reader, ERROR_FORMAT, "a tensor has the negative dimension %" PRId64,
                                 (int64_t)dim);
    said->dims[said->rank++] = dim;
    return true;
}

/* Packed or one by one. */
static bool read_dims(struct onnx *onnx, struct said *said, const struct wire_field *field)
{
    uint64_t dim;

    if (field->type == WIRE_VARINT)
        return add_dim(onnx, said, field->value);
    onnx->reader.at = field->at;
    while (onnx->reader.at < field->end)
        if (!wire_varint(&onnx->reader, &dim) || !add_dim(onnx, said, dim))
            return false;
    return true;
}

static bool parse_count(struct onnx *onnx, struct name text, uint64_t *ret)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < text.bytes; i++)
        if (text.text[i] < '0' || text.text[i] > '9' || !checked_mul(value, 10, &value) ||
            !checked_add(value, (uint64_t)(text.text[i] - '0'), &value))
            return byte_reader_fault(&onnx->reader, ERROR_FORMAT, "external data's offset or length is no count");
    *ret = value;
    return true;
}

static bool read_external(struct onnx *onnx, struct said *said, const struct wire_field *entry)
{
    struct name key = {0}, value = {0};
    struct wire_field field;

    for (uint64_t at = entry->at; wire_next(&onnx->reader, &at, entry->end, &field);)
        if (field.number <= 2 &&
            !wire_text(&onnx->reader, &field, TEXT_MAX, &onnx->arena, field.number == 1 ? &key : &value))
            return false;
    if (onnx->reader.rc)
        return false;
    if (name_equal(key, name_of("location"))) {
        said->location = value;
    } else if (name_equal(key, name_of("offset"))) {
        return parse_count(onnx, value, &said->offset);
    } else if (name_equal(key, name_of("length"))) {
        said->has_length = true;
        return parse_count(onnx, value, &said->length);
    }
    return true;
}

static bool read_said(struct onnx *onnx, uint64_t at, uint64_t end, struct said *said)
{
    struct wire_field field;

    while (wire_next(&onnx->reader, &at, end, &field)) {
        bool is_fine = true;

        switch (field.number) {
        case FIELD_DIMS:
            is_fine = read_dims(onnx, said, &field);
            break;
        case FIELD_TYPE:
            said->type = field.value;
            break;
        case FIELD_NAME:
            is_fine = wire_text(&onnx->reader, &field, TEXT_MAX, &onnx->arena, &said->name);
            break;
        case FIELD_RAW:
            said->has_raw = field.type == WIRE_BYTES;
            said->raw_at = field.at;
            said->raw_end = field.end;
            break;
        case FIELD_EXTERNAL:
            is_fine = field.type == WIRE_BYTES ? read_external(onnx, said, &field) : true;
            break;
        case FIELD_LOCATION:
            said->is_external = field.value == EXTERNAL;
            break;
        default:
            break;
        }
        if (!is_fine)
            return false;
    }
    return onnx->reader.rc == 0;
}

/* What one entry of the typed fields gives: two elements of 4 bits share one, halves of a complex number are entries of
 * their own. */
static unsigned entry_bytes(const struct onnx_type *kind)
{
    if (kind->field == FIELD_FLOAT)
        return 4;
    if (kind->field == FIELD_DOUBLE)
        return 8;
    return kind->bits < 8 ? 1 : kind->bits / 8;
}

/* Adds a file to the model; source is taken. */
static bool add_file(struct onnx *onnx, struct source *source, struct name location, uint64_t member_bytes)
{
    struct model *model = onnx->model;
    size_t room = onnx->file_room;

    if (!onnx_reserve(onnx, &model->files, sizeof(*model->files), model->file_count, &room) ||
        !onnx_reserve(onnx, &onnx->locations, sizeof(*onnx->locations), model->file_count, &onnx->file_room)) {
        source_close(source);
        return false;
    }
    onnx->locations[model->file_count] = location;
    model->files[model->file_count++] =
        (struct model_file){.source = source, .is_member = !location.text, .member_bytes = member_bytes};
    return true;
}

/* Elements in typed fields go into memory of the model's, which then is a source. */
static bool unpack(struct onnx *onnx, const struct said *said, uint64_t at, uint64_t end, uint32_t *ret_file)
{
    const struct onnx_type *kind = said->kind;
    const unsigned size = entry_bytes(kind);
    uint8_t *bytes = arena_take(&onnx->arena, (size_t)said->bytes + 8);
    const enum wire_type type = kind->field == FIELD_FLOAT    ? WIRE_FIXED32
                                : kind->field == FIELD_DOUBLE ? WIRE_FIXED64
                                                              : WIRE_VARINT;
    struct wire_numbers numbers;
    struct source *source;

    if (!bytes)
        return onnx->arena.limit - onnx->arena.bytes < said->bytes + 64
                   ? byte_reader_fault(&onnx->reader, ERROR_LIMIT,
                                       "tensor %s: more elements in typed fields than the limit", said->printable)
                   : onnx_no_memory(onnx);
    if (!wire_numbers(&onnx->reader, at, end, kind->field, type, kind->dtype == DTYPE_BOOL ? WIRE_TRUTH : size, bytes,
                      said->bytes / size, &numbers))
        return false;
    if (numbers.count != said->bytes / size)
        return refuse(onnx, said,
                      numbers.count > said->bytes / size ? "has more elements than its dimensions say"
                                                         : "has fewer elements than its dimensions say");
    if (memory_open(bytes, (size_t)said->bytes, onnx->source->uri, &source, onnx->err) != 0)
        return onnx_no_memory(onnx);
    if (!add_file(onnx, source, (struct name){0}, numbers.taken))
        return false;
    *ret_file = (uint32_t)onnx->model->file_count - 1;
    return true;
}

/* A location is a path below the model's own directory. */
static bool is_inside(struct name location)
{
    uint32_t from = 0;

    if (location.bytes == 0 || location.text[0] == '/' || memchr(location.text, '\0', location.bytes) ||
        memchr(location.text, '\\', location.bytes))
        return false;
    for (uint32_t i = 0; i <= location.bytes; i++)
        if (i == location.bytes || location.text[i] == '/') {
            if (i - from == 2 && memcmp(location.text + from, "..", 2) == 0)
                return false;
            from = i + 1;
        }
    return true;
}

static bool open_external(struct onnx *onnx, const struct said *said, uint32_t *ret_file)
{
    char location[NAME_PRINTABLE_BYTES];
    struct source *source;

    for (uint32_t i = 1; i < onnx->model->file_count; i++)
        if (onnx->locations[i].text && name_equal(onnx->locations[i], said->location)) {
            *ret_file = i;
            return true;
        }
    name_printable(said->location, location);
    if (!is_inside(said->location))
        return byte_reader_fault(&onnx->reader, ERROR_FORMAT,
                                 "tensor %s: its external data lie at \"%s\", which leads out of the model's directory",
                                 said->printable, location);
    if (!onnx->opener->place)
        return byte_reader_fault(&onnx->reader, ERROR_NOT_FOUND, "tensor %s: its external data, %s, are not at hand",
                                 said->printable, location);
    if (onnx->model->file_count > onnx->opener->limits->shards)
        return byte_reader_fault(&onnx->reader, ERROR_LIMIT,
                                 "has external data in more than %" PRIu32 " files, the limit",
                                 onnx->opener->limits->shards);
    if (!onnx->has_folder) {
        onnx->has_folder = true; /* from now on it is to be given back, whole or not */
        if (folder_open(&onnx->folder, onnx->opener, true, onnx->err) != 0)
            return onnx_no_memory(onnx);
    }
    onnx->reader.rc = folder_open_file(&onnx->folder, said->location, &source, onnx->err);
    if (onnx->reader.rc) {
        error_prefix(onnx->err, onnx->reader.rc, "tensor %s: its external data: ", said->printable);
        return false;
    }
    if (!add_file(onnx, source, said->location, 0))
        return false;
    *ret_file = (uint32_t)onnx->model->file_count - 1;
    return true;
}

static bool place_external(struct onnx *onnx, const struct said *said, struct tensor *tensor)
{
    uint64_t size;
    uint32_t file = 0;

    if (!open_external(onnx, said, &file))
        return false;
    size = onnx->model->files[file].source->size;
    if (said->has_length && said->length != said->bytes)
        return byte_reader_fault(&onnx->reader, ERROR_FORMAT,
                                 "tensor %s: claims %" PRIu64 " bytes of external data, its dimensions need %" PRIu64,
                                 said->printable, said->length, said->bytes);
    if (said->offset > size || said->bytes > size - said->offset)
        return byte_reader_fault(&onnx->reader, ERROR_FORMAT,
                                 "tensor %s: needs %" PRIu64 " bytes at offset %" PRIu64
                                 " of its external data, which end at %" PRIu64,
                                 said->printable, said->bytes, said->offset, size);
    tensor->extent = (struct extent){.offset = said->offset, .bytes = said->bytes, .source = file};
    return true;
}

static bool set_kind(struct onnx *onnx, struct said *said)
{
    uint64_t bits;

    if (said->type >= sizeof(types) / sizeof(types[0]) || !types[said->type].name)
        return byte_reader_fault(&onnx->reader, ERROR_UNSUPPORTED,
                                 "tensor %s: is of data type %" PRIu64 ", which ONNX does not have", said->printable,
                                 said->type);
    said->kind = &types[said->type];
    said->elements = 1;
    for (uint32_t d = 0; d < said->rank; d++)
        if (!checked_mul(said->elements, said->dims[d], &said->elements))
            return refuse(onnx, said, "its dimensions multiply to more than 2^64");
    if (!checked_mul(said->elements, said->kind->bits, &bits) || bits > UINT64_MAX - 7)
        return refuse(onnx, said, "its size overflows");
    said->bytes = (bits + 7) / 8;
    return true;
}

/* Integers of less than a byte. */
static bool is_packed(const struct onnx_type *kind)
{
    return kind->bits < 8 && (kind->dtype == DTYPE_I8 || kind->dtype == DTYPE_U8);
}

static bool add_tensor(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix, struct name name,
                       bool is_named)
{
    struct model *model = onnx->model;
    struct said said = {0};
    struct tensor tensor = {0};
    struct storage *storage;
    uint64_t *dims;
    uint32_t file = 0;

    if (!read_said(onnx, at, end, &said) ||
        !onnx_join(onnx, prefix, said.name.bytes && !is_named ? said.name : name, &tensor.name))
        return false;
    name_printable(tensor.name, said.printable);
    if (!set_kind(onnx, &said))
        return false;
    tensor.dtype = said.kind->dtype;
    dims = arena_take_array(&onnx->arena, (size_t)said.rank + 1, sizeof(*dims));
    if (!dims)
        return onnx_no_memory(onnx);
    memcpy(dims, said.dims, said.rank * sizeof(*dims));
    tensor.shape = (struct shape){.dims = dims, .elements = said.elements, .rank = said.rank};
    if (said.kind->field == FIELD_STRING || said.elements == 0) {
        tensor.extent = (struct extent){0};
    } else if (said.is_external) {
        if (!place_external(onnx, &said, &tensor))
            return false;
    } else if (said.has_raw) {
        if (said.raw_end - said.raw_at != said.bytes)
            return byte_reader_fault(&onnx->reader, ERROR_FORMAT,
                                     "tensor %s: has %" PRIu64 " bytes of raw data, its dimensions need %" PRIu64,
                                     said.printable, said.raw_end - said.raw_at, said.bytes);
        tensor.extent = (struct extent){.offset = said.raw_at, .bytes = said.bytes};
    } else {
        if (!unpack(onnx, &said, at, end, &file))
            return false;
        tensor.extent = (struct extent){.bytes = said.bytes, .source = file};
    }
    if (tensor.dtype == DTYPE_UNKNOWN || is_packed(said.kind)) {
        storage = arena_take(&onnx->arena, sizeof(*storage));
        if (!storage)
            return onnx_no_memory(onnx);
        storage->stored_as = name_of(said.kind->name);
        if (is_packed(said.kind))
            storage->decoder = decoder_packed_ints(said.kind->bits, said.kind->dtype == DTYPE_I8);
        storage->reason = said.kind->field == FIELD_STRING ? "texts, not numbers" : NULL;
        tensor.storage = storage;
    }
    if (model->tensor_count >= onnx->opener->limits->tensors)
        return byte_reader_fault(&onnx->reader, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit",
                                 onnx->opener->limits->tensors);
    if (!onnx_reserve(onnx, &model->tensors, sizeof(*model->tensors), model->tensor_count, &onnx->tensor_room))
        return false;
    model->tensors[model->tensor_count++] = tensor;
    return true;
}

bool onnx_tensor(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix, struct name fallback)
{
    return add_tensor(onnx, at, end, prefix, fallback, false);
}

bool onnx_tensor_called(struct onnx *onnx, uint64_t at, uint64_t end, struct name name)
{
    return add_tensor(onnx, at, end, (struct name){0}, name, true);
}
