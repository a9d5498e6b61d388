"""What a source of members offers to the programs, and how it fails.

A source reads its rows completely or raises: half a list is never handed on. Calls block; asynchronous programs run
them in a thread.
"""

from typing import Protocol

from mynatca_intercom.members.member import MemberListing


class SourceError(Exception):
    """The members cannot be had from this source.

    SourceError
    ├── SourceUnavailable   it does not answer, or answers nonsense
    ├── SourceRefused       it does not accept the credentials
    └── SourceIncomplete    it answered fewer rows than it counts, twice
    """


class SourceUnavailable(SourceError):  # noqa: N818 - named after what happened, as httpx does
    """The source does not answer, or not in the form that it should."""


class SourceRefused(SourceError):  # noqa: N818 - see above
    """The source does not accept the credentials."""


class SourceIncomplete(SourceError):  # noqa: N818 - see above
    """Fewer rows came than the source itself counts, and again in a second reading."""

    def __init__(self, table: str, read: int, counted: int) -> None:
        super().__init__(f"{table}: {read} rows read of {counted} counted, twice")
        self.read = read
        self.counted = counted


class MemberSource(Protocol):
    """Where members are read; Supabase is one."""

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number.

        Raises:
            SourceError: when they cannot be had, or not all of them.
        """
