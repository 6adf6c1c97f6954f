#include "core/io/repeated.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct repeated {
    struct source base;
    const uint8_t *data;
    uint64_t bytes;
    size_t element;
};

static int repeated_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    const struct repeated *repeated = (struct repeated *)source;
    const uint8_t *last = repeated->data + repeated->bytes - repeated->element;
    uint8_t *out = buf;
    size_t phase;

    if (offset > source->size || bytes > source->size - offset)
        return error_set(err, ERROR_FORMAT, "%zu bytes at offset %" PRIu64 " lie beyond the end, %" PRIu64, bytes,
                         offset, source->size);
    if (bytes > 0 && offset < repeated->bytes) {
        const size_t n = bytes < repeated->bytes - offset ? bytes : (size_t)(repeated->bytes - offset);

        memcpy(out, repeated->data + offset, n);
        out += n;
        offset += n;
        bytes -= n;
    }
    phase = (size_t)(offset % repeated->element);
    for (size_t i = 0; i < bytes; i++) {
        out[i] = last[phase];
        phase = phase + 1 < repeated->element ? phase + 1 : 0;
    }
    return 0;
}

static int repeated_check(struct source *source, struct error *err)
{
    (void)source; /* memory cannot change */
    (void)err;
    return 0;
}

static void repeated_close(struct source *source)
{
    free(source->uri);
    free(source);
}

int repeated_open(const void *data, uint64_t bytes, size_t element, uint64_t size, const char *uri,
                  struct source **ret_source, struct error *err)
{
    static const struct source_ops ops = {
        .name = "repeated", .read_at = repeated_read_at, .check = repeated_check, .close = repeated_close};
    struct repeated *repeated = calloc(1, sizeof(*repeated));

    if (repeated)
        repeated->base = (struct source){.ops = &ops, .uri = strdup(uri), .size = size, .identity = {.size = size}};
    if (!repeated || !repeated->base.uri) {
        free(repeated);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    repeated->data = data;
    repeated->bytes = bytes;
    repeated->element = element;
    *ret_source = &repeated->base;
    return 0;
}
