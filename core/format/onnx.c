/* ONNX: the tensors of a model's graph, wherever they stand in it: initialisers, sparse ones, constants and attributes
 * of nodes, in graphs within graphs and in functions. The graph itself is not compared. */
#include "core/format/onnx.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"

enum { TEXT_MAX = 1 << 20, DEPTH_MAX = 32 };

static bool walk_graph(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix, unsigned depth);

enum { VARINT = 1 << WIRE_VARINT, FIXED64 = 1 << WIRE_FIXED64, BYTES = 1 << WIRE_BYTES, FIXED32 = 1 << WIRE_FIXED32 };

/* Wire types that a ModelProto's field may have; 0: there is none of that number. */
static unsigned model_field_types(uint64_t number)
{
    switch (number) {
    case 1: /* ir_version */
    case 5: /* model_version */
        return VARINT;
    case 2:  /* producer_name */
    case 3:  /* producer_version */
    case 4:  /* domain */
    case 6:  /* doc_string */
    case 7:  /* graph */
    case 8:  /* opset_import */
    case 14: /* metadata_props */
    case 20: /* training_info */
    case 25: /* functions */
    case 26: /* configuration */
        return BYTES;
    default:
        return 0;
    }
}

/* Of a TensorProto's. Repeated numbers may be packed. */
static unsigned tensor_field_types(uint64_t number)
{
    switch (number) {
    case 1:  /* dims */
    case 5:  /* int32_data */
    case 7:  /* int64_data */
    case 11: /* uint64_data */
        return VARINT | BYTES;
    case 2:  /* data_type */
    case 14: /* data_location */
        return VARINT;
    case 4: /* float_data */
        return FIXED32 | BYTES;
    case 10: /* double_data */
        return FIXED64 | BYTES;
    case 6:  /* string_data */
    case 8:  /* name */
    case 9:  /* raw_data */
    case 12: /* doc_string */
    case 13: /* external_data */
    case 16: /* metadata_props */
        return BYTES;
    default:
        return 0;
    }
}

/* The names of producer, its version and the domain. In a SavedModel of TensorFlow the first of them is the graph. */
static bool is_short_text(uint64_t number)
{
    return number >= 2 && number <= 4;
}

/* The wire format has no magic. A model begins with its ir_version, and then all fields are ones that a model has, up
 * to its graph or to where the head ends. */
static bool onnx_probe(const struct head *head)
{
    uint64_t seen, last;

    return head->first_bytes >= 4 && head->first[0] == 0x08 && head->first[1] != 0 && head->first[1] <= 64 &&
           wire_probe(head, 0, head->file_bytes, model_field_types, &seen, &last) && !is_short_text(last);
}

/* A tensor alone has a data_type, which no other message here has as a number. */
static bool onnx_tensor_probe(const struct head *head)
{
    uint64_t seen, last;

    return head->first_bytes >= 4 && wire_probe(head, 0, head->file_bytes, tensor_field_types, &seen, &last) &&
           (seen & 1 << 2);
}

bool onnx_no_memory(struct onnx *onnx)
{
    return byte_reader_fault(&onnx->reader, arena_error(&onnx->arena), "its tensors %s",
                             arena_error_text(&onnx->arena));
}

bool onnx_join(struct onnx *onnx, struct name prefix, struct name text, struct name *ret_name)
{
    char *joined = arena_take(&onnx->arena, (size_t)prefix.bytes + text.bytes + 1);

    if (!joined)
        return onnx_no_memory(onnx);
    if (prefix.bytes)
        memcpy(joined, prefix.text, prefix.bytes);
    if (text.bytes)
        memcpy(joined + prefix.bytes, text.text, text.bytes);
    *ret_name = (struct name){joined, prefix.bytes + text.bytes};
    return true;
}

bool onnx_reserve(struct onnx *onnx, void *array_of, size_t item_bytes, size_t count, size_t *room)
{
    return array_reserve(array_of, item_bytes, count, room) || onnx_no_memory(onnx);
}

static bool add_metadata(struct onnx *onnx, struct name key, struct name value)
{
    struct model *model = onnx->model;

    if (model->metadata_count >= onnx->opener->limits->metadata)
        return byte_reader_fault(&onnx->reader, ERROR_LIMIT, "has more than %" PRIu64 " properties, the limit",
                                 onnx->opener->limits->metadata);
    if (!onnx_reserve(onnx, &model->metadata, sizeof(*model->metadata), model->metadata_count, &onnx->metadata_room))
        return false;
    model->metadata[model->metadata_count++] = (struct metadata_entry){key, value};
    return true;
}

static bool add_number(struct onnx *onnx, struct name key, uint64_t value)
{
    struct name text;
    char digits[32];
    int bytes = snprintf(digits, sizeof(digits), "%" PRId64, (int64_t)value);

    return onnx_join(onnx, (struct name){0}, (struct name){digits, (uint32_t)bytes}, &text) &&
           add_metadata(onnx, key, text);
}

static bool take_text(struct onnx *onnx, const struct wire_field *field, struct name *ret)
{
    return wire_text(&onnx->reader, field, TEXT_MAX, &onnx->arena, ret);
}

