/* torch.distributed.checkpoint: .metadata, a pickle that says of every tensor which chunks it was cut into and where
 * each of them lies, and files beside it (__0_0.distcp, …) in which each chunk is an archive of torch.save on its own.
 * Chunks that follow one another along the first dimension, as FSDP cuts, are put together. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/format/folder.h"
#include "core/format/torch.h"
#include "core/io/part.h"

enum { PROBED_BYTES = 256, TREE_FACTOR = 64, SUFFIX_BYTES = 256 };

/* One entry of storage_data. */
struct chunk {
    struct name tensor, file;
    const struct node *offsets; /* a tuple; NULL: an object that is no tensor */
    uint64_t at, bytes;
    uint64_t row;          /* where it begins along the first dimension */
    struct tensor stored;  /* as the archive has it */
    struct model *archive; /* that stored is borrowed from */
};

struct checkpoint {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    struct model *model;
    struct arena arena; /* what the model keeps */
    struct arena nodes;
    struct folder folder;
    struct chunk *chunks; /* by tensor and row */
    size_t chunk_count, tensor_room, metadata_room;
    uint64_t opened_bytes, file_bytes; /* of chunks, and of the files that they lie in */
};

static int no_memory(struct checkpoint *c)
{
    return error_set(c->err, ERROR_NO_MEMORY, "out of memory for its tensors");
}

static int wrong(struct checkpoint *c, struct name tensor, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return error_set(c->err, ERROR_FORMAT, "tensor %s: %s", name_printable(tensor, printable), what);
}

static bool torch_distributed_probe(const struct head *head)
{
    static const char module[] = "torch.distributed.checkpoint.metadata";
    const size_t bytes = head->first_bytes < PROBED_BYTES ? head->first_bytes : PROBED_BYTES;

    return bytes > 0 && head->first[0] == 0x80 && memmem(head->first, bytes, module, sizeof(module) - 1);
}

/* A member of what an object of a plain class was given. */
static struct node *attribute(const struct node *object, const char *name)
{
    return object && object->kind == NODE_OBJECT ? node_member(object->state, name) : NULL;
}

static bool is_count(const struct node *node, uint64_t *ret)
{
    if (!node || node->kind != NODE_INT || node->integer < 0)
        return false;
    *ret = (uint64_t)node->integer;
    return true;
}

/* torch.Size((…)) */
static const struct node *size_of(const struct node *node)
{
    if (node && node->kind == NODE_CALL && node_is_global(node->callee, "torch.Size") && node->args->count == 1)
        node = node->args->items[0];
    return node && node->kind == NODE_TUPLE ? node : NULL;
}

static bool leads_out(struct name file)
{
    return file.bytes == 0 || file.text[0] == '/' || memmem(file.text, file.bytes, "..", 2) ||
           memchr(file.text, '\0', file.bytes);
}

static int read_chunk(struct checkpoint *c, const struct node *key, const struct node *value, struct chunk *chunk)
{
    const struct node *tensor = attribute(key, "fqn"), *file = attribute(value, "relative_path");
    const struct node *changes = attribute(value, "transform_descriptors");

    if (!tensor || tensor->kind != NODE_TEXT || !file || file->kind != NODE_TEXT ||
        !is_count(attribute(value, "offset"), &chunk->at) || !is_count(attribute(value, "length"), &chunk->bytes))
        return error_set(c->err, ERROR_FORMAT, "its storage_data do not say where each chunk lies");
    chunk->tensor = tensor->text;
    chunk->file = file->text;
    chunk->offsets = size_of(attribute(key, "offset"));
    if (leads_out(chunk->file))
        return wrong(c, chunk->tensor, "the file of a chunk leads out of the directory");
    if (changes && changes->count > 0)
        return error_set(c->err, ERROR_UNSUPPORTED, "its chunks are compressed, which is not read");
    if (chunk->offsets && chunk->offsets->count > 0 && !is_count(chunk->offsets->items[0], &chunk->row))
        return wrong(c, chunk->tensor, "a chunk begins nowhere");
    return 0;
}

