"""Decides which call fails, and how. Carrying it out is the gate's part (`intercom/gate.py`)."""

import random
from typing import Literal

from mynatca_sandbox.options import Options

Fault = Literal["429", "5xx", "drop_before", "drop_after", "slow"]


class Faults:
    """Draws at most one fault per call, from a seeded generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  - repeatable on purpose

    def draw(self, options: Options) -> Fault | None:
        """Return the fault of the next call, by the rates in `options`."""
        rates: dict[Fault, float] = {
            "429": options.fault_429,
            "5xx": options.fault_5xx,
            "drop_before": options.fault_drop_before,
            "drop_after": options.fault_drop_after,
            "slow": options.fault_slow,
        }
        drawn = self._random.random()
        for fault, rate in rates.items():
            drawn -= rate
            if drawn < 0:
                return fault
        return None

    def server_error_status(self) -> int:
        """Return the status of a fault "5xx"."""
        return self._random.choice((500, 502, 503, 504))