/* ".": names of what lies within another thing. */
static bool below(struct onnx *onnx, struct name prefix, struct name outer, struct name *ret)
{
    struct name joined;

    return onnx_join(onnx, prefix, outer, &joined) && onnx_join(onnx, joined, name_of("."), ret);
}

/* SparseTensorProto: values (which have the name), indices. */
static bool walk_sparse(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix)
{
    struct wire_field field;

    while (wire_next(&onnx->reader, &at, end, &field))
        if (field.type == WIRE_BYTES && (field.number == 1 || field.number == 2) &&
            !onnx_tensor(onnx, field.at, field.end, prefix, name_of(field.number == 1 ? "values" : "indices")))
            return false;
    return onnx->reader.rc == 0;
}

/* AttributeProto of a node called `node`: its tensor is the node's where it is a constant's value. What the tensor
 * calls itself is nobody's reference, and often the same for several. */
static bool walk_attribute(struct onnx *onnx, const struct wire_field *attribute, struct name prefix, struct name node,
                           unsigned depth)
{
    struct name name = {0}, inner, full, graph;
    struct wire_field field;
    unsigned number = 0;

    for (uint64_t at = attribute->at; wire_next(&onnx->reader, &at, attribute->end, &field);)
        if (field.number == 1 && !take_text(onnx, &field, &name))
            return false;
    if (!below(onnx, prefix, node, &inner) || !onnx_join(onnx, inner, name, &full))
        return false;
    if (!onnx_join(onnx, full, name_of("."), &graph) ||
        (name_equal(name, name_of("value")) && !onnx_join(onnx, prefix, node, &full)))
        return false;
    for (uint64_t at = attribute->at; wire_next(&onnx->reader, &at, attribute->end, &field);) {
        bool is_fine = true;

        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == 5) { /* t */
            is_fine = onnx_tensor_called(onnx, field.at, field.end, full);
        } else if (field.number == 10) { /* tensors */
            char text[32];
            struct name numbered;

            snprintf(text, sizeof(text), ".%u", number++);
            is_fine = onnx_join(onnx, full, name_of(text), &numbered) &&
                      onnx_tensor_called(onnx, field.at, field.end, numbered);
        } else if (field.number == 6 || field.number == 11) { /* g, graphs */
            is_fine = walk_graph(onnx, field.at, field.end, graph, depth + 1);
        } else if (field.number == 22 || field.number == 23) { /* sparse_tensor, sparse_tensors */
            is_fine = walk_sparse(onnx, field.at, field.end, graph);
        }
        if (!is_fine)
            return false;
    }
    return onnx->reader.rc == 0;
}

/* NodeProto: it goes by its first output, which is unique in its graph. */
static bool walk_node(struct onnx *onnx, const struct wire_field *node, struct name prefix, unsigned depth)
{
    struct name output = {0};
    struct wire_field field;
    bool has_attributes = false;

    for (uint64_t at = node->at; wire_next(&onnx->reader, &at, node->end, &field);) {
        has_attributes = has_attributes || field.number == 5;
        if (field.number == 2 && !output.text && !take_text(onnx, &field, &output))
            return false;
    }
    for (uint64_t at = node->at; has_attributes && wire_next(&onnx->reader, &at, node->end, &field);)
        if (field.number == 5 && field.type == WIRE_BYTES && !walk_attribute(onnx, &field, prefix, output, depth))
            return false;
    return onnx->reader.rc == 0;
}

static bool walk_graph(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix, unsigned depth)
{
    struct wire_field field;

    if (depth > DEPTH_MAX)
        return byte_reader_fault(&onnx->reader, ERROR_LIMIT, "its graphs are nested more than %d deep", DEPTH_MAX);
    while (wire_next(&onnx->reader, &at, end, &field)) {
        bool is_fine = true;

        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == 5) /* initializer */
            is_fine = onnx_tensor(onnx, field.at, field.end, prefix, (struct name){0});
        else if (field.number == 15) /* sparse_initializer */
            is_fine = walk_sparse(onnx, field.at, field.end, prefix);
        else if (field.number == 1) /* node */
            is_fine = walk_node(onnx, &field, prefix, depth);
        if (!is_fine)
            return false;
    }
    return onnx->reader.rc == 0;
}

/* FunctionProto: name 1, node 7. */
static bool walk_function(struct onnx *onnx, const struct wire_field *function)
{
    struct name name = {0}, prefix;
    struct wire_field field;

    for (uint64_t at = function->at; wire_next(&onnx->reader, &at, function->end, &field);)
        if (field.number == 1 && !take_text(onnx, &field, &name))
            return false;
    if (!below(onnx, (struct name){0}, name, &prefix))
        return false;
    for (uint64_t at = function->at; wire_next(&onnx->reader, &at, function->end, &field);)
        if (field.number == 7 && field.type == WIRE_BYTES && !walk_node(onnx, &field, prefix, 0))
            return false;
    return onnx->reader.rc == 0;
}

