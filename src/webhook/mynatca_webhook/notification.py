"""What Intercom notifies us of, reduced to the ids that the work needs; events only wake it up, and it reads anew."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from mynatca_webhook.store.event import Event

CONTACT_TOPICS = frozenset(
    {
        "contact.user.created",
        "contact.lead.created",
        "contact.lead.added_email",
        "contact.email.updated",
        "contact.merged",
    }
)
CONVERSATION_TOPICS = frozenset({"conversation.user.created", "conversation.user.replied"})
TAG_TOPIC = "conversation_part.tag.created"


IDLE_TOPICS = frozenset({"ping"})
"""Known, and nothing is done about them."""
KNOWN_TOPICS = CONTACT_TOPICS | CONVERSATION_TOPICS | {TAG_TOPIC} | IDLE_TOPICS


class BadNotification(Exception):
    """The body is no notification of Intercom's."""


class Data(BaseModel):
    """What happened to whom."""

    model_config = ConfigDict(hide_input_in_errors=True)
    item: dict[str, Any] | None = None


class Envelope(BaseModel):
    """Intercom's envelope (Webhooks: notification object); `created_at` in Unix seconds."""

    model_config = ConfigDict(hide_input_in_errors=True)
    id: str | None = None
    topic: str
    created_at: float | None = None
    data: Data | None = None


class Notification(NamedTuple):
    """What was notified: one of `KNOWN_TOPICS` or `other`, and the event to be stored.

    The event is None if nothing is done about it: another topic, another tag, a ping.
    """

    topic: str
    event: Event | None


def read_notification(body: bytes, tag: str) -> Notification:
    """What a notification says.

    Raises:
        BadNotification: it is not JSON, or not a notification.
    """
    try:
        envelope = Envelope.model_validate_json(body)
        return Notification(envelope.topic if envelope.topic in KNOWN_TOPICS else "other", _event(envelope, tag))
    except (ValidationError, ValueError, OverflowError):
        raise BadNotification("the body is no notification of Intercom's") from None


def _event(envelope: Envelope, tag: str) -> Event | None:
    item = envelope.data.item if envelope.data and envelope.data.item else {}
    ids = _ids(envelope.topic, item, tag)
    if ids is None:
        return None
    if not envelope.id:
        raise ValueError("a notification without an id cannot be told from its repetition")
    now = datetime.now(UTC)
    created = datetime.fromtimestamp(envelope.created_at, UTC) if envelope.created_at else now
    key = ids.get("contact_id") or f"conversation-{ids['conversation_id']}"
    return Event(envelope.id, envelope.topic, key, created, now, ids)


def _ids(topic: str, item: dict[str, Any], tag: str) -> dict[str, str] | None:
    if topic in CONTACT_TOPICS:
        return {"contact_id": _id(item)}
    if topic in CONVERSATION_TOPICS:
        contact_id = _contact_of(item)
        return {"contact_id": contact_id} if contact_id else None
    if topic == TAG_TOPIC and _asks(item, tag):
        return _tagged(item)
    return None


def _tagged(item: dict[str, Any]) -> dict[str, str] | None:
    """The conversation, whether the item is it or a part of it; None for a part that does not say of which."""
    if item.get("type") == "conversation_part":
        return {"conversation_id": _id(item, "conversation_id")} if item.get("conversation_id") else None
    contact_id = _contact_of(item)
    return {"conversation_id": _id(item)} | ({"contact_id": contact_id} if contact_id else {})


def _id(item: dict[str, Any], name: str = "id") -> str:
    if not isinstance(item.get(name), str | int) or item[name] == "":
        raise ValueError("the item has no id")
    return str(item[name])


def _contact_of(conversation: dict[str, Any]) -> str | None:
    """The contact that takes part; of several the first, which is the one that began it."""
    listed = conversation.get("contacts")
    people = listed.get("contacts") if isinstance(listed, dict) else None
    first = people[0] if isinstance(people, list) and people else None
    return _id(first) if isinstance(first, dict) else None


def _asks(item: dict[str, Any], tag: str) -> bool:
    """Whether our tag may have been put on; where the notification does not say which, the conversation itself will."""
    added = item.get("tags_added")
    tags = added.get("tags") if isinstance(added, dict) else None
    if not isinstance(tags, list):
        return True
    return any(isinstance(each, dict) and _may_be(each, tag) for each in tags)


def _may_be(added: dict[str, Any], tag: str) -> bool:
    name = added.get("name")
    return bool(added.get("id")) if name is None else str(name).casefold() == tag.casefold()
