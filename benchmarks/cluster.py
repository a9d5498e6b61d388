"""Runs `tests/cluster` as `make cluster-test` does, and keeps the figures that its tests write down."""

import json
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figures, keep

EXPECTED = {
    "chart.demo_install_seconds": ("s", "≤ 300"),
    "operator.launch_faults_survived": ("kills", "≥ 30"),
    "operator.idle_writes": ("calls", "0"),
    "operator.writes_per_run": ("calls", "≤ 12"),
    "operator.forbidden_requests": ("calls", "0"),
    "operator.unused_verbs": ("verbs", "0"),
    "operator.series_0_finished": ("series", ""),
    "operator.series_1000_finished": ("series", "that of 0"),
    "operator.memory_mb_0_finished": ("MB", ""),
    "operator.memory_mb_1000_finished": ("MB", "≤ 200"),
}
"""Name -> unit and goal."""
SECONDS = "operator.cluster_test_seconds"


def main() -> None:
    """Measure, print, and merge into the results."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        started = time.monotonic()
        environment = {**os.environ, "CLUSTER_FIGURES": str(file)}
        if subprocess.run(["bash", "tools/cluster_test.sh"], env=environment, check=False).returncode:  # noqa: S607
            raise SystemExit("the tests have failed; nothing was measured")
        seconds = round(time.monotonic() - started)
        values: defaultdict[str, float] = defaultdict(int)
        for name, value in map(json.loads, file.read_text().splitlines()):
            values[name] += value
    if missing := EXPECTED.keys() - values.keys():
        raise SystemExit(f"not measured, as their tests were left out: {', '.join(sorted(missing))}")
    figures: Figures = {name: (values[name], unit, goal) for name, (unit, goal) in EXPECTED.items()}
    keep(figures | {SECONDS: (seconds, "s", "≤ 720")}, "make bench-cluster")


if __name__ == "__main__":
    main()
