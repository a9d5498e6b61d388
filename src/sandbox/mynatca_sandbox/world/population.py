"""Supabase's tables: the members with all that is odd about them, their positions, and the tables they refer to.

Eligible members are those that the nightly sync keeps in Intercom: Active or Retired, with an email address. An
empty or blank email is not null, so a query for "email is not null" returns it; it is no email all the same, and
such members are not eligible.
"""

import datetime as dt
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from mynatca_sandbox.world.names import as_typed, random_name
from mynatca_sandbox.world.places import RETIRED_CODE, facility_rows, region_rows
from mynatca_sandbox.world.reachability import Mailboxes, phone_numbers, typed_email, typed_phone
from mynatca_sandbox.world.union import (
    CURRENT_MEMBER_TYPE,
    FACILITY_TITLES,
    FORMER_MEMBER_TYPE,
    FORMER_STATUSES,
    NATIONAL_TITLES,
    OTHER_ACTIVE_TYPES,
    RETIRED_MEMBER_TYPE,
    TITLES,
    member_type_rows,
)

Row = dict[str, Any]
"""One row of a table: JSON values by column."""

RETIRED_SHARE: Final = 0.3
FORMER_SHARE: Final = 0.08
"""Former members, relative to the eligible ones."""
NO_EMAIL_SHARE: Final = 0.01
FAMILY_SHARE: Final = 0.015
"""Eligible members who use the email address of another one."""
NAMESAKE_SHARE: Final = 0.004
LEADING_ZERO_SHARE: Final = 0.02
"""Of the numbers with five digits."""
EMAILS_THAT_ARE_NONE: Final = (None, None, "", "", "  ")

DAY: Final = 24 * 60 * 60


def is_eligible(member: Row) -> bool:
    """Whether the nightly sync keeps this row of `members` in Intercom."""
    return member["status"] in {"Active", "Retired"} and bool((member["email"] or "").strip())


def timestamp(moment: int) -> str:
    """Unix seconds as PostgREST prints a `timestamptz`."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()


def tables(rng: random.Random, eligible: int, now: int) -> dict[str, list[Row]]:
    """All tables, with exactly `eligible` eligible members."""
    facilities = facility_rows()
    members = _members(rng, eligible, facilities, now)
    return {
        "members": members,
        "regions": region_rows(),
        "facilities": facilities,
        "positions": _positions(rng, members, now),
        "member_types": member_type_rows(),
    }


def _members(rng: random.Random, eligible: int, facilities: list[Row], now: int) -> list[Row]:
    former, without_email = round(eligible * FORMER_SHARE), round(eligible * NO_EMAIL_SHARE)
    everybody = list(_hires(rng, eligible + former + without_email, facilities, now))
    lots = iter(rng.sample(everybody, len(everybody)))
    for member in islice(lots, former):
        member.update(status=rng.choice(FORMER_STATUSES), membertypeid=FORMER_MEMBER_TYPE)
    for member in islice(lots, without_email):
        member["email"] = rng.choice(EMAILS_THAT_ARE_NONE)
    rest = list(lots)
    for member in rng.sample(rest, round(eligible * RETIRED_SHARE)):
        member.update(status="Retired", membertypeid=RETIRED_MEMBER_TYPE)
    _share_households(rng, rest)
    _repeat_names(rng, rest)
    return _in_heap_order(rng, everybody)


def _in_heap_order(rng: random.Random, members: list[Row]) -> list[Row]:
    """As PostgreSQL stores them: in the order of joining, but what was updated lately lies at the end."""
    updated = rng.sample(members, len(members) // 20)
    numbers = {member["membernumber"] for member in updated}
    return [member for member in members if member["membernumber"] not in numbers] + updated


def _hires(rng: random.Random, count: int, facilities: list[Row], now: int) -> Iterator[Row]:
    """`count` active members with an email address each, in the order of their numbers."""
    workplaces = [facility for facility in facilities if facility["code"] != RETIRED_CODE]
    mailboxes, phones = Mailboxes(rng), phone_numbers(rng)
    for number in _member_numbers(rng, count):
        given, family = random_name(rng)
        firstname, lastname = as_typed(rng, given, family)
        facility = rng.choice(workplaces)
        yield {
            "membernumber": number,
            "firstname": firstname,
            "lastname": lastname,
            "email": typed_email(rng, mailboxes.address(given, family)),
            "phone": typed_phone(rng, next(phones)),
            "status": "Active",
            "membertypeid": _active_type(rng),
            "region_id": facility["region_id"],
            "facility_id": facility["id"] if rng.random() > 1 / 100 else None,
            "updated_at": timestamp(now - rng.randrange(DAY, 6 * 365 * DAY)),
        }


def _member_numbers(rng: random.Random, count: int) -> Iterator[str]:
    """Different texts of five or six digits, so that their order as text is not their order as numbers."""
    for number in sorted(rng.sample(range(10_000, 10_000 + max(90_000 * 4, count * 2)), count)):
        yield f"{number:06d}" if rng.random() < LEADING_ZERO_SHARE else str(number)


def _active_type(rng: random.Random) -> int | None:
    chance = rng.random()
    if chance < 0.96:  # nearly everybody is a current member
        return CURRENT_MEMBER_TYPE
    return rng.choice(OTHER_ACTIVE_TYPES) if chance < 0.998 else None  # a rest has no type


def _share_households(rng: random.Random, members: list[Row]) -> None:
    """Let pairs share an email address and a family name, every other pair a telephone too."""
    chosen = rng.sample(members, 2 * round(len(members) * FAMILY_SHARE))
    for index, (one, other) in enumerate(zip(chosen[::2], chosen[1::2], strict=True)):
        other.update(email=one["email"], lastname=one["lastname"])
        if index % 2:
            other["phone"] = one["phone"]


def _repeat_names(rng: random.Random, members: list[Row]) -> None:
    chosen = rng.sample(members, 2 * round(len(members) * NAMESAKE_SHARE))
    for one, other in zip(chosen[::2], chosen[1::2], strict=True):
        other.update(firstname=one["firstname"], lastname=one["lastname"])


def _positions(rng: random.Random, members: list[Row], now: int) -> list[Row]:
    rows: list[Row] = []
    for member in members:
        for title in _titles(rng):
            rows.append(_position(rng, len(rows) + 1, member, title, now))
    return rows


def _titles(rng: random.Random) -> list[str]:
    """The titles one member ever held: none for most, one of them twice for some, a few hold nearly all."""
    chance = rng.random()
    if chance < 0.85:  # most members never hold an office
        return []
    if chance > 0.999:  # the busiest: their titles exceed 255 characters
        return list(TITLES)
    titles = rng.sample(FACILITY_TITLES, rng.randint(1, 3))
    if chance > 0.98:  # officers of the national union
        titles.append(rng.choice(NATIONAL_TITLES))
    return titles + titles[: rng.random() < 1 / 8]


def _position(rng: random.Random, id_: int, member: Row, title: str, now: int) -> Row:
    start = now - rng.randrange(100 * DAY, 10 * 365 * DAY)
    ended = rng.random() < 0.35  # about a third of all offices are over
    return {
        "id": id_,
        "membernumber": member["membernumber"],
        "positiontype": title,
        "facility_id": member["facility_id"],
        "start_date": timestamp(start)[:10],
        "end_date": timestamp(rng.randrange(start, now))[:10] if ended else None,
    }
