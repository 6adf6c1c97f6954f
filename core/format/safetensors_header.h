/* The JSON header of a safetensors file, without the file: text in, tensors out. */
#ifndef CORE_FORMAT_SAFETENSORS_HEADER_H
#define CORE_FORMAT_SAFETENSORS_HEADER_H

#include "core/error.h"
#include "core/limits.h"
#include "core/model/model.h"
#include "core/model/tensor.h"

enum { SAFETENSORS_PREFIX_BYTES = 8 }; /* the header's length, u64 little-endian */

/* What a header says. Names, values and types are borrowed from the text, everything else is owned. */
struct safetensors_header {
    struct tensor *tensors; /* canonical order; extents are offsets in the file, source 0 */
    size_t tensor_count;
    uint64_t *dims;
    struct storage *storages; /* of the tensors whose type is not known here */
    struct metadata_entry *metadata;
    size_t metadata_count;
    bool has_leading_whitespace;
};

/* Parses text (rewritten in place: escapes) as the header of a file of which data_bytes bytes follow it, and holds
 * every claim against the others: offsets must cover these bytes without hole or overlap, sizes must fit shape and
 * type. ERROR_FORMAT naming tensor and offset, ERROR_LIMIT, ERROR_NO_MEMORY. */
int safetensors_header_parse(char *text, size_t bytes, uint64_t data_bytes, const struct limits *limits,
                             struct safetensors_header *ret_header, struct error *err);
void safetensors_header_done(struct safetensors_header *header); /* fine with {0} */

#endif
