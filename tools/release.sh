#!/usr/bin/env bash
# Builds a release of the commit that is checked out, changes that are not committed left out, into dist/: the chart, an
# SBOM of each program, checksums, and the images where docker buildx can build them. Settings, all optional:
#   REGISTRY           push the images there, as in ghcr.io/owner/mynatca-intercom; the chart then names their digests
#   SOURCE_URL         address of the repository, as in https://github.com/owner/mynatca-intercom; alerts then link to its
#                      runbooks of this version, and images name it
#   PLATFORMS          what images are built for: linux/amd64,linux/arm64
#   SIGN_KEY           name of the GPG key that the chart's provenance is signed with
#   PASSPHRASE_FILE    file with that key's passphrase
#   SOURCE_DATE_EPOCH  time of everything inside; default: the commit's
set -euo pipefail

# Helm 3 packages the chart, too, but with the time of the day in it.
command -v helm >/dev/null || { echo "A release needs helm, best 4: https://helm.sh/docs/intro/install"; exit 1; }
builds_images=true
docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || builds_images=false
if [ -n "${REGISTRY:-}" ] && ! $builds_images; then
    echo "REGISTRY is set, but there is no docker buildx, or no docker that answers, to push images with."
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
git archive HEAD | tar -x -C "$work"
revision=$(git rev-parse HEAD)
chart=$work/charts/mynatca-intercom
version=$(sed -n 's/^version: //p' "$chart/Chart.yaml")
dist=$PWD/dist
rm -rf "$dist"
mkdir "$dist"
programs=(syncjob webhook operator sandbox)
echo "mynatca-intercom $version of commit $revision"

build_image() { # PROGRAM
    local output="type=oci,dest=$dist/image-$1-$version.tar"
    [ -z "${REGISTRY:-}" ] || output="type=image,push=true,oci-mediatypes=true"
    docker buildx build --builder "$builder" --platform "${PLATFORMS:-linux/amd64,linux/arm64}" \
        --file "$work/images/$1/Dockerfile" --tag "${REGISTRY:-mynatca-intercom}/$1:$version" \
        ${SOURCE_URL:+--label "org.opencontainers.image.source=$SOURCE_URL"} \
        --label "org.opencontainers.image.version=$version" --label "org.opencontainers.image.revision=$revision" \
        --provenance mode=max --sbom true --metadata-file "$work/$1.json" \
        --output "$output,rewrite-timestamp=true" "$work"
}

name_digest() { # PROGRAM: the chart takes the image that was pushed, and no other under the same tag
    local digest
    digest=$(sed -n 's/.*"containerimage.digest": "\(sha256:[0-9a-f]*\)".*/\1/p' "$work/$1.json")
    sed -i -e "s|^    $1: \"\"$|    $1: $digest|" -e "s|^  repository: mynatca-intercom$|  repository: $REGISTRY|" \
        "$chart/values.yaml"
    grep -qx "    $1: $digest" "$chart/values.yaml" || { echo "The chart has no place for the digest of $1."; exit 1; }
    echo "${digest#sha256:}  $REGISTRY/$1" >>"$dist/IMAGES"
}

if $builds_images; then
    # A builder of its own: docker's default one builds for one platform only.
    builder=$(docker buildx create --driver docker-container)
    trap 'docker buildx rm --force "$builder"; rm -rf "$work"' EXIT
    for program in "${programs[@]}"; do
        build_image "$program"
        [ -z "${REGISTRY:-}" ] || name_digest "$program"
    done
else
    echo "No images: there is no docker buildx, or no docker that answers."
fi

uv venv --quiet "$work/venv"
uv pip install --quiet --python "$work/venv" --require-hashes --requirements "$work/requirements/release.txt"
# The warning is that a list of requirements does not tell who requires whom.
printf '%s\n' "${programs[@]}" | PYTHONWARNINGS=ignore xargs --max-procs=0 -I PROGRAM \
    "$work/venv/bin/cyclonedx-py" requirements "$work/requirements/PROGRAM.txt" \
    --pyproject "$work/pyproject.toml" --output-reproducible --output-file "$dist/sbom-PROGRAM-$version.cdx.json"

if [ -n "${SOURCE_URL:-}" ]; then
    runbooks=${SOURCE_URL%/}/blob/v$version/docs/runbooks
    sed -i "s|^    runbookUrl: docs/runbooks$|    runbookUrl: $runbooks|" "$chart/values.yaml"
    grep -qx "    runbookUrl: $runbooks" "$chart/values.yaml" || { echo "The chart has no place for SOURCE_URL."; exit 1; }
fi
find "$chart" -exec touch --date "@$SOURCE_DATE_EPOCH" {} +
sign=()
if [ -n "${SIGN_KEY:-}" ]; then
    # Helm does not read the key box that gpg keeps keys in. A key with a passphrase stays encrypted.
    gpg --batch ${PASSPHRASE_FILE:+--pinentry-mode loopback --passphrase-file "$PASSPHRASE_FILE"} \
        --export-secret-keys "$SIGN_KEY" >"$work/keyring.gpg"
    sign=(--sign --key "$SIGN_KEY" --keyring "$work/keyring.gpg"
        ${PASSPHRASE_FILE:+--passphrase-file "$PASSPHRASE_FILE"})
else
    echo "No provenance: set SIGN_KEY to the name of a GPG key to sign the chart."
fi
helm package "$chart" --destination "$dist" "${sign[@]}" >/dev/null

(cd "$dist" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
ls -l "$dist"
