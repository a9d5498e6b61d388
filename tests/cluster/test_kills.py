"""`kill -9` of the operator before and after its writes: always one Job, always the truth.

Reads change nothing: a kill before or after one leaves what a kill after the write before it leaves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, product
from typing import Any, Literal

import pytest

from support.api_proxy import Call, Cut, let_pass
from support.cluster import WORLD, Audit, Namespace, until
from support.operator_process import Operator

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, Moment] = ("before", "after")
NOBODY = {"mappings": [{"contactId": "0" * 24, "memberNumber": "1"}]}
SURVIVED = "operator.launch_faults_survived"

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Launch:
    """How a run is launched: the writes until its Job is there, told of and released, and how the run ends."""

    writes: int
    ends: str
    spec: dict[str, Any]


LAUNCHES = {
    "Audit": Launch(5, "Complete", {"mode": "Audit", "dryRun": True}),
    "Sync": Launch(5, "Complete", {"mode": "Sync", "dryRun": True}),
    "ManualUpdate": Launch(6, "Complete", {"mode": "ManualUpdate", "manualUpdate": NOBODY, "dryRun": True}),
    "Undo": Launch(5, "Complete", {"mode": "Undo", "undo": {"runId": "past"}, "dryRun": True}),
    "a plan": Launch(5, "AwaitingApproval", {"mode": "Audit", "approval": "Manual", "limit": 1}),
}


def kill_at(operator: Operator, name: str, number: int, moment: Moment) -> None:
    """Kill the operator before or after its so manieth write about an object takes effect."""
    writes = count(1)

    async def kill(call: Call) -> None:
        if call.writes and call.is_about(name) and next(writes) == number:
            operator.kill()
            raise Cut

    setattr(operator.proxy, moment, kill)


def is_killed(operator: Operator, audit: Audit) -> bool:
    """Wait for the kill, or for the end of the run and of all that follows it."""
    until(lambda: not operator.is_running or audit.status.get("phase") == "Complete", "a kill, or the end", 120)
    seen = len(operator.looks)
    until(lambda: not operator.is_running or len(operator.looks) > seen + 2, "a kill, or another look")
    return not operator.is_running


def start_again(operator: Operator) -> None:
    """Start the operator after its kill, with no other to come."""
    until(lambda: not operator.is_running, "the kill")
    operator.proxy.before = operator.proxy.after = let_pass
    operator.start()


def launched_once(operator: Operator, audit: Audit, jobs: int = 1) -> None:
    """Its step has one Job, and never had another while the proxy counted; the status is about it."""
    path, uid = f"/apis/batch/v1/namespaces/{audit.namespace.name}/jobs", audit.object["metadata"]["uid"]
    calls = [call for call in operator.proxy.calls if call.path == path and call.method == "POST"]
    assert sum(call.status == 201 and call.is_about(uid) for call in calls) == jobs
    status, names = audit.status, [job["metadata"]["name"] for job in audit.jobs]
    assert len(names) == jobs
    assert status["jobName"] in names
    assert status["attempt"] == jobs
    assert audit.condition("JobCreated")["status"] == "True"


@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
def test_a_launch_survives_a_kill_at_any_write(
    launch: Launch, namespace: Namespace, operator: Operator, figure: Callable[[str, float], None]
) -> None:
    """Runs that were launched go on while the next one is."""
    operator.start()
    spec = launch.spec | _with_past(namespace, launch.spec)
    audits = []
    for number, moment in product(range(1, launch.writes + 1), MOMENTS):
        name = f"{moment}-{number}"
        kill_at(operator, name, number, moment)
        audits.append(namespace.audit(name, **spec))
        start_again(operator)
    for audit in audits:
        audit.reaches(launch.ends)
        launched_once(operator, audit)
    figure(SURVIVED, len(audits))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_survives_a_kill_at_any_write(
    moment: Moment, namespace: Namespace, operator: Operator, figure: Callable[[str, float], None]
) -> None:
    """To its very end: progress, result, record and events."""
    operator.start()
    for number in count(1):
        namespace.sandbox("PUT", "world", WORLD | {"seed": number})
        name = f"number-{number}"
        kill_at(operator, name, number, moment)
        audit = namespace.audit(name, mode="Audit")
        killed = is_killed(operator, audit)
        if killed:
            start_again(operator)
        assert audit.reaches("Complete")["result"]["outcome"] == "done"
        launched_once(operator, audit)
        if not killed:
            assert number > 10
            figure(SURVIVED, number - 1)
            return


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_approved_run_survives_a_kill_at_any_write(
    moment: Moment, namespace: Namespace, operator: Operator, figure: Callable[[str, float], None]
) -> None:
    operator.start()
    audits = [namespace.audit(f"number-{number}", mode="Audit", approval="Manual") for number in range(1, 6)]
    digests = [audit.reaches("AwaitingApproval")["planDigest"] for audit in audits]
    operator.looks_again()
    for number, (audit, digest) in enumerate(zip(audits, digests, strict=True), 1):
        kill_at(operator, audit.name, number, moment)
        namespace.patch("intercomaudits", audit.name, {"spec": {"approvedPlan": digest}})
        start_again(operator)
        audit.reaches("Complete")
        launched_once(operator, audit, jobs=2)
    figure(SURVIVED, len(audits))


def _with_past(namespace: Namespace, spec: dict[str, Any]) -> dict[str, Any]:
    """What is undone has to be there: an audit of one member."""
    if spec["mode"] != "Undo":
        return {}
    past = namespace.audit("past", mode="Audit", limit=1)
    return {"undo": {"runId": past.reaches("Complete")["runId"]}}
