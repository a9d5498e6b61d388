"""A contact as Intercom gives it: the fields that the programs look at, and no others."""

from dataclasses import dataclass, field
from typing import Any, Literal

from mynatca_intercom.intercom.listing import missing

Role = Literal["user", "lead"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of a contact's sub-list."""

    id: str


@dataclass(frozen=True, slots=True)
class Sublist:
    """Tags or notes of a contact: the first ten, and how many there are (REST 2.16: Contacts)."""

    data: tuple[Reference, ...] = ()
    total_count: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the entries that are here."""
        return tuple(entry.id for entry in self.data)

    @property
    def is_whole(self) -> bool:
        """Whether all entries are here."""
        return len(self.data) >= self.total_count


_NOTHING = Sublist()


@dataclass(frozen=True, slots=True)
class Contact:
    """A person in Intercom (REST 2.16: Contacts). Moments are Unix seconds; all but id and role may be absent."""

    id: str
    role: Role
    external_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    last_replied_at: int | None = None
    last_contacted_at: int | None = None
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    tags: Sublist | None = _NOTHING
    notes: Sublist | None = _NOTHING

    @property
    def activity(self) -> tuple[int | None, ...]:
        """The moments by which one sees that anything happened to the contact since it was read."""
        return self.updated_at, self.last_replied_at, self.last_contacted_at

    def active_since(self, moment: int) -> bool:
        """Whether it came, wrote or was written to at or after this moment."""
        return any((at or 0) >= moment for at in (self.created_at, self.last_replied_at, self.last_contacted_at))


@dataclass(frozen=True, slots=True)
class ContactListing:
    """All unarchived contacts by id, and the number of them that Intercom counted at least."""

    contacts: dict[str, Contact]
    counted: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing but what may have gone while the pages were read: 0.1 %, at least 5."""
        return not missing(len(self.contacts), self.counted)
