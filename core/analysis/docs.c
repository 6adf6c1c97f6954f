/* The texts behind `diffaid analyses NAME` and /v1/analyses: true of the code beside them, and changed with it. Lines
 * are laid out by whoever prints them. */
#include "core/analysis/docs.h"

const struct analysis_docs stats_docs = {
    .measures =
        "Every tensor on its own, on each side: where its values lie, how widely they spread, how large they are, and "
        "how many are zero, NaN or infinite. Elements that are not finite stay out of the moments and are counted. "
        "What "
        "changed between the sides stands in the record's delta, whatever the analyses.",
    .formula = "mean = Σx ÷ n, over the n finite elements\n"
               "std = √(Σ(x − mean)² ÷ n), the population's\n"
               "l2 = √Σx²; abs_max = max |x|\n"
               "quantiles: p = x[i] + f · (x[i+1] − x[i]) of the sorted values, i + f = (n − 1)·q, NumPy's \"linear\"",
    .thresholds =
        "None. Quantiles are exact for 16-bit floats, 8-bit types and tensors of fewer than 65,536 elements; any other "
        "comes from a histogram of 65,536 bins (the top 16 bits of the value as F32), within 0.4 % for |x| ≥ 2^-126. "
        "quantiles_exact says which.",
    .example = "diffaid compare a.safetensors b.safetensors --stats\n"
               "  ~ fc1.weight: mean=-0.0002->-0.0001, std=0.0514->0.0716\n"
               "The weights kept their centre and spread out by 39 %.",
};

const struct analysis_docs quantization_docs = {
    .measures =
        "What storing the candidate in fewer bits has cost. Pairs whose baseline is of a float type count. Integer "
        "codes "
        "without stored scales are fitted first, so that codes are not held against weights; max_abs and cosine of the "
        "whole are then null. what_if measures the baseline at other types without a candidate that has them.",
    .formula = "compression = bytes of the candidate ÷ bytes of the baseline, over the compared tensors\n"
               "sqnr_db = 10·log10(Σa² ÷ ΣΔ²), Δ = b − a\n"
               "relative_rmse = √(ΣΔ² ÷ Σa²)\n"
               "efficiency = sqnr_db ÷ (6.0206 · bits per weight of the candidate)\n"
               "integer codes: s = ⟨a,b⟩ ÷ ⟨b,b⟩, and ΣΔ² = Σ(a − s·b)² = Σa² − ⟨a,b⟩² ÷ ⟨b,b⟩\n"
               "most_damaged: share = ΣΔ² of the tensor ÷ ΣΔ² of all\n"
               "upgrade_candidates: share ÷ bytes that keeping the baseline's type would add",
    .thresholds =
        "precision_loss is none when every value is exact, else minimal from precision_minimal_db (40 dB), low from "
        "precision_low_db (30), moderate from precision_moderate_db (20), high from precision_high_db (10), severe "
        "below. Ten dB a step, by convention: 40, 30, 20 and 10 dB are errors of 1, 3.2, 10 and 32 % of the weights' "
        "norm. 6.0206 dB a bit is the Gaussian rate–distortion bound; other sources can exceed it.",
    .example = "diffaid compare f32.safetensors int8.safetensors --quantization-analysis\n"
               "quantization_analysis: compression=0.25, precision_loss=minimal, sqnr_db=41.2\n"
               "A quarter of the bytes, for an error of 10^(-41.2 ÷ 20) = 0.9 % of the weights' norm.",
};

const struct analysis_docs layer_impact_docs = {
    .measures =
        "Where the change lies: its size in each layer and in each kind of module, and how it runs through the depth "
        "of "
        "the model. A layer is a tensor's name up to its first number; a kind of module (attention_q, mlp_up, norm, …) "
        "is read from the rest.",
    .formula = "l2 = √ΣΔ² over the group's tensors; relative_l2 = √ΣΔ² ÷ √Σa²\n"
               "share = ΣΔ² of the group ÷ ΣΔ² of the model; the shares of all layers sum to 1\n"
               "even share = parameters of the group ÷ parameters compared\n"
               "rank: 1 is the largest share",
    .thresholds =
        "impact is none where nothing changed, low under impact_low (0.5) times the even share, high over impact_high "
        "(2) times it, medium between. Half and twice are conventions: what a change spread evenly over all parameters "
        "gives is 1.",
    .example = "diffaid compare base tuned --show-layer-impact\n"
               "  layers            parameters  changed  relative l2    cosine     share  impact\n"
               "    lm_head               1024     1022     0.098888  0.995134  0.942511  high\n"
               "The head has a sixth of the parameters and 94 % of the change.",
};

