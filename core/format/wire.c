#include "core/format/wire.h"

#include <inttypes.h>

bool wire_varint(struct byte_reader *reader, uint64_t *ret_value)
{
    uint64_t value = 0, byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!byte_reader_number(reader, 1, &byte, "a number"))
            return false;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return byte_reader_fault(reader, ERROR_FORMAT, "a number before offset %" PRIu64 " has more than 64 bits",
                             reader->at);
}

bool wire_next(struct byte_reader *reader, uint64_t *at, uint64_t end, struct wire_field *ret_field)
{
    struct wire_field field = {0};
    uint64_t tag, length;

    if (reader->rc || *at >= end)
        return false;
    reader->at = *at;
    if (!wire_varint(reader, &tag))
        return false;
    field.number = (uint32_t)(tag >> 3);
    field.type = (enum wire_type)(tag & 7);
    if (field.number == 0 || tag > UINT32_MAX)
        return byte_reader_fault(reader, ERROR_FORMAT, "a field before offset %" PRIu64 " has the number %" PRIu64,
                                 reader->at, tag >> 3);
    switch (field.type) {
    case WIRE_VARINT:
        if (!wire_varint(reader, &field.value))
            return false;
        break;
    case WIRE_FIXED64:
        if (!byte_reader_number(reader, 8, &field.value, "a field"))
            return false;
        break;
    case WIRE_FIXED32:
        if (!byte_reader_number(reader, 4, &field.value, "a field"))
            return false;
        break;
    case WIRE_BYTES:
        if (!wire_varint(reader, &length))
            return false;
        if (reader->at > end || length > end - reader->at)
            return byte_reader_fault(reader, ERROR_FORMAT,
                                     "a field at offset %" PRIu64 " claims %" PRIu64
                                     " bytes, its message ends at %" PRIu64,
                                     reader->at, length, end);
        field.at = reader->at;
        field.end = reader->at + length;
        break;
    default:
        return byte_reader_fault(reader, ERROR_FORMAT, "a field before offset %" PRIu64 " is of wire type %d",
                                 reader->at, (int)field.type);
    }
    *at = field.type == WIRE_BYTES ? field.end : reader->at;
    if (*at > end)
        return byte_reader_fault(reader, ERROR_FORMAT, "a field reaches beyond its message, which ends at %" PRIu64,
                                 end);
    *ret_field = field;
    return true;
}

bool wire_text(struct byte_reader *reader, const struct wire_field *field, uint64_t limit, struct arena *arena,
               struct name *ret_text)
{
    const uint64_t bytes = field->end - field->at;
    char *text;

    if (field->type != WIRE_BYTES)
        return byte_reader_fault(reader, ERROR_FORMAT, "field %" PRIu32 " before offset %" PRIu64 " is no text",
                                 field->number, reader->at);
    if (bytes > limit)
        return byte_reader_fault(reader, ERROR_LIMIT,
                                 "a text at offset %" PRIu64 " has %" PRIu64 " bytes, the limit is "
                                 "%" PRIu64,
                                 field->at, bytes, limit);
    text = arena_take(arena, (size_t)bytes + 1);
    if (!text)
        return byte_reader_fault(reader, arena_error(arena), "its texts %s", arena_error_text(arena));
    reader->at = field->at;
    if (!byte_reader_bytes(reader, text, (size_t)bytes, "a text"))
        return false;
    *ret_text = (struct name){text, (uint32_t)bytes};
    return true;
}
