/* How fast each packed layout is decoded: bytes of values a second of one thread's own time, best of five, in ranges of
 * a unit of the pass, from memory. Prints "LAYOUT GB/s" a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/decode/decoder.h"
#include "core/model/packed.h"

enum { UNIT = 1 << 20, ROUNDS = 5, TENSORS_MAX = 8 };

#define METHOD(name, rest) "{\"quantization_config\":{\"quant_method\":\"" name "\"" rest "}}"
#define CT(bits)           METHOD("compressed-tensors", ",\"config_groups\":{\"g\":{\"weights\":{\"num_bits\":" #bits "}}}")

/* Matrices of 2048 × 4096, or what comes near. */
static const struct {
    const char *name, *config;
    struct {
        const char *name;
        enum dtype dtype;
        uint64_t dims[4];
    } tensors[TENSORS_MAX];
} layouts[] = {
    {"GPTQ-int4-g128",
     METHOD("gptq", ""),
     {{"a.qweight", DTYPE_I32, {512, 2048}}, {"a.qzeros", DTYPE_I32, {32, 256}}, {"a.scales", DTYPE_F16, {32, 2048}}}},
    {"GPTQ-int3-g128",
     METHOD("gptq", ""),
     {{"a.qweight", DTYPE_I32, {384, 2048}}, {"a.qzeros", DTYPE_I32, {32, 192}}, {"a.scales", DTYPE_F16, {32, 2048}}}},
    {"GPTQ-int4-act-order",
     METHOD("gptq", ",\"group_size\":1"),
     {{"a.qweight", DTYPE_I32, {512, 2048}},
      {"a.qzeros", DTYPE_I32, {32, 256}},
      {"a.scales", DTYPE_F16, {32, 2048}},
      {"a.g_idx", DTYPE_I32, {4096}}}},
    {"AWQ-int4-g128",
     METHOD("awq", ""),
     {{"a.qweight", DTYPE_I32, {4096, 256}}, {"a.qzeros", DTYPE_I32, {32, 256}}, {"a.scales", DTYPE_F16, {32, 2048}}}},
    {"AWQ-GEMV-fast",
     METHOD("awq", ",\"version\":\"gemv_fast\",\"group_size\":128"),
     {{"a.qweight", DTYPE_I16, {512, 4096}}, {"a.qzeros", DTYPE_F16, {32, 2048}}, {"a.scales", DTYPE_F16, {32, 2048}}}},
    {"pack-quantized-int4",
     CT(4),
     {{"a.weight_packed", DTYPE_I32, {2048, 512}},
      {"a.weight_scale", DTYPE_BF16, {2048, 32}},
      {"a.weight_shape", DTYPE_I64, {2}}}},
    {"pack-quantized-int5",
     CT(5),
     {{"a.weight_packed", DTYPE_I32, {2048, 640}},
      {"a.weight_scale", DTYPE_BF16, {2048, 32}},
      {"a.weight_shape", DTYPE_I64, {2}}}},
    {"nvfp4",
     NULL,
     {{"a.weight_packed", DTYPE_U8, {2048, 2048}},
      {"a.weight_scale", DTYPE_F8_E4M3, {2048, 256}},
      {"a.weight_global_scale", DTYPE_F32, {1}}}},
    {"mxfp4-gpt-oss", NULL, {{"a_blocks", DTYPE_U8, {4, 2048, 32, 16}}, {"a_scales", DTYPE_U8, {4, 2048, 32}}}},
    {"FP8-128x128",
     METHOD("fp8", ""),
     {{"a.weight", DTYPE_F8_E4M3, {2048, 4096}}, {"a.weight_scale_inv", DTYPE_F32, {16, 32}}}},
    {"int8-per-channel", CT(8), {{"a.weight", DTYPE_I8, {2048, 4096}}, {"a.weight_scale", DTYPE_BF16, {2048, 1}}}},
    {"quanto-qint4-g128",
     "{\"hidden_size\":4096,\"quantization_config\":{\"quant_method\":\"quanto\",\"weights\":\"qint4\"}}",
     {{"a.up_proj.weight._data._data", DTYPE_U8, {32768, 128}},
      {"a.up_proj.weight._scale", DTYPE_F32, {65536, 1}},
      {"a.up_proj.weight._shift", DTYPE_F32, {65536, 1}}}},
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Parts that have to say something. */
static void fill(const struct tensor *tensor, uint8_t *data)
{
    const size_t elements = (size_t)tensor->shape.elements;

    for (size_t i = 0; i < tensor->extent.bytes; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    if (name_equal(tensor->name, name_of("a.weight_shape"))) {
        memcpy(data, &(int64_t){2048}, 8);
        memcpy(data + 8, &(int64_t){4096}, 8);
    } else if (name_equal(tensor->name, name_of("a.g_idx"))) {
        for (size_t i = 0; i < elements; i++)
            memcpy(data + 4 * i, &(int32_t){(int32_t)(i * 7 % 32)}, 4);
    }
}

static struct model *make(size_t layout, uint8_t **ret_file)
{
    struct model *model = calloc(1, sizeof(*model));
    uint64_t bytes = 0;

    if (!model)
        exit(1);
    model->tensors = calloc(TENSORS_MAX, sizeof(*model->tensors));
    model->files = calloc(1, sizeof(*model->files));
    model->config = layouts[layout].config ? strdup(layouts[layout].config) : NULL;
    model->config_bytes = model->config ? strlen(model->config) : 0;
    if (!model->tensors || !model->files)
        exit(1);
    for (size_t t = 0; t < TENSORS_MAX && layouts[layout].tensors[t].name; t++) {
        struct tensor *tensor = &model->tensors[model->tensor_count++];

        tensor->name = name_of(layouts[layout].tensors[t].name);
        tensor->dtype = layouts[layout].tensors[t].dtype;
        tensor->shape = (struct shape){.dims = layouts[layout].tensors[t].dims, .elements = 1};
        for (uint32_t d = 0; d < 4 && tensor->shape.dims[d]; d++) {
            tensor->shape.elements *= tensor->shape.dims[d];
            tensor->shape.rank++;
        }
        tensor->extent.offset = bytes;
        tensor->extent.bytes = tensor->shape.elements * dtype_traits(tensor->dtype)->bits / 8;
        bytes += tensor->extent.bytes;
    }
    *ret_file = malloc((size_t)bytes);
    if (!*ret_file || memory_open(*ret_file, (size_t)bytes, layouts[layout].name, &model->files[0].source, NULL) != 0)
        exit(1);
    model->file_count = 1;
    for (size_t t = 0; t < model->tensor_count; t++)
        fill(&model->tensors[t], *ret_file + model->tensors[t].extent.offset);
    if (model_finish(model, NULL) != 0 || packed_recognise(model, NULL) != 0)
        exit(1);
    return model;
}

int main(void)
{
    float *values = malloc(UNIT * sizeof(*values));

    if (!values)
        return 1;
    memset(values, 0, UNIT * sizeof(*values));
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        uint8_t *file;
        struct model *model = make(i, &file);
        const struct tensor *tensor = &model->tensors[0];
        double best = 1e9;

        if (model->tensor_count != 1 || !tensor->storage) {
            printf("%s is not recognised\n", layouts[i].name);
            return 1;
        }
        for (int round = 0; round < ROUNDS; round++) {
            double begun = seconds(), taken;

            for (uint64_t first = 0; first + UNIT <= tensor->shape.elements; first += UNIT)
                if (decoder_read(model, tensor, first, UNIT, values, NULL) != 0)
                    return 1;
            taken = seconds() - begun;
            best = taken < best ? taken : best;
        }
        printf("%s %.2f\n", layouts[i].name,
               (double)(tensor->shape.elements / UNIT * UNIT * sizeof(*values)) / best / 1e9);
        model_close(model);
        free(file);
    }
    free(values);
    return 0;
}
