"""What becomes of a notification's body: an event of ids, nothing, or a refusal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_webhook.notification import (
    CONTACT_TOPICS,
    CONVERSATION_TOPICS,
    TAG_TOPIC,
    BadNotification,
    read_notification,
)

TAG = "mynatca-sync"
CONVERSATION = {"type": "conversation", "id": "77", "contacts": {"contacts": [{"id": "c1"}, {"id": "c2"}]}}


def body(topic: str, item: Any, **more: Any) -> bytes:
    envelope = {"id": "notif_1", "topic": topic, "created_at": 1_790_000_000, "data": {"item": item}}
    return json.dumps(envelope | more).encode()


@pytest.mark.parametrize("topic", sorted(CONTACT_TOPICS))
def test_a_contact_event_is_the_contacts(topic: str) -> None:
    _, event = read_notification(body(topic, {"type": "contact", "id": "c1", "email": "ann@example.com"}), TAG)

    assert event
    assert (event.notification_id, event.key, event.payload) == ("notif_1", "c1", {"contact_id": "c1"})
    assert event.created_at.timestamp() == 1_790_000_000


@pytest.mark.parametrize("topic", sorted(CONVERSATION_TOPICS))
def test_a_conversation_event_is_of_who_began_it(topic: str) -> None:
    _, event = read_notification(body(topic, CONVERSATION), TAG)

    assert event
    assert (event.key, event.payload) == ("c1", {"contact_id": "c1"})


@pytest.mark.parametrize(
    "added",
    [
        {"tags_added": {"tags": [{"id": "900", "name": "MyNATCA-Sync"}]}},
        {"tags_added": {"tags": [{"id": "900"}]}},
        {"tags_added": {"tags": [{"id": "1", "name": "dues"}, {"id": "900", "name": None}]}},
        {},
    ],
)
def test_our_tag_asks_for_the_conversation(added: dict[str, Any]) -> None:
    """Where the notification does not say which tag it was, the conversation itself will."""
    _, event = read_notification(body(TAG_TOPIC, CONVERSATION | added), TAG)

    assert event
    assert event.payload == {"contact_id": "c1", "conversation_id": "77"}


def test_a_tagged_conversation_without_a_contact_is_worked_by_its_own_id() -> None:
    _, event = read_notification(body(TAG_TOPIC, {"id": 77, "tags_added": {"tags": [{"name": TAG}]}}), TAG)

    assert event
    assert (event.key, event.payload) == ("conversation-77", {"conversation_id": "77"})


def test_the_tagged_part_of_a_conversation_stands_for_it() -> None:
    """Intercom's documents say that the part is sent, its samples show the conversation."""
    item = {"type": "conversation_part", "id": "269650473", "conversation_id": 77, "tags": [{"id": "900", "name": TAG}]}
    _, event = read_notification(body(TAG_TOPIC, item), TAG)

    assert event
    assert (event.key, event.payload) == ("conversation-77", {"conversation_id": "77"})


@pytest.mark.parametrize(
    ("topic", "item"),
    [
        (TAG_TOPIC, {"type": "conversation_part", "id": "269650473"}),
        (TAG_TOPIC, CONVERSATION | {"tags_added": {"tags": [{"name": "dues"}]}}),
        ("conversation.user.replied", {"id": "77"}),
        ("conversation.admin.replied", CONVERSATION),
        ("ping", None),
        ("topic.of.tomorrow", {"anything": 1}),
    ],
)
def test_nothing_is_done_about_the_rest(topic: str, item: Any) -> None:
    assert read_notification(body(topic, item), TAG).event is None


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"id": "notif_1"}',
        body("contact.user.created", {"id": None}),
        body("contact.user.created", {"id": ""}),
        body("contact.user.created", {"id": "x" * 300}),
        body("contact.user.created", {"id": "c1\u0000"}),
        body("contact.user.created", {"id": "c1"}, id=None),
        body("contact.user.created", {"id": "c1"}, created_at=1e30),
        body("contact.user.created", ["c1"]),
    ],
)
def test_what_is_no_notification_is_refused(wrong: bytes) -> None:
    with pytest.raises(BadNotification):
        read_notification(wrong, TAG)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=8,
)
items = st.dictionaries(st.sampled_from(("id", "contacts", "conversation_id", "tags_added", "type")), values)
topics = st.sampled_from((*sorted(CONTACT_TOPICS | CONVERSATION_TOPICS), TAG_TOPIC, "ping"))


@given(topic=topics, item=items, created=values)
def test_anything_else_never_raises_more_than_a_refusal(topic: str, item: Any, created: Any) -> None:
    """And an event that comes of it has ids alone."""
    try:
        _, event = read_notification(body(topic, item, created_at=created), TAG)
    except BadNotification:
        return
    assert event is None or set(event.payload) <= {"contact_id", "conversation_id"}
