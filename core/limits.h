/* What a model may claim at most. Every claim of a file is held against one of these before memory is spent on it. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include <stdint.h>

struct limits {
    uint64_t header_bytes; /* safetensors header; the reference reader's limit is 100,000,000 */
    uint64_t index_bytes;  /* model.safetensors.index.json; real ones reach 60 MB */
    uint64_t config_bytes; /* config.json */
    uint64_t tensors;      /* per model, over all shards */
    uint64_t metadata;     /* entries of __metadata__ */
    uint32_t shards;       /* files of one model */
    uint32_t nesting;      /* depth of JSON in a header or an index */
};

extern const struct limits limits_default;

#endif