static int compare_names(struct name a, struct name b)
{
    const uint32_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
    const int order = shorter ? memcmp(a.text, b.text, shorter) : 0;

    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int compare_chunks(const void *a, const void *b)
{
    return compare_names(((const struct chunk *)a)->tensor, ((const struct chunk *)b)->tensor);
}

static int read_chunks(struct checkpoint *c, const struct node *storage)
{
    const size_t count = storage->count / 2;
    int rc = 0;

    if (count > c->opener->limits->tensors)
        return error_set(c->err, ERROR_LIMIT, "has %zu chunks, the limit is %" PRIu64, count,
                         c->opener->limits->tensors);
    c->chunks = calloc(count + 1, sizeof(*c->chunks));
    if (!c->chunks)
        return no_memory(c);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = read_chunk(c, storage->items[2 * i], storage->items[2 * i + 1], &c->chunks[i]);
    c->chunk_count = count;
    if (count > 0)
        qsort(c->chunks, count, sizeof(*c->chunks), compare_chunks);
    return rc;
}

/* The model's file of that name, opened once. */
static int find_file(struct checkpoint *c, struct name name, uint32_t *ret_file)
{
    struct model *model = c->model;
    struct model_file file = {0}, *grown;
    int rc;

    for (size_t f = 1; f < model->file_count; f++) /* header: its name */
        if (name_equal(name_of(model->files[f].header), name)) {
            *ret_file = (uint32_t)f;
            return 0;
        }
    if (model->file_count > c->opener->limits->shards)
        return error_set(c->err, ERROR_LIMIT, "lies in more than %" PRIu32 " files, the limit",
                         c->opener->limits->shards);
    rc = folder_open_file(&c->folder, name, &file.source, c->err);
    if (rc)
        return error_prefix(c->err, rc, "its data: ");
    file.header = strndup(name.text, name.bytes);
    grown = file.header ? reallocarray(model->files, model->file_count + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        source_close(file.source);
        free(file.header);
        return no_memory(c);
    }
    model->files = grown;
    grown[model->file_count] = file;
    c->file_bytes += file.source->size;
    *ret_file = (uint32_t)model->file_count++;
    return 0;
}

static int open_archive(struct checkpoint *c, struct chunk *chunk, uint32_t *ret_file)
{
    struct source *part;
    int rc = find_file(c, chunk->file, ret_file);

    if (rc == 0)
        rc = part_open(c->model->files[*ret_file].source, chunk->at, chunk->bytes, &part, c->err);
    if (rc)
        return rc;
    c->opened_bytes += chunk->bytes;
    if (c->opened_bytes > c->file_bytes) {
        source_close(part);
        return wrong(c, chunk->tensor, "a chunk lies on the bytes of others");
    }
    rc = torch_zip_format.open(c->opener, part, &chunk->archive, c->err);
    if (rc)
        source_close(part);
    return rc;
}

static int open_chunk(struct checkpoint *c, struct chunk *chunk)
{
    uint32_t file;
    int rc = open_archive(c, chunk, &file);

    if (rc)
        return rc;
    if (chunk->archive->tensor_count != 1 || chunk->archive->tensors[0].extent.source != 0)
        return wrong(c, chunk->tensor, "a chunk is not one stored tensor");
    chunk->stored = chunk->archive->tensors[0];
    chunk->stored.extent.source = file;
    chunk->stored.extent.offset += chunk->at;
    return 0;
}

static int add_tensor(struct checkpoint *c, const struct tensor *tensor)
{
    struct model *model = c->model;

    if (!array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &c->tensor_room))
        return no_memory(c);
    model->tensors[model->tensor_count++] = *tensor;
    return 0;
}

/* The archive is closed soon; what a tensor refers to in it is the model's from now on. */
static int keep_archive(struct checkpoint *c, struct chunk *chunk)
{
    struct model *archive = chunk->archive;

    while (archive->chunk_count > 0) {
        if (model_keep(c->model, archive->chunks[archive->chunk_count - 1]) != 0)
            return no_memory(c);
        archive->chunk_count--;
    }
    return 0;
}

static int copy_name(struct checkpoint *c, struct name name, const char *suffix, struct name *ret)
{
    const size_t more = strlen(suffix);
    char *copy = arena_take(&c->arena, name.bytes + more + 1);

    if (!copy)
        return no_memory(c);
    memcpy(copy, name.text, name.bytes);
    memcpy(copy + name.bytes, suffix, more);
    *ret = (struct name){copy, name.bytes + (uint32_t)more};
    return 0;
}

/* A chunk as a tensor of its own: the whole of one, or what cannot be put together, whose place is in its name then. */
static int add_chunk(struct checkpoint *c, struct chunk *chunk, const char *suffix)
{
    struct tensor tensor = chunk->stored;
    int rc = copy_name(c, chunk->tensor, suffix, &tensor.name);

    if (rc == 0)
        rc = keep_archive(c, chunk);
    return rc ? rc : add_tensor(c, &tensor);
}

