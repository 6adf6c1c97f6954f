/* TensorFlow Lite: the constants of its graphs, which are the tensors whose buffers hold something. Integers with a
 * scale are compared by the values that they stand for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/decode/affine.h"
#include "core/format/flatbuffer.h"
#include "core/format/format.h"
#include "core/utf8.h"

enum {
    NAME_BYTES_MAX = 65536,
    RANK_MAX = 32,
    MODEL_SUBGRAPHS = 2,
    MODEL_BUFFERS = 4,
    SUBGRAPH_TENSORS = 0,
    TENSOR_SHAPE = 0,
    TENSOR_TYPE = 1,
    TENSOR_BUFFER = 2,
    TENSOR_NAME = 3,
    TENSOR_QUANTIZATION = 4,
    TENSOR_SPARSITY = 6,
    BUFFER_DATA = 0,
    BUFFER_OFFSET = 1,
    BUFFER_SIZE = 2,
    QUANTIZATION_SCALE = 2,
    QUANTIZATION_ZERO_POINT = 3,
    QUANTIZATION_DIMENSION = 6
};

/* By number, as the schema has them. */
static const struct type {
    const char *name;
    enum dtype dtype; /* DTYPE_UNKNOWN: listed only */
    unsigned bits;    /* where several lie in a byte; 0: none do */
} types[] = {{"FLOAT32", DTYPE_F32, 0},   {"FLOAT16", DTYPE_F16, 0},      {"INT32", DTYPE_I32, 0},
             {"UINT8", DTYPE_U8, 0},      {"INT64", DTYPE_I64, 0},        {"STRING", DTYPE_UNKNOWN, 0},
             {"BOOL", DTYPE_BOOL, 0},     {"INT16", DTYPE_I16, 0},        {"COMPLEX64", DTYPE_C64, 0},
             {"INT8", DTYPE_I8, 0},       {"FLOAT64", DTYPE_F64, 0},      {"COMPLEX128", DTYPE_C128, 0},
             {"UINT64", DTYPE_U64, 0},    {"RESOURCE", DTYPE_UNKNOWN, 0}, {"VARIANT", DTYPE_UNKNOWN, 0},
             {"UINT32", DTYPE_U32, 0},    {"UINT16", DTYPE_U16, 0},       {"INT4", DTYPE_I8, 4},
             {"BFLOAT16", DTYPE_BF16, 0}, {"INT2", DTYPE_I8, 2},          {"UINT4", DTYPE_U8, 4}};

struct tflite {
    const struct opener *opener;
    struct flat flat;
    struct arena arena;
    struct model *model;
    size_t tensor_room;
    struct flat_vector buffers;
};

static bool no_memory(struct tflite *t)
{
    return flat_fault(&t->flat, arena_error(&t->arena), "its tensors %s", arena_error_text(&t->arena));
}

static bool tensor_fault(struct tflite *t, struct name name, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return flat_fault(&t->flat, ERROR_FORMAT, "tensor %s: %s", name_printable(name, printable), what);
}

/* Where a buffer's bytes lie; none for those that are filled when the graph runs. */
static bool find_buffer(struct tflite *t, uint64_t number, struct extent *ret)
{
    const uint64_t size = t->flat.source->size;
    struct flat_vector data;
    struct flat_table buffer;
    uint64_t offset;

    *ret = (struct extent){0};
    if (number >= t->buffers.count)
        return flat_fault(&t->flat, ERROR_FORMAT, "a tensor is of buffer %" PRIu64 ", there are %" PRIu64, number,
                          t->buffers.count);
    if (!flat_element(&t->flat, &t->buffers, number, &buffer) || !flat_vector(&t->flat, &buffer, BUFFER_DATA, 1, &data))
        return false;
    *ret = (struct extent){.offset = data.at, .bytes = data.count};
    offset = flat_scalar(&t->flat, &buffer, BUFFER_OFFSET, 8, 0);
    if (offset <= 1 || t->flat.rc)
        return t->flat.rc == 0;
    *ret = (struct extent){.offset = offset, .bytes = flat_scalar(&t->flat, &buffer, BUFFER_SIZE, 8, 0)};
    if (ret->offset > size || ret->bytes > size - ret->offset)
        return flat_fault(&t->flat, ERROR_FORMAT,
                          "buffer %" PRIu64 " claims %" PRIu64 " bytes at offset %" PRIu64
                          ", the file ends at %" PRIu64,
                          number, ret->bytes, ret->offset, size);
    return t->flat.rc == 0;
}

