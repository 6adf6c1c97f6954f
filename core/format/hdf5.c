/* HDF5: every dataset of numbers, by its path. Read here and not by the HDF5 library, which works for one thread at a
 * time, takes files at their word, and knows none that are written since: a file's structure is walked once, and what
 * is left are extents and lists of chunks, which any thread reads. Nothing outside the file is opened. */
#include "core/format/hdf5.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/format/hdf5_walk.h"
#include "core/utf8.h"

/* Deflate gives at most so many bytes from one; and what a file may say was never written. */
enum { RATIO_MAX = 1032, TARGET_MAX = 4096 };
#define UNWRITTEN_MAX (UINT64_C(1) << 30)

/* A group that is walked. */
struct group {
    struct hdf5_walk *walk;
    struct name name;
};

static bool visit_object(struct hdf5_walk *walk, struct name name, hid_t parent, const char *own_name,
                         uint64_t address);

bool hdf5_left_out(struct hdf5_walk *walk, struct name name, const char *what, struct name target)
{
    char printable[NAME_PRINTABLE_BYTES], to[NAME_PRINTABLE_BYTES] = "";

    if (target.text)
        name_printable(target, to);
    if (model_warn(walk->model, "left-out", (struct name){0}, "%s was left out: %s%s", name_printable(name, printable),
                   what, to) != 0)
        return hdf5_no_memory(&walk->h5);
    return true;
}

static size_t slot_of(const struct hdf5_walk *walk, uint64_t key)
{
    size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (walk->group_room - 1);

    while (walk->groups[slot] && walk->groups[slot] != key)
        slot = (slot + 1) & (walk->group_room - 1);
    return slot;
}

/* Whether the group was walked before; it has been now. */
bool hdf5_enter(struct hdf5_walk *walk, uint64_t address, bool *ret_again)
{
    const uint64_t key = address + 1;
    size_t slot;

    if (walk->group_count * 2 >= walk->group_room) {
        uint64_t *old = walk->groups;
        const size_t old_room = walk->group_room;

        walk->group_room = old_room ? 2 * old_room : 64;
        walk->groups = calloc(walk->group_room, sizeof(*walk->groups));
        if (!walk->groups) {
            walk->groups = old;
            walk->group_room = old_room;
            return hdf5_no_memory(&walk->h5);
        }
        for (size_t i = 0; i < old_room; i++)
            if (old[i])
                walk->groups[slot_of(walk, old[i])] = old[i];
        free(old);
    }
    slot = slot_of(walk, key);
    *ret_again = walk->groups[slot] != 0;
    walk->groups[slot] = key;
    walk->group_count += !*ret_again;
    return true;
}

bool hdf5_has_entered(const struct hdf5_walk *walk, uint64_t address)
{
    return walk->group_room && walk->groups[slot_of(walk, address + 1)];
}

static struct name join(struct hdf5_walk *walk, struct name prefix, struct name name, char separator)
{
    const size_t bytes = prefix.bytes + (prefix.bytes ? 1 : 0) + (size_t)name.bytes;
    char *text = bytes < UINT32_MAX ? arena_take(&walk->h5.arena, bytes + 1) : NULL;

    if (!text)
        return (struct name){0};
    if (prefix.bytes) {
        memcpy(text, prefix.text, prefix.bytes);
        text[prefix.bytes] = separator;
    }
    memcpy(text + bytes - name.bytes, name.text, name.bytes);
    return (struct name){text, (uint32_t)bytes};
}

/* A link to a file is followed no more than one to a name: the file is named, not opened. */
static bool leave_link(struct hdf5_walk *walk, hid_t parent, const char *own_name, const H5L_info_t *link,
                       struct name name)
{
    const bool is_external = link->type == H5L_TYPE_EXTERNAL;
    const char *file = NULL, *object;
    char target[TARGET_MAX] = "";
    unsigned flags;

    if (link->type != H5L_TYPE_SOFT && !is_external)
        return hdf5_left_out(walk, name, "it is a link of a kind that is not known", (struct name){0});
    if (link->u.val_size < sizeof(target))
        H5Lget_val(parent, own_name, target, sizeof(target) - 1, H5P_DEFAULT);
    if (!is_external)
        return hdf5_left_out(walk, name, "it is a link to ", name_of(target));
    if (link->u.val_size >= sizeof(target) ||
        H5Lunpack_elink_val(target, link->u.val_size, &flags, &file, &object) < 0 || !file)
        file = "that cannot be read";
    return hdf5_left_out(walk, name, "it is a link to another file, which is not opened: ", name_of(file));
}

