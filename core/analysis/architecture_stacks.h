/* Repeated blocks: tensors whose names differ in one number only, "model.layers.{n}". */
#ifndef CORE_ANALYSIS_ARCHITECTURE_STACKS_H
#define CORE_ANALYSIS_ARCHITECTURE_STACKS_H

#include "core/compare.h"

/* A name taken apart at its first numeric path component. */
struct block_name {
    struct name stack; /* "model.layers" */
    uint64_t number;
    struct name rest; /* "self_attn.q_proj.weight"; may be empty */
};

/* False for a name without a numeric component, or with one beyond 64 bits. */
bool block_name_of(struct name name, struct block_name *ret);

/* Consecutive blocks of one structure: the same tensors, of the same shapes and dtypes. */
struct block_range {
    struct name stack;
    uint64_t from, to;    /* numbers, to included */
    uint64_t tensors;     /* of each block */
    uint32_t structure;   /* blocks of the stack with equal structures share it; STRUCTURE_UNTOLD beyond 64 */
    uint32_t first, last; /* tensors of the first block: [first, last) */
};
#define STRUCTURE_UNTOLD UINT32_MAX

struct block_ranges {
    struct block_range *items;
    size_t count;
};

/* All of a model, in canonical order. ERROR_NO_MEMORY. */
int block_ranges_find(const struct model *model, struct block_ranges *ret_ranges, struct error *err);
void block_ranges_done(struct block_ranges *ranges);

#endif
