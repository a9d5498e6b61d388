"""Archive, unarchive, block and delete."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
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


@pytest.fixture
def suspended_items(
    add_contact: Add, add_conversation: Callable[..., Conversation], add_ticket: Callable[..., Ticket]
) -> None:
    """Conversation 1 and ticket 3 have only an archived contact, conversation 2 a live one, too."""
    add_contact("a1", archived=True)
    add_contact("a2")
    add_conversation("1", "a1")
    add_conversation("2", "a1", "a2")
    add_ticket("3", "a1")


def shown_items(api: httpx.Client) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of listed and found conversations, and of found tickets, of the contact a1."""
    query = {"query": {"field": "contact_ids", "operator": "=", "value": "a1"}}
    listed = api.get("/conversations").json()["conversations"]
    found = api.post("/conversations/search", json=query).json()["conversations"]
    tickets = api.post("/tickets/search", json=query).json()["tickets"]
    listed_ids, found_ids, ticket_ids = (sorted(item["id"] for item in items) for items in (listed, found, tickets))
    return listed_ids, found_ids, ticket_ids


@pytest.mark.usefixtures("suspended_items")
def test_lists_and_searches_show_suspended_items_by_default(api: httpx.Client) -> None:
    assert shown_items(api) == (["1", "2"], ["1", "2"], ["3"])


@pytest.mark.usefixtures("suspended_items")
def test_lists_and_searches_hide_suspended_items_if_told_to(api: httpx.Client, sandbox: Sandbox) -> None:
    """They come back with the contact; get answers all the same."""
    sandbox.options.suspended = "hidden"
    assert shown_items(api) == (["2"], ["2"], [])
    assert api.get("/conversations/1").status_code == 200
    api.post("/contacts/a1/unarchive")
    assert shown_items(api) == (["1", "2"], ["1", "2"], ["3"])


@pytest.mark.usefixtures("suspended_items")
def test_items_of_a_blocked_contact_are_hidden_in_any_case(api: httpx.Client) -> None:
    api.post("/contacts/a1/block")
    assert shown_items(api) == (["2"], ["2"], [])


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
