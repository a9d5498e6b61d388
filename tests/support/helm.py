"""The chart, rendered by Helm itself as a library: no cluster, no program, milliseconds."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, _native

CHART = Path(__file__).parents[2] / "charts/mynatca-intercom"
SANDBOX: dict[str, Any] = {"sandbox": {"enabled": True}}
"""The fewest values that render: a complete installation without any account."""
NAMESPACE = "intercom"

Manifest = dict[str, Any]


@cache
def chart() -> Chart:
    """The chart as it was when first asked for."""
    return Chart.load(CHART)


def templates(
    values: Mapping[str, Any] = SANDBOX,
    *,
    name: str = "natca",
    namespace: str = NAMESPACE,
    api_versions: Iterable[str] = (),
    kube_version: str = "1.35.0",
    of: Chart | None = None,
) -> dict[str, str]:
    """The text that each template makes of these values, by its path within the chart.

    Raises:
        helm_python.HelmError: the values break the schema, or contradict each other.
    """
    # Chart.render() knows neither the cluster's version nor its APIs; what it calls does.
    options = {
        "name": name,
        "namespace": namespace,
        "api_versions": list(api_versions),
        "kube_version": f"v{kube_version}",
    }
    texts: dict[str, str] = json.loads(_helm_render(of or chart(), json.dumps(values), json.dumps(options)))
    return {path.partition("/")[2]: text for path, text in texts.items()}


def render(values: Mapping[str, Any] = SANDBOX, **options: Any) -> list[Manifest]:
    """All objects that the chart makes of these values, hooks too, by template; options as of `templates`.

    They are shared by all who ask: change none.
    """
    made = templates(values, **options)
    return [each for path in sorted(made) if path.endswith(".yaml") for each in _documents(made[path])]


@cache
def _helm_render(of: Chart, values: str, options: str) -> str:
    return _native.call_string("helm_render", of._raw(), values, options)


@cache
def _documents(text: str) -> list[Manifest]:
    return [document for document in yaml.load_all(text, _Loader) if document]


class _Loader(yaml.CSafeLoader):
    """Refuses maps that have a key twice, of which readers of YAML keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(None, None, f"a key of {keys} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def notes(values: Mapping[str, Any] = SANDBOX, **options: Any) -> str:
    """What `helm install` says at its end."""
    return templates(values, **options)["templates/NOTES.txt"]
