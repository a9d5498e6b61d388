"""The operator has the rights that it uses, which tests/cluster proves, and nobody else has any."""

from collections.abc import Iterator

import pytest

from support.chart_cases import CASES, EVERYTHING_ON, Values
from support.helm import SANDBOX, render
from support.manifests import Manifest, find, of_kind

each_case = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


def rights(role: Manifest) -> Iterator[tuple[str, str, str]]:
    """API group, resource and verb."""
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from ((group, resource, verb) for verb in rule["verbs"])


def test_in_all_namespaces_it_may_do_the_same_as_in_one() -> None:
    assert set(rights(find(render(EVERYTHING_ON), "ClusterRole"))) == set(rights(find(render(SANDBOX), "Role")))


@each_case
def test_nothing_is_granted_wholesale(values: Values) -> None:
    for role in of_kind(render(values), "Role", "ClusterRole"):
        for right in rights(role):
            assert "*" not in "".join(right)
            assert "secrets" not in right[1]
        for rule in role["rules"]:
            if "patch" in rule["verbs"] and "configmaps" in rule["resources"]:
                assert rule["resourceNames"] == ["natca-mynatca-intercom-last-runs"]


@each_case
def test_only_the_operator_is_granted_anything(values: Values) -> None:
    objects = render(values)
    subjects = [
        each for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding") for each in binding["subjects"]
    ]
    expected = values.get("operator", {}).get("enabled", True)
    assert [each["name"] for each in subjects] == ["natca-mynatca-intercom-operator"] * expected


def test_cluster_wide_names_tell_releases_apart() -> None:
    names = {
        find(render(EVERYTHING_ON, namespace=namespace), "ClusterRole")["metadata"]["name"] for namespace in ("a", "b")
    }
    assert len(names) == 2


def test_the_record_of_runs_is_the_one_that_may_be_written() -> None:
    objects = render(SANDBOX)
    (container,) = find(objects, "Deployment", "-operator")["spec"]["template"]["spec"]["containers"]
    record = next(each["value"] for each in container["env"] if each["name"] == "RUNS_CONFIG_MAP")
    assert [rule["resourceNames"] for rule in find(objects, "Role")["rules"] if "resourceNames" in rule] == [[record]]
