#!/bin/bash
# deploy/ci: the script on its own, then the steps of both pipelines as they stand in the examples, with the demo models.
. "$(dirname "$0")/../cli/lib.sh" "$1"
demo=$PWD/tests/fixtures/demo
ci=$PWD/deploy/ci
base=$demo/base.safetensors
tuned=$demo/finetuned.safetensors
here=$PWD
reports=$work/reports
export DIFFAID=$diffaid

has() { grep -q -- "$2" "$1" || { tail -n 12 "$1" >&2; fail "$1 lacks: $2"; }; checks=$((checks + 1)); } # FILE PATTERN
compare() { expect "$1" "$ci/compare.sh" "${@:2}"; }                                              # STATUS ARGUMENT…

# Without a gate a change is news, not a failure.
compare 0 "$base" "$tuned" "$reports"
has "$reports/result.json" '"verdict":"changed"'
has "$reports/report.md" '^### diffaid: changed'
has "$reports/junit.xml" 'failures="0"'
out '^### diffaid: changed'
compare 0 "$base" "$base" "$reports"
has "$reports/report.md" '^### diffaid: identical'

# The rules of the example: they let a model pass that is as it was, and one that moved a little.
compare 0 "$base" "$base" "$reports" "$ci/gate.json"
has "$reports/result.json" '^"passed":true'
two='{"v":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]}}'
one='\x00\x00\x80\x3f' # 1, its neighbour, and 2
near='\x01\x00\x80\x3f'
twice='\x00\x00\x00\x40'
model "$work/a.safetensors" "$two" "$one$twice$one$twice$one$twice$one$twice"
model "$work/near.safetensors" "$two" "$one$twice$one$twice$one$twice$one$one"
model "$work/b.safetensors" "$two" "$one$twice$one$twice$near$twice$one$twice"
model "$work/zero.safetensors" "$two" "$one$twice$one$twice$(printf '\\x00%.0s' {1..16})"
model "$work/nan.safetensors" "$two" "$one$twice$one$twice\\x00\\x00\\xc0\\x7f$twice$one$twice"
compare 0 "$work/a.safetensors" "$work/b.safetensors" "$reports" "$ci/gate.json"
has "$reports/result.json" '"verdict":"changed"'
for broken in 'zero "metric":"anomaly_detection.worst"' 'zero "name":"w","figure":1,"max":0.5' 'near "metric":"relative_l2"' \
    'nan "metric":"nonfinite_changed"'; do
    compare 4 "$work/a.safetensors" "$work/${broken%% *}.safetensors" "$reports" "$ci/gate.json"
    has "$reports/result.json" "${broken#* }"
done
compare 4 "$base" "$tuned" "$reports" "$ci/gate.json"
has "$reports/result.json" '^"passed":false'
has "$reports/report.md" 'tensors.removed max 0'
has "$reports/junit.xml" '<failure type="error"'

# No comparison is never a passed one, and no earlier report is taken for its own.
compare 2 "$base" "$work/none.safetensors" "$reports" "$ci/gate.json" && err 'none\.safetensors'
has "$reports/report.md" 'no comparison'
[ ! -e "$reports/result.json" ] && [ ! -e "$reports/junit.xml" ] || fail "an earlier result is left"
compare 2 "$base" "$tuned" "$reports" "$work/none.json"
compare 2 "$base" "$tuned"
compare 3 "$base" "$tuned" "$base/reports"
DIFFAID=$work/none compare 127 "$base" "$tuned" "$reports"
mkdir "$work/with space" && cp "$base" "$work/with space/-a.safetensors"
cd "$work/with space" || fail "cd"
DIFFAID="env LC_ALL=C $diffaid" compare 0 -a.safetensors -a.safetensors "re ports"
cd "$here" || fail "cd"

if ! python3 -c 'import yaml' 2>/dev/null; then
    echo "$checks checks passed; skipped: the pipelines themselves, which take python3 with yaml"
    exit 0
fi

# step EXAMPLE NAME: the shell lines of a step (GitHub) or a job (GitLab), once the example has been parsed
step() {
    python3 - "$ci/$1" "$2" <<'PYTHON' || fail "$1: $2"
import sys, yaml
example, name = yaml.safe_load(open(sys.argv[1])), sys.argv[2]
if "jobs" in example:
    assert set(example) == {"name", True, "permissions", "env", "jobs"}, set(example)  # YAML 1.1 takes `on` for true
    steps = example["jobs"]["compare"]["steps"]
    assert all(("uses" in s) != ("run" in s) for s in steps)
    for later in steps[[s.get("name") for s in steps].index("Compare") + 1:]:
        assert "!cancelled()" in later["if"], later  # the reports are wanted after a failure
    lines = next(s for s in steps if s.get("name") == name)["run"]
    assert "${{" not in lines, "an expression in a script is an injection"
else:
    jobs = {k: v for k, v in example.items() if k != "variables"}
    assert all(j["stage"] and j["image"]["name"] and j["image"]["entrypoint"] == [""] for j in jobs.values())
    assert jobs["diffaid"]["artifacts"]["when"] == "always"
    assert jobs["diffaid"]["artifacts"]["reports"]["junit"] in "reports/junit.xml"
    assert jobs["diffaid-note"]["rules"][0]["when"] == "always"
    lines = "\n".join(example[name]["script"])
print(lines)
PYTHON
}

