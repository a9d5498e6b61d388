"""What became of the last runs, whatever is forgotten, repeated or restarted; and the metrics that are made of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mynatca_intercom.summary import Summary
from mynatca_operator.exporter import Exporter
from mynatca_operator.record import Record, updated
from mynatca_operator.resource import Condition, IntercomAudit, Metadata, Mode, Phase, RunResult, Spec, Status
from mynatca_operator.world import RunJob, World

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def ended(
    uid: str, mode: Mode = "Audit", *, failed: str = "", dry_run: bool = False, at: datetime = NOW
) -> IntercomAudit:
    condition = Condition(
        type="Failed" if failed else "Complete",
        status="True",
        reason=failed or "Succeeded",
        last_transition_time=at,
        observed_generation=1,
    )
    result = RunResult(outcome="done", exit_code=0, seen=3, changed=2, failed=0, counts={"updated": 2, "unchanged": 1})
    status = Status(
        phase="Failed" if failed else "Complete",
        conditions=[condition],
        run_id=uid,
        start_time=at - timedelta(minutes=5),
        completion_time=at,
        result=None if failed else result,
    )
    metadata = Metadata(name=uid, namespace="n", uid=uid, creation_timestamp=at)
    return IntercomAudit(metadata=metadata, spec=Spec(mode=mode, dry_run=dry_run), status=status)


def going_on(uid: str, phase: Phase, hours: int, *, deadline: int | None = None) -> IntercomAudit:
    """An IntercomAudit whose run was launched so many hours ago, with a deadline in hours."""
    spec = Spec(mode="Audit", active_deadline_seconds=deadline and deadline * 3600)
    status = Status(phase=phase, launch_time=NOW - timedelta(hours=hours))
    return ended(uid).model_copy(update={"spec": spec, "status": status})


def night(uid: str, **changes: object) -> RunJob:
    return replace(RunJob(name=uid, uid=uid, owner_uid="cron", created_at=NOW - timedelta(hours=1)), **changes)  # type: ignore[arg-type]


def world(*audits: IntercomAudit, nightly: tuple[RunJob, ...] = (), jobs: tuple[RunJob, ...] = ()) -> World:
    return World(NOW, {each.metadata.uid: each for each in audits}, {job.name: job for job in jobs}, nightly)


def samples(record: Record, seen: World) -> dict[str, float]:
    registry, exporter = CollectorRegistry(), Exporter(4 * 3600)
    registry.register(exporter)
    exporter.show(seen, record)
    text = generate_latest(registry).decode()
    return {
        f"{sample.name.removeprefix('mynatca_intercom_operator_')}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_run_is_counted_once_however_often_it_is_seen() -> None:
    seen = world(ended("a"))
    record = updated(Record(), seen)

    assert updated(record, seen) == record
    assert record.kinds["Audit"].totals == {"Succeeded": 1}


def test_it_stays_when_the_object_is_gone_and_the_operator_has_restarted() -> None:
    record = updated(Record(), world(ended("a")))
    reread = Record.model_validate_json(record.model_dump_json())

    after = updated(reread, world())

    assert after.kinds["Audit"].totals == {"Succeeded": 1}
    assert after.kinds["Audit"].last_success == NOW
    assert after.counted == []


def test_a_dry_run_says_nothing_of_the_data() -> None:
    assert updated(Record(), world(ended("a", dry_run=True))).kinds["Audit"].last is None


def test_a_failure_is_the_last_run_and_leaves_the_last_success() -> None:
    first = updated(Record(), world(ended("a", at=NOW - timedelta(days=1))))
    record = updated(first, world(ended("b", failed="OOMKilled")))

    audit = record.kinds["Audit"]
    assert audit.last is not None
    assert (audit.last.outcome, audit.last_success) == ("OOMKilled", NOW - timedelta(days=1))


def test_a_nightly_job_that_vanishes_before_its_end_was_seen_is_lost() -> None:
    record = updated(Record(), world(nightly=(night("n"),)))
    record = updated(record, world())

    assert record.kinds["NightlySync"].totals == {"JobLost": 1}
    assert updated(record, world()) == record


def test_a_night_that_ends_is_recorded_with_its_counts() -> None:
    summary = Summary(
        run_id="sync-1", kind="sync", dry_run=False, outcome="done", exit_code=0, seen=2, counts={"updated": 2}
    )
    record = updated(Record(), world(nightly=(night("n"),)))
    record = updated(record, world(nightly=(night("n", state="complete", ended_at=NOW, summary=summary),)))

    told = samples(record, world())
    assert told["runs_total['NightlySync', 'Succeeded']"] == 1
    assert told["last_run_rows['NightlySync', 'updated']"] == 2
    assert told["last_run_duration_seconds['NightlySync']"] == 3600
    assert told["last_success_timestamp_seconds['NightlySync']"] == NOW.timestamp()


def test_a_night_beside_a_writing_run_says_so() -> None:
    audit_job = RunJob(name="a-run-1", uid="j", owner_uid="a", created_at=NOW)
    record = updated(Record(), world(nightly=(night("n"),), jobs=(audit_job,)))
    record = updated(record, world(nightly=(night("n", state="failed", ended_at=NOW),)))

    assert record.kinds["NightlySync"].last is not None
    assert record.kinds["NightlySync"].last.concurrent


def test_a_night_that_came_and_went_beside_a_run_between_two_looks_says_so() -> None:
    begun = NOW - timedelta(minutes=30)
    audit_job = RunJob(name="a-run-1", uid="j", owner_uid="a", created_at=begun)
    between = night("n", created_at=begun + timedelta(minutes=5), state="complete", ended_at=NOW)
    before = night("m", created_at=begun - timedelta(minutes=9), state="complete", ended_at=NOW - timedelta(hours=2))

    record = updated(Record(), world(nightly=(before, between), jobs=(audit_job,)))
    alone = updated(Record(), world(nightly=(before,), jobs=(audit_job,)))

    assert record.kinds["NightlySync"].last is not None
    assert record.kinds["NightlySync"].last.concurrent
    assert alone.kinds["NightlySync"].last is not None
    assert not alone.kinds["NightlySync"].last.concurrent


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.booleans()), max_size=12))
def test_no_order_or_repetition_of_looks_counts_twice(looks: list[tuple[str, bool]]) -> None:
    """An object is seen, perhaps with a restart before; once gone it never comes back."""
    record, present = Record(), list[str]()
    for uid, restarted in looks:
        present = sorted({*present, uid})
        record = Record.model_validate_json(record.model_dump_json()) if restarted else record
        record = updated(record, world(*(ended(each) for each in present)))

    assert record.kinds["Audit"].totals.get("Succeeded", 0) == len(present)


def test_the_number_of_series_does_not_grow_with_the_number_of_objects() -> None:
    few = world(ended("a"))
    many = world(*(ended(f"a{number}", failed="JobLost" if number % 2 else "") for number in range(1000)))

    assert len(samples(updated(Record(), many), many)) == len(samples(updated(Record(), few), few))


def test_all_outcomes_of_all_kinds_stand_at_zero_from_the_start() -> None:
    told = samples(Record(), world())

    assert told["runs_total['JobLost', 'Undo']"] == 0
    assert told["audits['Sync', 'Waiting']"] == 0
    assert told["last_run_rows['NightlySync', 'updated']"] == 0
    assert told["last_run_braked['NightlySync', 'update']"] == 0
    assert not any(name.startswith("last_success") for name in told)


def test_a_run_that_does_not_end_is_seen_to_grow_old() -> None:
    seen = world(going_on("a", "Running", 3), going_on("b", "Planning", 5), going_on("c", "AwaitingApproval", 90))

    assert samples(Record(), seen)["longest_run_seconds[]"] == 5 * 3600
    assert samples(Record(), world(ended("a")))["longest_run_seconds[]"] == 0


def test_a_run_is_overdue_by_its_own_deadline_or_else_by_that_of_all() -> None:
    def overdue(*audits: IntercomAudit) -> float:
        return samples(Record(), world(*audits))["overdue_seconds[]"]

    assert overdue(going_on("a", "Running", 5)) == 3600
    assert overdue(going_on("a", "Running", 5, deadline=6)) == 0
    assert overdue(going_on("a", "Running", 3), going_on("b", "Running", 3, deadline=1)) == 2 * 3600
    assert overdue(ended("a"), going_on("c", "AwaitingApproval", 90)) == 0
