/* TensorFlow's graphs: a GraphDef, in which freezing has made the variables constants. Every constant of numbers is a
 * tensor, be it a weight, a shape or an axis: which it is, only the graph's meaning tells. Those in the library's
 * functions are part of what runs and are listed too, as NODE@FUNCTION, which is how TensorFlow itself tells nodes of
 * functions from the graph's own (graph_debug_info.proto). The graph is not compared.
 * (tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto, function.proto.) */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/format/tensorflow.h"

enum { NAME_LIMIT = 65535, WORD_BYTES = 32 };

struct graph {
    struct tensorflow *tf;
    struct name function; /* in which the walk is; .text NULL: the graph itself */
    size_t entry_room;
    uint64_t variables;   /* nodes whose values lie in a checkpoint */
    struct name variable; /* the first of them */
};

enum { VARINT = 1 << WIRE_VARINT, BYTES = 1 << WIRE_BYTES };

/* GraphDef: node, library, version, versions, debug_info. */
static unsigned graph_field_types(uint64_t number)
{
    return number == 3 ? VARINT : number >= 1 && number <= 5 ? BYTES : 0;
}

/* NodeDef: name, op, input, device, attr, experimental_debug_info, experimental_type. */
static unsigned node_field_types(uint64_t number)
{
    return number >= 1 && number <= 7 ? BYTES : 0;
}

/* A field's text of the characters that names of nodes and operations have, from *at, which moves on behind it. */
static bool is_word(const struct head *head, uint64_t *at, uint8_t tag, char *ret_first)
{
    static const char within[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.\\-/>";
    uint64_t bytes;

    if (*at >= head->first_bytes || head->first[(*at)++] != tag)
        return false;
    bytes = wire_head_varint(head, at);
    if (bytes == 0 || bytes > head->first_bytes - *at)
        return false;
    *ret_first = (char)head->first[*at];
    for (uint64_t end = *at + bytes; *at < end; ++*at)
        if (!memchr(within, head->first[*at], sizeof(within) - 1))
            return false;
    return true;
}

/* A graph begins with a node, and a node with its name and its operation; then all fields are ones that they have. */
static bool graph_probe(const struct head *head)
{
    uint64_t at = 1, bytes, end, within, seen, last;
    char first = 0;

    if (head->first_bytes < 8 || head->first[0] != (1 << 3 | WIRE_BYTES))
        return false;
    bytes = wire_head_varint(head, &at);
    if (bytes > head->file_bytes)
        return false;
    end = at + bytes;
    within = at;
    if (!is_word(head, &within, 1 << 3 | WIRE_BYTES, &first) || !is_word(head, &within, 2 << 3 | WIRE_BYTES, &first) ||
        within > end || !((first >= 'A' && first <= 'Z') || first == '_'))
        return false;
    return wire_probe(head, at, end, node_field_types, &seen, &last) &&
           wire_probe(head, 0, head->file_bytes, graph_field_types, &seen, &last);
}

/* A field's text where it is short: longer ones are none that are asked for. */
static bool read_word(struct tensorflow *tf, const struct wire_field *field, char word[WORD_BYTES])
{
    const uint64_t bytes = field->end - field->at;

    word[0] = '\0';
    if (field->type != WIRE_BYTES || bytes >= WORD_BYTES)
        return true;
    tf->reader.at = field->at;
    if (!byte_reader_bytes(&tf->reader, word, (size_t)bytes, "a text"))
        return false;
    word[bytes] = '\0';
    return true;
}

/* NODE, or NODE@FUNCTION. */
static bool read_key(struct graph *g, const struct wire_field *field, struct name *ret_key)
{
    struct tensorflow *tf = g->tf;
    struct name name, key;
    char *text;

    if (field->at == field->end)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT, "a node before offset %" PRIu64 " has no name",
                                 tf->reader.at);
    if (!wire_text(&tf->reader, field, NAME_LIMIT, &tf->arena, &name))
        return false;
    if (name.text[0] == '\0') /* as keys of slices begin */
        return tensorflow_wrong(tf, name, "no name begins so");
    key = name;
    if (g->function.text) {
        text = arena_take(&tf->arena, (size_t)name.bytes + g->function.bytes + 2);
        if (!text)
            return tensorflow_no_memory(tf);
        memcpy(text, name.text, name.bytes);
        text[name.bytes] = '@';
        memcpy(text + name.bytes + 1, g->function.text, g->function.bytes);
        key = (struct name){text, name.bytes + 1 + g->function.bytes};
    }
    *ret_key = key;
    return true;
}

/* AttrValue: type = 6, tensor = 8, in an entry of a map: key = 1, value = 2. */
struct attributes {
    struct wire_field tensor;
    uint64_t dtype; /* 0: none is told */
};

