/* TensorFlow's checkpoints since 2016 (tensor bundles): NAME.index, a table that says of every variable what it is and
 * where it lies, and NAME.data-00000-of-00002, … with the bytes. A variable that was saved in slices along its first
 * dimension is put together; other slices are listed one by one. (tensorflow/core/util/tensor_bundle, protobuf/
 * tensor_bundle.proto, util/saved_tensor_slice_util.cc.) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/format/tensorflow.h"
#include "core/model/name_index.h"
#include "core/utf8.h"

enum { RANK_MAX = 64, TYPE_INT4 = 29 };

/* types.proto. Integers of four bits take a byte each. */
static const struct {
    const char *name;
    enum dtype dtype;
    uint8_t bytes; /* of an element; 0: of no fixed size */
} dtypes[TENSORFLOW_DTYPES] = {
    [1] = {"float32", DTYPE_F32, 4},
    [2] = {"float64", DTYPE_F64, 8},
    [3] = {"int32", DTYPE_I32, 4},
    [4] = {"uint8", DTYPE_U8, 1},
    [5] = {"int16", DTYPE_I16, 2},
    [6] = {"int8", DTYPE_I8, 1},
    [7] = {"string", DTYPE_UNKNOWN, 0},
    [8] = {"complex64", DTYPE_C64, 8},
    [9] = {"int64", DTYPE_I64, 8},
    [10] = {"bool", DTYPE_BOOL, 1},
    [11] = {"qint8", DTYPE_I8, 1},
    [12] = {"quint8", DTYPE_U8, 1},
    [13] = {"qint32", DTYPE_I32, 4},
    [14] = {"bfloat16", DTYPE_BF16, 2},
    [15] = {"qint16", DTYPE_I16, 2},
    [16] = {"quint16", DTYPE_U16, 2},
    [17] = {"uint16", DTYPE_U16, 2},
    [18] = {"complex128", DTYPE_C128, 16},
    [19] = {"float16", DTYPE_F16, 2},
    [21] = {"variant", DTYPE_UNKNOWN, 0},
    [22] = {"uint32", DTYPE_U32, 4},
    [23] = {"uint64", DTYPE_U64, 8},
    [24] = {"float8_e5m2", DTYPE_F8_E5M2, 1},
    [25] = {"float8_e4m3fn", DTYPE_F8_E4M3, 1},
    [26] = {"float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ, 1},
    [27] = {"float8_e4m3b11fnuz", DTYPE_UNKNOWN, 1},
    [28] = {"float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ, 1},
    [TYPE_INT4] = {"int4", DTYPE_I8, 1},
    [30] = {"uint4", DTYPE_U8, 1},
    [31] = {"int2", DTYPE_UNKNOWN, 1},
    [32] = {"uint2", DTYPE_U8, 1},
    [33] = {"float4_e2m1fn", DTYPE_UNKNOWN, 1},
};

bool tensorflow_no_memory(struct tensorflow *tf)
{
    return byte_reader_fault(&tf->reader, arena_error(&tf->arena), "its %ss %s", tf->noun,
                             arena_error_text(&tf->arena));
}

bool tensorflow_wrong(struct tensorflow *tf, struct name key, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return byte_reader_fault(&tf->reader, ERROR_FORMAT, "%s %s: %s", tf->noun, name_printable(key, printable), what);
}

/* BundleHeaderProto: num_shards = 1, endianness = 2, version = 3. */
static bool read_header(struct tensorflow *tf, const struct sstable_entry *entry)
{
    uint64_t at = entry->at, order = 0;
    struct wire_field field;

    while (wire_next(&tf->reader, &at, entry->at + entry->bytes, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT)
            tf->shards = field.value;
        else if (field.number == 2 && field.type == WIRE_VARINT)
            order = field.value;
    }
    if (tf->reader.rc)
        return false;
    if (tf->shards == 0 || order > 1)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "its header claims %" PRIu64 " shards of byte order %" PRIu64, tf->shards, order);
    if (tf->shards > tf->opener->limits->shards)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT,
                                 "its header claims %" PRIu64 " shards, the limit is %" PRIu32, tf->shards,
                                 tf->opener->limits->shards);
    tf->is_swapped = order == 1;
    return true;
}

