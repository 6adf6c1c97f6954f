/* MessagePack, token by token: what stands at the reader's place. (github.com/msgpack/msgpack, spec.md.) */
#ifndef CORE_FORMAT_MSGPACK_H
#define CORE_FORMAT_MSGPACK_H

#include "core/format/byte_reader.h"

enum msgpack_kind {
    MSGPACK_NIL,
    MSGPACK_BOOL,      /* integer */
    MSGPACK_INT,       /* integer */
    MSGPACK_BIG,       /* an unsigned one beyond INT64_MAX: count */
    MSGPACK_REAL,      /* real */
    MSGPACK_TEXT,      /* count bytes follow, of text */
    MSGPACK_BINARY,    /* count bytes follow */
    MSGPACK_ARRAY,     /* count values follow */
    MSGPACK_MAP,       /* count pairs of a key and a value follow */
    MSGPACK_EXTENSION, /* of type extension, count bytes follow */
};

struct msgpack_token {
    enum msgpack_kind kind;
    int8_t extension;
    int64_t integer;
    double real;
    uint64_t count; /* bytes are in the file, values may be: each takes a byte at least */
};

/* Reads the next token's head. The reader is big-endian (is_swapped). false: a fault was recorded. */
bool msgpack_next(struct byte_reader *reader, const char *what, struct msgpack_token *ret_token);

/* Whether bytes look like a map whose first key is a text. */
bool msgpack_is_map_of_texts(const uint8_t *bytes, size_t count);

#endif
