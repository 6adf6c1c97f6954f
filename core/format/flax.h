/* The inside of Flax's reader: for flax.c and flax_array.c. Functions that return false have recorded a fault. */
#ifndef CORE_FORMAT_FLAX_H
#define CORE_FORMAT_FLAX_H

#include "core/arena.h"
#include "core/format/format.h"
#include "core/format/msgpack.h"

enum { FLAX_PATH_BYTES = 4096, FLAX_DTYPE_MAX = 64 };

struct flax {
    struct byte_reader bytes;
    struct arena arena;
    struct model *model;
    const struct limits *limits;
    size_t tensor_room, metadata_room, depth;
    uint64_t values;
    bool is_untold;             /* the next value, if it is a number or a text, is not told of */
    char path[FLAX_PATH_BYTES]; /* of the value at hand */
    size_t path_bytes;
    char key[FLAX_PATH_BYTES]; /* the last that was read */
};

/* What an array's extension holds. */
struct array {
    char dtype_name[FLAX_DTYPE_MAX];
    enum dtype dtype;
    struct shape shape;
    uint64_t offset, bytes;
};

bool flax_no_memory(struct flax *f);

/* A map's key as a component of a path, until the next one. */
bool flax_key(struct flax *f, struct name *ret_key);

/* (shape, dtype, bytes), which fill an extension of so many bytes up. */
bool flax_array(struct flax *f, uint64_t extension_bytes, struct array *ret_array);

/* Whether a map whose first key this is holds an array in pieces. */
bool flax_is_chunked(struct name key);

/* The rest of such a map of so many pairs: a tensor, which has no name yet. */
bool flax_chunked(struct flax *f, uint64_t pairs, struct tensor *ret_tensor);

#endif