/* TensorShapeProto: dim = 2 {size = 1}, unknown_rank = 3. */
bool tensorflow_shape(struct tensorflow *tf, struct tensorflow_entry *entry, const struct wire_field *shape)
{
    uint64_t dims[RANK_MAX], at = shape->at, elements = 1;
    struct wire_field field, size;
    uint32_t rank = 0;

    while (wire_next(&tf->reader, &at, shape->end, &field)) {
        uint64_t inner = field.at;

        if (field.number == 3 && field.value)
            return tensorflow_wrong(tf, entry->key, "its rank is not known");
        if (field.number != 2 || field.type != WIRE_BYTES)
            continue;
        if (rank == RANK_MAX)
            return tensorflow_wrong(tf, entry->key, "it claims more than 64 dimensions");
        dims[rank] = 0;
        while (wire_next(&tf->reader, &inner, field.end, &size))
            if (size.number == 1 && size.type == WIRE_VARINT)
                dims[rank] = size.value;
        if (dims[rank] > INT64_MAX || !checked_mul(elements, dims[rank], &elements))
            return tensorflow_wrong(tf, entry->key, "its dimensions multiply to more than 2^64");
        rank++;
    }
    if (tf->reader.rc)
        return false;
    entry->dims = arena_take_array(&tf->arena, rank + 1u, sizeof(*entry->dims));
    if (!entry->dims)
        return tensorflow_no_memory(tf);
    if (rank)
        memcpy(entry->dims, dims, rank * sizeof(*dims));
    entry->rank = rank;
    entry->elements = elements;
    return true;
}

/* BundleEntryProto: dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5, crc32c = 6, slices = 7. */
static bool read_entry(struct tensorflow *tf, const struct sstable_entry *from, struct tensorflow_entry *ret_entry)
{
    struct tensorflow_entry entry = {.key = from->key, .elements = 1};
    uint64_t at = from->at;
    struct wire_field field;

    while (wire_next(&tf->reader, &at, from->at + from->bytes, &field)) {
        const bool is_number = field.type == WIRE_VARINT;

        if (field.number == 1 && is_number)
            entry.dtype = field.value;
        else if (field.number == 2 && field.type == WIRE_BYTES && !tensorflow_shape(tf, &entry, &field))
            return false;
        else if (field.number == 3 && is_number)
            entry.shard = field.value;
        else if (field.number == 4 && is_number)
            entry.offset = field.value;
        else if (field.number == 5 && is_number)
            entry.bytes = field.value;
        else if (field.number == 7)
            entry.is_sliced = true;
    }
    if (tf->reader.rc)
        return false;
    if (!entry.dims)
        entry.dims = arena_take_array(&tf->arena, 1, sizeof(*entry.dims));
    if (!entry.dims)
        return tensorflow_no_memory(tf);
    *ret_entry = entry;
    return true;
}

static bool check_entry(struct tensorflow *tf, const struct tensorflow_entry *entry)
{
    char printable[NAME_PRINTABLE_BYTES];
    uint64_t bytes;

    name_printable(entry->key, printable);
    if (!tensorflow_dtype_name(entry->dtype))
        return byte_reader_fault(&tf->reader, ERROR_UNSUPPORTED, "variable %s: is of the unknown dtype %" PRIu64,
                                 printable, entry->dtype);
    if (entry->is_sliced)
        return true;
    if (entry->shard >= tf->shards)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "variable %s: lies in shard %" PRIu64 ", the checkpoint has %" PRIu64, printable,
                                 entry->shard, tf->shards);
    if (dtypes[entry->dtype].bytes &&
        (!checked_mul(entry->elements, dtypes[entry->dtype].bytes, &bytes) || bytes != entry->bytes))
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "variable %s: %" PRIu64 " elements of %s do not take the %" PRIu64 " bytes it claims",
                                 printable, entry->elements, dtypes[entry->dtype].name, entry->bytes);
    return true;
}

