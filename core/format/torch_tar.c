/* PyTorch's first container (0.1), a tar of three members: "storages" (their number, then of each a pickle of its key,
 * its place and its type, the number of its elements, and these; then a pickle of those that are views of others),
 * "tensors" (their number, then of each a pickle of its key, its storage's and its type, and its sizes and strides),
 * and "pickle", the object, in which a tensor's key stands for it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/format/torch.h"

enum { BLOCK = 512, RANK_MAX = 64, MEMBERS_MAX = 64, TREE_FACTOR = 64, PICKLE_BYTES_MIN = 4 };

struct member {
    uint64_t at, end;
    bool is_there;
};

struct keyed {
    int64_t key;
    const struct torch_dtype *type; /* of a storage */
    struct node *call;              /* of a tensor */
    uint64_t offset, elements;
};

struct tar {
    struct torch *torch;
    struct member storages, tensors, pickle;
    struct keyed *storage, *tensor; /* by key */
    size_t storage_count, tensor_count;
};

static bool torch_tar_probe(const struct head *head)
{
    static const char *const names[] = {"storages", "tensors", "pickle"};

    if (head->first_bytes < BLOCK || memcmp(head->first + 257, "ustar", 5) != 0)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp((const char *)head->first, names[i]) == 0 ||
            (head->first[0] == '.' && head->first[1] == '/' && strcmp((const char *)head->first + 2, names[i]) == 0))
            return true;
    return false;
}

static int no_memory(struct tar *tar)
{
    return error_set(tar->torch->err, ERROR_NO_MEMORY, "out of memory for its tensors");
}

