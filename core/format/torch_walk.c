/* From the tree of a pickle to names, tensors and scalars. Dicts and lists are gone through as PyTorch's own users see
 * them: keys joined by dots. Of objects whose class is not known only what they hold is looked at, of modules their
 * parameters, buffers and modules. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/decimal.h"
#include "core/format/torch.h"

enum {
    DEPTH_MAX = 200,
    STEPS_A_TENSOR = 16, /* values that are looked at, for each tensor that a model may have */
    LISTED_MAX = 16,     /* scalars of a list that are told */
    TEXT_MAX = 16384,
    STEPS_A_BYTE = 64, /* values that are looked at, for each byte of a pickle: real ones need less than one */
    LOOKED_AT_A_STEP = 16,
    BYTES_A_STEP = 64,
    LOOKED_AT_DEPTH = 4,
    SCALAR_BYTES = 48,
};

static int walk(struct torch *torch, struct node *node);

static int no_memory(struct torch *torch)
{
    return torch_no_memory(torch, "its values");
}

/* Adds ".text" to the path; the caller puts path_bytes back. */
static int enter(struct torch *torch, struct name component)
{
    const size_t needed = torch->path_bytes + 1 + component.bytes;

    if (needed > sizeof(torch->path))
        return error_set(torch->err, ERROR_LIMIT, "a name has more than %zu bytes", sizeof(torch->path));
    if (torch->path_bytes)
        torch->path[torch->path_bytes++] = '.';
    memcpy(torch->path + torch->path_bytes, component.text, component.bytes);
    torch->path_bytes += component.bytes;
    return 0;
}

static int take_path(struct torch *torch, struct name *ret_name)
{
    char *copy = arena_copy(&torch->arena, torch->path, torch->path_bytes);

    if (!copy)
        return no_memory(torch);
    *ret_name = (struct name){copy, (uint32_t)torch->path_bytes};
    return 0;
}

static int add_metadata(struct torch *torch, struct name value)
{
    struct model *model = torch->model;
    struct metadata_entry entry;
    char *copy;
    int rc;

    if (model->metadata_count >= torch->opener->limits->metadata)
        return 0;
    if (!array_reserve(&model->metadata, sizeof(*model->metadata), model->metadata_count, &torch->metadata_room))
        return no_memory(torch);
    copy = arena_copy(&torch->arena, value.text, value.bytes);
    if (!copy)
        return no_memory(torch);
    entry.value = (struct name){copy, value.bytes};
    rc = take_path(torch, &entry.key);
    if (rc == 0)
        model->metadata[model->metadata_count++] = entry;
    return rc;
}

static size_t scalar_text(const struct node *node, char out[SCALAR_BYTES])
{
    _Static_assert((int)SCALAR_BYTES >= (int)DECIMAL_BYTES, "decimal_write writes there");
    switch (node->kind) {
    case NODE_BOOL:
        return (size_t)snprintf(out, SCALAR_BYTES, "%s", node->integer ? "true" : "false");
    case NODE_INT:
        return (size_t)snprintf(out, SCALAR_BYTES, "%" PRId64, node->integer);
    default:
        if (isfinite(node->real))
            return decimal_write(node->real, out);
        return (size_t)snprintf(out, SCALAR_BYTES, "%s",
                                isnan(node->real) ? "NaN"
                                : node->real > 0  ? "Infinity"
                                                  : "-Infinity");
    }
}

static bool is_scalar(const struct node *node)
{
    return node->kind == NODE_BOOL || node->kind == NODE_INT || node->kind == NODE_FLOAT;
}

static int add_scalar(struct torch *torch, const struct node *node)
{
    char text[SCALAR_BYTES];
    const size_t bytes = scalar_text(node, text);

    return add_metadata(torch, (struct name){text, (uint32_t)bytes});
}

static int leave_out(struct torch *torch, const char *why, struct name who)
{
    const struct name name = {torch->path, (uint32_t)torch->path_bytes};
    char path[NAME_PRINTABLE_BYTES], printable[NAME_PRINTABLE_BYTES];

    if (model_warn(torch->model, "left-out", (struct name){0}, "%s was left out: %s %s",
                   name.bytes ? name_printable(name, path) : "a value", why, name_printable(who, printable)) != 0)
        return no_memory(torch);
    return 0;
}

/* A member's name: text, or a number in decimal. Others (tuples) have none. */
static bool component_of(const struct node *key, char number[SCALAR_BYTES], struct name *ret)
{
    if (key->kind == NODE_TEXT) {
        *ret = key->text;
        return true;
    }
    if (!is_scalar(key))
        return false;
    *ret = (struct name){number, (uint32_t)scalar_text(key, number)};
    return true;
}

