#include "core/scan/window.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 8 << 20, READ_BYTES = 1 << 16 };

static void window_leave(struct window *window)
{
    if (window->source && window->span.data && window->source->ops->map)
        window->source->ops->unmap(window->source, &window->span);
    window->source = NULL;
    window->span = (struct span){0};
}

void window_done(struct window *window)
{
    window_leave(window);
    free(window->buffer);
    *window = (struct window){0};
}

/* Small tensors follow one another, so a read brings some of what comes next. */
static int window_fill(struct window *window, struct source *source, uint64_t offset, size_t bytes, struct error *err)
{
    uint64_t rest = source->size > offset ? source->size - offset : 0;
    size_t wanted = bytes < READ_BYTES ? READ_BYTES : bytes;
    int rc;

    if (wanted > rest)
        wanted = rest > bytes ? (size_t)rest : bytes;
    if (wanted > window->capacity) {
        uint8_t *buffer = realloc(window->buffer, wanted);

        if (!buffer)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a buffer of %zu bytes", wanted);
        window->buffer = buffer;
        window->capacity = wanted;
    }
    rc = source_read_at(source, offset, window->buffer, wanted, err);
    if (rc)
        return rc;
    window->span = (struct span){.data = window->buffer, .bytes = wanted};
    return 0;
}

int window_view(struct window *window, struct source *source, uint64_t offset, size_t bytes, const uint8_t **ret_data,
                struct error *err)
{
    uint64_t rest = source->size > offset ? source->size - offset : 0;
    int rc;

    if (window->source == source && offset >= window->offset && offset - window->offset <= window->span.bytes &&
        bytes <= window->span.bytes - (offset - window->offset)) {
        *ret_data = window->span.data + (offset - window->offset);
        return 0;
    }
    window_leave(window);
    if (source->ops->map) {
        size_t wanted = bytes < WINDOW_BYTES ? WINDOW_BYTES : bytes;

        if (wanted > rest)
            wanted = rest > bytes ? (size_t)rest : bytes;
        rc = source->ops->map(source, offset, wanted, &window->span, err);
    } else {
        rc = window_fill(window, source, offset, bytes, err);
    }
    if (rc)
        return rc;
    window->source = source;
    window->offset = offset;
    *ret_data = window->span.data;
    return 0;
}
