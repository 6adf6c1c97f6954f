#!/bin/bash
# A backup under load restores to a service that has every job acknowledged before it; and the sweep by hand.
. "$(dirname "$0")/service_steps.sh"

# Enough tensors that a result does not fit into its row.
make_wide_model() { # FILE TENSORS
    local header='{' i length
    for ((i = 0; i < $2; i++)); do
        header+="\"layer.$i.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[$((4 * i)),$((4 * i + 4))]},"
    done
    header="${header%,}}"
    length=${#header}
    {
        for i in 0 8 16 24 32 40 48 56; do printf "\\x$(printf %02x $(((length >> i) & 255)))"; done
        printf %s "$header"
    } >"$1"
    truncate -s $((8 + length + 4 * $2)) "$1"
}
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_wide_model "$models/wide-a.safetensors" 400
make_wide_model "$models/wide-b.safetensors" 400

start_service --workers 2
wide=$(submit wide-a.safetensors wide-b.safetensors)
within 20 state_is "$wide" succeeded
[ -n "$(ls "$state/results")" ] || fail "the wide result lies in no file"
get "/v1/jobs/$wide/result" >"$scratch/wide.json"
[ "$(status_of -T "$models/a.safetensors" "$url/v1/uploads/mine")" = 201 ] || fail "upload: $(cat "$scratch/body")"
upload=$(member id <"$scratch/body")

# One that is under way is not part of a backup.
partial=$(curl -sS --fail-with-body -X POST -H 'Upload-Complete: ?0' --data-binary half -D "$scratch/headers" \
    -H 'Content-Disposition: attachment; filename="half"' "$url/v1/uploads" | member id)
[ -n "$partial" ] || fail "no partial upload: $(cat "$scratch/headers")"

# Two clients submit without a pause, a third deletes what it made; none of them outlives this script.
goes_on() { [ ! -e "$scratch/enough" ] && [ -d "$scratch" ] && kill -0 $$ 2>/dev/null; }
: >"$scratch/acknowledged"
clients=()
for _ in 1 2; do
    (trap - EXIT; while goes_on; do id=$(submit a.safetensors b.safetensors) && echo "$id" >>"$scratch/acknowledged" || exit 0; done) &
    clients+=($!)
done
(trap - EXIT; while goes_on; do
    curl -sS -X DELETE "$url/v1/jobs/$(submit wide-a.safetensors wide-b.safetensors)" || exit 0
done) >/dev/null 2>&1 &
clients+=($!)
has_acknowledged() { [ "$(wc -l <"$scratch/acknowledged")" -ge "$1" ]; }
within 30 has_acknowledged 20
for round in 1 2; do
    cp "$scratch/acknowledged" "$scratch/before.$round"
    "$diffaid" backup "$scratch/copy.$round" --state-dir "$state" >"$scratch/told" || fail "backup $round"
done
touch "$scratch/enough"
wait "${clients[@]}" || true
grep -q ' jobs, 1 uploads, ' "$scratch/told" || fail "told: $(cat "$scratch/told")"

status=0
"$diffaid" backup "$scratch/copy.1" --state-dir "$state" 2>"$scratch/message" || status=$?
[ $status = 2 ] && grep -q 'there already' "$scratch/message" || fail "over another: $status $(cat "$scratch/message")"
status=0
"$diffaid" jobs gc --state-dir "$state" 2>"$scratch/message" || status=$?
[ $status = 3 ] && grep -q 'a service uses' "$scratch/message" || fail "gc beside: $status $(cat "$scratch/message")"
end_service TERM

# Each copy is a state directory.
for round in 1 2; do
    state=$scratch/copy.$round
    start_service --workers 2
    while read -r job; do
        ends_well() { [ "$(status_of -H 'Prefer: wait=20' "$url/v1/jobs/$job")" = 200 ] && state_is "$job" succeeded; }
        within 20 ends_well
    done < <(sed '/^$/d' "$scratch/before.$round" | tail -n 30)
    get "/v1/jobs/$wide/result" | cmp -s - "$scratch/wide.json" || fail "copy $round: the result is another"
    [ "$(get "/v1/uploads/$upload" | member sha256)" = "$(sha256sum <"$models/a.safetensors" | cut -d' ' -f1)" ] ||
        fail "copy $round: the upload's row"
    cmp -s "$state/uploads/$upload" "$models/a.safetensors" || fail "copy $round: the upload's bytes"
    [ "$(status_of "$url/v1/uploads/$partial")" = 404 ] || fail "copy $round: a partial upload: $(cat "$scratch/body")"
    end_service TERM
done

# The sweep by hand: what is old goes, files that no row knows go, and the store shrinks.
stray=0190a000-0000-7000-8000-000000000001
touch "$state/results/$stray.json"
"$diffaid" jobs gc --state-dir "$state" >"$scratch/told"
grep -q 'removed 0 jobs, 0 uploads and 1 files' "$scratch/told" || fail "gc: $(cat "$scratch/told")"
[ ! -e "$state/results/$stray.json" ] || fail "the stray file is still there"
"$diffaid" jobs gc --state-dir "$state" --retention 1s >"$scratch/told"
grep -q 'removed [1-9][0-9]* jobs, 1 uploads' "$scratch/told" || fail "gc: $(cat "$scratch/told")"
# A job that ended within the last second goes with the next gc.
is_swept() {
    "$diffaid" jobs gc --state-dir "$state" --retention 1s >"$scratch/told"
    [ -z "$(find "$state/results" "$state/uploads" -type f)" ]
}
within 10 is_swept
status=0
"$diffaid" jobs gc --state-dir "$scratch/nowhere" 2>"$scratch/message" || status=$?
[ $status = 2 ] || fail "gc of nothing: $status"
[ ! -e "$scratch/nowhere" ] || fail "gc made a state directory"
