/* PyTorch's ZIP container, since 1.6: NAME/data.pkl, NAME/byteorder, and a member NAME/data/KEY for each storage.
 * Stored members are read where they lie, deflated ones through inflate. TorchScript archives look the same here. Those
 * of torch.package hold several pickles, anywhere, among sources and texts, and a member NAME/.data/KEY.storage for
 * each storage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/torch.h"

enum { ORDER_BYTES_MAX = 64, TREE_FACTOR = 64, INFLATED_A_BYTE = 64, INFLATED_FREE = 4 << 20 };

static bool torch_zip_probe(const struct head *head)
{
    uint32_t name_bytes;

    if (head->first_bytes < 30 || memcmp(head->first, "PK\x03\x04", 4) != 0)
        return false;
    name_bytes = head->first[26] | (uint32_t)head->first[27] << 8;
    /* NumPy's archives are of another kind. */
    return !(name_bytes > 4 && 30 + name_bytes <= head->first_bytes &&
             memcmp(head->first + 30 + name_bytes - 4, ".npy", 4) == 0);
}

int torch_begin(struct torch *torch, const struct opener *opener, struct source *source, struct error *err)
{
    struct model *model = calloc(1, sizeof(*model));

    *torch = (struct torch){.opener = opener, .source = source, .err = err, .model = model};
    /* With what torch_walk adds. Scales of channels are read from storages, so that a large file has more to look at.
     */
    torch->arena.limit =
        (source->size < opener->limits->header_bytes ? 2 * source->size : 2 * opener->limits->header_bytes) + (1 << 24);
    torch->steps_max = source->size / 16 + (1 << 16);
    if (!model)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    model->uri = strdup(source->uri);
    model->files = calloc(1, sizeof(*model->files));
    if (!model->uri || !model->files)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    model->files[0].source = source;
    model->file_count = 1;
    return 0;
}

int torch_no_memory(struct torch *torch, const char *what)
{
    if (torch->arena.is_full || torch->nodes.is_full)
        return error_set(torch->err, ERROR_LIMIT, "%s take more memory than such a file may", what);
    return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for %s", what);
}

int torch_finish(struct torch *torch, int rc, struct model **ret_model)
{
    struct model *model = torch->model;

    if (rc == 0)
        rc = torch_tell(torch);
    if (rc == 0)
        rc = torch_numpy_finish(torch);
    if (rc == 0 && model_keep_arena(model, &torch->arena) != 0)
        rc = error_set(torch->err, ERROR_NO_MEMORY, "out of memory for the model");
    arena_done(&torch->arena);
    arena_done(&torch->nodes);
    zip_done(&torch->storages);
    free(torch->file_of);
    free(torch->arrays);
    if (rc)
        return format_reject(model, torch->source, rc, torch->err);
    *ret_model = model;
    return 0;
}

static bool ends_with(struct name name, const char *end)
{
    const size_t bytes = strlen(end);

    return name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, end, bytes) == 0;
}

/* NAME/data.pkl, of the shortest NAME; an archive has one. */
static const struct zip_member *find_pickle(const struct zip *zip)
{
    const struct zip_member *found = NULL;

    for (size_t i = 0; i < zip->count; i++) {
        const struct zip_member *member = &zip->members[i];

        if (ends_with(member->name, "/data.pkl") && (!found || member->name.bytes < found->name.bytes))
            found = member;
    }
    return found;
}

static const struct zip_member *find_beside(struct torch *torch, const struct zip_member *pickle, const char *file)
{
    const uint32_t prefix = pickle->name.bytes - (uint32_t)sizeof("data.pkl") + 1;
    char *name = arena_take(&torch->nodes, prefix + strlen(file) + 1);

    if (!name)
        return NULL;
    memcpy(name, pickle->name.text, prefix);
    memcpy(name + prefix, file, strlen(file));
    return zip_find(&torch->storages, (struct name){name, prefix + (uint32_t)strlen(file)});
}

/* The member "byteorder" beside the pickle; of torch.export's archives, in the first folder. */
static int read_order(struct torch *torch, const struct zip_member *order)
{
    uint8_t *text;
    int rc;

    if (!order)
        return 0;
    rc = zip_read(torch->source, order, ORDER_BYTES_MAX, "the member byteorder", &text, torch->err);
    if (rc)
        return rc;
    torch->is_swapped = strncmp((char *)text, "big", 3) == 0;
    if (!torch->is_swapped && strncmp((char *)text, "little", 6) != 0)
        rc = error_set(torch->err, ERROR_FORMAT, "its byteorder is neither little nor big");
    free(text);
    return rc;
}

