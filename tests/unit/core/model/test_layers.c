#include "core/model/layers.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name, *layer, *module, *type;
} rows[] = {
    /* LLaMA, Mistral, Qwen, Gemma */
    {"model.embed_tokens.weight", "model.embed_tokens", "", "embedding"},
    {"model.layers.12.self_attn.q_proj.weight", "model.layers.12", "self_attn.q_proj", "attention_q"},
    {"model.layers.0.self_attn.k_proj.weight", "model.layers.0", "self_attn.k_proj", "attention_k"},
    {"model.layers.0.self_attn.v_proj.weight", "model.layers.0", "self_attn.v_proj", "attention_v"},
    {"model.layers.0.self_attn.o_proj.weight", "model.layers.0", "self_attn.o_proj", "attention_output"},
    {"model.layers.0.self_attn.q_proj.bias", "model.layers.0", "self_attn.q_proj", "bias"},
    {"model.layers.0.self_attn.q_norm.weight", "model.layers.0", "self_attn.q_norm", "norm"},
    {"model.layers.0.mlp.gate_proj.weight", "model.layers.0", "mlp.gate_proj", "mlp_gate"},
    {"model.layers.0.mlp.up_proj.weight", "model.layers.0", "mlp.up_proj", "mlp_up"},
    {"model.layers.0.mlp.down_proj.weight", "model.layers.0", "mlp.down_proj", "mlp_down"},
    {"model.layers.0.input_layernorm.weight", "model.layers.0", "input_layernorm", "norm"},
    {"model.layers.0.pre_feedforward_layernorm.weight", "model.layers.0", "pre_feedforward_layernorm", "norm"},
    {"model.norm.weight", "model.norm", "", "norm"},
    {"lm_head.weight", "lm_head", "", "head"},
    {"model.layers.3.self_attn.rotary_emb.inv_freq", "model.layers.3", "self_attn.rotary_emb", "other"},
    {"model.layers.0.self_attn.qkv_proj.weight", "model.layers.0", "self_attn.qkv_proj", "attention_qkv"},
    {"model.layers.0.mlp.gate_up_proj.weight", "model.layers.0", "mlp.gate_up_proj", "mlp_gate"},
    {"output.weight", "output", "", "head"},
    {"layers.0.attention.wo.weight", "layers.0", "attention.wo", "attention_output"},
    {"layers.0.feed_forward.w2.weight", "layers.0", "feed_forward.w2", "mlp_down"},
    /* GPT-2 */
    {"wte.weight", "wte", "", "embedding"},
    {"transformer.wpe.weight", "transformer.wpe", "", "embedding"},
    {"transformer.h.5.attn.c_attn.weight", "transformer.h.5", "attn.c_attn", "attention_qkv"},
    {"transformer.h.5.attn.c_attn.bias", "transformer.h.5", "attn.c_attn", "bias"},
    {"transformer.h.5.attn.c_proj.weight", "transformer.h.5", "attn.c_proj", "attention_output"},
    {"transformer.h.5.mlp.c_fc.weight", "transformer.h.5", "mlp.c_fc", "mlp_up"},
    {"transformer.h.5.mlp.c_proj.weight", "transformer.h.5", "mlp.c_proj", "mlp_down"},
    {"transformer.h.5.ln_1.weight", "transformer.h.5", "ln_1", "norm"},
    {"transformer.ln_f.bias", "transformer.ln_f", "", "bias"},
    /* BERT */
    {"bert.embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings", "", "embedding"},
    {"bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm", "", "norm"},
    {"bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0", "attention.self.query", "attention_q"},
    {"bert.encoder.layer.0.attention.output.dense.weight", "bert.encoder.layer.0", "attention.output.dense",
     "attention_output"},
    {"bert.encoder.layer.0.attention.output.LayerNorm.weight", "bert.encoder.layer.0", "attention.output.LayerNorm",
     "norm"},
    {"bert.encoder.layer.0.intermediate.dense.weight", "bert.encoder.layer.0", "intermediate.dense", "mlp_up"},
    {"bert.encoder.layer.0.output.dense.weight", "bert.encoder.layer.0", "output.dense", "mlp_down"},
    {"cls.predictions.transform.dense.weight", "cls.predictions.transform.dense", "", "head"},
    {"classifier.weight", "classifier", "", "head"},
    /* T5 */
    {"shared.weight", "shared", "", "embedding"},
    {"encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0", "layer.0.SelfAttention.q", "attention_q"},
    {"encoder.block.0.layer.0.SelfAttention.o.weight", "encoder.block.0", "layer.0.SelfAttention.o",
     "attention_output"},
    {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "encoder.block.0",
     "layer.0.SelfAttention.relative_attention_bias", "embedding"},
    {"encoder.block.0.layer.1.DenseReluDense.wi_0.weight", "encoder.block.0", "layer.1.DenseReluDense.wi_0",
     "mlp_gate"},
    {"encoder.block.0.layer.1.DenseReluDense.wo.weight", "encoder.block.0", "layer.1.DenseReluDense.wo", "mlp_down"},
    {"decoder.block.0.layer.1.EncDecAttention.k.weight", "decoder.block.0", "layer.1.EncDecAttention.k", "attention_k"},
    /* Vision */
    {"vit.embeddings.cls_token", "vit.embeddings", "", "embedding"},
    {"vit.embeddings.patch_embeddings.projection.weight", "vit.embeddings.patch_embeddings.projection", "",
     "embedding"},
    {"blocks.7.attn.qkv.weight", "blocks.7", "attn.qkv", "attention_qkv"},
    {"blocks.7.attn.proj.weight", "blocks.7", "attn.proj", "attention_output"},
    {"blocks.7.mlp.fc1.weight", "blocks.7", "mlp.fc1", "mlp_up"},
    {"blocks.7.norm1.weight", "blocks.7", "norm1", "norm"},
    {"conv1.weight", "conv1", "", "convolution"},
    {"layer1.0.conv2.weight", "layer1.0", "conv2", "convolution"},
    {"layer1.0.bn2.running_mean", "layer1.0", "bn2", "norm"},
    {"layer1.0.bn2.num_batches_tracked", "layer1.0", "bn2", "norm"},
    {"layer2.0.downsample.0.weight", "layer2.0", "downsample.0", "convolution"},
    {"layer2.0.downsample.1.weight", "layer2.0", "downsample.1", "norm"},
    {"fc.weight", "fc", "", "head"},
    {"fc1.weight", "fc1", "", "other"}, /* anybody's */
    {"fc1.bias", "fc1", "", "bias"},
    /* Mixtures of experts */
    {"model.layers.0.block_sparse_moe.gate.weight", "model.layers.0", "block_sparse_moe.gate", "router"},
    {"model.layers.0.block_sparse_moe.experts.3.w1.weight", "model.layers.0", "block_sparse_moe.experts.3.w1",
     "expert"},
    {"model.layers.0.mlp.gate.weight", "model.layers.0", "mlp.gate", "router"},
    {"model.layers.0.mlp.gate.e_score_correction_bias", "model.layers.0", "mlp.gate", "bias"},
    {"model.layers.0.mlp.experts.gate_up_proj", "model.layers.0", "mlp.experts", "expert"},
    {"model.layers.0.mlp.shared_experts.up_proj.weight", "model.layers.0", "mlp.shared_experts.up_proj", "expert"},
    {"model.layers.0.mlp.router.weight", "model.layers.0", "mlp.router", "router"},
    /* GGUF */
    {"token_embd.weight", "token_embd", "", "embedding"},
    {"blk.3.attn_q.weight", "blk.3", "attn_q", "attention_q"},
    {"blk.3.attn_qkv.weight", "blk.3", "attn_qkv", "attention_qkv"},
    {"blk.3.attn_output.weight", "blk.3", "attn_output", "attention_output"},
    {"blk.3.attn_norm.weight", "blk.3", "attn_norm", "norm"},
    {"blk.3.ffn_gate.weight", "blk.3", "ffn_gate", "mlp_gate"},
    {"blk.3.ffn_up.weight", "blk.3", "ffn_up", "mlp_up"},
    {"blk.3.ffn_down.weight", "blk.3", "ffn_down", "mlp_down"},
    {"blk.3.ffn_gate_inp.weight", "blk.3", "ffn_gate_inp", "router"},
    {"blk.3.ffn_down_exps.weight", "blk.3", "ffn_down_exps", "expert"},
    {"output_norm.weight", "output_norm", "", "norm"},
    /* Diffusion */
    {"down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.weight", "down_blocks.0",
     "attentions.1.transformer_blocks.0.attn1.to_q", "attention_q"},
    {"down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.weight", "down_blocks.0",
     "attentions.1.transformer_blocks.0.attn1.to_out.0", "attention_output"},
    {"down_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj.weight", "down_blocks.0",
     "attentions.1.transformer_blocks.0.ff.net.0.proj", "mlp_up"},
    {"down_blocks.0.resnets.0.conv1.weight", "down_blocks.0", "resnets.0.conv1", "convolution"},
    {"time_embedding.linear_1.weight", "time_embedding.linear_1", "", "other"},
    /* Odd names */
    {"weight", "", "", "other"},
    {"bias", "", "", "bias"},
    {"", "", "", "other"},
    {"0.weight", "0", "", "other"},
    {"7", "7", "", "other"},
    {"a.7", "a.7", "", "other"},
    {"...", "..", "", "other"},
    {"a..b.1.c", "a..b.1", "", "other"},
    {"layers.1a.2.x", "layers.1a.2", "", "other"},
};

