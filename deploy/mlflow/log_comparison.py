#!/usr/bin/env python3
"""Compares two models with diffaid and keeps the answer in an MLflow run: the whole result as an artifact, its headline
figures as metrics, the verdict as a tag.

    pip install mlflow
    export MLFLOW_TRACKING_URI=http://localhost:5000
    ./log_comparison.py base.safetensors finetuned.safetensors                              # by the command
    ./log_comparison.py base.safetensors finetuned.safetensors --url http://localhost:8080  # by a service: its paths

With MLFLOW_RUN_ID set the figures join that run, say that of the training; without it a run is begun. Exits 0, or 4 when
the gate fails; that models differ is news, not a failure.
"""
import argparse
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import mlflow


def compare_by_command(models, analyses, gate, program):
    """Runs `diffaid compare`; returns the result document."""
    command = [program, "compare", "--json", "--analyses", ",".join(analyses)]
    if gate:
        command += ["--gate", gate]
    done = subprocess.run([*command, "--", *models], stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1, 4):  # equal, changed, and a broken gate are answers; the rest is said on stderr
        raise SystemExit(done.returncode if done.returncode > 0 else 2)
    return json.loads(done.stdout)


def compare_by_service(models, analyses, gate, url, timeout=90):
    """Submits a job and waits until it has ended; returns the result document."""

    def call(path, body=None):
        headers = {"Accept": "application/json", "Prefer": "wait=60"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(url.rstrip("/") + path, body, headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    request = {"models": models, "analyses": analyses}
    if gate:
        with open(gate, encoding="utf-8") as file:
            rules = json.load(file)
        request["gate"] = rules["gate"] if isinstance(rules, dict) else rules  # a file may hold either, as for the command
    try:
        job = call("/v1/jobs", request)
        while job["state"] in ("queued", "running"):  # each call waits for up to a minute: no sleep is needed
            job = call("/v1/jobs/" + job["id"])
        if job["state"] != "succeeded":
            raise SystemExit(f"job {job['id']} {job['state']}: {job.get('error', {}).get('detail', '')}")
        return call("/v1/jobs/" + job["id"] + "/result")
    except urllib.error.HTTPError as error:  # a problem document says what is wrong
        raise SystemExit(f"{error.code} {error.reason}: {error.read().decode(errors='replace')}") from None
    except urllib.error.URLError as error:
        raise SystemExit(f"{url}: {error.reason}") from None


def log(result):
    """Writes a result document into the active run."""
    summary = result["summary"]
    mlflow.log_dict(result, "diffaid.json")
    mlflow.set_tag("diffaid.verdict", summary["verdict"])
    mlflow.set_tag("diffaid.headline", summary["headline"])
    metrics = {name: summary.get(name) for name in ("relative_l2", "cosine", "max_abs")}
    metrics.update({f"tensors_{status}": count for status, count in summary["tensors"].items()})
    metrics["parameters_changed"] = summary["parameters"]["changed"]
    if "gate" in result:
        mlflow.set_tag("diffaid.gate", "passed" if result["gate"]["passed"] else "failed")
        metrics["gate_violations"] = result["gate"]["violation_count"]
    for name, value in metrics.items():
        if value is not None:  # null: there is no such figure, and 0 would be a lie
            mlflow.log_metric(f"diffaid.{name}", value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline")
    parser.add_argument("candidate")
    parser.add_argument("--url", help="a diffaid service; without it the command is run")
    parser.add_argument("--program", default=os.environ.get("DIFFAID", "diffaid"), help="the command (default: %(default)s)")
    parser.add_argument("--analyses", default="stats,quantization_analysis,layer_impact", help="default: %(default)s")
    parser.add_argument("--gate", help="a file of rules")
    parser.add_argument("--experiment", help="MLflow's experiment")
    arguments = parser.parse_args()

    models, analyses = [arguments.baseline, arguments.candidate], arguments.analyses.split(",")
    if arguments.url:
        result = compare_by_service(models, analyses, arguments.gate, arguments.url)
    else:
        result = compare_by_command(models, analyses, arguments.gate, arguments.program)

    if arguments.experiment:
        mlflow.set_experiment(arguments.experiment)
    with mlflow.start_run() as run:  # after the comparison: one that fails leaves no empty run
        log(result)
    print(run.info.run_id, result["summary"]["headline"])
    return 0 if result.get("gate", {}).get("passed", True) else 4


if __name__ == "__main__":
    sys.exit(main())
