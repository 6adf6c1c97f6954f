/* Tensors as PyTorch's pickles rebuild them: a view of a storage. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/decode/affine.h"
#include "core/decode/negated.h"
#include "core/format/torch.h"
#include "core/io/inflated.h"

enum {
    RANK_MAX = 64,
    CHANNELS_MAX = 1 << 22,
    VALUES_A_STEP = 64,
    VIEWS_MAX = 16,
    INFLATED_MAX = 64,
    VIEWED_FREE = 1 << 26
};
#define REPEATED_BYTES_MAX (UINT64_C(1) << 32)

static const struct torch_dtype dtypes[] = {
    {"torch.FloatStorage", "torch.float32", DTYPE_F32, 4, 1},
    {"torch.DoubleStorage", "torch.float64", DTYPE_F64, 8, 1},
    {"torch.HalfStorage", "torch.float16", DTYPE_F16, 2, 1},
    {"torch.BFloat16Storage", "torch.bfloat16", DTYPE_BF16, 2, 1},
    {"torch.LongStorage", "torch.int64", DTYPE_I64, 8, 1},
    {"torch.IntStorage", "torch.int32", DTYPE_I32, 4, 1},
    {"torch.ShortStorage", "torch.int16", DTYPE_I16, 2, 1},
    {"torch.CharStorage", "torch.int8", DTYPE_I8, 1, 1},
    {"torch.ByteStorage", "torch.uint8", DTYPE_U8, 1, 1},
    {"torch.BoolStorage", "torch.bool", DTYPE_BOOL, 1, 1},
    {"torch.ComplexFloatStorage", "torch.complex64", DTYPE_C64, 8, 1},
    {"torch.ComplexDoubleStorage", "torch.complex128", DTYPE_C128, 16, 1},
    {"torch.ComplexHalfStorage", "torch.complex32", DTYPE_C64, 4, 1},
    {"torch.QInt8Storage", "torch.qint8", DTYPE_I8, 1, 1},
    {"torch.QUInt8Storage", "torch.quint8", DTYPE_U8, 1, 1},
    {"torch.QInt32Storage", "torch.qint32", DTYPE_I32, 4, 1},
    {"torch.QUInt4x2Storage", "torch.quint4x2", DTYPE_U8, 1, 2},
    {"torch.QUInt2x4Storage", "torch.quint2x4", DTYPE_U8, 1, 4},
    {"torch.storage.UntypedStorage", "torch.UntypedStorage", DTYPE_U8, 1, 1},
    {"torch.UntypedStorage", "torch._UntypedStorage", DTYPE_U8, 1, 1},
    {"torch.storage._UntypedStorage", "torch._UntypedStorage", DTYPE_U8, 1, 1},
    {NULL, "torch.uint16", DTYPE_U16, 2, 1},
    {NULL, "torch.uint32", DTYPE_U32, 4, 1},
    {NULL, "torch.uint64", DTYPE_U64, 8, 1},
    {NULL, "torch.float8_e4m3fn", DTYPE_F8_E4M3, 1, 1},
    {NULL, "torch.float8_e5m2", DTYPE_F8_E5M2, 1, 1},
    {NULL, "torch.float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ, 1, 1},
    {NULL, "torch.float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ, 1, 1},
    {NULL, "torch.float8_e8m0fnu", DTYPE_F8_E8M0, 1, 1},
    {NULL, "torch.float4_e2m1fn_x2", DTYPE_F4, 1, 1}, /* two to a byte, which torch counts as one */
    {NULL, "torch.bits1x8", DTYPE_UNKNOWN, 1, 1},
    {NULL, "torch.bits2x4", DTYPE_UNKNOWN, 1, 1},
    {NULL, "torch.bits4x2", DTYPE_UNKNOWN, 1, 1},
    {NULL, "torch.bits8", DTYPE_UNKNOWN, 1, 1},
    {NULL, "torch.bits16", DTYPE_UNKNOWN, 2, 1},
};

const struct torch_dtype *torch_dtype_of(const struct node *global)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if ((dtypes[i].storage && node_is_global(global, dtypes[i].storage)) || node_is_global(global, dtypes[i].name))
            return &dtypes[i];
    return NULL;
}