static int walk_member(struct torch *torch, struct name component, struct node *value)
{
    const size_t path_bytes = torch->path_bytes;
    int rc = enter(torch, component);

    if (rc == 0)
        rc = walk(torch, value);
    torch->path_bytes = path_bytes;
    return rc;
}

static int walk_pairs(struct torch *torch, const struct node *dict)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i + 1 < dict->count; i += 2) {
        char number[SCALAR_BYTES];
        struct name component;

        if (component_of(dict->items[i], number, &component))
            rc = walk_member(torch, component, dict->items[i + 1]);
        else if (dict->items[i + 1]->kind >= NODE_TUPLE)
            rc = leave_out(torch, "it holds a value under", name_of("a key that is no text or number"));
    }
    return rc;
}

/* State by number: numbers become the names of the parameters, where they can be told. */
static int walk_state(struct torch *torch, const struct node *optimizer, struct node *state)
{
    const size_t path_bytes = torch->path_bytes;
    struct name *names = NULL;
    size_t count = 0;
    int rc = torch_optimizer_names(torch, torch->root, optimizer, &names, &count);

    if (rc == 0)
        rc = enter(torch, name_of("state"));
    for (uint32_t i = 0; rc == 0 && i + 1 < state->count; i += 2) {
        const struct node *key = state->items[i];
        char number[SCALAR_BYTES];
        struct name component;

        if (key->kind == NODE_INT && key->integer >= 0 && (uint64_t)key->integer < count && names[key->integer].text)
            component = names[key->integer];
        else if (!component_of(key, number, &component))
            continue;
        rc = walk_member(torch, component, state->items[i + 1]);
    }
    torch->path_bytes = path_bytes;
    return rc;
}

/* Hyperparameters of the groups; which parameters are theirs is told by the state. */
static int walk_groups(struct torch *torch, const struct node *groups)
{
    const size_t path_bytes = torch->path_bytes;
    int rc = enter(torch, name_of("param_groups"));
    const size_t groups_bytes = torch->path_bytes;

    for (uint32_t g = 0; rc == 0 && g < groups->count; g++) {
        const struct node *group = groups->items[g];
        char number[SCALAR_BYTES];

        rc = enter(torch, (struct name){number, (uint32_t)snprintf(number, sizeof(number), "%" PRIu32, g)});
        for (uint32_t i = 0; rc == 0 && group->kind == NODE_DICT && i + 1 < group->count; i += 2)
            if (group->items[i]->kind == NODE_TEXT && !node_is_text(group->items[i], "params") &&
                !node_is_text(group->items[i], "param_names"))
                rc = walk_member(torch, group->items[i]->text, group->items[i + 1]);
        torch->path_bytes = groups_bytes;
    }
    torch->path_bytes = path_bytes;
    return rc;
}

static int walk_dict(struct torch *torch, const struct node *dict)
{
    struct node *state = node_member(dict, "state"), *groups = node_member(dict, "param_groups");
    int rc;

    if (!state || state->kind != NODE_DICT || !groups || groups->kind != NODE_LIST)
        return walk_pairs(torch, dict);
    rc = walk_state(torch, dict, state);
    return rc ? rc : walk_groups(torch, groups);
}

static int walk_list(struct torch *torch, struct node *list)
{
    bool is_long = list->is_told || list->count > LISTED_MAX;
    int rc = 0;

    for (uint32_t i = 0; is_long && !list->is_told && i < list->count; i++)
        is_long = is_scalar(list->items[i]) || list->items[i]->kind == NODE_TEXT || list->items[i]->kind == NODE_NONE;
    list->is_told = is_long;
    for (uint32_t i = 0; rc == 0 && !is_long && i < list->count; i++) {
        char number[SCALAR_BYTES];

        snprintf(number, sizeof(number), "%" PRIu32, i);
        rc = walk_member(torch, name_of(number), list->items[i]);
    }
    return rc;
}

/* Weights that a quantised module keeps in a form of its own. */
static bool is_packed(const struct node *value)
{
    return value->kind == NODE_OBJECT && node_is_global(value->callee, "torch.ScriptObject");
}

static int walk_module(struct torch *torch, const struct node *state)
{
    static const char *const members[] = {"_parameters", "_buffers", "_modules"};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(members) / sizeof(members[0]); i++) {
        const struct node *dict = node_member(state, members[i]);

        if (dict)
            rc = walk_pairs(torch, dict);
    }
    for (uint32_t i = 0; rc == 0 && i + 1 < state->count; i += 2)
        if (state->items[i]->kind == NODE_TEXT && is_packed(state->items[i + 1]))
            rc = walk_member(torch, state->items[i]->text, state->items[i + 1]);
    return rc;
}

