#!/bin/bash
# API keys on the real service: who is let in, whose jobs they see, and a keys file that changes under SIGHUP.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
make_long_models
keys=$scratch/keys

new_key() { # NAME ARGUMENT…: prints the key, adds its line to the file
    "$diffaid" keys new "$@" 2>/dev/null >"$scratch/made"
    tail -n 1 "$scratch/made" >>"$keys"
    head -n 1 "$scratch/made"
}
as() { # KEY CURL-ARGUMENT…: the status; the body is in $scratch/body
    status_of -H "Authorization: Bearer $1" "${@:2}"
}
post_request() { as "$1" -H 'Content-Type: application/json' -d "$2" "$url/v1/jobs"; } # KEY BODY
post() { post_request "$1" "{\"models\":[\"$2\",\"$3\"]}"; }                      # KEY A B
expect() { [ "$2" = "$1" ] || fail "$3: $2 instead of $1: $(cat "$scratch/body")"; } # WANTED GOT WHAT

alice=$(new_key alice --scope read,submit)
bob=$(new_key bob --scope read,submit --queued 2)
watch=$(new_key watch --scope read)
root=$(new_key root --scope admin)
chmod 644 "$keys"

# Beyond loopback it takes keys, or a word that it shall be open.
status=0
"$diffaid" serve --listen 0.0.0.0:0 --state-dir "$state" 2>"$scratch/message" || status=$?
[ $status = 2 ] && grep -q -- '--api-keys-file' "$scratch/message" || fail "an open door: $status $(cat "$scratch/message")"

start_service --workers 1 --threads 1 --api-keys-file "$keys"
grep -q '"event":"the API keys file is open to others".*"mode":"0644"' "$scratch/log" || fail "no warning of the mode"
for open in / /livez /readyz /version /openapi.yaml /problems/busy; do
    expect 200 "$(status_of "$url$open")" "$open without a key"
done
expect 401 "$(status_of "$url/v1/jobs")" "no key"
expect 401 "$(as "${alice}x" "$url/v1/jobs")" "a wrong key"
expect 403 "$(post "$watch" a.safetensors b.safetensors)" "a key that may only read"
grep -q '"type":"/problems/forbidden"' "$scratch/body" || fail "not a problem: $(cat "$scratch/body")"

# What alice owns is not there for bob, whatever he does with it.
expect 202 "$(post "$alice" a.safetensors b.safetensors)" "alice submits"
job=$(member id <"$scratch/body")
expect 200 "$(as "$alice" -H 'Prefer: wait=30' "$url/v1/jobs/$job")" "alice waits"
grep -q '"owner":"alice","state":"succeeded"' "$scratch/body" || fail "alice's job: $(cat "$scratch/body")"
expect 201 "$(as "$alice" -T "$models/a.safetensors" "$url/v1/uploads/mine")" "alice uploads"
upload=$(member id <"$scratch/body")
for path in "/v1/jobs/$job" "/v1/jobs/$job/result" "/v1/jobs/$job/tensors" "/v1/uploads/$upload"; do
    expect 200 "$(as "$alice" "$url$path")" "alice $path"
    expect 404 "$(as "$bob" "$url$path")" "bob $path"
    expect 200 "$(as "$root" "$url$path")" "root $path"
done
expect 404 "$(as "$bob" -X POST "$url/v1/jobs/$job:cancel")" "bob cancels"
expect 404 "$(as "$bob" -X DELETE "$url/v1/jobs/$job")" "bob deletes"
expect 404 "$(as "$bob" -X DELETE "$url/v1/uploads/$upload")" "bob deletes the upload"
expect 404 "$(as "$bob" -H 'Content-Type: application/json' "$url/v1/jobs" \
    -d "{\"models\":[\"a.safetensors\",{\"upload\":\"$upload\"}]}")" "bob compares alice's upload"
as "$bob" "$url/v1/jobs" >/dev/null
grep -q '"jobs":\[\]' "$scratch/body" || fail "bob's list: $(cat "$scratch/body")"
as "$bob" "$url/v1/jobs?state=succeeded" >/dev/null
grep -q '"jobs":\[\]' "$scratch/body" || fail "bob's list by state: $(cat "$scratch/body")"
as "$bob" "$url/v1/uploads" >/dev/null
grep -q '"uploads":\[\]' "$scratch/body" || fail "bob's uploads: $(cat "$scratch/body")"
for who in "$alice" "$root"; do
    as "$who" "$url/v1/jobs?state=succeeded" >/dev/null
    grep -q "$job" "$scratch/body" || fail "the list lacks the job: $(cat "$scratch/body")"
done

# One runs, two wait, and the next is bob's own trouble: alice may still submit.
expect 202 "$(post_request "$bob" "$(long_request)")" "bob's first"
first=$(member id <"$scratch/body")
running() { as "$bob" "$url/v1/jobs/$first" >/dev/null && grep -q '"state":"running"' "$scratch/body"; }
within 10 running
expect 202 "$(post "$bob" a.safetensors b.safetensors)" "bob's second"
expect 202 "$(post "$bob" a.safetensors b.safetensors)" "bob's third"
expect 429 "$(post "$bob" a.safetensors b.safetensors -D "$scratch/headers")" "bob's fourth"
as "$bob" -D "$scratch/headers" -H 'Content-Type: application/json' -d '{"models":["a.safetensors","b.safetensors"]}' \
    "$url/v1/jobs" >/dev/null
grep -qi '^retry-after: [0-9]' "$scratch/headers" || fail "429 without Retry-After"
expect 202 "$(post "$alice" a.safetensors b.safetensors)" "alice beside bob"

# The file again at SIGHUP: a bad one changes nothing, a good one does.
echo "broken line" >>"$keys"
kill -HUP "$service"
within 5 grep -q '"event":"the API keys stay as they were"' "$scratch/log"
expect 200 "$(as "$watch" "$url/v1/jobs")" "the old keys"
grep -v -e broken -e '^watch ' "$keys" >"$scratch/keys.new"
mv "$scratch/keys.new" "$keys"
carol=$(new_key carol --scope read)
kill -HUP "$service"
within 5 grep -q '"event":"read the API keys again"' "$scratch/log"
expect 401 "$(as "$watch" "$url/v1/jobs")" "a key that was taken away"
expect 200 "$(as "$carol" "$url/v1/jobs")" "a key that was added"

within 5 grep -q '"key":"alice"' "$scratch/log"
for key in "$alice" "$bob" "$root"; do
    ! grep -q -e "$key" "$scratch/log" "$state"/diffaid.db* || fail "a key was written down"
done
expect 204 "$(as "$root" -X DELETE "$url/v1/jobs/$first")" "root deletes bob's"
end_service TERM
[ "$ended" = 0 ] || fail "ended with $ended"
