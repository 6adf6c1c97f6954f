/* Checkpoints of TensorFlow's first version, before 2016: one table that holds the variables themselves. Its first
 * value (SavedTensorSlices.meta) says what there is, each of the others (SavedTensorSlices.data) is a slice of a
 * variable, most often all of it, as a TensorProto. Blocks are of a variable's size, so their checksums are not read.
 * (tensorflow/core/util/saved_tensor_slice.proto, tensor_slice_writer.cc.) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/format/tensorflow.h"
#include "core/model/name_index.h"

enum { RANK_MAX = 64, HEAD = 32, NAME_LIMIT = 65535, META = 1, DATA = 2 };

/* What is kept beside an entry while its slices come. */
struct known {
    size_t slices;
};

struct first {
    struct tensorflow *tf;
    struct known *known; /* beside tf->entries */
    size_t room, tensor_room;
};

/* A slice on its way. */
struct slice {
    struct name name;
    uint64_t start[RANK_MAX], length[RANK_MAX];
    bool is_whole[RANK_MAX]; /* along that dimension */
    uint32_t rank;
    struct wire_field proto;
};

int tensorflow_is_first_version(struct tensorflow *tf, bool *ret_is_first)
{
    const uint64_t size = tf->source->size, at = tf->blocks.count ? tf->blocks.list[0].offset : size;
    uint8_t head[HEAD] = {0};
    const size_t bytes = at < size && size - at < HEAD ? (size_t)(size - at) : HEAD;
    size_t length = 2;
    int rc;

    *ret_is_first = false;
    if (at >= size)
        return 0;
    rc = source_read_at(tf->source, at, head, bytes, tf->err);
    if (rc)
        return rc;
    while (length < HEAD - 2 && head[length] >= 0x80)
        length++;
    /* The empty key, the value's length, and a message where the other version has a number. */
    *ret_is_first = head[0] == 0 && head[1] == 0 && head[length + 1] == (META << 3 | WIRE_BYTES);
    return 0;
}

static struct name_records names_of(const struct tensorflow *tf)
{
    return (struct name_records){tf->entries ? &tf->entries->key : NULL, sizeof(*tf->entries)};
}

/* SavedSliceMeta: name = 1, shape = 2, type = 3. */
static bool read_known(struct first *f, const struct wire_field *message)
{
    struct tensorflow *tf = f->tf;
    struct tensorflow_entry entry = {.elements = 1};
    uint64_t at = message->at;
    struct wire_field field;

    while (wire_next(&tf->reader, &at, message->end, &field)) {
        if (field.number == 1 && !wire_text(&tf->reader, &field, NAME_LIMIT, &tf->arena, &entry.key))
            return false;
        if (field.number == 2 && field.type == WIRE_BYTES && !tensorflow_shape(tf, &entry, &field))
            return false;
        if (field.number == 3 && field.type == WIRE_VARINT)
            entry.dtype = field.value;
    }
    if (tf->reader.rc)
        return false;
    if (!entry.dims)
        entry.dims = arena_take_array(&tf->arena, 1, sizeof(*entry.dims));
    if (!entry.dims || !entry.key.text)
        return entry.dims ? byte_reader_fault(&tf->reader, ERROR_FORMAT, "a variable has no name")
                          : tensorflow_no_memory(tf);
    if (tf->entry_count >= tf->opener->limits->tensors)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT, "claims more than %" PRIu64 " variables, the limit",
                                 tf->opener->limits->tensors);
    if (!array_reserve(&tf->entries, sizeof(*tf->entries), tf->entry_count, &f->room))
        return tensorflow_no_memory(tf);
    tf->entries[tf->entry_count++] = entry;
    return true;
}

/* SavedTensorSlices: meta = 1 {tensor = 1, …}. */
static bool read_meta(struct first *f, uint64_t at, uint64_t end)
{
    struct byte_reader *reader = &f->tf->reader;
    struct wire_field field, inner;

    while (wire_next(reader, &at, end, &field)) {
        uint64_t inner_at = field.at;

        if (field.number != META || field.type != WIRE_BYTES)
            continue;
        while (wire_next(reader, &inner_at, field.end, &inner))
            if (inner.number == 1 && inner.type == WIRE_BYTES && !read_known(f, &inner))
                return false;
    }
    return reader->rc == 0;
}

