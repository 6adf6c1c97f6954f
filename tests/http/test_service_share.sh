#!/bin/bash
# Jobs that run at once share the cores: the threads that measure, of all workers together, are no more than the cores
# that the service found, unless its settings say so.
. "$(dirname "$0")/service_steps.sh"
make_long_models

spare=1 # of a worker's tasks: it waits for messages
! grep -qF __tsan_init "$diffaid" || spare=2 # the sanitizer's own

# The threads of the processes that hold a model open, all together.
measuring() {
    local pid total=0
    for pid in $(workers); do
        [ -n "$(find "/proc/$pid/fd" -lname '*/long-a.pt' 2>/dev/null)" ] || continue
        total=$((total + $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l) - spare))
    done
    echo $total
}
all_measure() { [ "$(measuring)" -ge "$1" ]; } # THREADS: a pass begins before the last of its threads does

# Starts the service and two jobs, and stops their processes in the middle of both: what there is then stays to be counted.
share() { # THREADS-EXPECTED FLAG…
    local expected=$1 first second pid
    shift
    start_service "$@"
    first=$(submit_long 64)
    second=$(submit_long 64)
    within 20 is_scanning "$first"
    within 20 is_scanning "$second"
    within 20 all_measure "$expected"
    for pid in $(workers); do kill -STOP "$pid"; done
    [ "$(measuring)" = "$expected" ] || fail "$(measuring) threads measure, not $expected, with: $*"
    for pid in $(workers); do kill -CONT "$pid"; done
    end_service KILL
    rm -rf "$state"
}

start_service
cores=$(get /v1/status | member cores)
end_service KILL
rm -rf "$state"
share $((cores / 2 * 2 > 2 ? cores / 2 * 2 : 2)) --workers 2
share 6 --workers 2 --threads 3
