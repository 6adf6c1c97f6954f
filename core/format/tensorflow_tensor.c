/* TensorProto, in which graphs and checkpoints of the first version hold values: tensor_content, the elements as they
 * lie in memory, or the field of their dtype, in which a list that is shorter than the tensor goes on with its last
 * value (with 0, if there is none). Both are read where they lie; numbers of varying length are unpacked when the file
 * is opened. (tensorflow/core/framework/tensor.proto, tensor.cc: FromProtoField.) */
#include <inttypes.h>
#include <stdlib.h>

#include "core/checked.h"
#include "core/format/tensorflow.h"
#include "core/io/repeated.h"

enum { CONTENT = 4, BOOL_VAL = 11 };

/* What a few bytes may say of elements that are all alike, in all of a file. */
#define REPEATED_MAX (UINT64_C(1) << 30)

/* Which field of a TensorProto holds values of a dtype, and how many bytes of an element one number is. */
static const struct values_field {
    uint8_t number, bytes;
    enum wire_type type;
} fields[TENSORFLOW_DTYPES] = {
    [1] = {5, 4, WIRE_FIXED32},  [2] = {6, 8, WIRE_FIXED64},   [3] = {7, 4, WIRE_VARINT},
    [4] = {7, 1, WIRE_VARINT},   [5] = {7, 2, WIRE_VARINT},    [6] = {7, 1, WIRE_VARINT},
    [8] = {9, 4, WIRE_FIXED32},  [9] = {10, 8, WIRE_VARINT},   [10] = {BOOL_VAL, 1, WIRE_VARINT},
    [11] = {7, 1, WIRE_VARINT},  [12] = {7, 1, WIRE_VARINT},   [13] = {7, 4, WIRE_VARINT},
    [14] = {13, 2, WIRE_VARINT}, [15] = {7, 2, WIRE_VARINT},   [16] = {7, 2, WIRE_VARINT},
    [17] = {7, 2, WIRE_VARINT},  [18] = {12, 8, WIRE_FIXED64}, [19] = {13, 2, WIRE_VARINT},
    [22] = {16, 4, WIRE_VARINT}, [23] = {17, 8, WIRE_VARINT},  [24] = {18, 1, WIRE_BYTES},
    [25] = {18, 1, WIRE_BYTES},  [26] = {18, 1, WIRE_BYTES},   [27] = {18, 1, WIRE_BYTES},
    [28] = {18, 1, WIRE_BYTES},  [29] = {7, 1, WIRE_VARINT},   [30] = {7, 1, WIRE_VARINT},
    [31] = {7, 1, WIRE_VARINT},  [32] = {7, 1, WIRE_VARINT},   [33] = {18, 1, WIRE_BYTES},
};

/* A file of memory for stored bytes at data, of the heap, which is taken in any case. */
static bool add_memory(struct tensorflow *tf, const struct tensorflow_entry *entry, uint8_t *data, uint64_t stored,
                       uint64_t taken)
{
    struct model *model = tf->model;
    struct model_file *grown = reallocarray(model->files, model->file_count + 1, sizeof(*grown));
    struct source *source;
    int rc = ERROR_NO_MEMORY;

    if (grown) {
        model->files = grown;
        rc = repeated_open(data, stored, tensorflow_dtype_bytes(entry->dtype), entry->bytes, tf->source->uri, &source,
                           tf->err);
    }
    if (rc) {
        free(data);
        return tensorflow_no_memory(tf);
    }
    model->files[model->file_count++] =
        (struct model_file){.source = source, .header = data, .is_member = true, .member_bytes = taken};
    return true;
}

/* The numbers of the message at [at, end), of which there are so many. */
static bool unpack(struct tensorflow *tf, const struct tensorflow_entry *entry, uint64_t at, uint64_t end,
                   struct wire_numbers numbers)
{
    const struct values_field *field = &fields[entry->dtype];
    const uint64_t element = tensorflow_dtype_bytes(entry->dtype);
    const uint64_t stored = numbers.count ? numbers.count * field->bytes : element;
    const uint64_t limit = tf->opener->limits->header_bytes;
    uint8_t *data;

    tf->unpacked += stored;
    if (tf->unpacked > limit)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT,
                                 "has more than %" PRIu64 " bytes of numbers to be unpacked, the limit", limit);
    if (entry->bytes - stored > REPEATED_MAX - tf->repeated)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT,
                                 "has more than %" PRIu64 " bytes of elements that are said once, the limit",
                                 REPEATED_MAX);
    tf->repeated += entry->bytes - stored;
    data = calloc(1, (size_t)stored);
    if (!data)
        return tensorflow_no_memory(tf);
    if (!wire_numbers(&tf->reader, at, end, field->number, field->type,
                      field->number == BOOL_VAL ? WIRE_TRUTH : field->bytes, data, numbers.count, &numbers)) {
        free(data);
        return false;
    }
    return add_memory(tf, entry, data, stored, numbers.taken);
}

static bool place_numbers(struct tensorflow *tf, struct tensorflow_entry *entry, uint64_t at, uint64_t end,
                          bool may_repeat, uint32_t *ret_file)
{
    const struct values_field *field = &fields[entry->dtype];
    const uint64_t of_element = tensorflow_dtype_bytes(entry->dtype) / field->bytes;
    const uint64_t wanted = entry->elements * of_element; /* their bytes were checked */
    struct wire_numbers numbers;

    if (!wire_numbers(&tf->reader, at, end, field->number, field->type, field->bytes, NULL, 0, &numbers))
        return false;
    if (numbers.count > wanted)
        return tensorflow_wrong(tf, entry->key, "has more values than its dimensions say");
    if (numbers.count < wanted && (!may_repeat || numbers.count % of_element))
        return tensorflow_wrong(tf, entry->key, "has fewer values than its dimensions say");
    if (numbers.count == wanted && numbers.is_run) {
        entry->offset = numbers.run_at;
        return true;
    }
    if (!unpack(tf, entry, at, end, numbers))
        return false;
    *ret_file = (uint32_t)tf->model->file_count - 1;
    return true;
}

bool tensorflow_values(struct tensorflow *tf, struct tensorflow_entry *entry, uint64_t at, uint64_t end,
                       bool may_repeat, uint32_t *ret_file)
{
    const unsigned size = tensorflow_dtype_bytes(entry->dtype);
    char printable[NAME_PRINTABLE_BYTES];
    struct wire_field field, content = {0};

    *ret_file = 0;
    entry->offset = 0;
    if (size == 0)
        return tensorflow_wrong(tf, entry->key, "is of a dtype without numbers");
    if (!checked_mul(entry->elements, size, &entry->bytes))
        return tensorflow_wrong(tf, entry->key, "its dimensions multiply to more than 2^64");
    if (entry->bytes == 0)
        return true;
    for (uint64_t from = at; wire_next(&tf->reader, &from, end, &field);)
        if (field.number == CONTENT && field.type == WIRE_BYTES)
            content = field;
    if (tf->reader.rc)
        return false;
    if (content.end == content.at)
        return place_numbers(tf, entry, at, end, may_repeat, ret_file);
    entry->offset = content.at;
    return content.end - content.at == entry->bytes ||
           byte_reader_fault(&tf->reader, ERROR_FORMAT,
                             "%s %s: has %" PRIu64 " bytes of content, its dimensions need %" PRIu64, tf->noun,
                             name_printable(entry->key, printable), content.end - content.at, entry->bytes);
}
