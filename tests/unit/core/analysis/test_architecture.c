/* What is measured from shapes and read from configs, and how blocks are collapsed. */
#include "tests/unit/core/analysis/architecture_models.h"

static const struct {
    const char *name, *layout, *config, *figures;
} layouts[] = {
    {"llama", LLAMA("3"),
     "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":3,\"num_attention_heads\":4,"
     "\"num_key_value_heads\":2,\"head_dim\":16,\"intermediate_size\":96,\"vocab_size\":256,"
     "\"tie_word_embeddings\":false}",
     "family=\"llama\"/config depth=3/shapes hidden_size=64/shapes heads=4/config kv_heads=2/config "
     "heads_per_kv_head=2/shapes head_size=16/config ffn_size=96/shapes vocabulary=256/shapes experts=null "
     "stages=null tied_embeddings=false/shapes"},
    {"llama without a config", LLAMA("2"), NULL,
     "family=\"llama\"/names depth=2/shapes hidden_size=64/shapes heads=null kv_heads=null "
     "heads_per_kv_head=2/shapes head_size=null ffn_size=96/shapes tied_embeddings=false/shapes"},
    {"norms of queries and keys tell the head size", /* Qwen3 */
     LLAMA("2") " model.layers.{2}.self_attn.q_norm.weight=16 model.layers.{2}.self_attn.k_norm.weight=16", NULL,
     "hidden_size=64/shapes heads=4/shapes kv_heads=2/shapes head_size=16/shapes"},
    {"norms over all heads tell nothing", /* OLMo 2 */
     LLAMA("2") " model.layers.{2}.self_attn.q_norm.weight=64 model.layers.{2}.self_attn.k_norm.weight=32", NULL,
     "hidden_size=64/shapes heads=null kv_heads=null heads_per_kv_head=2/shapes head_size=null"},
    {"gpt2", /* transposed, fused */
     "transformer.wte.weight=256x64 transformer.wpe.weight=48x64 transformer.h.{2}.ln_1.weight=64 "
     "transformer.h.{2}.attn.c_attn.weight=64x192 transformer.h.{2}.attn.c_attn.bias=192 "
     "transformer.h.{2}.attn.c_proj.weight=64x64 transformer.h.{2}.mlp.c_fc.weight=64x96 "
     "transformer.h.{2}.mlp.c_proj.weight=96x64",
     "{\"model_type\":\"gpt2\",\"n_embd\":64,\"n_layer\":2,\"n_head\":4,\"n_inner\":null,\"vocab_size\":256,"
     "\"tie_word_embeddings\":true}",
     "family=\"gpt2\"/config depth=2/shapes hidden_size=64/shapes heads=4/config kv_heads=4/config "
     "heads_per_kv_head=1/shapes head_size=16/config ffn_size=96/shapes vocabulary=256/shapes "
     "tied_embeddings=true/config"},
    {"starcoder", /* one key head, fused */
     "transformer.wte.weight=128x32 transformer.wpe.weight=48x32 transformer.h.{2}.attn.c_attn.weight=48x32 "
     "transformer.h.{2}.attn.c_proj.weight=32x32 transformer.h.{2}.mlp.c_fc.weight=64x32 "
     "transformer.h.{2}.mlp.c_proj.weight=32x64",
     "{\"model_type\":\"gpt_bigcode\",\"n_embd\":32,\"n_head\":4,\"multi_query\":true}",
     "hidden_size=32/shapes heads=4/config kv_heads=1/config heads_per_kv_head=4/shapes ffn_size=64/shapes"},
    {"falcon", /* grouped heads, fused */
     "transformer.word_embeddings.weight=256x64 transformer.h.{2}.self_attention.query_key_value.weight=128x64 "
     "transformer.h.{2}.self_attention.dense.weight=64x64 transformer.h.{2}.mlp.dense_h_to_4h.weight=128x64 "
     "transformer.h.{2}.mlp.dense_4h_to_h.weight=64x128",
     "{\"model_type\":\"falcon\",\"hidden_size\":64,\"num_attention_heads\":4,\"num_kv_heads\":2,"
     "\"multi_query\":true,\"new_decoder_architecture\":true,\"num_hidden_layers\":2}",
     "heads=4/config kv_heads=2/config heads_per_kv_head=2/shapes ffn_size=128/shapes"},
    {"bert",
     "bert.embeddings.word_embeddings.weight=128x32 bert.embeddings.position_embeddings.weight=64x32 "
     "bert.encoder.layer.{2}.attention.self.query.weight=32x32 bert.encoder.layer.{2}.attention.self.key.weight=32x32 "
     "bert.encoder.layer.{2}.attention.self.value.weight=32x32 "
     "bert.encoder.layer.{2}.attention.output.dense.weight=32x32 "
     "bert.encoder.layer.{2}.intermediate.dense.weight=64x32 "
     "bert.encoder.layer.{2}.output.dense.weight=32x64",
     NULL,
     "family=\"bert\"/names depth=2/shapes hidden_size=32/shapes heads=null heads_per_kv_head=1/shapes "
     "ffn_size=64/shapes vocabulary=128/shapes tied_embeddings=null"},
    {"t5", /* the table of relative positions has a column a head */
     "shared.weight=128x32 encoder.block.{2}.layer.0.SelfAttention.q.weight=64x32 "
     "decoder.block.{3}.layer.0.SelfAttention.q.weight=64x32 decoder.block.{3}.layer.0.SelfAttention.k.weight=64x32 "
     "decoder.block.{3}.layer.0.SelfAttention.v.weight=64x32 decoder.block.{3}.layer.0.SelfAttention.o.weight=32x64 "
     "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight=8x4 "
     "decoder.block.{3}.layer.1.EncDecAttention.q.weight=64x32 "
     "decoder.block.{3}.layer.2.DenseReluDense.wi.weight=80x32 "
     "decoder.block.{3}.layer.2.DenseReluDense.wo.weight=32x80",
     "{\"model_type\":\"t5\",\"d_model\":32,\"d_kv\":16,\"d_ff\":80,\"num_heads\":4,\"num_layers\":2,"
     "\"num_decoder_layers\":3,\"is_encoder_decoder\":true,\"vocab_size\":128}",
     "depth=3/shapes hidden_size=32/shapes heads=4/shapes kv_heads=4/shapes head_size=16/shapes ffn_size=80/shapes "
     "vocabulary=128/shapes"},
    {"mixtral",
     "model.embed_tokens.weight=256x32 lm_head.weight=256x32 model.layers.{2}.self_attn.q_proj.weight=32x32 "
     "model.layers.{2}.self_attn.k_proj.weight=16x32 model.layers.{2}.self_attn.o_proj.weight=32x32 "
     "model.layers.{2}.block_sparse_moe.gate.weight=4x32 "
     "model.layers.{2}.block_sparse_moe.experts.{4}.w1.weight=64x32 "
     "model.layers.{2}.block_sparse_moe.experts.{4}.w2.weight=32x64 "
     "model.layers.{2}.block_sparse_moe.experts.{4}.w3.weight=64x32",
     "{\"model_type\":\"mixtral\",\"num_local_experts\":4,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
     "\"intermediate_size\":64}",
     "experts=4/shapes ffn_size=64/shapes hidden_size=32/shapes heads=4/config kv_heads=2/config"},
    {"experts stacked into one tensor",
     "model.embed_tokens.weight=256x32 model.layers.{2}.self_attn.q_proj.weight=64x32 "
     "model.layers.{2}.self_attn.k_proj.weight=32x32 model.layers.{2}.self_attn.o_proj.weight=32x64 "
     "model.layers.{2}.mlp.gate.weight=8x32 model.layers.{2}.mlp.experts.gate_up_proj=8x96x32 "
     "model.layers.{2}.mlp.experts.down_proj=8x32x48",
     NULL, "experts=8/shapes ffn_size=48/shapes hidden_size=32/shapes"},
    {"compressed keys and values", /* DeepSeek: the head size is that of the values */
     "model.embed_tokens.weight=128x32 model.layers.{2}.self_attn.q_proj.weight=96x32 "
     "model.layers.{2}.self_attn.kv_a_proj_with_mqa.weight=24x32 model.layers.{2}.self_attn.kv_b_proj.weight=128x16 "
     "model.layers.{2}.self_attn.o_proj.weight=32x64 model.layers.{2}.mlp.down_proj.weight=32x64",
     "{\"num_attention_heads\":4,\"num_key_value_heads\":4,\"head_dim\":8,\"v_head_dim\":16}",
     "heads=4/config kv_heads=4/config head_size=16/config hidden_size=32/shapes"},
    {"vit",
     "vit.embeddings.patch_embeddings.projection.weight=32x3x8x8 vit.embeddings.position_embeddings=1x17x32 "
     "vit.encoder.layer.{2}.attention.attention.query.weight=32x32 "
     "vit.encoder.layer.{2}.attention.attention.key.weight=32x32 "
     "vit.encoder.layer.{2}.attention.output.dense.weight=32x32 vit.encoder.layer.{2}.intermediate.dense.weight=64x32 "
     "vit.encoder.layer.{2}.output.dense.weight=32x64 classifier.weight=10x32",
     "{\"model_type\":\"vit\",\"hidden_size\":32,\"num_attention_heads\":4,\"num_hidden_layers\":2}",
     "depth=2/shapes hidden_size=32/shapes heads=4/config vocabulary=null tied_embeddings=null"},
    {"resnet",
     "resnet.embedder.embedder.convolution.weight=8x3x7x7 "
     "resnet.encoder.stages.{3}.layers.0.layer.0.convolution.weight=8x8x3x3 classifier.1.weight=10x8",
     "{\"model_type\":\"resnet\",\"depths\":[1,1,1],\"hidden_sizes\":[8,8,8]}",
     "family=\"resnet\"/config stages=3/shapes depth=null hidden_size=null heads=null ffn_size=null"},
    {"a resnet of timm",
     "conv1.weight=64x3x7x7 layer1.{2}.conv1.weight=4x64x3x3 layer2.{2}.conv1.weight=8x4x3x3 "
     "layer3.{2}.conv1.weight=8x8x3x3 layer4.{2}.conv1.weight=16x8x3x3 fc.weight=10x16",
     NULL, "family=\"resnet\"/names stages=4/shapes depth=null heads=null"},
    {"unet",
     "conv_in.weight=8x4x3x3 time_embedding.linear_1.weight=32x8 down_blocks.{2}.resnets.0.conv1.weight=8x8x3x3 "
     "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight=8x8 "
     "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight=16x16",
     "{\"_class_name\":\"UNet2DConditionModel\",\"attention_head_dim\":4}",
     "family=\"UNet2DConditionModel\"/config stages=2/shapes depth=null hidden_size=null heads=null head_size=null"},
    {"mamba",
     "backbone.embeddings.weight=128x32 backbone.layers.{2}.mixer.A_log=64x8 "
     "backbone.layers.{2}.mixer.in_proj.weight=128x32 backbone.layers.{2}.mixer.out_proj.weight=32x64 "
     "backbone.layers.{2}.mixer.x_proj.weight=18x64",
     NULL,
     "family=\"mamba\"/names depth=2/shapes hidden_size=32/shapes heads=null kv_heads=null ffn_size=null "
     "vocabulary=128/shapes"},
    {"rwkv",
     "rwkv.embeddings.weight=128x32 head.weight=128x32 rwkv.blocks.{2}.attention.time_decay=32 "
     "rwkv.blocks.{2}.attention.key.weight=32x32 rwkv.blocks.{2}.attention.value.weight=32x32 "
     "rwkv.blocks.{2}.attention.output.weight=32x32 rwkv.blocks.{2}.feed_forward.key.weight=64x32 "
     "rwkv.blocks.{2}.feed_forward.value.weight=32x64",
     NULL,
     "family=\"rwkv\"/names depth=2/shapes hidden_size=32/shapes heads=null ffn_size=64/shapes "
     "tied_embeddings=false/shapes"},
    {"a text model with eyes",
     "vision_tower.encoder.layers.{4}.self_attn.q_proj.weight=48x48 "
     "vision_tower.encoder.layers.{4}.self_attn.out_proj.weight=48x48 vision_tower.patch_embedding.weight=48x3x8x8 "
     "language_model.model.embed_tokens.weight=128x32 language_model.model.layers.{2}.self_attn.q_proj.weight=32x32 "
     "language_model.model.layers.{2}.self_attn.k_proj.weight=16x32 "
     "language_model.model.layers.{2}.self_attn.o_proj.weight=32x32",
     "{\"model_type\":\"llava\",\"text_config\":{\"num_attention_heads\":4,\"hidden_size\":32},"
     "\"vision_config\":{\"num_attention_heads\":6,\"hidden_size\":48}}",
     "stack=\"language_model.model.layers\"/names depth=2/shapes hidden_size=32/shapes heads=4/config"},
    {"shared layers", /* ALBERT */
     "albert.embeddings.word_embeddings.weight=128x16 "
     "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight=32x32 "
     "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.key.weight=32x32 "
     "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.dense.weight=32x32",
     "{\"model_type\":\"albert\",\"num_hidden_layers\":12,\"hidden_size\":32,\"num_attention_heads\":4}",
     "depth=12/config hidden_size=32/shapes heads=4/config"},
    {"no layers at all", "fc1.weight=10x20 fc1.bias=10", NULL,
     "family=null stack=null depth=null hidden_size=null heads=null ffn_size=null vocabulary=null"},
    {"nothing at all", "", NULL, "family=null depth=null parameters=0/shapes"},
};

