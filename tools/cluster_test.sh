#!/usr/bin/env bash
# Runs tests/cluster: on the cluster that KUBECONFIG names, with images built by IMAGE_COMMAND, or on a kind cluster that
# lasts as long as the tests. Arguments go to pytest, in place of all tests.
set -euo pipefail

for command in kubectl helm nginx prometheus; do
    PATH="$PATH:/usr/sbin" command -v "$command" >/dev/null || { echo "$command is missing."; exit 1; }
done
if [ -z "${KUBECONFIG:-}" ]; then
    for command in docker kind kubectl; do
        command -v "$command" >/dev/null || { echo "Set KUBECONFIG to a cluster of yours, or install $command."; exit 1; }
    done
    export KIND_CLUSTER=mynatca-intercom-test
    KUBECONFIG=$(mktemp)
    export KUBECONFIG
    trap 'kind delete cluster --name "$KIND_CLUSTER"; rm -f "$KUBECONFIG"' EXIT
    kind create cluster --name "$KIND_CLUSTER" --wait 120s
fi
make cluster-images

pytest() { .venv/bin/python -m pytest "$@"; }
if (($#)); then
    pytest "$@"
    exit
fi
# Tests mostly wait for Kubernetes, so that there may be more of them at once than cores; those that take the custom
# resource away, or judge what all others did, come after them.
last=(tests/cluster/test_chart.py tests/cluster/test_uninstall.py tests/cluster/test_permissions.py)
[ -z "${CLUSTER_AUDIT_LOG:-}" ] || SUITE_BEGINS_AT=$(stat --format=%s "$CLUSTER_AUDIT_LOG")
export SUITE_BEGINS_AT
pytest tests/cluster "${last[@]/#/--ignore=}" --numprocesses="${PROCESSES:-4}" --dist=load --maxschedchunk=1
pytest "${last[@]}"
