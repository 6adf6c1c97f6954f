/* The tables of layouts. A row is one fact; what a row claims is held against values before it is believed. */
#include "core/align/layouts.h"

/* Converters for these architectures interleave the halves of each head's rows, as ggml's rotary embedding wants it. */
#define INTERLEAVED                                                                                                    \
    "llama|arcee|deci|minicpm|llada|internlm2|olmo|arctic|deepseek|granite|granitemoe|granitehybrid|smollm3|"          \
    "bailingmoe|chameleon|baichuan|xverse|orion|mistral3|llama-embed|nanbeige|granite_swa|nemotron_h|"                 \
    "nemotron_h_moe"
/* These hold norms as x, and files as 1 + x. */
#define NORMS_PLUS_ONE "gemma|gemma2|gemma3|gemma-embedding|nemotron|qwen3next|qwen35|qwen35moe|plamo3"

/* These hold value heads by the key heads that they belong to, and files all first ones first. */
#define TILED "qwen35|qwen35moe"

const struct layout_reading layout_readings[] = {
    {INTERLEAVED, "blk.{n}.attn_q.{s}", "rope_permute(heads)", false},
    {INTERLEAVED, "blk.{n}.attn_k.{s}", "rope_permute(kv_heads)", false},
    {NULL, "blk.{n}.attn_k.{s}", "rope_permute(heads)", false},
    {NULL, "v.blk.{n}.attn_q.{s}", "rope_permute(vision_heads)", false},
    {NULL, "v.blk.{n}.attn_k.{s}", "rope_permute(vision_heads)", false},
    {NORMS_PLUS_ONE, "{p}norm.weight", "plus_one", false},
    {"mamba|mamba2|jamba|falcon-h1|plamo2|granitehybrid|nemotron_h|nemotron_h_moe|qwen3next|qwen35|qwen35moe|kimi-"
     "linear",
     "blk.{n}.ssm_a", "neg_exp", false},
    {NULL, "blk.{n}.ssm_a", "reshape|neg_exp", true},
    {TILED, "blk.{n}.attn_qkv.weight", "tile(linear_groups:linear_ratio:linear_keys)", false},
    {TILED, "blk.{n}.ssm_conv1d.weight", "tile(linear_groups:linear_ratio:linear_keys)", false},
    {TILED, "blk.{n}.attn_gate.weight", "tile(linear_groups:linear_ratio)", false},
    {TILED, "blk.{n}.ssm_alpha.weight", "tile(linear_groups:linear_ratio)", false},
    {TILED, "blk.{n}.ssm_beta.weight", "tile(linear_groups:linear_ratio)", false},
    {TILED, "blk.{n}.ssm_a", "tile(linear_groups:linear_ratio)|neg_exp", false},
    {TILED, "blk.{n}.ssm_out.weight", "tile_columns(linear_groups:linear_ratio)", false},
    {NULL, "mm.input_projection.weight", "transpose", false},
    {NULL, "v.patch_embd.weight", "reshape", true},
    {NULL, "v.patch_embd.weight", "tile_columns(1/3:3)|reshape", true},
    {"bloom|gptneox", "blk.{n}.attn_qkv.{s}", "regroup(heads:1,1,1)", false},
    {"falcon", "blk.{n}.attn_qkv.{s}", "regroup(kv_heads:group,1,1)", false},
    {"gpt2|jais", "blk.{n}.{p}.weight", "transpose", true},
    {"llama4|gpt-oss", "blk.{n}.ffn_{p}_exps.weight", "transpose", true},
    {NULL, "blk.{n}.ffn_{p}_exps.weight", "heads(t0)", true},
    {NULL, "blk.{n}.ffn_{p}_exps.weight", "heads(t0)|transpose", true},
    {NULL, "blk.{n}.ffn_{p}_exps.weight", "transpose", true},
    {NULL, "blk.{n}.ssm_conv1d.weight", "reshape", true},
    {NULL, "{p}ssm_{p}", "reshape", true},
};
const size_t layout_reading_count = sizeof(layout_readings) / sizeof(layout_readings[0]);

#define GATES             "columns(0:1/2) || transpose|columns(0:1/2) || transpose|columns(0::2) || columns(0::2)"
#define UPS               "columns(1/2:) || transpose|columns(1/2:) || transpose|columns(1::2) || columns(1::2)"
#define INTERLEAVED_GATES "transpose|columns(0::2) || columns(0::2)"
#define INTERLEAVED_UPS   "transpose|columns(1::2) || columns(1::2)"
#define TURNED_GATES      "transpose|columns(0:1/2) || columns(0:1/2)"
#define TURNED_UPS        "transpose|columns(1/2:) || columns(1/2:)"

