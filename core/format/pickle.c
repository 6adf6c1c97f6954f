#include "core/format/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/pickle_globals.h"
#include "core/format/pickle_machine.h"

enum {
    STACK_MAX = 1 << 22,
    MEMO_MAX = 1 << 24,
    OPCODES_MAX = 50000000,
    ITEMS_MAX = 1 << 26,
    GLOBAL_BYTES_MAX = 1 << 20
};

bool machine_fault(struct machine *m, int code, const char *what)
{
    if (m->rc == 0)
        m->rc = error_set(m->err, (enum error_code)code, "pickle: %s, at byte %zu", what, m->begun);
    return false;
}

bool machine_no_memory(struct machine *m)
{
    if (m->arena->is_full)
        return machine_fault(m, ERROR_LIMIT, "its values take more memory than such a file may");
    return machine_fault(m, ERROR_NO_MEMORY, "out of memory for its values");
}

struct node *machine_new_node(struct machine *m, enum node_kind kind)
{
    struct node *node = arena_take(m->arena, sizeof(*node));

    if (node)
        node->kind = (uint8_t)kind;
    else
        machine_no_memory(m);
    return node;
}

bool machine_push(struct machine *m, struct node *node)
{
    if (m->depth == m->stack_room) {
        const size_t wanted = m->stack_room ? m->stack_room * 2 : 1024;
        struct node **grown;

        if (wanted > STACK_MAX)
            return machine_fault(m, ERROR_LIMIT, "its stack grows beyond the limit");
        grown = reallocarray(m->stack, wanted, sizeof(*grown));
        if (!grown)
            return machine_no_memory(m);
        m->stack = grown;
        m->stack_room = wanted;
    }
    m->stack[m->depth++] = node;
    return true;
}

bool machine_push_new(struct machine *m, struct node *node)
{
    return node && machine_push(m, node);
}

static struct node *top(struct machine *m)
{
    if (m->depth == 0 || !m->stack[m->depth - 1]) {
        machine_fault(m, ERROR_FORMAT, "takes from an empty stack");
        return NULL;
    }
    return m->stack[m->depth - 1];
}

struct node *machine_pop(struct machine *m)
{
    struct node *node = top(m);

    if (node)
        m->depth--;
    return node;
}

/* The place of the last mark; entries behind it are its. */
static bool find_mark(struct machine *m, size_t *ret_at)
{
    for (size_t i = m->depth; i-- > 0;)
        if (!m->stack[i]) {
            *ret_at = i;
            return true;
        }
    return machine_fault(m, ERROR_FORMAT, "there is no mark on its stack");
}

bool machine_append(struct machine *m, struct node *to, struct node *const *items, size_t count)
{
    if (count > (size_t)(to->room - to->count)) {
        const size_t wanted = to->count + count > (size_t)to->room * 2 ? to->count + count : (size_t)to->room * 2;
        struct node **grown;

        if (wanted > ITEMS_MAX)
            return machine_fault(m, ERROR_LIMIT, "a container has more items than the limit");
        grown = arena_take_array(m->arena, wanted, sizeof(struct node *));
        if (!grown)
            return machine_no_memory(m);
        if (to->count)
            memcpy(grown, to->items, to->count * sizeof(struct node *));
        to->items = grown;
        to->room = (uint32_t)wanted;
    }
    if (count)
        memcpy(to->items + to->count, items, count * sizeof(struct node *));
    to->count += (uint32_t)count;
    return true;
}

/* All behind the last mark, which goes, as the items of a new node. */
static struct node *take_marked(struct machine *m, enum node_kind kind)
{
    struct node *node;
    size_t mark = 0;

    if (!find_mark(m, &mark))
        return NULL;
    node = machine_new_node(m, kind);
    if (!node || !machine_append(m, node, m->stack + mark + 1, m->depth - mark - 1))
        return NULL;
    m->depth = mark;
    return node;
}

static struct node *take_tuple(struct machine *m, size_t count)
{
    struct node *node = machine_new_node(m, NODE_TUPLE);

