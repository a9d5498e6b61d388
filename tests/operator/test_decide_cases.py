"""Cases of the operator's decision that somebody had to settle; `test_decide_runs` has what holds in all."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mynatca_operator.decide import decide, job_name, run_id
from mynatca_operator.job import arguments
from mynatca_operator.resource import IntercomAudit, Status
from mynatca_operator.world import Ending, RunJob
from support.runs_model import SOMEBODY, ModelCluster, digest


class Case:
    """One object in a cluster of its own, and what is asked of both."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = ModelCluster()
        defaults: dict[str, Any] = {"mode": "Audit", "startDeadlineSeconds": 120}
        self.uid = self.cluster.create(**defaults | spec)

    @property
    def audit(self) -> IntercomAudit:
        return self.cluster.audits[self.uid]

    @property
    def job(self) -> str:
        """The name of its Job."""
        assert self.audit.status.job_name is not None
        return self.audit.status.job_name

    def change(self, **spec: Any) -> None:
        self.cluster.change(self.uid, **spec)

    def sweep(self, times: int = 3) -> str | None:
        """Look until nothing changes any more; returns the phase."""
        for _ in range(times):
            self.cluster.sweep()
        return self.audit.status.phase if self.uid in self.cluster.audits else None

    def runs(self) -> "Case":
        self.sweep()
        self.cluster.runs(self.job)
        assert self.sweep() == ("Planning" if self.audit.plans else "Running")
        return self

    def is_planned(self) -> "Case":
        self.runs()
        self.cluster.completes(self.job)
        self.sweep()
        return self

    def wait(self, seconds: float) -> None:
        self.cluster.now += timedelta(seconds=seconds)

    def reason(self, type_: Any) -> str:
        found = self.audit.status.condition(type_)
        return found.reason if found and found.status == "True" else ""


def manual(**spec: Any) -> Case:
    return Case(approval="Manual", **spec)


# ---- what is said


@pytest.mark.parametrize("phase", ["Pending", "Failed"])
def test_nothing_that_is_said_names_a_person(phase: str) -> None:
    case = Case()
    case.sweep()
    said = "pulled for ann.lee@example.com, +1 312 555 0142, by the admission of example.com"
    case.cluster.jobs[case.job] = replace(case.cluster.jobs[case.job], ending=Ending("Unschedulable", said))
    if phase == "Failed":
        case.wait(200)
    world = case.cluster.world()
    decision = decide(case.audit, world)
    assert decision.status.phase == phase
    told = [decision.status.message or "", *(event.message for event in decision.events)]
    told += [each.message for each in decision.status.conditions]
    assert [text for text in told if "ann" in text or "0142" in text] == []
    assert [event.message for event in decision.events] == [
        "pulled for [email], [phone], by the admission of example.com"
    ]


# ---- suspending


def test_a_run_that_completed_just_when_it_was_suspended_is_complete() -> None:
    case = Case().runs()
    case.change(suspend=True)
    case.cluster.completes(case.job)
    assert case.sweep() == "Complete"
    assert not case.audit.status.is_true("Suspended")


def test_a_run_that_completes_while_it_is_being_stopped_is_complete() -> None:
    case = Case().runs()
    case.change(suspend=True)
    assert case.sweep() == "Suspended"
    case.cluster.completes(case.job)
    assert case.sweep() == "Complete"


def test_a_run_that_fails_because_it_is_being_stopped_is_suspended() -> None:
    """With a backoff limit of 0 the Job fails as its pod ends with exit code 6."""
    case = Case().runs()
    case.change(suspend=True)
    case.sweep()
    case.cluster.fails(case.job, 6)
    assert case.sweep() == "Suspended"


def test_a_run_that_failed_before_it_was_stopped_has_failed() -> None:
    case = Case().runs()
    case.change(suspend=True)
    case.cluster.fails(case.job, 3)
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "RowsFailed"


def test_a_resumed_run_waits_for_its_own_job_to_stop_and_goes_on_in_the_same_folder() -> None:
    case = Case().runs()
    first, folder = case.job, case.audit.status.run_id
    case.change(suspend=True)
    case.sweep()
    case.change(suspend=False)
    assert case.sweep() == "Suspended"
    assert case.audit.status.message == "Goes on once its Job has stopped."
    case.cluster.vanishes(first)
    assert case.sweep() == "Pending"
    assert case.job != first
    assert (case.audit.status.run_id, case.audit.status.attempt) == (folder, 2)


