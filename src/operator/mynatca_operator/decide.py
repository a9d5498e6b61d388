"""The one decision of the operator: from what is seen, what is true of a run and what is to be done about it.

Pure. Events and the sweep both end here, so that any order, repetition or loss of events gives the same result. A
status is stored before its action is taken (launch intent first), and its events are sent after it was stored.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mynatca_intercom.summary import Summary
from mynatca_operator.reasons import FAILURES, Reason
from mynatca_operator.resource import Condition, ConditionType, IntercomAudit, Phase, RunResult, Status
from mynatca_operator.world import Ending, RunJob, World

GRACE = timedelta(seconds=15)
"""So long after its launch a Job may be missing before it counts as lost: a read may be older than the write."""

Step = Literal["plan", "run"]


@dataclass(frozen=True, slots=True)
class Launch:
    """Create the Job that the status names."""

    job_name: str
    run_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class StopJob:
    """Delete a Job: its pod gets SIGTERM and stops between two members."""

    job: RunJob


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete the IntercomAudit, and with it all that it owns."""


Action = Launch | StopJob | Remove


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event about a transition."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is true now, to be stored first; then what is to be done; then what is to be told."""

    status: Status
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()


def job_name(audit: IntercomAudit, step: Step, attempt: int) -> str:
    """A function of name, UID, step and attempt, so that a repeated launch finds the first one; <= 63 letters."""
    tail = f"{_short(audit)}-{step}-{attempt}"
    return f"{audit.metadata.name[: 62 - len(tail)].rstrip('-.')}-{tail}".replace(".", "-")


def run_id(audit: IntercomAudit, step: Step) -> str:
    """The same for all attempts of a step, so that a later one goes on in the same run folder."""
    tail = f"{_short(audit)}-{step}" if step == "plan" else _short(audit)
    return f"{audit.metadata.name[: 62 - len(tail)].rstrip('-.')}-{tail}"


def _short(audit: IntercomAudit) -> str:
    return hashlib.sha256(audit.metadata.uid.encode()).hexdigest()[:10]


def decide(audit: IntercomAudit, world: World) -> Decision:
    """Decide on one object. Deciding again on what was decided changes nothing."""
    if audit.metadata.deletion_timestamp is not None:
        return Decision(audit.status)
    if audit.status.is_terminal:
        return _after_the_end(audit, world.now)
    return _Course(audit, world).decide()


def _after_the_end(audit: IntercomAudit, now: datetime) -> Decision:
    ttl, end = audit.spec.ttl_seconds_after_finished, audit.status.completion_time
    over = ttl is not None and end is not None and now >= end + timedelta(seconds=ttl)
    return Decision(audit.status, (Remove(),) if over else ())


