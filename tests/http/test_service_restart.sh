#!/bin/bash
# Every accepted job reaches its end, however often and whenever the service is killed.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 100000
make_model "$models/b.safetensors" 100000
make_long_models

start_service --workers 2 --threads 1
long=$(submit_long)
within 10 is_scanning "$long"
jobs=()
for _ in 1 2 3 4 5; do
    for _ in 1 2 3 4; do jobs+=("$(submit a.safetensors b.safetensors)"); done
    end_service KILL
    start_service --workers 2 --threads 1
done
for job in "${jobs[@]}"; do
    within 30 state_is "$job" succeeded
    [ "$(status_of "$url/v1/jobs/$job/result")" = 200 ] || fail "a succeeded job has no result"
    grep -q '"verdict":"identical"' "$scratch/body" || fail "the result is not whole"
done

# The long one came back each time, without using up an attempt's worth of crashes.
within 10 state_is "$long" running
attempt_is "$long" 6 || fail "the long job should be at its sixth attempt: $(get "/v1/jobs/$long")"
[ "$(status_of -X POST "$url/v1/jobs/$long:cancel")" = 202 ] || fail "cancel was not accepted: $(cat "$scratch/body")"
within 5 state_is "$long" cancelled

# A wish to cancel that was answered with 202 outlives a kill.
again=$(submit_long)
within 10 is_scanning "$again"
for worker in $(workers); do kill -STOP "$worker"; done # they cannot hear it
[ "$(status_of -X POST "$url/v1/jobs/$again:cancel")" = 202 ] || fail "cancel was not accepted"
end_service KILL
start_service --workers 2 --threads 1
state_is "$again" cancelled || fail "the wish to cancel was lost: $(get "/v1/jobs/$again")"

# Nothing temporary is left when all is done.
[ -z "$(find "$state/results" -name '*.tmp')" ] || fail "temporary files are left: $(ls "$state/results")"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
