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

static unsigned width_of(enum wire_type type)
{
    return type == WIRE_FIXED64 ? 8 : type == WIRE_FIXED32 ? 4 : 1;
}

static void put(uint8_t *out, uint64_t room, uint64_t which, uint64_t value, unsigned bytes)
{
    if (bytes == WIRE_TRUTH && which < room)
        out[which] = value != 0;
    for (unsigned i = 0; which < room && i < bytes; i++)
        out[which * bytes + i] = (uint8_t)(value >> (8 * i));
}

/* A field of numbers one behind the other. */
static bool read_run(struct byte_reader *reader, const struct wire_field *field, enum wire_type type, unsigned bytes,
                     uint8_t *out, uint64_t room, struct wire_numbers *numbers)
{
    const uint64_t length = field->end - field->at;

    if (type != WIRE_VARINT && length % width_of(type))
        return byte_reader_fault(reader, ERROR_FORMAT,
                                 "the numbers at offset %" PRIu64 " take %" PRIu64
                                 " bytes, which are no multiple of %u",
                                 field->at, length, width_of(type));
    if (type != WIRE_VARINT && !out) {
        numbers->count += length / width_of(type);
        return true;
    }
    for (reader->at = field->at; reader->at < field->end;) {
        uint64_t value;

        if (!(type == WIRE_VARINT ? wire_varint(reader, &value)
                                  : byte_reader_number(reader, width_of(type), &value, "an element")))
            return false;
        put(out, room, numbers->count++, value, bytes);
    }
    return reader->at == field->end ||
           byte_reader_fault(reader, ERROR_FORMAT, "a number reaches beyond its field, which ends at %" PRIu64,
                             field->end);
}

bool wire_numbers(struct byte_reader *reader, uint64_t at, uint64_t end, uint32_t number, enum wire_type type,
                  unsigned bytes, uint8_t *out, uint64_t room, struct wire_numbers *ret)
{
    struct wire_numbers numbers = {0};
    struct wire_field field;

    while (wire_next(reader, &at, end, &field)) {
        if (field.number != number || (field.type != type && field.type != WIRE_BYTES))
            continue;
        if (field.type != WIRE_BYTES) {
            put(out, room, numbers.count++, field.value, bytes);
            numbers.taken += bytes;
            numbers.is_run = false;
            continue;
        }
        numbers.is_run = type != WIRE_VARINT && numbers.count == 0;
        numbers.run_at = field.at;
        if (!read_run(reader, &field, type, bytes, out, room, &numbers))
            return false;
        numbers.taken += field.end - field.at;
    }
    *ret = numbers;
    return reader->rc == 0;
}

uint64_t wire_head_varint(const struct head *head, uint64_t *at)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 63 && *at < head->first_bytes; shift += 7) {
        value |= (uint64_t)(head->first[*at] & 0x7f) << shift;
        if (head->first[(*at)++] < 0x80)
            break;
    }
    return value;
}

bool wire_probe(const struct head *head, uint64_t at, uint64_t end, unsigned (*types_of)(uint64_t number),
                uint64_t *ret_seen, uint64_t *ret_last)
{
    *ret_seen = *ret_last = 0;
    while (at < head->first_bytes && at < end) {
        const uint64_t tag = wire_head_varint(head, &at), number = tag >> 3;
        uint64_t bytes;

        if (at == head->first_bytes && at < end)
            return true; /* the head ends within a field */
        if (!(types_of(number) & 1u << (tag & 7)))
            return false;
        bytes = (tag & 7) == WIRE_FIXED64 ? 8 : (tag & 7) == WIRE_FIXED32 ? 4 : wire_head_varint(head, &at);
        if ((tag & 7) == WIRE_VARINT)
            bytes = 0;
        if (at > end || bytes > end)
            return false;
        if (at + bytes >= head->first_bytes && (bytes > 0 || at < end)) { /* at: at most the head's end */
            *ret_last = number;
            return true;
        }
        at += bytes;
        *ret_seen |= UINT64_C(1) << number;
    }
    return at == end;
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
