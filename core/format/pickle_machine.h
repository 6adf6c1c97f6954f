/* The inside of the pickle machine: for pickle.c, pickle_calls.c and pickle_scalars.c. Functions record the first fault
 * and return false (or NULL) from then on. */
#ifndef CORE_FORMAT_PICKLE_MACHINE_H
#define CORE_FORMAT_PICKLE_MACHINE_H

#include "core/format/pickle.h"

struct machine {
    const uint8_t *bytes;
    size_t count, at, begun; /* begun: of the opcode at hand */
    struct arena *arena;
    struct node **stack; /* NULL entries are marks */
    size_t depth, stack_room;
    struct node **memo;
    size_t memo_room, memo_next;
    struct node none, yes, no;
    struct node persistents; /* a list */
    int rc;
    struct error *err;
};

bool machine_fault(struct machine *m, int code, const char *what);
bool machine_no_memory(struct machine *m);
struct node *machine_new_node(struct machine *m, enum node_kind kind);
struct node *machine_text_node(struct machine *m, enum node_kind kind, struct name text);
bool machine_push(struct machine *m, struct node *node);
bool machine_push_new(struct machine *m, struct node *node); /* NULL: a fault was recorded */

struct node *machine_pop(struct machine *m); /* NULL: a fault was recorded */
bool machine_append(struct machine *m, struct node *to, struct node *const *items, size_t count);
bool machine_refuse_global(struct machine *m, const char *what, struct name global);

/* REDUCE, NEWOBJ and NEWOBJ_EX; INST and OBJ with the class and its arguments taken from the stack. */
bool machine_reduce(struct machine *m);
bool machine_new_object(struct machine *m, bool has_keywords);
bool machine_instance(struct machine *m, struct node *class, struct node *args);

/* The next bytes; a little-endian number of them; a line, without its end. */
bool machine_need(struct machine *m, uint64_t count, const uint8_t **ret);
bool machine_number(struct machine *m, unsigned bytes, uint64_t *ret);
bool machine_line(struct machine *m, struct name *ret);

bool machine_push_int(struct machine *m, int64_t value);
bool machine_push_text(struct machine *m, enum node_kind kind, unsigned length_bytes);
bool machine_push_long(struct machine *m, unsigned length_bytes);
bool machine_push_binary_real(struct machine *m);
bool machine_push_decimal(struct machine *m);
bool machine_push_decimal_real(struct machine *m);
bool machine_push_quoted(struct machine *m);
bool machine_push_unicode_line(struct machine *m);

#endif
