#!/bin/bash
# A hostile or unlucky file harms its own job only: that ends failed with the cause, at once and at the first attempt.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000
printf '\377\377\377\377\377\377\377\177{' >"$models/length.safetensors"
head -c 500 "$models/a.safetensors" >"$models/cut.safetensors"
printf 'nothing that is a model\n' >"$models/text.txt"
{
    printf '\100\015\003\000\000\000\000\000'
    head -c 200000 /dev/zero | tr '\0' '['
} >"$models/deep.safetensors"
: >"$models/empty.safetensors"
fixtures=$(dirname "$0")/../fixtures
cp "$fixtures"/bad/hdf5-*.h5 "$fixtures"/twins/hdf5-old.* "$fixtures"/twins/hdf5-unread.h5 "$fixtures"/twins/model.keras "$fixtures"/twins/keras.npz "$models/"
start_service --workers 1 --threads 1

expect_failure() { # FILE CODE STATUS
    local job begin
    begin=$(milliseconds)
    job=$(submit a.safetensors "$1")
    within 5 state_is "$job" failed
    [ $(($(milliseconds) - begin)) -lt 2000 ] || fail "$1 took $(($(milliseconds) - begin)) ms"
    get "/v1/jobs/$job" >"$scratch/job"
    grep -q "\"code\":\"$2\"" "$scratch/job" || fail "$1: $(cat "$scratch/job")"
    grep -q "\"status\":$3" "$scratch/job" || fail "$1: $(cat "$scratch/job")"
    grep -q "$1" "$scratch/job" || fail "the error does not name $1: $(cat "$scratch/job")"
    attempt_is "$job" 1 || fail "$1 was tried again"
}
expect_failure length.safetensors '[a-z-]*' 422
expect_failure cut.safetensors malformed-model 422
expect_failure text.txt unsupported-model 422
expect_failure deep.safetensors '[a-z-]*' 422
expect_failure empty.safetensors '[a-z-]*' 422
expect_failure hdf5-external-link.h5 unsupported-model 422
expect_failure hdf5-claims.h5 malformed-model 422
expect_failure hdf5-nested.h5 '[a-z-]*' 422
# The HDF5 library works behind the walls.
for pair in "hdf5-old.npz hdf5-old.h5" "keras.npz model.keras"; do
    job=$(submit $pair)
    within 10 state_is "$job" succeeded
    get "/v1/jobs/$job" | grep -q '"verdict":"identical"' || fail "$pair: $(get "/v1/jobs/$job")"
done
# One dataset that cannot be read keeps nobody from the others.
job=$(submit hdf5-unread.h5 hdf5-unread.h5)
within 10 state_is "$job" succeeded
get "/v1/jobs/$job" | grep -q '"verdict":"incomparable"' || fail "unread: $(get "/v1/jobs/$job")"
[ "$(status_of "$url/v1/models/inspect?path=deep.safetensors")" = 422 ] || fail "inspect: $(cat "$scratch/body")"
[ "$(status_of "$url/v1/models/inspect?path=a.safetensors")" = 200 ] || fail "inspect: $(cat "$scratch/body")"

# A file that shrinks while it is read: pages are missing, the job fails and says which file, the worker lives.
make_long_models
job=$(submit_long)
within 10 is_scanning "$job"
before=$(workers)
truncate -s 4096 "$models/long-b.pt"
within 30 state_is "$job" failed
get "/v1/jobs/$job" | grep -q '"code":"source-changed"' || fail "shrunk: $(get "/v1/jobs/$job")"
get "/v1/jobs/$job" | grep -q 'long-b.pt' || fail "shrunk: $(get "/v1/jobs/$job")"
[ "$(workers)" = "$before" ] || fail "a worker died of it"
job=$(submit a.safetensors b.safetensors)
within 10 state_is "$job" succeeded
end_service TERM
[ $ended = 0 ] || fail "ended with $ended"