/* A thousandfold is what zeros inflate to, a few dozen times what names do; and an archive may hold many. */
int torch_read_member(struct torch *torch, const struct zip_member *member, const char *what, uint8_t **ret_bytes)
{
    const uint64_t limit = torch->opener->limits->header_bytes;

    if (member->is_deflated && member->bytes <= limit)
        torch->inflated += member->bytes;
    if (torch->inflated / INFLATED_A_BYTE > torch->source->size + INFLATED_FREE / INFLATED_A_BYTE)
        return error_set(torch->err, ERROR_LIMIT,
                         "%s inflates beyond the limit: %" PRIu64 " bytes of values in a file of %" PRIu64, what,
                         torch->inflated, torch->source->size);
    return zip_read(torch->source, member, limit, what, ret_bytes, torch->err);
}

/* Storages lie in a folder beside the pickle that has its name. */
static int set_prefix(struct torch *torch, const struct zip_member *pickle, const char *folder)
{
    uint32_t bytes = pickle->name.bytes;
    char *prefix;

    while (bytes > 0 && pickle->name.text[bytes - 1] != '/')
        bytes--;
    prefix = arena_take(&torch->nodes, bytes + strlen(folder) + 1);
    if (!prefix)
        return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for the model");
    memcpy(prefix, pickle->name.text, bytes);
    memcpy(prefix + bytes, folder, strlen(folder) + 1);
    torch->prefix = (struct name){prefix, bytes + (uint32_t)strlen(folder)};
    return 0;
}

/* torch.package knows its storages by number: their keys become the names of their members. */
static int name_storages(struct torch *torch, const struct pickle *pickle)
{
    for (size_t i = 0; i < pickle->persistent_count; i++) {
        const struct node *id = pickle->persistents[i]->args;
        struct node *key = id->kind == NODE_TUPLE && id->count > 2 ? id->items[2] : NULL;
        char text[48];
        char *kept;
        int bytes;

        if (!key || key->kind != NODE_INT)
            continue;
        bytes = snprintf(text, sizeof(text), "%" PRId64 ".storage", key->integer);
        kept = arena_copy(&torch->nodes, text, (size_t)bytes);
        if (!kept)
            return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for the model");
        id->items[2] = arena_take(&torch->nodes, sizeof(struct node));
        if (!id->items[2])
            return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for the model");
        id->items[2]->kind = NODE_TEXT;
        id->items[2]->text = (struct name){kept, (uint32_t)bytes};
    }
    return 0;
}

/* What the pickle holds, its tensors from folder beside it, or from torch->prefix where folder is NULL; names begin
 * with what torch->path has. */
static int read_pickle(struct torch *torch, const struct zip_member *member, const char *folder)
{
    const struct limits *limits = torch->opener->limits;
    struct pickle pickle;
    uint8_t *bytes = NULL;
    int rc;

    torch->nodes.limit = torch->nodes.bytes + TREE_FACTOR * member->bytes + (1 << 20);
    if (torch->nodes.limit > 8 * limits->header_bytes)
        torch->nodes.limit = 8 * limits->header_bytes;
    rc = folder ? set_prefix(torch, member, folder) : 0;
    if (rc == 0)
        rc = torch_read_member(torch, member, "a pickle", &bytes);
    if (rc == 0)
        rc = pickle_read(bytes, (size_t)member->bytes, &torch->nodes, &pickle, torch->err);
    if (rc == 0 && !folder)
        rc = name_storages(torch, &pickle);
    if (rc == 0)
        rc = torch_walk(torch, pickle.root, member->bytes);
    free(bytes);
    return rc;
}

/* TorchScript keeps what its code refers to apart: of a frozen module, the weights. They are named constants.0, … */
static int read_constants(struct torch *torch, const struct zip_member *constants)
{
    static const char name[] = "constants";
    int rc;

    if (!constants)
        return 0;
    memcpy(torch->path, name, sizeof(name) - 1);
    torch->path_bytes = sizeof(name) - 1;
    rc = read_pickle(torch, constants, "constants/");
    torch->path_bytes = 0;
    return rc;
}

