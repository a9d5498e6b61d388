"""What rules and dashboards ask for is what the programs export: by the table that is made of the code."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mynatca_intercom.intercom.transport import STATUSES, Operation
from support.helm import NAMESPACE, SANDBOX, render

from .queries import DASHBOARDS, filled, groupings, queries, selectors
from .test_alerts import rules

TABLE = Path(__file__).parents[2] / "docs/metrics.md"
TARGET = {"namespace", "release", "component", "pod"}
"""Labels that Prometheus gives to all that it scrapes of us, as the PodMonitors say."""
CRONJOB = {"namespace", "cronjob"}
FOREIGN: dict[str, set[str]] = {
    "up": TARGET,
    "ALERTS": {"alertname", "alertstate", "namespace", "release"},
    "kube_cronjob_spec_suspend": CRONJOB,
    "kube_cronjob_status_last_successful_time": CRONJOB,
    "kube_cronjob_created": CRONJOB,
    "kube_job_spec_active_deadline_seconds": {"namespace", "job_name"},
    "kube_pod_container_status_restarts_total": {"namespace", "pod", "container"},
    "kube_pod_container_info": {"namespace", "pod", "container", "image"},
    "container_cpu_usage_seconds_total": {"namespace", "pod", "container"},
    "container_memory_working_set_bytes": {"namespace", "pod", "container"},
}
"""What Prometheus, kube-state-metrics and the kubelet export."""
DIAGNOSTIC = {
    "mynatca_intercom_run_brakes_total": "a run that is stopped ends at once, mostly unscraped; the operator tells it"
}
"""Metrics that nothing asks for, and why they are there."""
NAMES = """
import sys
from prometheus_client import generate_latest
from mynatca_intercom.metrics import REGISTRY
import {module}
sys.stdout.write(generate_latest(REGISTRY).decode())
"""


def exported() -> dict[str, set[str]]:
    """Every series that is exported, with its labels, as docs/metrics.md says."""
    found: dict[str, set[str]] = {}
    for name, kind, words in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", TABLE.read_text(), re.MULTILINE):
        labels = set(re.findall(r"`(\w+)`", words)) | TARGET
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return found


def asked() -> Iterator[str]:
    """Every expression of rules and dashboards."""
    yield from (rule["expr"] for rule in rules())
    yield from (filled(query) for dashboard in DASHBOARDS.values() for query in queries(dashboard))


KNOWN = exported() | FOREIGN


@pytest.mark.parametrize("query", sorted(set(asked())))
def test_every_series_that_is_asked_for_is_exported_with_these_labels(query: str) -> None:
    labels = set[str]()
    for selector in selectors(query):
        assert selector.name in KNOWN, f"nobody exports {selector.name}"
        assert selector.labels <= KNOWN[selector.name], selector
        labels |= KNOWN[selector.name]
    assert set(groupings(query)) <= labels


def test_every_metric_is_asked_for_or_is_there_for_a_reason() -> None:
    used = {re.sub(r"_(bucket|count|sum)$", "", each.name) for query in asked() for each in selectors(query)}
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported()}
    assert names - used == DIAGNOSTIC.keys()
    assert all(DIAGNOSTIC.values())
    assert FOREIGN.keys() <= used


def test_names_and_labels_keep_to_the_rules() -> None:
    """One prefix, base units, counters that say so; no label that could hold whom something is about."""
    kinds = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", TABLE.read_text(), re.MULTILINE))
    assert len(kinds) > 30
    for name, kind in kinds.items():
        assert name.startswith("mynatca_intercom_")
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|days|kb|mb|percent)(_|$)", name), name
        assert "timestamp" not in name or name.endswith("_timestamp_seconds"), name
    labels = set().union(*exported().values()) - TARGET - {"le"}
    assert labels == {"operation", "status", "kind", "source", "outcome", "topic", "brake", "mode", "phase", "result"}


def started(module: str) -> dict[str, list[dict[str, str]]]:
    """What a program that has only begun exports: name -> the labels of each series."""
    done = subprocess.run(
        [sys.executable, "-c", NAMES.format(module=module)], capture_output=True, text=True, check=True
    )
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            assert sample.value == 0, sample
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def test_every_pair_of_operation_and_status_begins_at_zero() -> None:
    pairs = {(each["operation"], each["status"]) for each in started("mynatca_intercom.intercom.client")[CALLS]}
    assert pairs == {(operation, status) for operation in get_args(Operation) for status in STATUSES}


CALLS = "mynatca_intercom_api_calls_total"


@pytest.mark.parametrize("module", ["mynatca_webhook.app", "mynatca_webhook.worker"])
def test_the_webhook_service_begins_with_all_series_that_have_labels(module: str) -> None:
    found = started(module)
    own = {name for name in KNOWN if name.startswith(("mynatca_intercom_webhook_", "mynatca_intercom_api_"))}
    labelled = {name for name in own if KNOWN[name] - TARGET - {"le"} and not name.endswith("webhook_jobs_total")}
    if module == "mynatca_webhook.worker":
        labelled = {CALLS, "mynatca_intercom_webhook_jobs_total"}
    assert labelled <= found.keys()


def test_the_pod_monitors_give_the_labels_that_all_rests_on() -> None:
    """`pod` is the Prometheus operator's own; the others have to be set, after which more may be done."""
    more = [{"action": "labeldrop", "regex": "container"}]
    monitors = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each
        for each in render({**SANDBOX, "monitoring": {"podMonitor": {"enabled": True, "relabelings": more}}})
        if each["kind"] == "PodMonitor"
    }
    assert monitors.keys() == {"webhook", "operator", "run"}
    for component, monitor in monitors.items():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        *given, last = endpoint["relabelings"]
        assert {each["targetLabel"]: each["replacement"] for each in given} == {
            "namespace": NAMESPACE,
            "release": "natca",
            "component": component,
        }
        assert last == more[0]
        assert monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == component
        assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}


def test_runs_of_an_operator_for_all_namespaces_are_scraped_wherever_they_are() -> None:
    values = {**SANDBOX, "operator": {"allNamespaces": True}, "monitoring": {"podMonitor": {"enabled": True}}}
    selected = {
        each["metadata"]["name"]: each["spec"]["namespaceSelector"]
        for each in render(values)
        if each["kind"] == "PodMonitor"
    }
    assert selected.pop("natca-mynatca-intercom-run") == {"any": True}
    assert all(selector == {"matchNames": [NAMESPACE]} for selector in selected.values())
