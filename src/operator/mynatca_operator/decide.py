"""The one decision of the operator: from what is seen, what is true of a run and what is to be done about it.

Pure. Events and the sweep both end here, so that any order, repetition or loss of events gives the same result. A
status is stored before its action is taken (launch intent first), and its events are sent after it was stored.

A run is launched once at most. Its Job is created suspended, and released only after the status says that it is there:
a Job that is missing before that has done nothing and may be created again, one that is missing after it is lost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal

from mynatca_intercom.logs import redact
from mynatca_intercom.summary import Summary
from mynatca_operator.reasons import FAILURES, FINAL, Reason
from mynatca_operator.resource import Condition, ConditionType, IntercomAudit, Phase, Progress, RunResult, Status, Step
from mynatca_operator.world import Ending, RunJob, World

GRACE = timedelta(seconds=15)
"""So long after its launch a Job may be missing before it counts as lost: a read may be older than the write."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Create the Job that the status names, suspended."""

    job_name: str
    run_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class Release:
    """Let a Job make its pod."""

    job: RunJob


@dataclass(frozen=True, slots=True)
class StopJob:
    """Delete a Job: its pod gets SIGTERM and stops between two members."""

    job: RunJob


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete the IntercomAudit, and with it all that it owns."""


Action = Launch | Release | StopJob | Remove


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
    """Decide on one object. Deciding again on what was decided changes nothing.

    Decisions are made one after the other, each on a world with the statuses that were stored before it: two that are
    made beside each other could both find the way free.
    """
    if audit.metadata.deletion_timestamp is not None:
        return Decision(audit.status)
    course = _Course(audit, world)
    return course.after_the_end() if audit.status.is_terminal else course.decide()


class _Course:
    """The course of one run; `_audit` bears the status as it has been decided so far."""

    def __init__(self, audit: IntercomAudit, world: World) -> None:
        self._before = audit.status
        self._audit = audit
        self._world = world
        self._now = world.now.replace(microsecond=0)
        self._launch: Launch | None = None
        self._trouble: Ending | None = None

    def decide(self) -> Decision:
        self._take_plan()
        self._forget_stopped_job()
        if self._audit.spec.suspend or self._is_stopping():
            self._hold()
        elif self._awaits_approval():
            self._await()
        elif self._audit.is_launched:
            self._follow()
        else:
            self._start()
        self._observe()
        launches = (self._launch,) if self._launch else ()
        return Decision(self._status, (*launches, *self._releases(), *self._stops()), tuple(self._told()))

    def after_the_end(self) -> Decision:
        """Nothing changes any more; what was started and should not go on is stopped, and all goes in its time."""
        self._observe()
        ttl, end = self._audit.spec.ttl_seconds_after_finished, self._status.completion_time
        over = ttl is not None and end is not None and self._now >= end + timedelta(seconds=ttl)
        if over and not self._running():
            return Decision(self._status, (Remove(),))
        return Decision(self._status, tuple(self._stops()))

    # ---- where it stands

    @property
    def _status(self) -> Status:
        return self._audit.status

    def _job(self) -> RunJob | None:
        """The Job that the status names, if it is there and this object's."""
        job = self._world.job_of(self._audit)
        return job if job and self._is_ours(job) else None

    def _running(self) -> Sequence[RunJob]:
        """All Jobs of this object that have not ended, those too that the status does not name."""
        return [job for job in self._world.jobs.values() if self._is_ours(job) and job.state == "active"]

    def _is_ours(self, job: RunJob) -> bool:
        return job.owner_uid == self._audit.metadata.uid

    def _awaits_approval(self) -> bool:
        return self._audit.plans and self._status.plan_digest is not None

    def _is_stopping(self) -> bool:
        """Whether it was suspended and its Job is still there; another may not run in its folder beside it."""
        suspended = self._status.is_true("Suspended") and not self._awaits_approval()
        return suspended and self._audit.is_launched and self._job() is not None

    def _releases(self) -> Sequence[Release]:
        """Its Job, until it makes its pod; one that somebody suspends later is left to them."""
        job = self._job()
        due = self._status.phase == "Pending" and self._status.is_true("JobCreated")
        return [Release(job)] if job and due and job.held and job.state == "active" and not job.deleting else []

    def _stops(self) -> Sequence[StopJob]:
        """Jobs that should not go on; an earlier decision to stop them may have been lost."""
        over = self._status.phase in ("Suspended", "Complete", "Failed")
        kept = None if over else self._status.job_name
        return [StopJob(job) for job in self._running() if not job.deleting and job.name != kept]

    # ---- steps

    def _take_plan(self) -> None:
        """Store what a planning step found, whatever follows."""
        job = self._job()
        if not (self._audit.plans and self._audit.is_launched and self._status.plan_digest is None and job):
            return
        summary, _ = self._fenced(job)
        if job.state == "complete" and summary:
            self._set("JobCreated", "True", "Created", "")
            self._set("PlanReady", "True", "Planned", "")
            self._set("ResultAvailable", "True", "Stored", "")
            self._update(plan_digest=summary.plan_digest, plan_config_map=job.plan_config_map, result=_result(summary))

    def _forget_stopped_job(self) -> None:
        """A Job that is gone because the object was suspended is not lost: another attempt may follow."""
        if self._status.is_true("Suspended") and self._status.job_name and self._job() is None:
            self._forget("Suspended")

    def _forget(self, reason: str) -> None:
        self._update(job_name=None, launch_time=None)
        if self._status.condition("JobCreated"):
            self._set("JobCreated", "False", reason, "")

    def _hold(self) -> None:
        """Nothing is started; a Job that runs is deleted once the status says so, and goes on as another attempt."""
        job = self._job()
        launched = self._audit.is_launched and not self._awaits_approval()
        if launched and (self._has_ended(job) if job else self._is_lost()):
            self._follow()
            return
        self._set("Suspended", "True", "Suspended", "")
        if self._status.condition("Waiting"):
            self._set("Waiting", "False", "Suspended", "")
        if job is None and self._status.job_name:
            self._forget("Suspended")
        held = "Held until suspend is false." if self._audit.spec.suspend else "Goes on once its Job has stopped."
        self._to("Suspended", held)

    def _has_ended(self, job: RunJob) -> bool:
        """Whether it ended by itself, and not because it is being stopped."""
        stopped = job.deleting and self._status.is_true("Suspended")
        return job.state == "complete" or (job.state == "failed" and not stopped)

    def _is_lost(self) -> bool:
        """Whether its Job, which was there, is gone and nobody here asked for that."""
        return self._status.is_true("JobCreated") and not self._status.is_true("Suspended")

    def _await(self) -> None:
        self._resumed()
        message = f"Approve the plan with approvedPlan: {self._status.plan_digest}."
        if self._audit.spec.approved_plan:
            message = f"approvedPlan is not the digest of this plan, {self._status.plan_digest}."
        self._to("AwaitingApproval", message)

    def _start(self) -> None:
        """Record the intent and launch, unless somebody else has to end first."""
        self._resumed()
        obstacle = self._obstacle()
        if obstacle:
            self._wait(*obstacle)
            return
        if self._status.condition("Waiting"):
            self._set("Waiting", "False", "ItsTurn", "")
        attempt = self._status.attempt + 1
        identity = run_id(self._audit, self._audit.step)
        self._update(
            attempt=attempt,
            job_name=job_name(self._audit, self._audit.step, attempt),
            plan_run_id=identity if self._audit.plans else self._status.plan_run_id,
            run_id=identity,
            start_time=self._status.start_time or self._now,
            launch_time=self._now,
            progress=None,
        )
        self._set("JobCreated", "False", "Launching", "")
        self._to("Pending", "Launching.")
        self._create()

    def _wait(self, reason: str, message: str) -> None:
        self._set("Waiting", "True", reason, message)
        self._to("Waiting", message)

    def _create(self) -> None:
        """Create the Job whose intent is recorded; doing it again under the same name can only find the first."""
        self._launch = Launch(self._status.job_name or "", self._status.run_id or "", self._audit.step)

    def _follow(self) -> None:
        """What became of the Job."""
        self._resumed()
        job = self._world.job_of(self._audit)
        if job is None:
            self._missing()
        elif not self._is_ours(job):
            self._fail("NameConflict", f"A Job {job.name} exists that is not this object's.")
        elif job.held and self._status.phase == "Pending" and self._gives_way():
            self._withdraw()
        else:
            self._set("JobCreated", "True", "Created", "")
            self._note_concurrency(job)
            if job.state == "complete":
                self._completed(job)
            elif job.state == "failed":
                self._failed(job)
            elif job.deleting:
                self._to(self._status.phase or "Pending", "The Job is being deleted.")
            else:
                self._active(job)

    def _missing(self) -> None:
        launched = self._status.launch_time or self._now
        name = self._status.job_name or ""
        refusal = self._world.refusals.get(name)
        if self._status.is_true("JobCreated"):
            if self._now >= launched + GRACE:
                self._fail("JobLost", f"The Job {name} is gone; what it did last is not known.")
        elif refusal and refusal.reason in FINAL:
            self._fail(refusal.reason, refusal.message)
        elif self._gives_way():
            self._withdraw()
        elif self._is_late():
            late = refusal or Ending("StartDeadlineExceeded", "The Job could not be created in time.")
            self._fail(late.reason, late.message)
        else:
            if refusal:
                self._set("JobCreated", "False", refusal.reason, refusal.message)
                self._is_kept(refusal)
            self._create()

    def _gives_way(self) -> bool:
        """Whether a nightly sync runs beside which it must not start."""
        return self._audit.writes and bool(self._world.nightly_now)

    def _withdraw(self) -> None:
        """A nightly sync began before the Job made its pod: wait, and launch another attempt after it."""
        self._forget("NightlySync")
        obstacle = self._obstacle()
        if obstacle:
            self._wait(*obstacle)

    def _active(self, job: RunJob) -> None:
        started = job.started or self._status.phase in ("Planning", "Running")  # a pod that ran may be gone by now
        if not started and self._is_late():
            ending = job.ending or Ending("StartDeadlineExceeded", "No pod of the Job runs.")
            self._fail(ending.reason, ending.message)
            return
        running: Phase = "Planning" if self._audit.plans else "Running"
        self._update(progress=job.progress or self._status.progress)
        self._to(running if started else "Pending", "Running." if job.started else "Waiting for the pod.")
        if job.ending and not job.started:
            self._is_kept(job.ending)

    def _is_kept(self, trouble: Ending) -> None:
        """Something keeps the run from starting, which may pass."""
        self._trouble = trouble
        self._to(self._status.phase or "Pending", f"{trouble.reason}: {trouble.message}")

    def _completed(self, job: RunJob) -> None:
        summary, fault = self._fenced(job)
        if summary:
            self._end("Complete", "Succeeded", summary.message or "Done.", summary)
        else:
            self._fail(fault.reason, fault.message)

    def _failed(self, job: RunJob) -> None:
        summary, _ = self._fenced(job)
        ending = why(job, summary)
        self._fail(ending.reason, ending.message, summary)

    def _fenced(self, job: RunJob) -> tuple[Summary | None, Ending]:
        """The Job's summary, if it is one of this run; else what is wrong with it."""
        summary = job.summary
        if summary is None:
            return None, Ending("ResultMissing", "The Job ended without a summary, or with one that cannot be read.")
        if summary.run_id != self._status.run_id:
            return None, Ending("ResultRefused", "The Job's summary is of another run.")
        if summary.dry_run == self._audit.writes:
            return None, Ending("ResultRefused", "The Job's summary contradicts its mode: only one was a dry run.")
        if job.state == "complete" and summary.exit_code != 0:
            return None, Ending("ResultRefused", f"The Job completed; its summary says exit code {summary.exit_code}.")
        if job.state == "complete" and self._audit.plans and not summary.plan_digest:
            return None, Ending("ResultRefused", "The dry run's summary names no plan.")
        return summary, Ending("", "")

    # ---- what stands in the way

    def _obstacle(self) -> tuple[str, str] | None:
        """Who has to end before this run may start; nobody but itself for one that writes nothing."""
        if self._running():
            return "Stopping", "Waiting for its earlier Job to stop."
        if not self._audit.writes:
            return None
        others = [other for other in self._world.audits.values() if other.metadata.uid != self._audit.metadata.uid]
        ahead = sum(_is_waiting(other) and _turn(other) < _turn(self._audit) for other in others)
        writer = self._writer(others)
        if self._world.nightly_now:
            return "NightlySync", f"Waiting for the nightly sync to end; position {ahead + 1}."
        if writer:
            return "AnotherRun", f"Waiting for {writer}; position {ahead + 1}."
        if ahead:
            return "Queued", f"Waiting for its turn; position {ahead + 1}."
        return None

    def _writer(self, others: Sequence[IntercomAudit]) -> str | None:
        """Who writes, or is about to: by an intent, or by a Job that has not stopped yet, even without its owner."""
        intents = (other.metadata.name for other in others if _is_open(other) and other.writes and other.is_launched)
        jobs = (job.name for job in self._world.jobs.values() if job.writes and job.state == "active")
        return next(chain(intents, jobs), None)

    def _is_late(self) -> bool:
        since = self._status.launch_time or self._now
        return self._now >= since + timedelta(seconds=self._audit.spec.start_deadline_seconds)

    def _note_concurrency(self, job: RunJob) -> None:
        """A nightly sync that began meanwhile runs beside this run, or ran between two looks."""
        beside = [night for night in self._world.nightly if not night.deleting and wrote_beside(job, night)]
        if self._audit.writes and beside and not self._status.condition("ConcurrentRun"):
            self._set("ConcurrentRun", "True", "NightlySync", f"The nightly sync {beside[0].name} runs, too.")

    # ---- the status

    def _resumed(self) -> None:
        if self._status.is_true("Suspended"):
            self._set("Suspended", "False", "NotSuspended", "")

    def _fail(self, reason: str, message: str, summary: Summary | None = None) -> None:
        self._end("Failed", reason, message, summary)

    def _end(self, type_: Literal["Complete", "Failed"], reason: str, message: str, summary: Summary | None) -> None:
        other: ConditionType = "Failed" if type_ == "Complete" else "Complete"
        self._set(type_, "True", reason, message)
        self._set(other, "False", reason, "")
        self._set("ResultAvailable", "True" if summary else "False", "Stored" if summary else reason, "")
        job = self._job()
        self._update(
            completion_time=(job.ended_at if job else None) or self._now,
            result=_result(summary) if summary else None,
            progress=self._progress_at_the_end(summary),
        )
        self._to(type_, message)

    def _progress_at_the_end(self, summary: Summary | None) -> Progress | None:
        """What the run says itself; what it was asked for last is half a minute old."""
        last = self._status.progress
        if summary is None:
            return last
        return Progress(total=summary.planned, done=summary.done, last_moved=last.last_moved if last else None)

    def _to(self, phase: Phase, message: str) -> None:
        self._update(phase=phase, message=_said(message))

    def _update(self, **fields: object) -> None:
        self._audit = self._audit.model_copy(update={"status": self._status.model_copy(update=fields)})

    def _set(self, type_: ConditionType, status: Literal["True", "False"], reason: str, message: str) -> None:
        """Set a condition; its moment changes only with its status."""
        old = self._status.condition(type_)
        moment = old.last_transition_time if old and old.status == status else self._now
        new = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=_said(message),
            last_transition_time=moment,
            observed_generation=self._audit.metadata.generation,
        )
        conditions = [new if each.type == type_ else each for each in self._status.conditions]
        self._update(conditions=conditions if old else [*conditions, new])

    def _observe(self) -> None:
        """All that is said holds for the present generation; `kubectl wait` believes no condition of an older one."""
        generation = {"observed_generation": self._audit.metadata.generation}
        conditions = [each.model_copy(update=generation) for each in self._status.conditions]
        self._update(**generation, conditions=conditions)

    def _told(self) -> Sequence[Event]:
        """One event for each transition of the phase, and for what newly keeps the run from starting."""
        if self._status.phase == self._before.phase:
            trouble = self._trouble
            known = trouble is None or (self._before.message or "").startswith(f"{trouble.reason}: ")
            return () if trouble is None or known else (Event("Warning", trouble.reason, _said(trouble.message)),)
        failed = self._status.condition("Failed")
        if self._status.phase == "Failed" and failed:
            return (Event("Warning", failed.reason, failed.message),)
        return (Event("Normal", self._status.phase or "Pending", self._status.message or ""),)


