#!/bin/bash
# Small files that ask for much work: whatever they say is answered or refused soon. Seconds are the processor's, so that
# a busy machine does not matter, and many more than are needed: what is held here are orders of magnitude.
. "$(dirname "$0")/lib.sh"

python3 "$(dirname "$0")/hostile.py" "$work" || fail "no files"
cd "$work" || exit 1

# soon STATUS COMMAND…
soon() {
    local wanted=$1
    shift
    # shellcheck disable=SC2016
    expect "$wanted" bash -c 'ulimit -t 60; exec "$@"' soon "$diffaid" "$@" --out result
}

# An adapter's scales by name, and by regular expressions; heads that the base does not have.
soon 1 compare --headers-only --json --adapter names base.safetensors base.safetensors
soon 2 compare --headers-only --adapter expressions base.safetensors base.safetensors
err 'has more than 64 regular expressions in "alpha_pattern"'
# Slow ones are refused when two seconds are over; a fast machine may be through before.
status=0
(ulimit -t 60; exec "$diffaid" compare --headers-only --adapter slow base.safetensors base.safetensors) >out 2>err || status=$?
[ $status = 1 ] || { [ $status = 2 ] && grep -q 'matching the pattern takes longer than it may' err; } ||
    fail "slow expressions: exit $status: $(tail -n 3 err)"
soon 1 compare --headers-only --adapter heads base.safetensors base.safetensors

# Pickles whose values lead to one another, are large and looked at often, or are many once they are inflated.
for file in dag keys metadata scalars; do
    soon 2 inspect $file.pt
    err "$file.pt: its values lead to one another too often to be looked at one by one"
done
soon 2 inspect names.pt
err 'its values take more memory than such a file may'
soon 0 inspect groups.pt
for file in inflated package; do
    soon 2 inspect $file.pt
    err 'a pickle inflates beyond the limit: [0-9]+ bytes of values in a file of'
done

# Views of one storage, each of which is a gigabyte, or inflates it anew.
soon 1 compare repeated.pt repeated.pt
soon 2 compare again.pt again.pt
err 'tensor 4: with it, views of its storages come to 167772160 bytes, the limit for such a file is'

# A factor that is a view of one number.
soon 2 compare --adapter wide wide.pt wide.pt
err 'wide: none of its 2 tensors fits a tensor of wide.pt'

# Chunks of a distributed checkpoint in a file that is not there, and on the same bytes.
soon 0 inspect missing
grep -q '^warning: 1 was left out: its data: missing/0.distcp: no such file' result || fail "not told what is missing"
soon 0 inspect same
grep -q '^warning: 1 was left out: tensor 1: a chunk lies on the bytes of others' result || fail "not told of shared bytes"

# Tensors without a partner, each of which is held against all that might be one.
soon 1 compare empty.safetensors other.safetensors
soon 1 compare decoders.safetensors other.safetensors
soon 0 compare keys.gguf layers.safetensors

# A million warnings are of no use to anybody.
soon 0 inspect texts.npz
[ "$(grep -c '^warning: ' result)" = 21 ] || fail "$(grep -c '^warning: ' result) warnings"
grep -q '^warning: … and 2980 more (left-out)$' result || fail "no count of warnings"
echo "$checks checks"
