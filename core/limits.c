#include "core/limits.h"

const struct limits limits_default = {
    .header_bytes = 100000000,
    .index_bytes = 256000000,
    .config_bytes = 16000000,
    .tensors = 1000000,
    .metadata = 65536,
    .shards = 10000,
    .nesting = 64,
};
