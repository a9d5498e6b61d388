"""Figures as the benchmarks return them."""

Figures = dict[str, tuple[float, str, str]]
"""Key -> value, unit, goal."""


def share(part: int, whole: int) -> float:
    """A share of something; to measure a share of nothing is a mistake of the benchmark."""
    if not whole:
        raise SystemExit("there was nothing to measure a share of")
    return round(part / whole, 5)
