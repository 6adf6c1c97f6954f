/* The names of vision and audio towers and of what joins them to the language model: as core/align/layout_names.c. */
#include "core/align/layouts.h"

const struct layout_name layout_tower_names[] = {
    {"a.asp_attn", "speaker_encoder.asp.conv"},
    {"a.asp_tdnn", "speaker_encoder.asp.tdnn.conv"},
    {"a.blk.{n}.attn_k", "audio_tower.layers.{n}.self_attn.k_proj|conformer.layers.{n}.self_attn.linear_k|"
                         "conformer.layers.{n}.attention.attn.k_proj|conformer.layers.{n}.self_attn.k_proj|"
                         "audio_encoder.dots_encoder.speech_encoder.layers.{n}.self_attn.k_proj|"
                         "sound_encoder.encoder.layers.{n}.self_attn.k_proj|encoder.layers.{n}.attn.to_k|"
                         "encoder.layers.{n}.self_attn.k_proj"},
    {"a.blk.{n}.attn_k_rel", "conformer.layers.{n}.self_attn.relative_k_proj"},
    {"a.blk.{n}.attn_out", "audio_tower.layers.{n}.self_attn.out_proj|conformer.layers.{n}.self_attn.linear_out|"
                           "conformer.layers.{n}.attention.post|conformer.layers.{n}.self_attn.post|"
                           "audio_encoder.dots_encoder.speech_encoder.layers.{n}.self_attn.out_proj|"
                           "sound_encoder.encoder.layers.{n}.self_attn.o_proj|encoder.layers.{n}.attn.to_out|"
                           "encoder.layers.{n}.self_attn.out_proj"},
    {"a.blk.{n}.attn_post_norm", "conformer.layers.{n}.norm_post_attn"},
    {"a.blk.{n}.attn_pre_norm", "conformer.layers.{n}.norm_pre_attn"},
    {"a.blk.{n}.attn_q", "audio_tower.layers.{n}.self_attn.q_proj|conformer.layers.{n}.self_attn.linear_q|"
                         "conformer.layers.{n}.attention.attn.q_proj|conformer.layers.{n}.self_attn.q_proj|"
                         "audio_encoder.dots_encoder.speech_encoder.layers.{n}.self_attn.q_proj|"
                         "sound_encoder.encoder.layers.{n}.self_attn.q_proj|encoder.layers.{n}.attn.to_q|"
                         "encoder.layers.{n}.self_attn.q_proj"},
    {"a.blk.{n}.attn_rel_pos_emb", "encoder.layers.{n}.attn.rel_pos_emb"},
    {"a.blk.{n}.attn_v", "audio_tower.layers.{n}.self_attn.v_proj|conformer.layers.{n}.self_attn.linear_v|"
                         "conformer.layers.{n}.attention.attn.v_proj|conformer.layers.{n}.self_attn.v_proj|"
                         "audio_encoder.dots_encoder.speech_encoder.layers.{n}.self_attn.v_proj|"
                         "sound_encoder.encoder.layers.{n}.self_attn.v_proj|encoder.layers.{n}.attn.to_v|"
                         "encoder.layers.{n}.self_attn.v_proj"},
    {"a.blk.{n}.conv_dw",
     "conformer.layers.{n}.conv.depthwise_conv|conformer.layers.{n}.lconv1d.depthwise_conv1d|"
     "sound_encoder.encoder.layers.{n}.conv.depthwise_conv|encoder.layers.{n}.conv.depth_conv.conv"},
    {"a.blk.{n}.conv_norm", "conformer.layers.{n}.conv.batch_norm|conformer.layers.{n}.lconv1d.pre_layer_norm|"
                            "sound_encoder.encoder.layers.{n}.conv.norm"},
    {"a.blk.{n}.conv_norm_mean", "sound_encoder.encoder.layers.{n}.conv.norm.running_mean"},
    {"a.blk.{n}.conv_norm_var",
     "sound_encoder.encoder.layers.{n}.conv.norm.running_var|encoder.layers.{n}.conv.batch_norm"},
    {"a.blk.{n}.conv_pw1", "conformer.layers.{n}.conv.pointwise_conv1|conformer.layers.{n}.lconv1d.linear_start|"
                           "sound_encoder.encoder.layers.{n}.conv.pointwise_conv1|encoder.layers.{n}.conv.up_conv|"
                           "speaker_encoder.blocks.{n}.tdnn1.conv"},
    {"a.blk.{n}.conv_pw2", "conformer.layers.{n}.conv.pointwise_conv2|conformer.layers.{n}.lconv1d.linear_end|"
                           "sound_encoder.encoder.layers.{n}.conv.pointwise_conv2|encoder.layers.{n}.conv.down_conv|"
                           "speaker_encoder.blocks.{n}.tdnn2.conv"},
    {"a.blk.{n}.ffn_down",
     "audio_tower.layers.{n}.fc2|conformer.layers.{n}.feed_forward1.linear2|"
     "conformer.layers.{n}.ffw_layer_start.ffw_layer_2|conformer.layers.{n}.feed_forward1.ffw_layer_2|"
     "audio_encoder.dots_encoder.speech_encoder.layers.{n}.fc2|"
     "sound_encoder.encoder.layers.{n}.feed_forward1.linear2|encoder.layers.{n}.ff1.down_proj|encoder.layers.{n}.fc2"},
    {"a.blk.{n}.ffn_down_1",
     "conformer.layers.{n}.feed_forward2.linear2|conformer.layers.{n}.ffw_layer_end.ffw_layer_2|"
     "conformer.layers.{n}.feed_forward2.ffw_layer_2|sound_encoder.encoder.layers.{n}.feed_forward2.linear2|"
     "encoder.layers.{n}.ff2.down_proj"},
    {"a.blk.{n}.ffn_gate", "audio_encoder.dots_encoder.speech_encoder.layers.{n}.fc1_gate"},
    {"a.blk.{n}.ffn_norm",
     "conformer.layers.{n}.norm_feed_forward1|conformer.layers.{n}.ffw_layer_start.pre_layer_norm|"
     "conformer.layers.{n}.feed_forward1.pre_layer_norm|sound_encoder.encoder.layers.{n}.norm_feed_forward1|"
     "encoder.layers.{n}.ff1.pre_norm"},
    {"a.blk.{n}.ffn_norm_1",
     "conformer.layers.{n}.norm_feed_forward2|conformer.layers.{n}.ffw_layer_end.pre_layer_norm|"
     "conformer.layers.{n}.feed_forward2.pre_layer_norm|sound_encoder.encoder.layers.{n}.norm_feed_forward2|"
     "encoder.layers.{n}.ff2.pre_norm"},
    {"a.blk.{n}.ffn_post_norm",
     "conformer.layers.{n}.ffw_layer_start.post_layer_norm|conformer.layers.{n}.feed_forward1.post_layer_norm"},
    {"a.blk.{n}.ffn_post_norm_1",
     "conformer.layers.{n}.ffw_layer_end.post_layer_norm|conformer.layers.{n}.feed_forward2.post_layer_norm"},
    {"a.blk.{n}.ffn_scale", "conformer.layers.{n}.ffw_layer_start.post_layer_scale"},
    {"a.blk.{n}.ffn_scale_1", "conformer.layers.{n}.ffw_layer_end.post_layer_scale"},
    {"a.blk.{n}.ffn_up",
     "audio_tower.layers.{n}.fc1|conformer.layers.{n}.feed_forward1.linear1|"
     "conformer.layers.{n}.ffw_layer_start.ffw_layer_1|conformer.layers.{n}.feed_forward1.ffw_layer_1|"
     "audio_encoder.dots_encoder.speech_encoder.layers.{n}.fc1_up|"
     "sound_encoder.encoder.layers.{n}.feed_forward1.linear1|encoder.layers.{n}.ff1.up_proj|encoder.layers.{n}.fc1"},
    {"a.blk.{n}.ffn_up_1",
     "conformer.layers.{n}.feed_forward2.linear1|conformer.layers.{n}.ffw_layer_end.ffw_layer_1|"
     "conformer.layers.{n}.feed_forward2.ffw_layer_1|sound_encoder.encoder.layers.{n}.feed_forward2.linear1|"
     "encoder.layers.{n}.ff2.up_proj"},
    {"a.blk.{n}.layer_pre_norm", "conformer.layers.{n}.norm"},
    {"a.blk.{n}.linear_pos", "conformer.layers.{n}.self_attn.linear_pos|"
                             "conformer.layers.{n}.attention.attn.relative_position_embedding.pos_proj|"
                             "sound_encoder.encoder.layers.{n}.self_attn.relative_k_proj"},
    {"a.blk.{n}.ln1", "audio_tower.layers.{n}.self_attn_layer_norm|conformer.layers.{n}.norm_self_att|"
                      "conformer.layers.{n}.attention.pre_attn_norm|"
                      "audio_encoder.dots_encoder.speech_encoder.layers.{n}.self_attn_layer_norm|"
                      "sound_encoder.encoder.layers.{n}.norm_self_att|encoder.layers.{n}.attn.pre_norm|"
                      "encoder.layers.{n}.self_attn_layer_norm"},
    {"a.blk.{n}.ln2",
     "audio_tower.layers.{n}.final_layer_norm|conformer.layers.{n}.norm_out|conformer.layers.{n}.attention.post_norm|"
     "audio_encoder.dots_encoder.speech_encoder.layers.{n}.final_layer_norm|"
     "sound_encoder.encoder.layers.{n}.norm_out|encoder.layers.{n}.post_norm|encoder.layers.{n}.final_layer_norm"},
    {"a.blk.{n}.norm_conv", "conformer.layers.{n}.norm_conv|conformer.layers.{n}.lconv1d.conv_norm|"
                            "sound_encoder.encoder.layers.{n}.norm_conv|encoder.layers.{n}.conv.norm"},
    {"a.blk.{n}.per_dim_k_scale", "conformer.layers.{n}.attention.attn.per_dim_key_scale"},
    {"a.blk.{n}.per_dim_scale",
     "conformer.layers.{n}.attention.attn.per_dim_scale|conformer.layers.{n}.self_attn.per_dim_scale"},
    {"a.blk.{n}.pos_bias_u",
     "conformer.layers.{n}.self_attn.pos_bias_u|sound_encoder.encoder.layers.{n}.self_attn.bias_u"},
    {"a.blk.{n}.pos_bias_v",
     "conformer.layers.{n}.self_attn.pos_bias_v|sound_encoder.encoder.layers.{n}.self_attn.bias_v"},
    {"a.blk.{n}.se_conv1", "speaker_encoder.blocks.{n}.se_block.conv1"},
    {"a.blk.{n}.se_conv2", "speaker_encoder.blocks.{n}.se_block.conv2"},
    {"a.conv1d.{n}",
     "audio_tower.conv{n}|conformer.pre_encode.conv.{n}|audio_tower.subsample_conv_projection.conv_{n}.conv|"
     "conformer.subsample_conv_projection.layer{n}.conv|sound_encoder.encoder.subsampling.layers.{n}|encoder.conv{n}|"
     "speaker_encoder.blocks.{n}.conv"},
    {"a.conv1d.{n}.norm", "conformer.subsample_conv_projection.layer{n}.norm"},
    {"a.conv2d.{n}", "audio_tower.conv2d{n}|audio_encoder.dots_encoder.speech_encoder.conv2d{n}"},
    {"a.conv_out", "audio_tower.conv_out|audio_encoder.dots_encoder.speech_encoder.conv_out|speaker_encoder.mfa.conv"},
    {"a.downsample.conv", "encoder.down_sample_layer.0"},
    {"a.downsample.norm", "encoder.down_sample_norm"},
    {"a.embd_to_logits", "audio_embedding.to_logits"},
    {"a.enc_ctc_out", "encoder.out"},
    {"a.enc_ctc_out_mid", "encoder.out_mid"},
    {"a.input_projection", "conformer.subsample_conv_projection.input_proj_linear|encoder.input_linear"},
    {"a.mel_filters", "sound_encoder.encoder.feature_extractor.featurizer.fb"},
    {"a.position_embd", "audio_tower.embed_positions|audio_embedding.embedding"},
    {"a.position_embd_norm", "audio_embedding.embedding_norm"},
    {"a.post_ln", "audio_tower.layer_norm|audio_tower.ln_post|audio_encoder.dots_encoder.speech_encoder.layer_norm|"
                  "encoder.layer_norm"},
    {"a.pre_encode.out",
     "conformer.pre_encode.out|audio_tower.subsample_conv_projection.input_proj_linear|conformer.output_proj|"
     "sound_encoder.encoder.subsampling.linear"},
    {"a.proj_blk.{n}.cross_attn_k", "projector.qformer.encoder.layer.{n}.crossattention.attention.key"},
    {"a.proj_blk.{n}.cross_attn_norm", "projector.qformer.encoder.layer.{n}.crossattention.output.LayerNorm"},
    {"a.proj_blk.{n}.cross_attn_out", "projector.qformer.encoder.layer.{n}.crossattention.output.dense"},
    {"a.proj_blk.{n}.cross_attn_q", "projector.qformer.encoder.layer.{n}.crossattention.attention.query"},
    {"a.proj_blk.{n}.cross_attn_v", "projector.qformer.encoder.layer.{n}.crossattention.attention.value"},
    {"a.proj_blk.{n}.ffn_down", "projector.qformer.encoder.layer.{n}.output_query.dense"},
    {"a.proj_blk.{n}.ffn_norm", "projector.qformer.encoder.layer.{n}.output_query.LayerNorm"},
    {"a.proj_blk.{n}.ffn_up", "projector.qformer.encoder.layer.{n}.intermediate_query.dense"},
    {"a.proj_blk.{n}.self_attn_k", "projector.qformer.encoder.layer.{n}.attention.attention.key"},
    {"a.proj_blk.{n}.self_attn_norm", "projector.qformer.encoder.layer.{n}.attention.output.LayerNorm"},
    {"a.proj_blk.{n}.self_attn_out", "projector.qformer.encoder.layer.{n}.attention.output.dense"},
    {"a.proj_blk.{n}.self_attn_q", "projector.qformer.encoder.layer.{n}.attention.attention.query"},
    {"a.proj_blk.{n}.self_attn_v", "projector.qformer.encoder.layer.{n}.attention.attention.value"},
    {"a.proj_linear", "projector.linear"},
    {"a.proj_norm", "projector.qformer.layernorm"},
    {"a.proj_query", "projector.query"},
    {"a.window", "sound_encoder.encoder.feature_extractor.featurizer.window"},
    {"mm.a.embedding", "embed_audio.embedding"},
    {"mm.a.fc", "audio.multi_modal_projector.linear|audio_tower.proj|audio_tower.output_proj|speaker_encoder.fc"},
    {"mm.a.hard_emb_norm", "embed_audio.hard_embedding_norm"},
    {"mm.a.input_projection", "embed_audio.embedding_projection"},
    {"mm.a.local_blk.{n}.attn_k", "audio_encoder.input_local_transformer.layers.{n}.self_attn.k_proj"},
    {"mm.a.local_blk.{n}.attn_out", "audio_encoder.input_local_transformer.layers.{n}.self_attn.o_proj"},
    {"mm.a.local_blk.{n}.attn_q", "audio_encoder.input_local_transformer.layers.{n}.self_attn.q_proj"},
    {"mm.a.local_blk.{n}.attn_v", "audio_encoder.input_local_transformer.layers.{n}.self_attn.v_proj"},
    {"mm.a.local_blk.{n}.ffn_down", "audio_encoder.input_local_transformer.layers.{n}.mlp.down_proj"},
    {"mm.a.local_blk.{n}.ffn_gate", "audio_encoder.input_local_transformer.layers.{n}.mlp.gate_proj"},
    {"mm.a.local_blk.{n}.ffn_up", "audio_encoder.input_local_transformer.layers.{n}.mlp.up_proj"},
    {"mm.a.local_blk.{n}.ln1", "audio_encoder.input_local_transformer.layers.{n}.input_layernorm"},
    {"mm.a.local_blk.{n}.ln2", "audio_encoder.input_local_transformer.layers.{n}.post_attention_layernorm"},
    {"mm.a.local_norm", "audio_encoder.input_local_transformer.norm"},
    {"mm.a.mlp.{n}", "audio.multi_modal_projector.linear_{n}|audio_adapter.model.{n}|audio_tower.proj{n}|"
                     "audio_encoder.audio_adapter.proj.{n}|sound_projection.linear{n}"},
    {"mm.a.norm_mid", "audio.multi_modal_projector.ln_mid"},
    {"mm.a.norm_pre", "audio.multi_modal_projector.ln_pre|audio_encoder.audio_adapter.proj.0|sound_projection.norm"},
    {"mm.a.soft_emb_norm", "embed_audio.soft_embedding_norm"},
    {"mm.down", "vision.linear_proj.dense_4h_to_h|visual.merger.down_proj|merger.mlp.0.linear_2"},
    {"mm.embedding", "embed_vision.embedding"},
    {"mm.gate", "vision.linear_proj.gate_proj|visual.merger.gate_proj"},
    {"mm.hard_emb_norm", "embed_vision.hard_embedding_norm"},
    {"mm.image_begin", "vit.perceive.image_begin"},
    {"mm.image_end", "vit.perceive.image_end"},
    {"mm.input_norm",
     "multi_modal_projector.norm|multi_modal_projector.layer_norm|multi_modal_projector.pre_norm|"
     "mm_projector.pre_norm|pre_mm_projector_norm|vision.linear_proj.norm1|mlp_AR.pre_norm|merger.ln_q|"
     "vision_tower.merger.ln_q|vision_encoder.adapter.ln_q|merger.mlp.0.pre_norm"},
    {"mm.input_projection", "embed_vision.embedding_projection|multi_modal_projector.mm_input_projection"},
    {"mm.merger.fc1", "patch_merge_mlp.linear_1"},
    {"mm.merger.fc2", "patch_merge_mlp.linear_2"},
    {"mm.model.fc",
     "connector.modality_projection.proj|vision.linear_proj.linear_proj|projector.layers|visual.merger.proj|"
     "vit.perceive.mlp"},
    {"mm.model.mlp.{n}",
     "mm_projector.mlp.mlp.{n}|vision_model.vision_adapter.mlp.fc{n}|mlp1.{n}|aligner.fc1.hidden_layers.{n}"},
    {"mm.model.peg.{n}", "mm_projector.peg.peg.{n}"},
    {"mm.patch_merger",
     "multi_modal_projector.patch_merger.merging_layer|patch_merger.merging_layer|visual.downsample"},
    {"mm.post_fc_norm", "vision.linear_proj.norm1"},
    {"mm.post_norm", "visual.merger.post_projection_norm|vision_tower.post_trunk_norm|vit.perceive.after_rms|"
                     "vision_encoder.post_trunk_norm"},
    {"mm.pre_norm", "vit.perceive.before_rms"},
    {"mm.soft_emb_norm", "embed_vision.soft_embedding_norm|multi_modal_projector.mm_soft_emb_norm"},
    {"mm.up", "vision.linear_proj.dense_h_to_4h|visual.merger.up_proj|merger.mlp.0.linear_1"},
    {"mm.{n}",
     "multi_modal_projector.linear_{n}|mm_projector.proj.linear_{n}|visual.merger.mlp.{n}|mlp_AR.linear_{n}|"
     "merger.mlp.{n}|vision_tower.merger.mlp.{n}|vit.perceive.proj.{n}|aligner.w{n}|vision_encoder.adapter.mlp.{n}"},
    {"resampler.attn.k", "resampler.attn.in_proj_k"},
    {"resampler.attn.out", "resampler.attn.out_proj|vision_model.head.attention.out_proj"},
    {"resampler.attn.q", "resampler.attn.in_proj_q"},
    {"resampler.attn.v", "resampler.attn.in_proj_v"},
    {"resampler.kv", "resampler.kv_proj"},
    {"resampler.ln_kv", "resampler.ln_kv"},
    {"resampler.ln_post", "resampler.ln_post"},
    {"resampler.ln_q", "resampler.ln_q"},
    {"resampler.pos_embd_k", "resampler.pos_embed_k"},
    {"resampler.proj", "resampler.proj"},
    {"resampler.query", "resampler.query"},
    {"v.blk.{n}.attn_k",
     "vision_tower.vision_model.encoder.layers.{n}.self_attn.k_proj|vision_tower.encoder.layer.{n}.attention.k_proj|"
     "vpm.encoder.layers.{n}.self_attn.k_proj|vision_model.encoder.layers.{n}.self_attn.k_proj|"
     "vit.layers.{n}.self_attn.k_proj|vision_model.model.layers.{n}.self_attn.k_proj|"
     "vision_tower.transformer.layers.{n}.attention.k_proj|vision_encoder.transformer.layers.{n}.attention.wk|"
     "visual.blocks.{n}.attn.k|vision_tower.encoder.blocks.{n}.wk|"
     "vision_model.transformer.layers.{n}.self_attn.k_proj|siglip2.vision_model.encoder.layers.{n}.self_attn.k_proj|"
     "vision_model.model.layers.{n}.self_attn.k_proj.linear|vision_tower.encoder.layers.{n}.self_attn.k_proj|"
     "qwen2_model.model.model.layers.{n}.self_attn.k_proj|vision_tower.layers.{n}.attn.k_proj"},
    {"v.blk.{n}.attn_k_norm",
     "vision_tower.vision_model.encoder.layers.{n}.attn.k_norm|vision_tower.encoder.layer.{n}.attention.k_norm|"
     "visual.blocks.{n}.attn.k_norm|vision_model.model.layers.{n}.self_attn.k_norm|"
     "vision_encoder.blocks.{n}.attn.k_norm"},
    {"v.blk.{n}.attn_out",
     "vision_tower.vision_model.encoder.layers.{n}.self_attn.out_proj|"
     "vision_tower.vision_model.encoder.layers.{n}.attn.proj|"
     "vision_tower.encoder.layer.{n}.attention.projection_layer|vpm.encoder.layers.{n}.self_attn.out_proj|"
     "vision_model.encoder.layers.{n}.self_attn.out_proj|vit.layers.{n}.self_attn.o_proj|"
     "vision_model.encoder.layers.{n}.self_attn.projection_layer|vision_model.model.layers.{n}.self_attn.o_proj|"
     "vision_tower.transformer.layers.{n}.attention.o_proj|vision_encoder.transformer.layers.{n}.attention.wo|"
     "visual.blocks.{n}.attn.proj|vision_tower.encoder.blocks.{n}.wo|vision.transformer.layers.{n}.attention.dense|"
     "vision_model.transformer.layers.{n}.self_attn.out_proj|"
     "siglip2.vision_model.encoder.layers.{n}.self_attn.out_proj|vision_model.radio_model.model.blocks.{n}.attn.proj|"
     "vision_model.model.layers.{n}.self_attn.o_proj.linear|vision_tower.blocks.{n}.attn.proj|"
     "vision_model.transformer.resblocks.{n}.attn.out_proj|vision.blocks.{n}.attn.wo|"
     "vision_tower.encoder.layers.{n}.self_attn.out_proj|qwen2_model.model.model.layers.{n}.self_attn.o_proj|"
     "vision_encoder.blocks.{n}.attn.proj|vision_tower.layers.{n}.attn.proj"},
    {"v.blk.{n}.attn_post_norm", "vision_model.model.layers.{n}.post_attention_layernorm"},
    {"v.blk.{n}.attn_q",
     "vision_tower.vision_model.encoder.layers.{n}.self_attn.q_proj|vision_tower.encoder.layer.{n}.attention.q_proj|"
     "vpm.encoder.layers.{n}.self_attn.q_proj|vision_model.encoder.layers.{n}.self_attn.q_proj|"
     "vit.layers.{n}.self_attn.q_proj|vision_model.model.layers.{n}.self_attn.q_proj|"
     "vision_tower.transformer.layers.{n}.attention.q_proj|vision_encoder.transformer.layers.{n}.attention.wq|"
     "visual.blocks.{n}.attn.q|vision_tower.encoder.blocks.{n}.wq|"
     "siglip2.vision_model.encoder.layers.{n}.self_attn.q_proj|vision_model.transformer.layers.{n}.self_attn.q_proj|"
     "vision_model.model.layers.{n}.self_attn.q_proj.linear|vision_tower.encoder.layers.{n}.self_attn.q_proj|"
     "qwen2_model.model.model.layers.{n}.self_attn.q_proj|vision_tower.layers.{n}.attn.q_proj"},
    {"v.blk.{n}.attn_q_norm",
     "vision_tower.vision_model.encoder.layers.{n}.attn.q_norm|vision_tower.encoder.layer.{n}.attention.q_norm|"
     "visual.blocks.{n}.attn.q_norm|vision_model.model.layers.{n}.self_attn.q_norm|"
     "vision_encoder.blocks.{n}.attn.q_norm"},
    {"v.blk.{n}.attn_qkv",
     "visual.blocks.{n}.attn.qkv|vision_tower.blocks.{n}.attn.qkv|"
     "vision.transformer.layers.{n}.attention.query_key_value|vision_model.transformer.layers.{n}.self_attn.qkv_proj|"
     "vision_tower.encoder.blocks.{n}.wqkv|vision_model.radio_model.model.blocks.{n}.attn.qkv|"
     "vision_model.transformer.resblocks.{n}.attn.in_proj|vision.blocks.{n}.attn.wqkv|"
     "vision_encoder.blocks.{n}.attn.qkv"},
    {"v.blk.{n}.attn_sinks", "visual.blocks.{n}.attn.sinks"},
    {"v.blk.{n}.attn_v",
     "vision_tower.vision_model.encoder.layers.{n}.self_attn.v_proj|vision_tower.encoder.layer.{n}.attention.v_proj|"
     "vpm.encoder.layers.{n}.self_attn.v_proj|vision_model.encoder.layers.{n}.self_attn.v_proj|"
     "vit.layers.{n}.self_attn.v_proj|vision_model.model.layers.{n}.self_attn.v_proj|"
     "vision_tower.transformer.layers.{n}.attention.v_proj|vision_encoder.transformer.layers.{n}.attention.wv|"
     "visual.blocks.{n}.attn.v|vision_tower.encoder.blocks.{n}.wv|"
     "siglip2.vision_model.encoder.layers.{n}.self_attn.v_proj|vision_model.transformer.layers.{n}.self_attn.v_proj|"
     "vision_model.model.layers.{n}.self_attn.v_proj.linear|vision_tower.encoder.layers.{n}.self_attn.v_proj|"
     "qwen2_model.model.model.layers.{n}.self_attn.v_proj|vision_tower.layers.{n}.attn.v_proj"},
    {"v.blk.{n}.exp_probs_b", "vision_encoder.blocks.{n}.mlp.router_bias"},
    {"v.blk.{n}.ffn_down",
     "vision_tower.vision_model.encoder.layers.{n}.mlp.fc2|vision_tower.encoder.layer.{n}.mlp.fc2|"
     "vpm.encoder.layers.{n}.mlp.fc2|vision_model.encoder.layers.{n}.mlp.fc2|vit.layers.{n}.mlp.dense_4h_to_h|"
     "vision_tower.transformer.layers.{n}.feed_forward.down_proj|"
     "vision_encoder.transformer.layers.{n}.feed_forward.w2|vision_model.model.layers.{n}.mlp.fc2|"
     "visual.blocks.{n}.mlp.fc2|visual.blocks.{n}.mlp.down_proj|visual.blocks.{n}.mlp.linear_fc2|"
     "vision_tower.encoder.blocks.{n}.mlp.fc1|vision.transformer.layers.{n}.mlp.fc2|"
     "vision_model.transformer.layers.{n}.mlp.fc2|siglip2.vision_model.encoder.layers.{n}.mlp.fc2|"
     "vision_model.radio_model.model.blocks.{n}.mlp.fc2|vision_model.model.layers.{n}.mlp.down_proj|"
     "vision_model.transformer.resblocks.{n}.mlp.c_proj|vision.blocks.{n}.mlp.w2|vision_encoder.blocks.{n}.mlp.fc2|"
     "vision_tower.encoder.layers.{n}.mlp.fc2|qwen2_model.model.model.layers.{n}.mlp.down_proj|"
     "vision_tower.layers.{n}.mlp.fc2"},
    {"v.blk.{n}.ffn_down_exps", "vision_encoder.blocks.{n}.mlp.experts.fc2"},
    {"v.blk.{n}.ffn_gate",
     "vision_tower.transformer.layers.{n}.feed_forward.gate_proj|"
     "vision_encoder.transformer.layers.{n}.feed_forward.w1|visual.blocks.{n}.mlp.gate_proj|"
     "vision_model.model.layers.{n}.mlp.gate_proj|vision.blocks.{n}.mlp.w1_gate|vision_encoder.blocks.{n}.mlp.fc1|"
     "qwen2_model.model.model.layers.{n}.mlp.gate_proj"},
    {"v.blk.{n}.ffn_gate_exps", "vision_encoder.blocks.{n}.mlp.experts.fc1"},
    {"v.blk.{n}.ffn_gate_inp", "vision_encoder.blocks.{n}.mlp.gate_weight"},
    {"v.blk.{n}.ffn_post_norm", "vision_model.model.layers.{n}.post_feedforward_layernorm"},
    {"v.blk.{n}.ffn_up",
     "vision_tower.vision_model.encoder.layers.{n}.mlp.fc1|vision_tower.encoder.layer.{n}.mlp.fc1|"
     "vpm.encoder.layers.{n}.mlp.fc1|vision_model.encoder.layers.{n}.mlp.fc1|vit.layers.{n}.mlp.dense_h_to_4h|"
     "vision_tower.transformer.layers.{n}.feed_forward.up_proj|vision_encoder.transformer.layers.{n}.feed_forward.w3|"
     "vision_model.model.layers.{n}.mlp.fc1|visual.blocks.{n}.mlp.fc1|visual.blocks.{n}.mlp.up_proj|"
     "visual.blocks.{n}.mlp.linear_fc1|vision_tower.encoder.blocks.{n}.mlp.fc0|"
     "vision_model.transformer.layers.{n}.mlp.fc1|vision.transformer.layers.{n}.mlp.fc1|"
     "siglip2.vision_model.encoder.layers.{n}.mlp.fc1|vision_model.radio_model.model.blocks.{n}.mlp.fc1|"
     "vision_model.model.layers.{n}.mlp.up_proj|vision_model.transformer.resblocks.{n}.mlp.c_fc|"
     "vision.blocks.{n}.mlp.w1_up|vision_encoder.blocks.{n}.mlp.fc3|vision_tower.encoder.layers.{n}.mlp.fc1|"
     "qwen2_model.model.model.layers.{n}.mlp.up_proj|vision_tower.layers.{n}.mlp.fc1"},
    {"v.blk.{n}.ffn_up_exps", "vision_encoder.blocks.{n}.mlp.experts.fc3"},
    {"v.blk.{n}.ln1",
     "vision_tower.vision_model.encoder.layers.{n}.layer_norm1|vision_tower.vision_model.encoder.layers.{n}.norm1|"
     "vision_tower.encoder.layer.{n}.layernorm_before|vpm.encoder.layers.{n}.layer_norm1|"
     "vision_model.encoder.layers.{n}.layer_norm1|vit.layers.{n}.input_layernorm|"
     "vision_tower.transformer.layers.{n}.attention_norm|vision_encoder.transformer.layers.{n}.attention_norm|"
     "vision_model.model.layers.{n}.input_layernorm|visual.blocks.{n}.norm1|vision_tower.encoder.blocks.{n}.norm0|"
     "vision.transformer.layers.{n}.input_layernorm|vision_model.transformer.layers.{n}.layer_norm1|"
     "siglip2.vision_model.encoder.layers.{n}.layer_norm1|vision_model.radio_model.model.blocks.{n}.norm1|"
     "vision_tower.blocks.{n}.norm1|vision_model.transformer.resblocks.{n}.ln_1|vision.blocks.{n}.norm1|"
     "vision_tower.encoder.layers.{n}.layer_norm1|vision_encoder.blocks.{n}.norm_1|"
     "qwen2_model.model.model.layers.{n}.input_layernorm|vision_tower.layers.{n}.norm1"},
    {"v.blk.{n}.ln2",
     "vision_tower.vision_model.encoder.layers.{n}.layer_norm2|vision_tower.vision_model.encoder.layers.{n}.norm2|"
     "vision_tower.encoder.layer.{n}.layernorm_after|vpm.encoder.layers.{n}.layer_norm2|"
     "vision_model.encoder.layers.{n}.layer_norm2|vit.layers.{n}.post_attention_layernorm|"
     "vision_model.model.layers.{n}.post_attention_layernorm|vision_tower.transformer.layers.{n}.ffn_norm|"
     "vision_encoder.transformer.layers.{n}.ffn_norm|visual.blocks.{n}.norm2|vision_tower.encoder.blocks.{n}.norm1|"
     "vision.transformer.layers.{n}.post_attention_layernorm|vision_model.transformer.layers.{n}.layer_norm2|"
     "siglip2.vision_model.encoder.layers.{n}.layer_norm2|vision_model.radio_model.model.blocks.{n}.norm2|"
     "vision_model.model.layers.{n}.pre_feedforward_layernorm|vision_tower.blocks.{n}.norm2|"
     "vision_model.transformer.resblocks.{n}.ln_2|vision.blocks.{n}.norm2|"
     "vision_tower.encoder.layers.{n}.layer_norm2|vision_encoder.blocks.{n}.norm_2|"
     "qwen2_model.model.model.layers.{n}.post_attention_layernorm|vision_tower.layers.{n}.norm2"},
    {"v.blk.{n}.ls1", "vision_tower.vision_model.encoder.layers.{n}.ls1|vision_tower.encoder.layer.{n}.lambda_1|"
                      "vision_model.transformer.resblocks.{n}.ls_1"},
    {"v.blk.{n}.ls2", "vision_tower.vision_model.encoder.layers.{n}.ls2|vision_tower.encoder.layer.{n}.lambda_2|"
                      "vision_model.transformer.resblocks.{n}.ls_2"},
    {"v.blk.{n}.out_scale", "vision_model.model.layers.{n}.layer_scalar"},
    {"v.boi", "vision.boi"},
    {"v.class_embd",
     "vision_tower.vision_model.embeddings.class_embedding|vision_tower.embeddings.cls_token|"
     "vision_model.class_embedding|vision.patch_embedding.cls_embedding|"
     "vision_model.radio_model.model.patch_generator.cls_token.token|vision_model.embeddings.class_embedding"},
    {"v.conv_stem.bn", "vision_tower.timm_model.conv_stem.bn"},
    {"v.conv_stem.conv", "vision_tower.timm_model.conv_stem.conv"},
    {"v.deepstack.{n}.fc1", "visual.deepstack_merger_list.{n}.linear_fc1"},
    {"v.deepstack.{n}.fc2", "visual.deepstack_merger_list.{n}.linear_fc2"},
    {"v.deepstack.{n}.norm", "visual.deepstack_merger_list.{n}.norm"},
    {"v.eoi", "vision.eoi"},
    {"v.image_newline", "image_newline|vit.perceive.image_newline"},
    {"v.msfa.ffn.pw_exp.bn", "vision_tower.timm_model.msfa.ffn.pw_exp.bn"},
    {"v.msfa.ffn.pw_exp.conv", "vision_tower.timm_model.msfa.ffn.pw_exp.conv"},
    {"v.msfa.ffn.pw_proj.bn", "vision_tower.timm_model.msfa.ffn.pw_proj.bn"},
    {"v.msfa.ffn.pw_proj.conv", "vision_tower.timm_model.msfa.ffn.pw_proj.conv"},
    {"v.msfa.norm", "vision_tower.timm_model.msfa.norm"},
    {"v.norm_embd",
     "visual.post_conv_layernorm|vision_tower.patch_embed.patchifier.norm|vision_encoder.patch_embed.norm"},
    {"v.patch_embd",
     "vision_tower.vision_model.embeddings.patch_embedding|vision_tower.embeddings.patch_embeddings.projection|"
     "vpm.embeddings.patch_embedding|vision_model.embeddings.patch_embedding|vit.embeddings.patch_embedding|"
     "vision_tower.patch_conv|vision_encoder.patch_conv|vision_model.patch_embedding.linear|visual.patch_embed.proj|"
     "vision_tower.patch_embed.proj|vision.patch_embedding.proj|siglip2.vision_model.embeddings.patch_embedding|"
     "vision_model.radio_model.model.patch_generator.embedder|vision_tower.patch_embedder.input_proj|"
     "vision_tower.patch_embed.patchifier.proj|vision_model.conv1|vision.patch_embed.proj|"
     "vision_tower.embeddings.patch_embedding|vision_encoder.patch_embed.proj|vision_embedder.patch_dense|"
     "vision_tower.patch_embedder.patch_embedding"},
    {"v.patch_norm.{n}", "vision_embedder.patch_ln{n}"},
    {"v.position_embd",
     "vision_tower.vision_model.embeddings.position_embedding|vision_tower.embeddings.position_embeddings|"
     "vpm.embeddings.position_embedding|vision_model.embeddings.position_embedding|vit.embeddings.position_embedding|"
     "vision_model.positional_embedding_vlm|vision_tower.patch_embed.pos_emb|visual.pos_embed|"
     "vision.patch_embedding.position_embedding|visual.embeddings.position_embedding|"
     "vision_model.radio_model.model.patch_generator.pos_embed|vision_tower.patch_embedder.position_embedding_table|"
     "vision_model.positional_embedding|vision_tower.embeddings.position_embedding|vision_embedder.pos_embedding"},
    {"v.post_ln",
     "vision_tower.vision_model.post_layernorm|vision_model.post_layernorm|vision_model.layernorm_post|"
     "visual.merger.ln_q|vision_tower.encoder.final_layernorm|visual.post_layernorm|"
     "siglip2.vision_model.post_layernorm|vision.norm|vision_tower.post_layernorm|qwen2_model.model.model.norm|"
     "vision_tower.ln_post"},
    {"v.pre_ln",
     "vision_tower.vision_model.pre_layrnorm|vision_tower.ln_pre|vision_encoder.ln_pre|vision_model.layernorm_pre|"
     "vision_model.pre_layrnorm|vision_tower.patch_embed.patchifier.norm|vision_model.ln_pre|"
     "vision_encoder.patch_embed.norm"},
    {"v.proj_blk.{n}.cross_attn_k", "layerwise_projectors.qformer.encoder.layer.{n}.crossattention.attention.key|"
                                    "spatial_projectors.qformer.encoder.layer.{n}.crossattention.attention.key"},
    {"v.proj_blk.{n}.cross_attn_norm", "layerwise_projectors.qformer.encoder.layer.{n}.crossattention.output.LayerNorm|"
                                       "spatial_projectors.qformer.encoder.layer.{n}.crossattention.output.LayerNorm"},
    {"v.proj_blk.{n}.cross_attn_out", "layerwise_projectors.qformer.encoder.layer.{n}.crossattention.output.dense|"
                                      "spatial_projectors.qformer.encoder.layer.{n}.crossattention.output.dense"},
    {"v.proj_blk.{n}.cross_attn_q", "layerwise_projectors.qformer.encoder.layer.{n}.crossattention.attention.query|"
                                    "spatial_projectors.qformer.encoder.layer.{n}.crossattention.attention.query"},
    {"v.proj_blk.{n}.cross_attn_v", "layerwise_projectors.qformer.encoder.layer.{n}.crossattention.attention.value|"
                                    "spatial_projectors.qformer.encoder.layer.{n}.crossattention.attention.value"},
    {"v.proj_blk.{n}.ffn_down", "layerwise_projectors.qformer.encoder.layer.{n}.output_query.dense|"
                                "spatial_projectors.qformer.encoder.layer.{n}.output_query.dense"},
    {"v.proj_blk.{n}.ffn_norm", "layerwise_projectors.qformer.encoder.layer.{n}.output_query.LayerNorm|"
                                "spatial_projectors.qformer.encoder.layer.{n}.output_query.LayerNorm"},
    {"v.proj_blk.{n}.ffn_up", "layerwise_projectors.qformer.encoder.layer.{n}.intermediate_query.dense|"
                              "spatial_projectors.qformer.encoder.layer.{n}.intermediate_query.dense"},
    {"v.proj_blk.{n}.img_pos", "layerwise_projectors.{n}.image_positions|spatial_projectors.{n}.image_positions"},
    {"v.proj_blk.{n}.linear", "layerwise_projectors.{n}.out_linear|spatial_projectors.{n}.out_linear"},
    {"v.proj_blk.{n}.norm", "layerwise_projectors.{n}.norm|spatial_projectors.{n}.norm"},
    {"v.proj_blk.{n}.post_norm", "layerwise_projectors.{n}.qformer.layernorm|spatial_projectors.{n}.qformer.layernorm"},
    {"v.proj_blk.{n}.query", "layerwise_projectors.{n}.query|spatial_projectors.{n}.query"},
    {"v.proj_blk.{n}.self_attn_k", "layerwise_projectors.qformer.encoder.layer.{n}.attention.attention.key|"
                                   "spatial_projectors.qformer.encoder.layer.{n}.attention.attention.key"},
    {"v.proj_blk.{n}.self_attn_norm", "layerwise_projectors.qformer.encoder.layer.{n}.attention.output.LayerNorm|"
                                      "spatial_projectors.qformer.encoder.layer.{n}.attention.output.LayerNorm"},
    {"v.proj_blk.{n}.self_attn_out", "layerwise_projectors.qformer.encoder.layer.{n}.attention.output.dense|"
                                     "spatial_projectors.qformer.encoder.layer.{n}.attention.output.dense"},
    {"v.proj_blk.{n}.self_attn_q", "layerwise_projectors.qformer.encoder.layer.{n}.attention.attention.query|"
                                   "spatial_projectors.qformer.encoder.layer.{n}.attention.attention.query"},
    {"v.proj_blk.{n}.self_attn_v", "layerwise_projectors.qformer.encoder.layer.{n}.attention.attention.value|"
                                   "spatial_projectors.qformer.encoder.layer.{n}.attention.attention.value"},
    {"v.resample_query_1024", "qwen2_model.query_1024"},
    {"v.resample_query_768", "qwen2_model.query_768"},
    {"v.sam.blk.{n}.attn.out", "sam_model.blocks.{n}.attn.proj"},
    {"v.sam.blk.{n}.attn.pos_h", "sam_model.blocks.{n}.attn.rel_pos_h"},
    {"v.sam.blk.{n}.attn.pos_w", "sam_model.blocks.{n}.attn.rel_pos_w"},
    {"v.sam.blk.{n}.attn.qkv", "sam_model.blocks.{n}.attn.qkv"},
    {"v.sam.blk.{n}.mlp.lin1", "sam_model.blocks.{n}.mlp.lin1"},
    {"v.sam.blk.{n}.mlp.lin2", "sam_model.blocks.{n}.mlp.lin2"},
    {"v.sam.blk.{n}.post_ln", "sam_model.blocks.{n}.norm2"},
    {"v.sam.blk.{n}.pre_ln", "sam_model.blocks.{n}.norm1"},
    {"v.sam.neck.{n}", "sam_model.neck.{n}"},
    {"v.sam.net_2", "sam_model.net_2"},
    {"v.sam.net_3", "sam_model.net_3"},
    {"v.sam.patch_embd", "sam_model.patch_embed.proj"},
    {"v.sam.pos_embd", "sam_model.pos_embed"},
    {"v.std_bias", "vision_tower.std_bias"},
    {"v.std_scale", "vision_tower.std_scale"},
    {"v.token_embd.img_break", "v.token_embd.img_break"},
    {"v.token_embd.img_end", "image_end"},
    {"v.token_embd.img_pad", "image_pad"},
    {"v.token_embd.img_start", "image_start"},
    {"v.view_seperator", "view_seperator|vit.perceive.image_sep"},
    {"v.vit_merger.attn_k", "vision_tower.vit_merger.self_attn.k_proj"},
    {"v.vit_merger.attn_out", "vision_tower.vit_merger.self_attn.out_proj"},
    {"v.vit_merger.attn_q", "vision_tower.vit_merger.self_attn.q_proj"},
    {"v.vit_merger.attn_v", "vision_tower.vit_merger.self_attn.v_proj"},
    {"v.vit_merger.ds_ffn_down", "vision_tower.vit_merger.linear_2"},
    {"v.vit_merger.ds_ffn_up", "vision_tower.vit_merger.linear_1"},
    {"v.vit_merger.ds_ln", "vision_tower.vit_merger.pre_norm"},
    {"v.vit_merger.ln1", "vision_tower.vit_merger.layer_norm1"},
};
const size_t layout_tower_name_count = sizeof(layout_tower_names) / sizeof(layout_tower_names[0]);
