"""What happens at an exact moment of a run: the hook before each call, and members who write in just then."""

from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World

Add = Callable[..., Contact]


def test_the_hook_is_told_of_each_intercom_call_before_it_takes_effect(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add
) -> None:
    contact = add_contact("a1")
    seen: list[tuple[str, str, bool]] = []
    sandbox.before = lambda method, path: seen.append((method, path, contact.archived))
    api.post("/contacts/a1/archive")
    api.get("/contacts", params={"per_page": 5})
    api.get("/_sandbox/contacts")
    api.get("/rest/v1/members")
    assert seen == [("POST", "/contacts/a1/archive", False), ("GET", "/contacts", True)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(fault_drop_after=1), True),
        (Options(fault_drop_before=1), False),
        (Options(fault_5xx=1), False),
        (Options(fault_429=1), False),
        (Options(access_token="other"), False),
    ],
)
def test_calls_that_do_not_take_effect_are_untold(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add, options: Options, *, told: bool
) -> None:
    contact = add_contact("a1")
    seen: list[str] = []
    sandbox.before = lambda _, path: seen.append(path)
    sandbox.options = options
    with suppress(httpx.TransportError):
        api.post("/contacts/a1/archive")
    assert (bool(seen), contact.archived) == (told, told)


def test_the_hook_can_be_given_at_the_start() -> None:
    seen: list[str] = []
    with Sandbox(World(now=0), before=lambda _, path: seen.append(path)) as sandbox:
        httpx.get(f"{sandbox.url}/me", headers={"Authorization": "Bearer sandbox-token"})
    assert seen == ["/me"]


def test_what_the_hook_does_has_happened_when_the_call_takes_effect(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add
) -> None:
    add_contact("a1")
    before = api.get("/contacts/a1").json()
    sandbox.before = lambda _, path: None if sandbox.world.conversations else write_in(sandbox, path)
    contact = api.get("/contacts/a1").json()
    [conversation] = api.get("/conversations").json()["conversations"]
    assert (conversation["state"], conversation["source"]["body"]) == ("open", "<p>Are you there?</p>")
    assert contact["last_replied_at"] == conversation["created_at"]
    assert contact["updated_at"] > before["updated_at"]


def write_in(sandbox: Sandbox, path: str) -> None:
    sandbox.write_in(path.split("/")[2], "Are you there?")


def test_an_archived_contact_writes_in_and_stays_archived(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add
) -> None:
    contact = add_contact("a1")
    api.post("/contacts/a1/archive")
    id_ = sandbox.write_in("a1", "Hello")
    conversation = api.get(f"/conversations/{id_}").json()
    assert conversation["contacts"]["contacts"][0]["id"] == "a1"
    assert conversation["state"] == "open"
    assert contact.archived
    assert contact.last_replied_at == conversation["created_at"]


def test_each_message_is_a_change_although_a_second_has_not_passed(sandbox: Sandbox, add_contact: Add) -> None:
    contact = add_contact("a1")
    sandbox.write_in("a1", "Hello")
    first = (contact.updated_at, contact.last_replied_at or 0)
    sandbox.write_in("a1", "Hello?")
    assert contact.updated_at > first[0]
    assert (contact.last_replied_at or 0) > first[1]


def test_who_was_merged_writes_in_as_the_survivor(sandbox: Sandbox, add_contact: Add) -> None:
    add_contact("a1")
    add_contact("b2", role="lead", merged_into="a1")
    sandbox.write_in("b2", "Hello")
    assert sandbox.world.conversations[0].contact_ids == ["a1"]


def test_nobody_cannot_write_in(sandbox: Sandbox) -> None:
    with pytest.raises(KeyError):
        sandbox.write_in("unknown", "Hello")
