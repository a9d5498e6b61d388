"""The operator's decision by property: any order, repetition or loss of what happens ends in the truth."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mynatca_operator.decide import Decision, Launch, Release, decide, job_name
from mynatca_operator.resource import IntercomAudit, Status, as_status
from mynatca_operator.world import Ending, RunJob, World
from support.runs_model import SOMEBODY, ModelCluster, digest

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REFUSALS = [
    Ending("QuotaExceeded", "exceeded quota: pods"),
    Ending("AdmissionRefused", "denied the request"),
    Ending("InvalidJob", "spec.template: invalid"),
]
ENDINGS = [Ending("OOMKilled", "memory"), Ending("Evicted", "disk"), None]


def is_right(before: IntercomAudit, world: World, decision: Decision) -> None:
    """What holds of every decision, whatever was seen."""
    status, launches = decision.status, [act for act in decision.actions if isinstance(act, Launch)]
    after = before.model_copy(update={"status": status})
    again = decide(after, replace(world, audits={**world.audits, before.metadata.uid: after}))

    assert again.status == status, "deciding again changes the status"
    assert again.events == ()
    assert [act for act in again.actions if isinstance(act, Launch | Release)] == [
        act for act in decision.actions if isinstance(act, Launch | Release)
    ]
    assert not [act for act in decision.actions if isinstance(act, Release)] or status.is_true("JobCreated")
    if before.metadata.deletion_timestamp:
        assert (status, decision.actions) == (before.status, ())
        return
    assert status.observed_generation == before.metadata.generation
    assert {each.observed_generation for each in status.conditions} <= {before.metadata.generation}
    if status.is_terminal:
        assert status.is_true("Complete") != status.is_true("Failed")
        assert status.phase == ("Complete" if status.is_true("Complete") else "Failed")
        assert status.is_true("ResultAvailable") == (status.result is not None)
        assert launches == []
    if before.status.is_terminal:
        assert timeless(status) == timeless(before.status), "what has ended changes"
    if after.writes and any(isinstance(action, Release) for action in decision.actions):
        assert world.nightly_now == (), "let go while the nightly sync runs"
    for launch in launches:
        assert len(launch.job_name) <= 63
        assert DNS_LABEL.fullmatch(launch.job_name)
        assert (status.job_name, status.run_id) == (launch.job_name, launch.run_id)
        assert not before.spec.suspend
        if after.writes:
            assert world.nightly_now == (), "started while the nightly sync runs"
        if not before.is_launched:
            assert [uid for uid in world.audits if is_ahead(world.audits[uid], after)] == [], "out of turn"


def timeless(status: Status) -> dict[str, Any]:
    """A status without the generations that it was last found to hold for."""
    stored = as_status(status) | {"observedGeneration": 0}
    return stored | {"conditions": [each | {"observedGeneration": 0} for each in stored["conditions"]]}


def is_ahead(other: IntercomAudit, audit: IntercomAudit) -> bool:
    """Whether it is the turn of the other one, which waits to write as well."""
    waits = other.writes and not other.is_launched and not other.spec.suspend and not other.status.is_terminal
    older = (other.metadata.creation_timestamp, other.metadata.uid) < (
        audit.metadata.creation_timestamp,
        audit.metadata.uid,
    )
    return audit.writes and waits and older and other.metadata.deletion_timestamp is None


def _may_run(job: RunJob) -> bool:
    return job.state == "active" and not job.held


class Operating(RuleBasedStateMachine):
    """People, Jobs, the nightly sync, time and an operator that may die between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = ModelCluster()

    def one_of(self, data: st.DataObject, choices: list[Any]) -> Any:
        return data.draw(st.sampled_from(sorted(choices, key=str)))

    def job(self, data: st.DataObject, fits: Callable[[RunJob], bool] = _may_run) -> str | None:
        names = [job.name for job in self.cluster.mine() if fits(job)]
        return self.one_of(data, names) if names else None

    # ---- people

    @precondition(lambda self: len(self.cluster.audits) < 5)
    @rule(
        dry_run=st.booleans(),
        approval=st.sampled_from(["Automatic", "Manual"]),
        suspend=st.sampled_from([False, False, True]),
        ttl=st.sampled_from([None, None, 0, 100]),
        early=st.sampled_from([None, None, "right", "wrong"]),
        seconds=st.integers(0, 1),
    )
    def somebody_creates_an_object(
        self, *, dry_run: bool, approval: str, suspend: bool, ttl: int | None, early: str | None, seconds: int
    ) -> None:
        uid = self.cluster.create(
            seconds=seconds,
            mode="Audit",
            dryRun=dry_run and approval == "Automatic",
            approval=approval,
            suspend=suspend,
            ttlSecondsAfterFinished=ttl,
            startDeadlineSeconds=120,
        )
        if early and approval == "Manual":
            self.cluster.change(uid, approved_plan=digest(uid) if early == "right" else "0" * 64)

    @precondition(lambda self: self.cluster.audits)
    @rule(data=st.data(), suspend=st.booleans())
    def somebody_suspends_or_resumes(self, data: st.DataObject, *, suspend: bool) -> None:
        self.cluster.change(self.one_of(data, list(self.cluster.audits)), suspend=suspend)

    @precondition(lambda self: any(audit.spec.approval == "Manual" for audit in self.cluster.audits.values()))
    @rule(data=st.data(), choice=st.sampled_from(["right", "right", "wrong", "none"]))
    def somebody_approves(self, data: st.DataObject, choice: str) -> None:
        manual = [uid for uid, audit in self.cluster.audits.items() if audit.spec.approval == "Manual"]
        uid = self.one_of(data, manual)
        given = {"right": digest(uid), "wrong": "0" * 64, "none": None}[choice]
        self.cluster.change(uid, approved_plan=given)

    @precondition(lambda self: self.cluster.audits)
    @rule(data=st.data(), lingers=st.booleans())
    def somebody_deletes_an_object(self, data: st.DataObject, *, lingers: bool) -> None:
        uid = self.one_of(data, list(self.cluster.audits))
        if lingers:
            self.cluster.mark_deleted(uid)
        else:
            self.cluster.delete(uid)

    @precondition(lambda self: any(not audit.status.job_name for audit in self.cluster.audits.values()))
    @rule(data=st.data())
    def somebody_takes_the_name_of_a_job(self, data: st.DataObject) -> None:
        uid = self.one_of(data, [uid for uid, audit in self.cluster.audits.items() if not audit.status.job_name])
        audit = self.cluster.audits[uid]
        name = job_name(audit, audit.step, audit.status.attempt + 1)
        if name not in self.cluster.jobs:
            self.cluster.jobs[name] = RunJob(name, "foreign", SOMEBODY, self.cluster.now, writes=False)

    # ---- Jobs

    @rule(data=st.data(), exit_code=st.sampled_from([None, None, *range(1, 7)]))
    def a_job_goes_on(self, data: st.DataObject, exit_code: int | None) -> None:
        name = self.job(data)
        if name is None:
            return
        if not self.cluster.jobs[name].started:
            self.cluster.runs(name)
        elif exit_code is None:
            self.cluster.completes(name)
        else:
            self.cluster.fails(name, exit_code)

    @rule(data=st.data(), ending=st.sampled_from(ENDINGS), reason=st.sampled_from(["DeadlineExceeded", ""]))
    def a_job_fails_without_a_word(self, data: st.DataObject, ending: Ending | None, reason: str) -> None:
        if name := self.job(data):
            self.cluster.fails(name, ending=ending, reason=reason)

    @rule(data=st.data(), fault=st.sampled_from(["run_id", "exit_code", "dry_run", "missing"]))
    def a_job_leaves_a_false_summary(self, data: st.DataObject, fault: str) -> None:
        name = self.job(data)
        if name is None:
            return
        if fault == "missing":
            self.cluster.completes_without_summary(name)
        else:
            false = {"run_id": "other", "exit_code": 3, "dry_run": self.cluster.jobs[name].writes}
            self.cluster.completes(name, **{fault: false[fault]})

    @rule(data=st.data())
    def a_pod_cannot_start(self, data: st.DataObject) -> None:
        name = self.job(data, lambda job: _may_run(job) and not job.started)
        if name:
            self.cluster.jobs[name] = replace(self.cluster.jobs[name], ending=Ending("Unschedulable", "no node"))

    @rule(data=st.data(), at_once=st.booleans())
    def somebody_deletes_a_job(self, data: st.DataObject, *, at_once: bool) -> None:
        name = self.job(data, lambda job: not job.deleting)  # before it may run, too
        if name and at_once:
            self.cluster.vanishes(name)
        elif name:
            self.cluster.jobs[name] = replace(self.cluster.jobs[name], deleting=True)

    @rule(data=st.data())
    def a_deleted_job_is_gone(self, data: st.DataObject) -> None:
        if name := self.job(data, lambda job: job.deleting):
            self.cluster.vanishes(name)

    # ---- the cluster

    @rule(starts=st.booleans())
    def the_nightly_sync_starts_or_ends(self, *, starts: bool) -> None:
        if starts:
            name = f"nightly-{self.cluster.number()}"
            self.cluster.nightly[name] = RunJob(name, name, "cronjob", self.cluster.now)
        else:
            self.cluster.nightly = {name: replace(job, state="complete") for name, job in self.cluster.nightly.items()}

    @rule(refusal=st.none() | st.sampled_from(REFUSALS))
    def jobs_are_refused_or_not(self, refusal: Ending | None) -> None:
        self.cluster.refusal = refusal

    @rule(seconds=st.sampled_from([1, 20, 200]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.now += timedelta(seconds=seconds)

    @rule(data=st.data(), minutes=st.integers(1, 4))
    def all_goes_on(self, data: st.DataObject, minutes: int) -> None:
        for _ in range(minutes):
            self.the_operator_looks_at_all(data, disturbed=False)
            self.cluster.go_on()

    # ---- the operator

    @precondition(lambda self: self.cluster.audits)
    @rule(data=st.data(), steps=st.sampled_from([None, 0, 1, 1, 2]))
    def the_operator_looks_at_one(self, data: st.DataObject, steps: int | None) -> None:
        uid = self.one_of(data, list(self.cluster.audits))
        world = self.cluster.world()
        is_right(world.audits[uid], world, self.cluster.attend(uid, world, steps))

    @rule(data=st.data(), disturbed=st.just(value=True))
    def the_operator_looks_at_all(self, data: st.DataObject, *, disturbed: bool) -> None:
        """And something may happen between its reading and its deciding."""
        world = self.cluster.world()
        for uid in sorted(world.audits, key=lambda uid: (world.audits[uid].metadata.creation_timestamp, uid)):
            happens = data.draw(st.sampled_from(["nothing", "nothing", "a Job", "people"])) if disturbed else "nothing"
            if happens == "a Job":
                self.a_job_goes_on(data, None)
            elif happens == "people" and self.cluster.audits:
                self.somebody_suspends_or_resumes(data, suspend=True)
            is_right(world.audits[uid], world, self.cluster.attend(uid, world))
            if uid in self.cluster.audits:
                world = replace(world, audits={**world.audits, uid: self.cluster.audits[uid]})

    # ---- what always holds

    @invariant()
    def one_writes_at_a_time(self) -> None:
        assert len([job for job in self.cluster.mine() if job.writes and job.state == "active"]) <= 1

    def teardown(self) -> None:
        """Once nothing is in the way any more everything ends, the lost ones as lost, and then nothing is written."""
        cluster = self.cluster
        cluster.quiet(rounds=20 + 8 * len(cluster.audits))
        for uid, audit in cluster.audits.items():
            waits = audit.spec.suspend or audit.status.phase == "AwaitingApproval"
            assert audit.status.is_terminal or waits, f"{audit.metadata.name} has not ended: {audit.status.message}"
            failed = audit.status.condition("Failed")
            assert uid not in cluster.lost or (failed and failed.reason == "JobLost")
        assert [job.name for job in cluster.mine() if job.state == "active"] == [], "goes on though nobody waits for it"
        cluster.sweep()  # which removes what has had its time
        before = dict(cluster.audits)
        assert [decision.actions for decision in cluster.sweep() if decision.actions] == []
        assert cluster.audits == before


TestOperating = Operating.TestCase
TestOperating.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