static herr_t visit_link(hid_t parent, const char *own_name, const H5L_info_t *link, void *context)
{
    struct group *group = context;
    struct hdf5_walk *walk = group->walk;
    struct name name = name_of(own_name);
    bool is_good;

    if (name.bytes == 0 || !utf8_is_valid(name.text, name.bytes)) {
        hdf5_fault(&walk->h5, ERROR_FORMAT, "a link's name is no text");
        return -1;
    }
    name = join(walk, group->name, name, walk->style->is_matlab ? '.' : '/');
    if (!name.text)
        is_good = hdf5_no_memory(&walk->h5);
    else if (walk->style->is_matlab && strcmp(own_name, "#refs#") == 0)
        is_good = true; /* what cells hold is listed where they are */
    else if (walk->style->is_matlab && own_name[0] == '#')
        is_good = hdf5_left_out(walk, name, "what objects hold is not listed", (struct name){0});
    else if (link->type == H5L_TYPE_HARD)
        is_good = visit_object(walk, name, parent, own_name, link->u.address);
    else
        is_good = leave_link(walk, parent, own_name, link, name);
    return is_good ? 0 : -1;
}

/* MATLAB's logical and char lie as integers. */
static void refine_type(const struct hdf5_walk *walk, struct hdf5_dataset *dataset)
{
    struct hdf5_type *type = &dataset->type;

    if (type->is_opaque && type->bytes == 2 && name_equal(dataset->keras_dtype, name_of("bfloat16")))
        type->dtype = DTYPE_BF16;
    if (!walk->style->is_matlab)
        return;
    if (type->dtype == DTYPE_U8 && name_equal(dataset->matlab_class, name_of("logical")))
        type->dtype = DTYPE_BOOL;
    if (type->dtype == DTYPE_U16 && name_equal(dataset->matlab_class, name_of("char"))) {
        type->dtype = DTYPE_UNKNOWN;
        type->spelled = "char";
    }
}

static const struct storage *new_storage(struct hdf5_walk *walk, struct storage value)
{
    struct storage *storage = arena_take(&walk->h5.arena, sizeof(*storage));

    if (storage)
        *storage = value;
    else
        hdf5_no_memory(&walk->h5);
    return storage;
}

/* A tensor of every apart-th element from the extent's first one on: 2 for a part of complex numbers. */
static bool add_tensor(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, struct name name,
                       struct extent extent, unsigned apart)
{
    struct model *model = walk->model;
    const struct hdf5_type *type = &dataset->type;
    const uint32_t rank = dataset->rank + type->rank;
    const bool is_reversed = walk->style->is_matlab;
    struct tensor tensor = {.name = name, .dtype = type->dtype, .extent = extent};
    uint64_t *dims = arena_take_array(&walk->h5.arena, rank + 1, sizeof(*dims));
    uint64_t *steps = arena_take_array(&walk->h5.arena, rank + 1, sizeof(*steps));
    struct strides *strides;
    uint64_t step = apart;
    unsigned spread = 0; /* dimensions of more than one */

