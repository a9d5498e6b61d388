#!/usr/bin/env bash
# kind_image.sh TAG CONTEXT [OPTIONS OF docker build]: builds an image and hands it to the kind cluster of the tests.
# Another kind of cluster has another command, which takes the same arguments: make cluster-images IMAGE_COMMAND=...
set -euo pipefail
tag=$1 context=$2
shift 2
docker build --quiet --tag "$tag" "$@" "$context"
kind load docker-image "$tag" --name "${KIND_CLUSTER:-mynatca-intercom-test}"