/* OperatorSetIdProto: domain 1, version 2. StringStringEntryProto: key 1, value 2. */
static bool read_entry(struct onnx *onnx, const struct wire_field *entry, const char *prefix)
{
    struct name key = {0}, value = {0}, full;
    struct wire_field field;
    uint64_t number = 0;
    bool is_number = false;

    for (uint64_t at = entry->at; wire_next(&onnx->reader, &at, entry->end, &field);) {
        if (field.number == 1 && !take_text(onnx, &field, &key))
            return false;
        if (field.number == 2 && field.type == WIRE_VARINT) {
            number = field.value;
            is_number = true;
        } else if (field.number == 2 && !take_text(onnx, &field, &value)) {
            return false;
        }
    }
    if (onnx->reader.rc || !onnx_join(onnx, name_of(prefix), key.bytes ? key : name_of("ai.onnx"), &full))
        return false;
    return is_number ? add_number(onnx, full, number) : add_metadata(onnx, full, value);
}

static bool walk_field(struct onnx *onnx, const struct wire_field *field)
{
    static const char *const texts[] = {[2] = "producer_name", [3] = "producer_version", [4] = "domain"};
    struct name text;

    switch (field->number) {
    case 1:
        return add_number(onnx, name_of("ir_version"), field->value);
    case 2:
    case 3:
    case 4:
        return take_text(onnx, field, &text) && add_metadata(onnx, name_of(texts[field->number]), text);
    case 5:
        return add_number(onnx, name_of("model_version"), field->value);
    case 7:
        return field->type != WIRE_BYTES || walk_graph(onnx, field->at, field->end, (struct name){0}, 0);
    case 8:
        return field->type != WIRE_BYTES || read_entry(onnx, field, "opset_import.");
    case 14:
        return field->type != WIRE_BYTES || read_entry(onnx, field, "metadata_props.");
    case 25:
        return field->type != WIRE_BYTES || walk_function(onnx, field);
    default:
        return true;
    }
}

static bool walk_model(struct onnx *onnx)
{
    struct wire_field field;

    for (uint64_t at = 0; wire_next(&onnx->reader, &at, onnx->source->size, &field);)
        if (!walk_field(onnx, &field))
            return false;
    return onnx->reader.rc == 0;
}

static bool walk_tensor(struct onnx *onnx)
{
    return onnx_tensor(onnx, 0, onnx->source->size, (struct name){0}, name_of("tensor"));
}

static int read_all(struct onnx *onnx, bool (*walk)(struct onnx *))
{
    struct model *model = onnx->model;
    int rc = byte_reader_open(&onnx->reader, onnx->source, 0, onnx->source->size, onnx->err);

    if (rc)
        return rc;
    model->uri = strdup(onnx->source->uri);
    if (!model->uri || !onnx_reserve(onnx, &model->files, sizeof(*model->files), 0, &onnx->file_room)) {
        onnx_no_memory(onnx);
        return onnx->reader.rc;
    }
    onnx->file_room = 0; /* of locations, which grow along */
    if (!onnx_reserve(onnx, &onnx->locations, sizeof(*onnx->locations), 0, &onnx->file_room))
        return onnx->reader.rc;
    onnx->locations[0] = (struct name){0};
    model->files[0] = (struct model_file){.source = onnx->source};
    model->file_count = 1;
    if (walk(onnx) && model_keep_arena(model, &onnx->arena) != 0)
        onnx_no_memory(onnx);
    return onnx->reader.rc;
}

static int open_by(const struct format *format, bool (*walk)(struct onnx *), const struct opener *opener,
                   struct source *source, struct model **ret_model, struct error *err)
{
    struct onnx onnx = {.opener = opener, .source = source, .err = err};
    int rc;

    onnx.arena.limit = 4 * opener->limits->header_bytes;
    onnx.model = calloc(1, sizeof(*onnx.model));
    rc = onnx.model ? read_all(&onnx, walk) : error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    byte_reader_done(&onnx.reader);
    if (onnx.has_folder)
        folder_done(&onnx.folder);
    free(onnx.locations);
    if (rc) {
        format_reject(onnx.model, source, rc, err);
        arena_done(&onnx.arena);
        return rc;
    }
    onnx.model->format = format;
    *ret_model = onnx.model;
    return 0;
}

static int onnx_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    return open_by(&onnx_format, walk_model, opener, source, ret_model, err);
}

static int onnx_tensor_open(const struct opener *opener, struct source *source, struct model **ret_model,
                            struct error *err)
{
    return open_by(&onnx_tensor_format, walk_tensor, opener, source, ret_model, err);
}

const struct format onnx_format = {
    .name = "onnx",
    .summary = "ONNX: initialisers and constants, raw, typed or external",
    .docs = &onnx_docs,
    .probe = onnx_probe,
    .open = onnx_open,
};

const struct format onnx_tensor_format = {
    .name = "onnx-tensor",
    .summary = "ONNX: a tensor alone, as test data are kept",
    .docs = &onnx_docs,
    .probe = onnx_tensor_probe,
    .open = onnx_tensor_open,
};
