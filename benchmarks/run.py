"""Measures what is asked for and writes every figure to `results.json`. `run NAME ...` measures only those.

Every command under measurement is a process of its own; what is true of a world is known to the benchmarks alone.
"""

import sys
import time
from collections.abc import Callable

from benchmarks import sync, webhook
from benchmarks.acknowledge import acknowledge
from benchmarks.audit import audit
from benchmarks.crash import crash
from benchmarks.figures import Figures, keep
from benchmarks.quality import quality
from benchmarks.undo import undo

BENCHMARKS: dict[str, Callable[[], Figures]] = {
    "quiet": sync.quiet,
    "create": sync.create,
    "size": sync.size,
    "faults": sync.faults,
    "quality": quality,
    "undo": undo,
    "crash": crash,
    "audit": audit,
    "calls": webhook.calls,
    "acknowledge": acknowledge,
    "storm": webhook.storm_on_sqlite,
    "replicas": webhook.storm_on_postgresql,
}


def main() -> None:
    """Measure, print, and merge into the results."""
    for name in sys.argv[1:] or BENCHMARKS:
        started = time.monotonic()
        figures = BENCHMARKS[name]()
        print(f"{name} ({time.monotonic() - started:.0f} s)")
        keep(figures, f"make bench ARGS={name}")


if __name__ == "__main__":
    main()
