"""Figures as the benchmarks return them, and the file that keeps the last ones."""

import json
from datetime import UTC, datetime
from pathlib import Path

Figures = dict[str, tuple[float, str, str]]
"""Key -> value, unit, goal."""

RESULTS = Path(__file__).parent / "results.json"


def keep(figures: Figures, command: str) -> None:
    """Print figures, and merge them into the results; `command` is what measures them again."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    date = datetime.now(UTC).date().isoformat()
    for key, (value, unit, goal) in figures.items():
        print(f"  {key:<44} {value:>10} {unit:<8} {goal}")
        results[key] = {"value": value, "unit": unit, "goal": goal, "command": command, "date": date}
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def share(part: int, whole: int) -> float:
    """A share of something; to measure a share of nothing is a mistake of the benchmark."""
    if not whole:
        raise SystemExit("there was nothing to measure a share of")
    return round(part / whole, 5)
