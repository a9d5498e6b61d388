"""The operator in a pod, from its own image, with nothing but its own rights."""

from collections.abc import Iterator

import pytest

from support.cluster import WORLD, Namespace, until

pytestmark = pytest.mark.usefixtures("scaled")


@pytest.fixture(scope="module")
def scaled(namespace: Namespace) -> Iterator[None]:
    """The operator runs."""
    namespace.kubectl("scale", "deployment/mynatca-operator", "--replicas=1")
    namespace.kubectl("rollout", "status", "deployment/mynatca-operator", "--timeout=60s")
    yield
    namespace.kubectl("scale", "deployment/mynatca-operator", "--replicas=0")
    until(lambda: not namespace.find("pods", labelSelector="app.kubernetes.io/component=operator"), "it has ended")


@pytest.fixture(autouse=True)
def _installed(namespace: Namespace, request: pytest.FixtureRequest) -> Iterator[None]:
    """An operator of all tests, and a world for each."""
    failed = request.session.testsfailed
    namespace.sandbox("PATCH", "options", {"latency": 0})
    namespace.sandbox("PUT", "world", WORLD)
    yield
    if request.session.testsfailed > failed:
        print(namespace.kubectl("logs", "deployment/mynatca-operator"))  # noqa: T201 - pytest shows it
    namespace.delete_all("intercomaudits")
    until(lambda: not namespace.find("jobs"), "all IntercomAudits and their Jobs are gone")


def test_an_audit_shows_how_far_it_is(namespace: Namespace) -> None:
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    audit = namespace.audit("seen", mode="Audit")
    audit.reaches("Running")
    until(lambda: audit.status.get("progress"), "progress")
    namespace.sandbox("PATCH", "options", {"latency": 0})
    status = audit.reaches("Complete")
    table = namespace.kubectl("get", "iaudit")
    assert table.split("\n")[0].split() == ["NAME", "MODE", "DRYRUN", "PHASE", "DONE", "CHANGED", "FAILED", "AGE"]
    assert str(status["result"]["changed"]) in table


def test_a_plan_is_approved_and_only_that_is_done(namespace: Namespace) -> None:
    before = namespace.contacts()
    audit = namespace.audit("planned", mode="Audit", approval="Manual")
    planned = audit.reaches("AwaitingApproval")
    assert namespace.contacts() == before
    plan = namespace.get("configmaps", planned["planConfigMap"])
    assert plan is not None
    assert "@" not in str(plan["data"]), "no personal data"
    wrong = "0" * 64
    namespace.kubectl("patch", "iaudit/planned", "--type=merge", f'--patch={{"spec": {{"approvedPlan": "{wrong}"}}}}')
    until(lambda: "is not the digest" in audit.status["message"], "another digest is refused")
    digest = planned["planDigest"]
    namespace.kubectl("patch", "iaudit/planned", "--type=merge", f'--patch={{"spec": {{"approvedPlan": "{digest}"}}}}')
    done = audit.reaches("Complete")
    assert done["result"]["changed"] == planned["result"]["changed"] > 0
    assert done["result"]["counts"]["not_approved"] == 0
    assert namespace.contacts() != before


def test_a_run_goes_on_while_the_operator_is_replaced(namespace: Namespace) -> None:
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    audit = namespace.audit("through", mode="Audit")
    audit.reaches("Running")
    namespace.kubectl("rollout", "restart", "deployment/mynatca-operator")
    namespace.sandbox("PATCH", "options", {"latency": 0})
    audit.reaches("Complete")
    assert len(audit.jobs) == 1


def test_suspending_stops_a_run_and_it_goes_on_where_it_was(namespace: Namespace) -> None:
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    audit = namespace.audit("held", mode="Audit")
    audit.reaches("Running")
    namespace.patch("intercomaudits", "held", {"spec": {"suspend": True}})
    audit.reaches("Suspended")
    until(lambda: not audit.jobs, "its Job has stopped")
    namespace.sandbox("PATCH", "options", {"latency": 0})
    run_id = audit.status["runId"]
    namespace.patch("intercomaudits", "held", {"spec": {"suspend": False}})
    status = audit.reaches("Complete")
    assert (status["attempt"], status["runId"]) == (2, run_id)
