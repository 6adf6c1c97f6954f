#include <dirent.h>
#include <unistd.h>

#include "core/decode/packed.h"
#include "tests/unit/core/format/twins.h"
#include "tests/unit/core/model/packed_models.h"

#define PACKED FIXTURES "/packed"

enum { FOLDERS_MAX = 256 };

static char folders[FOLDERS_MAX][64];
static int folder_count;

static struct model *open_fixture(int folder)
{
    char path[512];

    snprintf(path, sizeof(path), PACKED "/%s/model.safetensors", folders[folder]);
    if (access(path, R_OK) != 0)
        snprintf(path, sizeof(path), PACKED "/%s/pytorch_model.bin", folders[folder]);
    return open_path(path);
}

/* The name in truth.npz of a fixture's tensor. */
static struct name truth_name(int folder, struct name tensor, char out[256])
{
    const int length = snprintf(out, 256, "%s/%.*s", folders[folder], (int)tensor.bytes, tensor.text);

    return (struct name){out, (uint32_t)length};
}

START_TEST(every_layout_has_the_values_that_were_packed)
{
    struct model *truth = open_path(PACKED "/truth.npz"), *model = open_fixture(_i);
    size_t checked = 0;
    char name[256];

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];
        const struct tensor *wanted = model_find(truth, truth_name(_i, tensor->name, name));
        uint8_t *expected, *values;
        size_t bytes;

        if (!wanted)
            continue;
        ck_assert_msg(tensor->storage && tensor->storage->part_count, "%s is not decoded", name);
        ck_assert_int_eq(tensor->dtype, DTYPE_F32);
        ck_assert(shape_equal(&tensor->shape, &wanted->shape));
        expected = elements_of(truth, wanted, &bytes);
        values = elements_of(model, tensor, &bytes);
        for (size_t i = 0; i < bytes; i += 4)
            ck_assert_msg(memcmp(values + i, expected + i, 4) == 0, "%s: element %zu", name, i / 4);
        free(expected);
        free(values);
        checked++;
    }
    ck_assert_uint_eq(checked, 1);
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
    model_close(truth);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

START_TEST(any_range_reads_like_the_whole)
{
    struct model *model = open_fixture(_i);
    uint64_t state = (uint64_t)_i + 1;

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];
        const size_t elements = (size_t)tensor->shape.elements;
        size_t bytes;
        float *whole, *part;

        if (tensor->dtype != DTYPE_F32)
            continue;
        whole = (float *)(void *)elements_of(model, tensor, &bytes);
        part = calloc(elements + 1, sizeof(*part));
        for (int i = 0; i < 200; i++) {
            const size_t first = next_random(&state) % elements, most = elements - first;
            const size_t count = 1 + next_random(&state) % (i % 2 || most < 50 ? most : 50);

            ck_assert_int_eq(decoder_read(model, tensor, first, count, part, NULL), 0);
            ck_assert_msg(memcmp(part, whole + first, count * sizeof(*part)) == 0, "%s: %zu from %zu", folders[_i],
                          count, first);
        }
        free(whole);
        free(part);
    }
    model_close(model);
}
END_TEST

/* What a tensor is compared and digested by is all that its parts hold, and nothing of the file is lost or counted
 * twice. */
START_TEST(bytes_are_those_of_the_parts)
{
    struct model *model = open_fixture(_i);
    uint64_t all = 0, header;

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];
        uint8_t *bytes = malloc((size_t)tensor->extent.bytes + 1), part[1 << 15];
        uint64_t at = 0, shared = 0;

        all += tensor->extent.bytes;
        ck_assert_int_eq(decoder_read_bytes(model, tensor, 0, (size_t)tensor->extent.bytes, bytes, NULL), 0);
        for (uint32_t p = 0; tensor->storage && p < tensor->storage->part_count; p++) {
            const struct tensor *of = &tensor->storage->parts[p];
            const size_t n = of->extent.bytes < sizeof(part) ? (size_t)of->extent.bytes : sizeof(part);

            ck_assert_int_eq(source_read_at(model->files[0].source, of->extent.offset, part, n, NULL), 0);
            ck_assert_mem_eq(bytes + at, part, n);
            at += of->extent.bytes;
        }
        for (uint64_t first = 0; at && first < tensor->shape.elements; first += 1000) {
            const uint64_t rest = tensor->shape.elements - first, n = rest < 1000 ? rest : 1000;
            uint64_t offset, count;

            decoder_share(tensor, first, (size_t)n, &offset, &count);
            ck_assert_uint_eq(offset, shared);
            ck_assert_int_eq(decoder_read_bytes(model, tensor, offset, (size_t)count, part, NULL), 0);
            ck_assert(count <= sizeof(part) && memcmp(part, bytes + offset, (size_t)count) == 0);
            shared = offset + count;
        }
        ck_assert(at == 0 || (at == tensor->extent.bytes && shared == at));
        free(bytes);
    }
    ck_assert_int_eq(source_read_at(model->files[0].source, 0, &header, 8, NULL), 0);
    if (model->format == &safetensors_format)
        ck_assert_uint_eq(all + 8 + header, model->bytes);
    model_close(model);
}
END_TEST

