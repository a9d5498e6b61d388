"""Several runs at once: the operator's writers take turns, and the nightly sync is nobody's to hold back."""

import json
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.cluster import WORLD, Namespace, Object, moment, until
from support.operator_process import Operator


def start_nightly(namespace: Namespace, name: str) -> None:
    namespace.kubectl("create", "job", name, "--from=cronjob/mynatca-nightly")


def has_ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions", [])
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


def nightly_has_ended(namespace: Namespace, name: str) -> bool:
    job = namespace.get("jobs", name)
    return job is not None and has_ended(job)


def metric(operator: Operator, name: str, **labels: str) -> float | None:
    """A sample of the operator's metrics; None if there is none."""
    name = f"mynatca_intercom_operator_{name}"
    samples = [
        each for family in text_string_to_metric_families(operator.get("metrics").text) for each in family.samples
    ]
    return next((each.value for each in samples if each.name == name and each.labels == labels), None)


def contents(namespace: Namespace) -> list[str]:
    """What is known of all contacts; the ids of created ones differ between two ways to the same end."""
    left_out = ("id", "merged_into")
    contacts = ({key: value for key, value in each.items() if key not in left_out} for each in namespace.contacts())
    return sorted(json.dumps(contact, sort_keys=True) for contact in contacts)


@pytest.mark.timeout(600)
def test_writers_take_turns_in_the_order_of_their_creation(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    specs: list[dict[str, Any]] = [{"mode": "Audit", "limit": 3}, {"mode": "Sync", "limit": 3}]
    audits = [namespace.audit(f"run-{number}", **specs[number % 2]) for number in range(10)]
    until(lambda: "position" in audits[-1].condition("Waiting").get("message", ""), "the last one knows its position")
    for audit in audits:
        audit.reaches("Complete", seconds=300)
    order = sorted(
        audits, key=lambda each: (each.object["metadata"]["creationTimestamp"], each.object["metadata"]["uid"])
    )
    jobs = [job for audit in order for job in audit.jobs]
    assert len(jobs) == len(audits)
    spans = [(moment(job["status"]["startTime"]), moment(job["status"]["completionTime"])) for job in jobs]
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_run_waits_for_the_nightly_sync(namespace: Namespace, operator: Operator) -> None:
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    operator.start()
    start_nightly(namespace, "nightly-1")
    until(lambda: metric(operator, "nightly_running") == 1, "the operator sees the nightly sync")
    audit = namespace.audit("patient", mode="Audit")
    assert audit.reaches("Waiting")["message"].startswith("Waiting for the nightly sync")
    assert audit.condition("Waiting")["reason"] == "NightlySync"
    dry = namespace.audit("dry", mode="Audit", dryRun=True)
    dry.reaches("Pending", "Running")
    assert not nightly_has_ended(namespace, "nightly-1"), "the dry run did not wait"
    namespace.sandbox("PATCH", "options", {"latency": 0})
    audit.reaches("Complete")
    (job,), nightly = audit.jobs, namespace.get("jobs", "nightly-1")
    assert nightly is not None
    assert moment(nightly["status"]["completionTime"]) <= moment(job["status"]["startTime"])
    assert audit.condition("ConcurrentRun") == {}


def test_a_nightly_sync_that_begins_during_an_audit_ends_in_the_same_state(
    namespace: Namespace, operator: Operator
) -> None:
    operator.start()
    namespace.audit("alone", mode="Audit").reaches("Complete")
    start_nightly(namespace, "nightly-alone")
    until(lambda: nightly_has_ended(namespace, "nightly-alone"), "the nightly sync has ended")
    expected = contents(namespace)

    namespace.sandbox("PUT", "world", WORLD)
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    audit = namespace.audit("beside", mode="Audit")
    audit.reaches("Running")
    start_nightly(namespace, "nightly-beside")
    until(lambda: audit.condition("ConcurrentRun").get("status") == "True", "the audit tells of the nightly sync")
    namespace.sandbox("PATCH", "options", {"latency": 0})
    audit.reaches("Complete")
    until(lambda: nightly_has_ended(namespace, "nightly-beside"), "the nightly sync has ended")
    until(lambda: metric(operator, "last_run_concurrent", kind="NightlySync") == 1, "the record tells of both")
    assert metric(operator, "last_run_concurrent", kind="Audit") == 1
    start_nightly(namespace, "nightly-after")
    until(lambda: nightly_has_ended(namespace, "nightly-after"), "the nightly sync has ended")
    assert contents(namespace) == expected


def test_nightly_runs_are_on_record_whatever_becomes_of_their_jobs(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    before = metric(operator, "runs_total", kind="NightlySync", outcome="Succeeded") or 0
    start_nightly(namespace, "nightly-1")
    until(
        lambda: metric(operator, "runs_total", kind="NightlySync", outcome="Succeeded") == before + 1, "it is counted"
    )
    when = metric(operator, "last_success_timestamp_seconds", kind="NightlySync")
    namespace.delete("jobs", "nightly-1")
    until(lambda: namespace.get("jobs", "nightly-1") is None, "the Job is gone")
    operator.end()
    operator.start()
    assert metric(operator, "last_success_timestamp_seconds", kind="NightlySync") == when
    assert metric(operator, "runs_total", kind="NightlySync", outcome="Succeeded") == before + 1
    assert (metric(operator, "last_run_rows", kind="NightlySync", result="created") or 0) > 0