    if (!dims || !steps)
        return hdf5_no_memory(&walk->h5);
    tensor.shape = (struct shape){.dims = dims, .elements = 1, .rank = rank};
    for (uint32_t i = rank; i-- > 0;) {
        const uint64_t dim = i < dataset->rank ? dataset->dims[i] : type->dims[i - dataset->rank];
        const uint32_t d = is_reversed ? rank - 1 - i : i;

        dims[d] = dim;
        steps[d] = step;
        step *= dim ? dim : 1; /* the product was checked */
        spread += dim > 1;
        tensor.shape.elements *= dim;
    }
    if (type->is_complex && apart == 1)
        tensor.dtype = type->dtype == DTYPE_F64 ? DTYPE_C128 : DTYPE_C64;
    if (tensor.dtype == DTYPE_UNKNOWN || dataset->unread) {
        tensor.storage =
            new_storage(walk, (struct storage){.stored_as = tensor.dtype == DTYPE_UNKNOWN ? name_of(type->spelled)
                                                                                          : (struct name){0},
                                               .reason = dataset->unread});
    } else if (apart > 1 || (is_reversed && spread > 1)) {
        strides = arena_take(&walk->h5.arena, sizeof(*strides));
        if (!strides)
            return hdf5_no_memory(&walk->h5);
        *strides = (struct strides){.steps = steps, .is_swapped = type->is_swapped};
        tensor.storage = new_storage(walk, (struct storage){.decoder = &decoder_strided, .parameters = strides});
    } else if (type->is_swapped && type->bytes > 1) {
        tensor.storage = new_storage(walk, (struct storage){.decoder = decoder_swapped(tensor.dtype)});
    }
    if (model->tensor_count >= walk->h5.limits->tensors)
        return hdf5_fault(&walk->h5, ERROR_LIMIT, "it has more than %" PRIu64 " datasets, the limit",
                          walk->h5.limits->tensors);
    if (!array_reserve(&model->tensors, sizeof(*model->tensors), model->tensor_count, &walk->tensor_room))
        return hdf5_no_memory(&walk->h5);
    model->tensors[model->tensor_count++] = tensor;
    return walk->h5.rc == 0;
}

static bool make_file_room(struct hdf5_walk *walk)
{
    struct model *model = walk->model;

    return array_reserve(&model->files, sizeof(*model->files), model->file_count, &walk->file_room) ||
           hdf5_no_memory(&walk->h5);
}

/* A source of its own for a dataset that does not lie in one piece, once there is room. stored: bytes in the file. */
static uint32_t add_file(struct hdf5_walk *walk, struct source *source, uint64_t stored)
{
    struct model *model = walk->model;

    model->files[model->file_count] = (struct model_file){.source = source, .is_member = true, .member_bytes = stored};
    return (uint32_t)model->file_count++;
}

static bool add_source(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, struct hdf5_chunks *chunks,
                       uint64_t bytes, uint64_t stored, uint32_t *ret_file)
{
    struct source *source;

    if (!walk->cache)
        walk->cache = hdf5_cache_new();
    if (!walk->cache)
        return hdf5_no_memory(&walk->h5);
    if (!make_file_room(walk))
        return false;
    walk->h5.rc = hdf5_chunked_open(&walk->h5, dataset, chunks, bytes, walk->cache, &source);
    if (walk->h5.rc)
        return false;
    *ret_file = add_file(walk, source, stored);
    return true;
}

static bool place_unwritten(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes,
                            struct extent *extent)
{
    struct hdf5_chunks none = {.rank = dataset->rank};

    for (uint32_t d = 0; d < none.rank; d++)
        none.grid[d] = 1;
    extent->offset = 0;
    return add_source(walk, dataset, &none, bytes, 0, &extent->source);
}

static bool place_chunked(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes,
                          struct extent *extent)
{
    const uint64_t chunk_bytes = dataset->chunk_bytes;
    struct hdf5 *h5 = &walk->h5;
    struct hdf5_chunks chunks;
    uint64_t stored = 0;
    bool is_good;

    if (!hdf5_read_chunks(h5, dataset, &chunks))
        return false;
    for (size_t i = 0; i < chunks.count; i++) {
        stored += chunks.items[i].bytes;
        if (dataset->filter_count && chunks.items[i].bytes > chunk_bytes + chunk_bytes / 2 + 4096)
            hdf5_fault(h5, ERROR_FORMAT, "a chunk claims %" PRIu32 " bytes for %" PRIu64 " of elements",
                       chunks.items[i].bytes, chunk_bytes);
    }
    extent->offset = 0;
    is_good = h5->rc == 0 && add_source(walk, dataset, &chunks, bytes, stored, &extent->source);
    free(chunks.items);
    return is_good;
}

/* What lies in the header itself is small, and kept. */
static bool place_compact(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes,
                          struct extent *extent)
{
    struct hdf5 *h5 = &walk->h5;
    uint8_t *data = arena_take(&h5->arena, bytes);
    const hid_t type = H5Dget_type(dataset->id);
    struct source *source;
    bool is_good;