#define GPTQ_CONFIG      "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32}}"
#define AWQ_CONFIG(rest) "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4" rest "}}"
#define CT_CONFIG(bits)                                                                                                \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"weights\":{"        \
    "\"num_bits\":" #bits "}}}}}"
#define FP8_CONFIG         "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}"
#define FBGEMM_CONFIG      "{\"quantization_config\":{\"quant_method\":\"fbgemm_fp8\"}}"
#define MODELOPT_CONFIG    "{\"quantization_config\":{\"quant_method\":\"modelopt\"}}"
#define BITNET_CONFIG      "{\"quantization_config\":{\"quant_method\":\"bitnet\"}}"
#define GEMMA_CONFIG(rest) "{\"quantization_config\":{\"quant_method\":\"gemma\"" rest "}}"
#define MLX_CONFIG(rest)   "{\"quantization\":{\"bits\":4,\"group_size\":32" rest "}}"
#define QUANTO_CONFIG      "{\"hidden_size\":64,\"quantization_config\":{\"quant_method\":\"quanto\",\"weights\":\"qint4\"}}"
#define GPTQ               "a.qweight I32 4,32; a.qzeros I32 1,4; a.scales F16 1,32; "
#define CT                 "a.weight_packed I32 16,4; a.weight_scale BF16 16,1; "
#define BNB(state)                                                                                                     \
    "a.weight U8 32,1; a.weight.absmax F32 1; a.weight.quant_map F32 16; "                                             \
    "a.weight.quant_state.bitsandbytes__nf4 U8 96 = '" state "'"
#define STATE(block, shape)                                                                                            \
    "{\"quant_type\":\"nf4\",\"blocksize\":" block ",\"shape\":" shape                                                 \
    "}                                                                                                             "
#define HQQ(nbits, size, axis, packing)                                                                                \
    "a.W_q U8 32,16; a.scale F16 64,1; a.zero F16 64,1; a.nbits I32 = " nbits "; a.group_size I32 = " size             \
    "; a.axis I32 = " axis "; a.shape I64 2 = 8,128; a.packing U8 7 = '" packing                                       \
    "'; a.unpack_view_dtype U8 11 = 'torch.uint8'"
#define PLAIN_CONFIG(method) "{\"quantization_config\":{\"quant_method\":\"" method "\"}}"
#define GPTQ_5               "a.qweight I32 5,32; a.qzeros I32 1,5; a.scales F16 1,32"
#define COMFY(said)          "a.weight U8 64,32; a.weight_scale F8_E4M3 64,4; a.comfy_quant U8 64 = '" said "'"
#define SPARSE(rest)         "a.weight.bitmask U8 4,1; a.weight.compressed F16 " rest
#define QUARK                "a.weight I32 32,2; a.weight_scale F16 4,16; a.weight_zero_point I32 4,1"
#define QUARK_CONFIG(dtype, method)                                                                                    \
    "{\"quantization_config\":{\"quant_method\":\"quark\",\"export\":{\"pack_method\":\"" method                       \
    "\"},\"global_quant_config\":{\"weight\":{\"dtype\":\"" dtype "\"}}}}"
#define TORCHAO "a._weight_qdata I8 4,8; a._weight_scale F32 4,1; "

