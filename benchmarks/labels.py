"""What is true of a world and no run is told: who each contact is, and what should stand on it.

A run is judged by comparing the world after it with a copy from before it, in the light of these labels.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from mynatca_sandbox.world.mapping import ATTRIBUTES, Mapping
from mynatca_sandbox.world.model import Contact, Conversation, World
from mynatca_sandbox.world.population import Row

STANDARD_FIELDS = ("role", "external_id", "email", "phone", "name")


def fields_of(contact: Contact) -> dict[str, Any]:
    """The fields that the programs own; one without a value is None."""
    standard = {name: getattr(contact, name) or None for name in STANDARD_FIELDS}
    return standard | {name: contact.custom_attributes.get(name) or None for name in ATTRIBUTES}


def is_live(contact: Contact) -> bool:
    """Whether it is in sight."""
    return not (contact.archived or contact.merged_into or contact.deleted or contact.blocked)


def open_conversations(world: World) -> Iterator[Conversation]:
    """Those that are open or snoozed."""
    return (each for each in world.conversations if each.state != "closed")


def with_open_work(world: World) -> set[str]:
    """Ids of the contacts that have an open or snoozed conversation or an open ticket."""
    conversing = {contact_id for each in open_conversations(world) for contact_id in each.contact_ids}
    return conversing | {contact_id for ticket in world.tickets if ticket.open for contact_id in ticket.contact_ids}


class Labels:
    """A copy of a world from before a run, with its labels."""

    def __init__(self, before: World) -> None:
        self.world = before
        self._mapping = Mapping(before.tables)

    @cached_property
    def contacts(self) -> dict[str, Contact]:
        """All contacts by id, of any state."""
        return {contact.id: contact for contact in self.world.contacts}

    @cached_property
    def members(self) -> dict[str, Row]:
        """All members by number."""
        return {row["membernumber"]: row for row in self.world.tables["members"]}

    def owner(self, contact_id: str) -> str | None:
        """The number of the member that the contact really is; None for nobody's."""
        return self.world.truth.get(contact_id)

    def of_kind(self, *kinds: str) -> list[Contact]:
        """The contacts that were planted as cases of these kinds."""
        planted = self.world.planted
        return [contact for contact in self.world.contacts if planted.get(contact.id) in kinds]

    def of_members(self) -> list[Contact]:
        """All contacts in sight that really are some member."""
        return [contact for contact in self.world.contacts if is_live(contact) and self.owner(contact.id)]

    def right_fields(self, number: str) -> dict[str, Any]:
        """What should stand on the member's user."""
        fields = self._mapping.fields(self.members[number])
        attributes = fields.pop("custom_attributes")
        return {"role": "user", **fields} | {name: attributes.get(name) for name in ATTRIBUTES}

    def is_right(self, contact: Contact, number: str) -> bool:
        """Whether it is the member's user, in sight and right in every field (no phone in the source clears none)."""
        right = self.right_fields(number)
        present = fields_of(contact)
        return is_live(contact) and all(
            present[name] == value or (name == "phone" and not value) for name, value in right.items()
        )
