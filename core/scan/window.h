/* One thread's view of one source: a mapping of a few MiB that moves with the cursor, or a buffer where a source cannot
 * be mapped. Memory stays flat whatever the size of the file. */
#ifndef CORE_SCAN_WINDOW_H
#define CORE_SCAN_WINDOW_H

#include "core/io/source.h"

struct window {
    struct source *source; /* NULL: nothing is held */
    uint64_t offset;
    struct span span;
    uint8_t *buffer;
    size_t capacity;
};

/* A zeroed window is ready for use. */
void window_done(struct window *window);

/* Bytes [offset, offset + bytes) of source, valid until the window's next use. */
int window_view(struct window *window, struct source *source, uint64_t offset, size_t bytes, const uint8_t **ret_data,
                struct error *err);

#endif