static bool octal(const uint8_t *text, size_t bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = 0;

    while (i < bytes && text[i] == ' ')
        i++;
    for (; i < bytes && text[i] >= '0' && text[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(text[i] - '0'); /* at most 12 digits: no overflow */
    *ret_value = value;
    return i == bytes || text[i] == '\0' || text[i] == ' ';
}

static bool is_checksum_right(const uint8_t *header)
{
    uint64_t claimed, sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : header[i];
    return octal(header + 148, 8, &claimed) && claimed == sum;
}

static void take_member(struct tar *tar, const uint8_t *header, uint64_t at, uint64_t bytes)
{
    const char *name = (const char *)header;
    struct member *member;

    if (name[0] == '.' && name[1] == '/')
        name += 2;
    member = strcmp(name, "storages") == 0  ? &tar->storages
             : strcmp(name, "tensors") == 0 ? &tar->tensors
             : strcmp(name, "pickle") == 0  ? &tar->pickle
                                            : NULL;
    if (member)
        *member = (struct member){at, at + bytes, true};
}

static int read_members(struct tar *tar)
{
    struct source *source = tar->torch->source;
    uint64_t at = 0;

    for (int i = 0; i < MEMBERS_MAX && at < source->size && source->size - at >= BLOCK; i++) {
        uint8_t header[BLOCK + 1] = {0};
        uint64_t bytes;
        int rc = source_read_at(source, at, header, BLOCK, tar->torch->err);

        if (rc)
            return rc;
        if (header[0] == '\0')
            break;
        if (!is_checksum_right(header) || !octal(header + 124, 12, &bytes))
            return error_set(tar->torch->err, ERROR_FORMAT, "tar: the header at offset %" PRIu64 " is damaged", at);
        header[100] = '\0';
        at += BLOCK;
        if (bytes > source->size - at)
            return error_set(tar->torch->err, ERROR_FORMAT,
                             "tar: a member claims %" PRIu64 " bytes at offset %" PRIu64 ", the file ends at %" PRIu64,
                             bytes, at, source->size);
        if (header[156] == '0' || header[156] == '\0')
            take_member(tar, header, at, bytes);
        at += (bytes + BLOCK - 1) / BLOCK * BLOCK;
    }
    if (!tar->storages.is_there || !tar->tensors.is_there || !tar->pickle.is_there)
        return error_set(tar->torch->err, ERROR_UNSUPPORTED,
                         "is a tar without the members storages, tensors and pickle, so none of PyTorch's");
    return 0;
}

/* The next pickle of the member, which moves on behind it. Of its values only numbers and globals outlive the call. */
static int next_pickle(struct tar *tar, struct member *member, const char *what, struct pickle *ret)
{
    struct torch *torch = tar->torch;
    const uint64_t limit = torch->opener->limits->header_bytes, rest = member->end - member->at;
    const size_t bytes = (size_t)(rest < limit ? rest : limit);
    struct source *source = torch->source;
    struct span window;
    int rc;

    if (bytes == 0)
        return error_set(torch->err, ERROR_FORMAT, "%s: its member ends at offset %" PRIu64, what, member->end);
    rc = source->ops->map ? source->ops->map(source, member->at, bytes, &window, torch->err)
                          : error_set(torch->err, ERROR_UNSUPPORTED, "is a tar within something else");
    if (rc)
        return rc;
    rc = pickle_read(window.data, bytes, &torch->nodes, ret, torch->err);
    if (rc == 0)
        member->at += ret->bytes;
    else
        error_prefix(torch->err, rc, "%s at offset %" PRIu64 ": ", what, member->at);
    source->ops->unmap(source, &window);
    return rc;
}

static int read_number(struct tar *tar, struct member *member, unsigned bytes, uint64_t *ret_value)
{
    uint8_t stored[8];
    uint64_t value = 0;
    int rc;

    if (member->end - member->at < bytes)
        return error_set(tar->torch->err, ERROR_FORMAT, "tar: a number at offset %" PRIu64 " is cut short", member->at);
    rc = source_read_at(tar->torch->source, member->at, stored, bytes, tar->torch->err);
    if (rc)
        return rc;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | stored[i];
    member->at += bytes;
    *ret_value = value;
    return 0;
}

static int read_count(struct tar *tar, struct member *member, const char *what, size_t *ret_count)
{
    struct pickle pickle = {0};
    int rc = next_pickle(tar, member, what, &pickle);

    if (rc)
        return rc;
    if (pickle.root->kind != NODE_INT || pickle.root->integer < 0 ||
        (uint64_t)pickle.root->integer > (member->end - member->at) / PICKLE_BYTES_MIN)
        return error_set(tar->torch->err, ERROR_FORMAT, "%s is none, or more than its member can hold", what);
    *ret_count = (size_t)pickle.root->integer;
    return 0;
}

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static const struct keyed *find(const struct keyed *list, size_t count, int64_t key)
{
    const struct keyed wanted = {.key = key};

    return count ? bsearch(&wanted, list, count, sizeof(wanted), compare_keyed) : NULL;
}

static int check_keys(struct tar *tar, struct keyed *list, size_t count, const char *what)
{
    if (count)
        qsort(list, count, sizeof(*list), compare_keyed);
    for (size_t i = 1; i < count; i++)
        if (list[i - 1].key == list[i].key)
            return error_set(tar->torch->err, ERROR_FORMAT, "tar: %s %" PRId64 " is there twice", what, list[i].key);
    return 0;
}

/* (key, place, type), the number of elements, and these. */
static int read_storage(struct tar *tar, struct member *member, struct keyed *ret)
{
    const struct node *root;
    struct pickle pickle = {0};
    uint64_t elements = 0, bytes;
    int rc = next_pickle(tar, member, "a storage", &pickle);

    if (rc)
        return rc;
    root = pickle.root;
    if (root->kind != NODE_TUPLE || root->count != 3 || root->items[0]->kind != NODE_INT)
        return error_set(tar->torch->err, ERROR_FORMAT, "tar: a storage is not (key, place, type)");
    ret->key = root->items[0]->integer;
    ret->type = torch_dtype_of(root->items[2]);
    if (!ret->type)
        return error_set(tar->torch->err, ERROR_UNSUPPORTED, "tar: storage %" PRId64 " is of an unknown type",
                         ret->key);
    rc = read_number(tar, member, 8, &elements);
    if (rc)
        return rc;
    if (!checked_mul(elements, ret->type->bytes, &bytes) || bytes > member->end - member->at)
        return error_set(tar->torch->err, ERROR_FORMAT,
                         "tar: storage %" PRId64 " claims %" PRIu64 " elements of %u bytes at offset %" PRIu64
                         ", its member ends at %" PRIu64,
                         ret->key, elements, ret->type->bytes, member->at, member->end);
    ret->elements = elements;
    ret->offset = member->at;
    member->at += bytes;
    return 0;
}

/* [(key, key of the root, offset, elements), …] */
static int read_views(struct tar *tar, size_t roots)
{
    struct pickle pickle = {0};
    struct keyed *grown;
    int rc = next_pickle(tar, &tar->storages, "its views", &pickle);

    if (rc)
        return rc;
    if (pickle.root->kind != NODE_LIST)
        return error_set(tar->torch->err, ERROR_FORMAT, "tar: its views are no list");
    grown = reallocarray(tar->storage, roots + pickle.root->count + 1, sizeof(*grown));
    if (!grown)
        return no_memory(tar);
    tar->storage = grown;
    for (uint32_t i = 0; i < pickle.root->count; i++) {
        const struct node *view = pickle.root->items[i];
        const struct keyed *root = NULL;

        for (uint32_t n = 0; n < view->count && n < 4; n++)
            if (view->items[n]->kind != NODE_INT)
                return error_set(tar->torch->err, ERROR_FORMAT, "tar: a view is not of four numbers");
        if (view->kind == NODE_TUPLE && view->count == 4)
            root = find(tar->storage, roots, view->items[1]->integer);
        if (!root || view->items[2]->integer < 0 || (uint64_t)view->items[2]->integer > root->elements ||
            view->items[3]->integer < 0 ||
            (uint64_t)view->items[3]->integer > root->elements - (uint64_t)view->items[2]->integer)
            return error_set(tar->torch->err, ERROR_FORMAT, "tar: a view is of no storage, or reaches beyond it");
        grown[roots + i] =
            (struct keyed){.key = view->items[0]->integer,
                           .type = root->type,
                           .offset = root->offset + (uint64_t)view->items[2]->integer * root->type->bytes,
                           .elements = (uint64_t)view->items[3]->integer};
    }
    tar->storage_count = roots + pickle.root->count;
    return 0;
}

static char *key_text(struct tar *tar, int64_t key)
{
    char text[24];
    const int bytes = snprintf(text, sizeof(text), "%" PRId64, key);

    return arena_copy(&tar->torch->nodes, text, (size_t)bytes);
}

/* As members, which is what tensors look for their storages among. */
static int list_members(struct tar *tar)
{
    struct zip *zip = &tar->torch->storages;

    zip->members = calloc(tar->storage_count + 1, sizeof(*zip->members));
    if (!zip->members)
        return no_memory(tar);
    for (size_t i = 0; i < tar->storage_count; i++) {
        const struct keyed *storage = &tar->storage[i];
        const uint64_t bytes = storage->elements * storage->type->bytes;
        char *text = key_text(tar, storage->key);

        if (!text)
            return no_memory(tar);
        zip->members[zip->count++] = (struct zip_member){
            .name = name_of(text), .offset = storage->offset, .stored_bytes = bytes, .bytes = bytes};
    }
    if (zip->count)
        qsort(zip->members, zip->count, sizeof(*zip->members), zip_member_compare);
    return 0;
}

static int read_storages(struct tar *tar)
{
    size_t roots = 0;
    int rc = read_count(tar, &tar->storages, "the number of its storages", &roots);

    if (rc)
        return rc;
    tar->storage = calloc(roots + 1, sizeof(*tar->storage));
    if (!tar->storage)
        return no_memory(tar);
    for (size_t i = 0; rc == 0 && i < roots; i++)
        rc = read_storage(tar, &tar->storages, &tar->storage[i]);
    if (rc == 0)
        rc = check_keys(tar, tar->storage, roots, "storage");
    if (rc == 0)
        rc = read_views(tar, roots);
    if (rc == 0)
        rc = check_keys(tar, tar->storage, tar->storage_count, "storage");
    return rc ? rc : list_members(tar);
}

/* Sizes and strides: the rank (4 bytes, and 4 that say nothing), one i64 each, and the offset. */
static int read_shape(struct tar *tar, struct member *member, uint64_t *dims, uint64_t *steps,
                      struct torch_parts *parts)
{
    uint64_t unused = 0;
    int rc = read_number(tar, member, 4, &parts->rank);

    if (rc == 0)
        rc = read_number(tar, member, 4, &unused);
    if (rc)
        return rc;
    if (parts->rank > RANK_MAX)
        return error_set(tar->torch->err, ERROR_FORMAT, "tar: a tensor claims %" PRIu64 " dimensions", parts->rank);
    for (uint64_t d = 0; rc == 0 && d < parts->rank; d++)
        rc = read_number(tar, member, 8, &dims[d]);
    for (uint64_t d = 0; rc == 0 && d < parts->rank; d++)
        rc = read_number(tar, member, 8, &steps[d]);
    parts->dims = dims;
    parts->steps = steps;
    return rc ? rc : read_number(tar, member, 8, &parts->first);
}

/* (key, key of the storage, type) */
static int read_tensor(struct tar *tar, struct member *member, struct keyed *ret)
{
    uint64_t dims[RANK_MAX], steps[RANK_MAX];
    struct torch_parts parts = {0};
    const struct keyed *storage = NULL;
    const struct node *root;
    struct pickle pickle = {0};
    int rc = next_pickle(tar, member, "a tensor", &pickle);

    if (rc)
        return rc;
    root = pickle.root;
    if (root->kind != NODE_TUPLE || root->count != 3 || root->items[0]->kind != NODE_INT)
        return error_set(tar->torch->err, ERROR_FORMAT, "tar: a tensor is not (key, storage, type)");
    ret->key = root->items[0]->integer;
    if (root->items[1]->kind == NODE_INT)
        storage = find(tar->storage, tar->storage_count, root->items[1]->integer);
    rc = read_shape(tar, member, dims, steps, &parts);
    if (rc)
        return rc;
    if (!storage)
        return root->items[1]->kind == NODE_NONE
                   ? 0 /* of no elements: it stays what it is in the object */
                   : error_set(tar->torch->err, ERROR_FORMAT, "tar: tensor %" PRId64 " has no storage", ret->key);
    parts.storage = name_of(key_text(tar, storage->key));
    parts.storage_bytes = storage->elements * storage->type->bytes;
    parts.type = storage->type->name;
    ret->call = parts.storage.text ? torch_rebuild_node(tar->torch, &parts) : NULL;
    return ret->call ? 0 : no_memory(tar);
}

static int read_tensors(struct tar *tar)
{
    int rc = read_count(tar, &tar->tensors, "the number of its tensors", &tar->tensor_count);

    if (rc)
        return rc;
    tar->tensor = calloc(tar->tensor_count + 1, sizeof(*tar->tensor));
    if (!tar->tensor)
        return no_memory(tar);
    for (size_t i = 0; rc == 0 && i < tar->tensor_count; i++)
        rc = read_tensor(tar, &tar->tensors, &tar->tensor[i]);
    return rc ? rc : check_keys(tar, tar->tensor, tar->tensor_count, "tensor");
}

/* A key as the object has it: text in decimal, or a number. */
static bool key_of(const struct node *id, int64_t *ret_key)
{
    int64_t key = 0;

    if (id->kind == NODE_INT) {
        *ret_key = id->integer;
        return true;
    }
    if (id->kind != NODE_TEXT || id->text.bytes == 0 || id->text.bytes > 18)
        return false;
    for (uint32_t i = 0; i < id->text.bytes; i++) {
        if (id->text.text[i] < '0' || id->text.text[i] > '9')
            return false;
        key = key * 10 + (id->text.text[i] - '0');
    }
    *ret_key = key;
    return true;
}

/* What stands for a tensor becomes the call that rebuilds it. */
static int read_object(struct tar *tar)
{
    struct torch *torch = tar->torch;
    const uint64_t bytes = tar->pickle.end - tar->pickle.at;
    struct zip_member whole = {.offset = tar->pickle.at, .stored_bytes = bytes, .bytes = bytes};
    struct pickle pickle = {0};
    uint8_t *text = NULL;
    int rc = zip_read(torch->source, &whole, torch->opener->limits->header_bytes, "its pickle", &text, torch->err);

    if (rc)
        return rc;
    rc = pickle_read(text, (size_t)bytes, &torch->nodes, &pickle, torch->err);
    for (size_t i = 0; rc == 0 && i < pickle.persistent_count; i++) {
        struct node *node = pickle.persistents[i];
        const struct keyed *tensor = NULL;
        int64_t key;

        if (key_of(node->args, &key))
            tensor = find(tar->tensor, tar->tensor_count, key);
        if (tensor && tensor->call)
            *node = *tensor->call;
    }
    if (rc == 0)
        rc = torch_walk(torch, pickle.root, bytes + tar->tensor_count);
    free(text);
    return rc;
}

static int torch_tar_open(const struct opener *opener, struct source *source, struct model **ret_model,
                          struct error *err)
{
    struct torch torch;
    struct tar tar = {.torch = &torch};
    int rc = torch_begin(&torch, opener, source, err);

    torch.nodes.limit = 8 * opener->limits->header_bytes;
    if (torch.nodes.limit / TREE_FACTOR > source->size)
        torch.nodes.limit = TREE_FACTOR * source->size + (1 << 20);
    if (rc == 0)
        rc = read_members(&tar);
    if (rc == 0)
        rc = read_storages(&tar);
    if (rc == 0)
        rc = read_tensors(&tar);
    if (rc == 0)
        rc = read_object(&tar);
    if (rc == 0)
        torch.model->format = &torch_tar_format;
    free(tar.storage);
    free(tar.tensor);
    return torch_finish(&torch, rc, ret_model);
}

const struct format torch_tar_format = {
    .name = "torch-tar",
    .summary = "PyTorch's .pt and .pth of 0.1, a tar of storages, tensors and a pickle",
    .docs = &torch_docs,
    .probe = torch_tar_probe,
    .open = torch_tar_open,
    .shares_storages = true,
};
