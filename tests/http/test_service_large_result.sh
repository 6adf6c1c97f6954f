#!/bin/bash
# A result of 100,000 tensors is written and served as a stream: the service's own memory stays under 100 MB.
. "$(dirname "$0")/service_steps.sh"

# A model of that many tensors of one F32 element each; VALUE is a printf format of four bytes.
make_wide_model() { # FILE TENSORS VALUE
    awk -v n="$2" 'BEGIN {
        printf "{"
        for (i = 0; i < n; i++)
            printf "%s\"layers.%d.expert.%d.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                i ? "," : "", i / 100, i % 100, 4 * i, 4 * i + 4
        printf "}" }' >"$scratch/header"
    local bytes i
    bytes=$(stat -c %s "$scratch/header")
    {
        for i in 0 8 16 24 32 40 48 56; do printf "\\x$(printf %02x $(((bytes >> i) & 255)))"; done
        cat "$scratch/header"
        # shellcheck disable=SC2059
        printf "$3"
    } >"$1"
    truncate -s $((8 + bytes + 4 * $2)) "$1"
}
make_wide_model "$models/a.safetensors" 100000 '\x00\x00\x80\x3f'
make_wide_model "$models/b.safetensors" 100000 '\x00\x00\x00\x40'
start_service --workers 1
job=$(submit a.safetensors b.safetensors)
within 60 state_is "$job" succeeded

curl -s "$url/v1/jobs/$job/result" -o "$scratch/result.json"
[ "$(grep -c '^{"name":"layers' "$scratch/result.json")" = 100000 ] || fail "the result lacks records"
[ "$(curl -s -H 'Accept: application/x-ndjson' "$url/v1/jobs/$job/result" | wc -l)" = 100000 ] || fail "NDJSON lacks records"
curl -s --compressed -D "$scratch/header" "$url/v1/jobs/$job/result" | cmp - "$scratch/result.json" || fail "compressed, it is another"
grep -qi '^Content-Encoding: gzip' "$scratch/header" || fail "not compressed: $(cat "$scratch/header")"
curl -s --compressed -r 1000-1999 "$url/v1/jobs/$job/result" | cmp - <(head -c 2000 "$scratch/result.json" | tail -c 1000) || fail "the range is another"
curl -s "$url/v1/jobs/$job/tensors?sort=max_abs&page_size=1" | grep -q '"name":"layers.0.expert.0.weight","status":"changed"' ||
    fail "the changed tensor does not come first"
peak=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$service/status")
echo "peak memory of the service: $peak kB"
grep -q '__asan_init\|__tsan_init' "$diffaid" || [ "$peak" -lt 100000 ] || fail "the service took $peak kB"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
