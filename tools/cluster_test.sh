#!/usr/bin/env bash
# Runs tests/cluster: on the cluster that KUBECONFIG names, with images built by IMAGE_COMMAND, or on a kind cluster that
# lasts as long as the tests. Arguments go to pytest.
set -euo pipefail

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
.venv/bin/python -m pytest tests/cluster "$@"
