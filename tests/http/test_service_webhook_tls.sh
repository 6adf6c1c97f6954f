#!/bin/bash
# A job calls back over TLS: never to a receiver whose certificate is not trusted; signed, so that someone else's code
# verifies it; counted. Trust is the machine's own store: a mount namespace gives this test a store of its own.
if [ "${2:-}" != apart ]; then
    command -v openssl >/dev/null || { echo "skipped: takes openssl"; exit 77; }
    unshare -m true 2>/dev/null || { echo "skipped: no mount namespace is allowed here"; exit 77; }
    exec unshare -m "$0" "$1" apart
fi
. "$(dirname "$0")/service_steps.sh"
store=/etc/ssl/certs/ca-certificates.crt
[ -f $store ] || { echo "skipped: there is no $store to mount on"; exit 77; }
make_model "$models/a.safetensors" 1000
echo "whsec_$(head -c 32 /dev/urandom | base64)" >"$scratch/secret"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$scratch/key.pem" -out "$scratch/certificate.pem" 2>"$scratch/openssl" || fail "$(cat "$scratch/openssl")"
python3 "$(dirname "$0")/receive_webhooks.py" "$scratch/certificate.pem" "$scratch/key.pem" "$scratch/secret" "$scratch" &
receiver=$!
trap 'kill $receiver; finish' EXIT
within 20 test -s "$scratch/port"
callback="https://localhost:$(cat "$scratch/port")/hook"

submit_callback() { # prints the job's id
    curl -sS --fail-with-body -H 'Content-Type: application/json' "$url/v1/jobs" \
        -d "{\"models\":[\"a.safetensors\"],\"callback_url\":\"$callback\"}" | member id
}
callback_is() { get "/v1/jobs/$1" | grep -q "\"callback\":{\"state\":\"$2\""; } # JOB STATE
count_is() { metrics_say "diffaid_callback_attempts_total{state=\"$1\"} $2"; }

start_service --workers 1 --webhook-secret-file "$scratch/secret" --webhook-allow localhost
id=$(submit_callback)
untrusted() { grep '"event":"callback"' "$scratch/log" | grep "$id" | grep -qi certificate; }
within 20 untrusted
callback_is "$id" pending || fail "$(get "/v1/jobs/$id")"
within 5 count_is pending 1
[ ! -e "$scratch/good" ] && [ ! -e "$scratch/bad" ] || fail "told a receiver that is not trusted"
end_service TERM

mount --bind "$scratch/certificate.pem" $store
start_service --workers 1 --webhook-secret-file "$scratch/secret" --webhook-allow localhost
within 30 callback_is "$id" delivered # what was due is tried again after the restart
second=$(submit_callback)
within 20 callback_is "$second" delivered
printf 'msg_%s succeeded\n' "$id" "$second" | sort | diff - <(sort "$scratch/good") || fail "the receiver saw something else"
[ ! -e "$scratch/bad" ] || fail "a signature did not verify: $(cat "$scratch/bad")"
within 5 count_is delivered 2
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
