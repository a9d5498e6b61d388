"""Every operation that the sandbox serves keeps to Intercom's published description, and the judge is awake.

Each call here is well-formed. The judging is done by `start_sandbox`, when the test ends.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import Sanic

from mynatca_sandbox.app import build_app
from mynatca_sandbox.exchange import Exchange
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.state import State
from mynatca_sandbox.world.model import World
from support.openapi import Contract, Description, Deviations, Failure
from support.parts import openapi_file

TESTS = Path(__file__).parents[1]
ANN = "/contacts/6762f0dd1bb69f9f2193bb01"
ANN_ID, LEAD_ID, BOB_ID = (f"6762f0dd1bb69f9f2193bb0{number}" for number in (1, 2, 3))
TALK = "/conversations/21"
ATTRIBUTE = "/conversations/attributes/1"
OPTION = f"{ATTRIBUTE}/options/5c1a3c1e-7f3b-4b3c-9d57-1f6b1a0c0a01"
BY_ADMIN = {"admin_id": "11"}
EMAIL_QUERY = {"query": {"field": "email", "operator": "=", "value": "ann@union.example"}}
OPEN_QUERY = {
    "query": {
        "operator": "AND",
        "value": [
            {"field": "contact_ids", "operator": "=", "value": ANN_ID},
            {"field": "open", "operator": "=", "value": True},
        ],
    },
    "pagination": {"per_page": 5},
}

CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/me", None),
    ("GET", "/admins", None),
    ("GET", "/admins/11", None),
    ("GET", "/contacts?per_page=2", None),
    ("GET", ANN, None),
    ("GET", "/contacts/find_by_external_id/1001", None),
    ("POST", "/contacts", {"role": "user", "email": "cy@union.example", "custom_attributes": {"region": "GL"}}),
    ("PUT", ANN, {"name": "Ann", "phone": None, "owner_id": "12", "custom_attributes": {"region": None}}),
    ("DELETE", ANN, None),
    ("POST", "/contacts/search", EMAIL_QUERY | {"sort": {"field": "created_at", "order": "ascending"}}),
    ("POST", "/contacts/merge", {"from": LEAD_ID, "into": ANN_ID}),
    ("GET", f"{ANN}/merge_history?per_page=5&order=asc", None),
    ("POST", f"{ANN}/archive", None),
    ("POST", f"{ANN}/unarchive", None),
    ("POST", f"{ANN}/block", None),
    ("GET", f"{ANN}/notes", None),
    ("POST", f"{ANN}/notes", {"body": "Hello", "admin_id": "11"}),
    ("GET", f"{ANN}/tags", None),
    ("POST", f"{ANN}/tags", {"id": "2"}),
    ("DELETE", f"{ANN}/tags/1", None),
    ("GET", "/conversations?per_page=1", None),
    ("POST", "/conversations", {"from": {"type": "user", "id": ANN_ID}, "body": "Hello"}),
    ("GET", TALK, None),
    ("PUT", TALK, {"read": True, "title": "Dues", "custom_attributes": {"Topic": "Badge"}}),
    ("POST", "/conversations/search", OPEN_QUERY),
    ("POST", f"{TALK}/reply", {"type": "admin", "message_type": "note", "body": "Hello"} | BY_ADMIN),
    ("POST", f"{TALK}/parts", {"type": "admin", "message_type": "close"} | BY_ADMIN),
    ("POST", f"{TALK}/customers", {"customer": {"intercom_user_id": LEAD_ID}} | BY_ADMIN),
    ("DELETE", f"{TALK}/customers/{BOB_ID}", BY_ADMIN),
    ("POST", f"{TALK}/tags", {"id": "1"} | BY_ADMIN),
    ("DELETE", f"{TALK}/tags/2", BY_ADMIN),
    ("GET", "/conversations/attributes?include_archived=true", None),
    ("POST", "/conversations/attributes", {"name": "Age", "data_type": "integer"}),
    ("GET", ATTRIBUTE, None),
    ("PUT", ATTRIBUTE, {"name": "Subject"}),
    ("DELETE", ATTRIBUTE, None),
    ("POST", f"{ATTRIBUTE}/options", {"label": "Else"}),
    ("PUT", OPTION, {"label": "Money"}),
    ("DELETE", OPTION, None),
    ("GET", "/data_attributes?model=contact&include_archived=true", None),
    ("POST", "/data_attributes", {"name": "facility", "model": "contact", "data_type": "string"}),
    ("PUT", "/data_attributes/1", {"description": "Code", "archived": False}),
    ("GET", "/tags", None),
    ("GET", "/tags/1", None),
    ("POST", "/tags", {"name": "New"}),
    ("DELETE", "/tags/1", None),
    ("GET", "/tickets/41", None),
    ("POST", "/tickets/search", OPEN_QUERY),
    ("POST", "/tickets/41/tags", {"id": "2"} | BY_ADMIN),
    ("DELETE", "/tickets/41/tags/1", BY_ADMIN),
]


@pytest.fixture(scope="session")
def description(contract: Contract | None) -> Description:
    if contract is None:
        pytest.skip("INTERCOM_OPENAPI names no file")
    return contract.description


@pytest.mark.parametrize(("method", "target", "body"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_well_formed_call_succeeds_within_the_description(
    sandbox: Sandbox, method: str, target: str, body: dict[str, Any] | None
) -> None:
    headers = {"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"}
    response = httpx.request(method, sandbox.url + target, json=body, headers=headers)
    assert response.status_code == 200, response.text


def test_each_operation_that_the_sandbox_serves_is_called_here(description: Description) -> None:
    app = build_app(State(World(now=0), Options()))
    Sanic.unregister_app(app)
    served = {
        (method, f"/{route.path}")
        for route in app.router.routes
        for method in route.methods
        if not route.path.startswith(("_sandbox", "rest/v1"))
    }
    called = {(method, target.partition("?")[0]) for method, target, _ in CALLS}
    assert operations(description, served) == operations(description, called)


def operations(description: Description, calls: set[tuple[str, str]]) -> set[str]:
    found = {call: description.operation(*call) for call in calls}
    assert [call for call, operation in found.items() if operation is None] == []
    return {operation.name for operation in found.values() if operation}


# ---- the judge

CONTACT = {"type": "contact", "id": "a", "role": "user", "email": "a@union.example", "phone": None}
SEEN = Exchange(
    method="GET",
    target="/contacts",
    route="GET /contacts",
    request_headers={"intercom-version": "2.16"},
    request_body=b"",
    status=200,
    answer_body=json.dumps({"type": "list", "data": [CONTACT, CONTACT], "total_count": 2}).encode(),
)


def page(**changes: Any) -> bytes:
    """A page whose last contact is as planted."""
    return json.dumps({"type": "list", "data": [CONTACT, CONTACT, CONTACT | changes]}).encode()


def test_a_good_exchange_passes(description: Description) -> None:
    assert description.failures(SEEN) == []


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"target": "/people", "route": "GET unknown"}, "GET unknown 200: request : operation"),
        ({"method": "PATCH", "route": "PATCH unknown"}, "PATCH unknown 200: request : operation"),
        ({"target": "/contacts?colour=red"}, "GET /contacts 200: request query/colour: query"),
        ({"status": 201}, "GET /contacts 201: response : status"),
        ({"answer_body": b""}, "GET /contacts 200: response : body"),
        ({"answer_body": b"<html>"}, "GET /contacts 200: response : json"),
        ({"answer_body": b'{"type": "contacts"}'}, "GET /contacts 200: response /type: enum"),
        ({"answer_body": page(created_at="now")}, "GET /contacts 200: response /data/1/created_at: type"),
        ({"answer_body": page(role=None)}, "GET /contacts 200: response /data/1/role: null"),
        ({"status": 409, "answer_body": b'{"type": "error.list"}'}, "GET /contacts 409: response /errors: required"),
        ({"method": "POST", "request_body": b"{}"}, "POST /contacts 200: request : anyOf"),
        ({"method": "POST", "request_body": b""}, "POST /contacts 200: request : body"),
        (
            {"method": "POST", "request_body": b'{"role": "lead", "type": "lead"}'},
            "POST /contacts 200: request /type: unknown",
        ),
        (
            {"method": "POST", "target": f"{ANN}/tags", "request_body": b'{"id": 1}'},
            "POST /contacts/{contact_id}/tags 200: request /id: type",
        ),
    ],
)
def test_a_planted_fault_is_found(description: Description, changes: dict[str, Any], failure: str) -> None:
    assert [str(found) for found in description.failures(replace(SEEN, **changes))] == [failure]


def test_older_versions_are_not_judged_and_none_means_the_apps_own(description: Description) -> None:
    wrong = replace(SEEN, status=201)
    assert description.failures(replace(wrong, request_headers={"intercom-version": "2.15"})) == []
    assert description.failures(replace(wrong, request_headers={})) != []


def test_a_malformed_request_is_not_held_against_who_sent_it_on_purpose(description: Description) -> None:
    refusal = b'{"type": "error.list", "errors": [{"code": "parameter_invalid"}]}'
    refused = replace(SEEN, method="POST", request_body=b'{"role": 7}', status=400, answer_body=refusal)
    assert description.failures(refused) == []


def test_a_known_deviation_covers_its_failure_only_and_remembers_being_needed(tmp_path: Path) -> None:
    file = tmp_path / "deviations.toml"
    entry = {
        "operation": "GET /contacts",
        "where": "response /data/*/email",
        "rule": "null",
        "reason": "",
        "source": "",
    }
    file.write_text("\n".join(["[[deviation]]", *(f'{name} = "{value}"' for name, value in entry.items())]))
    deviations = Deviations(file)
    known = Failure("GET /contacts", 200, "response", "/data/7/email", "null")
    others = [replace(known, rule="type"), replace(known, part="request"), replace(known, operation="GET /me")]
    assert deviations.unexplained(others) == sorted(others)
    assert len(deviations.unused()) == 1
    assert deviations.unexplained([known]) == []
    assert deviations.unused() == []


# ---- the suite around it, run as pytest runs it

PLANTED = """
import httpx
from mynatca_sandbox.world.model import World