static bool read_attribute(struct tensorflow *tf, const struct wire_field *attribute, struct attributes *ret)
{
    struct wire_field field, value = {0};
    char key[WORD_BYTES] = "";

    for (uint64_t at = attribute->at; wire_next(&tf->reader, &at, attribute->end, &field);) {
        if (field.number == 1 && !read_word(tf, &field, key))
            return false;
        if (field.number == 2 && field.type == WIRE_BYTES)
            value = field;
    }
    for (uint64_t at = value.at; wire_next(&tf->reader, &at, value.end, &field);) {
        if (field.number == 6 && field.type == WIRE_VARINT && strcmp(key, "dtype") == 0)
            ret->dtype = field.value;
        if (field.number == 8 && field.type == WIRE_BYTES && strcmp(key, "value") == 0)
            ret->tensor = field;
    }
    return tf->reader.rc == 0;
}

static bool leave_out(struct graph *g, struct name key, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return model_warn(g->tf->model, "left-out", (struct name){0}, "%s was left out: %s", name_printable(key, printable),
                      what) == 0 ||
           tensorflow_no_memory(g->tf);
}

/* What the values of a dtype are that are none; NULL: they are numbers. */
static const char *other_than_numbers(uint64_t dtype)
{
    switch (dtype) {
    case 7:
        return "texts, not numbers";
    case 20:
        return "a resource, not numbers";
    case 21:
        return "a variant, not numbers";
    default:
        return NULL;
    }
}

/* TensorProto: dtype = 1, tensor_shape = 2. */
static bool read_tensor(struct tensorflow *tf, const struct attributes *attributes, struct tensorflow_entry *entry)
{
    const struct wire_field *tensor = &attributes->tensor;
    char printable[NAME_PRINTABLE_BYTES];
    struct wire_field field;

    for (uint64_t at = tensor->at; wire_next(&tf->reader, &at, tensor->end, &field);) {
        if (field.number == 1 && field.type == WIRE_VARINT)
            entry->dtype = field.value;
        if (field.number == 2 && field.type == WIRE_BYTES && !tensorflow_shape(tf, entry, &field))
            return false;
    }
    if (tf->reader.rc)
        return false;
    if (attributes->dtype && attributes->dtype != entry->dtype)
        return byte_reader_fault(&tf->reader, ERROR_FORMAT,
                                 "constant %s: says that it is of dtype %" PRIu64 ", and its tensor that of %" PRIu64,
                                 name_printable(entry->key, printable), attributes->dtype, entry->dtype);
    if (!tensorflow_dtype_name(entry->dtype) && !other_than_numbers(entry->dtype))
        return byte_reader_fault(&tf->reader, ERROR_UNSUPPORTED, "constant %s: is of the unknown dtype %" PRIu64,
                                 name_printable(entry->key, printable), entry->dtype);
    if (!entry->dims)
        entry->dims = arena_take_array(&tf->arena, 1, sizeof(*entry->dims));
    return entry->dims || tensorflow_no_memory(tf);
}

static bool add_constant(struct graph *g, struct name key, const struct wire_field *node)
{
    struct tensorflow *tf = g->tf;
    struct tensorflow_entry entry = {.key = key, .elements = 1};
    struct attributes attributes = {0};
    struct wire_field field;
    uint32_t file;

    for (uint64_t at = node->at; wire_next(&tf->reader, &at, node->end, &field);)
        if (field.number == 5 && field.type == WIRE_BYTES && !read_attribute(tf, &field, &attributes))
            return false;
    if (tf->reader.rc)
        return false;
    if (!attributes.tensor.end)
        return tensorflow_wrong(tf, key, "has no value");
    if (!read_tensor(tf, &attributes, &entry))
        return false;
    if (other_than_numbers(entry.dtype))
        return leave_out(g, key, other_than_numbers(entry.dtype));
    if (tf->entry_count >= tf->opener->limits->tensors)
        return byte_reader_fault(&tf->reader, ERROR_LIMIT, "has more than %" PRIu64 " constants, the limit",
                                 tf->opener->limits->tensors);
    if (!array_reserve(&tf->entries, sizeof(*tf->entries), tf->entry_count, &g->entry_room))
        return tensorflow_no_memory(tf);
    if (!tensorflow_values(tf, &entry, attributes.tensor.at, attributes.tensor.end, true, &file))
        return false;
    entry.shard = file;
    tf->entries[tf->entry_count++] = entry;
    return true;
}

