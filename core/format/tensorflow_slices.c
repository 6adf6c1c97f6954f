/* Variables that were saved in slices: their keys begin with a zero byte and hold, in an order-preserving code, the
 * variable's name and each dimension's start and length. (tensorflow/core/lib/strings/ordered_code.cc.) */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/format/tensorflow.h"

enum { RANK_MAX = 64, NAME_MAX_BYTES = 4096 };

struct slice {
    char name[NAME_MAX_BYTES];
    uint32_t name_bytes, rank;
    int64_t start[RANK_MAX], length[RANK_MAX]; /* length -1: the whole dimension */
};

bool tensorflow_is_slice(struct name key)
{
    return key.bytes > 0 && key.text[0] == '\0';
}

struct code {
    const uint8_t *bytes;
    size_t count, at;
};

/* Zero bytes within are followed by 0xff, bytes 0xff by zero; a zero and a one end it. */
static bool read_text(struct code *code, struct slice *slice)
{
    while (code->count - code->at >= 2) {
        const uint8_t byte = code->bytes[code->at++];

        if (byte == 0 || byte == 0xff) {
            const uint8_t next = code->bytes[code->at++];

            if (byte == 0 && next == 1)
                return true;
            if (next != (byte == 0 ? 0xff : 0))
                return false;
        }
        if (slice->name_bytes == sizeof(slice->name))
            return false;
        slice->name[slice->name_bytes++] = (char)byte;
    }
    return false;
}

/* As many bytes as the first says. */
static bool read_count(struct code *code, uint32_t *ret_count)
{
    size_t bytes;
    uint32_t value = 0;

    if (code->at == code->count)
        return false;
    bytes = code->bytes[code->at++];
    if (bytes > 4 || bytes > code->count - code->at)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | code->bytes[code->at++];
    *ret_count = value;
    return true;
}

/* As many bytes as ones lead; what follows them is the number. Of negative ones, all bits turned, only -1 is a length.
 */
static bool read_signed(struct code *code, int64_t *ret_value)
{
    uint64_t value = 0;
    size_t bytes = 0;

    if (code->at == code->count)
        return false;
    if (code->bytes[code->at] < 0x80) {
        *ret_value = -1;
        return code->bytes[code->at++] == 0x7f;
    }
    while (bytes < 8 && (code->bytes[code->at] >> (7 - bytes) & 1))
        bytes++;
    if (bytes == 8 && code->count - code->at >= 2) /* the ones go on in the second byte */
        while (bytes < 10 && (code->bytes[code->at + 1] >> (15 - bytes) & 1))
            bytes++;
    if (bytes > code->count - code->at)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        const size_t ones = bytes > 8 * i ? bytes - 8 * i : 0;

        if (value >> 55)
            return false;
        value = value << 8 | (code->bytes[code->at++] & (ones >= 8 ? 0u : 0xffu >> ones));
    }
    *ret_value = (int64_t)value;
    return true;
}

static bool read_slice(struct name key, struct slice *slice)
{
    struct code code = {(const uint8_t *)key.text, key.bytes, 1};

    slice->name_bytes = 0;
    if (!read_text(&code, slice) || !read_count(&code, &slice->rank) || slice->rank > RANK_MAX)
        return false;
    for (uint32_t d = 0; d < slice->rank; d++)
        if (!read_signed(&code, &slice->start[d]) || !read_signed(&code, &slice->length[d]) || slice->start[d] < 0)
            return false;
    return code.at == code.count;
}