static bool is_count(const struct node *node, uint64_t *ret)
{
    if (!node || node->kind != NODE_INT || node->integer < 0)
        return false;
    *ret = (uint64_t)node->integer;
    return true;
}

int torch_storage_of(const struct node *node, struct torch_storage *ret, struct error *err)
{
    const struct node *id = node->kind == NODE_PERSISTENT ? node->args : NULL, *view;
    struct torch_storage storage = {0};
    char printable[NAME_PRINTABLE_BYTES];

    if (!id || id->kind != NODE_TUPLE || id->count < 5 || !node_is_text(id->items[0], "storage") ||
        id->items[1]->kind != NODE_GLOBAL || id->items[2]->kind != NODE_TEXT ||
        !is_count(id->items[4], &storage.elements))
        return error_set(err, ERROR_FORMAT,
                         "a tensor's storage is none: its id is not ('storage', type, key, place, elements)");
    storage.type = torch_dtype_of(id->items[1]);
    if (!storage.type)
        return error_set(err, ERROR_UNSUPPORTED, "a storage is of the unknown type %s",
                         name_printable(id->items[1]->text, printable));
    storage.key = id->items[2]->text;
    view = id->count > 5 ? id->items[5] : NULL;
    if (view && view->kind == NODE_TUPLE &&
        (view->count != 3 || !is_count(view->items[1], &storage.view_first) ||
         !is_count(view->items[2], &storage.elements)))
        return error_set(err, ERROR_FORMAT, "a storage is a view of another, but does not say which part of it");
    *ret = storage;
    return 0;
}

/* One tensor on its way. */
struct rebuilt {
    struct torch *torch;
    char name[NAME_PRINTABLE_BYTES];
    struct tensor tensor;
    const struct torch_dtype *type;
    struct torch_storage storage;
    uint64_t first;  /* its offset within the storage, in elements */
    uint64_t *steps; /* in elements */
    bool is_contiguous;
    uint64_t reach;  /* elements from its first to its last */
    bool is_endless; /* its elements are more than anybody would look at */
};

static int no_memory(struct torch *torch)
{
    return torch_no_memory(torch, "its tensors");
}

static int wrong(const struct rebuilt *r, const char *what)
{
    return error_set(r->torch->err, ERROR_FORMAT, "tensor %s: %s", r->name, what);
}

static int read_shape(struct rebuilt *r, const struct node *size, const struct node *stride)
{
    uint64_t *dims, elements = 1, expected = 1;

    if (size && size->kind == NODE_CALL && size->args->count == 1) /* torch.Size((…)) */
        size = size->args->items[0];
    if (!size || !stride || (size->kind != NODE_TUPLE && size->kind != NODE_LIST) ||
        (stride->kind != NODE_TUPLE && stride->kind != NODE_LIST) || size->count != stride->count)
        return wrong(r, "its sizes and strides are no tuples of one length");
    if (size->count > RANK_MAX)
        return wrong(r, "it claims more than 64 dimensions");
    dims = arena_take_array(&r->torch->arena, size->count + 1, sizeof(*dims));
    r->steps = arena_take_array(&r->torch->arena, size->count + 1, sizeof(*r->steps));
    if (!dims || !r->steps)
        return no_memory(r->torch);
    r->is_contiguous = true;
    for (uint32_t d = size->count; d-- > 0;) {
        if (!is_count(size->items[d], &dims[d]) || !is_count(stride->items[d], &r->steps[d]))
            return wrong(r, "a size or a stride is no count");
        if (dims[d] != 1 && r->steps[d] != expected)
            r->is_contiguous = false;
        if (!checked_mul(elements, dims[d], &elements) || (dims[d] && !checked_mul(expected, dims[d], &expected)))
            return wrong(r, "its sizes multiply to more than 2^64");
    }
    r->tensor.shape = (struct shape){.dims = dims, .elements = elements, .rank = size->count};
    if (elements == 0)
        r->is_contiguous = true;
    return 0;
}

