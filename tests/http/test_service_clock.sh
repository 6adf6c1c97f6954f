#!/bin/bash
# A wall clock that jumps: nothing is deleted by it, deadlines do not feel it, and the status says so.
. "$(dirname "$0")/service_steps.sh"
library=
for candidate in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1; do
    [ ! -e "$candidate" ] || library=$candidate
done
[ -n "$library" ] || { echo "skipped: needs libfaketime"; exit 77; }
! grep -qa '__asan_init\|__tsan_init' "$diffaid" || { echo "skipped: a sanitizer wants to be loaded first"; exit 77; }
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models

echo '+0' >"$scratch/offset"
export LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$scratch/offset FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
start_service --workers 1 --threads 1 --retention 10s --job-timeout 60s --sandbox off # the library reads its file at any time
unset LD_PRELOAD
get /v1/status | grep -q '"is_clock_trusted":true' || fail "not trusted at the start"
job=$(submit a.safetensors b.safetensors)
within 10 state_is "$job" succeeded
long=$(submit_long)
within 10 state_is "$long" running

echo '+400d' >"$scratch/offset"
is_distrusted() { get /v1/status | grep -q '"is_clock_trusted":false'; }
within 15 is_distrusted
grep -q '"event":"the clock jumped' "$scratch/log" || fail "the log says nothing"
state_is "$job" succeeded || fail "a job expired by a clock that jumped: $(get "/v1/jobs/$job")"
! state_is "$long" failed || fail "a deadline felt the wall clock: $(get "/v1/jobs/$long")"
echo '-400d' >"$scratch/offset" # and back beyond where it was
after=$(submit a.safetensors b.safetensors)
[ "$(status_of -X POST "$url/v1/jobs/$long:cancel")" = 202 ] || fail "cancel: $(cat "$scratch/body")"
within 10 state_is "$after" succeeded
state_is "$job" succeeded || fail "gone after the second jump"
end_service TERM
[ "$ended" = 0 ] || fail "ended with $ended"
