# What the command-line tests share. Sourced with the binary's path in $1.
set -u
diffaid=$(realpath "$1")
diffai=$(dirname "$diffaid")/diffai
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# le64 N: N as eight little-endian bytes
le64() {
    local n=$1 i
    for ((i = 0; i < 8; i++)); do
        # shellcheck disable=SC2059
        printf "\\x$(printf %02x $((n & 255)))"
        n=$((n >> 8))
    done
}

# model FILE HEADER DATA: a safetensors file; DATA is a printf format ("\x00\x3f…")
# shellcheck disable=SC2059
model() {
    { le64 "${#2}" && printf %s "$2" && printf "$3"; } >"$1"
}

# expect STATUS COMMAND…: runs it with its output in $work/out and $work/err
expect() {
    local wanted=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" = "$wanted" ] || {
        cat "$work/out" "$work/err" >&2
        fail "exit status $status, not $wanted: $*"
    }
    checks=$((checks + 1))
}

# out PATTERN / err PATTERN: what the last command printed
out() { grep -qE -- "$1" "$work/out" || { cat "$work/out" >&2; fail "standard output lacks: $1"; }; checks=$((checks + 1)); }
err() { grep -qE -- "$1" "$work/err" || { cat "$work/err" >&2; fail "standard error lacks: $1"; }; checks=$((checks + 1)); }
one_line_error() { [ "$(wc -l <"$work/err")" = 1 ] || { cat "$work/err" >&2; fail "not one line on standard error"; }; }
