/* A header read from front to back, in either byte order, through a buffer. After the first failure every read fails
 * with the same code. */
#ifndef CORE_FORMAT_BYTE_READER_H
#define CORE_FORMAT_BYTE_READER_H

#include <stdbool.h>

#include "core/io/source.h"

struct byte_reader {
    struct source *source;
    uint64_t at;    /* of the next byte, in the source */
    uint64_t limit; /* nothing at or behind it is read: a header that reaches so far is refused */
    bool is_swapped;
    int rc;
    struct error *err;
    uint8_t *buffer;
    uint64_t buffered_at;
    size_t buffered;
};

/* limit is cut to the source's end. ERROR_NO_MEMORY. */
int byte_reader_open(struct byte_reader *reader, struct source *source, uint64_t at, uint64_t limit, struct error *err);
void byte_reader_done(struct byte_reader *reader); /* fine with {0} */

/* Bytes that are left before the limit. */
uint64_t byte_reader_rest(const struct byte_reader *reader);

/* The next count bytes. ERROR_FORMAT where the file ends before, ERROR_LIMIT where the limit does. what names them. */
bool byte_reader_bytes(struct byte_reader *reader, void *out, size_t count, const char *what);
bool byte_reader_skip(struct byte_reader *reader, uint64_t count, const char *what);

/* Unsigned numbers of 1, 2, 4 or 8 bytes. */
bool byte_reader_number(struct byte_reader *reader, unsigned bytes, uint64_t *ret_value, const char *what);

/* Records a fault of the caller's finding and returns false. */
bool byte_reader_fault(struct byte_reader *reader, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
