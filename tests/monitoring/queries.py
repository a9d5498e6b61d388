"""What dashboards and alerts ask of Prometheus, and which series they ask it of."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from support.helm import CHART

DASHBOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "files/dashboards").glob("*.json"))}
Panel = dict[str, Any]


def panels(dashboard: dict[str, Any]) -> Iterator[Panel]:
    """All panels but rows, those of folded rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    """The expressions of all panels and annotations."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in dashboard["annotations"].get("list", []):
        yield annotation["expr"]


def filled(query: str, **variables: str) -> str:
    """A query as Grafana sends it."""
    times = {"__rate_interval": "5s", "__range": "30s"}
    for name, value in (times | variables).items():
        query = query.replace(f"${name}", value)
    return query


@dataclass(frozen=True)
class Selector:
    """A series that is asked for: its name, and the labels that the question rests on."""

    name: str
    labels: frozenset[str]


def selectors(query: str) -> Iterator[Selector]:
    """All selectors of an expression; labels of matchers only."""
    found: list[Selector] = []

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(Selector(node.name or "", frozenset(matcher.name for matcher in node.matchers.matchers)))
        return True

    promql.walk(promql.parse(query), pre_visit=visit)
    yield from found


def groupings(query: str) -> Iterator[str]:
    """Labels by which an expression sums up or joins."""
    found: list[str] = []

    def visit(node: promql.Expr) -> bool:
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.AggregateExpr) and modifier is not None:
            found.extend(modifier.labels)
        matching = getattr(modifier, "matching", None)
        if isinstance(node, promql.BinaryExpr) and matching is not None:
            found.extend(matching.labels)
        return True

    promql.walk(promql.parse(query), pre_visit=visit)
    yield from found