/* Where a chunk begins along the second dimension. */
static uint64_t column_of(const struct chunk *chunk)
{
    uint64_t column = 0;

    return chunk->offsets->count < 2 || is_count(chunk->offsets->items[1], &column) ? column : UINT64_MAX;
}

/* By row and column; what holds nothing comes first. */
static int compare_places(const void *a, const void *b)
{
    const struct chunk *left = a, *right = b;
    const uint64_t from = column_of(left), to = column_of(right);

    if ((left->stored.shape.elements == 0) != (right->stored.shape.elements == 0))
        return left->stored.shape.elements == 0 ? -1 : 1;
    if (left->row != right->row)
        return left->row < right->row ? -1 : 1;
    return from < to ? -1 : from > to;
}

static bool is_whole(const struct chunk *chunk, const struct node *size)
{
    uint64_t dim;

    for (uint32_t d = 0; d < size->count; d++)
        if (!is_count(size->items[d], &dim) || chunk->stored.shape.dims[d] != dim)
            return false;
    return true;
}

/* Whether count chunks, none empty, by row and column, are a band's tiles after the other's, all of them, whole in
 * every dimension beyond the second. */
static bool are_tiles(const struct chunk *chunks, size_t count, const struct node *size)
{
    uint64_t row = 0, column, rows, columns = 1, dim, offset;
    size_t i = 0;

    if (!is_count(size->items[0], &rows) || (size->count > 1 && !is_count(size->items[1], &columns)))
        return false;
    for (size_t k = 0; k < count; k++) {
        const struct shape *shape = &chunks[k].stored.shape;

        if (chunks[k].stored.dtype != chunks[0].stored.dtype)
            return false;
        for (uint32_t d = 2; d < size->count; d++)
            if (!is_count(size->items[d], &dim) || shape->dims[d] != dim ||
                !is_count(chunks[k].offsets->items[d], &offset) || offset != 0)
                return false;
    }
    for (; i < count && row < rows; row += chunks[i - 1].stored.shape.dims[0]) {
        const uint64_t band = chunks[i].stored.shape.dims[0];

        for (column = 0; i < count && column < columns; i++) {
            const struct shape *shape = &chunks[i].stored.shape;

            if (chunks[i].row != row || column_of(&chunks[i]) != column || shape->dims[0] != band ||
                !checked_add(column, size->count > 1 ? shape->dims[1] : 1, &column))
                return false;
        }
        if (column != columns || band > rows - row)
            return false;
    }
    return i == count && row == rows;
}

static int add_tiles(struct checkpoint *c, const struct chunk *chunks, size_t count, const struct node *size)
{
    struct tensor tensor = {.dtype = chunks[0].stored.dtype, .shape = {.rank = size->count}};
    uint64_t *dims = arena_take_array(&c->arena, size->count, sizeof(*dims)), inner = 1;
    struct tile *list = arena_take_array(&c->arena, count, sizeof(*list));
    struct storage *storage = arena_take(&c->arena, sizeof(*storage));
    struct tiles *tiles = arena_take(&c->arena, sizeof(*tiles));
    int rc;

    if (!dims || !list || !storage || !tiles)
        return no_memory(c);
    for (uint32_t d = 0; d < size->count; d++)
        dims[d] = (uint64_t)size->items[d]->integer;
    for (uint32_t d = 2; d < size->count; d++)
        inner *= dims[d]; /* of tiles that are there: no overflow */
    for (size_t i = 0; i < count; i++) {
        const struct tensor *stored = &chunks[i].stored;

        list[i] = (struct tile){.row = chunks[i].row,
                                .rows = stored->shape.dims[0],
                                .column = column_of(&chunks[i]) * inner,
                                .columns = size->count > 1 ? stored->shape.dims[1] * inner : 1,
                                .offset = stored->extent.offset,
                                .source = stored->extent.source};
        tensor.shape.elements += stored->shape.elements;
        tensor.extent.bytes += stored->extent.bytes;
    }
    tensor.shape.dims = dims;
    *tiles = (struct tiles){.count = count, .columns = size->count > 1 ? dims[1] * inner : 1};
    *storage = (struct storage){.decoder = &decoder_tiles, .parameters = tiles};
    tensor.storage = storage;
    tiles_settle(tiles, list, &tensor);
    rc = copy_name(c, chunks[0].tensor, "", &tensor.name);
    return rc ? rc : add_tensor(c, &tensor);
}

