"""How a run shows that it moves: a bar on a terminal, log lines elsewhere, metrics always."""

import logging
import time
from types import TracebackType
from typing import Self, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mynatca_intercom import metrics
from mynatca_intercom.reconcile.apply import OUTCOMES, Row
from mynatca_intercom.reconcile.brakes import BrakeClass
from mynatca_intercom.reconcile.undo import UNDO_OUTCOMES

LOG_EVERY_SECONDS = 10

log = logging.getLogger(__name__)


class RunProgress:
    """The phases of one run; use as a context manager around it.

    Attributes:
        planned: Actions that will be taken; known once the plan is made.
        done: Actions that are behind us.
    """

    def __init__(self, kind: str, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._logged = time.monotonic()
        self.planned = self.done = 0
        metrics.RUN_START.labels(kind).set_to_current_time()
        for gauge in (metrics.ACTIONS_PLANNED, metrics.ACTIONS_DONE, metrics.LAST_ACTION):
            gauge.set(0)
        for outcome in (*OUTCOMES, *(UNDO_OUTCOMES if kind == "undo" else ())):
            metrics.ACTIONS.labels(outcome)
        for brake in get_args(BrakeClass):
            metrics.BRAKES.labels(brake)

    def __enter__(self) -> Self:
        self._bars.start()
        self._contacts = self._bars.add_task("Listing contacts", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def listed(self, read: int, counted: int) -> None:
        """A page of contacts came."""
        metrics.CONTACTS_LISTED.set(read)
        self._bars.update(self._contacts, completed=read, total=counted)
        self._log("listing contacts", read, counted)

    def writes(self, total: int) -> None:
        """The plan is made and `total` actions will be taken."""
        metrics.ACTIONS_PLANNED.set(total)
        self.planned = total
        self._writes = self._bars.add_task("Writing to Intercom", total=total)

    def finished(self, row: Row) -> None:
        """One action is behind us."""
        self.ended(row.outcome)

    def ended(self, outcome: str) -> None:
        """One action or step is behind us, with this outcome."""
        self.done += 1
        metrics.ACTIONS_DONE.set(self.done)
        metrics.LAST_ACTION.set_to_current_time()
        metrics.ACTIONS.labels(outcome).inc()
        self._bars.update(self._writes, completed=self.done)
        self._log("writing to Intercom", self.done, self.planned)

    def waits(self, seconds: int) -> None:
        """The run waits before its last look at Intercom."""
        log.info("waiting %d s for Intercom's search to catch up with what was archived", seconds)
        if seconds:
            self._bars.add_task(f"Waiting {seconds} s for search", total=None)

    def _log(self, phase: str, done: int, total: int) -> None:
        """A line every ten seconds, and none on a terminal, where the bar moves."""
        if self._bars.console.is_terminal or time.monotonic() - self._logged < LOG_EVERY_SECONDS:
            return
        self._logged = time.monotonic()
        log.info("%s: %d of %d", phase, done, total)