/* A state of a form of the class's own: a tuple. What torch makes of its quantised convolutions is (what they were made
 * with, ten values; weight, bias, scale, zero point, …); of packed weights, (tensors, class). */
static int walk_own_state(struct torch *torch, const struct node *object, struct node *state)
{
    static const char *const names[] = {"weight", "bias", "scale", "zero_point"};
    static const char conv[] = ".quantized.modules.conv";
    int rc = 0;

    if (state->count == 2 && state->items[1]->kind == NODE_TEXT && state->items[0]->kind == NODE_TUPLE)
        return walk_list(torch, state->items[0]);
    if (state->count != 15 || !memmem(object->callee->text.text, object->callee->text.bytes, conv, sizeof(conv) - 1))
        return walk_list(torch, state);
    for (uint32_t i = 0; rc == 0 && i < 4; i++)
        rc = walk_member(torch, name_of(names[i]), state->items[10 + i]);
    return rc;
}

/* What pickle gives an object that has slots, or none: (attributes, slots). */
static bool is_state_of_slots(const struct node *state)
{
    return state->kind == NODE_TUPLE && state->count == 2 &&
           (state->items[0]->kind == NODE_DICT || state->items[0]->kind == NODE_NONE) &&
           state->items[1]->kind == NODE_DICT;
}

static int walk_object(struct torch *torch, const struct node *object)
{
    const struct node *slots = object->state && is_state_of_slots(object->state) ? object->state->items[1] : NULL;
    struct node *state = slots ? object->state->items[0] : object->state;
    int rc = 0;

    if (object->kind == NODE_OBJECT && torch->objects++ == 0)
        torch->class = object->callee->text;
    if (node_member(state, "_parameters") && node_member(state, "_modules"))
        return walk_module(torch, state);
    if (object->count)
        rc = walk_pairs(torch, object);
    if (rc == 0 && object->kind == NODE_OBJECT && object->args && object->args->kind == NODE_TUPLE)
        rc = walk_list(torch, object->args); /* of a class that is a tuple: its fields */
    if (rc == 0 && state && state->kind == NODE_DICT)
        rc = walk_dict(torch, state);
    else if (rc == 0 && state && state->kind == NODE_TUPLE)
        rc = walk_own_state(torch, object, state);
    return rc || !slots ? rc : walk_pairs(torch, slots);
}

/* Calls that make a tensor which is not read, or which is one in parts. */
static bool makes_tensor(const struct node *callee)
{
    static const char *const makers[] = {
        "torch._utils._rebuild_wrapper_subclass",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_sparse_csr_tensor",
        "torch.storage._load_from_bytes",
        "torch.nn.parameter.UninitializedParameter",
        "torch.nn.parameter.UninitializedBuffer",
        "numpy.ma.core._mareconstruct",
        "torch._tensor._rebuild_from_type_v2",
        "torch._tensor._rebuild_from_type",
        "torch.jit._pickle.build_tensor_from_id",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.numeric._frombuffer",
        "numpy.core.numeric._frombuffer",
    };

    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
        if (node_is_global(callee, makers[i]))
            return true;
    return false;
}

/* What a call's arguments say of a tensor that is made of others: they lie below its name. */
static const struct parts {
    const char *maker, *layout; /* layout: of the first argument, what it begins with; the parts are a tuple then */
    const char *names[4];
} made_of[] = {
    {"torch._utils._rebuild_sparse_tensor", "torch.sparse_coo", {"indices", "values"}},
    {"torch._utils._rebuild_sparse_tensor", "torch.sparse_csr", {"crow_indices", "col_indices", "values"}},
    {"torch._utils._rebuild_sparse_tensor", "torch.sparse_bsr", {"crow_indices", "col_indices", "values"}},
    {"torch._utils._rebuild_sparse_tensor", "torch.sparse_csc", {"ccol_indices", "row_indices", "values"}},
    {"torch._utils._rebuild_sparse_tensor", "torch.sparse_bsc", {"ccol_indices", "row_indices", "values"}},
    {"torch._utils._rebuild_sparse_csr_tensor", "torch.sparse_csr", {"crow_indices", "col_indices", "values"}},
    {"torch._utils._rebuild_nested_tensor", NULL, {"values", "sizes", "strides", "offsets"}},
};

