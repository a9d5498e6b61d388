"""A member, a listing of members, and what single values have to look like.

Sources (`supabase`, `mysql`) fetch rows and `rows` turns them into members, so that all sources have the same rules.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

ATTRIBUTE_LENGTH = 255
"""Longest string value of an Intercom custom attribute, in characters."""

RETIRED_PLACE = "RNAV"
"""Region and facility of every Retired member."""


_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")


class Unknown(Enum):
    """A value that the source cannot tell: never written, and never a reason to clear anything."""

    UNKNOWN = "unknown"


UNKNOWN: Literal[Unknown.UNKNOWN] = Unknown.UNKNOWN

Value = str | Literal[Unknown.UNKNOWN] | None
"""A text, None where the source says that there is nothing, or UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Member:
    """One row of `members`, in the form in which it goes to Intercom.

    `phone` is E.164, or None where there is none or it cannot be parsed; `email` is trimmed and lower case, or None
    where the row has no usable address.
    """

    number: str
    name: str | None
    email: str | None
    phone: str | None
    member_type: Value
    region: Value
    facility: Value
    positions: Value


@dataclass(frozen=True, slots=True)
class MemberListing:
    """All members that a run is about, as one source told them.

    `counted` is how many the source itself counts; fewer members than that are half a list, read twice.
    `left_out` counts values that could not be used, by reason. `failed` has a sentence for each source that was asked
    before this one, in vain.
    """

    source: str
    members: tuple[Member, ...]
    counted: int
    left_out: dict[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every member that the source counts is here."""
        return len(self.members) >= self.counted

    @property
    def from_fallback(self) -> bool:
        """Whether another source should have been the one to tell."""
        return bool(self.failed)


def full_name(first: str | None, last: str | None) -> str | None:
    """First and last name with single spaces, or None when both are empty."""
    return " ".join(f"{first or ''} {last or ''}".split()) or None


def usable_email(raw: str | None) -> str | None:
    """The address trimmed and in lower case, or None for text that cannot be an address."""
    email = (raw or "").strip().lower()
    return email if _EMAIL.fullmatch(email) else None


def join_positions(titles: list[str]) -> str | None:
    """The distinct titles, sorted and joined with ", "; None for no title."""
    return ", ".join(sorted({title.strip() for title in titles} - {""})) or None


def cut_positions(joined: str) -> str:
    """Joined titles cut at a separator to Intercom's 255 characters."""
    if len(joined) <= ATTRIBUTE_LENGTH:
        return joined
    return joined[: ATTRIBUTE_LENGTH + len(", ")].rpartition(", ")[0] or joined[:ATTRIBUTE_LENGTH]
