/* The text forms' way of showing what an analysis writes: one line of its plain members, then its lists, indented. */
#ifndef API_RENDER_LINES_H
#define API_RENDER_LINES_H

#include "api/render/render.h"
#include "core/writer.h"

enum { LINES_DEPTH = 16 };

struct lines_writer {
    struct writer writer; /* first */
    struct output *output;
    uint64_t rows_max; /* of each list; 0: all */
    unsigned depth;
    struct {
        enum writer_scope scope;
        bool has_rows; /* an array of objects */
        uint64_t items;
        char key[64];
    } stack[LINES_DEPTH];
    char key[64];
    unsigned skipped_depth; /* inside a row beyond rows_max */
    bool is_line_begun;     /* else the next member begins one */
    bool has_members;       /* on this line: the next one needs a comma */
};

/* Shows the object that follows as `title: a=1, b=2`. */
void lines_writer_init(struct lines_writer *lines, struct output *output, const char *title, uint64_t rows_max);

/* A figure for a person: six significant digits. */
void lines_number(double value, char out[32]);

#endif
