"""`kill -9` of the operator before and after its writes: always one Job, always the truth."""

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


@dataclass(frozen=True)
class Launch:
    """How a run is launched: the writes until its Job is there and this is told, and how the run ends."""

    writes: int
    ends: str
    spec: dict[str, Any]


LAUNCHES = {
    "Audit": Launch(3, "Complete", {"mode": "Audit", "dryRun": True}),
    "Sync": Launch(3, "Complete", {"mode": "Sync", "dryRun": True}),
    "ManualUpdate": Launch(4, "Complete", {"mode": "ManualUpdate", "manualUpdate": NOBODY, "dryRun": True}),
    "Undo": Launch(3, "Complete", {"mode": "Undo", "undo": {"runId": "past"}, "dryRun": True}),
    "a plan": Launch(3, "AwaitingApproval", {"mode": "Audit", "approval": "Manual", "limit": 1}),
}


def kill_at(operator: Operator, number: int, moment: Moment) -> None:
    """Kill the operator before or after its so manieth write from now on takes effect."""
    writes = count(1)

    async def kill(call: Call) -> None:
        if call.writes and next(writes) == number:
            operator.kill()
            raise Cut

    setattr(operator.proxy, moment, kill)


def survives(operator: Operator, audit: Audit, end: str) -> bool:
    """Wait for the kill and start the operator again, or for the end of the run; whether it was killed."""
    until(lambda: not operator.is_running or audit.status.get("phase") == end, "a kill, or the end of the run", 90)
    operator.proxy.before = operator.proxy.after = let_pass
    killed = not operator.is_running
    if killed:
        operator.start()
        audit.reaches(end)
    return killed


def made(operator: Operator, audit: Audit) -> int:
    """How many Jobs were ever created while the proxy counted."""
    path = f"/apis/batch/v1/namespaces/{audit.namespace.name}/jobs"
    return sum(call.path == path and call.method == "POST" and call.status == 201 for call in operator.proxy.calls)


def launched_once(operator: Operator, audit: Audit) -> None:
    """There is one Job, there never was another, and the status is about it."""
    assert made(operator, audit) == 1
    (job,) = audit.jobs
    status = audit.status
    assert (status["jobName"], status["attempt"]) == (job["metadata"]["name"], 1)
    assert audit.condition("JobCreated")["status"] == "True"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
def test_a_launch_survives_a_kill_at_any_write(launch: Launch, namespace: Namespace, operator: Operator) -> None:
    operator.start()
    spec = launch.spec | _with_past(namespace, launch.spec)
    kills = 0
    for number, moment in product(range(1, launch.writes + 1), MOMENTS):
        operator.proxy.calls.clear()
        kill_at(operator, number, moment)
        audit = namespace.audit(f"{moment}-{number}", **spec)
        kills += survives(operator, audit, launch.ends)
        launched_once(operator, audit)
        _gone(audit)
    assert kills == 2 * launch.writes


@pytest.mark.timeout(900)
def test_a_run_survives_a_kill_at_any_write(namespace: Namespace, operator: Operator) -> None:
    """To its very end: progress, result, record and events."""
    operator.start()
    kills = 0
    for number in count(1):
        killed = []
        for moment in MOMENTS:
            operator.proxy.calls.clear()
            namespace.sandbox("PUT", "world", WORLD | {"seed": number})
            kill_at(operator, number, moment)
            audit = namespace.audit(f"{moment}-{number}", mode="Audit")
            killed.append(survives(operator, audit, "Complete"))
            launched_once(operator, audit)
            assert audit.status["result"]["outcome"] == "done"
            _gone(audit)
        kills += sum(killed)
        if not any(killed):
            break
    assert kills >= 10


@pytest.mark.timeout(900)
def test_an_approved_run_survives_a_kill_at_any_write(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    for number, moment in product(range(1, 4), MOMENTS):
        namespace.sandbox("PUT", "world", WORLD | {"seed": number})
        audit = namespace.audit(f"{moment}-{number}", mode="Audit", approval="Manual")
        digest = audit.reaches("AwaitingApproval")["planDigest"]
        operator.proxy.calls.clear()
        kill_at(operator, number, moment)
        namespace.patch("intercomaudits", audit.name, {"spec": {"approvedPlan": digest}})
        assert survives(operator, audit, "Complete")
        assert made(operator, audit) == 1
        assert len(audit.jobs) == 2
        _gone(audit)


def _with_past(namespace: Namespace, spec: dict[str, Any]) -> dict[str, Any]:
    """What is undone has to be there: an audit of one member."""
    if spec["mode"] != "Undo":
        return {}
    past = namespace.audit("past", mode="Audit", limit=1)
    return {"undo": {"runId": past.reaches("Complete")["runId"]}}


def _gone(audit: Audit) -> None:
    """Delete it, and wait until its Jobs have gone."""
    audit.namespace.kubectl("delete", f"intercomaudit/{audit.name}", "--timeout=60s")
    name = audit.name
    until(lambda: not any(job["metadata"]["name"].startswith(name) for job in audit.namespace.find("jobs")), "gone")