/* NAME.index → NAME.data-00001-of-00002. */
static bool open_shard(struct tensorflow *tf, uint64_t shard)
{
    static const char end[] = ".index";
    const char *path = tf->opener->place ? tf->opener->place->path : "", *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    size_t stem = strlen(file);
    struct model_file *grown;
    struct source *source;
    char *name = NULL;

    if (!tf->opener->place)
        return byte_reader_fault(&tf->reader, ERROR_NOT_FOUND, "its data, %" PRIu64 " files beside it, are not at hand",
                                 tf->shards);
    if (stem > sizeof(end) - 1 && strcmp(file + stem - (sizeof(end) - 1), end) == 0)
        stem -= sizeof(end) - 1;
    if (!tf->has_folder) {
        tf->has_folder = true; /* from now on it is to be given back, whole or not */
        if (folder_open(&tf->folder, tf->opener, true, tf->err) != 0)
            return tensorflow_no_memory(tf);
    }
    grown = reallocarray(tf->model->files, tf->model->file_count + 1, sizeof(*grown));
    if (!grown)
        return tensorflow_no_memory(tf);
    tf->model->files = grown;
    if (asprintf(&name, "%.*s.data-%05" PRIu64 "-of-%05" PRIu64, (int)stem, file, shard, tf->shards) < 0)
        return tensorflow_no_memory(tf);
    tf->reader.rc = folder_open_file(&tf->folder, name_of(name), &source, tf->err);
    free(name);
    if (tf->reader.rc) {
        error_prefix(tf->err, tf->reader.rc, "its data: ");
        return false;
    }
    tf->file_of[shard] = (uint32_t)tf->model->file_count;
    tf->model->files[tf->model->file_count++] = (struct model_file){.source = source};
    return true;
}

bool tensorflow_place(struct tensorflow *tf, const struct tensorflow_entry *entry, uint32_t *ret_file)
{
    char printable[NAME_PRINTABLE_BYTES];
    uint64_t size;

    if (!tf->file_of[entry->shard] && !open_shard(tf, entry->shard))
        return false;
    *ret_file = tf->file_of[entry->shard];
    size = tf->model->files[*ret_file].source->size;
    if (entry->bytes > size || entry->offset > size - entry->bytes)
        return byte_reader_fault(
            &tf->reader, ERROR_FORMAT,
            "variable %s: claims %" PRIu64 " bytes at offset %" PRIu64 " of shard %" PRIu64 ", which ends at %" PRIu64,
            name_printable(entry->key, printable), entry->bytes, entry->offset, entry->shard, size);
    return true;
}

/* Components joined by dots, as everywhere else; what object graphs put behind each variable's name goes. */
bool tensorflow_name(struct tensorflow *tf, struct name key, struct name *ret_name)
{
    static const char end[] = "/.ATTRIBUTES/VARIABLE_VALUE";
    const uint32_t end_bytes = sizeof(end) - 1;
    char *text;

    if (!utf8_is_valid(key.text, key.bytes))
        return tensorflow_wrong(tf, key, "its name is no UTF-8");
    if (key.bytes > end_bytes && memcmp(key.text + key.bytes - end_bytes, end, end_bytes) == 0)
        key.bytes -= end_bytes;
    text = arena_copy(&tf->arena, key.text, key.bytes);
    if (!text)
        return tensorflow_no_memory(tf);
    for (uint32_t i = 0; i < key.bytes; i++)
        if (text[i] == '/')
            text[i] = '.';
    *ret_name = (struct name){text, key.bytes};
    return true;
}

unsigned tensorflow_dtype_bytes(uint64_t dtype)
{
    return dtype < TENSORFLOW_DTYPES ? dtypes[dtype].bytes : 0;
}

const char *tensorflow_dtype_name(uint64_t dtype)
{
    return dtype < TENSORFLOW_DTYPES ? dtypes[dtype].name : NULL;
}

