/* The header of a .npy array: a Python dict literal. (numpy/lib/_format_impl.py.) */
#ifndef CORE_FORMAT_NUMPY_HEADER_H
#define CORE_FORMAT_NUMPY_HEADER_H

#include "core/arena.h"
#include "core/format/byte_reader.h"
#include "core/model/tensor.h"

struct numpy_header {
    struct name descr;   /* of a plain dtype, as "<f4"; of a structured one "structured"; of the arena */
    enum dtype dtype;    /* DTYPE_UNKNOWN: no type of ours */
    uint64_t item_bytes; /* 0: not known */
    bool is_swapped, is_fortran;
    struct shape shape; /* dims of the arena */
    uint64_t data_at;   /* in the source */
};

/* DTYPE_UNKNOWN: none of ours. */
enum dtype numpy_dtype(char kind, uint64_t item_bytes);

/* Reads magic, version and header at reader's place. ERROR_FORMAT, ERROR_UNSUPPORTED, ERROR_LIMIT, ERROR_NO_MEMORY are
 * left in reader->rc. */
bool numpy_header_read(struct byte_reader *reader, struct arena *arena, struct numpy_header *ret_header);

#endif
