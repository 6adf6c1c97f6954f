/* The key-value pairs of a GGUF file, as text. */
#ifndef CORE_FORMAT_GGUF_METADATA_H
#define CORE_FORMAT_GGUF_METADATA_H

#include "core/arena.h"
#include "core/format/byte_reader.h"
#include "core/model/model.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_TEXT,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES,
};

struct gguf_value {
    enum gguf_type type;
    uint64_t number; /* the bits of a scalar */
    struct name text;
};

struct gguf_reader {
    struct byte_reader bytes;
    struct arena *arena;
    unsigned length_bytes; /* of counts, lengths and dimensions: 4 in version 1, 8 since */
};

/* A string of at most limit bytes, copied into the arena; what says what it is. */
bool gguf_read_text(struct gguf_reader *reader, uint64_t limit, const char *what, struct name *ret_text);

/* The value of key: text as it is, numbers in decimal, arrays as JSON. An array of more than a few elements is told by
 * its type, its length, its first elements and a SHA-256 of all, so that a vocabulary takes a line. */
bool gguf_read_value(struct gguf_reader *reader, struct name key, struct gguf_value *ret_value);

#endif