static bool read_shape(struct tflite *t, const struct flat_table *table, struct tensor *tensor)
{
    struct flat_vector vector;
    uint64_t *dims, elements = 1;

    if (!flat_vector(&t->flat, table, TENSOR_SHAPE, 4, &vector))
        return false;
    if (vector.count > RANK_MAX)
        return tensor_fault(t, tensor->name, "it has more than 32 dimensions");
    dims = arena_take_array(&t->arena, vector.count + 1, sizeof(*dims));
    if (!dims)
        return no_memory(t);
    for (uint64_t d = 0; d < vector.count; d++) {
        dims[d] = flat_number(&t->flat, vector.at + 4 * d, 4);
        if (dims[d] > INT32_MAX)
            return tensor_fault(t, tensor->name, "a dimension is negative");
        if (!checked_mul(elements, dims[d], &elements))
            return tensor_fault(t, tensor->name, "its dimensions multiply to more than 2^64");
    }
    tensor->shape = (struct shape){.dims = dims, .elements = elements, .rank = (uint32_t)vector.count};
    return t->flat.rc == 0;
}

static float float_of(uint64_t bits)
{
    const uint32_t word = (uint32_t)bits;
    float value;

    memcpy(&value, &word, sizeof(value));
    return value;
}

/* A scale for the tensor, or one for each index of a dimension. */
static bool set_scales(struct tflite *t, const struct flat_table *quantization, const struct flat_vector *scales,
                       const struct type *type, struct tensor *tensor)
{
    const bool is_vector = tensor->shape.rank == 1; /* a bias, which may have its weight's dimension here */
    const uint64_t axis = is_vector ? 0 : flat_scalar(&t->flat, quantization, QUANTIZATION_DIMENSION, 4, 0);
    struct affine *affine = arena_take(&t->arena, sizeof(*affine));
    struct storage *storage = arena_take(&t->arena, sizeof(*storage));
    struct flat_vector zeros;

    if (!affine || !storage)
        return no_memory(t);
    if (!flat_vector(&t->flat, quantization, QUANTIZATION_ZERO_POINT, 8, &zeros))
        return false;
    if (scales->count > 1 && (axis >= tensor->shape.rank || tensor->shape.dims[axis] != scales->count))
        return tensor_fault(t, tensor->name, "its scales are as many as none of its dimensions that they are for");
    if (zeros.count > 1 && zeros.count != scales->count)
        return tensor_fault(t, tensor->name, "its zero points are not as many as its scales");
    *affine = (struct affine){.codes = tensor->dtype,
                              .bits = (uint8_t)type->bits,
                              .is_contiguous = true,
                              .axis = (uint32_t)axis,
                              .channels = scales->count};
    affine->scales = arena_take_array(&t->arena, scales->count, sizeof(double));
    affine->zeros = arena_take_array(&t->arena, scales->count, sizeof(double));
    if (!affine->scales || !affine->zeros)
        return no_memory(t);
    for (uint64_t i = 0; i < scales->count; i++) {
        affine->scales[i] = float_of(flat_number(&t->flat, scales->at + 4 * i, 4));
        if (zeros.count)
            affine->zeros[i] = (double)(int64_t)flat_number(&t->flat, zeros.at + 8 * (zeros.count > 1 ? i : 0), 8);
    }
    *storage = (struct storage){.decoder = &decoder_affine, .stored_as = name_of(type->name), .parameters = affine};
    tensor->dtype = DTYPE_F32;
    tensor->storage = storage;
    return t->flat.rc == 0;
}

static bool set_unknown(struct tflite *t, const char *spelled, struct tensor *tensor)
{
    struct storage *storage = arena_take(&t->arena, sizeof(*storage));

    if (!storage)
        return no_memory(t);
    *storage = (struct storage){.stored_as = name_of(spelled)};
    tensor->dtype = DTYPE_UNKNOWN;
    tensor->storage = storage;
    return true;
}

