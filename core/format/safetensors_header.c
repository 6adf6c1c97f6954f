/* One pass over the text, then two cheap ones over the tensors: names (duplicates) and offsets (holes, overlaps). The
 * checks are those of the reference reader (huggingface/safetensors, tensor.rs), and stricter where that one is
 * lenient: keys that appear twice at any level it knows, and entries written as arrays, are refused. A type that is not
 * known here is no error: the tensor is listed, and its bytes can be compared.
 *
 * While the text is read, dims and storages grow and may move, so tensors point at them only afterwards (link_up). */
#include "core/format/safetensors_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/format/json_scan.h"
#include "core/model/order.h"

enum { RANK_MAX = 64 }; /* PyTorch's and NumPy's own; also keeps dims from outgrowing the header many times over */

struct parser {
    struct json_scan scan;
    const struct limits *limits;
    struct safetensors_header header; /* being built */
    size_t tensor_room, dim_count, dim_room, storage_count, storage_room, metadata_room;
    uint64_t data_start, data_bytes; /* of the file */
    bool has_metadata;
    struct error *err;
};

void safetensors_header_done(struct safetensors_header *header)
{
    free(header->tensors);
    free(header->dims);
    free(header->storages);
    free(header->metadata);
    *header = (struct safetensors_header){0};
}

static int no_memory(struct parser *parser)
{
    return error_set(parser->err, ERROR_NO_MEMORY, "out of memory for the header");
}

/* What the tokenizer found; tensor may be NULL. */
static int scan_error(struct parser *parser, const struct name *tensor)
{
    size_t at = parser->scan.problem_at + SAFETENSORS_PREFIX_BYTES;
    char printable[NAME_PRINTABLE_BYTES];

    if (tensor)
        return error_set(parser->err, ERROR_FORMAT, "header: tensor %s: %s, at byte %zu",
                         name_printable(*tensor, printable), parser->scan.problem, at);
    return error_set(parser->err, ERROR_FORMAT, "header: %s, at byte %zu", parser->scan.problem, at);
}

static int tensor_error(struct parser *parser, const struct tensor *tensor, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    return error_set(parser->err, ERROR_FORMAT, "tensor %s: %s", name_printable(tensor->name, printable), what);
}

static int read_metadata(struct parser *parser)
{
    static const struct name own_name = {"__metadata__", 12};
    struct safetensors_header *header = &parser->header;
    struct json_scan *scan = &parser->scan;
    struct metadata_entry entry;
    bool has, is_null;

    if (parser->has_metadata) {
        json_fault(scan, "__metadata__ appears twice");
        return scan_error(parser, NULL);
    }
    parser->has_metadata = true;
    if (!json_null(scan, &is_null))
        return scan_error(parser, &own_name);
    if (is_null)
        return 0;
    if (!json_object(scan))
        return scan_error(parser, &own_name);
    for (;;) {
        if (!json_member(scan, &entry.key, &has))
            return scan_error(parser, &own_name);
        if (!has)
            return 0;
        if (!json_string(scan, &entry.value))
            return scan_error(parser, &own_name);
        if (header->metadata_count >= parser->limits->metadata)
            return error_set(parser->err, ERROR_LIMIT, "__metadata__ has more than %" PRIu64 " entries",
                             parser->limits->metadata);
        if (!array_reserve(&header->metadata, sizeof(*header->metadata), header->metadata_count,
                           &parser->metadata_room))
            return no_memory(parser);
        header->metadata[header->metadata_count++] = entry;
    }
}