/* The last element it reaches must lie in the storage. */
static int check_reach(struct rebuilt *r, uint64_t storage_elements)
{
    uint64_t last = r->first;

    for (uint32_t d = 0; d < r->tensor.shape.rank; d++) {
        uint64_t reach;

        if (!checked_mul(r->tensor.shape.dims[d] - 1, r->steps[d], &reach) || !checked_add(last, reach, &last))
            return wrong(r, "its strides overflow");
    }
    if (last >= storage_elements)
        return error_set(r->torch->err, ERROR_FORMAT, "tensor %s: reaches element %" PRIu64 " of a storage of %" PRIu64,
                         r->name, last, storage_elements);
    r->reach = last - r->first + 1;
    return 0;
}

/* What a file's storages hold, and what all views of them may come to: beyond every byte once, sixteen times what the
 * file takes for them. Zeros are deflated to a thousandth, which is looked at once then, not as often as it is named.
 */
static void measure_storages(struct torch *torch)
{
    uint64_t taken = 0;

    torch->viewed_max = VIEWED_FREE;
    for (size_t i = 0; i < torch->storages.count; i++) {
        const struct zip_member *member = &torch->storages.members[i];

        torch->viewed_max += member->bytes;
        taken +=
            member->bytes / INFLATED_MAX < member->stored_bytes ? member->bytes : INFLATED_MAX * member->stored_bytes;
    }
    torch->viewed_max += VIEWS_MAX * taken;
}

/* Views cost a file nothing: 400 of one element claimed 1.7 TB, and 400 into one deflated member inflated it as often.
 */
static int check_views(struct rebuilt *r, const struct zip_member *member, uint64_t bytes, uint64_t rest,
                       uint64_t reach)
{
    struct torch *torch = r->torch;

    if (torch->viewed_max == 0)
        measure_storages(torch);
    if (bytes > rest && (bytes > REPEATED_BYTES_MAX || bytes > REPEATED_BYTES_MAX - torch->repeated))
        r->is_endless = true;
    else if (bytes > rest)
        torch->repeated += bytes;
    torch->viewed += member->is_deflated && reach > bytes ? reach : bytes < rest ? bytes : rest;
    if (torch->viewed <= torch->viewed_max)
        return 0;
    return error_set(torch->err, ERROR_LIMIT,
                     "tensor %s: with it, views of its storages come to %" PRIu64
                     " bytes, the limit for such a file is %" PRIu64,
                     r->name, torch->viewed, torch->viewed_max);
}

/* A deflated member becomes a file of the model. */
static int inflate_member(struct torch *torch, size_t at, uint32_t *ret_file)
{
    const struct zip_member *member = &torch->storages.members[at];
    struct model *model = torch->model;
    struct model_file *grown;
    struct source *source;
    int rc;

    if (!torch->file_of)
        torch->file_of = calloc(torch->storages.count, sizeof(*torch->file_of));
    if (!torch->file_of)
        return no_memory(torch);
    if (torch->file_of[at] == 0) {
        grown = reallocarray(model->files, model->file_count + 1, sizeof(*grown));
        if (!grown)
            return no_memory(torch);
        model->files = grown;
        rc = inflated_open(torch->source, member->offset, member->stored_bytes, member->bytes, &source, torch->err);
        if (rc)
            return rc;
        torch->file_of[at] = (uint32_t)model->file_count;
        grown[model->file_count++] =
            (struct model_file){.source = source, .is_member = true, .member_bytes = member->stored_bytes};
    }
    *ret_file = torch->file_of[at];
    return 0;
}

static int find_storage(struct rebuilt *r, const struct zip_member **ret_member)
{
    struct torch *torch = r->torch;
    const size_t bytes = torch->prefix.bytes + (size_t)r->storage.key.bytes;
    char key[NAME_PRINTABLE_BYTES];
    const struct zip_member *member = NULL;
    char *name = malloc(bytes + 1);
    uint64_t needed;

    if (!name)
        return no_memory(torch);
    if (torch->prefix.bytes)
        memcpy(name, torch->prefix.text, torch->prefix.bytes);
    memcpy(name + torch->prefix.bytes, r->storage.key.text, r->storage.key.bytes);
    member = zip_find(&torch->storages, (struct name){name, (uint32_t)bytes});
    free(name);
    if (!member)
        return error_set(torch->err, ERROR_FORMAT, "tensor %s: its storage %s is not in the file", r->name,
                         name_printable(r->storage.key, key));
    if (!checked_add(r->storage.elements, r->storage.view_first, &needed) ||
        !checked_mul(needed, r->storage.type->bytes, &needed) || needed > member->bytes)
        return error_set(
            torch->err, ERROR_FORMAT,
            "tensor %s: its storage %s claims %" PRIu64 " elements of %s, the file has %" PRIu64 " bytes of it",
            r->name, name_printable(r->storage.key, key), r->storage.elements, r->storage.type->name, member->bytes);
    *ret_member = member;
    return 0;
}

