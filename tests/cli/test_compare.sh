#!/bin/bash
# The command line: results, forms, exit statuses, and what bad input gets to read.
. "$(dirname "$0")/lib.sh" "$1"

golden=tests/fixtures/golden/compare
demo=tests/fixtures/demo
one='{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
model "$work/a.safetensors" "$one" '\x00\x00\x80\x3f\x00\x00\x00\x40'
model "$work/b.safetensors" "$one" '\x00\x00\x80\x3f\x00\x00\x40\x40'
cp "$work/a.safetensors" "$work/same.safetensors"
model "$work/half.safetensors" '{"w":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}' '\x00\x3c\x00\x40'
model "$work/other.safetensors" '{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' '\x00\x00\x40\x40\x00\x00\x00\x40'
model "$work/odd.safetensors" '{"w":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}' '\x00\x00\x80\x3f\x00\x00\x00\x40'

# Verdicts and their exit statuses.
expect 0 "$diffaid" compare "$work/a.safetensors" "$work/same.safetensors" && out '^Identical: the one tensor is equal byte for byte'
expect 0 "$diffaid" compare "$work/a.safetensors" "$work/a.safetensors"
expect 0 "$diffaid" compare "$work/a.safetensors" "$work/half.safetensors" && out '^Equivalent'
expect 1 "$diffaid" compare "$work/a.safetensors" "$work/b.safetensors" && out '^Changed: 1 tensor changed of 1'
expect 0 "$diffaid" compare --epsilon 1 "$work/a.safetensors" "$work/b.safetensors" && out 'within epsilon'
expect 1 "$diffaid" compare --epsilon 0.5 "$work/a.safetensors" "$work/b.safetensors"
expect 1 "$diffaid" compare --headers-only "$work/a.safetensors" "$work/b.safetensors" && out 'values not read'
expect 1 "$diffaid" compare "$work/a.safetensors" "$work/other.safetensors" && out 'warning: .*nothing|no tensor name in common'
expect 1 "$diffaid" compare "$work/a.safetensors" "$work/odd.safetensors" && out '\? w: dtype unsupported'
expect 0 "$diffaid" compare "$work/odd.safetensors" "$work/odd.safetensors"
expect 0 "$diffaid" compare --exclude lm_head tests/fixtures/demo/base.safetensors tests/fixtures/demo/base.safetensors && out '1 tensor left out'

# Forms.
expect 1 "$diffaid" compare --json "$golden/finetune.a.safetensors" "$golden/finetune.b.safetensors"
out '"timings":{"open":' && out '"waiting_share":'
out '^"schema":"diffaid.result/v1"' && out '^"run":\{' && out '"verdict":"changed"'
expect 1 "$diffaid" compare --format ndjson "$golden/finetune.a.safetensors" "$golden/finetune.b.safetensors"
[ "$(wc -l <"$work/out")" = 15 ] || fail "NDJSON is one record a line"
expect 1 "$diffaid" compare --json --only-changed --sort change_magnitude --top 2 "$golden/finetune.a.safetensors" \
    "$golden/finetune.b.safetensors"
[ "$(grep -c '^{"name"' "$work/out")" = 2 ] || fail "--top 2 lists two"
for threads in 1 2 7; do
    expect 1 "$diffaid" compare --format ndjson --threads $threads --analyses all "$golden/finetune.a.safetensors" \
        "$golden/finetune.b.safetensors"
    cp "$work/out" "$work/ndjson.$threads"
done
cmp "$work/ndjson.1" "$work/ndjson.2" && cmp "$work/ndjson.1" "$work/ndjson.7" || fail "threads change the result"

# What a person reads: a line of figures, then tables; no colours and no blanks at the ends of lines.
expect 1 "$diffaid" compare --analyses all "$demo/base.safetensors" "$demo/finetuned.safetensors"
out '^layer_impact: layers=6' && out '^  layers +parameters +changed' && out '^    lm_head +1024 +1022 +0\.098888 '
[ "$(wc -l <"$work/out")" -le 110 ] || fail "all analyses of the demo fit two screens"
grep -q $'\x1b' "$work/out" && fail "colours need a terminal"
grep -qE ' $' "$work/out" && fail "a line ends with blanks"

