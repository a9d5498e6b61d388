"""NetworkPolicies let through what the chart offers and needs, and the API server is the operator's."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from support.chart_cases import CASES, EVERYTHING_ON, EXISTING_SECRET, POSTGRESQL, Values, merged
from support.helm import SANDBOX, render
from support.manifests import Manifest, Pod, find, of_kind, pods, ports, selects

CLOSED = {name: values for name, values in CASES.items() if values.get("networkPolicy", {}).get("enabled", True)}
each_case = pytest.mark.parametrize("values", CLOSED.values(), ids=CLOSED)

Rule = dict[str, Any]


def rules(objects: list[Manifest], pod: Pod, direction: str) -> list[Rule]:
    """What the policies of a pod let through: `ingress` or `egress`."""
    own = [
        each["spec"] for each in of_kind(objects, "NetworkPolicy") if selects(each["spec"]["podSelector"], pod.labels)
    ]
    assert own, f"{pod} has no policy"
    for each in own:
        assert each["policyTypes"] == ["Ingress", "Egress"]
    return list(itertools.chain.from_iterable(each.get(direction, []) for each in own))


def lets_through(rule: Rule, port: int, named: dict[str, int]) -> bool:
    """Whether a rule holds for a port; those of a rule are numbers, or names that the pod gives."""
    return any(named.get(each["port"], each["port"]) == port for each in rule["ports"])


def peers(rule: Rule) -> list[dict[str, Any]]:
    """Who is meant; everybody if nobody is named."""
    return rule.get("from", rule.get("to")) or [{"namespaceSelector": {}}]


def means(peer: dict[str, Any], pod: Pod) -> bool:
    """Whether a peer is a pod of the release's own namespace."""
    if "namespaceSelector" in peer and not selects(peer["namespaceSelector"], {}):
        return False
    return selects(peer.get("podSelector", {}), pod.labels)


@each_case
def test_what_is_offered_can_be_reached(values: Values) -> None:
    """Ports of Services, and those that Prometheus asks, by whoever the values name."""
    objects = render(values)
    wanted = values.get("networkPolicy", {})
    for pod, port in offered(objects):
        open_to = [
            peer
            for rule in rules(objects, pod, "ingress")
            if lets_through(rule, port, ports(pod))
            for peer in peers(rule)
        ]
        assert open_to, (pod, port)
        if pod.part == "webhook" and port == ports(pod)["http"]:
            assert all(peer in open_to for peer in wanted.get("webhookFrom", [{"namespaceSelector": {}}]))
        if port in {9090, 8080} and pod.part != "sandbox":
            assert all(peer in open_to for peer in wanted.get("metricsFrom", [{"namespaceSelector": {}}]))


def offered(objects: list[Manifest]) -> Iterator[tuple[Pod, int]]:
    for pod in pods(objects):
        for service in of_kind(objects, "Service"):
            if selects({"matchLabels": service["spec"]["selector"]}, pod.labels):
                yield from ((pod, ports(pod)[each["targetPort"]]) for each in service["spec"]["ports"])
        for monitor in of_kind(objects, "PodMonitor"):
            if selects(monitor["spec"]["selector"], pod.labels):
                yield from ((pod, ports(pod)[each["port"]]) for each in monitor["spec"]["podMetricsEndpoints"])
        if "metrics" in ports(pod):
            yield pod, ports(pod)["metrics"]


@each_case
def test_the_parts_reach_one_another(values: Values) -> None:
    objects = render(values)
    for source, target, port in calls(objects):
        out = [
            rule
            for rule in rules(objects, source, "egress")
            if lets_through(rule, port, {}) and any(means(peer, target) for peer in peers(rule))
        ]
        into = [
            rule
            for rule in rules(objects, target, "ingress")
            if lets_through(rule, port, ports(target)) and any(means(peer, source) for peer in peers(rule))
        ]
        assert out, (source, target, port)
        assert into or source.part == "operator", (source, target, port)


