"""A small hand-made world, served over HTTP: one sandbox for the session, a fresh world for each test."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Admin, Contact, Conversation, DataAttribute, Ticket, World

NOW = 1_700_000_000  # 2023-11-14 17:13:20 in New York

Add = Callable[..., Contact]


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(World(now=NOW)) as sandbox:
        yield sandbox


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
def sandbox(running_sandbox: Sandbox, world: World) -> Sandbox:
    running_sandbox.reset(world, Options(index_lag=0))
    return running_sandbox


@pytest.fixture(scope="session")
def client(running_sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer sandbox-token"}
    with httpx.Client(base_url=running_sandbox.url, headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
def api(client: httpx.Client, sandbox: Sandbox) -> httpx.Client:
    """Return a client of the fresh `sandbox`."""
    assert str(client.base_url).startswith(sandbox.url)
    return client


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
