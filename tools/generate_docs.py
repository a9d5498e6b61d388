"""Writes what comes from code: pages of docs/, the chart's custom resource and values. `--check` only compares."""

import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from dashboards import dashboards
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mynatca_intercom import metrics
from mynatca_intercom.settings import GROUPS, Settings
from mynatca_operator import crd
from mynatca_operator.exporter import Exporter
from mynatca_operator.settings import OperatorSettings
from mynatca_webhook.description import description

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts/mynatca-intercom"
NOTE = "<!-- Written by `make docs`; do not edit. -->\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def settings_page() -> str:
    """Every environment variable, in code order."""
    parts = [f"# Settings\n\n{NOTE}\nAll settings are environment variables; an empty one counts as not set.\n"]
    groups: tuple[type[Settings], ...] = (*GROUPS, OperatorSettings)
    for group in groups:
        rows = (_setting(field) for field in group.model_fields.values())
        parts.append(f"## {_title(group)}\n\n{table(('variable', 'default', 'meaning', 'example'), rows)}")
    return "\n".join(parts)


def _title(group: type[Settings]) -> str:
    return (group.__doc__ or "").splitlines()[0].rstrip(".")


def _setting(field: FieldInfo) -> tuple[str, ...]:
    default = "required" if field.is_required() else _code(field.default) if field.default not in (None, "") else ""
    return f"`{field.alias}`", default, field.description or "", _code((field.examples or [""])[0])


def _code(value: Any) -> str:
    if isinstance(value, SecretStr):  # a default is none
        value = value.get_secret_value()
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def metrics_page() -> str:
    """Every metric family with its labels."""
    kinds = (MetricWrapperBase, metrics.ScrapedGauge)
    wrappers = [metric for metric in vars(metrics).values() if isinstance(metric, kinds)]
    described = [(family, _labels(metric)) for metric in wrappers for family in metric.describe()]
    described += [(family, _labels(family)) for family in Exporter().describe()]
    rows = (
        (f"`{family.name}{'_total' * (family.type == 'counter')}`", family.type, labels, family.documentation)
        for family, labels in described
    )
    return f"# Metrics\n\n{NOTE}\n{table(('name', 'type', 'labels', 'meaning'), rows)}"


def _labels(metric: object) -> str:
    return ", ".join(f"`{label}`" for label in getattr(metric, "_labelnames", ()))  # the library has no public way


def benchmarks_page() -> str:
    """The figures of the last `make bench`."""
    results = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
    rows = (
        (
            f"`{key}`",
            f"{entry['value']:g}" if isinstance(entry["value"], float) else str(entry["value"]),
            entry["unit"],
            entry.get("goal", ""),
            entry["date"],
        )
        for key, entry in results.items()
    )
    return f"# Measurements\n\n{NOTE}\nMade by `make bench`; how, stands in `benchmarks/`.\n\n" + table(
        ("figure", "value", "unit", "goal", "measured on"), rows
    )


def custom_resource() -> str:
    """The CustomResourceDefinition."""
    return f"# Written by `make docs`; do not edit.\n{crd.as_yaml()}"


def chart_readme() -> str:
    """The chart's README, with the table of values at its end made of the comments in values.yaml."""
    written, heading, _ = (CHART / "README.md").read_text(encoding="utf-8").partition("## Values\n")
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    rows = _values(yaml.compose(text, yaml.SafeLoader), text)
    return f"{written}{heading}\n{NOTE}\n{table(('value', 'default', 'meaning'), rows)}"


def _values(node: yaml.Node | None, text: str, path: str = "") -> Iterator[tuple[str, ...]]:
    for key, value in node.value if node else ():
        comment = _comment_above(key.start_mark.line, text.splitlines())
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            if comment:
                yield f"`{path}{key.value}`", "", comment
            yield from _values(value, text, f"{path}{key.value}.")
        else:
            yield f"`{path}{key.value}`", f"`{text[value.start_mark.index : value.end_mark.index]}`", comment


def _comment_above(line: int, lines: list[str]) -> str:
    above = itertools.takewhile(lambda each: each.startswith("#"), (each.lstrip() for each in reversed(lines[:line])))
    return " ".join(each.removeprefix("#").strip() for each in reversed(list(above)))


def webhook_description() -> str:
    """The OpenAPI description of the webhook service."""
    return json.dumps(description(), indent=2) + "\n"


PAGES = {
    "charts/mynatca-intercom/README.md": chart_readme,
    "charts/mynatca-intercom/files/intercomaudits.yaml": custom_resource,
    "docs/settings.md": settings_page,
    "docs/metrics.md": metrics_page,
    "docs/benchmarks.md": benchmarks_page,
    "docs/webhook-openapi.json": webhook_description,
}


def main() -> int:
    """Write the pages, or with `--check` name those that are not as they should be."""
    pages = {ROOT / name: page() for name, page in PAGES.items()}
    pages |= {CHART / "files/dashboards" / name: text for name, text in dashboards().items()}
    if "--check" not in sys.argv:
        for file, text in pages.items():
            file.write_text(text, encoding="utf-8")
        return 0
    stale = [file.name for file, text in pages.items() if not file.exists() or file.read_text("utf-8") != text]
    if stale:
        print(f"Out of date: {', '.join(stale)}. Run 'make docs'.", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
