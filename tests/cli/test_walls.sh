#!/bin/bash
# The command line walls itself in before it reads a model, says nothing of it, and what it could read before it still
# can: models behind links, on standard input, beside the result.
. "$(dirname "$0")/lib.sh"

header='{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
a='\x00\x00\x80\x3f\x00\x00\x00\x40'
b='\x00\x00\x80\x3f\x00\x00\x40\x40'
err() { grep -qE -- "$1" "$work/err" || fail "no \"$1\" on standard error: $(cat "$work/err")"; }
silent() { [ ! -s "$work/err" ] || fail "it said: $(cat "$work/err")"; }

# A model cache: what lies in the snapshot are links to blobs in another directory.
mkdir -p "$work/cache/blobs" "$work/cache/snapshots/1" "$work/elsewhere"
model "$work/cache/blobs/0a" "$header" "$a"
model "$work/cache/blobs/0b" "$header" "$b"
printf '{"num_attention_heads": 4, "head_dim": 2}' >"$work/cache/blobs/0c"
ln -s ../../blobs/0a "$work/cache/snapshots/1/model.safetensors"
ln -s ../../blobs/0c "$work/cache/snapshots/1/config.json"
ln -s cache/snapshots/1 "$work/current"
ln -s "$work/cache/blobs/0b" "$work/elsewhere/b"
model "$work/plain.safetensors" "$header" "$b"
for first in "$work/cache/snapshots/1" "$work/current" "$work/cache/snapshots/1/model.safetensors"; do
    expect 1 "$diffaid" compare "$first" "$work/elsewhere/b" && silent
    expect 1 "$diffaid" compare --json "$first" "$work/plain.safetensors" && silent
done
expect 0 "$diffaid" inspect --json --architecture-comparison "$work/current"
grep -q '"heads":{"value":4,"source":"config"' "$work/out" || fail "the config behind a link was not read: $(cat "$work/out")"
(cd "$work" && expect 1 "$diffaid" compare current plain.safetensors && silent) || exit 1
(cd "$work" && expect 1 "$diffaid" compare --out r.txt ./current ./plain.safetensors && [ -s r.txt ]) || exit 1

# Standard input that is a file; a pipe stays refused.
"$diffaid" compare /dev/stdin "$work/plain.safetensors" <"$work/cache/blobs/0a" >"$work/out" 2>"$work/err"
[ $? = 1 ] || fail "a model on standard input: $(cat "$work/err")"
silent
expect 2 "$diffaid" compare - "$work/plain.safetensors" && err 'cannot be read from a pipe'
"$diffaid" compare "$work/cache/blobs/0a" "$work/plain.safetensors" --out >(cat >"$work/piped") 2>"$work/err"
[ $? = 1 ] || fail "a result into a pipe: $(cat "$work/err")"

# What stands: told by the kernel of a comparison that runs.
make_big() { # anew each time: on tmpfs what was read of a hole takes memory
    local side
    for side in a b; do
        model "$work/big.$side" '{"w":{"dtype":"F32","shape":[17179869184],"data_offsets":[0,68719476736]}}' ''
        truncate -s $((68719476736 + 8 + 74)) "$work/big.$side"
    done
}
walls_of() { # FLAG…: how many filters a running comparison has, after it has begun to read
    make_big
    mkfifo "$work/started"
    "$diffaid" compare --threads 1 --progress "$@" --out "$work/big.json" "$work/big.a" "$work/big.b" 2>"$work/started" >/dev/null &
    local pid=$!
    exec 3<"$work/started"
    head -c 20 <&3 >"$work/err"
    sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status"
    sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$pid/status"
    kill -INT $pid
    wait $pid
    [ $? = 130 ] || fail "interrupted, but ended otherwise"
    exec 3<&-
    rm "$work/started"
    ls "$work"/big.json* >/dev/null 2>&1 && fail "an interrupted comparison left a file"
}
expect 1 "$diffaid" compare --verbose "$work/cache/blobs/0a" "$work/plain.safetensors"
if ! grep -q 'sandbox is not whole' "$work/err"; then
    [ "$(walls_of | tr '\n' ' ')" = '2 1 ' ] || fail "no walls: $(cat "$work/err")"
fi
[ "$(walls_of --no-sandbox | tr '\n' ' ')" = '0 0 ' ] || fail "--no-sandbox has walls"
expect 1 "$diffaid" compare --no-sandbox "$work/cache/blobs/0a" "$work/plain.safetensors" && err '^diffaid: --no-sandbox: '
expect 1 "$diffai" --no-sandbox "$work/cache/blobs/0a" "$work/plain.safetensors" && err '^diffai: --no-sandbox: '
echo "$checks checks"