    if (!node)
        return NULL;
    if (m->depth < count) {
        machine_fault(m, ERROR_FORMAT, "takes from an empty stack");
        return NULL;
    }
    for (size_t i = m->depth - count; i < m->depth; i++)
        if (!m->stack[i]) {
            machine_fault(m, ERROR_FORMAT, "takes a mark for a value");
            return NULL;
        }
    if (!machine_append(m, node, m->stack + m->depth - count, count))
        return NULL;
    m->depth -= count;
    return node;
}

bool machine_refuse_global(struct machine *m, const char *what, struct name global)
{
    char printable[NAME_PRINTABLE_BYTES];

    m->rc = error_set(m->err, ERROR_UNSUPPORTED, "pickle: %s %s, at byte %zu", what, name_printable(global, printable),
                      m->begun);
    return false;
}

static struct node *global_node(struct machine *m, struct name module, struct name member)
{
    struct node *node = machine_new_node(m, NODE_GLOBAL);
    char *text;

    if (!node)
        return NULL;
    if (module.bytes > GLOBAL_BYTES_MAX || member.bytes > GLOBAL_BYTES_MAX) {
        machine_fault(m, ERROR_LIMIT, "names a global beyond the limit");
        return NULL;
    }
    text = arena_take(m->arena, (size_t)module.bytes + member.bytes + 2);
    if (!text) {
        machine_no_memory(m);
        return NULL;
    }
    memcpy(text, module.text, module.bytes);
    text[module.bytes] = '.';
    memcpy(text + module.bytes + 1, member.text, member.bytes);
    node->text = (struct name){text, module.bytes + 1 + member.bytes};
    if (pickle_global_is_unsafe(node->text)) {
        machine_refuse_global(m, "unsafe global", node->text);
        return NULL;
    }
    return node;
}

static bool push_global(struct machine *m)
{
    struct name module, member;

    return machine_line(m, &module) && machine_line(m, &member) && machine_push_new(m, global_node(m, module, member));
}

static bool push_stack_global(struct machine *m)
{
    struct node *member = machine_pop(m), *module = member ? machine_pop(m) : NULL;

    if (!module)
        return false;
    if (module->kind != NODE_TEXT || member->kind != NODE_TEXT)
        return machine_fault(m, ERROR_FORMAT, "names a global by something else than text");
    return machine_push_new(m, global_node(m, module->text, member->text));
}

static bool obj(struct machine *m)
{
    struct node *args = take_marked(m, NODE_TUPLE), *class;

    if (!args)
        return false;
    if (args->count == 0)
        return machine_fault(m, ERROR_FORMAT, "makes an object of no class");
    class = args->items[0];
    args->items++;
    args->count--;
    args->room--;
    return machine_instance(m, class, args);
}

static bool is_settable(const struct node *node)
{
    return node->kind == NODE_DICT || node->kind == NODE_CALL || node->kind == NODE_OBJECT;
}

static bool set_items(struct machine *m, bool is_one)
{
    size_t from = m->depth - 2;
    struct node *to;

    if (is_one ? m->depth < 3 : !find_mark(m, &from))
        return m->rc ? false : machine_fault(m, ERROR_FORMAT, "takes from an empty stack");
    if (from == 0 || !m->stack[from - 1] || !is_settable(m->stack[from - 1]))
        return machine_fault(m, ERROR_FORMAT, "sets items in what is no dict");
    to = m->stack[from - 1];
    if (!is_one)
        from++;
    if ((m->depth - from) % 2)
        return machine_fault(m, ERROR_FORMAT, "sets a key without a value");
    for (size_t i = from; i < m->depth; i++)
        if (!m->stack[i])
            return machine_fault(m, ERROR_FORMAT, "takes a mark for a value");
    if (!machine_append(m, to, m->stack + from, m->depth - from))
        return false;
    m->depth = is_one ? from : from - 1;
    return true;
}

static bool is_leaf(const struct node *node)
{
    return node->kind < NODE_TUPLE;
}

