#!/bin/bash
# An upload in pieces: cut, killed, continued from the offset that HEAD tells, and whole in the end.
. "$(dirname "$0")/service_steps.sh"
make_model "$scratch/base.safetensors" 1000
# 20 MB that no offset resembles.
{ seq 3000000 || true; } 2>/dev/null | head -c 20000000 >"$scratch/file"
sum=$(sha256sum "$scratch/file" | cut -d ' ' -f 1)
start_service --workers 1

head_of() { curl -sS --max-time 30 -I "$url$1" | tr -d '\r'; }
field() { sed -n "s/^$1: //Ip" | head -n 1; } # NAME: of headers on standard input
offset_of() { head_of "$1" | field Upload-Offset; }
patch() { # UPLOAD OFFSET COMPLETE CURL-ARGUMENT…; the piece is $scratch/piece
    tail -c +$(($2 + 1)) "$scratch/file" >"$scratch/piece"
    status_of -D "$scratch/headers" -X PATCH -H 'Content-Type: application/partial-upload' -H "Upload-Offset: $2" \
        -H "Upload-Complete: $3" --data-binary "@$scratch/piece" "${@:4}" "$url$1"
}

[ "$(status_of -D "$scratch/headers" -X POST -H 'Upload-Complete: ?0' -H 'Upload-Length: 20000000' \
    -H 'Content-Disposition: attachment; filename="file.bin"' \
    -H "Repr-Digest: sha-256=:$(printf "$(sed "s/../\\\\x&/g" <<<"$sum")" | base64):" "$url/v1/uploads")" = 201 ] || fail "$(cat "$scratch/body")"
at=$(tr -d '\r' <"$scratch/headers" | field Location)
tr -d '\r' <"$scratch/headers" | grep -qi '^Upload-Limit: max-size=' || fail "no limits are told"
id=${at##*/}
head_of "$at" | grep -qi '^Cache-Control: no-store' || fail "HEAD may be stored"
[ "$(offset_of "$at")" = 0 ] || fail "a new upload has $(offset_of "$at") bytes"

# A cut keeps what came, and so does a kill: all of what HEAD told before it.
patch "$at" 0 '?1' --limit-rate 3M --max-time 1 >/dev/null 2>&1 && fail "not cut"
came() { [ "$(offset_of "$at")" -gt 0 ]; }
within 10 came
offset=$(offset_of "$at")
[ "$offset" -lt 20000000 ] || fail "not cut"
get /v1/uploads | grep -q "\"is_complete\":false,\"offset\":$offset,\"length\":20000000" || fail "not listed: $(get /v1/uploads)"
end_service KILL
start_service --workers 1
[ "$(offset_of "$at")" = "$offset" ] || fail "HEAD told $offset before a kill and $(offset_of "$at") after it"
cmp -n "$offset" "$state/uploads/$id" "$scratch/file" || fail "the disk has other bytes"

# Killed in the middle of a piece.
(patch "$at" "$offset" '?1' --limit-rate 3M 2>/dev/null || true) >/dev/null &
grows() { [ "$(stat -c %s "$state/uploads/$id")" -gt $((offset + 1000000)) ]; }
within 10 grows
end_service KILL
wait
start_service --workers 1
offset=$(offset_of "$at")

# Not a model yet; not at another offset; not by another type.
request="{\"models\":[{\"upload\":\"$id\"}]}"
[ "$(status_of -H 'Content-Type: application/json' -d "$request" "$url/v1/jobs")" = 409 ] || fail "$(cat "$scratch/body")"
grep -q /problems/upload-incomplete "$scratch/body" || fail "$(cat "$scratch/body")"
[ "$(patch "$at" $((offset + 1)) '?0')" = 409 ] || fail "another offset: $(cat "$scratch/body")"
[ "$(tr -d '\r' <"$scratch/headers" | field Upload-Offset)" = "$offset" ] || fail "the true offset is not told"
[ "$(status_of -X PATCH -H "Upload-Offset: $offset" -d x "$url$at")" = 415 ] || fail "$(cat "$scratch/body")"

# A new PATCH cuts an old one that does not get on.
exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
printf 'PATCH %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/partial-upload\r\nUpload-Offset: %s\r\nContent-Length: 100000\r\n\r\n' "$at" "$offset" >&3
head -c $((offset + 1000)) "$scratch/file" | tail -c 1000 >&3
thousand() { [ "$(stat -c %s "$state/uploads/$id")" = $((offset + 1000)) ]; }
within 10 thousand
[ "$(patch "$at" $((offset + 1000)) '?0' --max-time 30)" = 204 ] || fail "the rest: $(cat "$scratch/body")"
exec 3>&-
[ "$(offset_of "$at")" = 20000000 ] || fail "$(offset_of "$at") bytes"
[ "$(patch "$at" 20000000 '?1')" = 200 ] || fail "the end: $(cat "$scratch/body")"
grep -q "\"is_complete\":true,\"sha256\":\"$sum\"" "$scratch/body" || fail "another digest: $(cat "$scratch/body")"
cmp "$state/uploads/$id" "$scratch/file" || fail "other bytes"
[ "$(patch "$at" 20000000 '?1')" = 409 ] || fail "added to a complete upload: $(cat "$scratch/body")"

# A piece that was damaged on its way is not kept.
digest() { printf %s "$1" | openssl dgst -sha256 -binary | base64; }
[ "$(status_of -D "$scratch/headers" -X POST -H 'Upload-Complete: ?0' -H "Content-Digest: sha-256=:$(digest some):" -d some "$url/v1/uploads")" = 201 ] ||
    fail "$(cat "$scratch/body")"
at=$(tr -d '\r' <"$scratch/headers" | field Location)
piece() { # SENT ANNOUNCED
    status_of -X PATCH -H 'Content-Type: application/partial-upload' -H 'Upload-Offset: 4' -H "Content-Digest: sha-256=:$(digest "$2"):" -d "$1" "$url$at"
}
[ "$(piece Xhing thing)" = 422 ] || fail "a damaged piece: $(cat "$scratch/body")"
[ "$(offset_of "$at")" = 4 ] || fail "a damaged piece was kept"
[ "$(piece thing thing)" = 204 ] || fail "the piece again: $(cat "$scratch/body")"
[ "$(offset_of "$at")" = 9 ] || fail "$(offset_of "$at") bytes"
[ "$(status_of -X DELETE "$url$at")" = 204 ] || fail "not cancelled"
[ "$(status_of -X POST -H 'Upload-Complete: ?0' -H "Content-Digest: sha-256=:$(digest other):" -d some "$url/v1/uploads")" = 422 ] ||
    fail "a damaged first piece: $(cat "$scratch/body")"

# Cancelled: nothing is left. And POST alone takes a whole file.
[ "$(status_of -D "$scratch/headers" -X POST -H 'Upload-Complete: ?0' -d some "$url/v1/uploads")" = 201 ] || fail "$(cat "$scratch/body")"
at=$(tr -d '\r' <"$scratch/headers" | field Location)
[ "$(offset_of "$at")" = 4 ] || fail "the first piece came not with its POST"
[ "$(status_of -X DELETE "$url$at")" = 204 ] || fail "not cancelled"
[ "$(status_of -I "$url$at")" = 404 ] || fail "still there"
[ "$(status_of --data-binary "@$scratch/base.safetensors" -H 'Content-Type: application/octet-stream' "$url/v1/uploads")" = 201 ] || fail "$(cat "$scratch/body")"
[ "$(ls "$state/uploads" | wc -l)" = 2 ] || fail "files are left: $(ls "$state/uploads")"