START_TEST(layouts_are_measured)
{
    struct json_object *document;

    write_model("m", "F32", layouts[_i].layout, layouts[_i].config);
    document = compare_dirs("m", NULL);
    check_figures(document, "model", layouts[_i].figures);
    ck_assert_str_eq(at(document, "/disagreements"), "[]");
    json_object_put(document);
    /* As one side of a comparison, with itself. */
    document = compare_dirs("m", "m");
    check_figures(document, "candidate", layouts[_i].figures);
    ck_assert_str_eq(at(document, "/compatible"), "true");
    ck_assert_str_eq(at(document, "/config"),
                     layouts[_i].config ? "{\"added\":{},\"removed\":{},\"changed\":{}}" : "null");
    ck_assert_str_eq(at(document, "/side_files"), "[]");
    json_object_put(document);
}
END_TEST

static const struct {
    const char *config, *figure, *disagreement;
} conflicts[] = {
    {"{\"hidden_size\":128}", "hidden_size=64/shapes",
     "{\"model\":\"model\",\"figure\":\"hidden_size\",\"shapes\":64,\"config\":128}"},
    {"{\"num_hidden_layers\":3}", "depth=2/shapes",
     "{\"model\":\"model\",\"figure\":\"depth\",\"shapes\":2,\"config\":3}"},
    {"{\"vocab_size\":255}", "vocabulary=256/shapes",
     "{\"model\":\"model\",\"figure\":\"vocabulary\",\"shapes\":256,\"config\":255}"},
    {"{\"intermediate_size\":97}", "ffn_size=96/shapes",
     "{\"model\":\"model\",\"figure\":\"ffn_size\",\"shapes\":96,\"config\":97}"},
    {"{\"num_attention_heads\":4,\"head_dim\":32}", "head_size=16/shapes",
     "{\"model\":\"model\",\"figure\":\"head_size\",\"shapes\":16,\"config\":32}"},
    {"{\"num_attention_heads\":5}", "heads=5/config",
     "{\"model\":\"model\",\"figure\":\"heads\",\"shapes\":null,\"shapes_reason\":"
     "\"no shape allows the config's value\",\"config\":5}"},
};