static struct storage *new_storage(struct torch *torch, struct storage value)
{
    struct storage *storage = arena_take(&torch->arena, sizeof(*storage));

    if (storage)
        *storage = value;
    return storage;
}

static int set_strided(struct rebuilt *r)
{
    struct strides *strides = arena_take(&r->torch->arena, sizeof(*strides));

    if (!strides)
        return no_memory(r->torch);
    *strides = (struct strides){.steps = r->steps, .is_swapped = r->torch->is_swapped};
    r->tensor.storage = new_storage(r->torch, (struct storage){.decoder = &decoder_strided, .parameters = strides});
    return r->tensor.storage ? 0 : no_memory(r->torch);
}

static int set_unknown(struct rebuilt *r, const char *reason)
{
    r->tensor.dtype = DTYPE_UNKNOWN;
    if (!r->is_contiguous)
        r->tensor.extent.bytes = 0; /* its bytes do not lie together: there is nothing to hold against others */
    r->tensor.storage = new_storage(
        r->torch, (struct storage){.stored_as = name_of(r->type->name + sizeof("torch.") - 1), .reason = reason});
    return r->tensor.storage ? 0 : no_memory(r->torch);
}

/* Halves, which become floats. */
static int set_halves(struct rebuilt *r)
{
    if (!r->is_contiguous || r->torch->is_swapped)
        return set_unknown(r, "complex numbers of halves that lie apart or the other way round");
    r->tensor.storage =
        new_storage(r->torch, (struct storage){.decoder = &decoder_complex32,
                                               .stored_as = name_of(r->type->name + sizeof("torch.") - 1)});
    return r->tensor.storage ? 0 : no_memory(r->torch);
}

/* Two elements to a byte: the last dimension is twice what torch says. */
static int set_pairs(struct rebuilt *r)
{
    struct shape *shape = &r->tensor.shape;
    uint64_t *dims = arena_take_array(&r->torch->arena, shape->rank + 1u, sizeof(*dims));

    if (!dims)
        return no_memory(r->torch);
    if (!r->is_contiguous || shape->rank == 0)
        return set_unknown(r, "a view of elements of half a byte");
    memcpy(dims, shape->dims, shape->rank * sizeof(*dims));
    dims[shape->rank - 1] *= 2; /* its bytes are in the file: no overflow */
    shape->dims = dims;
    shape->elements *= 2;
    return 0;
}

static bool is_true(const struct node *node)
{
    return node && node->kind == NODE_BOOL && node->integer;
}

/* What a view is besides: conjugated or negated when it is read. */
static int set_flags(struct rebuilt *r, const struct node *metadata)
{
    struct negated *negated;
    const bool is_conjugated = is_true(node_member(metadata, "conj")),
               is_negative = is_true(node_member(metadata, "neg"));
    const struct dtype_traits *traits = dtype_traits(r->tensor.dtype);
    const bool is_negatable = traits->kind == DTYPE_KIND_FLOAT && traits->bits >= 16; /* smaller ones by no torch */

    if (metadata->kind == NODE_DICT) /* however many parameters wrap it */
        r->torch->steps += metadata->count / VALUES_A_STEP;
    if (!is_conjugated && !is_negative)
        return 0;
    if (!tensor_is_decodable(&r->tensor) || (traits->kind != DTYPE_KIND_COMPLEX && (is_conjugated || !is_negatable)))
        return set_unknown(r, "a view that is conjugated or negated when it is read");
    negated = arena_take(&r->torch->arena, sizeof(*negated));
    if (!negated)
        return no_memory(r->torch);
    *negated = (struct negated){.of = r->tensor, .is_conjugated = is_conjugated, .is_negative = is_negative};
    r->tensor.storage = new_storage(r->torch, (struct storage){.decoder = &decoder_negated, .parameters = negated});
    return r->tensor.storage ? 0 : no_memory(r->torch);
}

