"""What the inbox shows, as plain text: the page never gets HTML."""

import html
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from mynatca_sandbox.intercom.store import Store, is_live
from mynatca_sandbox.world.mapping import ATTRIBUTES, full_name
from mynatca_sandbox.world.model import Contact, Conversation, Part
from mynatca_sandbox.world.population import Row
from mynatca_sandbox.world.workspace import VERIFICATION

_BLOCKS = frozenset({"p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "tr", "pre"})
_EVENTS = {
    "open": "opened the conversation",
    "close": "closed the conversation",
    "snoozed": "snoozed the conversation",
    "assignment": "assigned the conversation",
}


def entry(conversation: Conversation, store: Store) -> dict[str, Any]:
    """Return a conversation's line in the list."""
    contact = contact_of(conversation, store)
    return {
        "id": conversation.id,
        "who": _name(contact) if contact else "Nobody",
        "role": contact.role if contact else None,
        "first_line": plain(conversation.body).partition("\n")[0],
        "state": conversation.state,
        "tags": [store.world.tags[tag_id] for tag_id in conversation.tag_ids],
        "updated_at": conversation.updated_at,
    }


def opened(conversation: Conversation, store: Store) -> dict[str, Any]:
    """Return a conversation with its messages and the card of its contact."""
    contact = contact_of(conversation, store)
    return entry(conversation, store) | {
        "title": conversation.title,
        "verification": str(conversation.custom_attributes.get(VERIFICATION, "")),
        "messages": [_source(conversation, contact), *(_message(part, store) for part in conversation.parts)],
        "contact": _card(contact) if contact else None,
    }


def contact_of(conversation: Conversation, store: Store) -> Contact | None:
    """Return the first participant, whatever its state."""
    return next((store.contacts[each] for each in conversation.contact_ids if each in store.contacts), None)


def people(store: Store) -> Iterator[dict[str, str]]:
    """Yield active members in office, of whom no more is known than one live contact: easy to recognise, much to show.

    So nothing is in doubt when one of them writes in. Nobody else has their email.
    """
    tables = store.world.tables
    offices = {row["membernumber"] for row in tables.get("positions", []) if row["end_date"] is None}
    emails = Counter(_email(member) for member in tables.get("members", []))
    for member in tables.get("members", []):
        number, email = member["membernumber"], _email(member)
        if member["status"] == "Active" and number in offices and email and emails[email] == 1:
            held = [*store.holders("external_id", number), *store.holders("email", email)]
            present = {contact.id: contact for contact in map(store.canonical, held)}
            if len(present) <= 1 and all(map(is_live, present.values())):
                yield {"number": number, "name": full_name(member), "email": email}


def plain(text: str | None) -> str:
    """Return the text of HTML, a line for each block."""
    parser = _Text()
    parser.feed(text or "")
    parser.close()
    return re.sub(r"\n\s*\n+", "\n", "".join(parser.pieces)).strip()


def as_html(text: str) -> str:
    """Return what somebody typed as HTML that says just that."""
    return f"<p>{html.escape(text.strip()).replace(chr(10), '<br>')}</p>"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.handle_starttag(tag, [])

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def _email(member: Row) -> str:
    return (member["email"] or "").strip().lower()


def _name(contact: Contact) -> str:
    return contact.name or contact.email or f"Visitor {contact.id[-4:]}"


def _card(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "name": _name(contact),
        "archived": contact.archived,
        "fields": {
            "role": contact.role,
            "external_id": contact.external_id,
            "email": contact.email,
            "phone": contact.phone,
            **{name: contact.custom_attributes.get(name) for name in ATTRIBUTES},
        },
    }


def _source(conversation: Conversation, contact: Contact | None) -> dict[str, Any]:
    author = _name(contact) if contact else "Nobody"
    return _told("source", "contact", author, plain(conversation.body), conversation.created_at)


def _message(part: Part, store: Store) -> dict[str, Any]:
    """Return a part: of the `contact`, of the `team`, an internal `note`, or an `event` without words."""
    text = plain(part.body)
    author = _author(part, store)
    if not text:
        happened = _EVENTS.get(part.part_type, part.part_type.replace("_", " "))
        return _told(part.id, "event", author, f"{author} {happened}", part.created_at)
    kind = "note" if part.part_type == "note" else "team" if part.author_type in {"admin", "bot"} else "contact"
    return _told(part.id, kind, author, text, part.created_at)


def _author(part: Part, store: Store) -> str:
    if part.author_type in {"admin", "bot"}:
        admin = store.admin(part.author_id)
        return admin.name if admin else part.author_type
    contact = store.contacts.get(part.author_id)
    return _name(store.canonical(contact)) if contact else "Nobody"


def _told(id_: str, kind: str, author: str, text: str, at: int) -> dict[str, Any]:
    return {"id": id_, "kind": kind, "author": author, "text": text, "at": at}