class _Course:
    """The course of one run that has not ended."""

    def __init__(self, audit: IntercomAudit, world: World) -> None:
        self._audit = audit
        self._world = world
        self._now = world.now.replace(microsecond=0)
        self._status = audit.status.model_copy(update={"observed_generation": audit.metadata.generation})
        self._actions: list[Action] = []

    def decide(self) -> Decision:
        if self._audit.spec.suspend:
            self._hold()
        elif self._awaits_approval():
            self._await()
        elif _is_launched(self._audit):
            self._follow()
        else:
            self._start()
        return Decision(self._status, tuple(self._actions), tuple(self._told()))

    # ---- where it stands

    @property
    def _step(self) -> Step:
        return _step(self._audit)

    def _awaits_approval(self) -> bool:
        return self._audit.plans and bool(self._status.plan_digest)

    # ---- steps

    def _hold(self) -> None:
        """Nothing is started; a Job that runs is deleted after the status says so, and goes on as another attempt."""
        job = self._world.job_of(self._audit)
        if job and self._is_ours(job) and job.state != "active" and _is_launched(self._audit):
            self._follow()
            return
        if job and self._is_ours(job) and not job.deleting and job.state == "active":
            self._actions.append(StopJob(job))
        self._set("Suspended", "True", "Suspended", "suspend is true")
        self._set("Waiting", "False", "Suspended", "")
        self._to("Suspended", "Held until suspend is false.", job_name=None, launch_time=None)

    def _await(self) -> None:
        self._resumed()
        message = f"Approve the plan with approvedPlan: {self._status.plan_digest}."
        if self._audit.spec.approved_plan:
            message = f"approvedPlan is not the digest of this plan, {self._status.plan_digest}."
        self._to("AwaitingApproval", message)

    def _start(self) -> None:
        """Record the intent and launch, unless somebody else has to end first."""
        self._resumed()
        reason, message = self._obstacle()
        if reason:
            self._set("Waiting", "True", reason, message)
            self._to("Waiting", message)
            return
        if self._status.condition("Waiting"):
            self._set("Waiting", "False", "ItsTurn", "")
        attempt = self._status.attempt + 1
        name = job_name(self._audit, self._step, attempt)
        identity = run_id(self._audit, self._step)
        phase: Phase = "Planning" if self._step == "plan" else "Running"
        update = {"attempt": attempt, "run_id": identity, "job_name": name, "launch_time": self._now}
        if self._status.start_time is None:
            update["start_time"] = self._now
        if self._step == "plan":
            update["plan_run_id"] = identity
        self._set("JobCreated", "False", "Launching", "")
        self._to(phase, "Launching.", **update)
        self._actions.append(Launch(name, identity, self._step))

    def _follow(self) -> None:
        """What became of the Job."""
        self._resumed()
        job = self._world.job_of(self._audit)
        if job is None:
            self._missing()
        elif not self._is_ours(job):
            self._fail("NameConflict", f"A Job {job.name} exists that is not this object's.")
        else:
            self._set("JobCreated", "True", "Created", "")
            self._note_concurrency()
            if job.state == "complete":
                self._completed(job)
            elif job.state == "failed":
                self._failed(job)
            elif job.deleting:
                self._to(self._status.phase or "Running", "The Job is being deleted.")
            else:
                self._active(job)

    def _missing(self) -> None:
        launched = self._status.launch_time or self._now
        name = self._status.job_name or ""
        refusal = self._world.refusals.get(name)
        if self._status.is_true("JobCreated"):
            if self._now >= launched + GRACE:
                self._fail("JobLost", f"The Job {name} is gone; what it did last is not known.")
            return
        if refusal and refusal.reason == "InvalidJob":
            self._fail(refusal.reason, refusal.message)
        elif self._is_late():
            late = refusal or Ending("StartDeadlineExceeded", "The Job could not be created in time.")
            self._fail(late.reason, late.message)
        elif refusal:
            self._set("JobCreated", "False", refusal.reason, refusal.message)
            self._to(self._status.phase or "Running", refusal.message)
            self._relaunch(name)
        else:
            self._relaunch(name)

    def _relaunch(self, name: str) -> None:
        """The intent is recorded and the Job is not seen: creating it again under its name can only find the first."""
        self._actions.append(Launch(name, self._status.run_id or "", self._step))

    def _active(self, job: RunJob) -> None:
        late = not job.started and self._is_late()
        if late:
            ending = job.ending or Ending("StartDeadlineExceeded", "No pod of the Job runs.")
            self._fail(ending.reason, ending.message)
            self._actions.append(StopJob(job))
            return
        message = "Running." if job.started else "Waiting for the pod."
        if not job.started and job.ending:
            message = f"{job.ending.reason}: {job.ending.message}"
        progress = job.progress or self._status.progress
        self._to("Planning" if self._step == "plan" else "Running", message, progress=progress)

    def _completed(self, job: RunJob) -> None:
        summary, fault = self._fenced(job)
        if summary is None:
            self._fail(fault.reason, fault.message)
        elif self._step == "plan":
            self._planned(summary, job.plan_config_map)
        else:
            self._end("Complete", "Succeeded", summary.message or "Done.", summary)

    def _planned(self, summary: Summary, config_map: str | None) -> None:
        self._set("PlanReady", "True", "Planned", "")
        self._set("ResultAvailable", "True", "Stored", "")
        self._to(
            "AwaitingApproval",
            f"Approve the plan with approvedPlan: {summary.plan_digest}.",
            plan_digest=summary.plan_digest,
            plan_config_map=config_map,
            result=_result(summary),
        )

    def _failed(self, job: RunJob) -> None:
        summary, _ = self._fenced(job)
        ending = why(job, summary)
        self._fail(ending.reason, ending.message, summary)

    def _fenced(self, job: RunJob) -> tuple[Summary | None, Ending]:
        """The Job's summary, if it is one of this run; else what is wrong with it."""
        if job.summary is None:
            return None, Ending("ResultMissing", "The Job ended without a summary, or with one that cannot be read.")
        if job.summary.run_id != self._status.run_id:
            return None, Ending("ResultRefused", "The Job's summary is of another run.")
        if self._step == "plan" and not job.summary.plan_digest:
            return None, Ending("ResultRefused", "The dry run's summary names no plan.")
        return job.summary, Ending("", "")

    # ---- what stands in the way

    def _obstacle(self) -> tuple[str, str]:
        """Who has to end before this run may write; nobody for a run that writes nothing."""
        if not self._audit.writes:
            return "", ""
        if self._world.nightly_now:
            return "NightlySync", "Waiting for the nightly sync to end."
        others = [other for other in self._world.audits.values() if other.metadata.uid != self._audit.metadata.uid]
        ahead = [other for other in others if _is_waiting(other) and _turn(other) < _turn(self._audit)]
        writer = self._writer(others)
        if writer:
            return "AnotherRun", f"Waiting for {writer}; position {len(ahead) + 1}."
        if ahead:
            return "Queued", f"Waiting for its turn; position {len(ahead) + 1}."
        return "", ""

    def _writer(self, others: Sequence[IntercomAudit]) -> str | None:
        """Who writes, or is about to: by an intent, or by a Job that has not stopped yet, even without its owner."""
        intents = (other for other in others if other.writes and _is_launched(other) and not other.status.is_terminal)
        intent = next(intents, None)
        if intent:
            return intent.metadata.name
        return next((job.name for job in self._world.jobs.values() if job.writes and job.state == "active"), None)

    def _is_late(self) -> bool:
        since = self._status.launch_time or self._now
        return self._now >= since + timedelta(seconds=self._audit.spec.start_deadline_seconds)

    def _is_ours(self, job: RunJob) -> bool:
        return job.owner_uid == self._audit.metadata.uid

    def _note_concurrency(self) -> None:
        """A nightly sync that began meanwhile runs beside this run."""
        beside = [job for job in self._world.nightly_now if not job.deleting]
        if self._audit.writes and beside:
            self._set("ConcurrentRun", "True", "NightlySync", f"The nightly sync {beside[0].name} runs, too.")

    # ---- the status

    def _resumed(self) -> None:
        if self._status.is_true("Suspended"):
            self._set("Suspended", "False", "Resumed", "")

    def _fail(self, reason: str, message: str, summary: Summary | None = None) -> None:
        self._end("Failed", reason, message, summary)

    def _end(self, type_: Literal["Complete", "Failed"], reason: str, message: str, summary: Summary | None) -> None:
        other: ConditionType = "Failed" if type_ == "Complete" else "Complete"
        self._set(type_, "True", reason, message)
        self._set(other, "False", reason, "")
        self._set("ResultAvailable", "True" if summary else "False", "Stored" if summary else reason, "")
        job = self._world.job_of(self._audit)
        end = (job.ended_at if job else None) or self._now
        update: dict[str, object] = {"completion_time": end}
        if summary:
            update["result"] = _result(summary)
        self._to(type_, message, **update)

    def _to(self, phase: Phase, message: str, **update: object) -> None:
        self._status = self._status.model_copy(update={"phase": phase, "message": message[:1024], **update})

    def _set(self, type_: ConditionType, status: Literal["True", "False"], reason: str, message: str) -> None:
        """Set a condition; its moment changes only with its status."""
        old = self._status.condition(type_)
        moment = old.last_transition_time if old and old.status == status else self._now
        new = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=message[:1024],
            last_transition_time=moment,
            observed_generation=self._audit.metadata.generation,
        )
        conditions = [new if each.type == type_ else each for each in self._status.conditions]
        if old is None:
            conditions.append(new)
        self._status = self._status.model_copy(update={"conditions": conditions})

    def _told(self) -> Sequence[Event]:
        """One event for each transition of the phase."""
        if self._status.phase == self._audit.status.phase:
            return ()
        failed = self._status.condition("Failed")
        if self._status.phase == "Failed" and failed:
            return (Event("Warning", failed.reason, failed.message),)
        return (Event("Normal", self._status.phase or "Pending", self._status.message or ""),)


