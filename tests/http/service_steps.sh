# Steps of the whole-service tests: sourced by tests/http/test_service_*.sh with the program's path in $1.
# Everything lies in $scratch and goes with it; the service that runs is $service, its address $url.
set -euo pipefail
diffaid=$(realpath "$1")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/diffaid-service-XXXXXX")
models=$scratch/models
state=$scratch/state
service=
url=
mkdir "$models"

finish() {
    local status=$?
    if [ -n "$service" ]; then
        kill -KILL "$service" 2>/dev/null || true
        { wait "$service"; } 2>/dev/null || true
    fi
    if [ $status -ne 0 ] && [ -f "$scratch/log" ]; then
        echo "--- the service's log:" >&2
        tail -n 40 "$scratch/log" >&2
    fi
    umount "$scratch/small" 2>/dev/null || true
    rm -rf "$scratch"
    exit $status
}
trap finish EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

# Runs a command again and again until it succeeds, at most SECONDS.
within() { # SECONDS COMMAND…
    local until=$(($(date +%s%N) + $1 * 1000000000)) limit=$1
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt $until ] || fail "not within $limit s: $*"
        sleep 0.02
    done
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# Starts the service on a free port and waits until it is ready.
start_service() { # FLAG…
    : >"$scratch/log"
    "$diffaid" serve --listen 127.0.0.1:0 --models-root "$models" --state-dir "$state" --log-format json "$@" \
        >"$scratch/out" 2>>"$scratch/log" &
    service=$!
    within 30 has_address
    within 30 "$diffaid" health --listen "${url#http://}" 2>/dev/null
}

has_address() {
    kill -0 "$service" || fail "the service ended at its start"
    url=$(sed -n 's/.*"event":"listening","address":"\([^"]*\)".*/\1/p' "$scratch/log")
    [ -n "$url" ]
}

# Ends the service with a signal and says how it ended.
end_service() { # SIGNAL
    local status=0
    kill "-$1" "$service"
    { wait "$service"; } 2>/dev/null || status=$?
    service=
    ended=$status
}

# A safetensors file with one F32 tensor of that many elements, all zero and none of it on the disk.
make_model() { # FILE ELEMENTS
    local header bytes=$(($2 * 4)) length i
    header="{\"w\":{\"dtype\":\"F32\",\"shape\":[$2],\"data_offsets\":[0,$bytes]}}"
    length=${#header}
    {
        for i in 0 8 16 24 32 40 48 56; do printf "\\x$(printf %02x $(((length >> i) & 255)))"; done
        printf %s "$header"
    } >"$1"
    truncate -s $((8 + length + bytes)) "$1"
}

# Two models for comparisons that outlast any test on any machine, with --threads 1: a tensor of 4 GB in a file of 130 KB,
# which is read again and again.
make_long_models() {
    local side
    for side in a b; do cp "$(dirname "${BASH_SOURCE[0]}")/../fixtures/long/long.pt" "$models/long-$side.pt"; done
}

# The job that takes them in turn, that many in all, and holds every two of them against each other.
long_request() { # [MODELS]
    local i list=
    for ((i = 0; i < ${1:-16}; i += 2)); do list+=',"long-a.pt","long-b.pt"'; done
    echo "{\"models\":[${list#,}],\"analyses\":[\"similarity_matrix\"]}"
}

member() { # NAME: of the JSON on standard input; text and numbers of the first such member
    sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}

get() { curl -sS --max-time 30 "$url$1"; }
metrics_say() { get /metrics >"$scratch/metrics" && grep -qxF "$1" "$scratch/metrics"; } # LINE of /metrics
status_of() { curl -sS -o "$scratch/body" -w '%{http_code}' --max-time 60 "$@"; } # CURL-ARGUMENT…

# Submits a job and prints its id.
submit_request() { # BODY
    curl -sS --fail-with-body --max-time 30 -H 'Content-Type: application/json' "$url/v1/jobs" -d "$1" | member id
}
submit() { submit_request "{\"models\":[\"$1\",\"$2\"]}"; } # A B
submit_long() { submit_request "$(long_request "$@")"; }      # [MODELS]

state_is() { [ "$(get "/v1/jobs/$1" | grep -o '"state":"[a-z]*"' | head -n 1)" = "\"state\":\"$2\"" ]; } # JOB STATE
attempt_is() { [ "$(get "/v1/jobs/$1" | member attempt)" = "$2" ]; }                                   # JOB N
is_scanning() { get "/v1/jobs/$1" | grep -q '"phase":"scan"'; }                                        # JOB

# The service's worker processes, the inspector's among them. Processes come and go while grep looks.
workers() {
    { grep -l "^PPid:[[:space:]]*$service\$" /proc/[0-9]*/status 2>/dev/null || true; } | sed 's|/proc/\([0-9]*\)/.*|\1|' | sort -n
}
