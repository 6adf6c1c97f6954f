#!/bin/bash
# climb.sh LAYER COMPILER INCLUDE-FLAG...
# An include that climbs must not compile with the layer's own include directories; one that goes down must.
set -euo pipefail
cd "$(dirname "$0")/../.."
layer=$1
shift
failed=0

# From an empty place: a quoted include also looks beside the file that holds it.
compiles() { printf '#include "%s"\n' "$1" | (cd / && "${@:2}" -D_GNU_SOURCE -std=gnu17 -fsyntax-only -x c - 2>/dev/null); }
headers() { find "$1" -name '*.h' | sort; }
may() { compiles "$@" || { echo "$layer should see $1"; failed=1; }; }
may_not() { ! compiles "$@" || { echo "$layer sees $1, and must not"; failed=1; }; }

case $layer in
core) legal=(core/error.h) rooms=(api server) ;;
api) legal=(core/error.h api/backend.h) rooms=(server) ;;
server) legal=(core/error.h api/backend.h) rooms=() ;;
esac
for header in "${legal[@]}"; do may "$header" "$@"; done
for room in "${rooms[@]}"; do
    [ -n "$(headers "$room")" ] || { echo "no header in $room/ to try"; exit 1; }
    for header in $(headers "$room"); do may_not "$header" "$@"; done
done
exit $failed