def calls(objects: list[Manifest]) -> Iterator[tuple[Pod, Pod, int]]:
    """Who asks whom at which port: by the addresses that containers are given, and the operator its runs."""
    all_pods = pods(objects)
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "Service")}
    for source in all_pods:
        for text in addresses(source):
            host, _, port = text.split("http://")[1].split("/")[0].partition(":")
            entry = next(each for each in services[host]["ports"] if each["port"] == int(port or 80))
            for target in all_pods:
                if selects({"matchLabels": services[host]["selector"]}, target.labels):
                    yield source, target, ports(target)[entry["targetPort"]]
        if source.part == "operator":
            yield from ((source, target, ports(target)["metrics"]) for target in all_pods if target.part == "run")


def addresses(pod: Pod) -> list[str]:
    texts = [each.get("value", "") for container in pod.containers for each in container.get("env", [])]
    texts += [text for container in pod.containers for key in ("args", "command") for text in container.get(key, [])]
    return [text for text in texts if "http://" in text]


def test_the_calls_that_are_looked_at_are_all_there_are() -> None:
    made = {(source.part, target.part, port) for source, target, port in calls(render(SANDBOX))}
    assert made == {
        *((part, "sandbox", 8080) for part in ("webhook", "run", "test")),
        ("sandbox", "webhook", 8000),
        ("test", "webhook", 8000),
        ("test", "operator", 8080),
        ("operator", "run", 9090),
    }


def ways_out(objects: list[Manifest], part: str) -> set[int]:
    """The ports that a part may call anybody at."""
    pod = next(pod for pod in pods(objects) if pod.part == part)
    return {port["port"] for rule in rules(objects, pod, "egress") if "to" not in rule for port in rule["ports"]}


@each_case
def test_all_parts_that_speak_to_others_can_ask_for_names(values: Values) -> None:
    objects = render(values)
    for pod in pods(objects):
        if pod.part == "volume":
            assert rules(objects, pod, "egress") == []
            continue
        dns = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
        assert {"ports": dns} in rules(objects, pod, "egress"), pod


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (EXISTING_SECRET, {53, 443}),
        (merged(EXISTING_SECRET, POSTGRESQL), {53, 443, 5432}),
        (CASES["mysql-only"], {53, 443, 3306}),
        (merged(CASES["mysql-only"], {"settings": {"MYSQL_PORT": 3307}}), {53, 443, 3307}),
        (merged(EXISTING_SECRET, {"settings": {"SUPABASE_URL": "http://supabase.local"}}), {53, 80, 443}),
        (merged(EXISTING_SECRET, {"settings": {"INTERCOM_URL": "https://proxy:8443/intercom"}}), {53, 443, 8443}),
        (EVERYTHING_ON, {53, 443, 3307, 5432, 6543, 8080}),
    ],
)
def test_programs_reach_what_their_settings_name(values: Values, expected: set[int]) -> None:
    objects = render(values)
    assert ways_out(objects, "webhook") == expected
    for part in ("run", "test"):
        assert ways_out(objects, part) == expected - {5432}


def test_the_api_server_is_the_operators_alone_where_its_port_tells_it_from_intercom() -> None:
    default = render(SANDBOX)
    assert ways_out(default, "operator") == {53, 443, 6443}
    for part in ("webhook", "run", "test", "sandbox"):
        assert 6443 not in ways_out(default, part)
    objects = render(merged(SANDBOX, {"networkPolicy": {"apiServerPorts": [16443]}}))
    assert ways_out(objects, "operator") == {53, 16443}
    for part in ("webhook", "run", "test", "sandbox"):
        assert 16443 not in ways_out(objects, part)


def test_the_sandbox_reaches_nothing_but_the_webhook_service() -> None:
    assert ways_out(render(SANDBOX), "sandbox") == {53}


def test_there_need_be_none() -> None:
    assert of_kind(render(CASES["everything-off"]), "NetworkPolicy") == []


def test_runs_of_other_namespaces_are_reached_by_an_operator_of_all() -> None:
    def to(values: Values) -> Any:
        (rule,) = (
            rule
            for rule in find(render(values), "NetworkPolicy", "-operator")["spec"]["egress"]
            if rule["ports"] == [{"port": 9090}]
        )
        return rule["to"][0]

    assert "namespaceSelector" not in to(SANDBOX)
    assert to(EVERYTHING_ON)["namespaceSelector"] == {}
