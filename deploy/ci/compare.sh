#!/bin/sh
# Compares a baseline and a candidate for a pipeline, and leaves three files in REPORTS:
#   result.json   the whole result      report.md   for people      junit.xml   for the pipeline's list of tests
# Exits 0 when the gate passes or none is given, 4 when it fails, and as diffaid does when there is no comparison (2, 3).
# DIFFAID is the command, `diffaid` by default; it is split at blanks, so that it may be a `docker run …`.
set -u
[ $# = 3 ] || [ $# = 4 ] || { echo "usage: $0 BASELINE CANDIDATE REPORTS [GATE]" >&2; exit 2; }
baseline=$1 candidate=$2 reports=$3 gate=${4:-}

mkdir -p "$reports" || exit 3
rm -f "$reports/result.json" "$reports/report.md" "$reports/junit.xml" # an earlier run's would pass for this one's

compare() { # FLAG…
    # shellcheck disable=SC2086 # a command and its arguments
    ${DIFFAID:-diffaid} compare "$@" ${gate:+--gate "$gate"} -- "$baseline" "$candidate"
}

status=0
compare --json --out "$reports/result.json" --junit "$reports/junit.xml" || status=$?
case $status in
0 | 1 | 4)
    # The report is a second run, and tells the same: the same inputs give the same answer. Its status is the first's.
    report=0
    compare --format markdown >"$reports/report.md" || report=$?
    [ "$report" = "$status" ] || { echo "$0: the report ended with $report, the result with $status" >&2; exit 3; }
    cat "$reports/report.md"
    ;;
*) printf '### diffaid: no comparison\n\nIt ended with status %s; the log of the job says why.\n' "$status" \
    >"$reports/report.md" ;;
esac

# 1 says that the models differ. Without a gate that is news, not a failure; with one it is not said.
[ "$status" != 1 ] || [ -n "$gate" ] || status=0
exit "$status"
