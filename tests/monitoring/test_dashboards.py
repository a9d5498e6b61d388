"""Dashboards as Grafana, its sidecar and people need them; what every query returns is in test_real.py."""

import json
import re
from itertools import combinations
from typing import Any

import promql_parser as promql
import pytest

from support.helm import NAMESPACE, SANDBOX, Manifest, render

from .queries import DASHBOARDS, Panel, filled, panels, queries

UNITS = {"s", "short", "percentunit", "reqps", "ops", "bytes", "none"}
COUNTED = ("rate", "increase")


@pytest.fixture(params=DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = DASHBOARDS[request.param]
    return found


def config_maps(**values: Any) -> list[Manifest]:
    found = render({**SANDBOX, "monitoring": {"dashboards": {"enabled": True, **values}}})
    return [each for each in found if each["kind"] == "ConfigMap" and "-dashboard-" in each["metadata"]["name"]]


def test_it_can_be_provisioned_anywhere(dashboard: dict[str, Any]) -> None:
    """By file or sidecar: a uid that stays, no inputs to be asked for, no data source of somebody else's."""
    assert re.fullmatch(r"mynatca-intercom(-run)?", dashboard["uid"])
    assert dashboard["title"]
    assert dashboard["description"]
    assert not dashboard["editable"]
    assert not {"__inputs", "__requires", "id", "version"} & dashboard.keys()
    uids = re.findall(r'"datasource": \{"type": "(\w+)", "uid": "([^"]+)"\}', json.dumps(dashboard))
    assert set(uids) == {("prometheus", "${datasource}")}


def test_its_variables_choose_data_source_and_release(dashboard: dict[str, Any]) -> None:
    source, *others = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [variable["name"] for variable in others] == ["namespace", "release", "pod"]
    assert all(variable["refresh"] == 2 for variable in others), "they follow the time that is shown"
    assert all("$namespace" in variable["query"] for variable in others[1:])
    for query in queries(dashboard):
        assert 'namespace="$namespace"' in query or "{" not in query, query


def test_each_panel_says_what_it_shows(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        legends = [target.get("legendFormat", "") for target in panel["targets"]]
        assert len(legends) == 1 or all(legends), panel["title"]
        assert len(set(legends)) == len(legends), panel["title"]
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)


def test_no_two_panels_lie_on_one_another(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in panels(dashboard)]
    assert len(set(ids)) == len(ids)
    for one, other in combinations(panels(dashboard), 2):
        assert not overlap(one["gridPos"], other["gridPos"]), f"{one['title']}, {other['title']}"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels(dashboard))


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_counters_are_shown_as_rates_over_what_is_on_the_screen(dashboard: dict[str, Any]) -> None:
    """A fixed window misses or smears what the chosen time shows; the error budget's month is its definition."""
    for query in queries(dashboard):
        windows = set(re.findall(r"\[([^\]]+)\]", query))
        assert windows <= {"$__rate_interval", "$__range", "30d"}, query
        for name, inside in counters_in(query):
            assert inside in COUNTED, f"{name} in {query}"


def counters_in(query: str) -> list[tuple[str, str]]:
    """Counters and buckets of an expression, each with the function that it is directly in."""
    found: list[tuple[str, str]] = []
    callers: list[str] = []

    def enter(node: promql.Expr) -> bool:
        callers.append(node.func.name if isinstance(node, promql.Call) else "")
        if isinstance(node, promql.VectorSelector) and re.search(r"_(total|bucket|count|sum)$", node.name or ""):
            found.append((node.name or "", next((name for name in reversed(callers) if name), "")))
        return True

    def leave(_node: promql.Expr) -> bool:
        callers.pop()
        return True

    promql.walk(promql.parse(filled(query)), pre_visit=enter, post_visit=leave)
    return found


def test_figures_have_the_colours_of_the_alerts() -> None:
    def steps(title: str) -> list[tuple[float | None, str]]:
        (panel,) = [each for each in panels(DASHBOARDS["service"]) if each["title"] == title]
        return [(step["value"], step["color"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]

    assert steps("Last good night") == [(None, "green"), (26 * 3600, "orange"), (50 * 3600, "red")]
    assert steps("Failed") == [(None, "green"), (0.01, "orange")]


def test_its_rows_are_those_that_operators_look_for() -> None:
    rows: list[Panel] = [panel for panel in DASHBOARDS["service"]["panels"] if panel["type"] == "row"]
    titles = [row["title"] for row in rows]
    assert titles == ["Is it right now", "Nightly sync", "Webhook", "Intercom", "Operator", "Pods"]
    assert [row["title"] for row in rows if row["collapsed"]] == ["Pods"]


def test_the_sidecar_finds_them_and_gets_them_whole() -> None:
    made = config_maps(
        namespace="monitoring", labels={"grafana_dashboard": "yes"}, annotations={"grafana_folder": "Intercom"}
    )
    assert {name: json.loads(text) for each in made for name, text in each["data"].items()} == {
        f"mynatca-intercom-{name}.json": dashboard for name, dashboard in DASHBOARDS.items()
    }
    for each in made:
        assert each["metadata"]["namespace"] == "monitoring"
        assert each["metadata"]["labels"]["grafana_dashboard"] == "yes"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Intercom"}
    usual = config_maps()
    assert {each["metadata"]["namespace"] for each in usual} == {NAMESPACE}
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in usual} == {"1"}
    assert len({each["metadata"]["name"] for each in usual}) == len(DASHBOARDS)
