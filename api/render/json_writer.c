#include "api/render/json_writer.h"

#include <inttypes.h>
#include <stdio.h>
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

/* Comma and line before an item, unless it is a key's value. */
static void before_item(struct json_writer *json)
{
    if (json->is_after_key) {
        json->is_after_key = false;
        return;
    }
    if (json->depth == 0)
        return;
    if (json->stack[json->depth - 1].has_items)
        output_write(json->output, ",", 1);
    if (json->depth <= json->line_depth)
        output_write(json->output, "\n", 1);
    json->stack[json->depth - 1].has_items = true;
}

static void json_begin(struct writer *w, enum writer_scope scope)
{
    struct json_writer *json = (struct json_writer *)w;

    before_item(json);
    if (json->depth == 2)
        json->record_offset = json->output->written;
    output_write(json->output, scope == WRITER_OBJECT ? "{" : "[", 1);
    if (json->depth < JSON_WRITER_DEPTH) {
        json->stack[json->depth].scope = scope;
        json->stack[json->depth].has_items = false;
    }
    json->depth++;
}

static void json_end(struct writer *w)
{
    struct json_writer *json = (struct json_writer *)w;

    json->depth--;
    if (json->depth < json->line_depth && json->stack[json->depth].has_items)
        output_write(json->output, "\n", 1);
    output_write(json->output, json->stack[json->depth].scope == WRITER_OBJECT ? "}" : "]", 1);
    if (json->depth == 0)
        output_write(json->output, "\n", 1);
    if (json->depth == 2 && json->is_in_tensors && json->record)
        json->record(json->record_context, json->record_offset, json->output->written - json->record_offset);
}

static void json_key(struct writer *w, const char *key, size_t bytes)
{
    struct json_writer *json = (struct json_writer *)w;

    before_item(json);
    json_write_string(json->output, key, bytes);
    output_write(json->output, ":", 1);
    json->key_bytes = bytes < sizeof(json->key) ? bytes : 0;
    memcpy(json->key, key, json->key_bytes);
    json->is_after_key = true;
    if (json->depth == 1)
        json->is_in_tensors = bytes == 7 && memcmp(key, "tensors", 7) == 0;
}

static void json_f64(struct writer *w, double value)
{
    struct json_writer *json = (struct json_writer *)w;
    char text[DECIMAL_BYTES];

    before_item(json);
    output_write(json->output, text, decimal_write(value, text));
}

static void json_u64(struct writer *w, uint64_t value)
{
    struct json_writer *json = (struct json_writer *)w;
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRIu64, value);

    before_item(json);
    output_write(json->output, text, (size_t)length);
}

static void json_i64(struct writer *w, int64_t value)
{
    struct json_writer *json = (struct json_writer *)w;
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRId64, value);

    before_item(json);
    output_write(json->output, text, (size_t)length);
}

static void json_text(struct writer *w, const char *text, size_t bytes)
{
    struct json_writer *json = (struct json_writer *)w;

    before_item(json);
    json_write_string(json->output, text, bytes);
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
    bool has_key = json->is_after_key && json->key_bytes;
    char key[JSON_WRITER_KEY_BYTES + 8];

    before_item(json);
    output_text(json->output, "null");
    if (!has_key || !reason)
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
