#include "core/io/source.h"

#include <stdlib.h>

int source_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    return source->ops->read_at(source, offset, buf, bytes, err);
}

int source_check(struct source *source, struct error *err)
{
    return source->ops->check(source, err);
}

void source_close(struct source *source)
{
    if (source)
        source->ops->close(source);
}