/* torch.serialization._get_layout("torch.sparse_csr"), or an object of its own. */
static bool is_layout(const struct node *node, const char *layout)
{
    if (node->kind == NODE_CALL && node->args->count == 1)
        node = node->args->items[0];
    return node_is_text(node, layout) || node_is_global(node, layout);
}

static const struct parts *find_parts(const struct node *call, const struct node **ret_from)
{
    const struct node *args = call->args;

    for (size_t i = 0; i < sizeof(made_of) / sizeof(made_of[0]); i++) {
        if (!node_is_global(call->callee, made_of[i].maker))
            continue;
        *ret_from = made_of[i].layout && args->count >= 2 ? args->items[1] : args;
        if (!made_of[i].layout ||
            (args->count >= 2 && args->items[1]->kind == NODE_TUPLE && is_layout(args->items[0], made_of[i].layout)))
            return &made_of[i];
    }
    return NULL;
}

static int walk_parts(struct torch *torch, const struct parts *parts, const struct node *from)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < 4 && i < from->count && parts->names[i]; i++)
        rc = walk_member(torch, name_of(parts->names[i]), from->items[i]);
    return rc;
}

/* A tensor of a class of its own that wraps others: _rebuild_from_type_v2(_rebuild_wrapper_subclass, class, …,
 * {attribute: value}), or (…, {slot: value}) of one with slots. NULL: it is none. */
static const struct node *wrapped(const struct node *call)
{
    const struct node *args = call->args, *state;

    if (!node_is_global(call->callee, "torch._tensor._rebuild_from_type_v2") || args->count != 4 ||
        !node_is_global(args->items[0], "torch._utils._rebuild_wrapper_subclass") ||
        args->items[1]->kind != NODE_GLOBAL)
        return NULL;
    state = args->items[3];
    if (state->kind == NODE_TUPLE && state->count == 2)
        state = state->items[1];
    return state->kind == NODE_DICT ? state : NULL;
}

/* A nested tensor of the jagged layout: _rebuild_from_type_v2(_rebuild_njt, class, ({argument: value},), …). */
static const struct node *jagged(const struct node *call)
{
    const struct node *args = call->args;

    if (!node_is_global(call->callee, "torch._tensor._rebuild_from_type_v2") || args->count != 4 ||
        !node_is_global(args->items[0], "torch.nested._internal.nested_tensor._rebuild_njt") ||
        args->items[2]->kind != NODE_TUPLE || args->items[2]->count != 1 || args->items[2]->items[0]->kind != NODE_DICT)
        return NULL;
    return args->items[2]->items[0];
}

static int walk_jagged(struct torch *torch, const struct node *arguments)
{
    static const char *const names[] = {"values", "offsets", "lengths"};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        struct node *part = node_member(arguments, names[i]);

        if (part)
            rc = walk_member(torch, name_of(names[i]), part);
    }
    return rc;
}

/* A DTensor is what of it lies on one rank. */
static int walk_local(struct torch *torch, struct node *local)
{
    char printable[NAME_PRINTABLE_BYTES];
    struct name name;
    int rc = take_path(torch, &name);

    if (rc == 0 && model_warn(torch->model, "local-tensor", name,
                              "%s is a DTensor: what of it lies on the rank that wrote the file was read",
                              name_printable(name, printable)) != 0)
        return no_memory(torch);
    return rc ? rc : walk(torch, local);
}

static int walk_wrapped(struct torch *torch, const struct node *call, const struct node *state)
{
    const size_t path_bytes = torch->path_bytes;
    struct node *local = node_member(state, "_local_tensor");
    int rc;

    if (local)
        return walk_local(torch, local);
    rc = enter(torch, name_of("_type"));
    if (rc == 0)
        rc = add_metadata(torch, call->args->items[1]->text);
    torch->path_bytes = path_bytes;
    return rc ? rc : walk_pairs(torch, state);
}

