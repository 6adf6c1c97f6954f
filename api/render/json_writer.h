/* A struct writer that streams JSON. Members of the document and elements of its arrays stand on lines of their own;
 * everything deeper is compact, so that a tensor's record is one line. */
#ifndef API_RENDER_JSON_WRITER_H
#define API_RENDER_JSON_WRITER_H

#include "api/render/render.h"
#include "core/writer.h"

enum { JSON_WRITER_DEPTH = 16, JSON_WRITER_KEY_BYTES = 128 };

struct json_writer {
    struct writer writer; /* first: a struct writer * is one of these */
    struct output *output;
    unsigned depth;
    unsigned line_depth; /* up to this depth, members and elements begin a line */
    struct {
        enum writer_scope scope;
        bool has_items;
    } stack[JSON_WRITER_DEPTH];
    const char *key; /* the last one, for its reason */
    size_t key_bytes;
    bool is_after_key;
    /* Optional: told the place of every element of the document's array "tensors". */
    void (*record)(void *context, uint64_t offset, uint64_t bytes);
    void *record_context;
    bool is_in_tensors;
    uint64_t record_offset;
};

void json_writer_init(struct json_writer *json, struct output *output, unsigned line_depth);

/* A JSON string with its quotes, as api/json_string.h has it. */
void json_write_string(struct output *output, const char *text, size_t bytes);

#endif