    if (!data)
        is_good = hdf5_no_memory(h5);
    else
        is_good = (type >= 0 && H5Dread(dataset->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0) ||
                  hdf5_library_fault(h5, "its data cannot be read");
    if (type >= 0)
        H5Tclose(type);
    if (!is_good || !make_file_room(walk))
        return false;
    h5->rc = memory_open(data, bytes, walk->model->uri, &source, h5->err);
    if (h5->rc)
        return false;
    extent->offset = 0;
    extent->source = add_file(walk, source, bytes);
    return true;
}

static bool place_contiguous(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes,
                             struct extent *extent)
{
    struct hdf5 *h5 = &walk->h5;
    const haddr_t at = H5Dget_offset(dataset->id);

    if (at == HADDR_UNDEF || at == HADDR_UNDEF + walk->user_block) /* nowhere, and the library adds the user block */
        return place_unwritten(walk, dataset, bytes, extent);
    if (at > h5->bytes || bytes > h5->bytes - at)
        return hdf5_fault(h5, ERROR_FORMAT,
                          "it claims %" PRIu64 " bytes at offset %" PRIu64 ", the file ends at %" PRIu64, bytes,
                          (uint64_t)at, h5->bytes);
    extent->offset = h5->start + at;
    return true;
}

/* Where its elements lie, as one extent of one of the model's files. */
bool hdf5_place(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes, struct extent *ret)
{
    struct hdf5 *h5 = &walk->h5;
    struct extent extent = {.offset = h5->start, .bytes = bytes, .source = walk->file};
    bool is_good = true;

    if (bytes > walk->claimed_max - walk->claimed)
        return hdf5_fault(h5, ERROR_FORMAT,
                          "it claims %" PRIu64 " bytes of elements: together with what came before, more than %" PRIu64
                          " bytes can give",
                          bytes, h5->bytes);
    walk->claimed += bytes;
    if (bytes && dataset->layout == H5D_CHUNKED)
        is_good = place_chunked(walk, dataset, bytes, &extent);
    else if (bytes && dataset->layout == H5D_COMPACT)
        is_good = place_compact(walk, dataset, bytes, &extent);
    else if (bytes)
        is_good = place_contiguous(walk, dataset, bytes, &extent);
    if (is_good)
        *ret = extent;
    return is_good;
}

/* Real and imaginary parts as tensors of their own: of doubles, for which there is no type, and of MATLAB's. */
static bool add_parts(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, struct name name,
                      struct extent extent)
{
    const uint64_t part_bytes = dataset->type.bytes / 2;
    struct extent part = extent;

