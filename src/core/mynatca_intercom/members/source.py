"""What a source of members offers to the programs, and how it fails.

A source says how many members it counts beside those that it read, so that half a list can be told from a whole one.
Calls block; asynchronous programs run them in a thread.
"""

from typing import Protocol

from mynatca_intercom.members.member import MemberListing


class SourceError(Exception):
    """The members cannot be had from this source.

    SourceError
    ├── SourceUnavailable   it does not answer, or answers nonsense
    └── SourceRefused       it does not accept the credentials
    """


class SourceUnavailable(SourceError):
    """The source does not answer, or not in the form that it should."""


class SourceRefused(SourceError):
    """The source does not accept the credentials."""


class MemberSource(Protocol):
    """Where members are read; Supabase is one."""

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number.

        Raises:
            SourceError: when they cannot be had.
        """
