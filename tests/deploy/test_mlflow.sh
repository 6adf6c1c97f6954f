#!/bin/bash
# deploy/mlflow against a real tracking server: by the command and by the service, what is kept is what was measured.
# Uses the python3 that has mlflow; with DIFFAID_TEST_MLFLOW=1 it fetches mlflow into a scratch environment instead.
. "$(dirname "$0")/../http/service_steps.sh"
skip() { echo "skipped: $*"; exit 77; }
demo=$PWD/tests/fixtures/demo
example=$PWD/deploy/mlflow/log_comparison.py
python=$(command -v python3) || skip "no python3"
tracker=
finish_all() {
    local status=$?
    if [ -n "$tracker" ]; then
        kill -TERM -- "-$tracker" 2>/dev/null || true # its own group: it starts workers
        within 10 is_gone || kill -KILL -- "-$tracker" 2>/dev/null || true
    fi
    [ $status = 0 ] || [ ! -f "$scratch/tracker.log" ] || tail -n 20 "$scratch/tracker.log" >&2
    set +e
    (exit $status) # for finish, which hands it on
    finish
}
is_gone() { ! kill -0 -- "-$tracker" 2>/dev/null; }

if ! "$python" -c 'import mlflow' 2>/dev/null; then
    [ "${DIFFAID_TEST_MLFLOW:-}" = 1 ] || skip "python3 has no mlflow; DIFFAID_TEST_MLFLOW=1 fetches it"
    { "$python" -m venv "$scratch/env" && "$scratch/env/bin/pip" install -q mlflow; } >"$scratch/pip" 2>&1 ||
        skip "mlflow cannot be installed: $(tail -n 1 "$scratch/pip")"
    python=$scratch/env/bin/python
fi

export HOME=$scratch MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export MLFLOW_TRACKING_URI=http://127.0.0.1:$port
trap finish_all EXIT
cd "$scratch" || exit
setsid "$python" -m mlflow server --host 127.0.0.1 --port "$port" --workers 1 \
    --backend-store-uri "sqlite:///$scratch/mlflow.db" --artifacts-destination "$scratch/artifacts" \
    >"$scratch/tracker.log" 2>&1 &
tracker=$!
answers() {
    kill -0 "$tracker" 2>/dev/null || fail "MLflow's server ended at its start"
    [ "$(status_of "$MLFLOW_TRACKING_URI/health" 2>/dev/null)" = 200 ]
}
within 120 answers
cp "$demo"/*.safetensors "$models/"
start_service

runs=()
record() { # STATUS ARGUMENT…
    local wanted=$1 status=0
    shift
    "$python" "$example" "$@" >"$scratch/said" 2>"$scratch/message" || status=$?
    [ $status = "$wanted" ] || fail "status $status, not $wanted: $* $(cat "$scratch/said" "$scratch/message")"
    runs+=("$(grep -oE '^[0-9a-f]{32}' "$scratch/said" || true)")
}
echo '[{"metric": "relative_l2", "max": 0.01}]' >"$scratch/strict.json"
echo '{"gate": [{"metric": "relative_l2", "max": 0.1}]}' >"$scratch/wide.json"
command=(--program "$diffaid" --experiment by-command)
record 0 "$models/base.safetensors" "$models/finetuned.safetensors" "${command[@]}"
record 0 base.safetensors finetuned.safetensors --url "$url" --experiment by-service
record 4 "$models/base.safetensors" "$models/finetuned.safetensors" "${command[@]}" --gate "$scratch/strict.json"
record 4 base.safetensors finetuned.safetensors --url "$url" --gate "$scratch/strict.json"
record 0 base.safetensors finetuned.safetensors --url "$url/" --gate "$scratch/wide.json"
record 0 "$models/base.safetensors" "$models/base.safetensors" "${command[@]}"

# A run that is there already is joined.
MLFLOW_RUN_ID=${runs[5]} record 0 base.safetensors base.safetensors --url "$url" --gate "$scratch/wide.json"
[ "${runs[6]}" = "${runs[5]}" ] || fail "another run was begun: ${runs[*]}"

# Without a comparison there is no run.
record 2 "$models/none.safetensors" "$models/base.safetensors" "${command[@]}"
record 1 none.safetensors base.safetensors --url "$url"
grep -q 'none.safetensors' "$scratch/message" || fail "the problem is not told: $(cat "$scratch/message")"
record 1 base.safetensors base.safetensors --url http://127.0.0.1:1
[ -z "${runs[7]}${runs[8]}${runs[9]}" ] || fail "a failed comparison left a run"

"$python" - "$scratch" "$diffaid" "${runs[@]:0:6}" <<'PYTHON' || fail "what MLflow kept"
import json, subprocess, sys
import mlflow

scratch, diffaid, *runs = sys.argv[1:]
client = mlflow.MlflowClient()
kept = [client.get_run(run) for run in runs]
document = [mlflow.artifacts.load_dict(f"runs:/{run}/diffaid.json") for run in runs]
assert len(client.search_runs([e.experiment_id for e in client.search_experiments()])) == len(set(runs)) == 6

# The metrics are the document's figures, to the last bit, and the document is what diffaid says when asked itself.
asked = json.loads(subprocess.run(
    [diffaid, "compare", "--json", "--analyses", "stats,quantization_analysis,layer_impact",
     f"{scratch}/models/base.safetensors", f"{scratch}/models/finetuned.safetensors"], stdout=subprocess.PIPE).stdout)
for run, result in zip(kept[:2], document):
    for part in ("summary", "analyses", "tensors", "warnings"):
        assert result[part] == asked[part], part
    summary, metrics = asked["summary"], run.data.metrics
    assert summary["relative_l2"] > 0.04 and summary["tensors"]["changed"] == 8
    wanted = {f"diffaid.{name}": summary[name] for name in ("relative_l2", "cosine", "max_abs")}
    wanted.update({f"diffaid.tensors_{status}": n for status, n in summary["tensors"].items()})
    wanted["diffaid.parameters_changed"] = summary["parameters"]["changed"]
    assert metrics == wanted, (metrics, wanted)
    assert run.data.tags["diffaid.verdict"] == "changed" and run.data.tags["diffaid.headline"] == summary["headline"]
    assert "diffaid.gate" not in run.data.tags
assert client.get_experiment(kept[0].info.experiment_id).name == "by-command"
assert client.get_experiment(kept[1].info.experiment_id).name == "by-service"

for run, gate, violations in ((kept[2], "failed", 1), (kept[3], "failed", 1), (kept[4], "passed", 0)):
    assert run.data.tags["diffaid.gate"] == gate and run.data.metrics["diffaid.gate_violations"] == violations
assert document[2]["gate"] == document[3]["gate"]
assert kept[5].data.tags["diffaid.verdict"] == "identical" and kept[5].data.metrics["diffaid.relative_l2"] == 0
assert kept[5].data.tags["diffaid.gate"] == "passed"  # from the second time, which joined it
print("MLflow", mlflow.__version__, "kept what was measured")
PYTHON