def _said(message: str) -> str:
    """A sentence as it may be stored; much of it comes from Kubernetes, and from whoever wrote its parts."""
    return redact(message)[:1024]


def why(job: RunJob, summary: Summary | None) -> Ending:
    """The real reason of a failed Job: the deadline, what the run itself says, or what its pods show."""
    if job.job_reason == "DeadlineExceeded":
        return Ending("DeadlineExceeded", "The run took longer than activeDeadlineSeconds.")
    if summary and summary.exit_code in FAILURES:
        reason: Reason = FAILURES[summary.exit_code]
        return Ending(reason.word, summary.message or reason.sentence)
    return job.ending or Ending("RunFailed", f"The Job failed: {job.job_reason or 'no reason given'}.")


def wrote_beside(job: RunJob, night: RunJob) -> bool:
    """Whether a nightly sync ran at the same time as a Job: both run now, or it began before the Job ended.

    No Job is released while a nightly sync runs, so that of two that overlap the nightly one is the later.
    """
    now = job.state == "active" and night.state == "active"
    began_meanwhile = job.created_at <= night.created_at and (job.ended_at is None or night.created_at < job.ended_at)
    return not job.held and (now or began_meanwhile)


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


def _is_waiting(audit: IntercomAudit) -> bool:
    """Whether it would start to write if it could."""
    return _is_open(audit) and not audit.spec.suspend and audit.writes and not audit.is_launched


def _is_open(audit: IntercomAudit) -> bool:
    """Whether something may still be started for it."""
    return not audit.status.is_terminal and audit.metadata.deletion_timestamp is None
