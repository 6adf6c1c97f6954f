/* PyTorch's container before 1.6: five pickles one behind the other (a magic number, a version, the machine, the
 * object, the storages' keys), then each storage: the number of its elements (i64) and these. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/format/torch.h"

enum { TREE_FACTOR = 64, VERSION = 1001 };

/* The magic number, 0x1950a86a20f9469cfc6c: in digits up to protocol 1, in bytes from 2 on, in a frame from 4 on. */
static const uint8_t in_digits[] = {'L', '1', '1', '9', '5', '4', '7', '0', '3', '7', '1', '4', '6',  '0',
                                    '3', '8', '8', '0', '1', '3', '3', '3', '3', '5', '6', 'L', '\n', '.'};
static const uint8_t in_bytes[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
static const uint8_t framed[] = {0x95, sizeof(in_bytes), 0, 0, 0, 0, 0, 0, 0};

static bool has_at(const uint8_t *bytes, size_t count, size_t at, const uint8_t *wanted, size_t wanted_bytes)
{
    return count >= at + wanted_bytes && memcmp(bytes + at, wanted, wanted_bytes) == 0;
}

/* The length of its pickle; 0: the file begins with something else. */
static size_t magic_bytes(const uint8_t *bytes, size_t count)
{
    size_t at = 2; /* behind the protocol's number */

    if (has_at(bytes, count, 0, in_digits, sizeof(in_digits)))
        return sizeof(in_digits);
    if (count < at || bytes[0] != 0x80 || bytes[1] < 2 || bytes[1] > 5)
        return 0;
    if (has_at(bytes, count, at, framed, sizeof(framed)))
        at += sizeof(framed);
    return has_at(bytes, count, at, in_bytes, sizeof(in_bytes)) ? at + sizeof(in_bytes) : 0;
}

static bool torch_legacy_probe(const struct head *head)
{
    return magic_bytes(head->first, head->first_bytes) > 0;
}

/* The start of the file, which the pickles lie in. */
struct front {
    struct source *source;
    struct span span;
    uint8_t *buffer;
    const uint8_t *bytes;
    size_t count, at;
};

static int front_open(struct front *front, struct source *source, uint64_t limit, struct error *err)
{
    int rc;

    *front = (struct front){.source = source, .count = (size_t)(source->size < limit ? source->size : limit)};
    if (source->ops->map) {
        rc = source->ops->map(source, 0, front->count, &front->span, err);
        front->bytes = front->span.data;
        return rc;
    }
    front->buffer = malloc(front->count + 1);
    if (!front->buffer)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for its pickles");
    front->bytes = front->buffer;
    return source_read_at(source, 0, front->buffer, front->count, err);
}

static void front_done(struct front *front)
{
    if (front->span.data)
        front->source->ops->unmap(front->source, &front->span);
    free(front->buffer);
}

static int next_pickle(struct torch *torch, struct front *front, const char *what, struct pickle *ret)
{
    int rc = pickle_read(front->bytes + front->at, front->count - front->at, &torch->nodes, ret, torch->err);

    if (rc)
        return error_prefix(torch->err, rc, "%s at offset %zu: ", what, front->at);
    front->at += ret->bytes;
    return 0;
}

/* What an element of each key's storage takes is said where the object uses it. */
static int list_sizes(struct torch *torch, const struct pickle *object, struct zip_member **ret, size_t *ret_count)
{
    struct zip_member *list = arena_take_array(&torch->nodes, object->persistent_count + 1, sizeof(*list));
    char key[NAME_PRINTABLE_BYTES];
    size_t count = 0, kept = 0;

    if (!list)
        return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for its storages");
    for (size_t i = 0; i < object->persistent_count; i++) {
        struct torch_storage storage;
        int rc = torch_storage_of(object->persistents[i], &storage, torch->err);

        if (rc)
            return rc;
        list[count++] = (struct zip_member){.name = storage.key, .bytes = storage.type->bytes};
    }
    if (count)
        qsort(list, count, sizeof(*list), zip_member_compare);
    for (size_t i = 0; i < count; i++) {
        if (kept && name_equal(list[kept - 1].name, list[i].name)) {
            if (list[kept - 1].bytes != list[i].bytes)
                return error_set(torch->err, ERROR_FORMAT,
                                 "storage %s is used with elements of %" PRIu64 " and of %" PRIu64 " bytes",
                                 name_printable(list[i].name, key), list[kept - 1].bytes, list[i].bytes);
            continue;
        }
        list[kept++] = list[i];
    }
    *ret = list;
    *ret_count = kept;
    return 0;
}

static int place_storages(struct torch *torch, const struct node *keys, const struct zip_member *sizes, size_t count,
                          uint64_t at)
{
    const uint64_t size = torch->source->size;
    char key[NAME_PRINTABLE_BYTES];

    torch->storages.members = calloc((size_t)keys->count + 1, sizeof(*torch->storages.members));
    if (!torch->storages.members)
        return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for its storages");
    for (uint32_t i = 0; i < keys->count; i++) {
        struct zip_member wanted, *member = &torch->storages.members[i];
        const struct zip_member *known;
        uint8_t stored[8];
        uint64_t elements = 0, bytes;
        int rc;

        if (keys->items[i]->kind != NODE_TEXT)
            return error_set(torch->err, ERROR_FORMAT, "a storage's key is no text");
        wanted.name = keys->items[i]->text;
        name_printable(wanted.name, key);
        known = count ? bsearch(&wanted, sizes, count, sizeof(wanted), zip_member_compare) : NULL;
        if (!known)
            return error_set(torch->err, ERROR_FORMAT, "storage %s is in the file, but nothing uses it", key);
        if (at > size || size - at < 8)
            return error_set(torch->err, ERROR_FORMAT,
                             "storage %s should begin at offset %" PRIu64 ", the file ends at %" PRIu64, key, at, size);
        rc = source_read_at(torch->source, at, stored, sizeof(stored), torch->err);
        if (rc)
            return rc;
        for (int b = 0; b < 8; b++)
            elements |= (uint64_t)stored[torch->is_swapped ? 7 - b : b] << (8 * b);
        at += 8;
        if (!checked_mul(elements, known->bytes, &bytes) || bytes > size - at)
            return error_set(torch->err, ERROR_FORMAT,
                             "storage %s claims %" PRIu64 " elements of %" PRIu64 " bytes at offset %" PRIu64
                             ", the file ends at %" PRIu64,
                             key, elements, known->bytes, at, size);
        *member = (struct zip_member){.name = wanted.name, .offset = at, .stored_bytes = bytes, .bytes = bytes};
        torch->storages.count++;
        at += bytes;
    }
    if (torch->storages.count)
        qsort(torch->storages.members, torch->storages.count, sizeof(*torch->storages.members), zip_member_compare);
    for (size_t i = 1; i < torch->storages.count; i++)
        if (name_equal(torch->storages.members[i - 1].name, torch->storages.members[i].name))
            return error_set(torch->err, ERROR_FORMAT, "storage %s is listed twice",
                             name_printable(torch->storages.members[i].name, key));
    return 0;
}

static int read_pickles(struct torch *torch, struct front *front)
{
    struct pickle version, machine, object, keys;
    struct zip_member *sizes = NULL;
    const struct node *order;
    size_t count = 0;
    int rc;

    front->at = magic_bytes(front->bytes, front->count);
    rc = next_pickle(torch, front, "its version", &version);
    if (rc == 0 && (version.root->kind != NODE_INT || version.root->integer != VERSION))
        rc = error_set(torch->err, ERROR_UNSUPPORTED, "is of another version of the legacy container than %d", VERSION);
    if (rc == 0)
        rc = next_pickle(torch, front, "its machine", &machine);
    if (rc)
        return rc;
    order = node_member(machine.root, "little_endian");
    torch->is_swapped = order && order->kind == NODE_BOOL && !order->integer;
    rc = next_pickle(torch, front, "its object", &object);
    if (rc == 0)
        rc = next_pickle(torch, front, "its keys", &keys);
    if (rc == 0 && keys.root->kind != NODE_LIST)
        rc = error_set(torch->err, ERROR_FORMAT, "its storages' keys are no list");
    if (rc == 0)
        rc = list_sizes(torch, &object, &sizes, &count);
    if (rc == 0)
        rc = place_storages(torch, keys.root, sizes, count, front->at);
    return rc ? rc : torch_walk(torch, object.root, object.bytes);
}

static int torch_legacy_open(const struct opener *opener, struct source *source, struct model **ret_model,
                             struct error *err)
{
    struct front front = {0};
    struct torch torch;
    int rc = torch_begin(&torch, opener, source, err);

    torch.nodes.limit = 8 * opener->limits->header_bytes;
    if (torch.nodes.limit / TREE_FACTOR > source->size)
        torch.nodes.limit = TREE_FACTOR * source->size + (1 << 20);
    if (rc == 0)
        rc = front_open(&front, source, opener->limits->header_bytes, err);
    if (rc == 0)
        rc = read_pickles(&torch, &front);
    if (rc == 0)
        torch.model->format = &torch_legacy_format;
    rc = torch_finish(&torch, rc, ret_model);
    front_done(&front);
    return rc;
}

const struct format torch_legacy_format = {
    .name = "torch-legacy",
    .summary = "PyTorch's .pt, .pth, .bin and .ckpt before 1.6 (_use_new_zipfile_serialization=False)",
    .docs = &torch_docs,
    .probe = torch_legacy_probe,
    .open = torch_legacy_open,
    .shares_storages = true,
};
