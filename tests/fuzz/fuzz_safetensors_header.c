/* The header of a safetensors file. Input: two bytes, how much data follows the header (little-endian); then the
 * header. What is accepted must hold together: names and types within the text, extents that tile the data, shapes
 * whose product is what they say, canonical order. And the whole way through a source must come to the same model. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/format.h"
#include "core/format/safetensors_header.h"
#include "core/model/layers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static bool lies_within(struct name name, const char *text, size_t bytes)
{
    return name.text >= text && name.text <= text + bytes && name.bytes <= (size_t)(text + bytes - name.text);
}

static void check_tensor(const struct tensor *tensor, const char *text, size_t bytes, uint64_t data_bytes)
{
    struct name layer, module;
    uint64_t elements = 1;

    MUST(lies_within(tensor->name, text, bytes));
    MUST(tensor->extent.source == 0 && tensor->extent.offset >= 8 + bytes);
    MUST(tensor->extent.bytes <= data_bytes && tensor->extent.offset - 8 - bytes <= data_bytes - tensor->extent.bytes);
    for (uint32_t i = 0; i < tensor->shape.rank; i++)
        elements *= tensor->shape.dims[i];
    MUST(elements == tensor->shape.elements);
    if (tensor->dtype == DTYPE_UNKNOWN)
        MUST(tensor->storage && lies_within(tensor->storage->stored_as, text, bytes));
    else
        MUST(tensor->extent.bytes * 8 == elements * dtype_traits(tensor->dtype)->bits);
    layer = layer_of(tensor->name);
    module = module_of(tensor->name);
    MUST(lies_within(layer, tensor->name.text, tensor->name.bytes));
    MUST(lies_within(module, tensor->name.text, tensor->name.bytes));
    MUST(module_type_index(tensor->name) < MODULE_TYPE_COUNT);
}

/* The same header as a file; text is the input's, not yet rewritten. */
static void check_whole_way(const uint8_t *text, size_t bytes, uint64_t data_bytes, size_t tensors)
{
    struct opener opener = {.limits = &limits_default};
    uint8_t *file = calloc(1, 8 + bytes + data_bytes);
    uint64_t length = bytes;
    struct source *source;
    struct model *model;

    MUST(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, text, bytes);
    MUST(memory_open(file, 8 + bytes + data_bytes, "fuzz", &source, NULL) == 0);
    MUST(safetensors_format.open(&opener, source, &model, NULL) == 0);
    MUST(model_finish(model, NULL) == 0);
    MUST(model->tensor_count == tensors);
    for (size_t i = 0; i < tensors; i++)
        MUST(model_find(model, model->tensors[i].name) == &model->tensors[i]);
    model_close(model);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors_header header = {0};
    struct error err = {0};
    uint64_t data_bytes, sum = 0;
    size_t bytes;
    char *text;
    int rc;

    if (size < 2)
        return 0;
    data_bytes = data[0] | (uint64_t)data[1] << 8;
    bytes = size - 2;
    text = malloc(bytes ? bytes : 1); /* exactly as long: a sanitizer sees a byte too far */
    MUST(text);
    memcpy(text, data + 2, bytes);
    rc = safetensors_header_parse(text, bytes, data_bytes, &limits_default, &header, &err);
    MUST(rc == 0 || (err.code == rc && err.text[0]));
    if (rc == 0) {
        for (size_t i = 0; i < header.tensor_count; i++) {
            check_tensor(&header.tensors[i], text, bytes, data_bytes);
            sum += header.tensors[i].extent.bytes;
            MUST(i == 0 || name_compare_natural(header.tensors[i - 1].name, header.tensors[i].name) < 0);
        }
        MUST(sum == data_bytes);
        for (size_t i = 0; i < header.metadata_count; i++)
            MUST(lies_within(header.metadata[i].key, text, bytes) &&
                 lies_within(header.metadata[i].value, text, bytes));
        check_whole_way(data + 2, bytes, data_bytes, header.tensor_count);
    }
    safetensors_header_done(&header);
    free(text);
    return 0;
}