    part.bytes = extent.bytes / 2;
    for (unsigned i = 0; i < 2; i++) {
        const struct name part_name = join(walk, name, name_of(i ? "imag" : "real"), '.');

        if (!part_name.text)
            return hdf5_no_memory(&walk->h5);
        if (!add_tensor(walk, dataset, part_name, part, 2))
            return false;
        part.offset += part.bytes ? part_bytes : 0;
    }
    return true;
}

static bool add_dataset(struct hdf5_walk *walk, struct name name, struct hdf5_dataset *dataset)
{
    struct hdf5 *h5 = &walk->h5;
    struct extent extent = {0};
    uint64_t bytes = dataset->type.bytes;

    refine_type(walk, dataset);
    if (walk->style->is_matlab && dataset->is_matlab_object)
        return hdf5_left_out(walk, name, "an object", (struct name){0});
    if (walk->style->is_matlab && dataset->unread && (dataset->type.is_object_reference || dataset->is_matlab_empty))
        return hdf5_left_out(walk, name, dataset->unread, (struct name){0});
    if (walk->style->is_matlab && dataset->type.is_object_reference && !dataset->is_matlab_empty)
        return hdf5_matlab_references(walk, name, dataset);
    if (walk->style->is_matlab && dataset->is_matlab_empty && hdf5_matlab_is_empty(walk, dataset))
        return h5->rc == 0;
    if (dataset->type.reason)
        return hdf5_left_out(walk, name, dataset->type.reason, (struct name){0});
    if (dataset->is_null) {
        dataset->rank = 1;
        dataset->dims[0] = 0;
    }
    for (uint32_t d = 0; d < dataset->rank; d++)
        if (!checked_mul(bytes, dataset->dims[d], &bytes))
            return hdf5_fault(h5, ERROR_FORMAT, "its dimensions multiply to more than 2^64 bytes");
    if (dataset->type.rank) { /* arrays as elements: dimensions of their own */
        uint64_t inner = dtype_traits(dataset->type.dtype)->bits / 8 * (dataset->type.is_complex ? 2 : 1);

        for (uint32_t d = 0; d < dataset->type.rank; d++)
            if (!checked_mul(inner, dataset->type.dims[d], &inner))
                inner = 0;
        if (inner != dataset->type.bytes)
            return hdf5_fault(h5, ERROR_FORMAT, "its elements are arrays of another size than they claim");
    }
    if (bytes == 0)
        dataset->unread = NULL; /* there is nothing to read */
    if (!dataset->unread && !hdf5_place(walk, dataset, bytes, &extent))
        return false;
    if (walk->style->rename) {
        const struct name other = walk->style->rename(walk->style->context, name, &h5->arena);

        if (other.text)
            name = other;
    }
    if (dataset->type.is_complex && walk->style->is_matlab)
        return add_parts(walk, dataset, name, extent);
    return add_tensor(walk, dataset, name, extent, 1);
}

static bool visit_group(struct hdf5_walk *walk, struct name name, hid_t id, uint64_t address)
{
    struct group group = {.walk = walk, .name = name};
    bool is_again = false;

    if (!hdf5_enter(walk, address, &is_again))
        return false;
    if (is_again)
        return hdf5_left_out(walk, name, "it leads to a group that is listed already", (struct name){0});
    if (walk->depth > walk->h5.limits->nesting)
        return hdf5_fault(&walk->h5, ERROR_LIMIT, "its groups are nested more than %u deep, the limit",
                          walk->h5.limits->nesting);
    return H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_link, &group) >= 0 ||
           hdf5_library_fault(&walk->h5, "its groups cannot be read");
}

static bool visit_dataset(struct hdf5_walk *walk, struct name name, hid_t id)
{
    struct hdf5 *h5 = &walk->h5;
    char printable[NAME_PRINTABLE_BYTES];
    struct hdf5_dataset dataset;
    const bool is_good = hdf5_describe(h5, id, &dataset) && add_dataset(walk, name, &dataset);

    if (!is_good)
        error_prefix(h5->err, h5->rc, "dataset %s: ", name_printable(name, printable));
    return is_good;
}

bool hdf5_visit(struct hdf5_walk *walk, struct name name, hid_t id, uint64_t address)
{
    const H5I_type_t kind = H5Iget_type(id);
    bool is_good = true;

    walk->depth++;
    if (kind == H5I_GROUP)
        is_good = visit_group(walk, name, id, address);
    else if (kind == H5I_DATASET)
        is_good = visit_dataset(walk, name, id);
    walk->depth--;
    return is_good;
}

/* What a hard link leads to. Datatypes are no model's. */
static bool visit_object(struct hdf5_walk *walk, struct name name, hid_t parent, const char *own_name, uint64_t address)
{
    const hid_t id = H5Oopen(parent, own_name, H5P_DEFAULT);
    const char *newer = id < 0 ? hdf5_newer_reason() : NULL;
    char printable[NAME_PRINTABLE_BYTES];
    bool is_good;

    if (newer)
        return hdf5_left_out(walk, name, newer, (struct name){0});
    if (id < 0) {
        hdf5_library_fault(&walk->h5, "cannot be opened");
        error_prefix(walk->h5.err, walk->h5.rc, "%s: ", name_printable(name, printable));
        return false;
    }
    is_good = hdf5_visit(walk, name, id, address);
    H5Oclose(id);
    return is_good;
}

static bool visit_root(struct hdf5_walk *walk)
{
    const hid_t properties = H5Fget_create_plist(walk->h5.file);
    H5O_info_t info;

    if (properties >= 0) {
        H5Pget_userblock(properties, &walk->user_block);
        H5Pclose(properties);
    }
    if (H5Oget_info2(walk->h5.file, &info, H5O_INFO_BASIC) < 0)
        return hdf5_library_fault(&walk->h5, "its root cannot be read");
    return visit_object(walk, (struct name){0}, walk->h5.file, "/", info.addr);
}

