#include "core/io/part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct part {
    struct source base;
    struct source *parent;
    uint64_t offset;
};

static int part_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    const struct part *part = (struct part *)source;

    if (offset > source->size || bytes > source->size - offset)
        return error_set(err, ERROR_FORMAT, "%zu bytes at offset %" PRIu64 " lie beyond the end of a part, %" PRIu64,
                         bytes, offset, source->size);
    return source_read_at(part->parent, part->offset + offset, buf, bytes, err);
}

static int part_check(struct source *source, struct error *err)
{
    (void)source; /* the parent is asked itself */
    (void)err;
    return 0;
}

static void part_close(struct source *source)
{
    free(source->uri);
    free(source);
}

int part_open(struct source *parent, uint64_t offset, uint64_t bytes, struct source **ret_source, struct error *err)
{
    static const struct source_ops ops = {
        .name = "part", .read_at = part_read_at, .check = part_check, .close = part_close};
    struct part *part;

    if (offset > parent->size || bytes > parent->size - offset)
        return error_set(err, ERROR_FORMAT, "%" PRIu64 " bytes at offset %" PRIu64 " lie beyond the end, %" PRIu64,
                         bytes, offset, parent->size);
    part = calloc(1, sizeof(*part));
    if (!part)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a part of a file");
    part->base = (struct source){.ops = &ops, .uri = strdup(parent->uri), .size = bytes, .identity = parent->identity};
    part->parent = parent;
    part->offset = offset;
    if (!part->base.uri) {
        free(part);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a part of a file");
    }
    *ret_source = &part->base;
    return 0;
}
