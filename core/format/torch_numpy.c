/* NumPy arrays and numbers within a pickle, as numpy.core.multiarray's functions would make them. Their bytes stand in
 * the pickle itself, in the older protocols even as text; they are put together in memory, which becomes one more file
 * of the model. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/decode/ggml_half.h"
#include "core/format/numpy_header.h"
#include "core/format/torch.h"

enum { RANK_MAX = 64, ALIGNMENT = 16 };

struct element {
    struct name text; /* "f4", as numpy.dtype was called */
    char kind;
    uint64_t bytes;
    enum dtype dtype;
    bool is_swapped;
};

struct array {
    struct element element;
    const struct node *shape, *bytes;
    bool is_fortran;
};

static bool is_called(const struct node *callee, const char *function)
{
    static const char *const modules[] = {"numpy.core.", "numpy._core."};

    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        const size_t bytes = strlen(modules[i]);

        if (callee->text.bytes > bytes && memcmp(callee->text.text, modules[i], bytes) == 0)
            return name_equal((struct name){callee->text.text + bytes, callee->text.bytes - (uint32_t)bytes},
                              name_of(function));
    }
    return false;
}

/* numpy.dtype("f4", …), whose state is (3, "<", …). */
static bool read_element(const struct node *node, struct element *ret)
{
    const struct node *text, *state;

    if (node->kind != NODE_CALL || !node_is_global(node->callee, "numpy.dtype") || node->args->count == 0)
        return false;
    text = node->args->items[0];
    state = node->state;
    if (text->kind != NODE_TEXT || text->text.bytes < 2 || text->text.bytes > 12)
        return false;
    *ret = (struct element){.text = text->text, .kind = text->text.text[0]};
    for (uint32_t i = 1; i < text->text.bytes; i++) {
        const char digit = text->text.text[i];

        if (digit < '0' || digit > '9')
            return false;
        ret->bytes = ret->bytes * 10 + (uint64_t)(digit - '0');
    }
    if (ret->kind == 'U')
        ret->bytes *= 4;
    ret->dtype = numpy_dtype(ret->kind, ret->bytes);
    ret->is_swapped = state && state->kind == NODE_TUPLE && state->count > 1 && node_is_text(state->items[1], ">");
    return true;
}

/* _reconstruct(ndarray, (0,), b"b"), whose state is (1, shape, dtype, whether it is column-major, bytes), or
 * _frombuffer(bytes, dtype, shape, order). */
static bool read_array(const struct node *call, struct array *ret)
{
    const struct node *state = call->state, *args = call->args;

    if (is_called(call->callee, "multiarray._reconstruct") && state && state->kind == NODE_TUPLE && state->count == 5) {
        *ret = (struct array){.shape = state->items[1], .bytes = state->items[4]};
        ret->is_fortran = state->items[3]->kind == NODE_BOOL && state->items[3]->integer;
        return read_element(state->items[2], &ret->element);
    }
    if (is_called(call->callee, "numeric._frombuffer") && args->count == 4) {
        *ret = (struct array){.shape = args->items[2], .bytes = args->items[0]};
        ret->is_fortran = node_is_text(args->items[3], "F");
        return read_element(args->items[1], &ret->element);
    }
    return false;
}

/* The bytes that a node stands for, at most as many as its text has: written to `to` where that is not NULL. */
static bool read_bytes(const struct node *node, uint8_t *to, size_t *ret_count)
{
    struct name text;
    size_t count = 0;

    if (node->kind == NODE_BYTES || node->kind == NODE_TEXT) {
        if (to && node->text.bytes)
            memcpy(to, node->text.text, node->text.bytes);
        *ret_count = node->text.bytes;
        return true;
    }
    if (node->kind != NODE_CALL)
        return false;
    *ret_count = 0;
    if (node_is_global(node->callee, "builtins.bytes") || node_is_global(node->callee, "__builtin__.bytes"))
        return node->args->count == 0;
    if (!node_is_global(node->callee, "_codecs.encode") || node->args->count == 0 ||
        node->args->items[0]->kind != NODE_TEXT)
        return false;
    text = node->args->items[0]->text; /* a character of Latin 1 for each byte, in UTF-8 */
    for (uint32_t i = 0; i < text.bytes; i++, count++) {
        uint8_t byte = (uint8_t)text.text[i];

        if (byte >= 0x80) {
            if ((byte != 0xc2 && byte != 0xc3) || i + 1 == text.bytes || ((uint8_t)text.text[i + 1] & 0xc0) != 0x80)
                return false;
            byte = (uint8_t)((byte & 3) << 6 | ((uint8_t)text.text[++i] & 0x3f));
        }
        if (to)
            to[count] = byte;
    }
    *ret_count = count;
    return true;
}

