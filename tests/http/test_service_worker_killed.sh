#!/bin/bash
# A worker's death costs its job one attempt of three, and nobody else anything.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models
start_service --workers 1 --threads 1

is_gone() { ! grep -q '^State:[[:space:]]*[RSDTtI]' "/proc/$1/status" 2>/dev/null; } # a zombie is gone
kill_workers() {
    local worker all
    all=$(workers)
    for worker in $all; do kill -KILL "$worker" 2>/dev/null || true; done
    for worker in $all; do within 10 is_gone "$worker"; done
}

# An idle worker's death costs nobody anything.
kill_workers
quick=$(submit a.safetensors b.safetensors)
within 10 state_is "$quick" succeeded
attempt_is "$quick" 1 || fail "an idle worker's death used up an attempt"

long=$(submit_long)
waiting=$(submit a.safetensors b.safetensors)
for attempt in 1 2 3; do
    within 20 attempt_is "$long" $attempt
    within 20 is_scanning "$long"
    kill_workers
done
within 20 state_is "$long" failed
get "/v1/jobs/$long" | grep -q 'worker-crashed\|SIGKILL in scan' || fail "no cause: $(get "/v1/jobs/$long")"
within 20 state_is "$waiting" succeeded
attempt_is "$waiting" 1 || fail "another job paid for it"
[ "$(status_of "$url/v1/models/inspect?path=a.safetensors")" = 200 ] || fail "the inspector did not come back"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
