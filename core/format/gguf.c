/* GGUF: a header of key-value pairs and tensor infos, then the tensors' data, aligned. (github.com/ggml-org/ggml,
 * docs/gguf.md and src/gguf.cpp.) What ggml's own reader refuses is refused here too, but for two things: nested arrays
 * and element types that this build does not know, whose tensors are listed and compared by their bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/decode/ggml.h"
#include "core/format/format.h"
#include "core/format/gguf_metadata.h"
#include "core/format/gguf_scales.h"

enum {
    VERSION_MAX = 3,
    DIMENSIONS_MAX = 4,
    NAME_LIMIT = 65535,
    KEY_LIMIT = 65535,
    DEFAULT_ALIGNMENT = 32,
    INFO_BYTES_MIN = 8 + 4 + 4 + 8, /* of a tensor: the name's length, the rank, the type, the offset */
};

struct gguf {
    struct gguf_reader reader;
    struct arena arena;
    struct model *model;
    const struct limits *limits;
    uint64_t version, tensor_count, key_count, alignment, data_start;
    bool is_swapped;
    struct storage *swapped[DTYPE_COUNT]; /* plain elements of the other byte order; made as needed */
};

/* What the converter of gguf-py writes in front of big-endian files; ggml itself writes "GGUF" there too. */
static const char big_endian_magic[] = "FUGG";

static bool gguf_probe(const struct head *head)
{
    return head->first_bytes >= 4 &&
           (memcmp(head->first, "GGUF", 4) == 0 || memcmp(head->first, big_endian_magic, 4) == 0);
}

static bool no_memory(struct gguf *g)
{
    return byte_reader_fault(&g->reader.bytes, ERROR_NO_MEMORY, "out of memory for its header");
}

static bool read_counts(struct gguf *g)
{
    struct byte_reader *bytes = &g->reader.bytes;
    uint8_t first[4];
    uint64_t version;

    if (!byte_reader_bytes(bytes, first, sizeof(first), "the magic") ||
        !byte_reader_number(bytes, 4, &version, "the version"))
        return false;
    if ((version & 0xffff) == 0) { /* the other byte order, as ggml tells it */
        bytes->is_swapped = g->is_swapped = true;
        version = __builtin_bswap32((uint32_t)version);
    }
    if (memcmp(first, big_endian_magic, sizeof(first)) == 0 && !g->is_swapped)
        return byte_reader_fault(bytes, ERROR_FORMAT,
                                 "begins as a big-endian file does, and its version is of the other byte order");
    if (version == 0 || version > VERSION_MAX)
        return byte_reader_fault(bytes, ERROR_UNSUPPORTED, "is GGUF of version %" PRIu64 ", known are 1 to %d", version,
                                 VERSION_MAX);
    g->version = version;
    g->reader.length_bytes = version == 1 ? 4 : 8;
    if (!byte_reader_number(bytes, g->reader.length_bytes, &g->tensor_count, "the number of tensors") ||
        !byte_reader_number(bytes, g->reader.length_bytes, &g->key_count, "the number of keys"))
        return false;
    if (g->tensor_count > byte_reader_rest(bytes) / (version == 1 ? INFO_BYTES_MIN - 4 : INFO_BYTES_MIN))
        return byte_reader_fault(bytes, ERROR_FORMAT, "claims %" PRIu64 " tensors, the file has %" PRIu64 " bytes",
                                 g->tensor_count, bytes->source->size);
    if (g->key_count > byte_reader_rest(bytes) / 9)
        return byte_reader_fault(bytes, ERROR_FORMAT, "claims %" PRIu64 " keys, the file has %" PRIu64 " bytes",
                                 g->key_count, bytes->source->size);
    if (g->tensor_count > g->limits->tensors)
        return byte_reader_fault(bytes, ERROR_LIMIT, "claims %" PRIu64 " tensors, the limit is %" PRIu64,
                                 g->tensor_count, g->limits->tensors);
    if (g->key_count > g->limits->metadata)
        return byte_reader_fault(bytes, ERROR_LIMIT, "claims %" PRIu64 " keys, the limit is %" PRIu64, g->key_count,
                                 g->limits->metadata);
    return true;
}

