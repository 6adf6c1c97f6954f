/* Tables of a FlatBuffer, read where they lie: every offset is held against the file as it is followed. */
#ifndef CORE_FORMAT_FLATBUFFER_H
#define CORE_FORMAT_FLATBUFFER_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/io/source.h"

enum { FLAT_PAGES = 8, FLAT_PAGE_BYTES = 4096 };

struct flat {
    struct source *source;
    struct error *err;
    int rc;            /* of the first fault */
    uint64_t followed; /* offsets so far, and how many may be: tables may be shared without end */
    uint64_t followed_max;
    unsigned turn;
    struct {
        uint64_t at;
        size_t bytes;
        uint8_t data[FLAT_PAGE_BYTES];
    } pages[FLAT_PAGES];
};

struct flat_table {
    uint64_t at;
    uint64_t fields; /* where its fields' offsets lie */
    unsigned field_count;
};

struct flat_vector {
    uint64_t at, count; /* of elements; count 0 where there is none */
};

bool flat_fault(struct flat *flat, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* count bytes of 8 at most, as a little-endian number; 0 after a fault. */
uint64_t flat_number(struct flat *flat, uint64_t at, unsigned count);

bool flat_root(struct flat *flat, struct flat_table *ret);

/* The place of a field's value, 0 where it has its default. */
uint64_t flat_field(struct flat *flat, const struct flat_table *table, unsigned number);

/* A field of so many bytes; otherwise if it is not there. */
uint64_t flat_scalar(struct flat *flat, const struct flat_table *table, unsigned number, unsigned bytes,
                     uint64_t otherwise);

/* A field that is a table: false where it is not there, or after a fault. */
bool flat_inner(struct flat *flat, const struct flat_table *table, unsigned number, struct flat_table *ret);

/* A field that is a vector, of elements of so many bytes; an empty one where it is not there. */
bool flat_vector(struct flat *flat, const struct flat_table *table, unsigned number, unsigned element_bytes,
                 struct flat_vector *ret);

/* Table number index of a vector of tables. */
bool flat_element(struct flat *flat, const struct flat_vector *vector, uint64_t index, struct flat_table *ret);

/* A field that is text, of at most most bytes, in the arena. */
bool flat_text(struct flat *flat, const struct flat_table *table, unsigned number, uint64_t most, struct arena *arena,
               struct name *ret);

#endif
