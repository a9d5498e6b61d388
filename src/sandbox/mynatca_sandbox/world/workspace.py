"""Puts contacts, conversations and tickets into the Intercom side of a world, numbered as Intercom does."""

import random
import uuid
from typing import Any, Final

from mynatca_sandbox.world.mapping import ATTRIBUTES, Mapping
from mynatca_sandbox.world.model import (
    Admin,
    Contact,
    Conversation,
    ConversationAttribute,
    ConversationState,
    DataAttribute,
    Note,
    Part,
    Ticket,
    World,
)
from mynatca_sandbox.world.population import DAY, Row

SYNC_TAG: Final = "mynatca-sync"
"""Tag by which a teammate asks for a conversation's contact to be matched again."""
VERIFICATION: Final = "Member Number Verification"
"""Conversation attribute in which a teammate notes the member number."""
LEGACY_ATTRIBUTES: Final = ("Member Number", "member_number")

_TAGS: Final = (SYNC_TAG, "arbitration", "dues", "insurance", "retirement", "vip")
_ADMINS: Final = (
    Admin("7000001", "Avery Example", "avery@natca.example.org"),
    Admin("7000002", "Robin Example", "robin@natca.example.org"),
    Admin("7000003", "Membership Sync", "sync@natca.example.org"),
)
_FIRST_TAG_ID: Final = 9_100_001
_FIRST_ATTRIBUTE_ID: Final = 5_200_001
_FIRST_CONVERSATION_ID: Final = 215_470_000_001
_FIRST_TICKET_ID: Final = 215_480_000_001
_YEARS: Final = 8 * 365 * DAY


class Workspace:
    """Adds to a world. Every choice comes from `rng`, so that the same calls give the same world."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.mapping = Mapping(world.tables)

    def furnish(self) -> None:
        """Bring in what every workspace has: teammates, tags and the attribute of conversations."""
        self.world.admins = list(_ADMINS)
        self.world.tags = {str(id_): name for id_, name in enumerate(_TAGS, _FIRST_TAG_ID)}
        since = self.world.now - _YEARS
        self.world.conversation_attributes = [ConversationAttribute(1, VERIFICATION, "string", since, since)]

    def define_attributes(self, names: tuple[str, ...] = ATTRIBUTES) -> None:
        """Define custom attributes of contacts, all of them strings."""
        for name in names:
            id_ = _FIRST_ATTRIBUTE_ID + len(self.world.data_attributes)
            created_at = self.world.now - _YEARS
            self.world.data_attributes.append(DataAttribute(id_, name, "contact", "string", created_at, label=name))

    def user(self, member: Row, **changes: Any) -> Contact:
        """A user who is this member, right in every field but for `changes`."""
        return self.contact(member["membernumber"], role="user", **(self.mapping.fields(member) | changes))

    def lead(self, owner: Row | None, **fields: Any) -> Contact:
        """A lead, with an external id of Intercom's own; it is really `owner`, or nobody."""
        number = owner["membernumber"] if owner else None
        return self.contact(number, role="lead", external_id=self.uuid(), **fields)

    def contact(self, owner: str | None, **fields: Any) -> Contact:
        """A contact that is really the member with the number `owner`, or nobody."""
        created_at = fields.pop("created_at", None) or self.world.now - self.rng.randrange(30 * DAY, _YEARS)
        updated_at = self.rng.randrange(created_at, self.world.now - DAY)
        contact = Contact(
            id=self._contact_id(created_at),
            created_at=created_at,
            updated_at=updated_at,
            signed_up_at=created_at,
            **fields,
        )
        self.world.contacts.append(contact)
        self.world.truth[contact.id] = owner
        return contact

    def _contact_id(self, created_at: int) -> str:
        """An id like MongoDB's: time of creation, a constant, a counter."""
        return f"{created_at:08x}5a4db0c511{len(self.world.contacts):06x}"

    def uuid(self) -> str:
        """A random UUID (version 4)."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def tag_id(self, name: str) -> str:
        """The id of the tag with this name."""
        return next(id_ for id_, tag in self.world.tags.items() if tag == name)

    def conversation(self, contact: Contact, state: ConversationState = "open", parts: int = 1) -> Conversation:
        """A conversation that the contact started, with so many further parts."""
        id_ = str(_FIRST_CONVERSATION_ID + len(self.world.conversations))
        started = self.rng.randrange(contact.created_at, self.world.now - DAY)
        replies = [self._part(contact, f"{id_}{index}", index, started) for index in range(1, parts + 1)]
        conversation = Conversation(
            id=id_,
            contact_ids=[contact.id],
            created_at=started,
            updated_at=replies[-1].created_at if replies else started,
            state=state,
            body="Hello, I have a question about my membership.",
            snoozed_until=self.world.now + DAY if state == "snoozed" else None,
            read=state != "open",
            parts=replies,
        )
        contact.last_replied_at = started
        self.world.conversations.append(conversation)
        return conversation

    def _part(self, contact: Contact, id_: str, index: int, started: int) -> Part:
        """The teammate and the contact reply by turns, ten minutes apart."""
        moment = started + index * 600
        if index % 2:
            admin = self.rng.choice(self.world.admins)
            return Part(id_, "comment", "We are looking into it.", moment, "admin", admin.id)
        return Part(id_, "comment", "Thank you!", moment, contact.role, contact.id)

    def ticket(self, contact: Contact, **fields: Any) -> Ticket:
        """A ticket of the contact."""
        index = len(self.world.tickets)
        created_at = self.rng.randrange(contact.created_at, self.world.now - DAY)
        ticket = Ticket(
            id=str(_FIRST_TICKET_ID + index),
            ticket_id=str(index + 1),
            contact_ids=[contact.id],
            created_at=created_at,
            updated_at=created_at,
            title="Membership card",
            **fields,
        )
        self.world.tickets.append(ticket)
        return ticket

    def note(self, contact: Contact, body: str = "Called about dues.") -> Note:
        """An internal note on the contact."""
        created_at = self.rng.randrange(contact.created_at, self.world.now)
        note = Note(f"{contact.id[-6:]}{len(contact.notes)}", body, created_at, self.rng.choice(self.world.admins).id)
        contact.notes.append(note)
        return note
