"""The operator's metrics, computed at each scrape from the last sweep and the record: a restart loses none."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mynatca_intercom.reconcile.brakes import BrakeClass
from mynatca_operator.reasons import WORDS
from mynatca_operator.record import KINDS, SUCCEEDED, KindRecord, Record
from mynatca_operator.resource import IntercomAudit, Mode, Phase
from mynatca_operator.world import World

PREFIX = "mynatca_intercom_operator"
OUTCOMES = (SUCCEEDED, *WORDS)
COUNTS = (
    *("created", "updated", "converted", "deduplicated", "merged", "archived_duplicate", "archived", "cleared"),
    *("unchanged", "review", "failed", "not_reached", "postponed", "not_approved", "open_work", "active"),
    *("out_of_scope", "restored"),
)
"""Counts of results that are exported; all others are added up as `other`."""


class Exporter(Collector):
    """Exports what the last sweep saw; nothing before the first.

    Args:
        deadline_seconds: how long a run may take whose IntercomAudit does not say.
    """

    def __init__(self, deadline_seconds: float = math.inf) -> None:
        self._deadline_seconds = deadline_seconds
        self._seen: tuple[World, Record, int] | None = None

    def show(self, world: World, record: Record, put_off: int = 0) -> None:
        """Export this from now on; `put_off` is how many objects were left to the next look."""
        self._seen = world, record, put_off

    def collect(self) -> Iterator[Metric]:
        """The metrics of a scrape; a constant number of series, whatever the number of objects."""
        if self._seen is None:
            return
        yield from _families(*self._seen, self._deadline_seconds)

    def describe(self) -> Iterator[Metric]:
        """All metrics that there are, without their values."""
        return _families(World(datetime.fromtimestamp(0, UTC), {}), Record(), 0, self._deadline_seconds)


def _families(world: World, record: Record, put_off: int, deadline_seconds: float) -> Iterator[Metric]:
    yield _gauge("last_sweep_timestamp_seconds", "When everything was last looked at.", world.now.timestamp())
    yield _gauge("put_off", "IntercomAudits that the last look left to the next one: a call failed.", put_off)
    yield _gauge("unfit_audits", "IntercomAudits that do not fit this version and are left out.", len(world.unfit))
    yield _gauge("nightly_running", "Nightly syncs that run now.", len(world.nightly_now))
    yield _gauge(
        "longest_run_seconds",
        "Time since the launch of that Job of an IntercomAudit that goes on the longest; 0 while none does.",
        max((_running_for(audit, world.now) for audit in world.audits.values()), default=0),
    )
    yield _gauge(
        "overdue_seconds",
        "How far that Job of an IntercomAudit is past its deadline that is the furthest; 0 while none is.",
        max((_overdue(audit, world.now, deadline_seconds) for audit in world.audits.values()), default=0),
    )
    yield _objects(world)
    yield from _last_runs(record)


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text)
    family.add_metric([], value)
    return family


def _running_for(audit: IntercomAudit, now: datetime) -> float:
    """Seconds since the launch of a Job that has not ended; 0 without one."""
    launched = audit.status.launch_time
    goes_on = audit.status.phase in ("Pending", "Planning", "Running")
    return (now - launched).total_seconds() if launched and goes_on else 0


def _overdue(audit: IntercomAudit, now: datetime, deadline_seconds: float) -> float:
    return max(_running_for(audit, now) - (audit.spec.active_deadline_seconds or deadline_seconds), 0)


def _objects(world: World) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_audits", "IntercomAudits by mode and phase.", labels=["mode", "phase"])
    found = Counter((audit.spec.mode, audit.status.phase or "Pending") for audit in world.audits.values())
    for mode in get_args(Mode):
        for phase in get_args(Phase):
            family.add_metric([mode, phase], found[mode, phase])
    return family


def _last_runs(record: Record) -> Iterator[Metric]:
    runs = CounterMetricFamily(f"{PREFIX}_runs", "Runs that ended, by outcome.", labels=["kind", "outcome"])
    success = GaugeMetricFamily(
        f"{PREFIX}_last_success_timestamp_seconds", "When a run of this kind last succeeded.", labels=["kind"]
    )
    end = GaugeMetricFamily(f"{PREFIX}_last_run_end_timestamp_seconds", "When the last run ended.", labels=["kind"])
    succeeded = GaugeMetricFamily(f"{PREFIX}_last_run_succeeded", "Whether the last run succeeded.", labels=["kind"])
    seconds = GaugeMetricFamily(f"{PREFIX}_last_run_duration_seconds", "How long the last run took.", labels=["kind"])
    # What a run that never was has done is nothing; when it ended, and how, is not known.
    rows = GaugeMetricFamily(
        f"{PREFIX}_last_run_rows", "What the last run counted, by what became of it.", labels=["kind", "result"]
    )
    brakes = GaugeMetricFamily(
        f"{PREFIX}_last_run_braked", "Whether this brake stopped the last run.", labels=["kind", "brake"]
    )
    beside = GaugeMetricFamily(
        f"{PREFIX}_last_run_concurrent", "Whether another run wrote at the same time.", labels=["kind"]
    )
    for kind in KINDS:
        known = record.kinds.get(kind, KindRecord())
        for outcome in OUTCOMES:
            runs.add_metric([kind, outcome], known.totals.get(outcome, 0))
        if known.last_success:
            success.add_metric([kind], known.last_success.timestamp())
        last = known.last
        if last:
            end.add_metric([kind], last.ended_at.timestamp())
            succeeded.add_metric([kind], last.outcome == SUCCEEDED)
            seconds.add_metric([kind], (last.ended_at - last.started_at).total_seconds())
        beside.add_metric([kind], last is not None and last.concurrent)
        counts = last.counts if last else {}
        for name in COUNTS:
            rows.add_metric([kind, name], counts.get(name, 0))
        rows.add_metric([kind, "other"], sum(n for name, n in counts.items() if name not in COUNTS))
        for brake in get_args(BrakeClass):
            brakes.add_metric([kind, brake], last is not None and brake in last.brakes)
    yield from (runs, success, end, succeeded, seconds, rows, brakes, beside)
