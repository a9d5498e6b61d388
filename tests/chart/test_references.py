"""Objects that name others name some that are there: pods, ports, claims, accounts, Secrets, roles."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.chart_cases import CASES, Values
from support.helm import render
from support.manifests import Manifest, Pod, find, of_kind, pods, ports, selects, title

each_case = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


def names(objects: list[Manifest], kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in of_kind(objects, kind)}


def found_by(selector: dict[str, Any], objects: list[Manifest]) -> list[Pod]:
    return [pod for pod in pods(objects) if selects(selector, pod.labels)]


@each_case
def test_a_service_finds_pods_of_one_part_that_listen(values: Values) -> None:
    objects = render(values)
    for service in of_kind(objects, "Service"):
        found = found_by({"matchLabels": service["spec"]["selector"]}, objects)
        assert len({pod.part for pod in found}) == 1, title(service)
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports(found[0])


@each_case
def test_a_deployment_finds_its_own_pods_only(values: Values) -> None:
    objects = render(values)
    for each in of_kind(objects, "Deployment"):
        assert [pod.owner for pod in found_by(each["spec"]["selector"], objects)] == [title(each)]


@each_case
def test_a_route_leads_to_a_port_of_a_service(values: Values) -> None:
    objects = render(values)
    for name, port in [*_ingress_backends(objects), *_route_backends(objects)]:
        offered = [(each["name"], each["port"]) for each in find(objects, "Service", name)["spec"]["ports"]]
        assert any(port in each for each in offered)


def _ingress_backends(objects: list[Manifest]) -> Iterator[tuple[str, Any]]:
    for ingress in of_kind(objects, "Ingress"):
        hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
        assert hosts == {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield service["name"], service["port"].get("name") or service["port"]["number"]


def _route_backends(objects: list[Manifest]) -> Iterator[tuple[str, Any]]:
    for route in of_kind(objects, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            yield from ((each["name"], each["port"]) for each in rule["backendRefs"])


@each_case
def test_what_is_open_to_the_outside_is_the_service_alone(values: Values) -> None:
    """Neither probes nor metrics nor the description."""
    objects = render(values)
    paths = [
        path["path"]
        for ingress in of_kind(objects, "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    paths += [
        match["path"]["value"]
        for route in of_kind(objects, "HTTPRoute")
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    ]
    assert set(paths) <= {"/api/intercom"}


@each_case
def test_policies_and_budgets_find_pods(values: Values) -> None:
    objects = render(values)
    for each in of_kind(objects, "NetworkPolicy"):
        assert found_by(each["spec"]["podSelector"], objects), title(each)
    for each in of_kind(objects, "PodDisruptionBudget"):
        assert found_by(each["spec"]["selector"], objects), title(each)
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] in names(objects, "Deployment")


@each_case
def test_what_pods_need_is_there(values: Values) -> None:
    objects = render(values)
    secrets = names(objects, "Secret") | {each["spec"]["target"]["name"] for each in of_kind(objects, "ExternalSecret")}
    secrets.add(values.get("secret", {}).get("existingSecret", ""))
    config_maps = names(objects, "ConfigMap") | {values.get("mysqlCaConfigMap", "")}
    for pod in pods(objects):
        assert pod.spec["serviceAccountName"] in names(objects, "ServiceAccount"), pod
        volumes = {each["name"]: each for each in pod.spec["volumes"]}
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in names(objects, "PersistentVolumeClaim"), pod
            if "configMap" in volume and volume["name"] != "mappings":  # the operator makes that one
                assert volume["configMap"]["name"] in config_maps, pod
        for container in pod.containers:
            assert {each["name"] for each in container.get("volumeMounts", [])} <= set(volumes), pod
            for variable in container.get("env", []):
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    assert variable["valueFrom"]["secretKeyRef"]["name"] in secrets, pod
        assert set(volumes) == {each["name"] for c in pod.containers for each in c.get("volumeMounts", [])}, pod


@each_case
def test_keys_that_pods_need_are_in_the_charts_own_secret(values: Values) -> None:
    objects = render(values)
    for secret in of_kind(objects, "Secret"):
        for pod in pods(objects):
            for variable in pod.spec["containers"][0].get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef", {"optional": True})
                assert reference.get("optional") or reference["key"] in secret["stringData"]


@each_case
def test_claims_are_mounted(values: Values) -> None:
    objects = render(values)
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods(objects)
        for volume in pod.spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert mounted == names(objects, "PersistentVolumeClaim")


@each_case
def test_probes_ask_a_port_that_is_there(values: Values) -> None:
    for pod in pods(render(values)):
        for container in pod.containers:
            named = {each["name"] for each in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in named


@each_case
def test_the_programs_find_one_another(values: Values) -> None:
    """Addresses inside the installation are those of its Services."""
    objects = render(values)
    offered = {
        (each["metadata"]["name"], port["port"])
        for each in of_kind(objects, "Service")
        for port in each["spec"]["ports"]
    }
    for pod in pods(objects):
        for container in pod.containers:
            texts = [each.get("value", "") for each in container.get("env", [])]
            texts += [*container.get("args", []), *container.get("command", [])]
            for text in texts:
                if "http://" in text:
                    host, _, port = text.split("http://")[1].split("/")[0].partition(":")
                    assert (host, int(port or 80)) in offered, text


@each_case
def test_bindings_bind_a_role_to_an_account(values: Values) -> None:
    objects = render(values)
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert binding["roleRef"]["name"] in names(objects, binding["roleRef"]["kind"])
        for subject in binding["subjects"]:
            assert subject["name"] in names(objects, "ServiceAccount")
            assert subject["namespace"] == "intercom"


@each_case
def test_what_the_operator_looks_for_is_there(values: Values) -> None:
    objects = render(values)
    for each in of_kind(objects, "Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        environment = {each["name"]: each.get("value") for each in container.get("env", [])}
        if container["name"] == "operator":
            nightly = {name for name in names(objects, "CronJob") if name.endswith("-nightly")}
            assert {environment["SYNC_CRONJOB"]} - {None} == nightly if nightly else "SYNC_CRONJOB" not in environment
