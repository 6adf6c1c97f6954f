#!/bin/bash
# A full disk: what adds is refused with 507 and leaves nothing, what reads goes on, and room brings everything back
# without a restart.
. "$(dirname "$0")/service_steps.sh"
mkdir "$scratch/small"
mount -t tmpfs -o size=48m tmpfs "$scratch/small" 2>/dev/null || { echo "skipped: needs a mount"; exit 77; }
state=$scratch/small/state
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
head -c 36000000 /dev/zero >"$scratch/large"
start_service --workers 1
job=$(submit a.safetensors b.safetensors)
within 10 state_is "$job" succeeded

# Announced or not, an upload that does not fit is refused and leaves nothing.
[ "$(status_of -T "$scratch/large" "$url/v1/uploads/large")" = 507 ] || fail "announced: $(cat "$scratch/body")"
[ "$(status_of -T - "$url/v1/uploads/large" <"$scratch/large")" = 507 ] || fail "chunked: $(cat "$scratch/body")"
has_no_files() { [ -z "$(ls "$state/uploads")" ]; }
within 5 has_no_files

# To the last block, while a job is under way.
for worker in $(workers); do kill -STOP "$worker"; done
caught=$(submit a.safetensors b.safetensors)
within 10 state_is "$caught" running
dd if=/dev/zero of="$scratch/small/filler" bs=64k 2>/dev/null || true
dd if=/dev/zero of="$scratch/small/filler2" bs=512 2>/dev/null || true
for worker in $(workers); do kill -CONT "$worker"; done
is_refused() { [ "$(status_of -H 'Content-Type: application/json' "$url/v1/jobs" \
    -d '{"models":["a.safetensors","b.safetensors"]}')" = 507 ]; }
within 10 is_refused
[ ! -e "$state/reserve" ] || fail "the reserve was not given up"
metrics_say 'diffaid_storage_full 1' || fail "no alert could tell of it"
[ "$(status_of "$url/v1/jobs/$job/result")" = 200 ] || fail "reading: $(cat "$scratch/body")"
[ "$(status_of "$url/readyz")" = 200 ] || fail "not ready: $(cat "$scratch/body")"
[ "$(status_of -T "$scratch/large" "$url/v1/uploads/large")" = 507 ] || fail "upload: $(cat "$scratch/body")"
[ "$(status_of -X DELETE "$url/v1/jobs/$job")" = 204 ] || fail "delete: $(cat "$scratch/body")"

rm "$scratch/small/filler" "$scratch/small/filler2"
accepted() {
    [ "$(status_of -H 'Content-Type: application/json' "$url/v1/jobs" \
        -d '{"models":["a.safetensors","b.safetensors"]}')" = 202 ]
}
within 10 state_is "$caught" succeeded
within 10 accepted
job=$(member id <"$scratch/body")
within 10 state_is "$job" succeeded
[ -e "$state/reserve" ] || fail "the reserve did not come back"
metrics_say 'diffaid_storage_full 0' || fail "metrics still say that the disk is full"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
