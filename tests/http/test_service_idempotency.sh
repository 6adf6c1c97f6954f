#!/bin/bash
# One key, one job: of 200 requests at once, after a kill and a restart, and until the job is deleted.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
start_service --workers 1

body='{"models":["a.safetensors","b.safetensors"],"labels":{"n":"1"}}'
post() { # KEY BODY CURL-ARGUMENT…: status; the answer is in $scratch/body
    status_of -D "$scratch/headers" -H 'Content-Type: application/json' -H "Idempotency-Key: $1" -d "$2" "${@:3}" \
        "$url/v1/jobs"
}
jobs() { get /v1/jobs?page_size=1000 | grep -o '"state":' | wc -l; }

urls=()
for _ in $(seq 200); do urls+=("$url/v1/jobs" -o /dev/null); done
curl -sS --max-time 60 -Z --parallel-immediate --parallel-max 200 -w '%{http_code}\n' -H 'Content-Type: application/json' \
    -H 'Idempotency-Key: storm' -d "$body" "${urls[@]}" >"$scratch/codes"
grep -qvE '^(202|409)$' "$scratch/codes" && fail "of the storm: $(sort "$scratch/codes" | uniq -c)"
grep -q 202 "$scratch/codes" || fail "none of the storm was accepted"
[ "$(jobs)" = 1 ] || fail "the storm made $(jobs) jobs"
[ "$(post storm "$body")" = 202 ] || fail "again: $(cat "$scratch/body")"
id=$(member id <"$scratch/body")
grep -qi '^Idempotency-Replayed: true' "$scratch/headers" || fail "not said to be a replay"

# Other blanks and another order are the same request; another label is not.
[ "$(post storm '{"labels": {"n": "1"}, "models": ["a.safetensors", "b.safetensors"]}')" = 202 ] || fail "reordered: $(cat "$scratch/body")"
[ "$(post storm "${body/1/2}")" = 422 ] || fail "another request: $(cat "$scratch/body")"
grep -q /problems/idempotency-key-reused "$scratch/body" || fail "another problem: $(cat "$scratch/body")"
[ "$(post 'two, keys' "$body")" = 400 ] || fail "two keys: $(cat "$scratch/body")"

# A refused request leaves its key free.
[ "$(post free '{"models":["none"]}')" = 404 ] || fail "a model that is not there: $(cat "$scratch/body")"
[ "$(post free "$body")" = 202 ] || fail "the key is taken: $(cat "$scratch/body")"

# Killed, and the models gone: still that job, finished by now.
within 10 state_is "$id" succeeded
end_service KILL
rm "$models/a.safetensors"
start_service --workers 1
[ "$(post '"storm"' "$body" -H 'Prefer: wait=30')" = 200 ] || fail "after a restart: $(cat "$scratch/body")"
[ "$(member id <"$scratch/body")" = "$id" ] || fail "another job after a restart"
grep -qi '^Idempotency-Replayed: true' "$scratch/headers" || fail "not said to be a replay after a restart"
[ "$(jobs)" = 2 ] || fail "there are $(jobs) jobs"

# The key goes with its job.
[ "$(status_of -X DELETE "$url/v1/jobs/$id")" = 204 ] || fail "not deleted"
[ "$(post storm "$body")" = 404 ] || fail "the key outlived its job: $(cat "$scratch/body")"