static bool set_packed(struct tflite *t, const struct type *type, struct tensor *tensor)
{
    struct storage *storage = arena_take(&t->arena, sizeof(*storage));

    if (!storage)
        return no_memory(t);
    *storage = (struct storage){.decoder = decoder_packed_ints(type->bits, type->dtype == DTYPE_I8),
                                .stored_as = name_of(type->name)};
    tensor->storage = storage;
    return true;
}

static bool read_type(struct tflite *t, const struct flat_table *table, struct tensor *tensor)
{
    const uint64_t number = flat_scalar(&t->flat, table, TENSOR_TYPE, 1, 0);
    const bool is_known = number < sizeof(types) / sizeof(types[0]);
    const struct type none = {.name = "type that is not known"}, *type = is_known ? &types[number] : &none;
    char printable[NAME_PRINTABLE_BYTES];
    struct flat_table quantization;
    struct flat_vector scales = {0};
    uint64_t needed, bits;

    tensor->dtype = type->dtype;
    if (flat_field(&t->flat, table, TENSOR_SPARSITY))
        return set_unknown(t, "sparse", tensor);
    if (tensor->dtype == DTYPE_UNKNOWN)
        return t->flat.rc == 0 && set_unknown(t, type->name, tensor);
    bits = type->bits ? type->bits : dtype_traits(tensor->dtype)->bits;
    if (!checked_mul(tensor->shape.elements, bits, &needed) || needed > UINT64_MAX - 7 ||
        (needed + 7) / 8 != tensor->extent.bytes)
        return flat_fault(&t->flat, ERROR_FORMAT,
                          "tensor %s: %" PRIu64 " elements of %" PRIu64 " bits do not take the %" PRIu64
                          " bytes that it has at offset %" PRIu64,
                          name_printable(tensor->name, printable), tensor->shape.elements, bits, tensor->extent.bytes,
                          tensor->extent.offset);
    if (flat_inner(&t->flat, table, TENSOR_QUANTIZATION, &quantization) &&
        !flat_vector(&t->flat, &quantization, QUANTIZATION_SCALE, 4, &scales))
        return false;
    if (t->flat.rc)
        return false;
    if (scales.count && bits <= 32 && dtype_traits(tensor->dtype)->kind != DTYPE_KIND_FLOAT)
        return set_scales(t, &quantization, &scales, type, tensor);
    return type->bits ? set_packed(t, type, tensor) : true;
}

static bool add_tensor(struct tflite *t, const struct tensor *tensor)
{
    struct model *model = t->model;

    if (model->tensor_count >= t->opener->limits->tensors)
        return flat_fault(&t->flat, ERROR_LIMIT, "it has more than %" PRIu64 " constants, the limit",
                          t->opener->limits->tensors);
    if (!array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &t->tensor_room))
        return no_memory(t);
    model->tensors[model->tensor_count++] = *tensor;
    return true;
}

/* "", "NAME", and in graphs behind the first "subgraph_1/NAME"; a name that came before gets its tensor's number. */
static bool set_name(struct tflite *t, const struct flat_table *table, uint64_t graph, struct tensor *tensor)
{
    char prefix[32] = "";
    char printable[NAME_PRINTABLE_BYTES];
    struct name name;
    char *joined;
    int bytes;

    if (!flat_text(&t->flat, table, TENSOR_NAME, NAME_BYTES_MAX, &t->arena, &name))
        return false;
    if (!utf8_is_valid(name.text, name.bytes) || memchr(name.text, '\0', name.bytes))
        return flat_fault(&t->flat, ERROR_FORMAT, "the name of tensor %s is no text", name_printable(name, printable));
    if (graph)
        snprintf(prefix, sizeof(prefix), "subgraph_%" PRIu64 "/", graph);
    bytes = (int)strlen(prefix);
    joined = arena_take(&t->arena, (size_t)bytes + name.bytes + 1);
    if (!joined)
        return no_memory(t);
    memcpy(joined, prefix, (size_t)bytes);
    memcpy(joined + bytes, name.text, name.bytes);
    tensor->name = (struct name){joined, (uint32_t)bytes + name.bytes};
    return true;
}

