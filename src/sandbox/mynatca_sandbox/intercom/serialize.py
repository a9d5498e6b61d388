"""The world's records as Intercom's objects, with every field that the published description of 2.16 lists.

Fields that the sandbox has no data for are there with their empty value, so that an answer has its real size.
"""

from collections.abc import Callable
from typing import Any

from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.world.model import Admin, Contact, Conversation, Note, Part, Ticket

Version = tuple[int, int]

V2_15: Version = (2, 15)
V2_16: Version = (2, 16)
MAX_SUBLIST = 10
MAX_PARTS = 500

_CONTACT_DEFAULTS: dict[str, Any] = {
    "has_hard_bounced": False,
    "marked_email_as_spam": False,
    "last_email_opened_at": None,
    "last_email_clicked_at": None,
    "language_override": None,
    "browser": None,
    "browser_version": None,
    "browser_language": None,
    "os": None,
    "location": {
        "type": "location",
        "country": None,
        "region": None,
        "city": None,
        "country_code": None,
        "continent_code": None,
    },
    "social_profiles": {"type": "list", "data": []},
    "android_app_name": None,
    "android_app_version": None,
    "android_device": None,
    "android_os_version": None,
    "android_sdk_version": None,
    "android_last_seen_at": None,
    "ios_app_name": None,
    "ios_app_version": None,
    "ios_device": None,
    "ios_os_version": None,
    "ios_sdk_version": None,
    "ios_last_seen_at": None,
    "utm_campaign": None,
    "utm_content": None,
    "utm_medium": None,
    "utm_source": None,
    "utm_term": None,
    "referrer": None,
    "enabled_push_messaging": None,
}

_CONVERSATION_DEFAULTS: dict[str, Any] = {
    "company": None,
    "conversation_rating": None,
    "first_contact_reply": None,
    "sla_applied": None,
    "statistics": None,
    "teammates": None,
    "topics": {},
    "ticket": None,
    "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
    "ai_agent": None,
    "ai_agent_participated": False,
}


def contact_json(contact: Contact, workspace_id: str, version: Version) -> dict[str, Any]:
    """Return a contact."""
    path = f"/contacts/{contact.id}"
    tags = [{"type": "tag", "id": tag, "url": f"/tags/{tag}"} for tag in contact.tag_ids]
    notes = [{"type": "note", "id": note.id, "url": f"/notes/{note.id}"} for note in contact.notes]
    return {
        "type": "contact",
        "id": contact.id,
        "workspace_id": workspace_id,
        "external_id": contact.external_id,
        "role": contact.role,
        "email": contact.email,
        "email_domain": contact.email.rpartition("@")[2] if contact.email else None,
        "phone": contact.phone,
        "name": contact.name,
        "avatar": {"type": "avatar", "image_url": contact.avatar} if contact.avatar else None,
        "owner_id": _owner_id(contact, version),
        "unsubscribed_from_emails": contact.unsubscribed_from_emails,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "signed_up_at": contact.signed_up_at,
        "last_seen_at": contact.last_seen_at,
        "last_replied_at": contact.last_replied_at,
        "last_contacted_at": contact.last_contacted_at,
        **_CONTACT_DEFAULTS,
        "custom_attributes": contact.custom_attributes,
        "tags": _sublist(tags, f"{path}/tags"),
        "notes": _sublist(notes, f"{path}/notes"),
        "companies": _sublist([], f"{path}/companies"),
        "opted_out_subscription_types": _sublist([], f"{path}/subscriptions"),
        "opted_in_subscription_types": _sublist([], f"{path}/subscriptions"),
    }


def _owner_id(contact: Contact, version: Version) -> str | int | None:
    if contact.owner_id is None or version >= V2_16:
        return contact.owner_id
    return int(contact.owner_id)


def _sublist(entries: list[dict[str, Any]], url: str) -> dict[str, Any]:
    return {
        "type": "list",
        "data": entries[:MAX_SUBLIST],
        "url": url,
        "total_count": len(entries),
        "has_more": len(entries) > MAX_SUBLIST,
    }


def contact_reference(contact: Contact) -> dict[str, Any]:
    """Return the short form of a contact."""
    return {"type": "contact", "id": contact.id, "external_id": contact.external_id}


def note_json(note: Note, contact: Contact, store: Store) -> dict[str, Any]:
    """Return a note on a contact."""
    admin = store.admin(note.admin_id)
    return {
        "type": "note",
        "id": note.id,
        "created_at": note.created_at,
        "contact": {"type": "contact", "id": contact.id},
        "author": admin_author(admin) if admin else None,
        "body": note.body,
    }


def admin_author(admin: Admin) -> dict[str, Any]:
    """Return a teammate as the author of a note."""
    return {
        "type": "admin",
        "id": admin.id,
        "name": admin.name,
        "email": admin.email,
        "away_mode_enabled": False,
        "away_mode_reassign": False,
    }


def admin_json(admin: Admin) -> dict[str, Any]:
    """Return a teammate."""
    return admin_author(admin) | {"has_inbox_seat": True, "team_ids": []}


def tag_json(tag_id: str, store: Store) -> dict[str, Any]:
    """Return a tag."""
    return {"type": "tag", "id": tag_id, "name": store.world.tags[tag_id]}


