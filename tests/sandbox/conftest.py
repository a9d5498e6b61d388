"""A small hand-made world, served over HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Admin, Contact, Conversation, DataAttribute, Ticket, World

NOW = 1_700_000_000  # 2023-11-14 17:13:20 in New York

Add = Callable[..., Contact]


@pytest.fixture
def world() -> World:
    return World(
        now=NOW,
        tags={"1": "Steward", "2": "mynatca-sync"},
        admins=[Admin("11", "Ada", "ada@union.example"), Admin("12", "Bob", "bob@union.example")],
        data_attributes=[
            DataAttribute(1, "region", "contact", "string", NOW),
            DataAttribute(2, "member_type", "contact", "string", NOW, options=["Current Member", "Retired"]),
            DataAttribute(3, "visits", "contact", "integer", NOW),
            DataAttribute(4, "score", "contact", "float", NOW),
            DataAttribute(5, "vip", "contact", "boolean", NOW),
            DataAttribute(6, "joined", "contact", "date", NOW),
            DataAttribute(7, "old", "contact", "string", NOW, archived=True),
            DataAttribute(8, "employees", "company", "integer", NOW),
        ],
    )


@pytest.fixture
def judges_requests() -> bool:
    """Return False: many requests here are malformed on purpose. The answers are judged all the same."""
    return False


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox], world: World) -> Sandbox:
    return start_sandbox(world, Options(index_lag=0))


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Return a client of the `sandbox`."""
    headers = {"Authorization": "Bearer sandbox-token"}
    with httpx.Client(base_url=sandbox.url, headers=headers, timeout=10, verify=False) as client:  # noqa: S501  - no TLS
        yield client


@pytest.fixture
def add_contact(sandbox: Sandbox) -> Add:
    """Add a contact that needs no rules: of any state, with any identifiers."""

    def add(contact_id: str, role: str = "user", **fields: Any) -> Contact:
        contact = Contact(contact_id, role, fields.pop("created_at", NOW), NOW, **fields)  # type: ignore[arg-type]
        sandbox.world.contacts.append(contact)
        sandbox.reset(sandbox.world)
        return contact

    return add


@pytest.fixture
def add_conversation(sandbox: Sandbox) -> Callable[..., Conversation]:
    def add(conversation_id: str, *contact_ids: str, **fields: Any) -> Conversation:
        moment = fields.pop("at", NOW)
        conversation = Conversation(conversation_id, list(contact_ids), moment, moment, **fields)
        sandbox.world.conversations.append(conversation)
        sandbox.reset(sandbox.world)
        return conversation

    return add


@pytest.fixture
def add_ticket(sandbox: Sandbox) -> Callable[..., Ticket]:
    def add(ticket_id: str, *contact_ids: str, **fields: Any) -> Ticket:
        ticket = Ticket(ticket_id, f"9{ticket_id}", list(contact_ids), NOW, NOW, "Badge", **fields)
        sandbox.world.tickets.append(ticket)
        sandbox.reset(sandbox.world)
        return ticket

    return add


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and message of a refusal."""
    body = response.json()
    assert body["type"] == "error.list"
    assert body["request_id"] == response.headers["x-request-id"]
    [error] = body["errors"]
    return response.status_code, error["code"], error["message"]


@pytest.fixture
def refusal() -> Callable[[httpx.Response], tuple[int, str, str]]:
    return error_of
