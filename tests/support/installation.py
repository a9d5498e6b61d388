"""An installation in a namespace of its own, with a sandbox in place of Intercom and Supabase."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.cluster import Namespace, Object, kubectl, until

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "charts" / "mynatca-intercom" / "files" / "intercomaudits.yaml"
INSTALL: list[Object] = yaml.safe_load((ROOT / "tests" / "cluster" / "install.yaml").read_text())["items"]
PREFIX = "mynatca-test"


def _only(kind: str) -> Object:
    return next(each for each in INSTALL if each["kind"] == kind)


TEMPLATE: Object = {"apiVersion": "batch/v1", "kind": "Job", **_only("CronJob")["spec"]["jobTemplate"]}
"""What the operator makes Jobs of."""
ROLE = _only("Role")
"""The operator's rights."""


def define() -> None:
    """Bring the custom resource to the cluster, or up to date."""
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={DEFINITION}")
    kubectl("wait", "--for=condition=Established", f"--filename={DEFINITION}", "--timeout=30s")


@contextmanager
def installation(client: httpx.Client) -> Iterator[Namespace]:
    """A fresh namespace that lets restricted pods in only, with everything but an operator that runs."""
    name = f"{PREFIX}-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "--filename=-", text=json.dumps(made))
    namespace = Namespace(name, client)
    try:
        namespace.apply(*INSTALL, _job_template())
        until(namespace.sandbox_answers, "the sandbox answers")
        yield namespace
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=120s")
        _free_volume(name)


def _job_template() -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "mynatca-intercom", "app.kubernetes.io/component": "operator"}
    metadata = {"name": "job-template", "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"job.yaml": yaml.safe_dump(TEMPLATE)},
    }


def _free_volume(namespace: str) -> None:
    """Let a volume that is kept after its claim be claimed again, as a test cluster has only a few."""
    for volume in json.loads(kubectl("get", "persistentvolumes", "--output=json"))["items"]:
        if volume["spec"].get("claimRef", {}).get("namespace") == namespace:
            kubectl("patch", "persistentvolume", volume["metadata"]["name"], '--patch={"spec": {"claimRef": null}}')