# The seed's name, flags and lines.
expect 1 "$diffai" "$demo/base.safetensors" "$demo/finetuned.safetensors" && out '^  ~ [^ ]+: mean=-?[0-9.]+->-?[0-9.]+, std='
out '^  \+ [^ ]+: shape=\[.*\], dtype=f16, params=[0-9]+'
expect 1 "$diffai" "$golden/quantize.a.safetensors" "$golden/quantize.b.safetensors" --quantization-analysis
out '^quantization_analysis: compression=0\.333333, precision_loss='
expect 1 "$diffai" "$golden/finetune.a.safetensors" "$golden/finetune.b.safetensors" --stats --quantization-analysis \
    --sort-by-change-magnitude --show-layer-impact --output json
out '^\{"TensorStatsChanged":\["model\.layers\.1' && out '"QuantizationAnalysis"' && out '"LayerImpact"' && out '"TensorAdded"'
expect 1 "$diffai" "$work/a.safetensors" "$work/b.safetensors" --output yaml && out 'TensorStatsChanged'
expect 0 "$diffai" "$work/a.safetensors" "$work/same.safetensors" --output json && out '^\[\]$'
expect 1 "$diffai" --path model.layers.1. --ignore-keys-regex norm --format safetensors --no-color --verbose \
    "$golden/finetune.a.safetensors" "$golden/finetune.b.safetensors"
grep -q 'layers\.2' "$work/out" && fail "--path restricts"
expect 1 "$diffai" --brief "$work/a.safetensors" "$work/b.safetensors" && out '^  ~ w$'
expect 1 "$diffai" --quiet "$work/a.safetensors" "$work/b.safetensors"
[ ! -s "$work/out" ] || fail "--quiet prints nothing"

# A file appears whole or not at all, and nothing else beside it.
mkdir "$work/results"
expect 1 "$diffaid" compare --json --out "$work/results/r.json" "$work/a.safetensors" "$work/b.safetensors"
[ "$(ls "$work/results")" = r.json ] && grep -q '"verdict":"changed"' "$work/results/r.json" || fail "--out writes the file"
expect 1 "$diffaid" compare --json --out /dev/null "$work/a.safetensors" "$work/b.safetensors"
[ -c /dev/null ] || fail "--out must not replace a device"
ln -s results/r.json "$work/link"
expect 0 "$diffaid" compare --json --out "$work/link" "$work/a.safetensors" "$work/same.safetensors"
[ -L "$work/link" ] && grep -q '"verdict":"identical"' "$work/results/r.json" || fail "--out writes where a link leads"
# A model is never written to, by whatever name it is called.
ln "$work/a.safetensors" "$work/hard"
for name in a.safetensors hard; do
    expect 2 "$diffaid" compare --json --out "$work/$name" "$work/a.safetensors" "$work/b.safetensors" &&
        err 'is a file of the model'
done
mkdir "$work/model.dir" && cp "$work/a.safetensors" "$work/model.dir/model.safetensors"
expect 2 "$diffaid" compare --out "$work/model.dir/model.safetensors" "$work/b.safetensors" "$work/model.dir"
expect 2 "$diffaid" inspect --out "$work/b.safetensors" "$work/b.safetensors"
expect 0 "$diffaid" compare "$work/a.safetensors" "$work/model.dir"
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/b.safetensors" --epsilon && err '^diffaid: --epsilon needs a value'
expect 3 "$diffaid" compare --json --out /dev/full "$work/a.safetensors" "$work/b.safetensors" && err 'No space left'
expect 3 "$diffaid" compare --out "$work/no/such/r.json" "$work/a.safetensors" "$work/b.safetensors"
status=0; "$diffaid" compare "$work/a.safetensors" "$work/b.safetensors" >/dev/full 2>"$work/err" || status=$?
[ $status = 3 ] || fail "a full standard output is exit 3, not $status"