static const struct storage *storage_of(struct tensorflow *tf, const struct tensorflow_entry *entry)
{
    const enum dtype dtype = dtypes[entry->dtype].dtype;
    struct storage **known = &tf->swapped[dtype], *storage;

    if (dtype == DTYPE_UNKNOWN || entry->dtype == TYPE_INT4) {
        storage = arena_take(&tf->arena, sizeof(*storage));
        if (storage)
            *storage = (struct storage){.decoder = entry->dtype == TYPE_INT4 ? &decoder_int4 : NULL,
                                        .stored_as = name_of(dtypes[entry->dtype].name)};
        return storage;
    }
    if (!*known) {
        *known = arena_take(&tf->arena, sizeof(**known));
        if (*known)
            (*known)->decoder = decoder_swapped(dtype);
    }
    return *known;
}

bool tensorflow_is_plain(const struct tensorflow *tf, const struct tensorflow_entry *entry)
{
    return dtypes[entry->dtype].dtype != DTYPE_UNKNOWN && entry->dtype != TYPE_INT4 &&
           (!tf->is_swapped || dtypes[entry->dtype].bytes == 1);
}

bool tensorflow_add_at(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name, uint32_t file)
{
    struct tensor *tensor = &tf->model->tensors[tf->model->tensor_count];

    *tensor = (struct tensor){.name = name, .dtype = dtypes[entry->dtype].dtype};
    tensor->shape = (struct shape){.dims = entry->dims, .elements = entry->elements, .rank = entry->rank};
    tensor->extent = (struct extent){.offset = entry->offset, .bytes = entry->bytes, .source = file};
    if (!tensorflow_is_plain(tf, entry)) {
        tensor->storage = storage_of(tf, entry);
        if (!tensor->storage)
            return tensorflow_no_memory(tf);
    }
    tf->model->tensor_count++;
    return true;
}

bool tensorflow_add(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name)
{
    uint32_t file;

    return tensorflow_place(tf, entry, &file) && tensorflow_add_at(tf, entry, name, file);
}

static bool read_entries(struct tensorflow *tf)
{
    const struct sstable *table = &tf->table;

    if (table->count == 0 || table->entries[0].key.bytes != 0)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT, "its index has no header");
    if (!read_header(tf, &table->entries[0]))
        return false;
    if (table->count > tf->opener->limits->tensors)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT, "claims %zu variables, the limit is %" PRIu64, table->count,
                                 tf->opener->limits->tensors);
    tf->entries = calloc(table->count, sizeof(*tf->entries));
    if (!tf->entries)
        return tensorflow_no_memory(tf);
    for (size_t i = 1; i < table->count; i++) {
        struct tensorflow_entry *entry = &tf->entries[tf->entry_count];

        if (name_equal(table->entries[i].key, name_of("_CHECKPOINTABLE_OBJECT_GRAPH")))
            continue;
        if (!read_entry(tf, &table->entries[i], entry) || !check_entry(tf, entry))
            return false;
        tf->entry_count++;
    }
    return true;
}

/* Keys with dots; where two would come out alike, all are as they stand. */
bool tensorflow_names(struct tensorflow *tf, struct name *names)
{
    const struct name_records records = {names, sizeof(*names)};
    struct name_index *index = name_index_new(tf->entry_count + 1);
    bool is_twice = false;

    if (!index)
        return tensorflow_no_memory(tf);
    for (size_t i = 0; i < tf->entry_count && !tf->reader.rc; i++) {
        names[i] = tf->entries[i].key;
        if (tensorflow_is_slice(names[i]) || tensorflow_name(tf, tf->entries[i].key, &names[i]))
            is_twice |= name_index_add(index, records, (uint32_t)i) != i;
    }
    name_index_free(index);
    for (size_t i = 0; is_twice && i < tf->entry_count; i++)
        names[i] = tf->entries[i].key;
    return tf->reader.rc == 0;
}

