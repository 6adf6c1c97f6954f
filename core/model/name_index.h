/* Names found by hash: open addressing over the indexes of somebody's records, which stay where they are. */
#ifndef CORE_MODEL_NAME_INDEX_H
#define CORE_MODEL_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "core/name.h"

#define NAME_INDEX_NONE UINT32_MAX

/* Records that carry a name: the first record's name, and the distance to the next one's. */
struct name_records {
    const struct name *first;
    size_t stride;
};

struct name_index;

/* Room for capacity names. NULL: out of memory. */
struct name_index *name_index_new(size_t capacity);
void name_index_free(struct name_index *index);

/* The record of that name, or NAME_INDEX_NONE. */
uint32_t name_index_find(const struct name_index *index, struct name_records records, struct name name);

/* Adds record at; returns at, or the record of the same name that was there before (and then adds nothing). */
uint32_t name_index_add(struct name_index *index, struct name_records records, uint32_t at);

#endif
