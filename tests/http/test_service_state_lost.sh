#!/bin/bash
# A state directory that loses files under a running service, and one that has files too many: nothing is accepted that
# would not be kept, and nothing is kept that nobody can ask for.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models
start_service --workers 1 --threads 1
job=$(submit a.safetensors b.safetensors)
within 10 state_is "$job" succeeded
long=$(submit_long)
within 10 is_scanning "$long"
[ "$(status_of -X POST "$url/v1/jobs/$long:cancel")" = 202 ] || fail "cancel was not accepted: $(cat "$scratch/body")"
within 5 state_is "$long" cancelled
end_service TERM

# What a kill between a result's last rename and its commit leaves, of a job that was cancelled afterwards.
touch "$state/results/$long".{json,index,txt} "$state/results/$job".{json,index,txt}
start_service --workers 1
are_gone() { ! compgen -G "$state/results/$long*" >/dev/null; }
within 5 are_gone
[ -e "$state/results/$job.json" ] || fail "the sweep removed the files of a job that has a result"

# The store's file loses its name: a row that is written now is lost with the process.
mkdir "$scratch/aside"
mv "$state"/diffaid.db* "$scratch/aside"
[ "$(status_of -H 'Content-Type: application/json' "$url/v1/jobs" -d '{"models":["a.safetensors","b.safetensors"]}')" = 503 ] ||
    fail "accepted what cannot be kept: $(cat "$scratch/body")"
[ "$(status_of "$url/readyz")" = 503 ] || fail "ready without a store: $(cat "$scratch/body")"
metrics_say 'diffaid_store_failing 1' || fail "no alert could tell of the store"
metrics_say 'diffaid_ready 0' || fail "no alert could tell that the service is not ready"
mv "$scratch/aside"/diffaid.db* "$state"
accepted() {
    [ "$(status_of -H 'Content-Type: application/json' "$url/v1/jobs" \
        -d '{"models":["a.safetensors","b.safetensors"]}')" = 202 ]
}
within 5 accepted
[ "$(status_of "$url/readyz")" = 200 ] || fail "not ready again: $(cat "$scratch/body")"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