static bool add_entries(struct tensorflow *tf)
{
    struct name *names = arena_take_array(&tf->arena, tf->entry_count + 1, sizeof(*names));

    tf->model->tensors = calloc(tf->entry_count + 1, sizeof(*tf->model->tensors));
    tf->file_of = calloc((size_t)tf->shards, sizeof(*tf->file_of));
    if (!names || !tf->model->tensors || !tf->file_of)
        return tensorflow_no_memory(tf);
    if (!tensorflow_names(tf, names))
        return false;
    for (size_t i = 0; i < tf->entry_count; i++) {
        const struct tensorflow_entry *entry = &tf->entries[i];

        if (tensorflow_is_slice(entry->key))
            continue;
        if (!(entry->is_sliced ? tensorflow_add_sliced(tf, entry, names[i]) : tensorflow_add(tf, entry, names[i])))
            return false;
    }
    return true;
}

static int read_bundle(struct tensorflow *tf)
{
    int rc = sstable_open(tf->source, tf->opener->limits, &tf->blocks, &tf->table, tf->err);

    if (rc == 0)
        rc = memory_open(tf->table.values, tf->table.value_bytes, tf->source->uri, &tf->values, tf->err);
    if (rc == 0)
        rc = byte_reader_open(&tf->reader, tf->values, 0, tf->table.value_bytes, tf->err);
    if (rc)
        return rc;
    if (!read_entries(tf) || !add_entries(tf))
        return tf->reader.rc;
    return model_keep_arena(tf->model, &tf->table.arena)
               ? error_set(tf->err, ERROR_NO_MEMORY, "out of memory for the model")
               : 0;
}

static int read_checkpoint(struct tensorflow *tf)
{
    bool is_first;
    int rc = sstable_list(tf->source, tf->opener->limits, &tf->blocks, tf->err);

    if (rc == 0)
        rc = tensorflow_is_first_version(tf, &is_first);
    if (rc)
        return rc;
    return is_first ? tensorflow_read_first_version(tf) : read_bundle(tf);
}

static int read_all(struct tensorflow *tf, const struct format *format, int (*read)(struct tensorflow *tf))
{
    struct model *model = tf->model;
    int rc;

    model->uri = strdup(tf->source->uri);
    model->files = calloc(1, sizeof(*model->files));
    model->format = format;
    if (!model->uri || !model->files)
        return error_set(tf->err, ERROR_NO_MEMORY, "out of memory for the model");
    model->files[0].source = tf->source; /* the caller's until the end */
    model->file_count = 1;
    rc = read(tf);
    if (rc)
        return rc;
    return model_keep_arena(model, &tf->arena) ? error_set(tf->err, ERROR_NO_MEMORY, "out of memory for the model") : 0;
}

int tensorflow_open_by(const struct format *format, const char *noun, int (*read)(struct tensorflow *tf),
                       const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct model *model = calloc(1, sizeof(*model));
    struct tensorflow tf = {.opener = opener, .source = source, .err = err, .noun = noun, .model = model};
    int rc;

    tf.arena.limit = 4 * opener->limits->header_bytes;
    rc = model ? read_all(&tf, format, read) : error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    byte_reader_done(&tf.reader);
    source_close(tf.values);
    sstable_done(&tf.table);
    arena_done(&tf.arena);
    free(tf.blocks.list);
    free(tf.entries);
    free(tf.file_of);
    if (tf.has_folder)
        folder_done(&tf.folder);
    if (rc)
        return format_reject(model, source, rc, err);
    *ret_model = model;
    return 0;
}

static int tensorflow_open(const struct opener *opener, struct source *source, struct model **ret_model,
                           struct error *err)
{
    return tensorflow_open_by(&tensorflow_format, "variable", read_checkpoint, opener, source, ret_model, err);
}

const struct format tensorflow_format = {
    .name = "tensorflow",
    .summary = "TensorFlow's checkpoints (the .index of a tensor bundle, .data files beside it; one table before 2016) "
               "and SavedModels",
    .docs = &tensorflow_docs,
    .probe = sstable_probe,
    .open = tensorflow_open,
};
