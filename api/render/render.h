/* Representations of a finished comparison: one file each. */
#ifndef API_RENDER_RENDER_H
#define API_RENDER_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/compare.h"
#include "core/error.h"

/* Buffered output to a descriptor; keeps its first error. */
struct output {
    int fd;
    int error;        /* errno of the first failed write, ENOMEM of what could not be laid out, or 0 */
    uint64_t written; /* bytes handed in so far: the offset of the next one */
    size_t used;
    char buffer[65536];
};
void output_init(struct output *output, int fd);
void output_write(struct output *output, const void *data, size_t bytes);
void output_text(struct output *output, const char *text);
/* Room for that many bytes (no more than the buffer has), to be filled and then taken up to end: what is laid out in
 * many small steps is laid out there. */
void output_flush(struct output *output);
static inline char *output_room(struct output *output, size_t bytes)
{
    if (bytes > sizeof(output->buffer) - output->used)
        output_flush(output);
    return output->buffer + output->used;
}
static inline void output_take(struct output *output, const char *end)
{
    const size_t used = (size_t)(end - output->buffer);

    output->written += used - output->used;
    output->used = used;
}
/* Flushes; ERROR_NO_SPACE or ERROR_WRITE when any write failed, ERROR_NO_MEMORY. */
int output_finish(struct output *output, struct error *err);

struct render_options {
    bool is_color;   /* text: ANSI colours */
    bool is_quiet;   /* text: the headline only */
    bool is_brief;   /* text: names of what differs, no figures */
    bool is_verbose; /* text: also what is equal */
    /* Members of a last object run{}; NULL: none. JSON only. */
    void (*run)(void *context, struct writer *w);
    void *run_context;
    struct output *index; /* JSON only: where the index of the records goes; NULL: none */
};

struct renderer {
    const char *name;       /* "json": what --format and Accept's parameters call it */
    const char *media_type; /* "application/json" */
    void (*render)(const struct comparison *comparison, const struct render_options *options, struct output *output);
};

extern const struct renderer json_renderer, ndjson_renderer, text_renderer, markdown_renderer, junit_renderer;
extern const struct renderer diffai_text_renderer, diffai_json_renderer;
extern const struct renderer *const renderers[]; /* json, ndjson, text, markdown, junit: what every door offers */
extern const size_t renderer_count;

#endif
