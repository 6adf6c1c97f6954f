/* Archives of torch.export (.pt2). Since PyTorch 2.8 a JSON beside the weights, data/weights/NAME_weights_config.json,
 * says of each what it is and which member holds its storage; constants likewise. Before, the state dict was an archive
 * of torch.save of its own within the archive. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/json_scan.h"
#include "core/format/torch.h"
#include "core/io/part.h"

enum { RANK_MAX = 64 };

/* torch/_export/serde/schema.py, ScalarType. */
static const struct {
    uint64_t number;
    const char *name;
} types[] = {
    {1, "torch.uint8"},
    {2, "torch.int8"},
    {3, "torch.int16"},
    {4, "torch.int32"},
    {5, "torch.int64"},
    {6, "torch.float16"},
    {7, "torch.float32"},
    {8, "torch.float64"},
    {9, "torch.complex32"},
    {10, "torch.complex64"},
    {11, "torch.complex128"},
    {12, "torch.bool"},
    {13, "torch.bfloat16"},
    {28, "torch.uint16"},
    {29, "torch.float8_e4m3fn"},
    {30, "torch.float8_e5m2"},
    {31, "torch.float8_e4m3fnuz"},
    {32, "torch.float8_e5m2fnuz"},
    {33, "torch.float8_e8m0fnu"},
    {34, "torch.uint32"},
    {35, "torch.uint64"},
};

/* What a config says of one tensor. */
struct said {
    struct name path;
    uint64_t dims[RANK_MAX], steps[RANK_MAX], rank, step_count, type, first;
    bool is_pickled, has_meta;
};

struct config {
    struct torch *torch;
    struct json_scan scan;
    struct name folder; /* "archive/data/weights/" */
    struct node *dict;
    size_t room;
};

static int no_memory(struct torch *torch)
{
    return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for its weights");
}

static bool name_is(struct name name, const char *text)
{
    return name_equal(name, name_of(text));
}

/* {"as_int": 3} */
static bool read_number(struct json_scan *scan, uint64_t *ret_value)
{
    struct name key;
    bool has, is_read = false;

    if (json_peek(scan) != '{')
        return json_u64(scan, ret_value);
    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has) {
        is_read |= name_is(key, "as_int");
        if (name_is(key, "as_int") ? !json_u64(scan, ret_value) : !json_skip(scan))
            return false;
    }
    return !scan->problem && (is_read || json_fault(scan, "a size that is no number"));
}

static bool read_numbers(struct json_scan *scan, uint64_t *numbers, uint64_t *ret_count)
{
    uint64_t count = 0;
    bool has;

    if (!json_array(scan))
        return false;
    while (json_element(scan, &has) && has) {
        if (count == RANK_MAX)
            return json_fault(scan, "a tensor of more than 64 dimensions");
        if (!read_number(scan, &numbers[count++]))
            return false;
    }
    *ret_count = count;
    return !scan->problem;
}

static bool read_meta(struct json_scan *scan, struct said *said)
{
    struct name key;
    bool has, is_null;

    if (!json_null(scan, &is_null) || is_null)
        return !scan->problem;
    said->has_meta = true;
    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has)
        if (name_is(key, "dtype")            ? !json_u64(scan, &said->type)
            : name_is(key, "sizes")          ? !read_numbers(scan, said->dims, &said->rank)
            : name_is(key, "strides")        ? !read_numbers(scan, said->steps, &said->step_count)
            : name_is(key, "storage_offset") ? !read_number(scan, &said->first)
                                             : !json_skip(scan))
            return false;
    return !scan->problem;
}

static bool read_said(struct json_scan *scan, struct said *said)
{
    struct name key;
    bool has;

    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has) {
        if (name_is(key, "use_pickle")) {
            said->is_pickled = json_peek(scan) == 't';
            if (!json_skip(scan))
                return false;
        } else if (name_is(key, "path_name")     ? !json_string(scan, &said->path)
                   : name_is(key, "tensor_meta") ? !read_meta(scan, said)
                                                 : !json_skip(scan)) {
            return false;
        }
    }
    return !scan->problem;
}

/* Nodes of the kinds that a pickle would have given. NULL: out of memory. */
static struct node *new_node(struct torch *torch, enum node_kind kind)
{
    struct node *node = arena_take(&torch->nodes, sizeof(*node));

    if (node)
        node->kind = (uint8_t)kind;
    return node;
}

