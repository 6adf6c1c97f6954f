/* One thread's view of one source: a mapping of a few MiB that moves with the cursor, or a buffer where a source cannot
 * be mapped. Memory stays flat whatever the size of the file. */
#ifndef CORE_SCAN_WINDOW_H
#define CORE_SCAN_WINDOW_H

#include "core/io/source.h"

/* How many stretches behind the cursor stay in the page cache: the other threads are not far, but may not be past them
 * yet. */
enum { WINDOW_BEHIND = 16 };

struct window {
    struct source *source; /* NULL: nothing is held */
    uint64_t offset;
    struct span span;
    uint8_t *buffer;
    size_t capacity;
    uint64_t asked_until; /* of source: how far ahead the device has been asked to read */
    struct {
        struct source *source;
        uint64_t offset, bytes;
    } behind[WINDOW_BEHIND]; /* a ring: what was left and is not let go of yet */
    unsigned behind_next;
};

/* A zeroed window is ready for use. Lets go of what is behind. */
void window_done(struct window *window);

/* Bytes [offset, offset + bytes) of source, valid until the window's next use. */
int window_view(struct window *window, struct source *source, uint64_t offset, size_t bytes, const uint8_t **ret_data,
                struct error *err);

#endif