/* "[0,128]": where the chunk begins. */
static void place_text(const struct node *offsets, char out[SUFFIX_BYTES])
{
    size_t used = 0;

    for (uint32_t d = 0; d < offsets->count && used < SUFFIX_BYTES - 32; d++)
        used += (size_t)snprintf(out + used, SUFFIX_BYTES - used, "%c%" PRId64, d ? ',' : '[',
                                 offsets->items[d]->kind == NODE_INT ? offsets->items[d]->integer : 0);
    snprintf(out + used, SUFFIX_BYTES - used, "]");
}

static int add_apart(struct checkpoint *c, struct chunk *chunks, size_t count)
{
    char printable[NAME_PRINTABLE_BYTES], suffix[SUFFIX_BYTES];
    int rc = 0;

    if (model_warn(c->model, "slices", (struct name){0},
                   "%s lies in %zu chunks that are no rows of tiles, one behind the other: listed one by one",
                   name_printable(chunks[0].tensor, printable), count) != 0)
        return no_memory(c);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        place_text(chunks[i].offsets, suffix);
        rc = add_chunk(c, &chunks[i], suffix);
    }
    return rc;
}

/* The chunks of one tensor. */
static int add_chunks(struct checkpoint *c, struct chunk *chunks, size_t count, const struct node *metadata)
{
    const struct node *size = size_of(attribute(metadata, "size")), *of = attribute(metadata, "chunks");
    bool is_plain = true;
    int rc = 0;

    if (!size)
        return wrong(c, chunks[0].tensor, "has chunks but no size");
    if (!of || of->kind != NODE_LIST || of->count != count)
        return wrong(c, chunks[0].tensor, "not all of its chunks are stored");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = open_chunk(c, &chunks[i]);
        if (rc == 0 && chunks[i].stored.shape.rank != size->count)
            rc = wrong(c, chunks[0].tensor, "a chunk has other dimensions than the tensor");
        if (rc == 0 && (!chunks[i].offsets || chunks[i].offsets->count != size->count))
            rc = wrong(c, chunks[0].tensor, "a chunk begins nowhere");
        is_plain &= rc == 0 && !chunks[i].stored.storage && dtype_traits(chunks[i].stored.dtype)->bits % 8 == 0;
    }
    if (rc)
        return rc;
    if (size->count == 0)
        return count == 1 ? add_chunk(c, chunks, "") : wrong(c, chunks[0].tensor, "a single number has several chunks");
    qsort(chunks, count, sizeof(*chunks), compare_places);
    for (; count > 1 && chunks->stored.shape.elements == 0; count--)
        chunks++;
    if (count == 1 && is_whole(chunks, size))
        return add_chunk(c, chunks, "");
    return count > 1 && is_plain && are_tiles(chunks, count, size) ? add_tiles(c, chunks, count, size)
                                                                   : add_apart(c, chunks, count);
}

/* An object that is no tensor: its scalars are metadata, below its name. */
static int add_object(struct checkpoint *c, struct chunk *chunk)
{
    char printable[NAME_PRINTABLE_BYTES];
    struct error why = {0}, *err = c->err;
    struct model *model = c->model;
    uint32_t file;
    int rc;

    c->err = &why; /* what cannot be read of it is left out */
    rc = open_archive(c, chunk, &file);
    c->err = err;
    if (rc == ERROR_NO_MEMORY)
        return no_memory(c);
    if (rc || chunk->archive->tensor_count > 0)
        return model_warn(model, "left-out", (struct name){0}, "%s was left out: %s",
                          name_printable(chunk->tensor, printable),
                          rc ? why.text : "it is an object that holds tensors") == 0
                   ? 0
                   : no_memory(c);
    for (size_t i = 0; rc == 0 && i < chunk->archive->metadata_count; i++) {
        const struct metadata_entry *from = &chunk->archive->metadata[i];
        struct metadata_entry entry;

        if (model->metadata_count >= c->opener->limits->metadata)
            return 0;
        if (!array_reserve(&model->metadata, sizeof(*model->metadata), model->metadata_count, &c->metadata_room))
            return no_memory(c);
        rc = copy_name(c, chunk->tensor, from->key.bytes ? "." : "", &entry.key);
        if (rc == 0 && from->key.bytes)
            rc = copy_name(c, entry.key, from->key.text, &entry.key);
        if (rc == 0)
            rc = copy_name(c, from->value, "", &entry.value);
        if (rc == 0)
            model->metadata[model->metadata_count++] = entry;
    }
    return rc;
}

/* Entries of state_dict_metadata, by name. */
struct entry {
    struct name name;
    const struct node *metadata;
};

