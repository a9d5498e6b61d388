"""What became of the last runs, in a form that outlives Jobs, objects and the operator itself. Pure.

Dry runs are not recorded: they change nothing, so that neither their success nor their failure says anything of the
data in Intercom.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, Field

from mynatca_intercom.summary import Summary
from mynatca_operator.decide import why, wrote_beside
from mynatca_operator.resource import IntercomAudit
from mynatca_operator.world import RunJob, World

RunKind = Literal["Audit", "ManualUpdate", "Sync", "Undo", "NightlySync"]
KINDS: tuple[RunKind, ...] = get_args(RunKind)
SUCCEEDED = "Succeeded"


class LastRun(BaseModel):
    """How a run of a kind ended; moments in UTC."""

    run_id: str = ""
    outcome: str
    started_at: datetime
    ended_at: datetime
    counts: dict[str, int] = Field(default_factory=dict)
    brakes: list[str] = Field(default_factory=list)
    concurrent: bool = False


class KindRecord(BaseModel):
    """The last run of a kind, the last that succeeded, and how many ended in which way."""

    last: LastRun | None = None
    last_success: datetime | None = None
    totals: dict[str, int] = Field(default_factory=dict)


class Record(BaseModel):
    """The record of all kinds.

    `counted` are the UIDs of objects and Jobs that are in it and may still be seen; `nightly` those of nightly Jobs
    that were seen running, with what is needed to name them if they vanish.
    """

    kinds: dict[RunKind, KindRecord] = Field(default_factory=lambda: {kind: KindRecord() for kind in KINDS})
    counted: list[str] = Field(default_factory=list)
    nightly: dict[str, datetime] = Field(default_factory=dict)
    beside: list[str] = Field(default_factory=list)


def updated(record: Record, world: World) -> Record:
    """The record with all runs that have ended since; the same record if none has."""
    new = record.model_copy(deep=True)
    present = {job.uid for job in world.nightly} | set(world.audits) | world.unfit
    writing = [job for job in world.jobs.values() if job.writes]
    beside = {night.uid for night in world.nightly if any(wrote_beside(job, night) for job in writing)}
    new.beside = sorted({*new.beside, *beside} & present)
    for uid, kind, run in _ended(new, world):
        if uid not in new.counted:
            _count(new.kinds.setdefault(kind, KindRecord()), run)
            new.counted.append(uid)
    new.counted = sorted(set(new.counted) & present)
    new.nightly = {job.uid: job.created_at for job in world.nightly_now}
    return new


def _ended(record: Record, world: World) -> Iterator[tuple[str, RunKind, LastRun]]:
    for audit in world.audits.values():
        if audit.status.is_terminal and not audit.spec.dry_run:
            yield audit.metadata.uid, audit.spec.mode, _run_of(audit)
    for job in world.nightly:
        if job.state != "active":
            yield job.uid, "NightlySync", _nightly_run(job, concurrent=job.uid in record.beside)
    present = {job.uid for job in world.nightly}
    for uid, started_at in record.nightly.items():
        if uid not in present:
            yield uid, "NightlySync", LastRun(outcome="JobLost", started_at=started_at, ended_at=world.now)


def _run_of(audit: IntercomAudit) -> LastRun:
    status = audit.status
    failed = status.condition("Failed")
    end = status.completion_time or audit.metadata.creation_timestamp
    return LastRun(
        run_id=status.run_id or "",
        outcome=failed.reason if failed and failed.status == "True" else SUCCEEDED,
        started_at=status.start_time or end,
        ended_at=end,
        counts=status.result.counts if status.result else {},
        brakes=status.result.brakes if status.result else [],
        concurrent=status.is_true("ConcurrentRun"),
    )


def _nightly_run(job: RunJob, *, concurrent: bool) -> LastRun:
    summary: Summary | None = job.summary
    outcome = why(job, summary).reason if job.state == "failed" else SUCCEEDED if summary else "ResultMissing"
    return LastRun(
        run_id=summary.run_id if summary else "",
        outcome=outcome,
        started_at=job.created_at,
        ended_at=job.ended_at or job.created_at,
        counts=summary.counts if summary else {},
        brakes=summary.brakes if summary else [],
        concurrent=concurrent,
    )


def _count(kind: KindRecord, run: LastRun) -> None:
    kind.totals[run.outcome] = kind.totals.get(run.outcome, 0) + 1
    if kind.last is None or run.ended_at >= kind.last.ended_at:
        kind.last = run
    if run.outcome == SUCCEEDED and (kind.last_success is None or run.ended_at > kind.last_success):
        kind.last_success = run.ended_at
