#!/bin/bash
# Health is answered while every connection is taken, on the service's own port and on the second one, which has nothing
# else to give.
. "$(dirname "$0")/service_steps.sh"
start_service --workers 1 --max-connections 8 --admin-port 0
admin=$(sed -n 's/.*"event":"admin port","host":"127.0.0.1","port":\([0-9]*\).*/\1/p' "$scratch/log")
[ -n "$admin" ] || fail "the log does not tell the admin port"
for path in /livez /readyz /version /openapi.yaml; do
    [ "$(status_of "http://127.0.0.1:$admin$path")" = 200 ] || fail "admin $path: $(cat "$scratch/body")"
done
for path in /v1/jobs /v1/analyses /v1/uploads/x; do
    [ "$(status_of "http://127.0.0.1:$admin$path")" = 404 ] || fail "admin $path: $(cat "$scratch/body")"
done
[ "$(status_of -X PUT -d x "http://127.0.0.1:$admin/v1/uploads/x")" = 503 ] || fail "an upload on the admin port"

port=${url##*:}
held=()
for _ in 1 2 3 4 5 6 7 8; do # connections that say nothing
    exec {fd}<>"/dev/tcp/127.0.0.1/$port"
    held+=("$fd")
done
is_full() { [ "$(status_of "$url/v1/jobs")" = 503 ]; }
within 5 is_full
for address in "$url" "http://127.0.0.1:$admin"; do
    for path in /livez /readyz; do
        [ "$(status_of "$address$path")" = 200 ] || fail "$address$path while full: $(cat "$scratch/body")"
    done
done
for fd in "${held[@]}"; do exec {fd}>&-; done
is_free() { [ "$(status_of "$url/v1/jobs")" = 200 ]; }
within 5 is_free

