/* Groups of tensors that may be packed weights: a config's length (2 bytes) and text; then entries, each a name's
 * length and text, and for a name that begins with '@' a metadata value (2 bytes of length), else a dtype's number, a
 * rank and dims of 2 bytes; an empty name ends them; then data, filled up with zeros. Whatever is recognised lies
 * within what its parts are, keeps every byte, and can be read from any place on. */
#include <stdlib.h>
#include <string.h>

#include "core/decode/bitmask.h"
#include "core/decode/decoder.h"
#include "core/model/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

enum { TENSORS_MAX = 24, DATA_MAX = 1 << 18, READ_MAX = 1 << 12 };

struct input {
    const uint8_t *at, *end;
};

static unsigned take(struct input *input, size_t bytes)
{
    unsigned value = 0;

    for (size_t i = 0; i < bytes && input->at < input->end; i++)
        value |= (unsigned)*input->at++ << 8 * i;
    return value;
}

static struct name take_text(struct input *input, size_t length_bytes)
{
    const size_t wanted = take(input, length_bytes), left = (size_t)(input->end - input->at);
    const struct name text = {(const char *)input->at, (uint32_t)(wanted < left ? wanted : left)};

    input->at += text.bytes;
    return text;
}

/* False where the claims are more than a file would hold. */
static bool take_tensor(struct input *input, struct model *model, struct name name, uint64_t *bytes)
{
    struct tensor *tensor = &model->tensors[model->tensor_count];
    uint64_t *dims = model->dims + model->tensor_count * 4, elements = 1;

    tensor->name = name;
    tensor->dtype = (enum dtype)(1 + take(input, 1) % (DTYPE_COUNT - 1));
    tensor->shape.rank = take(input, 1) % 5;
    tensor->shape.dims = dims;
    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        elements *= dims[d] = take(input, 2);
    tensor->shape.elements = elements;
    if (elements > DATA_MAX || elements * dtype_traits(tensor->dtype)->bits % 8 != 0)
        return false;
    tensor->extent.offset = *bytes;
    tensor->extent.bytes = elements * dtype_traits(tensor->dtype)->bits / 8;
    *bytes += tensor->extent.bytes;
    model->tensor_count++;
    return *bytes <= DATA_MAX;
}

static bool take_model(struct input *input, struct model *model, uint64_t *ret_bytes)
{
    struct name config = take_text(input, 2);

    model->tensors = calloc(TENSORS_MAX, sizeof(*model->tensors));
    model->metadata = calloc(TENSORS_MAX, sizeof(*model->metadata));
    model->dims = calloc((size_t)TENSORS_MAX * 4, sizeof(*model->dims));
    model->files = calloc(1, sizeof(*model->files));
    model->config = strndup(config.text, config.bytes);
    MUST(model->tensors && model->metadata && model->dims && model->files && model->config);
    model->config_bytes = strlen(model->config);
    while (model->tensor_count < TENSORS_MAX && model->metadata_count < TENSORS_MAX) {
        struct name name = take_text(input, 1);

        if (name.bytes == 0)
            break;
        if (name.text[0] == '@') {
            const struct metadata_entry entry = {{name.text + 1, name.bytes - 1}, take_text(input, 2)};

            model->metadata[model->metadata_count++] = entry;
        } else if (!take_tensor(input, model, name, ret_bytes)) {
            return false;
        }
    }
    return true;
}

/* Any range reads like the whole. What a mask claims is not known before it is read. */
static void check_values(const struct model *model, const struct tensor *tensor)
{
    static float whole[READ_MAX], part[READ_MAX];
    const uint64_t elements = tensor->shape.elements, count = elements < READ_MAX ? elements : READ_MAX;
    int rc;

    MUST(tensor->dtype == DTYPE_F32 && elements > 0);
    rc = decoder_read(model, tensor, elements - count, (size_t)count, whole, NULL);
    if (rc == ERROR_FORMAT && tensor->storage->decoder == &decoder_bitmask)
        return;
    MUST(rc == 0);
    for (uint64_t first = 0, step = 1; first < count; first += step, step = step * 3 + 1) {
        const uint64_t n = step < count - first ? step : count - first;

        MUST(decoder_read(model, tensor, elements - count + first, (size_t)n, part, NULL) == 0);
        MUST(memcmp(part, whole + first, (size_t)n * sizeof(*part)) == 0);
    }
}

static void check_packed(const struct model *model, const struct tensor *tensor)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < tensor->storage->part_count; i++) {
        MUST(tensor->storage->parts[i].extent.offset + tensor->storage->parts[i].extent.bytes <=
             model->files[0].source->size);
        bytes += tensor->storage->parts[i].extent.bytes;
    }
    MUST(tensor->extent.bytes == bytes && tensor->storage->stored_as.bytes > 0);
    check_values(model, tensor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct model *model = calloc(1, sizeof(*model));
    uint64_t bytes = 0, before = 0, after = 0;
    struct error err = {0};
    uint8_t *file = NULL;
    int rc;

    MUST(model);
    if (!take_model(&input, model, &bytes))
        goto out;
    file = calloc(1, (size_t)bytes + 1); /* exactly as long */
    MUST(file);
    memcpy(file, input.at, (size_t)(input.end - input.at) < bytes ? (size_t)(input.end - input.at) : (size_t)bytes);
    MUST(memory_open(file, (size_t)bytes, "fuzz", &model->files[0].source, NULL) == 0);
    model->file_count = 1;
    if (model_finish(model, NULL) != 0)
        goto out;
    for (size_t t = 0; t < model->tensor_count; t++)
        before += model->tensors[t].extent.bytes;
    rc = packed_recognise(model, &err);
    MUST(rc == 0 || (err.code == rc && err.text[0]));
    for (size_t t = 0; rc == 0 && t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];

        after += tensor->extent.bytes;
        MUST(model_find(model, tensor->name) == tensor);
        if (tensor->storage)
            check_packed(model, tensor);
    }
    MUST(rc != 0 || before == after);
out:
    model_close(model);
    free(file);
    return 0;
}