static struct node *text_node(struct torch *torch, enum node_kind kind, struct name text)
{
    struct node *node = new_node(torch, kind);

    if (node)
        node->text = text;
    return node;
}

static struct node *int_node(struct torch *torch, uint64_t value)
{
    struct node *node = new_node(torch, NODE_INT);

    if (node)
        node->integer = value > INT64_MAX ? -1 : (int64_t)value; /* which is refused as a size */
    return node;
}

static struct node *tuple_node(struct torch *torch, struct node *const *items, size_t count)
{
    struct node *node = new_node(torch, NODE_TUPLE);

    if (!node)
        return NULL;
    node->items = arena_take_array(&torch->nodes, count + 1, sizeof(*node->items));
    for (size_t i = 0; node->items && i < count; i++) {
        if (!items[i])
            return NULL;
        node->items[i] = items[i];
    }
    node->count = (uint32_t)count;
    return node->items ? node : NULL;
}

static struct node *numbers_node(struct torch *torch, const uint64_t *numbers, uint64_t count)
{
    struct node *items[RANK_MAX];

    for (uint64_t i = 0; i < count; i++)
        items[i] = int_node(torch, numbers[i]);
    return tuple_node(torch, items, (size_t)count);
}

struct node *torch_rebuild_node(struct torch *torch, const struct torch_parts *parts)
{
    struct node *id[] = {text_node(torch, NODE_TEXT, name_of("storage")),
                         text_node(torch, NODE_GLOBAL, name_of("torch.UntypedStorage")),
                         text_node(torch, NODE_TEXT, parts->storage), text_node(torch, NODE_TEXT, name_of("cpu")),
                         int_node(torch, parts->storage_bytes)};
    struct node *storage = new_node(torch, NODE_PERSISTENT), *none = new_node(torch, NODE_NONE);
    struct node *args[] = {storage,
                           int_node(torch, parts->first),
                           numbers_node(torch, parts->dims, parts->rank),
                           numbers_node(torch, parts->steps, parts->rank),
                           none,
                           none,
                           text_node(torch, NODE_GLOBAL, name_of(parts->type))};
    struct node *call = new_node(torch, NODE_CALL);

    if (!storage || !call)
        return NULL;
    storage->args = tuple_node(torch, id, sizeof(id) / sizeof(id[0]));
    call->callee = text_node(torch, NODE_GLOBAL, name_of("torch._utils._rebuild_tensor_v3"));
    call->args = tuple_node(torch, args, sizeof(args) / sizeof(args[0]));
    return storage->args && call->callee && call->args ? call : NULL;
}

static int add_pair(struct config *config, struct name name, struct node *value)
{
    struct node *dict = config->dict, *key = text_node(config->torch, NODE_TEXT, name);

    if (!key || !value)
        return no_memory(config->torch);
    if (dict->count + 2 > config->room) {
        const size_t wanted = config->room ? config->room * 2 : 64;
        struct node **grown = arena_take_array(&config->torch->nodes, wanted, sizeof(*grown));

        if (!grown)
            return no_memory(config->torch);
        if (dict->count)
            memcpy(grown, dict->items, dict->count * sizeof(*grown));
        dict->items = grown;
        config->room = wanted;
    }
    dict->items[dict->count++] = key;
    dict->items[dict->count++] = value;
    return 0;
}

static int add_weight(struct config *config, struct name name, const struct said *said)
{
    struct torch *torch = config->torch;
    char printable[NAME_PRINTABLE_BYTES], *path;
    const struct zip_member *member;
    struct torch_parts parts = {.dims = said->dims, .steps = said->steps, .rank = said->rank, .first = said->first};

    name_printable(name, printable);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].number == said->type)
            parts.type = types[i].name;
    if (said->is_pickled || !said->has_meta)
        return model_warn(torch->model, "left-out", (struct name){0},
                          "%s was left out: it is a pickled object of its own", printable)
                   ? no_memory(torch)
                   : 0;
    if (!parts.type || said->rank != said->step_count)
        return error_set(torch->err, ERROR_FORMAT,
                         "tensor %s: of dtype %" PRIu64 " with %" PRIu64 " sizes and %" PRIu64 " strides", printable,
                         said->type, said->rank, said->step_count);
    path = arena_take(&torch->nodes, (size_t)config->folder.bytes + said->path.bytes + 1);
    if (!path)
        return no_memory(torch);
    memcpy(path, config->folder.text, config->folder.bytes);
    if (said->path.bytes)
        memcpy(path + config->folder.bytes, said->path.text, said->path.bytes);
    parts.storage = (struct name){path, config->folder.bytes + said->path.bytes};
    member = zip_find(&torch->storages, parts.storage);
    if (!member)
        return error_set(torch->err, ERROR_FORMAT, "tensor %s: its storage is not in the file", printable);
    parts.storage_bytes = member->bytes;
    return add_pair(config, name, torch_rebuild_node(torch, &parts));
}

