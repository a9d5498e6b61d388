"""Conversations and tickets as far as they matter here: whose they are, and that they still need work."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Conversation:
    """An open or snoozed conversation (REST 2.16: Conversations) and the ids of the contacts that take part."""

    id: str
    contact_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What still needs work: open and snoozed conversations by contact id, and contacts with an open ticket.

    `complete` is false when Intercom listed fewer of either than it counts.
    """

    conversations: Mapping[str, tuple[Conversation, ...]] = field(default_factory=dict)
    ticket_holders: frozenset[str] = frozenset()
    complete: bool = True

    @property
    def contact_ids(self) -> frozenset[str]:
        """Contacts that must not be archived."""
        return self.ticket_holders | self.conversations.keys()


@dataclass(frozen=True, slots=True)
class WholeConversation:
    """A conversation as one call shows it, with its attributes, tag ids and the texts of its internal notes."""

    id: str
    contact_ids: tuple[str, ...]
    attributes: Mapping[str, Any]
    tag_ids: frozenset[str]
    notes: tuple[str, ...]


def by_contact(conversations: Iterable[Conversation]) -> dict[str, tuple[Conversation, ...]]:
    """The conversations of each contact."""
    found: defaultdict[str, list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        for contact_id in conversation.contact_ids:
            found[contact_id].append(conversation)
    return {contact_id: tuple(own) for contact_id, own in found.items()}
