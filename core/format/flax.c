/* Flax's msgpack files (flax.serialization.to_bytes, msgpack_serialize): maps in maps whose leaves are arrays, which
 * are extensions of type 1 that hold (shape, dtype, bytes), numpy scalars (type 3, the same), or plain numbers. Larger
 * ones are maps of pieces. Arrays lie in the file as they are in memory and are read where they lie. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/decimal.h"
#include "core/decode/decoder.h"
#include "core/format/flax.h"
#include "core/utf8.h"

enum {
    DEPTH_MAX = 200,
    VALUES_A_TENSOR = 16, /* that are looked at, for each tensor that a model may have */
    METADATA_TEXT_MAX = 16384,
    NUMBER_BYTES = 48,
    LISTED_MAX = 16,
    EXTENSION_ARRAY = 1,
    EXTENSION_COMPLEX = 2,
    EXTENSION_SCALAR = 3,
};

static bool read_value(struct flax *f);

static bool flax_probe(const struct head *head)
{
    return msgpack_is_map_of_texts(head->first, head->first_bytes);
}

/* Adds ".component" to the path; the caller puts path_bytes back. */
static bool enter(struct flax *f, struct name component)
{
    if (component.bytes >= sizeof(f->path) - f->path_bytes)
        return byte_reader_fault(&f->bytes, ERROR_LIMIT, "a name has more than %zu bytes", sizeof(f->path));
    if (f->path_bytes)
        f->path[f->path_bytes++] = '.';
    memcpy(f->path + f->path_bytes, component.text, component.bytes);
    f->path_bytes += component.bytes;
    return true;
}

static bool take_path(struct flax *f, struct name *ret_name)
{
    char *copy = arena_copy(&f->arena, f->path, f->path_bytes);

    if (!copy)
        return flax_no_memory(f);
    *ret_name = (struct name){copy, (uint32_t)f->path_bytes};
    return true;
}

static bool add_metadata(struct flax *f, const char *text, size_t bytes)
{
    struct model *model = f->model;
    struct metadata_entry entry;
    char *copy;

    if (model->metadata_count >= f->limits->metadata)
        return true;
    if (!array_reserve(&model->metadata, sizeof(*model->metadata), model->metadata_count, &f->metadata_room))
        return flax_no_memory(f);
    copy = arena_copy(&f->arena, text, bytes);
    if (!copy)
        return flax_no_memory(f);
    entry.value = (struct name){copy, (uint32_t)bytes};
    if (!take_path(f, &entry.key))
        return false;
    model->metadata[model->metadata_count++] = entry;
    return true;
}

static bool add_number(struct flax *f, const struct msgpack_token *token)
{
    char text[NUMBER_BYTES];
    int bytes;

    _Static_assert((int)NUMBER_BYTES >= (int)DECIMAL_BYTES, "decimal_write writes there");
    switch (token->kind) {
    case MSGPACK_BOOL:
        bytes = snprintf(text, sizeof(text), "%s", token->integer ? "true" : "false");
        break;
    case MSGPACK_INT:
        bytes = snprintf(text, sizeof(text), "%" PRId64, token->integer);
        break;
    case MSGPACK_BIG:
        bytes = snprintf(text, sizeof(text), "%" PRIu64, token->count);
        break;
    default:
        if (isfinite(token->real))
            bytes = (int)decimal_write(token->real, text);
        else
            bytes = snprintf(text, sizeof(text), "%s",
                             isnan(token->real)  ? "NaN"
                             : token->real > 0.0 ? "Infinity"
                                                 : "-Infinity");
    }
    return add_metadata(f, text, (size_t)bytes);
}

static bool add_text(struct flax *f, uint64_t bytes)
{
    char text[METADATA_TEXT_MAX];

    if (bytes > sizeof(text))
        return byte_reader_skip(&f->bytes, bytes, "a text");
    if (!byte_reader_bytes(&f->bytes, text, (size_t)bytes, "a text"))
        return false;
    return !utf8_is_valid(text, (size_t)bytes) || add_metadata(f, text, (size_t)bytes);
}

static bool add_tensor(struct flax *f, struct tensor tensor)
{
    struct model *model = f->model;

    if (model->tensor_count >= f->limits->tensors)
        return byte_reader_fault(&f->bytes, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit",
                                 f->limits->tensors);
    if (!array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &f->tensor_room))
        return flax_no_memory(f);
    if (!take_path(f, &tensor.name))
        return false;
    model->tensors[model->tensor_count++] = tensor;
    return true;
}

/* An array of a dtype that is not known is listed under the dtype's name, its bytes compared. */
static bool add_array(struct flax *f, const struct array *array)
{
    struct tensor tensor = {.dtype = array->dtype, .shape = array->shape};
    struct storage *storage;
    char *name;

    tensor.extent = (struct extent){.offset = array->offset, .bytes = array->bytes};
    if (array->dtype != DTYPE_UNKNOWN && strcmp(array->dtype_name, "int4") != 0)
        return add_tensor(f, tensor);
    storage = arena_take(&f->arena, sizeof(*storage));
    name = arena_copy(&f->arena, array->dtype_name, strlen(array->dtype_name));
    if (!storage || !name)
        return flax_no_memory(f);
    *storage =
        (struct storage){.decoder = array->dtype == DTYPE_UNKNOWN ? NULL : &decoder_int4, .stored_as = name_of(name)};
    tensor.storage = storage;
    return add_tensor(f, tensor);
}

