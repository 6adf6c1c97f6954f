#!/bin/bash
# Packed weights: one tensor of values under the weight's own name, compared and digested by all that its parts hold.
. "$(dirname "$0")/lib.sh" "$1"

fixtures=tests/fixtures/packed
python3 -c '' 2>/dev/null || { echo "no python3 to take files apart with"; exit 77; }

# copy NAME: a copy of that fixture in $work/copy
copy() {
    rm -rf "$work/copy"
    cp -r "$fixtures/$1" "$work/copy"
}

# last BYTES: turns the lowest bit of the byte so far before the copy's end
last() {
    local size at byte
    size=$(stat -c %s "$work/copy/model.safetensors")
    at=$((size - $1))
    byte=$(od -An -tu1 -j "$at" -N 1 "$work/copy/model.safetensors")
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$work/copy/model.safetensors" bs=1 seek="$at" conv=notrunc status=none
}

# The same bytes are identical; the config beside them tells the layout.
copy gptq_int4
expect 0 "$diffaid" compare "$fixtures/gptq_int4/model.safetensors" "$work/copy/model.safetensors" && out '^Identical'
expect 0 "$diffaid" inspect "$work/copy" && out '^  a\.weight: shape=\[32, 128\], dtype=GPTQ int4 g32, params=4096$'

# Equal codes and another scale are other weights, and another digest. Tensors lie in order of names: the scales last.
expect 0 "$diffaid" inspect "$work/copy" --digest --json && grep -o '"digest":"[^"]*"' "$work/out" >"$work/before"
last 1
expect 1 "$diffaid" compare "$fixtures/gptq_int4" "$work/copy" --quantization-analysis && out 'a\.weight'
expect 0 "$diffaid" inspect "$work/copy" --digest --json && grep -o '"digest":"[^"]*"' "$work/out" >"$work/after"
cmp -s "$work/before" "$work/after" && fail "a scale does not change the digest"

# Other bytes that stand for the same values: equivalent, not identical, and another digest. (round_zero only tells.)
copy hqq_int4_axis1
expect 0 "$diffaid" inspect "$work/copy" --digest --json && grep -o '"digest":"[^"]*"' "$work/out" >"$work/before"
sed -i 's/a\.quant_zero/a.round_zero/' "$work/copy/model.safetensors"
cp -r "$work/copy" "$work/other"
header=$(od -An -tu8 -N 8 "$work/copy/model.safetensors" | tr -d ' ')
offset=$(head -c $((8 + header)) "$work/copy/model.safetensors" | tail -c +9 |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["a.round_zero"]["data_offsets"][0])')
printf '\x01' | dd of="$work/copy/model.safetensors" bs=1 seek=$((8 + header + offset)) conv=notrunc status=none
expect 0 "$diffaid" compare "$work/other" "$work/copy" && out '^Equivalent.*'
expect 0 "$diffaid" inspect "$work/copy" --digest --json && grep -o '"digest":"[^"]*"' "$work/out" >"$work/after"
cmp -s "$work/before" "$work/after" && fail "a part that only describes does not change the digest"

# Every byte of the file is somebody's.
for folder in gptq_int4 hqq_int3_axis0 gptoss_mxfp4 bnb_nf4_nested; do
    expect 0 "$diffaid" inspect "$fixtures/$folder" --memory-analysis --json
    python3 - "$work/out" "$fixtures/$folder/model.safetensors" <<'PY' || fail "$folder: bytes are lost"
import json, os, sys
document = json.load(open(sys.argv[1]))
def find(node, key):
    if isinstance(node, dict):
        if key in node:
            return node
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        found = find(child, key)
        if found:
            return found
memory = find(document, "overhead_bytes")
size = os.path.getsize(sys.argv[2])
assert memory["file_bytes"] == size == memory["tensor_bytes"] + memory["overhead_bytes"], memory
assert memory["shared_bytes"] == memory["excluded_bytes"] == 0, memory
PY
done

# Without its config GPTQ may be of either version: integers, and a reason.
copy gptq_int4
rm "$work/copy/config.json"
expect 0 "$diffaid" inspect "$work/copy" --json && out 'packed-unknown' && out 'names neither gptq nor awq' && out '"a\.qweight"'

# A quantiser's own file tells the layout where config.json does not.
expect 0 "$diffaid" inspect "$fixtures/gptq_quantize_config" && out '^  a\.weight: shape=\[32, 128\], dtype=GPTQ int8 g32'
expect 0 "$diffaid" inspect "$fixtures/modelopt_hf_quant_config" && out '^  a\.weight: shape=.* dtype=scaled F8_E4M3 per tensor'
expect 0 "$diffaid" inspect "$fixtures/awq_quant_config" && out 'dtype=AWQ int4 g128'

# Parts that lie in other shards are parts all the same.
rm -rf "$work/shards" && mkdir "$work/shards" && cp "$fixtures/gptq_int8/config.json" "$work/shards"
python3 - "$fixtures/gptq_int8/model.safetensors" "$work/shards" <<'PY'
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
length = struct.unpack("<Q", raw[:8])[0]
header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
index = {}
for i, (name, entry) in enumerate(header.items()):
    part = data[entry["data_offsets"][0]:entry["data_offsets"][1]]
    text = json.dumps({name: dict(entry, data_offsets=[0, len(part)])}).encode()
    index[name] = f"model-{i + 1:05}-of-{len(header):05}.safetensors"
    open(f"{sys.argv[2]}/{index[name]}", "wb").write(struct.pack("<Q", len(text)) + text + part)
json.dump({"metadata": {"total_size": len(data)}, "weight_map": index},
          open(f"{sys.argv[2]}/model.safetensors.index.json", "w"))
PY
expect 0 "$diffaid" compare "$fixtures/gptq_int8" "$work/shards" && out '^Identical'

echo "$checks checks"