/* How its elements lie, once it is known where. */
static int set_form(struct rebuilt *r)
{
    r->tensor.dtype = r->type->dtype;
    if (r->type->dtype == DTYPE_UNKNOWN)
        return set_unknown(r, r->is_contiguous ? NULL : "a view of elements of an unknown type");
    if (r->type->dtype == DTYPE_F4)
        return set_pairs(r);
    if (r->type->each > 1) /* with a scale, set_affine knows better */
        return set_unknown(r, "codes of less than a byte");
    if (r->type->dtype == DTYPE_C64 && r->type->bytes == 4)
        return set_halves(r);
    if (!r->is_contiguous)
        return set_strided(r);
    if (r->torch->is_swapped && r->type->bytes > 1) {
        r->tensor.storage = new_storage(r->torch, (struct storage){.decoder = decoder_swapped(r->type->dtype)});
        return r->tensor.storage ? 0 : no_memory(r->torch);
    }
    return 0;
}

static int place(struct rebuilt *r)
{
    const uint64_t size = r->type->bytes, each = r->type->each;
    const struct zip_member *member;
    uint64_t bytes, rest, offset, storage_elements;
    uint32_t file = 0;
    int rc = find_storage(r, &member);

    if (rc)
        return rc;
    if (!checked_mul(r->tensor.shape.elements / each + (r->tensor.shape.elements % each > 0), size, &bytes))
        return wrong(r, "its size overflows");
    /* The storage counts in its own elements, an untyped one in bytes. */
    storage_elements = r->storage.elements * r->storage.type->bytes / size * each;
    if (r->tensor.shape.elements > 0) {
        rc = check_reach(r, storage_elements);
        if (rc)
            return rc;
    } else {
        r->first = 0;
    }
    if (r->first % each)
        r->is_contiguous = false;
    rest = (storage_elements - r->first) / each * size;
    rc = bytes ? check_views(r, member, bytes, rest, r->reach / each * size) : 0;
    if (rc)
        return rc;
    if (bytes > rest)
        bytes = rest; /* a view that repeats elements has no more bytes than there are */
    offset = r->first / each * size + r->storage.view_first * r->storage.type->bytes;
    if (member->is_deflated && bytes > 0)
        rc = inflate_member(r->torch, (size_t)(member - r->torch->storages.members), &file);
    if (rc)
        return rc;
    r->tensor.extent =
        (struct extent){.offset = offset + (member->is_deflated ? 0 : member->offset), .bytes = bytes, .source = file};
    return r->is_endless ? set_unknown(r, "a view that repeats its elements beyond 4 GB") : set_form(r);
}

int torch_add_tensor(struct torch *torch, const struct tensor *tensor)
{
    struct model *model = torch->model;

    if (model->tensor_count >= torch->opener->limits->tensors)
        return error_set(torch->err, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit",
                         torch->opener->limits->tensors);
    if (!array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &torch->tensor_room))
        return no_memory(torch);
    model->tensors[model->tensor_count++] = *tensor;
    return 0;
}

/* (storage, offset, size, stride, …) */
static int rebuild(struct rebuilt *r, const struct node *args, const struct node *dtype)
{
    int rc;

    if (args->count < 4)
        return wrong(r, "is rebuilt from too few values");
    rc = torch_storage_of(args->items[0], &r->storage, r->torch->err);
    if (rc)
        return error_prefix(r->torch->err, rc, "tensor %s: ", r->name);
    r->type = dtype ? torch_dtype_of(dtype) : r->storage.type;
    if (!r->type)
        return wrong(r, "is of an unknown dtype");
    if (!is_count(args->items[1], &r->first))
        return wrong(r, "its offset is no count");
    rc = read_shape(r, args->items[2], args->items[3]);
    return rc ? rc : place(r);
}