/* TensorSliceProto: extent = 1 {start = 1, length = 2}; without a length, all of the dimension. */
static bool read_extents(struct first *f, const struct wire_field *message, struct slice *slice)
{
    struct byte_reader *reader = &f->tf->reader;
    struct wire_field field, inner;
    uint64_t at = message->at;

    while (wire_next(reader, &at, message->end, &field)) {
        uint64_t inner_at = field.at;

        if (field.number != 1 || field.type != WIRE_BYTES)
            continue;
        if (slice->rank == RANK_MAX)
            return byte_reader_fault(reader, ERROR_FORMAT, "a slice claims more than %d dimensions", RANK_MAX);
        slice->start[slice->rank] = slice->length[slice->rank] = 0;
        slice->is_whole[slice->rank] = true;
        while (wire_next(reader, &inner_at, field.end, &inner)) {
            if (inner.number == 1 && inner.type == WIRE_VARINT)
                slice->start[slice->rank] = inner.value;
            if (inner.number == 2 && inner.type == WIRE_VARINT) {
                slice->length[slice->rank] = inner.value;
                slice->is_whole[slice->rank] = false;
            }
        }
        slice->rank++;
    }
    return reader->rc == 0;
}

/* The slice's own sizes, of the arena; *ret_is_all: it is all of the variable. */
static bool resolve(struct first *f, const struct slice *slice, const struct tensorflow_entry *whole,
                    struct tensorflow_entry *ret_part, bool *ret_is_all)
{
    struct tensorflow *tf = f->tf;
    uint64_t elements = 1;

    *ret_part = *whole;
    *ret_is_all = true;
    if (slice->rank != whole->rank)
        return tensorflow_wrong(tf, whole->key, "a slice of it has another number of dimensions");
    ret_part->dims = arena_take_array(&tf->arena, whole->rank + 1u, sizeof(*ret_part->dims));
    if (!ret_part->dims)
        return tensorflow_no_memory(tf);
    for (uint32_t d = 0; d < whole->rank; d++) {
        const uint64_t length = slice->is_whole[d] ? whole->dims[d] : slice->length[d];

        if (length > whole->dims[d] || slice->start[d] > whole->dims[d] - length)
            return tensorflow_wrong(tf, whole->key, "a slice of it reaches beyond it");
        ret_part->dims[d] = length;
        elements *= length; /* at most the whole's: no overflow */
        *ret_is_all &= length == whole->dims[d];
    }
    ret_part->elements = elements;
    return true;
}

static bool add_slice(struct first *f, const struct slice *slice, size_t which)
{
    struct tensorflow *tf = f->tf;
    struct tensorflow_entry part;
    struct name name;
    uint32_t file;
    bool is_all;

    if (!resolve(f, slice, &tf->entries[which], &part, &is_all) ||
        !tensorflow_values(tf, &part, slice->proto.at, slice->proto.end, false, &file) ||
        !tensorflow_name(tf, part.key, &name))
        return false;
    if (!is_all) {
        char *text = arena_take(&tf->arena, (size_t)name.bytes + 32);

        if (!text)
            return tensorflow_no_memory(tf);
        memcpy(text, name.text, name.bytes);
        name = (struct name){text, name.bytes +
                                       (uint32_t)snprintf(text + name.bytes, 32, ".part_%zu", f->known[which].slices)};
    }
    f->known[which].slices++;
    return tensorflow_add_at(tf, &part, name, file);
}

/* SavedTensorSlices: data = 2 {name = 1, slice = 2, data = 3}. */
static bool read_slice(struct first *f, const struct name_index *index, uint64_t at, uint64_t end)
{
    struct tensorflow *tf = f->tf;
    const struct name_records records = names_of(tf);
    struct wire_field field, inner;
    struct slice slice = {0};
    uint32_t which = NAME_INDEX_NONE;

    while (wire_next(&tf->reader, &at, end, &field)) {
        uint64_t inner_at = field.at;

        if (field.number != DATA || field.type != WIRE_BYTES)
            continue;
        while (wire_next(&tf->reader, &inner_at, field.end, &inner)) {
            if (inner.number == 1 && !wire_text(&tf->reader, &inner, NAME_LIMIT, &tf->arena, &slice.name))
                return false;
            if (inner.number == 2 && inner.type == WIRE_BYTES && !read_extents(f, &inner, &slice))
                return false;
            if (inner.number == 3 && inner.type == WIRE_BYTES)
                slice.proto = inner;
        }
    }
    if (tf->reader.rc)
        return false;
    if (slice.name.text && tf->entry_count)
        which = name_index_find(index, records, slice.name);
    if (which == NAME_INDEX_NONE)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "a slice before offset %" PRIu64 " is of no variable that the table tells of", end);
    return add_slice(f, &slice, which);
}

