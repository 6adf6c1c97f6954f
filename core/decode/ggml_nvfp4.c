/* NVFP4 with the scale that its tensor has beside the blocks': all arithmetic in F32. */
#include "core/decode/ggml.h"

enum { ELEMENTS = 64, BYTES = 36 };

static void decode_scaled(const struct storage *storage, const uint8_t *stored, size_t granules, void *out)
{
    const float scale = ((const struct nvfp4_scales *)storage->parameters)->scale[0];
    float *y = out;

    ggml_nvfp4.decode(storage, stored, granules, out);
    for (size_t i = 0; i < granules * ELEMENTS; i++)
        y[i] *= scale;
}

const struct decoder ggml_nvfp4_scaled = {
    .name = "nvfp4_scaled", .is_encoding = true, .granule = ELEMENTS, .granule_bytes = BYTES, .decode = decode_scaled};

/* Runs are of whole rows, and so of whole blocks. */
static int read_stacked(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                        void *out, struct error *err)
{
    const struct nvfp4_scales *scales = tensor->storage->parameters;
    struct storage storage = *tensor->storage;
    struct tensor plain = *tensor;
    float *y = out;

    storage.decoder = &ggml_nvfp4;
    plain.storage = &storage;
    while (elements > 0) {
        const uint64_t run = first / scales->each, rest = scales->each - first % scales->each;
        const size_t n = elements < rest ? elements : (size_t)rest;
        int rc = decoder_read(model, &plain, first, n, y, err);

        if (rc)
            return rc;
        for (size_t i = 0; i < n; i++)
            y[i] *= scales->scale[run];
        first += n;
        elements -= n;
        y += n;
    }
    return 0;
}

const struct decoder ggml_nvfp4_stacked = {.name = "nvfp4_stacked", .is_encoding = true, .read = read_stacked};