/* The values of a small tensor as doubles, for scales and zero points. */
static int read_values(struct rebuilt *r, const struct node *call, uint64_t count, double **ret_values)
{
    struct rebuilt part = {.torch = r->torch};
    double *values;
    int rc;

    memcpy(part.name, r->name, sizeof(part.name));
    if (!call || call->kind != NODE_CALL)
        return wrong(r, "its scales are no tensor");
    rc = rebuild(&part, call->args, NULL);
    if (rc)
        return rc;
    if (part.tensor.shape.elements != count || count > CHANNELS_MAX)
        return wrong(r, "it has not one scale and one zero point a channel");
    r->torch->steps += count / VALUES_A_STEP;
    values = arena_take_array(&r->torch->arena, (size_t)count + 1, sizeof(*values));
    if (!values)
        return no_memory(r->torch);
    rc = affine_read_values(r->torch->model, &part.tensor, (size_t)count, values, r->torch->err);
    if (rc == 0)
        *ret_values = values;
    return rc;
}

static bool is_number(const struct node *node, double *ret)
{
    if (node->kind == NODE_FLOAT)
        *ret = node->real;
    else if (node->kind == NODE_INT)
        *ret = (double)node->integer;
    else
        return false;
    return true;
}

/* value = (code − zero point) · scale, one of each or one a channel. */
static int set_affine(struct rebuilt *r, const struct node *parameters)
{
    struct affine *affine = arena_take(&r->torch->arena, sizeof(*affine));
    uint64_t axis = 0;
    int rc = 0;

    if (!affine)
        return no_memory(r->torch);
    if (r->type->each > 1 && !r->is_contiguous)
        return 0; /* it is listed as what it is */
    *affine = (struct affine){.codes = r->type->dtype, .steps = r->steps, .is_swapped = r->torch->is_swapped};
    affine->bits = (uint8_t)(r->type->each > 1 ? 8 / r->type->each : 0);
    affine->is_contiguous = r->is_contiguous;
    if (!parameters || parameters->kind != NODE_TUPLE || parameters->count < 3)
        return wrong(r, "its quantisation is not (scheme, scale, zero point)");
    if (node_is_global(parameters->items[0], "torch.per_tensor_affine")) {
        double *one = arena_take_array(&r->torch->arena, 2, sizeof(*one));

        if (!one)
            return no_memory(r->torch);
        if (!is_number(parameters->items[1], &one[0]) || !is_number(parameters->items[2], &one[1]))
            return wrong(r, "its scale or zero point is no number");
        affine->scales = one;
        affine->zeros = one + 1;
        affine->channels = 1;
    } else if (node_is_global(parameters->items[0], "torch.per_channel_affine") ||
               node_is_global(parameters->items[0], "torch.per_channel_affine_float_qparams")) {
        if (parameters->count < 4 || !is_count(parameters->items[3], &axis) || axis >= r->tensor.shape.rank)
            return wrong(r, "its channels lie along no dimension that it has");
        affine->axis = (uint32_t)axis;
        affine->channels = r->tensor.shape.dims[axis];
        rc = read_values(r, parameters->items[1], affine->channels, &affine->scales);
        if (rc == 0)
            rc = read_values(r, parameters->items[2], affine->channels, &affine->zeros);
    } else {
        return set_unknown(r, "a quantisation scheme that is not known");
    }
    if (rc)
        return rc;
    r->tensor.dtype = DTYPE_F32;
    r->tensor.storage =
        new_storage(r->torch, (struct storage){.decoder = &decoder_affine,
                                               .stored_as = name_of(r->type->name + sizeof("torch.") - 1),
                                               .parameters = affine});
    return r->tensor.storage ? 0 : no_memory(r->torch);
}

/* (dtype, size, stride, …): nothing but these. */
static int set_meta(struct rebuilt *r, const struct node *args)
{
    int rc;

    if (args->count < 3)
        return wrong(r, "is rebuilt from too few values");
    r->type = torch_dtype_of(args->items[0]);
    if (!r->type)
        return wrong(r, "is of an unknown dtype");
    rc = read_shape(r, args->items[1], args->items[2]);
    if (rc)
        return rc;
    return set_unknown(r, "a tensor on the meta device has no values");
}

