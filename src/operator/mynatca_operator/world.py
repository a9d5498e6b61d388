"""What the operator sees of the cluster, reduced to what decisions need; all of it is read live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mynatca_intercom.summary import Summary
from mynatca_operator.resource import IntercomAudit, Progress


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run's pod, or what stood in the way of it, did not do what it should.

    `reason` is one word of `reasons.py`; `message` a sentence without personal data.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RunJob:
    """A Job of ours, or of the nightly CronJob.

    Attributes:
        name, namespace, uid: The Job's.
        owner_uid: The UID of the IntercomAudit or CronJob that controls it.
        created_at: When it was created.
        writes: Whether it may write to Intercom, as its label says.
        state: Whether its conditions say Complete or Failed; by type, never by position. FailureTarget and
            SuccessCriteriaMet come before and are no end yet.
        job_reason: The reason of its Failed condition.
        started: Whether one of its pods runs, or has run.
        ended_at: When it ended.
        summary: What its newest finished pod left as termination message; None when there is none, or it is unfit.
        ending: What its pods show of a failure, or of what keeps them from starting.
        progress: What its running pod says, when it was asked.
        plan_config_map: The ConfigMap with the beginning of the plan that its pod handed over.
        deleting: Whether it is being deleted.
        held: Whether it is suspended, as it is created: it makes no pod yet.
    """

    name: str
    uid: str
    owner_uid: str
    created_at: datetime
    writes: bool = True
    state: Literal["active", "complete", "failed"] = "active"
    job_reason: str = ""
    started: bool = False
    ended_at: datetime | None = None
    summary: Summary | None = None
    ending: Ending | None = None
    progress: Progress | None = None
    plan_config_map: str | None = None
    deleting: bool = False
    held: bool = False
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that one sweep has read.

    Attributes:
        now: The moment of the reading.
        audits: All IntercomAudits, by UID.
        jobs: All Jobs of IntercomAudits that are still there, by name; also those, as being deleted, that are gone
            while a pod of theirs has not ended: it may still write.
        nightly: Jobs of the nightly CronJob that are still there, in the same way.
        refusals: Job name -> why the API server did not let it be created, in this process's last try.
        unfit: UIDs of IntercomAudits that this version cannot read, and that are left out of `audits`.
        unread: UIDs of those in `audits` of which not everything could be read: nothing is decided on them.
    """

    now: datetime
    audits: Mapping[str, IntercomAudit]
    jobs: Mapping[str, RunJob] = field(default_factory=dict)
    nightly: tuple[RunJob, ...] = ()
    refusals: Mapping[str, Ending] = field(default_factory=dict)
    unfit: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()

    @property
    def nightly_now(self) -> tuple[RunJob, ...]:
        """Nightly Jobs that have not ended."""
        return tuple(job for job in self.nightly if job.state == "active")

    def job_of(self, audit: IntercomAudit) -> RunJob | None:
        """The Job that the audit's status names, whoever owns it."""
        return self.jobs.get(audit.status.job_name or "")
