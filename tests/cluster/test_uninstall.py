"""Everything can go in any order, also in mid-run, and nothing is left that waits for somebody who is gone."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from support.cluster import WORLD, Namespace, kubectl, until
from support.installation import DEFINITION, define, installation

Step = Callable[[Namespace], None]


@pytest.fixture
def installed(client: httpx.Client) -> Iterator[Namespace]:
    """An installation whose operator has an audit in its midst."""
    with installation(client) as namespace:
        namespace.sandbox("PUT", "world", WORLD)
        namespace.sandbox("PATCH", "options", {"latency": 0.3})
        namespace.kubectl("scale", "deployment/mynatca-operator", "--replicas=1")
        namespace.audit("done", mode="Audit", dryRun=True).reaches("Complete")
        namespace.audit("run", mode="Audit").reaches("Running")
        yield namespace


@pytest.fixture(autouse=True)
def _definition(installed: Namespace) -> Iterator[None]:
    assert installed
    yield
    define()


def operator_goes(namespace: Namespace) -> None:
    everything = "deployments,configmaps,roles,rolebindings,serviceaccounts"
    namespace.kubectl("delete", everything, "--selector=app.kubernetes.io/component=operator", "--timeout=60s")


def audits_go(namespace: Namespace) -> None:
    namespace.kubectl("delete", "intercomaudits", "--all", "--timeout=60s")


def definition_goes(_namespace: Namespace) -> None:
    kubectl("delete", f"--filename={DEFINITION}", "--timeout=60s")


def namespace_goes(namespace: Namespace) -> None:
    kubectl("delete", "namespace", namespace.name, "--ignore-not-found", "--timeout=60s")


ORDERS: dict[str, list[Step]] = {
    "the operator first": [operator_goes, audits_go],
    "the audits first": [audits_go, operator_goes],
    "the definition, then the operator": [definition_goes, operator_goes],
    "the operator, then the definition": [operator_goes, definition_goes],
    "the whole namespace": [namespace_goes],
}


@pytest.mark.parametrize("steps", ORDERS.values(), ids=ORDERS)
def test_nothing_is_left_behind(steps: list[Step], installed: Namespace) -> None:
    for step in steps:
        step(installed)
    until(lambda: not installed.find("jobs"), "all Jobs are gone")
    until(lambda: not installed.find("pods", labelSelector="batch.kubernetes.io/job-name"), "all their pods are gone")
    namespace_goes(installed)
    assert installed.client.get(f"/api/v1/namespaces/{installed.name}").status_code == 404
