#!/bin/bash
# A job calls back: what the service says of it, refuses, and keeps across a restart. The receiver is the service itself,
# which takes no POST at /livez.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
echo "whsec_$(head -c 32 /dev/urandom | base64)" >"$scratch/secret"

submit_callback() { # URL: status
    status_of -H 'Content-Type: application/json' -d "{\"models\":[\"a.safetensors\"],\"callback_url\":\"$1\"}" "$url/v1/jobs"
}
start_service --workers 1
[ "$(submit_callback https://example.org/)" = 422 ] || fail "a service without a secret took a callback"
grep -q webhook-secret-file "$scratch/body" || fail "not said why: $(cat "$scratch/body")"
end_service TERM

start_service --workers 1 --webhook-secret-file "$scratch/secret"
for bad in "$url/livez" https://127.0.0.1/ https://10.1.2.3/ https://169.254.169.254/ https://a:b@example.org/ ftp://example.org/; do
    [ "$(submit_callback "$bad")" = 422 ] || fail "$bad: $(cat "$scratch/body")"
done
end_service TERM

start_service --workers 1 --webhook-secret-file "$scratch/secret" --webhook-allow 127.0.0.1
[ "$(submit_callback "$url/livez?token=hidden")" = 202 ] || fail "$(cat "$scratch/body")"
id=$(member id <"$scratch/body")
tried() { get "/v1/jobs/$id" | grep -q '"callback":{"state":"pending","attempts":1,"last_status":405,'; }
within 20 tried
end_service KILL
start_service --workers 1 --webhook-secret-file "$scratch/secret" --webhook-allow 127.0.0.1
tried_again() { get "/v1/jobs/$id" | grep -q '"callback":{"state":"pending","attempts":2,'; }
within 20 tried_again # another port answers by now, or none: the attempt counts
grep -q hidden "$scratch/log" && fail "the log tells a URL"
get "/v1/jobs/$id" | grep -q hidden && fail "the job tells its callback's URL"
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
echo nonsense >"$scratch/secret"
"$diffaid" serve --listen 127.0.0.1:0 --state-dir "$state" --webhook-secret-file "$scratch/secret" 2>"$scratch/log" && fail "a bad secret was taken"
grep -q whsec_ "$scratch/log" || fail "not said what is wrong: $(cat "$scratch/log")"
