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

static bool any_holds(const struct model *model, const char *part)
{
    for (size_t t = 0; t < model->tensor_count; t++)
        if (name_holds(model->tensors[t].name, part))
            return true;
    return false;
}

void architecture_tell_family(const struct model *model, const struct config *config, struct architecture *a)
{
    static const char *const keys[] = {"model_type", "_class_name", "architecture", "architectures.0", NULL};

    a->family_source = "config";
    for (size_t i = 0; keys[i]; i++)
        if (config_text(config, keys[i], &a->family) && a->family.bytes > 0)
            return;
    a->family = (struct name){0};
    a->family_source = "names";
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (any_holds(model, families[i].first) && (!families[i].second || any_holds(model, families[i].second))) {
            a->family = name_of(families[i].family);
            return;
        }
}
