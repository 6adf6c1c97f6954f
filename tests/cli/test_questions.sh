#!/bin/bash
# The questions of the README, each with its answer.
. "$(dirname "$0")/lib.sh" "$1"

models=tests/fixtures/align
lacks() { grep -qE -- "$1" "$work/out" && { cat "$work/out" >&2; fail "standard output has: $1"; }; checks=$((checks + 1)); }

# Is this GGUF made from that checkpoint, and what did its type cost?
expect 1 "$diffaid" compare --quantization-analysis "$models/llama" "$models/llama-q8_0.gguf"
out '^Changed: 9 tensors changed, 1 added, 12 renamed of 13; relative L2 0\.0036'
out '^quantization_analysis: .*sqnr_db=48\.' && out 'most damaged' && out '  model\.layers\.0\.self_attn\.q_proj\.weight'
expect 1 "$diffaid" compare --json "$models/llama" "$models/llama-q8_0.gguf"
out '"mapping":"hf_gguf"' && out '"rule":"names","transformation":"rope_permute\(4\)","transformed":"baseline","verified":"close"'
out '"remaining":\[\{"model":"candidate","name":"rope_freqs\.weight","reason":"written by the converter'
lacks '"verified":"unlike"'
# Only of a converter's file is it said what the converter left out.
expect 1 "$diffaid" compare --json "$models/towers-saved" "$models/towers-native"
out '"remaining":\[\{"model":"baseline","name":"pooler\.dense\.weight","reason":null'
# A checkpoint that it was not made from.
expect 1 "$diffaid" compare --json --adapter "$models/adapter" "$models/llama" "$models/llama-f32.gguf"
out '"adapter":\{"of":"baseline","verdict":"not_merged"'

# Is the conversion exact?
expect 1 "$diffaid" compare "$models/llama" "$models/llama-f32.gguf"
out '^Changed: 1 tensor added, 12 renamed of 13\.$' && lacks '^  ~ '
expect 0 "$diffaid" compare --exclude rope_freqs "$models/llama" "$models/llama-f32.gguf"
out '^Equivalent: all 12 tensors are equal byte for byte, 12 under other names'
expect 0 "$diffaid" compare "$models/experts-apart" "$models/experts-stacked" && out '^Equivalent: all 10'
expect 0 "$diffaid" compare "$models/qkv-fused" "$models/qkv-apart" && out '^Equivalent: all 3'
expect 1 "$diffaid" compare --align none "$models/qkv-fused" "$models/qkv-apart" && out 'no tensor name in common'

# Rules of one's own come before those of auto.
cat >"$work/rules.json" <<'RULES'
{"rules": [{"name": "mine", "target": "{p}.qkv_proj.weight", "source": "{p}.q_proj.weight", "part": "next"},
           {"name": "mine", "target": "{p}.qkv_proj.weight", "source": "{p}.k_proj.weight", "part": "next"},
           {"name": "mine", "target": "{p}.qkv_proj.weight", "source": "{p}.v_proj.weight", "part": "next"}]}
RULES
expect 0 "$diffaid" compare --json --align "$work/rules.json" "$models/qkv-apart" "$models/qkv-fused"
out '"rule":"mine","transformation":"none"' && out '"options":\{"align":\{"rules":\[\{"name":"mine"'
echo '{"rules": [{"target": "a", "source": "b", "transformation": "turn"}]}' >"$work/bad.json"
expect 2 "$diffaid" compare --align "$work/bad.json" "$models/qkv-apart" "$models/qkv-fused"
err 'rules/0/transformation: unknown step "turn"' && one_line_error
expect 2 "$diffaid" compare --align always "$models/qkv-apart" "$models/qkv-fused" && err 'auto, none or a file of rules' && one_line_error

# Did the merge of this adapter into that base give this model?
expect 1 "$diffaid" compare --adapter "$models/adapter" "$models/llama" "$models/merged"
out 'Adapter: merged; 3 of 3 tensors hold its change'
expect 1 "$diffaid" compare --adapter "$models/adapter" "$models/llama" "$models/merged-half"
out 'Adapter: merged at another scale; 0 of 3 tensors hold its change \(found 0\.5 times'
expect 1 "$diffaid" compare --adapter "$models/adapter" "$models/llama" "$models/not-merged" && out 'Adapter: not merged'
expect 1 "$diffaid" compare --json --adapter "$models/adapter" "$models/llama" "$models/merged-partly"
out '"verdict":"partly_merged"' && out '\{"name":"model\.layers\.0\.mlp\.down_proj\.weight","verdict":"not_merged","scale":0,'
# Adapter, base and model may be of either kind of file.
expect 1 "$diffaid" compare --adapter "$models/adapter.gguf" "$models/llama" "$models/merged-q8_0.gguf"
out 'Adapter: merged; 3 of 3 tensors hold its change'
expect 1 "$diffaid" compare --adapter "$models/adapter" "$models/llama-q8_0.gguf" "$models/merged"
out 'Adapter: merged; 3 of 3 tensors hold its change' && out "rows are put as llama\.cpp's converter has them for llama"
expect 2 "$diffaid" compare --adapter "$models/adapter-headless.gguf" "$models/qkv-apart" "$models/qkv-fused"
err 'the number of heads, is not known' && one_line_error
expect 2 "$diffaid" compare --adapter "$models/adapter" "$models/experts-apart" "$models/merged"
err 'none of its 6 tensors fits a tensor of' && one_line_error

# Which layers did the fine-tune touch?
demo=tests/fixtures/demo
expect 1 "$diffaid" compare --show-layer-impact --only-changed "$demo/base.safetensors" "$demo/finetuned.safetensors"
out '^layer_impact: layers=' && out '^  layers +parameters +changed'

# What changed between two checkpoints of a run, optimizer state included?
states='{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"optimizer.exp_avg.w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'
model "$work/step1.safetensors" "$states" '\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x80\x3f'
model "$work/step2.safetensors" "$states" '\x00\x00\x80\x3f\x00\x00\x40\x40\x00\x00\x80\x3f\x00\x00\x80\x3f'
expect 1 "$diffaid" compare --gradient-analysis "$work/step1.safetensors" "$work/step2.safetensors"
out '^Changed: 2 tensors changed of 2' && out '  ~ optimizer\.exp_avg\.w' && out '^gradient_analysis: '

# Directories as transformers' Trainer leaves them: steps and losses are in a file beside the weights.
for step in 10 20; do
    mkdir "$work/checkpoint-$step" && cp "$work/step$((step / 10)).safetensors" "$work/checkpoint-$step/model.safetensors"
    log='{"loss": 9, "step": 5}, {"loss": 4.'$step', "learning_rate": 0.5, "step": '$step'}, {"eval_loss": 8}'
    echo '{"epoch": 0.'$step', "global_step": '$step', "log_history": ['"$log"']}' >"$work/checkpoint-$step/trainer_state.json"
done
expect 1 "$diffaid" compare --convergence-analysis "$work/checkpoint-10" "$work/checkpoint-20"
out 'time_axis=trainer_state\.global_step' && out 'trainer_state\.global_step +global_step +\[10, 20\]'
out 'trainer_state\.loss +loss +\[4\.1, 4\.2\]' && out 'trainer_state\.epoch +epoch +\[0\.1, 0\.2\]'

echo "questions: $checks checks"