static bool is_key(struct name key, const char *text)
{
    return name_equal(key, name_of(text));
}

/* Keys that say how the file is built; what tells the files of one model apart is not metadata of the model. */
static bool take_key(struct gguf *g, struct name key, const struct gguf_value *value, bool *ret_is_kept)
{
    struct byte_reader *bytes = &g->reader.bytes;
    char printable[NAME_PRINTABLE_BYTES];

    *ret_is_kept = false;
    if (is_key(key, "split.no")) {
        if (value->type != GGUF_U16)
            return byte_reader_fault(bytes, ERROR_FORMAT, "split.no is no u16");
        g->model->shard.number = (uint32_t)value->number + 1;
    } else if (is_key(key, "split.count")) {
        if (value->type != GGUF_U16)
            return byte_reader_fault(bytes, ERROR_FORMAT, "split.count is no u16");
        g->model->shard.total = (uint32_t)value->number;
    } else if (is_key(key, "split.tensors.count")) {
        if (value->type != GGUF_I32 || value->number > INT32_MAX)
            return byte_reader_fault(bytes, ERROR_FORMAT, "split.tensors.count is no number of tensors");
        g->model->shard.tensors = value->number;
    } else {
        *ret_is_kept = true;
    }
    if (!is_key(key, "general.alignment"))
        return true;
    if (value->type != GGUF_U32 || value->number == 0 || (value->number & (value->number - 1)))
        return byte_reader_fault(bytes, ERROR_FORMAT, "general.alignment must be a power of two as u32, not %s",
                                 name_printable(value->text, printable));
    g->alignment = value->number;
    return true;
}

static bool check_keys(struct gguf *g, struct metadata_entry *entries, size_t count)
{
    char printable[NAME_PRINTABLE_BYTES];

    if (count)
        qsort(entries, count, sizeof(*entries), metadata_compare);
    for (size_t i = 1; i < count; i++)
        if (name_equal(entries[i - 1].key, entries[i].key))
            return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT, "the key %s appears twice",
                                     name_printable(entries[i].key, printable));
    return true;
}

static bool read_keys(struct gguf *g)
{
    struct model *model = g->model;

    model->metadata = calloc((size_t)g->key_count + 1, sizeof(*model->metadata));
    if (!model->metadata)
        return no_memory(g);
    for (uint64_t i = 0; i < g->key_count; i++) {
        struct gguf_value value;
        struct name key;
        bool is_kept;

        if (!gguf_read_text(&g->reader, KEY_LIMIT, "a key", &key))
            return false;
        if (key.bytes == 0)
            return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT, "key %" PRIu64 " is empty", i);
        if (!gguf_read_value(&g->reader, key, &value) || !take_key(g, key, &value, &is_kept))
            return false;
        if (is_kept)
            model->metadata[model->metadata_count++] = (struct metadata_entry){key, value.text};
    }
    return check_keys(g, model->metadata, model->metadata_count);
}

/* Dimensions, the fastest first in the file. */
static bool read_shape(struct gguf *g, struct tensor *tensor)
{
    char name[NAME_PRINTABLE_BYTES];
    struct byte_reader *bytes = &g->reader.bytes;
    uint64_t rank, elements = 1, *dims;

    if (!byte_reader_number(bytes, 4, &rank, "a tensor's rank"))
        return false;
    if (rank > DIMENSIONS_MAX)
        return byte_reader_fault(bytes, ERROR_FORMAT, "tensor %s claims %" PRIu64 " dimensions, GGUF has at most %d",
                                 name_printable(tensor->name, name), rank, DIMENSIONS_MAX);
    dims = arena_take_array(&g->arena, (size_t)rank + 1, sizeof(*dims));
    if (!dims)
        return no_memory(g);
    for (uint64_t d = rank; d-- > 0;) {
        if (!byte_reader_number(bytes, g->reader.length_bytes, &dims[d], "a tensor's dimension"))
            return false;
        if (dims[d] > INT64_MAX)
            return byte_reader_fault(bytes, ERROR_FORMAT, "tensor %s has a negative dimension, %" PRId64,
                                     name_printable(tensor->name, name), (int64_t)dims[d]);
    }
    for (uint64_t d = 0; d < rank; d++)
        if (!checked_mul(elements, dims[d], &elements) || elements > INT64_MAX)
            return byte_reader_fault(bytes, ERROR_FORMAT, "tensor %s: its dimensions multiply to more than 2^63",
                                     name_printable(tensor->name, name));
    tensor->shape = (struct shape){.dims = dims, .elements = elements, .rank = (uint32_t)rank};
    return true;
}

