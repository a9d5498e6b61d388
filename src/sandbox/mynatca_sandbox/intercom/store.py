"""A world with indexes: each read by identifier is one look-up, each write of a contact goes through here.

Decides what a write is (indexes, `updated_at`, the delay of the search index). What may be written is decided
by the endpoints. The clock is the real one: `World.now` matters only to whoever made the world.
"""

import copy
import time
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any
from uuid import UUID

from mynatca_sandbox.intercom.events import ContactChanged, ContactCreated, ConversationBegun, Event
from mynatca_sandbox.options import Suspended
from mynatca_sandbox.world.model import Admin, Contact, Conversation, Role, Ticket, World

MAX_MERGE_HOPS = 3


def is_live(contact: Contact) -> bool:
    """Tell whether lists, searches and look-ups show the contact."""
    return not (contact.archived or contact.deleted or contact.blocked or contact.merged_into)


class Store:
    """The live world of one sandbox.

    A test may change fields of the world's records in place; after changing an identifier or what makes a
    contact live, or adding records, it makes a new store (`Sandbox.reset`).

    `happened` is told of each event, just after it.
    """

    def __init__(self, world: World, happened: Callable[[Event], None] = lambda _: None) -> None:
        self.world = world
        self.happened = happened
        self.contacts = {contact.id: contact for contact in world.contacts}
        self.conversations = {conversation.id: conversation for conversation in world.conversations}
        self.tickets = {ticket.id: ticket for ticket in world.tickets}
        self.admins = {admin.id: admin for admin in world.admins}
        # The order of lists is nobody's business but stable; new contacts come last, so that cursors survive.
        self._sequence = sorted(world.contacts, key=lambda contact: zlib.crc32(contact.id.encode()))
        self._index: dict[tuple[str, str], dict[str, Contact]] = defaultdict(dict)
        # (moment, contact id, the state before it) of each write, until the search index has caught up
        self._changes: deque[tuple[float, str, Contact | None]] = deque()
        self._created: Counter[str] = Counter()
        self._last_id = _highest_number(world)
        self.live_count = 0
        for contact in world.contacts:
            self._enter(contact)
        self._participations: dict[str, list[Conversation | Ticket]] = defaultdict(list)
        items: list[Conversation | Ticket] = [*world.conversations, *world.tickets]
        for item in items:
            self._join(item)

    def now(self) -> int:
        """Return the present in Unix seconds."""
        return int(time.time())

    def next_id(self) -> str:
        """Return a number that no conversation, part, ticket, note or tag bears."""
        self._last_id += 1
        return str(self._last_id)

    # ---- reading

    def live(self, contact_id: str) -> Contact | None:
        """Return the contact unless it is unknown, archived, blocked, merged or deleted."""
        contact = self.contacts.get(contact_id)
        return contact if contact and is_live(contact) else None

    def holders(self, field: str, value: str) -> list[Contact]:
        """Return all contacts, of any state, whose `external_id`, `email` or `phone` is `value`.

        Upper and lower case differ in external ids, not in emails (assumed).
        """
        alike = self._index.get((field, value.casefold()), {}).values()
        return [contact for contact in alike if field == "email" or getattr(contact, field) == value]

    def live_after(self, position: int) -> Iterator[tuple[int, Contact]]:
        """Yield live contacts in list order with their positions, beginning after `position`."""
        for index in range(position + 1, len(self._sequence)):
            contact = self._sequence[index]
            if is_live(contact):
                yield index, contact

    def canonical(self, contact: Contact) -> Contact:
        """Return what `contact` was merged into, over at most 3 merges (Intercom REST 2.16)."""
        for _ in range(MAX_MERGE_HOPS):
            if contact.merged_into is None or contact.merged_into not in self.contacts:
                break
            contact = self.contacts[contact.merged_into]
        return contact

    def admin(self, admin_id: Any) -> Admin | None:
        """Return the teammate; ids may come as numbers."""
        return self.admins.get(str(admin_id))

    def participations(self, contact_id: str) -> list[Conversation | Ticket]:
        """Return the conversations and tickets that the contact takes part in."""
        return list(self._participations.get(contact_id, ()))

    def is_listed(self, item: Conversation | Ticket, suspended: Suspended) -> bool:
        """Tell whether lists and searches show an item, given what the option `suspended` says.

        Intercom's help says that archiving suspends a contact's items; whether lists and searches then still show
        them is documented nowhere. Those of blocked and deleted contacts are gone in any case.
        """
        contacts = [self.contacts.get(contact_id) for contact_id in item.contact_ids]
        return not contacts or any(contact and _shows_its_items(contact, suspended) for contact in contacts)

    def searchable(self, lag: float) -> Iterator[Contact]:
        """Yield contacts as the search index, `lag` seconds behind, shows them."""
        return self._indexed(self.world.contacts, self._states_before(lag))

    def searchable_holders(self, field: str, value: str, lag: float) -> Iterator[Contact]:
        """Yield what `searchable` does, without most contacts that cannot have `value` in `field`."""
        former = self._states_before(lag)
        holders = self._index.get((field, value.casefold()), {})
        changed = {contact_id: self.contacts[contact_id] for contact_id in former}
        return self._indexed((holders | changed).values(), former)

    def _states_before(self, lag: float) -> dict[str, Contact | None]:
        """Return contacts changed in the last `lag` seconds as they were before; None for one that is new."""
        moment = time.time() - lag
        while self._changes and self._changes[0][0] <= moment:
            self._changes.popleft()
        former: dict[str, Contact | None] = {}
        for _, contact_id, state in self._changes:
            former.setdefault(contact_id, state)
        return former

    def _indexed(self, contacts: Iterable[Contact], former: dict[str, Contact | None]) -> Iterator[Contact]:
        for contact in contacts:
            indexed = former.get(contact.id, contact)
            if is_live(contact) and indexed and is_live(indexed):
                yield indexed

    # ---- writing

    def create(self, role: Role, fields: dict[str, Any]) -> Contact:
        """Add a contact with `fields`; its id follows from its identifiers.

        Two runs that create the same people in another order so end in the same state.
        """
        contact_id = self._new_contact_id(role, fields)
        now = self.now()
        contact = Contact(id=contact_id, role=role, created_at=now, updated_at=now, **fields)
        if role == "lead":
            contact.external_id = str(UUID(bytes=blake2b(contact_id.encode(), digest_size=16).digest(), version=4))
        self._remember(contact, None)
        self.world.contacts.append(contact)
        self.contacts[contact_id] = contact
        self._sequence.append(contact)
        self._enter(contact)
        self.happened(ContactCreated(contact))
        return contact

    def update(self, contact: Contact, **changes: Any) -> None:
        """Write what differs from the contact; `updated_at` moves if anything does.

        `updated_at` moves at least one second, so that a reader sees every change.
        """
        changes = {name: value for name, value in changes.items() if getattr(contact, name) != value}
        if not changes:
            return
        former = copy.copy(contact)
        self._remember(contact, former)
        self._leave(contact)
        for name, value in changes.items():
            setattr(contact, name, value)
        contact.updated_at = max(self.now(), contact.updated_at + 1)
        self._enter(contact)
        self.happened(ContactChanged(contact, former))

    def touch(self, item: Conversation | Ticket) -> None:
        """Move `updated_at`, by at least one second."""
        item.updated_at = max(self.now(), item.updated_at + 1)

    def add_conversation(self, conversation: Conversation) -> None:
        """Add a conversation that a contact began."""
        self.world.conversations.append(conversation)
        self.conversations[conversation.id] = conversation
        self._join(conversation)
        self.happened(ConversationBegun(conversation))

    def remove_conversation(self, conversation: Conversation) -> None:
        """Delete a conversation for good."""
        self._part(conversation)
        del self.conversations[conversation.id]
        self.world.conversations.remove(conversation)

    def set_participants(self, item: Conversation | Ticket, contact_ids: list[str]) -> None:
        """Write whose conversation or ticket it is."""
        self._part(item)
        item.contact_ids = contact_ids
        self._join(item)
        self.touch(item)

    # ---- indexes

    def _enter(self, contact: Contact) -> None:
        for key in _index_keys(contact):
            self._index[key][contact.id] = contact
        self.live_count += is_live(contact)

    def _leave(self, contact: Contact) -> None:
        for key in _index_keys(contact):
            del self._index[key][contact.id]
        self.live_count -= is_live(contact)

    def _join(self, item: Conversation | Ticket) -> None:
        for contact_id in item.contact_ids:
            self._participations[contact_id].append(item)

    def _part(self, item: Conversation | Ticket) -> None:
        for contact_id in item.contact_ids:
            self._participations[contact_id].remove(item)

    def _remember(self, contact: Contact, former: Contact | None) -> None:
        self._changes.append((time.time(), contact.id, former))

    def _new_contact_id(self, role: Role, fields: dict[str, Any]) -> str:
        identity = f"{role}/{fields.get('external_id')}/{fields.get('email')}"
        while True:
            self._created[identity] += 1
            name = f"{identity}/{self._created[identity]}"
            contact_id = blake2b(name.encode(), digest_size=12).hexdigest()
            if contact_id not in self.contacts:
                return contact_id


def _shows_its_items(contact: Contact, suspended: Suspended) -> bool:
    if suspended == "hidden":
        return is_live(contact)
    return not (contact.deleted or contact.blocked or contact.merged_into)


def _index_keys(contact: Contact) -> Iterator[tuple[str, str]]:
    for field in ("external_id", "email", "phone"):
        value = getattr(contact, field)
        if value:
            yield field, value.casefold()


def _highest_number(world: World) -> int:
    items = (
        *(conversation.id for conversation in world.conversations),
        *(part.id for conversation in world.conversations for part in conversation.parts),
        *(ticket.id for ticket in world.tickets),
        *(note.id for contact in world.contacts for note in contact.notes),
        *world.tags,
    )
    return max((int(item) for item in items if item.isdecimal()), default=0)