static bool read_subgraph(struct tflite *t, const struct flat_table *subgraph, uint64_t graph)
{
    struct flat_vector tensors;
    bool is_good = flat_vector(&t->flat, subgraph, SUBGRAPH_TENSORS, 4, &tensors);

    for (uint64_t i = 0; is_good && i < tensors.count; i++) {
        struct tensor tensor = {.dtype = DTYPE_UNKNOWN};
        struct flat_table table;
        uint64_t buffer;

        if (!flat_element(&t->flat, &tensors, i, &table))
            return false;
        buffer = flat_scalar(&t->flat, &table, TENSOR_BUFFER, 4, 0);
        if (t->flat.rc || !find_buffer(t, buffer, &tensor.extent))
            return false;
        if (tensor.extent.bytes == 0) /* filled when the graph runs */
            continue;
        is_good = set_name(t, &table, graph, &tensor) && read_shape(t, &table, &tensor) &&
                  read_type(t, &table, &tensor) && add_tensor(t, &tensor);
    }
    return is_good;
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *one = a, *two = b;
    const uint32_t shorter = one->name.bytes < two->name.bytes ? one->name.bytes : two->name.bytes;
    const int order = shorter ? memcmp(one->name.text, two->name.text, shorter) : 0;

    if (order)
        return order;
    if (one->name.bytes != two->name.bytes)
        return one->name.bytes < two->name.bytes ? -1 : 1;
    return one->extent.offset < two->extent.offset ? -1 : one->extent.offset > two->extent.offset;
}

/* Nothing keeps writers from giving one name twice, or none: then the order in the file tells them apart. */
static bool number_names(struct tflite *t)
{
    struct tensor *tensors = t->model->tensors;
    const size_t count = t->model->tensor_count;

    if (count > 1)
        qsort(tensors, count, sizeof(*tensors), by_name);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;

        while (end < count && name_equal(tensors[i].name, tensors[end].name))
            end++;
        for (size_t n = i; end > i + 1 && n < end; n++) {
            const struct name name = tensors[n].name;
            char *text = arena_take(&t->arena, (size_t)name.bytes + 24);

            if (!text)
                return no_memory(t);
            memcpy(text, name.text, name.bytes);
            snprintf(text + name.bytes, 24, "#%zu", n - i + 1);
            tensors[n].name = (struct name){text, (uint32_t)strlen(text)};
        }
        i = end;
    }
    return true;
}

static bool read_model(struct tflite *t)
{
    struct flat_table root, subgraph;
    struct flat_vector subgraphs;

    if (!flat_root(&t->flat, &root) || !flat_vector(&t->flat, &root, MODEL_SUBGRAPHS, 4, &subgraphs) ||
        !flat_vector(&t->flat, &root, MODEL_BUFFERS, 4, &t->buffers))
        return false;
    for (uint64_t i = 0; i < subgraphs.count; i++)
        if (!flat_element(&t->flat, &subgraphs, i, &subgraph) || !read_subgraph(t, &subgraph, i))
            return false;
    return number_names(t);
}

static bool tflite_probe(const struct head *head)
{
    return head->first_bytes >= 8 && memcmp(head->first + 4, "TFL3", 4) == 0;
}

static int tflite_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct tflite *t = calloc(1, sizeof(*t));
    struct model *model = calloc(1, sizeof(*model));
    int rc;

    if (t && model) {
        t->opener = opener;
        t->flat = (struct flat){.source = source, .err = err};
        t->flat.followed_max =
            source->size < opener->limits->header_bytes ? source->size : opener->limits->header_bytes;
        t->arena.limit = 2 * opener->limits->header_bytes;
        t->model = model;
        t->tensor_room = 1;
        model->uri = strdup(source->uri);
        model->files = calloc(1, sizeof(*model->files));
        model->tensors = calloc(1, sizeof(*model->tensors));
    }
    if (!t || !model || !model->uri || !model->files || !model->tensors) {
        model_close(model);
        free(t);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    }
    model->files[0].source = source;
    model->file_count = 1;
    if (read_model(t) && model_keep_arena(model, &t->arena) != 0)
        no_memory(t);
    rc = t->flat.rc;
    arena_done(&t->arena);
    free(t);
    if (rc)
        return format_reject(model, source, rc, err);
    model->format = &tflite_format;
    *ret_model = model;
    return 0;
}

const struct format tflite_format = {
    .name = "tflite",
    .summary = "TensorFlow Lite .tflite: the constants of its graphs; integers with scales by their values",
    .docs = &tflite_docs,
    .probe = tflite_probe,
    .open = tflite_open,
};
