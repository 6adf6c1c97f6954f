#!/bin/bash
# SIGTERM: no new work, running jobs finish or go back to the queue, status 0. A second one: at once.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models

start_service
end_service TERM
[ $ended = 0 ] || fail "idle: ended with $ended"
start_service
end_service INT
[ $ended = 0 ] || fail "interrupted: ended with $ended"

start_service --workers 1 --threads 1 --grace 4s
job=$(submit_long)
within 10 is_scanning "$job"
begin=$(milliseconds)
end_service TERM
took=$(($(milliseconds) - begin))
[ $ended = 0 ] || fail "busy: ended with $ended"
[ $took -lt 4500 ] || fail "busy: took $took ms of 4000"
[ -z "$(ls "$state/results")" ] || fail "files are left: $(ls "$state/results")"
start_service --workers 1 --threads 1 --grace 30s
within 5 state_is "$job" running
attempt_is "$job" 2 || fail "the job was not given back: $(get "/v1/jobs/$job")"

begin=$(milliseconds)
kill -TERM "$service"
within 5 grep -q '"event":"ending' "$scratch/log"
end_service TERM
took=$(($(milliseconds) - begin))
[ $took -lt 3000 ] || fail "the second signal took $took ms"
[ $ended = 143 ] || fail "the second signal: ended with $ended"

# What the settings promise: unknown ones are refused and named, the open network needs a word.
for refused in '--worker 2' '--listen 0.0.0.0:0' '--listen nonsense' '--workers many' '--models-root /nowhere'; do
    status=0
    # shellcheck disable=SC2086 # the flag and its value are two words
    "$diffaid" serve --state-dir "$state" $refused 2>"$scratch/message" || status=$?
    [ $status = 2 ] || fail "$refused: status $status"
done
{ "$diffaid" serve --worker 2 2>&1 || true; } | grep -q 'did you mean --workers' || fail "no hint at the nearest flag"

# Two services never share a state directory.
start_service
status=0
"$diffaid" serve --listen 127.0.0.1:0 --state-dir "$state" 2>"$scratch/message" || status=$?
[ $status = 3 ] || fail "second service: status $status"
grep -q 'another service' "$scratch/message" || fail "second service: $(cat "$scratch/message")"
