/* One logical tensor of a model: name, type, shape and where its bytes lie. 300,000 of them are nothing. */
#ifndef CORE_MODEL_TENSOR_H
#define CORE_MODEL_TENSOR_H

#include <stdint.h>

#include "core/model/dtype.h"
#include "core/name.h"

struct shape {
    const uint64_t *dims; /* row-major; borrowed from the model */
    uint64_t elements;    /* their product, checked; 1 for rank 0 */
    uint32_t rank;
};

struct extent {
    uint64_t offset; /* in the source */
    uint64_t bytes;  /* of the stored form; of the plain elements where these are only moved */
    uint32_t source; /* index into the model's files */
};

struct decoder;

/* How stored bytes become values where they are not simply contiguous little-endian elements of dtype. */
struct storage {
    const struct decoder *decoder; /* NULL: the values cannot be decoded here */
    struct name stored_as;         /* the type's name as the file spells it; .text NULL: elements of dtype, moved */
    const char *reason;            /* why there is no decoder; NULL: "dtype unsupported" */
    const void *parameters;        /* the decoder's own, kept by the model */
    const struct tensor *parts; /* tensors of the file that this one was made of; their bytes, one part's behind the */
    uint32_t part_count;        /* other's, are its own. 0: it is one of the file's itself */
};

struct tensor {
    struct name name;
    enum dtype dtype; /* of the logical values: what a decoder yields */
    struct shape shape;
    struct extent extent;
    const struct storage *storage; /* NULL: contiguous, row-major, little-endian, stored as dtype */
};

bool shape_equal(const struct shape *a, const struct shape *b);
struct name tensor_dtype_name(const struct tensor *tensor); /* "F32", or what the file said */
bool tensor_is_decodable(const struct tensor *tensor);
const char *tensor_unread_reason(const struct tensor *tensor); /* why it is not decodable; NULL: it is */
bool tensors_share_place(const struct tensor *a,
                         const struct tensor *b); /* their bytes begin at one place, all parts' */

#endif
