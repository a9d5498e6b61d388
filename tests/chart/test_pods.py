"""All pods, those of the Jobs that the operator makes too: what they may do, run, mount, and start with."""

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest

from mynatca_intercom.settings import (
    GROUPS,
    DirectorySettings,
    IntercomSettings,
    MemberCacheSettings,
    MemberSettings,
    MySQLSettings,
    RunSettings,
    Settings,
    SupabaseSettings,
    TagSettings,
    WebhookSettings,
    load,
)
from mynatca_operator.settings import OperatorSettings
from mynatca_syncjob.arguments import parser
from support.chart_cases import CASES, EVERYTHING_ON, EXISTING_SECRET, POSTGRESQL, Values, merged
from support.helm import SANDBOX, render
from support.manifests import RUNS, Manifest, Pod, find, of_kind, operator_jobs, pods, selects
from support.pod_security import breaches

each_case = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


@each_case
def test_every_pod_is_restricted(values: Values) -> None:
    for pod in pods(render(values)):
        assert breaches(pod) == [], pod


def test_the_check_of_restricted_pods_finds_what_is_wrong() -> None:
    loose: dict[str, Any] = {
        "hostNetwork": True,
        "volumes": [{"name": "disk", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "securityContext": {"privileged": True}, "ports": [{"hostPort": 1}]}],
    }
    assert len(breaches(Pod("loose", {}, {}, loose))) == 11


@each_case
def test_only_the_operator_has_a_token(values: Values) -> None:
    objects = render(values)
    with_token = {pod.owner for pod in pods(objects) if pod.spec["automountServiceAccountToken"]}
    operators = {f"Deployment {each['metadata']['name']}" for each in of_kind(objects, "Deployment")}
    assert with_token == {each for each in operators if each.endswith("-operator")}
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for pod in pods(objects):
        assert not any("projected" in volume for volume in pod.spec["volumes"]), pod


def test_a_digest_wins_over_a_tag() -> None:
    digests = {
        part: f"sha256:{number:064x}" for number, part in enumerate(("syncjob", "webhook", "operator", "sandbox"))
    }
    objects = render(
        merged(EVERYTHING_ON, {"image": {"repository": "r.example.org/m", "tag": "1", "digests": digests}})
    )
    images = {each["image"] for pod in pods(objects) for each in pod.containers}
    assert images == {f"r.example.org/m/{part}@{digest}" for part, digest in digests.items()}
    assert {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in objects} == {"0.1.0"}


def test_a_tag_wins_over_the_version() -> None:
    images = {each["image"] for pod in pods(render(SANDBOX)) for each in pod.containers}
    assert images == {f"mynatca-intercom/{part}:0.1.0" for part in ("syncjob", "webhook", "operator", "sandbox")}
    tagged = pods(render(merged(SANDBOX, {"image": {"tag": "1.2"}})))
    assert {each["image"].rpartition(":")[2] for pod in tagged for each in pod.containers} == {"1.2"}


def test_where_pods_may_run_holds_for_all() -> None:
    for pod in pods(render(EVERYTHING_ON)):
        assert pod.spec["nodeSelector"] == {"kubernetes.io/os": "linux"}, pod
        assert pod.spec["tolerations"] == EVERYTHING_ON["pods"]["tolerations"], pod
        assert pod.spec["priorityClassName"] == "important", pod
        assert pod.spec["imagePullSecrets"] == [{"name": "registry"}], pod