/* {"config": {NAME: …}} */
static int read_config(struct config *config)
{
    struct json_scan *scan = &config->scan;
    struct name key, name;
    bool has;
    int rc = 0;

    if (json_object(scan))
        while (rc == 0 && json_member(scan, &key, &has) && has) {
            if (!name_is(key, "config")) {
                json_skip(scan);
                continue;
            }
            json_object(scan);
            while (rc == 0 && json_member(scan, &name, &has) && has) {
                struct said said = {0};

                if (read_said(scan, &said))
                    rc = add_weight(config, name, &said);
            }
        }
    if (rc == 0 && !scan->problem)
        json_end(scan);
    if (rc == 0 && scan->problem)
        rc = error_set(config->torch->err, ERROR_FORMAT, "the config of its weights: %s, at byte %zu", scan->problem,
                       scan->problem_at);
    return rc;
}

static int read_config_member(struct torch *torch, const struct zip_member *member)
{
    struct config config = {.torch = torch, .dict = new_node(torch, NODE_DICT)};
    uint32_t folder = member->name.bytes;
    uint8_t *text;
    int rc;

    if (!config.dict)
        return no_memory(torch);
    while (folder > 0 && member->name.text[folder - 1] != '/')
        folder--;
    config.folder = (struct name){member->name.text, folder};
    rc = torch_read_member(torch, member, "the config of its weights", &text);
    if (rc)
        return rc;
    json_init(&config.scan, (char *)text, (size_t)member->bytes, torch->opener->limits->nesting);
    rc = read_config(&config);
    if (rc == 0)
        rc = torch_walk(torch, config.dict, member->bytes);
    free(text);
    return rc;
}

/* An archive within the archive, in whose place it comes for a while. */
static int read_inner(struct torch *torch, const struct zip_member *member)
{
    const struct zip outer = torch->storages;
    struct zip inner = {0};
    struct source *part;
    int rc;

    if (member->is_deflated)
        return error_set(torch->err, ERROR_UNSUPPORTED, "its weights are an archive that is deflated itself");
    rc = part_open(torch->source, member->offset, member->bytes, &part, torch->err);
    if (rc)
        return rc;
    rc = zip_open(part, torch->opener->limits, &inner, torch->err);
    source_close(part);
    if (rc)
        return rc;
    for (size_t i = 0; i < inner.count; i++)
        inner.members[i].offset += member->offset;
    torch->storages = inner;
    torch->viewed = torch->viewed_max = 0; /* they are others */
    free(torch->file_of);
    torch->file_of = NULL;
    rc = torch_read_pickle(torch);
    zip_done(&torch->storages);
    free(torch->file_of);
    torch->file_of = NULL;
    torch->prefix = (struct name){0};
    torch->storages = outer;
    torch->viewed = torch->viewed_max = 0;
    return rc;
}

static bool ends_with(struct name name, const char *end)
{
    const size_t bytes = strlen(end);

    return name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, end, bytes) == 0;
}

static bool holds(struct name name, const char *part)
{
    return memmem(name.text, name.bytes, part, strlen(part)) != NULL;
}

int torch_pt2_read(struct torch *torch, bool *ret_is_pt2)
{
    const size_t count = torch->storages.count;
    int rc = 0;

    *ret_is_pt2 = false;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct zip_member *member = &torch->storages.members[i];
        const struct name name = member->name;

        if ((holds(name, "data/weights/") && ends_with(name, "_weights_config.json")) ||
            (holds(name, "data/constants/") && ends_with(name, "_constants_config.json"))) {
            *ret_is_pt2 = true;
            rc = read_config_member(torch, member);
        } else if (ends_with(name, "serialized_state_dict.pt") || ends_with(name, "serialized_constants.pt") ||
                   ((holds(name, "data/weights/") || holds(name, "data/constants/")) && ends_with(name, ".pt"))) {
            *ret_is_pt2 = true;
            rc = read_inner(torch, member);
        }
    }
    return rc;
}
