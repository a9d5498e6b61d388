"""What a source of members offers to the programs, and how it fails.

A source says how many members it counts beside those that it read, so that half a list can be told from a whole one.
Calls block, and may come from several threads at once; asynchronous programs run them in a thread.
"""

from typing import Protocol

from mynatca_intercom.members.member import Member, MemberListing


class SourceError(Exception):
    """The members cannot be had from this source.

    SourceError
    ├── SourceUnavailable   it does not answer, or answers nonsense
    └── SourceRefused       it does not accept the credentials

    The text never quotes a row, an address or a password.
    """


class SourceUnavailable(SourceError):
    """The source does not answer, or not in the form that it should."""


class SourceRefused(SourceError):
    """The source does not accept the credentials."""


class MemberSource(Protocol):
    """Where members are read: `SupabaseSource`, `MySQLSource`, and `Directory`, which tries one after the other.

    Every method raises a SourceError when the members cannot be had.
    """

    @property
    def name(self) -> str:
        """The source's name in listings, metrics and settings."""

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number."""

    def all_members(self) -> MemberListing:
        """Every row of `members`, whatever its status, with or without an email, ordered by number."""

    def members_with_email(self, email: str) -> tuple[Member, ...]:
        """Every member with this address, compared without case and surrounding space, ordered by number."""

    def member_with_number(self, number: str) -> Member | None:
        """The member with this number, whatever the status."""
