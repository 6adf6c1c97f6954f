/* A writer that tells where in a document each value stands: what reads findings by their paths is built on it. */
#ifndef API_RENDER_WALK_H
#define API_RENDER_WALK_H

#include <stddef.h>

#include "core/writer.h"

enum { WALK_DEPTH = 24, WALK_PATH_BYTES = 1024 };

enum value_kind { VALUE_NULL, VALUE_TEXT, VALUE_NUMBER, VALUE_COUNT, VALUE_FLAG };

/* A plain value. text: as a person reads it (control characters replaced); number: of all but texts. */
struct plain_value {
    enum value_kind kind;
    double number;
    const char *text; /* of VALUE_NULL: its reason, or NULL */
};

struct walk {
    struct writer writer; /* first */
    /* Keys from the top, parted by dots; a list's items share its path. Of a member with a value, begin or end: its
     * own. Longer paths are cut. */
    char path[WALK_PATH_BYTES];
    size_t path_bytes;
    unsigned depth; /* of the objects and lists around what is told */
    struct {
        enum writer_scope scope;
        size_t path_bytes;
        uint64_t items; /* begun so far */
    } stack[WALK_DEPTH];
    unsigned skipped; /* levels below the deepest that is told */
    /* begin: depth does not count it yet; end: does not any more. */
    void (*value)(struct walk *, const struct plain_value *);
    void (*begin)(struct walk *, enum writer_scope);
    void (*end)(struct walk *, enum writer_scope);
};

void walk_init(struct walk *walk);

/* Whether the path is that one; whether it lies below it, and then what follows the dot. */
bool walk_is_at(const struct walk *walk, const char *path);
const char *walk_below(const struct walk *walk, const char *path);

/* The place of the value under way in its list; 0 in an object. */
uint64_t walk_item(const struct walk *walk);

#endif
