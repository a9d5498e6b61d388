"""From a source's rows to members: the same rules for every source.

Rows are mappings from the column names of `members` to values of any type, as legacy tables hold numbers as text and
text as numbers. A source that cannot supply a table says so in its `References`; the values are then UNKNOWN.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mynatca_intercom.members.member import (
    ATTRIBUTE_LENGTH,
    RETIRED_PLACE,
    UNKNOWN,
    Member,
    MemberListing,
    Value,
    cut_positions,
    full_name,
    join_positions,
    usable_email,
)
from mynatca_intercom.members.phone import e164
from mynatca_intercom.settings import MemberSettings

SYNCED_STATUSES = ("Active", "Retired")

Row = Mapping[str, Any]
Wanted = Callable[[Row], bool]
T = TypeVar("T")


def text(value: object) -> str | None:
    """A column as text, whatever its type in the source; None for null."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    whole = isinstance(value, float) and value.is_integer()
    return None if value is None else str(int(value) if whole else value)  # type: ignore[call-overload]


def filled(value: object) -> str | None:
    """A column as trimmed text, or None where it is null or blank."""
    return (text(value) or "").strip() or None


def is_synced(row: Row) -> bool:
    """Whether the nightly sync is about this row: Active or Retired, with an email."""
    return text(row["status"]) in SYNCED_STATUSES and row["email"] is not None


def is_any(_row: Row) -> bool:
    """Any row is a member."""
    return True


def has_email(address: str) -> Wanted:
    """Whether a row's email is this usable address."""
    return lambda row: usable_email(text(row["email"])) == address


def has_number(number: str) -> Wanted:
    """Whether a row's number is this one."""
    return lambda row: filled(row["membernumber"]) == number


def usable_number(raw: str) -> str | None:
    """The number trimmed, or None for text that cannot be one and that not every database would take."""
    number = raw.strip()
    return number if number and number.isprintable() else None


def like_pattern(address: str, escape: str) -> str:
    """A LIKE pattern that finds at least every spelling of an address, with space around it and in any case.

    It may find more, so the rows have to be compared. Databases fold the case of letters outside ASCII in different
    ways, and PostgREST takes `*` for `%` even where it is escaped: these match any one character.
    """
    escaped = re.sub(rf"[%_{re.escape(escape)}]", lambda wildcard: escape + wildcard[0], address)
    return f"%{re.sub(r'[^!-~]|[*]', '_', escaped)}%"


UNKNOWN_REFERENCES = ("member_type_unknown", "region_unknown", "facility_unknown")
"""What is counted of references that lead nowhere, and of tables that the source cannot supply."""


@dataclass(frozen=True, slots=True)
class References:
    """What rows refer to: names by id, and titles by member number; None for what the source cannot supply."""

    regions: Mapping[str, str | None] | None = None
    facilities: Mapping[str, str | None] | None = None
    types: Mapping[str, str | None] | None = None
    titles: Mapping[str, list[str]] | None = None


class MemberBuilder:
    """Turns rows into members and counts the values that it had to leave out."""

    def __init__(self, references: References, rules: MemberSettings) -> None:
        self._references = references
        self._rules = rules
        self.left_out: Counter[str] = Counter()

    def listing(self, source: str, rows: Iterable[Row], counted: int, wanted: Wanted) -> MemberListing:
        """The wanted ones of the rows; each row that the source counts and does not give counts as a member."""
        members, read = [], 0
        for row in rows:
            read += 1
            member = self.member(row) if wanted(row) else None
            if member is not None:
                members.append(member)
        missing = max(counted - read, 0)
        return MemberListing(source, _ordered(members), len(members) + missing, dict(self.left_out))

    def members(self, rows: Iterable[Row]) -> tuple[Member, ...]:
        """The rows' members, ordered by number."""
        return _ordered(filter(None, map(self.member, rows)))

    def member(self, row: Row) -> Member | None:
        """The row as a member; None for a row without a number, which nothing could refer to."""
        number = self._counted("number_empty", filled(row["membernumber"]))
        if number is None:
            return None
        return Member(
            number=number,
            name=self._counted("name_empty", full_name(text(row["firstname"]), text(row["lastname"]))),
            email=self._email(text(row["email"])),
            phone=self._phone(filled(row["phone"])),
            member_type=self._type(row),
            region=self._place(row, "region", self._references.regions),
            facility=self._place(row, "facility", self._references.facilities),
            positions=self._positions(number),
        )

    def _counted(self, reason: str, value: T | None) -> T | None:
        self.left_out[reason] += value is None
        return value

    def _email(self, raw: str | None) -> str | None:
        return None if raw is None else self._counted("email_unusable", usable_email(raw))

    def _phone(self, raw: str | None) -> str | None:
        return None if raw is None else self._counted("phone_unparsable", e164(raw, self._rules.phone_region))

    def _type(self, row: Row) -> Value:
        if text(row["status"]) == "Retired":
            return self._rules.retired_type_name
        type_id = filled(row["membertypeid"])
        if type_id == str(self._rules.current_type_id):
            return self._rules.current_type_name
        return self._referred("member_type_unknown", type_id, self._references.types or {})

    def _place(self, row: Row, place: str, codes: Mapping[str, str | None] | None) -> Value:
        if codes is None:
            return self._unknown(f"{place}_unknown")
        if text(row["status"]) == "Retired":
            return RETIRED_PLACE
        return self._referred(f"{place}_unknown", filled(row[f"{place}_id"]), codes)

    def _referred(self, reason: str, key: str | None, names: Mapping[str, str | None]) -> Value:
        """None for no reference, UNKNOWN for one that leads nowhere."""
        if key is None:
            return None
        if key not in names:
            return self._unknown(reason)
        return (filled(names[key]) or "")[:ATTRIBUTE_LENGTH] or None

    def _positions(self, number: str) -> Value:
        if self._references.titles is None:
            return self._unknown("positions_unknown")
        joined = join_positions(self._references.titles.get(number, []))
        if joined is None:
            return None
        cut = cut_positions(joined)
        self.left_out["positions_cut"] += cut != joined
        return cut

    def _unknown(self, reason: str) -> Value:
        self.left_out[reason] += 1
        return UNKNOWN


def _ordered(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: member.number))
