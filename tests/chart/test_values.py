"""values.yaml, its schema, the README and the templates say the same, and what none of them knows is refused."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from helm_python import HelmError, HelmValuesError

from mynatca_intercom.settings import GROUPS, is_secret
from support.chart_cases import CASES, EVERYTHING_ON, EXISTING_SECRET, EXTERNAL_SECRET, POSTGRESQL, Values, merged
from support.helm import CHART, SANDBOX, chart, templates

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
OF_PARENTS = {"global", "enabled"}
"""What a parent chart hands down."""

Path = tuple[str, ...]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema, with what it refers to in its place."""
    if "$ref" in schema:
        return resolved(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    return resolved(schema["allOf"][0]) if "allOf" in schema else schema


def maps(schema: dict[str, Any] = SCHEMA, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every map that values can have; `[]` stands for what is in a list."""
    whole = resolved(schema)
    if whole.get("type") == "array":
        yield from maps(whole["items"], (*path, "[]"))
    elif whole.get("type") == "object":
        yield path, whole
        for name, each in whole.get("properties", {}).items():
            if path or name not in OF_PARENTS:
                yield from maps(each, (*path, name))
        of_any_name = whole.get("additionalProperties")
        if of_any_name and resolved(of_any_name).get("type") == "object":
            yield from maps(of_any_name, (*path, whole["propertyNames"]["enum"][0]))


def at(path: Path, value: Any) -> Any:
    """Values in which that stands at a path."""
    for name in reversed(path):
        value = [value] if name == "[]" else {name: value}
    return value


MAPS = dict(maps())


@pytest.mark.parametrize("path", MAPS, ids=lambda path: ".".join(path) or "top")
def test_a_typo_is_refused_and_shown(path: Path) -> None:
    typo: Any = {"tpyo": 1}
    with pytest.raises(HelmValuesError, match="tpyo"):
        templates(merged(SANDBOX, at(path, typo)))


def test_the_maps_that_are_tried_are_all_there_are() -> None:
    assert ("webhook", "httpRoute", "parentRefs", "[]") in MAPS
    assert ("networkPolicy", "extraEgress", "[]", "to", "[]", "podSelector", "matchExpressions", "[]") in MAPS
    assert ("monitoring", "prometheusRule", "alerts", "SyncStale") in MAPS
    assert len(MAPS) > 50


def test_what_parents_hand_down_is_let_through() -> None:
    handed_down = {"global": {"any": {"thing": 1}}, "enabled": True}
    assert templates(merged(SANDBOX, handed_down)) == templates(SANDBOX)


def leaves(values: dict[str, Any] = DEFAULTS, path: Path = ()) -> Iterator[Path]:
    """Every value that has a line of its own: those of requests and limits have one together."""
    for name, value in values.items():
        here = (*path, name)
        if value and resolved(schema_of(here)).get("properties") and name != "resources":
            yield from leaves(value, here)
        else:
            yield here


def schema_of(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMA
    for name in path:
        schema = resolved(schema)["properties"][name]
    return schema


LEAVES = {".".join(path): path for path in leaves()}


def test_each_value_is_in_the_table_with_its_default_and_a_meaning() -> None:
    page = (CHART / "README.md").read_text().partition("## Values")[2]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    table = {name: (default, meaning) for name, default, meaning in rows}
    for name, path in LEAVES.items():
        default, meaning = table[name]
        value = DEFAULTS
        for each in path:
            value = value[each]
        assert yaml.safe_load(default.strip("`")) == value
        assert re.fullmatch(r"[A-Z`].*\.", meaning), f"{name} is not explained in a sentence: {meaning}"
    assert {name for name, (default, _) in table.items() if default} == set(LEAVES)


def test_each_value_is_in_the_schema_and_the_other_way_round() -> None:
    def of_schema(schema: dict[str, Any], defaults: dict[str, Any], path: Path = ()) -> Iterator[Path]:
        for name, each in schema["properties"].items():
            if each.get("properties") and defaults[name]:
                yield from of_schema(each, defaults[name], (*path, name))
            elif path or name not in OF_PARENTS:
                yield (*path, name)

    assert set(of_schema(SCHEMA, DEFAULTS)) == set(LEAVES.values())


OTHER: dict[str, Any] = {
    "fullnameOverride": "other",
    "commonLabels": {"other": "label"},
    "image.pullPolicy": "Always",
    "image.pullSecrets": [{"name": "other"}],
    "settings": {"LOG_LEVEL": "DEBUG"},
    "secret.inline": {"LOOKUP_KEYS": "other"},
    "secret.externalSecret.storeKind": "ClusterSecretStore",
    "secret.externalSecret.refreshInterval": "2h",
    "serviceAccount.annotations": {"other": "annotation"},
    "pods.annotations": {"other": "annotation"},
    "pods.nodeSelector": {"other": "label"},
    "pods.tolerations": [{"operator": "Exists"}],
    "webhook.store": "postgresql",
    "webhook.autoscaling.minReplicas": 3,
    "webhook.ingress.annotations": {"other": "annotation"},
    "webhook.httpRoute.parentRefs": [{"name": "other"}],
    "runs.maxFailedRows": "2%",
    "runs.persistence.accessMode": "ReadWriteMany",
    "monitoring.podMonitor.interval": "7s",
    "monitoring.podMonitor.labels": {"other": "label"},
    "monitoring.podMonitor.relabelings": [{"targetLabel": "other", "replacement": "label"}],
    "monitoring.prometheusRule.labels": {"other": "label"},
    "monitoring.prometheusRule.alertLabels": {"other": "label"},
    "monitoring.prometheusRule.alerts": {"SyncSlow": {"enabled": False}},
    "monitoring.dashboards.labels": {"other": "label"},
    "monitoring.dashboards.annotations": {"other": "annotation"},
    "networkPolicy.webhookFrom": [{"podSelector": {}}],
    "networkPolicy.metricsFrom": [{"podSelector": {}}],
    "networkPolicy.apiServerPorts": [1],
    "networkPolicy.extraEgress": [{"ports": [{"port": 1}]}],
}
"""Other values than those of `BASES`, where a type does not say one."""

BASES: list[Values] = [
    EXISTING_SECRET,
    EXTERNAL_SECRET,
    merged(EXISTING_SECRET, POSTGRESQL),
    EVERYTHING_ON,
    CASES["inline-secret"],
    merged(CASES["ingress"], {"webhook": {"httpRoute": {"parentRefs": [{"name": "gateway"}]}}}),
]


def other(name: str, path: Path) -> Any:
    if name in OTHER:
        return OTHER[name]
    kind = resolved(schema_of(path))
    if path[-1] == "resources":
        return {"requests": {"cpu": "77m"}}
    if "digests" in path:
        return f"sha256:{'7' * 64}"
    if path[-1] == "schedule":
        return "7 7 * * *"
    return max(9, kind.get("minimum", 9)) if kind.get("type") == "integer" else "7"


@pytest.mark.parametrize("name", LEAVES)
def test_each_value_is_read_by_a_template(name: str) -> None:
    """Another value makes another installation, in one of several."""
    path = LEAVES[name]
    for base in BASES:
        before = templates(base)
        values = [True, False] if resolved(schema_of(path)).get("type") == "boolean" else [other(name, path)]
        for value in values:
            try:
                after = templates(merged(base, at(path, value)))
            except HelmError:  # it does not go with this installation
                continue
            if after != before:
                return
    pytest.fail(f"no installation changes with {name}")


def test_settings_are_all_that_are_not_secret_and_not_the_charts_own() -> None:
    ours = {
        *("MEMBER_CACHE", "MYSQL_TLS_CA", "RUNS_DIR", "RUN_ID", "METRICS_PORT", "TERMINATION_LOG"),
        *("PLAN_HANDOVER_SECONDS", "WEBHOOK_HOST", "WEBHOOK_PORT"),
    }
    fields = [field for group in GROUPS for field in group.model_fields.values()]
    secret = {field.alias for field in fields if is_secret(field)}
    assert set(SCHEMA["properties"]["secret"]["properties"]["inline"]["properties"]) == secret
    expected = {field.alias for field in fields} - secret - ours
    assert set(SCHEMA["properties"]["settings"]["properties"]) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"commonLabels": {"app.kubernetes.io/instance": "x"}},
        {"commonLabels": {"team": "not a label"}},
        {"fullnameOverride": "a.b"},
        {"fullnameOverride": "x" * 41},
        {"image": {"digests": {"webhook": "sha256:1"}}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"settings": {"INTERCOM_ACCESS_TOKEN": "x"}},
        {"settings": {"WEBHOOK_STORE": "sqlite:///x"}},
        {"settings": {"METRICS_PORT": 1}},
        {"settings": {"WEBHOOK_GRACE_SECONDS": "30"}},
        {"webhook": {"replicas": 0}},
        {"webhook": {"replicas": 1.5}},
        {"webhook": {"host": "https://example.org"}},
        {"webhook": {"resources": {"limits": {"memory": "1 GB"}}}},
        {"runs": {"maxFailedRows": "1 %"}},
        {"nightly": {"schedule": "@daily"}},
        {"nightly": {"startingDeadlineSeconds": 5}},
        {"nightly": {"suspend": "yes"}},
        {"networkPolicy": {"metricsFrom": [{}]}},
        {"networkPolicy": {"apiServerPorts": []}},
        {"sandbox": {"members": 0}},
    ],
    ids=json.dumps,
)
def test_values_that_make_no_sense_are_refused(values: Values) -> None:
    with pytest.raises(HelmValuesError):
        templates(merged(SANDBOX, values))


def test_the_defaults_and_all_cases_keep_to_the_schema() -> None:
    for values in CASES.values():
        chart().validate_schema(values)


def test_the_schema_says_what_it_is_written_in() -> None:
    """Draft 7, which all versions of Helm read; beside a `$ref` it takes no notice of anything."""

    def beside_references(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            if "$ref" in part and len(part) > 1:
                yield part
            part = list(part.values())
        for each in part if isinstance(part, list) else []:
            yield from beside_references(each)

    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert list(beside_references(SCHEMA)) == []
