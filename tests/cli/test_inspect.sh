#!/bin/bash
# A model alone: every analysis that takes one, in every form, and the digest of its values.
. "$(dirname "$0")/lib.sh" "$1"

good=tests/fixtures/good
base=$good/base.safetensors

# Every analysis that makes sense for one model.
expect 0 "$diffaid" inspect "$base" --stats --anomaly-detection --memory-analysis --architecture-comparison --gradient-analysis
out '^  lm_head\.weight: shape=\[16, 8\], dtype=f32, params=128, mean=-0\.1518' && out '^anomaly_detection: worst=none'
out '^memory_analysis: files=38\.90 kB' && out '^architecture_comparison: family='
out '^gradient_analysis: available=no'
cp "$work/out" "$work/named"
expect 0 "$diffaid" inspect "$base" --analyses all
cmp "$work/out" "$work/named" || fail "all are those that take one model"
expect 0 "$diffaid" inspect "$base" --analyses all --json
out '^"analyses":\["stats","architecture_comparison","memory_analysis","anomaly_detection","gradient_analysis"\]'
out '^\{"role":"model",' && [ "$(grep -c '"role"' "$work/out")" = 1 ] || fail "one entry in models"
grep -qE '"(status|summary|alignment|baseline|candidate|delta)":' "$work/out" && fail "a profile has no other side"
expect 0 "$diffaid" inspect "$base" --analyses all --format ndjson
[ "$(wc -l <"$work/out")" = 111 ] && out '"stats":\{"dtype":"F32","shape":\[16,8\],"elements":128,"bytes":512,"mean":'
expect 0 "$diffaid" inspect "$base" --analyses all --format markdown && out '^111 tensors, 6984 parameters, 38896 bytes in 1 file$'
expect 0 "$diffaid" inspect "$base" --stats --format junit && out '<system-out>111 tensors'
for threads in 1 7; do
    expect 0 "$diffaid" inspect "$good/sharded" --analyses all --format ndjson --threads $threads
    cp "$work/out" "$work/ndjson.$threads"
done
cmp "$work/ndjson.1" "$work/ndjson.7" || fail "threads change the result"
expect 0 "$diffaid" inspect "$base" --stats --sort change_magnitude --top 3 --format ndjson
[ "$(wc -l <"$work/out")" = 3 ] && head -n 1 "$work/out" | grep -q '"lm_head.weight"' || fail "without a figure: in natural order"
for flag in --change-summary --show-layer-impact --quantization-analysis --convergence-analysis --similarity-matrix; do
    expect 2 "$diffaid" inspect "$base" $flag && err 'needs at least 2 models, got 1$' && one_line_error
done

# A gate over a profile: figures of its analyses and tensors; there is no summary to hold against one.
echo '[{"metric":"anomaly_detection.worst","max":"warning"},{"metric":"stats.std","scope":"tensor","max":10}]' >"$work/gate"
expect 0 "$diffaid" inspect "$base" --gate "$work/gate" --json && out '^"passed":true'
echo '[{"metric":"verdict","equals":"identical"}]' >"$work/gate"
expect 4 "$diffaid" inspect "$base" --gate "$work/gate" --json && out 'the result has no such figure'
echo '[{"metric":"change_summary.class","equals":"identical"}]' >"$work/gate"
expect 2 "$diffaid" inspect "$base" --gate "$work/gate" && err 'change_summary needs at least 2 models'

# The digest: hashlib says the same (digests.tsv, by digest.py).
while read -r digest path; do
    expect 0 "$diffaid" inspect "$good/${path#../good/}" --digest
    [ "$(cat "$work/out")" = "$digest  $good/${path#../good/}" ] || fail "$path: $(cat "$work/out"), not $digest"
done <tests/fixtures/golden/digests.tsv
[ "$(cut -d ' ' -f 1 tests/fixtures/golden/digests.tsv | sort | uniq -d | wc -l)" = 1 ] || fail "base and its shards alone are equal"
digest=$("$diffaid" inspect "$base" --digest)
expect 0 "$diffaid" inspect "$base" --digest --json --threads 3
out "\"digest\":\{\"model\":\"${digest%% *}\",\"algorithm\":\"sha256\",\"tensors\":111\}" && out '"bytes":512,"digest":"sha256:[0-9a-f]{64}"'
expect 0 "$diffaid" inspect "$base" --digest --stats && out "^${digest%% *}  " && out 'mean=-0\.1518'
expect 0 "$diffaid" inspect "$base" --digest --format markdown && out "^\`${digest%% *}\`$"

