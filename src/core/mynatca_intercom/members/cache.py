"""A copy of all members in a file, for look-ups while no source answers.

It says who is a member and never who is none: whoever is not in it may have joined since, so it does not answer then,
as if there were no copy. The file is a SQLite database that is never changed once it has its name: a new copy takes
the place of the old one as a whole. Processes of one machine may share it; one of them refreshes it, all read it.
"""

import fcntl
import json
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from mynatca_intercom import metrics
from mynatca_intercom.members.member import UNKNOWN, Member, MemberListing, usable_email
from mynatca_intercom.members.rows import usable_number
from mynatca_intercom.members.source import MemberSource, SourceUnavailable

MIN_SHARE = 0.90
"""Of the members in the copy; a shorter listing does not replace it, as the nightly sync would not trust it."""

_TABLES = """
    CREATE TABLE listing (listed_at REAL NOT NULL);
    CREATE TABLE members (number TEXT NOT NULL, email TEXT, fields TEXT NOT NULL);
    CREATE INDEX by_number ON members (number);
    CREATE INDEX by_email ON members (email);
"""
_MAY_BE_UNKNOWN = dict.fromkeys(("member_type", "region", "facility", "positions"), UNKNOWN)


class MemberCache:
    """The copy in one file; a `MemberSource` that answers look-ups only, meant to be the last one of a directory.

    Args:
        file: where it is; made by the first `refresh`, readable by its owner alone.
        max_age_seconds: a copy of this age answers nothing any more.
    """

    def __init__(self, file: Path, max_age_seconds: float) -> None:
        self._file = file.absolute()
        self._max_age_seconds = max_age_seconds

    @property
    def name(self) -> str:
        """`cache`."""
        return "cache"

    def synced_members(self) -> MemberListing:
        """Nothing: what is decided on all members needs a source.

        Raises:
            SourceUnavailable: always.
        """
        raise SourceUnavailable("the member cache gives no listings")

    def all_members(self) -> MemberListing:
        """Nothing, as `synced_members`.

        Raises:
            SourceUnavailable: always.
        """
        raise SourceUnavailable("the member cache gives no listings")

    def members_with_email(self, email: str) -> tuple[Member, ...]:
        """Every member with this address, at least one, ordered by number.

        Raises:
            SourceUnavailable: there is no copy, it is too old, or it has no such member.
        """
        return self._found("SELECT fields FROM members WHERE email = ? ORDER BY number", usable_email(email))

    def member_with_number(self, number: str) -> Member:
        """The member with this number.

        Raises:
            SourceUnavailable: as `members_with_email`.
        """
        return self._found("SELECT fields FROM members WHERE number = ?", usable_number(number))[0]

    def age_seconds(self) -> float:
        """Time since the members in the copy were listed; infinite while there is no copy, or none to be read."""
        try:
            with _opened(self._file) as database:
                return _age(database)
        except SourceUnavailable:
            return math.inf

    def refresh(self, members: MemberSource, refresh_seconds: float) -> None:
        """List all members and replace the copy if it is of this age, and no other process is at it.

        Raises:
            SourceError: they cannot be had, or not all of them; the copy stays.
            OSError: it cannot be written.
        """
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _sole(self._file.with_name(f"{self._file.name}.lock")) as is_sole:
            if is_sole and not 0 <= self.age_seconds() < refresh_seconds:
                listed_at = time.time()
                listing = members.all_members()
                self._check(listing)
                _replace(self._file, listed_at, listing)

    def _found(self, query: str, value: str | None) -> tuple[Member, ...]:
        with _opened(self._file) as database:
            age = _age(database)
            if age >= self._max_age_seconds:
                raise SourceUnavailable(f"the member cache is {age:.0f} s old")
            found = tuple(_member(fields) for (fields,) in database.execute(query, [value]))
        if not found:
            raise SourceUnavailable("the member cache does not have this member")
        metrics.CACHE_ANSWERS.inc()
        return found

    def _check(self, listing: MemberListing) -> None:
        listed, present = len(listing.members), self._count()
        if not listing.complete or not listed:
            raise SourceUnavailable(f"{listing.source} gave {listed} of {listing.counted} members")
        if listed < MIN_SHARE * present:
            raise SourceUnavailable(
                f"{listing.source} gave {listed} members, and the member cache has {present}: "
                f"if that is right, remove {self._file}"
            )

    def _count(self) -> int:
        try:
            with _opened(self._file) as database:
                [(count,)] = database.execute("SELECT count(*) FROM members")
                return int(count)
        except SourceUnavailable:
            return 0


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The copy that has the name now, without locks, as nobody changes it."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            yield database
    except (sqlite3.Error, ValueError, TypeError) as error:  # the last two: it was written by another version
        raise SourceUnavailable(f"the member cache cannot be read: {type(error).__name__}") from None


def _age(database: sqlite3.Connection) -> float:
    [(listed_at,)] = database.execute("SELECT listed_at FROM listing")
    return time.time() - float(listed_at)


def _replace(file: Path, listed_at: float, listing: MemberListing) -> None:
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    try:
        _write(part, listed_at, listing)
        _sync(part)
        part.replace(file)
    except sqlite3.Error as error:  # the disk is full, for example
        raise OSError(f"the member cache cannot be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    _sync(file.parent)


def _write(file: Path, listed_at: float, listing: MemberListing) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")  # a file that is half written is thrown away
        database.execute("PRAGMA synchronous = OFF")  # it is synced once, when it is whole
        database.executescript(_TABLES)
        database.execute("INSERT INTO listing VALUES (?)", [listed_at])
        rows = ((member.number, member.email, _fields(member)) for member in listing.members)
        database.executemany("INSERT INTO members VALUES (?, ?, ?)", rows)


def _fields(member: Member) -> str:
    """The member as JSON, without what is unknown of it."""
    return json.dumps({name: value for name, value in asdict(member).items() if value is not UNKNOWN})


def _member(fields: str) -> Member:
    return Member(**{**_MAY_BE_UNKNOWN, **json.loads(fields)})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _sole(lock: Path) -> Iterator[bool]:
    """Whether this caller holds the lock, which ends with the block or with the process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
