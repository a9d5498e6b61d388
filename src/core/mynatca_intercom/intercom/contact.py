"""A contact as Intercom gives it: the fields that the programs look at, and no others."""

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "lead"]


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


@dataclass(frozen=True, slots=True)
class ContactListing:
    """All unarchived contacts by id, and the number of them that Intercom counted at least."""

    contacts: dict[str, Contact]
    counted: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing but what may have gone while the pages were read: 0.1 %, at least 5."""
        return len(self.contacts) >= self.counted - max(5, self.counted // 1000)