# GitHub: two checkouts, `docker run` and `gh` played by scripts that check what they are given.
mkdir -p "$work/hub/baseline/deploy" "$work/hub/candidate" "$work/bin"
cp -r "$ci" "$work/hub/baseline/deploy/ci"
cp "$base" "$work/hub/baseline/model.safetensors"
cp "$tuned" "$work/hub/candidate/model.safetensors"
cat >"$work/bin/docker" <<'STUB'
#!/bin/bash
[ "$1" = run ] || exit 99
while [ "$1" != "$IMAGE" ]; do shift || exit 99; done
exec "$PROGRAM" "${@:2}"
STUB
cat >"$work/bin/gh" <<'STUB'
#!/bin/bash
echo "$*" >>"$CALLS"
case $* in *--jq*) cat "$COMMENTS" ;; esac
for word; do case $word in body=@*) cat "${word#body=@}" >"$CALLS.body" || exit 99 ;; esac; done
STUB
chmod +x "$work/bin/docker" "$work/bin/gh"
hub() { # STATUS STEP: as GitHub runs it
    step github-actions.yml "$2" >"$work/step.sh"
    cd "$work/hub" || fail "cd"
    expect "$1" env -u DIFFAID PATH="$work/bin:$PATH" PROGRAM="$diffaid" IMAGE=diffaid MODEL=model.safetensors \
        GITHUB_STEP_SUMMARY="$work/summary" GITHUB_REPOSITORY=o/r PULL_REQUEST=7 CALLS="$work/calls" \
        COMMENTS="$work/comments" bash -e "$work/step.sh"
    cd "$here" || fail "cd"
}
hub 4 Compare
has "$work/hub/reports/junit.xml" '<failure'
hub 0 Summary
has "$work/summary" 'The gate \*\*failed\*\*'
: >"$work/comments"
hub 0 Comment
has "$work/calls" '--method POST repos/o/r/issues/7/comments'
has "$work/calls.body" 'The gate \*\*failed\*\*'
echo 42 >"$work/comments" # the comment of an earlier run
cp "$base" "$work/hub/candidate/model.safetensors"
hub 0 Compare
hub 0 Comment
has "$work/calls" '--method PATCH repos/o/r/issues/comments/42'
has "$work/calls.body" '^### diffaid: identical'
rm "$work/hub/candidate/model.safetensors"
hub 2 Compare
hub 0 Summary
has "$work/summary" 'no comparison'

# GitLab: its interface is played by a server on the loopback that keeps what it is sent.
lab() { # STATUS JOB CANDIDATE
    step gitlab-ci.yml "$2" >"$work/step.sh"
    cd "$work/lab" || fail "cd"
    expect "$1" env PATH="$work/bin:$PATH" BASELINE="$base" CANDIDATE="$3" CI_API_V4_URL="http://127.0.0.1:$port/api/v4" \
        CI_PROJECT_ID=1 CI_MERGE_REQUEST_IID=7 DIFFAID_NOTE_TOKEN=secret bash -e -o pipefail "$work/step.sh"
    cd "$here" || fail "cd"
}
mkdir -p "$work/lab/deploy" "$work/lab/bin"
cp -r "$ci" "$work/lab/deploy/ci"
port=0
lab 0 diffaid "$base"
lab 4 diffaid "$tuned"
has "$work/lab/reports/junit.xml" '<failure'
if command -v curl >/dev/null; then
    cat >"$work/keep.py" <<'PYTHON'
import http.server, sys, urllib.parse
class Keep(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with open(sys.argv[1] + "/note", "w") as note:
            print(self.path, self.headers["PRIVATE-TOKEN"], form["body"][0], sep="\n", file=note)
        self.send_response(201)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Keep)
with open(sys.argv[1] + "/port", "w") as port: print(server.server_port, file=port)
server.serve_forever()
PYTHON
    python3 "$work/keep.py" "$work" &
    keeper=$!
    trap 'kill $keeper; rm -rf "$work"' EXIT
    for ((i = 0; i < 500; i++)); do [ ! -s "$work/port" ] || break; sleep 0.02; done
    port=$(cat "$work/port")
    lab 0 diffaid-note "$tuned"
    has "$work/note" '^/api/v4/projects/1/merge_requests/7/notes$'
    has "$work/note" '^secret$'
    has "$work/note" 'The gate \*\*failed\*\*'
fi
echo "$checks checks passed"