# Kept and checked later: by its value, or by the whole line.
expect 0 "$diffaid" inspect "$good/sharded" --expect-digest "$digest" && out "^${digest%% *}  $good/sharded$"
expect 0 "$diffaid" inspect "$base" "--expect-digest=${digest%% *}"
expect 1 "$diffaid" inspect "$good/tuned.safetensors" --expect-digest "$digest" && err 'another than expected' && one_line_error
expect 2 "$diffaid" inspect "$base" --expect-digest "${digest:0:40}" && err '64 hexadecimal digits'
expect 2 "$diffaid" inspect "$base" --expect-digest "${digest%% *}0" && err '64 hexadecimal digits'
expect 2 "$diffaid" inspect "$base" --digest --headers-only && err 'nothing to digest'
expect 2 "$diffaid" compare "$base" "$base" --digest && err 'takes one model'

# Values that nobody can read: the record says why, and they have no digest.
unread=tests/fixtures/twins/odd.pt
expect 0 "$diffaid" inspect "$unread" && out '^  meta: .*, values not read: a tensor on the meta device has no values$'
expect 0 "$diffaid" inspect "$unread" --stats --json && out '"bytes":0,"unread_reason":"a tensor on the meta device has no values"'
expect 2 "$diffaid" inspect "$unread" --digest && err 'tensor meta cannot be digested: a tensor on the meta device' && one_line_error
expect 0 "$diffaid" inspect "$unread" --digest --exclude '^meta$'

# What changes it and what does not.
digest_of() { "$diffaid" inspect "$1" --digest | cut -d ' ' -f 1; }
a='{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}'
b='{"dtype":"I16","shape":[2],"data_offsets":[12,16]}'
data='\x00\x3c\x01\x3c\x02\x3c\x03\x3c\x04\x3c\x05\x3c\x01\x00\x02\x00'
model "$work/one.safetensors" "{\"w.10\":$a,\"w.9\":$b}" "$data"
one=$(digest_of "$work/one.safetensors")
same() { model "$work/same.safetensors" "$1" "$2"; [ "$(digest_of "$work/same.safetensors")" = "$one" ] || fail "another digest: $1"; }
other() { model "$work/other.safetensors" "$1" "$2"; [ "$(digest_of "$work/other.safetensors")" != "$one" ] || fail "the same digest: $1"; }
same "{\"w.9\":$b,\"w.10\":$a}" "$data"
same "{\"__metadata__\":{\"format\":\"pt\"},\"w.10\":$a,\"w.9\":$b}" "$data"
same '{"w.9":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},"w.10":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]}}' \
    '\x01\x00\x02\x00\x00\x3c\x01\x3c\x02\x3c\x03\x3c\x04\x3c\x05\x3c'
other "{\"w.10\":$a,\"w.9\":$b}" "${data%00}01"
other "{\"w.10\":${a/F16/BF16},\"w.9\":$b}" "$data"
other "{\"w.10\":${a/2,3/3,2},\"w.9\":$b}" "$data"
other "{\"w.10\":${a/2,3/6},\"w.9\":$b}" "$data"
other "{\"w.11\":$a,\"w.9\":$b}" "$data"
other "{\"w.9\":$a,\"w.10\":$b}" "$data"
other '{"w.10":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}' '\x00\x3c\x01\x3c\x02\x3c\x03\x3c\x04\x3c\x05\x3c'
mkdir "$work/shards"
model "$work/shards/model-00001-of-00002.safetensors" "{\"w.10\":$a}" '\x00\x3c\x01\x3c\x02\x3c\x03\x3c\x04\x3c\x05\x3c'
model "$work/shards/model-00002-of-00002.safetensors" '{"w.9":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}' '\x01\x00\x02\x00'
[ "$(digest_of "$work/shards")" = "$one" ] || fail "shards have another digest"
if [ -d "${DIFFAID_SHARED:-/nonexistent}/layouts/hf/llama--sharded" ]; then
    [ "$(digest_of "$DIFFAID_SHARED/layouts/hf/llama")" = "$(digest_of "$DIFFAID_SHARED/layouts/hf/llama--sharded")" ] ||
        fail "llama and its shards differ"
fi
if python3 -c '' 2>/dev/null; then
    python3 tests/fixtures/golden/digest.py "$work/one.safetensors" | grep -q "^$one " || fail "hashlib says otherwise"
fi
echo "$checks checks passed"