static bool grow_tensors(struct first *f)
{
    struct tensorflow *tf = f->tf;
    struct model *model = tf->model;

    if (model->tensor_count >= tf->opener->limits->tensors)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit",
                                 tf->opener->limits->tensors);
    return array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &f->tensor_room) ||
           tensorflow_no_memory(tf);
}

/* The content of a block: where its entries end, without what restarts among them. */
static bool open_block(struct tensorflow *tf, struct sstable_block block, uint64_t *ret_end)
{
    uint64_t restarts = 0, kind = 0;

    if (block.bytes < 4 || block.bytes > tf->source->size || block.offset >= tf->source->size - block.bytes)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "table: a block claims %" PRIu64 " bytes at offset %" PRIu64
                                 ", the file ends at %" PRIu64,
                                 block.bytes, block.offset, tf->source->size);
    tf->reader.at = block.offset + block.bytes - 4;
    if (!byte_reader_number(&tf->reader, 4, &restarts, "a block's end") ||
        !byte_reader_number(&tf->reader, 1, &kind, "a block's kind"))
        return false;
    if (kind != 0)
        return byte_reader_fault(&tf->reader, ERROR_UNSUPPORTED,
                                 "table: the block at offset %" PRIu64 " of a checkpoint of the first version is "
                                 "compressed",
                                 block.offset);
    if (restarts > (block.bytes - 4) / 4)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "table: the block at offset %" PRIu64 " claims more restarts than it has bytes",
                                 block.offset);
    *ret_end = block.offset + block.bytes - 4 - 4 * restarts;
    return true;
}

/* The next entry's value; its key says nothing that the value does not. */
static bool next_value(struct tensorflow *tf, uint64_t *at, uint64_t end, uint64_t *ret_from)
{
    uint64_t shared = 0, rest = 0, bytes = 0;

    tf->reader.at = *at;
    if (!wire_varint(&tf->reader, &shared) || !wire_varint(&tf->reader, &rest) || !wire_varint(&tf->reader, &bytes))
        return false;
    if (tf->reader.at > end || rest > end - tf->reader.at || bytes > end - tf->reader.at - rest)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "table: the entry at offset %" PRIu64 " reaches beyond its block's end, %" PRIu64, *at,
                                 end);
    *ret_from = tf->reader.at + rest;
    *at = *ret_from + bytes;
    return true;
}

static bool index_known(struct first *f, struct name_index **ret_index)
{
    struct tensorflow *tf = f->tf;
    const struct name_records records = names_of(tf);
    struct name_index *index = name_index_new(tf->entry_count + 1);

    f->known = calloc(tf->entry_count + 1, sizeof(*f->known));
    *ret_index = index;
    if (!index || !f->known)
        return tensorflow_no_memory(tf);
    for (size_t i = 0; i < tf->entry_count; i++)
        if (name_index_add(index, records, (uint32_t)i) != i)
            return tensorflow_wrong(tf, tf->entries[i].key, "is told of twice");
    return true;
}

static bool read_blocks(struct first *f, struct name_index **ret_index)
{
    struct tensorflow *tf = f->tf;

    for (size_t b = 0; b < tf->blocks.count; b++) {
        uint64_t at = tf->blocks.list[b].offset, end = 0, from = 0; /* gcc does not see that they are set */

        if (!open_block(tf, tf->blocks.list[b], &end))
            return false;
        while (at < end) {
            if (!next_value(tf, &at, end, &from))
                return false;
            if (!*ret_index) {
                if (!read_meta(f, from, at) || !index_known(f, ret_index))
                    return false;
                continue;
            }
            if (!grow_tensors(f) || !read_slice(f, *ret_index, from, at))
                return false;
        }
    }
    for (size_t i = 0; i < tf->entry_count; i++)
        if (f->known[i].slices == 0)
            return tensorflow_wrong(tf, tf->entries[i].key, "is told of, and is not there");
    return true;
}

int tensorflow_read_first_version(struct tensorflow *tf)
{
    struct first f = {.tf = tf};
    struct name_index *index = NULL;
    int rc = byte_reader_open(&tf->reader, tf->source, 0, tf->source->size, tf->err);

    if (rc == 0 && !read_blocks(&f, &index))
        rc = tf->reader.rc;
    name_index_free(index);
    free(f.known);
    return rc;
}
