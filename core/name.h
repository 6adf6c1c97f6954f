/* A name as a file spells it: bytes with a length, valid UTF-8, may hold NUL or control characters, not terminated. */
#ifndef CORE_NAME_H
#define CORE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name {
    const char *text; /* borrowed */
    uint32_t bytes;
};

struct name name_of(const char *text); /* of a terminated string */
bool name_equal(struct name a, struct name b);
uint64_t name_hash(struct name name);

/* Natural order: digit runs compare as numbers (layers.2 before layers.10), everything else bytewise; names that are
 * equal so far (01 and 1) are told apart bytewise, so 0 means the same bytes. */
int name_compare_natural(struct name a, struct name b);

/* Writes name for a person or a log: control bytes, invalid UTF-8, ANSI and bidirectional marks escaped as \xNN or
 * \u{N}, and more than about 160 bytes abbreviated in the middle with the full length told. Always terminates out. */
enum { NAME_PRINTABLE_BYTES = 512 };
const char *name_printable(struct name name, char out[NAME_PRINTABLE_BYTES]);

#endif
