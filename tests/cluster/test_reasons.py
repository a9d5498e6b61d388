"""Every reason for which a run can fail, brought about for real."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mynatca_operator.decide import job_name
from mynatca_operator.reasons import WORDS
from mynatca_operator.resource import IntercomAudit
from support.cluster import Namespace, until
from support.installation import job_template
from support.operator_process import Operator

NOBODY = "0" * 24
PYTHON = "/venv/bin/python"

Fault = Callable[[Namespace, Operator], None]


@dataclass(frozen=True)
class Case:
    """A reason, what brings it about, and a word that the message has to have."""

    reason: str
    fault: Fault
    says: str
    spec: dict[str, Any] = field(default_factory=dict)


def runs(code: str) -> Fault:
    """The pod runs something else than `mynatca-syncjob`."""

    def fault(_namespace: Namespace, operator: Operator) -> None:
        operator.container["command"] = [PYTHON, "-c", code]

    return fault


def setting(name: str, value: str) -> Fault:
    def fault(_namespace: Namespace, operator: Operator) -> None:
        operator.container["env"].append({"name": name, "value": value})

    return fault


def container(**fields: Any) -> Fault:
    return lambda _namespace, operator: operator.container.update(fields)


def pod(**fields: Any) -> Fault:
    return lambda _namespace, operator: operator.template["spec"]["template"]["spec"].update(fields)


def sandbox(**options: Any) -> Fault:
    def fault(namespace: Namespace, _operator: Operator) -> None:
        namespace.sandbox("PATCH", "options", options)

    return fault


def quota(**hard: str) -> Fault:
    def fault(namespace: Namespace, _operator: Operator) -> None:
        metadata, spec = {"name": "tight"}, {"hard": hard}
        namespace.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec})
        # The quota controller takes a moment to count; until then nothing is let in, and for another reason.
        namespace.kubectl("wait", "--for=jsonpath={.status.hard}", "resourcequota/tight", "--timeout=30s")

    return fault


def many_updates(namespace: Namespace, _operator: Operator) -> None:
    namespace.sandbox("PUT", "world", {"members": 200, "contacts": "synced"})
    namespace.sandbox("POST", "members/change", {"count": 120, "seed": 1})


def nothing(_namespace: Namespace, _operator: Operator) -> None:
    pass


def evicted(namespace: Namespace, operator: Operator) -> None:
    """The pod fills a volume beyond its size, for which kubelet evicts it."""
    runs("import time; open('/tmp/much', 'wb').write(bytes(2**23)); time.sleep(300)")(namespace, operator)
    volumes = operator.template["spec"]["template"]["spec"]["volumes"]
    next(each for each in volumes if each["name"] == "tmp")["emptyDir"]["sizeLimit"] = "1Mi"


def a_quota_that_wants_requests(namespace: Namespace, operator: Operator) -> None:
    container(resources={})(namespace, operator)
    quota(**{"requests.cpu": "9"})(namespace, operator)


SUMMARY_OF_ANOTHER = """
from mynatca_intercom.summary import Summary
summary = Summary(run_id="another", kind="audit", dry_run=False, outcome="done", exit_code=0, seen=0, counts={})
open("/dev/termination-log", "w").write(summary.as_message())
"""
ONCE = {"backoffLimit": 0}
SOON = {"startDeadlineSeconds": 8}
UNKNOWN = {"mode": "ManualUpdate", "manualUpdate": {"mappings": [{"contactId": NOBODY, "memberNumber": "1"}]}}

CASES = {
    "a wrong setting": Case("InvalidSettings", setting("INTERCOM_REGION", "mars"), "INTERCOM_REGION"),
    "failed rows": Case("RowsFailed", nothing, "1 failed", UNKNOWN),
    "a brake": Case("Braked", many_updates, "update 120 contacts", {"mode": "Sync"}),
    "a wrong token": Case("CredentialsRefused", sandbox(access_token="another"), "INTERCOM_ACCESS_TOKEN"),
    "a source that is down": Case("RunFailed", setting("SUPABASE_URL", "http://mynatca-sandbox:1"), "Supabase", ONCE),
    "a crash": Case("Crashed", runs("import os; os._exit(9)"), "exit code 9", ONCE),
    "a pod that is stopped": Case("Stopped", runs("raise SystemExit(6)"), "stopped", ONCE),
    "no summary": Case("ResultMissing", runs(""), "summary"),
    "half a summary": Case("ResultMissing", runs("open('/dev/termination-log', 'w').write('{')"), "summary"),
    "a summary of another run": Case("ResultRefused", runs(SUMMARY_OF_ANOTHER), "another run"),
    "too little memory": Case("OOMKilled", container(resources={"limits": {"memory": "32Mi"}}), "memory", ONCE),
    "a full volume": Case("Evicted", evicted, "evicted", ONCE),
    "too slow": Case("DeadlineExceeded", sandbox(latency=2), "activeDeadlineSeconds", {"activeDeadlineSeconds": 4}),
    "no image": Case(
        "ImagePullBackOff", container(image="mynatca-intercom/none:dev"), "mynatca-intercom/none:dev", SOON
    ),
    "no secret": Case("CannotStart", container(envFrom=[{"secretRef": {"name": "missing"}}]), '"missing"', SOON),
    "no such node": Case("Unschedulable", pod(nodeSelector={"no": "such-node"}), "node", SOON),
    "no room": Case("Unschedulable", container(resources={"requests": {"memory": "1Ti"}}), "memory", SOON),
    "a gate": Case("StartDeadlineExceeded", pod(schedulingGates=[{"name": "example.com/wait"}]), "", SOON),
    "a quota of Jobs": Case("QuotaExceeded", quota(**{"count/jobs.batch": "0"}), "tight", SOON),
    "a quota of pods": Case("QuotaExceeded", quota(pods="1"), "tight", SOON),
    "a quota that wants requests": Case("QuotaExceeded", a_quota_that_wants_requests, "must specify", SOON),
    "Pod Security": Case("AdmissionRefused", pod(hostNetwork=True), "restricted", SOON),
    "no service account": Case("JobRefused", pod(serviceAccountName="missing"), '"missing"', SOON),
    "a wrong template": Case("InvalidJob", pod(restartPolicy="Always"), "restartPolicy", SOON),
}


@pytest.fixture(autouse=True)
def _as_before(namespace: Namespace, operator: Operator) -> Any:
    """Take away what faults leave in the namespace."""
    assert operator
    yield
    namespace.sandbox("PATCH", "options", {"access_token": "sandbox-token", "latency": 0})
    namespace.delete_all("resourcequotas")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_reason_is_the_real_one(case: Case, namespace: Namespace, operator: Operator) -> None:
    case.fault(namespace, operator)
    operator.start()
    audit = namespace.audit("run", **{"mode": "Audit"} | case.spec)
    namespace.kubectl("wait", "--for=condition=Failed", "intercomaudit/run", "--timeout=90s")
    failed = audit.condition("Failed")
    assert failed["reason"] == case.reason, failed
    assert case.says in failed["message"]
    assert audit.condition("Complete")["status"] == "False"
    until(lambda: _told(namespace, case.reason), "an event that says so")
    if case.fault is many_updates:
        assert audit.status["result"]["brakes"] == ["update"]


def test_what_keeps_a_run_from_starting_is_told_while_it_waits(namespace: Namespace, operator: Operator) -> None:
    operator.container["image"] = "mynatca-intercom/missing:dev"
    operator.start()
    audit = namespace.audit("run", mode="Audit")
    until(lambda: "ImagePullBackOff" in audit.status.get("message", ""), "the message names it")
    assert audit.status["phase"] == "Pending"


def test_a_job_of_that_name_is_somebody_elses(namespace: Namespace, operator: Operator) -> None:
    audit = namespace.audit("run", mode="Audit", suspend=True)
    name = job_name(IntercomAudit.model_validate(audit.object), "run", 1)
    spec = {"suspend": True, "template": job_template()["spec"]["template"]}
    namespace.create("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
    namespace.patch("intercomaudits", "run", {"spec": {"suspend": False}})
    operator.start()
    assert audit.fails() == "NameConflict"
    assert [job["metadata"]["name"] for job in namespace.find("jobs")] == [name]


def test_every_reason_has_its_case() -> None:
    elsewhere = {"NameConflict", "JobLost"}  # above, and in test_faults.py
    assert {case.reason for case in CASES.values()} | elsewhere == set(WORDS)


def _told(namespace: Namespace, reason: str) -> bool:
    events = namespace.find("events", fieldSelector=f"involvedObject.kind=IntercomAudit,reason={reason}")
    return [each["type"] for each in events] != [] and all(each["type"] == "Warning" for each in events)
