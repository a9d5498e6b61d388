"""What a real API server accepts and refuses, and the sentences that it gives."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mynatca_operator.crd import IMMUTABLE
from support.cluster import Namespace, until

ID = "5f1e0c0a9b8c7d6e5f4a3b2c"
MAPPING = {"contactId": ID, "memberNumber": "1001"}
DIGEST = "ab" * 32
MANUAL = {"mode": "ManualUpdate", "manualUpdate": {"mappings": [MAPPING]}}

ACCEPTED: dict[str, dict[str, Any]] = {
    "an audit": {"mode": "Audit"},
    "an audit with everything": {
        "mode": "Audit",
        "dryRun": True,
        "limit": 10_000_000,
        "brakes": {"release": ["create", "update", "archive", "source", "listing"]},
        "audit": {"leadsOnly": True, "archive": False},
        "suspend": True,
        "activeDeadlineSeconds": 604_800,
        "startDeadlineSeconds": 1,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 0,
    },
    "a null is as if it were not there": {"mode": "Audit", "limit": None, "dryRun": None},
    "a sync that a brake had stopped": {"mode": "Sync", "brakes": {"release": ["archive"]}},
    "decisions": MANUAL,
    "500 decisions": {
        "mode": "ManualUpdate",
        "manualUpdate": {"mappings": [{"contactId": f"{n:024x}", "memberNumber": str(n)} for n in range(500)]},
    },
    "decisions in a ConfigMap": {
        "mode": "ManualUpdate",
        "manualUpdate": {"mappingsFrom": {"configMapKeyRef": {"name": "decisions", "key": "today.csv"}}},
    },
    "an undo": {"mode": "Undo", "undo": {"runId": "sync-20261123t023000z"}},
    "an approved plan": {"mode": "Audit", "approval": "Manual", "approvedPlan": DIGEST},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no mode": ({}, "spec.mode: Required value"),
    "a mode that is none": ({"mode": "Sweep"}, 'supported values: "Audit", "ManualUpdate", "Sync", "Undo"'),
    "a field that is none": ({"mode": "Audit", "dryrun": True}, 'unknown field "spec.dryrun"'),
    "audit in another mode": ({"mode": "Sync", "audit": {}}, "audit is for mode Audit only"),
    "no decisions": ({"mode": "ManualUpdate"}, "mode ManualUpdate needs manualUpdate, and no other mode takes it"),
    "decisions in another mode": (
        MANUAL | {"mode": "Audit"},
        "mode ManualUpdate needs manualUpdate, and no other mode takes it",
    ),
    "decisions from nowhere": (MANUAL | {"manualUpdate": {}}, "give mappings or mappingsFrom, and not both"),
    "decisions from two places": (
        MANUAL
        | {
            "manualUpdate": {
                "mappings": [MAPPING],
                "mappingsFrom": {"configMapKeyRef": {"name": "decisions", "key": "today.csv"}},
            }
        },
        "give mappings or mappingsFrom, and not both",
    ),
    "an empty list of decisions": (
        MANUAL | {"manualUpdate": {"mappings": []}},
        "should have at least 1 items",
    ),
    "501 decisions": (
        MANUAL | {"manualUpdate": {"mappings": [{"contactId": f"{n:024x}", "memberNumber": "1"} for n in range(501)]}},
        "must have at most 500 items",
    ),
    "a contact twice": (MANUAL | {"manualUpdate": {"mappings": [MAPPING, MAPPING]}}, "Duplicate value"),
    "an id that is none": (
        MANUAL | {"manualUpdate": {"mappings": [MAPPING | {"contactId": "ann"}]}},
        "spec.manualUpdate.mappings[0].contactId",
    ),
    "an undo of nothing": ({"mode": "Undo"}, "mode Undo needs undo.runId, and no other mode takes it"),
    "an undo of a path": ({"mode": "Undo", "undo": {"runId": "../x"}}, "spec.undo.runId"),
    "undo in another mode": (
        {"mode": "Audit", "undo": {"runId": "sync-1"}},
        "mode Undo needs undo.runId, and no other mode takes it",
    ),
    "approval of a dry run": (
        {"mode": "Audit", "dryRun": True, "approval": "Manual"},
        "a dry run writes nothing and needs no approval: leave out dryRun or approval",
    ),
    "an approved plan without approval": (
        {"mode": "Audit", "approvedPlan": DIGEST},
        "approvedPlan is for approval Manual only",
    ),
    "a digest that is none": ({"mode": "Audit", "approval": "Manual", "approvedPlan": "yes"}, "spec.approvedPlan"),
    "a limit of nothing": ({"mode": "Audit", "limit": 0}, "should be greater than or equal to 1"),
    "a brake that is none": ({"mode": "Sync", "brakes": {"release": ["all"]}}, 'supported values: "create", "update"'),
    "a brake twice": ({"mode": "Sync", "brakes": {"release": ["create", "create"]}}, "Duplicate value"),
    "a negative time to live": ({"mode": "Audit", "ttlSecondsAfterFinished": -1}, "should be greater than or equal"),
}

STORED = {"mode": "Audit", "approval": "Manual", "limit": 5, "audit": {"leadsOnly": True}}

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "suspend": ({"suspend": True}, ""),
    "its time to live": ({"ttlSecondsAfterFinished": 60}, ""),
    "the approved plan": ({"approvedPlan": DIGEST}, ""),
    "all three at once": ({"suspend": True, "ttlSecondsAfterFinished": 0, "approvedPlan": DIGEST}, ""),
    "nothing": ({"limit": 5}, ""),
    "the mode": ({"mode": "Sync", "audit": None}, IMMUTABLE),
    "a field": ({"limit": 6}, IMMUTABLE),
    "a field that goes": ({"limit": None}, IMMUTABLE),
    "a field that comes": ({"activeDeadlineSeconds": 60}, IMMUTABLE),
    "a field with a default": ({"backoffLimit": 1}, IMMUTABLE),
    "a field within another": ({"audit": {"leadsOnly": False}}, IMMUTABLE),
    "a change that is allowed beside one that is not": ({"suspend": True, "limit": 6}, IMMUTABLE),
}


@pytest.fixture(scope="module")
def bare(namespace: Namespace) -> Iterator[Namespace]:
    """A namespace in which no operator runs."""
    yield namespace
    namespace.delete_all("intercomaudits")
    until(lambda: not namespace.find("intercomaudits"), "all IntercomAudits are gone")


def refusal(namespace: Namespace, spec: dict[str, Any]) -> str:
    """What the API server says of an object; empty if it would take it."""
    made = {"apiVersion": "intercom.natca.org/v1alpha1", "kind": "IntercomAudit", "metadata": {"name": "a"}}
    answer = namespace.client.post(
        f"/apis/intercom.natca.org/v1alpha1/namespaces/{namespace.name}/intercomaudits",
        params={"dryRun": "All", "fieldValidation": "Strict"},
        json=made | {"spec": spec},
    )
    return "" if answer.status_code == 201 else str(answer.json()["message"])


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=list(ACCEPTED))
def test_accepted(bare: Namespace, spec: dict[str, Any]) -> None:
    assert refusal(bare, spec) == ""


@pytest.mark.parametrize(("spec", "sentence"), REFUSED.values(), ids=list(REFUSED))
def test_refused(bare: Namespace, spec: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(bare, spec)


@pytest.fixture(scope="module")
def stored(bare: Namespace) -> str:
    """An object that is there, with a status."""
    bare.audit("stored", **STORED)
    return "stored"


@pytest.mark.parametrize(("change", "sentence"), CHANGES.values(), ids=list(CHANGES))
def test_changed(bare: Namespace, stored: str, change: dict[str, Any], sentence: str) -> None:
    answer = bare.client.patch(
        f"/apis/intercom.natca.org/v1alpha1/namespaces/{bare.name}/intercomaudits/{stored}",
        params={"dryRun": "All"},
        content=json.dumps({"spec": change}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.is_success == (sentence == ""), answer.text
    assert sentence in answer.text


def test_defaults_are_filled_in(bare: Namespace) -> None:
    stored = bare.audit("plain", mode="Audit", audit={}).object["spec"]
    assert stored == {
        "mode": "Audit",
        "audit": {"leadsOnly": False, "archive": True},
        "dryRun": False,
        "approval": "Automatic",
        "suspend": False,
        "startDeadlineSeconds": 600,
        "backoffLimit": 2,
    }


def test_the_longest_name_is_taken(bare: Namespace) -> None:
    """Names of Jobs are cut to fit."""
    assert bare.audit("a" * 253, mode="Audit").object["metadata"]["generation"] == 1


def test_status_is_a_part_of_its_own(bare: Namespace) -> None:
    """Whoever changes an object changes nothing of its status, which does not count as another generation."""
    bare.audit("two-parts", mode="Audit")
    bare.patch("intercomaudits", "two-parts", {"status": {"phase": "Complete"}})
    assert "status" not in (bare.get("intercomaudits", "two-parts") or {})

    changed = bare.patch("intercomaudits", "two-parts/status", {"status": {"phase": "Running", "attempt": 1}})
    assert changed["status"] == {"phase": "Running", "attempt": 1}
    assert changed["metadata"]["generation"] == 1


def test_get_shows_how_a_run_stands(bare: Namespace) -> None:
    bare.audit("shown", mode="Audit", dryRun=True)
    result = {"outcome": "done", "exitCode": 0, "seen": 9, "changed": 7, "failed": 2}
    status = {"phase": "Complete", "progress": {"total": 9, "done": 8}, "result": result}
    bare.patch("intercomaudits", "shown/status", {"status": status})

    head, row = bare.kubectl("get", "iaudit", "shown").splitlines()
    assert head.split() == ["NAME", "MODE", "DRYRUN", "PHASE", "DONE", "CHANGED", "FAILED", "AGE"]
    assert row.split()[:-1] == ["shown", "Audit", "true", "Complete", "8", "7", "2"]


def test_get_all_shows_runs_too(bare: Namespace) -> None:
    resources = bare.client.get("/apis/intercom.natca.org/v1alpha1").json()["resources"]
    assert [each["categories"] for each in resources if each["name"] == "intercomaudits"] == [["all"]]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "One object is one run; to run again, create another."),
        (".spec.suspend", "a run that is going on stops between two members"),
        (".spec.manualUpdate.mappings.contactId", "24 hexadecimal digits"),
        (".status.conditions", "Complete or Failed is True at the end, never both."),
        (".status.progress.lastMoved", "When the run last finished an action."),
    ],
)
def test_explain(bare: Namespace, path: str, sentence: str) -> None:
    explained = bare.kubectl("explain", f"intercomaudits{path}")
    assert sentence in " ".join(explained.split())
