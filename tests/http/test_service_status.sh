#!/bin/bash
# What the service says of itself, and that what it sheds is counted.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models
start_service --workers 1 --threads 1 --queue-limit 2 --quota 10K --upload-limit 20K --retention 36h
get /v1/status >"$scratch/status"
for part in '"state":"serving"' '"wanted":1,"ready":1,"busy":0' '"queued":0,"limit":2' '"quota_bytes":10240' \
    '"upload_bytes":20480' '"retention_seconds":129600' '"is_clock_trusted":true' '"walls":{"no_new_privs":true' '"takes_keys":false'; do
    grep -qF "$part" "$scratch/status" || fail "no $part in $(cat "$scratch/status")"
done
! grep -qF "$scratch" "$scratch/status" || fail "it tells a path: $(cat "$scratch/status")"
long=$(submit_long)
within 10 state_is "$long" running
submit a.safetensors b.safetensors >/dev/null
submit a.safetensors b.safetensors >/dev/null
[ "$(status_of -D "$scratch/headers" -H 'Content-Type: application/json' "$url/v1/jobs" \
    -d '{"models":["a.safetensors","b.safetensors"]}')" = 503 ] || fail "the queue: $(cat "$scratch/body")"
grep -qi '^retry-after: [0-9]' "$scratch/headers" || fail "503 without Retry-After"
head -c 15000 /dev/zero >"$scratch/large"
[ "$(status_of -T "$scratch/large" "$url/v1/uploads/x")" = 507 ] || fail "the quota: $(cat "$scratch/body")"
head -c 30000 /dev/zero >"$scratch/larger"
[ "$(status_of -T "$scratch/larger" "$url/v1/uploads/x")" = 413 ] || fail "the limit: $(cat "$scratch/body")"
get /v1/status >"$scratch/status"
for part in '"busy":1' '"queued":2' '"queue_full":1' '"no_space":1' '"too_large":1'; do
    grep -qF "$part" "$scratch/status" || fail "no $part in $(cat "$scratch/status")"
done
get /metrics >"$scratch/metrics"
grep -qx 'diffaid_refused_total{cause="queue_full"} 1' "$scratch/metrics" || fail "/metrics does not count it"
[ "$(status_of -X DELETE "$url/v1/jobs/$long")" = 204 ] || fail "delete: $(cat "$scratch/body")"
end_service TERM
[ "$ended" = 0 ] || fail "ended with $ended"
