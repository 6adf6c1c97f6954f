#include "core/scan/window.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 4 << 20, READ_BYTES = 1 << 16, AHEAD_BYTES = 24 << 20 };

/* Lets go of the stretch that was left longest ago, and notes this one in its place. */
static void window_note_behind(struct window *window, struct source *source, uint64_t offset, uint64_t bytes)
{
    const unsigned at = window->behind_next++ % WINDOW_BEHIND;

    if (window->behind[at].source)
        window->behind[at].source->ops->advise(window->behind[at].source, window->behind[at].offset,
                                               window->behind[at].bytes, SOURCE_DONE_WITH);
    window->behind[at].source = source;
    window->behind[at].offset = offset;
    window->behind[at].bytes = bytes;
}

/* Asks for [offset, offset + bytes) and what follows it, as far as that was not done. */
static void window_ask_ahead(struct window *window, struct source *source, uint64_t offset, uint64_t bytes)
{
    uint64_t from = offset, until = offset + bytes + AHEAD_BYTES;

    if (window->asked_until > from && window->asked_until <= until)
        from = window->asked_until;
    if (until > source->size)
        until = source->size;
    if (from < until)
        source->ops->advise(source, from, until - from, SOURCE_WILL_NEED);
    window->asked_until = until;
}

static void window_leave(struct window *window)
{
    struct source *source = window->source;
    const uint64_t bytes = window->span.bytes;

    if (window->source && window->span.data && window->source->ops->map)
        window->source->ops->unmap(window->source, &window->span);
    if (source && source->is_let_go && bytes > 0)
        window_note_behind(window, source, window->offset, bytes); /* mapped pages would stay */
    window->source = NULL;
    window->span = (struct span){0};
}

void window_done(struct window *window)
{
    window_leave(window);
    for (int i = 0; i < WINDOW_BEHIND; i++)
        window_note_behind(window, NULL, 0, 0);
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
    if (window->source != source)
        window->asked_until = 0;
    window_leave(window);
    if (source->ops->map) {
        size_t wanted = bytes < WINDOW_BYTES ? WINDOW_BYTES : bytes;

        if (wanted > rest)
            wanted = rest > bytes ? (size_t)rest : bytes;
        if (source->is_read_ahead)
            window_ask_ahead(window, source, offset, wanted);
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