static int compare_entries(const void *a, const void *b)
{
    return compare_names(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int sort_entries(struct checkpoint *c, const struct node *tensors, struct entry **ret_entries)
{
    const size_t count = tensors->count / 2;
    struct entry *entries = arena_take_array(&c->nodes, count + 1, sizeof(*entries));

    if (!entries)
        return no_memory(c);
    for (size_t i = 0; i < count; i++) {
        if (tensors->items[2 * i]->kind != NODE_TEXT)
            return error_set(c->err, ERROR_FORMAT, "its state_dict_metadata have a name that is no text");
        entries[i] = (struct entry){tensors->items[2 * i]->text, tensors->items[2 * i + 1]};
    }
    if (count > 0)
        qsort(entries, count, sizeof(*entries), compare_entries);
    *ret_entries = entries;
    return 0;
}

static int add_all(struct checkpoint *c, const struct entry *entries, size_t count)
{
    size_t end;
    int rc = 0;

    for (size_t at = 0, e = 0; rc == 0 && e < count; e++) {
        if (at < c->chunk_count && compare_names(c->chunks[at].tensor, entries[e].name) < 0)
            return wrong(c, c->chunks[at].tensor, "is stored but not among the state_dict_metadata");
        for (end = at; end < c->chunk_count && name_equal(c->chunks[end].tensor, entries[e].name); end++)
            ;
        if (end == at)
            return wrong(c, entries[e].name, "lies in no file");
        rc = attribute(entries[e].metadata, "size") ? add_chunks(c, c->chunks + at, end - at, entries[e].metadata)
                                                    : add_object(c, &c->chunks[at]);
        for (; at < end; at++) {
            model_close(c->chunks[at].archive);
            c->chunks[at].archive = NULL;
        }
    }
    return rc;
}

static int read_metadata(struct checkpoint *c, uint8_t **ret_bytes)
{
    const struct limits *limits = c->opener->limits;
    const struct node *tensors, *storage;
    struct entry *entries = NULL;
    struct pickle pickle;
    int rc = folder_read_whole(c->source, limits->header_bytes, ".metadata", (char **)ret_bytes, c->err);

    c->nodes.limit = TREE_FACTOR * c->source->size + (1 << 20);
    if (rc == 0)
        rc = pickle_read(*ret_bytes, (size_t)c->source->size, &c->nodes, &pickle, c->err);
    if (rc)
        return rc;
    tensors = attribute(pickle.root, "state_dict_metadata");
    storage = attribute(pickle.root, "storage_data");
    if (!tensors || tensors->kind != NODE_DICT || !storage || storage->kind != NODE_DICT)
        return error_set(c->err, ERROR_FORMAT, "has no state_dict_metadata and storage_data");
    rc = read_chunks(c, storage);
    if (rc == 0)
        rc = sort_entries(c, tensors, &entries);
    return rc ? rc : add_all(c, entries, tensors->count / 2);
}

static int read_all(struct checkpoint *c)
{
    struct model *model = c->model;
    uint8_t *bytes = NULL;
    int rc;

    model->uri = strdup(c->source->uri);
    model->files = calloc(1, sizeof(*model->files));
    model->format = &torch_distributed_format;
    if (!model->uri || !model->files)
        return no_memory(c);
    model->files[0].source = c->source; /* the caller's until the end */
    model->file_count = 1;
    if (!c->opener->place)
        return error_set(c->err, ERROR_NOT_FOUND, "its data, the files beside it, are not at hand");
    rc = folder_open(&c->folder, c->opener, true, c->err);
    if (rc == 0)
        rc = read_metadata(c, &bytes);
    free(bytes);
    folder_done(&c->folder);
    return rc == 0 && model_keep_arena(model, &c->arena) != 0 ? no_memory(c) : rc;
}

static int torch_distributed_open(const struct opener *opener, struct source *source, struct model **ret_model,
                                  struct error *err)
{
    struct model *model = calloc(1, sizeof(*model));
    struct checkpoint c = {.opener = opener, .source = source, .err = err, .model = model};
    int rc;

    c.arena.limit = 4 * opener->limits->header_bytes;
    rc = model ? read_all(&c) : no_memory(&c);
    for (size_t i = 0; i < c.chunk_count; i++)
        model_close(c.chunks[i].archive);
    free(c.chunks);
    arena_done(&c.arena);
    arena_done(&c.nodes);
    if (rc)
        return format_reject(model, source, rc, err);
    *ret_model = model;
    return 0;
}

const struct format torch_distributed_format = {
    .name = "torch-distributed",
    .summary = "directories of torch.distributed.checkpoint (.metadata and .distcp files), as FSDP saves them",
    .docs = &torch_distributed_docs,
    .probe = torch_distributed_probe,
    .open = torch_distributed_open,
    .shares_storages = true,
};
