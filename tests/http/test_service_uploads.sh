#!/bin/bash
# Uploads: on disk before 201, compared by id, kept while in use, nothing left of a broken one.
. "$(dirname "$0")/service_steps.sh"
make_model "$scratch/small.safetensors" 100000
start_service --workers 1

upload() { curl -sS --fail-with-body -T "$1" "$url/v1/uploads/${1##*/}" | member id; }

id=$(upload "$scratch/small.safetensors")
get "/v1/uploads/$id" | grep -q "$(sha256sum "$scratch/small.safetensors" | cut -d ' ' -f 1)" || fail "another digest"
end_service KILL
start_service --workers 1 --upload-limit 1M
cmp "$state/uploads/$id" "$scratch/small.safetensors" || fail "the upload did not survive a kill"

job=$(curl -sS -H 'Content-Type: application/json' "$url/v1/jobs" \
    -d "{\"models\":[{\"upload\":\"$id\"},{\"upload\":\"$id\"}]}" | member id)
within 10 state_is "$job" succeeded
get "/v1/jobs/$job/result" | grep -q 'upload:small.safetensors' || fail "the upload's name is not shown"

# Larger than allowed: 413, and no file.
head -c 2000000 /dev/zero >"$scratch/two"
[ "$(status_of -T "$scratch/two" "$url/v1/uploads/two")" = 413 ] || fail "2 MB: $(cat "$scratch/body")"
# Cut in the middle: no file either.
curl -sS --limit-rate 100k --max-time 1 -T "$scratch/small.safetensors" "$url/v1/uploads/cut" 2>/dev/null && fail "not cut"
only_whole() { [ "$(ls "$state/uploads")" = "$id" ]; }
within 10 only_whole
# The client's last bytes and its end come in one piece: noticed all the same, long before the connection idles out.
for _ in 1 2 3 4 5; do
    exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
    printf 'PUT /v1/uploads/cut HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n' >&3
    two_files() { [ "$(ls "$state/uploads" | wc -l)" = 2 ]; }
    within 10 two_files
    printf 'the last of it' >&3
    exec 3>&-
    within 5 only_whole
done
get /v1/uploads | grep -q '"cut"' && fail "a broken upload is listed"

# In use by a job that has not ended: it stays. A stopped worker makes the moment last.
for worker in $(workers); do kill -STOP "$worker"; done
job=$(curl -sS -H 'Content-Type: application/json' "$url/v1/jobs" \
    -d "{\"models\":[{\"upload\":\"$id\"},{\"upload\":\"$id\"}]}" | member id)
[ "$(status_of -X DELETE "$url/v1/uploads/$id")" = 409 ] || fail "in use: $(cat "$scratch/body")"
for worker in $(workers); do kill -CONT "$worker"; done
within 10 state_is "$job" succeeded
[ "$(status_of -X DELETE "$url/v1/uploads/$id")" = 204 ] || fail "not in use: $(cat "$scratch/body")"
[ -z "$(ls "$state/uploads")" ] || fail "files are left: $(ls "$state/uploads")"

# A start removes what no row knows, and nothing else.
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
stray=01a209be-3135-794b-a11d-ddaae933eb87
touch "$state/uploads/$stray" "$state/uploads/$stray.tmp" "$state/results/$stray.json" "$state/results/notes"
start_service
gone() { [ ! -e "$state/uploads/$stray" ] && [ ! -e "$state/uploads/$stray.tmp" ] && [ ! -e "$state/results/$stray.json" ]; }
within 10 gone
[ -e "$state/results/notes" ] || fail "a file that is not ours was removed"