def test_planted(start_sandbox):
    url = start_sandbox(World(now=0)).url
    httpx.get(url + "{target}", headers={{"Authorization": "Bearer sandbox-token"}})
"""


def run_pytest(folder: Path, *arguments: str, target: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run one planted test, which asks for `target`, with the fixtures and hooks of this suite."""
    (folder / "test_planted.py").write_text(PLANTED.format(target=target))
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = .\n")
    needed = {"PYTHONPATH": str(TESTS), "INTERCOM_OPENAPI": str(openapi_file().absolute())}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", *arguments],
        env=os.environ | needed | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_breaks_the_description_fails(description: Description, tmp_path: Path) -> None:
    assert description
    finished = run_pytest(tmp_path, target="/admins?colour=red")
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED
    assert "GET /admins 200: request query/colour: query" in finished.stdout
    assert "unused in" not in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ((), pytest.ExitCode.TESTS_FAILED),
        (("test_planted.py",), pytest.ExitCode.OK),
        (("-k", "planted"), pytest.ExitCode.OK),
    ],
)
def test_a_known_deviation_that_a_full_run_never_needed_fails_it(
    description: Description, tmp_path: Path, arguments: tuple[str, ...], exit_code: pytest.ExitCode
) -> None:
    assert description
    finished = run_pytest(tmp_path, *arguments, target="/admins")
    assert finished.returncode == exit_code
    assert ("unused in deviations.toml: GET /contacts, request query/*" in finished.stdout) == (not arguments)


def test_without_the_description_the_run_says_what_it_left_out(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, target="/admins?colour=red", INTERCOM_OPENAPI="", REQUIRE="")
    assert finished.returncode == pytest.ExitCode.OK
    assert "left out: OpenAPI checks (INTERCOM_OPENAPI names no file)" in finished.stdout


def test_a_run_that_requires_all_parts_ends_at_once(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, target="/admins", INTERCOM_OPENAPI="", REQUIRE="all")
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    assert "OpenAPI checks are required, but INTERCOM_OPENAPI names no file" in finished.stderr
    assert "test_planted" not in finished.stdout
