/* The index of a sharded model (model.safetensors.index.json), without its files: text in, a map out. */
#ifndef CORE_FORMAT_SHARD_INDEX_H
#define CORE_FORMAT_SHARD_INDEX_H

#include "core/error.h"
#include "core/format/format.h"
#include "core/limits.h"
#include "core/name.h"

struct shard_entry {
    struct name tensor;
    uint32_t file; /* index into files */
};

/* What an index says. Names are borrowed from the text. */
struct shard_index {
    struct shard_entry *entries; /* canonical order, no name twice */
    size_t entry_count;
    struct name *files; /* natural order; plain file names: no '/', no "..", no NUL */
    size_t file_count;
    uint64_t total_size; /* of all tensors in bytes, as the writer claims */
    bool has_total_size;
};

/* Whether a file looks like JSON, and so perhaps like an index. */
bool shard_index_probe(const struct head *head);

/* Parses text (rewritten in place: escapes). ERROR_FORMAT, ERROR_UNSUPPORTED for JSON without a weight_map,
 * ERROR_LIMIT, ERROR_NO_MEMORY. */
int shard_index_parse(char *text, size_t bytes, const struct limits *limits, struct shard_index *ret_index,
                      struct error *err);
void shard_index_done(struct shard_index *index); /* fine with {0} */

#endif
