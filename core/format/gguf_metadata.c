#include "core/format/gguf_metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"
#include "core/scan/digest.h"
#include "core/utf8.h"

enum {
    NESTING_MAX = 8,
    SHOWN_DEPTH = 2,       /* of arrays within arrays */
    SHOWN_ELEMENTS = 8,    /* of an array that is cut short */
    WHOLE_ELEMENTS = 64,   /* an array up to this length is told whole, if it is short enough as text */
    SHOWN_TEXT = 64,       /* bytes of a string within an array */
    ARRAY_TEXT = 4096,     /* bytes of an array's text */
    END_TEXT = 256,        /* of these, for what closes it */
    TEXT_LIMIT = 16 << 20, /* bytes of a string: chat templates are long, but not that long */
    ELEMENTS_MAX = 1 << 30,
};

static const struct {
    const char *name;
    unsigned bytes;
} types[GGUF_TYPES] = {
    [GGUF_U8] = {"u8", 1},     [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},     [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_TEXT] = {"text", 0}, [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8}, [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

/* What an array says of itself: as JSON while it is short, and its digest. */
struct array_text {
    char text[ARRAY_TEXT];
    size_t bytes;
    bool is_cut;  /* elements were left out */
    bool is_full; /* one had no room: nothing follows it */
    struct digest *digest;
};

bool gguf_read_text(struct gguf_reader *reader, uint64_t limit, const char *what, struct name *ret_text)
{
    uint64_t length;
    char *text;

    if (!byte_reader_number(&reader->bytes, reader->length_bytes, &length, what))
        return false;
    if (length > byte_reader_rest(&reader->bytes) && length > limit)
        return byte_reader_fault(&reader->bytes, ERROR_FORMAT,
                                 "%s at offset %" PRIu64 " claims %" PRIu64 " bytes, the file has %" PRIu64, what,
                                 reader->bytes.at, length, reader->bytes.source->size);
    if (length > limit)
        return byte_reader_fault(&reader->bytes, ERROR_LIMIT, "%s has %" PRIu64 " bytes, the limit is %" PRIu64, what,
                                 length, limit);
    if (length > byte_reader_rest(&reader->bytes))
        return byte_reader_skip(&reader->bytes, length, what);
    text = arena_take(reader->arena, (size_t)length + 1);
    if (!text)
        return byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory for %s", what);
    if (!byte_reader_bytes(&reader->bytes, text, (size_t)length, what))
        return false;
    *ret_text = (struct name){text, (uint32_t)length};
    return true;
}

/* The shortest digits that read back to the same F32. */
static size_t single_write(float value, char out[DECIMAL_BYTES])
{
    for (int digits = 1; digits < 9; digits++) {
        char text[DECIMAL_BYTES];

        snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            return decimal_write(strtod(text, NULL), out);
    }
    return (size_t)snprintf(out, DECIMAL_BYTES, "%.9g", (double)value);
}

static size_t number_write(enum gguf_type type, uint64_t number, char out[DECIMAL_BYTES])
{
    const uint32_t word = (uint32_t)number;
    double real = 0;
    float single;

    switch (type) {
    case GGUF_BOOL:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%s", number ? "true" : "false");
    case GGUF_I8:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%d", (int8_t)number);
    case GGUF_I16:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%d", (int16_t)number);
    case GGUF_I32:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%" PRId32, (int32_t)number);
    case GGUF_I64:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%" PRId64, (int64_t)number);
    case GGUF_F32:
        memcpy(&single, &word, sizeof(single));
        if (single - single == 0)
            return single_write(single, out);
        real = (double)single;
        break;
    case GGUF_F64:
        memcpy(&real, &number, sizeof(real));
        if (real - real == 0)
            return decimal_write(real, out);
        break;
    default:
        return (size_t)snprintf(out, DECIMAL_BYTES, "%" PRIu64, number);
    }
    return (size_t)snprintf(out, DECIMAL_BYTES, "%s", real != real ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
}

static bool put(struct array_text *out, const char *text, size_t bytes)
{
    out->is_full = out->is_full || bytes > ARRAY_TEXT - END_TEXT - out->bytes;
    out->is_cut = out->is_cut || out->is_full;
    if (out->is_full)
        return false;
    memcpy(out->text + out->bytes, text, bytes);
    out->bytes += bytes;
    return true;
}

/* There is room: few arrays are open at once. */
static void put_end(struct array_text *out, bool is_short)
{
    const char last = out->text[out->bytes - 1];
    const char *end = !is_short ? "]" : last == ' ' || last == '[' ? "…]" : ", …]";

    memcpy(out->text + out->bytes, end, strlen(end));
    out->bytes += strlen(end);
}

/* As a JSON string; long ones lose their end, bytes that are no UTF-8 become U+FFFD. */
static void put_text(struct array_text *out, const char *text, size_t bytes)
{
    char quoted[SHOWN_TEXT * 6 + 8] = "\"";
    size_t used = 1, at = 0;

    while (at < bytes && at < SHOWN_TEXT) {
        const uint8_t byte = (uint8_t)text[at];
        uint32_t code;
        size_t length = utf8_decode(text + at, bytes - at, &code);

        if (length == 0) {
            used += utf8_encode(0xfffd, quoted + used);
            length = 1;
        } else if (byte == '"' || byte == '\\') {
            quoted[used++] = '\\';
            quoted[used++] = (char)byte;
        } else if (byte < 0x20) {
            used += (size_t)snprintf(quoted + used, sizeof(quoted) - used, "\\u%04x", byte);
        } else {
            memcpy(quoted + used, text + at, length);
            used += length;
        }
        at += length;
    }
    if (at < bytes)
        used += utf8_encode(0x2026, quoted + used); /* … */
    quoted[used++] = '"';
    put(out, quoted, used);
}

static bool add_digest(struct gguf_reader *reader, struct array_text *out, const void *data, size_t bytes)
{
    if (digest_add(out->digest, data, bytes, reader->bytes.err))
        return byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory");
    return true;
}

/* Bytes that are only digested; the first of them are kept for showing. */
static bool digest_text(struct gguf_reader *reader, struct array_text *out, bool is_shown)
{
    char piece[4096];
    uint64_t length;
    bool is_first = true;

    if (!byte_reader_number(&reader->bytes, reader->length_bytes, &length, "the length of a string in an array") ||
        !add_digest(reader, out, &length, sizeof(length)))
        return false;
    if (length > byte_reader_rest(&reader->bytes))
        return byte_reader_skip(&reader->bytes, length, "a string in an array");
    if (length == 0 && is_shown)
        put_text(out, "", 0);
    while (length > 0) {
        const size_t n = length < sizeof(piece) ? (size_t)length : sizeof(piece);

        if (!byte_reader_bytes(&reader->bytes, piece, n, "a string in an array") || !add_digest(reader, out, piece, n))
            return false;
        if (is_shown && is_first)
            put_text(out, piece, n);
        is_first = false;
        length -= n;
    }
    return true;
}

static bool read_array(struct gguf_reader *reader, struct array_text *out, unsigned depth, bool is_shown,
                       uint64_t *ret_type, uint64_t *ret_count)
{
    uint64_t type, count, shown;

    if (depth > NESTING_MAX)
        return byte_reader_fault(&reader->bytes, ERROR_LIMIT, "arrays are nested more than %d deep", NESTING_MAX);
    if (!byte_reader_number(&reader->bytes, 4, &type, "an array's type") ||
        !byte_reader_number(&reader->bytes, reader->length_bytes, &count, "an array's length"))
        return false;
    if (type >= GGUF_TYPES)
        return byte_reader_fault(&reader->bytes, ERROR_FORMAT,
                                 "an array's elements are of type %" PRIu64 ", which GGUF does not have", type);
    if (count > ELEMENTS_MAX ||
        count * (types[type].bytes ? types[type].bytes : reader->length_bytes) > byte_reader_rest(&reader->bytes))
        return byte_reader_fault(&reader->bytes, ERROR_FORMAT,
                                 "an array at offset %" PRIu64 " claims %" PRIu64 " elements of type %s, the file has "
                                 "%" PRIu64 " bytes",
                                 reader->bytes.at, count, types[type].name, reader->bytes.source->size);
    if (!add_digest(reader, out, &type, sizeof(type)) || !add_digest(reader, out, &count, sizeof(count)))
        return false;
    is_shown = is_shown && put(out, "[", 1);
    shown = !is_shown || depth > SHOWN_DEPTH ? 0 : count <= WHOLE_ELEMENTS ? count : SHOWN_ELEMENTS;
    out->is_cut = out->is_cut || shown < count;
    for (uint64_t i = 0; i < count; i++) {
        const bool is_told = i < shown && (i == 0 || put(out, ", ", 2));

        if (type == GGUF_ARRAY) {
            uint64_t inner_type, inner_count;

            if (!read_array(reader, out, depth + 1, is_told, &inner_type, &inner_count))
                return false;
        } else if (type == GGUF_TEXT) {
            if (!digest_text(reader, out, is_told))
                return false;
        } else {
            char text[DECIMAL_BYTES];
            uint64_t number;

            if (!byte_reader_number(&reader->bytes, types[type].bytes, &number, "an array's element") ||
                !add_digest(reader, out, &number, types[type].bytes))
                return false;
            if (is_told)
                put(out, text, number_write((enum gguf_type)type, number, text));
        }
    }
    if (is_shown)
        put_end(out, shown < count || out->is_full);
    *ret_type = type;
    *ret_count = count;
    return true;
}

static bool array_to_text(struct gguf_reader *reader, struct name *ret_text)
{
    struct array_text *out = calloc(1, sizeof(*out));
    uint8_t sum[DIGEST_BYTES];
    uint64_t type, count;
    bool is_fine = false;
    char *copy;

    if (!out || digest_new(&out->digest, reader->bytes.err) || digest_begin_plain(out->digest, reader->bytes.err)) {
        byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory for an array");
        goto out;
    }
    if (!read_array(reader, out, 1, true, &type, &count))
        goto out;
    if (out->is_cut) {
        char tail[160], digits[2 * DIGEST_BYTES + 1];
        size_t bytes;

        if (digest_end(out->digest, sum, reader->bytes.err)) {
            byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory for an array");
            goto out;
        }
        for (int i = 0; i < DIGEST_BYTES; i++)
            snprintf(digits + 2 * (size_t)i, 3, "%02x", sum[i]);
        bytes =
            (size_t)snprintf(tail, sizeof(tail), " (%" PRIu64 " of %s, sha256:%s)", count, types[type].name, digits);
        memcpy(out->text + out->bytes, tail, bytes);
        out->bytes += bytes;
    }
    copy = arena_copy(reader->arena, out->text, out->bytes);
    if (!copy) {
        byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory for an array");
        goto out;
    }
    *ret_text = (struct name){copy, (uint32_t)out->bytes};
    is_fine = true;
out:
    if (out)
        digest_free(out->digest);
    free(out);
    return is_fine;
}

bool gguf_read_value(struct gguf_reader *reader, struct name key, struct gguf_value *ret_value)
{
    char printable[NAME_PRINTABLE_BYTES], text[DECIMAL_BYTES];
    struct gguf_value value = {0};
    uint64_t type;
    char *copy;
    size_t bytes;

    if (!byte_reader_number(&reader->bytes, 4, &type, "a value's type"))
        return false;
    if (type >= GGUF_TYPES)
        return byte_reader_fault(&reader->bytes, ERROR_FORMAT,
                                 "the key %s has a value of type %" PRIu64 ", which GGUF does not have",
                                 name_printable(key, printable), type);
    value.type = (enum gguf_type)type;
    if (type == GGUF_ARRAY) {
        if (!array_to_text(reader, &value.text))
            return false;
    } else if (type == GGUF_TEXT) {
        if (!gguf_read_text(reader, TEXT_LIMIT, "a value", &value.text))
            return false;
    } else {
        if (!byte_reader_number(&reader->bytes, types[type].bytes, &value.number, "a value"))
            return false;
        if (type == GGUF_BOOL && value.number > 1)
            return byte_reader_fault(&reader->bytes, ERROR_FORMAT, "the key %s has a bool of value %" PRIu64,
                                     name_printable(key, printable), value.number);
        bytes = number_write(value.type, value.number, text);
        copy = arena_copy(reader->arena, text, bytes);
        if (!copy)
            return byte_reader_fault(&reader->bytes, ERROR_NO_MEMORY, "out of memory for a value");
        value.text = (struct name){copy, (uint32_t)bytes};
    }
    *ret_value = value;
    return true;
}
