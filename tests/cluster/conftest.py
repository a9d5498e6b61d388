"""A namespace for each module, with an installation and a sandbox, and an operator for each test."""

import json
import secrets
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import httpx
import pytest
import yaml

from support.api_proxy import ApiProxy, api_proxy
from support.cluster import WORLD, Namespace, api_client, api_server, cluster_is_there, kubectl, until
from support.operator_process import Operator

INSTALL = yaml.safe_load((Path(__file__).parent / "install.yaml").read_text())["items"]
DEFINITION = Path(__file__).parents[2] / "charts" / "mynatca-intercom" / "files" / "intercomaudits.yaml"
CRONJOB = next(each for each in INSTALL if each["kind"] == "CronJob")
TEMPLATE = {"apiVersion": "batch/v1", "kind": "Job", **CRONJOB["spec"]["jobTemplate"]}


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    """The API server of the cluster, which has the custom resource."""
    if not cluster_is_there():
        pytest.skip("KUBECONFIG names no cluster")
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={DEFINITION}")
    kubectl("wait", "--for=condition=Established", f"--filename={DEFINITION}", "--timeout=30s")
    with api_client() as client:
        yield client


@pytest.fixture(scope="module")
def namespace(client: httpx.Client) -> Iterator[Namespace]:
    """A fresh namespace that lets restricted pods in only, with everything but an operator that runs."""
    name = f"mynatca-test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "--filename=-", text=json.dumps(made))
    namespace = Namespace(name, client)
    template = {"job.yaml": yaml.safe_dump(TEMPLATE)}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job-template"}, "data": template}
    try:
        namespace.apply(*INSTALL, config_map)
        until(namespace.sandbox_answers, "the sandbox answers")
        yield namespace
    finally:
        kubectl("delete", "namespace", name, "--timeout=120s")
        _free_volume(name)


def _free_volume(namespace: str) -> None:
    """Let a volume that is kept after its claim be claimed again, as a test cluster has only a few."""
    for volume in json.loads(kubectl("get", "persistentvolumes", "--output=json"))["items"]:
        if volume["spec"].get("claimRef", {}).get("namespace") == namespace:
            kubectl("patch", "persistentvolume", volume["metadata"]["name"], '--patch={"spec": {"claimRef": null}}')


@pytest.fixture(scope="session")
def proxy() -> Iterator[ApiProxy]:
    """What stands between operators and the API server."""
    with api_proxy(*api_server()) as running:
        yield running


@pytest.fixture
def operator(namespace: Namespace, proxy: ApiProxy, tmp_path: Path) -> Iterator[Operator]:
    """An operator of the namespace that a test starts; it ends with the test, and with it all IntercomAudits."""
    proxy.reset()
    namespace.sandbox("PUT", "world", WORLD)
    operator = Operator(namespace, proxy, tmp_path, deepcopy(TEMPLATE))
    yield operator
    print(operator.log)  # noqa: T201 - pytest shows it when the test has failed
    print(namespace.kubectl("get", "intercomaudits,jobs,pods,events", "--output=wide"))  # noqa: T201
    if operator.is_running:
        operator.kill()
        assert operator.process is not None
        operator.process.wait()
    _clean(namespace)


def _clean(namespace: Namespace) -> None:
    namespace.kubectl("delete", "intercomaudits", "--all", "--wait=true", "--timeout=60s")
    until(lambda: not namespace.find("jobs"), "all Jobs are gone")
    namespace.kubectl("delete", "events", "--all")
