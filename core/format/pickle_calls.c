/* What would be called becomes a node that says so; containers of the standard library become what they are. */
#include "core/format/pickle_globals.h"
#include "core/format/pickle_machine.h"

#include <ctype.h>

enum { WORD_BYTES_MAX = 64 };

/* The pairs of a list of pairs, as dicts of protocol 0 are called with. */
static bool append_pairs(struct machine *m, struct node *dict, const struct node *pairs)
{
    for (uint32_t i = 0; pairs && i < pairs->count; i++) {
        const struct node *pair = pairs->items[i];

        if ((pair->kind != NODE_LIST && pair->kind != NODE_TUPLE) || pair->count != 2)
            return machine_fault(m, ERROR_FORMAT, "makes a dict of something else than pairs");
        if (!machine_append(m, dict, pair->items, 2))
            return false;
    }
    return true;
}

/* Containers become what they are; everything else stays a call. */
static struct node *called(struct machine *m, struct node *callee, struct node *args)
{
    struct node *first = args->count ? args->items[0] : NULL, *node;

    if (node_is_global(callee, "collections.OrderedDict") || node_is_global(callee, "collections.defaultdict") ||
        node_is_global(callee, "collections.Counter") || node_is_global(callee, "builtins.dict") ||
        node_is_global(callee, "__builtin__.dict")) {
        node = machine_new_node(m, NODE_DICT);
        if (node && first && (first->kind == NODE_LIST || first->kind == NODE_TUPLE) && !append_pairs(m, node, first))
            return NULL;
        if (node && first && first->kind == NODE_DICT && !machine_append(m, node, first->items, first->count))
            return NULL;
        return node;
    }
    if (first && first->kind == NODE_LIST &&
        (node_is_global(callee, "builtins.set") || node_is_global(callee, "__builtin__.set") ||
         node_is_global(callee, "builtins.frozenset"))) {
        node = machine_new_node(m, NODE_SET);
        return node && machine_append(m, node, first->items, first->count) ? node : NULL;
    }
    if (node_is_global(callee, "collections.deque")) {
        node = machine_new_node(m, NODE_LIST);
        return node && (!first || first->kind != NODE_LIST || machine_append(m, node, first->items, first->count))
                   ? node
                   : NULL;
    }
    node = machine_new_node(m, NODE_CALL);
    if (node) {
        node->callee = callee;
        node->args = args;
    }
    return node;
}

static struct node *object_of(struct machine *m, struct node *class, struct node *args)
{
    struct node *node = machine_new_node(m, NODE_OBJECT);

    if (node) {
        node->callee = class;
        node->args = args;
    }
    return node;
}

/* A text that is neither a path, an address nor a command. */
static bool is_word(struct name text)
{
    for (uint32_t i = 0; i < text.bytes; i++)
        if (!isalnum((unsigned char)text.text[i]) && text.text[i] != '_' && text.text[i] != '-')
            return false;
    return text.bytes > 0 && text.bytes <= WORD_BYTES_MAX;
}

/* What classes of somebody's own are called with when they hold no more than what they are given afterwards, as dicts
 * of another order do, or are one of a few values: an enumeration's member. */
static bool is_plain_class(struct name class, const struct node *args)
{
    const struct node *only = args->count == 1 ? args->items[0] : NULL;

    return pickle_global_is_class(class) &&
           (args->count == 0 || (only && (only->kind == NODE_INT || only->kind == NODE_FLOAT ||
                                          (only->kind == NODE_TEXT && is_word(only->text)))));
}

bool machine_reduce(struct machine *m)
{
    struct node *args = machine_pop(m), *callee = args ? machine_pop(m) : NULL;

    if (!callee)
        return false;
    if (args->kind != NODE_TUPLE)
        return machine_fault(m, ERROR_FORMAT, "calls with something else than a tuple");
    if (callee->kind != NODE_GLOBAL)
        return machine_fault(m, ERROR_UNSUPPORTED, "calls what is no global");
    if (!pickle_global_is_callable(callee->text)) {
        if (!is_plain_class(callee->text, args))
            return machine_refuse_global(m, "calls what no checkpoint needs, the global", callee->text);
        return machine_push_new(m, object_of(m, callee, args));
    }
    if (node_is_global(callee, "copyreg._reconstructor") || node_is_global(callee, "copy_reg._reconstructor")) {
        if (args->count < 1 || args->items[0]->kind != NODE_GLOBAL)
            return machine_fault(m, ERROR_FORMAT, "reconstructs an object of no class");
        return machine_push_new(m, object_of(m, args->items[0], args));
    }
    return machine_push_new(m, called(m, callee, args));
}

bool machine_new_object(struct machine *m, bool has_keywords)
{
    struct node *keywords = has_keywords ? machine_pop(m) : &m->none, *args = keywords ? machine_pop(m) : NULL;
    struct node *class = args ? machine_pop(m) : NULL;

    if (!class)
        return false;
    if (class->kind != NODE_GLOBAL)
        return machine_fault(m, ERROR_FORMAT, "makes an object of no class");
    return machine_push_new(m, object_of(m, class, args));
}

/* INST and OBJ: a class and its arguments behind the mark. Without arguments nothing is called. */
bool machine_instance(struct machine *m, struct node *class, struct node *args)
{
    if (!class || !args)
        return false;
    if (class->kind != NODE_GLOBAL)
        return machine_fault(m, ERROR_FORMAT, "makes an object of no class");
    if (args->count > 0 && !pickle_global_is_callable(class->text))
        return machine_refuse_global(m, "calls what no checkpoint needs, the global", class->text);
    return machine_push_new(m, object_of(m, class, args));
}
