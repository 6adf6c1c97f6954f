#include "core/format/gguf_scales.h"

#include <stdlib.h>
#include <string.h>

#include "core/decode/ggml.h"

enum { SCALES_MAX = 65536 };

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for its scales");
}

/* NAME.scale of a tensor NAME.weight, or NULL. */
static int find_scale(const struct model *model, struct name name, const struct tensor **ret_scale, struct error *err)
{
    static const char weight[] = ".weight", scale[] = ".scale";
    const uint32_t end = sizeof(weight) - 1;
    char *text;

    *ret_scale = NULL;
    if (name.bytes <= end || memcmp(name.text + name.bytes - end, weight, end) != 0)
        return 0;
    text = malloc(name.bytes);
    if (!text)
        return no_memory(err);
    memcpy(text, name.text, name.bytes - end);
    memcpy(text + name.bytes - end, scale, sizeof(scale) - 1);
    *ret_scale = model_find(model, (struct name){text, name.bytes - end + (uint32_t)sizeof(scale) - 1});
    free(text);
    return 0;
}

static bool fits(const struct tensor *tensor, const struct tensor *scale)
{
    if (!scale || scale->dtype != DTYPE_F32 ||
        (scale->storage && scale->storage->decoder != decoder_swapped(DTYPE_F32)))
        return false;
    return scale->shape.elements == 1 || (tensor->shape.rank > 2 && scale->shape.elements == tensor->shape.dims[0] &&
                                          scale->shape.elements <= SCALES_MAX);
}

static int scale_tensor(struct model *model, struct tensor *tensor, const struct tensor *scale, struct error *err)
{
    const size_t count = (size_t)scale->shape.elements;
    struct nvfp4_scales *scales =
        calloc(1, sizeof(*scales) + count * sizeof(scales->scale[0])); /* count ≤ SCALES_MAX */
    struct storage *storage = malloc(sizeof(*storage));
    int rc = scales && storage ? decoder_read(model, scale, 0, count, scales->scale, err) : no_memory(err);

    if (rc == 0 && model_keep(model, scales) != 0)
        rc = no_memory(err);
    if (rc) {
        free(scales);
        free(storage);
        return rc;
    }
    scales->each = tensor->shape.elements / count;
    if (model_keep(model, storage) != 0) {
        free(storage);
        return no_memory(err);
    }
    *storage = *tensor->storage;
    storage->decoder = count == 1 ? &ggml_nvfp4_scaled : &ggml_nvfp4_stacked;
    storage->parameters = scales;
    tensor->storage = storage;
    return 0;
}

int gguf_settle(struct model *model, struct error *err)
{
    for (size_t i = 0; i < model->tensor_count; i++) {
        struct tensor *tensor = &model->tensors[i];
        const struct tensor *scale;
        int rc;

        if (!tensor->storage || tensor->storage->decoder != &ggml_nvfp4 || tensor->shape.elements == 0)
            continue;
        rc = find_scale(model, tensor->name, &scale, err);
        if (rc == 0 && fits(tensor, scale))
            rc = scale_tensor(model, tensor, scale, err);
        if (rc)
            return rc;
    }
    return 0;
}
