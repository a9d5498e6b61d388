"""Brakes: a plan that changes far more than a night should is not carried out without a person's word.

Pure. Each class has its own threshold; percentages apply from 20 actions on, so that small workspaces can live.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from mynatca_intercom.intercom.contact import ContactListing
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.members.member import MemberListing
from mynatca_intercom.reconcile.plan import Plan

BrakeClass = Literal["create", "update", "archive", "source", "listing"]

MAX_CREATED_SHARE = 0.10
"""Of the source's members."""
MAX_UPDATED_SHARE = 0.50
"""Of the members that have a contact."""
FIRST_RUN_SHARE = 0.10
"""Below this share of members that have a user with their number, nothing was synced before: many changes are right."""
MAX_ARCHIVED = 500
"""Contacts that are archived at once, duplicates included, however large the workspace is."""
MAX_ARCHIVED_BY_SWEEP = 50
"""Duplicates that are archived at once by a sweep, which sees the conversations of a day and not the workspace."""
MAX_ARCHIVED_SHARE = 0.05
"""Of the contacts listed."""
MIN_SOURCE_SHARE = 0.90
"""Of the members that the last run read."""
MIN_BRAKED_ACTIONS = 20


@dataclass(frozen=True, slots=True)
class Brake:
    """One threshold that is passed: its class, and a sentence that says by how much."""

    brake: BrakeClass
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of either side was read: rows read, and rows that the side itself counts."""

    members: MemberListing
    contacts: ContactListing
    open_work: OpenWork
    last_members: int | None
    """Members that the last run read; None when there was none."""


def brakes(plan: Plan, reading: Reading, released: Collection[BrakeClass]) -> list[Brake]:
    """The brakes that stop this plan, but for those that a person has released."""
    pulled = [*_incomplete(reading), *_too_much(plan)]
    return [brake for brake in pulled if brake.brake not in released]


def _incomplete(reading: Reading) -> Iterator[Brake]:
    members, contacts, last = reading.members, reading.contacts, reading.last_members
    read = len(members.members)
    if not read:
        yield Brake("source", "The source has no members at all.")
    elif not members.complete:
        yield Brake("source", f"The source gave {read} of the {members.counted} members that it counts, twice.")
    elif last and read < MIN_SOURCE_SHARE * last:
        yield Brake(
            "source",
            f"The source has {read} members, {_share(read, last)} of the last run's {last} "
            f"(at least {MIN_SOURCE_SHARE:.0%} are expected).",
        )
    if not contacts.complete:
        listed = len(contacts.contacts)
        yield Brake("listing", f"Intercom listed {listed} of the {contacts.counted} contacts that it counts, twice.")
    elif not reading.open_work.complete:
        yield Brake("listing", "Intercom listed fewer open conversations or tickets than it counts, twice.")


def _too_much(plan: Plan) -> Iterator[Brake]:
    archived = plan.count("archive", "archive_duplicate")
    yield from too_many_archived(archived, plan.contacts)
    if plan.numbered < FIRST_RUN_SHARE * plan.members:
        return
    yield from _too_many("create", plan.count("create"), plan.members, MAX_CREATED_SHARE, "members")
    changed = plan.count("update", "convert", "merge", "clear_external_id")
    yield from _too_many("update", changed, plan.matched, MAX_UPDATED_SHARE, "matched contacts")


def too_many_archived(count: int, contacts: int | None, most: int = MAX_ARCHIVED) -> Iterator[Brake]:
    """The brake on archives; `contacts` is how many were listed, None where a run lists none."""
    if count > most:
        sentence = f"The plan would archive {count} contacts (at most {most} without a person's word)."
        yield Brake("archive", sentence)
    elif contacts is not None:
        yield from _too_many("archive", count, contacts, MAX_ARCHIVED_SHARE, "contacts")


def _too_many(brake: BrakeClass, count: int, of: int, share: float, what: str) -> Iterator[Brake]:
    if count >= MIN_BRAKED_ACTIONS and count > share * of:
        yield Brake(
            brake,
            f"The plan would {brake} {count} contacts, {_share(count, of)} of {of} {what} "
            f"(at most {share:.0%} without a person's word).",
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "more"