START_TEST(a_config_that_lies_about_shapes_is_told_of)
{
    struct json_object *document;

    write_model("m", "F32", LLAMA("2"), conflicts[_i].config);
    document = compare_dirs("m", NULL);
    check_figures(document, "model", conflicts[_i].figure);
    ck_assert_str_eq(at(document, "/disagreements/0"), conflicts[_i].disagreement);
    ck_assert(has_warning(document, "config-disagrees", "config.json says"));
    json_object_put(document);
}
END_TEST

START_TEST(a_malformed_config_is_a_warning)
{
    struct json_object *document;

    write_model("m", "F32", LLAMA("2"), "{\"hidden_size\": 64, \"hidden_size\": 65}");
    write_model("n", "F32", LLAMA("2"), "{\"hidden_size\": 64}");
    document = compare_dirs("m", "n");
    ck_assert(has_warning(document, "config-malformed", "appears twice"));
    check_figures(document, "baseline", "hidden_size=64/shapes heads=null");
    ck_assert_str_eq(at(document, "/config"), "null");
    json_object_put(document);
}
END_TEST

START_TEST(a_config_is_found_beside_a_single_file_too)
{
    struct json_object *document;

    write_model("m", "F32", LLAMA("2"), "{\"model_type\":\"mine\"}");
    document = compare_paths(in_scratch("m/model.safetensors"), NULL, NULL);
    check_figures(document, "model", "family=\"mine\"/config");
    json_object_put(document);
}
END_TEST

