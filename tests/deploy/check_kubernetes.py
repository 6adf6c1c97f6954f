"""deploy/kubernetes against the published API types (kubernetes_types.json), strictly, and against itself and this
program: what is named is there, nothing has a right that it does not need, every flag and variable is known.

  check_kubernetes.py MANIFEST HELP      HELP: what `diffaid serve --help` prints
"""
import copy
import json
import os
import re
import sys

import yaml

known = json.load(open(os.path.join(os.path.dirname(__file__), "kubernetes_types.json")))
scalars = {"string": (str,), "integer": (int,), "boolean": (bool,), "quantity": (str, int), "port": (str, int)}
quantity = re.compile(r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")


def faults_of(form, value, at):
    if isinstance(form, list):
        if not isinstance(value, list):
            return ["%s is no list" % at]
        return [f for i, v in enumerate(value) for f in faults_of(form[0], v, "%s[%d]" % (at, i))]
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return ["%s is no map" % at]
        return [f for k, v in value.items() for f in faults_of(form["*"], v, "%s.%s" % (at, k))]
    if form in scalars:
        if not isinstance(value, scalars[form]) or (isinstance(value, bool) and form != "boolean"):
            return ["%s is no %s" % (at, form)]
        return ["%s is no quantity" % at] if form == "quantity" and not quantity.match(str(value)) else []
    if form not in known["types"]:
        return ["%s is a %s, which kubernetes_types.json lacks: make it anew" % (at, form)]
    if not isinstance(value, dict):
        return ["%s is no %s" % (at, form)]
    type_ = known["types"][form]
    faults = ["%s lacks %s" % (at, name) for name in type_["required"] if name not in value]
    for name, inner in value.items():
        if name not in type_["fields"]:
            faults.append("%s: %s has no field %s" % (at, form, name))
        else:
            faults += faults_of(type_["fields"][name], inner, "%s.%s" % (at, name))
    return faults


def schema_faults(documents):
    faults = []
    for d in documents:
        kind = known["kinds"].get("%s %s" % (d.get("apiVersion"), d.get("kind")))
        faults += faults_of(kind, d, d["kind"]) if kind else ["%s is unknown" % d.get("kind")]
    return faults


def house_faults(documents, help_text):
    """What holds in this manifest; each line is one promise of deploy/kubernetes/README.md."""
    by_kind = {d["kind"]: d for d in documents}
    stateful, service = by_kind["StatefulSet"]["spec"], by_kind["Service"]["spec"]
    pod = stateful["template"]["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    container = pod["containers"][0]
    ports = {p["name"] for p in container["ports"]}
    claims = {c["metadata"]["name"] for c in stateful["volumeClaimTemplates"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    mounts = {m["name"]: m for m in container["volumeMounts"]}
    flags = set(re.findall(r"--[a-z-]+", help_text))
    settings = set(re.findall(r"DIFFAID_[A-Z_]+", help_text))
    args = container["args"]
    value = {a: b for a, b in zip(args, args[1:]) if a.startswith("--")}
    promises = {
        "one replica": stateful["replicas"] == 1,
        "the disruption budget lets one go": by_kind["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1,
        "selectors find the pod": all(
            s.items() <= labels.items() for s in (
                stateful["selector"]["matchLabels"], service["selector"],
                by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
                by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])),
        "the StatefulSet names its Service": stateful["serviceName"] == by_kind["Service"]["metadata"]["name"],
        "ports are named and there": all(
            p in ports for p in [service["ports"][0]["targetPort"]]
            + [rule["ports"][0]["port"] for rule in by_kind["NetworkPolicy"]["spec"]["ingress"]]
            + [container[k]["httpGet"]["port"] for k in ("startupProbe", "readinessProbe", "livenessProbe")]),
        "the admin port is nobody's but the probes' and Prometheus'": [p["targetPort"] for p in service["ports"]] == ["http"]
            and all("podSelector" not in peer for rule in by_kind["NetworkPolicy"]["spec"]["ingress"]
                    if rule["ports"][0]["port"] == "admin" for peer in rule["from"])
            and all(container[k]["httpGet"]["port"] == "admin"
                    for k in ("startupProbe", "readinessProbe", "livenessProbe")),
        "it is killed for not answering only": container["livenessProbe"]["httpGet"]["path"] == "/livez",
        "it gets traffic when ready only": container["readinessProbe"]["httpGet"]["path"] == "/readyz",
        "mounts are volumes or claims": set(mounts) == claims | set(volumes),
        "models and keys are read only": mounts["models"]["readOnly"] and mounts["keys"]["readOnly"]
            and volumes["models"]["persistentVolumeClaim"]["readOnly"],
        "state is kept when the set goes": stateful["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain",
        "state lies on the claim": value["--state-dir"] == mounts["state"]["mountPath"],
        "models lie on theirs": value["--models-root"] == mounts["models"]["mountPath"],
        "keys come from a Secret": "secret" in volumes["keys"]
            and value["--api-keys-file"].startswith(mounts["keys"]["mountPath"] + "/"),
        "keys are not world-readable": volumes["keys"]["secret"]["defaultMode"] & 0o007 == 0,
        "no root, no privilege": pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
            and not container["securityContext"]["allowPrivilegeEscalation"]
            and not container["securityContext"]["privileged"]
            and container["securityContext"]["capabilities"] == {"drop": ["ALL"]},
        "the root is read only": container["securityContext"]["readOnlyRootFilesystem"],
        "seccomp": pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
        "no token": pod["automountServiceAccountToken"] is False,
        "no host": not {"hostNetwork", "hostPID", "hostIPC"} & set(pod),
        "no variables of the cluster's own": pod["enableServiceLinks"] is False,
        "time to end": pod["terminationGracePeriodSeconds"] > 25 + 5,
        "memory is limited": "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"],
        "both ways are closed": by_kind["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
            and by_kind["NetworkPolicy"]["spec"]["egress"] == [],
        "flags are known": all(a in flags for a in args if a.startswith("--")),
        "variables are known": all(e["name"] in settings for e in container["env"]),
    }
    return [promise for promise, holds in promises.items() if not holds]


manifest, help_text = list(yaml.safe_load_all(open(sys.argv[1]))), open(sys.argv[2]).read()
faults = schema_faults(manifest) + house_faults(manifest, help_text)
assert not faults, "\n".join(faults)

# The checks see what is wrong.
def lie(change):
    documents = copy.deepcopy(manifest)
    change({d["kind"]: d for d in documents})
    return documents

def container_of(kinds):
    return kinds["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]

for number, change in enumerate([
    lambda k: k["StatefulSet"]["spec"].update(replica=1),
    lambda k: k["StatefulSet"]["spec"].pop("selector"),
    lambda k: k["StatefulSet"]["spec"].update(replicas="1"),
    lambda k: k["StatefulSet"].update(apiVersion="apps/v1beta1"),
    lambda k: container_of(k)["readinessProbe"].update(path="/readyz"),
    lambda k: container_of(k)["readinessProbe"]["httpGet"].pop("port"),
    lambda k: container_of(k)["resources"]["limits"].update(memory="4 GB"),
    lambda k: k["PodDisruptionBudget"]["spec"].update(maxUnavailable=[1]),
    lambda k: k["NetworkPolicy"]["spec"]["ingress"][0].update(ports={"port": 1}),
]):
    assert schema_faults(lie(change)), "lie %d passes the types" % number
for number, change in enumerate([
    lambda k: k["Service"]["spec"].update(selector={"app": "x"}),
    lambda k: container_of(k)["args"].append("--no-such-flag"),
    lambda k: container_of(k)["env"].append({"name": "DIFFAID_NO_SUCH", "value": "1"}),
    lambda k: container_of(k)["securityContext"].update(readOnlyRootFilesystem=False),
    lambda k: k["StatefulSet"]["spec"]["template"]["spec"]["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
]):
    assert house_faults(lie(change), help_text), "lie %d passes the house's rules" % number
print("%d documents of deploy/kubernetes hold" % len(manifest))
