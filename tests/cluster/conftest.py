"""An installation with a sandbox for each test process, and an operator for each test."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.api_proxy import ApiProxy, api_proxy
from support.cluster import WORLD, Namespace, api_client, api_server, cluster_is_there, until
from support.installation import define, installation, job_template
from support.operator_process import Operator

LONG = ("test_kills.py", "test_faults.py", "test_together.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that all processes end at about the same time."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    """The API server of the cluster, which has the custom resource."""
    if not cluster_is_there():
        pytest.exit("KUBECONFIG names no cluster: `make cluster-test` runs these tests", pytest.ExitCode.USAGE_ERROR)
    define()
    with api_client() as client:
        yield client


@pytest.fixture(scope="session")
def namespace(client: httpx.Client) -> Iterator[Namespace]:
    """An installation without an operator that runs."""
    with installation(client) as namespace:
        yield namespace


@pytest.fixture(scope="session")
def proxy() -> Iterator[ApiProxy]:
    """What stands between operators and the API server."""
    with api_proxy(*api_server()) as running:
        yield running


@pytest.fixture
def operator(
    namespace: Namespace, proxy: ApiProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Operator]:
    """An operator of the namespace that a test starts; it ends with the test, and with it all IntercomAudits."""
    failed = request.session.testsfailed
    proxy.reset()
    namespace.sandbox("PATCH", "options", {"latency": 0})
    namespace.sandbox("PUT", "world", WORLD)
    operator = Operator(namespace, proxy, tmp_path, job_template())
    yield operator
    if request.session.testsfailed > failed:
        print(operator.log)  # noqa: T201 - pytest shows it
        print(namespace.kubectl("get", "intercomaudits,jobs,pods,events", "--output=wide"))  # noqa: T201
    if operator.is_running:
        operator.kill()
        assert operator.process is not None
        operator.process.wait()
    proxy.reset()
    clean(namespace)


def clean(namespace: Namespace) -> None:
    """Let nothing of a test stay behind."""
    for kind in ("intercomaudits", "jobs", "events"):
        namespace.delete_all(kind)
    until(lambda: not namespace.find("intercomaudits"), "all IntercomAudits are gone")
    until(lambda: not namespace.find("jobs"), "all Jobs are gone")
    until(lambda: not namespace.find("pods", labelSelector="batch.kubernetes.io/job-name"), "all their pods are gone")


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """Write a figure down for `make bench-cluster`, which adds up those of one name."""

    def write(name: str, value: float) -> None:
        if file := os.environ.get("CLUSTER_FIGURES"):
            with Path(file).open("a", encoding="utf-8") as figures:
                figures.write(json.dumps([name, value]) + "\n")

    return write