static int read_shape(struct parser *parser, struct tensor *tensor)
{
    struct json_scan *scan = &parser->scan;
    char printable[NAME_PRINTABLE_BYTES];
    uint64_t elements = 1;
    bool has, is_product = true;

    if (!json_array(scan))
        return scan_error(parser, &tensor->name);
    for (;;) {
        uint64_t dim;

        if (!json_element(scan, &has))
            return scan_error(parser, &tensor->name);
        if (!has)
            break;
        if (!json_u64(scan, &dim))
            return scan_error(parser, &tensor->name);
        if (tensor->shape.rank == RANK_MAX)
            return error_set(parser->err, ERROR_LIMIT, "tensor %s: more than %d dimensions",
                             name_printable(tensor->name, printable), RANK_MAX);
        if (!array_reserve(&parser->header.dims, sizeof(uint64_t), parser->dim_count, &parser->dim_room))
            return no_memory(parser);
        parser->header.dims[parser->dim_count++] = dim;
        tensor->shape.rank++;
        is_product = is_product && checked_mul(elements, dim, &elements);
    }
    if (!is_product)
        return tensor_error(parser, tensor, "the product of its shape does not fit 64 bits");
    tensor->shape.elements = elements;
    return 0;
}

/* The two offsets, relative to the data section, left in extent as begin (offset) and end (bytes) for now. */
static int read_offsets(struct parser *parser, struct tensor *tensor)
{
    struct json_scan *scan = &parser->scan;
    uint64_t *const ends[2] = {&tensor->extent.offset, &tensor->extent.bytes};
    bool has;

    if (!json_array(scan))
        return scan_error(parser, &tensor->name);
    for (int i = 0; i < 2; i++) {
        if (!json_element(scan, &has))
            return scan_error(parser, &tensor->name);
        if (!has) {
            json_fault(scan, "data_offsets has fewer than two numbers");
            return scan_error(parser, &tensor->name);
        }
        if (!json_u64(scan, ends[i]))
            return scan_error(parser, &tensor->name);
    }
    if (json_element(scan, &has) && has)
        json_fault(scan, "data_offsets has more than two numbers");
    return scan->problem ? scan_error(parser, &tensor->name) : 0;
}

static int read_dtype(struct parser *parser, struct tensor *tensor)
{
    struct storage **storages = &parser->header.storages;
    struct name dtype;

    if (!json_string(&parser->scan, &dtype))
        return scan_error(parser, &tensor->name);
    tensor->dtype = dtype_by_name(dtype);
    if (tensor->dtype != DTYPE_UNKNOWN)
        return 0;
    if (!array_reserve(storages, sizeof(**storages), parser->storage_count, &parser->storage_room))
        return no_memory(parser);
    (*storages)[parser->storage_count++] = (struct storage){.stored_as = dtype};
    return 0;
}

/* Whether size, shape and type of one tensor fit each other. Turns extent from begin and end into offset and bytes. */
static int check_extent(struct parser *parser, struct tensor *tensor)
{
    const struct dtype_traits *traits = dtype_traits(tensor->dtype);
    uint64_t begin = tensor->extent.offset, end = tensor->extent.bytes, bits;
    char name[NAME_PRINTABLE_BYTES];

    if (end < begin)
        return error_set(parser->err, ERROR_FORMAT,
                         "tensor %s: data_offsets [%" PRIu64 ", %" PRIu64 "] end before they begin",
                         name_printable(tensor->name, name), begin, end);
    if (end > parser->data_bytes)
        return error_set(parser->err, ERROR_FORMAT,
                         "tensor %s: data_offsets [%" PRIu64 ", %" PRIu64 "] lie beyond the end of the file, which has "
                         "%" PRIu64 " bytes of data: it is cut short, or its header lies",
                         name_printable(tensor->name, name), begin, end, parser->data_bytes);
    tensor->extent.bytes = end - begin;
    if (tensor->dtype == DTYPE_UNKNOWN)
        return 0;
    if (!checked_mul(tensor->shape.elements, traits->bits, &bits))
        return tensor_error(parser, tensor, "its size in bits does not fit 64 bits");
    if (bits % 8 != 0)
        return error_set(parser->err, ERROR_FORMAT, "tensor %s: %" PRIu64 " elements of %s do not fill whole bytes",
                         name_printable(tensor->name, name), tensor->shape.elements, traits->name);
    if (end - begin != bits / 8)
        return error_set(parser->err, ERROR_FORMAT,
                         "tensor %s: data_offsets [%" PRIu64 ", %" PRIu64 "] are %" PRIu64
                         " bytes, but its shape in %s takes %" PRIu64,
                         name_printable(tensor->name, name), begin, end, end - begin, traits->name, bits / 8);
    return 0;
}

