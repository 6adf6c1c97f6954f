#include "core/format/msgpack.h"

#include <inttypes.h>
#include <string.h>

#include "core/utf8.h"

static double real_of(uint64_t bits, unsigned bytes)
{
    const uint32_t low = (uint32_t)bits;
    double value;
    float single;

    if (bytes == 8) {
        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    memcpy(&single, &low, sizeof(single));
    return (double)single;
}

/* What follows must be there: bytes, or values of a byte at least. */
static bool check_count(struct byte_reader *reader, const struct msgpack_token *token, uint64_t at, const char *what)
{
    const uint64_t rest = byte_reader_rest(reader);

    switch (token->kind) {
    case MSGPACK_TEXT:
    case MSGPACK_BINARY:
    case MSGPACK_EXTENSION:
        if (token->count <= rest)
            return true;
        return byte_reader_fault(reader, ERROR_FORMAT,
                                 "%s at offset %" PRIu64 " claims %" PRIu64 " bytes, the file ends at %" PRIu64, what,
                                 at, token->count, reader->limit);
    case MSGPACK_ARRAY:
    case MSGPACK_MAP:
        if (token->count <= rest / (token->kind == MSGPACK_MAP ? 2 : 1))
            return true;
        return byte_reader_fault(reader, ERROR_FORMAT,
                                 "%s at offset %" PRIu64 " claims %" PRIu64 " %s, the file ends at %" PRIu64, what, at,
                                 token->count, token->kind == MSGPACK_MAP ? "pairs" : "values", reader->limit);
    default:
        return true;
    }
}

/* One row a lead byte from 0xc0 to 0xdf: what it begins, and the bytes of the number behind it. */
static const struct {
    enum msgpack_kind kind;
    uint8_t bytes;
    bool is_signed;
    uint8_t fixed; /* of an extension of so many bytes */
} leads[32] = {
    [0x00] = {MSGPACK_NIL, 0, false, 0},       [0x02] = {MSGPACK_BOOL, 0, false, 0},
    [0x03] = {MSGPACK_BOOL, 0, false, 0},      [0x04] = {MSGPACK_BINARY, 1, false, 0},
    [0x05] = {MSGPACK_BINARY, 2, false, 0},    [0x06] = {MSGPACK_BINARY, 4, false, 0},
    [0x07] = {MSGPACK_EXTENSION, 1, false, 0}, [0x08] = {MSGPACK_EXTENSION, 2, false, 0},
    [0x09] = {MSGPACK_EXTENSION, 4, false, 0}, [0x0a] = {MSGPACK_REAL, 4, false, 0},
    [0x0b] = {MSGPACK_REAL, 8, false, 0},      [0x0c] = {MSGPACK_INT, 1, false, 0},
    [0x0d] = {MSGPACK_INT, 2, false, 0},       [0x0e] = {MSGPACK_INT, 4, false, 0},
    [0x0f] = {MSGPACK_INT, 8, false, 0},       [0x10] = {MSGPACK_INT, 1, true, 0},
    [0x11] = {MSGPACK_INT, 2, true, 0},        [0x12] = {MSGPACK_INT, 4, true, 0},
    [0x13] = {MSGPACK_INT, 8, true, 0},        [0x14] = {MSGPACK_EXTENSION, 0, false, 1},
    [0x15] = {MSGPACK_EXTENSION, 0, false, 2}, [0x16] = {MSGPACK_EXTENSION, 0, false, 4},
    [0x17] = {MSGPACK_EXTENSION, 0, false, 8}, [0x18] = {MSGPACK_EXTENSION, 0, false, 16},
    [0x19] = {MSGPACK_TEXT, 1, false, 0},      [0x1a] = {MSGPACK_TEXT, 2, false, 0},
    [0x1b] = {MSGPACK_TEXT, 4, false, 0},      [0x1c] = {MSGPACK_ARRAY, 2, false, 0},
    [0x1d] = {MSGPACK_ARRAY, 4, false, 0},     [0x1e] = {MSGPACK_MAP, 2, false, 0},
    [0x1f] = {MSGPACK_MAP, 4, false, 0},
};

static int64_t signed_of(uint64_t value, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return (int8_t)value;
    case 2:
        return (int16_t)value;
    case 4:
        return (int32_t)value;
    default:
        return (int64_t)value;
    }
}

static bool read_lead(struct byte_reader *reader, uint8_t lead, const char *what, struct msgpack_token *token)
{
    const unsigned row = lead - 0xc0u;
    uint64_t number = leads[row].fixed, extension = 0;

    token->kind = leads[row].kind;
    if (leads[row].bytes && !byte_reader_number(reader, leads[row].bytes, &number, what))
        return false;
    switch (token->kind) {
    case MSGPACK_BOOL:
        token->integer = lead & 1;
        return true;
    case MSGPACK_REAL:
        token->real = real_of(number, leads[row].bytes);
        return true;
    case MSGPACK_INT:
        token->count = number;
        token->integer = leads[row].is_signed ? signed_of(number, leads[row].bytes) : (int64_t)number;
        if (!leads[row].is_signed && number > INT64_MAX)
            token->kind = MSGPACK_BIG;
        return true;
    case MSGPACK_EXTENSION:
        if (!byte_reader_number(reader, 1, &extension, what))
            return false;
        token->extension = (int8_t)extension;
        break;
    default:
        break;
    }
    token->count = number;
    return true;
}

bool msgpack_next(struct byte_reader *reader, const char *what, struct msgpack_token *ret_token)
{
    struct msgpack_token token = {0};
    const uint64_t at = reader->at;
    uint64_t lead;

    if (!byte_reader_number(reader, 1, &lead, what))
        return false;
    if (lead < 0x80 || lead >= 0xe0) {
        token = (struct msgpack_token){.kind = MSGPACK_INT, .integer = (int8_t)lead, .count = lead};
    } else if (lead < 0xc0) {
        token.kind = lead < 0x90 ? MSGPACK_MAP : lead < 0xa0 ? MSGPACK_ARRAY : MSGPACK_TEXT;
        token.count = lead < 0xa0 ? lead & 15 : lead & 31;
    } else if (lead == 0xc1) {
        return byte_reader_fault(reader, ERROR_FORMAT, "%s at offset %" PRIu64 " begins with 0xc1, which nothing does",
                                 what, at);
    } else if (!read_lead(reader, (uint8_t)lead, what, &token)) {
        return false;
    }
    if (!check_count(reader, &token, at, what))
        return false;
    *ret_token = token;
    return true;
}

bool msgpack_is_map_of_texts(const uint8_t *bytes, size_t count)
{
    size_t at, length;

    if (count < 4)
        return false;
    at = bytes[0] > 0x80 && bytes[0] < 0x90 ? 1 : bytes[0] == 0xde ? 3 : bytes[0] == 0xdf ? 5 : 0;
    if (at == 0 || at + 2 > count)
        return false;
    if (bytes[at] > 0xa0 && bytes[at] < 0xc0) {
        length = bytes[at] & 31;
        at++;
    } else if (bytes[at] == 0xd9) {
        length = bytes[at + 1];
        at += 2;
    } else {
        return false;
    }
    if (length >= count - at || !utf8_is_valid((const char *)bytes + at, length) || bytes[at + length] == 0xc1)
        return false;
    for (size_t i = 0; i < length; i++)
        if (bytes[at + i] < ' ')
            return false;
    return true;
}
