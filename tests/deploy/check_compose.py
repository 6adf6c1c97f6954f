"""deploy/compose: only members that compose knows, and what its page promises.

  check_compose.py COMPOSE HELP          HELP: what `diffaid serve --help` prints
"""
import re
import sys

import yaml

document, help_text = yaml.safe_load(open(sys.argv[1])), open(sys.argv[2]).read()
# Of the Compose specification, what this file uses.
members = {
    "": {"services", "volumes", "secrets"},
    "service": {"build", "command", "ports", "secrets", "volumes", "read_only", "cap_drop", "security_opt", "mem_limit",
                "environment", "pids_limit", "stop_grace_period", "restart", "logging"},
}
assert set(document) <= members[""], set(document) - members[""]
service = document["services"]["diffaid"]
assert set(service) <= members["service"], set(service) - members["service"]
command = service["command"]
value = {a: b for a, b in zip(command, command[1:]) if a.startswith("--")}
mounts = {v.split(":")[1]: v for v in service["volumes"]}
promises = {
    "flags are known": all(a in re.findall(r"--[a-z-]+", help_text) for a in command if a.startswith("--")),
    "variables are known": all(v in re.findall(r"DIFFAID_[A-Z_]+", help_text) for v in service["environment"]),
    "only this machine reaches it": all(p.startswith("127.0.0.1:") for p in service["ports"]),
    "keys are a secret": value["--api-keys-file"] == "/run/secrets/" + service["secrets"][0]
        and service["secrets"][0] in document["secrets"],
    "models are read only": mounts[value["--models-root"]].endswith(":ro"),
    "state is a volume": mounts[value["--state-dir"]].split(":")[0] in document["volumes"],
    "no root, no privilege": service["read_only"] is True and service["cap_drop"] == ["ALL"]
        and "no-new-privileges:true" in service["security_opt"] and "privileged" not in service,
    "memory and processes are limited": bool(service["mem_limit"]) and bool(service["pids_limit"]),
    "time to end": int(service["stop_grace_period"].rstrip("s")) > 25 + 5,
}
broken = [promise for promise, holds in promises.items() if not holds]
assert not broken, broken
print("%d promises of deploy/compose hold" % len(promises))
