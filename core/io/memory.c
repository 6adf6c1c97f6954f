/* A source over bytes that outlive it: tests, fuzzing, small bodies. It cannot change. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/source.h"
#include "core/name.h"

struct memory_source {
    struct source base;
    const uint8_t *data;
};

static int memory_view(struct source *source, uint64_t offset, size_t bytes, const uint8_t **ret_data,
                       struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];

    if (offset > source->size || bytes > source->size - offset)
        return error_set(err, ERROR_FORMAT, "%s: %zu bytes at offset %" PRIu64 " lie beyond its end, %" PRIu64,
                         name_printable(name_of(source->uri), uri), bytes, offset, source->size);
    *ret_data = ((struct memory_source *)source)->data + offset;
    return 0;
}

static int memory_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    const uint8_t *data;
    int rc = memory_view(source, offset, bytes, &data, err);

    if (rc == 0 && bytes > 0)
        memcpy(buf, data, bytes);
    return rc;
}

static int memory_map(struct source *source, uint64_t offset, size_t bytes, struct span *ret, struct error *err)
{
    const uint8_t *data;
    int rc = memory_view(source, offset, bytes, &data, err);

    if (rc == 0)
        *ret = (struct span){.data = data, .bytes = bytes};
    return rc;
}

static void memory_unmap(struct source *source, struct span *span)
{
    (void)source;
    *span = (struct span){0};
}

static int memory_check(struct source *source, struct error *err)
{
    (void)source;
    (void)err;
    return 0;
}

static void memory_close(struct source *source)
{
    free(source->uri);
    free(source);
}

static const struct source_ops memory_ops = {
    .name = "memory",
    .read_at = memory_read_at,
    .map = memory_map,
    .unmap = memory_unmap,
    .check = memory_check,
    .close = memory_close,
};

int memory_open(const void *data, size_t bytes, const char *uri, struct source **ret_source, struct error *err)
{
    struct memory_source *memory = calloc(1, sizeof(*memory));

    if (memory)
        memory->base.uri = strdup(uri);
    if (!memory || !memory->base.uri) {
        free(memory);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    memory->base.ops = &memory_ops;
    memory->base.size = bytes;
    memory->base.identity.size = bytes;
    memory->data = data;
    *ret_source = &memory->base;
    return 0;
}
