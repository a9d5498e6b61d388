#!/usr/bin/env bash
# Has checkov look at the Dockerfiles, and at the chart as it is in every case of its tests.
set -euo pipefail

command -v helm >/dev/null || { echo "A scan of the chart needs helm: https://helm.sh/docs/intro/install"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/uv venv --quiet "$work/venv"
.venv/bin/uv pip install --quiet --python "$work/venv" --require-hashes --requirements requirements/scan.txt

mkdir "$work/objects"
PYTHONPATH=tests .venv/bin/python - "$work/objects" <<'END'
import sys
from pathlib import Path
import yaml
from support.chart_cases import CASES
from support.helm import render

for name, values in CASES.items():
    Path(sys.argv[1], f"{name}.yaml").write_text(yaml.safe_dump_all(render(values)))
END

checkov() { "$work/venv/bin/checkov" --config-file .checkov.yaml --quiet --compact --skip-download "$@"; }
checkov --framework kubernetes --directory "$work/objects"
checkov --framework dockerfile --directory images