# An interrupt leaves nothing behind and says so by its exit status: the pass is stopped amid a large sparse tensor.
big=$((64 << 30))
make_big() { # anew each time: on tmpfs what was read of a hole takes memory
    local side header="{\"w\":{\"dtype\":\"F32\",\"shape\":[$((big / 4))],\"data_offsets\":[0,$big]}}"
    for side in a b; do
        model "$work/big.$side.safetensors" "$header" ''
        truncate -s $((8 + ${#header} + big)) "$work/big.$side.safetensors"
    done
}
make_big
mkfifo "$work/started"
"$diffaid" compare --threads 1 --progress --json --out "$work/results/big.json" "$work/big.a.safetensors" \
    "$work/big.b.safetensors" 2>"$work/started" &
pid=$!
exec 9<"$work/started"
head -c 1 <&9 >/dev/null # the first progress: the pass is under way
kill -INT $pid
status=0; wait $pid || status=$?
exec 9<&-
[ $status = 130 ] || fail "an interrupt is exit 130, not $status"
[ "$(ls "$work/results")" = r.json ] || fail "an interrupt leaves nothing behind"
make_big

# A damaged file in which libhdf5 1.10 goes round for ever: what does not look at the flag is left at once.
"$diffaid" inspect tests/cli/endless.h5 >/dev/null 2>&1 &
pid=$!
while read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user _ <"/proc/$pid/stat" 2>/dev/null && [ "$user" -lt 50 ]; do :; done
if kill -TERM $pid 2>/dev/null; then
    status=0; wait $pid || status=$?
    [ $status = 130 ] || [ $status = 2 ] || fail "a file that does not end is not left: $status"
fi

# Inspect reads headers only, and values on request.
expect 0 "$diffaid" inspect "$work/big.a.safetensors" && out '17179869184 parameters'
expect 0 "$diffaid" inspect --json --stats "$work/a.safetensors" && out '"stats":\{"dtype":"F32","shape":\[2\],"elements":2,"bytes":8,"mean":1.5,'
expect 2 "$diffaid" inspect "$work/a.safetensors" "$work/b.safetensors"

# Bad input: one line that names the file, exit 2.
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/missing.safetensors" && err 'missing\.safetensors' && one_line_error
expect 2 "$diffaid" compare "$work/a.safetensors" - && err 'pipe' && one_line_error
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/started" && err 'FIFO' && one_line_error
expect 2 "$diffaid" compare "$work/a.safetensors" /dev/zero && err '/dev/zero' && one_line_error
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/results" && err 'results' && one_line_error
: >"$work/empty.safetensors"
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/empty.safetensors" && err 'empty\.safetensors.*empty' && one_line_error
head -c 66 "$work/a.safetensors" >"$work/cut.safetensors"
expect 2 "$diffaid" compare "$work/a.safetensors" "$work/cut.safetensors" && err 'cut\.safetensors' && one_line_error
expect 2 "$diffaid" compare "$work/a.safetensors" && one_line_error
expect 2 "$diffaid" compare --no-such "$work/a.safetensors" "$work/b.safetensors" && err 'no-such' && one_line_error
expect 2 "$diffaid" compare --include 'no such tensor' "$work/a.safetensors" "$work/b.safetensors" && err 'include selects no tensor of 1; the first is "w"' && one_line_error
expect 2 "$diffaid" compare --exclude . "$work/a.safetensors" "$work/b.safetensors" && err 'exclude selects no tensor of 1'
expect 2 "$diffaid" compare --include '(' "$work/a.safetensors" "$work/b.safetensors" && err 'pattern "\("' && one_line_error
expect 2 "$diffaid" compare --include "$(printf '(%.0s' {1..20})x$(printf ')%.0s' {1..20})" "$work/a.safetensors" "$work/b.safetensors"
expect 2 "$diffaid" compare --include '(a+)+$' --exclude "$(printf 'x%.0s' {1..600})" "$work/a.safetensors" "$work/b.safetensors"
expect 2 "$diffaid" compare --top 1.5 "$work/a.safetensors" "$work/b.safetensors" && err 'whole number'
expect 2 "$diffaid" compare --threads 0 "$work/a.safetensors" "$work/b.safetensors"
expect 2 "$diffaid" compare --sort nonsense "$work/a.safetensors" "$work/b.safetensors" && err 'change_magnitude'
expect 2 "$diffaid" compare --analyses nonsense "$work/a.safetensors" "$work/b.safetensors"
expect 2 "$diffaid" nonsense && one_line_error
expect 0 "$diffaid" --help && out 'compare'
expect 0 "$diffaid" compare --help && out '--quantization-analysis' && out '--epsilon X'
expect 0 "$diffai" --help && out '--ignore-keys-regex'
expect 0 "$diffaid" analyses && out 'layer_impact'
expect 0 "$diffaid" analyses stats && out 'quantiles' && out '^Formula' && out '^Thresholds' && out '^Example'
expect 2 "$diffaid" analyses nonsense && err 'no analysis "nonsense"' && one_line_error
expect 2 "$diffaid" analyses stats more && err 'one name at most' && one_line_error
expect 0 "$diffaid" analyses --help && out '^usage: diffaid analyses'
DIFFAID_ISA=nonsense expect 2 "$diffaid" compare "$work/a.safetensors" "$work/b.safetensors"
err 'DIFFAID_ISA=nonsense' && one_line_error
DIFFAID_ISA=scalar expect 1 "$diffaid" compare --json "$work/a.safetensors" "$work/b.safetensors" && out '"isa":"scalar"'
expect 2 "$diffai" --path 'w\E' "$work/a.safetensors" "$work/b.safetensors" && err 'may not hold' && one_line_error
expect 2 "$diffai" --format nonsense "$work/a.safetensors" "$work/b.safetensors" && err 'auto, safetensors' && one_line_error
expect 0 "$diffaid" --version

# Names that are hostile or long stay on their line.
long=$work/$(printf 'x%.0s' {1..200})/$(printf 'y%.0s' {1..200})/$(printf 'z%.0s' {1..200})/$(printf 'v%.0s' {1..200})/$(printf 'w%.0s' {1..200})
mkdir -p "$long" && cp "$work/a.safetensors" "$long/a.safetensors"
expect 0 "$diffaid" inspect "$long/a.safetensors" && out '1 tensors|1 tensor' && out '^  w: shape='
cp "$work/a.safetensors" "$work/"$'es\x1b[31m\ncape.safetensors'
expect 0 "$diffaid" inspect "$work/"$'es\x1b[31m\ncape.safetensors' && out 'es.x1b\[31m.x0acape'
expect 2 "$diffaid" inspect "$work/"$'no\x1b[31m\nsuch' && one_line_error
grep -q $'\x1b' "$work/err" && fail "a path acts on the terminal"

# A file that shrinks while it is read fails the comparison by name; it does not kill the program.
"$diffaid" compare --threads 1 --progress --json "$work/big.a.safetensors" "$work/big.b.safetensors" 2>"$work/started" >/dev/null &
pid=$!
exec 9<"$work/started"
head -c 1 <&9 >/dev/null
truncate -s 4096 "$work/big.b.safetensors"
cat <&9 >"$work/err" &
status=0; wait $pid || status=$?
exec 9<&-
[ $status = 2 ] || fail "a shrunken file is exit 2, not $status"
wait
make_big
grep -q 'big\.b\.safetensors.*while it was read' "$work/err" || { cat "$work/err" >&2; fail "the shrunken file is named"; }

# Where the time went is told beside the result, never in it.
expect 1 "$diffaid" compare --quiet --timings "$golden/finetune.a.safetensors" "$golden/finetune.b.safetensors" && err '^scan .* GB/s' && err '^write ' && err '^all '
[ "$(wc -l <"$work/out")" = 1 ] || fail "--timings wrote to standard output"

echo "$checks checks passed"