def test_a_job_is_stopped_even_if_the_first_order_was_lost() -> None:
    case = Case().runs()
    case.change(suspend=True)
    case.cluster.attend(case.uid, case.cluster.world(), steps=1)
    assert (case.audit.status.phase, case.cluster.jobs[case.job].deleting) == ("Suspended", False)
    case.sweep()
    assert case.cluster.jobs[case.job].deleting


def test_a_job_that_vanished_before_its_run_was_suspended_is_lost() -> None:
    case = Case().runs()
    case.cluster.vanishes(case.job)
    case.change(suspend=True)
    case.wait(20)
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "JobLost"


def test_suspending_a_plan_that_waits_keeps_it() -> None:
    case = manual().is_planned()
    case.change(suspend=True)
    assert case.sweep() == "Suspended"
    case.change(approved_plan=digest(case.uid))
    assert case.sweep() == "Suspended"
    case.change(suspend=False)
    assert case.sweep() == "Pending"
    assert case.audit.step == "run"


def test_a_plan_that_was_ready_just_when_it_was_suspended_is_kept() -> None:
    case = manual().runs()
    case.change(suspend=True)
    case.cluster.completes(case.job)
    assert case.sweep() == "Suspended"
    assert case.audit.status.plan_digest == digest(case.uid)
    case.change(suspend=False)
    assert case.sweep() == "AwaitingApproval"


def test_the_start_deadline_does_not_count_while_suspended() -> None:
    case = Case(suspend=True)
    case.sweep()
    case.wait(1000)
    case.change(suspend=False)
    assert case.sweep() == "Pending"


# ---- approving


def test_a_plan_that_is_approved_in_advance_runs_at_once() -> None:
    case = manual()
    case.change(approved_plan=digest(case.uid))
    case.is_planned()
    assert case.audit.status.phase == "Pending"
    assert case.audit.status.run_id == run_id(case.audit, "run")


def test_a_wrong_digest_approves_nothing_and_is_named() -> None:
    case = manual()
    case.change(approved_plan="0" * 64)
    case.is_planned()
    assert case.audit.status.phase == "AwaitingApproval"
    assert case.audit.status.message == f"approvedPlan is not the digest of this plan, {digest(case.uid)}."
    assert len(case.cluster.launches) == 1


def test_an_approval_that_is_withdrawn_stops_no_run_and_lets_nobody_else_write() -> None:
    case = manual().is_planned()
    case.change(approved_plan=digest(case.uid))
    case.runs()
    other = case.cluster.create(mode="Sync")
    case.change(approved_plan=None)
    assert case.sweep() == "Running"
    assert case.cluster.audits[other].status.phase == "Waiting"
    launch = case.cluster.launches[case.job]
    assert arguments(case.audit, launch, "1%")[2:4] == ["--digest", digest(case.uid)]


def test_the_result_of_a_plan_is_not_taken_for_that_of_a_run_without_one() -> None:
    case = manual().is_planned()
    assert case.audit.status.result is not None
    case.change(approved_plan=digest(case.uid))
    case.runs()
    case.cluster.fails(case.job, ending=Ending("OOMKilled", "too little memory"))
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "OOMKilled"
    assert case.audit.status.result is None


# ---- the end


def test_no_time_to_live_is_enough_to_be_seen_once() -> None:
    case = Case(ttlSecondsAfterFinished=0).runs()
    case.cluster.completes(case.job)
    assert case.sweep(1) == "Complete"
    assert case.sweep(1) is None


def test_a_run_that_started_too_late_is_stopped_even_if_the_first_order_was_lost() -> None:
    case = Case(ttlSecondsAfterFinished=0)
    case.sweep()
    case.wait(120)
    case.cluster.attend(case.uid, case.cluster.world(), steps=1)
    assert (case.reason("Failed"), case.cluster.jobs[case.job].deleting) == ("StartDeadlineExceeded", False)
    job = case.job
    assert case.sweep() == "Failed"  # it is not removed before its Job has stopped
    assert case.cluster.jobs[job].deleting
    case.cluster.vanishes(job)
    assert case.sweep() is None