const struct analysis_docs architecture_docs = {
    .measures =
        "What each model is (family, depth, sizes, heads, experts, vocabulary), measured from names and shapes with "
        "config.json beside them, and how the models differ: tensors added, removed, renamed, reshaped or stored in "
        "another type, metadata, config and the side files of a tokenizer. Needs no weights, except to see renames by "
        "content.",
    .formula =
        "depth = numbered blocks of the main stack; the other sizes are dimensions that its projections share\n"
        "source = shapes where shapes tell the figure, else config; both known and unequal is a disagreement and "
        "a warning\n"
        "compatible = every selected tensor of either model is found by its own name, in the same shape, in the "
        "other\n"
        "loadable_fraction = elements of the baseline that the candidate has under that name and shape ÷ all\n"
        "blocks: runs of numbered blocks whose tensors agree in name, shape and dtype",
    .thresholds = "None. architecture_list bounds the length of each list, and what is beyond is counted.",
    .example = "diffaid compare llama llama-deeper --architecture-comparison --headers-only\n"
               "architecture_comparison: family=llama, compatible=no, loadable_fraction=1, unexpected=9\n"
               "Every weight of the baseline is there, beside nine tensors more that strict loading would refuse.",
};

const struct analysis_docs memory_docs = {
    .measures = "Where the bytes are, by dtype, layer and kind of module; what the same parameters would take in other "
                "types, in "
                "training and in a cache of keys and values; and what could be saved without changing one value: each "
                "opportunity is proved element by element, and duplicates are read again and compared byte by byte.",
    .formula = "files = tensors + excluded − shared + overhead, exactly (shared: bytes that several tensors lie on)\n"
               "weights_at, of n elements: F32 4n, BF16 2n, F8 n, INT8 n + 4 a row, INT4 n ÷ 2 + 2 a group of 32\n"
               "training: Adam in F32 16 bytes a parameter (4 weights, 4 gradients, 8 moments); mixed with BF16 16 too "
               "(2, 2, 8 and 4 of master weights)\n"
               "kv_cache_bytes_per_token = 2 · layers · kv_heads · head_dim · element_bytes, from config.json\n"
               "saveable_bytes = the largest saving of each tensor, summed",
    .thresholds = "None for what is lossless. With what_if, low_precision names for each baseline tensor the type of "
                  "fewest bytes "
                  "whose SQNR is at least precision_low_db (30 dB, quantization_analysis' threshold of a low loss).",
    .example = "diffaid inspect model.safetensors --memory-analysis\n"
               "  lossless_bf16   model.embed_tokens.weight   262.1 MB   131.1 MB\n"
               "Every value of that F32 tensor is exactly a BF16 value: half its bytes hold nothing.",
};

const struct analysis_docs anomaly_docs = {
    .measures =
        "What looks broken in the last model. Fifteen rules look at every tensor: on its own (nan, inf, all_zero, "
        "constant, dead_rows, outlier_channels, saturated, subnormal), against the same place in other layers and "
        "against the baseline (exploded, collapsed), and at what changed (bit_flip_suspect, sign_flip_mass). Each "
        "finding has its evidence and threshold; a rule that could not be evaluated is listed with the reason. Biases, "
        "norms and vectors may well be constant: for them all_zero and constant are only info.",
    .formula = "exploded, against the baseline: std or abs_max > k times the baseline's; collapsed: std < 1/k of it\n"
               "against peers: z = (std − median) ÷ (1.4826·MAD) of the same place in at least five other layers; both "
               "|z| and the ratio to the median must be beyond their thresholds\n"
               "outlier_channels: a row's or column's norm > k times the median norm\n"
               "dead_rows, saturated, subnormal, sign_flip_mass: share of rows or elements\n"
               "bit_flip_suspect: 1 to 8 changed elements, each differing in exactly one bit",
    .thresholds =
        "exploded_ratio, outlier_ratio and robust_z are 10; dead_rows_share and saturated_share 0.05, subnormal_share "
        "0.1, sign_flip_share 0.25, bit_flip_max 8. They are conventions, set far from what healthy models show: ten "
        "kinds of them and their fine-tunes raise nothing at error or above, and the tests hold that. 1.4826 makes the "
        "MAD of normal values their standard deviation.",
    .example = "diffaid compare before after --anomaly-detection\n"
               "  error  exploded  layers.3.mlp.up_proj.weight  baseline  std=12.1, baseline_std=0.05, std_ratio=242\n"
               "Exit status 4 when a gate forbids it: {\"metric\": \"anomaly_detection.error\", \"max\": 0}.",
};

