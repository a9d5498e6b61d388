"""An installation in a namespace of its own, with a sandbox in place of Intercom and Supabase."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

import httpx
import yaml

from support.cluster import Namespace, Object, kubectl, until
from support.helm import CHART, render
from support.manifests import find

DEFINITION = CHART / "files" / "intercomaudits.yaml"
PREFIX = "mynatca-test"
VALUES: dict[str, Any] = {
    "fullnameOverride": "mynatca",
    "image": {"tag": "dev"},
    "sandbox": {"enabled": True, "members": 200},
    "crds": {"install": False},
    "webhook": {"enabled": False},
    "sweep": {"enabled": False},
    "nightly": {"suspend": True},  # tests start its Jobs
    "runs": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
}


def job_template() -> Object:
    """What the operator makes Jobs of."""
    template: Object = yaml.safe_load(find(render(VALUES), "ConfigMap", "job-template")["data"]["job.yaml"])
    return template


def role() -> Object:
    """The operator's rights."""
    return find(render(VALUES), "Role", "operator")


@cache
def operator_settings() -> dict[str, str]:
    """What the chart tells the operator."""
    (container,) = find(render(VALUES), "Deployment", "operator")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def define() -> None:
    """Bring the custom resource to the cluster, or up to date."""
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={DEFINITION}")
    kubectl("wait", "--for=condition=Established", f"--filename={DEFINITION}", "--timeout=30s")


@contextmanager
def installation(client: httpx.Client) -> Iterator[Namespace]:
    """Everything but an operator that runs, in a fresh namespace."""
    with fresh_namespace(client) as namespace:
        namespace.apply(*_objects(namespace.name))
        until(namespace.sandbox_answers, "the sandbox answers")
        yield namespace


@contextmanager
def fresh_namespace(client: httpx.Client) -> Iterator[Namespace]:
    """A namespace of its own, which lets restricted pods in only."""
    name = f"{PREFIX}-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "--filename=-", text=json.dumps(made))
    try:
        yield Namespace(name, client)
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=120s")
        _free_volume(name)


def _objects(namespace: str) -> list[Object]:
    """The chart's, without what tests are to start, or to count: operator, Jobs, and the tests of Helm."""
    objects = deepcopy(render(VALUES, namespace=namespace))
    operator = find(objects, "Deployment", "operator")["spec"]
    operator["replicas"] = 0
    operator["template"]["spec"]["containers"][0]["env"].append({"name": "SWEEP_SECONDS", "value": "1"})
    return [
        each
        for each in objects
        if each["kind"] != "Job" and "helm.sh/hook" not in each["metadata"].get("annotations", {})
    ]


def _free_volume(namespace: str) -> None:
    """Let a volume that is kept after its claim be claimed again, as a test cluster has only a few."""
    for volume in json.loads(kubectl("get", "persistentvolumes", "--output=json"))["items"]:
        if volume["spec"].get("claimRef", {}).get("namespace") == namespace:
            kubectl("patch", "persistentvolume", volume["metadata"]["name"], '--patch={"spec": {"claimRef": null}}')
