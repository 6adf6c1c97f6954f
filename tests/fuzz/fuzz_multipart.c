/* A multipart body of any bytes: the events do not depend on how it is cut into pieces. The first byte says how; the
 * boundary is "b". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/multipart_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t hash, bytes;
    int parts, ended;
};

static void mix(struct seen *seen, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        seen->hash = (seen->hash ^ (unsigned char)text[i]) * 1099511628211u;
}

static int on_begin(void *context, const struct multipart_part *part)
{
    struct seen *seen = context;

    if (seen->parts != seen->ended)
        abort();
    seen->parts++;
    mix(seen, part->name, strlen(part->name) + 1);
    mix(seen, part->filename, strlen(part->filename) + 1);
    mix(seen, part->type, strlen(part->type) + 1);
    mix(seen, part->sha256, strlen(part->sha256) + 1);
    return 0;
}

static int on_data(void *context, const char *data, size_t bytes)
{
    struct seen *seen = context;

    if (bytes == 0 || seen->parts != seen->ended + 1)
        abort();
    mix(seen, data, bytes);
    seen->bytes += bytes;
    return 0;
}

static int on_end(void *context)
{
    struct seen *seen = context;

    mix(seen, "end", 4);
    if (++seen->ended != seen->parts)
        abort();
    return 0;
}

/* Whether it is good to the end. */
static int read_in(size_t step, const uint8_t *data, size_t size, struct seen *seen)
{
    static const struct multipart_events events = {on_begin, on_data, on_end};
    struct multipart *multipart;
    struct error err;
    int rc = 0;

    *seen = (struct seen){.hash = 14695981039346656037u};
    if (multipart_new("multipart/form-data; boundary=b", &events, seen, &multipart, &err))
        abort();
    for (size_t at = 0; !rc && at < size; at += step)
        rc = multipart_feed(multipart, (const char *)data + at, size - at < step ? size - at : step, &err);
    if (!rc)
        rc = multipart_end(multipart, &err);
    multipart_free(multipart);
    if (seen->bytes > size || (rc == 0 && seen->parts != seen->ended))
        abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text, boundary[MULTIPART_BOUNDARY_MAX], filename[MULTIPART_FILENAME_BYTES_MAX + 1];
    struct seen whole, pieces;
    bool has;

    if (size == 0)
        return 0;
    /* The same bytes as a field with parameters. */
    text = strndup((const char *)data, size);
    if (!text)
        return 0;
    multipart_boundary(text, boundary);
    if (disposition_filename(text, filename, &has, NULL) == 0 && has && strlen(filename) > MULTIPART_FILENAME_BYTES_MAX)
        abort();
    free(text);
    if (read_in(size, data + 1, size - 1, &whole) != read_in(1u + data[0] % 32, data + 1, size - 1, &pieces) ||
        whole.hash != pieces.hash || whole.parts != pieces.parts)
        abort();
    return 0;
}
