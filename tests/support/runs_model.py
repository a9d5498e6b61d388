"""A small cluster for the operator's decision: objects, Jobs and their pods, the nightly sync, time, crashes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from mynatca_intercom.summary import Summary
from mynatca_operator import crd
from mynatca_operator.decide import Action, Decision, Launch, Release, Remove, StopJob, decide
from mynatca_operator.resource import IntercomAudit, Status, as_status
from mynatca_operator.world import Ending, RunJob, World

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SOMEBODY = "somebody"
"""Owner of Jobs that are not the operator's."""
SCHEMA = Draft202012Validator(crd.schema(), format_checker=FormatChecker())


def digest(uid: str) -> str:
    """The digest of the plan that a dry run of this object makes."""
    return hashlib.sha256(uid.encode()).hexdigest()


@dataclass
class ModelCluster:
    """What the API server would hold.

    Attributes:
        launches: What each Job of ours was created for; those that are gone, too.
        unseen: Jobs that vanished before a status said that they were there; none of them ever had a pod.
        lost: UIDs of objects whose Job, known to be there, vanished without anybody having stopped it.
        refusal: Why no Job can be created, at present.
    """

    now: datetime = START
    audits: dict[str, IntercomAudit] = field(default_factory=dict)
    jobs: dict[str, RunJob] = field(default_factory=dict)
    nightly: dict[str, RunJob] = field(default_factory=dict)
    refusals: dict[str, Ending] = field(default_factory=dict)
    launches: dict[str, Launch] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    refusal: Ending | None = None
    made: int = 0

    def number(self) -> int:
        """A number that nothing else has."""
        self.made += 1
        return self.made

    # ---- what people do

    def create(self, *, seconds: int = 1, **spec: Any) -> str:
        """Create an object so many seconds from now; returns its UID."""
        number = self.number()
        self.now += timedelta(seconds=seconds)
        uid = f"uid-{999 - number}"  # in no order of theirs
        metadata = {
            "name": f"run-{number}",
            "namespace": "default",
            "uid": uid,
            "creationTimestamp": self.now,
        }
        self.audits[uid] = IntercomAudit.model_validate({"metadata": metadata, "spec": spec})
        return uid

    def change(self, uid: str, **spec: Any) -> None:
        audit = self.audits[uid]
        self.audits[uid] = audit.model_copy(
            update={
                "spec": audit.spec.model_copy(update=spec),
                "metadata": audit.metadata.model_copy(update={"generation": audit.metadata.generation + 1}),
            }
        )

    def mark_deleted(self, uid: str) -> None:
        """Somebody else's finalizer keeps the object for a while."""
        audit = self.audits[uid]
        metadata = audit.metadata.model_copy(update={"deletion_timestamp": self.now})
        self.audits[uid] = audit.model_copy(update={"metadata": metadata})

    def delete(self, uid: str) -> None:
        """The object is gone; its Jobs stop, which takes time."""
        del self.audits[uid]
        for job in [job for job in self.jobs.values() if job.owner_uid == uid]:
            self.jobs[job.name] = replace(job, deleting=True)

    # ---- what Jobs do

    def mine(self) -> list[RunJob]:
        """Jobs that the operator created."""
        return [job for job in self.jobs.values() if job.name in self.launches and job.owner_uid != SOMEBODY]

    def runs(self, name: str) -> None:
        assert not self.jobs[name].held
        self.jobs[name] = replace(self.jobs[name], started=True, ending=None)

    def completes(self, name: str, **otherwise: Any) -> None:
        """The Job completes with the summary of its run, or with one that differs in these fields."""
        launch, job = self.launches[name], self.jobs[name]
        plan = digest(job.owner_uid) if launch.step == "plan" else ""
        fields = {
            "run_id": launch.run_id,
            "kind": "audit",
            "dry_run": not job.writes,
            "outcome": "done",
            "exit_code": 0,
            "seen": 3,
            "counts": {"updated": 2, "failed": 1},
            "plan_digest": plan,
        }
        summary = Summary.model_validate(fields | otherwise)
        self.jobs[name] = replace(job, state="complete", started=True, summary=summary, ended_at=self.now)

    def completes_without_summary(self, name: str) -> None:
        self.jobs[name] = replace(self.jobs[name], state="complete", started=True, ended_at=self.now)

    def fails(self, name: str, exit_code: int | None = None, ending: Ending | None = None, reason: str = "") -> None:
        """The Job fails; with the summary of a run that ended with this code, or with what its pod shows."""
        if exit_code is not None:
            self.completes(name, exit_code=exit_code, outcome="failed", plan_digest="")
        self.jobs[name] = replace(
            self.jobs[name], state="failed", started=True, ending=ending, job_reason=reason, ended_at=self.now
        )

    def vanishes(self, name: str) -> None:
        """The Job and its pods are gone."""
        job = self.jobs.pop(name)
        audit = self.audits.get(job.owner_uid)
        if audit is None or audit.status.job_name != name or audit.status.is_terminal:
            return
        if not audit.status.is_true("JobCreated"):
            assert job.held, f"{name} could make pods although no status told of it"
            self.unseen.add(name)
        elif job.state == "active" and not audit.status.is_true("Suspended"):
            self.lost.add(job.owner_uid)

    # ---- the operator

    def world(self) -> World:
        """What is read; of Jobs that are not the operator's those that a status names."""
        named = {audit.status.job_name for audit in self.audits.values()}
        jobs = {job.name: job for job in self.jobs.values() if job.owner_uid != SOMEBODY or job.name in named}
        return World(self.now, dict(self.audits), jobs, tuple(self.nightly.values()), dict(self.refusals))

    def attend(self, uid: str, world: World, steps: int | None = None) -> Decision:
        """Decide on an object and carry the decision out, or only so many steps of it before the operator dies."""
        decision = decide(world.audits[uid], world)
        if uid not in self.audits or world.audits[uid] != self.audits[uid]:
            return decision  # storing is refused: the object has changed since it was read
        told = decision.status != self.audits[uid].status
        acts: list[Action | Status] = [decision.status] if told else []
        acts += decision.actions
        for act in acts[:steps]:
            self.act(uid, act)
        if steps is not None:
            self.refusals.clear()  # the next process knows nothing of them
        return decision

    def act(self, uid: str, act: Action | Status) -> None:
        match act:
            case Status():
                stored = as_status(act)
                SCHEMA.validate({"spec": {"mode": "Audit"}, "status": stored})
                self.audits[uid] = self.audits[uid].model_copy(update={"status": Status.model_validate(stored)})
            case Launch():
                self.launch(uid, act)
            case Release():
                if act.job.name in self.jobs:
                    self.jobs[act.job.name] = replace(self.jobs[act.job.name], held=False)
            case StopJob():
                if act.job.name in self.jobs:
                    self.jobs[act.job.name] = replace(self.jobs[act.job.name], deleting=True)
            case Remove():
                self.delete(uid)

    def launch(self, uid: str, launch: Launch) -> None:
        audit = self.audits[uid]
        assert (audit.status.job_name, audit.status.run_id) == (launch.job_name, launch.run_id), "no intent is stored"
        assert uid not in self.lost, "a Job that was lost is launched again"
        if launch.job_name in self.jobs:
            return
        if self.refusal:
            self.refusals[launch.job_name] = self.refusal
            return
        again = launch.job_name in self.launches
        assert not again or launch.job_name in self.unseen, f"{launch.job_name} is launched again"
        self.refusals.pop(launch.job_name, None)
        self.launches[launch.job_name] = launch
        self.jobs[launch.job_name] = RunJob(
            name=launch.job_name,
            uid=f"job-{self.number()}",
            owner_uid=uid,
            created_at=self.now,
            writes=launch.step == "run" and not audit.spec.dry_run,
            held=True,
        )

    def sweep(self) -> Sequence[Decision]:
        """One look at everything, as the operator does it: the oldest first, Jobs as they were at its beginning."""
        world = self.world()
        decisions = []
        for uid in sorted(world.audits, key=lambda uid: (world.audits[uid].metadata.creation_timestamp, uid)):
            decisions.append(self.attend(uid, world))
            if uid in self.audits:
                world = replace(world, audits={**world.audits, uid: self.audits[uid]})
        return decisions

    def quiet(self, rounds: int) -> None:
        """Time goes by and nothing is in the way: Jobs that a run waits for complete, what is being deleted goes.

        Ends when nothing happens any more, or after so many rounds.
        """
        self.refusal = None
        self.nightly.clear()
        for uid in [uid for uid, audit in self.audits.items() if audit.metadata.deletion_timestamp]:
            self.delete(uid)
        for _ in range(rounds):
            before = dict(self.audits)
            self.sweep()
            if before == self.audits and not [job for job in self.mine() if job.state == "active" or job.deleting]:
                return
            self.go_on()

    def go_on(self) -> None:
        """A minute goes by: Jobs that a run waits for start or complete, what is being deleted is gone."""
        self.now += timedelta(seconds=60)
        awaited = {audit.status.job_name for audit in self.audits.values() if not audit.status.is_terminal}
        for job in self.mine():
            if job.deleting:
                self.vanishes(job.name)
            elif job.state == "active" and job.name in awaited and job.started:
                self.completes(job.name)
            elif job.state == "active" and job.name in awaited and job.ending is None and not job.held:
                self.runs(job.name)
