/* A Python pickle as a tree of inert values: nothing is ever looked up, called or built. Protocols 0 to 5. */
#ifndef CORE_FORMAT_PICKLE_H
#define CORE_FORMAT_PICKLE_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/error.h"

enum node_kind {
    NODE_NONE,
    NODE_BOOL,       /* integer */
    NODE_INT,        /* integer */
    NODE_BIG,        /* an int that does not fit: text has its little-endian bytes, or its digits */
    NODE_FLOAT,      /* real */
    NODE_TEXT,       /* text: UTF-8, or what Python 2 wrote */
    NODE_BYTES,      /* text */
    NODE_TUPLE,      /* items */
    NODE_LIST,       /* items */
    NODE_SET,        /* items */
    NODE_DICT,       /* items: key, value, key, value, … */
    NODE_GLOBAL,     /* text: "module.name" */
    NODE_CALL,       /* callee(args): what a function would have made */
    NODE_OBJECT,     /* of class callee, made without a call; state is what it was given */
    NODE_PERSISTENT, /* args: what stands for something outside the pickle */
};

struct node {
    uint8_t kind;
    bool is_open;      /* for walkers: on the way to the node at hand */
    bool is_told;      /* for walkers: a long list of scalars, which was looked through once */
    uint32_t appended; /* items that an object was given as a list is */
    union {
        int64_t integer;
        double real;
        struct name text; /* borrowed from the pickle or of the arena */
        struct {
            struct node *callee, *args;
        };
    };
    struct node *state;  /* what BUILD gave a dict, call or object; NULL: nothing */
    struct node **items; /* of a call or object: pairs that were set in it, and items with their places before them */
    uint32_t count, room;
};

struct pickle {
    struct node *root;
    size_t bytes;              /* its length */
    struct node **persistents; /* every NODE_PERSISTENT */
    size_t persistent_count;
};

/* Reads one pickle from the start of bytes. Values live in the arena and in bytes. Classes that
 * are not known are inert objects; but a global that is unsafe, or a call of anything that a checkpoint has no use for,
 * is refused by name. ERROR_FORMAT, ERROR_UNSUPPORTED, ERROR_LIMIT, ERROR_NO_MEMORY. */
int pickle_read(const uint8_t *bytes, size_t count, struct arena *arena, struct pickle *ret_pickle, struct error *err);

bool node_is_text(const struct node *node, const char *text);
bool node_is_global(const struct node *node, const char *name); /* "torch._utils._rebuild_tensor_v2" */

/* The value of a dict's key, or NULL. */
struct node *node_member(const struct node *dict, const char *key);

#endif
