/* Models of several files: an index and its shards, or a directory of them. */
#ifndef CORE_FORMAT_SHARDED_H
#define CORE_FORMAT_SHARDED_H

#include "core/format/folder.h"
#include "core/format/shard_index.h"

/* Opens the model that the index in source (at opener->place) maps out, with the config beside it. Takes source on
 * success, and closes it. */
int sharded_open_index(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err);

/* Opens the model whose file at folder->opener->place says that it is shard of several: NAME-00001-of-00003.SUFFIX and
 * those that follow. ERROR_FORMAT where it is not the first. */
int sharded_open_set(const struct folder *folder, const struct shard *shard, struct model **ret_model,
                     struct error *err);

/* Opens the model in the directory at opener->place; dir_fd is that directory, for reading its names. */
int sharded_open_directory(const struct opener *opener, int dir_fd, struct model **ret_model, struct error *err);

#endif