START_TEST(equal_blocks_are_collapsed_and_deviating_ones_stand_alone)
{
    struct json_object *document;

    write_model("m", "F32", LLAMA("12") " model.layers.7.self_attn.q_proj.bias=64", NULL);
    document = compare_dirs("m", NULL);
    ck_assert_str_eq(at(document, "/model/blocks/0"),
                     "{\"pattern\":\"model.layers.{n}\",\"from\":0,\"to\":6,\"tensors\":8,\"identical\":true,"
                     "\"structure\":0,\"text\":\"layers 0–6: identical structure\"}");
    ck_assert_str_eq(at(document, "/model/blocks/1/from"), "7");
    ck_assert_str_eq(at(document, "/model/blocks/1/to"), "7");
    ck_assert_str_eq(at(document, "/model/blocks/1/tensors"), "9");
    ck_assert_str_eq(at(document, "/model/blocks/1/structure"), "1");
    ck_assert_str_eq(at(document, "/model/blocks/2/from"), "8");
    ck_assert_str_eq(at(document, "/model/blocks/2/to"), "11");
    ck_assert_str_eq(at(document, "/model/blocks/2/structure"), "0");
    check_figures(document, "model", "depth=12/shapes");
    json_object_put(document);
    write_model("gap", "F32", "h.0.w=2x2 h.1.w=2x2 h.3.w=2x2 h.4.w=2x3", NULL);
    document = compare_dirs("gap", NULL);
    ck_assert_str_eq(at(document, "/model/blocks/0/to"), "1");
    ck_assert_str_eq(at(document, "/model/blocks/1/from"), "3");
    ck_assert_str_eq(at(document, "/model/blocks/2/from"), "4");
    json_object_put(document);
}
END_TEST