/* Takes off what only wraps a rebuilt tensor: a parameter, a subclass. */
static void unwrap(const struct node **callee, const struct node **args)
{
    if ((node_is_global(*callee, "torch._tensor._rebuild_from_type_v2") ||
         node_is_global(*callee, "torch.tensor._rebuild_from_type_v2") ||
         node_is_global(*callee, "torch._tensor._rebuild_from_type")) &&
        (*args)->count >= 3 && (*args)->items[0]->kind == NODE_GLOBAL && (*args)->items[2]->kind == NODE_TUPLE) {
        *callee = (*args)->items[0]; /* (function, class, its arguments, state) */
        *args = (*args)->items[2];
    }
    for (int i = 0; i < 4; i++) { /* not for ever: a pickle may hold itself */
        const struct node *inner = (*args)->count >= 1 ? (*args)->items[0] : NULL;

        if (!inner || inner->kind != NODE_CALL ||
            !(node_is_global(*callee, "torch._utils._rebuild_parameter") ||
              node_is_global(*callee, "torch._utils._rebuild_parameter_with_state") ||
              node_is_global(*callee, "torch.nn.parameter.Parameter")))
            return;
        *callee = inner->callee;
        *args = inner->args;
    }
}

static bool is_rebuilding(const struct node *callee)
{
    return node_is_global(callee, "torch._utils._rebuild_tensor") ||
           node_is_global(callee, "torch._utils._rebuild_tensor_v2") ||
           node_is_global(callee, "torch._utils._rebuild_tensor_v3") ||
           node_is_global(callee, "torch._utils._rebuild_qtensor");
}

bool torch_tensor_outline(const struct node *call, struct torch_outline *ret)
{
    const struct node *callee = call->callee, *args = call->args;
    struct torch_storage storage;
    const struct torch_dtype *type;

    if (call->kind != NODE_CALL)
        return false;
    unwrap(&callee, &args);
    if (!is_rebuilding(callee) || args->count < 4 || torch_storage_of(args->items[0], &storage, NULL) != 0)
        return false;
    type = node_is_global(callee, "torch._utils._rebuild_tensor_v3") && args->count > 6 ? torch_dtype_of(args->items[6])
                                                                                        : storage.type;
    *ret = (struct torch_outline){.size = args->items[2],
                                  .storage = storage.key,
                                  .first = storage.view_first,
                                  .is_float = type && dtype_traits(type->dtype)->kind == DTYPE_KIND_FLOAT};
    if (args->items[1]->kind == NODE_INT)
        ret->first += (uint64_t)args->items[1]->integer;
    return true;
}

int torch_tensor(struct torch *torch, const struct node *call, struct name name, bool *ret_is_tensor)
{
    struct rebuilt r = {.torch = torch, .tensor = {.name = name}};
    const struct node *args = call->args, *callee = call->callee;
    int rc;

    *ret_is_tensor = true;
    name_printable(name, r.name);
    unwrap(&callee, &args);
    if (node_is_global(callee, "torch._utils._rebuild_tensor") ||
        node_is_global(callee, "torch._utils._rebuild_tensor_v2")) {
        rc = rebuild(&r, args, NULL);
        if (rc == 0 && args->count > 6)
            rc = set_flags(&r, args->items[6]);
    } else if (node_is_global(callee, "torch._utils._rebuild_tensor_v3")) {
        rc = args->count < 7 ? wrong(&r, "is rebuilt from too few values") : rebuild(&r, args, args->items[6]);
        if (rc == 0 && args->count > 7)
            rc = set_flags(&r, args->items[7]);
    } else if (node_is_global(callee, "torch._utils._rebuild_meta_tensor_no_storage")) {
        rc = set_meta(&r, args);
    } else if (node_is_global(callee, "torch._utils._rebuild_qtensor")) {
        rc = rebuild(&r, args, NULL);
        if (rc == 0 && r.type->dtype != DTYPE_UNKNOWN && !r.is_endless)
            rc = set_affine(&r, args->count > 4 ? args->items[4] : NULL);
    } else {
        *ret_is_tensor = false;
        return 0;
    }
    return rc ? rc : torch_add_tensor(torch, &r.tensor);
}
