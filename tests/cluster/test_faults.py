"""An API server that is away, stalls, refuses or forgets to tell, and Jobs that vanish."""

import asyncio
import time
from collections import Counter

import pytest

from mynatca_operator.decide import GRACE
from support.api_proxy import Call, Hook, Refused
from support.cluster import Audit, Namespace, moment, until
from support.operator_process import Operator

OUTAGE_SECONDS = 60


@pytest.fixture
def running(namespace: Namespace, operator: Operator) -> Audit:
    """An audit in its midst."""
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    operator.start()
    audit = namespace.audit("run", mode="Audit")
    audit.reaches("Running")
    return audit


def looks_until_stored(operator: Operator, word: str, since: float) -> int:
    """How often it had looked from a moment on when it stored a status with this word."""
    stored = next(call for call in operator.proxy.calls if call.path.endswith("/status") and word in call.body)
    return sum(since <= at <= stored.at for at in operator.looks)


def ends_unseen(audit: Audit) -> None:
    """Let the run go on to its end, of which the operator does not learn."""
    audit.namespace.sandbox("PATCH", "options", {"latency": 0})
    until(lambda: job_has_ended(audit), "the run has ended")
    assert audit.status["phase"] == "Running"


def job_has_ended(audit: Audit) -> bool:
    return any(each["type"] == "Complete" for job in audit.jobs for each in job["status"].get("conditions", []))


async def forget_to_tell(call: Call) -> None:
    """A watch that says nothing."""
    if call.watches:
        await asyncio.Event().wait()


async def gone(call: Call) -> None:
    """Watches cannot go on where they were; each has to list anew."""
    if call.watches:
        raise Refused(410)


def test_an_outage_in_mid_run_is_made_good(running: Audit, operator: Operator) -> None:
    operator.proxy.fail()
    end = time.monotonic() + OUTAGE_SECONDS
    ends_unseen(running)
    until(lambda: time.monotonic() > end, "the end of the outage", 2 * OUTAGE_SECONDS)
    assert running.status["phase"] == "Running"
    back = time.time()
    operator.proxy.recover()
    if not operator.is_running:  # kopf gives up in the end; then Kubernetes starts it again
        operator.start()
    assert running.reaches("Complete")["result"]["outcome"] == "done"
    assert looks_until_stored(operator, "Succeeded", back) <= 2


def test_a_connection_that_stalls_without_an_error_is_given_up(running: Audit, operator: Operator) -> None:
    operator.proxy.stall()
    ends_unseen(running)
    tried = len(operator.proxy.calls)
    until(lambda: len(operator.proxy.calls) > tried + 1, "the operator has given calls up and tried again")
    back = time.time()
    operator.proxy.recover()
    assert running.reaches("Complete")["result"]["outcome"] == "done"
    assert looks_until_stored(operator, "Succeeded", back) <= 2


@pytest.mark.parametrize("fault", [forget_to_tell, gone])
def test_a_run_needs_no_watch(fault: Hook, namespace: Namespace, operator: Operator) -> None:
    operator.proxy.before = fault
    operator.start()
    assert namespace.audit("run", mode="Audit").reaches("Complete")["result"]["outcome"] == "done"


@pytest.mark.parametrize("blindness", ["none", "no operator", "410"])
def test_a_job_that_is_deleted_is_lost_within_two_sweeps(blindness: str, running: Audit, operator: Operator) -> None:
    """Or of its pod's end, or of the end of its grace, for it could have been launched just now."""
    if blindness == "no operator":
        operator.kill()
        until(lambda: not operator.is_running, "it is dead")
    elif blindness == "410":
        operator.proxy.before = gone
        operator.proxy.fail()  # watches that are there end, too
        operator.proxy.recover()
    graced = (moment(running.status["launchTime"]) + GRACE).timestamp()
    job = running.status["jobName"]
    running.namespace.delete("jobs", job)
    of_the_job = f"batch.kubernetes.io/job-name={job}"
    until(lambda: not running.jobs and not running.namespace.find("pods", labelSelector=of_the_job), "the Job is gone")
    lost = time.time()
    if blindness == "no operator":
        operator.start()
    assert running.fails() == "JobLost"
    assert looks_until_stored(operator, "JobLost", max(lost, graced)) <= 2
    operator.looks_again()
    assert running.namespace.find("jobs") == [], "it is not launched again by itself"


@pytest.mark.parametrize("status", [409, 413, 500])
def test_a_job_stays_until_its_result_is_stored(status: int, running: Audit, operator: Operator) -> None:
    refused: list[Call] = []

    async def refuse(call: Call) -> None:
        if call.path.endswith("/status"):
            refused.append(call)
            raise Refused(status)

    operator.proxy.before = refuse
    ends_unseen(running)
    seen = len(refused)
    until(lambda: len(refused) > seen + 2, "several tries to store the result")
    assert running.status["phase"] == "Running"
    assert len(running.jobs) == 1
    operator.proxy.reset()
    assert running.reaches("Complete")["result"]["outcome"] == "done"


def test_a_refusal_that_passes_is_no_end(namespace: Namespace, operator: Operator) -> None:
    """Every call is refused in three ways before it is let through."""
    refusals = (429, 500, 503)
    refused = Counter[str]()

    async def refuse(call: Call) -> None:
        tried = refused[str(call)]
        refused[str(call)] += 1
        if tried < len(refusals):
            raise Refused(refusals[tried])

    operator.start()
    operator.proxy.before = refuse
    audit = namespace.audit("run", mode="Audit")
    assert audit.reaches("Complete", seconds=150)["result"]["outcome"] == "done"
    assert len(audit.jobs) == 1


def test_it_stops_when_it_is_told_to(running: Audit, operator: Operator) -> None:
    assert operator.end() == 0
    assert running.status["phase"] == "Running"


def test_without_the_custom_resource_it_says_so(operator: Operator) -> None:
    async def missing(call: Call) -> None:
        if call.path == "/apis/intercom.natca.org/v1alpha1":
            raise Refused(404)

    operator.proxy.before = missing
    operator.begin()
    assert operator.process is not None
    assert operator.process.wait(30) == 2
    assert "CustomResourceDefinition intercomaudits.intercom.natca.org" in operator.log