static int read_entry(struct parser *parser, struct name name)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    static const struct {
        struct name name;
        int bit;
        int (*read)(struct parser *, struct tensor *);
    } fields[] = {{{"dtype", 5}, DTYPE, read_dtype},
                  {{"shape", 5}, SHAPE, read_shape},
                  {{"data_offsets", 12}, OFFSETS, read_offsets}};
    struct json_scan *scan = &parser->scan;
    struct tensor *tensor;
    struct name key;
    int seen = 0, rc;
    bool has;

    if (parser->header.tensor_count >= parser->limits->tensors || parser->header.tensor_count >= UINT32_MAX - 1)
        return error_set(parser->err, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit",
                         parser->limits->tensors);
    if (!array_reserve(&parser->header.tensors, sizeof(*tensor), parser->header.tensor_count, &parser->tensor_room))
        return no_memory(parser);
    tensor = &parser->header.tensors[parser->header.tensor_count++];
    *tensor = (struct tensor){.name = name};
    if (!json_object(scan))
        return scan_error(parser, &name);
    for (;;) {
        size_t field = 0;

        if (!json_member(scan, &key, &has))
            return scan_error(parser, &name);
        if (!has)
            break;
        while (field < 3 && !name_equal(fields[field].name, key))
            field++;
        if (field == 3) {
            if (!json_skip(scan))
                return scan_error(parser, &name);
            continue;
        }
        if (seen & fields[field].bit) {
            json_fault(scan, "a field that appears twice");
            return scan_error(parser, &name);
        }
        seen |= fields[field].bit;
        rc = fields[field].read(parser, tensor);
        if (rc)
            return rc;
    }
    if (seen != ALL)
        return tensor_error(parser, tensor,
                            !(seen & DTYPE)   ? "has no dtype"
                            : !(seen & SHAPE) ? "has no shape"
                                              : "has no data_offsets");
    return check_extent(parser, tensor);
}

static int read_header(struct parser *parser)
{
    struct json_scan *scan = &parser->scan;
    static const struct name metadata = {"__metadata__", 12};
    struct name key;
    bool has;
    int rc;

    json_peek(scan);
    parser->header.has_leading_whitespace = scan->at > 0;
    if (!json_object(scan))
        return scan_error(parser, NULL);
    for (;;) {
        if (!json_member(scan, &key, &has))
            return scan_error(parser, NULL);
        if (!has)
            break;
        rc = name_equal(key, metadata) ? read_metadata(parser) : read_entry(parser, key);
        if (rc)
            return rc;
    }
    return json_end(scan) ? 0 : scan_error(parser, NULL);
}

/* Points tensors at their dims and storages; both lie in the order in which the tensors were read. */
static void link_up(struct safetensors_header *header)
{
    const struct storage *storage = header->storages;
    const uint64_t *dims = header->dims;

    for (size_t i = 0; i < header->tensor_count; i++) {
        struct tensor *tensor = &header->tensors[i];

        tensor->shape.dims = dims;
        if (tensor->shape.rank > 0) /* dims may be NULL */
            dims += tensor->shape.rank;
        if (tensor->dtype == DTYPE_UNKNOWN)
            tensor->storage = storage++;
    }
}

static int compare_extents(const void *context, uint32_t a, uint32_t b)
{
    const struct tensor *tensors = context;
    const struct extent *one = &tensors[a].extent, *two = &tensors[b].extent;

    if (one->offset != two->offset)
        return one->offset < two->offset ? -1 : 1;
    return one->bytes < two->bytes ? -1 : one->bytes > two->bytes;
}