int torch_read_pickle(struct torch *torch)
{
    const struct zip_member *member = find_pickle(&torch->storages);
    char first[NAME_PRINTABLE_BYTES];
    int rc;

    if (!member)
        return error_set(
            torch->err, ERROR_UNSUPPORTED,
            "is a ZIP archive that begins with %s and has no data.pkl: none of PyTorch's, NumPy's or Keras's",
            name_printable(torch->storages.first, first));
    torch->nodes.limit = torch->nodes.bytes + (1 << 20); /* for the names of members */
    rc = read_order(torch, find_beside(torch, member, "byteorder"));
    if (rc == 0)
        rc = read_pickle(torch, member, "data/");
    return rc ? rc : read_constants(torch, find_beside(torch, member, "constants.pkl"));
}

/* NAME/.data/extern_modules, which torch.package alone writes. */
static const struct zip_member *find_package(const struct zip *zip)
{
    for (size_t i = 0; i < zip->count; i++)
        if (ends_with(zip->members[i].name, "/.data/extern_modules"))
            return &zip->members[i];
    return NULL;
}

/* Whether it is one of the package's own pickles, whose name without folder and suffix is then *ret_name. */
static bool is_packaged(const struct torch *torch, const struct zip_member *member, struct name *ret_name)
{
    const uint32_t root = torch->prefix.bytes - (uint32_t)sizeof(".data/") + 1;

    if (!ends_with(member->name, ".pkl") || member->name.bytes <= root + 4 ||
        memcmp(member->name.text, torch->prefix.text, root) != 0 || member->name.text[root] == '.')
        return false;
    *ret_name = (struct name){member->name.text + root, member->name.bytes - root - 4};
    return true;
}

/* Of one pickle names are what it says; of several, the pickle's own stands before them. */
static int read_package(struct torch *torch, const struct zip_member *mark)
{
    size_t count = 0;
    struct name name;
    int rc = set_prefix(torch, mark, "");

    for (size_t i = 0; rc == 0 && i < torch->storages.count; i++)
        count += is_packaged(torch, &torch->storages.members[i], &name);
    if (rc == 0 && count == 0)
        return error_set(torch->err, ERROR_UNSUPPORTED, "is an archive of torch.package that holds no pickle");
    for (size_t i = 0; rc == 0 && i < torch->storages.count; i++) {
        if (!is_packaged(torch, &torch->storages.members[i], &name))
            continue;
        torch->path_bytes = count > 1 && name.bytes < sizeof(torch->path) ? name.bytes : 0;
        for (size_t k = 0; k < torch->path_bytes; k++)
            torch->path[k] = name.text[k] == '/' ? '.' : name.text[k];
        rc = read_pickle(torch, &torch->storages.members[i], NULL);
    }
    torch->path_bytes = 0;
    return rc;
}

static int read_archive(struct torch *torch)
{
    const struct zip_member *order = NULL, *package;
    bool is_pt2;
    int rc = zip_open(torch->source, torch->opener->limits, &torch->storages, torch->err);

    if (rc)
        return rc;
    package = find_package(&torch->storages);
    if (!package && find_pickle(&torch->storages))
        return torch_read_pickle(torch);
    for (size_t i = 0; i < torch->storages.count && !order; i++)
        if (ends_with(torch->storages.members[i].name, "/byteorder"))
            order = &torch->storages.members[i];
    torch->nodes.limit = 8 * torch->opener->limits->header_bytes;
    rc = read_order(torch, order);
    if (rc == 0 && package)
        return read_package(torch, package);
    if (rc == 0)
        rc = torch_pt2_read(torch, &is_pt2);
    return rc || is_pt2 ? rc : torch_read_pickle(torch); /* which says what it misses */
}

static int torch_zip_open(const struct opener *opener, struct source *source, struct model **ret_model,
                          struct error *err)
{
    struct torch torch;
    int rc = torch_begin(&torch, opener, source, err);

    if (rc == 0)
        rc = read_archive(&torch);
    if (rc == 0)
        torch.model->format = &torch_zip_format;
    return torch_finish(&torch, rc, ret_model);
}

const struct format torch_zip_format = {
    .name = "torch",
    .summary = "PyTorch's .pt, .pth, .bin, .ckpt and .pt2 since 1.6: state dicts, checkpoints, whole modules, "
               "TorchScript, torch.export, torch.package",
    .docs = &torch_docs,
    .probe = torch_zip_probe,
    .open = torch_zip_open,
    .shares_storages = true,
};