const struct layout_rule layout_rules[] = {
    /* GGUF files. */
    {"fused_qkv", NULL, "blk.{n}.attn_qkv.{s}", "@blk.{n}.attn_q.{s}", "next", "none || rope_permute(heads)"},
    {"fused_qkv", NULL, "blk.{n}.attn_qkv.{s}", "@blk.{n}.attn_k.{s}", "next", "none || rope_permute(kv_heads)"},
    {"fused_qkv", NULL, "blk.{n}.attn_qkv.{s}", "@blk.{n}.attn_v.{s}", "next", "none"},
    {"linear_attention", "qwen3next", "blk.{n}.attn_qkv.weight", "layers.{n}.linear_attn.in_proj_qkvz.weight", "all",
     "regroup(linear_groups:linear_key,linear_key,linear_value,~linear_value)"},
    {"linear_attention", "qwen3next", "blk.{n}.attn_gate.weight", "layers.{n}.linear_attn.in_proj_qkvz.weight", "all",
     "regroup(linear_groups:~linear_key,~linear_key,~linear_value,linear_value)"},
    {"time_step", NULL, "blk.{n}.ssm_dt.bias",
     "layers.{n}.linear_attn.dt_bias|layers.{n}.mixer.dt_bias|layers.{n}.mamba.dt_bias|layers.{n}.self_attn.dt_bias",
     "all", "none || reshape || tile(linear_groups:linear_ratio)"},
    {"fused_gate_up_experts", NULL, "blk.{n}.ffn_gate_up_exps.{s}", "@blk.{n}.ffn_gate_exps.{s}", "[e] next", "none"},
    {"fused_gate_up_experts", NULL, "blk.{n}.ffn_gate_up_exps.{s}", "@blk.{n}.ffn_up_exps.{s}", "[e] next", "none"},
    {"split_gate_up_experts", "gpt-oss", "blk.{n}.ffn_gate_exps.{s}", "@blk.{n}.ffn_gate_up_exps.{s}", "all",
     INTERLEAVED_GATES},
    {"split_gate_up_experts", "gpt-oss", "blk.{n}.ffn_up_exps.{s}", "@blk.{n}.ffn_gate_up_exps.{s}", "all",
     INTERLEAVED_UPS},
    {"split_gate_up_experts", "llama4", "blk.{n}.ffn_gate_exps.{s}",
     "@blk.{n}.ffn_gate_up_exps.{s}|layers.{n}.feed_forward.experts.gate_up_proj", "all", TURNED_GATES},
    {"split_gate_up_experts", "llama4", "blk.{n}.ffn_up_exps.{s}",
     "@blk.{n}.ffn_gate_up_exps.{s}|layers.{n}.feed_forward.experts.gate_up_proj", "all", TURNED_UPS},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_gate_exps.weight",
     "layers.{n}.block_sparse_moe.input_linear.weight|layers.{n}.mlp.experts.gate_up_proj.weight", "all", GATES},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_up_exps.weight",
     "layers.{n}.block_sparse_moe.input_linear.weight|layers.{n}.mlp.experts.gate_up_proj.weight", "all", UPS},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_gate_shexp.weight", "layers.{n}.shared_mlp.input_linear.weight", "all",
     "rows(0:1/2)"},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_up_shexp.weight", "layers.{n}.shared_mlp.input_linear.weight", "all",
     "rows(1/2:)"},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_gate_exps.bias", "layers.{n}.mlp.experts.gate_up_proj_bias", "all",
     "columns(0::2) || columns(0:1/2)"},
    {"split_gate_up_experts", NULL, "blk.{n}.ffn_up_exps.bias", "layers.{n}.mlp.experts.gate_up_proj_bias", "all",
     "columns(1::2) || columns(1/2:)"},
    {"expert_bias", NULL, "blk.{n}.ffn_down_exps.bias", "layers.{n}.mlp.experts.down_proj_bias", "all", "none"},
    {"expert_bias", NULL, "blk.{n}.exp_probs_b.bias",
     "layers.{n}.mlp.gate.e_score_correction_bias|layers.{n}.mlp.e_score_correction_bias|"
     "layers.{n}.block_sparse_moe.e_score_correction_bias|layers.{n}.feed_forward.expert_bias",
     "all", "none"},
    {"latent_attention", "deepseek2", "blk.{n}.attn_k_b.weight", "@blk.{n}.attn_kv_b.weight", "all",
     "heads(t0)|columns(0:t2)|transpose"},
    {"latent_attention", "deepseek2", "blk.{n}.attn_v_b.weight", "@blk.{n}.attn_kv_b.weight", "all",
     "heads(t0)|columns(-t1:)"},
    {"split_qkv", NULL, "blk.{n}.attn_q.{s}", "layers.{n}.self_attn.W_pack.{s}|@blk.{n}.attn_qkv.{s}", "all",
     "rows(0:t0) || rows(0:t0)|rope_permute(heads) || regroup(kv_heads:group,~1,~1)|rope_permute(heads) || "
     "regroup(kv_heads:group,~1,~1)"},
    {"split_qkv", NULL, "blk.{n}.attn_k.{s}", "layers.{n}.self_attn.W_pack.{s}|@blk.{n}.attn_qkv.{s}", "all",
     "rows(q_rows:k_end) || rows(q_rows:k_end)|rope_permute(kv_heads) || "
     "regroup(kv_heads:~group,1,~1)|rope_permute(kv_heads) || regroup(kv_heads:~group,1,~1)"},
    {"split_qkv", NULL, "blk.{n}.attn_v.{s}", "layers.{n}.self_attn.W_pack.{s}|@blk.{n}.attn_qkv.{s}", "all",
     "rows(-t0:) || regroup(kv_heads:~group,~1,1)"},
    {"split_gate_up", NULL, "blk.{n}.ffn_gate.{s}", "@blk.{n}.ffn_up.{s}", "all", "rows(0:t0)"},
    {"split_gate_up", NULL, "blk.{n}.ffn_up.{s}", "@blk.{n}.ffn_up.{s}", "all", "rows(-t0:)"},
    {"split_qkv", NULL, "v.blk.{n}.attn_q.{s}", "@v.blk.{n}.attn_qkv.{s}", "all", "rows(0:1/3)"},
    {"split_qkv", NULL, "v.blk.{n}.attn_k.{s}", "@v.blk.{n}.attn_qkv.{s}", "all", "rows(1/3:2/3)"},
    {"split_qkv", NULL, "v.blk.{n}.attn_v.{s}", "@v.blk.{n}.attn_qkv.{s}", "all", "rows(2/3:)"},
    {"split_kv", NULL, "a.blk.{n}.attn_k.{s}", "encoder.layers.{n}.attn.to_kv.{s}", "all", "rows(0:t0)"},
    {"split_kv", NULL, "a.blk.{n}.attn_v.{s}", "encoder.layers.{n}.attn.to_kv.{s}", "all", "rows(-t0:)"},
    {"convolution", NULL, "a.conv1d.{n}.{s}", "audio_tower.conv{n}.{s}|encoder.conv{n}.{s}", "all", "none || reshape"},
    {"projector", NULL, "mm.a.mlp.{n}.{s}", "multi_modal_projector.linear_{n}.{s}", "all", "none"},
    {"projector", NULL, "mm.{n}.{s}", "multi_modal_projector.linear_{n}.{s}", "all", "none"},
    {"projector", NULL, "mm.0.{s}", "visual.merger.linear_fc1.{s}", "all", "none"},
    {"projector", NULL, "mm.2.{s}", "visual.merger.linear_fc2.{s}", "all", "none"},
    {"projector", NULL, "mm.up.{s}", "merger.mlp.0.linear_1.{s}", "all", "none"},
    {"projector", NULL, "mm.down.{s}", "merger.mlp.0.linear_2.{s}", "all", "none"},
    {"projector", NULL, "mm.input_norm.{s}", "merger.mlp.0.pre_norm.{s}", "all", "none"},
    {"stacked_projections", NULL, "altup_proj.weight", "altup_projections.{e}.weight", "[e]", "none"},
    {"stacked_projections", NULL, "altup_unembd_proj.weight", "altup_unembed_projections.{e}.weight", "[e]", "none"},
    {"split_patches", NULL, "v.patch_embd.weight", "@v.patch_embd.weight", "all", "index2(0)"},
    {"split_patches", NULL, "v.patch_embd.weight.1", "@v.patch_embd.weight", "all", "index2(1)"},
    {"class_embedding", NULL, "v.class_embd", "@v.class_embd", "all", "reshape"},
};
const size_t layout_rule_count = sizeof(layout_rules) / sizeof(layout_rules[0]);