@each_case
def test_what_listens_is_probed(values: Values) -> None:
    for each in of_kind(render(values), "Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("grace", [None, 1, 30, 90.5])
def test_the_webhook_service_has_time_to_stop(store: str, grace: float | None) -> None:
    """`preStop` counts, and the service needs 15 s more than it is given for its work."""
    settings = {} if grace is None else {"WEBHOOK_GRACE_SECONDS": grace}
    pod = webhook(merged(EXISTING_SECRET, {"webhook": {"store": store}, "settings": settings}))
    command = pod.container("webhook")["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["sleep", "5"]
    assert (
        pod.spec["terminationGracePeriodSeconds"]
        >= (grace or WebhookSettings.model_fields["grace_seconds"].default) + 15 + 5
    )


@each_case
def test_programs_start_with_their_environment(values: Values) -> None:
    """Every variable is a setting, none is there twice, and the settings can be read."""
    groups: list[type[Settings]] = [OperatorSettings, *GROUPS]
    known = {field.alias for group in groups for field in group.model_fields.values()}
    for pod in pods(render(values)):
        for container in pod.containers:
            variables = container.get("env", [])
            names = [each["name"] for each in variables]
            assert sorted(set(names)) == sorted(names), pod
            assert set(names) <= known, pod
            environment = {each["name"]: each.get("value") or _stand_in(each["name"]) for each in variables}
            for group in _groups(container["name"], environment):
                load(group, environment)


def _stand_in(name: str) -> str:
    """A value for what comes from a Secret, or from the pod."""
    special = {"WEBHOOK_STORE": "postgresql://u:p@h/d", "LOOKUP_KEYS": f"desk={'k' * 32}", "RUN_ID": "nightly-1"}
    return special.get(name, "secret")


def _groups(container: str, environment: dict[str, str]) -> list[Any]:
    if container == "operator":
        return [OperatorSettings]
    if container in {"sandbox", "webhook-is-ready", "operator-is-ready", "volume"}:
        return []
    groups: list[Any] = [IntercomSettings, MemberSettings, TagSettings, RunSettings, DirectorySettings]
    groups += [WebhookSettings, MemberCacheSettings] if container == "webhook" else []
    groups += [MySQLSettings] if "MYSQL_HOST" in environment else []
    return groups + ([SupabaseSettings] if "supabase" in environment.get("MEMBER_SOURCES", "supabase") else [])


@each_case
def test_programs_understand_their_arguments(values: Values) -> None:
    objects = render(values)
    for pod in pods(objects):
        for container in pod.containers:
            if "/syncjob:" in container["image"] and "args" in container:
                options = parser().parse_args(container["args"])
                if not pod.owner.startswith("Pod "):
                    assert options.max_failed_rows


def test_the_operators_jobs_are_those_of_the_nightly_sync() -> None:
    """But for their name, arguments and what the operator says of itself."""
    objects = render(EVERYTHING_ON)
    nightly = find(objects, "CronJob", "-nightly")["spec"]["jobTemplate"]["spec"]
    jobs = list(operator_jobs(objects))
    assert len(jobs) == len(RUNS)
    for job in jobs:
        for field in ("podFailurePolicy", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
            assert job["spec"][field] == nightly[field]
        ours, theirs = job["spec"]["template"]["spec"], nightly["template"]["spec"]
        assert {**ours, "containers": 0, "volumes": 0} == {**theirs, "containers": 0, "volumes": 0}
        assert ours["volumes"][: len(theirs["volumes"])] == theirs["volumes"]
        changed = {"args": 0, "env": 0, "volumeMounts": 0}
        assert ours["containers"][0] | changed == theirs["containers"][0] | changed


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteMany"])
def test_runs_share_a_node_only_if_the_volume_makes_them(mode: str) -> None:
    objects = render(merged(EXISTING_SECRET, {"runs": {"persistence": {"accessMode": mode}}}))
    runs = [pod for pod in pods(objects) if pod.part in ("run", "volume")]
    assert find(objects, "PersistentVolumeClaim", "-runs")["spec"]["accessModes"] == [mode]
    assert len(runs) == 2 + len(RUNS) + 1
    for pod in runs:
        assert ("affinity" in pod.spec) == (mode == "ReadWriteOnce"), pod
        if "affinity" in pod.spec:
            (term,) = pod.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            # It holds for the pod itself, or the first one would never start.
            assert all(selects(term["labelSelector"], each.labels) for each in runs)


def test_a_volume_that_is_there_is_used() -> None:
    own = {part: {"persistence": {"existingClaim": f"own-{part}"}} for part in ("webhook", "runs")}
    objects = render(merged(EXISTING_SECRET, own))
    assert of_kind(objects, "PersistentVolumeClaim") == []
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods(objects)
        for volume in pod.spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"own-webhook", "own-runs"}


def test_the_job_that_tries_the_volume_has_another_name_whenever_it_is_another() -> None:
    """As a Job cannot be changed."""
    differ: list[Values] = [
        {},
        {"pods": {"annotations": {"a": "b"}}},
        {"image": {"tag": "2"}},
        {"commonLabels": {"a": "b"}},
    ]
    jobs = [
        find(render(merged(each, values)), "Job", "") for each in CASES.values() for values in differ if _runs(each)
    ]
    seen = {(job["metadata"]["name"], json.dumps(job, sort_keys=True)) for job in jobs}
    assert len(seen) > len(differ)
    assert len({name for name, _ in seen}) == len(seen)


def _runs(values: Values) -> bool:
    return any(each["kind"] == "Job" for each in render(values))


def test_the_job_that_tries_the_volume_says_what_is_wrong_with_it() -> None:
    """Here, that there is none."""
    job = next(each for each in of_kind(render(SANDBOX), "Job") if "-volume-" in each["metadata"]["name"])
    [container] = job["spec"]["template"]["spec"]["containers"]
    ran = subprocess.run([sys.executable, *container["command"][1:]], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("The volume of the run folders cannot be written ([Errno 2] No such file")
    assert "Traceback" not in ran.stderr
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_sqlite_store_is_on_a_volume_and_the_copy_of_members_beside_it() -> None:
    pod = webhook(EXISTING_SECRET)
    places = {"WEBHOOK_STORE": "sqlite:////data/events.db", "MEMBER_CACHE": "/data/members.db"}
    assert environment_of(pod) >= set(places.items())
    assert {"name": "data", "mountPath": "/data"} in pod.container("webhook")["volumeMounts"]
    claim = {"claimName": "natca-mynatca-intercom-webhook"}
    assert {"name": "data", "persistentVolumeClaim": claim} in pod.spec["volumes"]


def test_with_postgresql_there_is_no_volume_and_no_copy_if_none_is_wanted() -> None:
    pod = webhook(merged(EXISTING_SECRET, POSTGRESQL, {"webhook": {"memberCache": False}}))
    assert {"name": "data", "emptyDir": {}} in pod.spec["volumes"]
    assert not {"MEMBER_CACHE", "WEBHOOK_STORE"} & {name for name, _ in environment_of(pod)}


def test_the_mysql_servers_authority_is_mounted() -> None:
    for pod in pods(render(EVERYTHING_ON)):
        if pod.part in {"webhook", "run", "test"}:
            assert {"name": "mysql-ca", "configMap": {"name": "mysql-ca"}} in pod.spec["volumes"]
            assert ("MYSQL_TLS_CA", "/etc/mynatca-intercom/mysql-ca/ca.crt") in environment_of(pod)
            mounts = itertools.chain.from_iterable(each.get("volumeMounts", []) for each in pod.containers)
            assert {"name": "mysql-ca", "mountPath": "/etc/mynatca-intercom/mysql-ca", "readOnly": True} in mounts


def webhook(values: Values) -> Pod:
    return next(pod for pod in pods(render(values)) if pod.part == "webhook")


def environment_of(pod: Pod) -> set[tuple[str, str]]:
    return {(each["name"], each["value"]) for each in pod.spec["containers"][0]["env"] if "value" in each}


def test_a_change_of_the_keys_makes_new_pods() -> None:
    def annotations(key: str) -> dict[str, str]:
        return webhook(merged(CASES["inline-secret"], {"secret": {"inline": {"SUPABASE_KEY": key}}})).annotations

    assert annotations("one") != annotations("two")
    assert annotations("one") == annotations("one")


def test_a_change_of_the_job_template_makes_a_new_operator() -> None:
    def operator(values: Values) -> Manifest:
        return find(render(merged(EXISTING_SECRET, values)), "Deployment", "-operator")

    assert operator({}) != operator({"runs": {"backoffLimit": 3}})
