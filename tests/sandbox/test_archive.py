"""Archive, unarchive, block and delete."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.world.model import Contact, Conversation, Ticket

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]


def test_archive_hides_and_unarchive_brings_back(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", external_id="5", email="a@union.example")
    reference = {"type": "contact", "id": "a1", "external_id": "5"}
    assert api.post("/contacts/a1/archive").json() == reference | {"archived": True}
    assert api.get("/contacts/a1").status_code == 404
    assert api.get("/contacts/find_by_external_id/5").status_code == 404
    assert api.get("/contacts").json()["total_count"] == 0
    assert api.post("/contacts/a1/unarchive").json() == reference | {"archived": False}
    assert api.get("/contacts/a1").status_code == 200


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"merged_into": "b1"}, (400, "bad_request", "User has been merged and is not restorable.")),
        ({"deleted": True}, (500, "server_error", "Something went wrong")),
        ({"blocked": True}, (400, "not_restorable", "User was blocked and cannot be recreated")),
    ],
)
def test_some_contacts_never_come_back(
    api: httpx.Client,
    add_contact: Add,
    refusal: Refusal,
    state: dict[str, object],
    expected: tuple[int, str, str],
) -> None:
    add_contact("a1", **state)
    assert refusal(api.post("/contacts/a1/unarchive")) == expected


@pytest.mark.parametrize("verb", ["archive", "unarchive", "block"])
def test_an_unknown_contact_is_404(api: httpx.Client, refusal: Refusal, verb: str) -> None:
    assert refusal(api.post(f"/contacts/unknown/{verb}")) == (404, "not_found", "User Not Found")


def test_archiving_suspends_conversations_and_tickets(
    api: httpx.Client,
    add_contact: Add,
    add_conversation: Callable[..., Conversation],
    add_ticket: Callable[..., Ticket],
) -> None:
    """Lists and searches leave them out while every contact is archived; get still answers."""
    add_contact("a1")
    add_contact("a2")
    add_conversation("1", "a1")
    add_conversation("2", "a1", "a2")
    add_ticket("3", "a1")
    api.post("/contacts/a1/archive")
    query = {"query": {"field": "contact_ids", "operator": "=", "value": "a1"}}
    found = api.post("/conversations/search", json=query).json()["conversations"]
    assert [conversation["id"] for conversation in found] == ["2"]
    assert api.post("/tickets/search", json=query).json()["total_count"] == 0
    assert api.get("/conversations/1").status_code == 200
    api.post("/contacts/a1/unarchive")
    assert api.post("/conversations/search", json=query).json()["total_count"] == 2


def test_delete_works_on_an_archived_contact_and_keeps_its_identifiers_taken(
    api: httpx.Client, add_contact: Add, add_conversation: Callable[..., Conversation], refusal: Refusal
) -> None:
    add_contact("a1", external_id="5", archived=True)
    add_conversation("1", "a1")
    reference = {"type": "contact", "id": "a1", "external_id": "5"}
    assert api.delete("/contacts/a1").json() == reference | {"deleted": True}
    assert api.get("/conversations/1").status_code == 404
    assert refusal(api.post("/contacts", json={"external_id": "5"}))[:2] == (409, "conflict")
    assert api.delete("/contacts/a1").status_code == 404


def test_block_hides_a_contact(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", external_id="5")
    assert api.post("/contacts/a1/block").json()["blocked"] is True
    assert api.get("/contacts/a1").status_code == 404
