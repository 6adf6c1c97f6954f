/* NumPy: an array alone (.npy), or a ZIP archive of them (.npz), stored or deflated. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/decode/decoder.h"
#include "core/format/format.h"
#include "core/format/numpy_header.h"
#include "core/format/zip.h"
#include "core/io/inflated.h"

struct numpy {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    struct model *model;
    struct arena arena;
};

static bool npy_probe(const struct head *head)
{
    return head->first_bytes >= 6 && memcmp(head->first, "\x93NUMPY", 6) == 0;
}

/* An archive whose first member is an array. */
static bool npz_probe(const struct head *head)
{
    uint32_t name_bytes;

    if (head->first_bytes < 30 || memcmp(head->first, "PK\x03\x04", 4) != 0)
        return false;
    name_bytes = head->first[26] | (uint32_t)head->first[27] << 8;
    return name_bytes > 4 && 30 + name_bytes <= head->first_bytes &&
           memcmp(head->first + 30 + name_bytes - 4, ".npy", 4) == 0;
}

static int no_memory(struct numpy *n)
{
    return error_set(n->err, arena_error(&n->arena), "its arrays %s", arena_error_text(&n->arena));
}

static const struct storage *new_storage(struct numpy *n, struct storage value)
{
    struct storage *storage = arena_take(&n->arena, sizeof(*storage));

    if (storage)
        *storage = value;
    return storage;
}

static int set_storage(struct numpy *n, const struct numpy_header *header, struct tensor *tensor)
{
    const uint32_t rank = header->shape.rank;
    const bool is_swapped = header->is_swapped && header->item_bytes > 1;
    struct strides *strides;
    uint64_t *steps, step = 1;

    if (header->dtype == DTYPE_UNKNOWN) {
        tensor->storage = new_storage(n, (struct storage){.stored_as = header->descr});
        return tensor->storage ? 0 : no_memory(n);
    }
    if (!header->is_fortran || rank <= 1) {
        if (is_swapped) {
            tensor->storage = new_storage(n, (struct storage){.decoder = decoder_swapped(header->dtype)});
            return tensor->storage ? 0 : no_memory(n);
        }
        return 0;
    }
    steps = arena_take_array(&n->arena, rank, sizeof(*steps));
    strides = arena_take(&n->arena, sizeof(*strides));
    if (!steps || !strides)
        return no_memory(n);
    for (uint32_t d = 0; d < rank; d++) { /* the first dimension varies fastest; products were checked */
        steps[d] = step;
        step *= header->shape.dims[d] ? header->shape.dims[d] : 1;
    }
    *strides = (struct strides){.steps = steps, .is_swapped = is_swapped};
    tensor->storage = new_storage(n, (struct storage){.decoder = &decoder_strided, .parameters = strides});
    return tensor->storage ? 0 : no_memory(n);
}

/* The array at [at, end) of the model's file `file`, as a tensor of that name. */
static int add_array(struct numpy *n, uint32_t file, uint64_t at, uint64_t end, struct name name)
{
    struct source *source = n->model->files[file].source;
    char printable[NAME_PRINTABLE_BYTES];
    struct numpy_header header = {.dtype = DTYPE_UNKNOWN};
    struct tensor tensor = {.name = name};
    struct byte_reader reader;
    uint64_t bytes;
    int rc = byte_reader_open(&reader, source, at, end, n->err);

    name_printable(name, printable);
    if (rc == 0 && !numpy_header_read(&reader, &n->arena, &header))
        rc = reader.rc;
    byte_reader_done(&reader);
    if (rc)
        return error_prefix(n->err, rc, "array %s: ", printable);
    if (!checked_mul(header.shape.elements, header.item_bytes, &bytes) || bytes > end - header.data_at)
        return error_set(n->err, ERROR_FORMAT,
                         "array %s: %" PRIu64 " elements of %" PRIu64 " bytes need more than the %" PRIu64
                         " bytes that it has",
                         printable, header.shape.elements, header.item_bytes, end - header.data_at);
    if (header.item_bytes == 0)
        bytes = end - header.data_at; /* of a structured dtype nothing else is known */
    tensor.dtype = header.dtype;
    tensor.shape = header.shape;
    tensor.extent = (struct extent){.offset = header.data_at, .bytes = bytes, .source = file};
    rc = set_storage(n, &header, &tensor);
    if (rc)
        return rc;
    if (bytes < end - header.data_at &&
        model_warn(n->model, "trailing-bytes", name, "array %s: %" PRIu64 " bytes follow its data", printable,
                   end - header.data_at - bytes) != 0)
        return no_memory(n);
    n->model->tensors[n->model->tensor_count++] = tensor;
    return 0;
}