def test_what_has_ended_holds_for_later_generations_too() -> None:
    """`kubectl wait --for=condition=Complete` passes over conditions of an older generation."""
    case = Case().runs()
    case.cluster.completes(case.job)
    case.sweep()
    case.change(ttl_seconds_after_finished=3600)
    case.sweep()
    assert {each.observed_generation for each in case.audit.status.conditions} == {2}


def test_a_pod_that_ran_and_is_gone_is_not_late() -> None:
    """Its node went down; the Job makes another one."""
    case = Case().runs()
    case.cluster.jobs[case.job] = replace(case.cluster.jobs[case.job], started=False)
    case.wait(1000)
    assert case.sweep() == "Running"


@pytest.mark.parametrize(
    ("otherwise", "reason"),
    [
        ({"run_id": "another"}, "ResultRefused"),
        ({"exit_code": 4}, "ResultRefused"),
        ({"dry_run": True}, "ResultRefused"),
    ],
)
def test_a_summary_that_contradicts_its_job_is_refused(otherwise: dict[str, Any], reason: str) -> None:
    case = Case().runs()
    case.cluster.completes(case.job, **otherwise)
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == reason
    assert case.audit.status.result is None


def test_a_plan_without_a_digest_is_refused() -> None:
    case = manual().runs()
    case.cluster.completes(case.job, plan_digest="")
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "ResultRefused"


def test_a_plan_that_a_brake_stops_says_so() -> None:
    case = manual().runs()
    case.cluster.fails(case.job, 4)
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "Braked"
    assert case.audit.status.is_true("ResultAvailable")


# ---- others


def test_the_job_of_a_deleted_object_is_waited_for() -> None:
    case = Case().runs()
    job, other = case.job, case.cluster.create(mode="Sync")
    case.cluster.delete(case.uid)
    case.sweep()
    waiting = case.cluster.audits[other].status
    assert (waiting.phase, waiting.message) == ("Waiting", f"Waiting for {job}; position 1.")
    case.cluster.vanishes(job)
    case.sweep()
    assert case.cluster.audits[other].status.phase == "Pending"


def test_the_mere_intent_of_an_object_that_is_being_deleted_keeps_nobody_waiting() -> None:
    case = Case()
    case.cluster.attend(case.uid, case.cluster.world(), steps=1)
    case.cluster.mark_deleted(case.uid)
    other = case.cluster.create(mode="Sync")
    case.sweep()
    assert case.cluster.audits[other].status.phase == "Pending"


@pytest.mark.parametrize("seen", [True, False])
def test_a_job_of_somebody_else_under_our_name_is_no_job_of_ours(*, seen: bool) -> None:
    """Whether it is read, or the API server says so when ours is created."""
    case = Case()
    name = job_name(case.audit, "run", 1)
    if seen:
        case.cluster.jobs[name] = RunJob(name, "foreign", SOMEBODY, case.cluster.now, writes=False)
    else:
        case.cluster.refusal = Ending("NameConflict", f"A Job {name} exists that is not this object's.")
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "NameConflict"


def test_a_job_that_quota_kept_back_is_not_created_beside_a_nightly_sync() -> None:
    case = Case()
    case.cluster.refusal = Ending("QuotaExceeded", "exceeded quota")
    assert case.sweep() == "Pending"
    assert case.audit.status.message == "QuotaExceeded: exceeded quota"
    case.cluster.nightly["n"] = RunJob("n", "n", "cronjob", case.cluster.now)
    case.cluster.refusal = None
    assert case.sweep() == "Waiting"
    assert (case.reason("Waiting"), case.cluster.jobs) == ("NightlySync", {})
    case.cluster.nightly.clear()
    assert case.sweep() == "Pending"
    assert list(case.cluster.jobs) == [case.job]


def test_what_quota_keeps_back_for_too_long_has_failed_for_that_reason() -> None:
    case = Case()
    case.cluster.refusal = Ending("QuotaExceeded", "exceeded quota")
    case.sweep()
    case.wait(120)
    assert case.sweep() == "Failed"
    assert case.reason("Failed") == "QuotaExceeded"