/* Items of a list of somebody's own class, under their places: those that may hold tensors. */
static bool append_places(struct machine *m, struct node *to, struct node *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct node *pair[2] = {NULL, items[i]};

        if (is_leaf(items[i]))
            continue;
        pair[0] = machine_new_node(m, NODE_INT);
        if (!pair[0])
            return false;
        pair[0]->integer = (int64_t)(to->appended + i);
        if (!machine_append(m, to, pair, 2))
            return false;
    }
    to->appended += (uint32_t)count;
    return true;
}

static bool append_items(struct machine *m, bool is_one, enum node_kind kind)
{
    size_t from = m->depth - 1;
    struct node *to;

    if (is_one ? m->depth < 2 : !find_mark(m, &from))
        return m->rc ? false : machine_fault(m, ERROR_FORMAT, "takes from an empty stack");
    if (from == 0 || !m->stack[from - 1])
        return machine_fault(m, ERROR_FORMAT, "appends to nothing");
    to = m->stack[from - 1];
    if (to->kind != kind && to->kind != NODE_CALL && to->kind != NODE_OBJECT)
        return machine_fault(m, ERROR_FORMAT, "appends to what is no list");
    if (is_one && !m->stack[from])
        return machine_fault(m, ERROR_FORMAT, "takes a mark for a value");
    if (!(to->kind == kind ? machine_append : append_places)(m, to, m->stack + from + !is_one,
                                                             m->depth - from - !is_one))
        return false;
    m->depth = from;
    return true;
}

static bool build(struct machine *m)
{
    struct node *state = machine_pop(m), *to = state ? top(m) : NULL;

    if (!to)
        return false;
    if (!is_settable(to))
        return machine_fault(m, ERROR_FORMAT, "gives a state to what has none");
    to->state = state;
    return true;
}

/* What old containers wrote a class with its source text for: ('module', class, file, source), or without the first. */
static struct node *class_of(const struct node *id)
{
    const uint32_t at = id->kind == NODE_TUPLE && id->count == 4 && node_is_text(id->items[0], "module") ? 1 : 0;

    return id->kind == NODE_TUPLE && id->count == at + 3 && id->items[at]->kind == NODE_GLOBAL ? id->items[at] : NULL;
}

static bool persistent(struct machine *m, struct node *id)
{
    struct node *class = id ? class_of(id) : NULL;
    struct node *node = id && !class ? machine_new_node(m, NODE_PERSISTENT) : NULL;

    if (class)
        return machine_push(m, class);
    if (node)
        node->args = id;
    return machine_push_new(m, node) && machine_append(m, &m->persistents, &node, 1);
}

static bool put(struct machine *m, uint64_t index)
{
    struct node *node = top(m);

    if (!node)
        return false;
    if (index >= MEMO_MAX || index > 16 * (uint64_t)m->count + 1024)
        return machine_fault(m, ERROR_LIMIT, "remembers at a place beyond the limit");
    if (index >= m->memo_room) {
        size_t wanted = m->memo_room ? m->memo_room * 2 : 1024;
        struct node **grown;

        if (wanted <= index)
            wanted = (size_t)index + 1;
        grown = reallocarray(m->memo, wanted, sizeof(*grown));
        if (!grown)
            return machine_no_memory(m);
        memset(grown + m->memo_room, 0, (wanted - m->memo_room) * sizeof(*grown));
        m->memo = grown;
        m->memo_room = wanted;
    }
    m->memo[index] = node;
    return true;
}

static bool get(struct machine *m, uint64_t index)
{
    if (index >= m->memo_room || !m->memo[index])
        return machine_fault(m, ERROR_FORMAT, "recalls what it has not remembered");
    return machine_push(m, m->memo[index]);
}

static bool line_index(struct machine *m, uint64_t *ret)
{
    struct name text;
    uint64_t value = 0;

    if (!machine_line(m, &text))
        return false;
    if (text.bytes == 0 || text.bytes > 9)
        return machine_fault(m, ERROR_FORMAT, "has a place that is none");
    for (uint32_t i = 0; i < text.bytes; i++) {
        if (text.text[i] < '0' || text.text[i] > '9')
            return machine_fault(m, ERROR_FORMAT, "has a place that is none");
        value = value * 10 + (uint64_t)(text.text[i] - '0');
    }
    *ret = value;
    return true;
}

