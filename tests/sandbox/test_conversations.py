"""Conversations: list, search, update, reply, manage and participants."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, ConversationAttribute

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]
AddConversation = Callable[..., Conversation]

NOW = 1_700_000_000


@pytest.fixture
def group(add_contact: Add, add_conversation: AddConversation) -> Conversation:
    add_contact("a1", external_id="5", name="Ann")
    add_contact("a2", role="lead")
    add_contact("a3")
    return add_conversation("7", "a1", "a2", body="<p>I need help</p>", tag_ids=["2"])


@pytest.mark.usefixtures("group")
def test_get_shows_contacts_tags_and_parts_and_lists_leave_parts_out(api: httpx.Client, refusal: Refusal) -> None:
    conversation = api.get("/conversations/7").json()
    assert conversation["contacts"]["contacts"][0] == {"type": "contact", "id": "a1", "external_id": "5"}
    assert conversation["tags"]["tags"] == [{"type": "tag", "id": "2", "name": "mynatca-sync"}]
    assert (conversation["state"], conversation["open"], conversation["priority"]) == ("open", True, "none")
    assert conversation["admin_assignee_id"] == 0
    assert conversation["conversation_parts"]["total_count"] == 0
    listed = api.get("/conversations").json()
    assert listed["type"] == "conversation.list"
    assert "conversation_parts" not in listed["conversations"][0]
    assert refusal(api.get("/conversations/8")) == (404, "not_found", "Resource Not Found")


@pytest.mark.usefixtures("group")
def test_unassigned_and_unprioritised_look_different_up_to_2_15(api: httpx.Client) -> None:
    conversation = api.get("/conversations/7", headers={"Intercom-Version": "2.15"}).json()
    assert (conversation["admin_assignee_id"], conversation["priority"]) == (None, "not_priority")


def test_search_compares_seconds(api: httpx.Client, add_contact: Add, add_conversation: AddConversation) -> None:
    add_contact("a1")
    for number in range(3):
        add_conversation(str(number), "a1", at=NOW + number, state=("open", "closed", "snoozed")[number])

    def found(**query: Any) -> list[str]:
        body = api.post("/conversations/search", json={"query": query}).json()
        assert body["total_count"] == len(body["conversations"])
        return [conversation["id"] for conversation in body["conversations"]]

    assert found(field="created_at", operator=">", value=NOW + 1) == ["2", "1"]
    assert found(field="updated_at", operator="<", value=NOW) == ["0"]
    assert found(field="open", operator="=", value=True) == ["2", "0"]
    assert found(field="state", operator="IN", value=["closed", "snoozed"]) == ["2", "1"]
    assert found(field="contact_ids", operator="=", value="a1") == ["2", "1", "0"]
    assert found(field="contact_ids", operator="IN", value=["other"]) == []


@pytest.mark.usefixtures("group")
def test_search_knows_tags_and_single_words(api: httpx.Client) -> None:
    for field, value, count in (
        ("tag_ids", "2", 1),
        ("source.body", "help", 1),
        ("source.body", "need help", 0),
    ):
        query = {"query": {"field": field, "operator": "=", "value": value}}
        assert api.post("/conversations/search", json=query).json()["total_count"] == count


def test_conversations_come_20_a_page(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add, add_conversation: AddConversation
) -> None:
    add_contact("a1")
    sandbox.world.conversations += [Conversation(str(i), ["a1"], NOW + i, NOW) for i in range(24)]
    add_conversation("24", "a1", at=NOW + 24)
    first = api.get("/conversations").json()
    cursor = first["pages"]["next"]["starting_after"]
    rest = api.get("/conversations", params={"starting_after": cursor}).json()
    ids = [conversation["id"] for conversation in first["conversations"] + rest["conversations"]]
    assert len(first["conversations"]) == 20
    assert ids == [str(i) for i in reversed(range(25))]


@pytest.mark.usefixtures("group")
def test_update_writes_known_attributes_only(sandbox: Sandbox, api: httpx.Client, refusal: Refusal) -> None:
    attributes = sandbox.world.conversation_attributes
    attributes.append(ConversationAttribute(1, "Member Number Verification", "string", NOW, NOW))
    body = {"title": "Badge", "read": True, "custom_attributes": {"Member Number Verification": "55"}}
    written = api.put("/conversations/7", json=body).json()
    assert written["custom_attributes"] == {"Member Number Verification": "55"}
    assert (written["title"], written["read"]) == ("Badge", True)
    assert written["updated_at"] > NOW
    unknown = api.put("/conversations/7", json={"custom_attributes": {"Shoe": "9"}})
    assert refusal(unknown) == (400, "parameter_invalid", "Conversation attribute 'Shoe' does not exist")
    attributes.append(ConversationAttribute(2, "Member Number Verification", "string", NOW, NOW))
    assert refusal(api.put("/conversations/7", json=body))[:2] == (400, "INVALID_PARAMETER")


@pytest.mark.usefixtures("group")
def test_a_contacts_reply_opens_the_conversation_again(api: httpx.Client) -> None:
    api.post("/conversations/7/parts", json={"message_type": "close", "type": "admin", "admin_id": "11"})
    reply = {"type": "user", "message_type": "comment", "intercom_user_id": "a1", "body": "Thanks"}
    conversation = api.post("/conversations/7/reply", json=reply).json()
    assert conversation["state"] == "open"
    assert [part["part_type"] for part in conversation["conversation_parts"]["conversation_parts"]] == [
        "close",
        "open",
    ]
    assert api.get("/contacts/a1").json()["last_replied_at"] is not None


@pytest.mark.usefixtures("group")
def test_a_note_does_not_contact_anybody_and_a_comment_does(api: httpx.Client) -> None:
    for kind, contacted in (("note", False), ("comment", True)):
        reply = {"type": "admin", "message_type": kind, "admin_id": 12, "body": "Hello"}
        parts = api.post("/conversations/7/reply", json=reply).json()["conversation_parts"]
        part = parts["conversation_parts"][-1]
        assert (part["part_type"], part["body"], part["author"]["name"]) == (kind, "<p>Hello</p>", "Bob")
        assert (api.get("/contacts/a1").json()["last_contacted_at"] is not None) is contacted


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"type": "bot"}, (400, "parameter_invalid")),
        ({"type": "admin", "message_type": "note", "body": "x"}, (400, "parameter_missing")),
        ({"type": "admin", "message_type": "note", "admin_id": "99"}, (404, "admin_not_found")),
        ({"type": "user", "intercom_user_id": "unknown", "body": "x"}, (404, "not_found")),
    ],
)
def test_replies_are_checked(api: httpx.Client, refusal: Refusal, reply: object, expected: tuple[int, str]) -> None:
    assert refusal(api.post("/conversations/7/reply", json=reply))[:2] == expected


@pytest.mark.usefixtures("group")
def test_parts_manage_state_and_assignment(api: httpx.Client, refusal: Refusal) -> None:
    def act(**body: object) -> dict[str, Any]:
        response = api.post("/conversations/7/parts", json={"type": "admin", "admin_id": "11", **body})
        conversation: dict[str, Any] = response.json()
        return conversation

    snoozed = act(message_type="snoozed", snoozed_until=NOW + 60)
    assert (snoozed["state"], snoozed["open"], snoozed["snoozed_until"]) == ("snoozed", True, NOW + 60)
    closed = act(message_type="close")
    assert (closed["state"], closed["open"], closed["snoozed_until"]) == ("closed", False, None)
    assert act(message_type="open")["state"] == "open"
    assert act(message_type="assignment", assignee_id=12)["admin_assignee_id"] == 12
    assert act(message_type="assignment", assignee_id="0")["admin_assignee_id"] == 0
    unknown = api.post("/conversations/7/parts", json={"message_type": "explode", "admin_id": "11"})
    assert refusal(unknown)[:2] == (400, "parameter_invalid")


@pytest.mark.usefixtures("group")
def test_contacts_join_and_leave_but_the_last_stays(api: httpx.Client, refusal: Refusal) -> None:
    joining = {"admin_id": "11", "customer": {"intercom_user_id": "a3"}}
    assert [each["id"] for each in api.post("/conversations/7/customers", json=joining).json()["customers"]] == [
        "a1",
        "a2",
        "a3",
    ]

    def leave(contact_id: str) -> httpx.Response:
        path = f"/conversations/7/customers/{contact_id}"
        return api.request("DELETE", path, json={"admin_id": "11"})

    assert leave("a1").status_code == leave("a2").status_code == 200
    assert refusal(leave("a1")) == (404, "not_found", "User Not Found")
    assert refusal(leave("a3")) == (422, "parameter_invalid", "Removing the last customer is not allowed")
    nobody = {"admin_id": "11", "customer": {"intercom_user_id": "unknown"}}
    refused = api.post("/conversations/7/customers", json=nobody)
    assert refusal(refused) == (404, "not_found", "Resource Not Found")


def test_a_contact_begins_a_conversation(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1")
    message = api.post("/conversations", json={"from": {"type": "user", "id": "a1"}, "body": "Hi"}).json()
    assert message["type"] == "user_message"
    conversation = api.get(f"/conversations/{message['conversation_id']}").json()
    assert conversation["source"]["body"] == "<p>Hi</p>"
    nobody = api.post("/conversations", json={"from": {"type": "user", "id": "a9"}, "body": "Hi"})
    assert refusal(nobody) == (404, "not_found", "User Not Found")