def test_a_nightly_sync_that_starts_during_a_run_is_noted() -> None:
    case = Case().runs()
    case.cluster.nightly["n"] = RunJob("n", "n", "cronjob", case.cluster.now)
    assert case.sweep() == "Running"
    case.cluster.completes(case.job)
    case.cluster.nightly.clear()
    assert case.sweep() == "Complete"
    assert case.reason("ConcurrentRun") == "NightlySync"


def test_a_run_whose_job_is_held_yet_waits_for_a_nightly_sync() -> None:
    case = Case()
    case.cluster.sweep()
    held = case.job
    assert case.cluster.jobs[held].held
    case.cluster.nightly["n"] = RunJob("n", "n", "cronjob", case.cluster.now)
    assert (case.sweep(), case.reason("Waiting")) == ("Waiting", "Stopping")
    assert case.cluster.jobs[held].deleting
    case.cluster.vanishes(held)
    assert (case.sweep(), case.reason("Waiting")) == ("Waiting", "NightlySync")
    case.cluster.nightly.clear()
    assert case.sweep() == "Pending"
    assert list(case.cluster.jobs) == [case.job] != [held]


def test_a_nightly_sync_that_came_and_went_between_two_looks_is_noted() -> None:
    case = Case().runs()
    case.cluster.now += timedelta(seconds=5)
    night = RunJob("n", "n", "cronjob", case.cluster.now)
    case.cluster.now += timedelta(seconds=25)
    case.cluster.nightly["n"] = replace(night, state="complete", ended_at=case.cluster.now)
    case.cluster.now += timedelta(seconds=60)
    case.cluster.completes(case.job)
    assert case.sweep() == "Complete"
    assert case.reason("ConcurrentRun") == "NightlySync"


@pytest.mark.parametrize(("began", "ended"), [(-60, -30), (70, 80)])
def test_a_nightly_sync_before_or_after_a_run_is_not_beside_it(began: int, ended: int) -> None:
    case = Case().runs()
    start = case.cluster.now
    case.cluster.now += timedelta(seconds=60)
    case.cluster.completes(case.job)
    moments = start + timedelta(seconds=began), start + timedelta(seconds=ended)
    case.cluster.nightly["n"] = RunJob("n", "n", "cronjob", moments[0], state="complete", ended_at=moments[1])
    case.cluster.now += timedelta(seconds=60)
    assert case.sweep() == "Complete"
    assert case.audit.status.condition("ConcurrentRun") is None


def test_dry_runs_and_plans_wait_for_nobody() -> None:
    case = Case().runs()
    case.cluster.nightly["n"] = RunJob("n", "n", "cronjob", case.cluster.now)
    dry = case.cluster.create(mode="Audit", dryRun=True)
    plan = case.cluster.create(mode="Sync", approval="Manual")
    case.sweep()
    assert {case.cluster.audits[uid].status.phase for uid in (dry, plan)} == {"Pending"}


def test_those_who_wait_see_their_position() -> None:
    case = Case().runs()
    others = [case.cluster.create(mode="Audit") for _ in range(3)]
    case.sweep()
    messages = [case.cluster.audits[uid].status.message for uid in others]
    assert messages == [f"Waiting for run-1; position {place}." for place in (1, 2, 3)]


def test_a_younger_one_that_is_looked_at_first_waits_for_its_turn() -> None:
    case = Case()
    younger = case.cluster.create(mode="Sync")
    case.cluster.attend(younger, case.cluster.world())
    waiting = case.cluster.audits[younger].status
    assert (waiting.phase, waiting.message) == ("Waiting", "Waiting for its turn; position 2.")


def test_a_job_that_the_status_does_not_know_is_stopped_before_another_starts() -> None:
    """Somebody wiped the status; two Jobs in one run folder would spoil it, though a dry run writes nothing."""
    case = Case(dryRun=True).runs()
    first = case.job
    case.cluster.audits[case.uid] = case.audit.model_copy(update={"status": Status()})
    assert case.sweep() == "Waiting"
    assert case.cluster.jobs[first].deleting
    assert case.reason("Waiting") == "Stopping"