#define TURNED_Q                                                                                                       \
    "none || rope_permute(heads) || rope_unpermute(heads) || rope_permute(vision_heads) || "                           \
    "rope_unpermute(vision_heads)"
#define TURNED_K TURNED_Q " || rope_permute(kv_heads) || rope_unpermute(kv_heads)"

/* Checkpoints beside one another, in the spelling of layout_spelling.c. */
const struct layout_rule layout_spelt_rules[] = {
    {"fused_qkv", NULL, "{p}attn.qkv.{s}", "{p}attn.q.{s}", "next", TURNED_Q},
    {"fused_qkv", NULL, "{p}attn.qkv.{s}", "{p}attn.k.{s}", "next", TURNED_K},
    {"fused_qkv", NULL, "{p}attn.qkv.{s}", "{p}attn.v.{s}", "next", "none"},
    {"fused_gqkv", NULL, "{p}attn.gqkv.{s}", "{p}attn.gate.{s}", "next", "none"},
    {"fused_gqkv", NULL, "{p}attn.gqkv.{s}", "{p}attn.q.{s}", "next", TURNED_Q},
    {"fused_gqkv", NULL, "{p}attn.gqkv.{s}", "{p}attn.k.{s}", "next", TURNED_K},
    {"fused_gqkv", NULL, "{p}attn.gqkv.{s}", "{p}attn.v.{s}", "next", "none"},
    {"fused_kv", NULL, "{p}attn.kv.{s}", "{p}attn.k.{s}", "next", TURNED_K},
    {"fused_kv", NULL, "{p}attn.kv.{s}", "{p}attn.v.{s}", "next", "none"},
    {"grouped_qkv", NULL, "{p}attn.q.{s}", "{p}attn.qkv.{s}", "all",
     "regroup(kv_heads:group,~1,~1) || regroup(heads:1,~1,~1)"},
    {"grouped_qkv", NULL, "{p}attn.k.{s}", "{p}attn.qkv.{s}", "all",
     "regroup(kv_heads:~group,1,~1) || regroup(heads:~1,1,~1)"},
    {"grouped_qkv", NULL, "{p}attn.v.{s}", "{p}attn.qkv.{s}", "all",
     "regroup(kv_heads:~group,~1,1) || regroup(heads:~1,~1,1)"},
    {"fused_convolution", NULL, "{p}conv1d.{s}", "{p}q_conv1d.{s}", "next", "none"},
    {"fused_convolution", NULL, "{p}conv1d.{s}", "{p}k_conv1d.{s}", "next", "none"},
    {"fused_convolution", NULL, "{p}conv1d.{s}", "{p}v_conv1d.{s}", "next", "none"},
    {"fused_projection", NULL, "{p}linear_attn.in_proj.{s}", "{p}linear_attn.in_proj_qkv.{s}", "next", "none"},
    {"fused_projection", NULL, "{p}linear_attn.in_proj.{s}", "{p}linear_attn.in_proj_z.{s}", "next", "none"},
    {"fused_projection", NULL, "{p}linear_attn.in_proj.{s}", "{p}linear_attn.in_proj_b.{s}", "next", "none"},
    {"fused_projection", NULL, "{p}linear_attn.in_proj.{s}", "{p}linear_attn.in_proj_a.{s}", "next", "none"},
    {"fused_gate_up", NULL, "{p}mlp.gate_up.{s}", "{p}mlp.gate_proj.{s}", "next", "none"},
    {"fused_gate_up", NULL, "{p}mlp.gate_up.{s}", "{p}mlp.up.{s}", "next", "none"},
    {"fused_gate_up", NULL, "{p}shared_expert.gate_up.{s}", "{p}shared_expert.gate_proj.{s}", "next", "none"},
    {"fused_gate_up", NULL, "{p}shared_expert.gate_up.{s}", "{p}shared_expert.up.{s}", "next", "none"},
    {"fused_up_gate", NULL, "{p}mlp.up_gate.{s}", "{p}mlp.up.{s}", "next", "none"},
    {"fused_up_gate", NULL, "{p}mlp.up_gate.{s}", "{p}mlp.gate_proj.{s}", "next", "none"},
    {"fused_embedding", NULL, "embed.weight", "embed.embedding.weight", "next", "none"},
    {"fused_embedding", NULL, "embed.weight", "embed.new_embedding.weight", "next", "none"},
    {"stacked_experts", NULL, "{p}experts.gate_up.{s}", "{p}experts.{e}.gate_proj.{s}", "[e] next",
     "none || transpose"},
    {"stacked_experts", NULL, "{p}experts.gate_up.{s}", "{p}experts.{e}.up.{s}", "[e] next", "none || transpose"},
    {"stacked_experts", NULL, "{p}experts.gate_proj.{s}", "{p}experts.{e}.gate_proj.{s}", "[e]", "none || transpose"},
    {"stacked_experts", NULL, "{p}experts.up.{s}", "{p}experts.{e}.up.{s}", "[e]", "none || transpose"},
    {"stacked_experts", NULL, "{p}experts.down.{s}", "{p}experts.{e}.down.{s}", "[e]", "none || transpose"},
};
const size_t layout_spelt_rule_count = sizeof(layout_spelt_rules) / sizeof(layout_spelt_rules[0]);

