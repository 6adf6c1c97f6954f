#!/bin/bash
# A model with an adapter, and rules of one's own, by way of the service.
. "$(dirname "$0")/service_steps.sh"
cp -r tests/fixtures/align/llama tests/fixtures/align/adapter tests/fixtures/align/merged tests/fixtures/align/qkv-apart \
    tests/fixtures/align/qkv-fused "$models"
start_service --workers 1

run() { # BODY: prints the finished job
    curl -sS --fail-with-body --max-time 30 -H 'Content-Type: application/json' -H 'Prefer: wait=30' "$url/v1/jobs" -d "$1"
}
has() { grep -qE -- "$1" "$scratch/body" || { head -c 2000 "$scratch/body" >&2; fail "lacks $1"; }; }
refused() { # BODY STATUS PATTERN
    [ "$(status_of -H 'Content-Type: application/json' -d "$1" "$url/v1/jobs")" = "$2" ] || fail "$(cat "$scratch/body")"
    has "$3"
}

run '{"models":[{"base":"llama","adapter":"adapter"},"merged"]}' >"$scratch/body"
has '"state":"succeeded"' && has '"models":\[\{"base":"llama","adapter":"adapter"\},"merged"\]'
id=$(member id <"$scratch/body")
[ "$(status_of "$url/v1/jobs/$id/result")" = 200 ] || fail "no result"
has '"uri":"llama \+ adapter"' && has '"adapter":\{"of":"baseline","verdict":"merged"' && has 'Adapter: merged; 3 of 3'

# The adapter as an upload.
curl -sS --fail-with-body -T tests/fixtures/align/adapter/adapter_model.safetensors "$url/v1/uploads/adapter.safetensors" >"$scratch/upload"
upload=$(member id <"$scratch/upload")
run "{\"models\":[{\"base\":{\"path\":\"llama\"},\"adapter\":{\"upload\":\"$upload\"}},\"merged\"]}" >"$scratch/body"
has '"state":"failed"' && has 'is no adapter that can be merged' # its configuration is not beside it
refused '{"models":[{"base":"llama","adapter":"none"},"merged"]}' 404 '"/models/0/adapter"'
refused '{"models":[{"base":"llama","adapter":"../etc"},"merged"]}' 422 '"/models/0/adapter"'
refused '{"models":[{"base":"llama"},"merged"]}' 422 'needs an \\"adapter\\"'

run '{"models":["qkv-apart","qkv-fused"],"options":{"align":{"rules":[
  {"name":"mine","target":"{p}.qkv_proj.weight","source":"{p}.q_proj.weight","part":"next"},
  {"name":"mine","target":"{p}.qkv_proj.weight","source":"{p}.k_proj.weight","part":"next"},
  {"name":"mine","target":"{p}.qkv_proj.weight","source":"{p}.v_proj.weight","part":"next"}]}}}' >"$scratch/body"
id=$(member id <"$scratch/body")
[ "$(status_of "$url/v1/jobs/$id/result")" = 200 ] && has '"rule":"mine"' && has '"verdict":"equivalent"'
refused '{"models":["qkv-apart","qkv-fused"],"options":{"align":{"rules":[{"target":"a{x}","source":"b"}]}}}' 422 \
    'rules/0/target'
echo "adapters by way of the service"