static bool pop_any(struct machine *m)
{
    if (m->depth == 0)
        return machine_fault(m, ERROR_FORMAT, "takes from an empty stack");
    m->depth--;
    return true;
}

static bool pop_mark(struct machine *m)
{
    size_t mark = 0;

    if (!find_mark(m, &mark))
        return false;
    m->depth = mark;
    return true;
}

static bool duplicate(struct machine *m)
{
    struct node *node = top(m);

    return node && machine_push(m, node);
}

static bool dict_of_marked(struct machine *m)
{
    struct node *dict = take_marked(m, NODE_DICT);

    if (!dict)
        return false;
    return dict->count % 2 ? machine_fault(m, ERROR_FORMAT, "has a dict with a key without a value")
                           : machine_push(m, dict);
}

static bool inst(struct machine *m)
{
    struct name module, member;
    struct node *class = machine_line(m, &module) && machine_line(m, &member) ? global_node(m, module, member) : NULL;

    return class && machine_instance(m, class, take_marked(m, NODE_TUPLE));
}

static bool persistent_line(struct machine *m)
{
    struct name text;

    return machine_line(m, &text) && persistent(m, machine_text_node(m, NODE_TEXT, text));
}

static bool step(struct machine *m, uint8_t opcode)
{
    uint64_t value = 0;

    switch (opcode) {
    case 0x80: /* PROTO */
        if (!machine_number(m, 1, &value))
            return false;
        return value <= 5 || machine_fault(m, ERROR_UNSUPPORTED, "is of a protocol beyond 5");
    case 0x95: /* FRAME */
        if (!machine_number(m, 8, &value))
            return false;
        return value <= m->count - m->at || machine_fault(m, ERROR_FORMAT, "has a frame that reaches beyond its end");
    case '(':
        return machine_push(m, NULL);
    case '0':
        return pop_any(m);
    case '1':
        return pop_mark(m);
    case '2':
        return duplicate(m);
    case 'N':
        return machine_push(m, &m->none);
    case 0x88:
        return machine_push(m, &m->yes);
    case 0x89:
        return machine_push(m, &m->no);
    case 'I':
    case 'L':
        return machine_push_decimal(m);
    case 'J':
        return machine_number(m, 4, &value) && machine_push_int(m, (int32_t)value);
    case 'K':
        return machine_number(m, 1, &value) && machine_push_int(m, (int64_t)value);
    case 'M':
        return machine_number(m, 2, &value) && machine_push_int(m, (int64_t)value);
    case 0x8a: /* LONG1 */
        return machine_push_long(m, 1);
    case 0x8b: /* LONG4 */
        return machine_push_long(m, 4);
    case 'F':
        return machine_push_decimal_real(m);
    case 'G':
        return machine_push_binary_real(m);
    case 'S':
        return machine_push_quoted(m);
    case 'T': /* BINSTRING */
    case 'X': /* BINUNICODE */
        return machine_push_text(m, NODE_TEXT, 4);
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
        return machine_push_text(m, NODE_TEXT, 1);
    case 0x8d: /* BINUNICODE8 */
        return machine_push_text(m, NODE_TEXT, 8);
    case 'V':
        return machine_push_unicode_line(m);
    case 'B':
        return machine_push_text(m, NODE_BYTES, 4);
    case 'C':
        return machine_push_text(m, NODE_BYTES, 1);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return machine_push_text(m, NODE_BYTES, 8);
    case ')':
        return machine_push_new(m, machine_new_node(m, NODE_TUPLE));
    case 0x85:
        return machine_push_new(m, take_tuple(m, 1));
    case 0x86:
        return machine_push_new(m, take_tuple(m, 2));
    case 0x87:
        return machine_push_new(m, take_tuple(m, 3));
    case 't':
        return machine_push_new(m, take_marked(m, NODE_TUPLE));
    case ']':
        return machine_push_new(m, machine_new_node(m, NODE_LIST));
    case 'l':
        return machine_push_new(m, take_marked(m, NODE_LIST));
    case '}':
        return machine_push_new(m, machine_new_node(m, NODE_DICT));
    case 'd':
        return dict_of_marked(m);
    case 0x8f: /* EMPTY_SET */
        return machine_push_new(m, machine_new_node(m, NODE_SET));
    case 0x91: /* FROZENSET */
        return machine_push_new(m, take_marked(m, NODE_SET));
    case 'a':
        return append_items(m, true, NODE_LIST);
    case 'e':
        return append_items(m, false, NODE_LIST);
    case 0x90: /* ADDITEMS */
        return append_items(m, false, NODE_SET);
    case 's':
        return set_items(m, true);
    case 'u':
        return set_items(m, false);
    case 'c':
        return push_global(m);
    case 0x93: /* STACK_GLOBAL */
        return push_stack_global(m);
    case 'R':
        return machine_reduce(m);
    case 0x81: /* NEWOBJ */
        return machine_new_object(m, false);
    case 0x92: /* NEWOBJ_EX */
        return machine_new_object(m, true);
    case 'i':
        return inst(m);
    case 'o':
        return obj(m);
    case 'b':
        return build(m);
    case 'P':
        return persistent_line(m);
    case 'Q':
        return persistent(m, machine_pop(m));
    case 'p':
        return line_index(m, &value) && put(m, value);
    case 'q':
        return machine_number(m, 1, &value) && put(m, value);
    case 'r':
        return machine_number(m, 4, &value) && put(m, value);
    case 0x94: /* MEMOIZE */
        return put(m, m->memo_next++);
    case 'g':
        return line_index(m, &value) && get(m, value);
    case 'h':
        return machine_number(m, 1, &value) && get(m, value);
    case 'j':
        return machine_number(m, 4, &value) && get(m, value);
    default:
        m->rc = error_set(m->err, ERROR_FORMAT, "pickle: no known opcode, 0x%02x, at byte %zu", opcode, m->begun);
        return false;
    }
}