struct model *hdf5_new_model(struct source *source)
{
    struct model *model = calloc(1, sizeof(*model));

    if (!model)
        return NULL;
    model->uri = strdup(source->uri);
    model->files = calloc(2, sizeof(*model->files));
    model->tensors = calloc(1, sizeof(*model->tensors));
    if (!model->uri || !model->files || !model->tensors) {
        model_close(model);
        return NULL;
    }
    model->files[0].source = source;
    model->file_count = 1;
    return model;
}

int hdf5_open_model(const struct opener *opener, const struct hdf5_style *style, struct model *model, uint32_t file,
                    uint64_t at, uint64_t end, struct model **ret_model, struct error *err)
{
    struct source *source = model->files[file].source;
    struct hdf5_walk walk = {.style = style, .model = model, .file = file, .tensor_room = 1, .file_room = 2};
    struct hdf5 *h5 = &walk.h5;
    char uri[NAME_PRINTABLE_BYTES];

    walk.claimed_max =
        (end - at) < UINT64_MAX / RATIO_MAX - UNWRITTEN_MAX ? (end - at) * RATIO_MAX + UNWRITTEN_MAX : UINT64_MAX;
    if (hdf5_begin(h5, source, at, end, opener->limits, err) && visit_root(&walk) && model->tensor_count == 0 &&
        model->warning_count > 0)
        hdf5_fault(h5, ERROR_UNSUPPORTED, "nothing is left of it: %s", model->warnings[0].message);
    hdf5_end(h5);
    if (h5->rc == 0 && model_keep_arena(model, &h5->arena) != 0)
        hdf5_no_memory(h5);
    arena_done(&h5->arena);
    free(walk.groups);
    hdf5_cache_release(walk.cache);
    if (h5->rc) {
        const int rc = h5->rc;

        if (rc != ERROR_READ && rc != ERROR_CHANGED) /* the source has named itself */
            error_prefix(err, rc, "%s: ", name_printable(name_of(model->uri), uri));
        model->files[0].source = NULL; /* taken on success only */
        model_close(model);
        return rc;
    }
    model->format = style->format;
    *ret_model = model;
    return 0;
}

static bool has_signature(const struct head *head, size_t at)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";

    return at + sizeof(signature) - 1 <= head->first_bytes &&
           memcmp(head->first + at, signature, sizeof(signature) - 1) == 0;
}

static bool hdf5_probe(const struct head *head)
{
    return has_signature(head, 0) || has_signature(head, 512) || has_signature(head, 1024) || has_signature(head, 2048);
}

static int open_whole(const struct opener *opener, const struct hdf5_style *style, struct source *source,
                      struct model **ret_model, struct error *err)
{
    struct model *model = hdf5_new_model(source);

    if (!model)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    return hdf5_open_model(opener, style, model, 0, 0, source->size, ret_model, err);
}

static int hdf5_format_open(const struct opener *opener, struct source *source, struct model **ret_model,
                            struct error *err)
{
    const struct hdf5_style style = {.format = &hdf5_format};

    return open_whole(opener, &style, source, ret_model, err);
}

const struct format hdf5_format = {
    .name = "hdf5",
    .summary = "HDF5 .h5, .hdf5: every dataset of numbers by its path; Keras's older .h5 and .weights.h5",
    .docs = &hdf5_docs,
    .probe = hdf5_probe,
    .open = hdf5_format_open,
};

static bool matlab_hdf5_probe(const struct head *head)
{
    return has_signature(head, 512) && memcmp(head->first, "MATLAB", 6) == 0;
}

static int matlab_hdf5_open(const struct opener *opener, struct source *source, struct model **ret_model,
                            struct error *err)
{
    const struct hdf5_style style = {.format = &matlab_hdf5_format, .is_matlab = true};

    return open_whole(opener, &style, source, ret_model, err);
}

const struct format matlab_hdf5_format = {
    .name = "mat-7.3",
    .summary = "MATLAB 7.3 .mat: HDF5, dimensions as MATLAB has them",
    .docs = &matlab_docs,
    .probe = matlab_hdf5_probe,
    .open = matlab_hdf5_open,
};
