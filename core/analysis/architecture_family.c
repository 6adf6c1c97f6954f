/* Which family a model belongs to: its config says so, or it names its tensors as that family does. */
#include "core/analysis/architecture_figures.h"
#include "core/analysis/architecture_roles.h"

static const struct {
    const char *first, *second; /* parts of names that the model must hold; NULL: none */
    const char *family;
} families[] = {
    {"block_sparse_moe.experts.", NULL, "mixtral"},
    {".mixer.A_log", NULL, "mamba"},
    {".time_decay", NULL, "rwkv"},
    {"SelfAttention.relative_attention_bias", NULL, "t5"},
    {"gpt_neox.", NULL, "gpt_neox"},
    {"word_embeddings_layernorm.", "query_key_value.", "bloom"},
    {"transformer.h.0.self_attention.query_key_value.", NULL, "falcon"},
    {"h.0.attn.c_attn.", "wpe.", "gpt2"},
    {"text_model.", "vision_model.", "clip"},
    {"distilbert.", NULL, "distilbert"},
    {"roberta.", NULL, "roberta"},
    {"albert.", NULL, "albert"},
    {"deberta.", NULL, "deberta"},
    {"vit.encoder.", NULL, "vit"},
    {"patch_embed.proj.", "blocks.0.attn.qkv.", "vit"},
    {"wav2vec2.", NULL, "wav2vec2"},
    {"bert.", NULL, "bert"},
    {"embeddings.word_embeddings.", "encoder.layer.0.attention.self.query.", "bert"},
    {"down_blocks.0.", "time_embedding.", "unet"},
    {"down_blocks.0.", "quant_conv.", "autoencoder_kl"},
    {"layer1.0.conv1.", "layer4.", "resnet"},
    {"resnet.encoder.stages.", NULL, "resnet"},
    {"beit.encoder.", NULL, "beit"},
    {"deit.encoder.", NULL, "deit"},
    {"layer_scale1.lambda1", NULL, "dinov2"},
    {"mask_decoder.", "prompt_encoder.", "sam"},
    {"mobilenet_v2.", NULL, "mobilenet_v2"},
    {"stages.0.blocks.0.conv_dw.", NULL, "convnext"},
    {"single_transformer_blocks.", NULL, "flux"},
    {"transformer_blocks.0.attn.add_q_proj.", NULL, "sd3"},
    {"kv_a_proj_with_mqa.", NULL, "deepseek"},
    {"linear_attn.in_proj_qkvz.", NULL, "qwen3_next"},
    {"decoder.layers.0.encoder_attn.", NULL, "bart"},
    {"h.0.attn.attention.k_proj.", NULL, "gpt_neo"},
    {"h.0.attn.qkv_proj.", "mlp.fc_in.", "codegen"},
    {"h.0.attn.k_proj.", "mlp.fc_in.", "gptj"},
    {"self_attn.q_proj.", "mlp.fc1.", "phi"},
    {"self_attn.query_key_value.", "q_layernorm.", "persimmon"},
    {"attn.Wqkv.", "emb_ln.", "nomic_bert"},
    {"self_attn.q_proj.", "mlp.gate_proj.", "llama"},
};

enum { BLOCKS_LOOKED_AT = 8 }; /* later blocks are named like the first ones */

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

static const char *family_by_names(const struct model *model)
{
    bool has_first[FAMILIES] = {false}, has_second[FAMILIES] = {false};

    for (size_t t = 0; t < model->tensor_count; t++) {
        struct name name = model->tensors[t].name;
        struct block_name block;

        if (block_name_of(name, &block) && block.number >= BLOCKS_LOOKED_AT)
            continue;
        for (size_t i = 0; i < FAMILIES; i++) {
            has_first[i] = has_first[i] || name_holds(name, families[i].first);
            has_second[i] = has_second[i] || !families[i].second || name_holds(name, families[i].second);
        }
    }
    for (size_t i = 0; i < FAMILIES; i++)
        if (has_first[i] && has_second[i])
            return families[i].family;
    return NULL;
}

void architecture_tell_family(const struct model *model, const struct config *config, struct architecture *a)
{
    static const char *const keys[] = {"model_type", "_class_name", "architecture", "architectures.0", NULL};
    const char *family;

    a->family_source = "config";
    for (size_t i = 0; keys[i]; i++)
        if (config_text(config, keys[i], &a->family) && a->family.bytes > 0)
            return;
    family = family_by_names(model);
    a->family = family ? name_of(family) : (struct name){0};
    a->family_source = "names";
}
