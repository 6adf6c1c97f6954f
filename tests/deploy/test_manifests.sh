#!/bin/bash
# deploy/kubernetes against the published API types, and both it and deploy/compose against this program's settings; no
# cluster, no kubectl and no docker.
. "$(dirname "$0")/../cli/lib.sh" "$1"
if ! python3 -c 'import yaml' 2>/dev/null; then
    echo "skipped: takes python3 with yaml"
    exit 77
fi
"$diffaid" serve --help >"$work/help"
python3 tests/deploy/check_kubernetes.py deploy/kubernetes/diffaid.yaml "$work/help" || fail "deploy/kubernetes"
python3 tests/deploy/check_compose.py deploy/compose/compose.yaml "$work/help" || fail "deploy/compose"
# The whole schemas, where somebody has installed them (PyPI: kubernetes-validate).
if command -v kubernetes-validate >/dev/null; then
    kubernetes-validate --strict --quiet deploy/kubernetes/diffaid.yaml || fail "kubernetes-validate"
else
    echo "skipped: kubernetes-validate is not there"
fi