static int begin(struct numpy *n, size_t tensors, size_t files)
{
    struct model *model = calloc(1, sizeof(*model));

    n->model = model;
    n->arena.limit = 2 * n->opener->limits->header_bytes;
    if (!model)
        return no_memory(n);
    model->uri = strdup(n->source->uri);
    model->files = calloc(files, sizeof(*model->files));
    model->tensors = calloc(tensors + 1, sizeof(*model->tensors));
    if (!model->uri || !model->files || !model->tensors)
        return no_memory(n);
    model->files[0].source = n->source;
    model->file_count = 1;
    return 0;
}

static int finish(struct numpy *n, int rc, const struct format *format, struct model **ret_model)
{
    if (rc == 0 && model_keep_arena(n->model, &n->arena) != 0)
        rc = no_memory(n);
    arena_done(&n->arena);
    if (rc == 0) {
        n->model->format = format;
        *ret_model = n->model;
        return 0;
    }
    return format_reject(n->model, n->source, rc, n->err);
}

static int npy_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct numpy n = {.opener = opener, .source = source, .err = err};
    int rc = begin(&n, 1, 1);

    if (rc == 0)
        rc = add_array(&n, 0, 0, source->size, name_of("array"));
    return finish(&n, rc, &npy_format, ret_model);
}

/* The member's name without ".npy"; .text NULL for what is no array. */
static int array_name(struct numpy *n, const struct zip_member *member, struct name *ret)
{
    static const char suffix[] = ".npy";
    char printable[NAME_PRINTABLE_BYTES];
    const struct name name = member->name;
    const uint32_t suffix_bytes = sizeof(suffix) - 1;
    char *copy;

    *ret = (struct name){0};
    if (name.text[0] == '/' || memmem(name.text, name.bytes, "../", 3))
        return error_set(n->err, ERROR_FORMAT, "ZIP: the member %s leads out of the archive",
                         name_printable(name, printable));
    if (name.bytes < suffix_bytes || memcmp(name.text + name.bytes - suffix_bytes, suffix, suffix_bytes) != 0) {
        if (model_warn(n->model, "left-out", (struct name){0}, "the member %s was left out: it is no array",
                       name_printable(name, printable)) != 0)
            return no_memory(n);
        return 0;
    }
    copy = arena_copy(&n->arena, name.text, name.bytes - suffix_bytes);
    if (!copy)
        return no_memory(n);
    *ret = (struct name){copy, name.bytes - suffix_bytes};
    return 0;
}

static int add_member(struct numpy *n, const struct zip_member *member)
{
    struct model *model = n->model;
    struct source *inflated;
    struct name name;
    int rc = array_name(n, member, &name);

    if (rc || !name.text)
        return rc;
    if (!member->is_deflated)
        return add_array(n, 0, member->offset, member->offset + member->bytes, name);
    rc = inflated_open(n->source, member->offset, member->stored_bytes, member->bytes, &inflated, n->err);
    if (rc)
        return rc;
    model->files[model->file_count++] =
        (struct model_file){.source = inflated, .is_member = true, .member_bytes = member->stored_bytes};
    return add_array(n, (uint32_t)model->file_count - 1, 0, member->bytes, name);
}

static int npz_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct numpy n = {.opener = opener, .source = source, .err = err};
    struct zip zip = {0};
    int rc = zip_open(source, opener->limits, &zip, err);

    if (rc == 0)
        rc = begin(&n, zip.count, zip.count + 1);
    for (size_t i = 0; rc == 0 && i < zip.count; i++)
        rc = add_member(&n, &zip.members[i]);
    zip_done(&zip);
    return finish(&n, rc, &npz_format, ret_model);
}

const struct format npy_format = {
    .name = "npy",
    .summary = "NumPy .npy: one array, named \"array\"",
    .docs = &numpy_docs,
    .probe = npy_probe,
    .open = npy_open,
};

const struct format npz_format = {
    .name = "npz",
    .summary = "NumPy .npz: arrays in a ZIP archive, stored or deflated",
    .docs = &numpy_docs,
    .probe = npz_probe,
    .open = npz_open,
};
