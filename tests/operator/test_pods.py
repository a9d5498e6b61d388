"""What Jobs and pods say, as Kubernetes 1.29 to 1.35 tells it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.aio.client import V1Job, V1Pod

from mynatca_operator.pods import ending_of, has_started, state_of, summary_of

MOMENT = "2026-11-24T02:40:00Z"
SUMMARY = {
    "run_id": "r1",
    "kind": "audit",
    "dry_run": False,
    "outcome": "done",
    "exit_code": 0,
    "seen": 3,
    "counts": {"updated": 2, "unchanged": 1},
}


def job(*conditions: tuple[str, str, str]) -> V1Job:
    told = [
        {"type": type_, "status": status, "reason": reason, "lastTransitionTime": MOMENT}
        for type_, status, reason in conditions
    ]
    return V1Job.model_validate({"metadata": {"name": "j"}, "status": {"conditions": told}})


def pod(state: dict[str, Any] | None = None, created: str = MOMENT, **status: Any) -> V1Pod:
    containers = [
        {"name": "syncjob", "image": "syncjob:1", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    ]
    told = {"containerStatuses": containers if state else [], **status}
    return V1Pod.model_validate({"metadata": {"name": "p", "creationTimestamp": created}, "status": told})


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ((), "active"),
        ((("Suspended", "False", ""),), "active"),
        ((("SuccessCriteriaMet", "True", "CompletionsReached"),), "active"),
        ((("SuccessCriteriaMet", "True", "CompletionsReached"), ("Complete", "True", "")), "complete"),
        ((("FailureTarget", "True", "PodFailurePolicy"),), "active"),
        ((("FailureTarget", "True", "PodFailurePolicy"), ("Failed", "True", "PodFailurePolicy")), "failed"),
        ((("Failed", "False", ""), ("Complete", "True", "")), "complete"),
    ],
)
def test_a_job_ends_with_the_condition_that_says_so_and_at_no_position(
    conditions: tuple[tuple[str, str, str], ...], state: str
) -> None:
    assert state_of(job(*conditions))[0] == state
    assert state_of(job(*reversed(conditions)))[0] == state


def test_the_moment_and_the_reason_of_a_failure_are_the_jobs() -> None:
    assert state_of(job(("Failed", "True", "DeadlineExceeded"))) == (
        "failed",
        "DeadlineExceeded",
        datetime(2026, 11, 24, 2, 40, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        (terminated(137, "OOMKilled"), {}, "OOMKilled"),
        (terminated(137), {"reason": "Evicted", "message": "low on memory"}, "Evicted"),
        (
            terminated(137),
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
            "Evicted",
        ),
        (terminated(1), {}, "RunFailed"),
        (terminated(2), {}, "InvalidSettings"),
        (terminated(3), {}, "RowsFailed"),
        (terminated(4), {}, "Braked"),
        (terminated(5), {}, "CredentialsRefused"),
        (terminated(6), {}, "Stopped"),
        (terminated(139), {}, "Crashed"),
        ({"waiting": {"reason": "ErrImagePull"}}, {}, "ImagePullBackOff"),
        ({"waiting": {"reason": "ImagePullBackOff"}}, {}, "ImagePullBackOff"),
        ({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}, {}, "CannotStart"),
        (
            None,
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}]},
            "Unschedulable",
        ),
    ],
)
def test_the_reason_is_the_real_one(state: dict[str, Any] | None, status: dict[str, Any], reason: str) -> None:
    ending = ending_of([pod(state, **status)])

    assert ending is not None
    assert ending.reason == reason
    assert ending.message


@pytest.mark.parametrize("state", [{"running": {}}, {"waiting": {"reason": "ContainerCreating"}}, terminated(0)])
def test_a_pod_in_good_order_has_no_reason(state: dict[str, Any]) -> None:
    assert ending_of([pod(state)]) is None


def test_the_last_attempt_counts() -> None:
    first = pod(terminated(1), created="2026-11-24T02:30:00Z")
    last = pod(terminated(137, "OOMKilled"), created="2026-11-24T02:35:00Z")

    for pods in ([first, last], [last, first]):
        ending = ending_of(pods)
        assert ending is not None
        assert ending.reason == "OOMKilled"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Traceback",
        json.dumps(SUMMARY)[:-20],
        json.dumps(SUMMARY | {"seen": 4}),
        json.dumps(SUMMARY | {"run_id": "r" * 64}),
        json.dumps({"run_id": "r1"}),
        json.dumps(SUMMARY | {"message": "m" * 5000}),
    ],
)
def test_a_summary_that_is_cut_off_too_long_or_does_not_add_up_is_none(message: str) -> None:
    assert summary_of([pod(terminated(0, "Completed", message))]) is None


def test_a_summary_is_that_of_the_last_finished_pod() -> None:
    first = pod(terminated(1, message=json.dumps(SUMMARY | {"exit_code": 1})), created="2026-11-24T02:30:00Z")
    last = pod(terminated(0, message=json.dumps(SUMMARY)), created="2026-11-24T02:35:00Z")
    running = pod({"running": {}}, created="2026-11-24T02:36:00Z")

    summary = summary_of([running, last, first])

    assert summary is not None
    assert (summary.exit_code, summary.changed, summary.failed) == (0, 2, 0)


def test_a_run_has_started_once_a_container_runs_or_ran() -> None:
    assert not has_started([])
    assert not has_started([pod({"waiting": {"reason": "ContainerCreating"}})])
    assert has_started([pod({"running": {}})])
    assert has_started([pod({"waiting": {"reason": "ImagePullBackOff"}}), pod(terminated(1))])
