"""Every kind of installation renders into objects that Kubernetes takes, on its oldest and its newest version.

Lists of their names stand in golden/: after an intended change, `GOLDEN=write make test ARGS=tests/chart` writes them.
"""

import json
import os
import shutil
from functools import cache
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from helm_python import Chart, lint

from support.chart_cases import (
    ALL_PARTS_OFF,
    CASES,
    EVERYTHING_ON,
    EXISTING_SECRET,
    EXTERNAL_SECRET,
    SUPABASE,
    Values,
    merged,
)
from support.helm import CHART, SANDBOX, chart, notes, render, templates
from support.manifests import Manifest, find, of_kind, operator_jobs, pods, scalars, title
from support.runs_model import SCHEMA

GOLDEN = Path(__file__).parent / "golden"
OLDEST = "1.29"
NEWEST = kubernetes_validate.latest_version().removesuffix(".0")
OF_OTHERS = {"ExternalSecret", "HTTPRoute", "PodMonitor", "ServiceMonitor", "PrometheusRule"}
"""Kinds that are not Kubernetes' own."""

each_case = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@each_case
def test_all_objects_are_what_kubernetes_knows(values: Values, version: str) -> None:
    objects = render(values, kube_version=f"{version}.0")
    for each in (*objects, *operator_jobs(objects)):
        if each["kind"] not in OF_OTHERS:
            validate(json.dumps(each), version)