def applied_tag_json(tag_id: str, store: Store, admin_id: str | None = None) -> dict[str, Any]:
    """Return a tag as just applied or removed, by a teammate or, on contacts, by the app's own."""
    applied_by = admin_id or next(iter(store.admins), None)
    return tag_json(tag_id, store) | {
        "applied_at": store.now(),
        "applied_by": {"type": "admin", "id": applied_by} if applied_by else None,
    }


def conversation_json(
    conversation: Conversation, store: Store, version: Version, *, with_parts: bool
) -> dict[str, Any]:
    """Return a conversation; lists and searches leave the parts out."""
    described = {
        "type": "conversation",
        "id": conversation.id,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "waiting_since": None,
        "snoozed_until": conversation.snoozed_until,
        "open": conversation.state != "closed",
        "state": conversation.state,
        "read": conversation.read,
        "priority": "none" if version >= V2_16 else "not_priority",
        "admin_assignee_id": _assignee(conversation.admin_assignee_id, version),
        "team_assignee_id": _assignee(None, version),
        **_CONVERSATION_DEFAULTS,
        "contacts": _contact_list(conversation.contact_ids, store),
        "tags": {"type": "tag.list", "tags": [tag_json(tag, store) for tag in conversation.tag_ids]},
        "custom_attributes": conversation.custom_attributes,
        "source": _source(conversation, store),
    }
    if with_parts:
        described["conversation_parts"] = part_list_json(conversation.parts, store)
    return described


def _assignee(admin_id: str | None, version: Version) -> int | None:
    if admin_id is None:
        return 0 if version >= V2_16 else None
    return int(admin_id)


def _contact_list(contact_ids: list[str], store: Store) -> dict[str, Any]:
    contacts = [store.contacts[contact_id] for contact_id in contact_ids if contact_id in store.contacts]
    return {"type": "contact.list", "contacts": [contact_reference(contact) for contact in contacts]}


def _source(conversation: Conversation, store: Store) -> dict[str, Any]:
    contact = next((store.contacts.get(contact_id) for contact_id in conversation.contact_ids), None)
    return {
        "type": "conversation",
        "id": conversation.id,
        "delivered_as": "customer_initiated",
        "subject": "",
        "body": conversation.body,
        "author": _person(contact.role, contact) if contact else None,
        "attachments": [],
        "url": None,
        "redacted": False,
    }


def _person(kind: str, person: Contact | Admin) -> dict[str, Any]:
    return {"type": kind, "id": person.id, "name": person.name, "email": person.email}


def part_list_json(parts: list[Part], store: Store) -> dict[str, Any]:
    """Return the newest of a conversation's parts."""
    newest = parts[-MAX_PARTS:]
    return {
        "type": "conversation_part.list",
        "conversation_parts": [_part(part, store) for part in newest],
        "total_count": len(newest),
    }


def _part(part: Part, store: Store) -> dict[str, Any]:
    people: Callable[[str], Contact | Admin | None]
    people = store.admins.get if part.author_type in {"admin", "bot"} else store.contacts.get
    author = people(part.author_id)
    return {
        "type": "conversation_part",
        "id": part.id,
        "part_type": part.part_type,
        "body": part.body,
        "created_at": part.created_at,
        "updated_at": part.created_at,
        "notified_at": part.created_at,
        "assigned_to": None,
        "author": _person(part.author_type, author) if author else {"type": part.author_type, "id": part.author_id},
        "attachments": [],
        "external_id": None,
        "redacted": False,
        "email_message_metadata": None,
        "metadata": {},
        "tags": [tag_json(tag, store) for tag in part.tag_ids],
        "app_package_code": None,
    }


def ticket_json(ticket: Ticket, store: Store, version: Version) -> dict[str, Any]:
    """Return a ticket."""
    label = ticket.state_category.replace("_", " ").capitalize()
    return {
        "type": "ticket",
        "id": ticket.id,
        "ticket_id": ticket.ticket_id,
        "category": "Customer",
        "ticket_attributes": {"_default_title_": ticket.title, "_default_description_": None},
        "ticket_state": {
            "type": "ticket_state",
            "id": ticket.state_category,
            "category": ticket.state_category,
            "internal_label": label,
            "external_label": label,
        },
        "ticket_type": _ticket_type(store),
        "contacts": _contact_list(ticket.contact_ids, store),
        "admin_assignee_id": _ticket_assignee(version),
        "team_assignee_id": _ticket_assignee(version),
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
        "open": ticket.open,
        "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
        "ticket_parts": {"type": "ticket_part.list", "ticket_parts": [], "total_count": 0},
        "is_shared": False,
    }


def _ticket_assignee(version: Version) -> int | str:
    return 0 if version >= V2_16 else "0"


def _ticket_type(store: Store) -> dict[str, Any]:
    return {
        "type": "ticket_type",
        "id": "1",
        "category": "Customer",
        "name": "Request",
        "description": "",
        "icon": "",
        "workspace_id": store.world.workspace_id,
        "ticket_type_attributes": {"type": "list", "data": []},
        "archived": False,
        "created_at": 0,
        "updated_at": 0,
        "is_internal": False,
    }