static struct storage *new_storage(struct gguf *g, struct storage value)
{
    struct storage *storage = arena_take(&g->arena, sizeof(*storage));

    if (storage)
        *storage = value;
    return storage;
}

/* Of a type this build does not know neither values nor size are known. */
static bool set_unknown(struct gguf *g, struct tensor *tensor, uint64_t number)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "ggml type %" PRIu64, number);
    char *name = arena_copy(&g->arena, text, (size_t)length), *reason;

    length = snprintf(text, sizeof(text), "unknown ggml type %" PRIu64, number);
    reason = arena_copy(&g->arena, text, (size_t)length);
    if (!name || !reason)
        return no_memory(g);
    tensor->dtype = DTYPE_UNKNOWN;
    tensor->storage = new_storage(g, (struct storage){.stored_as = name_of(name), .reason = reason});
    return tensor->storage ? true : no_memory(g);
}

static bool set_type(struct gguf *g, struct tensor *tensor, const struct ggml_type *type)
{
    const struct storage *storage = g->is_swapped ? &type->swapped : &type->storage;

    tensor->dtype = type->dtype;
    if (storage->decoder || storage->stored_as.text) {
        tensor->storage = storage;
        return true;
    }
    if (!g->is_swapped || type->block_bytes == 1)
        return true;
    if (!g->swapped[type->dtype])
        g->swapped[type->dtype] = new_storage(g, (struct storage){.decoder = decoder_swapped(type->dtype)});
    tensor->storage = g->swapped[type->dtype];
    return tensor->storage ? true : no_memory(g);
}

static bool set_extent(struct gguf *g, struct tensor *tensor, const struct ggml_type *type, uint64_t offset)
{
    char name[NAME_PRINTABLE_BYTES];
    const uint64_t columns = tensor->shape.rank ? tensor->shape.dims[tensor->shape.rank - 1] : 1;
    uint64_t bytes = 0;

    if (type) {
        if (columns % type->block)
            return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT,
                                     "tensor %s: its rows of %" PRIu64 " elements are no whole blocks of %s, %" PRIu32
                                     " elements each",
                                     name_printable(tensor->name, name), columns, type->name, type->block);
        if (!checked_mul(tensor->shape.elements / type->block, type->block_bytes, &bytes))
            return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT, "tensor %s: its size overflows",
                                     name_printable(tensor->name, name));
    }
    tensor->extent = (struct extent){.offset = offset, .bytes = bytes};
    return true;
}

static bool read_info(struct gguf *g, struct tensor *tensor)
{
    struct byte_reader *bytes = &g->reader.bytes;
    const struct ggml_type *type;
    uint64_t number, offset;

    if (!gguf_read_text(&g->reader, NAME_LIMIT, "a tensor's name", &tensor->name))
        return false;
    if (!read_shape(g, tensor) || !byte_reader_number(bytes, 4, &number, "a tensor's type") ||
        !byte_reader_number(bytes, 8, &offset, "a tensor's offset"))
        return false;
    type = ggml_type_of((uint32_t)number);
    return (type ? set_type(g, tensor, type) : set_unknown(g, tensor, number)) && set_extent(g, tensor, type, offset);
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return value > UINT64_MAX - alignment ? UINT64_MAX : (value + alignment - 1) & ~(alignment - 1);
}

/* Tensors lie one behind the other, each at the alignment, in the order of their infos. Behind one of unknown size the
 * next one's own word is taken for its place, and what lies between is its bytes. */