/* What is nearly a known layout. */
static const struct {
    const char *tensors, *config, *why;
} lies[] = {
    {GPTQ, NULL, "names neither gptq nor awq"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"marlin\"}}", "names neither gptq nor awq"},
    {GPTQ, "{\"quantization_config\":", "names neither gptq nor awq"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}}",
     "checkpoint_format"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"gptq\",\"format\":\"bitblas\"}}", "format"},
    {"a.qweight I32 4,32; a.qzeros I32 1,4; a.scales F16 2,32", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {"a.qweight I32 4,32; a.qzeros I32 1,4; a.scales F16 1,31", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {"a.qweight I32 4,32; a.qzeros F32 1,4; a.scales F16 1,32", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {"a.qweight I32 4,32; a.scales F16 1,32", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {"a.qweight I32 0,32; a.qzeros I32 1,4; a.scales F16 1,32", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {"a.qweight I32 4,32; a.qzeros I32 1,5; a.scales F16 1,32", GPTQ_CONFIG, "no number of bits"},
    {"a.qweight I32 4,32; a.qzeros I32 5,4; a.scales F16 5,32", GPTQ_CONFIG, "groups of one size"},
    {GPTQ "a.g_idx I32 20", GPTQ_CONFIG, "no number of bits"},
    {GPTQ "a.g_idx I64 32", GPTQ_CONFIG, "does not tell the group of each"},
    {"a.qweight I32 1,5; a.qzeros I32 1,1; a.scales F16 1,5", PLAIN_CONFIG("gptq"), "no number of bits"},
    {GPTQ_5, PLAIN_CONFIG("gptq"), "neither gptq_p nor auto-round"},
    {GPTQ_5, "{\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_v2\"}}",
     "neither gptq_p nor auto-round"},
    {"a.qweight I32 3,16; a.qzeros I32 1,2; a.scales F16 1,16; a.g_idx I32 20",
     "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"checkpoint_format\":\"gptq_p\"}}",
     "are not of 32 codes each"},
    {"a.qweight I8 4,32; a.qzeros I8 1,4; a.scales F16 1,32", GPTQ_CONFIG, "do not fit GPTQ's shapes"},
    {GPTQ "a.g_idx I32 32 = 0,1", GPTQ_CONFIG, "names group 1 for column 1, there are 1"},
    {GPTQ "a.g_idx I32 32 = -1", GPTQ_CONFIG, "names group -1 for column 0, there are 1"},
    {GPTQ "a.weight F32 1", GPTQ_CONFIG, "there is a a.weight besides"},
    {GPTQ, AWQ_CONFIG(",\"version\":\"exllama\""), "version of AWQ is not known"},
    {GPTQ, AWQ_CONFIG(""), "do not fit AWQ's shapes of version gemm"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":8}}", "AWQ of 8 bits"},
    {"a.qweight I32 32,4; a.qzeros I32 32,1; a.scales F16 32,8", AWQ_CONFIG(",\"version\":\"gemv\""),
     "group_size does not fit"},
    {"a.qweight I32 32,4; a.qzeros I32 32,1; a.scales F16 32,8", AWQ_CONFIG(",\"version\":\"gemv\",\"group_size\":2"),
     "group_size does not fit"},
    {"a.qweight I16 2,64; a.qzeros F16 8,8; a.scales F16 8,8",
     AWQ_CONFIG(",\"version\":\"gemv_fast\",\"group_size\":1e300"), "group_size does not fit"},
    {"a.qweight I16 2,32; a.qzeros F16 8,8; a.scales F16 8,8",
     AWQ_CONFIG(",\"version\":\"gemv_fast\",\"group_size\":32"), "do not fit AWQ's shapes of version gemv_fast"},
    {CT, CT_CONFIG(4), "no weight_shape"},
    {"a.weight_packed I32 16,4", CT_CONFIG(4), "no weight_scale"},
    {CT "a.weight_shape I64 2 = 15,32", CT_CONFIG(4), "says 15 x 32 of 16 rows"},
    {CT "a.weight_shape I64 2 = 16,0", CT_CONFIG(4), "says 16 x 0"},
    {CT "a.weight_shape I64 2 = 16,-1", CT_CONFIG(4), "holds -1"},
    {CT "a.weight_shape I64 2 = 16,0x7fffffffffffffff", CT_CONFIG(4), "says 16 x"},
    {CT "a.weight_shape I64 3 = 16,32", CT_CONFIG(4), "is not 2 whole numbers"},
    {CT "a.weight_shape I64 2 = 16,32", CT_CONFIG(8), "fit no number of bits"},
    {"a.weight_packed I32 16,2; a.weight_scale BF16 16,1; a.weight_shape I64 2 = 16,20", CT_CONFIG(3),
     "several layouts"}, /* whose codes are 0, so that they do not tell either */
    {"a.weight_packed I32 16,4; a.weight_scale BF16 16,3; a.weight_shape I64 2 = 16,32", CT_CONFIG(4), "fits neither"},
    {"a.weight_packed I32 16,4; a.weight_scale I32 16,1; a.weight_shape I64 2 = 16,32", CT_CONFIG(4),
     "a type that scales do not have"},
    {CT "a.weight_shape I64 2 = 16,32; a.weight_zero_point I32 1,1", CT_CONFIG(4), "shape of weight_zero_point"},
    {CT "a.weight_shape I64 2 = 16,32; a.weight_g_idx I32 32 = 5", CT_CONFIG(4), "names group 5"},
    {"a.weight_packed U8 16,8; a.weight_scale F8_E4M3 16,1", CT_CONFIG(4), "neither nvfp4, mxfp4 nor mxfp6"},
    {"a.weight_packed U8 16,8; a.weight_scale F8_E4M3 16,1; a.weight_global_scale F32 2", NULL,
     "second scale is not one F32 for each matrix"},
    {"a.weight_packed I8 16,8; a.weight_scale F32 16,1", CT_CONFIG(4), "no format packs into"},
    {"a.weight U8 16,8; a.weight_scale F32 16,1", NULL, "no weight_scale_2"},
    {"a.weight U8 16,8; a.weight_scale F8_E4M3 16,2; a.weight_scale_2 F32", NULL, "do not fit NVFP4"},
    {"a.weight F8_E4M3 16,8; a.weight_scale F32 16,1", NULL, "no method that scales F8_E4M3"},
    {"a.weight I8 16,8; a.weight_scale F32 16,1", FP8_CONFIG, "no method that scales I8"},
    {"a.weight I8 16,8; a.weight_scale F32 16,1; a.weight_zero_point I8 15,1", CT_CONFIG(8), "not one I8 for each"},
    {"a.weight F8_E4M3 16,8; a.weight_scale_inv F32 1,1", NULL, "does not name fp8"},
    {"a.weight F8_E4M3 16,8; a.weight_scale_inv I32 1,1", FP8_CONFIG, "scales are of the type I32"},
    {"a.weight F8_E4M3 16,8; a.weight_scale_inv F32 3,1", FP8_CONFIG, "fits neither"},
    {"a.weight F8_E4M3 16,8; a.weight_scale_inv F32 3,1",
     "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[0,0]}}", "fits neither"},
    {"a.weight F8_E4M3 16; a.weight_scale_inv F32 1,1", FP8_CONFIG, "no matrix"},
    {"a.weight I8 16,8; a.weight_scale_inv F32 16,1", FP8_CONFIG, "an I8 beside scales of F32"},
    {"a.weight I8 16,8; a.weight_scale_inv U8 16,3", FP8_CONFIG, "fits neither"},
    {"e.w F8_E4M3 3,16,8; e.w_scale_inv F32 2,1,1", FP8_CONFIG, "fits neither"},
    {"e.w F8_E4M3 3,16,8; e.w_scale_inv F32 3,5,1", FP8_CONFIG, "fits neither"},
    {"e.w F8_E4M3 3,16,8; e.w_scale_inv F32 3,0,1", FP8_CONFIG, "no matrix"},
    {"e.w F8_E4M3 2,3,16,8; e.w_scale_inv F32 2,3,1,1", FP8_CONFIG, "no matrix"},
    {"e.w F8_E4M3 3,8,8; e.w_scale F32 3,1,8", FBGEMM_CONFIG, "fits neither"}, /* of rows or of columns */
    {"a.weight F8_E4M3 16,64; a.weight_scale U8 16,1", CT_CONFIG(8), "not of 32 columns"},
    {"a.weight F8_E4M3 16,8; a.scale F32 1,1", NULL, "does not name fp8"},
    {"a.weight U8 8,8; a.weight_scale F32 17,1", MODELOPT_CONFIG, "fits neither NVFP4 nor two int4"},
    {"a.weight U8 8,8; a.weight_scale F32 16,3", MODELOPT_CONFIG, "fits neither rows"},
    {"a.weight U8 8,8; a.weight_scale F32 2", BITNET_CONFIG, "do not fit BitNet's"},
    {"a.weight U8 8; a.weight_scale F32 1", BITNET_CONFIG, "do not fit BitNet's"},
    {"a.weight U8 8,8; a.weight_scale F32 8,1", GEMMA_CONFIG(",\"num_bits\":3"), "of how many bits"},
    {"a.weight U8 8,8; a.weight_scale F32 8,1", GEMMA_CONFIG(",\"module_quant_configs\":{\"a\":{}}"),
     "of how many bits"},
    {"a.weight U8 2,8,8; a.weight_scale F8_E4M3 2,8,1; a.weight_scale_2 F32 3", NULL,
     "second scale is not one F32 for each matrix"},
    {"a.weight_packed U8 16,13; a.weight_scale U8 16,1", CT_CONFIG(6), "neither nvfp4, mxfp4 nor mxfp6"},
    {"e.weight_packed I32 2,4,4; e.weight_scale BF16 2,4,1; e.weight_zero_point I32 2,1,1; e.weight_shape I64 3 = "
     "2,4,32",
     CT_CONFIG(4), "of a stack ends within a word"},
    {"e.weight_packed I32 2,4,4; e.weight_scale BF16 2,4,1; e.weight_shape I64 3 = 3,4,32", CT_CONFIG(4),
     "says 4 x 32 of 4 rows"},
    {"a.weight U32 4,8; a.scales F16 4,1; a.biases F16 4,1", NULL, "no quantization of MLX"},
    {"a.weight U32 4,8; a.scales F16 4,1; a.biases F16 4,1", MLX_CONFIG(""), "are not 1 groups of the config's size"},
    {"a.weight U32 4,8; a.scales F16 4,1; a.biases F16 4,1", MLX_CONFIG(",\"a\":{\"group_size\":0}"),
     "are not 1 groups of the config's size"},
    {"a.weight U32 4,8; a.scales F16 4,2; a.biases F16 4,1", MLX_CONFIG(""), "do not fit each other"},
    {"a.weight U32 4,8; a.scales F16 4,2", MLX_CONFIG(""), "do not fit each other"},
    {"a.weight U32 4,8; a.scales U8 4,2", MLX_CONFIG(",\"mode\":\"mxfp5\""), "mode mxfp5 is not known"},
    {"a.weight U32 4,8; a.scales F16 4,2", MLX_CONFIG(",\"mode\":\"mxfp4\""), "not those of mxfp4"},
    {"a.weight U32 4,8; a.scales U8 4,2", MLX_CONFIG(",\"mode\":\"nvfp4\""), "not those of nvfp4"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"auto-round\",\"bits\":4}}", "names no packing_format"},
    {GPTQ, "{\"quantization_config\":{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:auto_awq\"}}",
     "do not fit AWQ's shapes"},
    {"a.weight U8 8,8; a.weight_scale U8 8,2", MODELOPT_CONFIG, "do not fit MXFP4"},
    {"a.w_blocks U8 2,3,1,16; a.w_scales U8 2,3,2", NULL, "do not fit MXFP4"},
    {"a.w_blocks U8 2,3,1,15; a.w_scales U8 2,3,1", NULL, "do not fit MXFP4"},
    {BNB("no"), NULL, "no JSON"},
    {BNB(STATE("0", "[64]")), NULL, "no type or no size of blocks"},
    {BNB(STATE("63", "[63]")), NULL, "no type or no size of blocks"},
    {BNB(STATE("64", "[65]")), NULL, "names 65 elements, its codes have 32 bytes"},
    {BNB(STATE("64", "[0,64]")), NULL, "a shape that it cannot have"},
    {BNB(STATE("64", "[8589934592,8589934592]")), NULL, "a shape that it cannot have"},
    {BNB(STATE("64", "[1,1,1,1,64]")), NULL, "a shape that it cannot have"},
    {BNB(STATE("64", "[]")), NULL, "names no shape"},
    {BNB(STATE("32", "[64]")), NULL, "for each of 2 blocks"},
    {"a.weight U8 32,1; a.weight.absmax F32 1; a.weight.quant_map F32 15; "
     "a.weight.quant_state.bitsandbytes__nf4 U8 96 = '" STATE("64", "[64]") "'",
     NULL, "quant_map is not 16 F32"},
    {"a.weight U8 32,1; a.weight.absmax U8 1; a.weight.quant_map F32 16; "
     "a.weight.quant_state.bitsandbytes__nf4 U8 96 = '" STATE("64", "[64]") "'",
     NULL, "what is nested in it is not whole"},
    {"a.weight.quant_state.bitsandbytes__nf4 U8 96 = '" STATE("64", "[64]") "'", NULL, "its codes have 0 bytes"},
    {"a.weight I8 4,8; a.SCB F32 5; a.weight_format U8", NULL, "SCB is not one F32 for each row"},
    {"a.weight I8 4,8; a.SCB F32 4", NULL, "neither a weight_format nor a config"},
    {"a.weight I8 4,8; a.SCB F32 4; a.weight_format U8 = 1", NULL, "weight_format is 1"},
    {"a.up_proj.weight._data._data U8 9,32; a.up_proj.weight._scale F32 20,1; a.up_proj.weight._shift F32 20,1",
     QUANTO_CONFIG, "not those of 20 groups"},
    {"a.up_proj.weight._data._data U8 10,32; a.up_proj.weight._scale F32 20,1", QUANTO_CONFIG, "do not fit groups"},
    {"a.fc.weight._data._data U8 10,32; a.fc.weight._scale F32 20,1; a.fc.weight._shift F32 20,1", QUANTO_CONFIG,
     "its shape is not in the file"},
    {"a.up_proj.weight._data._data U8 10,128; a.up_proj.weight._scale F32 20,1; a.up_proj.weight._shift F32 20,1",
     QUANTO_CONFIG, "its shape is not in the file"},
    {"a.weight._data I8 4,8; a.weight._scale F32 4,1", NULL, "does not name quanto"},
    {"a.weight._data I32 4,8; a.weight._scale F32 4,1", QUANTO_CONFIG, "of no type that quanto has"},
    {"a.weight._data I8 4,8,2; a.weight._scale F32 4,1", QUANTO_CONFIG, "neither a matrix nor of a convolution"},
    {"a.weight._data I8 3,8,2; a.weight._scale F32 4,1,1", QUANTO_CONFIG, "not one number for each output"},
    {"a.weight._data._data U8 2,4,3; a.weight._scale F32 5,1,1; a.weight._shift F32 5,1,1", QUANTO_CONFIG,
     "not those of 5 groups"},
    {"a.weight._data._data U8 2,4,3; a.weight._scale F32 4,1,1; a.weight._shift F32 4,1", QUANTO_CONFIG,
     "do not fit groups"},
    {"a.W_q U8 32,16; a.scale F16 64,1; a.zero F16 64,1", NULL, "there is no nbits"},
    {HQQ("4", "16", "1", "8bit_u8"), NULL, "packing is not known for 4 bits"},
    {HQQ("5", "16", "1", "4bit_u8"), NULL, "packing is not known for 5 bits"},
    {HQQ("4", "0", "1", "4bit_u8"), NULL, "do not make a matrix of groups"},
    {HQQ("4", "17", "1", "4bit_u8"), NULL, "do not make a matrix of groups"},
    {HQQ("4", "16", "2", "4bit_u8"), NULL, "do not make a matrix of groups"},
    {HQQ("4", "32", "1", "4bit_u8"), NULL, "for each of 32 groups"},
    {HQQ("2", "16", "1", "2bit_u8"), NULL, "W_q has 512 bytes"},
    {HQQ("4", "16", "1", "4bit_u8") "; a.quant_zero U8 = 1", NULL, "there is no zero_q"},
    {HQQ("4", "16", "1", "4bit_u8") "; a.quant_zero U8 = 1; a.zero_q U8 64", NULL, "there is no meta_zero.nbits"},
    {HQQ("4", "16", "1",
         "4bit_u8") "; a.quant_zero U8 = 1; a.zero_q U8 32; a.meta_zero.nbits I32 = 8; "
                    "a.meta_zero.axis I32; a.meta_zero.shape I64 2 = 32,1; a.meta_zero.packing U8 7 = '8bit_u8'",
     NULL, "zero_q has 32 codes for 64 groups"},
    {HQQ("4", "16", "1",
         "4bit_u8") "; a.quant_scale U8 = 1; a.scale_q U8 63; a.meta_scale.nbits I32 = 8; "
                    "a.meta_scale.axis I32; a.meta_scale.shape I64 2 = 64,1; a.meta_scale.packing U8 7 = '8bit_u8'",
     NULL, "scale_q has 63 bytes"},
    {"a.W_q U8 4,4; a.scale F32 4,1; a.zero F32 4,1; @a.nbits = 'x4'", NULL, "nbits is no number"},
    {"a.codes I8 4,4,1; a.codebooks F16 1,256,1,8; a.scales F16 5,1,1,1", NULL, "do not fit AQLM"},
    {"a.codes I8 4,4,2; a.codebooks F16 1,256,1,8; a.scales F16 4,1,1,1", NULL, "do not fit AQLM"},
    {"a.codes I8 4,0,1; a.codebooks F16 1,256,1,8; a.scales F16 4,1,1,1", NULL, "do not fit AQLM"},
    {"a.codes I8 4,4,1; a.codebooks F16 1,256,2,8; a.scales F16 4,1,1,1", NULL, "of 2 outputs, which is not decoded"},
    {"a.codes I8 4,4,1; a.codebooks F16 1,512,1,8; a.scales F16 4,1,1,1", NULL, "512 entries of a codebook"},
    {"a.codes I16 4,4,1; a.codebooks F16 1,96,1,8; a.scales F16 4,1,1,1", NULL, "96 entries of a codebook"},
    {"a.codes U8 4,4,1; a.codebooks F16 1,256,1,8; a.scales F16 4,1,1,1", NULL, "do not fit codes of U8"},
    {"a.indices I16 1,4; a.centroids.weight F16 1,64", NULL, "of VPTQ, which is not decoded"},
    {"a.weight I8 4,4; a.weight_scales F16 4", NULL, "of EETQ, which is not decoded"},
    {"a.weight.bitmask U8 4,1; a.weight.compressed F16 8", NULL, "there is no shape"},
    {SPARSE("8; a.weight.shape I64 2 = 4,9"), NULL, "do not fit each other"},
    {SPARSE("8; a.weight.shape I64 2 = 4,0"), NULL, "do not fit each other"},
    {SPARSE("8; a.weight.shape I64 2 = 3,8"), NULL, "do not fit each other"},
    {SPARSE("8; a.weight.shape I64 2 = 4,8"), NULL, "not half of each of 4 rows"},
    {SPARSE("4,3; a.weight.shape I64 2 = 4,8"), NULL, "not half of each of 4 rows"},
    {SPARSE("8; a.weight.shape I64 2 = 4,8; a.weight.row_offsets I64 3"), NULL, "not one I64 for each of 4 rows"},
    {SPARSE("4,4; a.weight.shape I64 2 = 4,8; a.weight_scale F32 4"), NULL, "with zero points or scales"},
    {"a.bitmask U8 4,1; a.compressed I8 4,4; a.shape I64 2 = 4,8", NULL, "I8 values are there without scales"},
    {"a.bitmask U8 4,1; a.compressed I8 4,4; a.shape I64 2 = 4,8; a.weight_scale F32 3", NULL, "not one number"},
    {"a.q_weight I32 4,4; a.q_scale_max F16 4", NULL, "of ExLlamaV2, which is not decoded"},
    {"a.trellis I16 4,4,64; a.suh F16 64; a.svh F16 64", NULL, "of ExLlamaV3, which is not decoded"},
    {"a.qweight I8 4,4; a.wscales BF16 4,4", NULL, "of SVDQuant, which is not decoded"},
    {COMFY("{\"format\":\"nvfp4\"}                                              "), NULL,
     "weight_scale_2 do not fit nvfp4"},
    {COMFY("{\"format\":\"nvfp4\"}                                              ") "; a.weight_scale_2 F32", NULL,
     "in panels of 128 rows"},
    {COMFY("{\"format\":\"mxfp8\"}                                              "), NULL, "do not fit mxfp8"},
    {COMFY("{\"format\":\"float8_e4m3fn\"}                                      "), NULL, "weight is U8, not FP8"},
    {COMFY("{\"format\":\"int8_tensorwise\"}                                    "), NULL, "weight is U8, not I8"},
    {COMFY("{\"format\":\"int8_tensorwise\",\"convrot\":true}                     "), NULL,
     "rotated weights are not decoded"},
    {COMFY("{\"format\":\"svdquant_w4a4\"}                                      "), NULL,
     "format svdquant_w4a4 is not decoded"},
    {"a.weight U8 128,32; a.weight_scale F8_E4M3 128,4; a.weight_scale_2 F32; a.comfy_quant U8 2 = 'no'", NULL,
     "no JSON"},
    {"a.weight U8 128,32; a.weight_scale F8_E4M3 128,4; a.weight_scale_2 F32; "
     "@_quantization_metadata = '{\\\"layers\\\":{\\\"b\\\":{\\\"format\\\":\\\"nvfp4\\\"}}}'",
     NULL, "say nothing of its layer"},
    {"a.weight F8_E4M3 4,8; a.scale_weight F32", NULL, "no scaled_fp8 of ComfyUI's"},
    {"scaled_fp8 F8_E4M3 2; a.weight F8_E4M3 4,8; a.scale_weight F32 3", NULL, "fits neither rows"},
    {"scaled_fp8 F8_E4M3 2; a.weight F8_E4M3 4,8; a.scale_weight U8", NULL, "a type that scales do not have"},
    {QUARK, QUARK_CONFIG("int3", "reorder"), "int4 or uint4, reordered"},
    {QUARK, QUARK_CONFIG("int4", "order"), "int4 or uint4, reordered"},
    {QUARK, QUARK_CONFIG("int4", "reorder"), "do not fit groups of int4"},
    {"a.weight I8 4,8; a.weight_scale F32 4,1; a.pre_quant_scale F32 7", MODELOPT_CONFIG, "for each of 8 columns"},
    {"a.weight I8 4,8; a.weight_scale F32 4,1; a.pre_quant_scale I32 8", MODELOPT_CONFIG, "for each of 8 columns"},
    {TORCHAO, NULL, "the metadata does not say what it is"},
    {TORCHAO "@a.weight = 'no'", NULL, "is no JSON"},
    {TORCHAO "@a.weight = '{\\\"_type\\\":\\\"Other\\\",\\\"_tensor_data_names\\\":[\\\"qdata\\\"]}'", NULL,
     "torchao's Other is not known"},
    {TORCHAO "@a.weight = '{\\\"_type\\\":\\\"Int8Tensor\\\",\\\"_tensor_data_names\\\":[\\\"qdata\\\"]}'", NULL,
     "not one for each block"},
    {TORCHAO "@a.weight = '{\\\"_type\\\":\\\"Int8Tensor\\\",\\\"_tensor_data_names\\\":[\\\"lut\\\"]}'", NULL,
     "torchao's Int8Tensor has other data than"},
    {"a._weight_qdata I32 1,1,32,4; a._weight_scale_and_zero BF16 4,8,2; "
     "@a.weight = "
     "'{\\\"_type\\\":\\\"Int4TilePackedTo4dTensor\\\",\\\"_tensor_data_names\\\":[\\\"qdata\\\",\\\"scale_and_"
     "zero\\\"]}'",
     NULL, "torchao's Int4TilePackedTo4dTensor has other data"},
    {"a._weight_qdata I8 4,16; a._weight_scale F16 1,4; a._weight_zero_point F16 1,4; "
     "@a.weight = '{\\\"_type\\\":\\\"Int4Tensor\\\",\\\"_data\\\":{\\\"block_size\\\":[1,16]},"
     "\\\"_tensor_data_names\\\":[\\\"qdata\\\"]}'",
     NULL, "do not fit int4"},
    {"a._weight_qdata U8 4,16; a._weight_scale F8_E4M3 4,3; "
     "@a.weight = '{\\\"_type\\\":\\\"NVFP4Tensor\\\",\\\"_data\\\":{\\\"is_swizzled_scales\\\":true},"
     "\\\"_tensor_data_names\\\":[\\\"qdata\\\"]}'",
     NULL, "not one for each 16 columns"},
    {"a._weight_qdata U8 4,16; a._weight_scale F8_E8M0 4,1; "
     "@a.weight = '{\\\"_type\\\":\\\"MXTensor\\\",\\\"_data\\\":{\\\"block_size\\\":0},"
     "\\\"_tensor_data_names\\\":[\\\"qdata\\\"]}'",
     NULL, "no block_size"},
};

/* It stays as it is stored, and the model says why. */
START_TEST(what_is_not_certain_stays_integers_and_says_so)
{
    size_t bytes;
    uint8_t *file = made_file(lies[_i].tensors, &bytes);
    struct model *model = made_model(file, bytes, lies[_i].config);

    ck_assert_msg(model->warning_count == 1, "%s: %zu warnings", lies[_i].why, model->warning_count);
    ck_assert_str_eq(model->warnings[0].code, "packed-unknown");
    ck_assert_msg(strstr(model->warnings[0].message, lies[_i].why), "%s\nsays not: %s", model->warnings[0].message,
                  lies[_i].why);
    for (size_t t = 0; t < model->tensor_count; t++)
        ck_assert_ptr_null(model->tensors[t].storage);
    model_close(model);
    free(file);
}
END_TEST

START_TEST(a_tensor_is_a_part_of_one_only)
{
    size_t bytes;
    uint8_t *file =
        made_file(GPTQ "a.weight_packed I32 16,4; a.weight_scale BF16 16,1; a.weight_shape I64 2 = 16,32", &bytes);
    struct model *model = made_model(file, bytes, GPTQ_CONFIG);

    /* without a config of compressed-tensors, 4 words for 32 columns are 4 bits all the same */
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_ptr_nonnull(strstr(model->warnings[0].message, "there is a a.weight besides"));
    ck_assert_ptr_nonnull(model_find(model, name_of("a.weight_packed")));
    model_close(model);
    free(file);
}
END_TEST

START_TEST(a_method_that_left_no_known_name_is_told)
{
    static const struct {
        const char *tensors, *config;
        size_t warnings;
        const char *says;
    } models[] = {
        {"a.w_int U8 4,8; a.w_max F16 4", PLAIN_CONFIG("sdnq"), 1, "the method sdnq"},
        {"a.w_int U8 4,8; a.w_max F16 4", PLAIN_CONFIG("\\u001b[31m\\n"), 1, "the method \\x1b[31m\\x0a,"},
        {"a.w_int U8 4,8; a.w_max F16 4", NULL, 0, NULL},
        {"a.weight F16 4,8", PLAIN_CONFIG("sdnq"), 0, NULL},
        {"a.weight F16 4,8; a.position_ids I64 1,8", PLAIN_CONFIG("sdnq"), 0, NULL},
    };
    size_t bytes;
    uint8_t *file = made_file(models[_i].tensors, &bytes);
    struct model *model = made_model(file, bytes, models[_i].config);

    ck_assert_uint_eq(model->warning_count, models[_i].warnings);
    if (model->warning_count)
        ck_assert_msg(strstr(model->warnings[0].message, models[_i].says) != NULL, "says: %s",
                      model->warnings[0].message);
    model_close(model);
    free(file);
}
END_TEST

/* A mask is a claim about how many values there are. */
static const struct {
    const char *tensors, *why;
} masks[] = {
    {"a.bitmask U8 2,1 = 0x0f,0x1f; a.compressed F16 2,4; a.shape I64 2 = 2,8", "has not half of its bits set"},
    {"a.bitmask U8 2,1 = 0x0f,0x1f; a.compressed F16 8; a.shape I64 2 = 2,8; a.row_offsets I64 2 = 0,4",
     "row 1 has values beyond the 8"},
    {"a.bitmask U8 2,1 = 0x0f,0x1f; a.compressed F16 9; a.shape I64 2 = 2,8; a.row_offsets I64 2 = 0,-4",
     "row 1 has values beyond the 9"},
};

START_TEST(a_mask_that_lies_is_an_error)
{
    size_t bytes;
    uint8_t *file = made_file(masks[_i].tensors, &bytes);
    struct model *model = made_model(file, bytes, NULL);
    struct error err = {0};
    float values[16];

    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_int_eq(decoder_read(model, &model->tensors[0], 0, 8, values, &err), 0);
    ck_assert_int_eq(decoder_read(model, &model->tensors[0], 0, 16, values, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, masks[_i].why) != NULL, "says: %s", err.text);
    model_close(model);
    free(file);
}
END_TEST

START_TEST(plain_models_are_left_alone)
{
    size_t bytes;
    uint8_t *file = made_file("a.weight F8_E4M3 4,4; b.weight I8 4,4; b.weight_scale_x F32 1; k_scale F32 1; "
                              "c.weight BF16 4,4; c.weight_scale F32 4,1; blocks.0 F32 1; d_scale_inv F32 1",
                              &bytes);
    struct model *model = made_model(file, bytes, CT_CONFIG(8));

    ck_assert_uint_eq(model->warning_count, 0);
    ck_assert_uint_eq(model->tensor_count, 8);
    model_close(model);
    free(file);
}
END_TEST

static void list_folders(void)
{
    struct dirent **entries;
    int count = scandir(PACKED, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        if (!strchr(entries[i]->d_name, '.') && folder_count < FOLDERS_MAX)
            snprintf(folders[folder_count++], sizeof(folders[0]), "%.63s", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

int main(void)
{
    Suite *suite = suite_create("packed");
    TCase *tcase = tcase_create("packed");
    SRunner *runner;
    int failed;

    list_folders();
    tcase_add_loop_test(tcase, every_layout_has_the_values_that_were_packed, 0, folder_count);
    tcase_add_loop_test(tcase, any_range_reads_like_the_whole, 0, folder_count);
    tcase_add_loop_test(tcase, bytes_are_those_of_the_parts, 0, folder_count);
    tcase_add_loop_test(tcase, what_is_not_certain_stays_integers_and_says_so, 0,
                        (int)(sizeof(lies) / sizeof(lies[0])));
    tcase_add_test(tcase, a_tensor_is_a_part_of_one_only);
    tcase_add_loop_test(tcase, a_method_that_left_no_known_name_is_told, 0, 5);
    tcase_add_loop_test(tcase, a_mask_that_lies_is_an_error, 0, (int)(sizeof(masks) / sizeof(masks[0])));
    tcase_add_test(tcase, plain_models_are_left_alone);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner) + (folder_count < 133);
    srunner_free(runner);
    return failed ? 1 : 0;
}