#define TOWER    "left out by the converter: a tower, which has a file of its own"
#define LANGUAGE "left out by the converter: of the language model, which has a file of its own"
#define FOLLOWS  "it follows from the configuration"
#define HEAD     "left out by the converter: a head for training"
#define FOLDED   "left out by the converter: folded into the weight and the bias beside it"
#define METADATA "left out by the converter: kept in the file's metadata"

const struct layout_absence layout_absences[] = {
    {ABSENT_ANYWHERE, "rope_freqs.weight", "written by the converter: " FOLLOWS},
    {ABSENT_ANYWHERE, "rope_factors_long.weight", "written by the converter: " FOLLOWS},
    {ABSENT_ANYWHERE, "rope_factors_short.weight", "written by the converter: " FOLLOWS},
    {ABSENT_FROM_FILE, "{p}rotary_emb.inv_freq", "left out by the converter: " FOLLOWS},
    {ABSENT_FROM_FILE, "{p}.attn.bias", "left out by the converter: a mask"},
    {ABSENT_FROM_FILE, "{p}.attn.masked_bias", "left out by the converter: a mask"},
    {ABSENT_FROM_FILE, "{p}.attention.bias", "left out by the converter: a mask"},
    {ABSENT_FROM_FILE, "{p}.attention.masked_bias", "left out by the converter: a mask"},
    {ABSENT_FROM_FILE, "{p}position_ids", "left out by the converter: a count"},
    {ABSENT_FROM_FILE, "{p}pooler.dense.{s}", "left out by the converter: a pooler"},
    {ABSENT_FROM_FILE, "vocab_{p}.{s}", HEAD},
    {ABSENT_FROM_FILE, "{p}batch_norm.running_mean", FOLDED},
    {ABSENT_FROM_FILE, "{p}batch_norm.running_var", FOLDED},
    {ABSENT_FROM_FILE, "{p}act_fn.alpha_n", METADATA},
    {ABSENT_FROM_FILE, "{p}act_fn.alpha_p", METADATA},
    {ABSENT_FROM_FILE, "{p}act_fn.beta", METADATA},
    {ABSENT_FROM_FILE, "{p}act_fn.eps", METADATA},
    {ABSENT_FROM_FILE, "{p}vision_tower.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}vision_model.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}visual.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}audio_tower.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}multi_modal_projector.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}embed_vision.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}embed_audio.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}vision_adapter.{p}", TOWER},
    {ABSENT_FROM_FILE, "{p}vision_projection.{p}", TOWER},
    {ABSENT_FROM_FILE, "model.merger.{p}", TOWER},
    {ABSENT_FROM_FILE, "mlp_AR.{p}", TOWER},
    {ABSENT_FROM_TOWER, "{p}language_model.{p}", LANGUAGE},
    {ABSENT_FROM_TOWER, "{p}text_model.{p}", LANGUAGE},
    {ABSENT_FROM_TOWER, "{p}lm_head.{s}", LANGUAGE},
    {ABSENT_FROM_TOWER, "model.embed_tokens.weight", LANGUAGE},
    {ABSENT_FROM_TOWER, "model.layers.{n}.{p}", LANGUAGE},
    {ABSENT_FROM_TOWER, "model.norm.weight", LANGUAGE},
    {ABSENT_ANYWHERE, "{p}num_batches_tracked", "a count that training keeps"},
    {ABSENT_ANYWHERE, "{p}relative_position_index", "a table that follows from the configuration"},
};
const size_t layout_absence_count = sizeof(layout_absences) / sizeof(layout_absences[0]);