static int run(struct machine *m, struct node **ret_root)
{
    for (uint64_t opcodes = 0; m->rc == 0; opcodes++) {
        m->begun = m->at;
        if (m->at == m->count) {
            machine_fault(m, ERROR_FORMAT, "ends without a stop");
            break;
        }
        if (opcodes == OPCODES_MAX) {
            machine_fault(m, ERROR_LIMIT, "has more opcodes than the limit");
            break;
        }
        if (m->bytes[m->at++] == '.') {
            struct node *root = machine_pop(m);

            if (root)
                *ret_root = root;
            break;
        }
        step(m, m->bytes[m->begun]);
    }
    return m->rc;
}

/* None, true and false live as long as the tree: they are the arena's. */
int pickle_read(const uint8_t *bytes, size_t count, struct arena *arena, struct pickle *ret_pickle, struct error *err)
{
    struct machine *m = arena_take(arena, sizeof(*m));
    struct node *root = NULL;
    int rc;

    if (!m)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a pickle");
    m->bytes = bytes;
    m->count = count;
    m->arena = arena;
    m->err = err;
    m->yes = (struct node){.kind = NODE_BOOL, .integer = 1};
    m->no = (struct node){.kind = NODE_BOOL};
    rc = run(m, &root);
    free(m->stack);
    free(m->memo);
    if (rc == 0)
        *ret_pickle = (struct pickle){root, m->at, m->persistents.items, m->persistents.count};
    return rc;
}

bool node_is_text(const struct node *node, const char *text)
{
    return node && node->kind == NODE_TEXT && name_equal(node->text, name_of(text));
}

bool node_is_global(const struct node *node, const char *name)
{
    return node && node->kind == NODE_GLOBAL && name_equal(node->text, name_of(name));
}

struct node *node_member(const struct node *dict, const char *key)
{
    for (uint32_t i = 0; dict && dict->kind == NODE_DICT && i + 1 < dict->count; i += 2)
        if (node_is_text(dict->items[i], key))
            return dict->items[i + 1];
    return NULL;
}