static int is(struct name name, const char *text)
{
    return name_equal(name, name_of(text));
}

START_TEST(names_tell_layer_module_and_type)
{
    struct name name = name_of(rows[_i].name), layer = layer_of(name), module = module_of(name);

    ck_assert_msg(is(layer, rows[_i].layer), "%s: layer %.*s", rows[_i].name, (int)layer.bytes, layer.text);
    ck_assert_msg(is(module, rows[_i].module), "%s: module %.*s", rows[_i].name, (int)module.bytes, module.text);
    ck_assert_msg(strcmp(module_type_of(name), rows[_i].type) == 0, "%s: %s", rows[_i].name, module_type_of(name));
    ck_assert_str_eq(module_type_name(module_type_index(name)), rows[_i].type);
}
END_TEST

/* The names of the table under layers of their own, so that most are told by what was told of another. */
START_TEST(what_is_remembered_is_what_the_name_says)
{
    static struct module_memo memo;
    static char names[400][COUNT(rows)][96];

    for (unsigned layer = 0; layer < 400; layer++) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct name name;

            snprintf(names[layer][i], sizeof(names[layer][i]), "%s.%u.%s", i % 2 ? "h" : "h.12", layer, rows[i].name);
            name = name_of(names[layer][i]);
            if (module_memo_index(&memo, name) != module_type_index(name))
                ck_abort_msg("%s: %s", names[layer][i], module_type_name(module_memo_index(&memo, name)));
        }
    }
}
END_TEST

START_TEST(every_type_has_a_name_of_its_own)
{
    for (unsigned i = 0; i < MODULE_TYPE_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_str_ne(module_type_name(i), module_type_name(j));
    ck_assert_str_eq(module_type_name(0), "embedding");
    ck_assert_str_eq(module_type_name(MODULE_TYPE_COUNT - 1), "other");
    ck_assert_str_eq(module_type_name(1000), "other");
}
END_TEST

START_TEST(a_hostile_name_takes_no_time)
{
    enum { BYTES = 1000000 };
    char *text = malloc(BYTES);

    ck_assert_ptr_nonnull(text);
    memset(text, '.', BYTES);
    ck_assert_str_eq(module_type_of((struct name){text, BYTES}), "other");
    memset(text, 'a', BYTES);
    ck_assert_str_eq(module_type_of((struct name){text, BYTES}), "other");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/layers");
    TCase *tests = tcase_create("layers");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, names_tell_layer_module_and_type, 0, COUNT(rows));
    tcase_add_test(tests, what_is_remembered_is_what_the_name_says);
    tcase_add_test(tests, every_type_has_a_name_of_its_own);
    tcase_add_test(tests, a_hostile_name_takes_no_time);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
