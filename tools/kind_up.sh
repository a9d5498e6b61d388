#!/usr/bin/env bash
# A complete installation without any account, on a kind cluster of its own: builds the images, installs the chart with
# the sandbox, and shows where to look at it. Run again, it brings the installation up to date.
set -euo pipefail

for command in docker kind kubectl helm; do
    command -v "$command" >/dev/null || { echo "$command is missing. Without any of this: make demo"; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "Docker does not answer: start it, or see to it that you may use it."; exit 1; }

export KIND_CLUSTER=mynatca-intercom
place=(--namespace mynatca-intercom)
if ! kind get clusters --quiet | grep -qx "$KIND_CLUSTER"; then
    kind create cluster --name "$KIND_CLUSTER" --wait 120s
fi
make cluster-images IMAGE_COMMAND=tools/kind_image.sh
# The tag stays the same: pods learn from the annotation that there are other images.
images=$(docker images --no-trunc --quiet 'mynatca-intercom/*:dev' | sort | sha256sum | cut -c 1-12)
helm upgrade --install demo charts/mynatca-intercom --kube-context "kind-$KIND_CLUSTER" "${place[@]}" --create-namespace \
    --set sandbox.enabled=true --set image.tag=dev --set-string "pods.annotations.images=$images" --wait --timeout 10m

forward() { # SERVICE PORTS
    kubectl --context "kind-$KIND_CLUSTER" "${place[@]}" port-forward "service/demo-mynatca-intercom-$1" "$2"
}
cat <<END

  http://127.0.0.1:8080/_sandbox/inbox    the agent's inbox: write in as a member, or give a number and put on the tag
  http://127.0.0.1:8000/openapi.json      the webhook service
  kind delete cluster --name $KIND_CLUSTER    removes everything
END
[ -t 1 ] || exit 0
echo "  Both are open until you press Ctrl-C."
trap 'kill $(jobs -p)' EXIT
forward sandbox 8080 >/dev/null &
forward webhook 8000:80 >/dev/null &
wait
