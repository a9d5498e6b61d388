"""Runs of every mode, from `kubectl apply` to the truth about them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mynatca_sandbox.world.generate import WorldOptions, generate
from support.cluster import WORLD, Audit, Namespace, Object, until
from support.operator_process import Operator

FETCH_RUN = Path(__file__).parents[2] / "tools/fetch_run.sh"


def completes(audit: Audit) -> dict[str, Any]:
    audit.namespace.kubectl("wait", "--for=condition=Complete", f"intercomaudit/{audit.name}", "--timeout=90s")
    status = audit.status
    assert status["phase"] == "Complete"
    assert audit.condition("Failed")["status"] == "False"
    assert {each["observedGeneration"] for each in status["conditions"]} <= {audit.object["metadata"]["generation"]}
    assert sum(status["result"]["counts"].values()) == status["result"]["seen"]
    return status


def test_a_dry_run_completes_and_writes_nothing(namespace: Namespace, operator: Operator) -> None:
    before = namespace.contacts()
    operator.start()
    status = completes(namespace.audit("dry", mode="Audit", dryRun=True))
    assert status["result"]["outcome"] == "done"
    assert status["result"]["changed"] > 0
    assert namespace.contacts() == before


def test_an_audit_does_what_its_dry_run_foretold_and_undo_takes_it_back(
    namespace: Namespace, operator: Operator
) -> None:
    operator.start()
    foretold = completes(namespace.audit("dry", mode="Audit", dryRun=True))
    before = namespace.contacts()
    done = completes(namespace.audit("real", mode="Audit"))
    assert done["result"]["counts"] == foretold["result"]["counts"]
    assert done["progress"]["done"] == done["progress"]["total"] > 0
    after = namespace.contacts()
    assert after != before
    # The pods are gone; the run folder is on the volume.
    namespace.kubectl("delete", "pods", "--selector=batch.kubernetes.io/job-name")
    undone = completes(namespace.audit("back", mode="Undo", undo={"runId": done["runId"]}))
    assert undone["result"]["changed"] > 0
    assert namespace.contacts() != after


def test_a_sync_brings_members_in(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    status = completes(namespace.audit("now", mode="Sync"))
    assert status["result"]["source"] == "supabase"
    assert status["result"]["counts"]["created"] > 0
    again = completes(namespace.audit("again", mode="Sync"))
    assert again["result"]["changed"] == 0


def test_a_brake_is_released_by_a_person(namespace: Namespace, operator: Operator) -> None:
    namespace.sandbox("PUT", "world", {"members": 200, "contacts": "synced"})
    namespace.sandbox("POST", "members/change", {"count": 120, "seed": 1})
    operator.start()
    assert namespace.audit("braked", mode="Sync").fails() == "Braked"
    status = completes(namespace.audit("released", mode="Sync", brakes={"release": ["update"]}))
    assert status["result"]["counts"]["updated"] == 120


@pytest.mark.parametrize("way", ["in the object", "in a ConfigMap"])
def test_a_manual_update_carries_a_decision_out(way: str, namespace: Namespace, operator: Operator) -> None:
    contact, number = _decision(namespace)
    rows = [{"contact_id": contact, "member_number": number}]
    mappings: dict[str, Any] = {"mappings": [{"contactId": contact, "memberNumber": number}]}
    if way == "in a ConfigMap":
        data = {"decisions.json": json.dumps(rows)}
        namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "decisions"}, "data": data})
        mappings = {"mappingsFrom": {"configMapKeyRef": {"name": "decisions", "key": "decisions.json"}}}
    operator.start()
    status = completes(namespace.audit("decided", mode="ManualUpdate", manualUpdate=mappings))
    assert (status["result"]["seen"], status["result"]["changed"]) == (1, 1)
    assert number in _numbers(namespace)


def test_waiting_for_either_end_is_right(namespace: Namespace, operator: Operator) -> None:
    """`kubectl wait` for the end that does not come waits in vain, and does not say that it came."""
    operator.start()
    nobody = {"mappings": [{"contactId": "0" * 24, "memberNumber": "1"}]}
    good = namespace.audit("good", mode="Audit", dryRun=True)
    bad = namespace.audit("bad", mode="ManualUpdate", manualUpdate=nobody)
    namespace.kubectl("wait", "--for=condition=Complete", "intercomaudit/good", "--timeout=60s")
    namespace.kubectl("wait", "--for=condition=Failed", "intercomaudit/bad", "--timeout=60s")
    for audit, end in ((good, "Failed"), (bad, "Complete")):
        with pytest.raises(AssertionError, match="timed out"):
            namespace.kubectl("wait", f"--for=condition={end}", f"intercomaudit/{audit.name}", "--timeout=1s")


def test_deleting_an_audit_stops_its_run_between_two_members(
    namespace: Namespace, operator: Operator, tmp_path: Path
) -> None:
    namespace.sandbox("PATCH", "options", {"latency": 0.3})
    operator.start()
    audit = namespace.audit("unwanted", mode="Audit")
    audit.reaches("Running")
    before = namespace.contacts()
    until(lambda: namespace.contacts() != before, "it writes")
    run_id = audit.status["runId"]
    namespace.kubectl("delete", "intercomaudit/unwanted", "--timeout=10s")
    until(lambda: not run_pods(namespace), "its Job is gone, and its pod has ended")
    namespace.sandbox("PATCH", "options", {"latency": 0})

    folder = fetched(namespace, run_id, tmp_path)
    assert json.loads((folder / "result.json").read_text())["outcome"] == "stopped"
    assert (folder / "report.html").is_file()
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    begun = {line["seq"] for line in lines if line["state"] == "intent"}
    assert begun == {line["intent"] for line in lines if line["state"] in {"done", "failed"}}, (
        "what was begun was brought to its end"
    )
    completes(namespace.audit("wanted", mode="Audit"))


def test_what_has_ended_goes_in_its_time(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    kept = namespace.audit("kept", mode="Audit", dryRun=True)
    namespace.audit("passing", mode="Audit", dryRun=True, ttlSecondsAfterFinished=0)
    until(lambda: namespace.get("intercomaudits", "passing") is None, "it is gone")
    completes(kept)
    until(lambda: len(namespace.find("jobs")) == 1, "its Job is gone, too")


def fetched(namespace: Namespace, run: str, folder: Path) -> Path:
    """A run's folder, as an operator brings it to their desk."""
    command = ["bash", str(FETCH_RUN), run, "--namespace", namespace.name]
    subprocess.run(command, cwd=folder, check=True)
    return folder / run


def run_pods(namespace: Namespace) -> list[Object]:
    return namespace.find("pods", labelSelector="batch.kubernetes.io/job-name")


def _decision(namespace: Namespace) -> tuple[str, str]:
    """A lead, and the number of a member who has no contact yet."""
    contacts = namespace.contacts()
    taken = _numbers(namespace)
    members = generate(WorldOptions(**WORLD)).tables["members"]
    number = next(each["membernumber"] for each in members if each["membernumber"] not in taken)
    return next(each["id"] for each in contacts if each["role"] == "lead" and not each["archived"]), number


def _numbers(namespace: Namespace) -> set[str]:
    return {each["external_id"] for each in namespace.contacts()}
