#!/bin/bash
# Files and request in one multipart form: one curl from files to result, and no file without a job.
. "$(dirname "$0")/service_steps.sh"
make_model "$scratch/a.safetensors" 1000
make_model "$scratch/b.safetensors" 200000
make_model "$models/base.safetensors" 1000
start_service --workers 1

form() { status_of -D "$scratch/headers" -H 'Prefer: wait=30' "$@" "$url/v1/jobs"; } # CURL-ARGUMENT…
files() { ls "$state/uploads" | wc -l; }
three() { [ "$(files)" = 3 ]; }
request='request={"analyses":["stats","layer_impact"],"labels":{"n":"1"}};type=application/json'

[ "$(form -F "models=@$scratch/a.safetensors" -F "models=@$scratch/b.safetensors" -F "$request")" = 200 ] ||
    fail "one curl: $(cat "$scratch/body")"
id=$(member id <"$scratch/body")
get "/v1/jobs/$id/result" | grep -q 'upload:b.safetensors' || fail "the files' names are not shown"
[ "$(get /v1/uploads | grep -o "$(sha256sum "$scratch/b.safetensors" | cut -d ' ' -f 1)" | wc -l)" = 1 ] || fail "b is not there whole"
[ "$(files)" = 2 ] || fail "$(files) files"

# On a connection that was used before; the request first, and a model that lies on the server.
curl -sS --max-time 60 "$url/livez" -o /dev/null --next -sS --max-time 60 -o "$scratch/body" -w '%{http_code} %{num_connects}' \
    -H 'Prefer: wait=30' -F 'request={"models":["base.safetensors"]};type=application/json' \
    -F "models=@$scratch/b.safetensors;filename=ä ö.bin" "$url/v1/jobs" >"$scratch/code"
[ "$(cat "$scratch/code")" = '200 0' ] || fail "reused connection: $(cat "$scratch/code" "$scratch/body")"
get "/v1/jobs/$(member id <"$scratch/body")/result" | grep -q "upload:ä ö.bin" || fail "another filename"
[ "$(files)" = 3 ] || fail "$(files) files"

# The request within a form is held to the same bound as one alone.
head -c 3000000 /dev/zero >"$scratch/long"
[ "$(form -F "models=@$scratch/a.safetensors" -F "request=<$scratch/long")" = 413 ] ||
    fail "a request of 3 MB in a form: $(cat "$scratch/body")"
within 5 three # what the refused form had brought goes once the rest of it has been dropped

# A refused form leaves nothing; nor does one that is cut, or one whose service is killed.
[ "$(form -F "models=@$scratch/a.safetensors" -F 'request={"models":["none"]};type=application/json')" = 404 ] || fail "$(cat "$scratch/body")"
[ "$(form -F "models=@$scratch/a.safetensors" -F 'request=nonsense')" = 422 ] || fail "$(cat "$scratch/body")"
[ "$(files)" = 3 ] || fail "a refused form left files"
make_model "$scratch/big.safetensors" 20000000
curl -sS --limit-rate 200k -o /dev/null -F "models=@$scratch/big.safetensors" -H 'Idempotency-Key: slow' "$url/v1/jobs" 2>/dev/null &
slow=$!
four() { [ "$(files)" = 4 ]; }
within 10 four
[ "$(form -H 'Idempotency-Key: slow' -F "models=@$scratch/a.safetensors")" = 409 ] || fail "in flight: $(cat "$scratch/body")"
kill $slow
within 10 three
[ "$(form -H 'Idempotency-Key: slow' -F "models=@$scratch/a.safetensors")" = 200 ] || fail "the key stayed held: $(cat "$scratch/body")"
slow_id=$(member id <"$scratch/body")

# The same form again is the same job, also after a restart, and another file is another request.
end_service KILL
start_service --workers 1
[ "$(form -H 'Idempotency-Key: slow' -F "models=@$scratch/a.safetensors")" = 200 ] || fail "again: $(cat "$scratch/body")"
[ "$(member id <"$scratch/body")" = "$slow_id" ] || fail "another job"
grep -qi '^Idempotency-Replayed: true' "$scratch/headers" || fail "not said to be a replay"
[ "$(form -H 'Idempotency-Key: slow' -F "models=@$scratch/b.safetensors")" = 422 ] || fail "another file: $(cat "$scratch/body")"
[ "$(files)" = 4 ] || fail "a replay left $(files) files"
