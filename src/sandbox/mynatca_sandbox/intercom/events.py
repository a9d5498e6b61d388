"""What can happen in a workspace that somebody outside may want to hear of.

The store tells it to whoever listens; what becomes of it (`webhooks`) is no business of this package.
"""

from dataclasses import dataclass

from mynatca_sandbox.world.model import Contact, Conversation, Part


@dataclass(frozen=True, slots=True)
class ContactCreated:
    """A contact is new."""

    contact: Contact


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """Something of a contact differs from `former`, its state before."""

    contact: Contact
    former: Contact


@dataclass(frozen=True, slots=True)
class ConversationBegun:
    """A contact began a conversation."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class ContactReplied:
    """A contact wrote `part` in a conversation."""

    conversation: Conversation
    part: Part


@dataclass(frozen=True, slots=True)
class ConversationTagged:
    """A conversation got a tag that it did not have."""

    conversation: Conversation
    tag_id: str


Event = ContactCreated | ContactChanged | ConversationBegun | ContactReplied | ConversationTagged
