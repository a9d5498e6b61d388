#!/usr/bin/env bash
# Bring the folder of a run (report, plan, journal, result) from the cluster to ./RUN:
#   tools/fetch_run.sh RUN [OPTIONS OF KUBECTL, as --namespace NAME]
# It goes through `kubectl exec`, as a pod's output would end up in the cluster's logs, and members' data with it.
set -euo pipefail

run=${1:?which run? status.runId of its IntercomAudit says}
kubectl=(kubectl "${@:2}")
job=fetch-run-$$-$RANDOM

# The operator's Job template says which image, which volume, which node and which rights.
template=$("${kubectl[@]}" get configmaps -o jsonpath='{.items[*].data.job\.yaml}' \
    --selector app.kubernetes.io/name=mynatca-intercom,app.kubernetes.io/component=operator)
patch='[{"op": "add", "path": "/metadata/name", "value": "'$job'"},
    {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 600},
    {"op": "add", "path": "/spec/ttlSecondsAfterFinished", "value": 0},
    {"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 0},
    {"op": "add", "path": "/spec/template/spec/containers/0/command", "value": ["sleep", "600"]},
    {"op": "add", "path": "/spec/template/spec/containers/0/args", "value": []}]'
kubectl patch --local --type=json --patch "$patch" --filename - --output yaml <<<"$template" |
    "${kubectl[@]}" create --filename - >&2
trap '"${kubectl[@]}" delete "job/$job" --wait=false >&2' EXIT
"${kubectl[@]}" wait "job/$job" --for=jsonpath='{.status.ready}'=1 --timeout=5m >&2
"${kubectl[@]}" exec "job/$job" -- tar -C /runs -c "$run" | tar -x
echo "$PWD/$run"
