#!/bin/bash
# What stands around the service's processes, as the kernel tells it.
. "$(dirname "$0")/service_steps.sh"
make_model "$models/a.safetensors" 1000
make_model "$models/b.safetensors" 1000

of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }         # PID FIELD
all_workers() { [ "$(workers | wc -l)" = 2 ]; }                      # one for jobs and the inspector
caps_within() { [ $((0x$(of "$1" CapEff) & ~$2)) = 0 ]; }            # PID MASK
dac_override=$((1 << 1)) dac_read_search=$((1 << 2)) net_bind=$((1 << 10))

start_service --workers 1
within 20 all_workers
for worker in $(workers); do
    [ "$(of "$worker" NoNewPrivs)" = 1 ] || fail "a worker may gain privileges"
    [ "$(of "$worker" Seccomp)" = 2 ] || fail "a worker has no filter of system calls"
    caps_within "$worker" $dac_read_search || fail "a worker has capabilities: $(of "$worker" CapEff)"
    grep -q '^Max core file size *0 *0' "/proc/$worker/limits" || fail "a worker may dump its memory"
    grep -q '^Max address space *unlimited' "/proc/$worker/limits" && ! grep -q '__asan_init\|__tsan_init' "$diffaid" &&
        fail "a worker has no limit of memory"
done
[ "$(of "$service" NoNewPrivs)" = 1 ] || fail "the service may gain privileges"
[ "$(of "$service" Umask)" = 0077 ] || fail "others may read what the service writes"
caps_within "$service" $((dac_override | dac_read_search | net_bind)) ||
    fail "the service has capabilities: $(of "$service" CapEff)"
within 10 state_is "$(submit a.safetensors b.safetensors)" succeeded
has_landlock=true
grep -q 'no Landlock here' "$scratch/log" && has_landlock=false
end_service TERM
[ "$ended" = 0 ] || fail "ended with $ended"

start_service --workers 1 --sandbox off
grep -q 'sandbox off' "$scratch/log" || fail "no word of walls that are missing"
within 20 all_workers
for worker in $(workers); do
    [ "$(of "$worker" Seccomp)" = 0 ] || fail "--sandbox off has a filter"
    [ "$(of "$worker" NoNewPrivs)" = 1 ] || fail "a worker may gain privileges"
done
within 10 state_is "$(submit a.safetensors b.safetensors)" succeeded
end_service TERM

if $has_landlock; then
    start_service --workers 1 --sandbox require
    within 10 state_is "$(submit a.safetensors b.safetensors)" succeeded
    get /v1/status | grep -q '"landlock":[1-9]' || fail "the status does not tell of Landlock: $(get /v1/status)"
    end_service TERM
fi

# A kernel without Landlock: said at the start and in the status, the other walls stand, and who requires it gets it or nothing.
program=$diffaid
diffaid=$scratch/older
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$(dirname "$program")/tests/without_landlock" "$program" >"$diffaid"
chmod +x "$diffaid"
start_service --workers 1
grep -q 'no Landlock here' "$scratch/log" || fail "no word of the wall that is missing"
within 10 state_is "$(submit a.safetensors b.safetensors)" succeeded
get /v1/status | grep -q '"landlock":0' || fail "the status tells of Landlock: $(get /v1/status)"
for worker in $(workers); do
    [ "$(of "$worker" Seccomp)" = 2 ] || fail "a worker has no filter of system calls"
done
end_service TERM
"$diffaid" serve --listen 127.0.0.1:0 --state-dir "$state" --sandbox require 2>"$scratch/out" && fail "started without Landlock"
grep -q 'no Landlock here' "$scratch/out" || fail "$(cat "$scratch/out")"
