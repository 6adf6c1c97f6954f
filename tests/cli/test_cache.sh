#!/bin/bash
# What a comparison leaves in the page cache. Needs a file system whose files can leave it.
. "$(dirname "$0")/lib.sh" "$1"
command -v fincore >/dev/null || { echo "skipped: needs fincore"; exit 77; }

bytes=$((48 << 20))
for side in a b; do
    header="{\"layer.weight\":{\"dtype\":\"F32\",\"shape\":[$((bytes / 4))],\"data_offsets\":[0,$bytes]}}"
    { le64 "${#header}" && printf %s "$header" && head -c "$bytes" /dev/zero; } >"$work/$side"
done
cached() { fincore --bytes --noheadings --output RES "$work/$1" | tr -d ' '; }
evict() { dd if=/dev/null of="$work/$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none; }

evict a
[ "$(cached a)" -lt $((bytes / 10)) ] || { echo "skipped: files here do not leave the page cache"; exit 77; }

# What was not there leaves again, and the other model, which was, stays.
cat "$work/b" >/dev/null
expect 0 "$diffaid" compare "$work/a" "$work/b" --cache release
[ "$(cached a)" -lt $((bytes / 10)) ] || fail "$(cached a) bytes stayed in the page cache"
[ "$(cached b)" -gt $((bytes / 10 * 9)) ] || fail "of what was cached, only $(cached b) bytes are left"

# Kept where that is asked for, and where two small models crowd out nobody.
for how in keep auto; do
    evict a
    expect 0 "$diffaid" compare "$work/a" "$work/b" --cache $how
    [ "$(cached a)" -gt $((bytes / 10 * 9)) ] || fail "--cache $how: only $(cached a) bytes are in the page cache"
done

expect 2 "$diffaid" compare "$work/a" "$work/b" --cache lots && err 'auto, keep or release, not "lots"' && one_line_error
echo "$checks checks passed"
