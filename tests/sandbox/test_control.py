"""The control API: counts, options, worlds, end states and a day's changes."""

import copy
from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, Note, Ticket


def test_calls_are_told_and_cleared_and_not_counted_themselves(api: httpx.Client) -> None:
    api.post("/contacts", json={"email": "a@union.example"})
    told = api.get("/_sandbox/calls").json()
    assert told == {"total": 1, "writes": 1, "by_route": {"POST /contacts": 1}, "by_status": {"200": 1}}
    assert api.delete("/_sandbox/calls").json()["total"] == 0


def test_options_are_changed_one_by_one(api: httpx.Client, sandbox: Sandbox) -> None:
    assert api.patch("/_sandbox/options", json={"limit": 7, "fault_429": 0.5}).json()["limit"] == 7
    told = api.get("/_sandbox/options").json()
    assert (told["limit"], told["fault_429"], told["index_lag"]) == (7, 0.5, 0)
    assert sandbox.options.limit == 7


@pytest.mark.parametrize("changes", [{"limit": 0}, {"fault_429": 2}, {"colour": "red"}, {"taken_email": "maybe"}])
def test_impossible_options_are_refused_and_change_nothing(
    api: httpx.Client, sandbox: Sandbox, changes: dict[str, object]
) -> None:
    before = sandbox.options
    response = api.patch("/_sandbox/options", json=changes)
    assert response.status_code == 400
    assert next(iter(changes)) in response.json()["errors"][0]["message"]
    assert sandbox.options == before


def test_a_world_is_made_anew(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.options.limit = None
    made = api.put("/_sandbox/world", json={"members": 30, "contacts": "synced", "seed": 5})
    assert made.json()["contacts"] == 30
    assert api.get("/contacts").json()["total_count"] == 30
    assert sandbox.options.limit is None
    assert api.put("/_sandbox/world", json={"members": "many"}).status_code == 400


def test_the_dump_shows_every_state_and_no_moments(api: httpx.Client, add_contact: Callable[..., Contact]) -> None:
    add_contact("b2", archived=True)
    add_contact("a1", tag_ids=["2", "1"], notes=[Note("9", "<p>x</p>", 1, None)])
    first, second = api.get("/_sandbox/contacts").json()
    assert (first["id"], first["tags"], first["notes"]) == ("a1", ["Steward", "mynatca-sync"], ["<p>x</p>"])
    assert (second["id"], second["archived"]) == ("b2", True)
    assert not {"created_at", "updated_at"} & first.keys()


def test_the_dump_shows_who_takes_part_in_what(
    api: httpx.Client,
    add_contact: Callable[..., Contact],
    add_conversation: Callable[..., Conversation],
    add_ticket: Callable[..., Ticket],
) -> None:
    add_contact("a1")
    add_contact("b2")
    add_conversation("2", "a1", state="snoozed")
    add_conversation("1", "a1", "b2")
    add_ticket("4", "b2", state_category="resolved")
    add_ticket("3", "b2")
    first, second = api.get("/_sandbox/contacts").json()
    assert first["conversations"] == [{"id": "1", "state": "open"}, {"id": "2", "state": "snoozed"}]
    assert first["tickets"] == []
    assert second["conversations"] == [{"id": "1", "state": "open"}]
    assert second["tickets"] == [{"id": "3", "open": True}, {"id": "4", "open": False}]


def test_the_dump_does_not_tell_by_which_way_a_state_was_reached(
    api: httpx.Client, sandbox: Sandbox, add_contact: Callable[..., Contact]
) -> None:
    """Two notes in one order and the other."""
    add_contact("a1")
    world = copy.deepcopy(sandbox.world)
    for body in ("x", "y"):
        api.post("/contacts/a1/notes", json={"body": body})
    one = api.get("/_sandbox/contacts").json()
    sandbox.reset(world)
    for body in ("y", "x"):
        api.post("/contacts/a1/notes", json={"body": body})
    assert api.get("/_sandbox/contacts").json() == one


def test_changed_members_are_named(api: httpx.Client, sandbox: Sandbox) -> None:
    api.put("/_sandbox/world", json={"members": 30, "contacts": "synced"})
    before = {row["membernumber"]: dict(row) for row in sandbox.world.tables["members"]}
    changed = api.post("/_sandbox/members/change", json={"count": 5, "seed": 2}).json()["changed"]
    different = [row["membernumber"] for row in sandbox.world.tables["members"] if row != before[row["membernumber"]]]
    assert len(changed) == 5
    assert sorted(changed) == sorted(different)