@cache
def validate(text: str, version: str) -> None:
    """Fails on unknown fields, wrong types and kinds that this version does not have."""
    kubernetes_validate.validate(json.loads(text), version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@each_case
def test_helm_finds_nothing_to_say(values: Values, version: str) -> None:
    report = lint(CHART, values, strict=True, kube_version=f"v{version}.0")
    assert [each["error"] for each in report["messages"] if "icon is recommended" not in each["error"]] == []


def test_the_oldest_version_is_the_one_that_the_chart_asks_for() -> None:
    assert chart().metadata["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize("case", CASES)
def test_which_objects_there_are(case: str) -> None:
    made = "".join(f"{title(each)}\n" for each in render(CASES[case]))
    file = GOLDEN / f"{case}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(made, encoding="utf-8")
    assert made == file.read_text(encoding="utf-8")


def test_no_list_is_left_of_a_case_that_is_gone() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


@each_case
def test_no_name_is_there_twice(values: Values) -> None:
    names = [title(each) for each in render(values)]
    assert sorted(set(names)) == sorted(names)


@each_case
def test_all_objects_say_whose_they_are(values: Values) -> None:
    for each in render(values):
        labels = each["metadata"]["labels"]
        assert (
            labels.items()
            >= {
                "app.kubernetes.io/name": "mynatca-intercom",
                "app.kubernetes.io/instance": "natca",
                "app.kubernetes.io/version": chart().metadata["appVersion"],
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": f"mynatca-intercom-{chart().version}",
            }.items()
        ), title(each)
        assert labels["app.kubernetes.io/component"]


def test_labels_and_annotations_of_all() -> None:
    objects = render(EVERYTHING_ON)
    for each in objects:
        assert each["metadata"]["labels"]["team"] == "members", title(each)
    for pod in pods(objects):
        assert pod.labels["team"] == "members", pod
        if not pod.owner.startswith("Pod "):  # the test's annotations are the hook's
            assert pod.annotations["example.org/note"] == "1", pod


@each_case
def test_what_has_no_namespace(values: Values) -> None:
    """Namespaced by default: nothing but the custom resource, which can be left out."""
    everywhere = [each["kind"] for each in render(values) if "namespace" not in each["metadata"]]
    expected = ["CustomResourceDefinition"] * values.get("crds", {}).get("install", True)
    if values.get("operator", {}).get("allNamespaces"):
        expected += ["ClusterRole", "ClusterRoleBinding"]
    assert everywhere == expected


@pytest.mark.parametrize("name", ["x" * 53, "a.b-c", "mynatca-intercom", "natca-mynatca-intercom-of-the-region"])
def test_names_are_short_and_plain_enough(name: str) -> None:
    """Whatever the release is called: a CronJob's name may have 52 letters, others 63, and a Service's no dot."""
    for each in render(EVERYTHING_ON, name=name):
        if each["kind"] not in {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}:
            made = each["metadata"]["name"]
            assert len(made) <= (52 if each["kind"] == "CronJob" else 63)
            assert made.replace("-", "").isalnum()


NUMBERS = {
    "fullnameOverride": "true",
    "commonLabels": {"number": "1"},
    "image": {"tag": "1.10", "pullSecrets": [{"name": "1"}]},
    "settings": {"SUPABASE_SCHEMA": "null", "MYSQL_DB": "1e3"},
    "mysqlCaConfigMap": "1e3",
    "serviceAccount": {"annotations": {"a": "true"}},
    "pods": {"annotations": {"a": "1"}, "nodeSelector": {"a": "true"}, "priorityClassName": "on"},
    "webhook": {"host": "1.5", "ingress": {"className": "1", "tlsSecret": "2", "annotations": {"a": "1"}}},
    "runs": {"maxFailedRows": 5, "persistence": {"storageClass": "1"}},
}
OWN_CLAIMS = {part: {"persistence": {"existingClaim": "1", "storageClass": "2"}} for part in ("webhook", "runs")}


@pytest.mark.parametrize(
    "values",
    [
        merged(EVERYTHING_ON, NUMBERS),
        merged(SUPABASE, OWN_CLAIMS, {"secret": {"existingSecret": "1"}}),
        merged(EXTERNAL_SECRET, {"fullnameOverride": "on", "webhook": {"persistence": {"storageClass": "2"}}}),
    ],
)
def test_texts_that_look_like_something_else_stay_texts(values: Values) -> None:
    objects = render(values, name="123", namespace="1e3")
    for each in (*objects, *operator_jobs(objects)):
        if each["kind"] not in OF_OTHERS:
            validate(json.dumps(each), NEWEST)
    for path, value in (found for each in objects for found in scalars(each)):
        if path.endswith((".name", ".namespace")) or ".matchNames" in path:
            assert isinstance(value, str), path


def test_settings_are_written_as_the_programs_read_them() -> None:
    """Helm's numbers are floats, and `1e+07` is none that the programs read."""
    settings = {"INTERCOM_RESERVE": 0.05, "MEMBER_CACHE_REFRESH_SECONDS": 10000000, "INTERCOM_CREATE_ATTRIBUTES": False}
    (pod, *_) = pods(render(merged(SANDBOX, {"settings": settings})))
    given = {each["name"]: each.get("value") for each in pod.containers[0]["env"]}
    assert (
        given.items()
        >= {
            "INTERCOM_RESERVE": "0.05",
            "MEMBER_CACHE_REFRESH_SECONDS": "10000000",
            "INTERCOM_CREATE_ATTRIBUTES": "false",
        }.items()
    )


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """A chart that has ours as a part, on condition."""
    folder = tmp_path_factory.mktemp("parent")
    described = {
        "apiVersion": "v2",
        "name": "parent",
        "version": "1.0.0",
        "dependencies": [
            {"name": chart().name, "version": chart().version, "condition": f"{chart().name}.enabled"},
        ],
    }
    (folder / "Chart.yaml").write_text(yaml.safe_dump(described))
    shutil.copytree(CHART, folder / "charts" / chart().name)
    return Chart.load(folder)


def test_it_can_be_a_part_of_another_chart(parent: Chart) -> None:
    ours = {"enabled": True, **SANDBOX}
    made = templates({"global": {"domain": "example.org"}, chart().name: ours}, of=parent)
    alone = templates(SANDBOX)
    assert {path.removeprefix(f"charts/{chart().name}/"): text for path, text in made.items()} == alone


def test_the_notes_lead_on() -> None:
    assert "helm test natca --namespace intercom" in notes(EXISTING_SECRET)
    now = "create job first-night --from=cronjob/natca-mynatca-intercom-nightly"
    look = notes(EXISTING_SECRET).partition("spec: {mode: Sync, dryRun: true}")
    assert now not in look[0]
    assert now in look[2]
    at_rest = notes(merged(EXISTING_SECRET, {"nightly": {"suspend": True}}))
    assert now not in at_rest
    assert "--set nightly.suspend=false" in at_rest
    assert "/_sandbox/inbox" in notes(SANDBOX)
    assert "https://i.example.org/api/intercom/webhook" in notes(CASES["ingress"])
    assert "first-night" not in notes(merged(EXISTING_SECRET, ALL_PARTS_OFF))
    assert "Use secret.existingSecret for good." in notes(CASES["inline-secret"])
    alerts = {"prometheusRule": {"enabled": True}}
    scraped = {**alerts, "podMonitor": {"enabled": True}}
    assert "fire for ever" in notes(merged(SANDBOX, {"monitoring": alerts}))
    assert "fire for ever" not in notes(merged(SANDBOX, {"monitoring": scraped}))


@each_case
def test_the_notes_name_what_is_there(values: Values) -> None:
    objects = render(values)
    words = notes(values).replace("'", " ").split()
    for kind in ("cronjob", "service"):
        for word in words:
            if f"{kind}/" in word:
                name = word.split(f"{kind}/")[1]
                assert name in {each["metadata"]["name"] for each in objects if each["kind"].lower() == kind}


def test_the_custom_resource_is_the_one_of_the_code_and_is_kept() -> None:
    made = find(render(SANDBOX), "CustomResourceDefinition")
    written = yaml.safe_load((CHART / "files/intercomaudits.yaml").read_text())
    assert written["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    labels = made["metadata"]["labels"]
    assert made == {**written, "metadata": {**written["metadata"], "labels": labels}}


def test_releases_of_one_name_share_a_namespace_for_monitoring() -> None:
    monitoring = {
        "monitoring": {
            part: {"enabled": True, "namespace": "shared"} for part in ("podMonitor", "prometheusRule", "dashboards")
        }
    }
    made = [
        {
            title(each)
            for each in render(merged(SANDBOX, monitoring), namespace=namespace)
            if each["metadata"].get("namespace") == "shared"
        }
        for namespace in ("staging", "production")
    ]
    assert len(made[0]) == len(made[1]) == 6
    assert made[0].isdisjoint(made[1])


def test_the_custom_resource_can_go_with_the_release() -> None:
    made = find(render(merged(SANDBOX, {"crds": {"keep": False}})), "CustomResourceDefinition")
    assert "annotations" not in made["metadata"]


@each_case
def test_volumes_outlive_the_release(values: Values) -> None:
    for claim in of_kind(render(values), "PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_routes_and_secrets_of_other_projects() -> None:
    """What no validator of ours knows, word for word."""
    route = find(render(EVERYTHING_ON), "HTTPRoute")
    assert (route["apiVersion"], route["spec"]) == (
        "gateway.networking.k8s.io/v1",
        {
            "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
            "hostnames": ["intercom.example.org"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/api/intercom"}}],
                    "backendRefs": [{"name": "natca-mynatca-intercom-webhook", "port": 80}],
                }
            ],
        },
    )
    secret = find(render(EXTERNAL_SECRET), "ExternalSecret")
    assert (secret["apiVersion"], secret["spec"]) == (
        "external-secrets.io/v1",
        {
            "refreshInterval": "1h",
            "secretStoreRef": {"name": "vault", "kind": "SecretStore"},
            "target": {"name": "natca-mynatca-intercom"},
            "dataFrom": [{"extract": {"key": "natca"}}],
        },
    )


def test_the_package_has_what_it_should_and_no_more() -> None:
    names = {each["name"] for each in chart().files}
    assert {"README.md", "files/intercomaudits.yaml"} <= names
    assert not any(name.endswith((".tgz", ".swp")) for name in names)


def test_what_is_told_to_catalogues() -> None:
    annotations: dict[str, str] = chart().metadata["annotations"]
    assert annotations["artifacthub.io/license"] == "Apache-2.0"
    (definition,) = yaml.safe_load(annotations["artifacthub.io/crds"])
    written: Manifest = yaml.safe_load((CHART / "files/intercomaudits.yaml").read_text())
    assert definition["name"] == written["metadata"]["name"]
    assert definition["kind"] == written["spec"]["names"]["kind"]
    assert definition["version"] in {each["name"] for each in written["spec"]["versions"]}
    for example in yaml.safe_load(annotations["artifacthub.io/crdsExamples"]):
        SCHEMA.validate(example)
