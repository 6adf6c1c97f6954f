#!/bin/bash
# deploy/prometheus and deploy/grafana: every series that a rule or a panel names is one that the service has, every alert
# has its test and its page, and Prometheus' own tool takes the rules.
. "$(dirname "$0")/../http/service_steps.sh"
rules=deploy/prometheus/diffaid.rules.yml
echo "whsec_$(head -c 32 /dev/urandom | base64)" >"$scratch/secret" # callbacks have series too
start_service --workers 1 --quota 1G --webhook-secret-file "$scratch/secret"
get /metrics >"$scratch/metrics"
end_service TERM

# Names as queries use them: a histogram is asked for by its parts.
awk '$2 == "TYPE" && $4 != "histogram" { print $3 } $2 == "TYPE" && $4 == "histogram" { print $3 "_bucket"; print $3 "_sum"; print $3 "_count" }' \
    "$scratch/metrics" | sort >"$scratch/there"
for file in "$rules" deploy/grafana/diffaid.json tests/deploy/alerts.yml; do
    grep -oE '\b(diffaid|process)_[a-z_]+' "$file" | sort -u >"$scratch/named"
    missing=$(comm -23 "$scratch/named" "$scratch/there")
    [ -z "$missing" ] || fail "$file names what /metrics does not have: $missing"
    [ "$(wc -l <"$scratch/named")" -gt 10 ] || fail "$file names hardly any series"
done
# So are the values of labels that have few: each must be one that the service writes.
for label in state cause wall; do
    for value in $(grep -ohE "\b$label=~?\\\\?\"[a-z|]+" "$rules" deploy/grafana/diffaid.json | sed 's/.*"//' | tr '|' ' '); do
        grep -q "$label=\"$value\"" "$scratch/metrics" || fail "no series has $label=\"$value\""
    done
done

# Each alert: a test that raises it, and its entry in the operator's book.
alerts=$(sed -n 's/^ *- alert: //p' "$rules")
[ "$(wc -w <<<"$alerts")" -gt 10 ] || fail "hardly any alert"
for alert in $alerts; do
    grep -q "alertname=\"$alert\"" tests/deploy/alerts.yml || fail "no test raises $alert"
    grep -qx "### $alert" deploy/OPERATIONS.md || fail "deploy/OPERATIONS.md does not say what to do about $alert"
    grep -q "runbook: deploy/OPERATIONS.md#${alert,,}\$" "$rules" || fail "$alert does not name its page"
done
for entry in $(sed -n 's/^### \(Diffaid[A-Za-z]*\)$/\1/p' deploy/OPERATIONS.md); do
    grep -qw "$entry" <<<"$alerts" || fail "deploy/OPERATIONS.md has an entry for $entry, which is no alert"
done

if command -v promtool >/dev/null; then
    for check in "check rules $rules" "check config --syntax-only deploy/prometheus/prometheus.yml" \
        "test rules tests/deploy/alerts.yml"; do
        promtool $check >"$scratch/promtool" 2>&1 || fail "promtool $check: $(cat "$scratch/promtool")"
    done
else
    echo "skipped: the rules' own tests, which take promtool (Debian package prometheus)"
fi
if ! command -v python3 >/dev/null; then
    echo "skipped: the dashboard's form, which takes python3"
    exit 0
fi
python3 - deploy/grafana/diffaid.json <<'PYTHON' || fail "the dashboard"
import json, sys

board = json.load(open(sys.argv[1]))
assert board["id"] is None and board["uid"] and board["title"], "an import makes the id and keeps the uid"
variables = {v["name"] for v in board["templating"]["list"]}
panels = board["panels"]
ids = [p["id"] for p in panels]
assert len(ids) == len(set(ids)), "two panels have one id"
source = {"type": "prometheus", "uid": "${datasource}"}
covered = set()
for p in panels:
    g = p["gridPos"]
    assert 0 <= g["x"] and g["x"] + g["w"] <= 24, (p["title"], "leaves the grid")
    cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
    assert not cells & covered, (p["title"], "lies on another panel")
    covered |= cells
    if p["type"] == "row":
        continue
    assert p["datasource"] == source and p["targets"], p["title"]
    for t in p["targets"]:
        assert t["datasource"] == source, p["title"]
        assert 'job="$job"' in t["expr"] and 'instance=~"$instance"' in t["expr"], (p["title"], "is not filtered")
        assert t["expr"].count("(") == t["expr"].count(")"), t["expr"]
        for word in t["expr"].split("$")[1:]:
            name = word.lstrip("{").split('"')[0].split("]")[0].split("}")[0]
            assert name in variables or name.startswith("__rate_interval"), (t["expr"], name)
PYTHON
echo "the rules and the dashboard ask for what there is"