static int compare_names(struct name a, struct name b)
{
    const uint32_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
    const int order = shorter ? memcmp(a.text, b.text, shorter) : 0;

    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* The run of slices of the variable, which lie together in the table. */
struct run {
    const struct tensorflow_entry *first;
    size_t count;
    bool is_along_first; /* whole in every other dimension, and one behind the other in the first */
};

static bool fits(const struct tensorflow_entry *whole, const struct tensorflow_entry *part, const struct slice *slice)
{
    if (slice->rank != whole->rank || part->rank != whole->rank || part->dtype != whole->dtype || part->is_sliced)
        return false;
    for (uint32_t d = 0; d < slice->rank; d++) {
        const uint64_t length = slice->length[d] < 0 ? whole->dims[d] : (uint64_t)slice->length[d];

        if (part->dims[d] != length || length > whole->dims[d] || (uint64_t)slice->start[d] > whole->dims[d] - length)
            return false;
    }
    return true;
}

static bool is_whole_but_first(const struct tensorflow_entry *whole, const struct tensorflow_entry *part)
{
    for (uint32_t d = 1; d < whole->rank; d++)
        if (part->dims[d] != whole->dims[d])
            return false;
    return whole->rank > 0;
}

/* Slices lie in the order of their variables' names, as the variables do themselves: one walk along both. */
static bool find_run(struct tensorflow *tf, const struct tensorflow_entry *whole, struct run *ret_run)
{
    struct run run = {.is_along_first = true};
    uint64_t rows = 0;

    for (; tf->slice < tf->entry_count && tensorflow_is_slice(tf->entries[tf->slice].key); tf->slice++) {
        const struct tensorflow_entry *part = &tf->entries[tf->slice];
        struct slice slice;
        int order;

        if (!read_slice(part->key, &slice))
            return tensorflow_wrong(tf, part->key, "is the key of a slice and is not");
        order = compare_names((struct name){slice.name, slice.name_bytes}, whole->key);
        if (order < 0)
            continue;
        if (order > 0)
            break;
        if (!fits(whole, part, &slice))
            return tensorflow_wrong(tf, whole->key, "a slice of it is of another shape than its place");
        if (run.count == 0)
            run.first = part;
        run.count++;
        if (!is_whole_but_first(whole, part) || (uint64_t)slice.start[0] != rows)
            run.is_along_first = false;
        rows += whole->rank ? part->dims[0] : 0;
    }
    if (run.count == 0)
        return tensorflow_wrong(tf, whole->key, "was saved in slices, and there are none");
    if (whole->rank && rows != whole->dims[0])
        run.is_along_first = false;
    *ret_run = run;
    return true;
}

static bool join(struct tensorflow *tf, const struct tensorflow_entry *whole, const struct run *run, struct name name)
{
    struct tensor *tensor = &tf->model->tensors[tf->model->tensor_count];
    struct tile *list = arena_take_array(&tf->arena, run->count, sizeof(*list));
    struct tiles *tiles = arena_take(&tf->arena, sizeof(*tiles));
    struct storage *storage = arena_take(&tf->arena, sizeof(*storage));
    struct tensorflow_entry one = *run->first;
    uint64_t element = 0;

    if (!list || !tiles || !storage)
        return tensorflow_no_memory(tf);
    one.dims = whole->dims; /* of the whole; its bytes are put right below */
    one.elements = whole->elements;
    if (!tensorflow_add(tf, &one, name))
        return false;
    tensor->extent.bytes = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct tensorflow_entry *part = &run->first[i];
        uint32_t file;

        if (!tensorflow_place(tf, part, &file))
            return false;
        if (part->elements == 0)
            continue;
        list[tiles->count++] =
            (struct tile){.row = element, .rows = part->elements, .columns = 1, .offset = part->offset, .source = file};
        element += part->elements;
        tensor->extent.bytes += part->bytes;
    }
    if (element != whole->elements)
        return tensorflow_wrong(tf, whole->key, "its slices have another number of elements than itself");
    if (tiles->count == 0)
        return true;
    tiles->columns = 1;
    tiles_settle(tiles, list, tensor);
    *storage = (struct storage){.decoder = &decoder_tiles, .parameters = tiles};
    tensor->storage = storage;
    return true;
}

static bool list_parts(struct tensorflow *tf, const struct tensorflow_entry *whole, const struct run *run,
                       struct name name)
{
    char printable[NAME_PRINTABLE_BYTES];

    for (size_t i = 0; i < run->count; i++) {
        char number[32];
        const int bytes = snprintf(number, sizeof(number), ".part_%zu", i);
        char *text = arena_take(&tf->arena, (size_t)name.bytes + (size_t)bytes + 1);

        if (!text)
            return tensorflow_no_memory(tf);
        memcpy(text, name.text, name.bytes);
        memcpy(text + name.bytes, number, (size_t)bytes);
        if (!tensorflow_add(tf, &run->first[i], (struct name){text, name.bytes + (uint32_t)bytes}))
            return false;
    }
    if (model_warn(tf->model, "sliced-variable", (struct name){0},
                   "variable %s was saved in %zu slices that do not follow one another along its first dimension: they "
                   "are listed one by one",
                   name_printable(whole->key, printable), run->count) != 0)
        return tensorflow_no_memory(tf);
    return true;
}

bool tensorflow_add_sliced(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name)
{
    struct run run;

    if (!find_run(tf, entry, &run))
        return false;
    return run.is_along_first && tensorflow_is_plain(tf, entry) ? join(tf, entry, &run, name)
                                                                : list_parts(tf, entry, &run, name);
}
