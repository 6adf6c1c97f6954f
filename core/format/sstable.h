/* The sorted table of LevelDB, as TensorFlow keeps the index of a checkpoint in one: keys and values, read whole.
 * (github.com/google/leveldb, doc/table_format.md; tensorflow/core/lib/io/table.cc.) */
#ifndef CORE_FORMAT_SSTABLE_H
#define CORE_FORMAT_SSTABLE_H

#include "core/arena.h"
#include "core/format/format.h"

struct sstable_entry {
    struct name key; /* any bytes */
    uint64_t at;     /* of its value, in values */
    uint64_t bytes;
};

struct sstable {
    struct sstable_entry *entries; /* by key, no key twice */
    size_t count;
    uint8_t *values; /* one behind the other */
    size_t value_bytes;
    struct arena arena;
};

struct sstable_block {
    uint64_t offset, bytes; /* without the five bytes behind it: how it is compressed, its checksum */
};

struct sstable_blocks {
    struct sstable_block *list; /* in the order of the file, apart from one another; a heap block */
    size_t count;
};

bool sstable_probe(const struct head *head);

/* Where the table's data lie: whether in the file is for who reads them. ERROR_FORMAT, ERROR_LIMIT, ERROR_NO_MEMORY. */
int sstable_list(struct source *source, const struct limits *limits, struct sstable_blocks *ret_blocks,
                 struct error *err);

/* Reads all blocks. Every block's checksum is held against its bytes. ERROR_FORMAT, ERROR_LIMIT, ERROR_NO_MEMORY. */
int sstable_open(struct source *source, const struct limits *limits, const struct sstable_blocks *blocks,
                 struct sstable *ret_table, struct error *err);
void sstable_done(struct sstable *table); /* fine with {0} */

#endif