static bool read_map(struct flax *f, uint64_t pairs)
{
    const size_t path_bytes = f->path_bytes;
    struct name key;

    for (uint64_t i = 0; i < pairs; i++) {
        if (!flax_key(f, &key))
            return false;
        if (i == 0 && flax_is_chunked(key)) {
            struct tensor tensor;

            return flax_chunked(f, pairs, &tensor) && add_tensor(f, tensor);
        }
        if (!enter(f, key) || !read_value(f))
            return false;
        f->path_bytes = path_bytes;
    }
    return true;
}

/* Of a long list the numbers and texts are not told one by one. */
static bool read_list(struct flax *f, uint64_t count)
{
    const size_t path_bytes = f->path_bytes;
    char text[NUMBER_BYTES];

    for (uint64_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%" PRIu64, i);
        f->is_untold = count > LISTED_MAX;
        if (!enter(f, name_of(text)) || !read_value(f))
            return false;
        f->path_bytes = path_bytes;
    }
    return true;
}

static bool read_extension(struct flax *f, const struct msgpack_token *token)
{
    char path[NAME_PRINTABLE_BYTES];
    struct array array;

    if (token->extension == EXTENSION_ARRAY || token->extension == EXTENSION_SCALAR)
        return flax_array(f, token->count, &array) && add_array(f, &array);
    name_printable((struct name){f->path, (uint32_t)f->path_bytes}, path);
    if (model_warn(f->model, "left-out", (struct name){0}, "%s was left out: it is %s (msgpack extension %d)", path,
                   token->extension == EXTENSION_COMPLEX ? "a complex number" : "of a type that is not known",
                   token->extension) != 0)
        return flax_no_memory(f);
    return byte_reader_skip(&f->bytes, token->count, "an extension");
}

static bool read_inside(struct flax *f)
{
    const bool is_untold = f->is_untold;
    struct msgpack_token token;

    f->is_untold = false;
    if (!msgpack_next(&f->bytes, "a value", &token))
        return false;
    switch (token.kind) {
    case MSGPACK_MAP:
        return read_map(f, token.count);
    case MSGPACK_ARRAY:
        return read_list(f, token.count);
    case MSGPACK_EXTENSION:
        return read_extension(f, &token);
    case MSGPACK_TEXT:
        return is_untold ? byte_reader_skip(&f->bytes, token.count, "a text") : add_text(f, token.count);
    case MSGPACK_BINARY:
        return byte_reader_skip(&f->bytes, token.count, "bytes");
    case MSGPACK_NIL:
        return true;
    case MSGPACK_BOOL:
    case MSGPACK_INT:
    case MSGPACK_BIG:
    case MSGPACK_REAL:
        break;
    }
    return is_untold || add_number(f, &token);
}

static bool read_value(struct flax *f)
{
    bool is_read;

    if (f->depth == DEPTH_MAX)
        return byte_reader_fault(&f->bytes, ERROR_LIMIT, "its values are nested more than %d deep", DEPTH_MAX);
    if (f->values++ / VALUES_A_TENSOR > f->limits->tensors)
        return byte_reader_fault(&f->bytes, ERROR_LIMIT, "has more values than a model may");
    f->depth++;
    is_read = read_inside(f);
    f->depth--;
    return is_read;
}

static int read_all(struct flax *f, struct source *source, struct error *err)
{
    struct model *model = f->model;

    model->uri = strdup(source->uri);
    model->files = calloc(1, sizeof(*model->files));
    model->format = &flax_format;
    if (!model->uri || !model->files)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    f->bytes.is_swapped = true;
    if (!read_value(f))
        return f->bytes.rc;
    if (f->bytes.at != source->size)
        return error_set(err, ERROR_FORMAT, "its map ends at offset %" PRIu64 ", the file at %" PRIu64, f->bytes.at,
                         source->size);
    if (model->tensor_count == 0)
        return error_set(err, ERROR_UNSUPPORTED, "is msgpack without an array, so none of Flax's");
    return model_keep_arena(model, &f->arena) ? error_set(err, ERROR_NO_MEMORY, "out of memory for the model") : 0;
}

static int flax_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct flax *f = calloc(1, sizeof(*f));
    struct model *model = calloc(1, sizeof(*model));
    int rc;

    if (!f || !model) {
        free(f);
        free(model);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    }
    f->limits = opener->limits;
    f->arena.limit = 4 * opener->limits->header_bytes;
    f->model = model;
    rc = byte_reader_open(&f->bytes, source, 0, source->size, err);
    if (rc == 0)
        rc = read_all(f, source, err);
    byte_reader_done(&f->bytes);
    arena_done(&f->arena);
    free(f);
    if (rc)
        return format_reject(model, source, rc, err);
    model->files[0].source = source;
    model->file_count = 1;
    *ret_model = model;
    return 0;
}

const struct format flax_format = {
    .name = "flax",
    .summary = "Flax's .msgpack (flax.serialization): parameters and whole training states, arrays in pieces too",
    .docs = &flax_docs,
    .probe = flax_probe,
    .open = flax_open,
    .index_separator = '/', /* as transformers writes flax_model.msgpack.index.json */
};
