#!/bin/bash
# A running job stops within a second, in the middle of a tensor of gigabytes; a deleted one leaves nothing.
. "$(dirname "$0")/service_steps.sh"
make_long_models
start_service --workers 1 --threads 1

job=$(submit_long)
within 10 is_scanning "$job"
begin=$(milliseconds)
[ "$(status_of -X POST "$url/v1/jobs/$job:cancel")" = 202 ] || fail "cancel: $(cat "$scratch/body")"
within 5 state_is "$job" cancelled
took=$(($(milliseconds) - begin))
echo "cancelled after $took ms"
[ $took -lt 1000 ] || fail "cancelling took $took ms"
[ "$(status_of -X POST "$url/v1/jobs/$job:cancel")" = 200 ] || fail "a second cancel: $(cat "$scratch/body")"
[ "$(status_of "$url/v1/jobs/$job/result")" = 409 ] || fail "a cancelled job has a result"

# A worker that does not hear is killed after two seconds, and the next one takes over.
job=$(submit_long)
within 10 is_scanning "$job"
for worker in $(workers); do kill -STOP "$worker"; done
[ "$(status_of -X POST "$url/v1/jobs/$job:cancel")" = 202 ] || fail "cancel: $(cat "$scratch/body")"
within 6 state_is "$job" cancelled
metrics_say 'diffaid_worker_deaths_total{cause="stop"} 1' || fail "a worker that was killed is not counted"

job=$(submit_long)
within 10 is_scanning "$job"
[ "$(status_of -X DELETE "$url/v1/jobs/$job")" = 204 ] || fail "delete: $(cat "$scratch/body")"
[ -z "$(ls "$state/results")" ] || fail "files are left: $(ls "$state/results")"
[ "$(status_of "$url/v1/jobs/$job")" = 404 ] || fail "a deleted job is still there"

# The deadline ends a job for good.
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
start_service --workers 1 --threads 1 --job-timeout 500ms
job=$(submit_long)
within 10 state_is "$job" failed
get "/v1/jobs/$job" | grep -q 'job-timeout' || fail "no cause: $(get "/v1/jobs/$job")"
attempt_is "$job" 1 || fail "a deadline was tried again"