def why(job: RunJob, summary: Summary | None) -> Ending:
    """The real reason of a failed Job: the deadline, what the run itself says, or what its pods show."""
    if job.job_reason == "DeadlineExceeded":
        return Ending("DeadlineExceeded", "The run took longer than activeDeadlineSeconds.")
    if summary and summary.exit_code in FAILURES:
        reason: Reason = FAILURES[summary.exit_code]
        return Ending(reason.word, summary.message or reason.sentence)
    return job.ending or Ending("RunFailed", f"The Job failed: {job.job_reason or 'no reason given'}.")


def _result(summary: Summary) -> RunResult:
    return RunResult(
        outcome=summary.outcome,
        exit_code=summary.exit_code,
        seen=summary.seen,
        changed=summary.changed,
        failed=summary.failed,
        counts=summary.counts,
        brakes=summary.brakes,
        source=summary.source,
    )


def _turn(audit: IntercomAudit) -> tuple[datetime, str]:
    return audit.metadata.creation_timestamp, audit.metadata.uid


def _is_launched(audit: IntercomAudit) -> bool:
    """Whether the Job of the present step has its intent recorded."""
    return audit.status.job_name is not None and audit.status.run_id == run_id(audit, _step(audit))


def _is_waiting(audit: IntercomAudit) -> bool:
    """Whether it would start if it could."""
    held = audit.spec.suspend or audit.status.is_terminal or audit.metadata.deletion_timestamp is not None
    return not held and audit.writes and not _is_launched(audit)


def _step(audit: IntercomAudit) -> Step:
    return "plan" if audit.plans else "run"
