"""Which notifications an event makes, and what each carries (Intercom: Webhook topics).

The topics' names and their items are documented, but for these assumptions: which field of a contact counts as
changed for which topic; that archiving, restoring and merging send no further topic for the same contact, though one
for a survivor that got something by the merge; and the shape of a tagged conversation, which is that of Intercom's test
data of 2019 (the documentation says "Conversation Part").
Items have the shape of REST 2.16, as a notification's shape follows the app's version.
"""

from collections.abc import Iterator
from typing import Any

from mynatca_sandbox.intercom.events import (
    ContactChanged,
    ContactCreated,
    ContactReplied,
    ConversationBegun,
    ConversationTagged,
    Event,
)
from mynatca_sandbox.intercom.serialize import V2_16, contact_json, conversation_json, part_list_json, tag_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.world.model import Contact, Conversation, Part

Item = dict[str, Any]

PING: tuple[str, Item] = ("ping", {"type": "ping", "message": "Hello from the sandbox"})
# Moments of activity, tags and notes are no updates: they have topics of their own, or none (assumed).
_UPDATED = (
    "role",
    "external_id",
    "email",
    "phone",
    "name",
    "avatar",
    "owner_id",
    "signed_up_at",
    "unsubscribed_from_emails",
    "custom_attributes",
)


def notifications(event: Event, store: Store) -> Iterator[tuple[str, Item]]:
    """Yield topic and item of each notification that the event makes."""
    match event:
        case ContactCreated(contact):
            yield f"contact.{contact.role}.created", _contact(contact, store)
        case ContactChanged(contact, former) if contact.merged_into and not former.merged_into:
            yield "contact.merged", _merged(contact, store)
        case ContactChanged(contact, former):
            for topic in _topics_of_change(contact, former):
                yield topic, _contact(contact, store)
        case ConversationBegun(conversation):
            yield "conversation.user.created", _conversation(conversation, [], store)
        case ContactReplied(conversation, part):
            yield "conversation.user.replied", _conversation(conversation, [part], store)
        case ConversationTagged(conversation, tag_id):
            yield "conversation_part.tag.created", _tagged(conversation, tag_id, store)


def _topics_of_change(contact: Contact, former: Contact) -> Iterator[str]:
    if contact.archived != former.archived:
        yield "contact.archived" if contact.archived else "contact.unarchive"
        return
    if contact.email and contact.email != former.email:
        added = contact.role == "lead" and not former.email
        yield "contact.lead.added_email" if added else "contact.email.updated"
    if contact.role == "user" and any(getattr(contact, name) != getattr(former, name) for name in _UPDATED):
        yield "contact.user.updated"


def _contact(contact: Contact, store: Store) -> Item:
    return contact_json(contact, store.world.workspace_id, V2_16)


def _merged(source: Contact, store: Store) -> Item:
    """Return the surviving contact, with the id of the one that became part of it."""
    survivor = _contact(store.canonical(source), store)
    return survivor | {"merged_from": {"type": "contact", "id": source.id}}


def _conversation(conversation: Conversation, parts: list[Part], store: Store) -> Item:
    """Return a conversation with the event's own parts only (inferred from samples)."""
    described = conversation_json(conversation, store, V2_16, with_parts=False)
    return described | {"conversation_parts": part_list_json(parts, store)}


def _tagged(conversation: Conversation, tag_id: str, store: Store) -> Item:
    """Return a conversation with the added tag and the part that bears it: the last one."""
    item, tag = _conversation(conversation, conversation.parts[-1:], store), tag_json(tag_id, store)
    for part in item["conversation_parts"]["conversation_parts"]:
        part["tags"] = [*part["tags"], tag]
    return item | {"tags_added": {"type": "tag.list", "tags": [tag]}}