/* The walk of the reference reader: by offset, each tensor begins where the one before it ends. */
static int check_coverage(struct parser *parser)
{
    struct safetensors_header *header = &parser->header;
    size_t count = header->tensor_count;
    uint32_t *order = reallocarray(NULL, count + count / 2 + 2, sizeof(*order));
    char one[NAME_PRINTABLE_BYTES], two[NAME_PRINTABLE_BYTES];
    uint64_t cursor = 0;
    int rc = 0;

    if (!order)
        return error_set(parser->err, ERROR_NO_MEMORY, "out of memory for %zu tensors", count);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, order + count, compare_extents, header->tensors);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct tensor *tensor = &header->tensors[order[i]];
        uint64_t begin = tensor->extent.offset;

        if (begin > cursor)
            rc = error_set(parser->err, ERROR_FORMAT,
                           "tensor %s: begins at %" PRIu64 " of the data and leaves a hole of %" PRIu64
                           " bytes before it",
                           name_printable(tensor->name, one), begin, begin - cursor);
        else if (begin < cursor)
            rc =
                error_set(parser->err, ERROR_FORMAT,
                          "tensor %s: begins at %" PRIu64 " of the data and overlaps tensor %s, which ends at %" PRIu64,
                          name_printable(tensor->name, one), begin,
                          name_printable(header->tensors[order[i - 1]].name, two), cursor);
        cursor += tensor->extent.bytes;
    }
    free(order);
    if (rc == 0 && cursor != parser->data_bytes)
        rc = error_set(parser->err, ERROR_FORMAT,
                       "%" PRIu64 " bytes follow the last tensor, which ends at offset %" PRIu64,
                       parser->data_bytes - cursor, parser->data_start + cursor);
    for (size_t i = 0; i < count; i++)
        header->tensors[i].extent.offset += parser->data_start;
    return rc;
}

/* Puts the tensors into canonical order and refuses names that appear twice, however they were escaped. */
static int order_names(struct parser *parser)
{
    struct safetensors_header *header = &parser->header;
    struct tensor *sorted = NULL;
    uint32_t *order = NULL;
    bool is_in_order = true;
    int rc = order_tensors(header->tensors, header->tensor_count, &order, parser->err);

    if (rc)
        return rc;
    for (size_t i = 1; i < header->tensor_count; i++) {
        const struct tensor *tensor = &header->tensors[order[i]];

        is_in_order = is_in_order && order[i - 1] < order[i];
        if (name_equal(header->tensors[order[i - 1]].name, tensor->name)) {
            rc = tensor_error(parser, tensor, "its name appears twice");
            goto out;
        }
    }
    rc = check_coverage(parser);
    if (rc)
        goto out;
    if (is_in_order && header->tensor_count > 0)
        goto out;
    sorted = reallocarray(NULL, header->tensor_count + 1, sizeof(*sorted));
    if (!sorted) {
        rc = error_set(parser->err, ERROR_NO_MEMORY, "out of memory for %zu tensors", header->tensor_count);
        goto out;
    }
    for (size_t i = 0; i < header->tensor_count; i++)
        sorted[i] = header->tensors[order[i]];
    free(header->tensors);
    header->tensors = sorted;
out:
    free(order);
    return rc;
}

static int order_metadata(struct parser *parser)
{
    struct safetensors_header *header = &parser->header;
    char printable[NAME_PRINTABLE_BYTES];

    if (header->metadata_count > 1)
        qsort(header->metadata, header->metadata_count, sizeof(*header->metadata), metadata_compare);
    for (size_t i = 1; i < header->metadata_count; i++)
        if (name_equal(header->metadata[i - 1].key, header->metadata[i].key))
            return error_set(parser->err, ERROR_FORMAT, "__metadata__: key %s appears twice",
                             name_printable(header->metadata[i].key, printable));
    return 0;
}

int safetensors_header_parse(char *text, size_t bytes, uint64_t data_bytes, const struct limits *limits,
                             struct safetensors_header *ret_header, struct error *err)
{
    struct parser parser = {
        .limits = limits, .data_start = SAFETENSORS_PREFIX_BYTES + bytes, .data_bytes = data_bytes, .err = err};
    int rc;

    json_init(&parser.scan, text, bytes, limits->nesting);
    rc = read_header(&parser);
    if (rc == 0) {
        link_up(&parser.header);
        rc = order_names(&parser);
    }
    if (rc == 0)
        rc = order_metadata(&parser);
    if (rc) {
        safetensors_header_done(&parser.header);
        return rc;
    }
    *ret_header = parser.header;
    return 0;
}
