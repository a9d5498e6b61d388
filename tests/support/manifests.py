"""What tests ask of Kubernetes objects: their pods, and whom a selector finds."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mynatca_intercom.settings import load
from mynatca_operator.__main__ import read_template
from mynatca_operator.decide import Launch
from mynatca_operator.job import job
from mynatca_operator.resource import IntercomAudit
from mynatca_operator.settings import OperatorSettings

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that one of the objects leads to."""

    owner: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]

    def __str__(self) -> str:
        return self.owner

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Those that initialise it, too."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def part(self) -> str:
        """Which part of the installation it is."""
        return self.labels["app.kubernetes.io/component"]

    def container(self, name: str) -> dict[str, Any]:
        """One of its containers."""
        return next(each for each in self.containers if each["name"] == name)


def find(objects: Iterable[Manifest], kind: str, ending: str = "") -> Manifest:
    """The one object of that kind whose name ends so."""
    (found,) = (each for each in of_kind(objects, kind) if each["metadata"]["name"].endswith(ending))
    return found


def of_kind(objects: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """All objects of these kinds."""
    return [each for each in objects if each["kind"] in kinds]


def title(each: Manifest) -> str:
    """What an object is called in a message."""
    return f"{each['kind']} {each['metadata']['name']}"


def pods(objects: Iterable[Manifest]) -> list[Pod]:
    """The pods of all objects, those of the operator's Jobs too."""
    whole = list(objects)
    return [_pod(each) for each in (*whole, *operator_jobs(whole)) if each["kind"] in _TEMPLATES]


_TEMPLATES = {
    "Pod": lambda each: each,
    "Deployment": lambda each: each["spec"]["template"],
    "Job": lambda each: each["spec"]["template"],
    "CronJob": lambda each: each["spec"]["jobTemplate"]["spec"]["template"],
}


def _pod(each: Manifest) -> Pod:
    template = _TEMPLATES[each["kind"]](each)
    metadata = template["metadata"]
    return Pod(title(each), metadata["labels"], metadata.get("annotations", {}), template["spec"])


RUNS: dict[str, dict[str, Any]] = {
    "dry-audit": {"mode": "Audit", "dryRun": True},
    "audit": {"mode": "Audit"},
    "sync": {"mode": "Sync", "limit": 10},
    "manual": {"mode": "ManualUpdate", "manualUpdate": {"mappings": [{"contactId": "a" * 24, "memberNumber": "1"}]}},
    "undo": {"mode": "Undo", "undo": {"runId": "sync-1"}},
}


def operator_jobs(objects: Iterable[Manifest]) -> Iterator[Manifest]:
    """The Jobs that the operator would make, by its own code from the ConfigMap with their template."""
    for each in of_kind(objects, "ConfigMap"):
        if "job.yaml" in each.get("data", {}):
            yield from _jobs(each["data"]["job.yaml"])


@cache
def _jobs(text: str) -> list[Manifest]:
    with TemporaryDirectory() as folder:
        file = Path(folder, "job.yaml")
        file.write_text(text, encoding="utf-8")
        template = read_template(load(OperatorSettings, {"JOB_TEMPLATE": str(file), "OPERATOR_NAMESPACE": "n"}))
    return [
        job(template, _audit(name, spec), Launch(f"{name}-0", f"{name}-0", "run"), "1%") for name, spec in RUNS.items()
    ]


def _audit(name: str, spec: dict[str, Any]) -> IntercomAudit:
    metadata = {"name": name, "namespace": "n", "uid": "u", "creationTimestamp": "2026-11-25T00:00:00Z"}
    return IntercomAudit.model_validate({"metadata": metadata, "spec": spec})


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector finds what bears these labels; the empty one finds all."""
    known = {"matchLabels", "matchExpressions"}
    if not set(selector) <= known:
        raise AssertionError(f"{selector} is no label selector")
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(_holds(each, labels) for each in selector.get("matchExpressions", []))


def _holds(rule: dict[str, Any], labels: dict[str, str]) -> bool:
    value = labels.get(rule["key"])
    return {
        "In": lambda: value in rule["values"],
        "NotIn": lambda: value not in rule["values"],
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
    }[rule["operator"]]()


def ports(pod: Pod) -> dict[str, int]:
    """The ports that a pod listens on, by name."""
    given = itertools.chain.from_iterable(each.get("ports", []) for each in pod.containers)
    return {each["name"]: each["containerPort"] for each in given}


def scalars(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside a document that is no map and no list, with where it is."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from scalars(each, f"{path}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from scalars(each, f"{path}[{number}]")
    else:
        yield path, value