static int walk_call(struct torch *torch, struct node *call)
{
    const struct parts *parts;
    const struct node *from;
    struct node scalar;
    bool is_tensor;
    struct name name;
    int rc;

    if (!makes_tensor(call->callee) || node_is_global(call->callee, "torch._tensor._rebuild_from_type_v2") ||
        node_is_global(call->callee, "torch._tensor._rebuild_from_type")) {
        rc = take_path(torch, &name);
        if (rc == 0)
            rc = torch_tensor(torch, call, name, &is_tensor);
        if (rc || is_tensor)
            return rc;
    }
    parts = find_parts(call, &from);
    if (parts)
        return walk_parts(torch, parts, from);
    from = jagged(call);
    if (from)
        return walk_jagged(torch, from);
    from = wrapped(call);
    if (from)
        return walk_wrapped(torch, call, from);
    rc = take_path(torch, &name);
    if (rc == 0)
        rc = torch_numpy_array(torch, call, name, &is_tensor);
    if (rc || is_tensor)
        return rc;
    if (torch_numpy_is_array(call))
        return leave_out(torch, "it is", name_of("an array of Python objects"));
    if (makes_tensor(call->callee))
        return leave_out(torch, "it is made by", call->callee->text);
    if (torch_numpy_scalar(call, &scalar))
        return add_scalar(torch, &scalar);
    if ((node_is_global(call->callee, "torch.jit._pickle.build_tensorlist") ||
         node_is_global(call->callee, "torch.jit._pickle.restore_type_tag") ||
         node_is_global(call->callee, "torch.Size")) &&
        call->args->count > 0)
        return walk(torch, call->args->items[0]);
    return walk_object(torch, call);
}

static int walk_inside(struct torch *torch, struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_DICT:
        return walk_dict(torch, node);
    case NODE_LIST:
    case NODE_TUPLE:
    case NODE_SET:
        return walk_list(torch, node);
    case NODE_CALL:
        return walk_call(torch, node);
    case NODE_OBJECT:
        return walk_object(torch, node);
    case NODE_BOOL:
    case NODE_INT:
    case NODE_FLOAT:
        return add_scalar(torch, node);
    case NODE_TEXT:
        return node->text.bytes <= TEXT_MAX ? add_metadata(torch, node->text) : 0;
    case NODE_PERSISTENT:
        return leave_out(torch, "it is", name_of("a storage without a tensor"));
    case NODE_NONE:
    case NODE_BIG:
    case NODE_BYTES:
    case NODE_GLOBAL:
        break;
    }
    return 0;
}

/* What is gone through of a node's own before, or instead of, the values that it leads to: keys, and what a call or an
 * object was given. */
static uint64_t looked_at(const struct node *node, unsigned depth)
{
    uint64_t all = 0;

    if (!node || node->kind < NODE_TEXT || node->kind == NODE_GLOBAL || node->kind == NODE_PERSISTENT)
        return 0;
    if (node->kind < NODE_TUPLE)
        return node->text.bytes / BYTES_A_STEP;
    if (node->kind >= NODE_CALL)
        all = depth ? looked_at(node->args, depth - 1) + looked_at(node->state, depth - 1) : 0;
    for (uint32_t i = 0; depth && node->kind < NODE_CALL && i < node->count; i++)
        all += looked_at(node->items[i], depth - 1);
    return all + node->count / LOOKED_AT_A_STEP;
}

/* A node on the way to itself is gone by: modules know those that hold them. */
static int walk(struct torch *torch, struct node *node)
{
    int rc;

    if (node->is_open)
        return 0;
    if (torch->depth == DEPTH_MAX)
        return error_set(torch->err, ERROR_LIMIT, "its values are nested more than %d deep", DEPTH_MAX);
    torch->steps += 1 + looked_at(node, node->kind >= NODE_CALL ? LOOKED_AT_DEPTH : 0);
    if (torch->steps > torch->steps_max)
        return error_set(torch->err, ERROR_LIMIT,
                         "its values lead to one another too often to be looked at one by one");
    node->is_open = node->kind >= NODE_TUPLE;
    torch->depth++;
    rc = walk_inside(torch, node);
    torch->depth--;
    node->is_open = false;
    return rc;
}

/* Values of a small pickle can lead to one another 2^n times, under names of n keys each. */
int torch_walk(struct torch *torch, struct node *root, uint64_t bytes)
{
    const struct limits *limits = torch->opener->limits;

    torch->steps_max += STEPS_A_BYTE * bytes;
    if (torch->steps_max > STEPS_A_TENSOR * limits->tensors)
        torch->steps_max = STEPS_A_TENSOR * limits->tensors;
    torch->arena.limit += STEPS_A_BYTE * bytes;
    if (torch->arena.limit > 4 * limits->header_bytes)
        torch->arena.limit = 4 * limits->header_bytes;
    torch->root = root;
    return walk(torch, root);
}

int torch_tell(struct torch *torch)
{
    char printable[NAME_PRINTABLE_BYTES];

    if (torch->objects &&
        model_warn(torch->model, "python-objects", (struct name){0},
                   "holds %zu Python objects, the first of class %s: of these only tensors and scalars were read",
                   torch->objects, name_printable(torch->class, printable)) != 0)
        return no_memory(torch);
    return 0;
}