/* NodeDef: name = 1, op = 2, attr = 5. */
static bool walk_node(struct graph *g, const struct wire_field *node)
{
    static const char *const variables[] = {"Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp"};
    struct tensorflow *tf = g->tf;
    struct wire_field field, name = {0};
    char operation[WORD_BYTES] = "";
    bool is_variable = false;
    struct name key;

    for (uint64_t at = node->at; wire_next(&tf->reader, &at, node->end, &field);) {
        if (field.number == 1)
            name = field;
        if (field.number == 2 && !read_word(tf, &field, operation))
            return false;
    }
    if (tf->reader.rc)
        return false;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        is_variable |= strcmp(operation, variables[i]) == 0;
    if (is_variable && g->variables++ == 0)
        return read_key(g, &name, &g->variable);
    if (strcmp(operation, "Const") != 0)
        return true;
    return read_key(g, &name, &key) && add_constant(g, key, node);
}

/* OpDef: name = 1. */
static bool read_signature(struct graph *g, const struct wire_field *signature)
{
    struct byte_reader *reader = &g->tf->reader;
    struct wire_field field;

    for (uint64_t at = signature->at; wire_next(reader, &at, signature->end, &field);)
        if (field.number == 1 && !wire_text(reader, &field, NAME_LIMIT, &g->tf->arena, &g->function))
            return false;
    return reader->rc == 0;
}

/* FunctionDef: signature = 1, node_def = 3. */
static bool walk_function(struct graph *g, const struct wire_field *function)
{
    struct byte_reader *reader = &g->tf->reader;
    struct wire_field field;

    g->function = name_of("");
    for (uint64_t at = function->at; wire_next(reader, &at, function->end, &field);)
        if (field.number == 1 && field.type == WIRE_BYTES && !read_signature(g, &field))
            return false;
    for (uint64_t at = function->at; wire_next(reader, &at, function->end, &field);)
        if (field.number == 3 && field.type == WIRE_BYTES && !walk_node(g, &field))
            return false;
    g->function = (struct name){0};
    return reader->rc == 0;
}

/* GraphDef: node = 1, library = 2 {function = 1}. */
static bool walk_graph(struct graph *g)
{
    struct tensorflow *tf = g->tf;
    struct wire_field field, function;

    for (uint64_t at = 0; wire_next(&tf->reader, &at, tf->source->size, &field);) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == 1 && !walk_node(g, &field))
            return false;
        for (uint64_t in = field.at; field.number == 2 && wire_next(&tf->reader, &in, field.end, &function);)
            if (function.number == 1 && function.type == WIRE_BYTES && !walk_function(g, &function))
                return false;
    }
    return tf->reader.rc == 0;
}

/* The values of variables are what a graph does not hold. */
static bool tell_variables(struct graph *g)
{
    struct tensorflow *tf = g->tf;
    char printable[NAME_PRINTABLE_BYTES];

    if (g->variables == 0)
        return true;
    name_printable(g->variable, printable);
    if (tf->entry_count == 0)
        return byte_reader_fault(&tf->reader, ERROR_UNSUPPORTED,
                                 "is a graph that was not frozen: its variables (%s) lie in a checkpoint", printable);
    return model_warn(tf->model, "not-frozen", (struct name){0},
                      "the graph was not frozen: the values of %" PRIu64
                      " variables (the first is %s) lie in a checkpoint and are not compared",
                      g->variables, printable) == 0 ||
           tensorflow_no_memory(tf);
}

static bool add_constants(struct tensorflow *tf)
{
    struct name *names = arena_take_array(&tf->arena, tf->entry_count + 1, sizeof(*names));

    tf->model->tensors = calloc(tf->entry_count + 1, sizeof(*tf->model->tensors));
    if (!names || !tf->model->tensors)
        return tensorflow_no_memory(tf);
    if (!tensorflow_names(tf, names))
        return false;
    for (size_t i = 0; i < tf->entry_count; i++)
        if (!tensorflow_add_at(tf, &tf->entries[i], names[i], (uint32_t)tf->entries[i].shard))
            return false;
    return true;
}

static int read_graph(struct tensorflow *tf)
{
    struct graph g = {.tf = tf};
    int rc = byte_reader_open(&tf->reader, tf->source, 0, tf->source->size, tf->err);

    if (rc)
        return rc;
    if (!walk_graph(&g) || !tell_variables(&g))
        return tf->reader.rc;
    if (tf->entry_count == 0)
        byte_reader_fault(&tf->reader, ERROR_UNSUPPORTED, "is a graph without constants of numbers");
    else
        add_constants(tf);
    return tf->reader.rc;
}

static int graph_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    return tensorflow_open_by(&tensorflow_graph_format, "constant", read_graph, opener, source, ret_model, err);
}

const struct format tensorflow_graph_format = {
    .name = "tensorflow-graph",
    .summary = "TensorFlow's frozen graphs (GraphDef, .pb): constants of nodes",
    .docs = &tensorflow_graph_docs,
    .probe = graph_probe,
    .open = graph_open,
};
