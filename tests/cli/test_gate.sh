#!/bin/bash
# The gate at the command line: what passes, what breaks a rule, and the reports that a pipeline shows.
. "$(dirname "$0")/lib.sh" "$1"

base=tests/fixtures/demo/base.safetensors
tuned=tests/fixtures/demo/finetuned.safetensors
gate() { printf '%s' "$1" >"$work/gate.json"; }

gate '[{"metric":"relative_l2","max":0.1}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned"
gate '{"gate":[{"metric":"relative_l2","max":0.01}]}'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$base" "$tuned" && out '"passed":false' && out '"figure":0.04015'
gate '[{"metric":"relative_l2","scope":"tensor","include":"^lm_head","max":0.05},{"metric":"verdict","max":"changed"}]'
expect 4 "$diffaid" compare --format markdown --gate "$work/gate.json" "$base" "$tuned" && out 'failed\*\*: 1 violation' && out 'lm_head'
gate '[{"metric":"relative_l2","scope":"tensor","include":"layers.0","max":0}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned"

# Rules read what the listing leaves out, and ask for their own analysis.
gate '[{"metric":"relative_l2","scope":"tensor","max":0.05}]'
expect 4 "$diffaid" compare --top 1 --sort name --order descending --gate "$work/gate.json" "$base" "$tuned"
gate '[{"metric":"quantization_analysis.precision_loss","max":"low"}]'
expect 4 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned" && out 'precision_loss=moderate'
gate '[{"metric":"quantization_analysis.precision_loss","max":"moderate"},{"metric":"layer_impact.layers.share","scope":"layer","include":"layers","max":0.5}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned"

# Labels are ordered, each kind by itself; one of another kind is no pass.
gate '[{"metric":"anomaly_detection.worst","max":"warning"}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned"
gate '[{"metric":"quantization_analysis.precision_loss","max":"critical"}]'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$base" "$tuned" && out "not of the limit's order"

# A null figure is a violation unless the rule allows it; so is a figure that there is not.
gate '[{"metric":"layer_impact.layers.share","scope":"layer","include":"rotary","max":1}]'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$base" "$tuned" && out 'not computable'
gate '[{"metric":"layer_impact.layers.share","scope":"layer","include":"rotary","max":1,"allow_null":true}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned"
gate '[{"metric":"relative_l2","scope":"tensor","include":"no such tensor","max":1}]'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$base" "$tuned" && out 'nothing that include matches'
gate '[{"metric":"no_such_figure","max":1}]'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$base" "$tuned" && out 'no such figure'

# A model that gained a NaN passes no gate that does not allow it.
one='{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
model "$work/a.safetensors" "$one" '\x00\x00\x80\x3f\x00\x00\x00\x40'
model "$work/nan.safetensors" "$one" '\x00\x00\x80\x3f\x00\x00\xc0\x7f'
gate '[{"metric":"relative_l2","max":1000}]'
expect 4 "$diffaid" compare --json --gate "$work/gate.json" "$work/a.safetensors" "$work/nan.safetensors" && out 'new non-finite'
gate '[{"metric":"nonfinite_changed","scope":"tensor","max":1}]'
expect 0 "$diffaid" compare --gate "$work/gate.json" "$work/a.safetensors" "$work/nan.safetensors"

# JUnit beside the result.
gate '[{"metric":"tensors.added","max":0},{"metric":"tensors.changed","max":100}]'
expect 4 "$diffaid" compare --json --out "$work/r.json" --junit "$work/r.xml" --gate "$work/gate.json" "$base" "$tuned"
grep -q 'tests="3" failures="1"' "$work/r.xml" && grep -q '"passed":false' "$work/r.json" || fail "both reports are written"
if command -v python3 >/dev/null; then python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$work/r.xml" || fail "not XML"; fi

# A gate that cannot be read is a usage error.
gate '[{"metric":"relative_l2","most":1}]'
expect 2 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned" && err 'unknown member "most"' && one_line_error
gate '['
expect 2 "$diffaid" compare --gate "$work/gate.json" "$base" "$tuned" && one_line_error
expect 2 "$diffaid" compare --gate "$work/none.json" "$base" "$tuned" && err 'none\.json' && one_line_error
echo "$checks checks passed"
