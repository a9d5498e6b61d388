"""The CustomResourceDefinition, made of the models in `resource.py`; `python -m mynatca_operator.crd` prints it."""

import json
import sys
from typing import Any

import yaml

from mynatca_operator.resource import CHANGEABLE, GROUP, KIND, PLURAL, VERSION, Spec, Status

IMMUTABLE = (
    f"spec is immutable but for {', '.join(CHANGEABLE[:-1])} and {CHANGEABLE[-1]}: create a new {KIND} to run again"
)
_DESCRIPTION = (
    "A run of mynatca-syncjob in this namespace: what is to be run stands in spec, what is true of it in status. "
    "One object is one run; to run again, create another."
)
_COLUMNS = (
    ("Mode", "string", ".spec.mode", "What is run."),
    ("DryRun", "boolean", ".spec.dryRun", "Whether nothing is written."),
    ("Phase", "string", ".status.phase", "Where the run stands."),
    ("Done", "integer", ".status.progress.done", "Actions that are behind it."),
    ("Changed", "integer", ".status.result.changed", "How many were changed, or would be by a dry run."),
    ("Failed", "integer", ".status.result.failed", "How many failed."),
    ("Age", "date", ".metadata.creationTimestamp", "When the object was created."),
)


def manifest() -> dict[str, Any]:
    """The manifest, of apiextensions.k8s.io/v1."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            # Uninstalling the chart must not take the runs and their results with it.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["iaudit"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path, "description": description}
                        for name, type_, path, description in _COLUMNS
                    ],
                }
            ],
        },
    }


def schema() -> dict[str, Any]:
    """The structural schema of an object (Kubernetes: specifying a structural schema)."""
    spec = _structural_schema(Spec)
    spec["x-kubernetes-validations"].append({"rule": _unchanged(spec), "message": IMMUTABLE})
    return {
        "description": _DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": spec, "status": _structural_schema(Status)},
    }


def as_yaml() -> str:
    """The manifest as a file."""
    fresh = json.loads(json.dumps(manifest()))  # shared parts would become YAML aliases
    return yaml.safe_dump(fresh, sort_keys=False, width=118)


def _unchanged(spec: dict[str, Any]) -> str:
    """The rule that each field is as it was, absent ones too; a field that is new in the models is in it by itself."""
    fixed = [name for name in spec["properties"] if name not in CHANGEABLE]
    return " && ".join(
        f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
        for name in fixed
    )


def _structural_schema(model: type[Spec | Status]) -> dict[str, Any]:
    described = model.model_json_schema()
    return _structural(described, described.get("$defs", {}))


def _structural(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A part of pydantic's JSON schema without references, titles and nulls: a field that may be null may be absent."""
    rest = dict(part)
    if "anyOf" in rest:  # pydantic writes `X | None` so
        rest = next(each for each in rest.pop("anyOf") if each.get("type") != "null") | rest
    if "$ref" in rest:
        rest = definitions[rest.pop("$ref").rpartition("/")[2]] | rest
    for name in ("$defs", "title"):
        rest.pop(name, None)
    if rest.get("default", ...) is None:
        del rest["default"]
    if rest["type"] == "integer":
        rest["format"] = "int64"
    if "properties" in rest:
        rest["properties"] = {name: _structural(each, definitions) for name, each in rest["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in rest:
            rest[name] = _structural(rest[name], definitions)
    if "x-kubernetes-validations" in rest:
        rest["x-kubernetes-validations"] = list(rest["x-kubernetes-validations"])
    return rest


if __name__ == "__main__":
    sys.stdout.write(as_yaml())