/* The arrays' memory is the model's file from the first of them on; what it holds is known at the end. */
static int begin_file(struct torch *torch)
{
    struct model *model = torch->model;
    struct model_file *grown = reallocarray(model->files, model->file_count + 1, sizeof(*grown));

    if (!grown)
        return torch_no_memory(torch, "its arrays");
    model->files = grown;
    torch->arrays_file = (uint32_t)model->file_count;
    grown[model->file_count++] = (struct model_file){.is_member = true};
    return 0;
}

static int append(struct torch *torch, const struct node *bytes, size_t count, uint64_t *ret_offset)
{
    const uint64_t limit = torch->opener->limits->header_bytes;
    const size_t at = (torch->arrays_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    int rc;

    if (count > limit || at > limit - count)
        return error_set(torch->err, ERROR_LIMIT, "holds NumPy arrays of more than %" PRIu64 " bytes in all", limit);
    if (!torch->arrays) {
        rc = begin_file(torch);
        if (rc)
            return rc;
    }
    if (!torch->arrays || at + count > torch->arrays_room) {
        const size_t room = 2 * (at + count) + ALIGNMENT;
        uint8_t *grown = realloc(torch->arrays, room);

        if (!grown)
            return torch_no_memory(torch, "its arrays");
        torch->arrays = grown;
        torch->arrays_room = room;
    }
    memset(torch->arrays + torch->arrays_bytes, 0, at - torch->arrays_bytes);
    read_bytes(bytes, torch->arrays + at, &count);
    torch->arrays_bytes = at + count;
    *ret_offset = at;
    return 0;
}

static int wrong(struct torch *torch, struct name name, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return error_set(torch->err, ERROR_FORMAT, "NumPy array %s: %s", name_printable(name, printable), what);
}

static int read_shape(struct torch *torch, const struct array *array, struct tensor *tensor, uint64_t **ret_steps)
{
    const struct node *node = array->shape;
    uint64_t *dims, *steps, elements = 1;

    if (node->kind != NODE_TUPLE || node->count > RANK_MAX)
        return wrong(torch, tensor->name, "its shape is no tuple of at most 64 dimensions");
    dims = arena_take_array(&torch->arena, node->count + 1, sizeof(*dims));
    steps = arena_take_array(&torch->arena, node->count + 1, sizeof(*steps));
    if (!dims || !steps)
        return torch_no_memory(torch, "its tensors");
    for (uint32_t d = 0; d < node->count; d++) {
        if (node->items[d]->kind != NODE_INT || node->items[d]->integer < 0)
            return wrong(torch, tensor->name, "a dimension is no count");
        dims[d] = (uint64_t)node->items[d]->integer;
        steps[d] = elements; /* of a column-major array */
        if (!checked_mul(elements, dims[d], &elements))
            return wrong(torch, tensor->name, "its dimensions multiply to more than 2^64");
    }
    tensor->shape = (struct shape){.dims = dims, .elements = elements, .rank = node->count};
    *ret_steps = steps;
    return 0;
}

static int set_form(struct torch *torch, const struct array *array, const uint64_t *steps, struct tensor *tensor)
{
    const struct element *element = &array->element;
    struct storage *storage;
    struct strides *strides;

    tensor->dtype = element->dtype;
    if (element->dtype != DTYPE_UNKNOWN && !array->is_fortran && (!element->is_swapped || element->bytes == 1))
        return 0;
    storage = arena_take(&torch->arena, sizeof(*storage));
    strides = arena_take(&torch->arena, sizeof(*strides));
    if (!storage || !strides)
        return torch_no_memory(torch, "its tensors");
    *storage = (struct storage){.parameters = strides};
    *strides = (struct strides){.steps = steps, .is_swapped = element->is_swapped};
    tensor->storage = storage;
    if (element->dtype != DTYPE_UNKNOWN) {
        storage->decoder = array->is_fortran ? &decoder_strided : decoder_swapped(element->dtype);
        return 0;
    }
    storage->stored_as.text = arena_copy(&torch->arena, element->text.text, element->text.bytes);
    storage->stored_as.bytes = element->text.bytes;
    return storage->stored_as.text ? 0 : torch_no_memory(torch, "its tensors");
}

bool torch_numpy_is_array(const struct node *call)
{
    struct array array;

    return read_array(call, &array);
}

int torch_numpy_array(struct torch *torch, const struct node *call, struct name name, bool *ret_is_read)
{
    struct tensor tensor = {.name = name};
    struct array array;
    uint64_t *steps = NULL, bytes;
    size_t count;
    int rc;

    *ret_is_read = read_array(call, &array) && array.element.kind != 'O' && read_bytes(array.bytes, NULL, &count);
    if (!*ret_is_read)
        return 0;
    rc = read_shape(torch, &array, &tensor, &steps);
    if (rc)
        return rc;
    if (!checked_mul(tensor.shape.elements, array.element.bytes, &bytes) || bytes != count)
        return wrong(torch, name, "its bytes are not those of its shape");
    rc = append(torch, array.bytes, count, &tensor.extent.offset);
    if (rc)
        return rc;
    tensor.extent.bytes = bytes;
    tensor.extent.source = torch->arrays_file;
    rc = set_form(torch, &array, steps, &tensor);
    return rc ? rc : torch_add_tensor(torch, &tensor);
}

/* Little-endian once it has been turned round where needed. false: it is beyond an int of ours. */
static bool set_number(const struct element *element, const uint8_t bytes[8], struct node *ret)
{
    const unsigned shift = 64 - 8 * (unsigned)element->bytes;
    uint64_t word = 0;

    for (unsigned i = (unsigned)element->bytes; i-- > 0;)
        word = word << 8 | bytes[i];
    *ret = (struct node){.kind = NODE_INT, .integer = (int64_t)word};
    switch (element->kind) {
    case 'b':
        ret->kind = NODE_BOOL;
        break;
    case 'u':
        return word <= INT64_MAX;
    case 'i':
        ret->integer = (int64_t)(word << shift) >> shift;
        break;
    case 'f':
        ret->kind = NODE_FLOAT;
        if (element->dtype == DTYPE_F64)
            memcpy(&ret->real, &word, sizeof(ret->real));
        else
            ret->real =
                (double)(element->dtype == DTYPE_F16 ? half_value((uint16_t)word) : float_of_bits((uint32_t)word));
        break;
    }
    return true;
}

bool torch_numpy_scalar(const struct node *call, struct node *ret)
{
    struct element element;
    uint8_t bytes[16], turned[8];
    size_t count;

    if (!is_called(call->callee, "multiarray.scalar") || call->args->count != 2 ||
        !read_element(call->args->items[0], &element) || element.dtype == DTYPE_UNKNOWN || element.bytes > 8 ||
        element.kind == 'c' || !read_bytes(call->args->items[1], NULL, &count) || count != element.bytes)
        return false;
    read_bytes(call->args->items[1], bytes, &count);
    for (size_t i = 0; i < count; i++)
        turned[i] = bytes[element.is_swapped ? count - 1 - i : i];
    return set_number(&element, turned, ret);
}

int torch_numpy_finish(struct torch *torch)
{
    struct model *model = torch->model;
    int rc;

    if (!torch->arrays)
        return 0;
    rc = memory_open(torch->arrays, torch->arrays_bytes, model->uri, &model->files[torch->arrays_file].source,
                     torch->err);
    if (rc == 0 && model_keep(model, torch->arrays) != 0)
        rc = torch_no_memory(torch, "its arrays");
    if (rc == 0)
        torch->arrays = NULL;
    return rc;
}