const struct analysis_docs change_summary_docs = {
    .measures =
        "What kind of change this is: identical, metadata_only, requantized, cast, fine_tune, partial_fine_tune, "
        "low_rank, pruned, grown_vocabulary, layers_added, layers_removed, reinitialised, unrelated or undetermined. "
        "The "
        "figures come first and the label follows; what else holds stands in also, and undetermined comes with its "
        "reason.",
    .formula =
        "cast: on samples, rounding the wider side half to even gives the narrower one, element for element\n"
        "requantized: a type below 16 bits came or went, SQNR ≥ requantized_sqnr_db, no other tensor changed\n"
        "pruned: new zeros ≥ pruned_share of the changed elements and ≥ pruned_fraction of their tensors'\n"
        "low_rank: whole_rank r = fewest singular values of Δ that leave nothing but rounding: 1e-6 of ΣΔ² and "
        "1.05 of what rounding to the stored type leaves beside them, N·(1−r/m)(1−r/n), N = Σ spacing²/12; the "
        "energies must drop to a third there, stand 1.1 above the edge of noise, N·(1/√m+1/√n)², and N be at most "
        "0.12 of ΣΔ². Low when r·(m+n) < m·n. Else rank = fewest singular values that hold low_rank_energy of "
        "ΣΔ²; low when ≤ low_rank_ratio of the smaller side. Low matrices must hold low_rank_share of ΣΔ²\n"
        "unrelated: |cosine| ≤ max(unrelated_cosine, 4 ÷ √n) in matrices with unrelated_share of the "
        "parameters; in fewer: reinitialised\n"
        "fine_tune: relative_l2 ≤ fine_tune_relative_l2 and cosine ≥ fine_tune_cosine over the changed tensors; "
        "partial when ≥ frozen_share of the matrices' parameters did not change\n"
        "The first of these, in this order, names the change.",
    .thresholds =
        "All are options, listed below and with the result. 4 ÷ √n is four standard deviations of the cosine of n "
        "independent values. The others are conventions, held by a generated pair of every class and near misses that "
        "must not get it. Singular values are exact up to a smaller side of 1,024; beyond, a random sketch with a "
        "fixed "
        "seed gives them with an error_bound, and low_rank_elements bounds what is read again.",
    .example = "diffaid compare base merged-lora --change-summary\n"
               "change_summary: class=low_rank, rank=16, low_rank_share=1\n"
               "The change of every changed matrix is of rank 16 or lower: a merged adapter.",
};

const struct analysis_docs convergence_docs = {
    .measures =
        "How far a series of checkpoints moved at each step, by layer and whole, and whether the steps die away. Every "
        "step is summed from Δ itself, never from a difference of norms. Gradients, optimizer state and scalars are no "
        "weights and stay out; a step or epoch that increases from model to model becomes the time axis, also one of "
        "the "
        "trainer_state.json beside a checkpoint, of whose log the last loss and learning rate are told. Tensors that "
        "are "
        "paired by content count as paired, and a copy of a layer counts once: it has no step of its own.",
    .formula = "step_norm[t] = ‖w[t+1] − w[t]‖; relative_step_norm[t] = step_norm[t] ÷ ‖w[t]‖\n"
               "cos_steps[t] = cosine of the steps before and after model t + 1\n"
               "straightness = ‖w[last] − w[first]‖ ÷ Σ step_norm; path_ratio is its inverse\n"
               "decay_rate r: least squares of ln(step_norm per interval) on time, steps above 0 only, with r_squared\n"
               "projected_remaining = last step · r ÷ (1 − r), where r < 1",
    .thresholds =
        "status needs four models. The first that holds: diverging (new non-finite weights), converged (last relative "
        "step ≤ convergence_tolerance, 1e-4), diverging (r ≥ convergence_growing, 1.05) and converging (r ≤ "
        "convergence_shrinking, 0.95), both with R² ≥ convergence_r_squared (0.5), oscillating (median cosine of the "
        "later half of the steps ≤ convergence_oscillation, -0.1), plateaued (largest step ≤ convergence_spread, 2, "
        "times the smallest), else undetermined. A layer straggles over straggler_factor (2) times the layers' median "
        "relative step. All are conventions; the figures stand beside the status.",
    .example = "diffaid compare step-*.safetensors --convergence-analysis\n"
               "convergence_analysis: status=converging, decay_rate=0.71, r_squared=0.98\n"
               "Each step is 0.71 of the one before; projected_remaining says how far it would still go.",
};