static void headers_only(struct options *options)
{
    options->headers_only = true;
}

/* Layouts as the libraries wrote them, where the directory is at hand: nothing measured may contradict a config. */
START_TEST(real_layouts_do_not_contradict_their_configs)
{
    static const char *const names[] = {"llama",
                                        "mistral",
                                        "qwen2",
                                        "qwen3_next",
                                        "gpt2",
                                        "bert",
                                        "t5",
                                        "vit",
                                        "resnet",
                                        "mixtral",
                                        "bloom",
                                        "falcon",
                                        "mamba",
                                        "rwkv",
                                        "albert",
                                        "clip",
                                        "sam",
                                        "deepseek_v2",
                                        "wav2vec2",
                                        "gpt_bigcode",
                                        "timm-resnet18",
                                        "diffusers-unet2d-cond"};
    const char *shared = getenv("DIFFAID_SHARED");
    char path[512];

    for (size_t i = 0; shared && i < sizeof(names) / sizeof(names[0]); i++) {
        struct json_object *document;

        snprintf(path, sizeof(path), "%s/layouts/hf/%s", shared, names[i]);
        document = compare_paths(path, NULL, headers_only);
        ck_assert_msg(strcmp(at(document, "/disagreements"), "[]") == 0, "%s: %s", names[i],
                      at(document, "/disagreements"));
        json_object_put(document);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("analysis/architecture");
    TCase *tests = tcase_create("architecture");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tests, layouts_are_measured, 0, COUNT(layouts));
    tcase_add_loop_test(tests, a_config_that_lies_about_shapes_is_told_of, 0, COUNT(conflicts));
    tcase_add_test(tests, a_malformed_config_is_a_warning);
    tcase_add_test(tests, a_config_is_found_beside_a_single_file_too);
    tcase_add_test(tests, equal_blocks_are_collapsed_and_deviating_ones_stand_alone);
    tcase_add_test(tests, real_layouts_do_not_contradict_their_configs);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
