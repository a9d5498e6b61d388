"""The operator's rights are those that it uses: by the API server's own log of all other tests, so these run last."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Namespace
from support.installation import PREFIX, role

Figure = Callable[[str, float], None]
Right = tuple[str, str, str]
"""API group, resource and verb."""


@pytest.fixture(scope="module")
def calls() -> list[dict[str, Any]]:
    """What all operators asked of the API server since the suite began, in order; it writes a watch down at its end."""
    log, begins = os.environ.get("CLUSTER_AUDIT_LOG"), os.environ.get("SUITE_BEGINS_AT")
    if not log or not begins:
        pytest.skip("runs after all others, where CLUSTER_AUDIT_LOG names an audit log of the API server")
    with Path(log).open(encoding="utf-8") as stream:
        stream.seek(int(begins))
        made = [call for line in stream if PREFIX in line and _is_an_operators(call := json.loads(line))]
    return sorted(made, key=lambda call: str(call["requestReceivedTimestamp"]))


def test_nothing_was_refused_for_want_of_a_right(calls: list[dict[str, Any]], figure: Figure) -> None:
    """But for the last calls of an operator whose rights went before it, as when a release is uninstalled."""
    last_allowed = {call["user"]["username"]: number for number, call in enumerate(calls) if _is_by_its_rights(call)}
    refused = [
        call
        for number, call in enumerate(calls)
        if _is_refused(call) and number < last_allowed.get(call["user"]["username"], len(calls))
    ]
    figure("operator.forbidden_requests", len(refused))
    assert [(call["verb"], call["requestURI"]) for call in refused] == []


def test_no_right_is_there_that_was_not_used(calls: list[dict[str, Any]], figure: Figure) -> None:
    unused = set(_granted()) - {_right(call) for call in calls}
    figure("operator.unused_verbs", len(unused))
    assert unused == set()


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "patch", "delete"])
def test_secrets_are_none_of_its_business(verb: str, namespace: Namespace) -> None:
    asked = {
        "user": f"system:serviceaccount:{namespace.name}:mynatca-operator",
        "resourceAttributes": {"namespace": namespace.name, "verb": verb, "resource": "secrets"},
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
    answer = namespace.client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review)
    assert answer.json()["status"]["allowed"] is False


def _is_by_its_rights(call: dict[str, Any]) -> bool:
    """Not what everybody may ask, as discovery."""
    return not _is_refused(call) and '"system:' not in call["annotations"].get("authorization.k8s.io/reason", "")


def _is_refused(call: dict[str, Any]) -> bool:
    return bool(call["annotations"].get("authorization.k8s.io/decision") == "forbid")


def _granted() -> Iterator[Right]:
    for rule in role()["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, resource, verb


def _right(call: dict[str, Any]) -> Right:
    target = call.get("objectRef", {})
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    return target.get("apiGroup", ""), resource, call["verb"]


def _is_an_operators(call: dict[str, Any]) -> bool:
    name: str = call["user"]["username"]
    return name.startswith(f"system:serviceaccount:{PREFIX}-") and name.endswith(":mynatca-operator")