const struct analysis_docs gradient_docs = {
    .measures =
        "Gradients as they lie in a checkpoint, or what an optimizer keeps of them, by layer and depth: of the last "
        "model. The source is the first that is found: gradients (a path component grad, grads or gradients), "
        "adam_moments (exp_avg, or mu beside nu), momentum (momentum_buffer), second_moments (square_avg), and, only "
        "when "
        "asked for, update_proxy: baseline minus candidate. Without any of them available is false. An optimizer may "
        "number its parameters (optimizer.state.0.exp_avg): names says whether the weights were found, by param_names "
        "in the metadata or by the order of the model's float tensors where every shape fits, and otherwise why not; "
        "such state is reported by number, without depth and without an update_ratio.",
    .formula = "share = norm² of the layer ÷ norm² of all; rms = norm ÷ √n\n"
               "second_moments: norm = √Σv\n"
               "flow = rms of the layer ÷ rms of its stack's last layer; flow_ratio is the first layer's\n"
               "m̂ = m ÷ (1 − β1^t), v̂ = v ÷ (1 − β2^t) where t and both β are known, else m and v: bias_corrected\n"
               "signal_to_noise = mean of m̂² ÷ v̂ where v > 0\n"
               "update_norm = lr · ‖m̂ ÷ (√v̂ + ε)‖; update_ratio = update_norm ÷ norm of the weights it moves",
    .thresholds =
        "flag is vanishing when flow < gradient_vanishing (1e-3) and exploding when flow > gradient_exploding (1e3): a "
        "thousandfold from one end of a stack to the other, by convention. Decoupled weight decay is no part of the "
        "update.",
    .example = "diffaid inspect checkpoint.safetensors --gradient-analysis\n"
               "gradient_analysis: available=yes, source=adam_moments, flow_ratio=0.84\n"
               "The first layer's gradients are about as large as the last one's: they do not vanish on the way.",
};

const struct analysis_docs similarity_docs = {
    .measures =
        "Every two models of a series against each other, from the one pass over all: cosine, relative L2 and "
        "correlation over the tensors that both have in the same shape, and coverage, the share of the row's "
        "elements that these are. Tensors are paired by name and prefix in the whole series, by content between "
        "the first model and the last; copies of layers lower the coverage and count in nothing else. "
        "Clustering orders the models by likeness. similarity_layers adds the matrices of every layer, "
        "similarity_across holds layers of equal shapes against each other.",
    .formula = "cosine[i][j] = ⟨wi,wj⟩ ÷ (‖wi‖·‖wj‖); the diagonal is exactly 1\n"
               "relative_l2[i][j] = ‖wj − wi‖ ÷ ‖wi‖: the row is the reference, and ΣΔ² is summed as such\n"
               "correlation: the cosine of the weights, each model's mean taken off\n"
               "clustering: average linkage on 1 − cosine; of equal distances the lowest index merges first, and a "
               "cosine without value counts as distance 2",
    .thresholds = "None.",
    .example = "diffaid compare a b c d --similarity-matrix\n"
               "similarity_matrix: models=4, min_cosine=0.9127, least_alike=[0, 3]\n"
               "Models 0 and 3 are furthest apart; coverage below 1 says that their shapes differ in places.",
};
