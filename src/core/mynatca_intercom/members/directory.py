"""Members from the first source that has them.

A call is answered by one source as a whole, never by two in part. Only a source that does not answer is passed over:
refused credentials are somebody's mistake, which the next source would only hide.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from mynatca_intercom import metrics
from mynatca_intercom.members.member import Member, MemberListing
from mynatca_intercom.members.mysql import MySQLSource
from mynatca_intercom.members.source import MemberSource, SourceError, SourceRefused
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.settings import (
    MEMBER_SOURCES,
    DirectorySettings,
    MemberSettings,
    MySQLSettings,
    SupabaseSettings,
    load,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

for _name in MEMBER_SOURCES:
    metrics.SOURCE_FALLBACKS.labels(_name)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a source said; `failed` has a sentence for each source that was asked before it, in vain."""

    value: T
    failed: tuple[str, ...] = ()

    @property
    def from_fallback(self) -> bool:
        """Whether another source should have been the one to tell."""
        return bool(self.failed)


class Directory:
    """Sources in the order in which they are asked; itself a `MemberSource`."""

    def __init__(self, sources: Sequence[MemberSource]) -> None:
        if not sources:
            raise ValueError("a directory needs a source")
        self._sources = tuple(sources)

    @property
    def name(self) -> str:
        """The names of its sources in their order."""
        return ",".join(source.name for source in self._sources)

    def followed_by(self, source: MemberSource) -> "Directory":
        """A directory that asks one more source when all of these fail."""
        return Directory((*self._sources, source))

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number; `failed` says who was asked before.

        Raises:
            SourceUnavailable: no source answers; the text names each.
            SourceRefused: a source that had to be asked does not accept the credentials.
        """
        answer = self.ask(lambda source: source.synced_members())
        return replace(answer.value, failed=answer.failed)

    def all_members(self) -> MemberListing:
        """Every row of `members`, ordered by number; `failed` says who was asked before.

        Raises:
            SourceError: as `synced_members`.
        """
        answer = self.ask(lambda source: source.all_members())
        return replace(answer.value, failed=answer.failed)

    def members_with_email(self, email: str) -> tuple[Member, ...]:
        """Every member with this address, ordered by number.

        Raises:
            SourceError: as `synced_members`.
        """
        return self.ask(lambda source: source.members_with_email(email)).value

    def member_with_number(self, number: str) -> Member | None:
        """The member with this number, whatever the status.

        Raises:
            SourceError: as `synced_members`.
        """
        return self.ask(lambda source: source.member_with_number(number)).value

    def ask(self, read: Callable[[MemberSource], T]) -> Answer[T]:
        """What the first source says that answers, and who was asked before.

        Raises:
            SourceError: as `synced_members`.
        """
        return _first(read, self._sources, ())


def _first(read: Callable[[MemberSource], T], sources: Sequence[MemberSource], failed: tuple[str, ...]) -> Answer[T]:
    source, *others = sources
    try:
        return Answer(read(source), failed)
    except SourceError as error:
        failed = (*failed, str(error))
        if isinstance(error, SourceRefused) or not others:
            raise type(error)("; ".join(failed)) from error
    metrics.SOURCE_FALLBACKS.labels(source.name).inc()
    log.warning("%s; asking %s", failed[-1], others[0].name)
    return _first(read, others, failed)


@contextmanager
def open_directory(environment: Mapping[str, str]) -> Iterator[Directory]:
    """The directory that the settings describe, with its sources open.

    Raises:
        SettingsError: a setting of a source is missing or malformed.
    """
    chosen = load(DirectorySettings, environment)
    rules = load(MemberSettings, environment)
    without_mysql = not chosen.chosen and not environment.get("MYSQL_HOST", "").strip()
    names = [name for name in chosen.names if not (without_mysql and name == "mysql")]
    with ExitStack() as opened:
        yield Directory([_source(name, rules, environment, opened) for name in names])


def _source(name: str, rules: MemberSettings, environment: Mapping[str, str], opened: ExitStack) -> MemberSource:
    if name == "mysql":
        return opened.enter_context(MySQLSource(load(MySQLSettings, environment), rules))
    return opened.enter_context(SupabaseSource(load(SupabaseSettings, environment), rules))
