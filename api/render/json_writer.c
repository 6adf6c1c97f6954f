#include "api/render/json_writer.h"

#include <string.h>

#include "api/json_string.h"
#include "core/decimal.h"

static void put_piece(void *context, const char *piece, size_t bytes)
{
    output_write(context, piece, bytes);
}

void json_write_string(struct output *output, const char *text, size_t bytes)
{
    json_string_write(text, bytes, put_piece, output);
}

enum { BEFORE_BYTES = 2, PLAIN_BYTES = 256 };

/* Comma and line before an item, unless it is a key's value. Returns the end of what it wrote. */
static char *put_before(struct json_writer *json, char *to)
{
    if (json->is_after_key) {
        json->is_after_key = false;
        return to;
    }
    if (json->depth == 0)
        return to;
    if (json->stack[json->depth - 1].has_items)
        *to++ = ',';
    if (json->depth <= json->line_depth)
        *to++ = '\n';
    json->stack[json->depth - 1].has_items = true;
    return to;
}

static void before_item(struct json_writer *json)
{
    output_take(json->output, put_before(json, output_room(json->output, BEFORE_BYTES)));
}

/* Whether none of eight bytes is to be escaped: below 0x20, 0x7f and above, a quote or a backslash. A byte that is less
 * than n, or equal to it, borrows from its highest bit; what it may borrow from the next one is flagged already. */
static bool is_plain(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), quotes = eight ^ ones * '"', slashes = eight ^ ones * '\\';

    return !(((eight - ones * 0x20) | (eight + ones) | eight | (quotes - ones) | (slashes - ones)) & ones * 0x80);
}

/* Copies text in which nothing is to be escaped, as nearly all is; false where something is. */
static bool copy_plain(char *to, const char *text, size_t bytes)
{
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
        uint64_t eight;

        memcpy(&eight, text + i, sizeof(eight));
        if (!is_plain(eight))
            return false;
        memcpy(to + i, &eight, sizeof(eight));
    }
    if (bytes - i >= sizeof(uint32_t)) {
        uint32_t four;

        memcpy(&four, text + i, sizeof(four));
        if (!is_plain(four | UINT64_C(0x2020202000000000)))
            return false;
        memcpy(to + i, &four, sizeof(four));
        i += sizeof(four);
    }
    for (; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            return false;
        to[i] = text[i];
    }
    return true;
}

/* A string with its quotes, and what stands before and after it. */
static void put_string(struct json_writer *json, const char *text, size_t bytes, char after)
{
    char *to = put_before(json, output_room(json->output, BEFORE_BYTES + PLAIN_BYTES + 3));

    if (bytes <= PLAIN_BYTES && copy_plain(to + 1, text, bytes)) {
        to[0] = '"';
        to[bytes + 1] = '"';
        to += bytes + 2;
        if (after)
            *to++ = after;
        output_take(json->output, to);
        return;
    }
    output_take(json->output, to);
    json_write_string(json->output, text, bytes);
    if (after)
        output_write(json->output, &after, 1);
}

static void json_begin(struct writer *w, enum writer_scope scope)
{
    struct json_writer *json = (struct json_writer *)w;
    char *to = put_before(json, output_room(json->output, BEFORE_BYTES + 1));

    output_take(json->output, to);
    if (json->depth == 2)
        json->record_offset = json->output->written;
    *to++ = scope == WRITER_OBJECT ? '{' : '[';
    output_take(json->output, to);
    if (json->depth < JSON_WRITER_DEPTH) {
        json->stack[json->depth].scope = scope;
        json->stack[json->depth].has_items = false;
    }
    json->depth++;
}

static void json_end(struct writer *w)
{
    struct json_writer *json = (struct json_writer *)w;
    char *to = output_room(json->output, 3);

    json->depth--;
    if (json->depth < json->line_depth && json->stack[json->depth].has_items)
        *to++ = '\n';
    *to++ = json->stack[json->depth].scope == WRITER_OBJECT ? '}' : ']';
    if (json->depth == 0)
        *to++ = '\n';
    output_take(json->output, to);
    if (json->depth == 2 && json->is_in_tensors && json->record)
        json->record(json->record_context, json->record_offset, json->output->written - json->record_offset);
}

static void json_key(struct writer *w, const char *key, size_t bytes)
{
    struct json_writer *json = (struct json_writer *)w;

    put_string(json, key, bytes, ':');
    json->key = key;
    json->key_bytes = bytes;
    json->is_after_key = true;
    if (json->depth == 1)
        json->is_in_tensors = bytes == 7 && memcmp(key, "tensors", 7) == 0;
}

static void json_f64(struct writer *w, double value)
{
    struct json_writer *json = (struct json_writer *)w;
    char *to = put_before(json, output_room(json->output, BEFORE_BYTES + DECIMAL_BYTES));

    output_take(json->output, to + decimal_write(value, to));
}

static void json_u64(struct writer *w, uint64_t value)
{
    struct json_writer *json = (struct json_writer *)w;
    char *to = put_before(json, output_room(json->output, BEFORE_BYTES + DECIMAL_BYTES));

    output_take(json->output, to + decimal_write_u64(value, to));
}

static void json_i64(struct writer *w, int64_t value)
{
    struct json_writer *json = (struct json_writer *)w;
    char *to = put_before(json, output_room(json->output, BEFORE_BYTES + 1 + DECIMAL_BYTES));

    if (value < 0)
        *to++ = '-';
    output_take(json->output, to + decimal_write_u64(value < 0 ? -(uint64_t)value : (uint64_t)value, to));
}

static void json_text(struct writer *w, const char *text, size_t bytes)
{
    put_string((struct json_writer *)w, text, bytes, '\0');
}

static void json_flag(struct writer *w, bool value)
{
    struct json_writer *json = (struct json_writer *)w;

    before_item(json);
    output_text(json->output, value ? "true" : "false");
}

static void json_null(struct writer *w, const char *reason)
{
    struct json_writer *json = (struct json_writer *)w;
    const bool is_told = reason && json->is_after_key && json->key_bytes > 0 && json->key_bytes < JSON_WRITER_KEY_BYTES;
    char key[JSON_WRITER_KEY_BYTES + 8];

    before_item(json);
    output_text(json->output, "null");
    if (!is_told)
        return;
    memcpy(key, json->key, json->key_bytes);
    memcpy(key + json->key_bytes, "_reason", 7);
    json_key(w, key, json->key_bytes + 7);
    json_text(w, reason, strlen(reason));
}

static const struct writer_ops json_ops = {json_begin, json_end,  json_key,  json_f64, json_u64,
                                           json_i64,   json_text, json_flag, json_null};

void json_writer_init(struct json_writer *json, struct output *output, unsigned line_depth)
{
    memset(json, 0, sizeof(*json));
    json->writer.ops = &json_ops;
    json->output = output;
    json->line_depth = line_depth;
}
