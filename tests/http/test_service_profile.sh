#!/bin/bash
# A job with one model is its profile: no verdict, no statuses, pages of records all the same.
. "$(dirname "$0")/service_steps.sh"
cp tests/fixtures/good/base.safetensors "$models/a.safetensors"
start_service --workers 1

run() { # BODY: prints the finished job
    curl -sS --fail-with-body --max-time 30 -H 'Content-Type: application/json' -H 'Prefer: wait=30' "$url/v1/jobs" -d "$1"
}
has() { grep -qE -- "$1" "$scratch/body" || { head -c 2000 "$scratch/body" >&2; fail "lacks $1"; }; }
lacks() { ! grep -qE -- "$1" "$scratch/body" || fail "has $1"; }

run '{"models":["a.safetensors"],"analyses":["stats","architecture_comparison","memory_analysis","anomaly_detection","gradient_analysis"],"options":{"digest":true}}' >"$scratch/body"
has '"state":"succeeded"' && lacks '"(summary|verdict)"' && has '"models":\["a\.safetensors"\]'
id=$(member id <"$scratch/body")
[ "$(status_of "$url/v1/jobs/$id/result")" = 200 ] || fail "no result"
has '^\{"role":"model","uri":"a\.safetensors"' && lacks '"(summary|status|alignment|delta)":'
digest=$("$diffaid" inspect "$models/a.safetensors" --digest)
has "\"digest\":\{\"model\":\"${digest%% *}\"" && has '^"gradient_analysis":\{"available":false'
for form in 'text/plain|^a\.safetensors: 111 tensors' 'text/plain|^anomaly_detection: worst=none' 'text/markdown|^111 tensors' \
    'application/x-ndjson|^\{"name":"model\.norm\.weight"' 'application/junit\+xml|111 tensors'; do
    accept=${form%%|*}
    [ "$(status_of -H "Accept: ${accept//\\/}" "$url/v1/jobs/$id/result")" = 200 ] || fail "$accept: $(cat "$scratch/body")"
    has "${form#*|}"
done
[ "$(status_of "$url/v1/jobs/$id/tensors?sort=change_magnitude&page_size=2")" = 200 ] || fail "$(cat "$scratch/body")"
has '^\{"tensors":\[\{"name":"lm_head\.weight"' && has '"total_size":111' && has '"stats":\{"dtype":"F32"' && lacks '"status"'
[ "$(status_of "$url/v1/jobs/$id/tensors?sort=name&order=descending&page_size=1")" = 200 ] && has '"name":"model\.norm\.weight"'
for status in bit_equal not_compared; do # no record has any
    [ "$(status_of "$url/v1/jobs/$id/tensors?status=$status")" = 200 ] && has '"tensors":\[\],.*"total_size":0'
done

# None named means stats; analyses and rules that need a second model are refused before there is a job.
run '{"models":["a.safetensors"]}' >"$scratch/body" && has '"analyses":\["stats"\]'
refused() { # BODY PATTERN
    [ "$(status_of -H 'Content-Type: application/json' -d "$1" "$url/v1/jobs")" = 422 ] || fail "$(cat "$scratch/body")"
    has "$2"
}
refused '{"models":["a.safetensors"],"analyses":["stats","layer_impact"]}' '"/analyses/1".*needs at least 2 models, 1 given'
refused '{"models":["a.safetensors"],"gate":[{"metric":"change_summary.class","equals":"identical"}]}' '"/gate/0".*needs at least 2'
refused '{"models":["a.safetensors","a.safetensors"],"options":{"digest":true}}' '"/options/digest".*takes one model'
refused '{"models":[]}' '"/models".*must hold 1 to 64 models'
run '{"models":["a.safetensors"],"gate":[{"metric":"anomaly_detection.worst","max":"warning"}]}' >"$scratch/body"
[ "$(status_of "$url/v1/jobs/$(member id <"$scratch/body")/result")" = 200 ] && has '"passed":true'