static bool place_tensors(struct gguf *g)
{
    struct model *model = g->model;
    const uint64_t size = g->reader.bytes.source->size;
    char name[NAME_PRINTABLE_BYTES];
    uint64_t place = 0;

    g->data_start = align_up(g->reader.bytes.at, g->alignment);
    for (size_t i = 0; i < model->tensor_count; i++) {
        struct tensor *tensor = &model->tensors[i];
        struct extent *extent = &tensor->extent;
        const bool is_behind_unknown = i > 0 && model->tensors[i - 1].dtype == DTYPE_UNKNOWN;

        if (is_behind_unknown && extent->offset >= place && extent->offset % g->alignment == 0)
            place = extent->offset;
        if (extent->offset != place)
            return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT,
                                     "tensor %s claims the offset %" PRIu64 ", its place is %" PRIu64,
                                     name_printable(tensor->name, name), extent->offset, place);
        if (tensor->dtype == DTYPE_UNKNOWN) {
            const uint64_t data = size > g->data_start ? size - g->data_start : 0;
            const uint64_t end = i + 1 < model->tensor_count ? model->tensors[i + 1].extent.offset : data;

            extent->bytes = end > place ? end - place : 0;
        }
        if (extent->bytes > size || g->data_start > size - extent->bytes ||
            place > size - extent->bytes - g->data_start) {
            if (extent->bytes)
                return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT,
                                         "tensor %s needs %" PRIu64 " bytes at offset %" PRIu64
                                         " of the data, the file "
                                         "ends at %" PRIu64 " of it",
                                         name_printable(tensor->name, name), extent->bytes, place,
                                         size > g->data_start ? size - g->data_start : 0);
        }
        place = align_up(place + extent->bytes, g->alignment);
        extent->offset += extent->bytes ? g->data_start : 0;
    }
    return true;
}

static bool read_tensors(struct gguf *g)
{
    struct model *model = g->model;

    model->tensors = calloc((size_t)g->tensor_count + 1, sizeof(*model->tensors));
    if (!model->tensors)
        return no_memory(g);
    for (uint64_t i = 0; i < g->tensor_count; i++) {
        if (!read_info(g, &model->tensors[i]))
            return false;
        model->tensor_count++;
    }
    return place_tensors(g);
}

static bool check_shard(struct gguf *g)
{
    const struct shard *shard = &g->model->shard;

    if (shard->total > 0 && (shard->number == 0 || shard->number > shard->total))
        return byte_reader_fault(&g->reader.bytes, ERROR_FORMAT, "is split %" PRIu32 " (split.no) of %" PRIu32,
                                 shard->number - 1, shard->total);
    return true;
}

static int read_all(struct gguf *g, struct source *source, struct error *err)
{
    struct model *model = g->model;

    model->uri = strdup(source->uri);
    model->files = calloc(1, sizeof(*model->files));
    model->format = &gguf_format;
    if (!model->uri || !model->files)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    if (!read_counts(g) || !read_keys(g) || !read_tensors(g) || !check_shard(g))
        return g->reader.bytes.rc;
    return model_keep_arena(model, &g->arena) ? error_set(err, ERROR_NO_MEMORY, "out of memory for the model") : 0;
}

static int gguf_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct gguf g = {.limits = opener->limits, .alignment = DEFAULT_ALIGNMENT};
    int rc = byte_reader_open(&g.reader.bytes, source, 0, opener->limits->header_bytes, err);

    g.arena.limit = 2 * opener->limits->header_bytes; /* copies of what is in the header, and their alignment */
    g.reader.arena = &g.arena;
    g.model = calloc(1, sizeof(*g.model));
    if (rc == 0 && !g.model)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    if (rc == 0)
        rc = read_all(&g, source, err);
    byte_reader_done(&g.reader.bytes);
    arena_done(&g.arena);
    if (rc)
        return format_reject(g.model, source, rc, err);
    g.model->files[0].source = source;
    g.model->file_count = 1;
    *ret_model = g.model;
    return 0;
}

const struct format gguf_format = {
    .name = "gguf",
    .summary = "GGUF 1 to 3 of llama.cpp, either byte order, single or split",
    .docs = &gguf_docs,
    .probe = gguf_probe,
    .open = gguf_open,
    .settle = gguf_settle,
};
