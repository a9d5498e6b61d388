"""How many webhook pods there are, and how they are replaced."""

from typing import Any

import pytest
from helm_python import HelmError

from support.chart_cases import CASES, EXISTING_SECRET, POSTGRESQL, Values, merged
from support.helm import render
from support.manifests import find, of_kind, pods, selects

each_case = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


def webhook(**values: Any) -> list[dict[str, Any]]:
    return render(merged(EXISTING_SECRET, POSTGRESQL, {"webhook": values}))


@each_case
def test_a_scaler_and_the_chart_never_argue_about_the_number(values: Values) -> None:
    objects = render(values)
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        deployment = find(objects, target["kind"], target["name"])
        assert "replicas" not in deployment["spec"]
        # Its aim is a share of what is requested.
        assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]


@each_case
def test_a_budget_never_holds_a_drain_up(values: Values) -> None:
    objects = render(values)
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    for budget in of_kind(objects, "PodDisruptionBudget"):
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["maxUnavailable"] == 1
        (deployment,) = (
            each
            for each in of_kind(objects, "Deployment")
            if selects(budget["spec"]["selector"], each["spec"]["template"]["metadata"]["labels"])
        )
        scaler = scaled.get(deployment["metadata"]["name"])
        assert (scaler["minReplicas"] if scaler else deployment["spec"]["replicas"]) > 1


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1), (5, 1)])
def test_there_is_a_budget_above_one_pod(replicas: int, budgets: int) -> None:
    assert len(of_kind(webhook(replicas=replicas), "PodDisruptionBudget")) == budgets


def test_the_least_number_of_a_scaler_counts_for_the_budget() -> None:
    assert of_kind(webhook(replicas=1, autoscaling={"enabled": True}), "PodDisruptionBudget")


@each_case
def test_a_deployment_is_replaced_as_it_can_bear(values: Values) -> None:
    """Whatever there may be only one of is ended first; others never have a pod less than they should."""
    objects = render(values)
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
    for each in of_kind(objects, "Deployment"):
        strategy = each["spec"]["strategy"]
        if strategy["type"] == "Recreate":
            assert each["spec"]["replicas"] == 1
            assert each["metadata"]["name"] not in scaled
        else:
            assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
            volumes = each["spec"]["template"]["spec"]["volumes"]
            assert not any("persistentVolumeClaim" in volume for volume in volumes)


@pytest.mark.parametrize("values", [{"replicas": 2}, {"autoscaling": {"enabled": True}}])
def test_one_file_has_one_pod(values: Values) -> None:
    with pytest.raises(HelmError, match="at '/webhook/"):
        webhook(store="sqlite", **({"replicas": 1} | values))


def test_a_scaler_has_room() -> None:
    with pytest.raises(HelmError, match="minReplicas is more than"):
        webhook(autoscaling={"enabled": True, "minReplicas": 5, "maxReplicas": 4})


def test_several_pods_are_spread_over_nodes_and_zones() -> None:
    (pod,) = (each for each in pods(webhook(replicas=3)) if each.part == "webhook")
    spread = pod.spec["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for each in spread:
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
        assert selects(each["labelSelector"], pod.labels)
