/* Which names of checkpoints become which names of a GGUF file: a row a name, prefixes that say nothing ("model.",
 * "transformer.", …) left out on the right. The facts are those of gguf-py's tensor_mapping.py (ggml-org, MIT). A
 * parameter's own name (".weight", ".bias") is left out on both sides; "experts." stands for "experts.{e}." too. Of
 * several that a checkpoint has the first is taken unless values speak for another. */
#include "core/align/layouts.h"

const struct layout_name layout_names[] = {
    {"altup_proj", "altup_projections"},
    {"altup_unembd_proj", "altup_unembed_projections"},
    {"blk.{n}.altup_correct_coef", "layers.{n}.altup.correction_coefs"},
    {"blk.{n}.altup_correct_scale", "layers.{n}.altup.correct_output_scale"},
    {"blk.{n}.altup_predict_coef", "layers.{n}.altup.prediction_coefs"},
    {"blk.{n}.altup_router", "layers.{n}.altup.modality_router"},
    {"blk.{n}.altup_router_norm", "layers.{n}.altup.router_norm"},
    {"blk.{n}.attn_conv_base", "layers.{n}.attention_conv.base_kernel"},
    {"blk.{n}.attn_conv_proj", "layers.{n}.attention_conv.kernel_projection"},
    {"blk.{n}.attn_gate", "layers.{n}.self_attn.gate_proj|layers.{n}.linear_attn.in_proj_z|layers.{n}.self_attn.g_proj|"
                          "layers.{n}.self_attn.output_gate|layers.{n}.self_attn.linear_gate"},
    {"blk.{n}.attn_k",
     "layers.{n}.self_attn.k_proj|layers.{n}.self_attn.k_proj_no_perm|layers.{n}.attention.wk|"
     "encoder.layer.{n}.attention.self.key|layer.{n}.attention.k_lin|h.{n}.attn.k_proj|h.{n}.attn.k|"
     "layers.layers.{n}.self_attn.k_proj|decoder_layer.{n}.multi_head_attention.key|h.{n}.attn.attention.k_proj|"
     "blocks.{n}.k_proj|layers.{n}.mixer.k_proj|layers.{n}.attention.k_proj|blocks.{n}.attn.attn_key"},
    {"blk.{n}.attn_k_b", "layers.{n}.self_attn.k_b_proj|layers.{n}.attention.k_b_proj"},
    {"blk.{n}.attn_k_norm",
     "encoder.layers.{n}.self_attention.k_layernorm|layers.{n}.self_attn.k_layernorm|"
     "layers.{n}.self_attn.key_layernorm|layers.{n}.attention.key_layernorm|layers.{n}.self_attn.k_norm|"
     "blocks.{n}.attn.k_ln|encoder.layer.{n}.attention.self.layer_norm_k|layers.{n}.attn.k_norm|"
     "layers.layers.{n}.mixer.k|layers.layers.{n}.mixer.k_norm|layers.{n}.self_attn.k_rope_only_layernorm"},
    {"blk.{n}.attn_kv_a_mqa", "layers.{n}.self_attn.kv_a_proj_with_mqa|layers.{n}.attention.wkv_a_with_mqa|"
                              "layers.{n}.attention.kv_a_proj_with_mqa"},
    {"blk.{n}.attn_kv_a_norm",
     "layers.{n}.self_attn.kv_a_layernorm|layers.{n}.attention.kv_a_norm|layers.{n}.attention.kv_a_layernorm"},
    {"blk.{n}.attn_kv_b", "layers.{n}.self_attn.kv_b_proj|layers.{n}.attention.kv_b_proj"},
    {"blk.{n}.attn_norm",
     "layers.{n}.input_layernorm|h.{n}.ln_1|blocks.{n}.norm_1|h.{n}.input_layernorm|h.{n}.ln_mlp|"
     "layers.{n}.attention_norm|encoder.layers.{n}.input_layernorm|layers.{n}.ln1|h.{n}.ln|layers.layers.{n}.norm|"
     "layers.layers.{n}.pre_mixer_norm|layers.{n}.norm|decoder_layer.{n}.rms_norm|layers.{n}.pre_attn_norm|"
     "blocks.{n}.norm_attn_norm.norm_1|layers.{n}.attn_norm|rwkv.blocks.{n}.ln1|"
     "transformer_encoder.{n}.attention_norm|layers.{n}.operator_norm|blocks.{n}.attn_norm|"
     "layers.{n}.attention_layernorm|layers.{n}.pre_attention_layernorm"},
    {"blk.{n}.attn_norm_2", "h.{n}.ln_attn|encoder.layer.{n}.layer_norm_1|rwkv.blocks.{n}.ln2|layers.{n}.ln2|"
                            "layers.{n}.post_attention_layernorm|layers.{n}.self_attn.norm"},
    {"blk.{n}.attn_output",
     "layers.{n}.attention.dense|h.{n}.attn.c_proj|blocks.{n}.attn.out_proj|h.{n}.self_attention.dense|"
     "layers.{n}.self_attn.o_proj|layers.{n}.self_attn.out_proj|layers.{n}.self_attn.linear_attn|"
     "layers.{n}.attention.wo|encoder.layer.{n}.attention.output.dense|layers.{n}.attn.Wo|"
     "layer.{n}.attention.out_lin|h.{n}.attn.out_proj|encoder.layers.{n}.self_attention.dense|"
     "layers.{n}.self_attn.dense|h.{n}.mixer.out_proj|layers.layers.{n}.self_attn.o_proj|"
     "layers.layers.{n}.mixer.o_proj|encoder.layers.{n}.attn.out_proj|encoder.layers.{n}.mixer.out_proj|"
     "decoder_layer.{n}.multi_head_attention.linear|blocks.{n}.norm_attn_norm.attn.out_proj|layers.{n}.attn.out_proj|"
     "h.{n}.attn.attention.out_proj|transformer_encoder.{n}.wo|blocks.{n}.attn_out|layers.{n}.mixer.o_proj|"
     "layers.{n}.self_attn.language_expert_dense|layers.{n}.attention.o_proj|blocks.{n}.attn.attn_resid"},
    {"blk.{n}.attn_output_norm",
     "encoder.layer.{n}.attention.output.LayerNorm|layer.{n}.sa_layer_norm|encoder.layers.{n}.norm1|"
     "decoder_layer.{n}.rms_norm_1|layers.{n}.post_attn_norm|blocks.{n}.norm_attn_norm.norm_2"},
    {"blk.{n}.attn_q",
     "layers.{n}.self_attn.q_proj|layers.{n}.self_attn.q_proj_no_perm|layers.{n}.attention.wq|"
     "encoder.layer.{n}.attention.self.query|layer.{n}.attention.q_lin|h.{n}.attn.q_proj|"
     "layers.layers.{n}.self_attn.q_proj|decoder_layer.{n}.multi_head_attention.query|h.{n}.attn.attention.q_proj|"
     "blocks.{n}.q_proj|layers.{n}.mixer.q_proj|layers.{n}.attention.q_proj|blocks.{n}.attn.attn_query"},
    {"blk.{n}.attn_q_a", "layers.{n}.self_attn.q_a_proj|layers.{n}.attention.wq_a|layers.{n}.attention.q_a_proj"},
    {"blk.{n}.attn_q_a_norm",
     "layers.{n}.self_attn.q_a_layernorm|layers.{n}.attention.q_a_norm|layers.{n}.attention.q_a_layernorm"},
    {"blk.{n}.attn_q_b", "layers.{n}.self_attn.q_b_proj|layers.{n}.attention.wq_b|layers.{n}.attention.q_b_proj"},
    {"blk.{n}.attn_q_norm",
     "encoder.layers.{n}.self_attention.q_layernorm|layers.{n}.self_attn.q_layernorm|"
     "layers.{n}.self_attn.query_layernorm|layers.{n}.attention.query_layernorm|layers.{n}.self_attn.q_norm|"
     "blocks.{n}.attn.q_ln|encoder.layer.{n}.attention.self.layer_norm_q|layers.{n}.attn.q_norm|"
     "layers.layers.{n}.mixer.q|layers.layers.{n}.mixer.q_norm|blocks.{n}.attn.head_gain.head_g"},
    {"blk.{n}.attn_qkv",
     "layers.{n}.attention.query_key_value|h.{n}.attn.c_attn|blocks.{n}.attn.Wqkv|"
     "blocks.{n}.norm_attn_norm.attn.Wqkv|h.{n}.self_attention.query_key_value|"
     "encoder.layers.{n}.self_attention.query_key_value|layers.{n}.self_attn.query_key_value|h.{n}.mixer.Wqkv|"
     "encoder.layers.{n}.attn.Wqkv|encoder.layers.{n}.mixer.Wqkv|layers.{n}.self_attn.qkv_proj|"
     "layers.layers.{n}.mixer.qkv_proj|layers.{n}.attn.qkv_proj|transformer_encoder.{n}.qkv|layers.{n}.attn.Wqkv|"
     "layers.{n}.self_attn.language_expert_query_key_value|layers.{n}.linear_attn.in_proj_qkv"},
    {"blk.{n}.attn_rot_embd",
     "layers.{n}.self_attn.rotary_emb.inv_freq|layers.{n}.attention.inner_attention.rope.freqs|"
     "layers.layers.{n}.self_attn.rotary_emb.inv_freq|h.{n}.attn.rotary_emb.inv_freq"},
    {"blk.{n}.attn_sinks",
     "layers.{n}.self_attn.sinks|layers.{n}.self_attn.attention_sink_bias|layers.{n}.self_attn.learnable_sink_param"},
    {"blk.{n}.attn_sub_norm", "layers.{n}.self_attn.inner_attn_ln"},
    {"blk.{n}.attn_v", "layers.{n}.self_attn.v_proj|layers.{n}.attention.wv|encoder.layer.{n}.attention.self.value|"
                       "layer.{n}.attention.v_lin|h.{n}.attn.v_proj|h.{n}.attn.v|layers.layers.{n}.self_attn.v_proj|"
                       "decoder_layer.{n}.multi_head_attention.value|h.{n}.attn.attention.v_proj|blocks.{n}.v_proj|"
                       "layers.{n}.mixer.v_proj|layers.{n}.attention.v_proj|blocks.{n}.attn.attn_value"},
    {"blk.{n}.attn_v_b", "layers.{n}.self_attn.v_b_proj|layers.{n}.attention.v_b_proj"},
    {"blk.{n}.channel_mix_key", "rwkv.blocks.{n}.feed_forward.key|layers.{n}.feed_forward.key"},
    {"blk.{n}.channel_mix_lerp_k", "rwkv.blocks.{n}.feed_forward.time_maa_k|layers.{n}.feed_forward.x_k"},
    {"blk.{n}.channel_mix_lerp_r", "rwkv.blocks.{n}.feed_forward.time_maa_r"},
    {"blk.{n}.channel_mix_receptance", "rwkv.blocks.{n}.feed_forward.receptance"},
    {"blk.{n}.channel_mix_value", "rwkv.blocks.{n}.feed_forward.value|layers.{n}.feed_forward.value"},
    {"blk.{n}.exp_probs_b",
     "layers.{n}.mlp.gate.e_score_correction|layers.{n}.mlp.moe_statics.e_score_correction|"
     "layers.{n}.mlp.gate.expert_bias|layers.{n}.mlp.expert_bias|layers.{n}.feed_forward.expert_bias|"
     "layers.{n}.block_sparse_moe.e_score_correction|layers.{n}.mixer.gate.e_score_correction|"
     "layers.{n}.mlp.e_score_correction|layers.{n}.block_sparse_moe.gate.e_score_correction|"
     "layers.{n}.moe.router_bias|layers.{n}.mlp.experts.e_score_correction"},
    {"blk.{n}.ffn", "blocks.{n}.ffn.act"},
    {"blk.{n}.ffn_conv_base", "layers.{n}.mlp_conv.base_kernel"},
    {"blk.{n}.ffn_conv_proj", "layers.{n}.mlp_conv.kernel_projection"},
    {"blk.{n}.ffn_down",
     "layers.{n}.mlp.dense_4h_to_h|h.{n}.mlp.c_proj|blocks.{n}.ffn.down_proj|h.{n}.mlp.dense_4h_to_h|"
     "layers.{n}.mlp.down_proj|layers.{n}.feed_forward.w2|encoder.layer.{n}.output.dense|layers.{n}.mlp.Wo|"
     "layer.{n}.ffn.lin2|h.{n}.mlp.fc_out|encoder.layers.{n}.mlp.dense_4h_to_h|h.{n}.mlp.fc2|layers.{n}.mlp.fc2|"
     "layers.layers.{n}.mlp.down_proj|encoder.layers.{n}.mlp.fc2|layers.{n}.mlp.c_proj|encoder.layer.{n}.mlp.wo|"
     "layers.{n}.ffn.proj_2|layers.{n}.residual_mlp.w2|encoder.layer.{n}.mlp.down_layer|layers.h.{n}.mlp.c_proj|"
     "layers.{n}.feed_forward.down_proj|transformer_encoder.{n}.ffn.w3|layers.{n}.block_sparse_moe.down|"
     "blocks.{n}.ff_out|layers.{n}.mixer.down_proj|layers.{n}.mlp.language_mlp.down_proj|blocks.{n}.mlp.mlp_resid"},
    {"blk.{n}.ffn_down_chexps", "layers.{n}.mlp.chunk_experts.down_proj"},
    {"blk.{n}.ffn_down_exps",
     "layers.{n}.feed_forward.experts.w2|decoder_layer.{n}.moe.linear_1|blocks.{n}.ffn.experts.mlp.w2|"
     "layers.{n}.mlp.experts.down_proj|layers.{n}.block_sparse_moe.output_linear|"
     "layers.{n}.block_sparse_moe.experts.w2|layers.{n}.feed_forward.experts.down_proj|"
     "encoder.layers.{n}.mlp.experts.mlp.w2|layers.{n}.block_sparse_moe.experts.down|layers.{n}.moe.down_proj|"
     "layers.{n}.experts.down_proj|layers.{n}.mixer.experts.down_proj"},
    {"blk.{n}.ffn_down_shexp",
     "layers.{n}.mlp.shared_expert.down_proj|layers.{n}.mlp.shared_experts.down_proj|"
     "layers.{n}.feed_forward.shared_expert.down_proj|layers.{n}.shared_mlp.output_linear|"
     "layers.{n}.mlp.shared_mlp.down_proj|layers.{n}.shared_experts.w2|layers.{n}.mixer.shared_experts.down_proj|"
     "layers.{n}.block_sparse_moe.shared_experts.down_proj|layers.{n}.share_expert.down_proj"},
    {"blk.{n}.ffn_gate",
     "layers.{n}.mlp.gate_proj|layers.{n}.feed_forward.w1|h.{n}.mlp.w2|h.{n}.mlp.c_fc2|"
     "layers.layers.{n}.mlp.gate_proj|encoder.layers.{n}.mlp.fc12|encoder.layer.{n}.mlp.gated_layers_w|"
     "h.{n}.mlp.linear_1|layers.{n}.residual_mlp.w1|h.{n}.mlp.c_fc_0|layers.{n}.feed_forward.gate_proj|"
     "blocks.{n}.ff_proj|layers.{n}.mlp.language_mlp.gate_proj|blocks.{n}.mlp.mlp_gate"},
    {"blk.{n}.ffn_gate_chexps", "layers.{n}.mlp.chunk_experts.gate_proj"},
    {"blk.{n}.ffn_gate_exps",
     "layers.{n}.feed_forward.experts.w1|decoder_layer.{n}.moe.linear|blocks.{n}.ffn.experts.mlp.w1|"
     "layers.{n}.mlp.experts.gate_proj|layers.{n}.block_sparse_moe.experts.w1|"
     "layers.{n}.feed_forward.experts.gate_proj|layers.{n}.block_sparse_moe.experts.gate|layers.{n}.moe.gate_proj"},
    {"blk.{n}.ffn_gate_inp",
     "layers.{n}.feed_forward.gate|layers.{n}.block_sparse_moe.gate|layers.{n}.mlp.gate|decoder_layer.{n}.router|"
     "blocks.{n}.ffn.router.layer|layers.{n}.block_sparse_moe.router.layer|layers.{n}.feed_forward.router|"
     "encoder.layers.{n}.mlp.router.layer|layers.{n}.mlp.router|layers.{n}.mlp.gate.wg|"
     "layers.{n}.block_sparse_moe.primary_router|layers.{n}.mlp.router.gate|layers.{n}.gate|layers.{n}.mixer.gate|"
     "layers.{n}.moe.gate|layers.{n}.router.proj|layers.{n}.block_sparse_moe.router"},
    {"blk.{n}.ffn_gate_inp_shexp", "layers.{n}.mlp.shared_expert_gate"},
    {"blk.{n}.ffn_gate_shexp", "layers.{n}.mlp.shared_expert.gate_proj|layers.{n}.mlp.shared_experts.gate_proj|"
                               "layers.{n}.feed_forward.shared_expert.gate_proj|layers.{n}.mlp.shared_mlp.gate_proj|"
                               "layers.{n}.shared_experts.w1|layers.{n}.block_sparse_moe.shared_experts.gate_proj|"
                               "layers.{n}.share_expert.gate_proj"},
    {"blk.{n}.ffn_gate_up_exps", "layers.{n}.mlp.experts.gate_up_proj|layers.{n}.experts.gate_up_proj|"
                                 "layers.{n}.block_sparse_moe.experts.gate_up_proj"},
    {"blk.{n}.ffn_latent_down", "layers.{n}.mixer.fc1_latent_proj"},
    {"blk.{n}.ffn_latent_up", "layers.{n}.mixer.fc2_latent_proj"},
    {"blk.{n}.ffn_norm",
     "layers.{n}.pre_feedforward_layernorm|layers.{n}.pre_moe_norm|layers.{n}.pre_ff_layernorm|"
     "layers.{n}.pre_moe_layernorm|layers.layers.{n}.pre_mlp_norm|layers.{n}.pre_mlp_layernorm|"
     "layers.{n}.post_attention_layernorm|h.{n}.ln_2|h.{n}.post_attention_layernorm|blocks.{n}.norm_2|"
     "layers.{n}.ffn_norm|encoder.layers.{n}.post_attention_layernorm|layers.{n}.ln2|"
     "decoder_layer.{n}.rms_norm_2|transformer_encoder.{n}.ffn_norm|blocks.{n}.ff_norm|"
     "layers.{n}.feedforward_layernorm|layers.{n}.mlp_norm"},
    {"blk.{n}.ffn_routed_down", "layers.{n}.block_sparse_moe.routed_expert_down_proj"},
    {"blk.{n}.ffn_routed_norm", "layers.{n}.block_sparse_moe.routed_expert_norm"},
    {"blk.{n}.ffn_routed_up", "layers.{n}.block_sparse_moe.routed_expert_up_proj"},
    {"blk.{n}.ffn_sub_norm", "layers.{n}.mlp.ffn_layernorm"},
    {"blk.{n}.ffn_up",
     "layers.{n}.mlp.dense_h_to_4h|h.{n}.mlp.c_fc|blocks.{n}.ffn.up_proj|h.{n}.mlp.dense_h_to_4h|"
     "layers.{n}.mlp.up_proj|layers.{n}.feed_forward.w3|encoder.layer.{n}.intermediate.dense|layers.{n}.mlp.Wi|"
     "layer.{n}.ffn.lin1|h.{n}.mlp.fc_in|h.{n}.mlp.linear_3|encoder.layers.{n}.mlp.dense_h_to_4h|h.{n}.mlp.w1|"
     "h.{n}.mlp.fc1|layers.{n}.mlp.fc1|layers.{n}.mlp.gate_up_proj|layers.layers.{n}.mlp.up_proj|"
     "layers.layers.{n}.mlp.gate_up_proj|encoder.layers.{n}.mlp.fc11|encoder.layers.{n}.mlp.fc1|layers.{n}.mlp.c_fc|"
     "encoder.layer.{n}.mlp.gated_layers_v|encoder.layer.{n}.mlp.gated_layers|encoder.layer.{n}.mlp.up_gated_layer|"
     "layers.{n}.residual_mlp.w3|h.{n}.mlp.c_fc_1|layers.{n}.feed_forward.up_proj|transformer_encoder.{n}.ffn.w12|"
     "layers.{n}.block_sparse_moe.up|blocks.{n}.up_proj|layers.{n}.mixer.up_proj|layers.{n}.mlp.language_mlp.up_proj|"
     "blocks.{n}.mlp.mlp_linear"},
    {"blk.{n}.ffn_up_chexps", "layers.{n}.mlp.chunk_experts.up_proj"},
    {"blk.{n}.ffn_up_exps",
     "layers.{n}.feed_forward.experts.w3|decoder_layer.{n}.moe.linear_v|blocks.{n}.ffn.experts.mlp.v1|"
     "layers.{n}.mlp.experts.up_proj|layers.{n}.block_sparse_moe.experts.w3|layers.{n}.feed_forward.experts.up_proj|"
     "encoder.layers.{n}.mlp.experts.mlp.w1|layers.{n}.block_sparse_moe.experts.up|layers.{n}.moe.up_proj|"
     "layers.{n}.mixer.experts.up_proj"},
    {"blk.{n}.ffn_up_shexp",
     "layers.{n}.mlp.shared_expert.up_proj|layers.{n}.mlp.shared_experts.up_proj|"
     "layers.{n}.feed_forward.shared_expert.up_proj|layers.{n}.feed_forward.down_proj|"
     "layers.{n}.mlp.shared_mlp.up_proj|layers.{n}.shared_experts.w3|layers.{n}.mixer.shared_experts.up_proj|"
     "layers.{n}.block_sparse_moe.shared_experts.up_proj|layers.{n}.share_expert.up_proj"},
    {"blk.{n}.hc_attn_base", "layers.{n}.hc_attn_layer.hc_pre.hc_base|layers.{n}.hc_attn_base"},
    {"blk.{n}.hc_attn_fn", "layers.{n}.hc_attn_layer.hc_pre.hc_fn|layers.{n}.hc_attn_fn"},
    {"blk.{n}.hc_attn_scale", "layers.{n}.hc_attn_layer.hc_pre.hc_scale|layers.{n}.hc_attn_scale"},
    {"blk.{n}.hc_ffn_base", "layers.{n}.hc_mlp_layer.hc_pre.hc_base|layers.{n}.hc_ffn_base"},
    {"blk.{n}.hc_ffn_fn", "layers.{n}.hc_mlp_layer.hc_pre.hc_fn|layers.{n}.hc_ffn_fn"},
    {"blk.{n}.hc_ffn_scale", "layers.{n}.hc_mlp_layer.hc_pre.hc_scale|layers.{n}.hc_ffn_scale"},
    {"blk.{n}.indexer.attn_k", "layers.{n}.self_attn.indexer.wk"},
    {"blk.{n}.indexer.attn_q_b", "layers.{n}.self_attn.indexer.wq_b"},
    {"blk.{n}.indexer.k_norm", "layers.{n}.self_attn.indexer.k_norm|layers.{n}.self_attn.index_k_norm"},
    {"blk.{n}.indexer.k_proj", "layers.{n}.self_attn.index_k_proj"},
    {"blk.{n}.indexer.proj", "layers.{n}.self_attn.indexer.weights_proj"},
    {"blk.{n}.indexer.q_norm", "layers.{n}.self_attn.index_q_norm"},
    {"blk.{n}.indexer.q_proj", "layers.{n}.self_attn.index_q_proj"},
    {"blk.{n}.indexer_compressor_ape", "layers.{n}.self_attn.indexer.index_kpool_compress_ape"},
    {"blk.{n}.indexer_compressor_gate", "layers.{n}.self_attn.indexer.index_kpool_compress_gate"},
    {"blk.{n}.inp_gate", "layers.{n}.per_layer_input_gate"},
    {"blk.{n}.laurel_l", "layers.{n}.laurel.linear_left"},
    {"blk.{n}.laurel_post_norm", "layers.{n}.laurel.post_laurel_norm"},
    {"blk.{n}.laurel_r", "layers.{n}.laurel.linear_right"},
    {"blk.{n}.layer_output_norm",
     "encoder.layer.{n}.output.LayerNorm|layer.{n}.output_layer_norm|encoder.layers.{n}.norm2|"
     "decoder_layer.{n}.rms_norm_3|encoder.layer.{n}.mlp.layernorm|encoder.layer.{n}.layer_norm_2|"
     "layers.{n}.final_layernorm"},
    {"blk.{n}.layer_output_scale", "layers.{n}.layer_scalar|blocks.{n}.embed_skip.a_g"},
    {"blk.{n}.nextn.eh_proj", "layers.{n}.eh_proj"},
    {"blk.{n}.nextn.embed_tokens", "layers.{n}.embed_tokens"},
    {"blk.{n}.nextn.enorm", "layers.{n}.enorm"},
    {"blk.{n}.nextn.hnorm", "layers.{n}.hnorm"},
    {"blk.{n}.nextn.shared_head_head", "layers.{n}.shared_head.head"},
    {"blk.{n}.nextn.shared_head_norm", "layers.{n}.shared_head.norm"},
    {"blk.{n}.post_attention_norm",
     "layers.{n}.post_self_attn_layernorm|layers.{n}.post_attention_layernorm|layers.layers.{n}.post_mixer_norm"},
    {"blk.{n}.post_ffw_norm",
     "layers.{n}.post_feedforward_layernorm|layers.{n}.post_mlp_layernorm|layers.layers.{n}.post_mlp_norm|"
     "layers.{n}.feed_forward.up_proj|layers.{n}.post_moe_norm"},
    {"blk.{n}.post_ffw_norm_1", "layers.{n}.post_feedforward_layernorm_1"},
    {"blk.{n}.post_ffw_norm_2", "layers.{n}.post_feedforward_layernorm_2"},
    {"blk.{n}.post_norm", "layers.{n}.post_per_layer_input_norm"},
    {"blk.{n}.pre_ffw_norm_2", "layers.{n}.pre_feedforward_layernorm_2"},
    {"blk.{n}.proj", "layers.{n}.per_layer_projection"},
    {"blk.{n}.shortconv.conv", "layers.{n}.conv.conv"},
    {"blk.{n}.shortconv.in_proj", "layers.{n}.conv.in_proj"},
    {"blk.{n}.shortconv.out_proj", "layers.{n}.conv.out_proj"},
    {"blk.{n}.ssm_a", "layers.{n}.A_log|layers.{n}.mixer.A_log|layers.{n}.mamba.A_log|layers.layers.{n}.mixer.A_log|"
                      "layers.{n}.linear_attn.A_log|layers.{n}.self_attn.A_log|layers.{n}.attention.A_log"},
    {"blk.{n}.ssm_alpha", "layers.{n}.linear_attn.in_proj_a"},
    {"blk.{n}.ssm_b_norm", "layers.{n}.mamba.b_layernorm|layers.{n}.mamba.B_layernorm|layers.layers.{n}.mixer.B_norm"},
    {"blk.{n}.ssm_ba", "layers.{n}.linear_attn.in_proj_ba"},
    {"blk.{n}.ssm_beta", "layers.{n}.linear_attn.in_proj_b|layers.{n}.self_attn.b_proj|layers.{n}.attention.b_proj"},
    {"blk.{n}.ssm_c_norm", "layers.{n}.mamba.c_layernorm|layers.{n}.mamba.C_layernorm|layers.layers.{n}.mixer.C_norm"},
    {"blk.{n}.ssm_conv1d",
     "layers.{n}.conv1d|layers.{n}.mixer.conv1d|layers.{n}.mamba.conv1d|layers.layers.{n}.mixer.conv1d|"
     "layers.{n}.linear_attn.conv1d"},
    {"blk.{n}.ssm_conv1d_k", "layers.{n}.self_attn.k_conv1d|layers.{n}.attention.k_conv1d"},
    {"blk.{n}.ssm_conv1d_q", "layers.{n}.self_attn.q_conv1d|layers.{n}.attention.q_conv1d"},
    {"blk.{n}.ssm_conv1d_v", "layers.{n}.self_attn.v_conv1d|layers.{n}.attention.v_conv1d"},
    {"blk.{n}.ssm_d", "layers.{n}.D|layers.{n}.mixer.D|layers.{n}.mamba.D|layers.layers.{n}.mixer.D"},
    {"blk.{n}.ssm_dt",
     "layers.{n}.dt_proj|layers.{n}.mixer.dt_proj|layers.{n}.mamba.dt_proj|layers.layers.{n}.mixer.dt_proj|"
     "layers.{n}.linear_attn.dt_proj|layers.{n}.mixer.dt|layers.{n}.self_attn.dt_proj|layers.{n}.attention.dt_proj"},
    {"blk.{n}.ssm_dt_norm", "layers.layers.{n}.mixer.dt_norm|layers.{n}.mamba.dt_layernorm"},
    {"blk.{n}.ssm_f_a", "layers.{n}.self_attn.f_a_proj"},
    {"blk.{n}.ssm_f_b", "layers.{n}.self_attn.f_b_proj"},
    {"blk.{n}.ssm_g_a", "layers.{n}.self_attn.g_a_proj"},
    {"blk.{n}.ssm_g_b", "layers.{n}.self_attn.g_b_proj"},
    {"blk.{n}.ssm_in",
     "layers.{n}.in_proj|layers.{n}.mixer.in_proj|layers.{n}.mamba.in_proj|layers.layers.{n}.mixer.in_proj|"
     "layers.{n}.linear_attn.in_proj_qkvz"},
    {"blk.{n}.ssm_norm",
     "layers.{n}.mamba.norm|layers.{n}.linear_attn.norm|layers.{n}.mixer.norm|layers.{n}.self_attn.o_norm|"
     "layers.{n}.attention.o_norm"},
    {"blk.{n}.ssm_out",
     "layers.{n}.out_proj|layers.{n}.mixer.out_proj|layers.{n}.mamba.out_proj|layers.{n}.linear_attn.out_proj|"
     "layers.layers.{n}.mixer.out_proj"},
    {"blk.{n}.ssm_x",
     "layers.{n}.x_proj|layers.{n}.mixer.x_proj|layers.{n}.mamba.x_proj|layers.layers.{n}.mixer.bcdt_proj"},
    {"blk.{n}.time_mix_a0", "layers.{n}.attention.a0"},
    {"blk.{n}.time_mix_a1", "layers.{n}.attention.a1"},
    {"blk.{n}.time_mix_a2", "layers.{n}.attention.a2"},
    {"blk.{n}.time_mix_decay", "rwkv.blocks.{n}.attention.time_decay|layers.{n}.self_attn.time_decay"},
    {"blk.{n}.time_mix_decay_w1", "rwkv.blocks.{n}.attention.time_decay_w1|layers.{n}.self_attn.time_decay_w1"},
    {"blk.{n}.time_mix_decay_w2", "rwkv.blocks.{n}.attention.time_decay_w2|layers.{n}.self_attn.time_decay_w2"},
    {"blk.{n}.time_mix_first", "rwkv.blocks.{n}.attention.time_faaaa"},
    {"blk.{n}.time_mix_g1", "layers.{n}.attention.g1"},
    {"blk.{n}.time_mix_g2", "layers.{n}.attention.g2"},
    {"blk.{n}.time_mix_gate", "rwkv.blocks.{n}.attention.gate|layers.{n}.self_attn.gate"},
    {"blk.{n}.time_mix_k_a", "layers.{n}.attention.k_a"},
    {"blk.{n}.time_mix_k_k", "layers.{n}.attention.k_k"},
    {"blk.{n}.time_mix_key",
     "rwkv.blocks.{n}.attention.key|layers.{n}.self_attn.k_proj|layers.{n}.attention.key|layers.{n}.attention.k_proj"},
    {"blk.{n}.time_mix_lerp_g", "rwkv.blocks.{n}.attention.time_maa_g|layers.{n}.self_attn.time_maa_g"},
    {"blk.{n}.time_mix_lerp_k", "rwkv.blocks.{n}.attention.time_maa_k|layers.{n}.self_attn.time_maa_k"},
    {"blk.{n}.time_mix_lerp_r", "rwkv.blocks.{n}.attention.time_maa_r|layers.{n}.self_attn.time_maa_r"},
    {"blk.{n}.time_mix_lerp_v", "rwkv.blocks.{n}.attention.time_maa_v|layers.{n}.self_attn.time_maa_v"},
    {"blk.{n}.time_mix_lerp_w", "rwkv.blocks.{n}.attention.time_maa_w|layers.{n}.self_attn.time_maa_w"},
    {"blk.{n}.time_mix_lerp_x", "rwkv.blocks.{n}.attention.time_maa_x|layers.{n}.self_attn.time_maa_x"},
    {"blk.{n}.time_mix_ln", "rwkv.blocks.{n}.attention.ln_x|layers.{n}.attention.ln_x"},
    {"blk.{n}.time_mix_output",
     "rwkv.blocks.{n}.attention.output|layers.{n}.self_attn.o_proj|layers.{n}.attention.output|"
     "layers.{n}.attention.o_proj"},
    {"blk.{n}.time_mix_r_k", "layers.{n}.attention.r_k"},
    {"blk.{n}.time_mix_receptance",
     "rwkv.blocks.{n}.attention.receptance|layers.{n}.self_attn.q_proj|layers.{n}.attention.receptance|"
     "layers.{n}.attention.r_proj"},
    {"blk.{n}.time_mix_v0", "layers.{n}.attention.v0"},
    {"blk.{n}.time_mix_v1", "layers.{n}.attention.v1"},
    {"blk.{n}.time_mix_v2", "layers.{n}.attention.v2"},
    {"blk.{n}.time_mix_value", "rwkv.blocks.{n}.attention.value|layers.{n}.self_attn.v_proj|layers.{n}.attention.value|"
                               "layers.{n}.attention.v_proj"},
    {"blk.{n}.time_mix_w0", "layers.{n}.attention.w0"},
    {"blk.{n}.time_mix_w1",
     "rwkv.blocks.{n}.attention.time_maa_w1|layers.{n}.self_attn.time_maa_w1|layers.{n}.attention.w1"},
    {"blk.{n}.time_mix_w2",
     "rwkv.blocks.{n}.attention.time_maa_w2|layers.{n}.self_attn.time_maa_w2|layers.{n}.attention.w2"},
    {"blk.{n}.vis_attn_output", "layers.{n}.self_attn.vision_expert_dense"},
    {"blk.{n}.vis_attn_qkv", "layers.{n}.self_attn.vision_expert_query_key_value"},
    {"blk.{n}.vis_down", "layers.{n}.mlp.vision_mlp.down_proj"},
    {"blk.{n}.vis_gate", "layers.{n}.mlp.vision_mlp.gate_proj"},
    {"blk.{n}.vis_up", "layers.{n}.mlp.vision_mlp.up_proj"},
    {"cls", "classifier|classifier.dense|pre_classifier|dense|head.dense"},
    {"cls.norm", "head.norm"},
    {"cls.output", "classifier.out_proj"},
    {"conf_proj", "confidence_head.proj"},
    {"conv1d", "embed"},
    {"convnext.{n}.dw", "convnext.{n}.dwconv"},
    {"convnext.{n}.gamma", "convnext.{n}.gamma"},
    {"convnext.{n}.norm", "convnext.{n}.norm"},
    {"convnext.{n}.pw1", "convnext.{n}.pwconv1"},
    {"convnext.{n}.pw2", "convnext.{n}.pwconv2"},
    {"dec.blk.{n}.attn_k", "decoder.block.{n}.layer.0.SelfAttention.k"},
    {"dec.blk.{n}.attn_norm", "decoder.block.{n}.layer.0.layer_norm"},
    {"dec.blk.{n}.attn_o", "decoder.block.{n}.layer.0.SelfAttention.o"},
    {"dec.blk.{n}.attn_q", "decoder.block.{n}.layer.0.SelfAttention.q"},
    {"dec.blk.{n}.attn_rel_b", "decoder.block.{n}.layer.0.SelfAttention.relative_attention_bias"},
    {"dec.blk.{n}.attn_v", "decoder.block.{n}.layer.0.SelfAttention.v"},
    {"dec.blk.{n}.cross_attn_k", "decoder.block.{n}.layer.1.EncDecAttention.k"},
    {"dec.blk.{n}.cross_attn_norm", "decoder.block.{n}.layer.1.layer_norm"},
    {"dec.blk.{n}.cross_attn_o", "decoder.block.{n}.layer.1.EncDecAttention.o"},
    {"dec.blk.{n}.cross_attn_q", "decoder.block.{n}.layer.1.EncDecAttention.q"},
    {"dec.blk.{n}.cross_attn_rel_b", "decoder.block.{n}.layer.1.EncDecAttention.relative_attention_bias"},
    {"dec.blk.{n}.cross_attn_v", "decoder.block.{n}.layer.1.EncDecAttention.v"},
    {"dec.blk.{n}.ffn_down", "decoder.block.{n}.layer.2.DenseReluDense.wo"},
    {"dec.blk.{n}.ffn_gate", "decoder.block.{n}.layer.2.DenseReluDense.wi_0"},
    {"dec.blk.{n}.ffn_norm", "decoder.block.{n}.layer.2.layer_norm"},
    {"dec.blk.{n}.ffn_up", "decoder.block.{n}.layer.2.DenseReluDense.wi|decoder.block.{n}.layer.2.DenseReluDense.wi_1"},
    {"dec.output_norm", "decoder.final_layer_norm"},
    {"dense_2", "dense_2_out"},
    {"dense_3", "dense_3_out"},
    {"enc.blk.{n}.attn_k", "encoder.block.{n}.layer.0.SelfAttention.k"},
    {"enc.blk.{n}.attn_norm", "encoder.block.{n}.layer.0.layer_norm"},
    {"enc.blk.{n}.attn_o", "encoder.block.{n}.layer.0.SelfAttention.o"},
    {"enc.blk.{n}.attn_q", "encoder.block.{n}.layer.0.SelfAttention.q"},
    {"enc.blk.{n}.attn_rel_b", "encoder.block.{n}.layer.0.SelfAttention.relative_attention_bias"},
    {"enc.blk.{n}.attn_v", "encoder.block.{n}.layer.0.SelfAttention.v"},
    {"enc.blk.{n}.ffn_down", "encoder.block.{n}.layer.1.DenseReluDense.wo"},
    {"enc.blk.{n}.ffn_gate", "encoder.block.{n}.layer.1.DenseReluDense.wi_0"},
    {"enc.blk.{n}.ffn_norm", "encoder.block.{n}.layer.1.layer_norm"},
    {"enc.blk.{n}.ffn_up", "encoder.block.{n}.layer.1.DenseReluDense.wi|encoder.block.{n}.layer.1.DenseReluDense.wi_1"},
    {"enc.output_norm", "encoder.final_layer_norm|layer_norm|hidden_norm|encoder.output_norm_enc"},
    {"fc", "fc|encoder.fc"},
    {"markov_w1", "markov_head.markov_w1"},
    {"markov_w2", "markov_head.markov_w2"},
    {"masked_embd_centroids", "masked_embedding.centroids"},
    {"masked_embd_ordering", "masked_embedding.token_ordering"},
    {"nextn.post_projection", "post_projection"},
    {"nextn.pre_projection", "pre_projection"},
    {"output",
     "embed_out|lm_head|output|word_embeddings_for_head|lm_head.linear|output_layer|head|head.out|ff_out|head.decoder"},
    {"output_hc_base", "hc_head.hc_head_base"},
    {"output_hc_fn", "hc_head.hc_head_fn"},
    {"output_hc_scale", "hc_head.hc_head_scale"},
    {"output_norm",
     "final_layer_norm|ln_f|norm|norm_f|encoder.final_layernorm|final_layernorm|lm_head.ln|rms_norm|rwkv.ln_out|"
     "ln_out|final_norm"},
    {"per_layer_model_proj", "per_layer_model_projection"},
    {"per_layer_proj_norm", "per_layer_projection_norm"},
    {"per_layer_token_embd", "embed_tokens_per_layer"},
    {"position_embd", "wpe|embeddings.position_embeddings|embed_positions"},
    {"posnet.{n}.attn_k", "posnet.{n}.k"},
    {"posnet.{n}.attn_norm", "posnet.{n}.norm"},
    {"posnet.{n}.attn_output", "posnet.{n}.proj_out"},
    {"posnet.{n}.attn_q", "posnet.{n}.q"},
    {"posnet.{n}.attn_v", "posnet.{n}.v"},
    {"posnet.{n}.conv1", "posnet.{n}.conv1"},
    {"posnet.{n}.conv2", "posnet.{n}.conv2"},
    {"posnet.{n}.norm", "posnet.{n}.norm"},
    {"posnet.{n}.norm1", "posnet.{n}.norm1"},
    {"posnet.{n}.norm2", "posnet.{n}.norm2"},
    {"rope_freqs", "rope.freqs|rotary_pos_emb.inv_freq|encoder.layers.{n}.self_attention.rotary_emb.inv_freq"},
    {"selector_hidden", "candidate_selector.hidden_projection"},
    {"selector_predecessor", "candidate_selector.predecessor_codebook"},
    {"selector_successor", "candidate_selector.successor_codebook"},
    {"token_embd",
     "embed_in|wte|word_embeddings|embed_tokens|tok_embeddings|embeddings.word_embeddings|embeddings.tok_embeddings|"
     "embedding.word_embeddings|embd.wte|embedding|embeddings|in_out_embed|token_embeddings|shared|rwkv.embeddings|"
     "encoder|embed"},
    {"token_embd_norm",
     "word_embeddings_layernorm|embeddings.LayerNorm|embeddings.norm|emb_ln|norm|rwkv.blocks.0.pre_ln|pre_ln|"
     "layers.0.pre_norm|embedding_norm"},
    {"token_types", "embeddings.token_type_embeddings"},
};
const size_t layout_name_count = sizeof(layout_names) / sizeof(layout_names[0]);
