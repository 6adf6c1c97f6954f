/* What of each analysis a person sees first. Thresholds and whatever else a figure rests on stand in JSON. */
#include <string.h>

#include "api/render/lines.h"

#define ARCHITECTURE_ROWS                                                                                              \
    "family=family.value stack=stack.value depth=depth.value stages=stages.value hidden_size=hidden_size.value "       \
    "heads=heads.value kv_heads=kv_heads.value head_size=head_size.value ffn_size=ffn_size.value "                     \
    "vocabulary=vocabulary.value experts=experts.value tied_embeddings=tied_embeddings.value "                         \
    "parameters=parameters.value"
#define MEMORY_ROWS                                                                                                    \
    "tensors=tensor_bytes overhead=overhead_bytes shared=shared_bytes saveable=saveable_bytes "                        \
    "cache_per_token=kv_cache_bytes_per_token weights_at_BF16=weights_at.BF16@ "                                       \
    "weights_at_INT8=weights_at.INT8_per_row@ weights_at_INT4=weights_at.INT4_g32@ "                                   \
    "training,_Adam_F32=training.adam_f32.bytes"

static const struct lines_layout layouts[] = {
    {"quantization_analysis",
     "compression precision_loss sqnr_db efficiency bits=bits_per_weight.baseline|bits_per_weight.candidate "
     "mixed_precision",
     {{.kind = LINES_ROWS, .title = "most_damaged", .path = "most_damaged", .columns = "name share SQNR_dB=sqnr_db"},
      {.kind = LINES_ROWS,
       .title = "worth_more_bits",
       .path = "upgrade_candidates",
       .columns = "name error_removed bytes_added",
       .is_detail = true},
      {.kind = LINES_SIDES,
       .title = "what_if,_SQNR_dB",
       .path = "what_if",
       .columns = "F16=F16.sqnr_db BF16=BF16.sqnr_db F8_E4M3=F8_E4M3.sqnr_db F8_E5M2=F8_E5M2.sqnr_db "
                  "INT8_per_row=INT8_per_row.sqnr_db INT4_g32=INT4_g32.sqnr_db INT4_g128=INT4_g128.sqnr_db"}}},
    {"layer_impact",
     "layers=#layers module_types=#module_types",
     {{.kind = LINES_ROWS,
       .title = "layers",
       .path = "layers",
       .columns = "layer parameters changed=changed_parameters relative_l2 cosine share impact",
       .sort = "share"},
      {.kind = LINES_ROWS,
       .title = "modules",
       .path = "module_types",
       .columns = "module_type parameters changed=changed_parameters relative_l2 cosine share impact",
       .sort = "share"},
      {.kind = LINES_PROFILE, .title = "relative_l2_by_depth", .path = "depth_profile.relative_l2"}}},
    {"architecture_comparison",
     "family=model.family.value family=baseline.family.value|candidate.family.value !compatible !loadable_fraction "
     "missing=loading.missing unexpected=loading.unexpected mismatched=loading.mismatched "
     "added=tensors.added.count removed=tensors.removed.count renamed=tensors.renamed.count "
     "reshaped=tensors.reshaped.count dtype_changed=tensors.dtype_changed.count",
     {{.kind = LINES_SIDES, .title = "figures", .path = "baseline|candidate", .columns = ARCHITECTURE_ROWS},
      {.kind = LINES_SIDES, .title = "figures", .path = "model", .columns = ARCHITECTURE_ROWS},
      {.kind = LINES_ROWS,
       .title = "config_and_shapes_disagree",
       .path = "disagreements",
       .columns = "figure model shapes config"},
      {.kind = LINES_ROWS, .title = "renamed", .path = "tensors.renamed.items", .columns = "from to rule"},
      {.kind = LINES_ROWS,
       .title = "stored_in_another_type",
       .path = "tensors.dtype_changed.items",
       .columns = "name baseline candidate"},
      {.kind = LINES_DIFF, .title = "config", .path = "config"},
      {.kind = LINES_DIFF, .title = "metadata", .path = "metadata"},
      {.kind = LINES_ROWS,
       .title = "side_files",
       .path = "side_files",
       .columns =
           "name status reason tokens_added=vocabulary.added.count tokens_removed=vocabulary.removed.count "
           "tokens_moved=vocabulary.changed.count merges_added=merges.added.count merges_removed=merges.removed.count"},
      {.kind = LINES_ROWS,
       .title = "baseline_blocks",
       .path = "baseline.blocks",
       .columns = "pattern text",
       .is_detail = true},
      {.kind = LINES_ROWS,
       .title = "candidate_blocks",
       .path = "candidate.blocks",
       .columns = "pattern text",
       .is_detail = true},
      {.kind = LINES_ROWS, .title = "blocks", .path = "model.blocks", .columns = "pattern text"}}},
    {"memory_analysis",
     "files=file_bytes tensors=tensor_bytes overhead=overhead_bytes saveable=saveable_bytes "
     "files=baseline_file_bytes|candidate_file_bytes delta=delta_file_bytes saveable=candidate.saveable_bytes",
     {{.kind = LINES_SIDES, .title = "bytes", .path = "baseline|candidate", .columns = MEMORY_ROWS},
      {.kind = LINES_SIDES, .title = "bytes", .path = "", .columns = MEMORY_ROWS},
      {.kind = LINES_ROWS,
       .title = "could_be_saved",
       .path = "candidate.opportunities",
       .columns = "kind tensor bytes saved=bytes_saved equal"},
      {.kind = LINES_ROWS,
       .title = "could_be_saved",
       .path = "opportunities",
       .columns = "kind tensor bytes saved=bytes_saved equal"},
      {.kind = LINES_ROWS,
       .title = "enough_precision_at",
       .path = "low_precision.candidates",
       .columns = "tensor to SQNR_dB=sqnr_db saved=bytes_saved"},
      {.kind = LINES_ROWS,
       .title = "dtypes",
       .path = "dtypes",
       .columns = "dtype tensors bytes baseline=baseline_bytes candidate=candidate_bytes delta=delta_bytes"},
      {.kind = LINES_ROWS,
       .title = "layers",
       .path = "layers",
       .columns = "layer baseline=baseline_bytes candidate=candidate_bytes delta=delta_bytes",
       .sort = "delta_bytes"},
      {.kind = LINES_ROWS, .title = "layers", .path = "layers", .columns = "layer tensors bytes", .sort = "bytes"},
      {.kind = LINES_ROWS,
       .title = "modules",
       .path = "module_types",
       .columns = "module_type tensors bytes",
       .sort = "bytes"}}},
    {"anomaly_detection",
     "!worst critical error warning info tensors not_evaluated=#not_evaluated",
     {{.kind = LINES_ROWS, .title = "findings", .path = "findings", .columns = "severity id tensor against evidence"},
      {.kind = LINES_ROWS,
       .title = "not_evaluated",
       .path = "not_evaluated",
       .columns = "id against reason tensors example",
       .is_detail = true},
      {.kind = LINES_ROWS,
       .title = "rules",
       .path = "rules",
       .columns = "id against severity what threshold option",
       .is_detail = true}}},
    {"change_summary",
     "!class because=class_reason also changed_tensors changed_parameters relative_l2 cosine "
     "rank=evidence.low_rank_highest energy=evidence.low_rank_energy low_rank_share=evidence.low_rank_share "
     "zeroed=evidence.zeroed "
     "layers_added=evidence.layers_added layers_removed=evidence.layers_removed "
     "layers_duplicated=evidence.layers_duplicated renamed=evidence.renamed",
     {{.kind = LINES_NAMES, .title = "changed_layers", .path = "changed_layers"},
      {.kind = LINES_NAMES, .title = "frozen_layers", .path = "frozen_layers"},
      {.kind = LINES_NAMES, .title = "removed_layers", .path = "removed_layers"},
      {.kind = LINES_NAMES, .title = "added_layers", .path = "added_layers"},
      {.kind = LINES_NAMES, .title = "duplicated_layers", .path = "duplicated_layers"},
      {.kind = LINES_ROWS,
       .title = "top_tensors",
       .path = "top_tensors",
       .columns = "tensor share relative_l2 cosine changed=changed_elements"},
      {.kind = LINES_ROWS,
       .title = "rank_of_the_change",
       .path = "low_rank.tensors",
       .columns = "tensor rank energy rounding_share error_bound rows columns method",
       .when = "class",
       .text = "low_rank"}}},
    {"convergence_analysis",
     "!status because last_step relative=last_relative_step decay_rate r_squared projected_remaining straightness "
     "models time_axis",
     {{.kind = LINES_SERIES,
       .title = "step",
       .path = "",
       .columns = "time=times+1 length=step_norm relative=relative_step_norm turn=cos_steps-1 to_the_end=dist_to_end+1",
       .when = "models",
       .least = 3},
      {.kind = LINES_NAMES, .title = "stragglers", .path = "stragglers"},
      {.kind = LINES_ROWS,
       .title = "layers",
       .path = "layers",
       .columns =
           "layer last_step relative=last_relative_step path=path_length straightness decay_rate r_squared straggler",
       .sort = "last_relative_step",
       .when = "models",
       .least = 3},
      {.kind = LINES_ROWS, .title = "scalars", .path = "scalars", .columns = "name kind values"}}},
    {"gradient_analysis",
     "!available source because=reason flow_ratio norm rms max_abs zero_fraction nonfinite vanishing_layers "
     "exploding_layers signal_to_noise=adam.signal_to_noise update_ratio=adam.update_ratio",
     {{.kind = LINES_ROWS,
       .title = "layers",
       .path = "layers",
       .columns = "layer parameters norm share rms max_abs flow flag"},
      {.kind = LINES_ROWS,
       .title = "adam",
       .path = "adam.layers",
       .columns = "layer signal_to_noise update_norm update_ratio"}}},
    {"similarity_matrix",
     "models min_cosine max_relative_l2 min_coverage least_alike order=clustering.order",
     {{.kind = LINES_GRID, .title = "cosine", .path = "cosine", .when = "models", .least = 3},
      {.kind = LINES_GRID, .title = "relative_l2", .path = "relative_l2", .when = "models", .least = 3},
      {.kind = LINES_GRID, .title = "correlation", .path = "correlation", .is_detail = true},
      {.kind = LINES_GRID, .title = "coverage", .path = "coverage", .is_detail = true},
      {.kind = LINES_ROWS,
       .title = "merges",
       .path = "clustering.merges",
       .columns = "left right height size",
       .is_detail = true}}},
    {"gate",
     "!passed=gate.passed violations=gate.violation_count",
     {{.kind = LINES_ROWS,
       .title = "violations",
       .path = "gate.violations",
       .columns = "metric name figure max min equals severity reason"}}},
};

const struct lines_layout *lines_layout_of(const char *analysis)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (strcmp(layouts[i].analysis, analysis) == 0)
            return &layouts[i];
    return NULL;
}
