/* The parts below an analysis' line of figures, and what both are read with. */
#ifndef API_RENDER_LINES_PARTS_H
#define API_RENDER_LINES_PARTS_H

#include "api/render/lines.h"
#include "api/render/walk.h"

enum { FACT_PATH_BYTES = 96, FACT_TEXT_BYTES = 160 };

/* A plain member, or a list of plain values, by its path. */
struct fact {
    enum value_kind kind;
    double number;
    uint64_t items; /* of a list */
    char path[FACT_PATH_BYTES], text[FACT_TEXT_BYTES];
};

struct facts {
    struct walk walk; /* first */
    struct fact *items;
    size_t count;
    unsigned lists; /* around what is told */
};

const struct fact *lines_find(const struct facts *facts, const char *path); /* NULL: there is none */
/* Neither null nor 0, no nor empty. fact may be NULL. */
bool lines_has_content(const struct fact *fact);

void lines_part_put(const struct lines_part *part, const struct facts *facts, const struct lines_source *source,
                    const struct render_options *options, struct output *output);

/* Takes one word of a layout's text; false at its end. */
bool lines_word(const char **spec, char *out, size_t size);
/* Appends as much as fits, and an ellipsis where that is not all; of a list's items, the first twelve. */
void lines_append(char *out, size_t size, const char *text);
void lines_append_item(char *out, size_t size, uint64_t item, const char *text);
void lines_blanks(char *text); /* for underscores */
const char *lines_shown(const struct plain_value *value);

#endif
