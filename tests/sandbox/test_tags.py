"""Tags, and tagging contacts, conversations and tickets."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.world.model import Contact, Conversation, Ticket

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]


def test_a_tag_is_found_or_created_whatever_its_case(api: httpx.Client, refusal: Refusal) -> None:
    assert api.post("/tags", json={"name": "STEWARD"}).json()["id"] == "1"
    created = api.post("/tags", json={"name": "New"}).json()
    assert [tag["name"] for tag in api.get("/tags").json()["data"]] == ["Steward", "mynatca-sync", "New"]
    assert api.get(f"/tags/{created['id']}").json() == {"type": "tag", "id": created["id"], "name": "New"}
    renamed = api.post("/tags", json={"id": created["id"], "name": "Newer"}).json()
    assert renamed["name"] == "Newer"
    refused = api.post("/tags", json={"test": "invalid"})
    assert refusal(refused) == (400, "parameter_invalid", "invalid tag parameters")


def test_contacts_are_tagged_in_bulk(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1")
    add_contact("a2")
    body = {"name": "Steward", "users": [{"id": "a1"}, {"id": "a2"}]}
    assert api.post("/tags", json=body).json()["users"] == [
        {"id": "a1", "tagged": True},
        {"id": "a2", "tagged": True},
    ]
    assert api.get("/contacts/a2/tags").json()["data"][0]["name"] == "Steward"


def test_a_contact_is_tagged_twice_without_harm_and_untagged_once(
    api: httpx.Client, add_contact: Add, refusal: Refusal
) -> None:
    add_contact("a1")
    for _ in range(2):
        assert api.post("/contacts/a1/tags", json={"id": 1}).json()["name"] == "Steward"
    assert api.get("/contacts/a1").json()["tags"]["data"] == [{"type": "tag", "id": "1", "url": "/tags/1"}]
    assert api.delete("/contacts/a1/tags/1").json()["id"] == "1"
    assert refusal(api.delete("/contacts/a1/tags/1")) == (404, "not_found", "Resource Not Found")
    assert refusal(api.post("/contacts/a1/tags", json={"id": "9"})) == (
        404,
        "not_found",
        "Resource Not Found",
    )
    assert refusal(api.post("/contacts/a9/tags", json={"id": "1"})) == (404, "not_found", "User Not Found")


@pytest.fixture
def seventh(add_contact: Add, add_conversation: Callable[..., Conversation], add_ticket: Callable[..., Ticket]) -> str:
    """The id of a conversation, and of a ticket."""
    add_contact("a1")
    add_conversation("7", "a1")
    return add_ticket("7", "a1").id


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("conversations", ("not_found", "Conversation not found")),
        ("tickets", ("ticket_not_found", "Ticket not found")),
    ],
)
def test_conversations_and_tickets_are_tagged_by_a_teammate(
    api: httpx.Client, seventh: str, refusal: Refusal, kind: str, missing: tuple[str, str]
) -> None:
    def untag(item: str, **body: str) -> httpx.Response:
        return api.request("DELETE", f"/{kind}/{item}/tags/2", json=body)

    tagged = api.post(f"/{kind}/{seventh}/tags", json={"id": "2", "admin_id": "11"}).json()
    assert tagged["applied_by"] == {"type": "admin", "id": "11"}
    assert refusal(untag(seventh))[:2] == (400, "parameter_missing")
    assert refusal(untag(seventh, admin_id="99"))[:2] == (404, "admin_not_found")
    assert untag(seventh, admin_id="11").json()["name"] == "mynatca-sync"
    assert refusal(untag(seventh, admin_id="11")) == (404, "tag_not_found", "Tag not found")
    assert refusal(untag("8", admin_id="11")) == (404, *missing)
    assert refusal(api.post(f"/{kind}/8/tags", json={"id": "2", "admin_id": "11"})) == (404, *missing)


def test_a_deleted_tag_is_gone_everywhere(
    api: httpx.Client, add_contact: Add, add_conversation: Callable[..., Conversation], refusal: Refusal
) -> None:
    add_contact("a1", tag_ids=["1"])
    add_conversation("7", "a1", tag_ids=["1"])
    assert api.delete("/tags/1").status_code == 200
    assert api.get("/contacts/a1").json()["tags"]["total_count"] == 0
    assert api.get("/conversations/7").json()["tags"]["tags"] == []
    assert refusal(api.delete("/tags/1")) == (404, "not_found", "Resource Not Found")
