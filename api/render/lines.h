/* The text forms' way of showing what an analysis writes: one line of the few figures that matter, then its lists as
 * tables. A layout says which: what it does not name stays out. An analysis is asked to write once for the line and
 * once for each part, so that the order is the layout's and no more than one list is kept at a time. */
#ifndef API_RENDER_LINES_H
#define API_RENDER_LINES_H

#include "api/render/render.h"
#include "core/writer.h"

enum { LINES_PARTS = 16, LINES_ROWS_MAX = 10, LINES_ROWS_VERBOSE = 20000 };

enum lines_kind {
    LINES_END,
    LINES_ROWS,    /* a list of objects; columns are their members */
    LINES_SERIES,  /* lists of figures side by side; columns are lists. A row's number i takes item i + offset */
    LINES_SIDES,   /* members of two objects ("baseline|candidate") or of one; columns are the rows here */
    LINES_GRID,    /* a list of lists of figures */
    LINES_NAMES,   /* a list of texts, in one line */
    LINES_PROFILE, /* a list of figures, drawn */
    LINES_DIFF,    /* an object of added, removed and changed members */
};

/* columns: words "member", "heading=member", a trailing '@' for bytes, of LINES_SERIES "member+1" for an offset. In
 * headings and titles '_' stands for a blank. A member that is an object shows all of its members. */
struct lines_part {
    enum lines_kind kind;
    const char *title, *path, *columns;
    const char *sort; /* of LINES_ROWS: the column whose size orders them, rows without any being counted only */
    const char *when; /* shown only where this figure, or number of items, is at least least, or is the text */
    const char *text;
    double least;
    bool is_detail; /* verbose only */
};

struct lines_layout {
    const char *analysis;
    /* Words "member" or "label=member", "a|b" for a->b. Null figures, zeros, no and empty lists stay out, except after
     * a '!'; "#list" is the number of items. */
    const char *head;
    struct lines_part parts[LINES_PARTS];
};

/* Of each analysis, and of "gate"; NULL: there is none. */
const struct lines_layout *lines_layout_of(const char *analysis);

/* What analysis->write or a test's stand-in writes: the members of one object. */
struct lines_source {
    void (*write)(const void *context, struct writer *w);
    const void *context;
};

void lines_put(const struct lines_layout *layout, const struct lines_source *source,
               const struct render_options *options, struct output *output);

#endif
